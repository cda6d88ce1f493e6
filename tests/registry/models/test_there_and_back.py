"""A model of one framework, as a model of another, and back: the same graph, names and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.engine.passes.difference import differences
from ivyhub.registry.adapters.source import capture_source
from tests.arrays import as_numpy, native
from tests.registry.models.test_matrix import TARGETS, example

FRAMEWORK = {"torch": "torch", "nnx": "jax", "linen": "jax", "keras": "tensorflow"}
ROUTES = (("torch", "nnx"), ("nnx", "torch"), ("keras", "torch"), ("linen", "torch"), ("torch", "keras"))
FAST = (("mlp", "torch", "nnx"), ("mlp", "keras", "torch"))
MODELS = [
    *(("mlp", *route) for route in ROUTES),
    *(("vit", *route) for route in ROUTES),
    ("generator", "torch", "nnx"),
    ("generator", "nnx", "torch"),
    ("generator", "linen", "torch"),
    ("generator", "torch", "keras"),
    ("generator", "keras", "torch"),
    ("unet", "torch", "keras"),
    ("unet", "keras", "torch"),
    ("resnet", "torch", "nnx"),
    ("resnet", "nnx", "torch"),
    ("tagger", "keras", "torch"),
]


def _marked(name: str, source: str, through: str) -> Any:
    row = (name, source, through)
    return pytest.param(*row, marks=[] if row in FAST else [pytest.mark.sweep])


def _arrays(model: Any, args: Any, dynamic: Any) -> dict[str, np.ndarray]:
    found = capture_source(model, args, {}, dynamic)
    return {name: np.asarray(as_numpy(array)) for name, array in found.tensors.items()}


@pytest.mark.parametrize(("name", "source", "through"), [_marked(*row) for row in MODELS])
def test_a_model_comes_back(name: str, source: str, through: str, rng: np.random.Generator) -> None:
    given = example(name, source, rng)
    graph = ivyhub.trace(given.source, *given.args, dynamic=given.dynamic)
    shapes = [[size if isinstance(size, int) else 3 for size in value.shape] for value in graph.input_values]
    args = [np.zeros(shape, value.dtype) for shape, value in zip(shapes, graph.input_values, strict=True)]
    dynamic = {word: {0: "batch"} for word in graph.inputs}

    def inputs(framework: str) -> tuple[Any, ...]:
        return tuple(native(FRAMEWORK[framework], array) for array in args)

    there = ivyhub.transpile(given.source, to=TARGETS[through], args=given.args, dynamic=given.dynamic)
    back = ivyhub.transpile(there, to=TARGETS[source], args=inputs(through), dynamic=dynamic)
    again = ivyhub.trace(back, *inputs(source), dynamic=dynamic)
    assert {path for path, _ in again.parameters()} == {path for path, _ in graph.parameters()}
    wide = "jax" not in (FRAMEWORK[source], FRAMEWORK[through])
    assert differences(graph, again, widths=wide, through=[FRAMEWORK[through]]) == []
    before, after = _arrays(given.source, given.args, given.dynamic), _arrays(back, inputs(source), dynamic)
    assert before.keys() == after.keys()
    for path, array in before.items():
        np.testing.assert_array_equal(after[path], array, err_msg=path)
