"""Tensors on their way: shapes and places are known at once, values are read when they are written."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from ivyhub.registry.places import Location
from ivyhub.registry.weights.dtypes import ITEMSIZE, numpy_dtype
from ivyhub.registry.weights.header import TensorInfo

# Measured on BERT-large: half to two megabytes are alike, four take three times the system time.
SLAB_BYTES = 1 << 20


class LazyTensor(msgspec.Struct, frozen=True):
    """A tensor that rules are being applied to.

    Casts are kept apart and done last, slab by slab: they commute with every other rule, and a cast tensor need
    not exist beside its source.

    Args:
        shape: its shape so far.
        dtype: its dtype so far, after the casts.
        view: reads it before the casts, as a view of the source where the rules allow.
        casts: dtypes to go through, in order.
        ranges: the bytes of its values in files, in order, while they are those of the source.
    """

    shape: tuple[int, ...]
    dtype: str
    view: Callable[[], np.ndarray]
    casts: tuple[str, ...] = ()
    ranges: tuple[Location, ...] | None = None

    def transpose(self, perm: tuple[int, ...]) -> LazyTensor:
        shape = tuple(self.shape[axis] for axis in perm)
        # Axes of length one may move freely: no byte does.
        moving = [axis for axis in perm if self.shape[axis] != 1]
        return msgspec.structs.replace(
            self,
            shape=shape,
            view=lambda: self.view().transpose(perm),
            ranges=self.ranges if moving == sorted(moving) else None,
        )

    def reshape(self, shape: tuple[int, ...]) -> LazyTensor:
        return msgspec.structs.replace(self, shape=shape, view=lambda: self.view().reshape(shape))

    def cast(self, dtype: str) -> LazyTensor:
        if dtype == self.dtype:
            return self
        return msgspec.structs.replace(self, dtype=dtype, casts=(*self.casts, dtype), ranges=None)

    def split(self, axis: int, sizes: tuple[int, ...]) -> tuple[LazyTensor, ...]:
        outer, inner = self.shape[:axis], self.shape[axis + 1 :]
        unit = ITEMSIZE[self.dtype] * math.prod(inner)  # bytes of one step along the axis, where it is the outermost
        parts: list[LazyTensor] = []
        for size, end in zip(sizes, itertools.accumulate(sizes), strict=True):
            index = (slice(None),) * axis + (slice(end - size, end),)
            ranges = None
            if self.ranges is not None and math.prod(outer) == 1:
                ranges = _cut(self.ranges, (end - size) * unit, size * unit)
            part = msgspec.structs.replace(
                self, shape=(*outer, size, *inner), view=lambda index=index: self.view()[index], ranges=ranges
            )
            parts.append(part)
        return tuple(parts)

    def reader(self) -> Reader:
        return Reader(self.view, self.casts)


def merge(parts: tuple[LazyTensor, ...], axis: int) -> LazyTensor:
    """The parts joined along an axis; they agree in dtype and in every other axis."""
    first = parts[0]
    shape = (*first.shape[:axis], sum(part.shape[axis] for part in parts), *first.shape[axis + 1 :])
    ranges = None
    if math.prod(shape[:axis]) == 1 and all(part.ranges is not None for part in parts):
        ranges = tuple(place for part in parts for place in part.ranges or ())
    if all(part.casts == first.casts for part in parts):
        return LazyTensor(
            shape, first.dtype, lambda: np.concatenate([part.view() for part in parts], axis), first.casts, ranges
        )
    return LazyTensor(shape, first.dtype, lambda: np.concatenate([part.reader()() for part in parts], axis), (), ranges)


def _cut(ranges: tuple[Location, ...], start: int, nbytes: int) -> tuple[Location, ...]:
    """Bytes `start` to `start + nbytes` of the joined ranges."""
    cut: list[Location] = []
    for path, offset, length in ranges:
        low, high = max(start, 0), min(start + nbytes, length)
        if low < high:
            cut.append(Location(path, offset + low, high - low))
        start -= length
    return tuple(cut)


class Reader(msgspec.Struct, frozen=True):
    """Reads one tensor, whole or in slabs.

    Args:
        view: the values before the casts.
        casts: dtypes to go through, in order; narrowing ones round to nearest even.
        release: called once the values are no longer needed.
    """

    view: Callable[[], np.ndarray]
    casts: tuple[str, ...] = ()
    release: Callable[[], None] = lambda: None

    def __call__(self) -> np.ndarray:
        """The whole tensor; a view of its source where no byte changes."""
        return self._cast(self.view())

    def slabs(self, nbytes: int = SLAB_BYTES) -> Iterator[np.ndarray]:
        """Its values in C order, as contiguous pieces of about `nbytes`."""
        for slab in _slabs(self.view(), nbytes):
            yield self._cast(slab)
        self.release()

    def _cast(self, array: np.ndarray) -> np.ndarray:
        for dtype in self.casts:
            array = array.astype(numpy_dtype(dtype))
        return array


class PlannedTensor(NamedTuple):
    """A tensor to be written.

    Args:
        info: name, dtype and shape that it will have.
        read: gives its values.
        passthrough: where its bytes lie already, as they are to be written; None where they must be computed.

    Example:
        >>> info = TensorInfo("bias", "float32", (3,))
        >>> PlannedTensor(info, Reader(lambda: np.zeros(3, np.float32)), None).read()
        array([0., 0., 0.], dtype=float32)
    """

    info: TensorInfo
    read: Reader
    passthrough: tuple[Location, ...] | None


def _slabs(view: np.ndarray, nbytes: int) -> Iterator[np.ndarray]:
    if view.size == 0:
        return
    if view.flags.c_contiguous:
        flat = view.reshape(-1)
        step = max(1, nbytes // view.itemsize)
        for start in range(0, flat.size, step):
            yield flat[start : start + step]
    elif view[0].nbytes > nbytes:
        for part in view:
            yield from _slabs(part, nbytes)
    else:
        step = max(1, nbytes // view[0].nbytes)
        for start in range(0, len(view), step):
            yield _contiguous(view[start : start + step])


def _contiguous(view: np.ndarray) -> np.ndarray:
    """A C-ordered copy of a strided view, several times as fast as `np.ascontiguousarray` on transposes.

    That one walks down the columns of memory and touches a cache line again for each of its numbers. Here a matrix
    goes tile by tile through a buffer that fits the cache and whose rows are a cache line longer than the tile's, so
    that a column of it does not fall on one set of the cache; other views are copied a cache line at a time.
    """
    if view.ndim < 2 or view.strides[-1] == view.itemsize:
        return np.ascontiguousarray(view)
    made = np.empty(view.shape, view.dtype)
    line = max(1, 64 // view.itemsize)
    if any(view.strides[axis] != view.strides[axis + 1] * view.shape[axis + 1] for axis in range(1, view.ndim - 1)):
        for start in range(0, view.shape[-1], line):
            made[..., start : start + line] = view[..., start : start + line]
        return made
    source, target = (array.reshape(len(view), -1) for array in (view, made))  # all axes but the first are one
    height, width = 8 * line, 16 * line
    padded = np.empty((height, width + line), view.dtype)
    for left in range(0, target.shape[1], height):
        for top in range(0, len(target), width):
            part = source[top : top + width, left : left + height].T
            tile = padded[: part.shape[0], : part.shape[1]]
            tile[...] = part
            target[top : top + width, left : left + height] = tile.T
    return made
