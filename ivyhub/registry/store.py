"""The local registry: a content-addressed store of models.

::

    $IVYHUB_HOME/                     mode 0700; the user data folder of the system where the variable is not set
      blobs/sha256/ab/<64 digits>     immutable bytes, read-only, each named by its digest
      pieces/<64 digits>              of which ranges of blobs a file consists whose tensors others have (sharing.py)
      manifests/<64 digits>           canonical JSON of a version; the digest of its bytes is the version's identity
      exports/<version>/<key>         canonical JSON of an export of that version
      refs/<namespace>/<name>/        tags, aliases and the log of their changes (refs.py)
      index.db                        a cache that can always be made again (index.py)
      views/                          packages that live models are loaded from, of links into blobs/
      trash/                          what a collection moved out, under its path in the store (housekeeping.py)
      tmp/ locks/ quarantine/

What is written goes to ``tmp/`` first, is hashed as it passes, flushed to the disk and renamed; then the folder is
flushed. Blobs come first, then the manifest, the ref last, so that whatever a ref names is there in full, wherever
the power failed. A process that dies leaves only its own folder in ``tmp/``, which the next writer removes. What is
put again is young again, which a collection leaves alone; what is asked for comes back from the trash.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ivyhub.errors import CorruptFileError, UnknownNameError
from ivyhub.registry.files import (
    DIGEST_PATTERN,
    Digest,
    digest_bytes,
    digest_file,
    digest_hex,
    make_folder,
    publish,
    storage_errors,
)
from ivyhub.registry.home import home_folder, make_home
from ivyhub.registry.index import Index, Place
from ivyhub.registry.manifest import ExportRecord, FileRecord, Version, decode, encode, export_key
from ivyhub.registry.places import Location, copy_places, digest_places, open_places, whole
from ivyhub.registry.refs import Label, Refs
from ivyhub.registry.sharing import Pieces, share, tensors_of
from ivyhub.registry.workspace import Workspace

#: How long a file without a name is left alone, and how long it stays in the trash, in seconds.
GRACE = 86_400.0


class Entry(msgspec.Struct, frozen=True):
    """One line of ``ivyhub list``: a tag or alias of a name and the version it stands for."""

    name: str
    label: str
    digest: Digest
    origin: str
    framework: str
    created: str
    size: int
    parameters: int


class Store(Workspace):
    """The registry in one folder.

    Nothing is created before the first write, so reading works in a folder that is read-only or does not exist.

    Args:
        home: the folder; by default ``$IVYHUB_HOME``, else the user data folder of the system.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store(Path(folder))
        ...     store.read(store.put_bytes(b"weights"))
        b'weights'
    """

    def __init__(self, home: Path | None = None) -> None:
        super().__init__((home_folder() if home is None else home).expanduser().absolute())
        self.refs = Refs(self)
        self._index = Index(self.home / "index.db", self.home / "manifests", self.version)

    # Blobs

    def put_bytes(self, data: bytes) -> Digest:
        """Keep some bytes."""
        return self.put_stream((data,))

    def put_stream(self, chunks: Iterable[bytes | memoryview], *, expected: Digest | None = None) -> Digest:
        """Keep the bytes of an iterator, hashed as they are written; its memory is that of one chunk.

        Raises:
            CorruptFileError: they are not the bytes ``expected``. Nothing is kept then.
            StorageError: the disk is full or the store cannot be written. Nothing is kept then.
        """
        hasher = hashlib.sha256()
        with self._temporary() as temporary:
            with storage_errors("storing a file"):
                file = temporary.open("xb")
            try:
                for chunk in chunks:  # outside of storage_errors: an error of the source is not the store's
                    hasher.update(chunk)
                    with storage_errors("storing a file"):
                        file.write(chunk)
            finally:
                with storage_errors("storing a file"):
                    file.close()  # which writes what is left
            digest = f"sha256:{hasher.hexdigest()}"
            if expected not in (None, digest):
                raise CorruptFileError(f"expected the bytes of {expected}, received those of {digest}")
            with storage_errors("storing a file"):
                return self._adopt(temporary, digest)

    def put_file(self, path: Path, *, move: bool = False) -> Digest:
        """Keep the bytes of a file.

        The copy is hashed, not the file, so one that changes meanwhile is not kept under a wrong digest. Only a file
        that :meth:`digest_of` has hashed, and that did not change until after the copy, is not hashed again; where
        the store holds its bytes already it is not even read. The copy shares blocks where the file system can.

        Args:
            path: the file.
            move: take the file itself instead of a copy; it is gone afterwards.

        Raises:
            StorageError: the file cannot be read, the disk is full, or the store cannot be written.
        """
        known = self._index.known_digest(path)
        if known is not None and not move and self._renew(known):
            return known
        with self._temporary() as temporary, storage_errors("storing a file"):
            if move and not path.is_symlink() and path.stat().st_nlink == 1:
                shutil.move(path, temporary)
                known = None
            else:  # a link, hard or symbolic, would let others write what must not change: they keep their file
                copy_places([whole(path)], temporary)
                known = known if known == self._index.known_digest(path) else None
            digest = self._adopt(temporary, known or digest_file(temporary))
            if move:
                path.unlink(missing_ok=True)
            return digest

    def has(self, digest: Digest) -> bool:
        """Whether the store holds the bytes. They are not read: see :meth:`verify`."""
        return bool(self._find(digest))

    def places(self, digest: Digest) -> Sequence[Location]:
        """Where the bytes lie, to be read or mapped: one file, or ranges of several, one after another.

        The files are shared by all that hold these bytes and must not be written.

        Raises:
            CorruptFileError: the store does not hold them.
        """
        found = self._find(digest)
        if not found:
            raise CorruptFileError(f"the registry does not hold {digest}", hint="pull the model again")
        return found

    def path(self, digest: Digest) -> Path:
        """The file of a blob that is kept whole, which must not be written.

        Raises:
            CorruptFileError: the store holds no such file.
        """
        path = self._blob(digest)
        if not self._is_there(path):
            raise CorruptFileError(f"the registry has no file {digest}", hint="pull the model again")
        return path

    def gathered(self, digest: Digest, folder: Path) -> Path:
        """A file with these bytes, to be read only: the blob's own, or one that is put together in the folder.

        Raises:
            CorruptFileError: the store does not hold them.
            StorageError: the folder cannot be written.
        """
        places = self.places(digest)
        if len(places) == 1:
            return places[0].path
        path = folder / digest_hex(digest)
        if not path.exists():
            self.copy_out(FileRecord(digest, sum(place.nbytes for place in places)), path)
        return path

    def open(self, digest: Digest, *, verify: bool = False) -> BinaryIO:
        """The bytes as a binary file; with ``verify`` their digest is checked first.

        Raises:
            CorruptFileError: the store does not hold them, or ``verify`` found others.
        """
        if verify:
            self.verify(digest)
        with storage_errors("reading the registry"):
            return open_places(self.places(digest))

    def read(self, digest: Digest) -> bytes:
        """The bytes of a small blob, their digest checked.

        Raises:
            CorruptFileError: the store does not hold it, or holds other bytes under its name.
        """
        with self.open(digest) as file:
            data = file.read()
        if digest_bytes(data) != digest:
            raise self._quarantine(digest)
        return data

    def verify(self, digest: Digest) -> None:
        """Read the blob and compare its digest. A blob that differs is moved aside, so that the next pull heals it.

        Raises:
            CorruptFileError: the store does not hold it, or holds other bytes under its name.
        """
        if digest_places(self.places(digest)) != digest:
            raise self._quarantine(digest)

    def copy_out(self, file: FileRecord, destination: Path) -> None:
        """Write the bytes to a new file that its owner may change; blocks are shared where the file system can.

        Raises:
            CorruptFileError: the store does not hold them, or another number of them.
            StorageError: the destination exists or cannot be written.
        """
        places = self.places(file.digest)
        with storage_errors("copying out of the registry"):
            copied = copy_places(places, destination)
        if copied != file.size:
            destination.unlink()
            raise self._quarantine(file.digest)

    def record(self, digest: Digest) -> FileRecord:
        """The digest of some bytes with their number, as manifests hold it."""
        return FileRecord(digest, sum(place.nbytes for place in self.places(digest)))

    # Files in pieces (sharing.py)

    def put_pieces(self, digest: Digest, pieces: Pieces) -> None:
        """Keep a file as ranges of blobs, in place of its own blob. They must be its bytes."""
        self._write(self.home / "pieces" / digest_hex(digest), encode(pieces))
        with storage_errors("writing the registry"):
            self._blob(digest).unlink(missing_ok=True)

    def pieces(self) -> Generator[tuple[Digest, Path]]:
        """Every file that is kept in pieces, and the list of them, by digest."""
        yield from self._named(self.home / "pieces", "*")

    def blobs_of(self, digest: Digest) -> dict[Digest, int]:
        """The blobs that hold the bytes, with their sizes; none where one of them is gone."""
        with storage_errors("reading the registry"):
            return {f"sha256:{path.name}": path.stat().st_size for path, _, _ in self._find(digest)}

    def lent(self) -> set[Digest]:
        """The blobs that files in pieces need."""
        lists = [decode(path.read_bytes(), Pieces, where=f"the list {path}") for _, path in self.pieces()]
        return {piece.digest for each in lists for piece in each.pieces}

    def tensors(self, marks: Collection[bytes]) -> dict[bytes, list[Location]]:
        """Where tensors with these marks lie, in the weights of any version: see `sharing.Tensor`."""
        found: dict[bytes, list[Location]] = {}
        for mark, digest, offset, size in self._index.tensors(marks, self._marked):
            if (path := self._blob(digest)).is_file() and self._renewed(path):
                found.setdefault(mark, []).append(Location(path, offset, size))
        return found

    def _marked(self, digest: Digest) -> list[Place] | None:
        found = self._find(digest)
        return (
            [(mark, f"sha256:{path.name}", offset, size) for mark, _, (path, offset, size) in tensors_of(found)]
            if found
            else None
        )

    def _find(self, digest: Digest) -> Sequence[Location]:
        """Where the bytes lie; nowhere if the store does not hold all of them."""
        path = self._blob(digest)
        if self._is_there(path):
            with storage_errors("reading the registry"):
                return (whole(path),)
        path = self.home / "pieces" / digest_hex(digest)
        if not self._is_there(path):
            return ()
        with storage_errors("reading the registry"), suppress(CorruptFileError):
            pieces = decode(path.read_bytes(), Pieces, where=f"the list {path}").pieces
            places = tuple(Location(self._blob(each.digest), each.offset, each.size) for each in pieces)
            if all(self._is_there(path) for path in {path for path, _, _ in places}):
                return places
        return ()

    # Versions and exports

    def put_version(self, version: Version) -> Digest:
        """Keep a version and return its identity. Everything it names must be in the store already.

        Raises:
            CorruptFileError: the store does not hold a blob of the version.
        """
        for record in version.records:
            self.places(record.digest)
        data = encode(version)
        digest = digest_bytes(data)
        for record in version.weights.values():
            share(self, record.digest)
        self._write(self.manifest_path(digest), data)
        return digest

    def version(self, digest: Digest) -> Version:
        """The manifest of a version.

        Raises:
            UnknownNameError: the registry has no such version.
            CorruptFileError: its manifest is damaged.
        """
        path = self.manifest_path(digest)
        if not self._is_there(path):
            raise UnknownNameError(f"the registry has no version {digest}", hint="`ivyhub list` shows what there is")
        with storage_errors("reading a manifest"):
            data = path.read_bytes()
        if digest_bytes(data) != digest:
            raise CorruptFileError(f"the manifest {path} is not the bytes of its name", hint="pull the model again")
        return decode(data, Version, where=f"the manifest {path}")

    def has_version(self, digest: Digest) -> bool:
        """Whether the registry has the manifest of that version."""
        return self._is_there(self.manifest_path(digest))

    def is_whole(self, digest: Digest) -> bool:
        """Whether the registry has a version and every file of it. The bytes are not read: see :meth:`verify`."""
        try:
            version = self.version(digest)
        except (UnknownNameError, CorruptFileError):
            return False
        return all(self.has(record.digest) for record in version.records)

    def find_version(
        self, origin_digest: Digest, *, origin: str | None = None, ivyhub: str | None = None
    ) -> Digest | None:
        """The newest version captured from a source of that digest, or None.

        Args:
            origin_digest: ``Source.digest``.
            origin: ask for this source id too; the same bytes may stand in two folders.
            ivyhub: ask for a version captured by this release of ivyhub.
        """
        return self._index.find(origin_digest, origin=origin, ivyhub=ivyhub)

    def put_export(self, export: ExportRecord) -> None:
        """Keep the record of an export in place of an older one with the same target and options.

        Raises:
            CorruptFileError: the store does not hold a file of the package, or the certificate.
        """
        certificate = [export.certificate] if export.certificate else []
        for digest in [*(file.digest for file in export.package.values()), *certificate]:
            self.places(digest)
        self._write(self._exports(export.version) / digest_hex(export.key), encode(export))

    def find_export(self, version: Digest, target: str, options: Mapping[str, Any]) -> ExportRecord | None:
        """The export of a version for a target with these options, or None where it has to be made.

        None too where the record or a blob of it is damaged or gone: making the export again heals it.
        """
        path = self._exports(version) / digest_hex(export_key(target, options))
        if not path.is_file():
            return None
        try:
            export = self.read_export(path)
        except CorruptFileError:
            return None
        digests = [*(file.digest for file in export.package.values()), *filter(None, [export.certificate])]
        return export if all(map(self.has, digests)) else None

    def exports(self, version: Digest) -> list[ExportRecord]:
        """Every export of a version, by target.

        Raises:
            CorruptFileError: a record is damaged.
        """
        return sorted(map(self.read_export, self.export_paths(version)), key=lambda export: export.target)

    def read_export(self, path: Path) -> ExportRecord:
        """The record of an export, by its path.

        Raises:
            CorruptFileError: it is damaged.
        """
        with storage_errors("reading an export record"):
            return decode(path.read_bytes(), ExportRecord, where=f"the export record {path}")

    def list(self) -> list[Entry]:
        """Every label of every name, by name and label."""
        known = self._index.versions()
        labels = self._index.labels(self.refs.folders(), lambda name: msgspec.json.encode(self.refs.labels(name)))
        decoder = msgspec.json.Decoder(dict[str, Label])
        return [
            Entry(name, word, label.digest, *known[label.digest])
            for name, data in sorted(labels.items())
            for word, label in decoder.decode(data).items()
            if label.digest in known
        ]

    def digest_of(self, path: Path) -> Digest:
        """The digest of any file, remembered while its inode, size and times of change stay the same."""
        with suppress(OSError):  # where the store cannot be written it does not remember
            make_home(self.home)
        return self._index.digest_of(path)

    # Everything that is there, for what keeps house

    @property
    def trash(self) -> Path:
        """The folder of what a collection moved out."""
        return self.home / "trash"

    def views(self) -> list[Path]:
        """The folders of links that live models are loaded from (`conversion.view`)."""
        folder = self.home / "views"
        with storage_errors("reading the registry"):
            return sorted(folder.iterdir()) if folder.is_dir() else []

    def blobs(self) -> Generator[tuple[Digest, Path]]:
        """Every blob and its file, by digest; what else lies in their folder is no blob."""
        yield from self._named(self.home / "blobs" / "sha256", "*/*")

    def manifests(self) -> Generator[tuple[Digest, Path]]:
        """Every version and the file of its manifest, by digest."""
        yield from self._named(self.home / "manifests", "*")

    def manifest_path(self, digest: Digest) -> Path:
        """The file of a version's manifest."""
        return self.home / "manifests" / digest_hex(digest)

    def export_paths(self, version: Digest) -> list[Path]:
        """The files of the records of a version's exports."""
        folder = self._exports(version)
        with storage_errors("reading the registry"):
            return sorted(folder.iterdir()) if folder.is_dir() else []

    def discard(self, path: Path) -> None:
        """Move a file of the store to the trash; the time of its change says when."""
        with storage_errors("moving a file to the trash"):
            place = self.trash / path.relative_to(self.home)
            make_folder(place.parent)
            os.utime(path)
            os.replace(path, place)

    def put_aside(self, path: Path) -> None:
        """Move a damaged file of the store to the quarantine, where nothing reads it."""
        with storage_errors("moving a damaged file aside"):
            os.replace(path, self._folder("quarantine") / f"{path.name}.{uuid.uuid4().hex[:8]}")

    @staticmethod
    def _named(folder: Path, pattern: str) -> Generator[tuple[Digest, Path]]:
        with storage_errors("reading the registry"):
            paths = sorted(folder.glob(pattern))
        for path in paths:
            if re.match(DIGEST_PATTERN, f"sha256:{path.name}"):
                yield f"sha256:{path.name}", path

    def _is_there(self, path: Path) -> bool:
        """Whether the store has a file; one that lies in the trash comes back."""
        if path.is_file():
            return True
        place = self.trash / path.relative_to(self.home)
        if not place.is_file():
            return False
        with storage_errors("bringing a file back from the trash"):
            make_folder(path.parent)
            with suppress(FileNotFoundError):  # another process was quicker
                os.replace(place, path)
        return self._renewed(path)

    @staticmethod
    def _renewed(path: Path) -> bool:
        """Make a file young, for a collection that may run meanwhile; False where it is not there."""
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        except OSError:
            return path.is_file()  # a store that cannot be written cannot be collected
        return True

    def _renew(self, digest: Digest) -> bool:
        """Make what holds the bytes young; False where the store does not hold them."""
        places = self._find(digest)
        if len(places) > 1:
            self._renewed(self.home / "pieces" / digest_hex(digest))
        return bool(places) and all(self._renewed(path) for path in {place.path for place in places})

    # What is written

    def _adopt(self, temporary: Path, digest: Digest) -> Digest:
        """Move a finished temporary file under its digest. Two processes may do so at once: their bytes are equal."""
        if not self._renew(digest):
            temporary.chmod(0o444)
            publish(temporary, self._blob(digest))
        return digest

    def _quarantine(self, digest: Digest) -> CorruptFileError:
        """Move aside what is damaged, and return the error to raise."""
        held = self.blobs_of(digest)
        if [*held] != [digest]:  # in pieces: the blobs that are not what they should be, and the list
            held = {each for each in held if digest_file(self._blob(each)) != each}
            self.put_aside(self.home / "pieces" / digest_hex(digest))
        for each in held:
            self.put_aside(self._blob(each))
        return CorruptFileError(
            f"the registry held other bytes under {digest}; they were moved to {self.home / 'quarantine'}",
            hint="pull the model again; if this happens twice, check the disk",
        )

    def _blob(self, digest: Digest) -> Path:
        hexadecimal = digest_hex(digest)
        return self.home / "blobs" / "sha256" / hexadecimal[:2] / hexadecimal

    def _exports(self, version: Digest) -> Path:
        return self.home / "exports" / digest_hex(version)
