"""Names with numbers in them: one text that a name is compared with, and that a name is made from."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

_HOLE = re.compile(r"\{(_?)([a-z])(\+1|:3)?\}|\*")
_GROUP = re.compile(r"\{([^{}]*[,|][^{}]*)\}")
_T = TypeVar("_T")
_NUMBER = r"(0|[1-9]\d{0,5})"
WILD = "model"
"""What is written where any name may stand."""


class _Spelling(NamedTuple):
    """How a number stands in a name.

    Args:
        pattern: what it looks like.
        shift: the first one, where they are not counted from 0.
        first_hidden: Keras writes ``dense``, ``dense_1``, ``dense_2``.
        width: how many digits it has at least.
    """

    pattern: str
    shift: int = 0
    first_hidden: bool = False
    width: int = 1


class Pattern:
    """A name with numbers: ``{i}``; ``{i+1}`` where they count from 1, ``{i:3}`` with three digits, ``{_i}`` as Keras
    numbers its layers; ``*`` is any one part between slashes, which has no meaning.

    Args:
        text: the name.

    Example:
        >>> pattern = Pattern("model/*/layer{_i}/kernel:0")
        >>> pattern.match("model/tf_bert/layer_3/kernel:0"), pattern.match("model/tf_bert/layer/kernel:0")
        ({'i': 3}, {'i': 0})
        >>> pattern.fill({"i": 1})
        'model/model/layer_1/kernel:0'
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _parts(self) -> tuple[re.Pattern[str], list[tuple[str, _Spelling]], list[str]]:
        expression: list[str] = []
        holes: list[tuple[str, _Spelling]] = []
        literals: list[str] = []
        end = 0
        for found in _HOLE.finditer(self.text):
            literals.append(self.text[end : found.start()])
            expression.append(re.escape(literals[-1]))
            hidden, letter, how = found.groups()
            spelling = _Spelling(_NUMBER)
            if found[0] == "*":
                letter, spelling = "*", _Spelling("([^/]+)")
            elif hidden:
                spelling = _Spelling(r"(?:_([1-9]\d{0,5}))?", first_hidden=True)
            elif how == "+1":
                spelling = _Spelling(r"([1-9]\d{0,5})", 1)
            elif how == ":3":
                spelling = _Spelling(r"(\d{3})", width=3)
            expression.append(spelling.pattern)
            holes.append((letter, spelling))
            end = found.end()
        literals.append(self.text[end:])
        expression.append(re.escape(literals[-1]))
        return re.compile("".join(expression)), holes, literals

    @property
    def numbers(self) -> frozenset[str]:
        """The letters of its numbers."""
        return frozenset(letter for letter, _ in self._parts[1] if letter != "*")

    def match(self, name: str) -> dict[str, int] | None:
        """The numbers in a name, or None where it is another one."""
        expression, holes, _ = self._parts
        found = expression.fullmatch(name)
        if found is None:
            return None
        numbers: dict[str, int] = {}
        for (letter, spelling), text in zip(holes, found.groups(), strict=True):
            if letter != "*" and numbers.setdefault(letter, number := int(text or 0) - spelling.shift) != number:
                return None
        return numbers

    def fill(self, numbers: Mapping[str, int]) -> str:
        """The name with these numbers."""
        _, holes, literals = self._parts
        made = [literals[0]]
        for (letter, spelling), literal in zip(holes, literals[1:], strict=True):
            if letter == "*":
                made.append(WILD)
            elif not spelling.first_hidden:
                made.append(f"{numbers[letter] + spelling.shift:0{spelling.width}d}")
            elif numbers[letter]:
                made.append(f"_{numbers[letter]}")
            made.append(literal)
        return "".join(made)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


def expand(*texts: str) -> Iterator[tuple[str, ...]]:
    """The rows that ``{a,b}`` in texts stand for: each takes the first of every group, then the second.

    Example:
        >>> list(expand("self.{query,key}", "{q,k}_dense"))
        [('self.query', 'q_dense'), ('self.key', 'k_dense')]
    """
    choices = [len(group.split(",")) for text in texts for group in _GROUP.findall(text) if "," in group]
    for place in range(min(choices, default=1)):
        yield tuple(_choose(text, ",", place) for text in texts)


def fused(text: str) -> tuple[str, ...]:
    """The names of several tensors that are one elsewhere, from ``{a|b}``.

    Example:
        >>> fused("attn.{q|k|v}"), fused("attn.qkv")
        (('attn.q', 'attn.k', 'attn.v'), ('attn.qkv',))
    """
    count = max((len(group.split("|")) for group in _GROUP.findall(text)), default=1)
    return tuple(_choose(text, "|", place) for place in range(count))


def _choose(text: str, mark: str, place: int) -> str:
    """A text with one member of each of its groups."""
    return _GROUP.sub(lambda found: found[1].split(mark)[place] if mark in found[1] else found[0], text)


class Index(Generic[_T]):
    """Finds the pattern that a name matches among many, by the end of the name.

    Args:
        rows: what the patterns belong to, each with its pattern.

    Example:
        >>> index = Index([(Pattern("h.{i}.bias"), "b"), (Pattern("h.{i}.weight"), "w")])
        >>> index.find("h.7.weight"), index.find("h.weight")
        (('w', {'i': 7}), None)
    """

    def __init__(self, rows: Sequence[tuple[Pattern, _T]]) -> None:
        self._rows: dict[str, list[tuple[Pattern, _T]]] = {}
        for pattern, row in rows:
            for hidden in itertools.product(("", "_0"), repeat=pattern.text.count("{_")):
                text = pattern.text
                for suffix in hidden:
                    text = re.sub(r"\{_[a-z]\}", suffix, text, count=1)
                self._rows.setdefault(_end(_HOLE.sub(_zero, text)), []).append((pattern, row))

    def find(self, name: str) -> tuple[_T, dict[str, int]] | None:
        """The row of a name and the numbers in it."""
        for pattern, row in self._rows.get(_end(name), ()):
            numbers = pattern.match(name)
            if numbers is not None:
                return row, numbers
        return None


def _zero(found: re.Match[str]) -> str:
    return found[0] if found[0] == "*" else "0"


def _end(name: str) -> str:
    """The last part of a name and the letters before it, with every number the same."""
    parts = re.split(r"([/.])", name)[-3:]
    return re.sub(r"\d+", "#", "".join(parts))
