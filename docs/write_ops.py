"""Write docs/ops.md from the table of operations: ``python docs/write_ops.py``, or ``make docs``."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import ivyhub.engine.ops  # noqa: F401 - fills the table
from ivyhub.engine.backends import FRAMEWORKS, framework_of
from ivyhub.engine.graph import tree_leaves, tree_map
from ivyhub.engine.op import OPS, Op
from ivyhub.engine.ops.draws import DRAWS
from ivyhub.engine.spec import Spec, spec_of
from tests.engine.draw import Draw
from tests.engine.ops_samples import SAMPLES

PAGE = Path(__file__).with_name("ops.md")

HEAD = """\
# Operations

Written by `make docs` from the table of operations; a test keeps it fresh. A framework's cell has the oldest version of
the framework whose own function is used, `*` where it takes some calls only, or "decomposed": written in other
operations. "gradient" says whether floating-point arguments have one (which is zero where a function is flat).
"""


def page() -> str:
    """The whole page: a table for each family of operations."""
    sections = [HEAD]
    for module, group in itertools.groupby(sorted(OPS.values(), key=_order), key=lambda op: op.function.__module__):
        sections.append(_family(module, list(group)))
    return "\n".join(sections)


def _order(op: Op) -> tuple[str, int]:
    return op.function.__module__, op.function.__code__.co_firstlineno


def _family(name: str, group: list[Op]) -> str:
    title = (sys.modules[name].__doc__ or name).splitlines()[0]
    heads = ["operation", "meaning", *FRAMEWORKS, "gradient"]
    lines = [heads, ["---"] * len(heads), *map(_row, group)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {name.rpartition('.')[2]}\n\n{title}\n\n{table}\n"


def _row(op: Op) -> list[str]:
    meaning = (op.__doc__ or "").splitlines()[0].replace("|", "\\|")
    return [f"`{op.name}`", meaning, *(_cell(op, framework) for framework in FRAMEWORKS), _gradient(op)]


def _cell(op: Op, framework: str) -> str:
    rows = op.rows[framework]
    if not rows:
        return "-" if op.primitive else "decomposed"
    oldest = min(row.since for row in rows)
    minimum = FRAMEWORKS[framework].minimum
    version = minimum if str(oldest) == "0" else str(oldest)
    whole = any(row.when is None and row.dtypes is None for row in rows)
    return version if whole else f"{version}*"


def _gradient(op: Op) -> str:
    """Whether a sample of the tests has a floating-point argument and a floating-point result."""
    if op.name in DRAWS:
        return "no"
    for args, attributes in SAMPLES[op.name](Draw(np.random.default_rng(0))):
        specs = tree_map(lambda leaf: spec_of(leaf) if framework_of(leaf) else leaf, (*args, *op.defaults[len(args) :]))
        results = op.infer(specs, op.bind(attributes))
        results = results if isinstance(results, tuple) else (results,)
        if any(_inexact(leaf) for _, leaf in tree_leaves(specs)) and any(map(_inexact, results)):
            return "yes"
    return "no"


def _inexact(leaf: object) -> bool:
    return isinstance(leaf, Spec) and ("float" in leaf.dtype or "complex" in leaf.dtype)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
