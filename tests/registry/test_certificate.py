"""A certificate finds what differs, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ivyhub.registry.adapters.torch.capture import capture
from ivyhub.registry.adapters.torch.run import TorchRunner
from ivyhub.registry.certificate import certify, missed
from ivyhub.registry.inputs import InputSpec, random_inputs
from ivyhub.registry.pipeline import Model, Recipe, input_specs, model_of
from ivyhub.registry.weights import Entry, WeightMap


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 6, padding_idx=0)
        self.norm = nn.BatchNorm1d(6)
        self.out = nn.Linear(6, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden = F.dropout(self.norm(self.table(ids)), 0.4, self.training)
        return self.out(torch.tanh(hidden))


@pytest.fixture
def net() -> nn.Module:
    return Net()


def model_for(net: nn.Module) -> Model:
    graph = capture(net, (torch.zeros(3, dtype=torch.long),), dynamic={"ids": {0: "batch"}}).graph
    return model_of(graph, Recipe(input_specs(graph, {"ids": np.array([1, 19])}), {}, ()))


def certificate(net: nn.Module, other: nn.Module, **options: Any) -> dict[str, Any]:
    model = model_for(net)
    names = [path for path, parameter in model.graph.parameters() if parameter.alias is None]
    same = WeightMap(tuple(Entry((name,), (name,)) for name in names))
    runners = (lambda: TorchRunner(copy.deepcopy(net)), lambda: TorchRunner(copy.deepcopy(other)))
    return certify(model, *runners, same, **options)


def test_a_copy_agrees_in_every_figure(net: nn.Module) -> None:
    found = certificate(net, net)
    assert [row["check"] for row in found["rows"]] == [
        "outputs, padded",
        "outputs, batch 1",
        "gradients, eval",
        "outputs, train",
        "buffers, train",
        "gradients, train",
        "loss of 10 steps",
    ]
    assert missed(found) == []
    assert all(row["measured"] == 0 for row in found["rows"])


def test_a_seed_repeats_a_certificate(net: nn.Module) -> None:
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.out.bias += 1e-3
    first, second = certificate(net, other, seed=7), certificate(net, other, seed=7)
    assert first == second
    assert certificate(net, other)["seed"] != certificate(net, other)["seed"]


def change_bias(net: Any) -> None:
    with torch.no_grad():
        net.out.bias[0] += 1e-2


def stop_gradient(net: Any) -> None:
    net.out.forward = lambda x: F.linear(x, net.out.weight.detach(), net.out.bias)


def other_momentum(net: Any) -> None:
    net.norm.momentum = 0.2


@pytest.mark.parametrize(
    ("change", "checks"),
    [
        (change_bias, {"outputs, padded", "outputs, batch 1", "outputs, train"}),
        (stop_gradient, {"gradients, eval", "gradients, train"}),
        (other_momentum, {"buffers, train"}),
    ],
)
def test_what_differs_is_in_the_figures(net: nn.Module, change: Callable[[Any], None], checks: set[str]) -> None:
    other = copy.deepcopy(net)
    change(other)
    assert checks <= set(missed(certificate(net, other)))


def test_dropout_is_off_in_train_mode_however_it_is_asked_for(net: nn.Module, rng: np.random.Generator) -> None:
    runner = TorchRunner(net)
    inputs = {"ids": rng.integers(0, 20, 9)}
    first, second = runner.outputs(inputs, train=True), runner.outputs(inputs, train=True)
    np.testing.assert_array_equal(first[0], second[0])
    assert net.training


def test_not_a_number_is_a_difference(net: nn.Module) -> None:
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.out.bias[0] = float("nan")
    assert "outputs, padded" in missed(certificate(net, other))


class Wild(nn.Module):
    """A unit in the last place of what it is given decides about all that it gives."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(64))
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x * self.factor * 2.0**24) * self.scale


def test_an_export_is_not_asked_for_more_than_the_original_keeps() -> None:
    net = Wild()
    graph = capture(net, (torch.zeros(3, 64),), dynamic={"x": {0: "batch"}}).graph
    model = model_of(graph, Recipe(input_specs(graph, {"x": np.zeros((3, 64), np.float32)}), {}, ()))
    same = WeightMap((Entry(("scale",), ("scale",)),))
    rounded = Wild(1 + 2.0**-23)
    found = certify(model, lambda: TorchRunner(copy.deepcopy(net)), lambda: TorchRunner(rounded), same)
    assert not {"outputs, padded", "outputs, train", "gradients, eval"} & set(missed(found))
    assert found["rows"][0]["measured"] > 1e-2


def test_random_inputs_fit_their_specs(rng: np.random.Generator) -> None:
    specs = [
        InputSpec("ids", ("batch", "length"), "int64", 3, 9, pad=1),
        InputSpec("mask", ("batch", "length"), "int64", 0, 2, mask=True),
        InputSpec("box", ("batch", "length", 4), "int64", 0, 100, ordered=True),
        InputSpec("pixels", ("batch", 3), "float32", -2.0, 2.0),
    ]
    made = random_inputs(specs, {"batch": 4, "length": 30}, rng, padded=True)
    assert {name: (array.shape, array.dtype.name) for name, array in made.items()} == {
        "ids": ((4, 30), "int64"),
        "mask": ((4, 30), "int64"),
        "box": ((4, 30, 4), "int64"),
        "pixels": ((4, 3), "float32"),
    }
    counted = made["mask"] == 1
    assert not counted[-1].any()
    assert counted[:-1, 0].all()
    assert (made["ids"][~counted] == 1).all()
    assert ((made["ids"][counted] >= 3) & (made["ids"][counted] < 9)).all()
    assert (np.diff(made["box"], axis=-1) >= 0).all()
    assert np.abs(made["pixels"]).max() <= 2
