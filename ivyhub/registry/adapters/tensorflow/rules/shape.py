"""Operations that move elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .....engine import ops
from .....engine.dims import Size, floordiv, product
from .....errors import CaptureError
from .common import FULL, Array, dtype_of, reads, reshape, shape_of, transpose, zero_of


@reads("Reshape", known=(1,))
def reshape_to(x: Array, shape: Sequence[Size]) -> Array:
    """One size may be -1: what is left of the elements."""
    wanted = list(shape)
    sizes = shape_of(x)
    if -1 in wanted:
        place = wanted.index(-1)
        wanted[place] = 1
        wanted[place] = _rest(sizes, wanted)
    return reshape(x, wanted)


def _rest(sizes: Sequence[Size], wanted: Sequence[Size]) -> Size:
    """What is left: sizes that stand on both sides cancel, so that no quotient is written for them."""
    left, right = list(sizes), [size for size in wanted if size != 1]
    for size in list(right):
        if size in left:
            left.remove(size)
            right.remove(size)
    return floordiv(product(left), product(right))


@reads("Transpose", known=(1,))
def transpose_to(x: Array, perm: Sequence[int]) -> Array:
    return transpose(x, [axis % len(perm) for axis in perm])


@reads("ConjugateTranspose", known=(1,))
def conjugate_transpose(x: Array, perm: Sequence[int]) -> Array:
    x = ops.conj(x) if "complex" in dtype_of(x) else x
    return transpose_to(x, perm)


@reads("ExpandDims", known=(1,))
def expand_dims(x: Array, axis: int | Sequence[int]) -> Array:
    (axis,) = (axis,) if isinstance(axis, int) else axis
    axis %= len(shape_of(x)) + 1
    return ops.getitem(x, key=(*(FULL,) * axis, None))


@reads("Squeeze")
def squeeze(x: Array, *, squeeze_dims: Sequence[int]) -> Array:
    sizes = shape_of(x)
    axes = {axis % len(sizes) for axis in squeeze_dims} or {axis for axis, size in enumerate(sizes) if size == 1}
    return reshape(x, [size for axis, size in enumerate(sizes) if axis not in axes])


@reads("Pack")
def pack(*arrays: Array, axis: int) -> Array:
    return ops.stack(arrays, axis=axis)


@reads("Unpack")
def unpack(x: Array, *, num: int, axis: int) -> tuple[Array, ...]:
    axis %= len(shape_of(x))
    return tuple(ops.getitem(x, key=(*(FULL,) * axis, place)) for place in range(num))


@reads("ConcatV2", known=(-1,))
def concat(*arrays: Any) -> Array:
    *parts, axis = arrays
    return parts[0] if len(parts) == 1 else ops.concat(parts, axis=axis % len(shape_of(parts[0])))


@reads("Split", known=(0,))
def split(axis: int, x: Array, *, num_split: int) -> tuple[Array, ...]:
    axis %= len(shape_of(x))
    part = floordiv(shape_of(x)[axis], num_split)
    return tuple(ops.split(x, sizes=(part,) * num_split, axis=axis)) if num_split > 1 else (x,)


@reads("SplitV", known=(1, 2))
def split_sizes(x: Array, sizes: Sequence[Size], axis: int, *, num_split: int) -> tuple[Array, ...]:
    axis %= len(shape_of(x))
    parts = list(sizes)
    if -1 in parts:
        place = parts.index(-1)
        parts[place] = 0
        parts[place] = shape_of(x)[axis] - sum(parts)
    return tuple(ops.split(x, sizes=tuple(parts), axis=axis)) if num_split > 1 else (x,)


@reads("Slice", known=(1, 2))
def slice_(x: Array, begin: Sequence[Size], size: Sequence[Size]) -> Array:
    """A size of -1 is what is left of the axis."""
    key = []
    for start, length, total in zip(begin, size, shape_of(x), strict=True):
        stop = None if length == -1 or start + length == total else start + length
        key.append((None if start == 0 else start, stop, None))
    return _at(x, key)


def _at(x: Array, key: Sequence[Any]) -> Array:
    """x at a key; an axis that is read backwards is turned around first."""
    key = list(key)
    axis = 0
    for place, item in enumerate(key):
        if isinstance(item, tuple) and item[2] is not None and item[2] < 0:
            key[place] = _forwards(item, shape_of(x)[axis])
            x = ops.flip(x, axis=axis)
        axis += item is not None
    while key and key[-1] == FULL:
        key.pop()
    return ops.getitem(x, key=tuple(key)) if key else x


def _forwards(item: tuple[Any, Any, int], size: Size) -> tuple[Any, Any, Any]:
    """The slice of an axis that was turned around, for one with a negative step."""
    start, stop, step = item
    if start is None and stop is None:
        return (None, None, None if step == -1 else -step)
    if not isinstance(size, int) or not isinstance(start, int | None) or not isinstance(stop, int | None):
        raise CaptureError(f"a slice that goes backwards through an axis of {size} is unknown")
    first, last, _ = slice(start, stop, step).indices(size)
    return (size - 1 - first, size - 1 - last, None if step == -1 else -step)


def slice_key(
    begin: Sequence[Any],
    end: Sequence[Any],
    strides: Sequence[int],
    shape: Sequence[Size],
    masks: tuple[int, int, int, int, int],
) -> list[Any]:
    """The key of a strided slice: for each axis an index, None for a new one, or (start, stop, step).

    ``masks`` are those of begin, end, ellipsis, new axes and shrunk axes, one bit for each item.
    """
    begin_mask, end_mask, ellipsis, new, shrink = masks
    named = sum(not (new | ellipsis) >> i & 1 for i in range(len(begin)))
    key: list[Any] = []
    axis = 0
    for i in range(len(begin)):
        bit = 1 << i
        if ellipsis & bit:
            count = len(shape) - named
            key += [FULL] * count
            axis += count
        elif new & bit:
            key.append(None)
        elif shrink & bit:
            key.append(begin[i])
            axis += 1
        else:
            start = None if begin_mask & bit else begin[i]
            stop = None if end_mask & bit else end[i]
            step = strides[i]
            start = None if step > 0 and start == 0 else start
            size = shape[axis]
            if step > 0 and (stop == size or (isinstance(stop, int) and isinstance(size, int) and stop >= size)):
                stop = None
            if step > 0 and isinstance(stop, int) and stop >= 2**31 - 1:  # the largest number stands for the end
                stop = None
            key.append((start, stop, None if step == 1 else step))
            axis += 1
    return key


@reads("StridedSlice", known=(1, 2, 3))
def strided_slice(
    x: Array,
    begin: Sequence[Size],
    end: Sequence[Size],
    strides: Sequence[int],
    *,
    begin_mask: int,
    end_mask: int,
    ellipsis_mask: int,
    new_axis_mask: int,
    shrink_axis_mask: int,
) -> Array:
    masks = (begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    return _at(x, slice_key(begin, end, strides, shape_of(x), masks))


@reads("Pad", known=(1,))
def pad(x: Array, paddings: Sequence[Sequence[Size]]) -> Array:
    return pad_with(x, paddings, zero_of(dtype_of(x)))


@reads("PadV2", known=(1, 2))
def pad_with(x: Array, paddings: Sequence[Sequence[Size]], value: Any) -> Array:
    padding = tuple((before, after) for before, after in paddings)
    if all(pair == (0, 0) for pair in padding):
        return x
    return ops.pad(x, padding=padding, value=0 if value == 0 else value)


@reads("MirrorPad", known=(1,))
def mirror_pad(x: Array, paddings: Sequence[Sequence[Size]], *, mode: str) -> Array:
    padding = tuple((before, after) for before, after in paddings)
    if mode == "REFLECT":
        return ops.pad(x, padding=padding, mode="reflect")
    for axis, (before, after) in enumerate(padding):  # the edge is repeated, too
        if not isinstance(before, int) or not isinstance(after, int):
            raise CaptureError(f"expected known lengths of symmetric padding, received {padding}")
        parts = [x]
        lead = (FULL,) * axis
        if before:
            parts.insert(0, ops.flip(ops.getitem(x, key=(*lead, (None, before, None))), axis=axis))
        if after:
            parts.append(ops.flip(ops.getitem(x, key=(*lead, (-after, None, None))), axis=axis))
        x = ops.concat(parts, axis=axis) if len(parts) > 1 else x
    return x


@reads("Tile", known=(1,))
def tile(x: Array, multiples: Sequence[Size]) -> Array:
    return x if all(count == 1 for count in multiples) else ops.tile(x, repetitions=tuple(multiples))


@reads("BroadcastTo", known=(1,))
def broadcast_to(x: Array, shape: Sequence[Size]) -> Array:
    return x if tuple(shape) == shape_of(x) else ops.broadcast_to(x, shape=tuple(shape))


@reads("Fill", known=(0,), scalars=False)
def fill(dims: Sequence[Size], value: Array) -> Array:
    return ops.broadcast_to(value, shape=tuple(dims))


@reads("ReverseV2", known=(1,))
def reverse(x: Array, axis: Sequence[int]) -> Array:
    axes = tuple(a % len(shape_of(x)) for a in axis)
    return x if not axes else ops.flip(x, axis=axes[0] if len(axes) == 1 else axes)


@reads("Roll", known=(1, 2))
def roll(x: Array, shift: int | Sequence[int], axis: int | Sequence[int]) -> Array:
    shifts, axes = ((v,) if isinstance(v, int) else tuple(v) for v in (shift, axis))
    for step, place in zip(shifts, axes, strict=True):
        x = ops.roll(x, shift=step, axis=place % len(shape_of(x)))
    return x


# -- blocks of space -------------------------------------------------------------------------------------------------


@reads("SpaceToDepth")
def space_to_depth(x: Array, *, block_size: int, data_format: str) -> Array:
    b = block_size
    if data_format == "NCHW":
        return transpose(space_to_depth(transpose(x, (0, 2, 3, 1)), block_size=b, data_format="NHWC"), (0, 3, 1, 2))
    batch, height, width, channels = shape_of(x)
    x = ops.reshape(x, shape=(batch, floordiv(height, b), b, floordiv(width, b), b, channels))
    x = ops.transpose(x, axes=(0, 1, 3, 2, 4, 5))
    return ops.reshape(x, shape=(batch, floordiv(height, b), floordiv(width, b), b * b * channels))


@reads("DepthToSpace")
def depth_to_space(x: Array, *, block_size: int, data_format: str) -> Array:
    b = block_size
    if data_format == "NCHW":
        return transpose(depth_to_space(transpose(x, (0, 2, 3, 1)), block_size=b, data_format="NHWC"), (0, 3, 1, 2))
    batch, height, width, channels = shape_of(x)
    depth = floordiv(channels, b * b)
    x = ops.reshape(x, shape=(batch, height, width, b, b, depth))
    x = ops.transpose(x, axes=(0, 1, 3, 2, 4, 5))
    return ops.reshape(x, shape=(batch, height * b, width * b, depth))


@reads("SpaceToBatchND", known=(1, 2))
def space_to_batch(x: Array, block: Sequence[int], paddings: Sequence[Sequence[int]]) -> Array:
    m, ndim = len(block), len(shape_of(x))
    x = pad(x, [(0, 0), *paddings, *[(0, 0)] * (ndim - m - 1)])
    batch, *sizes = shape_of(x)
    rest = sizes[m:]
    parts = [part for size, b in zip(sizes, block, strict=False) for part in (floordiv(size, b), b)]
    x = ops.reshape(x, shape=(batch, *parts, *rest))
    order = (*range(2, 2 * m + 1, 2), 0, *range(1, 2 * m, 2), *range(2 * m + 1, 2 * m + 1 + len(rest)))
    x = ops.transpose(x, axes=order)
    return ops.reshape(x, shape=(batch * product(block), *parts[::2], *rest))


@reads("BatchToSpaceND", known=(1, 2))
def batch_to_space(x: Array, block: Sequence[int], crops: Sequence[Sequence[int]]) -> Array:
    m = len(block)
    batch, *sizes = shape_of(x)
    rest = sizes[m:]
    count = floordiv(batch, product(block))
    x = ops.reshape(x, shape=(*block, count, *sizes))
    order = [m]
    for i in range(m):
        order += [m + 1 + i, i]
    x = ops.transpose(x, axes=(*order, *range(2 * m + 1, 2 * m + 1 + len(rest))))
    grown = [size * b for size, b in zip(sizes, block, strict=False)]
    x = ops.reshape(x, shape=(count, *grown, *rest))
    key = [FULL] + [
        (before or None, size - after if after else None, None)
        for (before, after), size in zip(crops, grown, strict=True)
    ]
    return _at(x, key)
