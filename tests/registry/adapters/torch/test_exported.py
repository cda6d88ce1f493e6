"""Programs of torch.export as sources, live and in files, some of which are hostile."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.cli import run
from ivyhub.errors import CorruptFileError, UnsafeError, UsageError
from tests.arrays import assert_close, native

torch = pytest.importorskip("torch")

# PyTorch looks at an attribute of its own that no intermediate array has, when it traces or runs a branch.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")

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
    found = ivyhub.transpile(torch.export.load(tmp_path / "net.pt2"), to="numpy", verify=True)
    x = rng.standard_normal((5, 3)).astype(np.float32)
    assert_close(found(x), module(torch.from_numpy(x)).detach().numpy(), VALUES)


def test_inputs_by_name_and_results_in_a_tree(rng: np.random.Generator) -> None:
    class Product(torch.nn.Module):
        def forward(self, x: Any, *, y: Any) -> Any:
            return {"z": x @ y}

    program = torch.export.export(Product(), (torch.ones(4, 3),), {"y": torch.ones(3, 5)})
    native = ivyhub.transpile(program, to="numpy", verify=True)
    x, y = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 3), (3, 5)))
    assert_close(native(x=x, y=y)["z"], x @ y, VALUES)


class Busy(torch.nn.Module):
    """Parameters, a buffer, a constant, a branch, sizes that are computed, trees on both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 4)
        self.register_buffer("scale", torch.rand(4))
        self.shift = torch.rand(4)

    def forward(self, x: Any, others: dict[str, Any]) -> Any:
        y = (self.linear(x) * self.scale + self.shift).reshape(-1)[: x.shape[0] * 2] + others["k"].sum()
        return {"y": torch.cond(y.sum() > 0, lambda a: a.sin(), lambda a: a.cos(), (y,)), "x": [x]}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, bytes]:
    """A module, and the file of its program."""
    path = tmp_path_factory.mktemp("saved") / "net.pt2"
    module, args = Busy(), (torch.rand(4, 3), {"k": torch.rand(3)})
    sizes = {"x": {0: torch.export.Dim("batch")}, "others": {"k": None}}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The .grad attribute of a Tensor")  # PyTorch looks at it in a branch
        torch.export.save(torch.export.export(module, args, dynamic_shapes=sizes), path)
    return module, path.read_bytes()


def test_a_file_is_a_source(saved: tuple[Any, bytes], tmp_path: Path, framework: str, rng: np.random.Generator) -> None:
    module, data = saved
    (tmp_path / "net.pt2").write_bytes(data)
    found = ivyhub.transpile(tmp_path / "net.pt2", to=framework)
    for batch in (2, 5):
        x, k = rng.normal(size=(batch, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)
        wanted = module(torch.from_numpy(x), {"k": torch.from_numpy(k)})
        given = found(native(framework, x), {"k": native(framework, k)})
        assert_close(given["y"], wanted["y"], VALUES)
        assert_close(given["x"][0], x, 0)


def test_a_file_through_the_command_line(
    saved: tuple[Any, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pt2").write_bytes(saved[1])
    assert run(["convert", "net.pt2", "--to", "numpy", "--quiet"]) == 0
    assert (tmp_path / "net-numpy" / "modeling.py").is_file()


def changed(path: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Write an archive again with one of its files changed."""
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    found = next(full for full in parts if full.endswith(name))
    parts[found] = json.dumps(change(json.loads(parts[found]))).encode() if name.endswith("json") else change(None)
    with zipfile.ZipFile(path, "w") as archive:
        for full, data in parts.items():
            archive.writestr(full, data)


def replaced(word: str, new: Any, where: Callable[[Any], bool] = lambda old: True) -> Callable[[Any], Any]:
    """Put something else in the place of the first value under a word."""
    done: list[Any] = []

    def walk(tree: Any) -> Any:
        if isinstance(tree, list):
            return [walk(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        found = {}
        for key, value in tree.items():
            hit = key == word and not done and where(value)
            done.extend([key] * hit)
            found[key] = new if hit else walk(value)
        return found

    def change(tree: Any) -> Any:
        tree = walk(tree)
        assert done
        return tree

    return change


class Bomb:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("exploded"),)


def pickled() -> bytes:
    buffer = io.BytesIO()
    torch.save(((Bomb(),), {}), buffer)
    return buffer.getvalue()


MODEL, WEIGHTS = "models/model.json", "model_weights_config.json"


def tree(kind: str, context: str) -> str:
    """A pytree's description, as PyTorch writes it."""
    return json.dumps([1, {"type": kind, "context": context, "children_spec": []}])


CALL = "x=__import__('pathlib').Path('exploded').touch()"
QUOTED = "a\") or __import__('pathlib').Path('exploded').touch() or (\"b"

HOSTILE: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "a size that runs": (MODEL, replaced("expr_str", "__import__('pathlib').Path('exploded').touch()"), "arithmetic"),
    "a size in a name": (MODEL, replaced("expr_str", "Symbol('s0').__class__"), "arithmetic"),
    "a size in a text": (MODEL, replaced("expr_str", "Max('__import__(1)')"), "arithmetic"),
    "a function of torch": (MODEL, replaced("target", "torch.hub.load"), "no operation"),
    "a method": (MODEL, replaced("target", "torch.ops.aten.__class__.mro"), "no operation"),
    "a file": (MODEL, replaced("target", "torch.ops.aten.from_file.default"), "no operation"),
    "a caller": (MODEL, replaced("target", "_operator.methodcaller"), "no operation"),
    "a library": (MODEL, replaced("target", "torch.ops.acme.run.default"), "no operation"),
    "a class": (MODEL, replaced("in_spec", tree("os.system", "null"), bool), "classes of its own"),
    "an enum": (MODEL, replaced("out_spec", tree("builtins.dict", '[{"__enum__": 1}]'), bool), "classes of its own"),
    "a pickled weight": (WEIGHTS, replaced("use_pickle", True), "as a Python object"),
    "a weight elsewhere": (WEIGHTS, replaced("path_name", "../../secret"), "as a Python object"),
    "a name that calls": (MODEL, replaced("name", CALL, lambda old: isinstance(old, str)), "the name"),
    "an input that calls": (MODEL, replaced("inputs", [{"as_tensor": {"name": CALL}}]), "the name"),
    "an argument that calls": (MODEL, replaced("forward_arg_names", [CALL]), "the name"),
    "a weight that calls": (MODEL, replaced("parameter_name", QUOTED), "the name"),
    "a module that calls": (MODEL, replaced("fqn", QUOTED), "the name"),
    "a value that calls": (MODEL, replaced("tensor_values", {CALL: {}}), "the name"),
    "a key that calls": (MODEL, replaced("in_spec", tree("builtins.dict", json.dumps([CALL])), bool), "classes of"),
    "a stored weight that calls": (
        WEIGHTS,
        lambda old: {"config": dict.fromkeys([QUOTED], next(iter(old["config"].values())))},
        "as a",
    ),
    "a pickled input": ("model.pt", lambda _: pickled(), "example inputs"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_run_is_refused(
    name: str, saved: tuple[Any, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pt2").write_bytes(saved[1])
    file, change, words = HOSTILE[name]
    changed(tmp_path / "net.pt2", file, change)
    with pytest.raises(UnsafeError, match=rf"refused net\.pt2: it has .*{words}") as caught:
        ivyhub.transpile("net.pt2", to="numpy")
    assert "torch.export.load" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt2"]
    assert run(["convert", "net.pt2", "--to", "jax", "--quiet", "--out", "out"]) == 5
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("data", [b"", b"PK\3\4 no archive", b"\x80\x04."])
def test_what_is_no_program(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes(data)
    with pytest.raises(CorruptFileError, match=r"net\.pt2 is no \.pt2 file") as caught:
        ivyhub.transpile(tmp_path / "net.pt2", to="numpy")
    assert "torch.export.save" in caught.value.hint


def test_a_program_that_was_cut(saved: tuple[Any, bytes], tmp_path: Path, rng: np.random.Generator) -> None:
    data = saved[1]
    for _ in range(5):
        (tmp_path / "net.pt2").write_bytes(data[: rng.integers(len(data))])
        with pytest.raises(CorruptFileError):
            ivyhub.transpile(tmp_path / "net.pt2", to="numpy")


def test_a_program_has_its_inputs() -> None:
    with pytest.raises(UsageError, match="inputs already"):
        ivyhub.transpile(exported(perceptron()), to="numpy", args=(torch.ones(4, 3),))
