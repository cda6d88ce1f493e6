"""Choosing elements, and putting elements in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from .....engine import ops
from .....engine.dims import Dim, product
from .....errors import CaptureError
from .common import (
    FULL,
    RULES,
    Array,
    arange,
    cast,
    dtype_of,
    known,
    on_axis,
    rank_of,
    shape_of,
    static,
    static_int,
    static_shape,
)


def _wrapped(indices: Array, size: Any) -> Array:
    """Positions from the end counted from the start."""
    numbers = known(indices)
    if numbers is not None:
        if isinstance(size, Dim) and (numbers < 0).any():
            return ops.where(ops.less(indices, 0), ops.add(indices, _count(size, dtype_of(indices))), indices)
        return (
            numbers if isinstance(size, Dim) else np.where(numbers < 0, numbers + size, numbers).astype(numbers.dtype)
        )
    if dtype_of(indices).startswith("uint"):
        return indices
    return ops.where(ops.less(indices, 0), ops.add(indices, _count(size, dtype_of(indices))), indices)


def _count(size: Any, dtype: str) -> Any:
    return ops.full(shape=(), fill_value=size, dtype=dtype) if isinstance(size, Dim) else size


@RULES("Gather")
def gather(x: Array, indices: Array, *, axis: int = 0) -> Array:
    axis %= rank_of(x)
    numbers = known(indices)
    if numbers is not None and numbers.ndim == 0:
        return on_axis(x, axis, int(numbers))
    return ops.take(x, _wrapped(indices, shape_of(x)[axis]), axis=axis)


@RULES("GatherElements")
def gather_elements(x: Array, indices: Array, *, axis: int = 0) -> Array:
    axis %= rank_of(x)
    places, sizes = _wrapped(indices, shape_of(x)[axis]), shape_of(indices)
    for other, size in enumerate(sizes):
        if other != axis and shape_of(x)[other] != size:
            x = on_axis(x, other, (None, size, None))
    return ops.take_along_axis(x, cast(places, "int64"), axis=axis)


@RULES("GatherND")
def gather_nd(x: Array, indices: Array, *, batch_dims: int = 0) -> Array:
    depth = static_shape(indices, "GatherND")[-1]
    return ops.index(x, _coordinates(x, indices, depth, batch_dims))


def _coordinates(x: Array, indices: Array, depth: int, batch_dims: int) -> list[Array]:
    every, sizes = (FULL,) * (rank_of(indices) - 1), shape_of(x)
    found: list[Array] = []
    for axis in range(batch_dims):
        shape = tuple(sizes[axis] if i == axis else 1 for i in range(rank_of(indices) - 1))
        found.append(ops.reshape(arange(sizes[axis]), shape=shape))
    for place in range(depth):
        part = cast(ops.getitem(indices, key=(*every, place)), "int64")
        found.append(_wrapped(part, sizes[batch_dims + place]))
    return found


_SCATTERS = {"none": ops.at_set, "add": ops.at_add, "max": ops.at_max, "min": ops.at_min}


@RULES("ScatterND")
def scatter_nd(x: Array, indices: Array, updates: Array, *, reduction: str = "none") -> Array:
    depth = static_shape(indices, "ScatterND")[-1]
    places = _coordinates(x, indices, depth, 0)
    if reduction == "mul":
        return _multiplied(x, places, updates)
    if reduction not in _SCATTERS:
        raise CaptureError(f"no rule reads the reduction {reduction!r}")
    return _SCATTERS[reduction](x, places, updates)


@RULES("Scatter", "ScatterElements")
def scatter_elements(x: Array, indices: Array, updates: Array, *, axis: int = 0, reduction: str = "none") -> Array:
    axis %= rank_of(x)
    sizes = shape_of(indices)
    wrapped = _wrapped(cast(indices, "int64"), shape_of(x)[axis])
    places: list[Array] = []
    for other, size in enumerate(sizes):
        shape = tuple(size if i == other else 1 for i in range(len(sizes)))
        places.append(wrapped if other == axis else ops.reshape(arange(size), shape=shape))
    if reduction == "mul":
        return _multiplied(x, places, updates)
    if reduction not in _SCATTERS:
        raise CaptureError(f"no rule reads the reduction {reduction!r}")
    return _SCATTERS[reduction](x, places, updates)


def _multiplied(x: Array, places: list[Array], updates: Array) -> Array:
    """x with places multiplied, those that come twice by both: as a product over flat positions."""
    sizes = static_shape(x, "a scatter that multiplies")
    count = len(places)
    shape = (product(sizes[:count]), *sizes[count:])
    flat = places[0]
    for place, size in zip(places[1:], sizes[1:count], strict=True):
        flat = ops.add(ops.multiply(flat, size), place)
    flat = ops.broadcast_to(flat, shape=shape_of(updates)[: rank_of(updates) - len(sizes) + count])
    rows = product(shape_of(flat))
    factors = ops.segment_prod(
        ops.reshape(updates, shape=(rows, *sizes[count:])), ops.reshape(flat, shape=(rows,)), num_segments=shape[0]
    )
    return ops.multiply(x, ops.reshape(factors, shape=sizes))


@RULES("TopK-10", "TopK-11")
def topk(x: Array, k: Any, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> Any:
    axis %= rank_of(x)
    count = static_int(k, "K")
    places = on_axis(ops.argsort(x, axis=axis, descending=bool(largest)), axis, (None, count, None))
    return ops.take_along_axis(x, places, axis=axis), places


@RULES("TopK")
def topk_attribute(x: Array, *, k: int, axis: int = -1) -> Any:
    return topk(x, np.asarray(k), axis=axis)


@RULES("NonZero")
def nonzero(x: Array) -> Array:
    numbers = known(x)
    if numbers is None:
        raise _unsized("NonZero", x)
    return np.stack(np.nonzero(numbers)).astype(np.int64) if numbers.ndim else np.zeros((0, int(numbers != 0)), int)


def _unsized(name: str, x: Array) -> CaptureError:
    return CaptureError(
        f"the shape of the result of {name} depends on the numbers in {x!r}",
        hint="models with such results have no static form; take it out of the model",
    )


@RULES("Compress")
def compress(x: Array, condition: Any, *, axis: int | None = None) -> Array:
    chosen = np.nonzero(static(condition, "condition").reshape(-1))[0]
    if axis is None:
        x, axis = ops.reshape(x, shape=(product(shape_of(x)),)), 0
    return ops.take(x, chosen, axis=axis % rank_of(x))


@RULES("Unique")
def unique(x: Array, *, axis: int | None = None, sorted: int = 1, wanted: int = 1) -> Any:
    numbers = known(x)
    if numbers is None:
        raise _unsized("Unique", x)
    values, first, inverse, counts = np.unique(numbers, True, True, True, axis=axis)
    inverse = inverse.reshape(-1)
    if not sorted:
        order = np.argsort(first)
        values = np.take(values, order, axis=axis or 0)
        first, counts, inverse = first[order], counts[order], np.argsort(order)[inverse]
    return (values, *(array.astype(np.int64) for array in (first, inverse, counts)))[:wanted]


@RULES("ai.onnx.ml.ArrayFeatureExtractor")
def array_feature_extractor(x: Array, indices: Array) -> Array:
    y = ops.reshape(x, shape=(1, *shape_of(x))) if rank_of(x) == 1 else x
    flat = ops.reshape(indices, shape=(product(shape_of(indices)),))
    return ops.take(y, flat, axis=rank_of(y) - 1)


@RULES("TensorScatter")
def tensor_scatter(
    past: Array, update: Array, write_indices: Array | None = None, *, axis: int = -2, mode: str = "linear"
) -> Array:
    sizes, new = static_shape(past, "TensorScatter"), static_shape(update, "TensorScatter")
    axis %= len(sizes)
    if mode not in ("linear", "circular"):
        raise CaptureError(f"expected the mode linear or circular, received {mode!r}")
    start = np.zeros(sizes[0], np.int64) if write_indices is None else cast(write_indices, "int64")
    place = ops.add(ops.reshape(start, shape=(sizes[0], 1)), np.arange(new[axis])[None])
    if mode == "circular":
        place = ops.remainder(place, sizes[axis])
    shape = tuple(size if i in (0, axis) else 1 for i, size in enumerate(new))
    places = [
        ops.reshape(place, shape=shape)
        if i == axis
        else np.arange(size).reshape([size if j == i else 1 for j in range(len(new))])
        for i, size in enumerate(new)
    ]
    return ops.at_set(past, places, update)
