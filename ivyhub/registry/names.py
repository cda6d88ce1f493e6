"""What the user may call a model, and where its checkpoint is.

=============================== ====================================================================
``minilm``                      an alias of ``aliases.json``
``organisation/name``           a repository of the Hugging Face Hub, or a package that carries it
``organisation/name@revision``  the same, at a branch, tag or commit
``hf://organisation/name``      always the Hub, even where a folder of that name is here
``./folder``, ``/a/folder``     a folder in Hugging Face layout
=============================== ====================================================================
"""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import msgspec

from ivyhub.errors import UnknownNameError, UnsafeError, UsageError
from ivyhub.registry import remote
from ivyhub.registry.files import digest_file
from ivyhub.registry.source import Source, scan_folder
from ivyhub.registry.store import Store

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}\Z", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,127}\Z", re.ASCII)
_TRUE = {"1", "on", "true", "yes"}


class Package(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An installed Python package that carries a checkpoint: its import name, the folder in it, ivyhub's extra."""

    package: str
    folder: str
    extra: str


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``aliases.json``: short names of Hub ids, and packages that carry the checkpoint of one."""

    aliases: dict[str, str]
    packages: dict[str, Package]


@functools.cache
def table() -> Table:
    """The short names that ivyhub knows."""
    return msgspec.json.decode((files("ivyhub.registry") / "aliases.json").read_bytes(), type=Table)


def is_offline(offline: bool | None = None) -> bool:
    """Whether to stay off the network: as asked for, else as ``IVYHUB_OFFLINE`` or ``HF_HUB_OFFLINE`` say."""
    if offline is not None:
        return offline
    return any(os.environ.get(name, "").lower() in _TRUE for name in ("IVYHUB_OFFLINE", "HF_HUB_OFFLINE"))


def resolve_source(
    name: str,
    *,
    revision: str | None = None,
    offline: bool | None = None,
    store: Store | None = None,
    known: Iterable[str] = (),
) -> Source:
    """Find the checkpoint of a name, and fetch it where it is not here yet.

    Args:
        name: see the table at the head of this module.
        revision: a branch, tag or commit of the Hub; with one, an installed package does not serve.
        offline: never open a socket; by default as the environment says.
        store: remembers the digests of files, so that an unchanged checkpoint is not read twice.
        known: further names to suggest where this one is misspelt.

    Raises:
        UnknownNameError: no such folder, alias, repository or revision; close matches are named.
        UsageError: the name has no form of the table, or two revisions are asked for.
        OfflineError: a network is needed and must not be used.
        NetworkError, AuthorisationError: the network, or the server, refused.
        CheckpointError, CorruptFileError, UnsafeError: what was found is not a checkpoint that can be read.

    Example:
        >>> resolve_source("minilmm", offline=True)
        Traceback (most recent call last):
        ivyhub.errors.UnknownNameError: no model is called 'minilmm'
          hint: did you mean 'minilm'? ...
    """
    digest_of = digest_file if store is None else store.digest_of
    folder = _as_folder(name)
    if folder is not None:
        if revision is not None:
            raise UsageError(f"a folder has no revisions, received {revision!r} for {name!r}")
        return scan_folder(folder, digest_of, id=str(folder), kind="folder")

    repository, revision = _as_repository(name, revision, known)
    package = table().packages.get(repository)
    if package is not None and revision is None:
        found = _installed(package)
        if found is not None:
            folder, version = found
            return scan_folder(
                folder, digest_of, id=repository, kind="package", revision=f"{package.package}=={version}"
            )
    hint = "give a folder with the checkpoint as './folder', or set HF_ENDPOINT to a server that can be reached"
    if package is not None:
        hint = f"pip install 'ivyhub[{package.extra}]', which brings this checkpoint; or {hint}"
    serve = remote.fetch_offline if is_offline(offline) else remote.fetch
    return serve(repository, revision, digest_of=digest_of, hint=hint)


def repository_of(name: str) -> str:
    """The repository ``organisation/name`` of the Hub that is to be written to.

    Raises:
        UsageError: it is none.

    Example:
        >>> repository_of("hf://org/name")
        'org/name'
    """
    repository = name.removeprefix("hf://")
    if not _REPOSITORY.match(repository) or ".." in repository:
        raise UsageError(f"expected a repository as organisation/name, received {name!r}")
    return repository


def _as_folder(name: str) -> Path | None:
    """The folder that a name means, or None where it means something else.

    Raises:
        UnsafeError: a NUL in the name.
        UnknownNameError: it is written as a path, and there is no such folder.
    """
    if "\0" in name:
        raise UnsafeError(f"refused the name {name!r}: it has a NUL in it")
    if name.startswith("hf://"):
        return None
    path = Path(name).expanduser()
    written_as_path = name.startswith((".", "~")) or path.is_absolute()
    if written_as_path or (path.name != name and path.is_dir()):
        if not path.is_dir():
            raise UnknownNameError(f"there is no folder {name!r}", hint="give a folder with a checkpoint in it")
        return path.resolve()
    return None


def _as_repository(name: str, revision: str | None, known: Iterable[str]) -> tuple[str, str | None]:
    """The Hub id and revision that a name means."""
    bare, at, written = name.removeprefix("hf://").partition("@")
    if at and revision not in (None, written):
        raise UsageError(f"two revisions: {written!r} in the name, {revision!r} beside it", hint="give one of them")
    revision = written if at else revision
    if revision is not None and (not _REVISION.match(revision) or ".." in revision):
        raise UsageError(f"expected a branch, a tag or a commit, received {revision!r}")
    repository = table().aliases.get(bare, bare)
    if not _REPOSITORY.match(repository) or ".." in repository:
        matches = difflib.get_close_matches(bare, [*table().aliases, *known], n=3)
        hint = f"did you mean {' or '.join(map(repr, matches))}? " if matches else ""
        if Path(bare).is_dir():
            hint += f"the folder of that name is './{bare}'"
        elif Path(bare).is_file():
            hint += "the file of that name is of no kind that is read: see `ivyhub convert --help`"
        elif _looks_like_a_file(bare):
            hint += "there is no file of that name here either"
        else:
            hint += "give an alias, organisation/name, or a folder as './name'"
        raise UnknownNameError(f"no model is called {name!r}", hint=hint)
    return repository, revision


def _looks_like_a_file(name: str) -> bool:
    """Whether a name ends as the files of models do."""
    from ivyhub.registry.adapters.source import kind_of  # here, as it brings the engine and NumPy

    return kind_of(name) is not None


def _installed(package: Package) -> tuple[Path, str] | None:
    """The folder of a package's checkpoint and the package's version, found without importing it."""
    spec = importlib.util.find_spec(package.package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / package.folder
    if not folder.is_dir():
        return None
    try:
        return folder, importlib.metadata.version(package.package)
    except importlib.metadata.PackageNotFoundError:
        return folder, "unknown"
