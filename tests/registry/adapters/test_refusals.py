"""What no graph can hold is refused, with the user's line and the way out, whatever the source is written in."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.errors import CaptureError

Made = tuple[Any, Any]  # a source and its example input

HERE = r"test_refusals\.py:\d+"


def torch_module() -> Made:
    torch = pytest.importorskip("torch")

    class Branches(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            if x.sum() > 0:
                return x
            return -x

    return Branches(), torch.ones(3)


def jax_function() -> Made:
    jnp = pytest.importorskip("jax.numpy")

    def branches(x: Any) -> Any:
        if x.sum() > 0:
            return x
        return -x

    return branches, jnp.ones(3)


def flax_module() -> Made:
    nnx = pytest.importorskip("flax.nnx")
    function, x = jax_function()
    return type("Branches", (nnx.Module,), {"__call__": lambda self, x: function(x)})(), x


def tensorflow_function() -> Made:
    tf = pytest.importorskip("tensorflow")

    @tf.function(autograph=False)
    def branches(x: Any) -> Any:
        if tf.reduce_sum(x) > 0:
            return x
        return -x

    return branches, tf.ones(3)


def keras_layer() -> Made:
    keras = pytest.importorskip("keras")

    class Branches(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            if keras.ops.sum(x) > 0:
                return x
            return -x

    return Branches(), keras.ops.ones((2, 3))


SOURCES = (torch_module, jax_function, flax_module, tensorflow_function, keras_layer)


@pytest.mark.parametrize("make", SOURCES)
def test_a_branch_on_numbers(make: Callable[[], Made], capfd: pytest.CaptureFixture[str]) -> None:
    source, x = make()
    capfd.readouterr()  # what frameworks print when they start
    with pytest.raises(CaptureError, match=rf"{HERE}: if .*sum\(.*\) > 0:") as caught:
        ivyhub.trace(source, x)
    assert "cond" in caught.value.hint
    told = capfd.readouterr()
    assert told.out + told.err == ""  # the error says it all


def test_a_callback_of_jax() -> None:
    jax = pytest.importorskip("jax")
    x = jax.numpy.ones(3)
    for name in ("pure_callback", "io_callback"):
        callback = getattr(importlib.import_module("jax.experimental"), name, None) or getattr(jax, name)
        with pytest.raises(CaptureError, match=rf"{name} runs Python on the host.*\n.*{HERE}") as caught:
            ivyhub.trace(lambda x, call=callback: call(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x), x)
        assert "pass it in" in caught.value.hint


def test_what_only_shows_is_left_out_and_noted(rng: np.random.Generator) -> None:
    jax = pytest.importorskip("jax")
    from ivyhub.registry.adapters.source import capture_source

    def shows(x: Any) -> Any:
        jax.debug.print("x is {}", x)
        jax.debug.callback(print, x)
        return x + 1

    found = capture_source(shows, (jax.numpy.ones(3),), {}, {})
    assert [note for note in found.notes if "test_refusals.py" in note and "is left out" in note] == found.notes
    assert len(found.notes) == 2
    x = rng.normal(size=3).astype(np.float32)
    np.testing.assert_array_equal(ivyhub.transpile(shows, to="numpy", args=(jax.numpy.ones(3),))(x), x + 1)


def test_outputs_that_change_from_call_to_call() -> None:
    torch = pytest.importorskip("torch")

    class Changes(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, x: Any) -> Any:
            self.calls += 1
            return x if self.calls == 1 else (x, x)

    module = Changes()
    with pytest.raises(CaptureError, match="returns 1 arrays in a first call and 2 in the next, as calls changed"):
        ivyhub.trace(module, torch.ones(3))
    assert module.calls == 0


@pytest.mark.parametrize("changed", [lambda x: (x, x), lambda x: {"y": x}, lambda x: x[1:]])
def test_a_result_of_jax_that_changes_from_call_to_call(changed: Any) -> None:
    jnp = pytest.importorskip("jax.numpy")
    calls: list[int] = []

    def changes(x: Any) -> Any:
        calls.append(1)
        return changed(x) if len(calls) > 1 else x

    with pytest.raises(CaptureError, match=r"Changes returns float32\[3\] in a first call and .* in the next"):
        ivyhub.trace(changes, jnp.ones(3))


def test_arrays_of_another_framework() -> None:
    torch, jnp = pytest.importorskip("torch"), pytest.importorskip("jax.numpy")
    with pytest.raises(CaptureError, match="expected a tensor of PyTorch for 'input', received an array of jax"):
        ivyhub.trace(torch.nn.Linear(2, 2), jnp.ones((1, 2)))
