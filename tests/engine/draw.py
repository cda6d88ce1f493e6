"""Random arrays for samples of operations.

The axis of size `BATCH` stands for a symbolic one: no other size or attribute has that value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BATCH = 5
FULL = (None, None, None)
Sample = tuple[tuple[Any, ...], dict[str, Any]]


class Draw:
    """Random arrays; floating-point ones in float64."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def f(self, *shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
        return np.asarray(self.rng.uniform(low, high, shape))

    def apart(self, *shape: int) -> np.ndarray:
        """Numbers at least 1/8 from each other and 1/16 from every integer: no rounding reorders them."""
        count = int(np.prod(shape))
        return (self.rng.permutation(np.arange(count) - count // 2).reshape(shape) + 0.5) / 8

    def c(self, *shape: int) -> np.ndarray:
        """Complex numbers in complex128."""
        return self.f(*shape) + 1j * self.f(*shape)

    def i(self, *shape: int, low: int = -9, high: int = 10, dtype: str = "int64") -> np.ndarray:
        return np.asarray(self.rng.integers(low, high, shape)).astype(dtype)

    def b(self, *shape: int) -> np.ndarray:
        return np.asarray(self.rng.integers(0, 2, shape)).astype(bool)
