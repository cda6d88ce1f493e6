"""Models that come from memory: they have no configuration, and are certified all the same."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_tensors
from torch import nn

import ivyhub
from ivyhub.cli import run
from ivyhub.engine import ops
from ivyhub.engine.spec import Spec
from ivyhub.errors import GraphError, UsageError, VerificationError
from ivyhub.registry import api
from ivyhub.registry.manifest import Parent
from ivyhub.registry.store import Store

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
    tensors["layers.4.kernel"][0, 0] += 0.1
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
    assert "it was made from" in found["reference"]
    assert all(row["passed"] for row in found["rows"])


def _tensors(name: str, folder: Path) -> dict[str, torch.Tensor]:
    api.pull_package(name, framework="torch", to=folder, verify=False)
    return load_tensors(folder / "model.safetensors")


@pytest.mark.parametrize("target", TARGETS)
def test_an_export_comes_home_in_the_dtype_that_it_has(target: str, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))
    ivyhub.push(net, "mine", args=(torch.randn(3, 4),), dynamic=BATCH)
    ivyhub.push(ivyhub.pull("mine", framework=target, dtype="float16", verify=False), "half")
    ivyhub.push(ivyhub.pull("half", framework=target, verify=False), "float", dtype="float32")
    store = Store()
    assert [store.version(store.refs.resolve(name)).parents for name in ("half", "float")] == [
        (Parent(store.refs.resolve(name), "cast"),) for name in ("mine", "half")
    ]
    expected = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in net.state_dict().items()
    }
    half, full = _tensors("half", tmp_path / "half"), _tensors("float", tmp_path / "full")
    assert half.keys() == full.keys() == expected.keys()
    for name, tensor in expected.items():
        assert half[name].dtype == tensor.dtype
        assert torch.equal(half[name], tensor)
        assert full[name].dtype == net.state_dict()[name].dtype
        assert torch.equal(full[name], tensor.to(full[name].dtype))


@pytest.mark.parametrize(
    "target", ["torch", *(pytest.param(name, marks=pytest.mark.slow) for name in ("jax", "tensorflow"))]
)
def test_a_checkpoint_trained_in_bfloat16_is_one_of_bfloat16(target: str, bert_folder: Path, tmp_path: Path) -> None:
    model = ivyhub.pull(str(bert_folder), framework=target, dtype="bfloat16", verify=False)
    version = Store().version(ivyhub.push(model, "half"))
    assert version.config is not None
    config = json.loads(Store().read(version.config.digest))
    assert config["dtype"] == "bfloat16"
    found = api.pull_package("half", framework="torch", to=tmp_path / "half", verify=target == "torch").certificate
    if found is not None:
        assert found["dtype"] == "bfloat16"
        assert all(row["passed"] for row in found["rows"])
    before, after = (load_tensors(folder / "model.safetensors") for folder in (bert_folder, tmp_path / "half"))
    assert all(torch.equal(after[name], tensor.bfloat16()) for name, tensor in before.items())
    ivyhub.push(model, "float", dtype="float32")
    again = _tensors("float", tmp_path / "float")
    assert all(torch.equal(again[name], tensor.bfloat16().float()) for name, tensor in before.items())


def test_a_live_export_that_was_cast_comes_home_as_it_is(net: nn.Module, tmp_path: Path) -> None:
    ivyhub.push(net, "mine", args=(torch.randn(3, 4),), dynamic=BATCH)
    ivyhub.push(ivyhub.pull("mine", framework="torch", verify=False).bfloat16(), "half")
    assert {t.dtype for t in _tensors("half", tmp_path / "half").values()} == {torch.bfloat16, torch.int64}


def test_only_an_export_is_cast_when_it_is_pushed(net: nn.Module) -> None:
    with pytest.raises(UsageError, match="only an export"):
        ivyhub.push(net, "mine", args=(torch.randn(3, 4),), dtype="float16")


def _of_another_ivyhub(name: str) -> None:
    """Let a name mean a version whose graph has an operation that this ivyhub lacks."""
    store = Store()
    version = store.version(store.refs.resolve(name))
    text = json.loads(store.read(version.graph.digest))
    text["nodes"][-1]["op"] = "an_operation_of_old"
    graph = store.record(store.put_bytes(json.dumps(text).encode()))
    later = version.created + timedelta(days=1)  # the newest version of a source is the one that is found
    store.refs.set(name, store.put_version(msgspec.structs.replace(version, graph=graph, created=later)), why="test")


def test_a_checkpoint_that_another_ivyhub_captured_is_captured_anew(bert_folder: Path) -> None:
    ivyhub.pull(str(bert_folder), framework="torch", new_name="old", verify=False)
    _of_another_ivyhub("old")
    kept = Store().refs.resolve("old")
    assert ivyhub.show("old").digest == kept
    for name in ("old", str(bert_folder)):
        assert isinstance(ivyhub.pull(name, framework="torch", verify=False), nn.Module)


def test_a_module_that_another_ivyhub_kept_is_refused_with_what_to_do(net: nn.Module) -> None:
    ivyhub.push(net, "mine", args=(torch.randn(3, 4),), dynamic=BATCH)
    _of_another_ivyhub("mine")
    with pytest.raises(GraphError, match="an_operation_of_old") as caught:
        ivyhub.pull("mine", framework="torch", verify=False)
    assert "push the module again" in caught.value.hint


def test_a_merge_says_what_went_into_it(net: nn.Module) -> None:
    ivyhub.push(net, "mine", args=(torch.randn(3, 4),), dynamic=BATCH)
    souped, *others = [ivyhub.pull("mine", framework="torch", verify=False) for _ in range(3)]
    with torch.no_grad():
        for number, other in enumerate(others):
            next(other.parameters()).add_(number + 1)
            ivyhub.push(other, f"tuned-{number}")
        for parameter, *more in zip(souped.parameters(), *(other.parameters() for other in others), strict=True):
            parameter.copy_(sum(more) / len(others))
    digest = ivyhub.push(souped, "soup", merged_from=["tuned-0", "tuned-1"], metrics={"accuracy": 0.5})
    store = Store()
    version = store.version(digest)
    assert version.metrics == {"accuracy": 0.5}
    assert version.parents == tuple(
        Parent(store.refs.resolve(name), "merge") for name in ("mine", "tuned-0", "tuned-1")
    )
    with pytest.raises(UsageError, match="only an export"):
        ivyhub.push(net, "other", args=(torch.randn(3, 4),), merged_from=["soup"], verify=False)
