"""Metrics that are gathered over batches; public as ``ivyhub.engine.metrics``.

A metric is a frozen record of settings. ``init`` gives an empty state in a framework, ``update`` the state after a
batch, ``compute`` the figure; states are dictionaries of arrays that are added up, so that they pass through `jit` and
sum over machines.

    >>> import numpy as np
    >>> metric = Accuracy()
    >>> state = metric.update(metric.init("numpy"), np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    >>> float(metric.compute(state))
    0.5
"""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import EngineError
from .. import ops
from ..op import Array
from ..spec import spec_of

State = dict[str, Array]


@dataclass(frozen=True)
class Metric:
    """Base of the metrics; subclasses write `sums` and `compute`."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The arrays of its state, which begin at zero."""
        return {"total": (), "count": ()}

    def init(self, framework: str) -> State:
        """The state before the first batch."""
        return {
            name: ops.full.on(framework, shape=shape, fill_value=0, dtype="float32")
            for name, shape in self.shapes().items()
        }

    def update(
        self, state: State, predictions: Array, targets: Array | None = None, weights: Array | None = None
    ) -> State:
        """The state with a batch more.

        Args:
            state: from `init` or an update.
            predictions: as the metric says.
            targets: as the metric says.
            weights: how much each element or example counts; all the same by default.
        """
        new = self.sums(predictions, targets, weights)
        return {name: total + ops.astype(new[name], dtype="float32") for name, total in state.items()}

    def sums(self, predictions: Array, targets: Array, weights: Array | None) -> State:
        """What a batch adds to the state."""
        raise NotImplementedError

    def compute(self, state: State) -> Array:
        """The figure so far; nan before the first batch."""
        return state["total"] / state["count"]


def _weighted(values: Array, weights: Array | None) -> State:
    values = ops.astype(values, dtype="float32")
    if weights is None:
        count = ops.sum(values * 0 + 1)
        return {"total": ops.sum(values), "count": count}
    weights = ops.astype(weights, dtype="float32")
    return {"total": ops.sum(values * weights), "count": ops.sum(values * 0 + weights)}


@dataclass(frozen=True)
class Mean(Metric):
    """The mean of what it is given: losses, most often."""

    def sums(self, predictions: Array, targets: Array, weights: Array | None) -> State:
        return _weighted(predictions, weights)


@dataclass(frozen=True)
class Accuracy(Metric):
    """How often the largest score is that of the target: predictions (..., classes), targets (...) class numbers.

    With a ``threshold``, how often predictions lie on the side of it that targets of 0 or 1 say.
    """

    threshold: float | None = None

    def sums(self, predictions: Array, targets: Array, weights: Array | None) -> State:
        if self.threshold is not None:
            right = ops.equal(_integers(ops.greater(predictions, self.threshold)), _integers(targets))
        else:
            right = ops.equal(_integers(ops.argmax(predictions, axis=-1)), _integers(targets))
        return _weighted(right, weights)


@dataclass(frozen=True)
class TopKAccuracy(Metric):
    """How often the target's score is among the k largest: fewer than k others are larger."""

    k: int = 5

    def sums(self, predictions: Array, targets: Array, weights: Array | None) -> State:
        own = ops.sum(predictions * _one_hot(targets, predictions), axis=-1, keepdims=True)
        larger = ops.sum(ops.astype(ops.greater(predictions, own), dtype="int32"), axis=-1)
        return _weighted(ops.less(larger, self.k), weights)


@dataclass(frozen=True)
class ConfusionMatrix(Metric):
    """Counts by (target, predicted class): predictions (..., classes), targets (...) class numbers."""

    classes: int = 2

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"matrix": (self.classes, self.classes)}

    def sums(self, predictions: Array, targets: Array, weights: Array | None) -> State:
        if spec_of(predictions).shape[-1] != self.classes:
            raise EngineError(f"expected scores of {self.classes} classes, received {spec_of(predictions)}")
        scores = ops.reshape(predictions, shape=(-1, self.classes))
        wanted = _one_hot(ops.reshape(targets, shape=(-1,)), scores)
        found = _one_hot(ops.argmax(scores, axis=-1), scores)
        if weights is not None:
            wanted = wanted * ops.reshape(weights, shape=(-1, 1))
        return {"matrix": ops.matmul(ops.transpose(wanted, axes=(1, 0)), found)}

    def compute(self, state: State) -> Array:
        return state["matrix"]


@dataclass(frozen=True)
class _ByClass(ConfusionMatrix):
    """Base of what follows from true positives, predictions and targets of each class.

    Args:
        classes: how many.
        average: "macro", the mean over classes; "micro", of all together; None for each class.
    """

    average: str | None = "macro"

    def __post_init__(self) -> None:
        if self.average not in ("macro", "micro", None):
            raise EngineError(f"expected the average macro, micro or None, received {self.average!r}")

    def compute(self, state: State) -> Array:
        matrix = state["matrix"]
        identity = ops.created(ops.eye, matrix, n_rows=self.classes, dtype="float32")
        hits, predicted, actual = ops.sum(matrix * identity, axis=0), ops.sum(matrix, axis=0), ops.sum(matrix, axis=1)
        if self.average == "micro":
            hits, predicted, actual = ops.sum(hits), ops.sum(predicted), ops.sum(actual)
        figure = self.figure(hits, predicted, actual)
        return ops.mean(figure) if self.average == "macro" else figure

    def figure(self, hits: Array, predicted: Array, actual: Array) -> Array:
        """The figure of counts; 0 where it would be 0 / 0."""
        raise NotImplementedError


def _ratio(above: Array, below: Array) -> Array:
    return above / ops.where(ops.greater(below, 0), below, 1.0)


@dataclass(frozen=True)
class Precision(_ByClass):
    """How many of the predictions of a class are right."""

    def figure(self, hits: Array, predicted: Array, actual: Array) -> Array:
        return _ratio(hits, predicted)


@dataclass(frozen=True)
class Recall(_ByClass):
    """How many of the targets of a class are found."""

    def figure(self, hits: Array, predicted: Array, actual: Array) -> Array:
        return _ratio(hits, actual)


@dataclass(frozen=True)
class F1(_ByClass):
    """The harmonic mean of precision and recall: 2 · hits / (predicted + actual)."""

    def figure(self, hits: Array, predicted: Array, actual: Array) -> Array:
        return _ratio(2 * hits, predicted + actual)


@dataclass(frozen=True)
class MSE(Metric):
    """The mean of (prediction - target)²."""

    def sums(self, predictions: Array, targets: Array, weights: Array | None) -> State:
        return _weighted(ops.square(predictions - targets), weights)


@dataclass(frozen=True)
class MAE(Metric):
    """The mean of |prediction - target|."""

    def sums(self, predictions: Array, targets: Array, weights: Array | None) -> State:
        return _weighted(ops.abs(predictions - targets), weights)


@dataclass(frozen=True)
class R2(Metric):
    """1 - (sum of squared errors) / (sum of squared distances of the targets from their mean)."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(("errors", "targets", "squares", "count"), ())

    def sums(self, predictions: Array, targets: Array, weights: Array | None) -> State:
        errors, sums = _weighted(ops.square(predictions - targets), weights), _weighted(targets, weights)
        squares = _weighted(ops.square(targets), weights)
        return {
            "errors": errors["total"],
            "targets": sums["total"],
            "squares": squares["total"],
            "count": sums["count"],
        }

    def compute(self, state: State) -> Array:
        return 1 - state["errors"] / (state["squares"] - state["targets"] * state["targets"] / state["count"])


@dataclass(frozen=True)
class Perplexity(Metric):
    """exp of the mean of -log p(target): predictions (..., classes) logits, targets (...) class numbers.

    Args:
        ignore_index: a target that does not count.
    """

    ignore_index: int | None = None

    def sums(self, predictions: Array, targets: Array, weights: Array | None) -> State:
        surprise = -ops.sum(ops.log_softmax(predictions, axis=-1) * _one_hot(targets, predictions), axis=-1)
        if self.ignore_index is not None:
            counted = ops.astype(ops.not_equal(targets, self.ignore_index), dtype="float32")
            weights = counted if weights is None else weights * counted
        return _weighted(surprise, weights)

    def compute(self, state: State) -> Array:
        return ops.exp(state["total"] / state["count"])


def _integers(x: Array) -> Array:
    return ops.astype(x, dtype="int32")


def _one_hot(indices: Array, like: Array) -> Array:
    """Ones at the indices along a new last axis as long as that of ``like``; nothing for one outside of it."""
    classes = spec_of(like).shape[-1]
    numbers = ops.created(ops.arange, like, stop=classes, dtype="int32")
    indices = ops.reshape(_integers(indices), shape=(*spec_of(indices).shape, 1))
    return ops.astype(ops.equal(indices, numbers), dtype=spec_of(like).dtype)


__all__ = [
    "F1",
    "MAE",
    "MSE",
    "R2",
    "Accuracy",
    "ConfusionMatrix",
    "Mean",
    "Metric",
    "Perplexity",
    "Precision",
    "Recall",
    "TopKAccuracy",
]
