"""Trigonometric and hyperbolic functions (Array API Standard 2025.12, "Element-wise functions"), in radians."""

from __future__ import annotations

from ..op import Array, op
from ..spec import floating_specs
from ._rows import lower_alike


@op(rule=floating_specs, primitive=True)
def sin(x: Array, /) -> Array:
    """The sine of an angle in radians."""


lower_alike(sin)


@op(rule=floating_specs, primitive=True)
def cos(x: Array, /) -> Array:
    """The cosine of an angle in radians."""


lower_alike(cos)


@op(rule=floating_specs, primitive=True)
def tan(x: Array, /) -> Array:
    """The tangent of an angle in radians."""


lower_alike(tan)


@op(rule=floating_specs, primitive=True)
def sinh(x: Array, /) -> Array:
    """The hyperbolic sine."""


lower_alike(sinh)


@op(rule=floating_specs, primitive=True)
def cosh(x: Array, /) -> Array:
    """The hyperbolic cosine."""


lower_alike(cosh)


@op(rule=floating_specs, primitive=True)
def tanh(x: Array, /) -> Array:
    """The hyperbolic tangent."""


lower_alike(tanh)


@op(rule=floating_specs, primitive=True)
def asin(x: Array, /) -> Array:
    """The inverse sine."""


lower_alike(asin, numpy="np.arcsin({x})", jax="jnp.arcsin({x})")


@op(rule=floating_specs, primitive=True)
def acos(x: Array, /) -> Array:
    """The inverse cosine."""


lower_alike(acos, numpy="np.arccos({x})", jax="jnp.arccos({x})")


@op(rule=floating_specs, primitive=True)
def atan(x: Array, /) -> Array:
    """The inverse tangent."""


lower_alike(atan, numpy="np.arctan({x})", jax="jnp.arctan({x})")


@op(rule=floating_specs, primitive=True)
def asinh(x: Array, /) -> Array:
    """The inverse hyperbolic sine."""


lower_alike(asinh, numpy="np.arcsinh({x})", jax="jnp.arcsinh({x})")


@op(rule=floating_specs, primitive=True)
def acosh(x: Array, /) -> Array:
    """The inverse hyperbolic cosine."""


lower_alike(acosh, numpy="np.arccosh({x})", jax="jnp.arccosh({x})")


@op(rule=floating_specs, primitive=True)
def atanh(x: Array, /) -> Array:
    """The inverse hyperbolic tangent."""


lower_alike(atanh, numpy="np.arctanh({x})", jax="jnp.arctanh({x})")


@op(rule=floating_specs, primitive=True)
def atan2(x1: Array, x2: Array, /) -> Array:
    """The angle of the point (x2, x1) with the first axis, in radians."""


lower_alike(
    atan2, numpy="np.arctan2({x1}, {x2})", jax="jnp.arctan2({x1}, {x2})", tensorflow="tf.math.atan2({x1}, {x2})"
)
