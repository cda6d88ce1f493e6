"""Elementwise operations, casts and choices."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from .....engine import ops
from .....engine.backends import is_floating, is_integer
from .....engine.op import OPS
from .common import FULL, Array, cast, dtype_of, reads, shape_of, shortest, zero_of

UNARY = {
    "Abs": "abs",
    "Acos": "acos",
    "Acosh": "acosh",
    "Asin": "asin",
    "Asinh": "asinh",
    "Atan": "atan",
    "Atanh": "atanh",
    "BesselI0": "bessel_i0",
    "BesselI0e": "bessel_i0e",
    "BesselI1": "bessel_i1",
    "BesselI1e": "bessel_i1e",
    "BesselJ0": "bessel_j0",
    "BesselJ1": "bessel_j1",
    "BesselK0": "bessel_k0",
    "BesselK0e": "bessel_k0e",
    "BesselK1": "bessel_k1",
    "BesselK1e": "bessel_k1e",
    "BesselY0": "bessel_y0",
    "BesselY1": "bessel_y1",
    "Ceil": "ceil",
    "ComplexAbs": "abs",
    "Conj": "conj",
    "Cos": "cos",
    "Cosh": "cosh",
    "Elu": "elu",
    "Erf": "erf",
    "Erfc": "erfc",
    "Erfinv": "erfinv",
    "Exp": "exp",
    "Expm1": "expm1",
    "Floor": "floor",
    "Imag": "imag",
    "Inv": "reciprocal",
    "Invert": "bitwise_invert",
    "IsFinite": "isfinite",
    "IsInf": "isinf",
    "IsNan": "isnan",
    "Log": "log",
    "Log1p": "log1p",
    "Lgamma": "lgamma",
    "Digamma": "digamma",
    "LogicalNot": "logical_not",
    "Ndtri": "ndtri",
    "Neg": "negative",
    "Real": "real",
    "Reciprocal": "reciprocal",
    "Relu": "relu",
    "Relu6": "relu6",
    "Rint": "round",
    "Round": "round",
    "Rsqrt": "rsqrt",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Sin": "sin",
    "Sinh": "sinh",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Sqrt": "sqrt",
    "Square": "square",
    "Tan": "tan",
    "Tanh": "tanh",
    "StopGradient": "stop_gradient",
}

BINARY = {
    "Add": "add",
    "AddV2": "add",
    "Atan2": "atan2",
    "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor",
    "Complex": "complex",
    "FloorDiv": "floor_divide",
    "FloorMod": "remainder",
    "Greater": "greater",
    "GreaterEqual": "greater_equal",
    "Igamma": "igamma",
    "Igammac": "igammac",
    "LeftShift": "bitwise_left_shift",
    "Less": "less",
    "LessEqual": "less_equal",
    "LogicalAnd": "logical_and",
    "LogicalOr": "logical_or",
    "Maximum": "maximum",
    "Minimum": "minimum",
    "Mul": "multiply",
    "NextAfter": "nextafter",
    "Pow": "pow",
    "RealDiv": "divide",
    "RightShift": "bitwise_right_shift",
    "Sub": "subtract",
    "Zeta": "zeta",
}

_ARRAYS_ONLY = {"Atan2", "Complex", "Igamma", "Igammac", "NextAfter", "Zeta"}


def _unary(op: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: op(x)


def _binary(op: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, y: op(x, y)


for _name, _op in UNARY.items():
    reads(_name)(_unary(OPS[_op]))
for _name, _op in BINARY.items():
    reads(_name, scalars=_name not in _ARRAYS_ONLY)(_binary(OPS[_op]))


@reads("Equal", scalars=True)
def equal(x: Array, y: Array, *, incompatible_shape_error: bool) -> Array:
    """Shapes that do not fit are an error in a graph, also where TensorFlow would say False."""
    return ops.equal(x, y)


@reads("NotEqual", scalars=True)
def not_equal(x: Array, y: Array, *, incompatible_shape_error: bool) -> Array:
    return ops.not_equal(x, y)


@reads("LeakyRelu")
def leaky_relu(x: Array, *, alpha: float) -> Array:
    return ops.leaky_relu(x, negative_slope=shortest(alpha))


@reads("AddN")
def add_n(*arrays: Array) -> Array:
    return reduce(ops.add, arrays)


@reads("Div", "TruncateDiv", scalars=True)
def divide(x: Array, y: Array) -> Array:
    """Of integers, towards zero."""
    if not is_integer(_kind(x, y)):
        return ops.divide(x, y)
    quotient = ops.floor_divide(x, y)
    inexact = ops.not_equal(ops.multiply(quotient, y), x)
    return ops.where(ops.logical_and(ops.less(quotient, 0), inexact), quotient + 1, quotient)


@reads("Mod", "TruncateMod", scalars=True)
def truncated_remainder(x: Array, y: Array) -> Array:
    """The sign is that of x."""
    if is_integer(_kind(x, y)):
        return ops.subtract(x, ops.multiply(divide(x, y), y))
    found = ops.remainder(ops.abs(x), abs(y) if isinstance(y, int | float) else ops.abs(y))
    return ops.where(ops.less(x, 0), ops.negative(found), found)


def _kind(*operands: Any) -> str:
    return next(dtype_of(operand) for operand in operands if not isinstance(operand, bool | int | float | complex))


@reads("SquaredDifference", scalars=True)
def squared_difference(x: Array, y: Array) -> Array:
    return ops.square(ops.subtract(x, y))


@reads("DivNoNan")
def divide_no_nan(x: Array, y: Array) -> Array:
    """0 where y is 0; the inner choice keeps gradients finite there."""
    zero = ops.equal(y, zero_of(dtype_of(y)))
    found = ops.divide(x, ops.where(zero, 1.0, y))
    return ops.where(zero, 0.0, found)


@reads("MulNoNan")
def multiply_no_nan(x: Array, y: Array) -> Array:
    return ops.where(ops.equal(y, 0.0), 0.0, ops.multiply(x, y))


@reads("Xlogy")
def xlogy(x: Array, y: Array) -> Array:
    zero = ops.equal(x, 0.0)
    return ops.where(zero, 0.0, ops.multiply(x, ops.log(ops.where(zero, 1.0, y))))


@reads("Xdivy")
def xdivy(x: Array, y: Array) -> Array:
    zero = ops.equal(x, 0.0)
    return ops.where(zero, 0.0, ops.divide(x, ops.where(zero, 1.0, y)))


@reads("Angle")
def angle(x: Array) -> Array:
    return ops.atan2(ops.imag(x), ops.real(x))


@reads("Cast")
def cast_to(x: Array, *, DstT: str) -> Array:  # noqa: N803 - TensorFlow's name
    """To integers towards zero; to bool whether it is not zero; the real part of a complex number."""
    if dtype_of(x).startswith("complex") and not DstT.startswith("complex"):
        x = ops.real(x)
    if DstT == "bool" and dtype_of(x) != "bool":
        return ops.not_equal(x, zero_of(dtype_of(x)))
    return cast(x, DstT)


@reads("SelectV2", scalars=True)
def select(condition: Array, x: Array, y: Array) -> Array:
    if isinstance(x, bool | int | float | complex) and isinstance(y, bool | int | float | complex):
        x = ops.full(shape=(), fill_value=x, dtype="bool" if isinstance(x, bool) else "float32")
    return ops.where(condition, x, y)


@reads("Select")
def select_rows(condition: Array, x: Array, y: Array) -> Array:
    """A condition of one axis chooses rows."""
    missing = len(shape_of(x)) - len(shape_of(condition))
    if len(shape_of(condition)) == 1 and missing:
        condition = ops.getitem(condition, key=(FULL, *(None,) * missing))
    return ops.where(condition, x, y)


@reads("ClipByValue")
def clip(x: Array, low: Array, high: Array) -> Array:
    return ops.minimum(ops.maximum(x, low), high)


@reads("BiasAdd")
def bias_add(x: Array, bias: Array, *, data_format: str) -> Array:
    if data_format.startswith("NC") and len(shape_of(x)) > 2:
        bias = ops.getitem(bias, key=(FULL, *(None,) * (len(shape_of(x)) - 2)))
    return ops.add(x, bias)


@reads("ZerosLike")
def zeros_like(x: Array) -> Array:
    return ops.full(shape=shape_of(x), fill_value=zero_of(dtype_of(x)), dtype=dtype_of(x))


@reads("OnesLike")
def ones_like(x: Array) -> Array:
    one = type(zero_of(dtype_of(x)))(1)
    return ops.full(shape=shape_of(x), fill_value=one, dtype=dtype_of(x))


@reads("L2Loss")
def l2_loss(x: Array) -> Array:
    return ops.divide(ops.sum(ops.square(x)), 2.0)


@reads("Cumsum", known=(1,))
def cumsum(x: Array, axis: int, *, exclusive: bool, reverse: bool) -> Array:
    return _cumulative(ops.cumulative_sum, x, axis, exclusive, reverse, 0)


@reads("Bitcast")
def bitcast(x: Array, *, type: str) -> Array:
    return ops.bitcast(x, dtype=type)


@reads("Cumprod", known=(1,))
def cumprod(x: Array, axis: int, *, exclusive: bool, reverse: bool) -> Array:
    return _cumulative(ops.cumulative_prod, x, axis, exclusive, reverse, 1)


def _cumulative(op: Callable[..., Any], x: Array, axis: int, exclusive: bool, reverse: bool, unit: int) -> Array:
    dtype, ndim = dtype_of(x), len(shape_of(x))
    axis %= ndim
    x = ops.flip(x, axis=axis) if reverse else x
    if exclusive:
        x = ops.getitem(x, key=(*(FULL,) * axis, (None, -1, None)))
        padding = tuple((1, 0) if a == axis else (0, 0) for a in range(ndim))
        x = ops.pad(x, padding=padding, value=float(unit) if is_floating(dtype) else unit)
    found = cast(op(x, axis=axis), dtype)
    return ops.flip(found, axis=axis) if reverse else found
