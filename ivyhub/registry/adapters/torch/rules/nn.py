"""Layers: normalisation, convolution, pooling, attention."""

from __future__ import annotations

from collections.abc import Sequence

from .....engine import ops
from .....engine.dims import Dim, Size
from .....engine.stateful.dropout import alpha_dropped, dropped
from .....errors import ShapeError
from .common import RULES, Array, dtype_of, shape_of, spread
from .shape import pad, repeat_interleave, unsqueeze, view

Ints = int | Sequence[int]


@RULES("aten.dropout.default")
def dropout(x: Array, p: float, train: bool = True) -> Array:
    return ops.dropout(x, rate=float(p)) if train and p else x


@RULES("aten.feature_dropout.default")
def feature_dropout(x: Array, p: float, train: bool = True) -> Array:
    """Whole channels are dropped: one number of a mask for each."""
    return dropped(x, float(p), _of_channels(x)) if train and p else x


@RULES("aten.alpha_dropout.default")
def alpha_dropout(x: Array, p: float, train: bool = True) -> Array:
    return alpha_dropped(x, float(p), shape_of(x)) if train and p else x


@RULES("aten.feature_alpha_dropout.default")
def feature_alpha_dropout(x: Array, p: float, train: bool = True) -> Array:
    return alpha_dropped(x, float(p), _of_channels(x)) if train and p else x


def _of_channels(x: Array) -> tuple[Size, ...]:
    batch, channels, *rest = shape_of(x)
    return (batch, channels, *(1,) * len(rest))


@RULES("aten.embedding.default")
def embedding(
    weight: Array, indices: Array, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Array:
    return ops.embedding(indices, weight, padding_idx=None if padding_idx == -1 else padding_idx)


# -- normalisation ---------------------------------------------------------------------------------------------------


@RULES("aten.layer_norm.default")
def layer_norm(
    x: Array,
    normalized_shape: Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Array:
    return ops.layer_norm(x, weight, bias, axis=tuple(range(-len(normalized_shape), 0)), eps=eps)


_EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float64": 2.0**-52}


@RULES("aten.rms_norm.default")
def rms_norm(x: Array, normalized_shape: Sequence[int], weight: Array | None = None, eps: float | None = None) -> Array:
    eps = _EPSILON.get(dtype_of(x), 2.0**-23) if eps is None else eps
    return ops.rms_norm(x, weight, axis=tuple(range(-len(normalized_shape), 0)), eps=eps)


@RULES("aten.group_norm.default")
def group_norm(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Array:
    return ops.group_norm(x, weight, bias, num_groups=num_groups, eps=eps)


@RULES("aten.batch_norm.default")
def batch_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Array:
    """In training by the statistics of the batch; the running ones are the layer's to keep."""
    if training:
        running_mean = running_var = None
    return ops.batch_norm(x, running_mean, running_var, weight, bias, eps=eps)


@RULES("aten.instance_norm.default")
def instance_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Array:
    if use_input_stats:
        channels = shape_of(x)[1]
        return ops.group_norm(x, weight, bias, num_groups=int(channels), eps=eps)  # type: ignore[arg-type]
    return ops.batch_norm(x, running_mean, running_var, weight, bias, eps=eps)


@RULES("aten._weight_norm.default")
def weight_norm(direction: Array, length: Array, dim: int = 0) -> Array:
    others = tuple(axis for axis in range(len(shape_of(direction))) if axis != dim)
    return direction * (length / ops.sqrt(ops.sum(ops.square(direction), axis=others, keepdims=True)))


# -- recurrent cells -------------------------------------------------------------------------------------------------


@RULES("aten.gru_cell.default")
def gru_cell(
    x: Array, h: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
) -> Array:
    return ops.gru_cell(x, h, w_ih, w_hh, b_ih, b_hh)


@RULES("aten.lstm_cell.default")
def lstm_cell(
    x: Array, state: Sequence[Array], w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
) -> tuple[Array, Array]:
    return ops.lstm_cell(x, *state, w_ih, w_hh, b_ih, b_hh)


for _name in ("tanh", "relu"):

    @RULES(f"aten.rnn_{_name}_cell.default")
    def rnn_cell(
        x: Array,
        h: Array,
        w_ih: Array,
        w_hh: Array,
        b_ih: Array | None = None,
        b_hh: Array | None = None,
        *,
        activation: str = _name,
    ) -> Array:
        return ops.rnn_cell(x, h, w_ih, w_hh, b_ih, b_hh, activation=activation)


# -- convolution -----------------------------------------------------------------------------------------------------


def _batched(x: Array, count: int) -> tuple[Array, bool]:
    """x with a batch axis, and whether it had one."""
    return (x, True) if len(shape_of(x)) == count + 2 else (unsqueeze(x, 0), False)


def _unbatched(x: Array, batched: bool) -> Array:
    return x if batched else view(x, shape_of(x)[1:])


def _pairs(padding: Ints, count: int) -> tuple[tuple[int, int], ...]:
    return tuple((p, p) for p in spread(padding, count))


def _conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    count = len(shape_of(weight)) - 2
    dilations = spread(dilation, count)
    if padding == "same":
        reach = [d * (int(k) - 1) for d, k in zip(dilations, shape_of(weight)[2:], strict=True)]  # type: ignore[arg-type]
        pairs = tuple((r // 2, r - r // 2) for r in reach)
    else:
        pairs = _pairs(0 if padding == "valid" else padding, count)  # type: ignore[arg-type]
    x, batched = _batched(x, count)
    y = ops.conv(x, weight, bias, strides=spread(stride, count), padding=pairs, dilation=dilations, groups=groups)
    return _unbatched(y, batched)


def _conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    count = len(shape_of(weight)) - 2
    pads = zip(spread(padding, count), spread(output_padding, count), strict=True)
    x, batched = _batched(x, count)
    y = ops.conv_transpose(
        *(x, weight, bias),
        strides=spread(stride, count),
        padding=tuple((before, before - extra) for before, extra in pads),
        dilation=spread(dilation, count),
        groups=groups,
    )
    return _unbatched(y, batched)


for _count in (1, 2, 3):
    RULES(f"aten.conv{_count}d.default", f"aten.conv{_count}d.padding")(_conv)
    _overload = "default" if _count == 1 else "input"
    RULES(f"aten.conv_transpose{_count}d.{_overload}")(_conv_transpose)


@RULES("aten.convolution.default")
def convolution(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    transposed: bool,
    output_padding: Ints,
    groups: int,
) -> Array:
    if transposed:
        return _conv_transpose(x, weight, bias, stride, padding, output_padding, groups, dilation)
    return _conv(x, weight, bias, stride, padding, dilation, groups)


# -- pooling ---------------------------------------------------------------------------------------------------------


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


def _max_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints = (),
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    *,
    count: int,
) -> Array:
    x, batched = _batched(x, count)
    kernel, strides, pads, dilations, extra = _window(
        shape_of(x)[2:], kernel_size, stride, padding, dilation, ceil_mode
    )
    pairs = tuple((p, p + e) for p, e in zip(pads, extra, strict=True))
    y = ops.max_pool(
        x,
        kernel=kernel,
        strides=strides,
        padding=pairs if any(map(any, pairs)) else None,
        dilation=dilations if set(dilations) != {1} else None,
    )
    return _unbatched(y, batched)


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
    x, batched = _batched(x, count)
    kernel, strides, pads, _, extra = _window(shape_of(x)[2:], kernel_size, stride, padding, 1, ceil_mode)
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
    return _unbatched(y, batched)


def _adaptive_avg_pool(x: Array, output_size: int | Sequence[int | None] | None, *, count: int) -> Array:
    x, batched = _batched(x, count)
    wanted = output_size if isinstance(output_size, Sequence) else (output_size,) * count
    sizes = zip(wanted, shape_of(x)[2:], strict=True)
    return _unbatched(ops.adaptive_avg_pool(x, size=tuple(old if new is None else new for new, old in sizes)), batched)


for _count in (1, 2, 3):
    RULES(f"aten.max_pool{_count}d.default")(lambda *args, count=_count: _max_pool(*args, count=count))
    RULES(f"aten.avg_pool{_count}d.default")(
        lambda *args, count=_count, **options: _avg_pool(*args, **options, count=count)
    )
    RULES(f"aten.adaptive_avg_pool{_count}d.default", *[f"aten._adaptive_avg_pool{_count}d.default"] * (_count > 1))(
        lambda x, output_size, count=_count: _adaptive_avg_pool(x, output_size, count=count)
    )


# -- interpolation ---------------------------------------------------------------------------------------------------


def _new_size(x: Array, size: Sequence[Size] | None, factors: Sequence[float] | None) -> tuple[Size, ...]:
    if size is not None:
        return tuple(size)
    found: list[Size] = []
    for old, factor in zip(shape_of(x)[2:], factors or (), strict=True):
        if isinstance(old, Dim) and factor != int(factor):
            raise ShapeError(f"expected a whole scale factor for an axis of length {old}, received {factor}")
        found.append(old * int(factor) if factor == int(factor) else int(old * factor))  # type: ignore[operator]
    return tuple(found)


for _name in ("nearest1d", "nearest2d", "nearest3d"):

    @RULES(f"aten.upsample_{_name}.vec")
    def nearest(x: Array, size: Sequence[Size] | None, factors: Sequence[float] | None = None) -> Array:
        return ops.interpolate(x, size=_new_size(x, size, factors))


for _name, _mode in (
    ("linear1d", "linear"),
    ("bilinear2d", "linear"),
    ("trilinear3d", "linear"),
    ("bicubic2d", "cubic"),
):

    @RULES(f"aten.upsample_{_name}.vec")
    def smooth(
        x: Array,
        size: Sequence[Size] | None,
        align_corners: bool,
        factors: Sequence[float] | None = None,
        *,
        mode: str = _mode,
    ) -> Array:
        new = _new_size(x, size, factors)
        return ops.interpolate(x, size=new, mode=mode, align_corners=align_corners)


# -- attention -------------------------------------------------------------------------------------------------------


@RULES("aten.scaled_dot_product_attention.default")
def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Array:
    if enable_gqa:  # each key and value serves several heads
        heads = shape_of(query)[-3]
        key, value = (repeat_interleave(x, heads // shape_of(x)[-3], -3) for x in (key, value))
    return ops.attention(
        *(query, key, value, attn_mask),
        scale=None if scale is None else float(scale),
        causal=is_causal,
        dropout_rate=float(dropout_p),
    )
