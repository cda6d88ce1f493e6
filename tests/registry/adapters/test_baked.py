"""What is no array among the example inputs becomes part of the graph, and is reported by its name."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from flax import linen, nnx

from ivyhub.registry.adapters.source import capture_source

X = np.ones((2, 3), np.float32)


class Torch(torch.nn.Module):
    def forward(self, x: torch.Tensor, scale: float) -> torch.Tensor:
        return x * scale


class NNX(nnx.Module):
    def __call__(self, x: Any, scale: float) -> Any:
        return x * scale


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x: Any, scale: float) -> Any:
        return linen.Dense(3)(x) * scale


class Keras(keras.Model):
    def call(self, x: Any, scale: float = 1.0) -> Any:
        return x * scale


def scaled(x: Any, scale: float) -> Any:
    return x["a"] * scale


SOURCES: dict[str, Any] = {
    "torch": lambda: (Torch(), torch.tensor(X)),
    "nnx": lambda: (NNX(), jnp.asarray(X)),
    "linen": lambda: ((Linen(), Linen().init(jax.random.key(0), X, 2.5)), jnp.asarray(X)),
    "keras": lambda: (Keras(), tf.constant(X)),
    "jax function": lambda: (scaled, {"a": jnp.asarray(X)}),
    "compiled jax function": lambda: (jax.jit(scaled, static_argnames="scale"), {"a": jnp.asarray(X)}),
    "tensorflow function": lambda: (tf.function(scaled), {"a": tf.constant(X)}),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("by_name", [False, True])
def test_a_number_is_reported_by_its_name(source: str, by_name: bool) -> None:
    function, x = SOURCES[source]()
    args, kwargs = ((x,), {"scale": 2.5}) if by_name else ((x, 2.5), {})
    assert "scale=2.5 is baked into the graph" in capture_source(function, args, kwargs, {}).notes
