"""Programs of torch.export as sources, live; their files are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.cli import run
from ivyhub.errors import UnsafeError, UsageError
from tests.arrays import assert_close

torch = pytest.importorskip("torch")

# float32 on both sides; sums of some dozen products.
VALUES = 1e-5


def perceptron() -> Any:
    nn = torch.nn
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Dropout(0.5), nn.Linear(8, 2)).eval()


def exported(module: Any) -> Any:
    return torch.export.export(module, (torch.ones(4, 3),), dynamic_shapes=({0: torch.export.Dim("batch")},))


def test_a_program_with_its_names_and_sizes(rng: np.random.Generator) -> None:
    module = perceptron()
    program = exported(module)
    graph = ivyhub.trace(program)
    assert {path for path, parameter in graph.parameters() if parameter.trainable} == set(
        dict(module.named_parameters())
    )
    native = ivyhub.transpile(program, to="numpy", verify=True)
    for batch in (2, 5):
        x = rng.standard_normal((batch, 3)).astype(np.float32)
        assert_close(native(x), module(torch.from_numpy(x)).detach().numpy(), VALUES)


def test_a_program_that_was_loaded(tmp_path: Path, rng: np.random.Generator) -> None:
    module = perceptron()
    torch.export.save(exported(module), tmp_path / "net.pt2")
    native = ivyhub.transpile(torch.export.load(tmp_path / "net.pt2"), to="numpy", verify=True)
    x = rng.standard_normal((5, 3)).astype(np.float32)
    assert_close(native(x), module(torch.from_numpy(x)).detach().numpy(), VALUES)


def test_inputs_by_name_and_results_in_a_tree(rng: np.random.Generator) -> None:
    class Product(torch.nn.Module):
        def forward(self, x: Any, *, y: Any) -> Any:
            return {"z": x @ y}

    program = torch.export.export(Product(), (torch.ones(4, 3),), {"y": torch.ones(3, 5)})
    native = ivyhub.transpile(program, to="numpy", verify=True)
    x, y = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 3), (3, 5)))
    assert_close(native(x=x, y=y)["z"], x @ y, VALUES)


def test_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes(b"PK\3\4 what would run if it were loaded")
    with pytest.raises(UnsafeError, match=r"net\.pt2") as caught:
        ivyhub.transpile(tmp_path / "net.pt2", to="numpy")
    assert "torch.export.load" in str(caught.value.hint)
    assert run(["convert", str(tmp_path / "net.pt2"), "--to", "jax", "--quiet", "--out", str(tmp_path / "out")]) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt2"]


def test_a_program_has_its_inputs() -> None:
    with pytest.raises(UsageError, match="inputs already"):
        ivyhub.transpile(exported(perceptron()), to="numpy", args=(torch.ones(4, 3),))
