"""Pooling, its places, and its inverse."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from .....engine import ops
from .....engine.backends import is_floating
from .....engine.dims import Dim, Size
from .....engine.ops.creation import created
from .....errors import ShapeError
from .common import FULL, RULES, Array, dtype_of, shape_of, spread
from .elementwise import div_mode
from .shape import pad, unsqueeze, with_batch, without_batch

Ints = int | Sequence[int]


def _window(
    sizes: Sequence[Size], kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Kernel, strides, padding and dilation for each axis, and what ``ceil_mode`` adds at its end."""
    count = len(sizes)
    kernels = spread(kernel, count)
    strides = spread(stride, count) if stride not in ((), []) else kernels
    pads, dilations = spread(padding, count), spread(dilation, count)
    extra = [0] * count
    for i, size in enumerate(sizes if ceil_mode else ()):
        if isinstance(size, Dim):
            raise ShapeError(f"expected an axis of known length for pooling with ceil_mode, received {size}")
        reach = dilations[i] * (kernels[i] - 1) + 1
        windows = -(-(size + 2 * pads[i] - reach) // strides[i]) + 1
        windows -= (windows - 1) * strides[i] >= size + pads[i]  # the last window starts inside
        extra[i] = max((windows - 1) * strides[i] + reach - size - 2 * pads[i], 0)
    return kernels, strides, pads, dilations, tuple(extra)


def _each(found: Any, batched: bool) -> Any:
    """An array, or an array and its places, as they were before `with_batch`."""
    if isinstance(found, tuple):
        return tuple(without_batch(y, batched) for y in found)
    return without_batch(found, batched)


def _max_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints = (),
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    *,
    count: int,
    op: Callable[..., Any] = ops.max_pool,
) -> Any:
    x, batched = with_batch(x, count)
    kernel, strides, pads, dilations, extra = _window(
        shape_of(x)[2:], kernel_size, stride, padding, dilation, ceil_mode
    )
    pairs = tuple((p, p + e) for p, e in zip(pads, extra, strict=True))
    found = op(
        x,
        kernel=kernel,
        strides=strides,
        padding=pairs if any(map(any, pairs)) else None,
        dilation=dilations if set(dilations) != {1} else None,
    )
    return _each(found, batched)


def _avg_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints = (),
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    count: int,
) -> Array:
    x, batched = with_batch(x, count)
    kernel, strides, pads, _, extra = _window(shape_of(x)[2:], kernel_size, stride, padding, 1, ceil_mode)
    if not is_floating(dtype_of(x)):
        means = _integer_means(x, kernel, strides, pads, extra, count_include_pad, divisor_override)
        return without_batch(means, batched)
    if any(extra) and count_include_pad:  # what ceil_mode adds never counts
        x = pad(x, [p for each in reversed(pads) for p in (each, each)])
        pads, count_include_pad = (0,) * count, False
    pairs = tuple((p, p + e) for p, e in zip(pads, extra, strict=True))
    y = ops.avg_pool(
        x,
        kernel=kernel,
        strides=strides,
        padding=pairs if any(map(any, pairs)) else None,
        count_include_pad=count_include_pad,
        divisor=divisor_override,
    )
    return without_batch(y, batched)


def _integer_means(
    x: Array,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    extra: Sequence[int],
    count_include_pad: bool,
    divisor: int | None,
) -> Array:
    """Means of integers, cut towards zero: exact sums of what stands at each place of a window."""

    def total(y: Array, padding: Sequence[tuple[int, int]]) -> Array:
        y = ops.pad(y, padding=((0, 0), (0, 0), *padding))
        sizes = [(size - k) // s for size, k, s in zip(shape_of(y)[2:], kernel, strides, strict=True)]  # type: ignore[operator]
        found: Any = None
        for place in itertools.product(*map(range, kernel)):
            picks = [(at, at + n * s + 1, s) for at, n, s in zip(place, sizes, strides, strict=True)]
            part = ops.getitem(y, key=(FULL, FULL, *picks))
            found = part if found is None else found + part
        return found

    if any(isinstance(size, Dim) for size in shape_of(x)[2:]):
        raise ShapeError(f"expected axes of known length for pooling of integers, received {shape_of(x)}")
    ends = [(p, p + e) for p, e in zip(pads, extra, strict=True)]
    sums = total(x, ends)
    if divisor is None:
        counted = created(ops.full, x, shape=(1, 1, *shape_of(x)[2:]), fill_value=1, dtype=dtype_of(x))
        if count_include_pad:
            counted = ops.pad(counted, padding=((0, 0), (0, 0), *((p, p) for p in pads)), value=1)
            ends = [(0, e) for e in extra]
        return div_mode(sums, total(counted, ends), rounding_mode="trunc")
    return div_mode(sums, divisor, rounding_mode="trunc")


def _adaptive(x: Array, output_size: Any, *, count: int, op: Callable[..., Any]) -> Any:
    x, batched = with_batch(x, count)
    wanted = output_size if isinstance(output_size, Sequence) else (output_size,) * count
    sizes = zip(wanted, shape_of(x)[2:], strict=True)
    found = op(x, size=tuple(old if new is None else new for new, old in sizes))
    return _each(found, batched)


def _max_unpool(x: Array, indices: Array, output_size: Sequence[int], *_: Any, count: int) -> Array:
    x, batched = with_batch(x, count)
    places = with_batch(indices, count)[0]
    return without_batch(ops.max_unpool(x, places, size=tuple(output_size)), batched)


for _count in (1, 2, 3):
    RULES(f"aten.max_pool{_count}d.default")(lambda *args, count=_count: _max_pool(*args, count=count))
    RULES(f"aten.max_pool{_count}d_with_indices.default")(
        lambda *args, count=_count: _max_pool(*args, count=count, op=ops.max_pool_with_indices)
    )
    RULES(f"aten.avg_pool{_count}d.default")(
        lambda *args, count=_count, **options: _avg_pool(*args, **options, count=count)
    )
    RULES(f"aten.adaptive_avg_pool{_count}d.default", *[f"aten._adaptive_avg_pool{_count}d.default"] * (_count > 1))(
        lambda x, output_size, count=_count: _adaptive(x, output_size, count=count, op=ops.adaptive_avg_pool)
    )
    RULES(f"aten.adaptive_max_pool{_count}d.default")(
        lambda x, size, count=_count: _adaptive(x, size, count=count, op=ops.adaptive_max_pool_with_indices)
    )
for _count in (2, 3):
    RULES(f"aten.max_unpool{_count}d.default")(lambda *args, count=_count: _max_unpool(*args, count=count))


# -- windows as columns ----------------------------------------------------------------------------------------------


def _pairs(padding: Ints) -> tuple[tuple[int, int], ...] | None:
    pairs = tuple((p, p) for p in spread(padding, 2))
    return pairs if any(map(any, pairs)) else None


def _matrix_batch(x: Array, ndim: int) -> tuple[Array, bool]:
    return (x, True) if len(shape_of(x)) == ndim else (unsqueeze(x, 0), False)


@RULES("aten.im2col.default")
def im2col(x: Array, kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints) -> Array:
    x, batched = _matrix_batch(x, 4)
    columns = ops.unfold(
        x,
        kernel=spread(kernel_size, 2),
        strides=spread(stride, 2),
        padding=_pairs(padding),
        dilation=spread(dilation, 2),
    )
    return without_batch(columns, batched)


@RULES("aten.col2im.default")
def col2im(
    x: Array, output_size: Sequence[int], kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints
) -> Array:
    x, batched = _matrix_batch(x, 3)
    image = ops.fold(
        x,
        size=tuple(output_size),
        kernel=spread(kernel_size, 2),
        strides=spread(stride, 2),
        padding=_pairs(padding),
        dilation=spread(dilation, 2),
    )
    return without_batch(image, batched)


@RULES("aten.grid_sampler.default", "aten.grid_sampler_2d.default", "aten.grid_sampler_3d.default")
def grid_sampler(x: Array, grid: Array, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Array:
    return ops.grid_sample(
        x,
        grid,
        mode=("linear", "nearest", "cubic")[interpolation_mode],
        padding_mode=("zeros", "border", "reflection")[padding_mode],
        align_corners=align_corners,
    )
