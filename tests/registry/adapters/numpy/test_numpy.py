"""NumPy exports: the same function as the original in evaluation, from numpy and safetensors alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ivyhub.errors import NoLoweringError
from ivyhub.registry.export import import_package
from tests.arrays import assert_close
from tests.registry.adapters.parity import assert_same
from tests.registry.adapters.zoo import EXAMPLES, Example, unused_or_undefined, write_package

ALONE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {allowed} | set(sys.stdlib_module_names):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, {parent!r})
import importlib
import numpy as np
model = importlib.import_module({name!r}).load()
inputs = np.load({inputs!r})
np.save({output!r}, model(*(inputs[key] for key in inputs))["logits"])
"""


def fresh(name: str, rng: np.random.Generator) -> Example:
    torch.manual_seed(int(rng.integers(2**31)))
    example = EXAMPLES[name]()
    return example._replace(module=example.module.eval())


def export(example: Example, folder: Path, **options: Any) -> Any:
    return import_package(write_package(example, "numpy", folder / "package")).load(**options)


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {"counting"}))
def test_same_function(name: str, rng: np.random.Generator) -> None:
    example = fresh(name, rng)
    assert_same(example.module, example.args, {}, example.dynamic, to="numpy", rng=rng)


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {"counting"}))
def test_source_is_clean(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    assert not unused_or_undefined(write_package(fresh(name, rng), "numpy", tmp_path / name))


def test_changed_buffers_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    with pytest.raises(NoLoweringError, match="average"):
        export(fresh("counting", rng), tmp_path)


def test_runs_alone(tmp_path: Path, rng: np.random.Generator) -> None:
    example = fresh("text", rng)
    package = write_package(example, "numpy", tmp_path / "text")
    inputs = [arg.numpy() for arg in example.args]
    np.savez(tmp_path / "inputs.npz", *inputs)
    script = ALONE.format(
        allowed={"numpy", "safetensors", package.name},
        parent=str(package.parent),
        name=package.name,
        inputs=str(tmp_path / "inputs.npz"),
        output=str(tmp_path / "output.npy"),
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with torch.no_grad():
        expected = example.module(*example.args)["logits"].numpy()
    assert_close(np.load(tmp_path / "output.npy"), expected, 1e-5)  # sums of 8 floats


def test_params_are_those_of_the_source(tmp_path: Path, rng: np.random.Generator) -> None:
    example = fresh("text", rng)
    model = export(example, tmp_path)
    assert set(model.params) == {"embedding", "blocks", "norm", "temperature"}
    for block, ours in zip(example.module.blocks, model.params["blocks"], strict=True):
        assert np.array_equal(ours["attention"]["projection"]["weight"], block.attention.projection.weight.detach())
    ids, mask = (arg.numpy() for arg in example.args)
    before = model(ids, mask)["logits"]
    model.params["temperature"] = model.params["temperature"] * 2
    np.testing.assert_array_equal(model(ids, mask)["logits"] * 2, before)  # a power of two scales exactly


def test_repeated_blocks_are_one_function(tmp_path: Path, rng: np.random.Generator) -> None:
    source = (write_package(fresh("text", rng), "numpy", tmp_path / "text") / "modeling.py").read_text()
    assert source.count("def block(") == 1
    assert 'in params["blocks"]:' in source
    assert "dropout" not in source


def test_bfloat16_becomes_float32(tmp_path: Path, rng: np.random.Generator) -> None:
    example = fresh("twice", rng)
    module = example.module.to(torch.bfloat16)
    args = tuple(arg.to(torch.bfloat16) for arg in example.args)
    model = export(Example(module, args, example.dynamic), tmp_path)
    assert model.params["layer"]["weight"].dtype == np.float32
    assert np.array_equal(model.params["layer"]["weight"], module.layer.weight.detach().float())
    once, _ = model(args[0].float().numpy())
    with torch.no_grad():
        expected = module(*args)[0].float().numpy()
    assert_close(once, expected, 1e-2)  # the original rounds to 8 bits


def test_load_in_another_dtype(tmp_path: Path, rng: np.random.Generator) -> None:
    model = export(fresh("twice", rng), tmp_path, dtype=np.float64)
    assert model.params["layer"]["bias"].dtype == np.float64
