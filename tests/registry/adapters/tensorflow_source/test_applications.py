"""Models of keras.applications with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import keras
import numpy as np
import pytest

import ivyhub
from ivyhub.registry.export import record_of_object

#: Random weights give logits of some hundreds, a softmax of which is one and zeros: nothing would be compared.
OPTIONS = {"weights": None, "input_shape": (32, 32, 3), "classes": 7, "classifier_activation": None}
NAMES = ("ResNet50V2", "MobileNetV3Small", "MobileNetV3Large", "EfficientNetV2B0", "ConvNeXtTiny", "DenseNet121")
#: Transposes that are left, the one at the entry among them. PyTorch's linear layers and layer norms have the channels
#: last and its convolutions have them second: each of ConvNeXt's 18 blocks goes there and back, as torchvision's do.
TRANSPOSES = {"ConvNeXtTiny": 41}


def application(name: str, rng: np.random.Generator) -> Any:
    """A model whose batch statistics matter: they are neither zero nor one."""
    model = getattr(keras.applications, name)(**OPTIONS)
    for variable in model.non_trainable_variables:
        if "moving" in variable.path:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


@pytest.fixture
def precise() -> Iterator[None]:
    """Models compute in float64."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        with jax.enable_x64(True):
            yield
    finally:
        keras.config.set_floatx(before)


@pytest.mark.sweep
@pytest.mark.usefixtures("precise")
@pytest.mark.parametrize("to", ["torch", "jax"])
@pytest.mark.parametrize("name", NAMES)
def test_certificate(name: str, to: str, rng: np.random.Generator) -> None:
    """Outputs, gradients, batch statistics and ten steps of training to nine digits; minutes of one core.

    In float32 an activation that rounding moves across a kink changes every statistic of the layers above.
    """
    found = ivyhub.transpile(application(name, rng), to=to, verify=True)
    record = record_of_object(found)
    assert record is not None
    assert all(row["passed"] for row in record[0].certificate["rows"]), record[0].certificate["rows"]


@pytest.mark.sweep
@pytest.mark.parametrize("name", NAMES)
def test_no_transpose_is_left_inside(name: str, rng: np.random.Generator) -> None:
    graph = ivyhub.trace(application(name, rng))
    assert sum(node.op == "transpose" for node in graph.nodes) == TRANSPOSES.get(name, 1)  # at the entry
    assert ".transpose(" not in graph.emit("jax").source
