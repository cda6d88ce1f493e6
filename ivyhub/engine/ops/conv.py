"""Convolution over one to three spatial axes, and its transpose.

Channels stand on ``channel_axis``, 1 or the last; the spatial axes are the others but the first.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ...errors import DTypeError, ShapeError
from ..backends import is_floating
from ..dims import Size
from ..op import Array, op
from ..spec import Spec, normalize_axis, spec_of
from ._spatial import (
    Ints,
    Padding,
    all_pads,
    channels_first,
    channels_last,
    check_lengths,
    lower_settled,
    moved_axis,
    numpy_windows,
    one_or_all,
    ones_or,
    pairs,
    spatial_axes,
    windows,
)
from .creation import created, full
from .indexing import getitem
from .linalg import einsum
from .shape import Pairs, pad, reshape, transpose


def _conv_spec(
    x: Spec,
    weight: Spec,
    bias: Spec | None = None,
    *,
    strides: Ints | None = None,
    padding: Padding = None,
    dilation: Ints | None = None,
    groups: int = 1,
    channel_axis: int = 1,
    **_: Any,
) -> Spec:
    axes = spatial_axes(x.ndim, channel_axis)
    strides, dilation = ones_or(strides, len(axes)), ones_or(dilation, len(axes))
    check_lengths(x, len(axes), strides=strides, dilation=dilation, kernel=weight.shape[2:])
    padding = pairs(padding, [x.shape[axis] for axis in axes], weight.shape[2:], strides, dilation)
    check_lengths(x, len(axes), padding=padding)
    channels = normalize_axis(channel_axis, x.ndim)
    if x.shape[channels] != weight.shape[1] * groups:
        raise ShapeError(f"expected {weight.shape[1] * groups} channels for {weight} in {groups} groups, received {x}")
    if x.dtype != weight.dtype:
        raise DTypeError(f"expected operands of one dtype, received {x} and {weight}")
    shape = list(x.shape)
    shape[channels] = weight.shape[0]
    for i, axis in enumerate(axes):
        shape[axis] = windows(x.shape[axis], weight.shape[2 + i], strides[i], padding[i], dilation[i])
    return x.with_shape(*shape)


@op(rule=_conv_spec, strict=True)
def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    strides: Ints | None = None,
    padding: Padding = None,
    dilation: Ints | None = None,
    groups: int = 1,
    channel_axis: int = 1,
    padding_mode: str = "constant",
) -> Array:
    """Cross-correlation of x with a kernel, plus a bias for each channel.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        weight: (out channels, channels / groups, *kernel), in either layout of x.
        bias: (out channels,) or None.
        strides: one for each spatial axis; 1 where None.
        padding: (before, after) each spatial axis, "SAME" (as many windows as strides fit into the axis, with the
            odd zero after), or "VALID" or None (nothing).
        dilation: the distance of kernel elements along each spatial axis; 1 where None.
        groups: how many parts the channels make, each with its own kernel.
        channel_axis: where the channels are, in x and in the result.
        padding_mode: what is padded, in the words of `pad`: "constant" (zeros), "reflect", "edge" or "wrap".

    Source: torch.nn.functional.conv1d, conv2d and conv3d; torch.nn.Conv2d for the modes, jax.lax.conv for the words.
    """
    spec = spec_of(x)
    axes = spatial_axes(spec.ndim, channel_axis)
    strides, dilation = ones_or(strides, len(axes)), ones_or(dilation, len(axes))
    padding = pairs(padding, [spec.shape[axis] for axis in axes], spec_of(weight).shape[2:], strides, dilation)
    options: dict[str, Any] = {"strides": strides, "dilation": dilation, "groups": groups}
    if padding_mode != "constant":
        x = pad(x, padding=all_pads(padding, axes, spec.ndim), mode=padding_mode)
        return conv(x, weight, bias, channel_axis=channel_axis, **options)
    options["padding"] = padding
    if spatial_axes(spec.ndim, channel_axis).start == 2:
        return moved_axis(conv(moved_axis(x, 1, -1), weight, bias, channel_axis=-1, **options), -1, 1)
    out, size, *kernel = spec_of(weight).shape
    parts = pad(x, padding=((0, 0), *padding, (0, 0)))
    parts_shape = spec_of(parts).shape
    counts = [
        windows(n, k, s, (0, 0), d) for n, k, s, d in zip(parts_shape[1:-1], kernel, strides, dilation, strict=True)
    ]
    parts = reshape(parts, shape=(*parts_shape[:-1], groups, size))
    kernels = reshape(weight, shape=(groups, out // groups, size, *kernel))
    result: Any = None
    for offset in itertools.product(*map(range, kernel)):
        patch = _strided(parts, offset, counts, strides, dilation)
        term = einsum([patch, getitem(kernels, key=((None, None, None),) * 3 + offset)], equation="...gi,goi->...go")
        result = term if result is None else result + term
    result = reshape(result, shape=(spec.shape[0], *counts, out))
    return result if bias is None else result + bias


def _strided(x: Array, offset: Ints, counts: Sequence[Size], strides: Ints, dilation: Ints) -> Array:
    """The element of every window at one offset, where the spatial axes follow the first."""
    key: list[Any] = [(None, None, None)]
    for o, count, stride, d in zip(offset, counts, strides, dilation, strict=True):
        key.append((o * d, o * d + (count - 1) * stride + 1, stride))
    return getitem(x, key=tuple(key))


def _torch_conv(n: SimpleNamespace) -> Mapping[str, Any]:
    even = all(before == after for before, after in n.padding)
    pads = itertools.chain.from_iterable(reversed(n.padding))
    return {
        "padding": one_or_all(before for before, _ in n.padding) if even else 0,
        "pads": tuple(pads),
        "strides": one_or_all(n.strides),
        "dilation": one_or_all(n.dilation),
    }


def _jax_conv(n: SimpleNamespace) -> Mapping[str, Any]:
    spatial = "DHW"[4 - n.x.ndim + 1 :]
    data = f"N{spatial}C" if channels_last(n) else f"NC{spatial}"
    return {
        "layout": (data, f"OI{spatial}", data),
        "dilation": None if set(n.dilation) == {1} else n.dilation,
        "channels": (-1, *(1,) * (n.x.ndim - 2)),
    }


def _zeros(n: SimpleNamespace) -> bool:
    return n.padding_mode == "constant"


for _count in (1, 2, 3):

    def _is(n: SimpleNamespace, ndim: int = _count + 2) -> bool:
        return _zeros(n) and n.x.ndim == ndim and channels_first(n)

    def _is_even(n: SimpleNamespace, fits: Any = _is) -> bool:
        return fits(n) and all(before == after for before, after in n.padding)

    _rest = "{weight}, {bias}, stride={strides:1}, padding={padding:0}, dilation={dilation:1}, groups={groups:1})"
    lower_settled(conv, "torch", f"F.conv{_count}d({{x}}, {_rest}", _is_even, _torch_conv)
    lower_settled(conv, "torch", f"F.conv{_count}d(F.pad({{x}}, {{pads}}), {_rest}", _is, _torch_conv)

_JAX_CONV = (
    "lax.conv_general_dilated({x}, {weight}, {strides}, {padding}, rhs_dilation={dilation},"
    " dimension_numbers={layout}, feature_group_count={groups:1})"
)
lower_settled(conv, "jax", _JAX_CONV, lambda n: _zeros(n) and n.bias is None, _jax_conv)
lower_settled(conv, "jax", f"{_JAX_CONV} + {{bias}}", lambda n: _zeros(n) and channels_last(n), _jax_conv)
lower_settled(conv, "jax", f"{_JAX_CONV} + {{bias}}.reshape({{channels}})", _zeros, _jax_conv)


lower_settled(
    conv,
    "numpy",
    "support.conv({x}, {weight}, {bias}, strides={strides:1}, padding={padding:0}, dilation={dilation:1},"
    " groups={groups:1})",
    lambda n: _zeros(n) and channels_first(n),
    numpy_windows,
)


def _tf_conv(n: SimpleNamespace) -> Mapping[str, Any]:
    return {
        "pads": ((0, 0), *n.padding, (0, 0)),
        "order": (*range(2, n.weight.ndim), 1, 0),
        "dilation": None if set(n.dilation) == {1} else n.dilation,
        "layout": "NDHWC" if n.x.ndim == 5 else None,  # the gradient of Conv3D wants it told
    }


def _ungrouped(n: SimpleNamespace) -> bool:
    """What tf.nn.convolution has: strides or dilation, no gradient of groups on a CPU, and no integers."""
    able = n.groups == 1 and 1 in (max(n.strides), max(n.dilation)) and is_floating(n.x.dtype)
    return _zeros(n) and channels_last(n) and able


def _valid(n: SimpleNamespace) -> bool:
    return _ungrouped(n) and all(pair == (0, 0) for pair in n.padding)


_TF_CONV = (
    'tf.nn.convolution({x}, tf.transpose({weight}, {order}), strides={strides}, padding="VALID",'
    " dilations={dilation}, data_format={layout})"
)
_TF_PADDED = _TF_CONV.replace("{x}", "tf.pad({x}, {pads})")


def _without_bias(n: SimpleNamespace) -> bool:
    return n.bias is None


def _depthwise(n: SimpleNamespace) -> bool:
    """One kernel a channel, in the cases that tf.nn.depthwise_conv2d has."""
    alone = n.groups == n.weight.shape[0] and n.weight.shape[1] == 1 and n.x.ndim == 4
    able = len(set(n.strides)) == 1 and 1 in (max(n.strides), max(n.dilation)) and is_floating(n.x.dtype)
    return _zeros(n) and channels_last(n) and alone and able


_TF_DEPTHWISE = (
    "tf.nn.depthwise_conv2d(tf.pad({x}, {pads}), tf.transpose({weight}, (2, 3, 0, 1)), {steps},"
    ' padding="VALID", dilations={dilation})'
)


def _tf_depthwise(n: SimpleNamespace) -> Mapping[str, Any]:
    return {**_tf_conv(n), "steps": (1, *n.strides, 1)}


for _form, _case, _values in (
    (_TF_DEPTHWISE, _depthwise, _tf_depthwise),
    (_TF_CONV, _valid, _tf_conv),
    (_TF_PADDED, _ungrouped, _tf_conv),
):
    lower_settled(conv, "tensorflow", _form, lambda n, case=_case: case(n) and _without_bias(n), _values)
    lower_settled(conv, "tensorflow", f"{_form} + {{bias}}", _case, _values)


def _conv_transpose_spec(
    x: Spec,
    weight: Spec,
    bias: Spec | None = None,
    *,
    strides: Ints | None = None,
    padding: Pairs | None = None,
    output_padding: Ints | None = None,
    dilation: Ints | None = None,
    groups: int = 1,
    channel_axis: int = 1,
) -> Spec:
    axes = spatial_axes(x.ndim, channel_axis)
    strides, dilation = ones_or(strides, len(axes)), ones_or(dilation, len(axes))
    padding = _cut(padding, output_padding, len(axes))
    check_lengths(x, len(axes), strides=strides, padding=padding, dilation=dilation, kernel=weight.shape[2:])
    channels = normalize_axis(channel_axis, x.ndim)
    if x.shape[channels] != weight.shape[0]:
        raise ShapeError(f"expected {weight.shape[0]} channels for {weight}, received {x}")
    shape = list(x.shape)
    shape[channels] = weight.shape[1] * groups
    for i, axis in enumerate(axes):
        reach = dilation[i] * (weight.shape[2 + i] - 1) + 1
        shape[axis] = (x.shape[axis] - 1) * strides[i] + reach - padding[i][0] - padding[i][1]
    return x.with_shape(*shape)


def _cut(padding: Pairs | None, output_padding: Ints | None, count: int) -> Pairs:
    """What is cut off before and after each axis; less after where the output is padded."""
    sides = ((0, 0),) * count if padding is None else padding
    extra = (0,) * count if output_padding is None else output_padding
    return tuple((before, after - more) for (before, after), more in zip(sides, extra, strict=True))


@op(rule=_conv_transpose_spec, strict=True)
def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    strides: Ints | None = None,
    padding: Pairs | None = None,
    output_padding: Ints | None = None,
    dilation: Ints | None = None,
    groups: int = 1,
    channel_axis: int = 1,
) -> Array:
    """The gradient of `conv` with respect to its input, as a layer: x is spread out by the strides.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        weight: (channels, out channels / groups, *kernel).
        bias: (out channels,) or None.
        strides: one for each spatial axis; 1 where None.
        padding: what is cut off (before, after) each spatial axis of the result; negative adds zeros, None is nothing.
        output_padding: how much less is cut off after each spatial axis; 0 where None.
        dilation: the distance of kernel elements along each spatial axis; 1 where None.
        groups: how many parts the channels make.
        channel_axis: where the channels are, in x and in the result.

    Source: torch.nn.functional.conv_transpose1d, conv_transpose2d and conv_transpose3d.
    """
    from .shape import concat, flip

    spec = spec_of(x)
    size, out, *kernel = spec_of(weight).shape
    axes = spatial_axes(spec.ndim, channel_axis)
    strides, dilation = ones_or(strides, len(axes)), ones_or(dilation, len(axes))
    padding = _cut(padding, output_padding, len(axes))
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
    reach = [d * (int(k) - 1) for k, d in zip(kernel, dilation, strict=True)]
    pads = [(r - int(before), r - int(after)) for r, (before, after) in zip(reach, padding, strict=True)]
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


def _transposed(n: SimpleNamespace) -> SimpleNamespace:
    """A call with its strides, padding and dilation written out."""
    count = n.x.ndim - 2
    found = {"strides": ones_or(n.strides, count), "dilation": ones_or(n.dilation, count)}
    return SimpleNamespace(**{**vars(n), **found, "padding": _cut(n.padding, n.output_padding, count)})


def _torch_transposed(n: SimpleNamespace) -> Mapping[str, Any]:
    n = _transposed(n)
    return {
        "padding": one_or_all(before for before, _ in n.padding),
        "extra": one_or_all(before - after for before, after in n.padding),
        "strides": one_or_all(n.strides),
        "dilation": one_or_all(n.dilation),
        "crop": tuple(-side for pair in reversed(n.padding) for side in pair),
    }


for _count in (1, 2, 3):

    def _fits(n: SimpleNamespace, ndim: int = _count + 2) -> bool:
        n = _transposed(n)
        steps = zip(n.padding, n.strides, n.dilation, strict=True)
        return (
            n.x.ndim == ndim and channels_first(n) and all(0 <= a - b < max(s, d) and b >= 0 for (a, b), s, d in steps)
        )

    conv_transpose.lower(
        "torch",
        f"F.conv_transpose{_count}d({{x}}, {{weight}}, {{bias}}, stride={{strides:1}}, padding={{padding:0}},"
        " output_padding={extra:0}, groups={groups:1}, dilation={dilation:1})",
        when=_fits,
        derive=_torch_transposed,
    )

    def _crops(n: SimpleNamespace, ndim: int = _count + 2) -> bool:
        """Whether what is cut off, or added, does not mind the bias."""
        plain = n.bias is None or min(itertools.chain.from_iterable(_transposed(n).padding)) >= 0
        return n.x.ndim == ndim and channels_first(n) and plain

    conv_transpose.lower(
        "torch",
        f"F.pad(F.conv_transpose{_count}d({{x}}, {{weight}}, {{bias}}, stride={{strides:1}}, groups={{groups:1}},"
        " dilation={dilation:1}), {crop})",
        when=_crops,
        derive=_torch_transposed,
    )


def _jax_transposed(n: SimpleNamespace) -> Mapping[str, Any]:
    found = _jax_conv(_transposed(n))
    n = _transposed(n)
    data, kernel, _ = found["layout"]
    reach = [d * (k - 1) for k, d in zip(n.weight.shape[2:], n.dilation, strict=True)]
    return {
        **found,
        "layout": (data, kernel.replace("OI", "IO"), data),
        "flipped": tuple(range(2, n.weight.ndim)),
        "ones": (1,) * len(reach),
        "strides": n.strides,
        "padding": tuple((r - before, r - after) for r, (before, after) in zip(reach, n.padding, strict=True)),
    }


def _one_group(n: SimpleNamespace) -> bool:
    return n.groups == 1


_JAX_TRANSPOSED = (
    "lax.conv_general_dilated({x}, jnp.flip({weight}, {flipped}), {ones}, {padding}, lhs_dilation={strides},"
    " rhs_dilation={dilation}, dimension_numbers={layout})"
)
conv_transpose.lower("jax", _JAX_TRANSPOSED, when=lambda n: _one_group(n) and _without_bias(n), derive=_jax_transposed)
conv_transpose.lower(
    "jax", f"{_JAX_TRANSPOSED} + {{bias}}", when=lambda n: _one_group(n) and channels_last(n), derive=_jax_transposed
)
conv_transpose.lower(
    "jax", f"{_JAX_TRANSPOSED} + {{bias}}.reshape({{channels}})", when=_one_group, derive=_jax_transposed
)


def _tf_transposed(n: SimpleNamespace) -> Mapping[str, Any]:
    n = _transposed(n)
    return {"order": (*range(2, n.weight.ndim), 1, 0), "strides": n.strides, "padding": n.padding}


def _tf_fits(n: SimpleNamespace) -> bool:
    """What tf.nn.conv_transpose has, and its gradient on a CPU; it adds no more than a stride behind the image."""
    n = _transposed(n)
    sides = zip(n.padding, n.strides, strict=True)
    plain = _one_group(n) and set(n.dilation) == {1} and is_floating(n.x.dtype)
    return channels_last(n) and plain and all(before >= 0 and after > -step for (before, after), step in sides)


_TF_TRANSPOSED = "support.conv_transpose({x}, tf.transpose({weight}, {order}), strides={strides}, padding={padding})"
conv_transpose.lower(
    "tensorflow", _TF_TRANSPOSED, when=lambda n: _tf_fits(n) and _without_bias(n), derive=_tf_transposed
)
conv_transpose.lower("tensorflow", f"{_TF_TRANSPOSED} + {{bias}}", when=_tf_fits, derive=_tf_transposed)
