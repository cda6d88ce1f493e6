"""Every example in the help of every command runs, as it stands there, in a shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import ivyhub
from ivyhub.cli import COMMANDS, run
from ivyhub.registry.store import Store
from tests.hub_server import TOKEN, Hub, serve

FAMILIES = Path(__file__).parents[1] / "fixtures/families"

# What the examples of a command make, which is there for those of the others.
MADE = {"pull": ["bert-jax", "out"], "lock": ["bert-jax"], "export": ["bert.ivyhub"]}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras saves variables so
]


def examples(name: str) -> list[str]:
    """The lines of a command's help that call ivyhub."""
    told = import_module(f"ivyhub.cli.{name}").command.help.partition("Examples:")[2]
    return re.findall(r'^ *((?:eval "\$\()?ivyhub .*)$', told, re.MULTILINE)


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, bert_folder: Path) -> Path:
    """A folder of what the examples speak of, and a registry."""
    folder = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IVYHUB_HOME", str(folder / "home"))
        patch.chdir(folder)
        for name in ("my-bert", "my-model"):
            shutil.copytree(bert_folder, name)
        store = Store()
        for target in ("torch", "jax"):
            options = ["--framework", target, "--to", f"bert-{target}", "--name", "bert", "--no-verify"]
            assert run(["pull", "./my-bert", *options]) == 0
        shutil.copytree("bert-torch", "out/my_bert")
        Path("bert").mkdir()
        for path in FAMILIES.glob("bert/google-research.ckpt.*"):
            shutil.copy(path, f"bert/bert_model{path.name.removeprefix('google-research')}")
        shutil.copy(FAMILIES.with_name("checkpoints") / "keras-2.17.h5", "old.h5")
        store.refs.tag("bert", store.refs.resolve("bert"), "v1")
        model = ivyhub.pull("bert", framework="torch", verify=False)
        with torch.no_grad():
            next(model.parameters()).add_(1)
        for name in ("bert-tuned", "minilm"):
            ivyhub.push(model, name, verify=False)
        store.refs.tag("bert", store.refs.resolve("bert-tuned"), "v2")
        store.refs.set("bert", store.refs.resolve("bert:v1"), alias="champion")
        files_of_other_libraries()
        assert run(["export", "bert", "--to", "bert.ivyhub"]) == 0
    (folder / "token.txt").write_text(TOKEN)
    return folder


def files_of_other_libraries() -> None:
    """Models and checkpoints of every format that the examples name, in the working folder."""
    import keras
    import onnx
    import orbax.checkpoint
    import tensorflow as tf
    from onnx import helper
    from safetensors.numpy import save_file

    weight = np.ones((3, 2), np.float32)
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save("model.keras")
    module = tf.Module()
    module.weight = tf.Variable(weight)
    signature = tf.function(lambda x: x @ module.weight, input_signature=[tf.TensorSpec((None, 3))])
    tf.saved_model.save(module, "saved-model", signatures=signature)
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", floats, ["batch", 3])],
        [helper.make_tensor_value_info("y", floats, ["batch", 2])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), "net.onnx")
    torch.save({"weight": torch.tensor(weight)}, "pytorch_model.bin")
    save_file({"weight": weight}, "model.safetensors")
    with orbax.checkpoint.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(Path("orbax-folder").absolute(), {"weight": weight})


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_every_command_run(name: str, prepared: Path, hub: Hub, tmp_path: Path) -> None:
    work = Path(shutil.copytree(prepared, tmp_path / "work", symlinks=True))
    for made in MADE.get(name, ()):
        shutil.rmtree(work / made) if (work / made).is_dir() else (work / made).unlink()
    (work / "ivyhub").write_text(f'#!/bin/sh\nexec {sys.executable} -m ivyhub "$@"\n')
    (work / "ivyhub").chmod(0o755)
    environment = hub.environment(
        tmp_path, IVYHUB_HOME=str(work / "home"), HF_TOKEN=TOKEN, PATH=f"{work}:{os.environ['PATH']}"
    )
    if name in ("login", "whoami"):
        del environment["HF_TOKEN"]
        (tmp_path / "hf").mkdir()
        (tmp_path / "hf" / "token").write_text(TOKEN)
    digits = Store(work / "home").refs.resolve("bert").removeprefix("sha256:")[:8]
    lines = examples(name)
    assert lines
    for line in lines:
        line = line.replace("0a1b2c3d", digits).replace(
            "/srv/models", str(work / "home" if name == "import" else work / "srv")
        )
        shell = re.search(r"completion (zsh|fish)", line)
        if shell and not shutil.which(shell[1]):
            line = f"ivyhub completion {shell[1]}"
        finished = subprocess.run(
            ["bash", "-c", line], input=TOKEN, env=environment, cwd=work, capture_output=True, text=True, timeout=200
        )
        assert finished.returncode == 0, f"{line}\n{finished.stderr[-2000:]}"
