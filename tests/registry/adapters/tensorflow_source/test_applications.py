"""Models of keras.applications with random weights."""

from __future__ import annotations

import keras
import pytest

import ivyhub
from ivyhub.errors import CaptureError
from ivyhub.registry.export import record_of_object

OPTIONS = {"weights": None, "input_shape": (64, 64, 3), "classes": 7}


@pytest.mark.sweep
def test_certificate() -> None:
    """Outputs, gradients, batch statistics and ten steps of training; four minutes of one core."""
    found = ivyhub.transpile(keras.applications.MobileNetV3Small(**OPTIONS), to="torch", verify=True)
    record = record_of_object(found)
    assert record is not None
    assert all(row["passed"] for row in record[0].certificate["rows"]), record[0].certificate["rows"]


@pytest.mark.sweep
@pytest.mark.parametrize("name", ["MobileNetV3Small", "ResNet50V2", "DenseNet121"])
def test_no_transpose_is_left_inside(name: str) -> None:
    graph = ivyhub.trace(getattr(keras.applications, name)(**OPTIONS))
    assert sum(node.op == "transpose" for node in graph.nodes) == 1  # at the entry


@pytest.mark.sweep
def test_dropout_of_whole_examples_is_refused() -> None:
    with pytest.raises(CaptureError, match="block2b_drop"):
        ivyhub.trace(keras.applications.EfficientNetV2B0(**OPTIONS))
