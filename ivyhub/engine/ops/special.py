"""The gamma function and its derivatives, and the complement of the error function."""

from __future__ import annotations

from ...errors import EngineError
from ..op import Array, op
from ..spec import Spec, floating_specs
from ._rows import lower_alike


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


@op(rule=_polygamma_spec, primitive=True)
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
