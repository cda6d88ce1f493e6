"""Special functions, and what floating-point numbers are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.backends import is_floating
from .....engine.ops.bessel import polynomial
from .....engine.ops.creation import scalar
from .common import RULES, Array, at_axis, dtype_of, floating, is_array, promote, shape_of
from .shape import stack


def _one(op: Callable[..., Any]) -> Callable[[Array], Array]:
    return lambda x: op(floating(x))


for _op, *_names in (
    (ops.erfc, "aten.erfc.default", "aten.special_erfc.default", "prims.erfc.default"),
    (ops.erfinv, "aten.erfinv.default", "aten.special_erfinv.default", "prims.erf_inv.default"),
    (ops.lgamma, "aten.lgamma.default", "aten.special_gammaln.default", "prims.lgamma.default"),
    (ops.erfcx, "aten.special_erfcx.default", "prims.erfcx.default"),
    (ops.ndtri, "aten.special_ndtri.default", "prims.ndtri.default"),
    (ops.bessel_i0, "aten.i0.default", "aten.special_modified_bessel_i0.default", "prims.bessel_i0.default"),
    (ops.bessel_i0e, "aten.special_i0e.default", "prims.bessel_i0e.default"),
    (ops.bessel_i1, "aten.special_i1.default", "aten.special_modified_bessel_i1.default", "prims.bessel_i1.default"),
    (ops.bessel_i1e, "aten.special_i1e.default", "prims.bessel_i1e.default"),
    (ops.bessel_j0, "aten.special_bessel_j0.default", "prims.bessel_j0.default"),
    (ops.bessel_j1, "aten.special_bessel_j1.default", "prims.bessel_j1.default"),
    (ops.bessel_y0, "aten.special_bessel_y0.default"),
    (ops.bessel_y1, "aten.special_bessel_y1.default"),
    (ops.bessel_k0, "aten.special_modified_bessel_k0.default"),
    (ops.bessel_k1, "aten.special_modified_bessel_k1.default"),
    (ops.bessel_k0e, "aten.special_scaled_modified_bessel_k0.default"),
    (ops.bessel_k1e, "aten.special_scaled_modified_bessel_k1.default"),
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


def _two(op: Callable[..., Any]) -> Callable[[Any, Any], Array]:
    def rule(x: Any, y: Any) -> Array:
        x, y = promote(x, y, floating=True)
        like = x if is_array(x) else y
        return op(*(each if is_array(each) else scalar(float(each), dtype_of(like), like) for each in (x, y)))

    return rule


def _zeta(x: Array, q: Array) -> Array:
    """At the poles and outside of the domain as PyTorch has it, where frameworks differ."""
    pole = ops.logical_and(ops.less_equal(q, 0.0), ops.equal(q, ops.floor(q)))
    regular = ops.logical_and(ops.greater(x, 1.0), ops.logical_not(pole))
    found = ops.zeta(ops.where(regular, x, 2.0), ops.where(regular, q, 1.0))
    edge = ops.where(ops.less(x, 1.0), math.nan, math.inf + x * 0.0)
    return ops.where(regular, found, edge)


for _overload in ("default", "other_scalar", "self_scalar"):
    RULES(f"aten.special_zeta.{_overload}")(_two(_zeta))
for _op, _name in ((ops.igamma, "igamma"), (ops.igammac, "igammac")):
    RULES(f"aten.{_name}.default", f"prims.{_name}.default")(_two(_op))
RULES("prims.zeta.default")(_two(_zeta))


@RULES("aten.special_spherical_bessel_j0.default", "prims.spherical_bessel_j0.default")
def spherical_bessel_j0(x: Array) -> Array:
    """sin(x) / x, by its series near 0, and 0 at infinity."""
    x = floating(x)
    z = ops.square(ops.clip(x, min=-0.5, max=0.5))
    series = polynomial(z, [(-1) ** k / math.factorial(2 * k + 1) for k in range(6, -1, -1)])
    near, infinite = ops.less(ops.abs(x), 0.5), ops.isinf(x)
    safe = ops.where(ops.logical_or(near, infinite), 1.0, x)
    return ops.where(near, series, ops.where(infinite, 0.0, ops.sin(safe) / safe))


# fmt: off
_AIRY = (
    0.346538101525629, 12.007595273964581, 76.27960536152345, 168.08922493463058, 159.75639135016442,
    70.53609068404442, 14.026469116338967, 1.0,
)
_AIRY_BELOW = (
    0.5675945326387702, 14.75625625848472, 84.51389701414746, 177.31808814540045, 164.2346928715297,
    71.47784008255756, 14.095913560783403, 1.0,
)
_AIRY_SINE = (
    -0.1316963234183318, -0.6264565444319123, -0.6931580360369335, -0.2797799815451191, -0.04919001326095003,
    -0.004062659235948854, -0.0001592764962392621, -2.776491081552329e-06, -1.6778769848911465e-08,
)
_AIRY_SINE_BELOW = (
    13.356042070655324, 32.682503279522464, 26.736704094149957, 9.187074029072596, 1.4752914677166642,
    0.11568717379518804, 0.004402916416152112, 7.547203482874142e-05, 4.5185009297058035e-07,
)
_AIRY_COSINE = (
    0.01973399320916857, 0.39110302961568827, 1.0657989759959559, 0.9391692298166502, 0.35146565610554764,
    0.06338889196289255, 0.005858041130483885, 0.000282851600836737, 6.98793669997261e-06, 8.117892395543892e-08,
    3.415517847659236e-10,
)
_AIRY_COSINE_BELOW = (
    9.30892908077442, 19.835292871831214, 15.564662893286462, 5.476860694229755, 0.9542936116189619,
    0.08645808263523921, 0.004126565238242226, 0.00010125908511650914, 1.1716673321441352e-06, 4.9183457006293e-09,
)
# fmt: on


@RULES("aten.special_airy_ai.default")
def airy_ai(x: Array) -> Array:
    """The Airy function Ai, by its series near 0. The coefficients are those of Moshier's Cephes library."""
    x = floating(x)
    middle = ops.clip(x, min=-2.09, max=2.09)
    z = middle * middle * middle
    # Source: https://dlmf.nist.gov/9.4.E1
    even, odd = [1.0], [1.0]
    for k in range(1, 16):
        even.append(even[-1] / ((3 * k - 1) * 3 * k))
        odd.append(odd[-1] / (3 * k * (3 * k + 1)))
    series = 0.355028053887817239260 * polynomial(z, even[::-1])
    series = series - 0.258819403792806798405 * middle * polynomial(z, odd[::-1])
    size = ops.clip(ops.abs(x), min=2.09)
    root = ops.sqrt(size)
    phase = 2.0 * size * root / 3.0
    inverse = ops.reciprocal(phase)
    scale = 1 / math.sqrt(math.pi) / ops.sqrt(root)
    right = polynomial(inverse, _AIRY) / polynomial(inverse, _AIRY_BELOW) * scale / (2.0 * ops.exp(phase))
    square = ops.square(inverse)
    sine = 1.0 + square * polynomial(square, _AIRY_SINE) / polynomial(square, _AIRY_SINE_BELOW)
    cosine = inverse * polynomial(square, _AIRY_COSINE) / polynomial(square, _AIRY_COSINE_BELOW)
    turn = phase + math.pi / 4
    left = scale * (ops.sin(turn) * sine - ops.cos(turn) * cosine)
    found = ops.where(ops.less(x, -2.09), left, ops.where(ops.greater_equal(x, 2.09), right, series))
    return ops.where(ops.isinf(x), math.nan, ops.where(ops.isnan(x), x, found))


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


@RULES(
    "aten.conj.default",
    "aten._conj.default",
    "aten._conj_physical.default",
    "aten.conj_physical.default",
    "prims.conj_physical.default",
)
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
