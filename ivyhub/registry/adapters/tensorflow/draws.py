"""The random numbers of Keras layers, as a certificate has them (see ``adapters/draws.py``)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from typing import Any

from ..draws import integers, numbers, replaced


@contextlib.contextmanager
def fixed_draws() -> Generator[None]:
    """While entered, what is drawn by a seed generator are the numbers of a certificate."""
    import keras
    import tensorflow as tf

    def instead(draw: Callable[..., Any], fixed: Callable[..., Any]) -> Callable[..., Any]:
        def drawn(shape: Sequence[int], *args: Any, dtype: Any = None, seed: Any = None) -> Any:
            if not isinstance(seed, keras.random.SeedGenerator):
                return draw(shape, *args, dtype=dtype, seed=seed)
            return tf.cast(fixed([int(size) for size in shape], *args), dtype)

        return drawn

    draws = {
        "uniform": instead(keras.random.uniform, lambda shape: numbers("uniform", shape)),
        "normal": instead(keras.random.normal, lambda shape: numbers("normal", shape)),
        "randint": instead(keras.random.randint, integers),
    }
    with replaced(keras.random, draws):
        yield


__all__ = ["fixed_draws"]
