"""Gathers, scatters and masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .....engine import ops
from .....engine.dims import Size, product
from .....errors import CaptureError
from .common import FULL, Array, cast, dtype_of, reads, shape_of, zero_of


@reads("GatherV2", known=(2,))
def gather(x: Array, indices: Array, axis: int, *, batch_dims: int) -> Array:
    ndim = len(shape_of(x))
    axis %= ndim
    if batch_dims == 0:
        return ops.take(x, indices, axis=axis)
    batch_dims %= len(shape_of(indices)) + 1
    lead, rest = shape_of(x)[:batch_dims], shape_of(indices)[batch_dims:]
    if len(rest) == 1 and axis == batch_dims == ndim - 1:
        return ops.take_along_axis(x, cast(indices, "int64"), axis=axis)
    if axis != batch_dims:  # the axis comes first, the result's axes go back to its place
        order = (*range(batch_dims), axis, *(a for a in range(batch_dims, ndim) if a != axis))
        found = gather(ops.transpose(x, axes=order), indices, batch_dims, batch_dims=batch_dims)
        between = list(range(batch_dims + len(rest), batch_dims + len(rest) + axis - batch_dims))
        middle = list(range(batch_dims, batch_dims + len(rest)))
        after = list(range(between[-1] + 1, len(shape_of(found))))
        return ops.transpose(found, axes=(*range(batch_dims), *between, *middle, *after))
    places = []
    for i, size in enumerate(lead):
        line = ops.arange(stop=size, dtype=dtype_of(indices))
        key = tuple(FULL if a == i else None for a in range(batch_dims + len(rest)))
        places.append(ops.getitem(line, key=key))
    return ops.index(x, [*places, indices])


@reads("GatherNd")
def gather_nd(x: Array, indices: Array) -> Array:
    return ops.index(x, _columns(indices))


@reads("ResourceGather")
def resource_gather(x: Array, indices: Array, *, batch_dims: int) -> Array:
    return gather(x, indices, batch_dims, batch_dims=batch_dims)


def _columns(indices: Array) -> list[Array]:
    """The last axis of an array, whose length is known, as arrays of indices."""
    depth = shape_of(indices)[-1]
    if not isinstance(depth, int):
        raise CaptureError(f"expected a known number of indices, received {depth}")
    lead = (FULL,) * (len(shape_of(indices)) - 1)
    return [ops.getitem(indices, key=(*lead, i)) for i in range(depth)]


@reads("ScatterNd", known=(2,))
def scatter_nd(indices: Array, updates: Array, shape: Sequence[Size]) -> Array:
    dtype = dtype_of(updates)
    empty = ops.full(shape=tuple(shape), fill_value=zero_of(dtype), dtype=dtype)
    return ops.at_add(empty, _columns(indices), updates)


@reads("TensorScatterUpdate")
def tensor_scatter_update(x: Array, indices: Array, updates: Array) -> Array:
    return ops.at_set(x, _columns(indices), updates)


@reads("TensorScatterAdd")
def tensor_scatter_add(x: Array, indices: Array, updates: Array) -> Array:
    return ops.at_add(x, _columns(indices), updates)


@reads("TensorScatterSub")
def tensor_scatter_sub(x: Array, indices: Array, updates: Array) -> Array:
    return ops.at_add(x, _columns(indices), ops.negative(updates))


@reads("TensorScatterMax")
def tensor_scatter_max(x: Array, indices: Array, updates: Array) -> Array:
    return ops.at_max(x, _columns(indices), updates)


@reads("TensorScatterMin")
def tensor_scatter_min(x: Array, indices: Array, updates: Array) -> Array:
    return ops.at_min(x, _columns(indices), updates)


@reads("OneHot", known=(1,))
def one_hot(indices: Array, depth: Size, on: Array, off: Array, *, axis: int) -> Array:
    """Rows of ``off`` where the index is outside."""
    ndim = len(shape_of(indices))
    axis = ndim if axis == -1 else axis
    line = ops.arange(stop=depth, dtype=dtype_of(indices))
    key = tuple(FULL if a == axis else None for a in range(ndim + 1))
    spread = ops.getitem(indices, key=(*(FULL,) * axis, None))
    return ops.where(ops.equal(spread, ops.getitem(line, key=key)), on, off)


@reads("MatrixBandPart", known=(1, 2))
def band_part(x: Array, lower: int, upper: int) -> Array:
    """What is at most ``lower`` below and ``upper`` above the diagonal; a negative one has no bound."""
    x = ops.triu(x, k=-lower) if lower >= 0 else x
    return ops.tril(x, k=upper) if upper >= 0 else x


@reads("MatrixDiagV3", known=(1, 2, 3, 4))
def matrix_diag(x: Array, k: Any, rows: int, columns: int, padding: Any, *, align: str) -> Array:
    """Vectors as the diagonals of square matrices."""
    if k not in (0, (0,)) or rows != -1 or columns != -1 or padding != 0:
        raise CaptureError("only the main diagonal of square matrices, with zeros around, is known of MatrixDiagV3")
    *_, size = shape_of(x)
    eye = ops.eye(n_rows=size, dtype="float32")
    row = ops.getitem(x, key=(*(FULL,) * len(shape_of(x)), None))
    return ops.where(ops.not_equal(eye, 0.0), row, zero_of(dtype_of(x)))


@reads("MatrixDiagPartV3", known=(1, 2))
def matrix_diag_part(x: Array, k: Any, padding: Any, *, align: str) -> Array:
    k = k[0] if isinstance(k, tuple) and len(set(k)) == 1 else k
    if not isinstance(k, int):
        raise CaptureError("only one diagonal is known of MatrixDiagPartV3")
    return ops.diagonal(x, offset=k)


@reads("MatrixSetDiagV3", known=(2,))
def matrix_set_diag(x: Array, diagonal: Array, k: Any, *, align: str) -> Array:
    if k not in (0, (0,)):
        raise CaptureError("only the main diagonal is known of MatrixSetDiagV3")
    rows, columns = shape_of(x)[-2:]
    row, column = ops.arange(stop=rows, dtype="int32"), ops.arange(stop=columns, dtype="int32")
    main = ops.equal(ops.getitem(row, key=(FULL, None)), column)
    lead = (FULL,) * (len(shape_of(x)) - 2)
    wide = isinstance(rows, int) and isinstance(columns, int) and columns > rows
    return ops.where(main, ops.getitem(diagonal, key=(*lead, FULL, None) if wide else (*lead, None)), x)


@reads("Bincount", known=(1,))
def bincount(x: Array, size: Size, weights: Array) -> Array:
    return _counted(x, size, weights, binary=False)


@reads("DenseBincount", known=(1,))
def dense_bincount(x: Array, size: Size, weights: Array, *, binary_output: bool) -> Array:
    return _counted(x, size, weights, binary=binary_output)


def _counted(x: Array, size: Size, weights: Array, *, binary: bool) -> Array:
    """How often each number below ``size`` occurs in an array, or in each of its rows; others do not count."""
    dtype = dtype_of(weights)
    line = ops.arange(stop=size, dtype=dtype_of(x))
    found = ops.equal(ops.getitem(x, key=(*(FULL,) * len(shape_of(x)), None)), line)
    axis = len(shape_of(x)) - 1
    if binary:
        return cast(ops.any(found, axis=axis), dtype)
    if product(shape_of(weights)) == 0:
        return cast(ops.sum(cast(found, dtype), axis=axis), dtype)
    spread = ops.getitem(weights, key=(*(FULL,) * len(shape_of(weights)), None))
    return cast(ops.sum(ops.where(found, spread, zero_of(dtype)), axis=axis), dtype)


@reads("Range", known=(0, 1, 2))
def range_(start: Any, limit: Any, delta: Any, *, Tidx: str) -> Array:  # noqa: N803 - TensorFlow's name
    return ops.arange(start=start, stop=limit, step=delta, dtype=Tidx)


@reads("LinSpace", known=(0, 1, 2))
def linspace(start: float, stop: float, num: int, *, T: str) -> Array:  # noqa: N803 - TensorFlow's name
    return ops.linspace(start=start, stop=stop, num=num, dtype=T)
