"""Losses that ask for a margin, and the distances that they measure. Conventions are those of `losses`."""

from __future__ import annotations

from typing import Any

from ...errors import ShapeError
from ..backends import is_integer
from ..op import Array, op
from ..spec import Spec, broadcast_shapes, spec_of
from .activation import log_sigmoid, softplus
from .creation import arange, created
from .elementwise import abs, astype, equal, logical_not, maximum, minimum, sqrt, square, where
from .indexing import getitem, take, take_along_axis
from .losses import lower_torch, reduced
from .nn import stop_gradient
from .reduction import any, cumulative_sum, max, mean, sum
from .shape import broadcast_to

_PAIR = ("x", "target")
_FULL = (None, None, None)


# -- distances -------------------------------------------------------------------------------------------------------


@op(promotes=("x1", "x2"))
def cosine_similarity(x1: Array, x2: Array, /, *, axis: int = 1, eps: float = 1e-8) -> Array:
    """x1 · x2 / (‖x1‖ ‖x2‖) along an axis of the broadcast operands.

    Norms are at least eps; the gradient is that of the norms as they are.

    Source: torch.nn.functional.cosine_similarity.
    """
    shape = broadcast_shapes(spec_of(x1).shape, spec_of(x2).shape)
    x1, x2 = broadcast_to(x1, shape=shape), broadcast_to(x2, shape=shape)

    def unit(x: Array) -> Array:
        squares = sum(square(x), axis=axis, keepdims=True)
        positive = squares > 0  # the root of 0 has no derivative
        norm = where(positive, sqrt(where(positive, squares, 1.0)), 0.0)
        return x / (norm + stop_gradient(maximum(norm, eps) - norm))

    return sum(unit(x1) * unit(x2), axis=axis)


cosine_similarity.lower("torch", "F.cosine_similarity({x1}, {x2}, dim={axis:1}, eps={eps:1e-08})")


@op(promotes=("x1", "x2"))
def pairwise_distance(x1: Array, x2: Array, /, *, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False) -> Array:
    """‖x1 - x2 + eps‖ along the last axis, with the p-norm. Source: torch.nn.functional.pairwise_distance."""
    size = abs(x1 - x2 + eps)
    if p == float("inf"):
        return max(size, axis=-1, keepdims=keepdims)
    if p == 1:
        return sum(size, axis=-1, keepdims=keepdims)
    if p == 2:
        return sqrt(sum(square(size), axis=-1, keepdims=keepdims))
    return sum(size ** float(p), axis=-1, keepdims=keepdims) ** (1 / p)


pairwise_distance.lower(
    "torch", "F.pairwise_distance({x1}, {x2}, p={p:2.0}, eps={eps:1e-06}, keepdim={keepdims:False})"
)


# -- of signs --------------------------------------------------------------------------------------------------------


@op(promotes=_PAIR)
def hinge_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """max(0, 1 - target · x), with targets of -1 and 1. Source: keras.losses.hinge, optax.losses.hinge_loss."""
    return reduced(maximum(1 - target * x, 0), reduction)


@op(promotes=_PAIR)
def squared_hinge_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """max(0, 1 - target · x)², with targets of -1 and 1. Source: keras.losses.squared_hinge."""
    return reduced(square(maximum(1 - target * x, 0)), reduction)


@op(promotes=_PAIR)
def categorical_hinge_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """max(0, 1 + max((1 - target) · x) - Σ target · x) over the last axis, with one-hot targets.

    Source: keras.losses.categorical_hinge.
    """
    right, wrong = sum(target * x, axis=-1), max((1 - target) * x, axis=-1)
    return reduced(maximum(1 + wrong - right, 0), reduction)


@op(promotes=_PAIR)
def soft_margin_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """log(1 + exp(-target · x)), with targets of -1 and 1. Source: torch.nn.functional.soft_margin_loss."""
    return reduced(softplus(-target * x), reduction)


@op(promotes=_PAIR)
def hinge_embedding_loss(x: Array, target: Array, /, *, margin: float = 1.0, reduction: str = "mean") -> Array:
    """x where the target is 1, max(0, margin - x) where it is -1. Source: torch.nn.functional.hinge_embedding_loss."""
    return reduced(where(equal(target, 1), x, maximum(margin - x, 0)), reduction)


lower_torch(soft_margin_loss)
lower_torch(hinge_embedding_loss, margin="margin:1.0")


# -- of pairs and triplets -------------------------------------------------------------------------------------------


@op(promotes=("x1", "x2", "target"))
def margin_ranking_loss(
    x1: Array, x2: Array, target: Array, /, *, margin: float = 0.0, reduction: str = "mean"
) -> Array:
    """max(0, margin - target · (x1 - x2)): a target of 1 ranks x1 higher, one of -1 lower.

    Source: torch.nn.functional.margin_ranking_loss.
    """
    return reduced(maximum(margin - target * (x1 - x2), 0), reduction)


lower_torch(margin_ranking_loss, margin="margin:0.0")


@op(promotes=("x1", "x2"))
def cosine_embedding_loss(
    x1: Array, x2: Array, target: Array, /, *, margin: float = 0.0, reduction: str = "mean"
) -> Array:
    """1 - cos(x1, x2) where the target is 1, max(0, cos(x1, x2) - margin) where it is -1.

    Args:
        x1: (batch, features) or (features,).
        x2: of that shape.
        target: (batch,) or ().
        margin: between -1 and 1.
        reduction: "none", "mean" or "sum".

    Source: torch.nn.functional.cosine_embedding_loss.
    """
    product, tiny = sum(x1 * x2, axis=-1), 1e-12  # as there: added to the squares
    cosine = product / sqrt((sum(square(x1), axis=-1) + tiny) * (sum(square(x2), axis=-1) + tiny))
    return reduced(where(equal(target, 1), 1 - cosine, maximum(cosine - margin, 0)), reduction)


lower_torch(cosine_embedding_loss, margin="margin:0.0")


@op(promotes=("anchor", "positive", "negative"))
def triplet_margin_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    /,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), with d the `pairwise_distance`.

    Args:
        anchor: (..., features).
        positive: of that shape.
        negative: of that shape.
        margin: how much farther the negative is to be.
        p: which norm.
        eps: added to differences.
        swap: take d(positive, negative) for the negative where it is smaller (Balntas et al. 2016).
        reduction: "none", "mean" or "sum".

    Source: torch.nn.functional.triplet_margin_loss.
    """
    near = pairwise_distance(anchor, positive, p=p, eps=eps)
    far = pairwise_distance(anchor, negative, p=p, eps=eps)
    if swap:
        far = minimum(far, pairwise_distance(positive, negative, p=p, eps=eps))
    return reduced(maximum(near - far + margin, 0), reduction)


lower_torch(triplet_margin_loss, margin="margin:1.0", p="p:2.0", eps="eps:1e-06", swap="swap:False")


# -- of classes ------------------------------------------------------------------------------------------------------


def _classes(x: Array) -> Any:
    return created(arange, x, stop=spec_of(x).shape[-1], dtype="int64")


def _multi_margin_spec(x: Spec, target: Spec, weight: Spec | None = None, *, reduction: str = "mean", **_: Any) -> Spec:
    if x.ndim not in (1, 2) or target.shape != x.shape[:-1] or not is_integer(target.dtype):
        raise ShapeError(f"expected (batch, classes) and class indices of (batch,), received {x} and {target}")
    if weight is not None and weight.shape != x.shape[-1:]:
        raise ShapeError(f"expected a weight for each class of {x}, received {weight}")
    return x.with_shape(*(target.shape if reduction == "none" else ()))


@op(rule=_multi_margin_spec, strict=True)
def multi_margin_loss(
    x: Array,
    target: Array,
    weight: Array | None = None,
    /,
    *,
    p: int = 1,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Array:
    """Σ max(0, margin - x[target] + x[i])^p over the other classes i, over the number of classes.

    Args:
        x: scores, (batch, classes) or (classes,).
        target: class indices, (batch,) or ().
        weight: of each target's class, (classes,) or None.
        p: 1 or 2.
        margin: how much higher the target's score is to be.
        reduction: "none", "mean" or "sum".

    Source: torch.nn.functional.multi_margin_loss.
    """
    key = (*(_FULL,) * spec_of(target).ndim, None)
    target = astype(target, dtype="int64")
    column = getitem(target, key=key)
    gap = maximum(margin - take_along_axis(x, column, axis=-1) + x, 0)
    gap = gap if p == 1 else square(gap)
    if weight is not None:
        gap = gap * getitem(take(weight, target, axis=0), key=key)
    others = logical_not(equal(column, _classes(x)))
    return reduced(mean(where(others, gap, 0), axis=-1), reduction)


multi_margin_loss.lower(
    "torch",
    "F.multi_margin_loss({x}, {target}, p={p:1}, margin={margin:1.0}, weight={weight}, reduction={reduction:'mean'})",
    when=lambda n: n.target.dtype == "int64",
)


def _multilabel_spec(x: Spec, target: Spec, *, reduction: str = "mean") -> Spec:
    if x.ndim not in (1, 2) or target.shape != x.shape or not is_integer(target.dtype):
        raise ShapeError(f"expected (batch, classes) and as many class indices, received {x} and {target}")
    return x.with_shape(*(x.shape[:-1] if reduction == "none" else ()))


@op(rule=_multilabel_spec, strict=True)
def multilabel_margin_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """Σ max(0, 1 - x[j] + x[i]) over the classes j of an example and all others i, over the number of classes.

    Args:
        x: scores, (batch, classes) or (classes,).
        target: of that shape, the classes of each example, then -1; what follows is not looked at.
        reduction: "none", "mean" or "sum".

    Source: torch.nn.functional.multilabel_margin_loss.
    """
    lead = (_FULL,) * (spec_of(x).ndim - 1)
    valid = equal(cumulative_sum(astype(target < 0, dtype="int64"), axis=-1), 0)
    safe = astype(where(valid, target, 0), dtype="int64")
    chosen = getitem(valid, key=(*lead, _FULL, None))
    same = equal(getitem(safe, key=(*lead, _FULL, None)), _classes(x))
    others = logical_not(any(same & chosen, axis=-2, keepdims=True))
    scores = getitem(take_along_axis(x, safe, axis=-1), key=(*lead, _FULL, None))
    gap = maximum(1 - scores + getitem(x, key=(*lead, None)), 0)
    return reduced(mean(sum(where(chosen & others, gap, 0), axis=-2), axis=-1), reduction)


multilabel_margin_loss.lower(
    "torch",
    "F.multilabel_margin_loss({x}, {target}, reduction={reduction:'mean'})",
    when=lambda n: n.target.dtype == "int64",
)


@op(promotes=("x", "target", "weight"))
def multilabel_soft_margin_loss(
    x: Array, target: Array, weight: Array | None = None, /, *, reduction: str = "mean"
) -> Array:
    """The mean over the classes of -weight · (target · log σ(x) + (1 - target) · log σ(-x)).

    Args:
        x: logits, (..., classes).
        target: 0 or 1, of that shape.
        weight: (classes,) or None.
        reduction: "none", "mean" or "sum".

    Source: torch.nn.functional.multilabel_soft_margin_loss.
    """
    loss = -(target * log_sigmoid(x) + (1 - target) * log_sigmoid(-x))
    return reduced(mean(loss if weight is None else loss * weight, axis=-1), reduction)


multilabel_soft_margin_loss.lower(
    "torch", "F.multilabel_soft_margin_loss({x}, {target}, weight={weight}, reduction={reduction:'mean'})"
)
