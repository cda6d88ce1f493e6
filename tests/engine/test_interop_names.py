"""The tables of other libraries' names: whole, and true on our side."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from ivyhub.engine import Array
from ivyhub.engine.interop import names

DOCS = Path(__file__).parents[2] / "docs"
WRITER = runpy.run_path(str(DOCS / "write_names.py"))


@pytest.mark.parametrize("library", ["EAGERPY", "TENSORLY", "IVY"])
def test_every_name_of_ours_is_there(library: str) -> None:
    renamed, same = getattr(names, library), getattr(names, f"{library}_SAME")
    assert not same & renamed.keys()
    for name in (*same, *renamed.values()):
        assert WRITER["resolved"](name) is not None, name


def test_the_page_is_fresh() -> None:
    assert WRITER["page"]() == (DOCS / "names.md").read_text(encoding="utf-8"), "run `make docs`"


def test_every_name_of_eagerpy_has_its_row() -> None:
    eagerpy = pytest.importorskip("eagerpy")
    methods = {name for name in dir(eagerpy.Tensor) if not name.startswith("_")}
    assert methods <= {*names.EAGERPY, *names.EAGERPY_SAME}
    assert not {name for name in methods if not hasattr(Array, name)}


def test_every_name_of_tensorly_has_its_row() -> None:
    manager = pytest.importorskip("tensorly.backend").BackendManager
    known = {*names.TENSORLY, *names.TENSORLY_SAME, *names.TENSORLY_MISSING}
    assert {*manager._functions, *manager._attributes} <= known
