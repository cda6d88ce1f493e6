"""Special functions that NumPy lacks. See `ivyhub.engine.support`."""

from __future__ import annotations

import math

import numpy as np


def zeta(x: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Σ 1 / (k + q)ˣ over all k from 0 on, to the precision of the dtype; no number for x < 1.

    Source: https://dlmf.nist.gov/25.11.E5, the formula of Euler and Maclaurin.
    """
    dtype = np.result_type(x, q)
    x, q = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(q, np.float64))
    with np.errstate(all="ignore"):
        far, found, factor = q + 12, np.zeros(x.shape), x
        for k in range(12):
            found = found + (q + k) ** -x
        found = found + far ** (1 - x) / (x - 1) + far**-x / 2
        for k, bernoulli in enumerate([1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6], 1):
            found = found + bernoulli / math.factorial(2 * k) * factor * far ** (1 - x - 2 * k)
            factor = factor * (x + 2 * k - 1) * (x + 2 * k)
        found = np.where(q <= 0, np.where(q == np.floor(q), np.inf, np.where(x == np.floor(x), found, np.nan)), found)
        return np.where(x == 1, np.inf, np.where(x < 1, np.nan, found)).astype(dtype)


def igamma(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The regularized lower incomplete gamma function, to the precision of the dtype."""
    return _incomplete_gamma(a, x, upper=False)


def igammac(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The regularized upper incomplete gamma function, to the precision of the dtype."""
    return _incomplete_gamma(a, x, upper=True)


def _incomplete_gamma(a: np.ndarray, x: np.ndarray, *, upper: bool) -> np.ndarray:
    """A series for small x, and a continued fraction. Source: https://dlmf.nist.gov/8.11.E4, 8.9.E2."""
    dtype = np.result_type(a, x)
    a, x = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    with np.errstate(all="ignore"):
        scale = np.exp(a * np.log(x) - x - np.vectorize(math.lgamma, otypes=[float])(np.where(a > 0, a, 1)))
        small, large = np.where(x < a + 1, x, 0), np.where(x < a + 1, a + 2, x)
        term = series = 1 / a
        fraction = large
        for k in range(1, 400):
            term = term * small / (a + k)
            series = series + term
        for k in range(200, 0, -1):
            fraction = large + (k - a) / (1 + k / fraction)
        lower = np.where(x < a + 1, series * scale, 1 - scale / fraction)
        found = np.where(x < a + 1, 1 - series * scale, scale / fraction) if upper else lower
        found = np.where((a == 0) & (x > 0) | np.isinf(x), 0.0 if upper else 1.0, found)
        found = np.where(x == 0, 1.0 if upper else 0.0, found)
        return np.where((a < 0) | (x < 0) | (a == 0) & (x == 0) | np.isinf(a) & np.isinf(x), np.nan, found).astype(
            dtype
        )
