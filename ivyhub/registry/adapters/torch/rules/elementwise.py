"""Elementwise operations and activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .....engine import ops
from .....engine.backends import is_floating
from .....engine.ops.creation import created, scalar
from .....engine.spec import normalize_axis
from .....errors import DTypeError
from .common import RULES, Array, cast, dtype_of, floating, is_array, promote, shape_of

# -- one operand -----------------------------------------------------------------------------------------------------


def _unary(op: Callable[..., Any], convert: Callable[[Array], Array] = lambda x: x) -> Callable[[Array], Array]:
    return lambda x: op(convert(x))


for _name in (
    *("sqrt", "rsqrt", "reciprocal", "exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan"),
    *("sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh", "atanh", "erf", "sigmoid"),
):
    RULES(f"aten.{_name}.default")(_unary(getattr(ops, _name), floating))
RULES("aten.special_erf.default")(_unary(ops.erf, floating))
RULES("aten.special_expit.default")(_unary(ops.sigmoid, floating))
for _name, _op in (
    *(("abs", ops.abs), ("neg", ops.negative), ("square", ops.square), ("sign", ops.sign), ("sgn", ops.sign)),
    *(("silu", ops.silu), ("mish", ops.mish), ("relu", ops.relu), ("selu", ops.selu)),
    *(("hardswish", ops.hardswish), ("hardsigmoid", ops.hardsigmoid), ("log_sigmoid", ops.log_sigmoid)),
):
    RULES(f"aten.{_name}.default")(_unary(_op))


def _rounded(op: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: op(x) if is_floating(dtype_of(x)) else x


for _name in ("ceil", "floor", "trunc", "round"):
    RULES(f"aten.{_name}.default")(_rounded(getattr(ops, _name)))


@RULES("aten.round.decimals")
def round_decimals(x: Array, *, decimals: int) -> Array:
    """To so many digits behind the point, or before it where they are negative."""
    if not is_floating(dtype_of(x)):
        raise DTypeError(f"round: expected floating-point numbers to round to digits, received {dtype_of(x)}")
    if decimals == 0:
        return ops.round(x)
    scale = 10.0 ** abs(decimals)
    return ops.round(x * scale) / scale if decimals > 0 else ops.round(x / scale) * scale


def _class(op: Callable[[Array], Array], of_integers: bool) -> Callable[[Array], Array]:
    def rule(x: Array) -> Array:
        if is_floating(dtype_of(x)) or "complex" in dtype_of(x):
            return op(x)
        return created(ops.full, x, shape=shape_of(x), fill_value=of_integers, dtype="bool")

    return rule


for _name, _of_integers in (("isnan", False), ("isinf", False), ("isfinite", True)):
    RULES(f"aten.{_name}.default")(_class(getattr(ops, _name), _of_integers))


@RULES("aten.frac.default")
def frac(x: Array) -> Array:
    return x - ops.trunc(x)


@RULES("aten.logical_not.default")
def logical_not(x: Array) -> Array:
    return ops.logical_not(_truth(x))


@RULES("aten.bitwise_not.default")
def bitwise_not(x: Array) -> Array:
    return ops.logical_not(x) if dtype_of(x) == "bool" else ops.bitwise_invert(x)


def _truth(x: Array) -> Array:
    return x if dtype_of(x) == "bool" else ops.not_equal(x, 0)


# -- two operands ----------------------------------------------------------------------------------------------------


def _scaled(x: Any, alpha: float) -> Any:
    return x if alpha == 1 else x * alpha


@RULES("aten.add.Tensor", "aten.add.Scalar")
def add(x: Array, y: Any, alpha: float = 1) -> Array:
    x, y = promote(x, _scaled(y, alpha))
    return ops.logical_or(x, y) if dtype_of(x) == "bool" else ops.add(x, y)


@RULES("aten.sub.Tensor", "aten.sub.Scalar")
def sub(x: Array, y: Any, alpha: float = 1) -> Array:
    return ops.subtract(*promote(x, _scaled(y, alpha)))


@RULES("aten.rsub.Tensor", "aten.rsub.Scalar")
def rsub(x: Array, y: Any, alpha: float = 1) -> Array:
    x, y = promote(_scaled(x, alpha), y)
    return ops.subtract(y, x)


@RULES("aten.mul.Tensor", "aten.mul.Scalar")
def mul(x: Array, y: Any) -> Array:
    x, y = promote(x, y)
    return ops.logical_and(x, y) if dtype_of(x) == "bool" else ops.multiply(x, y)


@RULES("aten.div.Tensor", "aten.div.Scalar", "aten.true_divide.Tensor", "aten.true_divide.Scalar")
def div(x: Array, y: Any) -> Array:
    return ops.divide(*promote(x, y, floating=True))


@RULES("aten.div.Tensor_mode", "aten.div.Scalar_mode")
def div_mode(x: Array, y: Any, *, rounding_mode: str | None = None) -> Array:
    if rounding_mode is None:
        return div(x, y)
    if rounding_mode == "floor":
        return floor_divide(x, y)
    x, y = promote(x, y)
    if is_floating(dtype_of(x)):
        return ops.trunc(ops.divide(x, y))
    quotient = ops.floor_divide(x, y)  # towards zero: one more where the floor lies below and something is left
    below = ops.logical_and(ops.less(quotient, 0), ops.not_equal(ops.remainder(x, y), 0))
    return ops.add(quotient, ops.astype(below, dtype=dtype_of(x)))


@RULES("aten.floor_divide.default", "aten.floor_divide.Scalar")
def floor_divide(x: Array, y: Any) -> Array:
    return ops.floor_divide(*promote(x, y))


@RULES("aten.remainder.Tensor", "aten.remainder.Scalar", "aten.remainder.Scalar_Tensor")
def remainder(x: Any, y: Any) -> Array:
    return ops.remainder(*promote(x, y))


@RULES("aten.fmod.Tensor", "aten.fmod.Scalar")
def fmod(x: Array, y: Any) -> Array:
    x, y = promote(x, y)
    return x - y * div_mode(x, y, rounding_mode="trunc")


@RULES("aten.pow.Tensor_Scalar", "aten.pow.Tensor_Tensor", "aten.pow.Scalar")
def power(x: Any, y: Any) -> Array:
    x, y = promote(x, y)
    if isinstance(y, int | float):
        if y == 1:
            return x
        if y == 2:
            return ops.square(x)
        if y == 0.5:
            return ops.sqrt(x)
        if y == -0.5:
            return ops.rsqrt(x)
        y = int(y) if y == int(y) and abs(y) < 1 << 31 else y
    elif dtype_of(y).startswith("int"):
        return _integer_power(x, y)
    return ops.pow(x, y)


def _integer_power(x: Any, y: Array) -> Array:
    """Integers to integer powers; to those below 0 they are fractions, cut off to 0, but for 1 and -1."""
    x = x if is_array(x) else scalar(x, dtype_of(y), y)
    parity = ops.where(ops.equal(ops.bitwise_and(y, 1), 0), 1, x)
    fraction = ops.where(ops.equal(ops.abs(x), 1), parity, 0)
    return ops.where(ops.less(y, 0), fraction, ops.pow(x, ops.maximum(y, 0)))


def _binary(op: Callable[..., Any], *, floating: bool = False) -> Callable[[Any, Any], Array]:
    return lambda x, y: op(*promote(x, y, floating=floating))


for _name, _op in (
    *(("eq", ops.equal), ("ne", ops.not_equal), ("lt", ops.less), ("le", ops.less_equal)),
    *(("gt", ops.greater), ("ge", ops.greater_equal)),
):
    RULES(f"aten.{_name}.Tensor", f"aten.{_name}.Scalar")(_binary(_op))
RULES("aten.maximum.default", "aten.max.other")(_binary(ops.maximum))
RULES("aten.minimum.default", "aten.min.other")(_binary(ops.minimum))


def _unless_nan(op: Callable[..., Any]) -> Callable[[Array, Array], Array]:
    """The one that is a number, where the other is none."""

    def rule(x: Array, y: Array) -> Array:
        x, y = promote(x, y)
        if not is_floating(dtype_of(x)):
            return op(x, y)
        return ops.where(ops.isnan(x), y, ops.where(ops.isnan(y), x, op(x, y)))

    return rule


RULES("aten.fmax.default")(_unless_nan(ops.maximum))
RULES("aten.fmin.default")(_unless_nan(ops.minimum))
RULES("aten.atan2.default")(_binary(ops.atan2, floating=True))
RULES("aten.hypot.default")(_binary(ops.hypot))
RULES("aten.logaddexp.default")(_binary(ops.logaddexp))


def _bits(boolean: Callable[..., Any], integer: Callable[..., Any]) -> Callable[[Any, Any], Array]:
    def rule(x: Any, y: Any) -> Array:
        x, y = promote(x, y)
        like = y if isinstance(x, bool | int) else x
        return boolean(x, y) if dtype_of(like) == "bool" else integer(x, y)

    return rule


for _name, _boolean, _integer in (
    ("and", ops.logical_and, ops.bitwise_and),
    ("or", ops.logical_or, ops.bitwise_or),
    ("xor", ops.logical_xor, ops.bitwise_xor),
):
    RULES(
        *(f"aten.bitwise_{_name}.{overload}" for overload in ("Tensor", "Scalar")),
        *(f"aten.__{_name}__.{overload}" for overload in ("Tensor", "Scalar")),
    )(_bits(_boolean, _integer))
    RULES(f"aten.logical_{_name}.default")(lambda x, y, op=_boolean: op(_truth(x), _truth(y)))
for _name, _op in (("left", ops.bitwise_left_shift), ("right", ops.bitwise_right_shift)):
    RULES(
        *(f"aten.bitwise_{_name}_shift.{overload}" for overload in ("Tensor", "Tensor_Scalar")),
        *(f"aten.__{_name[0]}shift__.{overload}" for overload in ("Tensor", "Scalar")),
    )(_binary(_op))


# -- several operands ------------------------------------------------------------------------------------------------


@RULES("aten.addcmul.default")
def addcmul(x: Array, a: Array, b: Array, *, value: float = 1) -> Array:
    return add(x, _scaled(mul(a, b), value))


@RULES("aten.addcdiv.default")
def addcdiv(x: Array, a: Array, b: Array, *, value: float = 1) -> Array:
    return add(x, _scaled(div(a, b), value))


@RULES("aten.lerp.Scalar", "aten.lerp.Tensor")
def lerp(x: Array, y: Array, weight: Any) -> Array:
    return x + weight * (y - x)


@RULES("aten.clamp.default", "aten.clip.default", "aten.clamp.Tensor", "aten.clip.Tensor")
def clamp(x: Array, min: Any = None, max: Any = None) -> Array:
    bounds = [bound for bound in (min, max) if bound is not None]
    x, *bounds = promote(x, *bounds)
    if all(isinstance(bound, int | float) for bound in bounds):
        return ops.clip(x, min=None if min is None else bounds[0], max=None if max is None else bounds[-1])
    if min is not None:
        x = ops.maximum(x, bounds[0])
    return x if max is None else ops.minimum(x, bounds[-1])


RULES("aten.clamp_min.default", "aten.clamp_min.Tensor")(lambda x, bound: clamp(x, bound))
RULES("aten.clamp_max.default", "aten.clamp_max.Tensor")(lambda x, bound: clamp(x, None, bound))


@RULES("aten.where.self", "aten.where.ScalarOther", "aten.where.ScalarSelf")
def where(condition: Array, x: Any, y: Any) -> Array:
    return ops.where(_truth(condition), *promote(x, y))


@RULES("aten.where.Scalar")
def where_scalar(condition: Array, x: float, y: float) -> Array:
    dtype = "float32" if isinstance(x, float) or isinstance(y, float) else "int64"
    filled = created(ops.full, condition, shape=(), fill_value=x, dtype=dtype)
    return ops.where(_truth(condition), filled, y)


@RULES("aten.masked_fill.Scalar", "aten.masked_fill.Tensor")
def masked_fill(x: Array, mask: Array, value: Any) -> Array:
    """Unlike elsewhere, the value adopts the dtype of x."""
    if isinstance(value, bool | int | float):
        value = float(value) if is_floating(dtype_of(x)) else int(value)
        if dtype_of(x) == "bool":
            return ops.logical_or(x, mask) if value else ops.logical_and(x, ops.logical_not(mask))
        return ops.where(mask, value, x)
    return ops.where(mask, cast(value, dtype_of(x)), x)


@RULES("aten.nan_to_num.default")
def nan_to_num(x: Array, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Array:
    if not is_floating(dtype_of(x)):
        return x
    largest = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38, "float64": 1.7976931348623157e308}
    limit = largest.get(dtype_of(x), 3.4028234663852886e38)
    y = ops.where(ops.isnan(x), 0.0 if nan is None else nan, x)
    y = ops.where(ops.equal(x, math.inf), limit if posinf is None else posinf, y)
    return ops.where(ops.equal(x, -math.inf), -limit if neginf is None else neginf, y)


# -- dtype and identity ----------------------------------------------------------------------------------------------


@RULES("aten.to.dtype", "aten._to_copy.default", "aten.to.dtype_layout", "prims.convert_element_type.default")
def to(x: Array, dtype: str | None = None, *_: Any, **__: Any) -> Array:
    return cast(x, dtype)


@RULES("aten.to.device")
def to_device(x: Array, device: Any, dtype: str | None = None, *_: Any, **__: Any) -> Array:
    return cast(x, dtype)


@RULES("aten.to.other", "aten.type_as.default")
def to_other(x: Array, other: Array, *_: Any, **__: Any) -> Array:
    return cast(x, dtype_of(other))


@RULES(
    *("aten.contiguous.default", "aten.clone.default", "aten.alias.default", "aten.lift_fresh_copy.default"),
    *("aten.lift_fresh.default", "aten.positive.default", "aten.to.prim_Device"),
)
def identity(x: Array, *_: Any, **__: Any) -> Array:
    return x


@RULES("aten.detach.default", "aten.detach_.default")
def detach(x: Array) -> Array:
    return ops.stop_gradient(x)


@RULES(
    *("aten._assert_tensor_metadata.default", "aten._assert_scalar.default", "aten._assert_async.msg"),
    *("aten.sym_constrain_range.default", "aten.sym_constrain_range_for_size.default"),
)
def nothing(*_: Any, **__: Any) -> None:
    """Checks of the capture, which the graph has no need of."""


# -- activations -----------------------------------------------------------------------------------------------------


@RULES("aten.gelu.default")
def gelu(x: Array, *, approximate: str = "none") -> Array:
    return ops.gelu(x, approximate=approximate == "tanh")


@RULES("aten.softplus.default")
def softplus(x: Array, beta: float = 1, threshold: float = 20) -> Array:
    return ops.softplus(x, beta=float(beta), threshold=float(threshold))


@RULES("aten.elu.default")
def elu(x: Array, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Array:
    if input_scale == 1:
        return _scaled(ops.elu(x, alpha=float(alpha)), scale)
    below = ops.expm1(ops.minimum(x, 0) * input_scale) * alpha
    return _scaled(ops.where(ops.greater(x, 0), x, below), scale)


@RULES("aten.celu.default")
def celu(x: Array, alpha: float = 1) -> Array:
    return ops.celu(x, alpha=float(alpha))


@RULES("aten.leaky_relu.default")
def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    return ops.leaky_relu(x, negative_slope=float(negative_slope))


@RULES("aten.hardtanh.default")
def hardtanh(x: Array, min_val: float = -1, max_val: float = 1) -> Array:
    if not is_floating(dtype_of(x)):
        return clamp(x, int(min_val), int(max_val))
    if (min_val, max_val) == (0, 6):
        return ops.relu6(x)
    return ops.hardtanh(x, min=float(min_val), max=float(max_val))


@RULES("aten.relu6.default")
def relu6(x: Array) -> Array:
    return hardtanh(x, 0, 6)


@RULES("aten.threshold.default")
def threshold(x: Array, threshold: float, value: float) -> Array:
    if not is_floating(dtype_of(x)):
        return ops.where(ops.greater(x, int(threshold)), x, int(value))
    return ops.threshold(x, threshold=threshold, value=value)


@RULES("aten.prelu.default", "aten._prelu_kernel.default")
def prelu(x: Array, weight: Array) -> Array:
    ndim, sizes = len(x.shape), tuple(weight.shape)
    if ndim > 1 and len(sizes) == 1 and sizes[0] != 1:
        weight = ops.reshape(weight, shape=(sizes[0], *(1,) * (ndim - 2)))
    return ops.where(ops.greater(x, 0), x, weight * x)


@RULES("aten.glu.default")
def glu(x: Array, dim: int = -1) -> Array:
    size = x.shape[dim] // 2
    first, second = ops.split(x, sizes=(size, size), axis=dim)
    return first * ops.sigmoid(second)


@RULES("aten.hardshrink.default")
def hardshrink(x: Array, lambd: float = 0.5) -> Array:
    return ops.hardshrink(x, threshold=float(lambd))


@RULES("aten.softshrink.default")
def softshrink(x: Array, lambd: float = 0.5) -> Array:
    return ops.softshrink(x, threshold=float(lambd))


@RULES("aten._safe_softmax.default")
def safe_softmax(x: Array, dim: int, dtype: str | None = None) -> Array:
    """Zeros where every element of a line is -inf."""
    masked = ops.all(ops.equal(x, -math.inf), axis=dim, keepdims=True)
    return ops.where(masked, 0.0, softmax(x, dim, dtype))


@RULES("aten.softmax.int", "aten._softmax.default")
def softmax(x: Array, dim: int, dtype: str | bool | None = None) -> Array:
    normalize_axis(dim, len(shape_of(x)))
    return ops.softmax(floating(x, dtype if isinstance(dtype, str) else None), axis=dim)


@RULES("aten.log_softmax.int", "aten._log_softmax.default")
def log_softmax(x: Array, dim: int, dtype: str | bool | None = None) -> Array:
    normalize_axis(dim, len(shape_of(x)))
    return ops.log_softmax(floating(x, dtype if isinstance(dtype, str) else None), axis=dim)


@RULES("aten.gcd.default")
def gcd(x: Array, other: Array) -> Array:
    return ops.gcd(*promote(x, other))


@RULES("aten.lcm.default")
def lcm(x: Array, other: Array) -> Array:
    return ops.lcm(*promote(x, other))


@RULES("aten.frexp.Tensor")
def frexp(x: Array) -> tuple[Array, Array]:
    """Mantissas of size 0.5 <= |m| < 1 and exponents of 2, by the bits of float32."""
    dtype = dtype_of(x)
    if dtype == "float64":
        raise DTypeError("frexp of float64", hint="take it of float32: JAX has no bits of 64")
    x = cast(x, "float32")
    small = ops.less(ops.abs(x), 2.0**-126)  # whose first bits are zeros
    scaled = ops.where(small, x * 2.0**24, x)
    bits = ops.bitcast(scaled, dtype="int32")
    exponent = ops.bitwise_and(ops.bitwise_right_shift(bits, 23), 255) - 126 - cast(small, "int32") * 24
    mantissa = ops.bitcast(
        ops.bitwise_or(ops.bitwise_and(bits, -2139095041), 126 << 23),  # all bits but the exponent's
        dtype="float32",
    )
    plain = ops.logical_or(ops.equal(x, 0), ops.logical_not(ops.isfinite(x)))
    return cast(ops.where(plain, x, mantissa), dtype), cast(ops.where(plain, 0, exponent), "int32")
