"""Samples of random operations; the oracle is ``jax.random``: one key gives the same numbers in every framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.draw import BATCH, Draw, Sample


def key(d: Draw) -> np.ndarray:
    return d.rng.integers(0, 2**32, 2).astype(np.uint32)


def keyed(*attributes: dict[str, Any]) -> Callable[[Draw], list[Sample]]:
    return lambda d: [((key(d),), each) for each in attributes]


def jax_random(name: str) -> Callable[..., np.ndarray]:
    def oracle(key: np.ndarray, *args: Any, **attributes: Any) -> np.ndarray:
        import jax

        names = {"low": "minval", "high": "maxval"}
        typed = jax.random.wrap_key_data(key, impl="threefry2x32")
        attributes = {names.get(word, word): value for word, value in attributes.items()}
        found = getattr(jax.random, name)(typed, *args, **attributes)
        is_key = jax.dtypes.issubdtype(found.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(found) if is_key else found)

    return oracle


def _erfinv(x: np.ndarray) -> np.ndarray:
    import torch

    return torch.erfinv(torch.from_numpy(x)).numpy()


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    "random_bits": keyed({}, {"shape": (BATCH, 3)}),
    "random_split": keyed({}, {"num": 7}),
    "random_fold_in": lambda d: [((key(d), d.i(low=-(2**31), high=2**31, dtype="int32")), {}), ((key(d), 3), {})],
    "random_uniform": keyed({}, {"shape": (BATCH, 3)}, {"shape": (BATCH,), "low": -2.0, "high": 3.0}),
    "random_integers": keyed(
        {"low": -3, "high": 4, "shape": ()},
        {"low": 0, "high": 2**31 - 1, "shape": (BATCH, 3)},
        {"low": -(2**31), "high": 2**31 - 1, "shape": (BATCH,)},
    ),
    "erfinv": lambda d: [((d.f(BATCH, 3, low=-0.95, high=0.95),), {}), ((np.asarray(0.0),), {})],
}

ORACLES: dict[str, Callable[..., Any]] = {
    "random_bits": jax_random("bits"),
    "random_split": jax_random("split"),
    "random_fold_in": jax_random("fold_in"),
    "random_uniform": jax_random("uniform"),
    "random_integers": jax_random("randint"),
    "erfinv": _erfinv,
}
