"""The gamma function, its parts and derivatives, the zeta function; the error function's complement and inverse."""

from __future__ import annotations

import math

from ...errors import EngineError
from ..op import Array, op
from ..spec import Spec, floating_specs
from ._rows import lower_alike
from .bessel import polynomial
from .elementwise import abs, equal, exp, greater, less, log, maximum, minimum, sqrt, square, where


@op(rule=floating_specs, primitive=True)
def lgamma(x: Array, /) -> Array:
    """log |Γ(x)|; infinite at 0 and the negative integers.

    Source: ``torch.lgamma``.
    """


lower_alike(lgamma, numpy="support.lgamma({x})", jax="jax.scipy.special.gammaln({x})", tensorflow="tf.math.lgamma({x})")


@op(rule=floating_specs, primitive=True)
def digamma(x: Array, /) -> Array:
    """The derivative of log Γ(x); not defined at 0 and the negative integers.

    Source: ``torch.digamma``.
    """


lower_alike(
    digamma, numpy="support.digamma({x})", jax="jax.scipy.special.digamma({x})", tensorflow="tf.math.digamma({x})"
)


def _polygamma_spec(x: Spec, *, n: int) -> Spec:
    if n < 1:
        raise EngineError(f"expected a derivative n >= 1 of digamma, received {n}", hint="digamma is that of n = 0")
    return floating_specs(x)


@op(rule=_polygamma_spec, primitive=True, strict=True)
def polygamma(x: Array, /, *, n: int) -> Array:
    """The derivative of order n >= 1 of `digamma`, for x > 0.

    Source: ``torch.polygamma``.
    """


polygamma.lower("torch", "torch.polygamma({n}, {x})").lower("jax", "jax.scipy.special.polygamma({n}, {x})")
polygamma.lower("tensorflow", "tf.math.polygamma({order}, {x})", derive=lambda n: {"order": float(n.n)})
polygamma.lower("numpy", "support.polygamma({n}, {x})")


@op(rule=floating_specs, primitive=True)
def erfc(x: Array, /) -> Array:
    """1 - erf(x), exact also where that is small.

    Source: ``torch.special.erfc``.
    """


lower_alike(erfc, numpy="support.erfc({x})", jax="lax.erfc({x})", tensorflow="tf.math.erfc({x})")


@op(rule=floating_specs)
def erfcx(x: Array, /) -> Array:
    """exp(x²) erfc(x), which does not underflow for large x. Source: torch.special.erfcx."""
    size = abs(x)
    small, large = minimum(size, 3.0), maximum(size, 3.0)
    fraction = large
    for k in range(60, 0, -1):  # Source: https://dlmf.nist.gov/7.9.E1
        fraction = large + k / 2 / fraction
    scaled = where(less(size, 3.0), exp(square(small)) * erfc(small), 1 / math.sqrt(math.pi) / fraction)
    return where(less(x, 0.0), 2.0 * exp(square(x)) - scaled, scaled)


erfcx.lower("torch", "torch.special.erfcx({x})")

# fmt: off
_NORMAL = (
    -59.96335010141079, 98.00107541859997, -56.67628574690703, 13.931260938727968, -1.2391658386738125,
)
_NORMAL_BELOW = (
    1.0, 1.9544885833814176, 4.676279128988815, 86.36024213908905, -225.46268785411937, 200.26021238006066,
    -82.03722561683334, 15.90562251262117, -1.1833162112133,
)
_TAIL = (
    4.0554489230596245, 31.525109459989388, 57.16281922464213, 44.08050738932008, 14.684956192885803,
    2.1866330685079025, -0.1402560791713545, -0.03504246268278482, -0.0008574567851546854,
)
_TAIL_BELOW = (
    1.0, 15.779988325646675, 45.39076351288792, 41.3172038254672, 15.04253856929075, 2.504649462083094,
    -0.14218292285478779, -0.03808064076915783, -0.0009332594808954574,
)
_FAR_TAIL = (
    3.2377489177694603, 6.915228890689842, 3.9388102529247444, 1.3330346081580755, 0.20148538954917908,
    0.012371663481782003, 0.00030158155350823543, 2.6580697468673755e-06, 6.239745391849833e-09,
)
_FAR_TAIL_BELOW = (
    1.0, 6.02427039364742, 3.6798356385616087, 1.3770209948908132, 0.21623699359449663, 0.013420400608854318,
    0.00032801446468212774, 2.8924786474538068e-06, 6.790194080099813e-09,
)
# fmt: on


@op(rule=floating_specs)
def ndtri(x: Array, /) -> Array:
    """The number below which a standard normal variable lies with probability x.

    Source: torch.special.ndtri; the coefficients are those of Moshier's Cephes library.
    """
    edge = math.exp(-2)
    p = where(greater(x, 1 - edge), 1.0 - x, x)
    central = where(greater(p, edge), p, 0.5) - 0.5
    z = square(central)
    middle = central + central * (z * polynomial(z, _NORMAL) / polynomial(z, _NORMAL_BELOW))
    tail = where(greater(p, 0.0), minimum(p, edge), edge)
    y = sqrt(-2.0 * log(tail))
    z = 1.0 / y
    near, far = (
        polynomial(z, _TAIL) / polynomial(z, _TAIL_BELOW),
        polynomial(z, _FAR_TAIL) / polynomial(z, _FAR_TAIL_BELOW),
    )
    outer = y - log(y) / y - z * where(less(y, 8.0), near, far)
    found = where(greater(p, edge), math.sqrt(2 * math.pi) * middle, where(greater(x, 0.5), outer, -outer))
    found = where(equal(x, 0.0), -math.inf, where(equal(x, 1.0), math.inf, found))
    return where(less(x, 0.0), math.nan, where(greater(x, 1.0), math.nan, found))


ndtri.lower("torch", "torch.special.ndtri({x})").lower("jax", "jax.scipy.special.ndtri({x})")
ndtri.lower("tensorflow", "tf.math.ndtri({x})")


@op(rule=floating_specs, primitive=True)
def zeta(x: Array, q: Array, /) -> Array:
    """Σ 1 / (k + q)ˣ over all k from 0 on, the zeta function of Hurwitz; no number for x < 1.

    Source: ``torch.special.zeta``.
    """


@op(rule=floating_specs, primitive=True)
def igamma(a: Array, x: Array, /) -> Array:
    """The regularized lower incomplete gamma function, ∫ tᵃ⁻¹ e⁻ᵗ dt / Γ(a) from 0 to x.

    Source: ``torch.special.gammainc``.
    """


@op(rule=floating_specs, primitive=True)
def igammac(a: Array, x: Array, /) -> Array:
    """The regularized upper incomplete gamma function, 1 - `igamma`, exact also where that is small.

    Source: ``torch.special.gammaincc``.
    """


lower_alike(
    zeta,
    numpy="support.zeta({x}, {q})",
    torch="torch.special.zeta({x}, {q})",
    jax="jax.scipy.special.zeta({x}, {q})",
    tensorflow="tf.math.zeta({x}, {q})",
)
for _op, _name in ((igamma, "gammainc"), (igammac, "gammaincc")):
    lower_alike(
        _op,
        numpy=f"support.{_op.name}({{a}}, {{x}})",
        torch=f"torch.special.{_name}({{a}}, {{x}})",
        jax=f"jax.scipy.special.{_name}({{a}}, {{x}})",
        tensorflow=f"support.{_op.name}({{a}}, {{x}})",
    )
