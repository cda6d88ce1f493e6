"""Images with their channels last, for targets whose own models take them so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import ivyhub
from ivyhub.errors import UsageError
from ivyhub.registry import api
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.conversion import open_runner
from ivyhub.registry.export import load_package
from tests.arrays import assert_close


@pytest.fixture
def resnet(tmp_path: Path) -> Path:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=3)
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "resnet")
    (tmp_path / "resnet" / "preprocessor_config.json").write_text('{"size": {"height": 32, "width": 32}}')
    return tmp_path / "resnet"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["jax", "flax.linen", "tensorflow", "torch"])
def test_a_convolution_model_takes_the_native_layout(
    target: str, resnet: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    name, last = str(resnet), target != "torch"
    native = api.pull_package(name, framework=target, to=tmp_path / "native", layout="native", verify=target == "jax")
    source = api.pull_package(name, framework=target, to=tmp_path / "source", verify=False)
    assert not source.reused
    assert native.certificate is None or all(row["passed"] for row in native.certificate["rows"])
    images = rng.standard_normal((2, 3, 32, 32)).astype(np.float32)
    original = transformers.ResNetForImageClassification.from_pretrained(resnet).eval()
    with torch.no_grad():
        expected = original(torch.from_numpy(images)).logits.numpy()
    turned = np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if last else images
    for folder, array in (("native", turned), ("source", images)):
        runner = open_runner(Target.parse(target), load_package(tmp_path / folder))
        [logits] = runner.outputs({"pixel_values": array})
        assert_close(logits, expected, 1e-5)  # float32 sums
    record = json.loads((tmp_path / "native" / "ivyhub.json").read_text())
    assert record["channels_last"] == (["pixel_values"] if last else [])
    assert record["signature"]["inputs"]["pixel_values"].endswith(", 3]") == last
    for file in ("modeling.py", "README.md"):
        assert ("the channels come last in pixel_values" in (tmp_path / "native" / file).read_text()) == last
        assert "the channels come last" not in (tmp_path / "source" / file).read_text()
    again = api.pull_package(name, framework=target, to=tmp_path / "again", layout="native", verify=False)
    assert again.reused
    if target == "jax":
        assert "jax, native layout" in api.show("resnet").certificates
        assert all(row["passed"] for row in api.verify(str(tmp_path / "native"))["rows"])


def test_a_live_module_takes_the_native_layout() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    native = ivyhub.transpile(module, to="jax", args=(torch.randn(2, 3, 8, 8),), layout="native", verify=True)
    images = torch.randn(2, 3, 8, 8)
    expected = module(images).detach().numpy()
    received = np.asarray(native(images.permute(0, 2, 3, 1).numpy()))
    assert_close(received, expected, 1e-5)  # sums of 27 terms of float32; results keep their layout


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a layout"):
        ivyhub.transpile(torch.nn.Linear(2, 2), to="jax", args=(torch.randn(1, 2),), layout="channels")
