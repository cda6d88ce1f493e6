"""Versions from one registry to another: through an archive, one file, or directly where both are on this machine.

An archive is a zip file of stored members under the names that they have in a store, and ``ivyhub.json``, which says
what the names in it stand for. Nothing of it is believed: every manifest and every blob is named by the digest of its
bytes, which is taken again as they arrive, and no member is read that no manifest names.
"""

from __future__ import annotations

import shutil
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from ivyhub import __version__
from ivyhub.errors import CorruptFileError, OutputExistsError, StorageError, UnknownNameError, UsageError
from ivyhub.registry.files import CHUNK, Digest, digest_bytes, digest_hex, replacing, storage_errors
from ivyhub.registry.manifest import ExportRecord, Version, decode, encode
from ivyhub.registry.places import chunks
from ivyhub.registry.progress import SILENT, Progress
from ivyhub.registry.refs import DEFAULT_ALIAS, Change, Label, check_name, split_reference
from ivyhub.registry.store import Store

CATALOGUE = "ivyhub.json"

# What a document in an archive may take: a manifest of 200,000 files has some 30 MB.
_MAX_DOCUMENT = 1 << 28
_TIME = (1980, 1, 1, 0, 0, 0)  # the same models have the same archive, whenever it is written


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``ivyhub.json``: what an archive holds, each name with its labels."""

    format: Literal[1] = 1
    ivyhub: str
    names: dict[str, dict[str, Label]]
    exports: dict[Digest, list[str]]


class Transfer(msgspec.Struct, frozen=True):
    """What went from one registry to another.

    Attributes:
        names: each name, and the labels that changed at its new place.
        versions: the versions that went, whether they were there already or not.
        files: how many blobs had to be copied.
        size: their bytes.
    """

    names: dict[str, Change]
    versions: list[Digest]
    files: int
    size: int


class Holding(Protocol):
    """A registry to take versions from."""

    def labels(self, reference: str) -> tuple[str, dict[str, Label]]:
        """The name of a reference and those of its labels that are meant: all for a name, one for ``name:label``."""
        ...

    def names(self) -> list[str]:
        """Every name it has."""
        ...

    def version(self, digest: Digest) -> Version:
        """The manifest of a version."""
        ...

    def exports(self, digest: Digest) -> list[ExportRecord]:
        """The exports of a version."""
        ...

    def put_into(self, store: Store, digest: Digest, most: int) -> None:
        """Copy a blob of at most so many bytes, its digest taken on the way."""
        ...


class StoreHolding:
    """A store, as one to take versions from."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def labels(self, reference: str) -> tuple[str, dict[str, Label]]:
        name, digest = self._store.refs.find(reference)
        return name, chosen(self._store.refs.labels(name), reference, digest)

    def names(self) -> list[str]:
        return self._store.refs.names()

    def version(self, digest: Digest) -> Version:
        return self._store.version(digest)

    def exports(self, digest: Digest) -> list[ExportRecord]:
        return self._store.exports(digest)

    def put_into(self, store: Store, digest: Digest, most: int) -> None:
        places = self._store.places(digest)
        if len(places) > 1:
            store.put_stream(chunks(places), expected=digest)
        elif store.put_file(places[0].path) != digest:
            self._store.verify(digest)  # moves it aside, and says so


class ArchiveHolding:
    """An open archive, as one to take versions from."""

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._archive = archive
        self._path = path
        if len(set(archive.namelist())) != len(archive.namelist()):
            raise CorruptFileError(f"{path} has two files of one name", hint="have it made again")
        self.catalogue = decode(self._document(CATALOGUE), Catalogue, where=f"{CATALOGUE} of {path}")
        for name in self.catalogue.names:
            check_name(name)

    def labels(self, reference: str) -> tuple[str, dict[str, Label]]:
        name, word, digits = split_reference(reference)
        if name not in self.catalogue.names:
            raise UnknownNameError(
                f"{self._path} has no model {name!r}", hint=f"it has {', '.join(self.names()) or 'none'}"
            )
        labels = self.catalogue.names[name]
        digest = next(
            (
                label.digest
                for each, label in labels.items()
                if (each == word if digits is None else label.digest.removeprefix("sha256:").startswith(digits))
            ),
            None,
        )
        return name, chosen(labels, reference, digest)

    def names(self) -> list[str]:
        return sorted(self.catalogue.names)

    def version(self, digest: Digest) -> Version:
        data = self._document(f"manifests/{digest_hex(digest)}")
        if digest_bytes(data) != digest:
            raise CorruptFileError(f"{self._path}: the manifest {digest} is not the bytes of its name")
        return decode(data, Version, where=f"the manifest {digest}")

    def exports(self, digest: Digest) -> list[ExportRecord]:
        folder = f"exports/{digest_hex(digest)}"
        found = []
        for key in self.catalogue.exports.get(digest, []):
            name = f"{folder}/{digest_hex(f'sha256:{key}')}"
            export = decode(self._document(name), ExportRecord, where=f"the export record {name}")
            if export.version != digest:
                raise CorruptFileError(f"{self._path}: the export record {name} is of another version")
            found.append(export)
        return found

    def put_into(self, store: Store, digest: Digest, most: int) -> None:
        def unpacked() -> Generator[bytes]:
            left = most
            with self._open(_blob(digest)) as member:
                while chunk := self._read(member, min(CHUNK, left + 1)):
                    left -= len(chunk)
                    if left < 0:
                        raise CorruptFileError(f"{digest} has more than {most} bytes")
                    yield chunk

        try:
            store.put_stream(unpacked(), expected=digest)
        except CorruptFileError as error:
            raise CorruptFileError(f"{self._path}: {error.message}", hint="have the archive made again") from error

    def _document(self, name: str) -> bytes:
        with self._open(name) as member:
            data = self._read(member, _MAX_DOCUMENT + 1)
        if len(data) > _MAX_DOCUMENT:
            raise CorruptFileError(f"{self._path}: {name} has more than {_MAX_DOCUMENT} bytes")
        return data

    @contextmanager
    def _open(self, name: str) -> Generator[zipfile.ZipExtFile]:
        with self._errors(name):
            member = self._archive.open(name)
        with member:
            yield member  # type: ignore[misc]  # opened for reading

    def _read(self, member: zipfile.ZipExtFile, size: int) -> bytes:
        with self._errors(str(member.name)):
            return member.read(size)

    @contextmanager
    def _errors(self, name: str) -> Generator[None]:
        try:
            yield
        except KeyError as error:
            raise CorruptFileError(f"{self._path} lacks {name}", hint="it is not whole: have it made again") from error
        except (*_BAD_ZIP, EOFError, RuntimeError) as error:  # a RuntimeError where it wants a password
            raise CorruptFileError(f"{self._path}: {name} cannot be read: {error}") from error


# zipfile raises all of these for files that are none.
_BAD_ZIP = (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, OverflowError, zlib.error)


@contextmanager
def open_holding(place: Path) -> Generator[Holding]:
    """The registry in a folder, or the archive in a file.

    Raises:
        UnknownNameError: there is neither.
        CorruptFileError: the file is no archive of ivyhub.
    """
    place = place.expanduser()
    if place.is_dir():
        if not (place / "refs").is_dir():
            raise UnknownNameError(f"{place} is no registry", hint="a registry is a folder as IVYHUB_HOME names it")
        yield StoreHolding(Store(place))
        return
    if not place.is_file():
        raise UnknownNameError(f"there is no archive and no registry {place}", hint="`ivyhub export` writes archives")
    with storage_errors("reading an archive"):
        try:
            archive = zipfile.ZipFile(place)
        except _BAD_ZIP as error:
            raise CorruptFileError(f"{place} is no archive: {error}", hint="`ivyhub export` writes archives") from error
        with archive:
            yield ArchiveHolding(archive, place)


def receive(
    store: Store,
    holding: Holding,
    references: Sequence[str] = (),
    *,
    name: str | None = None,
    exports: bool = False,
    force: bool = False,
    dry_run: bool = False,
    why: str = "import",
    progress: Progress = SILENT,
) -> Transfer:
    """Take versions into a registry; then the names, as the last.

    Args:
        store: where they go.
        holding: where they are.
        references: names for all that their labels stand for, ``name:label`` for one; everything if none is given.
        name: call it so; of one reference.
        exports: take their exports too, with the certificates. They are source, which a later pull hands out and runs;
            without them it is made again from the graph.
        force: move protected aliases too.
        dry_run: change nothing, and return what would.
        why: what it is, for the log.
        progress: hears of the bytes.

    Raises:
        UnknownNameError: the holding lacks one of them.
        UsageError: a label stands for something else here and may not move.
        CorruptFileError: bytes that are not those of their digest. Names that were to be set are not.
        StorageError: there is no room for them; known before the first byte is written.
    """
    references = references or holding.names()
    if name is not None and len(references) != 1:
        raise UsageError(f"expected one model to call {name!r}, received {len(references)}")
    wanted = dict(map(holding.labels, references))
    for reference, labels in wanted.items():
        if not labels:
            raise UnknownNameError(f"{reference!r} has no such label there")
    named = {name or each: _with_default(store, name or each, labels) for each, labels in wanted.items()}

    def take(dry_run: bool) -> dict[str, Change]:
        return {
            each: store.refs.take(each, labels, force=force, why=why, dry_run=dry_run) for each, labels in named.items()
        }

    planned = take(dry_run=True)
    digests = list(dict.fromkeys(label.digest for labels in named.values() for label in labels.values()))
    versions = {digest: holding.version(digest) for digest in digests}
    records = [export for digest in digests for export in holding.exports(digest)] if exports else []
    missing = {digest: size for digest, size in _sizes(versions.values(), records).items() if not store.has(digest)}
    total = sum(size or 0 for size in missing.values())
    if dry_run:
        return Transfer(planned, digests, len(missing), total)
    _check_room(store.home, total)
    with progress.stage("copy"):
        for digest, size in missing.items():
            holding.put_into(store, digest, _MAX_DOCUMENT if size is None else size)
            progress.advance(size or 0, total)
    for version in versions.values():
        store.put_version(version)
    for export in records:
        store.put_export(export)
    return Transfer(take(dry_run=False), digests, len(missing), total)


def pack(
    store: Store, references: Sequence[str], path: Path, *, force: bool = False, progress: Progress = SILENT
) -> Transfer:
    """Write models of a registry into an archive, with their exports.

    The same models give the same bytes.

    Args:
        store: where they are.
        references: as in `receive`; everything if none is given.
        path: the file; it has its name when it is whole.
        force: replace a file that is there.
        progress: hears of the bytes.

    Raises:
        OutputExistsError: there is such a file, and ``force`` is not given.
        UnknownNameError: the registry lacks one of them.
        CorruptFileError: it lost a file of one, or a file has other bytes.
        StorageError: the archive cannot be written.
    """
    path = path.expanduser().absolute()
    if path.is_dir() or (path.exists() and not force):
        raise OutputExistsError(f"{path} exists already", hint="give another file, or --force to replace it")
    holding = StoreHolding(store)
    named = dict(map(holding.labels, references or holding.names()))
    digests = list(dict.fromkeys(label.digest for labels in named.values() for label in labels.values()))
    versions = {digest: store.version(digest) for digest in digests}
    exports = {digest: store.exports(digest) for digest in digests}
    files = _sizes(versions.values(), [each for found in exports.values() for each in found])
    total = sum(size or 0 for size in files.values())
    catalogue = Catalogue(
        ivyhub=__version__,
        names=named,
        exports={digest: sorted(digest_hex(each.key) for each in found) for digest, found in exports.items() if found},
    )
    with (
        progress.stage("write"),
        replacing(path, "writing an archive") as temporary,
        zipfile.ZipFile(temporary, "x", zipfile.ZIP_STORED) as archive,
    ):
        _write(archive, CATALOGUE, [encode(catalogue)])
        for digest, version in sorted(versions.items()):
            _write(archive, f"manifests/{digest_hex(digest)}", [encode(version)])
        for digest, found in sorted(exports.items()):
            for export in sorted(found, key=lambda export: export.key):
                _write(archive, f"exports/{digest_hex(digest)}/{digest_hex(export.key)}", [encode(export)])
        for digest, size in sorted(files.items()):
            _write(archive, _blob(digest), _checked(store, digest), size=size or 0)
            progress.advance(size or 0, total)
    changes = {name: Change("", "export", ()) for name in named}
    return Transfer(changes, digests, len(files), path.stat().st_size)


def chosen(labels: Mapping[str, Label], reference: str, digest: Digest | None) -> dict[str, Label]:
    """All labels where a reference is a bare name; else those that stand for its version."""
    if ":" not in reference and "@" not in reference:
        return dict(labels)
    _, word, digits = split_reference(reference)
    return {each: label for each, label in labels.items() if label.digest == digest and (digits or each == word)}


def _with_default(store: Store, name: str, labels: dict[str, Label]) -> dict[str, Label]:
    """Labels with `latest` among them, where a name is new and they all stand for one version."""
    digests = {label.digest for label in labels.values()}
    if DEFAULT_ALIAS in labels or len(digests) != 1 or store.refs.labels(name):
        return labels
    return labels | {DEFAULT_ALIAS: Label(digests.pop(), "alias")}


def _sizes(versions: Iterable[Version], exports: Iterable[ExportRecord]) -> dict[Digest, int | None]:
    """Every blob of versions and exports, and its size; None for a certificate, whose size nobody wrote down."""
    found: dict[Digest, int | None] = {file.digest: file.size for version in versions for file in version.records}
    for export in exports:
        found |= {file.digest: file.size for file in export.package.values()}
        if export.certificate is not None:
            found.setdefault(export.certificate, None)
    return found


def _blob(digest: Digest) -> str:
    return f"blobs/sha256/{digest_hex(digest)[:2]}/{digest_hex(digest)}"


def _checked(store: Store, digest: Digest) -> Generator[bytes]:
    """The bytes of a blob, its digest checked first."""
    with store.open(digest, verify=True) as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _write(archive: zipfile.ZipFile, name: str, chunks: Iterable[bytes], *, size: int = 0) -> None:
    info = zipfile.ZipInfo(name, _TIME)
    info.external_attr = 0o444 << 16
    info.file_size = size  # tells zipfile whether it needs the long form
    with archive.open(info, "w") as member:
        for chunk in chunks:
            member.write(chunk)


def _check_room(home: Path, size: int) -> None:
    """Refuse to begin what the disk has no room for."""
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    with suppress(OSError):  # where the system does not say, writing will
        free = shutil.disk_usage(place).free
        if size > free:
            raise StorageError(
                f"expected {size} bytes of free space for {home}, found {free}",
                hint="free some space, or point IVYHUB_HOME at a disk that has room",
            )


__all__ = ["Catalogue", "Holding", "Transfer", "open_holding", "pack", "receive"]
