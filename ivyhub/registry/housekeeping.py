"""What keeps a registry small and whole: how much it holds and for whom, collection of what nothing names, and a check.

A version is *wanted* while a label stands for it, while the log of a name moved to or from it in the last ``days``, or
while its manifest is younger than a day: a push in flight has no name yet. What belongs to no wanted version goes to
the store's ``trash/``, from where whoever asks for it gets it back, and is deleted a day later. So are views, the
packages that live models were loaded from: they are made again.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from ivyhub.errors import CorruptFileError, UnsafeError
from ivyhub.registry.files import Digest, digest_file
from ivyhub.registry.manifest import now
from ivyhub.registry.places import digest_places
from ivyhub.registry.progress import SILENT, Progress
from ivyhub.registry.store import GRACE, Store

#: How long a change of a name can be undone whatever is collected, in days.
KEPT_DAYS = 30
# Hashing leaves the interpreter's lock, so that threads share the work; more than these wait for the disk.
_THREADS = min(8, os.cpu_count() or 1)


class Collected(msgspec.Struct, frozen=True):
    """What a collection moved to the trash, and what it deleted from there.

    Attributes:
        versions: those that nothing wants.
        files: how many blobs and records went to the trash, or would.
        size: their bytes.
        deleted: the bytes that lay in the trash, or in views, for a day and are gone, or would be.
    """

    versions: list[Digest]
    files: int
    size: int
    deleted: int


class Usage(msgspec.Struct, frozen=True):
    """The bytes of a name: of all its versions and their exports, and of what no other name uses."""

    name: str
    versions: int
    size: int
    own: int


class Sizes(msgspec.Struct, frozen=True):
    """The bytes of a registry: by name, of all blobs, of blobs that no name uses, and of the trash."""

    names: list[Usage]
    total: int
    unused: int
    trash: int


class Problem(msgspec.Struct, frozen=True):
    """Something that is not as it was written.

    Attributes:
        kind: what it is.
        what: its digest or path.
        why: what is wrong.
        names: the labels that need it.
        healed: whether it is put right already; a blob is moved aside so that the next pull brings it again.
    """

    kind: Literal["blob", "manifest", "export", "label"]
    what: str
    why: str
    names: list[str]
    healed: bool = False


class Report(msgspec.Struct, frozen=True):
    """What a check read, and all that it found."""

    blobs: int
    size: int
    versions: int
    names: int
    problems: list[Problem]


def contents(store: Store, digest: Digest) -> set[Digest]:
    """What a version and its exports consist of; an export whose record is damaged has nothing.

    Raises:
        UnknownNameError, CorruptFileError: the registry has no such version, or its manifest is damaged.
    """
    found = {record.digest for record in store.version(digest).records}
    for path in store.export_paths(digest):
        with suppress(CorruptFileError, UnsafeError):
            export = store.read_export(path)
            found |= {record.digest for record in export.package.values()} | {*filter(None, [export.certificate])}
    return found


def parts(store: Store, digest: Digest) -> dict[Digest, int]:
    """The blobs that hold a version and its exports, with their sizes. Raises what `contents` raises."""
    return {blob: size for each in contents(store, digest) for blob, size in store.blobs_of(each).items()}


def disk_usage(store: Store) -> Sizes:
    """How many bytes the registry holds, and for which name.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     disk_usage(Store(Path(folder)))
        Sizes(names=[], total=0, unused=0, trash=0)
    """
    held: dict[str, dict[Digest, int]] = {}
    for name in store.refs.names():
        held[name] = {}
        for digest in _labelled(store, name):
            held[name] |= parts(store, digest)
    users: dict[Digest, int] = {}
    for blobs in held.values():
        for blob in blobs:
            users[blob] = users.get(blob, 0) + 1
    names = [
        Usage(
            name,
            versions=len(_labelled(store, name)),
            size=sum(blobs.values()),
            own=sum(size for blob, size in blobs.items() if users[blob] == 1),
        )
        for name, blobs in held.items()
    ]
    sizes = {digest: path.stat().st_size for digest, path in store.blobs()}
    unused = sum(size for digest, size in sizes.items() if digest not in users)
    return Sizes(names, sum(sizes.values()), unused, sum(path.stat().st_size for path in _files(store.trash)))


def _labelled(store: Store, name: str) -> list[Digest]:
    """The versions that labels of a name stand for, as far as the registry has them."""
    found = dict.fromkeys(label.digest for label in store.refs.labels(name).values())
    return [digest for digest in found if store.has_version(digest)]


def collect(store: Store, *, days: float = KEPT_DAYS, dry_run: bool = False) -> Collected:
    """Move what no wanted version needs to the trash, and delete what has lain there for a day.

    Args:
        store: the registry.
        days: how long a change of a name can still be undone.
        dry_run: only say what would go.

    Raises:
        StorageError: another process changes the registry's names, or it cannot be written.
        CorruptFileError: a label is damaged; `check` says which. Nothing is moved then.
    """
    with store.lock("refs"):  # no label moves meanwhile; what is put meanwhile is young
        since = time.time() - GRACE
        wanted = _wanted(store, days)
        kept = [digest for digest, path in store.manifests() if digest in wanted or path.stat().st_mtime > since]
        held = {each for digest in kept for each in contents(store, digest)}
        needed = {blob for each in held for blob in store.blobs_of(each)}
        gone = {digest: path for digest, path in store.manifests() if digest not in kept}
        loose = [path for digest, path in store.blobs() if digest not in needed and path.stat().st_mtime <= since]
        loose += [path for digest, path in store.pieces() if digest not in held and path.stat().st_mtime <= since]
        loose += [*gone.values(), *(path for digest in gone for path in store.export_paths(digest))]
        old = [path for path in _files(store.trash) if path.stat().st_mtime <= since]
        stale = [view for view in store.views() if view.stat().st_mtime <= since]
        size = sum(path.stat().st_size for path in loose)
        deleted = sum(path.lstat().st_size for path in (*old, *(path for view in stale for path in _files(view))))
        if not dry_run:
            for path in loose:
                store.discard(path)
            for path in old:
                path.unlink(missing_ok=True)
            for view in stale:
                shutil.rmtree(view, ignore_errors=True)
    return Collected([*gone], len(loose), size, deleted)


def _wanted(store: Store, days: float) -> set[Digest]:
    """The versions that labels stand for, or stood for in the last days."""
    since = now() - timedelta(days=days)
    found: set[Digest] = set()
    for name in store.refs.logged():
        found |= {label.digest for label in store.refs.labels(name).values()}
        for change in store.refs.log(name):
            if datetime.fromisoformat(change.time) > since:
                found |= {label.digest for move in change.moves for label in (move.old, move.new) if label is not None}
    return found


def check(store: Store, *, progress: Progress = SILENT) -> Report:
    """Read everything that the registry holds and compare it with what it should be.

    A blob with other bytes than its digest says is moved aside, as is a damaged manifest, so that the next pull of the
    model brings them again. Damaged records of exports are moved aside too: the export is made again when it is asked
    for.

    Raises:
        StorageError: something cannot be read.
    """
    problems: list[Problem] = []
    labels: dict[Digest, list[str]] = {}
    for name in store.refs.names():
        try:
            for word, label in store.refs.labels(name).items():
                labels.setdefault(label.digest, []).append(f"{name}:{word}")
        except CorruptFileError as error:
            problems.append(Problem("label", name, error.message, [name]))
    users = _check_manifests(store, labels, problems)
    blobs = [(digest, path, path.stat().st_size) for digest, path in store.blobs()]
    total = sum(size for _, _, size in blobs)
    with progress.stage("check"), ThreadPoolExecutor(_THREADS) as pool:
        for (digest, path, size), found in zip(
            blobs, pool.map(digest_file, (path for _, path, _ in blobs)), strict=True
        ):
            if found != digest:
                store.put_aside(path)
                problems.append(Problem("blob", digest, "its bytes are others", sorted(users.get(digest, ())), True))
            progress.advance(size, total)
    for digest, path in store.pieces():
        if store.has(digest) and digest_places(store.places(digest)) != digest:
            store.put_aside(path)
            problems.append(Problem("blob", digest, "its pieces are others", sorted(users.get(digest, ())), True))
    told = {problem.what for problem in problems}
    for digest in users.keys() - told:
        if not store.has(digest):
            problems.append(Problem("blob", digest, "it is not there", sorted(users[digest])))
    return Report(len(blobs), total, len([*store.manifests()]), len(store.refs.names()), problems)


def _check_manifests(
    store: Store, labels: Mapping[Digest, list[str]], problems: list[Problem]
) -> dict[Digest, set[str]]:
    """The labels that need each blob; what is wrong with manifests and with records of exports is told."""
    users: dict[Digest, set[str]] = {}
    known = {digest for digest, _ in store.manifests()}
    for digest, words in labels.items():
        if not store.has_version(digest):
            problems.append(Problem("label", digest, "the version it stands for is not there", words))
    for digest in known:
        words = labels.get(digest, [])
        try:
            version = store.version(digest)
        except (CorruptFileError, UnsafeError) as error:
            store.put_aside(store.manifest_path(digest))
            problems.append(Problem("manifest", digest, error.message, words))
            continue
        for record in version.records:
            if words:
                users.setdefault(record.digest, set()).update(words)
        for path in store.export_paths(digest):
            try:
                export = store.read_export(path)
            except (CorruptFileError, UnsafeError) as error:
                store.put_aside(path)
                problems.append(Problem("export", str(path), error.message, words, True))
                continue
            if not all(store.has(record.digest) for record in export.package.values()):
                store.put_aside(path)
                problems.append(Problem("export", str(path), "a file of it is not there", words, True))
    return users


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, which need not exist."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
