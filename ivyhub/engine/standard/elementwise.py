"""Elementwise functions of the standard.

Most are operations as they are. What stands here adds the letter: integers that rounding leaves alone, Python numbers
beside arrays, special values of division.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import ops
from ..op import Array, Op
from ..spec import broadcast_shapes
from . import complexes
from ._common import arrays, cast, dtype_of, is_complex, is_floating, is_number, same, scalar_like
from .creation import full_like, zeros_like

# -- rounding --------------------------------------------------------------------------------------------------------


def _rounding(op: Op) -> Callable[[Array], Array]:
    def function(x: Array, /) -> Array:
        return op(x) if is_floating(dtype_of(x)) else same(x)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"{op.__doc__} Integers stay."
    return function


ceil, floor, round, trunc = (_rounding(op) for op in (ops.ceil, ops.floor, ops.round, ops.trunc))

# -- tests -----------------------------------------------------------------------------------------------------------


def isnan(x: Array, /) -> Array:
    """Whether x, or one part of it, is not a number."""
    name = dtype_of(x)
    if is_complex(name):
        return ops.isnan(ops.real(x)) | ops.isnan(ops.imag(x))
    return ops.isnan(x) if is_floating(name) else zeros_like(x, dtype="bool")


def isinf(x: Array, /) -> Array:
    """Whether x, or one part of it, is infinite."""
    name = dtype_of(x)
    if is_complex(name):
        return ops.isinf(ops.real(x)) | ops.isinf(ops.imag(x))
    return ops.isinf(x) if is_floating(name) else zeros_like(x, dtype="bool")


def isfinite(x: Array, /) -> Array:
    """Whether x, or both parts of it, are neither infinite nor nan."""
    name = dtype_of(x)
    if is_complex(name):
        return ops.isfinite(ops.real(x)) & ops.isfinite(ops.imag(x))
    return ops.isfinite(x) if is_floating(name) else full_like(x, True, dtype="bool")


def signbit(x: Array, /) -> Array:
    """Whether the sign of x is negative, that of -0.0 and of a negative nan among them."""
    return ops.signbit(x)


# -- arithmetic ------------------------------------------------------------------------------------------------------


def abs(x: Array, /) -> Array:
    """The absolute value; the modulus of a complex number."""
    return same(x) if dtype_of(x).startswith("u") else ops.abs(x)


def positive(x: Array, /) -> Array:
    """x."""
    return same(x)


def sign(x: Array, /) -> Array:
    """-1, 0 or 1 as the sign of x; x / |x| of a complex number, 0 for 0; nan for nan."""
    name = dtype_of(x)
    if name.startswith("u"):
        return cast(ops.not_equal(x, 0), name)
    if not is_complex(name):
        found = ops.sign(x)
        if not is_floating(name):
            return found
        return ops.where(ops.isnan(x), x, ops.where(ops.equal(x, 0), ops.abs(found), found))  # that of -0.0 is plain
    size = ops.abs(x)
    zero = ops.equal(size, 0)
    return ops.where(zero, zeros_like(x), ops.divide(x, cast(ops.where(zero, zeros_like(size), size), dtype_of(x))))


def floor_divide(x1: Array, x2: Array, /) -> Array:
    """The largest integer at most x1 / x2; where the quotient is zero or infinite, it itself."""
    x1, x2 = arrays(x1, x2)
    return (ops.floor_quotient if is_floating(dtype_of(x1)) else ops.floor_divide)(x1, x2)


def remainder(x1: Array, x2: Array, /) -> Array:
    """x1 - x2 · floor(x1 / x2): the sign is that of x2, of a zero, too."""
    x1, x2 = arrays(x1, x2)
    return (ops.floor_remainder if is_floating(dtype_of(x1)) else ops.remainder)(x1, x2)


def clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
    """x between two bounds, each a number, an array or None; the dtype stays that of x."""
    name = dtype_of(x)
    shapes = [tuple(x.shape), *(tuple(bound.shape) for bound in (min, max) if hasattr(bound, "shape"))]
    found = x if len({*shapes}) == 1 else ops.broadcast_to(x, shape=broadcast_shapes(*shapes))
    if min is not None:
        found = ops.maximum(found, _bound(min, x, name))
    if max is not None:
        found = ops.minimum(found, _bound(max, x, name))
    return same(found) if found is x else found


def _bound(bound: Any, x: Array, name: str) -> Array:
    return scalar_like(bound, x) if is_number(bound) else cast(bound, name)


def _binary(op: Op) -> Callable[[Any, Any], Array]:
    """An operation whose rows take arrays, for Python numbers too."""

    def function(x1: Array, x2: Array, /) -> Array:
        if is_number(x1) or is_number(x2):
            x1, x2 = arrays(x1, x2)
        return op(x1, x2)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = op.__doc__
    return function


atan2, copysign, hypot, logaddexp, nextafter = (
    _binary(op) for op in (ops.atan2, ops.copysign, ops.hypot, ops.logaddexp, ops.nextafter)
)
maximum, minimum, divide = (_binary(op) for op in (ops.maximum, ops.minimum, ops.divide))


def pow(x1: Array, x2: Array, /) -> Array:
    """x1 to the power of x2; 1 for the power 0, of complex numbers, too, and 0 for a power of 0 to the right of it."""
    if type(x2) is int and -9 < x2 < 9 and hasattr(x1, "dtype") and is_floating(dtype_of(x1)):
        return ops.pow(x1, x2)  # products, where frameworks take other numbers for roots: NumPy's 0.5 of -inf is nan
    if is_number(x1) or is_number(x2):
        x1, x2 = arrays(x1, x2)
    found = ops.pow(x1, x2)
    if not is_complex(dtype_of(found)):
        return found
    x1, x2 = cast(x1, dtype_of(found)), cast(x2, dtype_of(found))
    found = ops.where(ops.equal(x1, 0) & ops.greater(ops.real(x2), 0), 0, found)
    return ops.where(ops.equal(x2, 0), 1, found)


def _bits(integers: Op, truths: Op) -> Callable[[Any, Any], Array]:
    def function(x1: Array, x2: Array, /) -> Array:
        x1, x2 = arrays(x1, x2)
        return (truths if dtype_of(x1) == "bool" else integers)(x1, x2)

    function.__name__ = function.__qualname__ = integers.name
    function.__doc__ = f"{integers.__doc__} Of truth values: {truths.__doc__}"
    return function


bitwise_and = _bits(ops.bitwise_and, ops.logical_and)
bitwise_or = _bits(ops.bitwise_or, ops.logical_or)
bitwise_xor = _bits(ops.bitwise_xor, ops.logical_xor)
bitwise_left_shift, bitwise_right_shift = (_binary(op) for op in (ops.bitwise_left_shift, ops.bitwise_right_shift))


def bitwise_invert(x: Array, /) -> Array:
    """Every bit turned; whether a truth value does not hold."""
    return (ops.logical_not if dtype_of(x) == "bool" else ops.bitwise_invert)(x)


# -- complex numbers -------------------------------------------------------------------------------------------------


def conj(x: Array, /) -> Array:
    """The complex conjugate; x where it is real."""
    return ops.conj(x) if is_complex(dtype_of(x)) else same(x)


def real(x: Array, /) -> Array:
    """The real part; x where it is real."""
    return ops.real(x) if is_complex(dtype_of(x)) else same(x)


PLAIN = (
    *complexes.PLAIN,
    *(abs, atan2, bitwise_and, bitwise_invert, bitwise_left_shift, bitwise_or, bitwise_right_shift, bitwise_xor, ceil),
    *(clip, conj, copysign, divide, floor, floor_divide, hypot, isfinite, isinf, isnan, logaddexp, maximum, minimum),
    *(nextafter, pow, real, remainder, round, sign, signbit, trunc),
    *(ops.add, ops.equal, ops.greater, ops.greater_equal, ops.imag, ops.less, ops.less_equal, ops.logical_and),
    *(ops.logical_not, ops.logical_or, ops.logical_xor, ops.multiply, ops.negative, ops.not_equal, positive),
    *(ops.reciprocal, ops.square, ops.subtract),
)
