"""PyTorch: normalised weights as attributes or as parametrizations; projections of attention packed or apart.

Sources: ``torch/nn/utils/weight_norm.py`` and ``spectral_norm.py``, ``parametrizations.py`` and ``parametrize.py`` of
PyTorch 1.10 and later, whose hooks read the older names too; ``torch/nn/modules/activation.py``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ivyhub.registry.weights import Checkpoint, Entry, Merge, Split

Shapes = Sequence[tuple[int, ...]]


class _Row(NamedTuple):
    """Tensors of one module under two sets of names, where ``{}`` is the name of the weight.

    Args:
        before: the older names.
        after: the newer ones.
        fits: whether tensors of these shapes, under the older names, are those of the row.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    fits: Callable[[Shapes], bool]


def _magnitude(shapes: Shapes) -> bool:
    """One length for each part of the direction along one axis, or one for all."""
    lengths, direction = shapes
    return lengths == () or (
        len(lengths) == len(direction)
        and all(size in (1, full) for size, full in zip(lengths, direction, strict=True))
        and math.prod(lengths) == max(lengths)
    )


def _vectors(shapes: Shapes) -> bool:
    """A vector for each side of a matrix."""
    weight, left, right = shapes
    return len(left) == len(right) == 1 and math.prod(weight) == left[0] * right[0]


_NORMS = (
    _Row(
        ("{}_orig", "{}_u", "{}_v"),
        ("parametrizations.{}.original", "parametrizations.{}.0._u", "parametrizations.{}.0._v"),
        _vectors,
    ),
    _Row(
        ("{}_g", "{}_v"),
        ("parametrizations.{}.original0", "parametrizations.{}.original1"),
        _magnitude,
    ),
)
_PACKED = "in_proj_weight"
_SEPARATE = ("q_proj_weight", "k_proj_weight", "v_proj_weight")


def parametrized(ckpt: Checkpoint) -> tuple[list[Entry], list[str]]:
    """Normalised weights as parametrizations keep them."""
    return _renamed(ckpt, [(row.before, row.after, row.fits) for row in _NORMS])


def norms(ckpt: Checkpoint) -> tuple[list[Entry], list[str]]:
    """Normalised weights as `torch.nn.utils.weight_norm` and `spectral_norm` keep them."""
    return _renamed(ckpt, [(row.after, row.before, row.fits) for row in _NORMS])


def _renamed(
    ckpt: Checkpoint, rows: Iterable[tuple[tuple[str, ...], tuple[str, ...], Callable[[Shapes], bool]]]
) -> tuple[list[Entry], list[str]]:
    made: dict[str, str] = {}
    for sources, targets, fits in rows:
        start = re.compile(rf"(.*\.)?{re.escape(sources[0]).replace(re.escape('{}'), '([^.]+)')}")
        for name in ckpt:
            match = start.fullmatch(name)
            if match is None or name in made:
                continue
            module, word = match[1] or "", match[2]
            found = [module + source.format(word) for source in sources]
            if all(each in ckpt and each not in made for each in found) and fits([ckpt[each].shape for each in found]):
                made |= {each: module + target.format(word) for each, target in zip(found, targets, strict=True)}
    return [Entry((made.get(name, name),), (name,)) for name in ckpt], []


def separate(ckpt: Checkpoint) -> tuple[list[Entry], list[str]]:
    """The projections of attention to queries, keys and values as three tensors."""
    entries: list[Entry] = []
    for name in ckpt:
        module, word = _parts(name)
        shape = ckpt[name].shape
        if word == _PACKED and len(shape) == 2 and shape[0] == 3 * shape[1]:
            sizes = (shape[1],) * 3
            entries.append(Entry(tuple(module + each for each in _SEPARATE), (name,), (Split(0, sizes),)))
        else:
            entries.append(Entry((name,), (name,)))
    return entries, []


def packed(ckpt: Checkpoint) -> tuple[list[Entry], list[str]]:
    """The projections of attention as one tensor, where all are square and of one size."""
    entries: list[Entry] = []
    for name in ckpt:
        module, word = _parts(name)
        found = tuple(module + each for each in _SEPARATE)
        square = all(
            each in ckpt and (ckpt[each].shape, ckpt[each].dtype) == (ckpt[name].shape, ckpt[name].dtype)
            for each in found
        )
        if word not in _SEPARATE or not square or len({*ckpt[name].shape}) != 1:
            entries.append(Entry((name,), (name,)))
        elif word == _SEPARATE[0]:
            entries.append(Entry((module + _PACKED,), found, (Merge(0, (ckpt[name].shape[0],) * 3),)))
    return entries, []


def _parts(name: str) -> tuple[str, str]:
    """The path of a module with its dot, and the name in it."""
    module, dot, word = name.rpartition(".")
    return module + dot, word
