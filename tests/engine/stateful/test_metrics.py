"""Metrics over random batches against NumPy on all of the data, and Keras where it has the metric."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ivyhub.engine.stateful import metrics
from ivyhub.errors import EngineError
from tests.arrays import as_numpy, assert_close, native

CLASSES = 4


def gathered(metric: metrics.Metric, owner: str, *batches: tuple[np.ndarray, ...]) -> np.ndarray:
    state = metric.init(owner)
    for batch in batches:
        state = metric.update(state, *(native(owner, array) for array in batch))
    return as_numpy(metric.compute(state))


def data(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(rng.normal(size=(n, CLASSES)), rng.integers(0, CLASSES, n).astype(np.int32)) for n in (5, 1, 8)]


def confusion(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    matrix = np.zeros((CLASSES, CLASSES))
    np.add.at(matrix, (targets, scores.argmax(-1)), 1)
    return matrix


def counts(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    matrix = confusion(scores, targets)
    return matrix.diagonal(), matrix.sum(0), matrix.sum(1)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def perplexity(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    return np.exp(-logs[np.arange(len(targets)), targets].mean())


CLASSIFICATION: dict[str, tuple[metrics.Metric, Any]] = {
    "accuracy": (metrics.Accuracy(), lambda s, t: (s.argmax(-1) == t).mean()),
    "top-2": (metrics.TopKAccuracy(2), lambda s, t: (s.argsort(-1)[:, -2:] == t[:, None]).any(-1).mean()),
    "confusion": (metrics.ConfusionMatrix(CLASSES), confusion),
    "precision": (metrics.Precision(CLASSES), lambda s, t: ratio(*counts(s, t)[:2]).mean()),
    "precision of each": (metrics.Precision(CLASSES, None), lambda s, t: ratio(*counts(s, t)[:2])),
    "recall": (metrics.Recall(CLASSES), lambda s, t: ratio(*counts(s, t)[::2]).mean()),
    "recall of all": (metrics.Recall(CLASSES, "micro"), lambda s, t: (s.argmax(-1) == t).mean()),
    "f1": (metrics.F1(CLASSES), lambda s, t: ratio(2 * counts(s, t)[0], counts(s, t)[1] + counts(s, t)[2]).mean()),
    "perplexity": (metrics.Perplexity(), perplexity),
}


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_classification(name: str, framework: str, rng: np.random.Generator) -> None:
    metric, oracle = CLASSIFICATION[name]
    batches = data(rng)
    found = gathered(metric, framework, *batches)
    assert_close(found, oracle(*map(np.concatenate, zip(*batches, strict=True))), 1e-5)


REGRESSION: dict[str, tuple[metrics.Metric, Any]] = {
    "mse": (metrics.MSE(), lambda x, y: ((x - y) ** 2).mean()),
    "mae": (metrics.MAE(), lambda x, y: np.abs(x - y).mean()),
    "r2": (metrics.R2(), lambda x, y: 1 - ((x - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()),
}


@pytest.mark.parametrize("name", REGRESSION)
def test_regression(name: str, framework: str, rng: np.random.Generator) -> None:
    metric, oracle = REGRESSION[name]
    batches = [(rng.normal(size=(n, 3)), rng.normal(size=(n, 3))) for n in (4, 2, 6)]
    found = gathered(metric, framework, *batches)
    # R² subtracts two sums of float32 that are near each other
    assert_close(found, oracle(*map(np.concatenate, zip(*batches, strict=True))), 1e-4)


def test_weights(framework: str, rng: np.random.Generator) -> None:
    x, weights = rng.normal(size=6), rng.uniform(size=6)
    state = metrics.Mean().init(framework)
    state = metrics.Mean().update(state, native(framework, x), weights=native(framework, weights))
    assert_close(metrics.Mean().compute(state), np.average(x, weights=weights), 1e-4)


def test_a_threshold(framework: str) -> None:
    scores, targets = np.array([0.2, 0.7, 0.9, 0.4]), np.array([0, 1, 0, 1], np.int32)
    assert gathered(metrics.Accuracy(0.5), framework, (scores, targets)) == 0.5


def test_targets_that_are_ignored(framework: str, rng: np.random.Generator) -> None:
    scores, targets = rng.normal(size=(6, CLASSES)), np.array([0, -1, 2, 3, -1, 1], np.int32)
    kept = targets >= 0
    found = gathered(metrics.Perplexity(-1), framework, (scores, targets))
    assert_close(found, perplexity(scores[kept], targets[kept]), 1e-5)


def test_bad_settings() -> None:
    with pytest.raises(EngineError, match="macro, micro or None"):
        metrics.F1(3, "weighted")
    metric = metrics.Recall(3)
    with pytest.raises(EngineError, match="scores of 3 classes"):
        metric.update(metric.init("numpy"), np.ones((2, 4)), np.array([0, 1]))
