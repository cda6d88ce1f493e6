"""The kin of Dropout in exports: whole channels and examples, the limit of selu; one draw a call in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import ivyhub
from ivyhub.engine import control_flow, nn, random
from ivyhub.errors import GraphError
from tests.arrays import assert_close
from tests.registry.adapters.test_dropout import TARGETS

SHAPE = (64, 32, 3, 3)
LOW = -1.7580993408473766  # the limit of selu: -scale · alpha
RATE = 0.4

LAYERS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {  # the shape of the mask of each
    "FeatureDropout": (lambda: nn.FeatureDropout(RATE), (64, 32, 1, 1)),
    "FeatureDropout, channels last": (lambda: nn.FeatureDropout(RATE, channel_axis=-1), (64, 1, 1, 3)),
    "AlphaDropout": (lambda: nn.AlphaDropout(RATE), SHAPE),
    "FeatureAlphaDropout": (lambda: nn.FeatureAlphaDropout(RATE), (64, 32, 1, 1)),
    "DropPath": (lambda: nn.DropPath(RATE), (64, 1, 1, 1)),
    "torch.nn.AlphaDropout": (lambda: torch.nn.AlphaDropout(RATE), SHAPE),
    "torch.nn.FeatureAlphaDropout": (lambda: torch.nn.FeatureAlphaDropout(RATE), (64, 32, 1, 1)),
}


def run(model: Any, target: str, x: np.ndarray, *, train: bool, seed: int) -> np.ndarray:
    """What an export returns in a mode."""
    if target == "torch":
        torch.manual_seed(seed)
        return model.train(train)(torch.from_numpy(x)).numpy()
    if target == "tensorflow":
        import tensorflow as tf

        return model(tf.constant(x), training=train).numpy()
    import jax

    if target == "flax.linen":
        module, variables = model
        rngs = {name: jax.random.key(seed + place) for place, name in enumerate(("dropout", "default"))}
        return np.asarray(module.apply(variables, jax.numpy.asarray(x), deterministic=not train, rngs=rngs))
    (model.train if train else model.eval)()
    return np.asarray(model(jax.numpy.asarray(x)))


@pytest.mark.parametrize(
    ("name", "target"),
    [
        *(("FeatureAlphaDropout", target) for target in TARGETS),
        *((name, "torch") for name in LAYERS if name != "FeatureAlphaDropout"),
    ],
)
def test_exports_draw_in_training(name: str, target: str, rng: np.random.Generator) -> None:
    """Each number is dropped or kept by its formula, all under one number of the mask alike."""
    make, mask = LAYERS[name]
    layer = make()
    if isinstance(layer, nn.Module):
        layer.init(random.key(0, "numpy"))
    x = (rng.uniform(0.5, 1.5, size=SHAPE) * rng.choice([-1, 1], size=SHAPE)).astype(np.float32)
    example = x if isinstance(layer, nn.Module) else torch.from_numpy(x)
    model = ivyhub.transpile(layer, to=target, args=(example,))
    np.testing.assert_array_equal(run(model, target, x, train=False, seed=0), x)
    y = run(model, target, x, train=True, seed=int(rng.integers(2**31)))
    if "Alpha" in name:
        a = ((1 - RATE) * (1 + RATE * LOW**2)) ** -0.5
        kept, lost = a * x - a * LOW * RATE, np.full_like(x, a * LOW * (1 - RATE))
    else:
        kept, lost = x / (1 - RATE), np.zeros_like(x)
    is_kept = np.isclose(y, kept, rtol=1e-5, atol=1e-6)  # a few roundings of float32
    is_lost = np.isclose(y, lost, rtol=1e-5, atol=1e-6)
    axes = tuple(axis for axis, size in enumerate(mask) if size == 1)
    assert (is_kept != is_lost).all()  # no number of x comes near to what is dropped
    whole = is_kept.any(axis=axes, keepdims=True)
    assert (is_kept == whole).all()
    share, count = whole.mean(), whole.size
    assert abs(share - (1 - RATE)) < 8 * (RATE * (1 - RATE) / count) ** 0.5 + 1e-3  # eight standard deviations


NOISE: dict[str, Callable[[], nn.Module]] = {
    "GaussianNoise": lambda: nn.GaussianNoise(0.5),
    "GaussianDropout": lambda: nn.GaussianDropout(0.5),
    "FractionalMaxPool2d": lambda: nn.FractionalMaxPool2d(2, size=3),
}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        *(("GaussianNoise", "torch"), ("GaussianDropout", "torch"), ("FractionalMaxPool2d", "jax")),
        *(pytest.param("GaussianNoise", target, marks=pytest.mark.slow) for target in TARGETS if target != "torch"),
    ],
)
def test_exports_draw_noise_in_training_alone(name: str, target: str, rng: np.random.Generator) -> None:
    layer = NOISE[name]().init(random.key(0, "numpy"))
    x = rng.uniform(0.5, 1.5, size=(64, 32, 5, 5)).astype(np.float32)
    model = ivyhub.transpile(layer, to=target, args=(x,))
    still = run(model, target, x, train=False, seed=0)
    assert_close(still, layer.eval()(x), 1e-6)  # roundings of float32
    first, second = (run(model, target, x, train=True, seed=seed) for seed in rng.choice(2**31, 2, replace=False))
    assert (first != second).any()
    assert (first != still).any()
    if name.startswith("Fractional"):
        assert np.isin(first, x).all()
        return
    noise = (first - x) / 0.5 if name == "GaussianNoise" else first / x - 1
    count = noise.size
    assert abs(noise.mean()) < 8 * count**-0.5  # eight standard deviations, as below
    assert abs(noise.var() - 1) < 8 * (2 / count) ** 0.5
    assert abs(np.mean(noise < 1) - 0.8413447) < 8 * (0.134 / count) ** 0.5 + 1e-4


def test_none_stands_in_a_loop() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            self.drop = nn.FeatureDropout(0.5)

        def forward(self, x: Any) -> Any:
            return control_flow.map(self.drop, x)

    with pytest.raises(GraphError, match="behaves differently in training"):
        Loop().trace(np.zeros((2, 3, 4, 4), np.float32))
