"""What depends on the order of elements: medians, ranks, places among sorted numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .....engine import ops
from .....engine.backends import is_floating
from .....engine.dims import Size
from .....engine.ops.creation import created, scalar
from .....engine.spec import normalize_axis
from .....errors import ShapeError
from .common import RULES, Array, at_axis, cast, dtype_of, promote, shape_of
from .indexing import sort
from .shape import movedim, squeeze, unsqueeze, view


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


@RULES("aten.nanmedian.dim")
def nanmedian_dim(x: Array, dim: int, keepdim: bool = False) -> tuple[Array, Array]:
    """The lower of the middle two of those that are numbers."""
    if not is_floating(dtype_of(x)):
        return median_dim(x, dim, keepdim)
    values, positions = sort(x, dim)
    numbers = ops.sum(ops.astype(ops.logical_not(ops.isnan(x)), dtype="int64"), axis=dim, keepdims=True)
    middle = ops.maximum(ops.floor_divide(numbers - 1, 2), 0)
    found = tuple(ops.take_along_axis(each, middle, axis=dim) for each in (values, positions))
    return found if keepdim else tuple(squeeze(each, dim) for each in found)  # type: ignore[return-value]


@RULES("aten.nanmedian.default")
def nanmedian(x: Array) -> Array:
    return nanmedian_dim(view(x, (-1,)), 0)[0]


@RULES("aten.mode.default")
def mode(x: Array, dim: int = -1, keepdim: bool = False) -> tuple[Array, Array]:
    """The element that stands most often along an axis, the least of several, and one of its places, the last."""
    last = movedim(x, dim, -1)
    same = ops.equal(unsqueeze(last, -1), unsqueeze(last, -2))
    count = ops.sum(ops.astype(same, dtype="int64"), axis=-1)
    ordered, order = sort(last, -1)
    counts = ops.take_along_axis(count, order, axis=-1)
    first = ops.argmax(counts, axis=-1, keepdims=True)
    values = ops.take_along_axis(ordered, first, axis=-1)
    every = created(ops.arange, x, stop=shape_of(last)[-1], dtype="int64")
    places = ops.max(ops.where(ops.equal(last, values), every, 0), axis=-1, keepdims=True)
    found = movedim(values, -1, dim), movedim(places, -1, dim)
    return found if keepdim else (squeeze(found[0], dim), squeeze(found[1], dim))


def _running(name: str, later: Callable[[Array, Array], Array]) -> None:
    @RULES(f"aten.{name}.default")
    def extreme(x: Array, dim: int) -> tuple[Array, Array]:
        """The extreme up to each place, and the last place where it stands; a NaN stays."""
        axis = dim % len(shape_of(x)) if shape_of(x) else normalize_axis(dim, 0)
        shape = shape_of(x)
        every = created(ops.arange, x, stop=shape[axis], dtype="int64")
        places = ops.broadcast_to(view(every, (-1, *(1,) * (len(shape) - axis - 1))), shape=shape)

        def combined(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
            newer = later(b[0], a[0])
            if is_floating(dtype_of(x)):
                newer = ops.logical_or(newer, ops.isnan(b[0]))
            return ops.where(newer, b[0], a[0]), ops.where(newer, b[1], a[1])

        return _scanned(combined, (x, places), axis)


def _scanned(function: Callable[..., Any], elements: Any, axis: int) -> Any:
    from .....engine.control_flow import associative_scan  # which stands above the operations

    return associative_scan(function, elements, axis=axis)


_running("cummax", ops.greater_equal)
_running("cummin", ops.less_equal)


@RULES("aten.logcumsumexp.default")
def logcumsumexp(x: Array, dim: int) -> Array:
    normalize_axis(dim, len(shape_of(x)))
    return _scanned(ops.logaddexp, x, dim)


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
    if 0 in shape_of(ordered) or 0 in shape_of(x):
        places = created(ops.full, x, shape=shape_of(x), fill_value=0, dtype="int64")
    elif len(shape_of(ordered)) == 1:
        places = ops.searchsorted(ordered, x, side="right" if right else "left")
    else:  # rows by rows: count what lies before
        rows, keys = view(ordered, (*shape_of(ordered)[:-1], 1, -1)), view(x, (*shape_of(x), 1))
        before = ops.less_equal(rows, keys) if right else ops.less(rows, keys)
        places = ops.sum(ops.astype(before, dtype="int64"), axis=-1)
    return cast(places, "int32" if out_int32 else "int64")


@RULES("aten.searchsorted.Scalar")
def searchsorted_number(
    ordered: Array,
    x: float,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Array | None = None,
) -> Array:
    number = scalar(x, dtype_of(ordered), ordered)
    return searchsorted(ordered, number, out_int32=out_int32, right=right, side=side, sorter=sorter)


@RULES("aten.bucketize.Tensor")
def bucketize(x: Array, boundaries: Array, *, out_int32: bool = False, right: bool = False) -> Array:
    return searchsorted(boundaries, x, out_int32=out_int32, right=right)
