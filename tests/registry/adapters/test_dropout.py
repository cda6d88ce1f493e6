"""Dropout of an export is random: each layer, each call and each seed draws its own mask."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ivyhub
from ivyhub.registry.export import import_package
from tests.registry.adapters.zoo import Example, write_package

TARGETS = ("torch", "jax", "flax.linen", "tensorflow")
SIZE = 4096  # two masks of this size are alike once in 2**4096 draws


class Masks(nn.Module):
    """Three masks: of a layer by itself, and of two equal layers of a list."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Dropout(0.5)
        self.others = nn.ModuleList(nn.Sequential(nn.Dropout(0.5), nn.Identity()) for _ in range(2))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [self.first(x), *(other(x) for other in self.others)]


def draw(model: Any, framework: str, seed: int) -> list[np.ndarray]:
    """What the model returns in training mode for an array of ones."""
    if framework == "torch":
        return [mask.numpy() for mask in model.train()(torch.ones(SIZE))]
    if framework == "tensorflow":
        import tensorflow as tf

        return [mask.numpy() for mask in model(tf.ones(SIZE), training=True)]
    import jax

    ones = jax.numpy.ones(SIZE)
    if framework == "flax.linen":
        module, variables = model
        rngs = {"dropout": jax.random.key(seed)}
        return [np.asarray(mask) for mask in module.apply(variables, ones, deterministic=False, rngs=rngs)]
    model.train()
    return [np.asarray(mask) for mask in model(ones)]


@pytest.mark.parametrize("target", TARGETS)
def test_masks_differ_between_layers_and_calls(target: str, rng: np.random.Generator) -> None:
    model = ivyhub.transpile(Masks(), to=target, args=(torch.ones(SIZE),))
    seeds = rng.choice(2**31, size=2, replace=False)
    masks = [mask for seed in seeds for mask in draw(model, target, int(seed))]
    assert len(masks) == 6
    for mask in masks:
        assert set(np.unique(mask)) == {0.0, 2.0}
        assert abs(mask.mean() - 1) < 0.1  # six standard deviations of a mean of 4096
    for one, other in itertools.combinations(masks, 2):
        assert not np.array_equal(one, other)


class Channels(nn.Module):
    """A layer that drops whole channels, called with numbers that lie in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout2d(0.5)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [self.drop(x.reshape(8, SIZE // 32, 2, 2)).reshape(-1)]


@pytest.mark.parametrize("target", TARGETS)
def test_whole_channels_are_dropped(target: str, rng: np.random.Generator) -> None:
    model = ivyhub.transpile(Channels(), to=target, args=(torch.ones(SIZE),))
    (mask,) = draw(model, target, int(rng.integers(2**31)))
    channels = mask.reshape(-1, 4)
    assert set(np.unique(channels)) == {0.0, 2.0}
    assert (channels == channels[:, :1]).all()
    assert abs(channels[:, 0].mean() - 1) < 0.2  # six standard deviations of a mean of 1024


def test_masks_of_nnx_follow_the_seed(tmp_path: Path, rng: np.random.Generator) -> None:
    folder = write_package(Example(Masks(), (torch.ones(SIZE),), {}), "jax", tmp_path / "masks")
    load = import_package(folder).load
    one, other = (int(seed) for seed in rng.choice(2**31, size=2, replace=False))
    first, again, different = (draw(load(seed=seed), "jax", 0) for seed in (one, one, other))
    for a, b, c in zip(first, again, different, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
