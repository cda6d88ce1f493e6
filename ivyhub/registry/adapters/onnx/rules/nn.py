"""Convolution, pooling and normalisation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.dims import Dim, Size
from .....errors import CaptureError
from .common import (
    FULL,
    RULES,
    Array,
    broadcast_axes,
    cast,
    dtype_of,
    is_floating,
    on_axis,
    rank_of,
    shape_of,
    static_ints,
    static_shape,
)


def window_padding(
    x: Array,
    kernel: Sequence[int],
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str,
) -> Any:
    """The padding of windows as the engine has it: pairs, "SAME" or None."""
    count = len(kernel)
    if auto_pad in ("NOTSET", ""):
        return None if pads is None else tuple(zip(pads[:count], pads[count:], strict=True))
    if auto_pad == "VALID":
        return None
    if auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
        raise CaptureError(f"expected an auto_pad of the standard, received {auto_pad!r}")
    strides, dilations = strides or (1,) * count, dilations or (1,) * count
    sizes = shape_of(x)[2:]
    found: list[tuple[int, int]] = []
    for size, width, stride, step in zip(sizes, kernel, strides, dilations, strict=True):
        reach = step * (width - 1) + 1
        if isinstance(size, Dim):
            if stride != 1:
                raise CaptureError(f"auto_pad={auto_pad!r} with strides expected known sizes, received {sizes}")
            total = reach - 1
        else:
            total = max((-(-size // stride) - 1) * stride + reach - size, 0)
        small, large = total // 2, total - total // 2
        found.append((small, large) if auto_pad == "SAME_UPPER" else (large, small))
    return tuple(found)


@RULES("Conv")
def conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: tuple[int, ...] | None = None,
    group: int = 1,
    kernel_shape: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Array:
    kernel = static_shape(w, "Conv")[2:]
    padding = window_padding(x, kernel, strides, dilations, pads, auto_pad)
    if len(kernel) > 3 or not kernel:
        raise CaptureError(f"Conv has a rule for one to three spatial axes, received {len(kernel)}")
    return ops.conv(x, w, b, strides=strides, padding=padding, dilation=dilations, groups=group)


@RULES("ConvTranspose")
def conv_transpose(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: tuple[int, ...] | None = None,
    group: int = 1,
    kernel_shape: tuple[int, ...] | None = None,
    output_padding: tuple[int, ...] | None = None,
    output_shape: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Array:
    kernel = static_shape(w, "ConvTranspose")[2:]
    count = len(kernel)
    strides, dilations = strides or (1,) * count, dilations or (1,) * count
    extra = output_padding or (0,) * count
    padding: list[tuple[Size, Size]] = []
    if output_shape is None and auto_pad in ("NOTSET", "VALID", ""):
        pads = (0,) * (2 * count) if pads is None or auto_pad == "VALID" else pads
        padding = list(zip(pads[:count], pads[count:], strict=True))
    else:
        for i, size in enumerate(shape_of(x)[2:]):
            wanted = size * strides[i] if output_shape is None else output_shape[-count:][i]
            total = strides[i] * (size - 1) + extra[i] + (kernel[i] - 1) * dilations[i] + 1 - wanted
            if isinstance(total, Dim):
                raise CaptureError("ConvTranspose with output_shape expected known sizes")
            total = max(total, 0) if output_shape is None else total
            half = total // 2
            padding.append((half, total - half) if auto_pad == "SAME_UPPER" else (total - half, half))
    # what output_padding adds may not be less than what is cut off: it is cut off less
    padding = [(before, after - more) for (before, after), more in zip(padding, extra, strict=True)]
    return ops.conv_transpose(
        x, w, b, strides=tuple(strides), padding=tuple(padding), dilation=tuple(dilations), groups=group
    )


@RULES("AveragePool")
def average_pool(
    x: Array,
    *,
    kernel_shape: tuple[int, ...],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Array:
    count = len(kernel_shape)
    strides = strides or (1,) * count
    padding = window_padding(x, kernel_shape, strides, dilations, pads, auto_pad)
    if dilations is None or set(dilations) == {1}:
        return ops.avg_pool(
            x,
            kernel=kernel_shape,
            strides=strides,
            padding=padding,
            ceil_mode=bool(ceil_mode),
            count_include_pad=bool(count_include_pad),
        )
    return _dilated_mean(x, kernel_shape, strides, padding, dilations, ceil_mode, count_include_pad)


def _dilated_mean(
    x: Array,
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: Any,
    dilations: Sequence[int],
    ceil_mode: int,
    count_include_pad: int,
) -> Array:
    """The mean of windows with gaps: sums of two convolutions, of the elements and of what counts."""
    sizes = static_shape(x, "AveragePool with dilations")[2:]
    padding = padding or ((0, 0),) * len(kernel)
    more: list[tuple[int, int]] = []
    for size, width, stride, step, (before, after) in zip(sizes, kernel, strides, dilations, padding, strict=True):
        length, reach = size + before + after, step * (width - 1) + 1
        windows = (-(-(length - reach) // stride) if ceil_mode else (length - reach) // stride) + 1
        windows -= bool(ceil_mode) and (windows - 1) * stride >= size + before
        more.append((before, after + max((windows - 1) * stride + reach - length, 0)))
    options = {"strides": tuple(strides), "padding": tuple(more), "dilation": tuple(dilations)}
    batch, channels = shape_of(x)[:2]
    flat = ops.reshape(x, shape=(batch * channels, 1, *sizes))
    ones = np.ones((1, 1, *kernel), np.float32)
    total = ops.conv(flat, cast(ones, dtype_of(x)), **options)
    counted = np.ones((1, 1, *sizes), np.float32)
    if count_include_pad:
        counted = np.pad(counted, ((0, 0), (0, 0), *padding), constant_values=1)
        options["padding"] = tuple((0, last - after) for (_, last), (_, after) in zip(more, padding, strict=True))
    counts = ops.conv(counted, ones, **options)
    result = ops.divide(total, cast(counts, dtype_of(x)))
    return ops.reshape(result, shape=(batch, channels, *shape_of(result)[2:]))


@RULES("MaxPool")
def max_pool(
    x: Array,
    *,
    kernel_shape: tuple[int, ...],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None,
    storage_order: int = 0,
    strides: tuple[int, ...] | None = None,
    wanted: int = 1,
) -> Any:
    strides = strides or (1,) * len(kernel_shape)
    dtype = dtype_of(x)
    if not is_floating(dtype):
        found = max_pool(
            cast(x, "float32" if dtype in ("int8", "uint8") else "float64"),
            kernel_shape=kernel_shape,
            auto_pad=auto_pad,
            ceil_mode=ceil_mode,
            dilations=dilations,
            pads=pads,
            storage_order=storage_order,
            strides=strides,
            wanted=wanted,
        )
        return cast(found, dtype) if wanted == 1 else (cast(found[0], dtype), found[1])
    padding = window_padding(x, kernel_shape, strides, dilations, pads, auto_pad)
    options: dict[str, Any] = {"kernel": kernel_shape, "strides": strides, "padding": padding, "dilation": dilations}
    options["ceil_mode"] = bool(ceil_mode)
    if wanted == 1:
        return ops.max_pool(x, **options)
    values, places = ops.max_pool_with_indices(x, **options)
    batch, channels, *sizes = static_shape(x, "MaxPool with indices")
    if storage_order:
        places = _column_major(places, sizes)
    rows = np.arange(batch * channels).reshape(batch, channels, *(1,) * len(sizes)) * int(np.prod(sizes))
    return values, ops.add(places, rows)


def _column_major(places: Array, sizes: Sequence[int]) -> Array:
    """Positions counted along the first spatial axis first."""
    found: Any = 0
    stride = int(np.prod(sizes))
    weight = 1
    for size in sizes:
        stride //= size
        part = ops.remainder(ops.floor_divide(places, stride), size)
        found = ops.add(ops.multiply(part, weight), found) if weight > 1 else part
        weight *= size
    return found


@RULES("MaxUnpool")
def max_unpool(
    x: Array,
    indices: Array,
    output_shape: Any = None,
    *,
    kernel_shape: tuple[int, ...],
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Array:
    count = len(kernel_shape)
    batch, channels, *sizes = static_shape(x, "MaxUnpool")
    strides, pads = strides or (1,) * count, pads or (0,) * (2 * count)
    usual = [(size - 1) * strides[i] + kernel_shape[i] - pads[i] - pads[count + i] for i, size in enumerate(sizes)]
    wanted = usual if output_shape is None else list(static_ints(output_shape, "output_shape"))[2:]
    whole = int(np.prod(usual))
    rows = np.arange(batch * channels).reshape(batch, channels, *(1,) * count) * whole
    places = ops.subtract(cast(indices, "int64"), rows)
    found = ops.max_unpool(x, places, size=tuple(usual))
    extra = [(0, after - before) for before, after in zip(usual, wanted, strict=True)]
    return found if wanted == usual else ops.pad(found, padding=((0, 0), (0, 0), *extra))


@RULES("LpPool")
def lp_pool(
    x: Array,
    *,
    kernel_shape: tuple[int, ...],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: tuple[int, ...] | None = None,
    p: int = 2,
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Array:
    count = len(kernel_shape)
    strides = strides or (1,) * count
    padding = window_padding(x, kernel_shape, strides, dilations, pads, auto_pad) or ((0, 0),) * count
    if ceil_mode:
        raise CaptureError("no rule reads LpPool with ceil_mode=1")
    batch, channels, *sizes = shape_of(x)
    flat = ops.reshape(ops.pow(ops.abs(x), float(p)), shape=(batch * channels, 1, *sizes))
    ones = cast(np.ones((1, 1, *kernel_shape), np.float32), dtype_of(x))
    total = ops.conv(flat, ones, strides=tuple(strides), padding=tuple(padding), dilation=dilations)
    return ops.reshape(ops.pow(total, 1.0 / p), shape=(batch, channels, *shape_of(total)[2:]))


def _spatial(x: Array) -> tuple[int, ...]:
    return tuple(range(2, rank_of(x)))


@RULES("GlobalAveragePool")
def global_average_pool(x: Array) -> Array:
    return ops.mean(x, axis=_spatial(x), keepdims=True)


@RULES("GlobalMaxPool")
def global_max_pool(x: Array) -> Array:
    return ops.max(x, axis=_spatial(x), keepdims=True)


@RULES("GlobalLpPool")
def global_lp_pool(x: Array, *, p: int = 2) -> Array:
    return ops.pow(ops.sum(ops.pow(ops.abs(x), float(p)), axis=_spatial(x), keepdims=True), 1.0 / p)


# -- normalisation ---------------------------------------------------------------------------------------------------


@RULES("BatchNormalization")
def batch_normalization(
    x: Array,
    scale: Array,
    b: Array,
    mean: Array,
    var: Array,
    *,
    epsilon: float = 1e-5,
    is_test: int = 1,
    momentum: float = 0.9,
    spatial: int = 1,
    training_mode: int = 0,
    wanted: int = 1,
) -> Any:
    if not spatial:
        raise CaptureError("no rule reads BatchNormalization with spatial=0")
    if not is_test:
        raise CaptureError("no rule reads BatchNormalization with is_test=0", hint="export for evaluation")
    dtype = dtype_of(x)
    vectors = [cast(each, dtype) for each in (mean, var, scale, b)]
    if rank_of(x) == 1:  # a batch of single channels
        x = ops.reshape(x, shape=(shape_of(x)[0], 1))
        return ops.reshape(ops.batch_norm(x, *vectors, eps=epsilon), shape=(shape_of(x)[0],))
    if training_mode:
        y, new_mean, new_var = ops.batch_norm_training(x, *vectors, momentum=1 - momentum, eps=epsilon, unbiased=False)
        return y, cast(new_mean, dtype_of(mean)), cast(new_var, dtype_of(var))
    if wanted > 1:
        raise CaptureError("no rule reads BatchNormalization of training without training_mode")
    return ops.batch_norm(x, *vectors, eps=epsilon)


@RULES("InstanceNormalization")
def instance_normalization(x: Array, scale: Array, b: Array, *, epsilon: float = 1e-5) -> Array:
    return ops.instance_norm(x, scale, b, eps=epsilon)


@RULES("GroupNormalization-21")
def group_normalization(
    x: Array, scale: Array, bias: Array, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Any:
    if dtype_of(x) not in ("float32", "float64"):
        return NotImplemented
    return ops.group_norm(x, scale, bias, num_groups=num_groups, eps=epsilon)


@RULES("LayerNormalization")
def layer_normalization(
    x: Array,
    scale: Array,
    b: Array | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
    wanted: int = 1,
) -> Any:
    axes = tuple(range(axis % rank_of(x), rank_of(x)))
    same = shape_of(scale) == shape_of(x)[axes[0] :] and (b is None or shape_of(b) == shape_of(scale))
    if wanted > 1 or not same or dtype_of(x) not in ("float32", "float64"):
        return NotImplemented
    return ops.layer_norm(x, scale, b, axis=tuple(each - rank_of(x) for each in axes), eps=epsilon)


@RULES("RMSNormalization")
def rms_normalization(x: Array, scale: Array, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    axes = tuple(range(axis % rank_of(x), rank_of(x)))
    if shape_of(scale) != shape_of(x)[axes[0] :] or dtype_of(x) not in ("float32", "float64"):
        return NotImplemented
    return ops.rms_norm(x, scale, axis=tuple(each - rank_of(x) for each in axes), eps=epsilon)


@RULES("LpNormalization")
def lp_normalization(x: Array, *, axis: int = -1, p: int = 2) -> Array:
    norm = ops.vector_norm(x, axis=axis % rank_of(x), keepdims=True, ord=p)
    nothing = ops.equal(norm, 0)
    return ops.where(nothing, ops.multiply(x, 0.0), ops.divide(x, ops.where(nothing, ops.add(norm, 1.0), norm)))


@RULES("LRN")
def lrn(x: Array, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Array:
    """The engine's window has its odd place before, the standard's behind: the channels are reversed for it."""
    if size % 2:
        return ops.local_response_norm(x, size=size, alpha=alpha, beta=beta, k=bias)
    y = ops.local_response_norm(ops.flip(x, axis=1), size=size, alpha=alpha, beta=beta, k=bias)
    return ops.flip(y, axis=1)


# -- patches ---------------------------------------------------------------------------------------------------------


@RULES("Col2Im")
def col2im(
    x: Array,
    image_shape: Any,
    block_shape: Any,
    *,
    dilations: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Array:
    size, kernel = static_ints(image_shape, "image_shape"), static_ints(block_shape, "block_shape")
    count = len(size)
    padding = None if pads is None else tuple(zip(pads[:count], pads[count:], strict=True))
    return ops.fold(x, size=size, kernel=kernel, strides=strides, padding=padding, dilation=dilations)


@RULES("GridSample")
def grid_sample(
    x: Array, grid: Array, *, align_corners: int = 0, mode: str = "linear", padding_mode: str = "zeros"
) -> Array:
    word = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    return ops.grid_sample(x, grid, mode=word, padding_mode=padding_mode, align_corners=bool(align_corners))


@RULES("AffineGrid")
def affine_grid(theta: Array, size: Any, *, align_corners: int = 0) -> Array:
    return ops.affine_grid(theta, size=static_ints(size, "size")[2:], align_corners=bool(align_corners))


def sampled(x: Array, y: Array, x_place: Array) -> Array:
    """Each channel's plane at places between its elements, zeros beyond: x (n, c, h, w), places (n, k)."""
    batch, channels, height, width = static_shape(x, "sampling")
    result: Any = None
    low_y, low_x = ops.floor(y), ops.floor(x_place)
    for step_y, step_x in itertools.product((0, 1), (0, 1)):
        row, column = ops.add(low_y, float(step_y)), ops.add(low_x, float(step_x))
        near_y = ops.subtract(1.0, ops.abs(ops.subtract(y, row)))
        near_x = ops.subtract(1.0, ops.abs(ops.subtract(x_place, column)))
        inside = ops.logical_and(
            ops.logical_and(ops.greater_equal(row, 0.0), ops.less_equal(row, float(height - 1))),
            ops.logical_and(ops.greater_equal(column, 0.0), ops.less_equal(column, float(width - 1))),
        )
        weight = ops.multiply(ops.multiply(near_y, near_x), cast(inside, dtype_of(x)))
        row = cast(ops.clip(row, min=0.0, max=float(height - 1)), "int64")
        column = cast(ops.clip(column, min=0.0, max=float(width - 1)), "int64")
        flat = ops.add(ops.multiply(row, width), column)
        count = shape_of(flat)[1]
        places = ops.broadcast_to(ops.reshape(flat, shape=(batch, 1, count)), shape=(batch, channels, count))
        picked = ops.take_along_axis(ops.reshape(x, shape=(batch, channels, height * width)), places, axis=2)
        term = ops.multiply(picked, ops.reshape(weight, shape=(batch, 1, count)))
        result = term if result is None else ops.add(result, term)
    return result


@RULES("DeformConv")
def deform_conv(
    x: Array,
    w: Array,
    offset: Array,
    b: Array | None = None,
    mask: Array | None = None,
    *,
    dilations: tuple[int, ...] | None = None,
    group: int = 1,
    kernel_shape: tuple[int, ...] | None = None,
    offset_group: int = 1,
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Array:
    """A convolution whose kernel's elements are moved by offsets. Source: Dai et al. 2017, arXiv:1703.06211."""
    batch, channels, _, _ = static_shape(x, "DeformConv")
    out, _, rows, columns = static_shape(w, "DeformConv")
    strides, dilations, pads = strides or (1, 1), dilations or (1, 1), pads or (0, 0, 0, 0)
    height, width = static_shape(offset, "DeformConv")[2:]
    moves = ops.reshape(offset, shape=(batch, offset_group, rows * columns, 2, height, width))
    part = channels // offset_group
    base_y = (np.arange(height) * strides[0] - pads[0]).astype(np.float32)[:, None]
    base_x = (np.arange(width) * strides[1] - pads[1]).astype(np.float32)[None]
    groups: list[Array] = []
    for each in range(offset_group):
        plane = on_axis(x, 1, (each * part, (each + 1) * part, None))
        taps: list[Array] = []
        for tap, (row, column) in enumerate(itertools.product(range(rows), range(columns))):
            move = ops.getitem(moves, key=(FULL, each, tap))
            y = ops.add(ops.getitem(move, key=(FULL, 0)), cast(base_y + row * dilations[0], dtype_of(x)))
            z = ops.add(ops.getitem(move, key=(FULL, 1)), cast(base_x + column * dilations[1], dtype_of(x)))
            found = sampled(plane, *(ops.reshape(place, shape=(batch, height * width)) for place in (y, z)))
            if mask is not None:
                share = on_axis(mask, 1, (each * rows * columns + tap, each * rows * columns + tap + 1, None))
                found = ops.multiply(found, ops.reshape(share, shape=(batch, 1, height * width)))
            taps.append(found)
        groups.append(ops.stack(taps, axis=2))
    columns_of = groups[0] if len(groups) == 1 else ops.concat(groups, axis=1)
    columns_of = ops.reshape(columns_of, shape=(batch, group, channels // group * rows * columns, height * width))
    kernels = ops.reshape(w, shape=(group, out // group, channels // group * rows * columns))
    y = ops.reshape(ops.matmul(kernels, columns_of), shape=(batch, out, height, width))
    return y if b is None else ops.add(y, broadcast_axes(b, 4, 1))
