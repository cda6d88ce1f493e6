"""The suite that comes with onnx, through the exports of every target: no case may be wrong."""

from __future__ import annotations

import collections
import sys

import numpy as np
import pytest

pytest.importorskip("onnx")

from tests.registry.adapters.onnx_source.backend import KINDS, cases, verdict

TARGETS = ("numpy", "torch", "jax", "tensorflow")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the suite's own arithmetic: it tests infinities

#: What is to pass of 2033 cases: the rest is text, images, random numbers, and results whose shape hangs on numbers.
AT_LEAST = {"numpy": 1950, "torch": 1950, "jax": 1850, "tensorflow": 1850}


@pytest.mark.sweep
@pytest.mark.parametrize("target", TARGETS)
def test_every_case(target: str) -> None:
    counts: collections.Counter[str] = collections.Counter()
    told: dict[str, dict[str, str]] = collections.defaultdict(dict)
    with np.errstate(all="ignore"):
        for case in cases(*KINDS):
            word, why = verdict(case, target)
            counts[word] += 1
            told[word][case.name] = why
    lines = [f"{word}: {name}: {why}" for word, found in told.items() for name, why in found.items() if why]
    sys.stdout.write("\n".join([*sorted(lines), f"{target}: {dict(counts)}", ""]))  # `-rA` or `-s` shows it
    assert not told["wrong"]
    if counts["pass"] < AT_LEAST[target]:
        pytest.xfail(f"the goal is {AT_LEAST[target]} cases; {dict(counts)}")
