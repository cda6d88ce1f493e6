"""The commands around the registry: lock files, settings, what is installed, completion, accounts."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import ivyhub
from ivyhub.cli import COMMANDS, run
from ivyhub.registry import doctor
from tests.hub_server import TOKEN, Hub, serve

Told = Callable[..., Any]


@pytest.fixture
def net(home: Path) -> str:
    """A model in the registry, by its version."""
    return ivyhub.push(nn.Linear(4, 3), "net", args=(torch.ones(2, 4),), verify=False)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


# -- lock files ------------------------------------------------------------------------------------------------------


def test_a_locked_name_stays_at_its_version(told: Told, net: str, work: Path) -> None:
    assert "ivyhub lock NAME" in told("lock", fails=2)
    assert told("lock", "net", "--json")["models"]["net"]["version"] == net
    newer = ivyhub.push(nn.Linear(4, 5), "net", args=(torch.ones(2, 4),), verify=False)
    pull = ("pull", "net", "--framework", "numpy", "--no-verify", "--force", "--to", "out", "--json")
    assert told(*pull, "--locked")["version"] == net
    assert told(*pull)["version"] == newer
    assert told("lock", "--json")["models"]["net"]["version"] == newer
    assert told(*pull, "--locked")["version"] == newer
    assert "does not lock 'other'" in told("pull", "other", "--framework", "numpy", "--locked", fails=2)


def test_a_locked_source_is_pulled_again_only_with_the_same_bytes(
    told: Told, bert_folder: Path, work: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import shutil

    folder = Path(shutil.copytree(bert_folder, work / "bert"))
    pull = ("pull", "bert", "--framework", "numpy", "--no-verify", "--force", "--to", "out", "--json")
    told("pull", "./bert", *pull[2:])
    told("lock", "bert")
    monkeypatch.setenv("IVYHUB_HOME", str(tmp_path / "elsewhere"))
    assert told(*pull, "--locked")["version"].startswith("sha256:")
    (folder / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text()) | {"new": 1}))
    monkeypatch.setenv("IVYHUB_HOME", str(tmp_path / "third"))
    assert "it changed" in told(*pull[:-1], "--locked", fails=3)


def test_what_came_from_memory_cannot_be_made_again(
    told: Told, net: str, work: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told("lock", "net")
    monkeypatch.setenv("IVYHUB_HOME", str(tmp_path / "elsewhere"))
    assert "ivyhub export net" in told("pull", "net", "--framework", "numpy", "--locked", fails=2)
    (work / "ivyhub.lock").write_text("{")
    assert "malformed" in told("pull", "net", "--framework", "numpy", "--locked", fails=1)


# -- settings --------------------------------------------------------------------------------------------------------


def test_a_default_that_was_set_holds_until_it_is_unset(told: Told, net: str, work: Path, home: Path) -> None:
    pull = ("pull", "net", "--no-verify", "--json")
    assert "--framework" in told(*pull, fails=2)
    told("config", "pull.framework", "numpy")
    told("config", "pull.to", "here")
    assert told("config", "--json") == {"pull.framework": "numpy", "pull.to": "here"}
    assert Path(told(*pull)["path"]) == work / "here"
    assert Path(told(*pull, "--to", "there")["path"]) == work / "there"
    told("config", "pull.to", "--unset")
    assert Path(told(*pull)["path"]) == work / "net-numpy"
    for wrong in (("pull.dtype", "int7"), ("pull.nothing", "1"), ("pull", "1"), ("nothing.at", "1")):
        assert "error" in told("config", *wrong, fails=2)
    assert "not set" in told("config", "pull.to", "--unset", fails=2)
    (home / "config.json").write_text("[")
    assert "mend it or remove it" in told("list", fails=1)


# -- the rest --------------------------------------------------------------------------------------------------------


def test_doctor_says_what_is_here(told: Told, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {each["what"]: each for each in told("doctor", "--json")}
    assert found["torch"]["state"] == "ok"
    assert found["torch"]["detail"].startswith("2.")
    assert found["registry"]["detail"] == str(home)
    assert "not used" in found["hub"]["detail"]
    monkeypatch.setattr(doctor, "_LITTLE", 1 << 62)
    assert run(["doctor", "--quiet"]) == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_a_script(told: Told, shell: str) -> None:
    assert "_IVYHUB_COMPLETE" in told("completion", shell)


def test_commands_and_names_are_completed(net: str, home: Path) -> None:
    def complete(*words: str) -> list[str]:
        environment = {
            "_IVYHUB_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(("ivyhub", *words)),
            "COMP_CWORD": str(len(words)),
        }
        text = subprocess.run(
            [sys.executable, "-m", "ivyhub"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return [line.partition(",")[2] for line in text.splitlines()]

    assert complete("") == [*COMMANDS]
    assert complete("show", "n") == ["net"]
    assert complete("log", "net:") == ["net:latest"]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as running:
        yield running


def test_a_token_is_kept_once_the_server_accepts_it(hub: Hub, home: Path, tmp_path: Path) -> None:
    def ran(*args: str, token: str = "", fails: int = 0) -> str:
        finished = subprocess.run(
            [sys.executable, "-m", "ivyhub", *args],
            env=hub.environment(tmp_path),
            input=token,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert finished.returncode == fails, finished.stderr
        return finished.stdout + finished.stderr

    assert "ivyhub login" in ran("whoami", fails=4)
    assert "refused" in ran("login", "--token-stdin", token="hf_wrong\n", fails=4)
    assert "expected a token" in ran("login", "--token-stdin", token="two words\n", fails=2)
    assert not (tmp_path / "hf" / "token").exists()
    assert "as tester" in ran("login", "--token-stdin", token=f"{TOKEN}\n")
    assert "org" in ran("whoami")
    assert TOKEN not in ran("whoami", "--json", "--debug")


def test_offline_asks_nobody(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert "offline" in told("whoami", fails=1)
    monkeypatch.setattr(sys, "stdin", io.StringIO(TOKEN))
    assert "offline" in told("login", "--token-stdin", fails=1)
