"""Samples of the functions of the gamma function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.draw import BATCH, Draw, Sample


def between_poles(d: Draw) -> list[Sample]:
    """Numbers on both sides of 0, a fifth away from its and the negative integers' poles."""
    return [
        ((d.f(BATCH, 3, low=0.2, high=9),), {}),
        ((-d.i(BATCH, 3, low=1, high=4) + d.f(BATCH, 3, low=0.2, high=0.8),), {}),
    ]


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    "lgamma": between_poles,
    "digamma": between_poles,
    "polygamma": lambda d: [((d.f(BATCH, 3, low=0.5, high=9),), {"n": n}) for n in (1, 2, 3)],
    "erfc": lambda d: [((d.f(BATCH, 3, low=-4, high=6),), {})],
}


def _of_torch(name: str) -> Callable[..., Any]:
    def oracle(x: np.ndarray, **options: Any) -> np.ndarray:
        import torch

        return getattr(torch, name)(*options.values(), torch.from_numpy(x)).numpy()

    return oracle


ORACLES: dict[str, Callable[..., Any]] = {name: _of_torch(name) for name in SAMPLES}
