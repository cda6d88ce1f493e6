"""Layers: normalisation, convolution, pooling, attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .....engine import ops
from .....engine.dims import Dim, Size
from .....engine.ops.creation import created
from .....engine.ops.resizing import cubic
from .....engine.stateful.dropout import alpha_dropped, dropped
from .....errors import CaptureError, ShapeError
from .common import RULES, Array, cast, dtype_of, shape_of, spread
from .shape import repeat_interleave, with_batch, without_batch

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
    _refuse_scaled(scale_grad_by_freq, "embedding")
    return ops.embedding(indices, weight, padding_idx=None if padding_idx == -1 else padding_idx)


def _refuse_scaled(scaled: bool, name: str) -> None:
    """Gradients that are divided by how often a row is looked up are those of no operation."""
    if scaled:
        raise CaptureError(
            f"{name} with scale_grad_by_freq=True", hint="leave it out: divide the gradients of the weight yourself"
        )


@RULES("aten.embedding_renorm.default")
def embedding_renorm(weight: Array, indices: Array, max_norm: float, norm_type: float) -> Array:
    """The rows that are looked up, made no longer than so much; the others as they are."""
    sizes = ops.vector_norm(weight, axis=1, ord=float(norm_type), keepdims=True)
    rows = created(ops.full, weight, shape=(shape_of(weight)[0],), fill_value=False, dtype="bool")
    found = ops.getitem(ops.at_set(rows, (indices,), True), key=((None, None, None), None))
    long = ops.logical_and(found, ops.greater(sizes, float(max_norm)))
    return ops.where(long, weight * (float(max_norm) / (sizes + 1e-7)), weight)


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


@RULES("aten.embedding_bag.padding_idx")
def embedding_bag(
    weight: Array,
    indices: Array,
    offsets: Array,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Array | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Array | None, ...]:
    """The bags alone, of the four results."""
    _refuse_scaled(scale_grad_by_freq, "embedding_bag")
    if include_last_offset:
        offsets = ops.getitem(offsets, key=((None, -1, None),))
    word = ("sum", "mean", "max")[mode]
    found = ops.embedding_bag(indices, weight, per_sample_weights, offsets, mode=word, padding_idx=padding_idx)
    return found, None, None, None


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


@RULES("aten.native_group_norm.default")
def native_group_norm(
    x: Array, weight: Array | None, bias: Array | None, n: Size, c: Size, hxw: Size, group: int, eps: float
) -> tuple[Array, Array, Array]:
    """With the mean and the reciprocal deviation of each group."""
    rows = ops.reshape(x, shape=(n, group, c // group * hxw))
    variance = ops.var(rows, axis=-1)
    return group_norm(x, group, weight, bias, eps), ops.mean(rows, axis=-1), ops.rsqrt(variance + float(eps))


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
    x, batched = with_batch(x, count)
    y = ops.conv(x, weight, bias, strides=spread(stride, count), padding=pairs, dilation=dilations, groups=groups)
    return without_batch(y, batched)


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
    x, batched = with_batch(x, count)
    y = ops.conv_transpose(
        *(x, weight, bias),
        strides=spread(stride, count),
        padding=tuple((before, before - extra) for before, extra in pads),
        dilation=spread(dilation, count),
        groups=groups,
    )
    return without_batch(y, batched)


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


def _uneven(x: Array, new: Sequence[Size], factors: Sequence[float] | None) -> bool:
    """Whether factors are not those of the sizes: PyTorch then steps by the factor, and leaves a rest over."""
    for old, size, factor in zip(shape_of(x)[2:], new, factors or (), strict=False):
        if not (factor == int(factor) if isinstance(old, Dim) else size == old * factor):
            return True
    return False


def _stepped(x: Array, new: Sequence[Size], factors: Sequence[float], mode: str) -> Array:
    """x at places that stand 1 / factor apart, as `ops.interpolate` has those that fill an axis."""
    dtype = dtype_of(x)
    for axis, (size, factor) in enumerate(zip(new, factors, strict=True), 2):
        last = shape_of(x)[axis] - 1
        place = created(ops.arange, x, stop=size, dtype="float32")
        if mode == "nearest":
            nearest = cast(ops.floor(place * (1 / factor)), "int32")
            x = ops.take(x, ops.minimum(nearest, last), axis=axis)
            continue
        place = (place + 0.5) * (1 / factor) - 0.5
        place = ops.clip(place, min=0.0) if mode == "linear" else place
        low = ops.floor(place)
        share = ops.reshape(place - low, shape=(size, *(1,) * (len(shape_of(x)) - axis - 1)))
        weights = {0: 1.0 - share, 1: share}
        if mode == "cubic":
            weights = {step: cubic(share - float(step)) for step in (-1, 0, 1, 2)}
        total: Any = None
        for step, weight in weights.items():
            at = ops.minimum(ops.maximum(cast(low, "int32") + step, 0), last)
            term = ops.take(x, at, axis=axis) * cast(weight, dtype)
            total = term if total is None else total + term
        x = total
    return x


for _name in ("nearest1d", "nearest2d", "nearest3d"):

    @RULES(f"aten.upsample_{_name}.vec")
    def nearest(x: Array, size: Sequence[Size] | None, factors: Sequence[float] | None = None) -> Array:
        new = _new_size(x, size, factors)
        if factors is not None and _uneven(x, new, factors):
            return _stepped(x, new, factors, "nearest")
        return ops.interpolate(x, size=new)


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
        if not align_corners and factors is not None and _uneven(x, new, factors):
            return _stepped(x, new, factors, mode)
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
