"""Pooling over one to three spatial axes.

Channels stand on ``channel_axis``, 1 or the last; the spatial axes are the others but the first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ...errors import ShapeError
from ..dims import Dim
from ..op import Array, Source, op
from ..spec import Spec, spec_of
from ._spatial import (
    Ints,
    channels_first,
    channels_last,
    check_lengths,
    numpy_windows,
    one_or_all,
    ones_or,
    pairs_or_zeros,
    resized_spec,
    spatial_axes,
    windows,
)
from .creation import created, full
from .elementwise import maximum
from .indexing import getitem
from .reduction import mean
from .shape import Pairs, pad, reshape


def _pool_spec(
    x: Spec,
    *,
    kernel: Ints,
    strides: Ints,
    padding: Pairs | None = None,
    dilation: Ints | None = None,
    channel_axis: int = 1,
    **_: Any,
) -> Spec:
    axes = spatial_axes(x.ndim, channel_axis)
    padding, dilation = pairs_or_zeros(padding, len(axes)), ones_or(dilation, len(axes))
    check_lengths(x, len(axes), kernel=kernel, strides=strides, padding=padding, dilation=dilation)
    shape = list(x.shape)
    for i, axis in enumerate(axes):
        shape[axis] = windows(x.shape[axis], kernel[i], strides[i], padding[i], dilation[i])
    return x.with_shape(*shape)


def _pooled(x: Array, axes: range, kernel: Ints, strides: Ints, dilation: Ints, combine: Any) -> Array:
    """Windows combined one offset after the other."""
    shape = spec_of(x).shape
    lead = ((None, None, None),) * (axes.start - 1)
    counts = [windows(shape[a], k, s, (0, 0), d) for a, k, s, d in zip(axes, kernel, strides, dilation, strict=True)]
    result: Any = None
    for offset in itertools.product(*map(range, kernel)):
        key: list[Any] = [*lead, (None, None, None)]
        for o, count, stride, d in zip(offset, counts, strides, dilation, strict=True):
            key.append((o * d, o * d + (count - 1) * stride + 1, stride))
        patch = getitem(x, key=tuple(key))
        result = patch if result is None else combine(result, patch)
    return result


def _all_pads(padding: Pairs, axes: range, ndim: int) -> Pairs:
    return ((0, 0),) * axes.start + tuple(padding) + ((0, 0),) * (ndim - axes.stop)


@op(rule=_pool_spec)
def max_pool(
    x: Array,
    /,
    *,
    kernel: Ints,
    strides: Ints,
    padding: Pairs | None = None,
    dilation: Ints | None = None,
    channel_axis: int = 1,
) -> Array:
    """The largest element of each window. What is padded never wins.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        kernel: the size of the window along each spatial axis.
        strides: from one window to the next.
        padding: (before, after) each spatial axis; none where None.
        dilation: the distance of a window's elements; 1 where None.
        channel_axis: where the channels are.

    Source: torch.nn.functional.max_pool2d; ``ceil_mode`` is padding after.
    """
    spec = spec_of(x)
    axes = spatial_axes(spec.ndim, channel_axis)
    padding, dilation = pairs_or_zeros(padding, len(axes)), ones_or(dilation, len(axes))
    if any(pair != (0, 0) for pair in padding):
        x = pad(x, padding=_all_pads(padding, axes, spec.ndim), value=-float("inf"))
    return _pooled(x, axes, kernel, strides, dilation, maximum)


@op(rule=_pool_spec)
def avg_pool(
    x: Array,
    /,
    *,
    kernel: Ints,
    strides: Ints,
    padding: Pairs | None = None,
    count_include_pad: bool = True,
    divisor: int | None = None,
    channel_axis: int = 1,
) -> Array:
    """The mean of each window.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        kernel: the size of the window along each spatial axis.
        strides: from one window to the next.
        padding: zeros (before, after) each spatial axis; none where None.
        count_include_pad: whether padded elements count in the mean.
        divisor: divides the sum in place of the number of elements.
        channel_axis: where the channels are.

    Source: torch.nn.functional.avg_pool2d.
    """
    spec = spec_of(x)
    axes = spatial_axes(spec.ndim, channel_axis)
    ones = (1,) * len(axes)
    padding = pairs_or_zeros(padding, len(axes))
    padded = any(pair != (0, 0) for pair in padding)
    every = _all_pads(padding, axes, spec.ndim)

    def total(array: Array) -> Array:
        array = pad(array, padding=every) if padded else array
        return _pooled(array, axes, kernel, strides, ones, lambda a, b: a + b)

    if divisor is None and padded and not count_include_pad:
        shape = tuple(size if axis in axes else 1 for axis, size in enumerate(spec.shape))
        return total(x) / total(created(full, x, shape=shape, fill_value=1, dtype=spec.dtype))
    return total(x) / float(math.prod(kernel) if divisor is None else divisor)


def _torch_pool(n: SimpleNamespace) -> Mapping[str, Any]:
    padding = pairs_or_zeros(n.padding, len(n.kernel))
    dilation = ones_or(getattr(n, "dilation", None), len(n.kernel))
    return {
        "kernel": one_or_all(n.kernel),
        "strides": one_or_all(n.strides),
        "padding": one_or_all(before for before, _ in padding),
        "dilation": one_or_all(dilation),
    }


def _window(n: SimpleNamespace) -> Mapping[str, Any]:
    padding = pairs_or_zeros(n.padding, len(n.kernel))

    def whole(values: Any, other: Any) -> Any:
        return (other, *values, other) if channels_last(n) else (other, other, *values)

    return {
        "window": whole(n.kernel, 1),
        "steps": whole(n.strides, 1),
        "pads": whole(padding, (0, 0)) if any(pair != (0, 0) for pair in padding) else "VALID",
        "low": Source("-jnp.inf"),
    }


for _count in (1, 2, 3):

    def _pools(n: SimpleNamespace, ndim: int = _count + 2) -> bool:
        padding = pairs_or_zeros(n.padding, len(n.kernel))
        even = all(a == b and 2 * a <= k for (a, b), k in zip(padding, n.kernel, strict=True))
        return n.x.ndim == ndim and channels_first(n) and even

    _rest = "{x}, {kernel}, stride={strides}, padding={padding:0}"
    max_pool.lower("torch", f"F.max_pool{_count}d({_rest}, dilation={{dilation:1}})", when=_pools, derive=_torch_pool)
    avg_pool.lower(
        "torch",
        f"F.avg_pool{_count}d({_rest}, count_include_pad={{count_include_pad:True}})",
        when=lambda n, pools=_pools: pools(n) and n.divisor is None,
        derive=_torch_pool,
    )

max_pool.lower(
    "jax",
    "lax.reduce_window({x}, {low}, lax.max, {window}, {steps}, {pads})",
    when=lambda n: n.dilation is None or set(n.dilation) == {1},  # JAX has no gradient of dilated windows
    derive=_window,
)
avg_pool.lower(
    "jax",
    "lax.reduce_window({x}, 0.0, lax.add, {window}, {steps}, {pads}) / {area}",
    when=lambda n: n.divisor is not None or n.count_include_pad or n.padding is None,
    derive=lambda n: {**_window(n), "area": math.prod(n.kernel) if n.divisor is None else n.divisor},
)


max_pool.lower(
    "numpy",
    "support.max_pool({x}, {kernel}, strides={strides}, padding={padding:0}, dilation={dilation:1})",
    when=channels_first,
    derive=numpy_windows,
)
avg_pool.lower(
    "numpy",
    "support.avg_pool({x}, {kernel}, strides={strides}, padding={padding:0},"
    " count_include_pad={count_include_pad:True}, divisor={divisor})",
    when=channels_first,
    derive=numpy_windows,
)


def _tf_pools(n: SimpleNamespace) -> bool:
    return channels_last(n) and set(ones_or(getattr(n, "dilation", None), len(n.kernel))) == {1}


def _no_padding(n: SimpleNamespace) -> bool:
    return _tf_pools(n) and all(pair == (0, 0) for pair in pairs_or_zeros(n.padding, len(n.kernel)))


def _tf_pads(n: SimpleNamespace) -> Mapping[str, Any]:
    return {"pads": ((0, 0), *pairs_or_zeros(n.padding, len(n.kernel)), (0, 0)), "low": Source('-float("inf")')}


max_pool.lower("tensorflow", 'tf.nn.max_pool({x}, {kernel}, {strides}, "VALID")', when=_no_padding)
max_pool.lower(
    "tensorflow",
    'tf.nn.max_pool(tf.pad({x}, {pads}, constant_values={low}), {kernel}, {strides}, "VALID")',
    when=_tf_pools,
    derive=_tf_pads,
)
avg_pool.lower(
    "tensorflow",
    'tf.nn.avg_pool({x}, {kernel}, {strides}, "VALID")',
    when=lambda n: _no_padding(n) and n.divisor is None,
)


@op(rule=resized_spec)
def adaptive_avg_pool(x: Array, /, *, size: Ints, channel_axis: int = 1) -> Array:
    """Means over windows that divide each spatial axis into ``size`` parts, which overlap where it does not divide.

    Part i of n covers the elements from floor(i · length / n) up to ceil((i + 1) · length / n).

    Source: torch.nn.functional.adaptive_avg_pool2d.
    """
    from .shape import concat

    axes = spatial_axes(spec_of(x).ndim, channel_axis)
    whole = tuple(axis for axis, parts in zip(axes, size, strict=True) if parts == 1)
    if whole:
        x = mean(x, axis=whole, keepdims=True)
    for axis, parts in zip(axes, size, strict=True):
        length = spec_of(x).shape[axis]
        if parts in (1, length):
            continue
        if isinstance(length, Dim):
            if length % parts != 0:
                raise ShapeError(f"expected an axis of known length, or one that {parts} divides, received {length}")
            shape = spec_of(x).shape
            windows = reshape(x, shape=(*shape[:axis], parts, length // parts, *shape[axis + 1 :]))
            x = mean(windows, axis=axis + 1)
            continue
        lead = ((None, None, None),) * axis
        pieces = [
            mean(
                getitem(x, key=(*lead, (i * length // parts, -(-(i + 1) * length // parts), None))),
                axis=axis,
                keepdims=True,
            )
            for i in range(parts)
        ]
        x = concat(pieces, axis=axis)
    return x


for _count in (1, 2, 3):

    def _adapts(n: SimpleNamespace, ndim: int = _count + 2) -> bool:
        return n.x.ndim == ndim and channels_first(n)

    adaptive_avg_pool.lower(
        "torch",
        f"F.adaptive_avg_pool{_count}d({{x}}, {{size}})",
        when=_adapts,
        derive=lambda n: {"size": one_or_all(n.size)},
    )
