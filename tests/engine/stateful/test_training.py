"""Models written once, trained in every framework: one loss curve, that of the same model written natively."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from ivyhub.engine import nn, ops, random
from ivyhub.engine.compilation import jit
from ivyhub.engine.stateful import optimizers as optim
from ivyhub.engine.stateful import schedules
from tests.arrays import as_numpy, native
from tests.engine.stateful.models import MODELS

STEPS = 100
OPTIMIZERS = {
    "mlp": optim.Adam(1e-2),
    "cnn": optim.SGD(0.05, momentum=0.9, nesterov=True),
    "transformer": optim.AdamW(schedules.warmup_cosine(1e-2, 10, STEPS), weight_decay=0.1),
    "lstm": optim.Adam(1e-2),
}


def loss(model: nn.Module, x: Any, y: Any) -> Any:
    return ops.cross_entropy(model(x), y)


Step = Callable[[nn.Module, Any, Any, Any], tuple[nn.Module, Any, Any]]


def training_step(optimizer: optim.Optimizer) -> Step:
    def step(model: nn.Module, state: Any, x: Any, y: Any) -> tuple[nn.Module, Any, Any]:
        value, gradient = nn.value_and_grad(loss)(model, x, y)
        model, state = optimizer.update(model, nn.clip_by_global_norm(gradient, 1.0), state)
        return model, state, value

    return step


def curve(name: str, owner: str, seed: int, x: np.ndarray, y: np.ndarray, *, compiled: bool) -> Iterator[float]:
    """The losses of a training that starts from one key, dropout and all."""
    optimizer = OPTIMIZERS[name]
    model = MODELS[name][0]().init(random.key(seed, owner))
    step = training_step(optimizer)
    step = jit(step) if compiled else step
    state, data = optimizer.init(model), (native(owner, x), native(owner, y))
    for _ in range(STEPS):
        model, state, value = step(model, state, *data)
        yield float(as_numpy(value))


def batch(name: str, rng: np.random.Generator) -> tuple[int, np.ndarray, np.ndarray]:
    x = MODELS[name][1](rng)
    return int(rng.integers(2**31)), x, rng.integers(0, 3, len(x)).astype(np.int32)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_one_curve_in_every_framework(name: str, rng: np.random.Generator) -> None:
    data = batch(name, rng)
    curves = {
        owner: [*curve(name, owner, *data, compiled=owner != "torch")] for owner in ("torch", "jax", "tensorflow")
    }
    assert curves["torch"][-1] < 0.5 * curves["torch"][0]  # it learns its batch
    for owner, found in curves.items():
        # The bound of issue 3; what is measured is 1e-7 to 3e-5, float32 through a hundred updates.
        np.testing.assert_allclose(found, curves["torch"], rtol=0, atol=1e-4, err_msg=owner)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # PyTorch's compiler imports its old one
def test_compiled_by_torch(rng: np.random.Generator) -> None:
    data = batch("mlp", rng)
    compiled, eager = (list(curve("mlp", "torch", *data, compiled=each)) for each in (True, False))
    np.testing.assert_allclose(compiled, eager, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_the_curve_is_that_of_a_native_model(rng: np.random.Generator) -> None:
    import torch

    class Native(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = torch.nn.Sequential(
                torch.nn.Conv2d(2, 6, 3, padding=1, bias=False), torch.nn.BatchNorm2d(6), torch.nn.ReLU()
            )
            self.pool = torch.nn.MaxPool2d(2)
            self.conv = torch.nn.Conv2d(6, 8, 3, stride=2, padding=1)
            self.norm = torch.nn.BatchNorm2d(8)
            self.head = torch.nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.relu(self.norm(self.conv(self.pool(self.stem(x)))))
            return self.head(x.mean((2, 3)))

    seed, x, y = batch("cnn", rng)
    model = MODELS["cnn"][0]().init(random.key(seed, "torch"))
    theirs = Native()
    theirs.load_state_dict({key: array.clone() for key, array in model.state_dict().items()})
    optimizer = torch.optim.SGD(theirs.parameters(), 0.05, momentum=0.9, nesterov=True)
    inputs, labels = torch.tensor(x), torch.tensor(y).long()
    wanted = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(theirs(inputs), labels)
        value.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        wanted.append(value.item())
    np.testing.assert_allclose([*curve("cnn", "torch", seed, x, y, compiled=False)], wanted, rtol=0, atol=1e-4)

    step, state = training_step(OPTIMIZERS["cnn"]), OPTIMIZERS["cnn"].init(model)
    for _ in range(STEPS):
        model, state, _ = step(model, state, inputs, torch.tensor(y))
    for key, array in theirs.state_dict().items():
        np.testing.assert_allclose(as_numpy(model[key]), as_numpy(array), atol=1e-3, err_msg=key)
