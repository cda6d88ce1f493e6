"""Division with remainder to the letter of the Array API Standard 2025.12, with its special cases; common divisors."""

from __future__ import annotations

from typing import Any

from ...errors import DTypeError
from ..backends import is_integer
from ..op import Array, op
from ..spec import Spec, broadcast_specs
from ._rows import lower_alike
from .elementwise import (
    abs,
    divide,
    equal,
    floor_divide,
    isfinite,
    isinf,
    logical_and,
    logical_or,
    not_equal,
    remainder,
    where,
)
from .parts import copysign, real_specs, signbit


@op(rule=real_specs, promotes=("x1", "x2"))
def floor_quotient(x1: Array, x2: Array, /) -> Array:
    """The largest integer at most x1 / x2; where that is zero, infinite or nan, x1 / x2 itself.

    It is `floor_divide` but for infinite operands and the signs of zeros, which frameworks have in several ways.
    """
    quotient, found = divide(x1, x2), floor_divide(x1, x2)
    rounds = logical_and(isfinite(quotient), not_equal(quotient, 0))
    return where(rounds, where(equal(found, 0), abs(found), found), quotient)  # below 1 it is plain 0


floor_quotient.lower(("numpy", "torch"), "support.floor_quotient({x1}, {x2})")


@op(rule=real_specs, promotes=("x1", "x2"))
def floor_remainder(x1: Array, x2: Array, /) -> Array:
    """x1 - x2 · floor(x1 / x2), with the sign of x2, a zero, too; beside an infinite x2 either x1 or x2.

    It is `remainder` but for infinite divisors and the signs of zeros, which frameworks have in several ways.
    """
    found = remainder(x1, x2)
    apart = logical_and(isinf(x2), isfinite(x1))
    same = logical_or(equal(x1, 0), equal(signbit(x1), signbit(x2)))
    found = where(apart, where(same, x1, x2), found)
    return where(equal(found, 0), copysign(found, x2), found)


floor_remainder.lower("numpy", "np.remainder({x1}, {x2})")
floor_remainder.lower("torch", "support.floor_remainder({x1}, {x2})")


def _integers(x1: Any, x2: Any) -> Spec:
    found = broadcast_specs(x1, x2)
    if not is_integer(found.dtype):
        raise DTypeError(f"expected integers, received {found.dtype}")
    return found


@op(rule=_integers, primitive=True, promotes=("x1", "x2"))
def gcd(x1: Array, x2: Array, /) -> Array:
    """The greatest common divisor of integers, 0 or more; of 0 and x it is |x|."""


lower_alike(gcd, tensorflow="support.gcd({x1}, {x2})")


@op(rule=_integers, promotes=("x1", "x2"))
def lcm(x1: Array, x2: Array, /) -> Array:
    """The least common multiple of integers, 0 or more; of 0 and x it is 0."""
    divisor = gcd(x1, x2)
    return abs(x2 * floor_divide(x1, where(equal(divisor, 0), 1, divisor)))


lower_alike(lcm, tensorflow="support.lcm({x1}, {x2})")
