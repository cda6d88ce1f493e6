"""Operators that move elements, and those of shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .....engine import ops
from .....engine.dims import Dim, Size, floordiv, product
from .....engine.spec import broadcast_shapes
from .....errors import CaptureError
from .common import (
    FULL,
    RULES,
    Array,
    arange,
    cast,
    dtype_of,
    is_integer,
    on_axis,
    rank_of,
    shape_of,
    sizes_from,
    static,
    static_int,
    static_ints,
    static_sizes,
)

# -- shapes ----------------------------------------------------------------------------------------------------------


@RULES("Shape")
def shape(x: Array, *, start: int = 0, end: int | None = None) -> Any:
    return sizes_from(list(shape_of(x))[slice(start, end)])


@RULES("Size")
def size(x: Array) -> Any:
    return sizes_from(product(shape_of(x)))


@RULES("Reshape")
def reshape(x: Array, shape: Any, *, allowzero: int = 0) -> Array:
    sizes, wanted = shape_of(x), list(static_sizes(shape, "shape"))
    if not allowzero:
        wanted = [sizes[axis] if item == 0 else item for axis, item in enumerate(wanted)]
    return _reshaped(x, wanted)


def _reshaped(x: Array, wanted: list[Size]) -> Array:
    sizes = shape_of(x)
    if -1 in wanted:
        place = wanted.index(-1)
        rest = product(item for axis, item in enumerate(wanted) if axis != place)
        if rest == 0:
            raise CaptureError("Reshape cannot tell a size of -1 beside one of 0")
        wanted[place] = floordiv(product(sizes), rest)
    return x if tuple(wanted) == sizes else ops.reshape(x, shape=tuple(wanted))


@RULES("Flatten")
def flatten(x: Array, *, axis: int = 1) -> Array:
    sizes = shape_of(x)
    axis = axis % len(sizes) if axis < 0 else axis
    return _reshaped(x, [product(sizes[:axis]), product(sizes[axis:])])


@RULES("Squeeze")
def squeeze_attribute(x: Array, *, axes: tuple[int, ...] | None = None) -> Array:
    sizes = shape_of(x)
    if axes is None:
        if any(isinstance(item, Dim) for item in sizes):
            raise CaptureError("Squeeze without axes expected known sizes")
        axes = tuple(axis for axis, item in enumerate(sizes) if item == 1)
    chosen = {axis % len(sizes) for axis in axes}
    if any(sizes[axis] != 1 for axis in chosen):
        raise CaptureError(f"Squeeze expected axes of size 1, received {tuple(sizes[axis] for axis in sorted(chosen))}")
    return _reshaped(x, [item for axis, item in enumerate(sizes) if axis not in chosen])


@RULES("Squeeze-13")
def squeeze(x: Array, axes: Any = None) -> Array:
    return squeeze_attribute(x, axes=None if axes is None else static_ints(axes, "axes"))


@RULES("Unsqueeze")
def unsqueeze_attribute(x: Array, *, axes: tuple[int, ...]) -> Array:
    sizes = iter(shape_of(x))
    ndim = rank_of(x) + len(axes)
    new = {axis % ndim for axis in axes}
    if len(new) != len(axes):
        raise CaptureError(f"Unsqueeze expected each axis once, received {axes}")
    return _reshaped(x, [1 if axis in new else next(sizes) for axis in range(ndim)])


@RULES("Unsqueeze-13")
def unsqueeze(x: Array, axes: Any) -> Array:
    return unsqueeze_attribute(x, axes=static_ints(axes, "axes"))


@RULES("Expand")
def expand(x: Array, shape: Any) -> Array:
    sizes = shape_of(x)
    wanted = broadcast_shapes(sizes, static_sizes(shape, "shape"))
    return x if wanted == sizes else ops.broadcast_to(x, shape=wanted)


@RULES("Tile")
def tile(x: Array, repeats: Any) -> Array:
    return ops.tile(x, repetitions=static_sizes(repeats, "repeats"))


@RULES("Transpose")
def transpose(x: Array, *, perm: tuple[int, ...] | None = None) -> Array:
    ndim = rank_of(x)
    axes = tuple(range(ndim))[::-1] if perm is None else tuple(axis % ndim for axis in perm)
    return x if axes == tuple(range(ndim)) else ops.transpose(x, axes=axes)


# -- parts -----------------------------------------------------------------------------------------------------------


@RULES("Concat")
def concat(*arrays: Array, axis: int) -> Array:
    return arrays[0] if len(arrays) == 1 else ops.concat(list(arrays), axis=axis % rank_of(arrays[0]))


@RULES("Split")
def split_attribute(x: Array, *, axis: int = 0, split: tuple[int, ...] | None = None, wanted: int = 1) -> Any:
    return _split(x, axis, split, wanted)


@RULES("Split-13")
def split(x: Array, split: Any = None, *, axis: int = 0, wanted: int = 1) -> Any:
    return _split(x, axis, None if split is None else static_sizes(split, "split"), wanted)


@RULES("Split-18")
def split_equally(
    x: Array, split: Any = None, *, axis: int = 0, num_outputs: int | None = None, wanted: int = 1
) -> Any:
    return _split(x, axis, None if split is None else static_sizes(split, "split"), num_outputs or wanted)


def _split(x: Array, axis: int, sizes: Sequence[Size] | None, count: int) -> Any:
    axis %= rank_of(x)
    whole = shape_of(x)[axis]
    if sizes is None:
        part = -floordiv(-whole, count)
        sizes = (*(part,) * (count - 1), whole - part * (count - 1))
    return tuple(ops.split(x, sizes=tuple(sizes), axis=axis))


@RULES("Slice")
def slice_attributes(
    x: Array, *, starts: tuple[int, ...], ends: tuple[int, ...], axes: tuple[int, ...] | None = None
) -> Array:
    return _sliced(x, starts, ends, axes, None)


@RULES("Slice-10")
def slices(x: Array, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Array:
    return _sliced(
        x,
        static_sizes(starts, "starts"),
        static_sizes(ends, "ends"),
        None if axes is None else static_ints(axes, "axes"),
        None if steps is None else static_ints(steps, "steps"),
    )


def _sliced(
    x: Array,
    starts: Sequence[Size],
    ends: Sequence[Size],
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> Array:
    ndim, sizes = rank_of(x), shape_of(x)
    axes = range(len(starts)) if axes is None else [axis % ndim for axis in axes]
    steps = [1] * len(starts) if steps is None else steps
    for axis, start, stop, step in zip(axes, starts, ends, steps, strict=True):
        x = _cut(x, axis, start, stop, step, sizes[axis])
    return x


def _cut(x: Array, axis: int, start: Size, stop: Size, step: int, size: Size) -> Array:
    if isinstance(size, int) and isinstance(start, int) and isinstance(stop, int):
        found = range(size)[slice(start, stop if step > 0 or stop >= -size else None, step)]
        if step > 0:
            return x if len(found) == size else on_axis(x, axis, (found.start, max(found.stop, found.start), step))
        if not found:
            return on_axis(x, axis, (0, 0, None))
        low = on_axis(x, axis, (found[-1], found[0] + 1, None))
        low = ops.flip(low, axis=axis)
        return low if step == -1 else on_axis(low, axis, (None, None, -step))
    if step < 0:
        last = isinstance(start, int) and (start == -1 or start >= 2**31 - 1)
        if last and isinstance(stop, int) and stop <= -(2**31 - 1):
            flipped = ops.flip(x, axis=axis)
            return flipped if step == -1 else on_axis(flipped, axis, (None, None, -step))
        raise CaptureError("Slice expected known sizes for a negative step")
    far = isinstance(stop, int) and stop >= 2**31 - 1
    item = (None if start == 0 else start, None if far or stop == size else stop, None if step == 1 else step)
    return x if item == FULL else on_axis(x, axis, item)


@RULES("Pad-2")
def pad_attributes(x: Array, *, pads: tuple[int, ...], mode: str = "constant", value: float = 0.0) -> Array:
    return _padded(x, pads, range(rank_of(x)), mode, value)


@RULES("Pad-11")
def pad(x: Array, pads: Any, constant_value: Any = None, axes: Any = None, *, mode: str = "constant") -> Array:
    sizes = static_sizes(pads, "pads")
    chosen = range(rank_of(x)) if axes is None else [axis % rank_of(x) for axis in static_ints(axes, "axes")]
    number = 0 if constant_value is None else static(constant_value, "constant_value").reshape(()).item()
    return _padded(x, sizes, chosen, mode, number)


def _padded(x: Array, sizes: Sequence[Size], axes: Sequence[int], mode: str, number: Any) -> Array:
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise CaptureError(f"expected a mode of Pad, received {mode!r}")
    count = len(sizes) // 2
    padding: list[tuple[Size, Size]] = [(0, 0)] * rank_of(x)
    for place, axis in enumerate(axes):
        before, after = sizes[place], sizes[count + place]
        cut = (-before if isinstance(before, int) and before < 0 else None, None, None)
        if isinstance(after, int) and after < 0:
            cut = (cut[0], after, None)
        x = on_axis(x, axis, cut)
        before, after = (0 if isinstance(side, int) and side < 0 else side for side in (before, after))
        padding[axis] = before, after
    if all(pair == (0, 0) for pair in padding):
        return x
    if dtype_of(x) == "bool":
        return cast(_padded(cast(x, "int8"), sizes, axes, mode, int(number)), "bool")
    number = int(number) if is_integer(dtype_of(x)) else float(number)
    return ops.pad(x, padding=tuple(padding), mode=mode, value=number if mode == "constant" else 0)


@RULES("Trilu")
def trilu(x: Array, k: Any = None, *, upper: int = 1) -> Array:
    offset = 0 if k is None else static_int(k, "k")
    if dtype_of(x) == "bool":
        return cast(trilu(cast(x, "int8"), k, upper=upper), "bool")
    return (ops.triu if upper else ops.tril)(x, k=offset)


# -- blocks ----------------------------------------------------------------------------------------------------------


@RULES("DepthToSpace")
def depth_to_space(x: Array, *, blocksize: int, mode: str = "DCR") -> Array:
    batch, channels, *space = shape_of(x)
    n, b = len(space), blocksize
    depth = floordiv(channels, b**n)
    if mode == "DCR":
        y = ops.reshape(x, shape=(batch, *(b,) * n, depth, *space))
        order = [0, n + 1, *(axis for i in range(n) for axis in (n + 2 + i, 1 + i))]
    elif mode == "CRD":
        y = ops.reshape(x, shape=(batch, depth, *(b,) * n, *space))
        order = [0, 1, *(axis for i in range(n) for axis in (n + 2 + i, 2 + i))]
    else:
        raise CaptureError(f"expected the mode DCR or CRD, received {mode!r}")
    y = ops.transpose(y, axes=tuple(order))
    return ops.reshape(y, shape=(batch, depth, *(item * b for item in space)))


@RULES("SpaceToDepth")
def space_to_depth(x: Array, *, blocksize: int, mode: str = "DCR") -> Array:
    batch, channels, *space = shape_of(x)
    n, b = len(space), blocksize
    small = [floordiv(item, b) for item in space]
    y = ops.reshape(x, shape=(batch, channels, *(part for item in small for part in (item, b))))
    blocks, places = [3 + 2 * i for i in range(n)], [2 + 2 * i for i in range(n)]
    if mode not in ("DCR", "CRD"):
        raise CaptureError(f"expected the mode DCR or CRD, received {mode!r}")
    order = [0, *blocks, 1, *places] if mode == "DCR" else [0, 1, *blocks, *places]
    return ops.reshape(ops.transpose(y, axes=tuple(order)), shape=(batch, channels * b**n, *small))


@RULES("ReverseSequence")
def reverse_sequence(x: Array, lengths: Array, *, batch_axis: int = 1, time_axis: int = 0) -> Array:
    sizes = shape_of(x)
    steps = arange(sizes[time_axis])
    places = ops.reshape(steps, shape=tuple(sizes[time_axis] if i == time_axis else 1 for i in range(2)))
    counts = cast(lengths, "int64")
    counts = ops.reshape(counts, shape=tuple(sizes[batch_axis] if i == batch_axis else 1 for i in range(2)))
    found = ops.where(ops.less(places, counts), ops.subtract(ops.subtract(counts, 1), places), places)
    found = ops.reshape(found, shape=(*shape_of(found), *(1,) * (len(sizes) - 2)))
    return ops.take_along_axis(x, ops.broadcast_to(found, shape=sizes), axis=time_axis)
