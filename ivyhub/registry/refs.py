"""Names: what the versions of a model are called, each label a small file that is replaced atomically.

::

    refs/<namespace>/<name>/tags/<tag>         a version's digest; a tag stays where it was set
    refs/<namespace>/<name>/aliases/<alias>    a version's digest; an alias moves, unless it is protected
    refs/<namespace>/<name>/alias              instead of both: another name
    refs/<namespace>/<name>/log                one JSON line a change, written before the change itself

``latest`` is the alias that pulls and pushes move, and the one that a bare name stands for. A name without an
organisation stands in the namespace ``_``, which no organisation can be called.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from ivyhub.errors import CorruptFileError, UnknownNameError, UnsafeError, UsageError
from ivyhub.registry.files import (
    DIGEST_PATTERN,
    Digest,
    check_relative_name,
    make_folder,
    publish,
    storage_errors,
)
from ivyhub.registry.manifest import now

if TYPE_CHECKING:
    from ivyhub.registry.store import Store

DEFAULT_ALIAS = "latest"
UNDO = "undo"
MAX_LENGTH = 96

_RENAME = "take it under another name with --as, or move the label here first"

# The fewest digits that a digest may be cut to.
_SHORT = 8
_FOLDERS: dict[Literal["tag", "alias"], str] = {"tag": "tags", "alias": "aliases"}
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


def check_label(label: str) -> str:
    """A tag or an alias: as a name, without an organisation."""
    if check_name(label)[0] != "_":
        raise UsageError(f"expected a tag or alias without '/', received {label!r}")
    return label


def split_reference(reference: str) -> tuple[str, str, str | None]:
    """The name, the label, and the digits of the digest, or None, of ``name[:label][@sha256:digits]``.

    Raises:
        UsageError, UnsafeError: it is no reference.

    Example:
        >>> split_reference("bert"), split_reference("org/bert:v1"), split_reference("bert@sha256:0123abcd")
        (('bert', 'latest', None), ('org/bert', 'v1', None), ('bert', 'latest', '0123abcd'))
    """
    name, pinned, digest = reference.partition("@")
    name, _, label = name.partition(":")
    check_name(name)
    check_label(label or DEFAULT_ALIAS)
    digits = digest.removeprefix("sha256:")
    if pinned and not re.match(rf"[0-9a-f]{{{_SHORT},64}}\Z", digits):
        raise UsageError(
            f"expected a version as 'sha256:<{_SHORT} to 64 hexadecimal digits>', received {digest!r}",
            hint=f"`ivyhub log {name}` shows the versions",
        )
    return name, label or DEFAULT_ALIAS, digits if pinned else None


class Label(msgspec.Struct, frozen=True):
    """What a tag or an alias stands for."""

    digest: Digest
    kind: Literal["tag", "alias"]
    protected: bool = False


class Move(msgspec.Struct, frozen=True):
    """One label before and after a change; None where it was not there."""

    label: str
    old: Label | None
    new: Label | None


class Change(msgspec.Struct, frozen=True):
    """One line of the log: when, by what (``pull``, ``tag``, ``undo`` ...), and every label that it moved."""

    time: str
    why: str
    moves: tuple[Move, ...]


class Refs:
    """The names of a store: ``store.refs``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._root = store.home / "refs"

    def set(
        self,
        name: str,
        digest: Digest,
        *,
        alias: str = DEFAULT_ALIAS,
        protect: bool | None = None,
        force: bool = False,
        why: str = "alias",
    ) -> None:
        """Let an alias of a name stand for a version; it may stand for another one now.

        Args:
            name: ``name`` or ``organisation/name``.
            digest: the version, which the store must have.
            alias: the alias to move.
            protect: whether it may be moved from now on only with ``force``; as it was by default.
            force: move it though it is protected.
            why: what moved it (``pull``, ``push`` ...), for the log.

        Raises:
            UsageError: the name or alias is none, the label is a tag, the alias is protected, or one of them differs
                from what exists only in case.
            UnsafeError: the name could leave its folder.
            UnknownNameError: the store has no such version.
        """

        def label(old: Label | None) -> Label:
            # The first registries had `latest` among the tags: it becomes the alias that it is.
            if old is not None and old.kind == "tag" and alias != DEFAULT_ALIAS:
                raise UsageError(f"{name}:{alias} is a tag, which does not move", hint="choose another alias")
            if old is not None and old.protected and old.digest != digest and not force:
                raise UsageError(
                    f"the alias {name}:{alias} is protected and stands for {old.digest}",
                    hint="move it with --force, or take the protection away",
                )
            return Label(digest, "alias", old is not None and old.protected if protect is None else protect)

        self._put(name, alias, label, why)

    def tag(self, name: str, digest: Digest, tag: str, *, why: str = "tag") -> None:
        """Give a version of a name a tag, which stays with that version until it is removed.

        Raises:
            UsageError: the tag stands for another version, or is an alias; else as `set`.
            UnsafeError, UnknownNameError: as `set`.
        """

        if tag == DEFAULT_ALIAS:
            raise UsageError(f"{DEFAULT_ALIAS!r} is the alias that pulls and pushes move", hint="choose another tag")

        def label(old: Label | None) -> Label:
            if old is not None and (old.kind, old.digest) != ("tag", digest):
                what = f"a tag of {old.digest}, and tags do not move" if old.kind == "tag" else "an alias"
                raise UsageError(
                    f"{name}:{tag} is {what}", hint=f"choose another tag, or `ivyhub rm {name}:{tag}` first"
                )
            return Label(digest, "tag")

        self._put(name, tag, label, why)

    def take(
        self,
        name: str,
        labels: Mapping[str, Label],
        *,
        force: bool = False,
        why: str = "import",
        dry_run: bool = False,
    ) -> Change:
        """Set labels that another registry has, in one change: what is there stays, aliases move.

        With ``dry_run`` nothing changes, and the versions need not be there yet; what would change is returned.

        Raises:
            UsageError: a tag stands for another version here, a label is of the other kind, or an alias is protected
                and ``force`` is not given.
            UnsafeError, UnknownNameError: as `set`.
        """
        folder = self._folder(name)
        with self._store.lock("refs"):
            self._check_name(folder, name, labels)
            known = self._labels(folder)
            moves = []
            for word, new in labels.items():
                old = known.get(word)
                if old is not None and old.kind != new.kind:
                    raise UsageError(f"{name}:{word} is a {old.kind} here and a {new.kind} there", hint=_RENAME)
                if (
                    old is not None
                    and old.digest != new.digest
                    and (old.kind == "tag" or (old.protected and not force))
                ):
                    what = "a tag" if old.kind == "tag" else "protected"
                    raise UsageError(f"{name}:{word} is {what}, and stands for {old.digest} here", hint=_RENAME)
                if not dry_run:
                    self._check_version(new.digest)
                if new != old:
                    moves.append(Move(word, old, new))
            if not moves:
                return Change(now().isoformat(), why, ())
            return self._change(folder, why, moves, dry_run)

    def remove(self, name: str, label: str | None = None, *, force: bool = False, dry_run: bool = False) -> Change:
        """Take a label away, or a name with all its labels. The versions stay until they are collected.

        With ``dry_run`` nothing changes; what would is returned.

        Raises:
            UnknownNameError: no such name or label; close matches are named.
            UsageError: a label is protected, and ``force`` is not given.
        """
        folder = self._folder(name)
        with self._store.lock("refs"):
            known = self._known(name)
            if label is not None and label not in known:
                raise UnknownNameError(f"{name!r} has no tag or alias {label!r}", hint=_close(label, known))
            going = known if label is None else {label: known[label]}
            kept = [word for word, each in going.items() if each.protected]
            if kept and not force:
                raise UsageError(f"protected: {', '.join(f'{name}:{word}' for word in kept)}", hint="give --force too")
            return self._change(folder, "rm", [Move(word, old, None) for word, old in going.items()], dry_run)

    def undo(self, name: str, *, dry_run: bool = False) -> Change:
        """Take back the last change of a name that was not taken back yet: one pull, push, tag, alias or rm.

        With ``dry_run`` nothing changes; what would is returned.

        Raises:
            UnknownNameError: the name never had a version.
            UsageError: nothing is left to take back.
            CorruptFileError: a version that it would return to was collected.
        """
        folder = self._folder(name)
        with self._store.lock("refs"):
            log = self.log(name)
            if not log:
                raise UnknownNameError(f"the registry never had a model {name!r}", hint=_close(name, self.names()))
            standing: list[Change] = []
            for change in log:
                if change.why != UNDO:
                    standing.append(change)
                elif standing:
                    standing.pop()
            if not standing:
                raise UsageError(f"nothing is left to undo for {name!r}")
            moves = [Move(move.label, move.new, move.old) for move in standing[-1].moves]
            for move in moves:
                if move.new is not None and not self._store.is_whole(move.new.digest):
                    raise CorruptFileError(
                        f"{name}:{move.label} stood for {move.new.digest}, which was collected", hint="pull it again"
                    )
            return self._change(folder, UNDO, moves, dry_run)

    def set_alias(self, name: str, target: str) -> None:
        """Let a name stand for another name. An alias of an alias is refused, so no chain can be a circle.

        Raises:
            UsageError: the name has tags of its own, or the target is an alias.
            UnknownNameError: the target is no name of the registry.
        """
        folder, target_folder = self._folder(name), self._folder(target)
        with self._store.lock("refs"):
            if self._labels(folder):
                raise UsageError(f"{name!r} has versions of its own", hint="choose another alias")
            if not self._labels(target_folder):
                raise UnknownNameError(f"{target!r} has no versions that an alias could stand for")
            self._check_case(folder / "alias")
            if self._alias(folder) != target:
                self._replace(folder / "alias", target)

    def resolve(self, reference: str) -> Digest:
        """The version that ``name``, ``name:label``, ``name@sha256:...`` or an alias of a name stands for.

        A digest may be cut short to eight digits or more, as long as it is that of one version of the name alone.

        Raises:
            UnknownNameError: no such name, label or version; close matches are named.
            UsageError, UnsafeError: it is no reference.
        """
        return self.find(reference)[1]

    def find(self, reference: str) -> tuple[str, Digest]:
        """The name of a reference, which is no alias of another, and the version; see `resolve`."""
        name, label, digits = split_reference(reference)
        name = self._alias(self._folder(name)) or name
        if digits is None:
            known = self._known(name)
            if label not in known:
                raise UnknownNameError(f"{name!r} has no tag or alias {label!r}", hint=_close(label, known))
            return name, known[label].digest
        history = self.history(name) or [*self._known(name)]  # the latter raises
        found = [digest for digest in history if digest.removeprefix("sha256:").startswith(digits)]
        if len(found) > 1:
            raise UsageError(f"{len(found)} versions of {name!r} begin with {digits}", hint="give more digits")
        if not found:
            raise UnknownNameError(f"sha256:{digits} was never a version of {name!r}", hint=f"see `ivyhub log {name}`")
        return name, found[0]

    def named(self, name: str) -> str:
        """The name that a name stands for: itself, or another where it is an alias.

        Raises:
            UnknownNameError: it has no versions; close matches are named.
        """
        name = self._alias(self._folder(name)) or name
        self._known(name)
        return name

    def folders(self) -> dict[str, list[str]]:
        """Every name that has or had versions, and the folders of its labels."""
        found = {}
        with storage_errors("reading the registry"):
            namespaces = [*os.scandir(self._root)] if self._root.is_dir() else []
            for namespace in namespaces:
                for entry in os.scandir(namespace.path) if namespace.is_dir() else ():
                    name = entry.name if namespace.name == "_" else f"{namespace.name}/{entry.name}"
                    found[name] = [f"{entry.path}{os.sep}{word}" for word in _FOLDERS.values()]
        return found

    def names(self) -> list[str]:
        """Every name that has versions."""
        return sorted({*self._holding("tags/*"), *self._holding("aliases/*")})

    def logged(self) -> list[str]:
        """Every name that has or had versions."""
        return sorted({*self.names(), *self._holding("log")})

    def aliases(self) -> dict[str, str]:
        """Every name that stands for another, and that one."""
        return {name: alias for name in self._holding("alias") if (alias := self._alias(self._folder(name)))}

    def labels(self, name: str) -> dict[str, Label]:
        """The tags and aliases of a name, and what they stand for."""
        return self._labels(self._folder(name))

    def log(self, name: str) -> list[Change]:
        """Every change of the labels of a name, oldest first."""
        path = self._folder(name) / "log"
        with storage_errors("reading the registry"):
            lines = path.read_bytes().splitlines() if path.is_file() else []
        changes = []
        for line in lines:
            try:
                changes.append(msgspec.json.decode(line, type=Change))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue  # cut off when the power failed; the change it announced did not happen
        return changes

    def history(self, name: str) -> list[Digest]:
        """Every version that a label of the name stood for, oldest first."""
        moves = [move for change in self.log(name) for move in change.moves]
        found = [label.digest for move in moves for label in (move.old, move.new) if label is not None]
        return list(dict.fromkeys([*found, *(label.digest for label in self.labels(name).values())]))

    def _holding(self, pattern: str) -> list[str]:
        """The names with a file of that pattern."""
        with storage_errors("reading the registry"):
            found = {path.relative_to(self._root).parts[:2] for path in self._root.glob(f"*/*/{pattern}")}
        return sorted(name if namespace == "_" else f"{namespace}/{name}" for namespace, name in found)

    def _put(self, name: str, word: str, label: Callable[[Label | None], Label], why: str) -> None:
        """Let a label be what ``label`` makes of what it was."""
        folder = self._folder(name)
        with self._store.lock("refs"):
            self._check_name(folder, name, [word])
            old = self._labels(folder).get(word)
            new = label(old)
            self._check_version(new.digest)
            if new != old:
                self._change(folder, why, [Move(word, old, new)])

    def _check_name(self, folder: Path, name: str, words: Iterable[str]) -> None:
        """Refuse labels that a name cannot have."""
        if (folder / "alias").exists():
            raise UsageError(f"{name!r} is an alias of {self._alias(folder)!r}", hint="choose another name")
        for word in words:
            check_label(word)
            for kind in _FOLDERS.values():
                self._check_case(folder / kind / word)

    def _check_version(self, digest: Digest) -> None:
        if not self._store.has_version(digest):
            raise UnknownNameError(f"the registry has no version {digest}", hint="put the version before its name")

    def _change(self, folder: Path, why: str, moves: Sequence[Move], dry_run: bool = False) -> Change:
        """Announce a change in the log, then make it."""
        change = Change(now().isoformat(), why, tuple(moves))
        if dry_run:
            return change
        self._log(folder, change)
        for move in moves:
            if move.new is not None:
                text = f"{move.new.digest} protected" if move.new.protected else move.new.digest
                self._replace(folder / _FOLDERS[move.new.kind] / move.label, text)
            if move.old is not None and (move.new is None or move.new.kind != move.old.kind):
                with storage_errors("writing the registry"):
                    (folder / _FOLDERS[move.old.kind] / move.label).unlink(missing_ok=True)
        return change

    def _known(self, name: str) -> dict[str, Label]:
        """The labels of a name that has some."""
        known = self.labels(name)
        if not known:
            hint = f"`ivyhub undo {name}` brings it back" if self.log(name) else _close(name, self.names())
            raise UnknownNameError(f"the registry has no model {name!r}", hint=hint)
        return known

    def _labels(self, folder: Path) -> dict[str, Label]:
        found = {}
        for kind, word in _FOLDERS.items():
            with storage_errors("reading the registry"):
                paths = [*(folder / word).iterdir()] if (folder / word).is_dir() else []
            found |= {path.name: self._read(path, kind) for path in paths}
        return dict(sorted(found.items()))

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

    def _read(self, path: Path, kind: Literal["tag", "alias"]) -> Label:
        with storage_errors("reading the registry"):
            digest, _, protected = path.read_text("utf-8", errors="replace").strip().partition(" ")
        if not re.match(DIGEST_PATTERN, digest) or protected not in ("", "protected"):
            raise CorruptFileError(f"{path} holds no digest", hint="its last value is in the file 'log' beside it")
        return Label(digest, kind, bool(protected))

    def _replace(self, path: Path, content: str) -> None:
        with storage_errors("writing the registry"), self._store.scratch() as folder:
            temporary = folder / "ref"
            temporary.write_text(content + "\n", "utf-8")
            publish(temporary, path)

    def _log(self, folder: Path, change: Change) -> None:
        """Append a line, and begin a new one first where the last was cut off."""
        line = msgspec.json.encode(change)
        with storage_errors("writing the registry"):
            make_folder(folder)
            with (folder / "log").open("a+b") as file:
                if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                    line = b"\n" + line
                file.write(line + b"\n")
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


def _close(word: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(word, list(known), n=3)
    return f"did you mean {' or '.join(map(repr, matches))}?" if matches else "`ivyhub list` shows what there is"
