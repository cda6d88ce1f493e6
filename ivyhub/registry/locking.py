"""The lock file of a project: which version each model is, so that everybody pulls the same bytes.

``ivyhub.lock`` stands beside the code that uses the models and is kept with it. For each name it has the version, which
a registry that holds it gives, and the source of that version with its digest, from which any other registry makes the
same model again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from ivyhub.errors import CorruptFileError, UnknownNameError, VerificationError
from ivyhub.registry import conversion, memory
from ivyhub.registry.files import Digest, replacing, storage_errors
from ivyhub.registry.manifest import Origin
from ivyhub.registry.model_files import find_model_file, origin_of
from ivyhub.registry.names import resolve_source
from ivyhub.registry.progress import SILENT, Progress
from ivyhub.registry.refs import split_reference
from ivyhub.registry.store import Store

LOCK_FILE = "ivyhub.lock"


class Locked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a name is locked to: a version, and where that came from."""

    version: Digest
    origin: Origin


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A lock file."""

    format: Literal[1] = 1
    models: dict[str, Locked]


def read_lock(path: Path) -> Lock:
    """Read a lock file.

    Raises:
        UnknownNameError: there is none.
        CorruptFileError: it is malformed.
    """
    if not path.is_file():
        raise UnknownNameError(f"there is no lock file {path}", hint="`ivyhub lock NAME` writes one")
    with storage_errors("reading a lock file"):
        data = path.read_bytes()
    try:
        return msgspec.json.decode(data, type=Lock)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptFileError(f"{path} is malformed: {error}", hint="`ivyhub lock NAME...` writes it again") from error


def write_lock(store: Store, names: Sequence[str], path: Path) -> Lock:
    """Lock names to the versions that they stand for now; the others of the file stay as they are.

    Args:
        store: the registry.
        names: as `Refs.resolve` takes them; every name of the file if none is given.
        path: the file, which is made where it is not there.

    Raises:
        UnknownNameError: the registry has no such model, or no name is given and there is no file.
        CorruptFileError: the file is malformed.
        StorageError: it cannot be written.
    """
    known = read_lock(path).models if path.is_file() or not names else {}
    found = dict(known)
    for reference in names or [*known]:
        digest = store.refs.resolve(reference)
        found[reference] = Locked(digest, store.version(digest).origin)
    lock = Lock(models=dict(sorted(found.items())))
    with replacing(path, "writing a lock file") as temporary:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(lock), indent=2) + b"\n")
    return lock


def locked_version(
    store: Store, name: str, path: Path, *, offline: bool | None = None, progress: Progress = SILENT
) -> Digest:
    """The version that a lock file has for a name: found in the registry, or made again from the same source.

    Raises:
        UnknownNameError: the file, or the name in it, is not there; or its source was in memory and only a registry
            that holds the version can give it.
        VerificationError: the source has other bytes now.
        NetworkError, CheckpointError: the source cannot be had.
    """
    lock = read_lock(path)
    if name not in lock.models:
        known = ", ".join(lock.models) or "nothing"
        raise UnknownNameError(f"{path} does not lock {name!r}", hint=f"it locks {known}; `ivyhub lock {name}` adds it")
    entry = lock.models[name]
    if store.is_whole(entry.version):
        return entry.version
    origin = entry.origin
    if origin.kind == "memory":
        raise UnknownNameError(
            f"{name!r} is locked to {entry.version}, which this registry does not hold and which has no source to pull",
            hint=f"`ivyhub export {split_reference(name)[0]}` where it was pushed, and `ivyhub import` here",
        )
    if origin.kind == "file":
        file = find_model_file(origin.id)
        if file is None:
            raise UnknownNameError(f"{name!r} is locked to the file {origin.id}, which is not there")
        _check(name, origin, origin_of(file, store.digest_of).digest)
        return memory.version_of_file(store, file, progress)
    revision = origin.revision if origin.kind == "hub" else None
    source = resolve_source(origin.id, revision=revision, offline=offline, store=store)
    _check(name, origin, source.digest)
    return conversion.version_of(store, source, progress)


def _check(name: str, origin: Origin, received: Digest) -> None:
    """Refuse a source that has other bytes than it had."""
    if received != origin.digest:
        raise VerificationError(
            f"{name!r} is locked to {origin.id} as {origin.digest}, found {received}",
            hint=f"it changed: `ivyhub pull {name}` and `ivyhub lock {name}` take it as it is now",
        )
