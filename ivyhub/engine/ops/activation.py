"""Activation functions of neural networks."""

from __future__ import annotations

import math
from types import SimpleNamespace

from ...errors import ShapeError
from ..dims import Size, product
from ..op import Array, op
from ..spec import Spec, floating_specs, normalize_axes, normalize_axis, same_as_first, spec_of
from .creation import arange, created, scalar
from .elementwise import abs, astype, clip, erf, exp, expm1, log, log1p, maximum, rsqrt, sqrt, square, where
from .indexing import sort
from .reduction import cumulative_sum, logsumexp, max, mean, sum
from .shape import reshape, split
from .trigonometry import tanh

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
def softplus(x: Array, /, *, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + exp(beta · x)) / beta, without overflow.

    Where beta · x is above the threshold it is x; from 20 on the two differ by less than 2.1e-9 / beta, and what is
    computed is the framework's choice.

    Source: torch.nn.functional.softplus; the others have beta = 1 and no threshold.
    """
    scaled = x if beta == 1 else x * float(beta)
    y = maximum(scaled, 0) + log1p(exp(-abs(scaled)))
    y = y if beta == 1 else y / float(beta)
    return y if threshold >= 20 else where(scaled > threshold, x, y)


def _smooth(n: SimpleNamespace) -> bool:
    return n.beta == 1 and n.threshold >= 20


softplus.lower("torch", "F.softplus({x}, beta={beta:1.0}, threshold={threshold:20.0})")
softplus.lower("jax", "jax.nn.softplus({x})", when=_smooth)
softplus.lower("tensorflow", "tf.nn.softplus({x})", when=_smooth).lower("numpy", "np.logaddexp({x}, 0)", when=_smooth)


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
gelu.lower("tensorflow", "tf.nn.gelu({x}, approximate=True)", when=lambda n: n.approximate)
gelu.lower("tensorflow", "support.gelu({x})")
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


@op(rule=floating_specs)
def softmin(x: Array, /, *, axis: int = -1) -> Array:
    """exp(-x) / Σ exp(-x) over an axis. Source: torch.nn.functional.softmin."""
    return softmax(-x, axis=axis)


softmin.lower("torch", "F.softmin({x}, dim={axis})")


@op(rule=floating_specs)
def sparsemax(x: Array, /, *, axis: int = -1) -> Array:
    """The point of the probability simplex that is nearest to x: a softmax whose small entries are 0.

    Source: Martins & Astudillo 2016, arXiv:1602.02068.
    """
    from .nn import stop_gradient

    spec = spec_of(x)
    axis = normalize_axis(axis, spec.ndim)
    fixed = stop_gradient(x)
    fixed = fixed - max(fixed, axis=axis, keepdims=True)
    ordered = sort(fixed, axis=axis, descending=True)
    size = spec.shape[axis]
    ranks = created(arange, x, start=1, stop=size + 1, dtype="int32")
    ranks = astype(reshape(ranks, shape=(size, *(1,) * (spec.ndim - axis - 1))), dtype=spec.dtype)
    total = cumulative_sum(ordered, axis=axis)
    kept = 1 + ranks * ordered > total
    lowest = -max(where(kept, -ordered, -float("inf")), axis=axis, keepdims=True)
    chosen = fixed >= lowest
    count = sum(astype(chosen, dtype=spec.dtype), axis=axis, keepdims=True)
    shift = (sum(where(chosen, x, 0), axis=axis, keepdims=True) - 1) / count
    return where(chosen, x - shift, 0)


# -- of one number ---------------------------------------------------------------------------------------------------


@op(rule=floating_specs)
def threshold(x: Array, /, *, threshold: float, value: float) -> Array:
    """x where it is above the threshold, else a value. Source: torch.nn.functional.threshold."""
    return where(x > threshold, x, float(value))


threshold.lower("torch", "F.threshold({x}, {threshold}, {value})")


@op(rule=floating_specs)
def hardshrink(x: Array, /, *, threshold: float = 0.5) -> Array:
    """x where |x| is above the threshold, else 0. Source: torch.nn.functional.hardshrink."""
    return where(abs(x) > threshold, x, 0.0)


hardshrink.lower("torch", "F.hardshrink({x}, {threshold:0.5})")


@op(rule=floating_specs)
def softshrink(x: Array, /, *, threshold: float = 0.5) -> Array:
    """x moved towards 0 by the threshold, and 0 where it is nearer. Source: torch.nn.functional.softshrink."""
    return maximum(x - threshold, 0) - maximum(-x - threshold, 0)


softshrink.lower("torch", "F.softshrink({x}, {threshold:0.5})")


@op(rule=floating_specs)
def tanhshrink(x: Array, /) -> Array:
    """x - tanh(x). Source: torch.nn.functional.tanhshrink."""
    return x - tanh(x)


tanhshrink.lower("torch", "F.tanhshrink({x})")


@op(rule=floating_specs)
def rrelu(x: Array, /, *, lower: float = 1 / 8, upper: float = 1 / 3) -> Array:
    """x above zero, (lower + upper) / 2 · x below: the randomised leaky unit as it evaluates.

    Source: Xu et al. 2015, arXiv:1505.00853; torch.nn.functional.rrelu.
    """
    return leaky_relu(x, negative_slope=(lower + upper) / 2)


rrelu.lower("torch", "F.rrelu({x}, {lower}, {upper})")


@op(rule=floating_specs)
def squareplus(x: Array, /, *, b: float = 4.0) -> Array:
    """(x + √(x² + b)) / 2. Source: Barron 2021, arXiv:2112.11687; jax.nn.squareplus."""
    return 0.5 * (x + sqrt(square(x) + b))


squareplus.lower("jax", "jax.nn.squareplus({x}, {b:4})")


@op(rule=floating_specs)
def sparse_plus(x: Array, /) -> Array:
    """0 below -1, (x + 1)² / 4 up to 1, x above: softplus with a true zero. Source: jax.nn.sparse_plus."""
    return where(x >= 1, x, 0.25 * square(clip(x, min=-1, max=1) + 1))


sparse_plus.lower("jax", "jax.nn.sparse_plus({x})", since="0.5")


@op(rule=floating_specs)
def sparse_sigmoid(x: Array, /) -> Array:
    """0 below -1, (x + 1) / 2 up to 1, 1 above: the derivative of `sparse_plus`. Source: jax.nn.sparse_sigmoid."""
    return 0.5 * clip(x + 1.0, min=0, max=2)


sparse_sigmoid.lower("jax", "jax.nn.sparse_sigmoid({x})", since="0.5")


@op(rule=floating_specs)
def log1mexp(x: Array, /) -> Array:
    """log(1 - exp(-x)) for x above 0, without the loss of digits. Source: Mächler 2012; jax.nn.log1mexp."""
    small = x < math.log(2)
    return where(small, log(-expm1(-where(small, x, 1.0))), log1p(-exp(-where(small, 1.0, x))))


@op
def logmeanexp(x: Array, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Array:
    """log(mean(exp(x))) over axes, without overflow. Source: jax.nn.logmeanexp."""
    found = logsumexp(x, axis=axis, keepdims=keepdims)
    count = spec_of(x).shape if axis is None else [spec_of(x).shape[i] for i in normalize_axes(axis, spec_of(x).ndim)]
    return found - log(scalar(product(count), spec_of(x).dtype, x))


# -- of several ------------------------------------------------------------------------------------------------------


def _prelu_spec(x: Spec, weight: Spec, *, channel_axis: int = 1) -> Spec:
    if weight.shape not in ((), (1,)) and weight.shape != (_channels(x, channel_axis),):
        raise ShapeError(f"expected one slope, or one for each channel of {x}, received {weight}")
    return floating_specs(x)


def _channels(x: Spec, channel_axis: int) -> Size | None:
    """How many channels there are; None for a vector, which has none."""
    return x.shape[normalize_axis(channel_axis, x.ndim)] if x.ndim > 1 else None


@op(rule=_prelu_spec, promotes=("x", "weight"), strict=True)
def prelu(x: Array, weight: Array, /, *, channel_axis: int = 1) -> Array:
    """x above zero, weight · x below.

    Args:
        x: any shape with channels on ``channel_axis``.
        weight: (channels,), or one slope for all: (1,) or ().
        channel_axis: where the channels are.

    Source: He et al. 2015, arXiv:1502.01852; torch.nn.functional.prelu.
    """
    ndim, slopes = spec_of(x).ndim, spec_of(weight).shape
    if slopes not in ((), (1,)):
        weight = reshape(weight, shape=(*slopes, *(1,) * (ndim - 1 - normalize_axis(channel_axis, ndim))))
    return where(x > 0, x, weight * x)


prelu.lower("torch", "F.prelu({x}, {weight})", when=lambda n: n.x.ndim < 2 or n.channel_axis in (1, 1 - n.x.ndim))


def _glu_spec(x: Spec, *, axis: int = -1) -> Spec:
    axis = normalize_axis(axis, x.ndim)
    size = x.shape[axis]
    if isinstance(size, int) and size % 2:
        raise ShapeError(f"expected an even size on axis {axis}, received {x}")
    return floating_specs(x).with_shape(*x.shape[:axis], size // 2, *x.shape[axis + 1 :])


@op(rule=_glu_spec)
def glu(x: Array, /, *, axis: int = -1) -> Array:
    """a · sigmoid(b), with a and b the halves of x along an axis.

    Source: Dauphin et al. 2016, arXiv:1612.08083; torch.nn.functional.glu, jax.nn.glu.
    """
    half = spec_of(x).shape[axis] // 2
    first, second = split(x, sizes=(half, half), axis=axis)
    return first * sigmoid(second)


glu.lower("torch", "F.glu({x}, dim={axis:-1})").lower("jax", "jax.nn.glu({x}, axis={axis:-1})")


@op(rule=floating_specs)
def standardize(x: Array, /, *, axis: int | tuple[int, ...] = -1, eps: float = 1e-5) -> Array:
    """(x - mean(x)) / √(var(x) + eps), with the biased variance. Source: jax.nn.standardize."""
    centred = x - mean(x, axis=axis, keepdims=True)
    return centred * rsqrt(mean(square(centred), axis=axis, keepdims=True) + eps)


standardize.lower("jax", "jax.nn.standardize({x}, axis={axis:-1}, epsilon={eps:1e-05})")


def _below_zero(x: Array) -> Array:
    """x where it is negative, else 0, so that an exponential which is not chosen cannot overflow."""
    return clip(x, max=0)
