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


def _parts_of_gamma(d: Draw) -> list[Sample]:
    """On both sides of x = a, where other formulas hold."""
    return [((d.f(BATCH, 3, low=0.3, high=6), d.f(BATCH, 3, low=0.1, high=12)), {})]


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    "lgamma": between_poles,
    "digamma": between_poles,
    "polygamma": lambda d: [((d.f(BATCH, 3, low=0.5, high=9),), {"n": n}) for n in (1, 2, 3)],
    "erfc": lambda d: [((d.f(BATCH, 3, low=-4, high=6),), {})],
    "erfcx": lambda d: [((d.f(BATCH, 5, low=-3, high=9),), {})],
    "ndtri": lambda d: [((d.f(BATCH, 5, low=0.001, high=0.999),), {})],
    "zeta": lambda d: [((d.f(BATCH, 3, low=1.5, high=6), d.f(BATCH, 3, low=0.5, high=6)), {})],
    "igamma": _parts_of_gamma,
    "igammac": _parts_of_gamma,
    **{
        f"bessel_{name}": lambda d, low=low: [((d.f(BATCH, 5, low=low, high=12),), {})]
        for low, names in ((-12, ("i0e", "i1e", "j0", "j1")), (0.5, ("y0", "y1", "k0", "k1", "k0e", "k1e")))
        for name in names
    },
    **{f"bessel_{name}": lambda d: [((d.f(BATCH, 5, low=-9, high=9),), {})] for name in ("i0", "i1")},
}

# What PyTorch has no derivative for.
CONSTANT: dict[str, tuple[int, ...]] = {
    **{f"bessel_{name}": (0,) for name in ("j0", "j1", "y0", "y1", "k0", "k1", "k0e", "k1e")},
    "zeta": (0, 1),
    "igamma": (0,),
    "igammac": (0,),
}

_OF_TORCH = {
    "igamma": "gammainc",
    "igammac": "gammaincc",
    **{f"bessel_{name}": name for name in ("i0", "i0e", "i1", "i1e")},
    **{f"bessel_k{order}": f"modified_bessel_k{order}" for order in (0, 1)},
    **{f"bessel_k{order}e": f"scaled_modified_bessel_k{order}" for order in (0, 1)},
}


def _of_torch(name: str) -> Callable[..., Any]:
    def oracle(*arrays: np.ndarray, **options: Any) -> np.ndarray:
        import torch

        function = getattr(torch, name, None) or getattr(torch.special, _OF_TORCH.get(name, name))
        return function(*options.values(), *map(torch.from_numpy, arrays)).numpy()

    return oracle


ORACLES: dict[str, Callable[..., Any]] = {name: _of_torch(name) for name in SAMPLES}
