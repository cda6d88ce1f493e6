"""Primitives that move and make: shapes, order, creation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.dims import Dim
from .....engine.graph import Value
from .....engine.spec import FULL
from ..sizes import size_of, sizes_of
from .common import (
    RULES,
    Array,
    dtype_name,
    filled,
    permuted,
    reshaped,
    scalar,
    shape_of,
    spread,
)


@RULES("broadcast_in_dim")
def broadcast_in_dim(x: Array, *, shape: Sequence[Any], broadcast_dimensions: Sequence[int]) -> Array:
    """x with its axes at places of a shape, repeated along the others."""
    wanted = sizes_of(shape)
    if isinstance(x, Value) and x.node is not None and x.node.op == "full":
        return filled(x, wanted, x.node.attributes["fill_value"], x.dtype)
    sizes: list[Any] = [1] * len(wanted)
    for axis, size in zip(broadcast_dimensions, shape_of(x), strict=True):
        sizes[axis] = size
    return spread(reshaped(x, sizes), wanted)


@RULES("reshape")
def reshape(x: Array, *, new_sizes: Sequence[Any], dimensions: Any) -> Array:
    if dimensions is not None:
        x = permuted(x, dimensions)
    return reshaped(x, new_sizes)


@RULES("transpose")
def transpose(x: Array, *, permutation: Sequence[int]) -> Array:
    return permuted(x, permutation)


@RULES("squeeze")
def squeeze(x: Array, *, dimensions: Sequence[int]) -> Array:
    return reshaped(x, [size for axis, size in enumerate(shape_of(x)) if axis not in dimensions])


@RULES("expand_dims")
def expand_dims(x: Array, *, dimensions: Sequence[int]) -> Array:
    sizes = list(shape_of(x))
    for axis in sorted(dimensions):
        sizes.insert(axis, 1)
    return reshaped(x, sizes)


@RULES("concatenate")
def concatenate(*arrays: Array, dimension: int) -> Array:
    return arrays[0] if len(arrays) == 1 else ops.concat(list(arrays), axis=dimension)


@RULES("stack")
def stack(*arrays: Array, axis: int) -> Array:
    return ops.stack(list(arrays), axis=axis)


@RULES("unstack")
def unstack(x: Array, *, axis: int) -> tuple[Array, ...]:
    return tuple(ops.getitem(x, key=((None, None, None),) * axis + (i,)) for i in range(int(shape_of(x)[axis])))


@RULES("split")
def split(x: Array, *, sizes: Sequence[Any], axis: int) -> tuple[Array, ...]:
    return (x,) if len(sizes) == 1 else tuple(ops.split(x, sizes=sizes_of(sizes), axis=axis))


@RULES("rev")
def rev(x: Array, *, dimensions: Sequence[int]) -> Array:
    return ops.flip(x, axis=tuple(dimensions)) if dimensions else x


@RULES("tile")
def tile(x: Array, *, reps: Sequence[Any]) -> Array:
    return ops.tile(x, repetitions=sizes_of(reps))


@RULES("slice")
def slice_(x: Array, *, start_indices: Any, limit_indices: Any, strides: Any) -> Array:
    key: list[Any] = []
    for size, start, stop, step in zip(
        shape_of(x), sizes_of(start_indices), sizes_of(limit_indices), strides or (1,) * len(start_indices), strict=True
    ):
        bounds = (None if start == 0 else start, None if stop == size else stop, None if step == 1 else step)
        key.append(bounds)
    while key and key[-1] == FULL:
        key.pop()
    return ops.getitem(x, key=tuple(key)) if key else x


@RULES("pad")
def pad(x: Array, value: Array, *, padding_config: Sequence[tuple[Any, Any, int]]) -> Array:
    """Zeros, or another number, before, after and between; negative amounts cut off."""
    for axis, (_, _, between) in enumerate(padding_config):
        if between:
            x = _spaced(x, value, axis, between)
    pairs = [sizes_of(config[:2]) for config in padding_config]
    grown = tuple(tuple(max(side, 0) if isinstance(side, int) else side for side in pair) for pair in pairs)
    if any(pair != (0, 0) for pair in grown):
        x = _padded(x, value, grown)
    key: list[Any] = []
    for size, pair in zip(shape_of(x), pairs, strict=True):
        before, after = (max(-side, 0) if isinstance(side, int) else 0 for side in pair)
        key.append((before or None, size - after if after else None, None))
    return x if all(item == FULL for item in key) else ops.getitem(x, key=tuple(key))


def _constant(value: Array) -> Any:
    """The number that an array is known to be, or None."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
        return value.item()
    node = value.node if isinstance(value, Value) else None
    return node.attributes["fill_value"] if node is not None and node.op == "full" else None


def _padded(x: Array, value: Array, pairs: tuple[Any, ...]) -> Array:
    number = _constant(value)
    if number is not None and not isinstance(number, Dim | complex):
        return ops.pad(x, padding=pairs, value=number)
    inside = ops.pad(filled(x, shape_of(x), True, "bool"), padding=pairs, value=False)
    return ops.where(inside, ops.pad(x, padding=pairs), value)


def _spaced(x: Array, value: Array, axis: int, between: int) -> Array:
    """x with some numbers between any two along an axis."""
    shape = shape_of(x)
    apart = reshaped(x, (*shape[: axis + 1], 1, *shape[axis + 1 :]))
    gap = spread(value, (*shape[: axis + 1], between, *shape[axis + 1 :]))
    apart = ops.concat([apart, gap], axis=axis + 1)
    apart = reshaped(apart, (*shape[:axis], shape[axis] * (between + 1), *shape[axis + 1 :]))
    stop = shape[axis] * (between + 1) - between
    if isinstance(stop, int):
        stop = max(stop, 0)
    return ops.getitem(apart, key=(*(FULL,) * axis, (None, stop, None)))


# -- creation --------------------------------------------------------------------------------------------------------


@RULES("iota")
def iota(*, dtype: Any, shape: Sequence[Any], dimension: int) -> Array:
    name = dtype_name(dtype)
    plain = name if name in ("int32", "int64", "float32", "float64") else "int32"
    counts = ops.arange(stop=size_of(shape[dimension]), dtype=plain)
    counts = counts if plain == name else ops.astype(counts, dtype=name)
    line = reshaped(counts, [shape[dimension] if axis == dimension else 1 for axis in range(len(shape))])
    return spread(line, shape)


@RULES("dim_as_value")
def dim_as_value(*, dim: Any) -> Array:
    return scalar(size_of(dim), "int32")


@RULES("empty", "empty2")
def empty(*, shape: Sequence[Any] = (), dtype: Any) -> Array:
    return ops.full(shape=sizes_of(shape), fill_value=0, dtype=dtype_name(dtype))


@RULES("broadcast")
def broadcast(x: Array, *, sizes: Sequence[Any]) -> Array:
    return spread(x, (*sizes, *shape_of(x)))
