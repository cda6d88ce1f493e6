"""Losses, which models compute from labels."""

from __future__ import annotations

from typing import Any

from .....engine import ops
from .....engine.ops.creation import created
from .common import RULES, Array, cast, dtype_of, shape_of

_MEAN = 1
_WORDS = ("none", "mean", "sum")  # by ATen's numbers


@RULES("aten.mse_loss.default")
def mse_loss(x: Array, target: Array, reduction: int = _MEAN) -> Array:
    return ops.mse_loss(x, target, reduction=_WORDS[reduction])


@RULES("aten.l1_loss.default")
def l1_loss(x: Array, target: Array, reduction: int = _MEAN) -> Array:
    return ops.l1_loss(x, target, reduction=_WORDS[reduction])


@RULES("aten.smooth_l1_loss.default")
def smooth_l1_loss(x: Array, target: Array, reduction: int = _MEAN, beta: float = 1.0) -> Array:
    return ops.smooth_l1_loss(x, target, beta=float(beta), reduction=_WORDS[reduction])


@RULES("aten.huber_loss.default")
def huber_loss(x: Array, target: Array, reduction: int = _MEAN, delta: float = 1.0) -> Array:
    return ops.huber_loss(x, target, delta=float(delta), reduction=_WORDS[reduction])


@RULES("aten.kl_div.default")
def kl_div(x: Array, target: Array, reduction: int = _MEAN, *, log_target: bool = False) -> Array:
    return ops.kl_div(x, target, log_target=log_target, reduction=_WORDS[reduction])


@RULES("aten.binary_cross_entropy_with_logits.default")
def binary_cross_entropy_with_logits(
    x: Array,
    target: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    reduction: int = _MEAN,
) -> Array:
    return ops.binary_cross_entropy_with_logits(x, target, weight, pos_weight, reduction=_WORDS[reduction])


@RULES("aten.cross_entropy_loss.default")
def cross_entropy_loss(
    x: Array,
    target: Array,
    weight: Array | None = None,
    reduction: int = _MEAN,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Array:
    options = {"ignore_index": ignore_index, "label_smoothing": label_smoothing}
    return ops.cross_entropy(x, target, weight, reduction=_WORDS[reduction], **options)


@RULES("ivyhub.ctc_loss.default")
def ctc_loss(
    log_probs: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    blank: int,
    reduction: int,
    zero_infinity: bool,
) -> Array:
    """PyTorch's takes log-probabilities as they are, also where no probabilities belong to them."""
    operands = (log_probs, targets, input_lengths, target_lengths)
    node = getattr(log_probs, "node", None)
    if node is not None and node.op == "log_softmax" and node.attributes["axis"] in (-1, 2):
        options = {"reduction": _WORDS[reduction], "zero_infinity": zero_infinity}
        return ops.ctc_loss(*operands, blank=blank, **options)
    time = created(ops.arange, log_probs, stop=shape_of(log_probs)[0], dtype="int64")
    counts = ops.less(ops.getitem(time, key=((None, None, None), None)), input_lengths)
    beside = ops.sum(ops.where(counts, ops.logsumexp(log_probs, axis=-1), 0), axis=0)
    found = ops.ctc_loss(*operands, blank=blank, reduction="none") - beside
    if zero_infinity:
        found = ops.where(ops.isinf(found), 0, found)
    if _WORDS[reduction] == "mean":
        found = found / cast(ops.maximum(target_lengths, 1), dtype_of(found))
    return {"none": lambda x: x, "mean": ops.mean, "sum": ops.sum}[_WORDS[reduction]](found)


@RULES("torch_nn._linear_cross_entropy_batch_chunked.default")
def linear_cross_entropy(
    x: Array,
    linear_weight: Array,
    target: Array,
    linear_bias: Array | None,
    weight: Array | None,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    *_: Any,
) -> tuple[Array | None, ...]:
    """The loss of a linear layer's outputs, which PyTorch takes in parts; its gradients are no results here."""
    logits = ops.linear(x, linear_weight, linear_bias)
    options = {"ignore_index": ignore_index, "label_smoothing": float(label_smoothing)}
    return ops.cross_entropy(logits, target, weight, reduction=reduction, **options), None, None, None


@RULES("torch_nn._linear_cross_entropy_batch_chunked_no_reduction.default")
def linear_cross_entropies(
    x: Array,
    linear_weight: Array,
    target: Array,
    linear_bias: Array | None,
    weight: Array | None,
    ignore_index: int,
    *_: Any,
) -> Array:
    return linear_cross_entropy(x, linear_weight, target, linear_bias, weight, "none", ignore_index, 0.0)[0]


@RULES("aten.nll_loss.default", "aten.nll_loss_nd.default", "aten.nll_loss2d.default")
def nll_loss(
    x: Array, target: Array, weight: Array | None = None, reduction: int = _MEAN, ignore_index: int = -100
) -> Array:
    return ops.nll_loss(x, target, weight, reduction=_WORDS[reduction], ignore_index=ignore_index)
