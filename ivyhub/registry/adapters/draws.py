"""What a certificate puts in the place of random numbers, in an original and in its export alike.

Two models that draw cannot be compared, and two that are given the same numbers can. Which numbers a draw gets depends
on its distribution and shape alone, so that the order in which a model draws does not matter.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

FIXED: ContextVar[bool] = ContextVar("ivyhub_fixed_draws", default=False)
"""Whether reading rules that draw give the numbers of a certificate."""


def numbers(kind: str, shape: Sequence[Any]) -> np.ndarray:
    """The numbers of draws of a distribution and shape, in float64.

    Args:
        kind: "uniform" on 0 <= x < 1, or "normal".
        shape: of the draw.

    Example:
        >>> numbers("uniform", (2,)).round(3)
        array([0.635, 0.67 ])
    """
    rng = np.random.default_rng([zlib.crc32(kind.encode()), *map(int, shape)])
    # Away from both ends, where logarithms and tangents are steep; bfloat16 rounds none of them to 1.
    return rng.uniform(2**-8, 1 - 2**-8, shape) if kind == "uniform" else rng.standard_normal(shape)


def integers(shape: Sequence[Any], low: int, high: int) -> np.ndarray:
    """The same for uniform integers, low <= x < high, in int64."""
    return low + np.floor(numbers("uniform", shape) * float(high - low)).astype(np.int64)


@contextlib.contextmanager
def replaced(owner: Any, functions: Mapping[str, Callable[..., Any]]) -> Generator[None]:
    """While entered, attributes of an object are others."""
    before = {word: getattr(owner, word) for word in functions}
    try:
        for word, function in functions.items():
            setattr(owner, word, function)
        yield
    finally:
        for word, function in before.items():
            setattr(owner, word, function)


__all__ = ["FIXED", "integers", "numbers", "replaced"]
