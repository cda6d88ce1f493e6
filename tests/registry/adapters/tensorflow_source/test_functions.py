"""Functions of TensorFlow into every framework: results and gradients are those of the function itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import ivyhub
from ivyhub.errors import CaptureError, IvyhubError, UnsupportedOpsError
from ivyhub.registry.adapters.tensorflow.rules.common import number
from tests.registry.adapters.tensorflow_source.functions import ARRAYS, LINALG, LISTS, MATH, NN
from tests.registry.adapters.tensorflow_source.functions_more import IMAGES, ORDER, SPECIAL

FAMILIES = {"math": MATH, "arrays": ARRAYS, "linalg": LINALG, "nn": NN, "lists": LISTS}
FAMILIES |= {"special": SPECIAL, "order": ORDER, "images": IMAGES}
CASES = {f"{family}: {name}": case for family, cases in FAMILIES.items() for name, case in cases.items()}

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
@pytest.mark.parametrize("to", ["numpy", pytest.param("torch", marks=pytest.mark.slow)])
def test_operations(name: str, to: str, rng: np.random.Generator) -> None:
    function, draw = CASES[name]
    assert_same(function, draw(rng), to)


DIFFERENTIATED = ("math: activations", "linalg: products", "nn: volumes", "nn: pools", "nn: losses", "lists: maps")


@pytest.mark.parametrize("name", [*DIFFERENTIATED, "images: sizes", "images: windows"])
def test_gradients(name: str, rng: np.random.Generator) -> None:
    """By the first argument, of the sum of all results times random numbers."""
    import torch

    function, draw = CASES[name]
    arrays = draw(rng)
    tensors = [tf.constant(array) for array in arrays]
    found = ivyhub.transpile(function, to="torch", args=tensors)
    weights = [rng.standard_normal(leaf.shape).astype(np.float32) for leaf in tf.nest.flatten(function(*tensors))]
    with tf.GradientTape() as tape:
        tape.watch(tensors[0])
        leaves = tf.nest.flatten(function(*tensors))
        total = tf.add_n([tf.reduce_sum(leaf * w) for leaf, w in zip(leaves, weights, strict=True)])
    x, *others = (torch.from_numpy(array) for array in arrays)
    x.requires_grad_()
    results = found(x, *others)
    sum((leaf * torch.from_numpy(w)).sum() for leaf, w in zip(results, weights, strict=True)).backward()
    assert x.grad is not None
    assert_close(np.asarray(tape.gradient(total, tensors[0])), x.grad.numpy(), "gradient")


def controlled(x: Any, steps: int = 3) -> dict[str, Any]:
    y = tf.nn.tanh(x)
    if tf.reduce_sum(y) > 0:
        y = y * 2.0
    shown = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
    for i in tf.range(steps):
        y = y + tf.cast(i, tf.float32) * x
        shown = shown.write(i, y)
    count = tf.constant(0)
    while tf.reduce_sum(tf.abs(y)) < 1e4:
        y, count = y * 1.7, count + 1
    return {"y": y, "count": count, "shown": shown.stack(), "rows": tf.reshape(y, (tf.shape(x)[0] * 2, -1))}


@pytest.mark.parametrize("to", ["numpy", "torch", "jax", "tensorflow"])
def test_control_flow_and_open_sizes(to: str, rng: np.random.Generator) -> None:
    found = ivyhub.transpile(controlled, to=to, args=(tf.TensorSpec((None, 4)),), dynamic={"x": {0: "n"}})
    for size in (1, 3):
        x = (rng.uniform(0.5, 1.5, (size, 4)) * rng.choice([-1, 1])).astype(np.float32)
        expected, received = controlled(tf.constant(x)), found(native(to, x))
        for name, leaf in expected.items():
            assert_close(np.asarray(leaf), as_numpy(received[name]), f"{name} of {size}")


class Stateful(tf.Module):
    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.layers = [tf.Variable(rng.standard_normal((4, 4)).astype(np.float32)) for _ in range(2)]
        self.calls = tf.Variable(0.0, trainable=False)

    def __call__(self, x: Any) -> Any:
        self.calls.assign_add(1.0)
        for weight in self.layers:
            x = tf.nn.tanh(x @ weight)
        return x


def test_modules_have_their_variables(rng: np.random.Generator) -> None:
    module = Stateful(rng)
    graph = ivyhub.trace(module, tf.TensorSpec((None, 4)), dynamic={"x": {0: "n"}})
    assert {path: p.trainable for path, p in graph.parameters()} == {"calls": False, "layers.0": True, "layers.1": True}
    assert list(graph.updates) == ["calls"]
    found = ivyhub.transpile(module, to="torch", args=(tf.TensorSpec((None, 4)),), dynamic={"x": {0: "n"}}, verify=True)
    x = rng.standard_normal((3, 4)).astype(np.float32)
    assert_close(np.asarray(module(tf.constant(x))), as_numpy(found(native("torch", x))), "result")


def test_every_operation_without_a_rule_is_named_with_its_line() -> None:
    def unknown(x: Any) -> Any:
        y = tf.math.betainc(x, x, x)
        return tf.math.special.dawsn(y)

    with pytest.raises(UnsupportedOpsError) as error:
        ivyhub.trace(unknown, tf.TensorSpec((3,)))
    assert [op for op, _, _ in error.value.missing] == ["Betainc", "Dawsn"]
    assert all("test_functions.py:" in line for _, _, line in error.value.missing)


def _reads_a_file(x: Any) -> Any:
    return x + tf.io.decode_raw(tf.io.read_file("weights"), tf.float32)


def _runs_python(x: Any) -> Any:
    return tf.numpy_function(np.sin, [x], tf.float32)


def _depends_on_values(x: Any) -> Any:
    return tf.reshape(x, (tf.cast(x[0], tf.int32), -1))


def _old_function(x: Any) -> Any:
    """TensorFlow's loss calls a function of its first version."""
    logits, lengths = tf.tile(x[None, None], (3, 4, 1)), tf.constant([4, 4, 4])
    return tf.nn.ctc_loss(tf.constant([[1, 2]] * 3), logits, lengths // 2, lengths, False, blank_index=0)


@tf.custom_gradient
def _own_gradient(x: Any) -> Any:
    return x * 2.0, lambda dy: dy * 7.0


@tf.function
def _grows(x: Any) -> Any:
    found = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
    while tf.reduce_sum(x) < 9.0:
        x = x + 1.0
        found = found.write(found.size(), x)
    return found.stack()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (_grows, "grows in a loop"),
        (_reads_a_file, "ReadFile.*test_functions.py"),
        (_runs_python, "PyFunc.*test_functions.py"),
        (_depends_on_values, "depends on the values"),
        (_own_gradient, "gradient of its own"),
        (_old_function, "a function that TensorFlow made in its old way"),
    ],
)
def test_what_a_graph_cannot_do_is_refused(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(IvyhubError, match=words):
        ivyhub.trace(function, tf.TensorSpec((4,)))


def test_arguments_that_do_not_fit() -> None:
    with pytest.raises(CaptureError, match="do not fit"):
        ivyhub.trace(controlled, tf.TensorSpec((4, 4)), tf.TensorSpec((4, 4)), tf.TensorSpec((4, 4)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_are_the_shortest_that_the_dtype_holds(dtype: Any, rng: np.random.Generator) -> None:
    """Also at the ends, where the shortest digits name a number beyond the dtype."""
    limits = np.finfo(dtype)
    assert number(np.asarray(0.1, np.float32)) == 0.1
    for value in (limits.max, limits.min, limits.tiny, dtype(rng.normal())):
        found = number(np.asarray(value, dtype))
        assert dtype(found) == value
        assert abs(found) <= float(limits.max)
