"""Losses of regression and classification.

Every loss is of each element (or example), which ``reduction`` then leaves ("none"), averages ("mean") or adds up
("sum"). The prediction comes first, the target second, as in PyTorch.
"""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace
from typing import Any

from ...errors import ShapeError
from ..backends import is_floating
from ..op import Array, Op, op
from ..spec import Spec, floating_specs, spec_of
from .activation import log_softmax, sigmoid, softplus
from .creation import arange, created
from .creation import full as full_
from .elementwise import abs, astype, equal, exp, log, log1p, maximum, not_equal, square, where
from .indexing import getitem, take, take_along_axis
from .reduction import logsumexp, mean, sum
from .shape import broadcast_to, concat, pad, reshape, stack

REDUCTIONS = ("none", "mean", "sum")


def reduced(loss: Array, reduction: str) -> Array:
    """A loss left, averaged or added up. Raises `ShapeError` on another word."""
    if reduction not in REDUCTIONS:
        raise ShapeError(f"expected the reduction none, mean or sum, received {reduction!r}")
    if reduction == "none":
        return loss
    return mean(loss) if reduction == "mean" else sum(loss)


def lower_torch(loss: Op, name: str = "", **attributes: str) -> None:
    """Write a loss as torch.nn.functional's; ``attributes`` are its other words for ours, with their defaults."""
    operands = ", ".join(f"{{{operand}}}" for operand in loss.operands)
    named = "".join(f", {theirs}={{{ours}}}" for theirs, ours in attributes.items())
    loss.lower("torch", f"F.{name or loss.name}({operands}{named}, reduction={{reduction:'mean'}})")


# -- regression ------------------------------------------------------------------------------------------------------

_PAIR = ("x", "target")


@op(promotes=_PAIR)
def mse_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """(x - target)². Source: torch.nn.functional.mse_loss."""
    return reduced(square(x - target), reduction)


@op(promotes=_PAIR)
def l1_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """|x - target|. Source: torch.nn.functional.l1_loss."""
    return reduced(abs(x - target), reduction)


@op(promotes=_PAIR)
def huber_loss(x: Array, target: Array, /, *, delta: float = 1.0, reduction: str = "mean") -> Array:
    """(x - target)² / 2 up to a distance of delta, from there delta · (|x - target| - delta / 2).

    Source: Huber 1964; torch.nn.functional.huber_loss.
    """
    distance = abs(x - target)
    return reduced(where(distance < delta, 0.5 * square(distance), delta * (distance - 0.5 * delta)), reduction)


@op(promotes=_PAIR)
def smooth_l1_loss(x: Array, target: Array, /, *, beta: float = 1.0, reduction: str = "mean") -> Array:
    """huber_loss / beta, with its delta = beta; the absolute distance for beta = 0.

    Source: Girshick 2015, arXiv:1504.08083; torch.nn.functional.smooth_l1_loss.
    """
    if beta == 0:
        return l1_loss(x, target, reduction=reduction)
    return huber_loss(x, target, delta=beta, reduction=reduction) / float(beta)


lower_torch(mse_loss)
lower_torch(l1_loss)
lower_torch(huber_loss, delta="delta:1.0")
lower_torch(smooth_l1_loss, beta="beta:1.0")


@op(promotes=_PAIR)
def log_cosh_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> Array:
    """log cosh(x - target): half the square near 0, the distance less log 2 far away. Source: optax.log_cosh."""
    error = x - target
    return reduced(error + softplus(-2.0 * error) - math.log(2), reduction)


@op(promotes=_PAIR)
def mean_absolute_percentage_error(x: Array, target: Array, /, *, eps: float = 1e-7, reduction: str = "mean") -> Array:
    """100 · |target - x| / max(|target|, eps). Source: keras.losses.mean_absolute_percentage_error."""
    return reduced(100.0 * abs((target - x) / maximum(abs(target), eps)), reduction)


@op(promotes=_PAIR)
def mean_squared_logarithmic_error(x: Array, target: Array, /, *, eps: float = 1e-7, reduction: str = "mean") -> Array:
    """(log(1 + target) - log(1 + x))², both at least eps. Source: keras.losses.mean_squared_logarithmic_error."""
    return reduced(square(log1p(maximum(x, eps)) - log1p(maximum(target, eps))), reduction)


@op(promotes=_PAIR)
def poisson_nll_loss(
    x: Array,
    target: Array,
    /,
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Array:
    """The negative log likelihood of a count under a Poisson distribution.

    Args:
        x: the logarithm of the rate, or the rate where ``log_input`` is False. Any shape.
        target: counts, of that shape.
        log_input: exp(x) - target · x, or x - target · log(x + eps).
        full: add Stirling's approximation of log(target!), for counts above 1.
        eps: keeps the logarithm of a rate from 0.
        reduction: "none", "mean" or "sum".

    Source: torch.nn.functional.poisson_nll_loss.
    """
    loss = exp(x) - target * x if log_input else x - target * log(x + eps)
    if full:
        large = maximum(target, 1)
        loss = loss + where(target > 1, large * log(large) - large + 0.5 * log(2 * math.pi * large), 0.0)
    return reduced(loss, reduction)


@op(promotes=("x", "target", "var"))
def gaussian_nll_loss(
    x: Array, target: Array, var: Array, /, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Array:
    """(log(var) + (x - target)² / var) / 2, the negative log likelihood of a normal distribution.

    Args:
        x: means, any shape.
        target: of the shape of x.
        var: variances, which broadcast to x; less than eps counts as eps, and gets its gradient all the same.
        full: add log(2π) / 2.
        eps: the least variance.
        reduction: "none", "mean" or "sum".

    Source: Nix & Weigend 1994; torch.nn.functional.gaussian_nll_loss.
    """
    from .nn import stop_gradient

    var = var + stop_gradient(maximum(var, eps) - var)
    loss = 0.5 * (log(var) + square(x - target) / var)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


lower_torch(poisson_nll_loss, log_input="log_input:True", full="full:False", eps="eps:1e-08")
lower_torch(gaussian_nll_loss, full="full:False", eps="eps:1e-06")


# -- distributions ---------------------------------------------------------------------------------------------------


@op(promotes=_PAIR)
def kl_div(x: Array, target: Array, /, *, log_target: bool = False, reduction: str = "mean") -> Array:
    """target · (log(target) - x), whose sum is the Kullback-Leibler divergence of exp(x) from the target.

    Args:
        x: log-probabilities, any shape.
        target: probabilities, of that shape; log-probabilities where ``log_target``.
        log_target: what the target holds.
        reduction: "none", "mean", "sum", or "batchmean": the sum over the size of the first axis.

    Source: torch.nn.functional.kl_div.
    """
    if log_target:
        loss = exp(target) * (target - x)
    else:
        positive = target > 0
        loss = where(positive, target * log(where(positive, target, 1.0)), 0.0) - target * x
    if reduction == "batchmean":
        size = spec_of(x).shape[0]
        return sum(loss) / float(size) if isinstance(size, int) else sum(mean(loss, axis=0))
    return reduced(loss, reduction)


kl_div.lower(  # reduction="mean" warns that it is not the divergence
    "torch",
    "F.kl_div({x}, {target}, log_target={log_target:False}, reduction='none').mean()",
    when=lambda n: n.reduction == "mean",
)
kl_div.lower("torch", "F.kl_div({x}, {target}, log_target={log_target:False}, reduction={reduction})")


def _nll_spec(x: Spec, target: Spec, weight: Spec | None = None, *, reduction: str = "mean", **_: Any) -> Spec:
    if reduction not in REDUCTIONS:
        raise ShapeError(f"expected the reduction none, mean or sum, received {reduction!r}")
    kept = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    wanted = x.shape if is_floating(target.dtype) else kept
    if target.shape != wanted:
        raise ShapeError(f"expected classes on axis {min(x.ndim - 1, 1)} of {x} and targets of {wanted}, not {target}")
    if weight is not None and weight.shape != (x.shape[min(x.ndim - 1, 1)],):
        raise ShapeError(f"expected a weight for each class of {x}, received {weight}")
    return x.with_shape(*(kept if reduction == "none" else ()))


@op(rule=_nll_spec, strict=True)
def nll_loss(
    x: Array,
    target: Array,
    weight: Array | None = None,
    /,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    """-weight[target] · x[target]; "mean" divides by the weights that were used.

    Args:
        x: log-probabilities, (batch, classes, ...) or (classes,).
        target: class indices, (batch, ...) or ().
        weight: (classes,) or None.
        ignore_index: the target that adds nothing, whether or not it is a class.
        reduction: "none", "mean" or "sum".

    Source: torch.nn.functional.nll_loss.
    """
    return _nll(x, target, weight, ignore_index, 0.0, reduction)


def _nll(
    scores: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float, reduction: str
) -> Array:
    spec = spec_of(scores)
    axis = min(spec.ndim - 1, 1)
    kept = not_equal(target, ignore_index)
    safe = astype(where(kept, target, 0), dtype="int64")
    key = (*((None, None, None),) * axis, None)
    chosen = getitem(take_along_axis(scores, getitem(safe, key=key), axis=axis), key=(*((None, None, None),) * axis, 0))
    factor = astype(kept, dtype=spec.dtype)
    if weight is not None:
        factor = where(kept, take(weight, safe, axis=0), 0)
    loss = where(kept, -chosen, 0) * factor
    if smoothing:
        every = -sum(scores if weight is None else scores * _beside(weight, spec.ndim, axis), axis=axis)
        loss = loss * (1 - smoothing) + where(kept, every, 0) * _share(smoothing, spec.shape[axis])
    return sum(loss) / sum(factor) if reduction == "mean" else reduced(loss, reduction)


def _beside(weight: Array, ndim: int, axis: int) -> Array:
    return weight if axis == ndim - 1 else reshape(weight, shape=(*spec_of(weight).shape, *(1,) * (ndim - 1 - axis)))


def _share(smoothing: float, classes: Any) -> float:
    if not isinstance(classes, int):
        raise ShapeError(f"expected a known number of classes for label smoothing, received {classes}")
    return smoothing / classes


@op(rule=_nll_spec, strict=True)
def cross_entropy(
    x: Array,
    target: Array,
    weight: Array | None = None,
    /,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Array:
    """-Σ target · log_softmax(x) over the classes.

    Args:
        x: logits, (batch, classes, ...) or (classes,).
        target: class indices, (batch, ...) or (), or class probabilities of the shape and dtype of x.
        weight: (classes,) or None. For indices "mean" divides by the weights of the targets.
        ignore_index: the index that adds nothing.
        label_smoothing: the share of a target that is spread over all classes.
        reduction: "none", "mean" or "sum".

    Source: torch.nn.functional.cross_entropy; Szegedy et al. 2016, arXiv:1512.00567, for the smoothing.

    Example:
        >>> import numpy as np
        >>> from ivyhub.engine import ops
        >>> ops.cross_entropy(np.zeros((2, 4), np.float32), np.array([0, 3])).round(4)
        np.float32(1.3863)
    """
    spec = spec_of(x)
    axis = min(spec.ndim - 1, 1)
    scores = log_softmax(x, axis=axis)
    if not is_floating(spec_of(target).dtype):
        return _nll(scores, target, weight, ignore_index, label_smoothing, reduction)
    if label_smoothing:
        target = target * (1 - label_smoothing) + _share(label_smoothing, spec.shape[axis])
    terms = scores * target
    return reduced(-sum(terms if weight is None else terms * _beside(weight, spec.ndim, axis), axis=axis), reduction)


_CLASSES = "{x}, {target}, weight={weight}, ignore_index={ignore_index:-100}, reduction={reduction:'mean'}"


def _torch_counts(n: SimpleNamespace) -> bool:
    """PyTorch takes indices of int64 and uint8."""
    return n.target.dtype in ("int64", "uint8")


nll_loss.lower("torch", f"F.nll_loss({_CLASSES})", when=_torch_counts)
cross_entropy.lower(
    "torch",
    f"F.cross_entropy({_CLASSES}, label_smoothing={{label_smoothing:0.0}})",
    when=lambda n: _torch_counts(n) or n.target.dtype == n.x.dtype,
)


@op(promotes=("x", "target", "weight"))
def binary_cross_entropy(x: Array, target: Array, weight: Array | None = None, /, *, reduction: str = "mean") -> Array:
    """-weight · (target · log(x) + (1 - target) · log(1 - x)), with logarithms of at least -100.

    Args:
        x: probabilities, any shape.
        target: probabilities, of that shape.
        weight: broadcasts to it.
        reduction: "none", "mean" or "sum".

    Source: torch.nn.functional.binary_cross_entropy.
    """
    loss = -(target * maximum(log(x), -100.0) + (1 - target) * maximum(log1p(-x), -100.0))
    return reduced(loss if weight is None else loss * weight, reduction)


@op(promotes=("x", "target", "weight", "pos_weight"))
def binary_cross_entropy_with_logits(
    x: Array,
    target: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    /,
    *,
    reduction: str = "mean",
) -> Array:
    """`binary_cross_entropy` of sigmoid(x), without overflow.

    Args:
        x: logits, any shape.
        target: probabilities, of that shape.
        weight: broadcasts to it.
        pos_weight: of the term of log sigmoid(x); broadcasts to x.
        reduction: "none", "mean" or "sum".

    Source: torch.nn.functional.binary_cross_entropy_with_logits.
    """
    negative = softplus(-x)  # -log sigmoid(x)
    factor = negative if pos_weight is None else ((pos_weight - 1) * target + 1) * negative
    loss = (1 - target) * x + factor
    return reduced(loss if weight is None else loss * weight, reduction)


binary_cross_entropy.lower(
    "torch", "F.binary_cross_entropy({x}, {target}, weight={weight}, reduction={reduction:'mean'})"
)
binary_cross_entropy_with_logits.lower(
    "torch",
    "F.binary_cross_entropy_with_logits({x}, {target}, weight={weight}, pos_weight={pos_weight},"
    " reduction={reduction:'mean'})",
)
binary_cross_entropy_with_logits.lower(
    "tensorflow",
    "tf.nn.sigmoid_cross_entropy_with_logits({target}, {x})",
    when=lambda n: n.weight is None and n.pos_weight is None and n.reduction == "none",
)


@op(promotes=_PAIR)
def sigmoid_focal_loss(
    x: Array, target: Array, /, *, alpha: float | None = None, gamma: float = 2.0, reduction: str = "mean"
) -> Array:
    """(1 - p)^gamma · cross-entropy, with p the probability that is given to the target.

    Args:
        x: logits, any shape.
        target: 0 or 1, of that shape.
        alpha: the weight of targets that are 1, 1 - alpha being that of the others; no weights where None.
        gamma: how much less what is right already counts.
        reduction: "none", "mean" or "sum".

    Source: Lin et al. 2017, arXiv:1708.02002; optax.losses.sigmoid_focal_loss.
    """
    chance = sigmoid(x)
    missed = chance + target - 2 * chance * target
    loss = binary_cross_entropy_with_logits(x, target, reduction="none") * missed**gamma
    return reduced(loss if alpha is None else (alpha * target + (1 - alpha) * (1 - target)) * loss, reduction)


# -- overlap of regions ----------------------------------------------------------------------------------------------


@op(promotes=_PAIR)
def tversky_loss(
    x: Array,
    target: Array,
    /,
    *,
    alpha: float = 0.5,
    beta: float = 0.5,
    axis: int | tuple[int, ...] | None = None,
    eps: float = 1e-7,
) -> Array:
    """1 - Σ x·t / (Σ x·t + alpha · Σ x·(1 - t) + beta · Σ (1 - x)·t) over axes, with eps added below.

    Args:
        x: probabilities, any shape.
        target: of that shape.
        alpha: the weight of what is found in error.
        beta: the weight of what is missed; alpha = beta = ½ is `dice_loss`.
        axis: what one region is; all axes where None.
        eps: keeps empty regions from 0 / 0.

    Source: Salehi et al. 2017, arXiv:1706.05721; keras.losses.tversky, which exchanges alpha and beta.
    """
    both = sum(x * target, axis=axis)
    wrong = alpha * sum(x * (1 - target), axis=axis) + beta * sum((1 - x) * target, axis=axis)
    return 1 - both / (both + wrong + eps)


@op(promotes=_PAIR)
def dice_loss(x: Array, target: Array, /, *, axis: int | tuple[int, ...] | None = None, eps: float = 1e-7) -> Array:
    """1 - 2 Σ x·t / (Σ x + Σ t) over axes, with eps added below.

    Source: Milletari et al. 2016, arXiv:1606.04797; keras.losses.dice.
    """
    return 1 - 2 * sum(x * target, axis=axis) / (sum(x, axis=axis) + sum(target, axis=axis) + eps)


# -- sequences -------------------------------------------------------------------------------------------------------

_IMPOSSIBLE = -1e30  # the logarithm of no probability: finite, so that differences of two are


def _ctc_spec(
    logits: Spec,
    targets: Spec,
    input_lengths: Spec,
    target_lengths: Spec,
    *,
    reduction: str = "mean",
    **_: Any,
) -> Spec:
    if logits.ndim != 3 or targets.ndim != 2 or logits.shape[1] != targets.shape[0]:
        raise ShapeError(f"expected (time, batch, classes) and (batch, length), received {logits} and {targets}")
    if input_lengths.ndim != 1 or target_lengths.ndim != 1:
        raise ShapeError(f"expected lengths of (batch,), received {input_lengths} and {target_lengths}")
    if reduction not in REDUCTIONS:
        raise ShapeError(f"expected the reduction none, mean or sum, received {reduction!r}")
    return floating_specs(logits).with_shape(*(logits.shape[1:2] if reduction == "none" else ()))


@op(rule=_ctc_spec, strict=True)
def ctc_loss(
    logits: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    /,
    *,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Array:
    """-log of the probability of a sequence of labels, over all its alignments with the frames.

    Args:
        logits: (time, batch, classes), of 32 bits or more; log-probabilities are as good.
        targets: (batch, length), labels other than ``blank``; what follows an example's length is not looked at.
        input_lengths: (batch,), how many frames of each example count.
        target_lengths: (batch,), how many labels.
        blank: the class that is no label.
        reduction: "none", "sum", or "mean": each loss over its target's length, averaged.
        zero_infinity: 0 for a target that has no alignment, in place of infinity.

    Source: Graves et al. 2006; torch.nn.functional.ctc_loss over log_softmax(logits).
    """
    time, batch, _ = spec_of(logits).shape
    length = spec_of(targets).shape[1]
    if not isinstance(time, int):
        raise ShapeError(f"expected a time axis of known size, received {time}")
    scores = log_softmax(logits, axis=-1)
    full = (None, None, None)
    order = created(arange, targets, stop=length, dtype="int32")
    valid = order < astype(getitem(target_lengths, key=(full, None)), dtype="int32")
    labels = where(valid, targets, blank)
    blanks = labels * 0 + blank
    places = 2 * length + 1  # blanks between all labels and at both ends
    path = reshape(stack([blanks, labels], axis=-1), shape=(batch, 2 * length))
    path = pad(path, padding=((0, 0), (0, 1)), value=blank)
    twice = _delayed(path, 2, blank)
    skips = not_equal(path, blank) & not_equal(path, twice)
    index = broadcast_to(getitem(path, key=(None,)), shape=(time, batch, places))
    emitted = take_along_axis(scores, index, axis=2)
    alpha = created(full_, logits, shape=(batch, places), fill_value=_IMPOSSIBLE, dtype=spec_of(scores).dtype)
    alpha = where(created(arange, targets, stop=places, dtype="int32") < 1, 0.0, alpha)
    for step in range(time):
        one = _delayed(alpha, 1, _IMPOSSIBLE)
        two = where(skips, _delayed(alpha, 2, _IMPOSSIBLE), _IMPOSSIBLE)
        new = logsumexp(stack([alpha, one, two], axis=0), axis=0) + getitem(emitted, key=(step,))
        alpha = where(getitem(input_lengths > step, key=(full, None)), new, alpha)
    end = astype(getitem(target_lengths * 2, key=(full, None)), dtype="int64")
    ends = take_along_axis(alpha, concat([end, maximum(end - 1, 0)], axis=1), axis=1)
    counted = concat([equal(end, end), end > 0], axis=1)
    loss = -logsumexp(where(counted, ends, _IMPOSSIBLE), axis=1)
    loss = where(loss < -0.5 * _IMPOSSIBLE, loss, 0.0 if zero_infinity else float("inf"))
    if reduction == "mean":
        loss = loss / astype(maximum(target_lengths, 1), dtype=spec_of(logits).dtype)
    return reduced(loss, reduction)


def _delayed(x: Array, places: int, value: float) -> Array:
    """What stood some places earlier on the last axis, and a number where nothing did."""
    size = spec_of(x).shape[-1]
    moved = pad(x, padding=((0, 0), (places, 0)), value=value)
    return getitem(moved, key=((None, None, None), (None, size, None)))


def _has_numbers(n: SimpleNamespace) -> bool:
    """Whether PyTorch computes: where it traces, it cannot tell the sizes of what its own function keeps."""
    torch = sys.modules.get("torch")
    return torch is None or torch._guards.detect_fake_mode() is None


ctc_loss.lower(
    "torch",
    "F.ctc_loss(F.log_softmax({logits}, dim=-1), {targets}, {input_lengths}, {target_lengths}, blank={blank:0},"
    " reduction={reduction:'mean'}, zero_infinity={zero_infinity:False})",
    when=_has_numbers,
)
for _framework in ("jax", "tensorflow"):
    ctc_loss.lower(
        _framework,
        "support.ctc_loss({logits}, {targets}, {input_lengths}, {target_lengths}, blank={blank:0},"
        " reduction={reduction:'mean'}, zero_infinity={zero_infinity:False})",
    )
