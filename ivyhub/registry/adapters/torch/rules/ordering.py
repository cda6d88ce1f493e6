"""What depends on the order of elements: medians, ranks, places among sorted numbers."""

from __future__ import annotations

from .....engine import ops
from .....engine.backends import is_floating
from .....engine.dims import Size
from .....errors import ShapeError
from .common import RULES, Array, at_axis, cast, dtype_of, promote, shape_of
from .indexing import sort
from .shape import squeeze, view


@RULES("aten.kthvalue.default")
def kthvalue(x: Array, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Array, Array]:
    values, positions = sort(x, dim)
    return _picked(values, dim, k - 1, keepdim), _picked(positions, dim, k - 1, keepdim)


def _picked(x: Array, dim: int, place: int, keepdim: bool) -> Array:
    axis = dim % len(shape_of(x))
    one = at_axis(x, axis, (place, place + 1, 1))
    return one if keepdim else squeeze(one, axis)


@RULES("aten.median.dim")
def median_dim(x: Array, dim: int, keepdim: bool = False) -> tuple[Array, Array]:
    """The lower of the middle two; a NaN where there is one, which sorts last but is the result."""
    values, positions = kthvalue(x, _middle(x, dim), dim, keepdim)
    if is_floating(dtype_of(x)):
        largest, last = kthvalue(x, _known(shape_of(x)[dim]), dim, keepdim)
        is_nan = ops.isnan(largest)
        values, positions = ops.where(is_nan, largest, values), ops.where(is_nan, last, positions)
    return values, positions


@RULES("aten.median.default")
def median(x: Array) -> Array:
    return median_dim(view(x, (-1,)), 0)[0]


def _middle(x: Array, dim: int) -> int:
    return (_known(shape_of(x)[dim]) + 1) // 2


def _known(size: Size) -> int:
    if not isinstance(size, int):
        raise ShapeError(f"expected an axis of known length, received {size}")
    return size


@RULES("aten.searchsorted.Tensor")
def searchsorted(
    ordered: Array,
    x: Array,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Array | None = None,
) -> Array:
    if sorter is not None:
        ordered = ops.take_along_axis(ordered, sorter, axis=-1)
    ordered, x = promote(ordered, x)
    right = right or side == "right"
    if len(shape_of(ordered)) == 1:
        places = ops.searchsorted(ordered, x, side="right" if right else "left")
    else:  # rows by rows: count what lies before
        rows, keys = view(ordered, (*shape_of(ordered)[:-1], 1, -1)), view(x, (*shape_of(x), 1))
        before = ops.less_equal(rows, keys) if right else ops.less(rows, keys)
        places = ops.sum(ops.astype(before, dtype="int64"), axis=-1)
    return cast(places, "int32" if out_int32 else "int64")


@RULES("aten.bucketize.Tensor")
def bucketize(x: Array, boundaries: Array, *, out_int32: bool = False, right: bool = False) -> Array:
    return searchsorted(boundaries, x, out_int32=out_int32, right=right)
