"""Pooling over one to three spatial axes.

Channels stand on ``channel_axis``, 1 or the last; the spatial axes are the others but the first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...errors import ShapeError
from ..backends import is_floating, is_integer
from ..dims import Dim, product
from ..op import Array, Op, Source, op
from ..spec import Spec, spec_of
from ._spatial import (
    Ints,
    Padding,
    all_pads,
    channels_first,
    channels_last,
    check_lengths,
    lower_settled,
    numpy_windows,
    one_or_all,
    ones_or,
    pairs,
    resized_spec,
    spatial_axes,
    windows,
    with_ceil,
)
from .creation import arange, created, full
from .elementwise import maximum, where
from .indexing import getitem, set_along_axis
from .reduction import max, mean
from .shape import concat, pad, reshape


def _pool_spec(
    x: Spec,
    *,
    kernel: Ints,
    strides: Ints | None = None,
    padding: Padding = None,
    dilation: Ints | None = None,
    ceil_mode: bool = False,
    channel_axis: int = 1,
    **_: Any,
) -> Spec:
    axes = spatial_axes(x.ndim, channel_axis)
    strides, dilation = strides or kernel, ones_or(dilation, len(axes))
    check_lengths(x, len(axes), kernel=kernel, strides=strides, dilation=dilation)
    sizes = [x.shape[axis] for axis in axes]
    padding = pairs(padding, sizes, kernel, strides, dilation)
    check_lengths(x, len(axes), padding=padding)
    padding = with_ceil(sizes, kernel, strides, padding, dilation) if ceil_mode else padding
    shape = list(x.shape)
    for i, axis in enumerate(axes):
        shape[axis] = windows(x.shape[axis], kernel[i], strides[i], padding[i], dilation[i])
    return x.with_shape(*shape)


def _least(dtype: str) -> float:
    """What wins against no element."""
    return int(np.iinfo(dtype).min) if is_integer(dtype) else -math.inf


def _pooled(x: Any, axes: range, kernel: Ints, strides: Ints, dilation: Ints, combine: Any) -> Any:
    """Windows of an array, or of several of one shape, combined one offset after the other."""
    arrays = x if isinstance(x, tuple) else (x,)
    shape = spec_of(arrays[0]).shape
    lead = ((None, None, None),) * (axes.start - 1)
    counts = [windows(shape[a], k, s, (0, 0), d) for a, k, s, d in zip(axes, kernel, strides, dilation, strict=True)]
    result: Any = None
    for offset in itertools.product(*map(range, kernel)):
        key: list[Any] = [*lead, (None, None, None)]
        for o, count, stride, d in zip(offset, counts, strides, dilation, strict=True):
            key.append((o * d, o * d + (count - 1) * stride + 1, stride))
        patches = tuple(getitem(each, key=tuple(key)) for each in arrays)
        patch = patches if isinstance(x, tuple) else patches[0]
        result = patch if result is None else combine(result, patch)
    return result


@op(rule=_pool_spec, strict=True)
def max_pool(
    x: Array,
    /,
    *,
    kernel: Ints,
    strides: Ints | None = None,
    padding: Padding = None,
    dilation: Ints | None = None,
    ceil_mode: bool = False,
    channel_axis: int = 1,
) -> Array:
    """The largest element of each window. What is padded never wins.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        kernel: the size of the window along each spatial axis.
        strides: from one window to the next; the kernel's size where None.
        padding: (before, after) each spatial axis, "SAME", or "VALID" or None (nothing), as for `conv`.
        dilation: the distance of a window's elements; 1 where None.
        ceil_mode: whether a last window that does not fit counts; it starts within the array or the padding before.
        channel_axis: where the channels are.

    Source: torch.nn.functional.max_pool1d, max_pool2d and max_pool3d.
    """
    spec = spec_of(x)
    axes = spatial_axes(spec.ndim, channel_axis)
    strides, dilation = strides or kernel, ones_or(dilation, len(axes))
    sizes = [spec.shape[axis] for axis in axes]
    padding = pairs(padding, sizes, kernel, strides, dilation)
    padding = with_ceil(sizes, kernel, strides, padding, dilation) if ceil_mode else padding
    if any(pair != (0, 0) for pair in padding):
        x = pad(x, padding=all_pads(padding, axes, spec.ndim), value=_least(spec.dtype))
    return _pooled(x, axes, kernel, strides, dilation, maximum)


@op(rule=_pool_spec, strict=True)
def avg_pool(
    x: Array,
    /,
    *,
    kernel: Ints,
    strides: Ints | None = None,
    padding: Padding = None,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
    channel_axis: int = 1,
) -> Array:
    """The mean of each window.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        kernel: the size of the window along each spatial axis.
        strides: from one window to the next; the kernel's size where None.
        padding: zeros (before, after) each spatial axis, "SAME", or "VALID" or None (nothing), as for `conv`.
        ceil_mode: whether a last window that does not fit counts, as in `max_pool`; what it lacks never counts.
        count_include_pad: whether padded elements count in the mean.
        divisor: divides the sum in place of the number of elements.
        channel_axis: where the channels are.

    Source: torch.nn.functional.avg_pool1d, avg_pool2d and avg_pool3d.
    """
    spec = spec_of(x)
    axes = spatial_axes(spec.ndim, channel_axis)
    strides, ones = strides or kernel, (1,) * len(axes)
    sizes = [spec.shape[axis] for axis in axes]
    padding = pairs(padding, sizes, kernel, strides, ones)
    if ceil_mode:
        whole = with_ceil(sizes, kernel, strides, padding, ones)
        if count_include_pad and divisor is None:
            x = pad(x, padding=all_pads(padding, axes, spec.ndim))
            spec = spec_of(x)
            whole = tuple((0, all_after - after) for (_, all_after), (_, after) in zip(whole, padding, strict=True))
            count_include_pad = False
        padding = whole
    padded = any(pair != (0, 0) for pair in padding)
    every = all_pads(padding, axes, spec.ndim)

    def total(array: Array) -> Array:
        array = pad(array, padding=every) if padded else array
        return _pooled(array, axes, kernel, strides, ones, lambda a, b: a + b)

    if divisor is None and padded and not count_include_pad:
        shape = tuple(size if axis in axes else 1 for axis, size in enumerate(spec.shape))
        return total(x) / total(created(full, x, shape=shape, fill_value=1, dtype=spec.dtype))
    return total(x) / float(math.prod(kernel) if divisor is None else divisor)


def _torch_pool(n: SimpleNamespace) -> Mapping[str, Any]:
    strides = one_or_all(n.strides)
    return {
        "kernel": one_or_all(n.kernel),
        "strides": None if n.strides == n.kernel else strides,
        "padding": one_or_all(before for before, _ in n.sides),
        "dilation": one_or_all(n.dilation),
    }


def _window(n: SimpleNamespace) -> Mapping[str, Any]:
    def whole(values: Any, other: Any) -> Any:
        return (other, *values, other) if channels_last(n) else (other, other, *values)

    return {
        "window": whole(n.kernel, 1),
        "steps": whole(n.strides, 1),
        "pads": whole(n.padding, (0, 0)) if _padded(n) else "VALID",
        "low": Source("-jnp.inf"),
    }


def _padded(n: SimpleNamespace) -> bool:
    return any(pair != (0, 0) for pair in n.padding)


def _exact(n: SimpleNamespace) -> bool:
    """Whether no window reaches farther than what is padded."""
    return n.padding == n.sides


def _dense(n: SimpleNamespace) -> bool:
    return set(n.dilation) == {1}


def _pools(rank: int) -> Callable[[SimpleNamespace], bool]:
    def holds(n: SimpleNamespace) -> bool:
        even = all(a == b and 2 * a <= k for (a, b), k in zip(n.sides, n.kernel, strict=True))
        return n.x.ndim == rank + 2 and channels_first(n) and even

    return holds


def _averages(rank: int, *, divisor: bool = False) -> Callable[[SimpleNamespace], bool]:
    return lambda n: _pools(rank)(n) and (n.divisor is not None) is divisor


_TORCH_POOL = "{x}, {kernel}, stride={strides}, padding={padding:0}, "
for _count in (1, 2, 3):
    _max_rest = f"{_TORCH_POOL}dilation={{dilation:1}}, ceil_mode={{ceil_mode:False}}"
    lower_settled(max_pool, "torch", f"F.max_pool{_count}d({_max_rest})", _pools(_count), _torch_pool)
    _avg_rest = f"{_TORCH_POOL}ceil_mode={{ceil_mode:False}}, count_include_pad={{count_include_pad:True}}"
    lower_settled(avg_pool, "torch", f"F.avg_pool{_count}d({_avg_rest})", _averages(_count), _torch_pool)
    if _count > 1:
        _sum_rest = f"{_avg_rest}, divisor_override={{divisor}}"
        _sums = _averages(_count, divisor=True)
        lower_settled(avg_pool, "torch", f"F.avg_pool{_count}d({_sum_rest})", _sums, _torch_pool)

lower_settled(  # JAX has no gradient of dilated windows
    max_pool, "jax", "lax.reduce_window({x}, {low}, lax.max, {window}, {steps}, {pads})", _dense, _window
)


def _fixed_area(n: SimpleNamespace) -> bool:
    return n.divisor is not None or (_exact(n) and (n.count_include_pad or not _padded(n)))


lower_settled(
    avg_pool,
    "jax",
    "lax.reduce_window({x}, 0.0, lax.add, {window}, {steps}, {pads}) / {area}",
    _fixed_area,
    lambda n: {**_window(n), "area": math.prod(n.kernel) if n.divisor is None else n.divisor},
)


lower_settled(
    max_pool,
    "numpy",
    "support.max_pool({x}, {kernel}, strides={strides}, padding={padding:0}, dilation={dilation:1})",
    channels_first,
    numpy_windows,
)
lower_settled(
    avg_pool,
    "numpy",
    "support.avg_pool({x}, {kernel}, strides={strides}, padding={padding:0},"
    " count_include_pad={count_include_pad:True}, divisor={divisor})",
    lambda n: channels_first(n) and (_exact(n) or not n.count_include_pad or n.divisor is not None),
    numpy_windows,
)


def _tf_pools(n: SimpleNamespace) -> bool:
    return channels_last(n) and _dense(n) and is_floating(n.x.dtype)


def _tf_pads(n: SimpleNamespace) -> Mapping[str, Any]:
    return {"pads": ((0, 0), *n.padding, (0, 0)), "low": Source('-float("inf")')}


lower_settled(
    max_pool,
    "tensorflow",
    'tf.nn.max_pool({x}, {kernel}, {strides}, "VALID")',
    lambda n: _tf_pools(n) and not _padded(n),
)
lower_settled(
    max_pool,
    "tensorflow",
    'tf.nn.max_pool(tf.pad({x}, {pads}, constant_values={low}), {kernel}, {strides}, "VALID")',
    _tf_pools,
    _tf_pads,
)
lower_settled(
    avg_pool,
    "tensorflow",
    'tf.nn.avg_pool({x}, {kernel}, {strides}, "VALID")',
    lambda n: _tf_pools(n) and not _padded(n) and n.divisor is None,
)


# -- of all that is in a window --------------------------------------------------------------------------------------


def _with_positions(x: Spec, **options: Any) -> tuple[Spec, Spec]:
    result = _pool_spec(x, **options)
    return result, result.with_dtype("int64")


@op(rule=_with_positions, strict=True)
def max_pool_with_indices(
    x: Array,
    /,
    *,
    kernel: Ints,
    strides: Ints | None = None,
    padding: Padding = None,
    dilation: Ints | None = None,
    ceil_mode: bool = False,
    channel_axis: int = 1,
) -> tuple[Array, Array]:
    """`max_pool`, and where each element comes from: its place among the positions of its channel, as int64.

    Args:
        x: as for `max_pool`, and so the attributes.
        kernel: the size of the window along each spatial axis.
        strides: from one window to the next; the kernel's size where None.
        padding: (before, after) each spatial axis, "SAME", "VALID" or None.
        dilation: the distance of a window's elements; 1 where None.
        ceil_mode: whether a last window that does not fit counts.
        channel_axis: where the channels are.

    Source: torch.nn.functional.max_pool2d with ``return_indices``. Of equal elements it is the first.
    """
    spec = spec_of(x)
    axes = spatial_axes(spec.ndim, channel_axis)
    strides, dilation = strides or kernel, ones_or(dilation, len(axes))
    sizes = [spec.shape[axis] for axis in axes]
    padding = pairs(padding, sizes, kernel, strides, dilation)
    padding = with_ceil(sizes, kernel, strides, padding, dilation) if ceil_mode else padding
    places = created(arange, x, stop=product(sizes), dtype="int64")
    places = reshape(places, shape=tuple(size if axis in axes else 1 for axis, size in enumerate(spec.shape)))
    if any(pair != (0, 0) for pair in padding):
        every = all_pads(padding, axes, spec.ndim)
        x, places = pad(x, padding=every, value=_least(spec.dtype)), pad(places, padding=every)

    def larger(best: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
        wins = other[0] > best[0]
        return where(wins, other[0], best[0]), where(wins, other[1], best[1])

    return _pooled((x, places), axes, kernel, strides, dilation, larger)


for _count in (1, 2, 3):
    lower_settled(
        max_pool_with_indices,
        "torch",
        f"F.max_pool{_count}d({_max_rest}, return_indices=True)",
        _pools(_count),
        _torch_pool,
    )


def _unpool_spec(x: Spec, indices: Spec, *, size: Ints, channel_axis: int = 1) -> Spec:
    if indices.shape != x.shape:
        raise ShapeError(f"expected a place for each element of {x}, received {indices}")
    return resized_spec(x, size=size, channel_axis=channel_axis)


@op(rule=_unpool_spec, strict=True)
def max_unpool(x: Array, indices: Array, /, *, size: Ints, channel_axis: int = 1) -> Array:
    """The elements of x at the places that `max_pool_with_indices` gave, zeros elsewhere.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        indices: of that shape, places among the positions of a channel.
        size: of each spatial axis of the result, which is that of what was pooled.
        channel_axis: where the channels are.

    Source: torch.nn.functional.max_unpool2d with ``output_size``.
    """
    spec = spec_of(x)
    axes = spatial_axes(spec.ndim, channel_axis)
    lead = spec.shape[: axes.start]
    tail = spec.shape[axes.stop :]
    flat = (*lead, product(spec.shape[axis] for axis in axes), *tail)
    zeros = created(full, x, shape=(*lead, product(size), *tail), fill_value=0, dtype=spec.dtype)
    filled = set_along_axis(zeros, reshape(indices, shape=flat), reshape(x, shape=flat), axis=axes.start)
    return reshape(filled, shape=(*lead, *size, *tail))


@op(rule=_pool_spec, strict=True)
def lp_pool(
    x: Array, /, *, p: float, kernel: Ints, strides: Ints | None = None, ceil_mode: bool = False, channel_axis: int = 1
) -> Array:
    """(Σ xᵖ)^(1/p) over each window; p = 1 is the sum.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels); the sums are not negative.
        p: the power.
        kernel: the size of the window along each spatial axis.
        strides: from one window to the next; the kernel's size where None.
        ceil_mode: whether a last window that does not fit counts, as if what it lacks were its mean.
        channel_axis: where the channels are.

    Source: torch.nn.functional.lp_pool1d, lp_pool2d and lp_pool3d.
    """
    power = x if p == 1 else x ** float(p)
    y = avg_pool(power, kernel=kernel, strides=strides, ceil_mode=ceil_mode, channel_axis=channel_axis)
    y = y * float(math.prod(kernel))
    return y if p == 1 else y ** (1 / p)


def _torch_lp(n: SimpleNamespace) -> Mapping[str, Any]:
    return {"kernel": n.kernel if len(n.kernel) > 1 else n.kernel[0]} | (
        {"strides": n.strides if n.strides is None or len(n.strides) > 1 else n.strides[0]}
    )


for _count in (1, 2, 3):
    lp_pool.lower(
        "torch",
        f"F.lp_pool{_count}d({{x}}, {{p}}, {{kernel}}, stride={{strides}}, ceil_mode={{ceil_mode:False}})",
        when=lambda n, rank=_count: n.x.ndim == rank + 2 and channels_first(n),
        derive=_torch_lp,
    )


# -- to a size -------------------------------------------------------------------------------------------------------


@op(rule=resized_spec, strict=True)
def adaptive_avg_pool(x: Array, /, *, size: Ints, channel_axis: int = 1) -> Array:
    """Means over windows that divide each spatial axis into ``size`` parts, which overlap where it does not divide.

    Part i of n covers the elements from floor(i · length / n) up to ceil((i + 1) · length / n).

    Source: torch.nn.functional.adaptive_avg_pool1d, adaptive_avg_pool2d and adaptive_avg_pool3d.
    """
    return _adapted(x, size, channel_axis, mean)


@op(rule=resized_spec, strict=True)
def adaptive_max_pool(x: Array, /, *, size: Ints, channel_axis: int = 1) -> Array:
    """The largest elements of the windows of `adaptive_avg_pool`.

    Source: torch.nn.functional.adaptive_max_pool1d, adaptive_max_pool2d and adaptive_max_pool3d.
    """
    return _adapted(x, size, channel_axis, max)


def _adapted(x: Array, size: Ints, channel_axis: int, reduction: Op) -> Array:
    axes = spatial_axes(spec_of(x).ndim, channel_axis)
    whole = tuple(axis for axis, parts in zip(axes, size, strict=True) if parts == 1)
    if whole:
        x = reduction(x, axis=whole, keepdims=True)
    for axis, parts in zip(axes, size, strict=True):
        length = spec_of(x).shape[axis]
        if parts in (1, length):
            continue
        if isinstance(length, Dim):
            if length % parts != 0:
                raise ShapeError(f"expected an axis of known length, or one that {parts} divides, received {length}")
            shape = spec_of(x).shape
            divided = reshape(x, shape=(*shape[:axis], parts, length // parts, *shape[axis + 1 :]))
            x = reduction(divided, axis=axis + 1)
            continue
        lead = ((None, None, None),) * axis
        pieces = [
            reduction(
                getitem(x, key=(*lead, (i * length // parts, -(-(i + 1) * length // parts), None))),
                axis=axis,
                keepdims=True,
            )
            for i in range(parts)
        ]
        x = concat(pieces, axis=axis)
    return x


for _op, _name in ((adaptive_avg_pool, "avg"), (adaptive_max_pool, "max")):
    for _count in (1, 2, 3):
        _op.lower(
            "torch",
            f"F.adaptive_{_name}_pool{_count}d({{x}}, {{size}})",
            when=lambda n, rank=_count: n.x.ndim == rank + 2 and channels_first(n),
            derive=lambda n: {"size": one_or_all(n.size)},
        )
