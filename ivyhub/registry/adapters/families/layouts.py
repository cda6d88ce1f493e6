"""How the numbers of a tensor lie, in words: ``(n d) i`` is a matrix whose rows are those of n heads, each of d.

Two layouts of one tensor name the same axes. ``*`` at the front of a group stands for several tensors that lie behind
each other there: ``(* n d) i`` is what queries, keys and values of ``i n d`` are in one piece.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from ivyhub.errors import CheckpointError, TensorMismatchError
from ivyhub.registry.weights import Merge, Reshape, Split, Step, Transpose

Sizes = dict[str, int]
GLOBAL = frozenset("nmdc")
"""Axes that have one size all over a model: heads, heads of keys and values, the width of one, and half of it."""


def parse(layout: str) -> tuple[tuple[str, ...], ...]:
    """The axes of a layout, each with the letters that it is made of.

    Example:
        >>> parse("(n d) i")
        (('n', 'd'), ('i',))
    """
    axes = re.findall(r"\(([^)]*)\)|(\S+)", layout)
    return tuple(tuple((group or single).split()) for group, single in axes)


def learn(layout: str, shape: Sequence[int], sizes: Sizes) -> bool:
    """Take what a shape says about the global axes into `sizes`; whether it said something new.

    Example:
        >>> sizes = {"n": 2}
        >>> learn("(n d) i", (8, 5), sizes), sizes
        (True, {'n': 2, 'd': 4})
    """
    axes = parse(layout)
    if len(axes) != len(shape):
        return False
    known = len(sizes)
    for letters, size in zip(axes, shape, strict=True):
        open_letters = [letter for letter in letters if not letter.isdigit() and letter not in sizes]
        rest = math.prod(_size(letter, sizes) for letter in letters if letter not in open_letters)
        if len(open_letters) == 1 and open_letters[0] in GLOBAL and rest and size % rest == 0:
            sizes[open_letters[0]] = size // rest
    return len(sizes) > known


def relay(
    source: str, target: str, shapes: Sequence[Sequence[int]], count: int, sizes: Mapping[str, int], name: str
) -> list[Step]:
    """The steps that take tensors of one layout to those of another.

    Args:
        source: the layout of each source.
        target: the layout of each target.
        shapes: of the sources.
        count: of targets; one side has one tensor, or both have.
        sizes: of the global axes, as far as they are known.
        name: of the tensors, for the message of an error.

    Raises:
        CheckpointError: the size of an axis is not known.
        TensorMismatchError: a tensor does not have such a shape.

    Example:
        >>> relay("i n d", "(n d) i", [(6, 2, 4)], 1, {}, "query")
        [Transpose(perm=(1, 2, 0), at=0), Reshape(shape=(8, 6), original=(2, 4, 6), at=0)]
    """
    if source == target:
        return []
    steps: list[Step] = []
    parts = len(shapes) if count == 1 else count
    axis = next((place for place, letters in enumerate(parse(source)) if "*" in letters), -1)
    if count > 1:
        [shape] = shapes
        _fits(axis < len(shape) and shape[axis] % count == 0, name, source, shape)
        size = shape[axis] // count
        steps.append(Split(axis, (size,) * count))
        shapes = [(*shape[:axis], size, *shape[axis + 1 :])] * count
    made: list[tuple[int, ...]] = []
    for place, shape in enumerate(shapes):
        one, shape = _one(_without(source, parts), _without(target, parts), tuple(shape), sizes, name, place)
        steps += one
        made.append(shape)
    if len(made) > 1 and count == 1:
        axis = next(place for place, letters in enumerate(parse(target)) if "*" in letters)
        steps.append(Merge(axis, tuple(shape[axis] for shape in made)))
    return steps


def _without(layout: str, parts: int) -> str:
    """The layout of one of the parts, or the group that `*` belongs to as one axis where it is not taken apart."""
    return layout.replace("* ", "") if parts > 1 else layout


def _one(
    source: str, target: str, shape: tuple[int, ...], sizes: Mapping[str, int], name: str, at: int
) -> tuple[list[Step], tuple[int, ...]]:
    before, after = parse(source), parse(target)
    _fits(len(before) == len(shape), name, source, shape)
    # a group that both have stays in one piece, and its parts need not be known
    whole = set(before) & set(after)
    axes = [(" ".join(letters),) if letters in whole else letters for letters in before]
    wanted = [(" ".join(letters),) if letters in whole else letters for letters in after]
    lengths: Sizes = {}
    for letters, size in zip(axes, shape, strict=True):
        if letters == ("1",):
            _fits(size == 1, name, source, shape)
            continue
        missing = [letter for letter in letters if len(letters) > 1 and not letter.isdigit() and letter not in sizes]
        if len(missing) > 1:
            raise CheckpointError(
                f"{name}: expected to know {_words(missing)}, which its shape {list(shape)} does not say",
                hint="give --heads, or keep the config.json of the model beside the checkpoint",
            )
        if len(letters) == 1:
            lengths[letters[0]] = size
            continue
        known = math.prod(_size(letter, sizes) for letter in letters if letter not in missing)
        _fits(known > 0 and (size % known == 0 if missing else size == known), name, source, shape)
        for letter in letters:
            lengths[letter] = size // known if letter in missing else _size(letter, sizes)
    flat = [letter for letters in axes for letter in letters if letter != "1"]
    order = [letter for letters in wanted for letter in letters if letter != "1"]
    spread = tuple(lengths[letter] for letter in flat)
    turned = tuple(lengths[letter] for letter in order)
    made = tuple(math.prod(lengths.get(letter, 1) for letter in letters) for letters in wanted)
    steps: list[Step] = []
    if spread != shape:
        steps.append(Reshape(spread, shape, at))
    if order != flat:
        steps.append(Transpose(tuple(flat.index(letter) for letter in order), at))
    if made != turned:
        steps.append(Reshape(made, turned, at))
    return steps, made


def _size(letter: str, sizes: Mapping[str, int]) -> int:
    return int(letter) if letter.isdigit() else sizes.get(letter, 1)


def _words(letters: Sequence[str]) -> str:
    width = "the width of a head"
    words = {"n": "the number of heads", "m": "the number of key and value heads", "d": width, "c": width}
    return " and ".join(words.get(letter, letter) for letter in letters)


def _fits(condition: bool, name: str, layout: str, shape: Sequence[int]) -> None:
    if not condition:
        raise TensorMismatchError(
            f"{name}: expected a tensor that lies as {layout!r}, received one of shape {list(shape)}",
            hint="the checkpoint belongs to another model, or to other sizes than config.json or --heads say",
        )
