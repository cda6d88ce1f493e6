"""Convolution, pooling and interpolation over one to three spatial axes.

Channels stand on ``channel_axis``, 1 or the last; the spatial axes are the others but the first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ...errors import DTypeError, ShapeError
from ..dims import Dim, Size, floordiv
from ..op import Array, Source, op
from ..spec import Spec, normalize_axis, spec_of
from .creation import arange, created, full, scalar
from .elementwise import astype, clip, floor, maximum, minimum
from .indexing import getitem, take
from .linalg import einsum
from .reduction import mean
from .shape import Pairs, pad, reshape, transpose

Ints = tuple[int, ...]


def _spatial(ndim: int, channel_axis: int) -> range:
    channels = normalize_axis(channel_axis, ndim)
    if channels not in (1, ndim - 1):
        raise ShapeError(f"expected the channels on axis 1 or the last, received {channel_axis}")
    return range(1, ndim - 1) if channels == ndim - 1 else range(2, ndim)


def _windows(size: Size, kernel: int, stride: int, pads: tuple[int, int], dilation: int) -> Size:
    """How many windows fit on an axis."""
    return floordiv(size + sum(pads) - dilation * (kernel - 1) - 1, stride) + 1


def _ones(values: Sequence[int] | None, count: int) -> Ints:
    return (1,) * count if values is None else tuple(values)


def _no_pads(padding: Pairs | None, count: int) -> Any:
    return ((0, 0),) * count if padding is None else padding


def _checked(x: Spec, count: int, **fields: Sequence[Any]) -> None:
    for name, values in fields.items():
        if len(values) != count:
            raise ShapeError(f"expected {count} {name} for {x}, received {tuple(values)}")


def _last(n: SimpleNamespace) -> bool:
    return n.channel_axis in (-1, n.x.ndim - 1)


def _first(n: SimpleNamespace) -> bool:
    return n.channel_axis in (1, 1 - n.x.ndim)


def _moved(x: Array, source: int, target: int) -> Array:
    """x with one axis moved to another place."""
    axes = list(range(spec_of(x).ndim))
    axes.insert(target % len(axes), axes.pop(source))
    return transpose(x, axes=tuple(axes))


# -- convolution -----------------------------------------------------------------------------------------------------


def _conv_spec(
    x: Spec,
    weight: Spec,
    bias: Spec | None = None,
    *,
    strides: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int = 1,
    channel_axis: int = 1,
) -> Spec:
    axes = _spatial(x.ndim, channel_axis)
    _checked(x, len(axes), strides=strides, padding=padding, dilation=dilation, kernel=weight.shape[2:])
    channels = normalize_axis(channel_axis, x.ndim)
    if x.shape[channels] != weight.shape[1] * groups:
        raise ShapeError(f"expected {weight.shape[1] * groups} channels for {weight} in {groups} groups, received {x}")
    if x.dtype != weight.dtype:
        raise DTypeError(f"expected operands of one dtype, received {x} and {weight}")
    shape = list(x.shape)
    shape[channels] = weight.shape[0]
    for i, axis in enumerate(axes):
        shape[axis] = _windows(x.shape[axis], weight.shape[2 + i], strides[i], padding[i], dilation[i])  # type: ignore[arg-type]
    return x.with_shape(*shape)


@op(rule=_conv_spec)
def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    strides: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int = 1,
    channel_axis: int = 1,
) -> Array:
    """Cross-correlation of x with a kernel, plus a bias for each channel.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        weight: (out channels, channels / groups, *kernel), in either layout of x.
        bias: (out channels,) or None.
        strides: one for each spatial axis.
        padding: zeros (before, after) each spatial axis.
        dilation: the distance of kernel elements along each spatial axis.
        groups: how many parts the channels make, each with its own kernel.
        channel_axis: where the channels are, in x and in the result.

    Source: torch.nn.functional.conv1d, conv2d and conv3d.
    """
    spec = spec_of(x)
    options: dict[str, Any] = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    if _spatial(spec.ndim, channel_axis).start == 2:
        return _moved(conv(_moved(x, 1, -1), weight, bias, channel_axis=-1, **options), -1, 1)
    out, size, *kernel = spec_of(weight).shape
    parts = pad(x, padding=((0, 0), *padding, (0, 0)))
    parts_shape = spec_of(parts).shape
    counts = [
        _windows(n, k, s, (0, 0), d) for n, k, s, d in zip(parts_shape[1:-1], kernel, strides, dilation, strict=True)
    ]  # type: ignore[arg-type]
    parts = reshape(parts, shape=(*parts_shape[:-1], groups, size))
    kernels = reshape(weight, shape=(groups, out // groups, size, *kernel))
    result: Any = None
    for offset in itertools.product(*map(range, kernel)):  # type: ignore[arg-type]
        patch = _strided(parts, offset, counts, strides, dilation)
        term = einsum([patch, getitem(kernels, key=((None, None, None),) * 3 + offset)], equation="...gi,goi->...go")
        result = term if result is None else result + term
    result = reshape(result, shape=(spec.shape[0], *counts, out))
    return result if bias is None else result + bias


def _strided(x: Array, offset: Ints, counts: Sequence[Size], strides: Ints, dilation: Ints) -> Array:
    """The element of every window at one offset, where the spatial axes follow the first."""
    key = [(None, None, None)]
    for o, count, stride, d in zip(offset, counts, strides, dilation, strict=True):
        key.append((o * d, o * d + (count - 1) * stride + 1, stride))  # type: ignore[arg-type]
    return getitem(x, key=tuple(key))


def _torch_conv(n: SimpleNamespace) -> Mapping[str, Any]:
    even = all(before == after for before, after in n.padding)
    pads = itertools.chain.from_iterable(reversed(n.padding))
    return {
        "padding": _one(before for before, _ in n.padding) if even else 0,
        "pads": tuple(pads),
        "strides": _one(n.strides),
        "dilation": _one(n.dilation),
    }


def _one(values: Any) -> Any:
    """One number for all axes, where they agree."""
    values = tuple(values)
    return values[0] if len(set(values)) == 1 else values


def _jax_conv(n: SimpleNamespace) -> Mapping[str, Any]:
    spatial = "DHW"[4 - n.x.ndim + 1 :]
    data = f"N{spatial}C" if _last(n) else f"NC{spatial}"
    return {
        "layout": (data, f"OI{spatial}", data),
        "dilation": None if set(n.dilation) == {1} else n.dilation,
        "channels": (-1, *(1,) * (n.x.ndim - 2)),
    }


for _count in (1, 2, 3):

    def _is(n: SimpleNamespace, ndim: int = _count + 2) -> bool:
        return n.x.ndim == ndim and _first(n)

    def _is_even(n: SimpleNamespace, ndim: int = _count + 2) -> bool:
        return n.x.ndim == ndim and _first(n) and all(before == after for before, after in n.padding)

    _rest = "{weight}, {bias}, stride={strides:1}, padding={padding:0}, dilation={dilation:1}, groups={groups:1})"
    conv.lower("torch", f"F.conv{_count}d({{x}}, {_rest}", when=_is_even, derive=_torch_conv)
    conv.lower("torch", f"F.conv{_count}d(F.pad({{x}}, {{pads}}), {_rest}", when=_is, derive=_torch_conv)

_JAX_CONV = (
    "lax.conv_general_dilated({x}, {weight}, {strides}, {padding}, rhs_dilation={dilation},"
    " dimension_numbers={layout}, feature_group_count={groups:1})"
)
conv.lower("jax", _JAX_CONV, when=lambda n: n.bias is None, derive=_jax_conv)
conv.lower("jax", f"{_JAX_CONV} + {{bias}}", when=_last, derive=_jax_conv)
conv.lower("jax", f"{_JAX_CONV} + {{bias}}.reshape({{channels}})", derive=_jax_conv)


conv.lower(
    "numpy",
    "support.conv({x}, {weight}, {bias}, strides={strides}, padding={padding}, dilation={dilation}, groups={groups:1})",
    when=_first,
)


def _tf_conv(n: SimpleNamespace) -> Mapping[str, Any]:
    return {
        "pads": ((0, 0), *n.padding, (0, 0)),
        "order": (*range(2, n.weight.ndim), 1, 0),
        "dilation": None if set(n.dilation) == {1} else n.dilation,
    }


def _valid(n: SimpleNamespace) -> bool:
    return _last(n) and all(pair == (0, 0) for pair in n.padding)


_TF_CONV = (
    'tf.nn.convolution({x}, tf.transpose({weight}, {order}), strides={strides}, padding="VALID", dilations={dilation})'
)
_TF_PADDED = _TF_CONV.replace("{x}", "tf.pad({x}, {pads})")


def _without_bias(n: SimpleNamespace) -> bool:
    return n.bias is None


conv.lower("tensorflow", _TF_CONV, when=lambda n: _valid(n) and _without_bias(n), derive=_tf_conv)
conv.lower("tensorflow", f"{_TF_CONV} + {{bias}}", when=_valid, derive=_tf_conv)
conv.lower("tensorflow", _TF_PADDED, when=lambda n: _last(n) and _without_bias(n), derive=_tf_conv)
conv.lower("tensorflow", f"{_TF_PADDED} + {{bias}}", when=_last, derive=_tf_conv)


def _conv_transpose_spec(
    x: Spec,
    weight: Spec,
    bias: Spec | None = None,
    *,
    strides: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int = 1,
    channel_axis: int = 1,
) -> Spec:
    axes = _spatial(x.ndim, channel_axis)
    _checked(x, len(axes), strides=strides, padding=padding, dilation=dilation, kernel=weight.shape[2:])
    channels = normalize_axis(channel_axis, x.ndim)
    if x.shape[channels] != weight.shape[0]:
        raise ShapeError(f"expected {weight.shape[0]} channels for {weight}, received {x}")
    shape = list(x.shape)
    shape[channels] = weight.shape[1] * groups
    for i, axis in enumerate(axes):
        reach = dilation[i] * (weight.shape[2 + i] - 1) + 1  # type: ignore[operator]
        shape[axis] = (x.shape[axis] - 1) * strides[i] + reach - padding[i][0] - padding[i][1]
    return x.with_shape(*shape)


@op(rule=_conv_transpose_spec)
def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    strides: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int = 1,
    channel_axis: int = 1,
) -> Array:
    """The gradient of `conv` with respect to its input, as a layer: x is spread out by the strides.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        weight: (channels, out channels / groups, *kernel).
        bias: (out channels,) or None.
        strides: one for each spatial axis.
        padding: what is cut off (before, after) each spatial axis of the result; negative adds zeros.
        dilation: the distance of kernel elements along each spatial axis.
        groups: how many parts the channels make.
        channel_axis: where the channels are, in x and in the result.

    Source: torch.nn.functional.conv_transpose2d, whose ``output_padding`` lessens the second number of each pair.
    """
    from .shape import concat, flip

    spec = spec_of(x)
    size, out, *kernel = spec_of(weight).shape
    axes = _spatial(spec.ndim, channel_axis)
    for axis, stride in zip(axes, strides, strict=True):  # zeros between the elements of x
        shape = spec_of(x).shape
        spread = reshape(x, shape=(*shape[: axis + 1], 1, *shape[axis + 1 :]))
        zeros = created(
            full, x, shape=(*shape[: axis + 1], stride - 1, *shape[axis + 1 :]), fill_value=0, dtype=spec.dtype
        )
        spread = concat([spread, zeros], axis=axis + 1) if stride > 1 else spread
        spread = reshape(spread, shape=(*shape[:axis], shape[axis] * stride, *shape[axis + 1 :]))
        stop = (shape[axis] - 1) * stride + 1
        x = getitem(spread, key=((None, None, None),) * axis + ((None, stop, None),))
    kernels = reshape(weight, shape=(groups, size // groups, out, *kernel))
    order = (0, 2, 1, *range(3, 3 + len(kernel)))
    kernels = reshape(transpose(kernels, axes=order), shape=(groups * out, size // groups, *kernel))
    kernels = flip(kernels, axis=tuple(range(2, 2 + len(kernel))))
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]  # type: ignore[operator]
    pads = [(r - before, r - after) for r, (before, after) in zip(reach, padding, strict=True)]
    cut: list[Any] = [(None, None, None)] * spec.ndim
    for axis, (before, after) in zip(axes, pads, strict=True):
        cut[axis] = (max(-before, 0), spec_of(x).shape[axis] - max(-after, 0), None)
    if any(min(pair) < 0 for pair in pads):
        x = getitem(x, key=tuple(cut))
    return conv(
        *(x, kernels, bias),
        strides=(1,) * len(kernel),
        padding=tuple((max(before, 0), max(after, 0)) for before, after in pads),
        dilation=dilation,
        groups=groups,
        channel_axis=channel_axis,
    )


def _torch_transposed(n: SimpleNamespace) -> Mapping[str, Any]:
    return {
        "padding": _one(before for before, _ in n.padding),
        "extra": _one(before - after for before, after in n.padding),
        "strides": _one(n.strides),
        "dilation": _one(n.dilation),
    }


for _count in (1, 2, 3):

    def _fits(n: SimpleNamespace, ndim: int = _count + 2) -> bool:
        steps = zip(n.padding, n.strides, n.dilation, strict=True)
        return n.x.ndim == ndim and _first(n) and all(0 <= a - b < max(s, d) and b >= 0 for (a, b), s, d in steps)

    conv_transpose.lower(
        "torch",
        f"F.conv_transpose{_count}d({{x}}, {{weight}}, {{bias}}, stride={{strides:1}}, padding={{padding:0}},"
        " output_padding={extra:0}, groups={groups:1}, dilation={dilation:1})",
        when=_fits,
        derive=_torch_transposed,
    )


# -- pooling ---------------------------------------------------------------------------------------------------------


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
    axes = _spatial(x.ndim, channel_axis)
    padding, dilation = _no_pads(padding, len(axes)), _ones(dilation, len(axes))
    _checked(x, len(axes), kernel=kernel, strides=strides, padding=padding, dilation=dilation)
    shape = list(x.shape)
    for i, axis in enumerate(axes):
        shape[axis] = _windows(x.shape[axis], kernel[i], strides[i], padding[i], dilation[i])
    return x.with_shape(*shape)


def _pooled(x: Array, axes: range, kernel: Ints, strides: Ints, dilation: Ints, combine: Any) -> Array:
    """Windows combined one offset after the other."""
    shape = spec_of(x).shape
    lead = ((None, None, None),) * (axes.start - 1)
    counts = [_windows(shape[a], k, s, (0, 0), d) for a, k, s, d in zip(axes, kernel, strides, dilation, strict=True)]
    result: Any = None
    for offset in itertools.product(*map(range, kernel)):
        key = [*lead, (None, None, None)]
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
    axes = _spatial(spec.ndim, channel_axis)
    padding, dilation = _no_pads(padding, len(axes)), _ones(dilation, len(axes))
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
    axes = _spatial(spec.ndim, channel_axis)
    ones = (1,) * len(axes)
    padding = _no_pads(padding, len(axes))
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
    padding = _no_pads(n.padding, len(n.kernel))
    dilation = _ones(getattr(n, "dilation", None), len(n.kernel))
    return {
        "kernel": _one(n.kernel),
        "strides": _one(n.strides),
        "padding": _one(before for before, _ in padding),
        "dilation": _one(dilation),
    }


def _window(n: SimpleNamespace) -> Mapping[str, Any]:
    padding = _no_pads(n.padding, len(n.kernel))
    dilation = _ones(getattr(n, "dilation", None), len(n.kernel))

    def whole(values: Any, other: Any) -> Any:
        return (other, *values, other) if _last(n) else (other, other, *values)

    return {
        "window": whole(n.kernel, 1),
        "steps": whole(n.strides, 1),
        "pads": whole(padding, (0, 0)) if any(pair != (0, 0) for pair in padding) else "VALID",
        "spread": None if set(dilation) == {1} else whole(dilation, 1),
        "low": Source("-jnp.inf"),
    }


for _count in (1, 2, 3):

    def _pools(n: SimpleNamespace, ndim: int = _count + 2) -> bool:
        padding = _no_pads(n.padding, len(n.kernel))
        even = all(a == b and 2 * a <= k for (a, b), k in zip(padding, n.kernel, strict=True))
        return n.x.ndim == ndim and _first(n) and even

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
    "lax.reduce_window({x}, {low}, lax.max, {window}, {steps}, {pads}, window_dilation={spread})",
    derive=_window,
)
avg_pool.lower(
    "jax",
    "lax.reduce_window({x}, 0.0, lax.add, {window}, {steps}, {pads}) / {area}",
    when=lambda n: n.divisor is not None or n.count_include_pad or n.padding is None,
    derive=lambda n: {**_window(n), "area": math.prod(n.kernel) if n.divisor is None else n.divisor},
)


def _numpy_pool(n: SimpleNamespace) -> Mapping[str, Any]:
    count = len(n.kernel)
    return {"padding": _no_pads(n.padding, count), "dilation": _ones(getattr(n, "dilation", None), count)}


max_pool.lower(
    "numpy", "support.max_pool({x}, {kernel}, {strides}, {padding}, {dilation})", when=_first, derive=_numpy_pool
)
avg_pool.lower(
    "numpy",
    "support.avg_pool({x}, {kernel}, {strides}, {padding},"
    " count_include_pad={count_include_pad:True}, divisor={divisor})",
    when=_first,
    derive=_numpy_pool,
)


def _tf_pools(n: SimpleNamespace) -> bool:
    return _last(n) and set(_ones(getattr(n, "dilation", None), len(n.kernel))) == {1}


def _no_padding(n: SimpleNamespace) -> bool:
    return _tf_pools(n) and all(pair == (0, 0) for pair in _no_pads(n.padding, len(n.kernel)))


def _tf_pads(n: SimpleNamespace) -> Mapping[str, Any]:
    return {"pads": ((0, 0), *_no_pads(n.padding, len(n.kernel)), (0, 0)), "low": Source('-float("inf")')}


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


def _adaptive_spec(x: Spec, *, size: Ints, channel_axis: int = 1) -> Spec:
    axes = _spatial(x.ndim, channel_axis)
    _checked(x, len(axes), size=size)
    shape = list(x.shape)
    for axis, wanted in zip(axes, size, strict=True):
        shape[axis] = wanted
    return x.with_shape(*shape)


@op(rule=_adaptive_spec)
def adaptive_avg_pool(x: Array, /, *, size: Ints, channel_axis: int = 1) -> Array:
    """Means over windows that divide each spatial axis into ``size`` parts, which overlap where it does not divide.

    Part i of n covers the elements from floor(i · length / n) up to ceil((i + 1) · length / n).

    Source: torch.nn.functional.adaptive_avg_pool2d.
    """
    from .shape import concat

    axes = _spatial(spec_of(x).ndim, channel_axis)
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
        return n.x.ndim == ndim and _first(n)

    adaptive_avg_pool.lower(
        "torch",
        f"F.adaptive_avg_pool{_count}d({{x}}, {{size}})",
        when=_adapts,
        derive=lambda n: {"size": _one(n.size)},
    )


# -- interpolation ---------------------------------------------------------------------------------------------------


def _interpolate_spec(x: Spec, *, size: Sequence[Size], channel_axis: int = 1, **_: Any) -> Spec:
    return _adaptive_spec(x, size=tuple(size), channel_axis=channel_axis)  # type: ignore[arg-type]


@op(rule=_interpolate_spec)
def interpolate(
    x: Array, /, *, size: tuple[Size, ...], mode: str = "nearest", align_corners: bool = False, channel_axis: int = 1
) -> Array:
    """x at another resolution.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        size: the new size of each spatial axis.
        mode: "nearest" (the element at floor(i · old / new)), "linear" (between the nearest two on each axis) or
            "cubic" (between the nearest four, Keys' kernel with a = -0.75).
        align_corners: whether the outermost elements keep their places; else the outermost edges do.
        channel_axis: where the channels are.

    Source: torch.nn.functional.interpolate, without antialiasing.
    """
    if mode not in ("nearest", "linear", "cubic"):
        raise ShapeError(f"expected the mode nearest, linear or cubic, received {mode!r}")
    dtype = spec_of(x).dtype
    for axis, new in zip(_spatial(spec_of(x).ndim, channel_axis), size, strict=True):
        old = spec_of(x).shape[axis]
        if old == new:
            continue
        place = created(arange, x, stop=new, dtype="float32")
        if mode == "nearest":
            x = take(x, astype(floor(place * _ratio(old, new, x)), dtype="int32"), axis=axis)
            continue
        if align_corners:
            place = place * _ratio(old - 1, new - 1, x)
        else:
            place = (place + 0.5) * _ratio(old, new, x) - 0.5
            place = clip(place, min=0.0) if mode == "linear" else place
        low = floor(place)
        trailing = (*(1,) * (spec_of(x).ndim - axis - 1),)
        share = reshape(place - low, shape=(new, *trailing))
        first = astype(low, dtype="int32")
        last = scalar(old - 1, "int32", x)
        if mode == "linear":
            taps = {0: 1.0 - share, 1: share}
        else:
            taps = {step: _cubic(share - float(step)) for step in (-1, 0, 1, 2)}
        result: Any = None
        for step, weight in taps.items():
            at = minimum(maximum(first + step, 0), last)
            term = take(x, at, axis=axis) * astype(weight, dtype=dtype)
            result = term if result is None else result + term
        x = result
    return x


def _ratio(old: Size, new: Size, like: Array) -> Any:
    if new == 0:
        return 0.0
    if isinstance(old, int) and isinstance(new, int):
        return old / new
    return scalar(old, "float32", like) / scalar(new, "float32", like)


def _cubic(distance: Array) -> Array:
    """Keys' cubic kernel with a = -0.75 at a distance below 2."""
    from .elementwise import abs, where

    d = abs(distance)
    near = ((1.25 * d) - 2.25) * d * d + 1.0
    far = ((-0.75 * d + 3.75) * d - 6.0) * d + 3.0
    return where(d <= 1.0, near, far)


_MODES = {1: {"linear": "linear"}, 2: {"linear": "bilinear", "cubic": "bicubic"}, 3: {"linear": "trilinear"}}


def _torch_mode(n: SimpleNamespace) -> Mapping[str, Any]:
    return {"mode": _MODES[len(n.size)].get(n.mode, n.mode), "align": n.align_corners if n.mode != "nearest" else None}


interpolate.lower(
    "torch",
    "F.interpolate({x}, size={size}, mode={mode:'nearest'}, align_corners={align:False})",
    when=lambda n: _first(n) and (n.mode == "nearest" or n.mode in _MODES[len(n.size)]),
    derive=_torch_mode,
)
