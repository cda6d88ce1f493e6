"""The commands that keep the registry: labels, lineage, comparison, collection and the check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ivyhub
from ivyhub.registry.store import Store

Told = Callable[..., Any]


@pytest.fixture
def versions() -> tuple[str, str]:
    """A model and what it was tuned to: one of its tensors has moved."""
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    first = ivyhub.push(net, "net", args=(torch.randn(2, 4),), dynamic={"input": {0: "batch"}}, verify=False)
    tuned = ivyhub.pull("net", framework="torch", verify=False)
    with torch.no_grad():
        tuned.get_parameter("0.weight").add_(0.5)
    return first, ivyhub.push(tuned, "net")


def test_labels_are_set_moved_taken_away_and_brought_back(told: Told, versions: tuple[str, str]) -> None:
    first, second = versions
    assert told("tag", "net", "v2", "--json") == {"name": "net", "tag": "v2", "version": second}
    assert told("alias", f"net@{first[7:19]}", "champion", "--protect", "--json")["protected"]
    assert "protected" in told("alias", "net:v2", "champion", fails=2)
    assert "tags do not move" in told("tag", f"net@{first}", "v2", fails=2)
    labels = Store().refs.labels("net")
    assert told("rm", "net:v2", "--dry-run") == told("rm", "net:v2")
    assert "--force" in told("rm", "net", fails=2)
    assert "net:champion" in told("rm", "net", "--force")
    assert "ivyhub undo net" in told("show", "net", fails=2)
    told("undo", "net")
    told("undo", "net")
    assert Store().refs.labels("net") == labels
    log = told("log", "net", "--changes", "--json")
    assert [change["why"] for change in log] == ["push", "push", "tag", "alias", "rm", "rm", "undo", "undo"]


def test_quiet_commands_print_ids_one_a_line(told: Told, versions: tuple[str, str]) -> None:
    first, second = versions
    assert told("list", "--quiet") == told("ls", "--quiet") == "net\n"
    assert told("show", "net", "--quiet") == f"{second}\n"
    assert told("log", "net", "--quiet").splitlines() == [second, first]
    assert told("diff", f"net@{first}", "net", "--quiet") == "0.weight\n"
    assert told("tag", "net", "v1", "--quiet") == f"{second}\n"
    assert told("rm", "net:v1", "--quiet") == "net:v1\n"
    assert told("gc", "--quiet") == ""


def test_the_lineage_is_drawn(told: Told, versions: tuple[str, str]) -> None:
    first, second = versions
    newest, oldest = told("log", "net").splitlines()
    assert newest.startswith(f"{second[7:19]}  net:latest")
    assert oldest.startswith(f"└─ fine-tune of {first[7:19]}")
    assert "captured from memory  torch" in oldest
    steps = told("log", "net:latest", "--json")
    assert [step["digest"] for step in steps] == [second, first]
    assert told("log", f"net@{first}").count("\n") == 1


def test_weights_are_compared(told: Told, versions: tuple[str, str]) -> None:
    first, _ = versions
    before = ivyhub.pull(f"net@{first}", framework="torch", verify=False).get_parameter("0.weight").detach().numpy()
    found = told("diff", f"net@{first}", "net", "--json")
    assert found["structure"] == []
    assert found["configuration"] == {}
    [changed] = [tensor for tensor in found["tensors"] if tensor["status"] != "equal"]
    assert (changed["name"], changed["status"], changed["second"]) == ("0.weight", "changed", "float32[8, 4]")
    # 32 numbers, each moved by 0.5 and rounded to float32
    assert changed["norm"] == pytest.approx(0.5 * 32**0.5, rel=1e-5)
    assert changed["relative"] == pytest.approx(changed["norm"] / np.linalg.norm(before), rel=1e-6)
    assert "tensors: 3 equal, 1 changed" in told("diff", f"net@{first}", "net")
    assert told("diff", "net", "net") == "no difference\n"


def test_structure_and_shapes_are_compared(told: Told, versions: tuple[str, str]) -> None:
    other = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2, bias=False))
    ivyhub.push(other, "other", args=(torch.randn(2, 4),), dynamic={"input": {0: "batch"}}, verify=False)
    found = told("diff", "net", "other", "--json")
    assert found["structure"]
    status = {tensor["name"]: (tensor["status"], tensor["norm"] is None) for tensor in found["tensors"]}
    assert status == {
        "0.weight": ("changed", False),
        "0.bias": ("changed", False),
        "2.weight": ("changed", True),
        "2.bias": ("removed", True),
    }


def test_what_is_collected_counted_and_checked(told: Told, versions: tuple[str, str]) -> None:
    assert told("gc", "--json") == {"versions": [], "files": 0, "size": 0, "deleted": 0}
    [usage] = told("du", "--json")["names"]
    assert (usage["name"], usage["versions"]) == ("net", 1)
    assert usage["own"] == usage["size"]
    report = told("fsck", "--json")
    assert (report["versions"], report["names"], report["problems"]) == (2, 1, [])
    store = Store()
    blob = next(iter(store.version(versions[1]).weights.values()))
    path = store.path(blob.digest)
    path.chmod(0o644)
    path.write_bytes(bytes(blob.size))
    assert "1 of them" in told("fsck", fails=1)
    assert "does not hold" in told("pull", "net", "--framework", "numpy", "--no-verify", fails=1)
