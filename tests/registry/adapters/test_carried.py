"""What exports carry of `engine.support` is known again by its code, and nothing else is."""

from __future__ import annotations

import types
from typing import Any

import pytest

from ivyhub.engine.support import torch as own
from ivyhub.registry.adapters.carried import is_carried
from ivyhub.registry.adapters.writing.render import support_source


def carried(source: str) -> dict[str, Any]:
    """The definitions of a module of support as an export of its own has them."""
    module = types.ModuleType("somewhere")
    exec(compile(source, "modeling.py", "exec", dont_inherit=True), vars(module))
    return vars(module)


SOURCE = support_source("torch")


@pytest.mark.parametrize("name", ["BatchNorm2d", "LSTM", "biased", "lstm", "at_add"])
def test_a_copy_is_ours(name: str) -> None:
    assert is_carried(carried(SOURCE)[name], "torch")
    assert is_carried(getattr(own, name), "torch")


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        ("biased", "(1 - momentum)", "(2 - momentum)"),
        ("BatchNorm2d", "(1 - momentum)", "(2 - momentum)"),  # of what it calls
        ("BatchNorm2d", "BatchNorm2d(torch.nn.BatchNorm2d)", "BatchNorm2d(torch.nn.BatchNorm1d)"),
        ("lstm", "batch_first: bool = False", "batch_first: bool = True"),
    ],
)
def test_what_differs_is_not(name: str, ours: str, theirs: str) -> None:
    assert ours in SOURCE
    assert not is_carried(carried(SOURCE.replace(ours, theirs))[name], "torch")


def test_its_name_is_not_enough() -> None:
    class BatchNorm2d:
        pass

    assert not is_carried(BatchNorm2d, "torch")
    assert not is_carried(own.BatchNorm2d, "jax")
