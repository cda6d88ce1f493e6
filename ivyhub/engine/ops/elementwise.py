"""Elementwise operations of the Array API Standard 2025.12, and the few that models need beside them.

Operands broadcast and have one dtype; a Python scalar adopts the dtype of the array beside it.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ..op import Array, DType, op
from ..spec import (
    Spec,
    bool_specs,
    broadcast_shapes,
    broadcast_specs,
    compared_specs,
    floating_specs,
    integer_specs,
)
from ._rows import lower_alike, lower_operator


def abs_spec(x: Spec) -> Spec:
    """Of complex numbers, real ones of the same precision."""
    return x.with_dtype({"complex64": "float32", "complex128": "float64"}.get(x.dtype, x.dtype))


# -- arithmetic --------------------------------------------------------------------------------------------------------


@op(rule=broadcast_specs, primitive=True)
def add(x1: Array, x2: Array, /) -> Array:
    """x1 + x2."""


lower_operator(add, "{x1} + {x2}")


@op(rule=broadcast_specs, primitive=True)
def subtract(x1: Array, x2: Array, /) -> Array:
    """x1 - x2."""


lower_operator(subtract, "{x1} - {x2}")


@op(rule=broadcast_specs, primitive=True)
def multiply(x1: Array, x2: Array, /) -> Array:
    """x1 · x2."""


lower_operator(multiply, "{x1} * {x2}")


@op(rule=floating_specs, primitive=True)
def divide(x1: Array, x2: Array, /) -> Array:
    """x1 / x2, of floating-point numbers."""


lower_operator(divide, "{x1} / {x2}")


@op(rule=broadcast_specs, primitive=True)
def floor_divide(x1: Array, x2: Array, /) -> Array:
    """The largest integer at most x1 / x2."""


lower_operator(floor_divide, "{x1} // {x2}")


@op(rule=broadcast_specs, primitive=True)
def remainder(x1: Array, x2: Array, /) -> Array:
    """x1 - x2 · floor(x1 / x2): the sign is that of x2."""


lower_operator(remainder, "{x1} % {x2}")


@op(rule=broadcast_specs, primitive=True)
def pow(x1: Array, x2: Array, /) -> Array:
    """x1 to the power of x2."""


lower_operator(pow, "{x1} ** {x2}")


@op(rule=broadcast_specs, primitive=True)
def negative(x: Array, /) -> Array:
    """-x."""


lower_operator(negative, "-{x}")


@op(rule=broadcast_specs)
def positive(x: Array, /) -> Array:
    """+x, which is x."""
    return x


@op(rule=abs_spec, primitive=True)
def abs(x: Array, /) -> Array:
    """The absolute value; the modulus of a complex number."""


lower_alike(abs)
abs.lower("jax", "jnp.hypot({x}.real, {x}.imag)", dtypes=("complex64", "complex128"))  # beside nan, infinities stay


@op(rule=broadcast_specs, primitive=True)
def sign(x: Array, /) -> Array:
    """-1, 0 or 1, as the sign of x."""


lower_alike(sign)


@op(rule=broadcast_specs, primitive=True)
def square(x: Array, /) -> Array:
    """x²."""


lower_alike(square)


@op(rule=floating_specs, primitive=True)
def sqrt(x: Array, /) -> Array:
    """The principal square root."""


lower_alike(sqrt)


@op(rule=floating_specs, primitive=True)
def rsqrt(x: Array, /) -> Array:
    """1 / √x. Source: torch.rsqrt, jax.lax.rsqrt, tf.math.rsqrt."""


lower_alike(rsqrt, numpy="1 / np.sqrt({x})", jax="lax.rsqrt({x})", tensorflow="tf.math.rsqrt({x})")


@op(rule=floating_specs, primitive=True)
def reciprocal(x: Array, /) -> Array:
    """1 / x."""


lower_alike(reciprocal, numpy="1 / {x}", jax="1 / {x}", tensorflow="1 / {x}")


@op(rule=floating_specs)
def hypot(x1: Array, x2: Array, /) -> Array:
    """√(x1² + x2²)."""
    return sqrt(x1 * x1 + x2 * x2)


lower_alike(hypot, tensorflow=None)
hypot.lower("tensorflow", "tf.abs(support.complex_({x1}, {x2}))", dtypes=("float32", "float64"))


@op(rule=broadcast_specs, primitive=True)
def maximum(x1: Array, x2: Array, /) -> Array:
    """The larger of x1 and x2; nan where either is."""


lower_alike(maximum, torch=None)


@op(rule=broadcast_specs, primitive=True)
def minimum(x1: Array, x2: Array, /) -> Array:
    """The smaller of x1 and x2; nan where either is."""


lower_alike(minimum, torch=None)


def _arrays(n: SimpleNamespace) -> bool:
    return isinstance(n.x1, Spec) and isinstance(n.x2, Spec)


def _array_first(n: SimpleNamespace) -> bool:
    return isinstance(n.x1, Spec)


maximum.lower("torch", "torch.maximum({x1}, {x2})", when=_arrays)
maximum.lower("torch", "{x1}.clamp(min={x2})", when=_array_first)
maximum.lower("torch", "{x2}.clamp(min={x1})")
minimum.lower("torch", "torch.minimum({x1}, {x2})", when=_arrays)
minimum.lower("torch", "{x1}.clamp(max={x2})", when=_array_first)
minimum.lower("torch", "{x2}.clamp(max={x1})")


@op(rule=lambda x, *, min, max: broadcast_specs(x, *(bound for bound in (min, max) if bound is not None)))
def clip(x: Array, /, *, min: float | None = None, max: float | None = None) -> Array:
    """min(max(x, min), max), with bounds that are numbers or None."""
    if min is not None:
        x = maximum(x, min)
    return x if max is None else minimum(x, max)


clip.lower("torch", "{x}.clamp({min}, {max})", when=lambda n: n.min is not None)
clip.lower("torch", "{x}.clamp(max={max})", when=lambda n: n.max is not None)
clip.lower("jax", "jnp.clip({x}, {min}, {max})", when=lambda n: n.min is not None)
clip.lower("jax", "jnp.minimum({x}, {max})", when=lambda n: n.max is not None)
clip.lower("numpy", "np.clip({x}, {min}, {max})", when=lambda n: n.min is not None and n.max is not None)
clip.lower("tensorflow", "tf.clip_by_value({x}, {min}, {max})", when=lambda n: n.min is not None and n.max is not None)

# -- rounding ----------------------------------------------------------------------------------------------------------


@op(rule=floating_specs, primitive=True)
def ceil(x: Array, /) -> Array:
    """The smallest integer at least x."""


lower_alike(ceil, tensorflow="tf.math.ceil({x})")


@op(rule=floating_specs, primitive=True)
def floor(x: Array, /) -> Array:
    """The largest integer at most x."""


lower_alike(floor)


@op(rule=floating_specs, primitive=True)
def trunc(x: Array, /) -> Array:
    """The integer nearest to x that is no farther from zero."""


lower_alike(trunc, tensorflow="tf.where({x} < 0, tf.math.ceil({x}), tf.floor({x}))")


@op(rule=floating_specs, primitive=True)
def round(x: Array, /) -> Array:
    """The nearest integer, the even one where two are as near."""


lower_alike(round)

# -- exponentials and logarithms ---------------------------------------------------------------------------------------


@op(rule=floating_specs, primitive=True)
def exp(x: Array, /) -> Array:
    """eˣ."""


lower_alike(exp)


@op(rule=floating_specs, primitive=True)
def exp2(x: Array, /) -> Array:
    """2ˣ. Source: torch.exp2, numpy.exp2."""


lower_alike(exp2, tensorflow="2.0 ** {x}")


@op(rule=floating_specs, primitive=True)
def expm1(x: Array, /) -> Array:
    """eˣ - 1, exact near zero."""


lower_alike(expm1, tensorflow="tf.math.expm1({x})")


@op(rule=floating_specs, primitive=True)
def log(x: Array, /) -> Array:
    """The natural logarithm."""


lower_alike(log, tensorflow="tf.math.log({x})")


@op(rule=floating_specs, primitive=True)
def log1p(x: Array, /) -> Array:
    """log(1 + x), exact near zero."""


lower_alike(log1p, tensorflow="tf.math.log1p({x})")


@op(rule=floating_specs)
def log2(x: Array, /) -> Array:
    """The logarithm to base 2."""
    return log(x) * 1.4426950408889634


lower_alike(log2, tensorflow=None)


@op(rule=floating_specs)
def log10(x: Array, /) -> Array:
    """The logarithm to base 10."""
    return log(x) * 0.4342944819032518


lower_alike(log10, tensorflow=None)


@op(rule=floating_specs)
def logaddexp(x1: Array, x2: Array, /) -> Array:
    """log(exp(x1) + exp(x2)), without overflow."""
    distance = where(equal(x1, x2), 0, x1 - x2)  # two infinities have none
    return maximum(x1, x2) + log1p(exp(-abs(distance)))


lower_alike(logaddexp, torch=None, tensorflow=None)
logaddexp.lower("torch", "torch.logaddexp({x1}, {x2})", when=_arrays)

# -- special functions -------------------------------------------------------------------------------------------------


@op(rule=floating_specs, primitive=True)
def erf(x: Array, /) -> Array:
    """The error function, 2/√π ∫₀ˣ exp(-t²) dt. Source: torch.erf, jax.lax.erf, tf.math.erf."""


lower_alike(erf, numpy="support.erf({x})", jax="lax.erf({x})", tensorflow="tf.math.erf({x})")

# -- comparison --------------------------------------------------------------------------------------------------------


@op(rule=compared_specs, primitive=True)
def equal(x1: Array, x2: Array, /) -> Array:
    """Whether x1 = x2."""


lower_operator(equal, "{x1} == {x2}")


@op(rule=compared_specs, primitive=True)
def not_equal(x1: Array, x2: Array, /) -> Array:
    """Whether x1 ≠ x2."""


lower_operator(not_equal, "{x1} != {x2}")


@op(rule=compared_specs, primitive=True)
def less(x1: Array, x2: Array, /) -> Array:
    """Whether x1 < x2."""


lower_operator(less, "{x1} < {x2}")


@op(rule=compared_specs, primitive=True)
def less_equal(x1: Array, x2: Array, /) -> Array:
    """Whether x1 ≤ x2."""


lower_operator(less_equal, "{x1} <= {x2}")


@op(rule=compared_specs, primitive=True)
def greater(x1: Array, x2: Array, /) -> Array:
    """Whether x1 > x2."""


lower_operator(greater, "{x1} > {x2}")


@op(rule=compared_specs, primitive=True)
def greater_equal(x1: Array, x2: Array, /) -> Array:
    """Whether x1 ≥ x2."""


lower_operator(greater_equal, "{x1} >= {x2}")


@op(rule=compared_specs, primitive=True)
def isnan(x: Array, /) -> Array:
    """Whether x is not a number."""


lower_alike(isnan, tensorflow="tf.math.is_nan({x})")


@op(rule=compared_specs, primitive=True)
def isinf(x: Array, /) -> Array:
    """Whether x is infinite."""


lower_alike(isinf, tensorflow="tf.math.is_inf({x})")


@op(rule=compared_specs, primitive=True)
def isfinite(x: Array, /) -> Array:
    """Whether x is neither infinite nor nan."""


lower_alike(isfinite, tensorflow="tf.math.is_finite({x})")

# -- truth values and bits ---------------------------------------------------------------------------------------------


@op(rule=bool_specs, primitive=True)
def logical_and(x1: Array, x2: Array, /) -> Array:
    """Whether both hold."""


lower_operator(logical_and, "{x1} & {x2}")


@op(rule=bool_specs, primitive=True)
def logical_or(x1: Array, x2: Array, /) -> Array:
    """Whether one or both hold."""


lower_operator(logical_or, "{x1} | {x2}")


@op(rule=bool_specs, primitive=True)
def logical_xor(x1: Array, x2: Array, /) -> Array:
    """Whether exactly one holds."""


lower_operator(logical_xor, "{x1} ^ {x2}")


@op(rule=bool_specs, primitive=True)
def logical_not(x: Array, /) -> Array:
    """Whether x does not hold."""


lower_operator(logical_not, "~{x}")


@op(rule=integer_specs, primitive=True)
def bitwise_and(x1: Array, x2: Array, /) -> Array:
    """The bits that both have."""


lower_operator(bitwise_and, "{x1} & {x2}")


@op(rule=integer_specs, primitive=True)
def bitwise_or(x1: Array, x2: Array, /) -> Array:
    """The bits that one or both have."""


lower_operator(bitwise_or, "{x1} | {x2}")


@op(rule=integer_specs, primitive=True)
def bitwise_xor(x1: Array, x2: Array, /) -> Array:
    """The bits that exactly one has."""


lower_operator(bitwise_xor, "{x1} ^ {x2}")


@op(rule=integer_specs, primitive=True)
def bitwise_invert(x: Array, /) -> Array:
    """Every bit turned."""


lower_operator(bitwise_invert, "~{x}")


@op(rule=integer_specs, primitive=True)
def bitwise_left_shift(x1: Array, x2: Array, /) -> Array:
    """x1 shifted left by x2 bits, 0 or more; all are gone from the width of x1 on."""


lower_alike(
    bitwise_left_shift,
    numpy="{x1} << {x2}",
    torch="{x1} << {x2}",
    jax="{x1} << {x2}",
    tensorflow="tf.bitwise.left_shift({x1}, {x2})",
)


@op(rule=integer_specs, primitive=True)
def bitwise_right_shift(x1: Array, x2: Array, /) -> Array:
    """x1 shifted right by x2 bits, 0 or more, the sign kept; nothing else is left from the width of x1 on."""


lower_alike(
    bitwise_right_shift,
    numpy="{x1} >> {x2}",
    torch="{x1} >> {x2}",
    jax="{x1} >> {x2}",
    tensorflow="tf.bitwise.right_shift({x1}, {x2})",
)

# -- choice and dtype --------------------------------------------------------------------------------------------------


def _where_spec(condition: Spec, x1: Any, x2: Any) -> Spec:
    bool_specs(condition)
    result = broadcast_specs(x1, x2)
    return result.with_shape(*broadcast_shapes(condition.shape, result.shape))


@op(rule=_where_spec, primitive=True, promotes=("x1", "x2"))
def where(condition: Array, x1: Array, x2: Array, /) -> Array:
    """x1 where the condition holds, x2 elsewhere; one of the two may be a Python scalar."""


lower_alike(where)


@op(rule=lambda x, *, dtype: x.with_dtype(dtype), primitive=True)
def astype(x: Array, /, *, dtype: DType) -> Array:
    """x in another dtype. Floating-point numbers lose their fraction on the way to integers; bool is x ≠ 0."""


astype.lower("torch", "{x}.to({dtype})")
astype.lower(("numpy", "jax"), "{x}.astype({dtype})")
astype.lower("tensorflow", "tf.cast({x}, {dtype})")

# -- complex numbers in TensorFlow: infinities and signs of zeros ------------------------------------------------------

_COMPLEX: Any = {"dtypes": ("complex64", "complex128")}
sqrt.lower("tensorflow", "support.sqrt({x})", **_COMPLEX)
log.lower("tensorflow", "support.log({x})", **_COMPLEX)
log2.lower("tensorflow", "support.log({x}, 2)", **_COMPLEX)
log10.lower("tensorflow", "support.log({x}, 10)", **_COMPLEX)
divide.lower("tensorflow", "support.divide({x1}, {x2})", **_COMPLEX)
reciprocal.lower("tensorflow", "support.divide(1, {x})", **_COMPLEX)

# -- uint64 in PyTorch: no order, division or shift of its own ---------------------------------------------------------

_UINT64: Any = {"dtypes": ("uint64",)}
for _op, _sign in ((less, "<"), (less_equal, "<="), (greater, ">"), (greater_equal, ">=")):
    _op.lower("torch", f"support.ordered({{x1}}) {_sign} support.ordered({{x2}})", **_UINT64)
for _op in (maximum, minimum):
    _call = f"torch.{_op.name}(support.ordered({{x1}}), support.ordered({{x2}}))"
    _op.lower("torch", f"support.unordered({_call})", **_UINT64)
floor_divide.lower("torch", "support.floor_divide({x1}, {x2})", **_UINT64)
remainder.lower("torch", "support.remainder({x1}, {x2})", **_UINT64)
bitwise_right_shift.lower("torch", "support.right_shift({x1}, {x2})", **_UINT64)

# -- shifts by the width of a number and more: TensorFlow shifts by one bit less, other frameworks leave nothing -------


def _width(n: SimpleNamespace) -> int:
    dtype = broadcast_specs(n.x1, n.x2).dtype
    return int(dtype.lstrip("uint"))


_UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
for _op, _dtypes in (
    (bitwise_left_shift, ("int8", "int16", "int32", "int64", *_UNSIGNED)),
    (bitwise_right_shift, _UNSIGNED),  # the sign is what is left of others
):
    _shifted = f"tf.bitwise.{_op.name.removeprefix('bitwise_')}({{x1}}, {{x2}})"
    _op.lower(
        "tensorflow",
        f"tf.where({{x2}} < {{width}}, {_shifted}, tf.zeros_like({{x2}}))",
        when=lambda n: isinstance(n.x2, Spec),
        derive=lambda n: {"width": _width(n)},
        dtypes=_dtypes,
    )
    _op.lower(
        "tensorflow",
        "tf.zeros_like({x1})",
        when=lambda n: not isinstance(n.x2, Spec) and n.x2 >= _width(n),
        dtypes=_dtypes,
    )
