"""What NumPy lacks. See `ivyhub.engine.support`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, to the precision of x's dtype.

    Source: for float32 and less, the rational approximation of Eigen and XLA (error below 2 units in the last place).
    """
    if x.dtype == np.float64:
        return np.vectorize(math.erf, otypes=[np.float64])(x)
    x = np.clip(x.astype(np.float32), -4, 4)
    square = x * x
    upper = np.float32(-2.72614225801306e-10)
    for coefficient in (
        *(2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05),
        *(-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02),
    ):
        upper = upper * square + np.float32(coefficient)
    lower = np.float32(-1.45660718464996e-05)
    for coefficient in (-2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02):
        lower = lower * square + np.float32(coefficient)
    return x * upper / lower


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """exp(x) / Σ exp(x) over an axis, without overflow."""
    y = np.exp(x - x.max(axis=axis, keepdims=True))
    return y / y.sum(axis=axis, keepdims=True)


def attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    scale: float | None = None,
    causal: bool = False,
) -> np.ndarray:
    """Scaled dot-product attention over arrays of (batch, length, heads, features).

    ``mask`` broadcasts to (batch, heads, queries, keys). It is True where a query attends to a key, or is added to the
    scores. A query that attends to no key gets zeros.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = (query * scale).swapaxes(1, 2) @ key.transpose(0, 2, 3, 1)
    if causal:
        mask = np.tri(query.shape[1], key.shape[1], dtype=bool)
    if mask is None:
        weights = softmax(scores)
    else:
        if mask.dtype != bool:
            scores, mask = scores + mask, mask != -np.inf
        weights = np.where(mask, softmax(np.where(mask, scores, np.finfo(scores.dtype).min)), 0)
    return (weights @ value.swapaxes(1, 2)).swapaxes(1, 2)


def at_set(x: np.ndarray, indices: Sequence[np.ndarray | None], values: np.ndarray | float) -> np.ndarray:
    """x with ``x[indices]`` replaced by values, None standing for an axis taken whole."""
    result = x.copy()
    result[tuple(slice(None) if each is None else each for each in indices)] = values
    return result


def at_add(x: np.ndarray, indices: Sequence[np.ndarray | None], values: np.ndarray | float) -> np.ndarray:
    """x with values added to ``x[indices]``; where a position comes twice, both are added."""
    result = x.copy()
    np.add.at(result, tuple(slice(None) if each is None else each for each in indices), values)
    return result
