"""How what layers compute is written in ONNX, where it has an operator of its own: faster than the decomposition.

Channels stand on axis 1, as ONNX has them; `emit` turns what has them last. Source: onnx.ai/onnx/operators, opset 21.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....engine.backends import is_floating
from ....engine.ops._spatial import channels_first, settled
from ....engine.spec import normalize_axis
from ....errors import ShapeError
from .lower import ROWS, Call
from .writer import IrValue, Writer


def _floats(call: Call) -> bool:
    return is_floating(call.result[0].dtype)


# -- activations -----------------------------------------------------------------------------------------------------

for _name, _kind in (
    *(("relu", "Relu"), ("sigmoid", "Sigmoid"), ("mish", "Mish"), ("selu", "Selu")),
    *(("hardswish", "HardSwish"), ("softsign", "Softsign")),
):
    ROWS(_name, when=_floats)(lambda w, call, x, kind=_kind: w.op(kind, x))

for _name, _kind in (("elu", "Elu"), ("celu", "Celu")):
    ROWS(_name, when=_floats)(lambda w, call, x, kind=_kind: w.op(kind, x, alpha=float(call.alpha)))


@ROWS("leaky_relu", when=_floats)
def leaky_relu(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("LeakyRelu", x, alpha=float(call.negative_slope))


@ROWS("hardsigmoid", when=_floats)
def hardsigmoid(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)


@ROWS("relu6", when=_floats)
def relu6(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Clip", x, w.constant(0, call.x.dtype), w.constant(6, call.x.dtype))


@ROWS("hardtanh", when=_floats)
def hardtanh(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Clip", x, w.constant(call.min, call.x.dtype), w.constant(call.max, call.x.dtype))


@ROWS("gelu")
def gelu(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Gelu", x, approximate="tanh" if call.approximate else None)


@ROWS("silu")
def silu(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Mul", x, w.op("Sigmoid", x))


@ROWS("softplus", when=lambda call: call.beta == 1 and call.threshold >= 20)  # from there on it is x in float32
def softplus(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Softplus", x)


for _name, _kind in (("softmax", "Softmax"), ("log_softmax", "LogSoftmax")):
    ROWS(_name)(lambda w, call, x, kind=_kind: w.op(kind, x, axis=normalize_axis(call.axis, call.x.ndim)))

# -- products --------------------------------------------------------------------------------------------------------


@ROWS("linear", when=_floats)
def linear(w: Writer, call: Call, x: IrValue, weight: IrValue, bias: IrValue | None) -> IrValue:
    if call.x.ndim == 2:
        return w.op("Gemm", x, weight, bias, transB=1)
    product = w.op("MatMul", x, w.op("Transpose", weight, perm=[1, 0]))
    return product if bias is None else w.op("Add", product, bias)


@ROWS("embedding")
def embedding(w: Writer, call: Call, indices: IrValue, weight: IrValue) -> IrValue:
    return w.op("Gather", weight, w.cast(indices, call.indices.dtype, "int64"), axis=0)


# -- normalisation ---------------------------------------------------------------------------------------------------


def _filled(w: Writer, given: IrValue | None, shape: Sequence[int], value: float, dtype: str) -> IrValue:
    """An array, or one of a number where there is none."""
    return w.constant(np.full(shape, value), dtype) if given is None else given


def _features(call: Call) -> tuple[Any, ...]:
    return tuple(call.x.shape[axis] for axis in call.axis)


def _last_axes(call: Call) -> bool:
    """Whether the features are the last axes, and their sizes known where there is no weight to tell them."""
    axes = [normalize_axis(axis, call.x.ndim) for axis in call.axis]
    last = axes == list(range(call.x.ndim - len(axes), call.x.ndim))
    told = call.weight is not None or all(isinstance(size, int) for size in _features(call))
    return last and told and call.x.dtype in ("float32", "float64", "float16", "bfloat16")


@ROWS("layer_norm", when=_last_axes)
def layer_norm(w: Writer, call: Call, x: IrValue, weight: IrValue | None, bias: IrValue | None) -> IrValue:
    weight = _filled(w, weight, _features(call), 1, call.x.dtype)
    return w.op("LayerNormalization", x, weight, bias, axis=-len(call.axis), epsilon=float(call.eps))


def _known_channels(call: Call) -> bool:
    return channels_first(call) and isinstance(call.x.shape[1], int) and call.x.ndim > 2


@ROWS("instance_norm", when=_known_channels)
def instance_norm(w: Writer, call: Call, x: IrValue, weight: IrValue | None, bias: IrValue | None) -> IrValue:
    shape, dtype = (call.x.shape[1],), call.x.dtype
    arrays = _filled(w, weight, shape, 1, dtype), _filled(w, bias, shape, 0, dtype)
    return w.op("InstanceNormalization", x, *arrays, epsilon=float(call.eps))


def _running(call: Call) -> bool:
    known = channels_first(call) and isinstance(call.x.shape[1], int)
    return known and call.running_mean is not None and call.running_var is not None


@ROWS("batch_norm", when=_running)
def batch_norm(
    w: Writer,
    call: Call,
    x: IrValue,
    mean: IrValue,
    var: IrValue,
    weight: IrValue | None,
    bias: IrValue | None,
) -> IrValue:
    shape, dtype = (call.x.shape[1],), call.x.dtype
    arrays = _filled(w, weight, shape, 1, dtype), _filled(w, bias, shape, 0, dtype)
    return w.op("BatchNormalization", x, *arrays, mean, var, epsilon=float(call.eps))


# -- windows ---------------------------------------------------------------------------------------------------------


def _windowed(more: Callable[[Call], Any] = lambda call: True) -> Callable[[Call], bool]:
    """A condition over a call whose strides, padding and dilation are written out, with its channels first."""

    def holds(call: Call) -> bool:
        if not channels_first(call):
            return False
        try:
            call = settled(call)
        except ShapeError:  # a size that varies, where the padding depends on it
            return False
        sides = [side for pair in call.padding for side in pair]
        return all(isinstance(side, int) and side >= 0 for side in sides) and bool(more(call))

    return holds


def _pads(pairs: Sequence[tuple[int, int]]) -> list[int]:
    return list(itertools.chain.from_iterable(zip(*pairs, strict=True)))


def _constant_padding(call: Call) -> bool:
    return call.padding_mode == "constant"


@ROWS("conv", when=_windowed(_constant_padding))
def conv(w: Writer, call: Call, x: IrValue, weight: IrValue, bias: IrValue | None) -> IrValue:
    call = settled(call)
    return w.op(
        *("Conv", x, weight, bias),
        kernel_shape=list(call.weight.shape[2:]),
        pads=_pads(call.padding),
        strides=list(call.strides),
        dilations=list(call.dilation),
        group=call.groups,
    )


def _whole_sides(call: Call) -> bool:
    sides = [side for pair in call.padding or () for side in pair]
    return channels_first(call) and all(isinstance(side, int) and side >= 0 for side in sides)


@ROWS("conv_transpose", when=_whole_sides)
def conv_transpose(w: Writer, call: Call, x: IrValue, weight: IrValue, bias: IrValue | None) -> IrValue:
    count = call.x.ndim - 2
    ones = (1,) * count
    return w.op(
        *("ConvTranspose", x, weight, bias),
        kernel_shape=list(call.weight.shape[2:]),
        pads=_pads(call.padding or ((0, 0),) * count),
        output_padding=list(call.output_padding or (0,) * count),
        strides=list(call.strides or ones),
        dilations=list(call.dilation or ones),
        group=call.groups,
    )


def _within(call: Call) -> bool:
    """Whether every window reaches an element, as ONNX wants it."""
    return all(max(pair) < size for pair, size in zip(call.padding, call.kernel, strict=True))


def _window(call: Call) -> dict[str, Any]:
    return {"kernel_shape": list(call.kernel), "strides": list(call.strides), "pads": _pads(call.padding)}


@ROWS("max_pool", when=_windowed(lambda call: _within(call) and is_floating(call.x.dtype)))
def max_pool(w: Writer, call: Call, x: IrValue) -> IrValue:
    call = settled(call)
    return w.op("MaxPool", x, dilations=list(call.dilation), **_window(call))


def _plain_mean(call: Call) -> bool:
    exact = call.padding == call.sides or not call.count_include_pad
    return _within(call) and exact and call.divisor is None


@ROWS("avg_pool", when=_windowed(_plain_mean))
def avg_pool(w: Writer, call: Call, x: IrValue) -> IrValue:
    call = settled(call)
    return w.op("AveragePool", x, count_include_pad=int(call.count_include_pad), **_window(call))


__all__ = ["ROWS"]
