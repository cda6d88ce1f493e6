"""Bad input to `ivyhub pull`, end to end: one line, what to do next, the documented exit code, nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
