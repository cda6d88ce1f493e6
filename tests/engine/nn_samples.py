"""Samples of the neural-network operations, and as oracles the functions of PyTorch, JAX, Optax and Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.draw import BATCH, Draw, Sample
from tests.engine.oracles import jax_oracle, torch_oracle


def jax_nn(name: str) -> Callable[..., Any]:
    def function() -> Callable[..., Any]:
        import jax

        return getattr(jax.nn, name)

    return jax_oracle(function)


def _simplex(x: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """The nearest point of the simplex, by bisection: Keras 3.15 gives numbers that do not add up to 1."""
    high = x.max(axis, keepdims=True)
    low = high - 1
    for _ in range(60):
        middle = (low + high) / 2
        above = np.maximum(x - middle, 0).sum(axis, keepdims=True) > 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.maximum(x - low, 0)


def kinked(*options: dict[str, Any]) -> Callable[[Draw], list[Sample]]:
    """Numbers away from the kinks of activations, where frameworks differ in the derivative they choose."""
    return lambda d: [((d.apart(BATCH, 16),), each) for each in ({}, *options)]


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    "softplus": kinked({"beta": 2.0}, {"threshold": 1.0}, {"beta": 0.5, "threshold": 0.3}),
    "softmin": kinked({"axis": 0}),
    "sparsemax": lambda d: [((d.f(BATCH, 6),), {}), ((d.f(BATCH, 4, 3),), {"axis": 1})],
    "threshold": lambda d: [((d.apart(BATCH, 16),), {"threshold": 0.5, "value": -3.0})],
    **dict.fromkeys(("hardshrink", "softshrink"), kinked({"threshold": 1.3})),
    **dict.fromkeys(("tanhshrink", "sparse_plus", "sparse_sigmoid"), kinked()),
    "rrelu": kinked({"lower": 0.1, "upper": 0.5}),
    "squareplus": kinked({"b": 1.5}),
    "prelu": lambda d: [
        ((d.apart(BATCH, 3, 4), d.f(3)), {}),
        ((d.apart(BATCH, 4, 3), d.f(3)), {"channel_axis": -1}),
        ((d.apart(BATCH, 4), d.f(1)), {}),
        ((d.apart(4), d.f(1)), {}),
        ((d.apart(4), d.f()), {}),
    ],
    "glu": lambda d: [((d.f(BATCH, 6),), {}), ((d.f(BATCH, 4, 3),), {"axis": 1})],
    "standardize": lambda d: [
        ((d.f(BATCH, 6),), {}),
        ((d.f(BATCH, 4, 3),), {"axis": 1, "eps": 1e-3}),
        ((d.f(BATCH, 4, 3),), {"axis": (1, 2)}),
    ],
}

ORACLES: dict[str, Callable[..., Any]] = {
    **{
        name: torch_oracle(f"nn.functional.{name}", rename={"threshold": "lambd"})
        for name in ("hardshrink", "softshrink")
    },
    **{name: torch_oracle(f"nn.functional.{name}") for name in ("softplus", "threshold", "tanhshrink", "rrelu")},
    **{name: torch_oracle(f"nn.functional.{name}", rename={"axis": "dim"}) for name in ("glu",)},
    "softmin": lambda x, *, axis=-1: torch_oracle("nn.functional.softmin")(x, dim=axis),
    "prelu": lambda x, weight, *, channel_axis=1: np.moveaxis(
        torch_oracle("nn.functional.prelu")(np.moveaxis(x, channel_axis, 1) if x.ndim > 1 else x, weight),
        *(1, channel_axis) if x.ndim > 1 else (0, 0),
    ),
    **{name: jax_nn(name) for name in ("squareplus", "sparse_plus", "sparse_sigmoid")},
    "standardize": lambda x, *, axis=-1, eps=1e-5: jax_nn("standardize")(x, axis=axis, epsilon=eps),
    "sparsemax": _simplex,
}
"""What a primitive is compared with, in float64."""
