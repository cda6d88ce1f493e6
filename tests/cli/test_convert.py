"""`ivyhub convert`: model files through the command line, and what stands in the way of one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivyhub.cli import run
from ivyhub.registry.adapters.running import leaves
from ivyhub.registry.export import load_package
from tests.arrays import assert_close

Run = Callable[..., Any]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in an empty folder; return its JSON, which is that of an error where one is expected."""
    monkeypatch.chdir(tmp_path)

    def call(*args: str, code: int = 0) -> Any:
        capsys.readouterr()  # what fixtures print is not the command's
        assert run([*args, "--json"]) == code
        text = capsys.readouterr()
        return json.loads(text.out or text.err)

    return call


def affine(path: Path, rng: np.random.Generator, *, op: str = "Relu", external: bool = False) -> np.ndarray:
    """Write y = op(x @ w) of any batch; returns w."""
    onnx = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    weight = rng.standard_normal((3, 2)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["h"], name="dense"), helper.make_node(op, ["h"], ["y"], name="last")],
        "affine",
        [helper.make_tensor_value_info("x", floats, ["batch", 3])],
        [helper.make_tensor_value_info("y", floats, ["batch", 2])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, path, save_as_external_data=external, location=f"{path.name}.data", size_threshold=0)
    return weight


def test_an_onnx_file_becomes_a_package_of_any_batch(cli: Run, tmp_path: Path, rng: np.random.Generator) -> None:
    weight = affine(tmp_path / "net.onnx", rng)
    told = cli("convert", "net.onnx", "--to", "numpy")
    assert Path(told["path"]) == tmp_path / "net-numpy"
    assert all(row["passed"] for row in told["certificate"]["rows"])
    assert "net.onnx" in told["certificate"]["reference"]
    assert cli("list")[0]["name"] == "net"
    x = rng.standard_normal((5, 3)).astype(np.float32)
    # float32 on both sides; a sum of three products.
    assert_close(next(leaves(load_package(tmp_path / "net-numpy")(x))), np.maximum(x @ weight, 0), 1e-5)
    assert all(row["passed"] for row in cli("verify", "net-numpy")["rows"])


@pytest.mark.slow  # TensorFlow is loaded and a model trained
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
def test_a_keras_file_becomes_a_module_of_torch(cli: Run, tmp_path: Path, rng: np.random.Generator) -> None:
    keras, torch = pytest.importorskip("keras"), pytest.importorskip("torch")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalMaxPooling2D()])
    model.save(tmp_path / "small.keras")
    told = cli("convert", "small.keras", "--to", "torch", "--out", "out/small")
    assert all(row["passed"] for row in told["certificate"]["rows"])
    x = rng.standard_normal((2, 8, 8, 3)).astype(np.float32)
    found = load_package(tmp_path / "out" / "small")(torch.from_numpy(x))
    # float32 on both sides; sums of 27 products.
    assert_close(found.detach().numpy(), model(x).numpy(), 1e-5)


def test_a_file_is_converted_once_until_it_changes(cli: Run, tmp_path: Path, rng: np.random.Generator) -> None:
    affine(tmp_path / "net.onnx", rng, external=True)
    first = cli("convert", "net.onnx", "--to", "numpy")
    again = cli("convert", "./net.onnx", "--to", "numpy", "--force", "--no-verify")
    assert (again["reused"], again["version"]) == (True, first["version"])
    (tmp_path / "net.onnx.data").unlink()
    affine(tmp_path / "net.onnx", rng, external=True)  # the same file, other numbers beside it
    changed = cli("convert", "net.onnx", "--to", "numpy", "--force", "--no-verify")
    assert changed["version"] != first["version"]


def test_a_package_whose_file_changed_is_not_verified(cli: Run, tmp_path: Path, rng: np.random.Generator) -> None:
    affine(tmp_path / "net.onnx", rng)
    cli("convert", "net.onnx", "--to", "numpy", "--no-verify")
    affine(tmp_path / "net.onnx", rng, op="Tanh")
    (tmp_path / "home").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IVYHUB_HOME", str(tmp_path / "home"))  # a registry that does not hold the version
        assert "changed" in cli("verify", "net-numpy", code=2)["message"]


def test_every_blocker_is_told_at_once(cli: Run, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    ops = ("RandomNormalLike", "Multinomial")
    nodes = [helper.make_node(op, ["x"], [op]) for op in ops]
    outputs = [
        helper.make_tensor_value_info("RandomNormalLike", floats, [2, 3]),
        helper.make_tensor_value_info("Multinomial", onnx.TensorProto.INT32, [2, 1]),
    ]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", floats, [2, 3])], outputs)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "net.onnx"
    )
    told = cli("check", "net.onnx", "--to", "jax", code=1)
    assert sorted(row["op"] for row in told) == sorted(ops)
    refused = cli("convert", "net.onnx", "--to", "jax", code=1)
    assert refused["code"] == "unsupported-ops"
    assert all(op in refused["message"] for op in ops)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize(
    ("name", "code"), [("./net.onnx", "unknown-name"), ("net.onnx", "unknown-name"), ("broken.onnx", "corrupt-file")]
)
def test_a_file_that_is_no_model_is_refused(cli: Run, tmp_path: Path, name: str, code: str) -> None:
    pytest.importorskip("onnx")
    (tmp_path / "broken.onnx").write_bytes(b"\xff\xfe no model")
    told = cli("convert", name, "--to", "numpy", code=1 if code == "corrupt-file" else 2)
    assert told["code"] == code
    assert told["hint"] or code == "corrupt-file"
    assert [path.name for path in tmp_path.iterdir()] == ["broken.onnx"]


def test_convert_loads_no_framework_that_it_does_not_need(tmp_path: Path, rng: np.random.Generator) -> None:
    import subprocess

    affine(tmp_path / "net.onnx", rng)
    code = (
        "import sys; from ivyhub.cli import run; code = run(['convert', 'net.onnx', '--to', 'numpy', '--quiet'])\n"
        "print(code, sorted({'torch', 'jax', 'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == "0 []", done.stderr


def test_a_word_that_looks_like_a_file_hears_of_files(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    for name, told in {"notes.txt": "of no kind that is read", "net.onnx": "no file of that name here"}.items():
        error = cli("convert", name, "--to", "numpy", code=2)
        assert error["message"] == f"no model is called {name!r}"
        assert told in error["hint"]
