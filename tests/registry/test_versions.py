"""Targets with versions: what they admit, what an export says that it needs, and what is written for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from packaging.version import Version
from torch import nn

import ivyhub
from ivyhub.errors import TargetVersionError
from ivyhub.registry import api
from ivyhub.registry.adapters.target import Target


@pytest.mark.parametrize(
    ("text", "flavour", "oldest", "written"),
    [
        ("jax", "flax.nnx", None, "jax"),
        ("flax", "flax.nnx", None, "jax"),
        ("flax.nnx", "flax.nnx", None, "jax"),
        ("keras", "keras", None, "tensorflow"),
        ("jax==0.4.35", "flax.nnx", "0.4.35", "jax==0.4.35"),
        ("jax>=0.5,<0.6", "flax.nnx", "0.5", "jax<0.6,>=0.5"),
        ("jax<0.5", "flax.nnx", "0.4.31", "jax<0.5"),
        ("flax.nnx==0.10.6", "flax.nnx", "0.5.1", "flax.nnx==0.10.6"),
        ("flax.linen==0.8.5", "flax.linen", "0.4.31", "flax.linen==0.8.5"),
        ("flax.linen>=0.12", "flax.linen", "0.7.1", "flax.linen>=0.12"),
        ("keras==3.3", "keras", "2.16", "keras==3.3"),
        ("tensorflow 2.17", "keras", "2.17", "tensorflow==2.17"),
        ("torch==2.5.*", "torch", "2.5", "torch==2.5.*"),
    ],
)
def test_a_target_with_its_versions(text: str, flavour: str, oldest: str | None, written: str) -> None:
    target = Target.parse(text)
    assert target.flavour == flavour
    assert target.oldest == (None if oldest is None else Version(oldest))
    assert str(target) == written
    assert str(Target.parse(written)) == written


@pytest.mark.parametrize(
    "text", ["jax==0.4.30", "flax.linen==0.8.4", "keras==3.2", "tensorflow<2.16", "torch>=2.6,<2.5", "torch==two"]
)
def test_a_version_that_is_not_served_is_refused(text: str) -> None:
    with pytest.raises(TargetVersionError):
        Target.parse(text)


def pushed() -> None:
    net = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Conv1d(4, 2, 1))
    ivyhub.push(net, "mine", args=(torch.randn(2, 2, 6),), verify=False)


@pytest.mark.parametrize(
    ("target", "needed"),
    [
        ("jax", {"jax", "flax", "safetensors"}),
        ("jax==0.4.31", {"jax", "flax", "safetensors"}),
        ("flax.linen", {"jax", "flax", "safetensors"}),
        ("tensorflow", {"tensorflow", "keras", "safetensors"}),
        ("torch", {"torch", "safetensors"}),
        ("numpy", {"numpy", "safetensors"}),
    ],
)
def test_a_package_says_what_it_needs(target: str, needed: set[str], tmp_path: Path) -> None:
    pushed()
    api.pull_package("mine", framework=target, to=tmp_path / "mine", verify=False)
    requires = json.loads((tmp_path / "mine" / "ivyhub.json").read_text())["requires"]
    assert needed <= requires.keys() <= {*needed, "numpy"}
    card = (tmp_path / "mine" / "README.md").read_text()
    for package, versions in requires.items():
        assert str(Requirement(f"{package}{versions}").specifier)
        assert f"`{package}{versions}`" in card
    assert ("model, variables = this_folder.load()" in card) == (target == "flax.linen")


def test_a_package_for_old_jax_is_written_for_old_flax(tmp_path: Path) -> None:
    pushed()
    found = {}
    for target in ("jax", "jax==0.4.31", "jax==0.4.35"):
        folder = tmp_path / target.replace("=", "_").replace(".", "_")
        api.pull_package("mine", framework=target, to=folder, verify=False)
        found[target] = json.loads((folder / "ivyhub.json").read_text())["requires"]["flax"]
        lists = "nnx.List" in (folder / "modeling.py").read_text()
        assert lists == (target == "jax")  # Flax has them since 0.12
    assert Version("0.12") in Requirement(f"flax{found['jax']}").specifier
    assert Version("0.10.4") not in Requirement(f"flax{found['jax==0.4.31']}").specifier
    assert Version("0.10.4") in Requirement(f"flax{found['jax==0.4.35']}").specifier


@pytest.mark.parametrize("target", ["jax==0.4.31", "flax.linen==0.8.5", "tensorflow==2.16", "torch==2.4", "keras==3.3"])
def test_what_cannot_run_here_is_not_verified_here(target: str, tmp_path: Path) -> None:
    pushed()
    with pytest.raises(TargetVersionError, match="to be installed here"):
        api.pull_package("mine", framework=target, to=tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
