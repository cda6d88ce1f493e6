"""Layers as functions: embedding, normalisation, dropout."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ...errors import ShapeError
from ..op import Array, op
from ..spec import Spec, floating_specs, normalize_axis, same_as_first, spec_of
from .elementwise import equal, maximum, rsqrt, where
from .indexing import getitem, take
from .reduction import mean, var
from .shape import pad, reshape


@op(rule=same_as_first, primitive=True)
def stop_gradient(x: Array, /) -> Array:
    """x, as a constant to differentiation."""


stop_gradient.lower("torch", "{x}.detach()").lower("jax", "lax.stop_gradient({x})")
stop_gradient.lower("tensorflow", "tf.stop_gradient({x})").lower("numpy", "{x}")


@op(rule=same_as_first)
def dropout(x: Array, /, *, rate: float) -> Array:
    """x in evaluation; in training, each element is 0 with probability ``rate``, else x / (1 - rate).

    Called as a function it evaluates; exported code draws in training. Source: Srivastava et al. 2014, JMLR 15.
    """
    return x


def _embedding_spec(indices: Spec, weight: Spec, *, padding_idx: int | None = None) -> Spec:
    if weight.ndim != 2:
        raise ShapeError(f"expected a table (rows, features), received {weight}")
    return take.infer((weight, indices), {"axis": 0})


@op(rule=_embedding_spec, strict=True)
def embedding(indices: Array, weight: Array, /, *, padding_idx: int | None = None) -> Array:
    """Rows of a table.

    Args:
        indices: integers, any shape.
        weight: (rows, features).
        padding_idx: the row that receives no gradient.

    Source: torch.nn.functional.embedding.
    """
    rows = take(weight, indices, axis=0)
    if padding_idx is None:
        return rows
    size = spec_of(weight).shape[0]
    padded = equal(indices, padding_idx % size if isinstance(size, int) else padding_idx)
    padded = getitem(padded, key=(*((None, None, None),) * spec_of(indices).ndim, None))
    return where(padded, stop_gradient(rows), rows)


embedding.lower("torch", "F.embedding({indices}, {weight}, padding_idx={padding_idx})")
embedding.lower(("jax", "numpy"), "{weight}[{indices}]", when=lambda n: n.padding_idx is None)
embedding.lower("tensorflow", "tf.gather({weight}, {indices})", when=lambda n: n.padding_idx is None)


# -- normalisation ---------------------------------------------------------------------------------------------------


def _scaled(x: Array, weight: Array | None, bias: Array | None) -> Array:
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias


def _first_floating(x: Spec, *_: Any, **__: Any) -> Spec:
    return floating_specs(x)


@op(rule=_first_floating)
def layer_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    /,
    *,
    axis: tuple[int, ...] = (-1,),
    eps: float = 1e-5,
) -> Array:
    """(x - mean(x)) / √(var(x) + eps) · weight + bias, with mean and biased variance over the last axes.

    Args:
        x: (..., *features).
        weight: (*features,) or None.
        bias: (*features,) or None.
        axis: the axes of the features, which are the last.
        eps: added to the variance.

    Source: Ba et al. 2016, arXiv:1607.06450; torch.nn.functional.layer_norm.
    """
    centred = x - mean(x, axis=axis, keepdims=True)
    y = centred * rsqrt(mean(centred * centred, axis=axis, keepdims=True) + eps)
    return _scaled(y, weight, bias)


def _features(n: SimpleNamespace) -> Mapping[str, Any]:
    return {"features": tuple(n.x.shape[axis] for axis in n.axis)}


layer_norm.lower("torch", "F.layer_norm({x}, {features}, {weight}, {bias}, eps={eps:1e-05})", derive=_features)
layer_norm.lower(
    "numpy",
    "support.layer_norm({x}, {weight}, {bias}, eps={eps}, ndim={ndim:1})",
    when=lambda n: n.axis == tuple(range(-len(n.axis), 0)),
    derive=lambda n: {"ndim": len(n.axis)},
)


@op(rule=_first_floating)
def rms_norm(x: Array, weight: Array | None = None, /, *, axis: tuple[int, ...] = (-1,), eps: float = 1e-6) -> Array:
    """x / √(mean(x²) + eps) · weight, with the mean over the last axes.

    Source: Zhang & Sennrich 2019, arXiv:1910.07467; torch.nn.functional.rms_norm.
    """
    return _scaled(x * rsqrt(mean(x * x, axis=axis, keepdims=True) + eps), weight, None)


rms_norm.lower("torch", "F.rms_norm({x}, {features}, {weight}, eps={eps})", derive=_features)


def _along(weight: Array | None, axis: int, ndim: int) -> Array | None:
    """An array of one number a channel, shaped to stand beside x."""
    if weight is None or axis == ndim - 1:
        return weight
    return reshape(weight, shape=(*spec_of(weight).shape, *(1,) * (ndim - 1 - axis)))


def _group_norm_spec(x: Spec, *_: Any, num_groups: int, channel_axis: int = 1, **__: Any) -> Spec:
    channels = x.shape[normalize_axis(channel_axis, x.ndim)]
    if isinstance(channels, int) and channels % num_groups:
        raise ShapeError(f"expected channels in {num_groups} equal groups, received {channels}")
    return floating_specs(x)


@op(rule=_group_norm_spec, strict=True)
def group_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    /,
    *,
    num_groups: int,
    eps: float = 1e-5,
    channel_axis: int = 1,
) -> Array:
    """Normalisation over each group of channels and all positions of an example.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        weight: (channels,) or None.
        bias: (channels,) or None.
        num_groups: how many groups the channels make.
        eps: added to the variance.
        channel_axis: where the channels are.

    Source: Wu & He 2018, arXiv:1803.08494; torch.nn.functional.group_norm.
    """
    spec = spec_of(x)
    axis = normalize_axis(channel_axis, spec.ndim)
    size = spec.shape[axis] // num_groups
    grouped = reshape(x, shape=(*spec.shape[:axis], num_groups, size, *spec.shape[axis + 1 :]))
    axes = tuple(i for i in range(1, spec.ndim + 1) if i != axis)
    y = reshape(layer_norm.function(grouped, axis=axes, eps=eps), shape=spec.shape)
    return _scaled(y, _along(weight, axis, spec.ndim), _along(bias, axis, spec.ndim))


group_norm.lower(
    "torch",
    "F.group_norm({x}, {num_groups}, {weight}, {bias}, eps={eps:1e-05})",
    when=lambda n: n.channel_axis in (1, 1 - n.x.ndim),
)


group_norm.lower(
    "numpy",
    "support.group_norm({x}, {weight}, {bias}, num_groups={num_groups}, eps={eps})",
    when=lambda n: n.channel_axis in (1, 1 - n.x.ndim),
)


@op(rule=_first_floating)
def batch_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    /,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
) -> Array:
    """(x - mean) / √(var + eps) · weight + bias for each channel.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        running_mean: (channels,), or None for the mean of the batch.
        running_var: (channels,), or None for the biased variance of the batch.
        weight: (channels,) or None.
        bias: (channels,) or None.
        eps: added to the variance.
        channel_axis: where the channels are.

    Source: Ioffe & Szegedy 2015, arXiv:1502.03167; torch.nn.functional.batch_norm.
    """
    spec = spec_of(x)
    axis = normalize_axis(channel_axis, spec.ndim)
    others = tuple(i for i in range(spec.ndim) if i != axis)
    centre = mean(x, axis=others) if running_mean is None else running_mean
    spread = var(x, axis=others) if running_var is None else running_var
    scale = rsqrt(spread + eps)
    scale = scale if weight is None else scale * weight
    shift = -centre * scale if bias is None else bias - centre * scale
    return x * _along(scale, axis, spec.ndim) + _along(shift, axis, spec.ndim)


batch_norm.lower(
    "torch",
    "F.batch_norm({x}, None, None, {weight}, {bias}, training=True, eps={eps:1e-05})",
    when=lambda n: n.channel_axis in (1, 1 - n.x.ndim) and n.running_mean is None and n.running_var is None,
)
batch_norm.lower(
    "torch",
    "F.batch_norm({x}, {running_mean}, {running_var}, {weight}, {bias}, eps={eps:1e-05})",
    when=lambda n: n.channel_axis in (1, 1 - n.x.ndim) and n.running_mean is not None and n.running_var is not None,
)
batch_norm.lower(
    "tensorflow",
    "tf.nn.batch_normalization({x}, {running_mean}, {running_var}, {bias}, {weight}, {eps})",
    when=lambda n: n.channel_axis in (-1, n.x.ndim - 1) and n.running_mean is not None and n.running_var is not None,
)
batch_norm.lower(
    "numpy",
    "support.batch_norm({x}, {running_mean}, {running_var}, {weight}, {bias}, eps={eps})",
    when=lambda n: n.channel_axis in (1, 1 - n.x.ndim) and n.running_mean is not None and n.running_var is not None,
)


def _statistics_spec(x: Spec, running_mean: Spec, running_var: Spec, *_: Any, **__: Any) -> tuple[Spec, Spec, Spec]:
    return floating_specs(x), running_mean, running_var


@op(rule=_statistics_spec)
def batch_norm_training(
    x: Array,
    running_mean: Array,
    running_var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    /,
    *,
    momentum: float = 0.1,
    eps: float = 1e-5,
    unbiased: bool = True,
    channel_axis: int = 1,
) -> tuple[Array, Array, Array]:
    """`batch_norm` with the statistics of the batch, and the running ones moved towards those.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        running_mean: (channels,).
        running_var: (channels,).
        weight: (channels,) or None.
        bias: (channels,) or None.
        momentum: the share of the new in the running statistics, 1 less that of Keras and Flax.
        eps: added to the variance.
        unbiased: whether the running variance is moved towards the unbiased one, as in PyTorch, or the biased one, as
            in Keras and Flax. x is always divided by the biased one.
        channel_axis: where the channels are.

    Returns:
        The result, the new running mean and the new running variance, which have no gradients.

    Source: torch.nn.functional.batch_norm with ``training``.
    """
    spec = spec_of(x)
    axis = normalize_axis(channel_axis, spec.ndim)
    others = tuple(i for i in range(spec.ndim) if i != axis)
    y = batch_norm(x, None, None, weight, bias, eps=eps, channel_axis=channel_axis)
    fixed = stop_gradient(x)
    centre, spread = mean(fixed, axis=others), var(fixed, axis=others, correction=1 if unbiased else 0)
    keep = 1 - momentum
    return (
        y,
        stop_gradient(running_mean) * keep + centre * momentum,
        (stop_gradient(running_var) * keep + spread * momentum),
    )


@op(rule=_first_floating)
def instance_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, /, *, eps: float = 1e-5, channel_axis: int = 1
) -> Array:
    """Normalisation over the positions of each channel of an example.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        weight: (channels,) or None.
        bias: (channels,) or None.
        eps: added to the variance.
        channel_axis: where the channels are.

    Source: Ulyanov et al. 2016, arXiv:1607.08022; torch.nn.functional.instance_norm.
    """
    ndim = spec_of(x).ndim
    axis = normalize_axis(channel_axis, ndim)
    y = layer_norm.function(x, axis=tuple(i for i in range(1, ndim) if i != axis), eps=eps)
    return _scaled(y, _along(weight, axis, ndim), _along(bias, axis, ndim))


instance_norm.lower(
    "torch",
    "F.instance_norm({x}, weight={weight}, bias={bias}, eps={eps:1e-05})",
    when=lambda n: n.channel_axis in (1, 1 - n.x.ndim),
)


@op(rule=_first_floating)
def local_response_norm(
    x: Array, /, *, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, channel_axis: int = 1
) -> Array:
    """x / (k + alpha / size · Σ x²)^beta, with the sum over ``size`` neighbouring channels.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        size: how many channels are added; size // 2 before each and the rest from it on.
        alpha: the weight of the sum's mean.
        beta: the power.
        k: added to it.
        channel_axis: where the channels are.

    Source: Krizhevsky et al. 2012; torch.nn.functional.local_response_norm.
    """
    ndim = spec_of(x).ndim
    axis = normalize_axis(channel_axis, ndim)
    channels = spec_of(x).shape[axis]
    padding = [(0, 0)] * ndim
    padding[axis] = (size // 2, (size - 1) // 2)
    squares = pad(x * x, padding=tuple(padding))
    lead = ((None, None, None),) * axis
    total: Any = None
    for offset in range(size):
        part = getitem(squares, key=(*lead, (offset, offset + channels, None)))
        total = part if total is None else total + part
    return x / (total * (alpha / size) + k) ** beta


local_response_norm.lower(
    "torch",
    "F.local_response_norm({x}, {size}, alpha={alpha:0.0001}, beta={beta:0.75}, k={k:1.0})",
    when=lambda n: n.x.ndim > 2 and n.channel_axis in (1, 1 - n.x.ndim),
)
local_response_norm.lower(
    "tensorflow",
    "tf.nn.local_response_normalization({x}, {radius}, {k}, {share}, {beta})",
    when=lambda n: n.x.ndim == 4 and n.size % 2 == 1 and n.channel_axis in (-1, 3),
    derive=lambda n: {"radius": n.size // 2, "share": n.alpha / n.size},
)


@op(rule=_first_floating)
def normalize(x: Array, /, *, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Array:
    """x / max(‖x‖, eps), with the p-norm along an axis. Source: torch.nn.functional.normalize."""
    from .matrices import vector_norm

    return x / maximum(vector_norm(x, axis=axis, keepdims=True, ord=float(p)), eps)


normalize.lower("torch", "F.normalize({x}, p={p:2.0}, dim={axis:1}, eps={eps:1e-12})")
