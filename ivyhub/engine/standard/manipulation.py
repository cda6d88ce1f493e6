"""Manipulation and indexing functions of the standard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import native, ops
from ..op import Array
from ..refusals import operand
from ..spec import Spec, normalize_axes, normalize_axis
from ..spec import broadcast_shapes as _broadcast_shapes
from ._common import is_integer, owner_of, same

Axes = int | tuple[int, ...]


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all broadcast to. Raises `ShapeError` where there is none."""
    return tuple(_broadcast_shapes(*shapes))  # pyright: ignore[reportReturnType] sizes of arrays are integers


def broadcast_to(x: Array, /, shape: tuple[int, ...]) -> Array:
    """x repeated along its axes of size 1 and along new leading axes."""
    return ops.broadcast_to(x, shape=tuple(shape))


def broadcast_arrays(*arrays: Array) -> tuple[Array, ...]:
    """Arrays broadcast to one shape."""
    shape = broadcast_shapes(*(tuple(x.shape) for x in arrays))
    return tuple(ops.broadcast_to(x, shape=shape) for x in arrays)


def concat(arrays: Sequence[Array], /, *, axis: int | None = 0) -> Array:
    """Arrays one after the other along an axis; flattened first for ``axis=None``."""
    if axis is None:
        return ops.concat([ops.reshape(x, shape=(size_of(x),)) for x in arrays], axis=0)
    return ops.concat(list(arrays), axis=axis)


def size_of(x: Array) -> Any:
    """The number of elements; -1, as `reshape` takes it, where TensorFlow does not know a size yet."""
    total: Any = 1
    for size in x.shape:
        if size is None:
            return -1
        total *= size
    return total


def stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Array:
    """Arrays of one shape side by side along a new axis."""
    return ops.stack(list(arrays), axis=axis)


def expand_dims(x: Array, /, axis: Axes = 0) -> Array:
    """x with axes of size 1 at positions of the result."""
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    ndim = len(x.shape) + len(axes)
    new = normalize_axes(axes, ndim)
    sizes = iter(x.shape)
    return ops.reshape(x, shape=tuple(1 if i in new else next(sizes) for i in range(ndim)))


def squeeze(x: Array, /, axis: Axes) -> Array:
    """x without axes of size 1. Raises `ShapeError` (a ValueError) on one of another size."""
    axes = normalize_axes(axis, len(x.shape))
    for each in axes:
        if x.shape[each] != 1:
            raise ShapeError(f"expected axis {each} of size 1, received the shape {tuple(x.shape)}")
    return ops.reshape(x, shape=tuple(size for i, size in enumerate(x.shape) if i not in axes))


def flip(x: Array, /, *, axis: Axes | None = None) -> Array:
    """The order of the elements reversed along axes, all of them for None."""
    axes = normalize_axes(axis, len(x.shape))
    return ops.flip(x, axis=axes) if axes else same(x)


def moveaxis(x: Array, source: Axes, destination: Axes, /) -> Array:
    """Axes moved to new places; the others keep their order."""
    ndim = len(x.shape)
    sources, destinations = normalize_axes(source, ndim), normalize_axes(destination, ndim)
    if len(sources) != len(destinations):
        raise ShapeError(f"expected as many destinations as sources, received {source} and {destination}")
    order = [axis for axis in range(ndim) if axis not in sources]
    for place, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(place, axis)
    return ops.transpose(x, axes=tuple(order))


def permute_dims(x: Array, /, axes: tuple[int, ...]) -> Array:
    """The axes in another order: axis i of the result is axis ``axes[i]`` of x."""
    return ops.transpose(x, axes=normalize_axes(tuple(axes), len(x.shape)))


def matrix_transpose(x: Array, /) -> Array:
    """The last two axes exchanged."""
    ndim = len(x.shape)
    if ndim < 2:
        raise ShapeError(f"expected two axes or more, received the shape {tuple(x.shape)}")
    return ops.transpose(x, axes=(*range(ndim - 2), ndim - 1, ndim - 2))


def repeat(x: Array, repeats: Any, /, *, axis: int | None = None) -> Array:
    """Each element repeated along an axis, by one number or one for each element; flattened first for None."""
    if axis is None:
        x, axis = ops.reshape(x, shape=(size_of(x),)), 0
    if not hasattr(repeats, "shape"):
        return ops.repeat(x, repeats=int(repeats), axis=axis)
    size = x.shape[normalize_axis(axis, len(x.shape))]
    counts = [int(n) for n in ops.broadcast_to(repeats, shape=(size,))]
    positions = np.repeat(np.arange(size), counts)
    return ops.take(x, native.module(owner_of(x)).asarray(positions, "int64", None), axis=axis)


def reshape(x: Array, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Array:
    """The same elements, in order, in another shape; -1 stands for the size that is left.

    ``copy`` is True for memory of its own. Raises `ShapeError` where the sizes do not fit.
    """
    sizes = [int(size) if isinstance(size, np.integer) else size for size in shape]
    if -1 in sizes:
        known = 1
        for size in sizes:
            known *= size if size != -1 else 1
        total = size_of(x)
        if total == -1:
            return ops.reshape(x, shape=tuple(sizes))
        if sizes.count(-1) > 1 or not known or total % known:
            raise ShapeError(f"expected a shape of {total} elements, received {tuple(shape)}")
        sizes[sizes.index(-1)] = total // known
    found = ops.reshape(x, shape=tuple(sizes))
    return same(found) if copy else found


def roll(x: Array, /, shift: Axes, *, axis: Axes | None = None) -> Array:
    """Elements moved along axes, what leaves at the end comes back at the start; flattened for ``axis=None``."""
    if axis is None:
        flat = ops.roll(ops.reshape(x, shape=(size_of(x),)), shift=shift, axis=0)
        return ops.reshape(flat, shape=tuple(x.shape))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    shifts = (shift,) * len(axes) if isinstance(shift, int) else tuple(shift)
    return ops.roll(x, shift=shifts, axis=axes)


def tile(x: Array, repetitions: tuple[int, ...], /) -> Array:
    """x as a whole, repeated along each axis; missing axes on either side count as 1."""
    repetitions = tuple(repetitions)
    ndim = max(len(x.shape), len(repetitions))
    shape = (*(1,) * (ndim - len(x.shape)), *x.shape)
    lead = (1,) * (ndim - len(repetitions))
    return ops.tile(ops.reshape(x, shape=shape), repetitions=(*lead, *repetitions))


def unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The slices of an array along an axis."""
    axis = normalize_axis(axis, len(x.shape))
    lead = ((None, None, None),) * axis
    return tuple(ops.getitem(x, key=(*lead, i)) for i in range(x.shape[axis]))


def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    """The elements at positions of an axis, which may be left out of a vector."""
    if axis is None:
        if len(x.shape) != 1:
            raise ShapeError(f"expected an axis for an array of {len(x.shape)} axes", hint="pass axis=")
        axis = 0
    return ops.take(x, _from_start("take", indices, x, axis), axis=axis)


def _from_start(name: str, indices: Array, x: Array, axis: int) -> Array:
    """Positions counted from the start of an axis, for a function of that name."""
    positions = operand(indices, owner_of(x), name)
    if not isinstance(positions, Spec) or not is_integer(positions.dtype):
        raise DTypeError(
            f"{name} expected an integer array of positions, received {positions}",
            hint="asarray makes one of a list; x[mask] chooses by truth values",
        )
    return ops.from_start(indices, x, axis=normalize_axis(axis, len(x.shape)))


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    """For each line along an axis, its elements at the positions that stand in the same line of ``indices``."""
    return ops.take_along_axis(x, _from_start("take_along_axis", indices, x, axis), axis=axis)


PLAIN = (
    *(broadcast_arrays, broadcast_shapes, broadcast_to, concat, expand_dims, flip, matrix_transpose, moveaxis),
    *(permute_dims, repeat, reshape, roll, squeeze, stack, take, take_along_axis, tile, unstack),
)
