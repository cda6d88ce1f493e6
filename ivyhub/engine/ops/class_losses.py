"""Losses of classes, rankings and embeddings that Optax and Keras have. Conventions are those of `losses`."""

from __future__ import annotations

from typing import Any

from ...errors import ShapeError
from ..backends import is_integer
from ..op import Array, op
from ..spec import Spec, floating_specs, spec_of
from .activation import log_softmax, softplus, sparse_plus, sparsemax
from .creation import arange, created, eye
from .elementwise import astype, equal, exp, log, logical_and, logical_not, logical_or, maximum, where
from .indexing import getitem, one_hot, searchsorted, take, take_along_axis
from .linalg import matmul
from .losses import kl_div, reduced
from .matrices import vector_norm
from .nn import stop_gradient
from .reduction import logsumexp, max, mean, sum
from .shape import transpose

_PAIR = ("x", "target")
_FULL = (None, None, None)


# -- of signs --------------------------------------------------------------------------------------------------------


@op(promotes=_PAIR)
def perceptron_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """max(0, -target · x), with targets of -1 and 1. Source: Rosenblatt 1958; optax.losses.perceptron_loss."""
    return reduced(maximum(-target * x, 0), reduction)


@op(promotes=_PAIR)
def sparsemax_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """sparse_plus(-x) where the target is 1, sparse_plus(x) where it is 0.

    Source: Martins & Astudillo 2016, arXiv:1602.02068; optax.losses.sparsemax_loss.
    """
    return reduced(sparse_plus((1 - 2 * target) * x), reduction)


# -- of one class among several --------------------------------------------------------------------------------------


def _index_spec(x: Spec, target: Spec, *, reduction: str = "mean", **_: Any) -> Spec:
    if x.ndim < 1 or target.shape != x.shape[:-1] or not is_integer(target.dtype):
        raise ShapeError(f"expected (..., classes) and class indices of (...), received {x} and {target}")
    return floating_specs(x).with_shape(*(target.shape if reduction == "none" else ()))


def _of_target(x: Array, target: Array) -> Array:
    """The number of each example's class."""
    lead = (_FULL,) * spec_of(target).ndim
    column = getitem(astype(target, dtype="int64"), key=(*lead, None))
    return getitem(take_along_axis(x, column, axis=-1), key=(*lead, 0))


@op(rule=_index_spec, strict=True)
def multiclass_perceptron_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """max(x) - x[target] over the last axis.

    Args:
        x: scores, (..., classes).
        target: class indices, (...).
        reduction: "none", "mean" or "sum".

    Source: optax.losses.multiclass_perceptron_loss.
    """
    return reduced(max(x, axis=-1) - _of_target(x, target), reduction)


@op(rule=_index_spec, strict=True)
def multiclass_hinge_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """max(x + 1, but for the target's x) - x[target] over the last axis. Arguments: `multiclass_perceptron_loss`.

    Source: Crammer & Singer 2001, JMLR 2; optax.losses.multiclass_hinge_loss.
    """
    others = 1 - one_hot(target, num_classes=spec_of(x).shape[-1], dtype=spec_of(x).dtype)
    return reduced(max(x + others, axis=-1) - _of_target(x, target), reduction)


@op(rule=_index_spec, strict=True)
def multiclass_sparsemax_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """Σ p · (x - x[target]) + (1 - Σ p²) / 2 over the last axis, with p = sparsemax(x).

    Its gradient is p less the one-hot target. Arguments are those of `multiclass_perceptron_loss`.

    Source: Martins & Astudillo 2016, arXiv:1602.02068; optax.losses.multiclass_sparsemax_loss.
    """
    p = stop_gradient(sparsemax(x))  # the sum has no derivative by p, its maximum
    loss = sum(p * x, axis=-1) - _of_target(x, target) + 0.5 * (1 - sum(p * p, axis=-1))
    return reduced(loss, reduction)


@op(rule=_index_spec, strict=True)
def generalized_cross_entropy(x: Array, target: Array, /, *, q: float = 0.7, reduction: str = "mean") -> Array:
    """(1 - x[target]^q) / q, between the cross-entropy (q to 0) and the absolute distance (q = 1).

    Args:
        x: probabilities, (..., classes).
        target: class indices, (...).
        q: above 0 and up to 1.
        reduction: "none", "mean" or "sum".

    Source: Zhang & Sabuncu 2018, arXiv:1805.07836; keras.losses.categorical_generalized_cross_entropy.
    """
    return reduced((1 - _of_target(x, target) ** float(q)) / float(q), reduction)


# -- of probabilities of classes -------------------------------------------------------------------------------------


@op(promotes=_PAIR)
def poly_cross_entropy(x: Array, target: Array, /, *, eps: float = 2.0, reduction: str = "mean") -> Array:
    """-Σ target · log p + eps · Σ target · (1 - p) over the last axis, with p = softmax(x).

    Args:
        x: logits, (..., classes).
        target: probabilities, of that shape.
        eps: the weight of the second term.
        reduction: "none", "mean" or "sum".

    Source: Leng et al. 2022, arXiv:2204.12511; optax.losses.poly_loss_cross_entropy.
    """
    scores = log_softmax(x, axis=-1)
    return reduced(sum(target * (eps * (1 - exp(scores)) - scores), axis=-1), reduction)


@op(promotes=_PAIR)
def categorical_focal_loss(
    x: Array, target: Array, /, *, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean"
) -> Array:
    """-Σ alpha · (1 - p)^gamma · target · log p over the last axis, with p = softmax(x).

    Args:
        x: logits, (..., classes).
        target: probabilities, of that shape.
        alpha: a weight.
        gamma: how much less what is right already counts.
        reduction: "none", "mean" or "sum".

    Source: Lin et al. 2017, arXiv:1708.02002; keras.losses.categorical_focal_crossentropy of logits.
    """
    scores = log_softmax(x, axis=-1)
    return reduced(-alpha * sum((1 - exp(scores)) ** float(gamma) * target * scores, axis=-1), reduction)


@op(promotes=_PAIR)
def generalized_kl_div(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """Σ target · (log(target) - x) + exp(x) - target over the last axis: `kl_div` of what need not add up to 1.

    Args:
        x: logarithms, (..., classes).
        target: not negative, of that shape.
        reduction: "none", "mean" or "sum".

    Source: optax.losses.generalized_kl_divergence.
    """
    return reduced(sum(kl_div(x, target, reduction="none") + exp(x) - target, axis=-1), reduction)


@op(promotes=("x", "target", "weight"))
def ranking_softmax_loss(
    x: Array, target: Array, mask: Array | None = None, weight: Array | None = None, /, *, reduction: str = "mean"
) -> Array:
    """-Σ weight · target · log_softmax(x) over the items of each list.

    Args:
        x: scores, (..., items).
        target: relevances, of that shape.
        mask: bool, of that shape: which items there are. "mean" is over the lists that have one.
        weight: of that shape.
        reduction: "none", "mean" or "sum".

    Source: Cao et al. 2007; optax.losses.ranking_softmax_loss.
    """
    if weight is not None:
        target = target * weight
    if mask is None:
        return reduced(-sum(target * log_softmax(x, axis=-1), axis=-1), reduction)
    dtype = spec_of(x).dtype
    items = sum(astype(mask, dtype=dtype), axis=-1)
    none = getitem(equal(items, 0), key=(*(_FULL,) * (spec_of(x).ndim - 1), None))
    scores = log_softmax(where(logical_or(mask, none), x, -float("inf")), axis=-1)
    loss = -sum(where(mask, target * where(mask, scores, 0.0), 0.0), axis=-1)
    if reduction != "mean":
        return reduced(loss, reduction)
    return sum(loss) / maximum(sum(astype(items > 0, dtype=dtype)), 1)


@op(promotes=_PAIR)
def generalized_dice_loss(x: Array, target: Array, /, *, smooth: float = 1.0) -> Array:
    """The mean of `dice_loss` over examples and classes, where rarer classes weigh more.

    With the sums over the axes between batch and classes, 1 - (Σ x·t + smooth) / ((Σ x + Σ t) / 2 + smooth), times
    a weight in proportion to 1 / (Σ t)², the sum here being over all examples.

    Args:
        x: probabilities, (batch, ..., classes).
        target: of that shape.
        smooth: added above and below.

    Source: Sudre et al. 2017, arXiv:1707.03237; optax.losses.multiclass_generalized_dice_loss of probabilities.
    """
    ndim = spec_of(x).ndim
    inner = tuple(range(1, ndim - 1))
    weight = 1 / (sum(target, axis=tuple(range(ndim - 1))) ** 2 + 1e-7)
    weight = weight / mean(weight)

    def total(array: Array) -> Array:
        return sum(array, axis=inner) if inner else array

    both = total(x * target)
    return mean(weight * (1 - (both + smooth) / (0.5 * (total(x) + total(target)) + smooth)))


# -- of embeddings ---------------------------------------------------------------------------------------------------


def _embeddings_spec(x: Spec, target: Spec, *, reduction: str = "none", **_: Any) -> Spec:
    if x.ndim != 2 or target.shape != x.shape[:1] or not is_integer(target.dtype):
        raise ShapeError(f"expected embeddings (batch, features) and labels (batch,), received {x} and {target}")
    return floating_specs(x).with_shape(*(target.shape if reduction == "none" else ()))


def _pairs(x: Array, target: Array) -> tuple[Array, Array]:
    """Which two examples, not the same one, have one label, and which have two."""
    same = equal(getitem(target, key=(_FULL, None)), getitem(target, key=(None,)))
    own = created(eye, x, n_rows=spec_of(x).shape[0], dtype=spec_of(x).dtype) > 0
    return logical_and(same, logical_not(own)), logical_not(same)


@op(rule=lambda x, target, *, temperature=0.07: _embeddings_spec(x, target, reduction="mean"), strict=True)
def ntxent_loss(x: Array, target: Array, /, *, temperature: float = 0.07) -> Array:
    """The mean over pairs of one label of -log(e^s / (e^s + Σ e^s')), s' being those of pairs with another label.

    s is the cosine of the pair over the temperature. There is a pair of one label at least.

    Args:
        x: embeddings, (batch, features).
        target: labels, (batch,), integers.
        temperature: divides the cosines.

    Source: Chen et al. 2020, arXiv:2002.05709; optax.losses.ntxent.
    """
    unit = x / sum(x * x, axis=-1, keepdims=True) ** 0.5
    cosine = matmul(unit, transpose(unit, axes=(1, 0))) / temperature
    matches, others = _pairs(x, target)
    peak = stop_gradient(max(cosine, axis=1, keepdims=True))
    own = cosine - peak
    total = exp(own) + sum(where(others, exp(own), 0.0), axis=1, keepdims=True)
    count = sum(astype(matches, dtype=spec_of(x).dtype))
    return sum(where(matches, log(where(matches, total, 1.0)) - own, 0.0)) / count


@op(rule=_embeddings_spec, strict=True)
def circle_loss(
    x: Array, target: Array, /, *, gamma: float = 80.0, margin: float = 0.4, reduction: str = "mean"
) -> Array:
    """Similar embeddings of one label, dissimilar ones of two: each pair is weighed by how far it is from there.

    With d = 1 - x xᵀ: softplus(log Σ exp(gamma · (margin + d) · (d - margin)) over pairs of one label + log Σ
    exp(gamma · (1 + margin - d) · (1 - margin - d)) over pairs of two). 0 for an example that lacks one of both.

    Args:
        x: embeddings of length 1, (batch, features).
        target: labels, (batch,), integers.
        gamma: the scale.
        margin: from 0 to 1.
        reduction: "none", "mean" or "sum".

    Source: Sun et al. 2020, arXiv:2002.10857; keras.losses.circle.
    """
    distance = maximum(1 - matmul(x, transpose(x, axes=(1, 0))), 0)
    matches, others = _pairs(x, target)
    near = gamma * (margin + distance) * (distance - margin)
    far = gamma * maximum(1 + margin - distance, 0) * (1 - margin - distance)
    least = -1e30  # the logarithm of an empty sum: finite, so that it has a derivative
    found = logsumexp(where(matches, near, least), axis=1) + logsumexp(where(others, far, least), axis=1)
    return reduced(softplus(found), reduction)


# -- distances -------------------------------------------------------------------------------------------------------


def _pdist_spec(x: Spec, *, p: float = 2.0) -> Spec:
    if x.ndim != 2:
        raise ShapeError(f"expected points (n, features), received {x}")
    return floating_specs(x).with_shape(x.shape[0] * (x.shape[0] - 1) // 2)


@op(rule=_pdist_spec, strict=True)
def pdist(x: Array, /, *, p: float = 2.0) -> Array:
    """‖x[i] - x[j]‖ for all i < j, in the order of i and then j.

    Args:
        x: points, (n, features).
        p: which norm.

    Source: torch.nn.functional.pdist.
    """
    n = spec_of(x).shape[0]
    row = created(arange, x, stop=n, dtype="int64")
    starts = row * (2 * n - row - 1) // 2  # where the pairs of each i begin
    pair = created(arange, x, stop=n * (n - 1) // 2, dtype="int64")
    first = searchsorted(starts, pair, side="right") - 1
    second = pair - take(starts, first, axis=0) + first + 1
    return vector_norm(take(x, first, axis=0) - take(x, second, axis=0), axis=-1, ord=float(p))


pdist.lower("torch", "F.pdist({x}, {p:2.0})")
