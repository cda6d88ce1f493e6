"""Layers as functions: embedding, normalisation, dropout."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ...errors import ShapeError
from ..op import Array, op
from ..spec import Spec, floating_specs, normalize_axis, same_as_first, spec_of
from .elementwise import equal, rsqrt, where
from .indexing import getitem, take
from .reduction import mean, var
from .shape import reshape


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


@op(rule=_embedding_spec)
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


@op(rule=_group_norm_spec)
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
    "F.batch_norm({x}, {running_mean}, {running_var}, {weight}, {bias}, training={fresh:False}, eps={eps:1e-05})",
    when=lambda n: n.channel_axis in (1, 1 - n.x.ndim) and (n.running_mean is None) == (n.running_var is None),
    derive=lambda n: {"fresh": n.running_mean is None},
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
