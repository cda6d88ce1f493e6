"""The page on models runs as it stands, in every framework that it names."""

from __future__ import annotations

import doctest
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "engine.md"


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # PyTorch's compiler imports its old one
@pytest.mark.parametrize("owner", ["jax", "tensorflow", pytest.param("torch", marks=pytest.mark.sweep)])
def test_the_page_runs(owner: str) -> None:
    text = PAGE.read_text(encoding="utf-8").replace('framework = "jax"', f'framework = "{owner}"')
    test = doctest.DocTestParser().get_doctest(text, {}, f"engine.md in {owner}", str(PAGE), 0)
    assert len(test.examples) > 15
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=report.append)
    assert not report, "".join(report)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # names that are on their way out are looked at, too
def test_every_layer_of_the_frameworks_has_its_place() -> None:
    names = runpy.run_path(str(DOCS / "write_layers.py"))
    found = {library: names["names"](library) for library in names["OTHERS"]}
    targets = {f"{lib}.{name}": names["ours"](lib, name) for lib, each in found.items() for name in each}
    assert len(targets) > 600
    assert not [name for name, target in targets.items() if not target]
    assert not [each for each in targets.items() if not each[1].startswith("- ") and not names["resolves"](each[1])]
    assert names["PAGE"].read_text(encoding="utf-8") == names["page"](found), "run `make docs`"
