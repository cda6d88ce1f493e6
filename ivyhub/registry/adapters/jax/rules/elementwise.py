"""Elementwise primitives: arithmetic, functions, comparison, bits, choice and dtype."""

from __future__ import annotations

from typing import Any

from .....engine import ops
from .common import (
    NUMBERS,
    RULES,
    Array,
    bits_of,
    cast,
    dtype_name,
    dtype_of,
    filled,
    is_array,
    is_complex,
    is_floating,
    is_unsigned,
    refuse,
    shape_of,
)

_UNARY = {
    "acos": ops.acos,
    "acosh": ops.acosh,
    "asin": ops.asin,
    "asinh": ops.asinh,
    "atan": ops.atan,
    "atanh": ops.atanh,
    "bessel_i0e": ops.bessel_i0e,
    "bessel_i1e": ops.bessel_i1e,
    "ceil": ops.ceil,
    "cos": ops.cos,
    "cosh": ops.cosh,
    "erf": ops.erf,
    "erf_inv": ops.erfinv,
    "erfc": ops.erfc,
    "exp": ops.exp,
    "exp2": ops.exp2,
    "expm1": ops.expm1,
    "floor": ops.floor,
    "digamma": ops.digamma,
    "imag": ops.imag,
    "is_finite": ops.isfinite,
    "lgamma": ops.lgamma,
    "log": ops.log,
    "log1p": ops.log1p,
    "logistic": ops.sigmoid,
    "neg": ops.negative,
    "real": ops.real,
    "rsqrt": ops.rsqrt,
    "sin": ops.sin,
    "sinh": ops.sinh,
    "sqrt": ops.sqrt,
    "square": ops.square,
    "stop_gradient": ops.stop_gradient,
    "tan": ops.tan,
    "tanh": ops.tanh,
}


def _unary(op: Any) -> Any:
    return lambda x: op(x)


for _name, _op in _UNARY.items():
    RULES(_name)(_unary(_op))


@RULES("conj")
def conj(x: Array, *, input_dtype: Any = None, _input_dtype: Any = None) -> Array:
    """Of real numbers too, which become complex."""
    return ops.conj(x if is_complex(dtype_of(x)) else ops.complex(x, ops.multiply(x, 0)))


_BINARY = {
    "add": ops.add,
    "add_any": ops.add,
    "atan2": ops.atan2,
    "complex": ops.complex,
    "igamma": ops.igamma,
    "igammac": ops.igammac,
    "nextafter": ops.nextafter,
    "sub": ops.subtract,
    "zeta": ops.zeta,
}
_COMPARISONS = {
    "eq": ops.equal,
    "ge": ops.greater_equal,
    "gt": ops.greater,
    "le": ops.less_equal,
    "lt": ops.less,
    "ne": ops.not_equal,
}


def _binary(op: Any) -> Any:
    return lambda x, y: op(x, y)


for _name, _op in (_BINARY | _COMPARISONS).items():
    RULES(_name)(_binary(_op))
NUMBERS.update(set(_BINARY | _COMPARISONS) - {"atan2", "complex", "igamma", "igammac", "nextafter", "zeta"})


@RULES("lt_to")
def lt_to(x: Array, y: Array) -> Array:
    """Whether x stands before y in the total order of IEEE 754: -nan, -inf, ..., -0, 0, ..., inf, nan."""
    if not is_floating(dtype_of(x)):
        return ops.less(x, y)
    a, b = (ops.multiply(cast(ops.isnan(each), "int32"), _sign(each)) for each in (x, y))
    zeros = ops.logical_and(ops.equal(x, y), ops.less(_sign(x), _sign(y)))
    return ops.logical_or(ops.less(a, b), ops.logical_or(ops.less(x, y), zeros))


def _sign(x: Array) -> Array:
    """1, or -1 where there is a minus, before a zero too."""
    return ops.subtract(1, ops.multiply(cast(ops.signbit(x), "int32"), 2))


@RULES("le_to")
def le_to(x: Array, y: Array) -> Array:
    return ops.logical_not(lt_to(y, x))


@RULES("eq_to")
def eq_to(x: Array, y: Array) -> Array:
    return ops.logical_and(le_to(x, y), le_to(y, x))


@RULES("polygamma")
def polygamma(m: Array, x: Array) -> Array:
    """(-1)ᵐ⁺¹ m! ζ(m + 1, x), and the digamma function where m is 0; no number for other m than whole ones."""
    found = ops.multiply(ops.exp(ops.lgamma(ops.add(m, 1))), ops.zeta(ops.add(m, 1), x))
    odd = ops.equal(ops.remainder(m, 2), 1)
    found = ops.where(ops.equal(m, 0), ops.digamma(x), ops.where(odd, found, ops.negative(found)))
    return ops.where(ops.logical_and(ops.equal(m, ops.floor(m)), ops.greater_equal(m, 0)), found, float("nan"))


def _extreme(op: Any, beyond: Any, truth: Any) -> Any:
    def rule(x: Array, y: Array) -> Array:
        if not is_complex(_dtype(x, y)):
            return (truth if _dtype(x, y) == "bool" else op)(x, y)
        (a, b), (c, d) = _parts(x), _parts(y)
        first = ops.logical_or(beyond(a, c), ops.logical_and(ops.equal(a, c), beyond(b, d)))
        return ops.where(first, x, y)

    return rule


def _parts(x: Any) -> tuple[Any, Any]:
    return (ops.real(x), ops.imag(x)) if is_array(x) else (complex(x).real, complex(x).imag)


#: Complex numbers have the order of their real parts, and where these are equal of their imaginary ones.
maximum = _extreme(ops.maximum, ops.greater, ops.logical_or)
minimum = _extreme(ops.minimum, ops.less, ops.logical_and)
RULES("max")(maximum)
RULES("min")(minimum)
NUMBERS.update(("max", "min"))


def _dtype(*operands: Any) -> str:
    return dtype_of(next(operand for operand in operands if is_array(operand)))


@RULES("mul")
def mul(x: Array, y: Array, *, out_dtype: Any = None) -> Array:
    if out_dtype is not None:
        raise refuse(f"mul with out_dtype={out_dtype}")
    return ops.multiply(x, y)


@RULES("div")
def div(x: Array, y: Array) -> Array:
    """True division; of integers, what is left of its fraction is cut off."""
    dtype = _dtype(x, y)
    if is_floating(dtype) or is_complex(dtype):
        return ops.divide(x, y)
    quotient = ops.floor_divide(x, y)
    if is_unsigned(dtype):
        return quotient
    uneven = ops.not_equal(ops.remainder(x, y), 0)
    apart = ops.not_equal(_negative(x), _negative(y))
    return ops.where(ops.logical_and(uneven, apart), ops.add(quotient, 1), quotient)


def _negative(x: Any) -> Any:
    return ops.less(x, 0) if is_array(x) else x < 0


@RULES("rem")
def rem(x: Array, y: Array) -> Array:
    """What is left of x, with its sign."""
    dtype = _dtype(x, y)
    if is_unsigned(dtype):
        return ops.remainder(x, y)
    size = ops.remainder(_absolute(x), _absolute(y))
    return ops.where(_negative(x), ops.negative(size), size) if is_array(x) or x < 0 else size


def _absolute(x: Any) -> Any:
    return ops.abs(x) if is_array(x) else abs(x)


NUMBERS.update(("mul", "div"))


@RULES("abs")
def abs_(x: Array) -> Array:
    return x if is_unsigned(dtype_of(x)) else ops.abs(x)


@RULES("sign")
def sign(x: Array) -> Array:
    if is_unsigned(dtype_of(x)):
        return cast(ops.not_equal(x, 0), dtype_of(x))
    if is_complex(dtype_of(x)):
        size = ops.abs(x)
        return ops.where(ops.equal(size, 0), 0, ops.divide(x, ops.complex(size, ops.multiply(size, 0))))
    return ops.sign(x)


@RULES("cbrt")
def cbrt(x: Array) -> Array:
    return ops.multiply(ops.sign(x), ops.pow(ops.abs(x), 1 / 3))


@RULES("round")
def round_(x: Array, *, rounding_method: Any) -> Array:
    """To the nearest integer; halves to the even one, or away from zero."""
    if int(rounding_method) == 1:
        return ops.round(x)
    whole = ops.trunc(x)
    beyond = ops.greater_equal(ops.abs(ops.subtract(x, whole)), 0.5)
    return ops.where(beyond, ops.add(whole, ops.sign(x)), whole)


@RULES("integer_pow")
def integer_pow(x: Array, *, y: int) -> Array:
    dtype = dtype_of(x)
    if y == 2:
        return ops.square(x)
    if y == -1 and is_floating(dtype):
        return ops.reciprocal(x)
    if y == 0:
        return filled(x, shape_of(x), 1, dtype)
    if is_floating(dtype):
        return ops.pow(x, y)
    if y < 0:
        if is_complex(dtype):
            return ops.reciprocal(integer_pow(x, y=-y))
        raise refuse("integers to a negative power")
    result: Any = None
    base = x
    while y:  # as JAX computes it, so that overflow agrees
        if y & 1:
            result = base if result is None else ops.multiply(result, base)
        y >>= 1
        base = ops.multiply(base, base) if y else base
    return result


@RULES("pow")
def pow_(x: Array, y: Array) -> Array:
    if is_array(x) and is_array(y) and dtype_of(x) != dtype_of(y):
        y = cast(y, dtype_of(x))
    if not (is_floating(dtype_of(x)) or is_complex(dtype_of(x))):
        raise refuse("powers of integers by an array")
    return ops.pow(x, y)


@RULES("is_nan")
def is_nan(x: Array) -> Array:
    return ops.isnan(x)


@RULES("clamp")
def clamp(low: Array, x: Array, high: Array) -> Array:
    return ops.minimum(ops.maximum(x, low), high)


@RULES("select_n")
def select_n(which: Array, *cases: Array) -> Array:
    """The case of each place's number; False is the first, True the second."""
    if dtype_of(which) == "bool":
        return cases[0] if len(cases) == 1 else ops.where(which, cases[1], cases[0])
    result = cases[-1]
    for number in reversed(range(len(cases) - 1)):
        result = ops.where(ops.less_equal(which, number), cases[number], result)
    return result


# -- bits and truth --------------------------------------------------------------------------------------------------

_BITS = {
    "and": (ops.bitwise_and, ops.logical_and),
    "or": (ops.bitwise_or, ops.logical_or),
    "xor": (ops.bitwise_xor, ops.logical_xor),
}


def _bits(integer: Any, truth: Any) -> Any:
    return lambda x, y: truth(x, y) if _dtype(x, y) == "bool" else integer(x, y)


for _name, (_integer, _truth) in _BITS.items():
    RULES(_name)(_bits(_integer, _truth))


@RULES("not")
def not_(x: Array) -> Array:
    return ops.logical_not(x) if dtype_of(x) == "bool" else ops.bitwise_invert(x)


def _within(y: Array, bits: int) -> tuple[Array, Array]:
    """Which shifts are by less than all bits, and those shifts, 0 for the others."""
    small = ops.less(y, bits) if is_unsigned(dtype_of(y)) else ops.logical_and(y >= 0, y < bits)
    return small, ops.where(small, y, 0)


@RULES("shift_left")
def shift_left(x: Array, y: Array) -> Array:
    small, y = _within(y, bits_of(dtype_of(x)))
    return ops.where(small, ops.bitwise_left_shift(x, y), 0)


@RULES("shift_right_arithmetic")
def shift_right_arithmetic(x: Array, y: Array) -> Array:
    dtype = dtype_of(x)
    if is_unsigned(dtype):  # the bits are those of a signed number
        signed = dtype.removeprefix("u")
        shifted = shift_right_arithmetic(ops.bitcast(x, dtype=signed), ops.bitcast(y, dtype=signed))
        return ops.bitcast(shifted, dtype=dtype)
    bits = bits_of(dtype)
    small, y = _within(y, bits)
    return ops.bitwise_right_shift(x, ops.where(small, y, bits - 1))


@RULES("shift_right_logical")
def shift_right_logical(x: Array, y: Array) -> Array:
    """Shifted right, zeros from the left."""
    dtype = dtype_of(x)
    bits = bits_of(dtype)
    small, y = _within(y, bits)
    shifted = ops.bitwise_right_shift(x, y)
    if not is_unsigned(dtype):  # the copies of the sign are taken away: as many bits as were shifted
        ones = filled(x, shape_of(x), -1, dtype)
        lower = ops.bitwise_invert(
            ops.bitwise_left_shift(ops.bitwise_left_shift(ones, ops.subtract(bits - 1, y)), filled(x, (), 1, dtype))
        )
        shifted = ops.bitwise_and(shifted, lower)
    return ops.where(small, shifted, 0)


@RULES("population_count")
def population_count(x: Array) -> Array:
    """How many bits are set."""
    dtype = dtype_of(x)
    total: Any = None
    for bit in range(bits_of(dtype)):
        one = ops.bitwise_and(ops.bitwise_right_shift(x, filled(x, (), bit, dtype)), filled(x, (), 1, dtype))
        total = one if total is None else ops.add(total, one)
    return total


@RULES("clz")
def clz(x: Array) -> Array:
    """How many bits stand unset before the first that is set."""
    dtype = dtype_of(x)
    bits = bits_of(dtype)
    count, seen = filled(x, shape_of(x), 0, dtype), None
    for bit in reversed(range(bits)):
        one = ops.not_equal(
            ops.bitwise_and(ops.bitwise_right_shift(x, filled(x, (), bit, dtype)), filled(x, (), 1, dtype)), 0
        )
        seen = one if seen is None else ops.logical_or(seen, one)
        count = ops.add(count, cast(ops.logical_not(seen), dtype))
    return count


# -- dtype -----------------------------------------------------------------------------------------------------------


@RULES("convert_element_type")
def convert_element_type(x: Array, *, new_dtype: Any, weak_type: bool) -> Array:
    dtype, old = dtype_name(new_dtype), dtype_of(x)
    if old == dtype:
        return x
    if is_complex(old) and not is_complex(dtype):
        x = ops.real(x) if dtype != "bool" else ops.not_equal(x, 0)
    return cast(x, dtype)


@RULES("bitcast_convert_type")
def bitcast_convert_type(x: Array, *, new_dtype: Any) -> Array:
    dtype = dtype_name(new_dtype)
    if "bool" in (dtype, dtype_of(x)) and dtype != dtype_of(x):
        raise refuse("the bits of truth values")
    return x if dtype == dtype_of(x) else ops.bitcast(x, dtype=dtype)


@RULES("reduce_precision")
def reduce_precision(x: Array, *, exponent_bits: int, mantissa_bits: int) -> Array:
    """Rounded to a format of fewer bits, where a dtype has it; itself where the format is its own."""
    formats = {(8, 7): "bfloat16", (5, 10): "float16", (8, 23): "float32", (11, 52): "float64"}
    own = {name: bits for bits, name in formats.items()}[dtype_of(x)]
    if exponent_bits >= own[0] and mantissa_bits >= own[1]:
        return x
    name = formats.get((exponent_bits, mantissa_bits))
    if name is None:
        raise refuse(f"a precision of {exponent_bits} and {mantissa_bits} bits")
    return cast(cast(x, name), dtype_of(x))


# -- neutral ---------------------------------------------------------------------------------------------------------


@RULES("copy", "copy_p", "pvary", "reshard", "layout_constraint", "name")
def copy(x: Array, **_: Any) -> Array:
    return x


@RULES("sharding_constraint")
def sharding_constraint(x: Array, **_: Any) -> Array:
    return x


@RULES("optimization_barrier")
def optimization_barrier(*arrays: Array) -> tuple[Array, ...]:
    return arrays


@RULES("device_put")
def device_put(*arrays: Array, **_: Any) -> tuple[Array, ...]:
    return arrays
