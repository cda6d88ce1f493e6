"""Indexing by arrays, scattering, sorting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.backends import is_integer
from .....engine.dims import Size, minimum, product
from .....engine.ops.creation import created, scalar
from .....engine.spec import broadcast_shapes, normalize_axis
from .....errors import CaptureError, DTypeError, ShapeError
from .common import RULES, Array, cast, dtype_of, is_array, shape_of
from .shape import expand, movedim, slice_, stack, unsqueeze, view


def _positions(indices: Sequence[Array | None]) -> list[Array | None]:
    indices = list(indices)
    while indices and indices[-1] is None:
        indices.pop()
    if any(each is not None and dtype_of(each) == "bool" for each in indices):
        raise DTypeError(
            "indexing by a mask gives a shape that depends on values, which no graph can hold",
            hint="write it with torch.where, or give positions",
        )
    return indices


@RULES("aten.index.Tensor", "aten._unsafe_index.Tensor")
def index(x: Array, indices: Sequence[Array | None]) -> Array:
    return ops.index(x, _positions(indices))


@RULES("aten.index_select.default")
def index_select(x: Array, dim: int, index: Array) -> Array:
    return ops.take(x, index, axis=dim)


@RULES("aten.gather.default")
def gather(x: Array, dim: int, index: Array, *, sparse_grad: bool = False) -> Array:
    return ops.take_along_axis(_as_long(x, dim, index), index, axis=dim)


def _as_long(x: Array, dim: int, index: Array) -> Array:
    """x cut to the sizes of the positions on the other axes: PyTorch does not broadcast there."""
    axis = normalize_axis(dim, len(shape_of(x)))
    for i, (own, wanted) in enumerate(zip(shape_of(x), shape_of(index), strict=True)):
        if i != axis and own != wanted:
            x = slice_(x, i, None, wanted)
    return x


@RULES("aten.take_along_dim.default")
def take_along_dim(x: Array, indices: Array, dim: int | None = None) -> Array:
    if dim is None:
        x, indices, dim = view(x, (-1,)), view(indices, (-1,)), 0
    return ops.take_along_axis(x, ops.from_start(indices, x, axis=dim), axis=dim)


def _values(x: Array, values: Any, shape: Sequence[Size] | None = None) -> Array:
    """Values in the dtype of x, cut to a shape where PyTorch takes only the part that it needs."""
    if not is_array(values):
        return created(ops.full, x, shape=(), fill_value=values, dtype=dtype_of(x))
    for axis, size in enumerate(shape or ()):
        values = slice_(values, axis, None, size)
    return cast(values, dtype_of(x))


@RULES("aten.scatter.src", "aten.scatter.value")
def scatter(x: Array, dim: int, index: Array, values: Any) -> Array:
    return ops.set_along_axis(x, index, _values(x, values, shape_of(index)), axis=dim)


@RULES("aten.scatter_add.default")
def scatter_add(x: Array, dim: int, index: Array, values: Array) -> Array:
    return ops.add_along_axis(x, index, _values(x, values, shape_of(index)), axis=dim)


@RULES("aten.scatter.reduce", "aten.scatter.value_reduce")
def scatter_with(x: Array, dim: int, index: Array, values: Any, *, reduce: str) -> Array:
    if not is_array(values):
        values = created(ops.full, x, shape=shape_of(index), fill_value=values, dtype=dtype_of(x))
    return scatter_reduce(x, dim, index, values, {"add": "sum", "multiply": "prod"}[reduce])


@RULES("aten.scatter_reduce.two")
def scatter_reduce(x: Array, dim: int, index: Array, values: Array, reduce: str, *, include_self: bool = True) -> Array:
    if not shape_of(x):
        x, index, values = (view(each, (1,)) for each in (x, index, values))
        return view(scatter_reduce(x, 0, index, values, reduce, include_self=include_self), ())
    values = _values(x, values, shape_of(index))
    part = _as_long(x, dim, index)
    if shape_of(part) != shape_of(x):  # what lies beyond the positions on the other axes stays
        return _put_back(x, scatter_reduce(part, dim, index, values, reduce, include_self=include_self))
    reduction = {"amax": "max", "amin": "min"}.get(reduce, reduce)
    if reduction == "mean":
        return _scatter_mean(x, dim, index, values, include_self)
    if not include_self:  # what is combined with is neutral
        dtype = dtype_of(x)
        neutral = created(ops.full, x, shape=shape_of(index), fill_value=_neutral(reduction, dtype), dtype=dtype)
        x = ops.set_along_axis(x, index, neutral, axis=dim)
    return ops.scatter_reduce(x, index, values, axis=dim, reduction=reduction)


def _put_back(x: Array, part: Array) -> Array:
    """x, whose first elements on each axis are those of a part."""
    sizes, wanted = shape_of(x), shape_of(part)
    axis = next((i for i, (own, new) in enumerate(zip(sizes, wanted, strict=True)) if own != new), None)
    if axis is None:
        return part
    head = slice_(x, axis, None, wanted[axis])
    return ops.concat([_put_back(head, part), slice_(x, axis, wanted[axis])], axis=axis)


def _scatter_mean(x: Array, dim: int, index: Array, values: Array, include_self: bool) -> Array:
    """Sums over how many were added; whole numbers for integers, rounded down."""
    dtype = dtype_of(x)
    ones = created(ops.full, x, shape=shape_of(index), fill_value=1, dtype=dtype)
    count = ops.add_along_axis(
        created(ops.full, x, shape=shape_of(x), fill_value=0, dtype=dtype), index, ones, axis=dim
    )
    total = x
    if include_self:
        count = count + 1
    else:
        total = ops.where(ops.greater(count, 0), 0, x)
        count = ops.maximum(count, 1)
    total = ops.add_along_axis(total, index, values, axis=dim)
    return ops.floor_divide(total, count) if is_integer(dtype) else ops.divide(total, count)


def _neutral(reduction: str, dtype: str) -> float:
    """What changes nothing in a reduction."""
    if reduction in ("sum", "prod"):
        return 0 if reduction == "sum" else 1
    limits = np.iinfo(dtype) if is_integer(dtype) else None
    if reduction == "max":
        return -math.inf if limits is None else limits.min
    return math.inf if limits is None else limits.max


@RULES("aten.take.default")
def take(x: Array, index: Array) -> Array:
    """Positions count through all axes."""
    return ops.index(view(x, (-1,)), [index])


@RULES("aten.index_put.default", "aten._unsafe_index_put.default")
def index_put(x: Array, indices: Sequence[Array | None], values: Any, accumulate: bool = False) -> Array:
    if len(indices) == 1 and indices[0] is not None and dtype_of(indices[0]) == "bool":
        return _masked_put(x, indices[0], _values(x, values), accumulate)
    put = ops.at_add if accumulate else ops.at_set
    return put(x, _positions(indices), _values(x, values))


def _masked_put(x: Array, mask: Array, values: Array, accumulate: bool) -> Array:
    """One value for all places where the mask holds, or one after the other for each."""
    rest = shape_of(x)[len(shape_of(mask)) :]
    missing = len(rest) + 1 - len(shape_of(values))
    values = view(values, (*(1,) * missing, *shape_of(values))) if missing > 0 else values
    number = shape_of(values)[0]
    if number == 0:
        return x
    if number != 1:
        count = ops.cumulative_sum(ops.astype(view(mask, (-1,)), dtype="int64"), axis=0)
        values = ops.take(values, ops.minimum(ops.maximum(count - 1, 0), number - 1), axis=0)
        values = view(values, (*shape_of(mask), *shape_of(values)[1:]))
    holds = view(mask, (*shape_of(mask), *(1,) * len(rest)))
    if accumulate:
        return x + ops.where(holds, values, 0)
    return ops.where(holds, values, x)


@RULES("aten.put.default")
def put(x: Array, index: Array, source: Array, accumulate: bool = False) -> Array:
    """Positions count through all axes."""
    places, values = view(index, (-1,)), _values(x, view(source, (-1,)))
    found = (ops.at_add if accumulate else ops.at_set)(view(x, (-1,)), [places], values)
    return view(found, shape_of(x))


@RULES("aten.masked_scatter.default")
def masked_scatter(x: Array, mask: Array, source: Array) -> Array:
    """The first elements of the source, one after the other, wherever the mask holds."""
    shape = broadcast_shapes(shape_of(x), shape_of(mask))
    if product(shape) == 0 or product(shape_of(source)) == 0:
        return expand(x, shape)
    mask = expand(mask, shape)
    count = ops.cumulative_sum(view(ops.astype(mask, dtype="int64"), (-1,)), axis=0)
    place = ops.minimum(ops.maximum(count - 1, 0), product(shape_of(source)) - 1)
    values = view(ops.index(view(source, (-1,)), [place]), shape)
    return ops.where(mask, values, expand(x, shape))


@RULES("aten._unsafe_masked_index.default")
def masked_index(x: Array, mask: Array, indices: Sequence[Array | None], fill: float) -> Array:
    """What positions out of bounds give is never taken: the mask does not hold there."""
    found = ops.index(x, _positions(_bounded(x, indices)))
    value = scalar(fill, dtype_of(x), x)
    return ops.where(mask, found, value)


@RULES("aten._unsafe_masked_index_put_accumulate.default")
def masked_index_put(x: Array, mask: Array, indices: Sequence[Array | None], values: Array) -> Array:
    indices = _bounded(x, indices)
    kept = ops.where(mask, values, scalar(0, dtype_of(values), values))
    return ops.at_add(x, _positions(indices), kept)


def _bounded(x: Array, indices: Sequence[Array | None]) -> list[Array | None]:
    sizes = shape_of(x)
    return [
        each if each is None else ops.maximum(ops.minimum(each, sizes[axis] - 1), -sizes[axis])
        for axis, each in enumerate(indices)
    ]


@RULES("aten.nonzero_static.default")
def nonzero_static(x: Array, *, size: int, fill_value: int = -1) -> Array:
    """The places that are not zero, as rows; so many of them, of which the last are filled where there are fewer."""
    shape = shape_of(x)
    count = product(shape)
    if not all(isinstance(each, int) for each in (*shape, count)):
        raise ShapeError(f"expected an array of known sizes, received {shape}")
    if not count or not size or not shape:
        return created(ops.full, x, shape=(size, len(shape)), fill_value=fill_value, dtype="int64")
    flat = ops.astype(ops.equal(view(x, (-1,)), 0), dtype="int32")
    places = slice_(ops.argsort(flat, axis=0), 0, None, size)
    if size > count:  # pyright: ignore[reportOperatorIssue] known sizes
        places = ops.pad(places, padding=((0, size - count),))
    rows: list[Array] = []
    for length in reversed(shape):
        rows.insert(0, ops.remainder(places, length))
        places = ops.floor_divide(places, length)
    every = created(ops.arange, x, stop=size, dtype="int64")
    found = ops.less(every, ops.sum(1 - ops.astype(flat, dtype="int64")))
    return ops.where(unsqueeze(found, 1), stack(rows, 1), fill_value)


@RULES("aten.index_add.default")
def index_add(x: Array, dim: int, index: Array, source: Array, *, alpha: float = 1) -> Array:
    source = source if alpha == 1 else source * alpha
    return ops.at_add(x, [*[None] * normalize_axis(dim, len(shape_of(x))), index], _values(x, source))


@RULES("aten.index_reduce.default")
def index_reduce(x: Array, dim: int, index: Array, source: Array, reduce: str, *, include_self: bool = True) -> Array:
    if not shape_of(x):
        found = index_reduce(view(x, (1,)), 0, view(index, (1,)), view(source, (1,)), reduce, include_self=include_self)
        return view(found, ())
    axis = normalize_axis(dim, len(shape_of(x)))
    places = view(index, (*(1,) * axis, -1, *(1,) * (len(shape_of(x)) - axis - 1)))
    return scatter_reduce(x, axis, expand(places, shape_of(source)), source, reduce, include_self=include_self)


@RULES("aten.index_copy.default")
def index_copy(x: Array, dim: int, index: Array, source: Array) -> Array:
    return ops.at_set(x, [*[None] * normalize_axis(dim, len(shape_of(x))), index], _values(x, source))


@RULES("aten.index_fill.int_Scalar")
def index_fill(x: Array, dim: int, index: Array, value: float) -> Array:
    return ops.at_set(x, [*[None] * normalize_axis(dim, len(shape_of(x))), index], _values(x, value))


@RULES("aten.slice_scatter.default")
def slice_scatter(
    x: Array, source: Array, dim: int = 0, start: Size | None = None, end: Size | None = None, step: int = 1
) -> Array:
    """x with a slice replaced: what is before, the slice, what is after."""
    sizes = shape_of(x)
    axis = normalize_axis(dim, len(sizes))
    source = _values(x, source)
    if step != 1:
        every = created(ops.arange, x, stop=sizes[axis], dtype="int64")
        return ops.at_set(x, [*[None] * axis, slice_(every, 0, start, end, step)], source)
    if shape_of(source) == sizes:
        return source
    parts = []
    if start not in (None, 0):
        parts.append(slice_(x, axis, None, start))
    parts.append(source)
    size = sizes[axis]
    if (
        end is not None
        and end != size
        and not (isinstance(end, int) and end >= (size if isinstance(size, int) else 2**62))
    ):
        parts.append(slice_(x, axis, end))
    return ops.concat(parts, axis=axis)


@RULES("aten.select_scatter.default")
def select_scatter(x: Array, source: Array, dim: int, index: Size) -> Array:
    sizes = shape_of(x)
    axis = normalize_axis(dim, len(sizes))
    start = index + sizes[axis] if isinstance(index, int) and index < 0 else index
    return slice_scatter(x, unsqueeze(source, axis), axis, start, start + 1)


@RULES("aten.copy.default")
def copy(x: Array, source: Array, non_blocking: bool = False) -> Array:
    return expand(cast(source, dtype_of(x)), shape_of(x))


@RULES("aten.fill.Scalar", "aten.fill.Tensor")
def fill(x: Array, value: Any) -> Array:
    if is_array(value):
        return expand(cast(value, dtype_of(x)), shape_of(x))
    return created(ops.full, x, shape=shape_of(x), fill_value=value, dtype=dtype_of(x))


@RULES("aten.zero.default")
def zero(x: Array) -> Array:
    return fill(x, 0)


# -- triangles, order ------------------------------------------------------------------------------------------------


@RULES("aten.tril.default")
def tril(x: Array, diagonal: int = 0) -> Array:
    return ops.tril(x, k=diagonal)


@RULES("aten.triu.default")
def triu(x: Array, diagonal: int = 0) -> Array:
    return ops.triu(x, k=diagonal)


@RULES("aten.diagonal.default")
def diagonal(x: Array, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Array:
    """The diagonal of two axes, on a new last axis."""
    x = movedim(x, (dim1, dim2), (-2, -1))
    *batch, rows, columns = shape_of(x)
    x = slice_(x, len(batch) + 1, max(offset, 0))
    x = slice_(x, len(batch), max(-offset, 0))
    *batch, rows, columns = shape_of(x)
    size = minimum(rows, columns)
    positions = created(ops.arange, x, stop=size, dtype="int64")
    return ops.index(x, [*[None] * len(batch), positions, positions])


@RULES("aten.diagonal_scatter.default")
def diagonal_scatter(x: Array, source: Array, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Array:
    moved = movedim(x, (dim1, dim2), (-2, -1))
    *batch, _, _ = shape_of(moved)
    size = shape_of(source)[-1]
    every = created(ops.arange, x, stop=size, dtype="int64")
    places = [*[None] * len(batch), every + max(-offset, 0), every + max(offset, 0)]
    return movedim(ops.at_set(moved, places, _values(x, source)), (-2, -1), (dim1, dim2))


@RULES("aten.one_hot.default")
def one_hot(x: Array, num_classes: int = -1) -> Array:
    if num_classes == -1:
        raise DTypeError("expected the number of classes: without it the shape depends on values")
    return ops.one_hot(x, num_classes=num_classes, dtype="int64")


@RULES("aten.topk.default")
def topk(x: Array, k: Size, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Array, Array]:
    if largest:
        values, positions = ops.topk(x, k=k, axis=dim)
        return values, positions
    values, positions = ops.topk(-x, k=k, axis=dim)
    return -values, positions


@RULES("aten.sort.default", "aten.sort.stable")
def sort(x: Array, dim: int = -1, descending: bool = False, *, stable: bool = False) -> tuple[Array, Array]:
    positions = ops.argsort(x, axis=dim, descending=descending)
    return ops.take_along_axis(x, positions, axis=dim), positions


@RULES("aten.argsort.default", "aten.argsort.stable")
def argsort(x: Array, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Array:
    return ops.argsort(x, axis=dim, descending=descending)


# -- by places in memory ---------------------------------------------------------------------------------------------


def _places(x: Array, size: Sequence[Size], stride: Sequence[Size], offset: Size | None, laid: Any) -> tuple[Any, Any]:
    """An array as it lies in memory, in one row, and the places there of elements that are strides apart.

    ``laid`` has the order of x's axes in memory; None where it is a part of an array that lies there.
    """
    if laid is None:
        raise CaptureError(
            "as_strided of a view shows memory beside it, and a graph has arrays alone",
            hint="call as_strided on the whole array, or use Tensor.unfold and slices",
        )
    flat = view(x if laid == tuple(range(len(laid))) else ops.transpose(x, axes=laid), (-1,))
    places: Any = scalar(0 if offset is None else offset, "int64", x)
    for axis, (length, step) in enumerate(zip(size, stride, strict=True)):
        line = created(ops.arange, x, stop=length, dtype="int64") * step
        places = places + ops.reshape(line, shape=(length, *(1,) * (len(size) - axis - 1)))
    return flat, ops.broadcast_to(places, shape=tuple(size))


@RULES("aten.as_strided.default", "aten.as_strided_copy.default")
def as_strided(
    x: Array, size: Sequence[Size], stride: Sequence[Size], storage_offset: Size | None = None, *, laid: Any = None
) -> Array:
    flat, places = _places(x, size, stride, storage_offset, laid)
    return ops.take(flat, places, axis=0)


@RULES("aten.as_strided_scatter.default")
def as_strided_scatter(
    x: Array,
    src: Array,
    size: Sequence[Size],
    stride: Sequence[Size],
    storage_offset: Size | None = None,
    *,
    laid: Any = None,
) -> Array:
    flat, places = _places(x, size, stride, storage_offset, laid)
    written = ops.at_set(flat, (view(places, (-1,)),), view(src, (-1,)))
    back = ops.reshape(written, shape=tuple(shape_of(x)[axis] for axis in laid))
    return (
        back if laid == tuple(range(len(laid))) else ops.transpose(back, axes=tuple(map(laid.index, range(len(laid)))))
    )


@RULES("aten.resize.default")
def resize(x: Array, size: Sequence[Size]) -> Array:
    """The first elements of x; more of them would be memory as it was."""
    flat, count = view(x, (-1,)), product(tuple(size))
    whole = shape_of(flat)[0]
    if not isinstance(count, int) or not isinstance(whole, int) or count > whole:
        raise CaptureError(f"resize_ of {shape_of(x)} to {tuple(size)} shows memory that nobody wrote")
    return ops.reshape(ops.getitem(flat, key=((None, count, None),)), shape=tuple(size))


@RULES("aten.resize_as.default")
def resize_as(x: Array, template: Array) -> Array:
    return resize(x, shape_of(template))
