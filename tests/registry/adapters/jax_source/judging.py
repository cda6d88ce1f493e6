"""Is a transpiled function of JAX the function itself, in results and gradients?"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import ivyhub
from ivyhub.registry.adapters.torch.hub import to_torch
from ivyhub.registry.adapters.torch.trees import to_numpy
from tests.arrays import assert_close

# float32 has 24 bits; short chains of sums lose less than a decimal digit of it, gradients another.
RESULTS, GRADIENTS = 2e-5, 2e-4


def agree_with_jax(function: Callable[..., Any], arrays: Sequence[np.ndarray], to: str) -> None:
    """Assert that the results of a function, and the gradients of their sum of squares, are JAX's in a framework."""
    given = [jnp.asarray(array) for array in arrays]
    native = ivyhub.transpile(function, to=to, args=tuple(given))
    expected = jax.tree.leaves(function(*given))
    trained = [i for i, array in enumerate(arrays) if array.dtype == np.float32]

    def loss(*some: Any) -> Any:
        every = list(given)
        for i, array in zip(trained, some, strict=True):
            every[i] = array
        results = [leaf for leaf in jax.tree.leaves(function(*every)) if jnp.issubdtype(leaf.dtype, jnp.floating)]
        return sum(jnp.sum(leaf**2) for leaf in results)

    gradients = jax.grad(loss, argnums=tuple(range(len(trained))))(*(given[i] for i in trained)) if trained else ()
    found, found_gradients = RUN[to](native, arrays, trained)
    assert len(found) == len(expected)
    for got, want in zip(found, expected, strict=True):
        assert got.shape == want.shape
        if not jnp.issubdtype(want.dtype, jnp.floating):
            np.testing.assert_array_equal(got, want)
            continue
        assert_close(got, want, RESULTS)
    for got, want in zip(found_gradients, gradients, strict=len(found_gradients) > 0):
        assert_close(got, want, GRADIENTS)


def _torch(native: Any, arrays: Sequence[np.ndarray], trained: Sequence[int]) -> Any:
    tensors = [to_torch(array) for array in arrays]
    for i in trained:
        tensors[i].requires_grad_()
    results = jax.tree.leaves(native(*tensors))
    if trained:
        sum((leaf**2).sum() for leaf in results if leaf.is_floating_point()).backward()
    return [to_numpy(leaf) for leaf in results], [to_numpy(tensors[i].grad) for i in trained]


def _tensorflow(native: Any, arrays: Sequence[np.ndarray], trained: Sequence[int]) -> Any:
    import tensorflow as tf

    tensors = [tf.constant(array) for array in arrays]
    with tf.GradientTape() as tape:
        for i in trained:
            tape.watch(tensors[i])
        results = tf.nest.flatten(native(*tensors))
        loss = tf.add_n([tf.reduce_sum(leaf**2) for leaf in results if leaf.dtype.is_floating])
    gradients = tape.gradient(loss, [tensors[i] for i in trained])
    return [leaf.numpy() for leaf in results], [tf.convert_to_tensor(each).numpy() for each in gradients]


def _numpy(native: Any, arrays: Sequence[np.ndarray], trained: Sequence[int]) -> Any:
    return jax.tree.leaves(native(*arrays)), []


RUN: dict[str, Callable[..., Any]] = {"torch": _torch, "tensorflow": _tensorflow, "numpy": _numpy}


def named(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """A function of any arguments as one of ``x0``, ``x1``, ..."""

    def call(*args: Any) -> Any:
        return function(*args)

    parameters = [inspect.Parameter(f"x{i}", inspect.Parameter.POSITIONAL_ONLY) for i in range(count)]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return call
