"""Images change their layout where they enter a network and where they leave it, and nowhere between."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import transformers

import ivyhub
from tests.registry.models.test_matrix import example


def _transposes(graph: ivyhub.Graph, to: str) -> int:
    """How often images change between channels second and channels last."""
    return len(re.findall(r"\(0, 2, 3, 1\)|\(0, 3, 1, 2\)", graph.emit(to).source))


@pytest.mark.slow
def test_a_resnet_50_of_torch_is_transposed_at_its_ends() -> None:
    """The architecture as published, with fewer channels."""
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[16, 24, 32, 40], depths=[3, 4, 6, 3])
    graph = ivyhub.trace(transformers.ResNetModel(config), pixel_values=torch.zeros(2, 3, 64, 64))
    assert sum(module.layer == "Conv" for module in graph.modules.values()) == 53
    for to in ("tensorflow", "jax"):
        assert _transposes(graph, to) <= 2  # at the entry, and of the map that it gives


_SWEEP = pytest.mark.sweep


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("nnx", marks=_SWEEP),
        pytest.param("linen", marks=_SWEEP),
        pytest.param("keras", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("name", "ends"), [("resnet", 1), ("unet", 2), ("generator", 2)])
def test_a_network_with_its_channels_last_is_transposed_at_its_ends(
    name: str, ends: int, source: str, rng: np.random.Generator
) -> None:
    given = example(name, source, rng)
    graph = ivyhub.trace(given.source, *given.args, dynamic=given.dynamic)
    assert _transposes(graph, "torch") <= ends


@pytest.mark.sweep
def test_a_convnext_is_transposed_on_both_sides_of_its_convolutions() -> None:
    """Convolutions of PyTorch take channels second, LayerNorm and Linear take them last, and each stands between them.

    So the least is two for each convolution, as torchvision's ConvNeXt has two in a block; where two follow each other
    without a norm (from one stage to the next) there is one fewer: the way round the second is transposed alone.
    """
    import keras
    from keras import layers as L

    def block(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
        y = L.LayerNormalization()(L.DepthwiseConv2D(3, padding="same")(x))
        return L.Add()([x, L.Dense(filters)(L.Activation("gelu")(L.Dense(4 * filters)(y)))])

    x = inputs = keras.Input((16, 16, 3), name="x")
    x = block(block(L.LayerNormalization()(L.Conv2D(8, 4, 4)(x)), 8), 8)
    x = block(L.Conv2D(12, 2, 2)(L.LayerNormalization()(x)), 12)
    model = keras.Model(inputs, L.Dense(5)(L.GlobalAveragePooling2D()(x)))
    assert _transposes(ivyhub.trace(model), "torch") == 2 * 5 - 1
