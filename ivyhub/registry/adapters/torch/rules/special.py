"""Special functions, and what floating-point numbers are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.backends import is_floating
from .common import RULES, Array, at_axis, dtype_of, floating, promote, shape_of
from .shape import stack


def _one(op: Callable[..., Any]) -> Callable[[Array], Array]:
    return lambda x: op(floating(x))


for _op, *_names in (
    (ops.erfc, "aten.erfc.default", "aten.special_erfc.default", "prims.erfc.default"),
    (ops.erfinv, "aten.erfinv.default", "aten.special_erfinv.default", "prims.erf_inv.default"),
    (ops.lgamma, "aten.lgamma.default", "aten.special_gammaln.default", "prims.lgamma.default"),
):
    RULES(*_names)(_one(_op))


@RULES("aten.digamma.default", "aten.special_digamma.default", "aten.special_psi.default", "prims.digamma.default")
def digamma(x: Array) -> Array:
    """At zero an infinity of the other sign, where frameworks have no number."""
    x = floating(x)
    return ops.where(ops.equal(x, 0), ops.divide(-1, x), ops.digamma(x))


@RULES("aten.polygamma.default", "aten.special_polygamma.default")
def polygamma(n: int, x: Array) -> Array:
    """Below zero by reflection: frameworks have it for positive numbers.

    Source: https://dlmf.nist.gov/5.15.E6
    """
    x = floating(x)
    if n == 0:
        return digamma(x)
    positive = ops.greater(x, 0)
    above = ops.polygamma(ops.where(positive, x, 1 - x), n=n)
    cotangent = ops.reciprocal(ops.tan(math.pi * ops.where(positive, 0.25, x - ops.round(x))))
    derivative = np.polynomial.Polynomial([0, 1])  # of the cotangent, as a polynomial in it
    for _ in range(n):
        derivative = -derivative.deriv() * np.polynomial.Polynomial([1, 0, 1])
    total = float(derivative.coef[-1])
    for coefficient in derivative.coef[-2::-1]:
        total = total * cotangent + float(coefficient)
    return ops.where(positive, above, (above if n % 2 == 0 else -above) - math.pi ** (n + 1) * total)


@RULES("aten.copysign.Tensor", "aten.copysign.Scalar")
def copysign(x: Array, y: Any) -> Array:
    return ops.copysign(*promote(x, y, floating=True))


@RULES("aten.nextafter.default", "prims.nextafter.default")
def nextafter(x: Array, y: Array) -> Array:
    return ops.nextafter(*promote(x, y))


@RULES("aten.signbit.default", "prims.signbit.default")
def signbit(x: Array) -> Array:
    return ops.signbit(x) if is_floating(dtype_of(x)) else ops.less(x, 0)


# -- complex numbers -------------------------------------------------------------------------------------------------


@RULES("aten.complex.default")
def complex_(real: Array, imag: Array) -> Array:
    return ops.complex(real, imag)


@RULES("aten.real.default", "prims.real.default")
def real(x: Array) -> Array:
    return ops.real(x) if "complex" in dtype_of(x) else x


@RULES("aten.imag.default", "prims.imag.default")
def imag(x: Array) -> Array:
    return ops.imag(x)


@RULES("aten.conj.default", "aten._conj.default", "aten._conj_physical.default", "aten.conj_physical.default")
def conj(x: Array) -> Array:
    return ops.conj(x) if "complex" in dtype_of(x) else x


@RULES("aten.resolve_conj.default", "aten.resolve_neg.default")
def resolved(x: Array) -> Array:
    return x


@RULES("aten.view_as_real.default")
def view_as_real(x: Array) -> Array:
    return stack([ops.real(x), ops.imag(x)], -1)


@RULES("aten.view_as_complex.default")
def view_as_complex(x: Array) -> Array:
    last = len(shape_of(x)) - 1
    return ops.complex(at_axis(x, last, 0), at_axis(x, last, 1))


@RULES("aten.angle.default")
def angle(x: Array) -> Array:
    if "complex" in dtype_of(x):
        return ops.atan2(ops.imag(x), ops.real(x))
    x = floating(x)
    return ops.where(ops.isnan(x), x, ops.astype(ops.less(x, 0), dtype=dtype_of(x)) * math.pi)
