"""Operations and rules from outside: the page on them, files of the user's own, and plug-ins.

Each runs in a process of its own, since what it declares stays for the life of one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.errors import EngineError, UnknownFrameworkError

ROOT = Path(__file__).parents[2]
RULES = """
import ivyhub
from ivyhub.engine import ops
from ivyhub.engine.spec import same_as_first

@ivyhub.op(rule=same_as_first)
def acme_swish(x, /, *, beta: float = 1.0):
    '''x * sigmoid(beta * x).'''
    return ops.multiply(x, ops.sigmoid(ops.multiply(x, beta)))

acme_swish.lower("jax", "{x} * jax.nn.sigmoid({x} * {beta})")
"""
READS = 'ivyhub.reads("onnx", "com.acme.Swish")(acme_swish)\n'


def ran(folder: Path, *command: str, code: int = 0) -> str:
    """What a command prints in a folder, whose modules and plug-ins are there to import."""
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "IVYHUB_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout or done.stderr


def cli(folder: Path, *args: str, code: int = 0) -> Any:
    return json.loads(ran(folder, "-m", "ivyhub", *args, "--json", code=code))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a model lies with an operator that nobody knows."""
    onnx = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Swish", ["x"], ["y"], name="last", domain="com.acme", beta=2.0)],
        "g",
        [helper.make_tensor_value_info("x", floats, ["batch", 3])],
        [helper.make_tensor_value_info("y", floats, ["batch", 3])],
    )
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("com.acme", 1)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=10), tmp_path / "net.onnx")
    (tmp_path / "rules.py").write_text(RULES + READS)
    return tmp_path


def installed(folder: Path, module: str, text: str) -> None:
    """Put a plug-in where it is found as an installed one is: a module beside the metadata of its distribution."""
    (folder / f"{module}.py").write_text(text)
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[ivyhub.rules]\nown = {module}\n")


def test_the_page_runs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run = "import doctest, sys; f = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE; "
    run += "print(doctest.testfile(sys.argv[1], module_relative=False, optionflags=f))"
    assert ran(tmp_path, "-c", run, str(ROOT / "docs" / "extending.md")) == "TestResults(failed=0, attempted=14)\n"


def test_a_file_of_rules_serves_every_command_that_names_it(folder: Path, rng: np.random.Generator) -> None:
    pytest.importorskip("flax")
    assert cli(folder, "check", "net.onnx", code=1) == [{"op": "com.acme.Swish", "module": "", "line": "last"}]
    assert cli(folder, "check", "net.onnx", "--to", "jax", "--rules", "rules.py") == []

    told = cli(folder, "convert", "net.onnx", "--to", "jax", "--rules", "rules.py", code=1)
    assert "reference evaluator" in told["message"]  # it has no such operator, so there is nothing to compare with
    assert "--no-verify" in told["hint"]
    cli(folder, "convert", "net.onnx", "--to", "jax", "--rules", "rules.py", "--no-verify", "--out", "net")
    assert "x * jax.nn.sigmoid(x * 2.0)" in (folder / "net" / "modeling.py").read_text()
    x = rng.normal(size=(5, 3)).astype(np.float32)
    np.save(folder / "x.npy", x)
    ran(folder, "-c", "import numpy as np, net; np.save('y.npy', net.load()(np.load('x.npy')))")
    expected = x / (1 + np.exp(-2.0 * x))
    assert np.abs(np.load(folder / "y.npy") - expected).max() < 1e-6  # a few roundings of numbers near 1

    told = cli(folder, "show", "net", "--graph", code=1)
    assert "unknown operation 'acme_swish'" in told["message"]
    assert "--rules" in told["hint"]
    assert "acme_swish(x, beta=2.0)" in ran(folder, "-m", "ivyhub", "show", "net", "--graph", "--rules", "rules.py")


def test_a_plug_in_needs_to_be_installed_and_nothing_else(folder: Path) -> None:
    installed(folder, "acme", RULES + READS)
    assert cli(folder, "check", "net.onnx") == []
    assert cli(folder, "check", "net.onnx", "--to", "numpy") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_that_name", "No module named"),
        (RULES + "ivyhub.reads('onnx', 'Relu')(acme_swish)", "has a rule for 'Relu' already"),
        (RULES.replace("acme_swish", "softmax"), "'softmax' is declared twice"),
    ],
)
def test_what_fails_is_named(folder: Path, text: str, words: str) -> None:
    (folder / "broken.py").write_text(text)
    told = cli(folder, "check", "net.onnx", "--rules", "broken.py", code=2)
    assert words in told["message"]
    assert "broken.py" in told["message"]

    installed(folder, "acme", text)
    told = cli(folder, "check", "net.onnx", code=1)
    assert words in told["message"]
    assert "the plug-in acme 1.0" in told["message"]
    assert "uninstall acme" in told["hint"]


def test_bad_names_are_refused(folder: Path) -> None:
    assert "there is no file" in cli(folder, "list", "--rules", "nothing.py", code=2)["message"]
    with pytest.raises(UnknownFrameworkError, match="expected torch, jax, tensorflow, onnx, received 'caffe'"):
        ivyhub.reads("caffe", "Swish")
    with pytest.raises(EngineError, match=r"torch has a rule for 'aten\.relu\.default' already"):
        ivyhub.reads("torch", "aten.relu.default")(lambda x: x)
