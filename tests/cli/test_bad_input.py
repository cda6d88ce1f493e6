"""Bad input to `ivyhub pull`, end to end: one line, what to do next, the documented exit code, nothing left behind."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ivyhub.cli import run

Fail = Callable[..., dict[str, Any]]


@pytest.fixture
def fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fail:
    """Run ``ivyhub pull`` in an empty folder; return the error it printed, with its exit code."""
    monkeypatch.chdir(tmp_path)

    def pull(*args: str) -> dict[str, Any]:
        exit_code = run(["pull", *args, "--json"])
        text = capsys.readouterr()
        assert text.out == ""
        told = json.loads(text.err)
        assert told["hint"], "no hint says what to do next"
        return {**told, "exit_code": exit_code}

    return pull


def test_unknown_framework_lists_the_known_ones(fail: Fail, tmp_path: Path) -> None:
    told = fail("minilm", "--framework", "caffe")
    assert (told["code"], told["exit_code"]) == ("unknown-framework", 2)
    assert "caffe" in told["message"]
    assert all(name in told["hint"] for name in ("torch", "jax", "tensorflow", "numpy"))
    assert [*tmp_path.iterdir()] == []


def test_malformed_version_is_wrong_usage(fail: Fail, tmp_path: Path) -> None:
    told = fail("minilm", "--framework", "jax>=banana")
    assert told["exit_code"] == 2
    assert "banana" in told["message"]
    assert [*tmp_path.iterdir()] == []


def test_missing_folder_is_an_unknown_name(fail: Fail, tmp_path: Path) -> None:
    told = fail("./nowhere", "--framework", "jax")
    assert (told["code"], told["exit_code"]) == ("unknown-name", 2)
    assert "nowhere" in told["message"]
    assert [*tmp_path.iterdir()] == []


def test_offline_says_so(fail: Fail, tmp_path: Path) -> None:
    told = fail("someone/a-model-that-no-cache-holds", "--framework", "jax", "--offline")
    assert (told["code"], told["exit_code"]) == ("offline", 1)
    assert [*tmp_path.iterdir()] == []


def test_folder_that_holds_something_is_refused_and_left_alone(fail: Fail, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    told = fail("minilm", "--framework", "jax", "--to", "mine")
    assert (told["code"], told["exit_code"]) == ("output-exists", 2)
    assert "--force" in told["hint"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert [path.read_text() for path in folder.iterdir()] == ["years of work"]


def test_pickled_weights_are_refused_as_unsafe(fail: Fail, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertModel"]}))
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")
    told = fail("./pickled", "--framework", "jax")
    assert (told["code"], told["exit_code"]) == ("unsafe", 5)
    assert [path.name for path in tmp_path.iterdir()] == ["pickled"]


@pytest.fixture
def bert(bert_folder: Path, tmp_path: Path) -> Path:
    """A small BERT in the working folder, to be damaged."""
    return Path(shutil.copytree(bert_folder, tmp_path / "bert"))


def only(tmp_path: Path, *names: str) -> bool:
    """Whether nothing but these stands in the working folder."""
    return {path.name for path in tmp_path.iterdir()} == set(names)


def test_version_that_is_not_installed_is_told_before_any_work(fail: Fail, tmp_path: Path, bert: Path) -> None:
    told = fail("./bert", "--framework", "torch>=99")
    assert (told["code"], told["exit_code"]) == ("target-version", 2)
    assert "99" in told["message"]
    assert only(tmp_path, "bert")


def test_version_older_than_the_minimum(fail: Fail, tmp_path: Path) -> None:
    told = fail("minilm", "--framework", "torch==1.0")
    assert (told["code"], told["exit_code"]) == ("target-version", 2)
    assert only(tmp_path)


def test_framework_that_is_not_installed_names_its_extra(
    fail: Fail, tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ivyhub.engine import backends

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    backends._installed.cache_clear()
    monkeypatch.setattr(importlib.metadata, "version", absent)
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # Python's own way to say that a module is not there
    told = fail("./bert", "--framework", "tensorflow")
    backends._installed.cache_clear()
    assert (told["code"], told["exit_code"]) == ("framework-not-installed", 1)
    assert "ivyhub[tensorflow]" in told["hint"]
    assert only(tmp_path, "bert")


def test_device_that_is_not_there(fail: Fail, tmp_path: Path, bert: Path) -> None:
    told = fail("./bert", "--framework", "torch", "--device", "cuda:77")
    assert (told["code"], told["exit_code"]) == ("unknown-device", 2)
    assert only(tmp_path, "bert")


def change(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    state = load_file(folder / "model.safetensors")
    edit(state)
    save_file(state, folder / "model.safetensors")


def test_checkpoint_that_does_not_fit_lists_every_tensor(fail: Fail, tmp_path: Path, bert: Path) -> None:
    def edit(state: dict[str, Any]) -> None:
        del state["classifier.bias"]
        state["classifier.weight"] = state["classifier.weight"][:, :5].copy()
        state["stranger"] = np.zeros(3, np.float32)

    change(bert, edit)
    told = fail("./bert", "--framework", "torch")
    assert (told["code"], told["exit_code"]) == ("tensor-mismatch", 1)
    assert all(f"1 {kind}" in told["message"] for kind in ("missing", "unexpected", "mis-shaped"))
    assert only(tmp_path, "bert")


@pytest.mark.parametrize("size", [0, 7, 200, -1], ids=["empty", "no header", "half a header", "last byte missing"])
def test_truncated_weights_are_corrupt(fail: Fail, tmp_path: Path, bert: Path, size: int) -> None:
    file = bert / "model.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    told = fail("./bert", "--framework", "torch")
    assert (told["code"], told["exit_code"]) == ("corrupt-file", 1)
    assert only(tmp_path, "bert")


def test_shard_index_that_leaves_its_folder_is_unsafe(fail: Fail, tmp_path: Path, bert: Path) -> None:
    (bert / "model.safetensors").rename(tmp_path / "secret.safetensors")
    index = {"weight_map": {"classifier.bias": "../secret.safetensors"}}
    (bert / "model.safetensors.index.json").write_text(json.dumps(index))
    told = fail("./bert", "--framework", "torch")
    assert (told["code"], told["exit_code"]) == ("unsafe", 5)
    assert only(tmp_path, "bert", "secret.safetensors")


def test_code_in_a_configuration_is_unsafe(fail: Fail, tmp_path: Path, bert: Path) -> None:
    raw = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps({**raw, "auto_map": {"AutoModel": "evil.Model"}}))
    told = fail("./bert", "--framework", "torch")
    assert (told["code"], told["exit_code"]) == ("unsafe", 5)
    assert "ivyhub.transpile" in told["hint"]
    assert only(tmp_path, "bert")


FULL = """
import os, resource, signal, sys
from ivyhub.cli import run
os.chdir(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # a disk on which no file of weights finds room
sys.exit(run(["pull", "./bert", "--framework", "torch", "--no-verify", "--json"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process's files")
def test_full_disk_leaves_nothing(tmp_path: Path, bert: Path, home: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True)
    told = json.loads(done.stderr[done.stderr.index("{") :])
    assert (told["code"], done.returncode) == ("storage", 1)
    assert told["hint"]
    assert only(tmp_path, "bert")
    assert not [path for path in (home / "tmp").rglob("*") if path.is_file() and path.suffix != ".lock"]
