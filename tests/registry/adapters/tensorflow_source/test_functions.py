"""Functions of TensorFlow into every framework: results and gradients are those of the function itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import ivyhub
from tests.registry.adapters.tensorflow_source.functions import ARRAYS, LINALG, MATH, NN

CASES = {
    f"{family}: {name}": case
    for family, cases in {"math": MATH, "arrays": ARRAYS, "linalg": LINALG, "nn": NN}.items()
    for name, case in cases.items()
}

# float32 has 24 bits; the longest sums here are of some hundred terms, and decompositions lose one decimal digit.
TOLERANCE = 3e-5


def native(to: str, array: np.ndarray) -> Any:
    if to == "torch":
        import torch

        return torch.from_numpy(array)
    if to == "jax":
        import jax.numpy as jnp

        return jnp.asarray(array)
    return tf.constant(array) if to == "tensorflow" else array


def as_numpy(leaf: Any) -> np.ndarray:
    return leaf.detach().numpy() if hasattr(leaf, "detach") else np.asarray(leaf)


def assert_close(expected: np.ndarray, received: np.ndarray, what: str) -> None:
    assert expected.shape == received.shape, what
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    error = np.abs(expected.astype(np.float64) - received.astype(np.float64)).max(initial=0.0) / scale
    assert error <= TOLERANCE, f"{what}: {error}"


def assert_same(function: Callable[..., Any], arrays: Sequence[np.ndarray], to: str) -> Any:
    """Transpile a function and compare the results at arrays."""
    tensors = [tf.constant(array) for array in arrays]
    found = ivyhub.transpile(function, to=to, args=tensors)
    expected, received = tf.nest.flatten(function(*tensors)), found(*(native(to, array) for array in arrays))
    received = [received] if hasattr(received, "shape") else received
    assert len(expected) == len(received)
    for place, (a, b) in enumerate(zip(expected, received, strict=True)):
        assert_close(np.asarray(a), as_numpy(b), f"result {place}")
    return found


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("to", ["numpy", "torch"])
def test_operations(name: str, to: str, rng: np.random.Generator) -> None:
    function, draw = CASES[name]
    assert_same(function, draw(rng), to)
