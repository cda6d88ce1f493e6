"""Names: tags and aliases of versions, each a small file that is replaced atomically, and the log of their moves.

::

    refs/<namespace>/<name>/tags/<tag>    a version's digest
    refs/<namespace>/<name>/alias         instead of tags: another name
    refs/<namespace>/<name>/log           one JSON line a move, written before the move itself

A name without an organisation stands in the namespace ``_``, which no organisation can be called.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ivyhub.errors import CorruptFileError, UnknownNameError, UnsafeError, UsageError
from ivyhub.registry.files import (
    DIGEST_PATTERN,
    Digest,
    check_relative_name,
    digest_hex,
    make_folder,
    publish,
    storage_errors,
)
from ivyhub.registry.manifest import now

if TYPE_CHECKING:
    from ivyhub.registry.store import Store

DEFAULT_TAG = "latest"
MAX_LENGTH = 96

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


def check_name(name: str) -> tuple[str, str]:
    """Split ``name`` or ``organisation/name`` into namespace and name.

    Raises:
        UnsafeError: it could leave its folder (``..``, a backslash, a control character, a device name of Windows).
        UsageError: it is no name: other characters, more than one ``/``, or more than 96 characters.

    Example:
        >>> check_name("minilm"), check_name("google-bert/bert-base-uncased")
        (('_', 'minilm'), ('google-bert', 'bert-base-uncased'))
    """
    try:
        check_relative_name(name or "?")
    except UnsafeError as error:
        raise UnsafeError(
            f"refused the model name {name!r}: as a folder it could leave the registry",
            hint="a name is letters, digits, '.', '_' and '-', with at most one '/'",
        ) from error
    namespace, _, last = name.rpartition("/")
    if len(name) > MAX_LENGTH or not _PART.match(last) or (namespace and not _PART.match(namespace)):
        raise UsageError(
            f"expected a name of letters, digits, '.', '_' and '-' with at most one '/', received {name!r}",
            hint=f"a name starts with a letter or digit and has at most {MAX_LENGTH} characters",
        )
    return namespace or "_", last


def check_tag(tag: str) -> str:
    """A tag: as a name, without an organisation."""
    if check_name(tag)[0] != "_":
        raise UsageError(f"expected a tag without '/', received {tag!r}")
    return tag


class Refs:
    """The names of a store: ``store.refs``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._root = store.home / "refs"

    def set(self, name: str, digest: Digest, *, tag: str = DEFAULT_TAG, why: str = "") -> None:
        """Let a tag of a name stand for a version; it may stand for another one now.

        Args:
            name: ``name`` or ``organisation/name``.
            digest: the version, which the store must have.
            tag: the tag to move.
            why: what moved it (``pull``, ``push`` ...), for the log.

        Raises:
            UsageError: the name or tag is none, is an alias, or differs from one that exists only in case.
            UnsafeError: the name could leave its folder.
            UnknownNameError: the store has no such version.
        """
        folder = self._folder(name)
        path = folder / "tags" / check_tag(tag)
        if not self._store.has_version(digest):
            raise UnknownNameError(f"the registry has no version {digest}", hint="put the version before its name")
        with self._store.lock("refs"):
            if (folder / "alias").exists():
                raise UsageError(f"{name!r} is an alias of {self._alias(folder)!r}", hint="choose another name")
            self._check_case(path)
            old = self._read(path) if path.exists() else None
            if old != digest:
                self._log(folder, {"tag": tag, "old": old, "new": digest, "why": why})
                self._replace(path, digest)

    def set_alias(self, name: str, target: str) -> None:
        """Let a name stand for another name. An alias of an alias is refused, so no chain can be a circle.

        Raises:
            UsageError: the name has tags of its own, or the target is an alias.
            UnknownNameError: the target is no name of the registry.
        """
        folder, target_folder = self._folder(name), self._folder(target)
        with self._store.lock("refs"):
            if (folder / "tags").exists():
                raise UsageError(f"{name!r} has versions of its own", hint="choose another alias")
            if not (target_folder / "tags").exists():
                raise UnknownNameError(f"{target!r} has no versions that an alias could stand for")
            self._check_case(folder / "alias")
            old = self._alias(folder)
            if old != target:
                self._log(folder, {"alias": name, "old": old, "new": target, "why": "alias"})
                self._replace(folder / "alias", target)

    def resolve(self, reference: str) -> Digest:
        """The version that ``name``, ``name:tag``, ``name@sha256:...`` or an alias stands for.

        Raises:
            UnknownNameError: no such name, tag or version; close matches are named.
            UsageError, UnsafeError: it is no reference.
        """
        name, pinned, digest = reference.partition("@")
        name, _, tag = name.partition(":")
        folder = self._folder(name)
        target = self._alias(folder)
        if target is not None:
            name, folder = target, self._folder(target)
        path = folder / "tags" / check_tag(tag or DEFAULT_TAG)
        if not path.parent.is_dir():
            raise UnknownNameError(f"the registry has no model {name!r}", hint=_close(name, self.names()))
        if pinned:
            digest_hex(digest)
            if digest not in self.history(name):
                raise UnknownNameError(f"{digest} was never a version of {name!r}", hint="look at `ivyhub show`")
            return digest
        if not path.is_file():
            raise UnknownNameError(f"{name!r} has no tag {path.name!r}", hint=_close(path.name, self.tags(name)))
        return self._read(path)

    def names(self) -> list[str]:
        """Every name that has versions."""
        with storage_errors("reading the registry"):
            found = [path.parent for path in self._root.glob("*/*/tags")]
        return sorted(path.name if path.parent.name == "_" else f"{path.parent.name}/{path.name}" for path in found)

    def aliases(self) -> dict[str, str]:
        """Every alias and the name it stands for."""
        with storage_errors("reading the registry"):
            found = sorted(path.parent for path in self._root.glob("*/*/alias"))
        names = [path.name if path.parent.name == "_" else f"{path.parent.name}/{path.name}" for path in found]
        return {name: alias for name, path in zip(names, found, strict=True) if (alias := self._alias(path))}

    def tags(self, name: str) -> dict[str, Digest]:
        """The tags of a name and their versions."""
        folder = self._folder(name) / "tags"
        with storage_errors("reading the registry"):
            paths = sorted(folder.iterdir()) if folder.is_dir() else []
        return {path.name: self._read(path) for path in paths}

    def log(self, name: str) -> list[dict[str, Any]]:
        """Every move of the tags of a name, oldest first: time, tag, old and new digest, why."""
        path = self._folder(name) / "log"
        with storage_errors("reading the registry"):
            lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        entries = []
        for line in lines:
            try:
                entries.append(json.loads(line))
            except ValueError:
                continue  # cut off when the power failed; the move it announced did not happen
        return entries

    def history(self, name: str) -> list[Digest]:
        """Every version that a tag of the name stood for, oldest first."""
        moves = [entry["new"] for entry in self.log(name) if "tag" in entry]
        return list(dict.fromkeys([*moves, *self.tags(name).values()]))

    def _folder(self, name: str) -> Path:
        return self._root.joinpath(*check_name(name))

    def _alias(self, folder: Path) -> str | None:
        path = folder / "alias"
        if not path.is_file():
            return None
        with storage_errors("reading the registry"):
            target = path.read_text("utf-8").strip()
        try:
            check_name(target)
        except (UsageError, UnsafeError) as error:
            raise CorruptFileError(f"{path} holds no name", hint="remove the file and set the alias again") from error
        return target

    def _read(self, path: Path) -> Digest:
        with storage_errors("reading the registry"):
            digest = path.read_text("utf-8", errors="replace").strip()
        if not re.match(DIGEST_PATTERN, digest):
            raise CorruptFileError(f"{path} holds no digest", hint="its last value is in the file 'log' beside it")
        return digest

    def _replace(self, path: Path, content: str) -> None:
        with storage_errors("writing the registry"), self._store.scratch() as folder:
            temporary = folder / "ref"
            temporary.write_text(content + "\n", "utf-8")
            publish(temporary, path)

    def _log(self, folder: Path, entry: dict[str, Any]) -> None:
        """Append a line, and begin a new one first where the last was cut off."""
        line = json.dumps({"time": now().isoformat(), **entry}, ensure_ascii=False)
        with storage_errors("writing the registry"):
            make_folder(folder)
            with (folder / "log").open("a+b") as file:
                if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                    line = "\n" + line
                file.write(line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())

    def _check_case(self, path: Path) -> None:
        """Refuse a path that differs from an existing one only in case: they would be one file on some systems."""
        for part in (path, *path.parents):
            if part == self._root:
                return
            if part.parent.is_dir():
                for other in part.parent.iterdir():
                    if other.name != part.name and other.name.casefold() == part.name.casefold():
                        raise UsageError(
                            f"{part.name!r} differs from the existing {other.name!r} only in upper and lower case",
                            hint=f"write {other.name!r}, or choose another name",
                        )


def _close(word: str, known: Any) -> str:
    matches = difflib.get_close_matches(word, list(known), n=3)
    return f"did you mean {' or '.join(map(repr, matches))}?" if matches else "`ivyhub list` shows what there is"
