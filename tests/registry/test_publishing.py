"""Models onto a hub and back, with the real client of the Hub against a hub on the loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import ivyhub
from ivyhub.registry.store import Store
from tests.hub_server import TOKEN, Hub, Repository, serve

Ran = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as running:
        yield running


@pytest.fixture
def ran(hub: Hub, home: Path, tmp_path: Path) -> Ran:
    """Runs `ivyhub` in a process of its own, whose hub is the one on the loopback."""

    def call(*args: str, token: str | None = TOKEN, fails: int = 0, **environment: str) -> Any:
        environment |= {} if token is None else {"HF_TOKEN": token}
        finished = subprocess.run(
            [sys.executable, "-m", "ivyhub", *args],
            env=hub.environment(tmp_path, **environment),
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
        )
        assert finished.returncode == fails, finished.stderr
        return finished

    return call


@pytest.fixture
def tuned(bert_folder: Path, home: Path) -> dict[str, torch.Tensor]:
    """A BERT in the registry that was tuned after it was pulled; its state under the names of its class."""
    model = ivyhub.pull(str(bert_folder), framework="torch", new_name="bert", verify=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    ivyhub.push(model, "bert", metrics={"accuracy": 0.5})
    return model.state_dict()


def test_a_tuned_checkpoint_goes_to_a_hub_and_its_library_loads_it(
    hub: Hub, ran: Ran, tuned: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    told = json.loads(ran("push", "bert", "--to", "hf://org/bert", "--private", "--json").stdout)
    repository = hub.repositories["org/bert"]
    assert told["commit"] == repository.commit
    assert told["files"].keys() == repository.files.keys()
    assert repository.private
    assert repository.messages == ["ivyhub push bert"]
    assert not [name for name in repository.files if name.startswith("ivyhub")]
    folder = tmp_path / "there"
    folder.mkdir()
    for name, data in repository.files.items():
        (folder / name).write_bytes(data)
    loaded = transformers.BertForSequenceClassification.from_pretrained(folder).state_dict()
    assert loaded.keys() == tuned.keys()
    assert all(torch.equal(loaded[name], tuned[name]) for name in tuned)


@pytest.mark.slow
def test_an_export_has_a_card_that_says_where_it_comes_from(
    hub: Hub, ran: Ran, bert_folder: Path, tuned: dict[str, torch.Tensor]
) -> None:
    hub.repositories["base/bert"] = Repository({p.name: p.read_bytes() for p in bert_folder.iterdir()})
    ran("pull", "base/bert", "--framework", "numpy", "--to", "out", "--no-verify")
    ran("push", "base/bert", "--to", "hf://org/bert-np", "--framework", "numpy", "--no-verify", "--message", "first")
    files = hub.repositories["org/bert-np"].files
    assert {"modeling.py", "model.safetensors", "ivyhub.json"} <= files.keys()
    card = files["README.md"].decode()
    assert card.startswith("---\nlicense: mit\nbase_model: base/bert\ntags:\n- ivyhub\n---\n")
    assert "class Bert" in files["modeling.py"].decode()
    assert hub.repositories["org/bert-np"].messages == ["first"]
    ran("push", "bert", "--to", "hf://org/bert")
    ran("pull", "org/bert", "--framework", "numpy", "--to", "again", "--no-verify")
    assert Store().version(Store().refs.resolve("org/bert")).licence == "mit"


def test_what_is_refused_is_told(hub: Hub, ran: Ran, tuned: dict[str, torch.Tensor]) -> None:
    assert "log in" in ran("push", "bert", "--to", "hf://org/bert", token=None, fails=4).stderr
    assert "offline" in ran("push", "bert", "--to", "hf://org/bert", IVYHUB_OFFLINE="1", fails=1).stderr
    requests = len(hub.requests)
    assert "organisation/name" in ran("push", "bert", "--to", "hf://bert", fails=2).stderr
    assert "no model 'bart'" in ran("push", "bart", "--to", "hf://org/bert", fails=2).stderr
    assert len(hub.requests) == requests
    hub.damages = True
    refused = ran("push", "bert", "--to", "hf://org/bert", fails=1).stderr
    assert "not what was sent" in refused
    hub.repositories["org/bert"].status = 422
    assert "status 422" in ran("push", "bert", "--to", "hf://org/bert", fails=1).stderr


def test_to_another_registry(ran: Ran, tuned: dict[str, torch.Tensor], tmp_path: Path) -> None:
    ran("push", "bert", "--to", "./shared")
    there = Store(tmp_path / "shared")
    assert there.refs.resolve("bert") == Store().refs.resolve("bert")
    assert there.version(there.refs.resolve("bert")).metrics == {"accuracy": 0.5}
    ran("pull", "bert", "--framework", "torch", "--to", "bert_torch", "--no-verify")
    ran("push", "bert_torch", "other", "--metric", "loss=0.25", "--to", "./shared")
    assert there.version(there.refs.resolve("other")).metrics == {"loss": 0.25}
    assert "0.25" in ran("show", "other").stdout
    assert "NAME=NUMBER" in ran("push", "bert_torch", "other", "--metric", "loss", fails=2).stderr
    assert "finite" in ran("push", "bert_torch", "other", "--metric", "loss=nan", fails=2).stderr
    assert "a NAME" in ran("push", "bert_torch", fails=2).stderr
    assert "--to" in ran("push", "bert", fails=2).stderr
