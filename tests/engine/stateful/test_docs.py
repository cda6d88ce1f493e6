"""The page on models runs as it stands, in every framework that it names."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "engine.md"


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # PyTorch's compiler imports its old one
@pytest.mark.parametrize("owner", ["jax", "tensorflow", pytest.param("torch", marks=pytest.mark.slow)])
def test_the_page_runs(owner: str) -> None:
    text = PAGE.read_text(encoding="utf-8").replace('framework = "jax"', f'framework = "{owner}"')
    test = doctest.DocTestParser().get_doctest(text, {}, f"engine.md in {owner}", str(PAGE), 0)
    assert len(test.examples) > 15
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=report.append)
    assert not report, "".join(report)
