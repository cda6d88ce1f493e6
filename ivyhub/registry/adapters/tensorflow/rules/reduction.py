"""Reductions and orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.backends import is_integer
from .....engine.dims import Size, product
from .....engine.ops.creation import scalar
from .....engine.spec import normalize_axes
from .....errors import CaptureError
from .common import Array, cast, dtype_of, reads, shape_of

Axes = int | Sequence[int]


def axes_of(axes: Axes, ndim: int) -> int | tuple[int, ...] | None:
    """The axes of a reduction; None for all of them."""
    found = normalize_axes((axes,) if isinstance(axes, int) else tuple(axes), ndim) if ndim else ()
    return None if len(found) == ndim else found[0] if len(found) == 1 else found


def _reduce(op: Callable[..., Any]) -> Callable[..., Any]:
    def rule(x: Array, axes: Axes, *, keep_dims: bool) -> Array:
        dtype = dtype_of(x)
        if axes == ():
            return x
        return cast(op(x, axis=axes_of(axes, len(shape_of(x))), keepdims=keep_dims), dtype)

    return rule


for _name, _op in {"Sum": ops.sum, "Max": ops.max, "Min": ops.min, "All": ops.all, "Any": ops.any}.items():
    reads(_name, known=(1,))(_reduce(_op))


@reads("Mean", known=(1,))
def mean(x: Array, axes: Axes, *, keep_dims: bool) -> Array:
    """Of integers, the quotient towards zero."""
    dtype, shape = dtype_of(x), shape_of(x)
    if axes == ():
        return x
    axis = axes_of(axes, len(shape))
    if not is_integer(dtype):
        return ops.mean(x, axis=axis, keepdims=keep_dims)
    from .elementwise import divide

    reduced = shape if axis is None else [shape[a] for a in ((axis,) if isinstance(axis, int) else axis)]
    return divide(cast(ops.sum(x, axis=axis, keepdims=keep_dims), dtype), product(reduced))


@reads("Prod", known=(1,))
def prod(x: Array, axes: Axes, *, keep_dims: bool) -> Array:
    dtype, ndim = dtype_of(x), len(shape_of(x))
    axis = axes_of(axes, ndim) if axes != () else ()
    for each in sorted(range(ndim) if axis is None else (axis,) if isinstance(axis, int) else axis, reverse=True):
        x = ops.prod(x, axis=each, keepdims=keep_dims)
    return cast(x, dtype)


@reads("EuclideanNorm", known=(1,))
def euclidean_norm(x: Array, axes: Axes, *, keep_dims: bool) -> Array:
    return ops.sqrt(ops.sum(ops.square(x), axis=axes_of(axes, len(shape_of(x))), keepdims=keep_dims))


@reads("ArgMax", known=(1,))
def argmax(x: Array, axis: int, *, output_type: str) -> Array:
    return cast(ops.argmax(x, axis=axis % len(shape_of(x))), output_type)


@reads("ArgMin", known=(1,))
def argmin(x: Array, axis: int, *, output_type: str) -> Array:
    return cast(ops.argmin(x, axis=axis % len(shape_of(x))), output_type)


@reads("TopKV2", known=(1,))
def top_k(x: Array, k: Size, *, index_type: str) -> tuple[Array, Array]:
    """In descending order, also where it is not asked to be sorted; of equal elements the first comes first."""
    values, positions = ops.topk(x, k=k)
    return values, cast(positions, index_type)


@reads("UnsortedSegmentSum", known=(2,))
def segment_sum(x: Array, ids: Array, count: Size) -> Array:
    return _segments(ops.segment_sum, x, ids, count)


@reads("UnsortedSegmentProd", known=(2,))
def segment_prod(x: Array, ids: Array, count: Size) -> Array:
    return _segments(ops.segment_prod, x, ids, count)


@reads("UnsortedSegmentMax", known=(2,))
def segment_max(x: Array, ids: Array, count: Size) -> Array:
    return _finite(_segments(ops.segment_max, _floats(x), ids, count), -1)


@reads("UnsortedSegmentMin", known=(2,))
def segment_min(x: Array, ids: Array, count: Size) -> Array:
    return _finite(_segments(ops.segment_min, _floats(x), ids, count), 1)


def _segments(op: Callable[..., Any], x: Array, ids: Array, count: Size) -> Array:
    """Rows whose number is negative are left out: they go to one segment more, which is cut off."""
    lead = len(shape_of(ids))
    if lead != 1:
        sizes = shape_of(x)
        total = product(shape_of(ids))
        x, ids = ops.reshape(x, shape=(total, *sizes[lead:])), ops.reshape(ids, shape=(total,))
    ids = ops.where(ops.less(ids, 0), scalar(count, dtype_of(ids), ids), ids)
    return ops.getitem(op(x, ids, num_segments=count + 1), key=((None, count, None),))


def _finite(found: Array, sign: int) -> Array:
    """A segment without any has the least or largest finite number."""
    bound = sign * float(np.finfo(dtype_of(found)).max)
    return ops.minimum(found, bound) if sign > 0 else ops.maximum(found, bound)


def _floats(x: Array) -> Array:
    if dtype_of(x) not in ("float32", "float64"):
        raise CaptureError(f"expected float32 or float64 for the extremes of segments, received {dtype_of(x)}")
    return x
