"""Models that come from memory: they have no configuration, and are certified all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import nn

import ivyhub
from ivyhub.cli import run
from ivyhub.engine import ops
from ivyhub.engine.spec import Spec
from ivyhub.errors import VerificationError
from ivyhub.registry import api

TARGETS = ("torch", "jax", "flax.linen", "tensorflow", "numpy")
BATCH = {"input": {0: "batch"}}


@pytest.fixture
def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 3))


class CountsCalls(nn.Module):
    """Its result depends on what no graph can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.linear(x) * self.calls


def test_every_export_of_a_pushed_module_is_certified(net: nn.Module, tmp_path: Path) -> None:
    ivyhub.push(net, "mine", args=(torch.randn(3, 4),), dynamic=BATCH)
    for target in TARGETS:
        found = api.pull_package("mine", framework=target, to=tmp_path / target.replace(".", "_")).certificate
        assert found is not None
        assert all(row["passed"] for row in found["rows"])
        assert "agreed with the module when that was pushed" in found["reference"]
        card = (tmp_path / target.replace(".", "_") / "README.md").read_text()
        assert found["reference"] in card
    again = api.verify("mine")
    assert {row["check"].partition(":")[0] for row in again["rows"]} == {*TARGETS}
    assert again["reference"] == found["reference"]
    assert {"outputs, batch 1", "buffers, train", "gradients, train", "loss of 10 steps"} <= {
        row["check"].removeprefix("flax.linen: ") for row in again["rows"]
    }
    assert run(["verify", "mine"]) == 0


def test_a_pushed_export_that_changed_is_found(net: nn.Module, tmp_path: Path) -> None:
    ivyhub.push(net, "mine", args=(torch.randn(3, 4),), dynamic=BATCH)
    api.pull_package("mine", framework="jax", to=tmp_path / "mine")
    tensors = load_file(tmp_path / "mine" / "model.safetensors")
    tensors["layers.3.kernel"][0, 0] += 0.1
    save_file(tensors, tmp_path / "mine" / "model.safetensors")
    found = api.verify(str(tmp_path / "mine"))
    assert not all(row["passed"] for row in found["rows"])
    assert found["first_difference"] == "4"
    assert run(["verify", str(tmp_path / "mine")]) == 3


def test_a_module_whose_export_differs_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(VerificationError, match="CountsCalls for torch"):
        ivyhub.push(CountsCalls(), "counts", args=(torch.randn(2, 4),))
    assert not ivyhub.list_models()
    ivyhub.push(CountsCalls(), "counts", args=(torch.randn(2, 4),), verify=False)
    ivyhub.pull("counts", framework="jax")
    assert run(["verify", "counts", "--json"]) == 0
    assert "compared with nothing" in json.loads(capsys.readouterr().out)["reference"]


def test_a_pushed_module_in_another_dtype_is_certified(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    ivyhub.push(net, "mine", args=(torch.randn(3, 4),), dynamic=BATCH)
    found = api.pull_package("mine", framework="jax", to=tmp_path / "mine", dtype="bfloat16").certificate
    assert found is not None
    assert found["dtype"] == "bfloat16"


def _graph(net: nn.Module) -> Any:
    return ivyhub.trace(net, torch.randn(3, 4), dynamic=BATCH)


def test_a_graph_keeps_the_module_that_it_was_traced_from(net: nn.Module) -> None:
    ivyhub.push(_graph(net), "mine")
    ivyhub.pull("mine", framework="jax")
    assert "agreed with the module" in api.verify("mine")["reference"]


def test_a_graph_of_a_function_is_compared_with_its_pytorch_export() -> None:
    ivyhub.push(ivyhub.trace(lambda x: ops.tanh(x) * 2.0, Spec(("n",))), "f")
    ivyhub.pull("f", framework="jax")
    found = api.verify("f")
    assert "compared with nothing" in found["reference"]
    assert all(row["passed"] for row in found["rows"])


def test_a_trained_export_of_a_pushed_module_is_certified(net: nn.Module) -> None:
    ivyhub.push(net, "mine", args=(torch.randn(3, 4),), dynamic=BATCH)
    ivyhub.push(ivyhub.pull("mine", framework="jax"), "tuned")
    ivyhub.pull("tuned", framework="tensorflow")
    found = api.verify("tuned")
    assert "it was trained from" in found["reference"]
    assert all(row["passed"] for row in found["rows"])
