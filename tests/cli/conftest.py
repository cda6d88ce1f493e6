"""Commands in the test's own process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ivyhub.cli import run


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs a command and gives what it prints: text, or what its JSON holds; with ``fails`` the error of that code."""

    def call(*args: str, fails: int = 0) -> Any:
        capsys.readouterr()
        assert run(args) == fails
        text = capsys.readouterr()
        if fails:
            return text.err
        return json.loads(text.out) if "--json" in args else text.out

    return call
