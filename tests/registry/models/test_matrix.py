"""Nine small models of each framework in every other, certified: outputs, gradients, statistics and steps."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.registry.export import record_of_object
from tests.registry.models.example import NAMES, Example

SOURCES = ("torch", "nnx", "linen", "keras")
TARGETS = {"torch": "torch", "nnx": "jax", "linen": "flax.linen", "keras": "tensorflow"}

MATRIX = [(name, source, target) for name in NAMES for source in SOURCES for target in SOURCES if source != target]
SLOW = (
    ("tagger", "torch", "nnx"),
    ("mlp", "linen", "keras"),
    ("generator", "keras", "torch"),
)


def example(name: str, source: str, rng: np.random.Generator) -> Example:
    return importlib.import_module(f"tests.registry.models.{source}_models").example(name, rng)


def _marked(name: str, source: str, target: str) -> Any:
    """A few models of each framework run before a change lands, all of them in the sweep."""
    return pytest.param(
        name, source, target, marks=pytest.mark.slow if (name, source, target) in SLOW else pytest.mark.sweep
    )


@pytest.mark.parametrize(("name", "source", "target"), [_marked(*row) for row in MATRIX])
def test_a_model_is_certified(name: str, source: str, target: str, rng: np.random.Generator) -> None:
    given = example(name, source, rng)
    found = ivyhub.transpile(given.source, to=TARGETS[target], args=given.args, dynamic=given.dynamic, verify=True)
    record = record_of_object(found)
    assert record is not None
    rows = {row["check"]: row["passed"] for row in record[0].certificate["rows"]}
    assert {"gradients, eval", "gradients, train", "loss of 10 steps"} <= rows.keys()
    assert all(rows.values()), rows
