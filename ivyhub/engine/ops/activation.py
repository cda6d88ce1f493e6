"""Activation functions of neural networks."""

from __future__ import annotations

from ..op import Array, op
from ..spec import floating_specs, same_as_first
from .elementwise import abs, clip, erf, exp, expm1, log1p, maximum, tanh, where
from .reduction import logsumexp, max, sum

_ROOT_HALF = 0.7071067811865476  # √½
_ROOT_2_OVER_PI = 0.7978845608028654  # √(2/π)


@op(rule=same_as_first)
def relu(x: Array, /) -> Array:
    """max(x, 0)."""
    return maximum(x, 0)


relu.lower("torch", "F.relu({x})").lower("jax", "jax.nn.relu({x})").lower("tensorflow", "tf.nn.relu({x})")


@op(rule=same_as_first)
def relu6(x: Array, /) -> Array:
    """min(max(x, 0), 6). Source: Howard et al. 2017, arXiv:1704.04861."""
    return clip(x, min=0, max=6)


relu6.lower("torch", "F.relu6({x})").lower("jax", "jax.nn.relu6({x})").lower("tensorflow", "tf.nn.relu6({x})")


@op(rule=floating_specs)
def sigmoid(x: Array, /) -> Array:
    """1 / (1 + exp(-x))."""
    return 0.5 * tanh(0.5 * x) + 0.5  # no overflow on either side


sigmoid.lower("torch", "torch.sigmoid({x})").lower("numpy", "support.sigmoid({x})")
sigmoid.lower("jax", "jax.nn.sigmoid({x})").lower("tensorflow", "tf.sigmoid({x})")


@op(rule=floating_specs)
def log_sigmoid(x: Array, /) -> Array:
    """log(sigmoid(x)), without underflow."""
    return -softplus(-x)


log_sigmoid.lower("torch", "F.logsigmoid({x})")
log_sigmoid.lower("jax", "jax.nn.log_sigmoid({x})").lower("tensorflow", "tf.math.log_sigmoid({x})")


@op(rule=floating_specs)
def softplus(x: Array, /) -> Array:
    """log(1 + exp(x)), without overflow."""
    return maximum(x, 0) + log1p(exp(-abs(x)))


softplus.lower("torch", "F.softplus({x})").lower("jax", "jax.nn.softplus({x})")
softplus.lower("tensorflow", "tf.nn.softplus({x})").lower("numpy", "np.logaddexp({x}, 0)")


@op(rule=floating_specs)
def silu(x: Array, /) -> Array:
    """x · sigmoid(x), also called swish. Source: Ramachandran et al. 2017, arXiv:1710.05941."""
    return x * sigmoid(x)


silu.lower("torch", "F.silu({x})").lower("jax", "jax.nn.silu({x})").lower("tensorflow", "tf.nn.silu({x})")


@op(rule=floating_specs)
def mish(x: Array, /) -> Array:
    """x · tanh(softplus(x)). Source: Misra 2019, arXiv:1908.08681."""
    return x * tanh(softplus(x))


mish.lower("torch", "F.mish({x})")
mish.lower("jax", "jax.nn.mish({x})", since="0.4.32")


@op(rule=floating_specs)
def gelu(x: Array, /, *, approximate: bool = False) -> Array:
    """x · Φ(x), with Φ the distribution function of the normal distribution.

    ``approximate`` takes 0.5 · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) for Φ.

    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415.
    """
    if approximate:
        return 0.5 * x * (1 + tanh(_ROOT_2_OVER_PI * (x + 0.044715 * (x * x * x))))
    return 0.5 * x * (1 + erf(x * _ROOT_HALF))


gelu.lower("torch", 'F.gelu({x}, approximate="tanh")', when=lambda n: n.approximate).lower("torch", "F.gelu({x})")
gelu.lower("jax", "jax.nn.gelu({x}, approximate={approximate:True})")
gelu.lower("tensorflow", "tf.nn.gelu({x}, approximate={approximate:False})")
gelu.lower("numpy", "support.gelu({x}, approximate={approximate:False})")


@op(rule=floating_specs)
def elu(x: Array, /, *, alpha: float = 1.0) -> Array:
    """x above zero, alpha · (exp(x) - 1) below. Source: Clevert et al. 2015, arXiv:1511.07289."""
    return where(x > 0, x, alpha * expm1(_below_zero(x)))


elu.lower("torch", "F.elu({x}, alpha={alpha:1.0})").lower("jax", "jax.nn.elu({x}, alpha={alpha:1.0})")
elu.lower("tensorflow", "tf.nn.elu({x})", when=lambda n: n.alpha == 1)


@op(rule=floating_specs)
def selu(x: Array, /) -> Array:
    """scale · elu(x, alpha), with the constants that keep mean and variance.

    Source: Klambauer et al. 2017, arXiv:1706.02515.
    """
    return 1.0507009873554805 * elu(x, alpha=1.6732632423543772)


selu.lower("torch", "F.selu({x})").lower("jax", "jax.nn.selu({x})").lower("tensorflow", "tf.nn.selu({x})")


@op(rule=floating_specs)
def celu(x: Array, /, *, alpha: float = 1.0) -> Array:
    """x above zero, alpha · (exp(x / alpha) - 1) below. Source: Barron 2017, arXiv:1704.07483."""
    return where(x > 0, x, alpha * expm1(_below_zero(x) / alpha))


celu.lower("torch", "F.celu({x}, alpha={alpha:1.0})").lower("jax", "jax.nn.celu({x}, alpha={alpha:1.0})")


@op(rule=floating_specs)
def leaky_relu(x: Array, /, *, negative_slope: float = 0.01) -> Array:
    """x above zero, negative_slope · x below. Source: Maas et al. 2013."""
    return where(x > 0, x, negative_slope * x)


leaky_relu.lower("torch", "F.leaky_relu({x}, negative_slope={negative_slope:0.01})")
leaky_relu.lower("jax", "jax.nn.leaky_relu({x}, negative_slope={negative_slope:0.01})")
leaky_relu.lower("tensorflow", "tf.nn.leaky_relu({x}, alpha={negative_slope:0.2})")


@op(rule=floating_specs)
def hardtanh(x: Array, /, *, min: float = -1.0, max: float = 1.0) -> Array:
    """x within [min, max]. Source: torch.nn.Hardtanh."""
    return clip(x, min=min, max=max)


hardtanh.lower("torch", "F.hardtanh({x}, {min:-1.0}, {max:1.0})")
hardtanh.lower("jax", "jax.nn.hard_tanh({x})", when=lambda n: (n.min, n.max) == (-1, 1))


@op(rule=floating_specs)
def hardsigmoid(x: Array, /) -> Array:
    """min(max(x + 3, 0), 6) / 6. Source: Howard et al. 2019, arXiv:1905.02244."""
    return relu6(x + 3.0) / 6.0


hardsigmoid.lower("torch", "F.hardsigmoid({x})").lower("jax", "jax.nn.hard_sigmoid({x})")


@op(rule=floating_specs)
def hardswish(x: Array, /) -> Array:
    """x · hardsigmoid(x). Source: Howard et al. 2019, arXiv:1905.02244."""
    return x * hardsigmoid(x)


hardswish.lower("torch", "F.hardswish({x})").lower("jax", "jax.nn.hard_swish({x})")


@op(rule=floating_specs)
def softsign(x: Array, /) -> Array:
    """x / (1 + |x|)."""
    return x / (1 + abs(x))


softsign.lower("torch", "F.softsign({x})")
softsign.lower("jax", "jax.nn.soft_sign({x})").lower("tensorflow", "tf.nn.softsign({x})")


@op(rule=floating_specs)
def softmax(x: Array, /, *, axis: int = -1) -> Array:
    """exp(x) / Σ exp(x) over an axis."""
    y = exp(x - max(x, axis=axis, keepdims=True))
    return y / sum(y, axis=axis, keepdims=True)


softmax.lower("torch", "F.softmax({x}, dim={axis})")
softmax.lower("jax", "jax.nn.softmax({x}, axis={axis:-1})")
softmax.lower("tensorflow", "tf.nn.softmax({x}, axis={axis:-1})")
softmax.lower("numpy", "support.softmax({x}, axis={axis:-1})")


@op(rule=floating_specs)
def log_softmax(x: Array, /, *, axis: int = -1) -> Array:
    """x - log Σ exp(x) over an axis."""
    return x - logsumexp(x, axis=axis, keepdims=True)


log_softmax.lower("torch", "F.log_softmax({x}, dim={axis})")
log_softmax.lower("jax", "jax.nn.log_softmax({x}, axis={axis:-1})")
log_softmax.lower("tensorflow", "tf.nn.log_softmax({x}, axis={axis:-1})")


def _below_zero(x: Array) -> Array:
    """x where it is negative, else 0, so that an exponential which is not chosen cannot overflow."""
    return clip(x, max=0)
