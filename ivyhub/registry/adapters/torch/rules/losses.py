"""Losses, which models compute from labels."""

from __future__ import annotations

from .....engine import ops
from .common import RULES, Array, cast, dtype_of, shape_of
from .shape import movedim, squeeze, unsqueeze

_NONE, _MEAN = 0, 1  # ATen's numbers for the reduction; 2 is the sum


def _reduced(loss: Array, reduction: int) -> Array:
    if reduction == _NONE:
        return loss
    return ops.mean(loss) if reduction == _MEAN else ops.sum(loss)


@RULES("aten.mse_loss.default")
def mse_loss(x: Array, target: Array, reduction: int = _MEAN) -> Array:
    return _reduced(ops.square(x - target), reduction)


@RULES("aten.l1_loss.default")
def l1_loss(x: Array, target: Array, reduction: int = _MEAN) -> Array:
    return _reduced(ops.abs(x - target), reduction)


@RULES("aten.smooth_l1_loss.default")
def smooth_l1_loss(x: Array, target: Array, reduction: int = _MEAN, beta: float = 1.0) -> Array:
    if beta == 0:
        return l1_loss(x, target, reduction)
    return _reduced(huber(x - target, beta) / float(beta), reduction)


@RULES("aten.huber_loss.default")
def huber_loss(x: Array, target: Array, reduction: int = _MEAN, delta: float = 1.0) -> Array:
    return _reduced(huber(x - target, delta), reduction)


def huber(difference: Array, delta: float) -> Array:
    """Half the square up to delta, linear from there. Source: Huber 1964."""
    size = ops.abs(difference)
    return ops.where(ops.less(size, delta), 0.5 * ops.square(size), delta * (size - 0.5 * delta))


@RULES("aten.kl_div.default")
def kl_div(x: Array, target: Array, reduction: int = _MEAN, *, log_target: bool = False) -> Array:
    """x holds logarithms; a target of 0 adds nothing."""
    if log_target:
        return _reduced(ops.exp(target) * (target - x), reduction)
    logarithm = ops.log(ops.where(ops.greater(target, 0), target, 1.0))
    return _reduced(target * logarithm - target * x, reduction)


@RULES("aten.binary_cross_entropy_with_logits.default")
def binary_cross_entropy_with_logits(
    x: Array,
    target: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    reduction: int = _MEAN,
) -> Array:
    negative = ops.softplus(-x)  # -log sigmoid(x)
    if pos_weight is None:
        loss = (1.0 - target) * x + negative
    else:
        loss = (1.0 - target) * x + ((pos_weight - 1.0) * target + 1.0) * negative
    return _reduced(loss if weight is None else loss * weight, reduction)


@RULES("aten.cross_entropy_loss.default")
def cross_entropy_loss(
    x: Array,
    target: Array,
    weight: Array | None = None,
    reduction: int = _MEAN,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Array:
    """From class logits on axis 1 (0 for a single example) and class indices, or class probabilities."""
    axis = 1 if len(shape_of(x)) > 1 else 0
    scores = ops.log_softmax(x, axis=axis)
    if "float" not in dtype_of(target):
        return _nll(scores, target, weight, reduction, ignore_index, label_smoothing)
    classes = shape_of(x)[axis]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes  # type: ignore[operator]
    terms = movedim(scores * target, axis, -1)
    loss = -ops.sum(terms if weight is None else terms * weight, axis=-1)
    return _reduced(loss, reduction)


@RULES("aten.nll_loss.default", "aten.nll_loss_nd.default", "aten.nll_loss2d.default")
def nll_loss(
    x: Array, target: Array, weight: Array | None = None, reduction: int = _MEAN, ignore_index: int = -100
) -> Array:
    return _nll(x, target, weight, reduction, ignore_index, 0.0)


def _nll(
    scores: Array, target: Array, weight: Array | None, reduction: int, ignore_index: int, smoothing: float
) -> Array:
    axis = 1 if len(shape_of(scores)) > 1 else 0
    kept = ops.not_equal(target, ignore_index)
    safe = cast(ops.where(kept, target, 0), "int64")
    chosen = squeeze(ops.take_along_axis(scores, unsqueeze(safe, axis), axis=axis), axis)
    factor = cast(kept, dtype_of(scores))
    if weight is not None:
        factor = factor * ops.take(weight, safe, axis=0)
    loss = -chosen * factor
    if smoothing:
        every = movedim(scores, axis, -1)
        classes = shape_of(scores)[axis]
        every = -ops.sum(every if weight is None else every * weight, axis=-1) * cast(kept, dtype_of(scores))
        loss = loss * (1 - smoothing) + every * (smoothing / classes)  # type: ignore[operator]
    if reduction == _MEAN:
        return ops.sum(loss) / ops.sum(factor)
    return _reduced(loss, reduction)
