"""The random numbers of Flax modules, as a certificate has them (see ``adapters/draws.py``).

What a module takes from its own stream is replaced; draws of keys that are arguments or parts of a program stay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from typing import Any

from ..draws import integers, numbers, replaced

_STREAM = object()  # stands for any key of a stream


@contextlib.contextmanager
def fixed_draws() -> Generator[None]:
    """While entered, what a module draws by a key of its stream are the numbers of a certificate."""
    import jax
    import jax.numpy as jnp
    from flax import linen, nnx

    def instead(draw: Callable[..., Any], fixed: Callable[..., Any]) -> Callable[..., Any]:
        def drawn(key: Any, *args: Any, **kwargs: Any) -> Any:
            return fixed(*args, **kwargs) if key is _STREAM else draw(key, *args, **kwargs)

        return drawn

    def uniform(shape: Sequence[int] = (), dtype: Any = jnp.float32) -> Any:
        return jnp.asarray(numbers("uniform", shape), dtype)

    def normal(shape: Sequence[int] = (), dtype: Any = jnp.float32) -> Any:
        return jnp.asarray(numbers("normal", shape), dtype)

    def randint(shape: Sequence[int], low: int, high: int, dtype: Any = jnp.int32) -> Any:
        return jnp.asarray(integers(shape, low, high), dtype)

    draws = {
        "uniform": instead(jax.random.uniform, uniform),
        "normal": instead(jax.random.normal, normal),
        "randint": instead(jax.random.randint, randint),
    }
    make = linen.Module.make_rng

    def make_rng(module: Any, name: str = "params") -> Any:
        return _STREAM if name == "default" else make(module, name)

    with (
        replaced(jax.random, draws),
        replaced(nnx.Rngs, {"__call__": lambda rngs: _STREAM}),
        replaced(linen.Module, {"make_rng": make_rng}),
    ):
        yield


__all__ = ["fixed_draws"]
