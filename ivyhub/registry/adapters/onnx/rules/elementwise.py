"""Arithmetic, comparisons and activations, element by element."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .....engine import ops
from .....errors import CaptureError
from .common import (
    RULES,
    Array,
    cast,
    dtype_of,
    is_floating,
    is_integer,
    known,
    rank_of,
    shape_of,
    static_float,
)

# -- of one array ----------------------------------------------------------------------------------------------------

for _name, _op in {
    "Abs": ops.abs,
    "Acos": ops.acos,
    "Acosh": ops.acosh,
    "Asin": ops.asin,
    "Asinh": ops.asinh,
    "Atan": ops.atan,
    "Atanh": ops.atanh,
    "Ceil": ops.ceil,
    "Cos": ops.cos,
    "Cosh": ops.cosh,
    "Erf": ops.erf,
    "Exp": ops.exp,
    "Floor": ops.floor,
    "IsNaN": ops.isnan,
    "Log": ops.log,
    "Neg": ops.negative,
    "Not": ops.logical_not,
    "Reciprocal": ops.reciprocal,
    "Round": ops.round,
    "Sigmoid": ops.sigmoid,
    "Sign": ops.sign,
    "Sin": ops.sin,
    "Sinh": ops.sinh,
    "Sqrt": ops.sqrt,
    "Tan": ops.tan,
    "Tanh": ops.tanh,
    "BitwiseNot": ops.bitwise_invert,
    "Softsign": ops.softsign,
    "Mish": ops.mish,
}.items():
    RULES(_name)(functools.partial(lambda op, x: op(x), _op))


@RULES("Relu")
def relu(x: Array) -> Array:
    return ops.maximum(x, 0) if is_integer(dtype_of(x)) else ops.relu(x)


@RULES("Identity")
def identity(x: Any) -> Any:
    return x


@RULES("IsInf")
def is_inf(x: Array, *, detect_negative: int = 1, detect_positive: int = 1) -> Array:
    found = ops.isinf(x)
    if detect_negative and detect_positive:
        return found
    if not (detect_negative or detect_positive):
        return ops.logical_and(found, ops.logical_not(found))
    return ops.logical_and(found, ops.less(x, 0) if detect_negative else ops.greater(x, 0))


@RULES("Elu")
def elu(x: Array, *, alpha: float = 1.0) -> Array:
    return ops.elu(x, alpha=alpha)


@RULES("Celu")
def celu(x: Array, *, alpha: float = 1.0) -> Array:
    return ops.celu(x, alpha=alpha)


@RULES("Selu")
def selu(x: Array, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875) -> Array:
    usual = abs(alpha - 1.6732632) < 1e-6 and abs(gamma - 1.050701) < 1e-6
    return ops.selu(x) if usual else ops.multiply(ops.elu(x, alpha=alpha), gamma)


@RULES("Gelu")
def gelu(x: Array, *, approximate: str = "none") -> Array:
    if approximate not in ("none", "tanh"):
        raise CaptureError(f"expected approximate to be 'none' or 'tanh', received {approximate!r}")
    return ops.gelu(x, approximate=approximate == "tanh")


@RULES("LeakyRelu")
def leaky_relu(x: Array, *, alpha: float = 0.01) -> Array:
    return ops.leaky_relu(x, negative_slope=alpha)


@RULES("ThresholdedRelu")
def thresholded_relu(x: Array, *, alpha: float = 1.0) -> Array:
    return ops.threshold(x, threshold=alpha, value=0.0)


@RULES("HardSigmoid")
def hard_sigmoid(x: Array, *, alpha: float = 0.2, beta: float = 0.5) -> Array:
    return ops.clip(ops.add(ops.multiply(x, alpha), beta), min=0.0, max=1.0)


@RULES("HardSwish")
def hard_swish(x: Array) -> Array:
    return ops.hardswish(x)


@RULES("Softplus")
def softplus(x: Array) -> Array:
    return ops.softplus(x)


@RULES("Swish")
def swish(x: Array, *, alpha: float = 1.0) -> Array:
    return ops.silu(x) if alpha == 1.0 else ops.multiply(x, ops.sigmoid(ops.multiply(x, alpha)))


@RULES("SwiGLU")
def swiglu(a: Array, b: Array, *, alpha: float = 1.0) -> Array:
    """Numbers of 16 bits are computed with in 32."""
    dtype = dtype_of(a)
    if dtype in ("float16", "bfloat16"):
        return cast(swiglu(cast(a, "float32"), cast(b, "float32"), alpha=alpha), dtype)
    return ops.multiply(swish(a, alpha=alpha), b)


@RULES("Shrink")
def shrink(x: Array, *, bias: float = 0.0, lambd: float = 0.5) -> Array:
    dtype = dtype_of(x)
    if is_integer(dtype):
        return cast(shrink(cast(x, "float64"), bias=bias, lambd=lambd), dtype)
    low, high = ops.less(x, -lambd), ops.greater(x, lambd)
    return ops.where(low, ops.add(x, bias), ops.where(high, ops.subtract(x, bias), ops.multiply(x, 0.0)))


@RULES("PRelu")
def prelu_of_channels(x: Array, slope: Array) -> Array:
    """Before opset 7 a vector of slopes is one for each channel."""
    count = shape_of(slope)
    per_channel = len(count) == 1 and count[0] != 1 and rank_of(x) > 2
    return prelu(x, ops.reshape(slope, shape=(*count, *(1,) * (rank_of(x) - 2))) if per_channel else slope)


@RULES("PRelu-7")
def prelu(x: Array, slope: Array) -> Array:
    return ops.where(ops.less(x, 0), ops.multiply(x, slope), x)


@RULES("Clip")
def clip_attributes(x: Array, *, min: float = -3.4028234663852886e38, max: float = 3.4028234663852886e38) -> Array:
    return ops.clip(x, min=min, max=max)


@RULES("Clip-11")
def clip(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    numbers = [None if bound is None else known(bound) for bound in (low, high)]
    if all(bound is None or number is not None for bound, number in zip((low, high), numbers, strict=True)):
        plain = int if is_integer(dtype_of(x)) else float
        least, most = (None if number is None else plain(number.reshape(())) for number in numbers)
        if least is None and most is None:
            return x
        if least is None or most is None or least <= most:
            return ops.clip(x, min=least, max=most)
    x = x if low is None else ops.maximum(x, low)
    return x if high is None else ops.minimum(x, high)


@RULES("Hardmax")
def hardmax_flat(x: Array, *, axis: int = 1) -> Array:
    return _flattened(x, axis, hardmax)


@RULES("Hardmax-13")
def hardmax(x: Array, *, axis: int = -1) -> Array:
    ndim = rank_of(x)
    order = [i for i in range(ndim) if i != axis % ndim] + [axis % ndim]
    moved = ops.transpose(x, axes=tuple(order)) if order != sorted(order) else x
    found = ops.one_hot(ops.argmax(moved, axis=-1), num_classes=shape_of(moved)[-1], dtype=dtype_of(x))
    back = tuple(order.index(i) for i in range(ndim))
    return ops.transpose(found, axes=back) if order != sorted(order) else found


@RULES("Softmax")
def softmax_flat(x: Array, *, axis: int = 1) -> Array:
    return _flattened(x, axis, ops.softmax)


@RULES("Softmax-13")
def softmax(x: Array, *, axis: int = -1) -> Array:
    return ops.softmax(x, axis=axis)


@RULES("LogSoftmax")
def log_softmax_flat(x: Array, *, axis: int = 1) -> Array:
    return _flattened(x, axis, ops.log_softmax)


@RULES("LogSoftmax-13")
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    return ops.log_softmax(x, axis=axis)


def _flattened(x: Array, axis: int, function: Any) -> Array:
    """A function over all axes from one on, as these operators were before opset 13."""
    from .shape import flatten

    shape = shape_of(x)
    if axis % len(shape) == len(shape) - 1:
        return function(x, axis=-1)
    return ops.reshape(function(flatten(x, axis=axis), axis=-1), shape=shape)


# -- of two arrays ---------------------------------------------------------------------------------------------------

for _name, _op in {
    "And": ops.logical_and,
    "Or": ops.logical_or,
    "Xor": ops.logical_xor,
    "Equal": ops.equal,
    "Greater": ops.greater,
    "Less": ops.less,
    "GreaterOrEqual": ops.greater_equal,
    "LessOrEqual": ops.less_equal,
    "BitwiseAnd": ops.bitwise_and,
    "BitwiseOr": ops.bitwise_or,
    "BitwiseXor": ops.bitwise_xor,
}.items():
    RULES(_name)(functools.partial(lambda op, a, b: op(a, b), _op))


def _aligned(a: Array, b: Array, axis: int | None, broadcast: int) -> Array:
    """The second operand as it was aligned before opset 7: from an axis of the first on, where it is to broadcast."""
    if not broadcast or axis is None:
        return b
    sizes = shape_of(b)
    return ops.reshape(b, shape=(*sizes, *(1,) * (rank_of(a) - len(sizes) - axis % rank_of(a))))


@RULES("Add")
def add(a: Array, b: Array, *, axis: int | None = None, broadcast: int = 0) -> Array:
    return ops.add(a, _aligned(a, b, axis, broadcast))


@RULES("Sub")
def subtract(a: Array, b: Array, *, axis: int | None = None, broadcast: int = 0) -> Array:
    return ops.subtract(a, _aligned(a, b, axis, broadcast))


@RULES("Mul")
def multiply(a: Array, b: Array, *, axis: int | None = None, broadcast: int = 0) -> Array:
    return ops.multiply(a, _aligned(a, b, axis, broadcast))


@RULES("Div")
def divide_aligned(a: Array, b: Array, *, axis: int | None = None, broadcast: int = 0) -> Array:
    return divide(a, _aligned(a, b, axis, broadcast))


@RULES("Div-7")
def divide(a: Array, b: Array) -> Array:
    """Of integers it cuts off towards zero."""
    dtype = dtype_of(a)
    if not is_integer(dtype):
        return ops.divide(a, b)
    quotient = ops.floor_divide(a, b)
    if dtype.startswith("uint"):
        return quotient
    exact = ops.equal(ops.multiply(quotient, b), a)
    below = ops.logical_and(ops.less(quotient, 0), ops.logical_not(exact))
    return ops.where(below, ops.add(quotient, 1), quotient)


@RULES("Mod")
def mod(a: Array, b: Array, *, fmod: int = 0) -> Array:
    if not fmod:
        return ops.remainder(a, b)
    if dtype_of(a).startswith("uint"):
        return ops.remainder(a, b)
    rest = ops.remainder(ops.abs(a), ops.abs(b))
    return ops.where(ops.less(a, 0), ops.negative(rest), rest)


@RULES("Pow")
def power(a: Array, b: Array) -> Array:
    """The result has the dtype of the base."""
    dtype, other = dtype_of(a), dtype_of(b)
    if dtype == other:
        number = known(b)
        if number is not None and number.size == 1 and float(number.reshape(())) == 2.0 and rank_of(b) <= rank_of(a):
            return ops.square(a) if rank_of(b) == 0 else ops.pow(a, b)
        return ops.pow(a, b)
    if is_floating(dtype):
        return ops.pow(a, cast(b, dtype))
    if is_integer(other):
        wide = "int64"
        return cast(ops.pow(cast(a, wide), cast(b, wide)), dtype)
    return cast(ops.pow(cast(a, "float64"), cast(b, "float64")), dtype)


@RULES("BitShift")
def bit_shift(a: Array, b: Array, *, direction: str) -> Array:
    """Shifts by less than nothing, or by more bits than there are, leave zeros, or the sign."""
    if direction not in ("LEFT", "RIGHT"):
        raise CaptureError(f"expected the direction LEFT or RIGHT, received {direction!r}")
    shift = ops.bitwise_left_shift if direction == "LEFT" else ops.bitwise_right_shift
    dtype = dtype_of(a)
    bits = 8 * np.dtype(dtype).itemsize
    signed = not dtype.startswith("u")
    numbers = known(b)
    if numbers is not None and ((numbers >= 0) & (numbers < bits)).all():
        return shift(a, b)
    if numbers is None and not signed:  # of unsigned integers the standard defines no others
        return shift(a, b)
    within = ops.logical_and(ops.greater_equal(b, 0), ops.less(b, bits))
    nothing = np.asarray(0, dtype)
    beyond = ops.where(ops.less(a, 0), np.asarray(-1, dtype), nothing) if signed and direction == "RIGHT" else nothing
    return ops.where(within, shift(a, ops.where(within, b, nothing)), beyond)


# -- of many ---------------------------------------------------------------------------------------------------------


@RULES("Max")
def maximum(*arrays: Array) -> Array:
    return functools.reduce(ops.maximum, arrays)


@RULES("Min")
def minimum(*arrays: Array) -> Array:
    return functools.reduce(ops.minimum, arrays)


@RULES("Sum")
def total(*arrays: Array) -> Array:
    return functools.reduce(ops.add, arrays)


@RULES("Mean")
def average(*arrays: Array) -> Array:
    return arrays[0] if len(arrays) == 1 else ops.divide(total(*arrays), float(len(arrays)))


@RULES("Where")
def where(condition: Array, x: Array, y: Array) -> Array:
    return ops.where(condition, x, y)


# -- dropout ---------------------------------------------------------------------------------------------------------


@RULES("Dropout", "Dropout-10")
def dropout_attribute(x: Array, *, ratio: float = 0.5, wanted: int = 1) -> Any:
    """In evaluation, which is all that models of these opsets are for, it is the identity."""
    return x if wanted == 1 else (x, _ones(x))


@RULES("Dropout-12")
def dropout(x: Array, ratio: Any = None, training_mode: Any = None, *, seed: int | None = None, wanted: int = 1) -> Any:
    if training_mode is not None:
        from .common import static

        rate = 0.5 if ratio is None else static_float(ratio, "ratio")
        if bool(static(training_mode, "training_mode").reshape(())) and rate:
            raise CaptureError("a Dropout that is in training mode draws random numbers", hint="export for evaluation")
    return x if wanted == 1 else (x, _ones(x))


def _ones(x: Array) -> Array:
    from .common import filled

    return filled(shape_of(x), True, "bool")


@RULES("ai.onnx.ml.Binarizer")
def binarizer(x: Array, *, threshold: float = 0.0) -> Array:
    return cast(ops.greater(x, threshold), dtype_of(x))
