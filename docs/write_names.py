"""Write docs/names.md, other libraries' names beside ours: ``python docs/write_names.py``, or ``make docs``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from ivyhub import engine
from ivyhub.engine.interop import names

PAGE = Path(__file__).with_name("names.md")

HEAD = """\
# Names of other libraries

Written by `make docs` from `ivyhub/engine/interop/names.py`; a test sees that every name on our side is there. Ours are
those of `ivyhub.engine`: `random.normal` is `ivyhub.engine.random.normal`. What has one name on both sides is listed
below each table; it has the signature of the Array API Standard where that has the function.
"""

EAGERPY = """\
`ivyhub.engine.Array` has every method of EagerPy's tensors under EagerPy's name: `Array(x).square().sum(axis=0)`. The
table tells the functions of `ivyhub.engine` that do the same, for native arrays. They differ where the standard does:
`T` is of matrices alone, `tile`, `matmul`, `mean` and `take_along_axis` take more than EagerPy's do.
"""
TENSORLY = """\
After `ivyhub.engine.interop.tensorly.register()`, `tensorly.set_backend("ivyhub.torch")` and its like make TensorLy
work on `Array`.
"""
IVY = """\
Functions of `ivy.functional` 1.0. Ours take and give native arrays, find their framework by their first array, and have
no global state: in place of Ivy's `set_` and `unset_` functions stand blocks (`with default_dtype("float64"):`) or
arguments. einops itself takes `Array`, and native arrays, in place of the `einops_` functions.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        (
            HEAD,
            _section("EagerPy", EAGERPY, names.EAGERPY, names.EAGERPY_SAME, frozenset()),
            _section("TensorLy", TENSORLY, names.TENSORLY, names.TENSORLY_SAME, names.TENSORLY_MISSING),
            _section("Ivy", IVY, names.IVY, names.IVY_SAME, names.IVY_MISSING),
        )
    )


def _section(library: str, text: str, renamed: Mapping[str, str], same: frozenset[str], missing: frozenset[str]) -> str:
    rows = [f"| {library} | ours |", "| --- | --- |"]
    rows += [f"| `{theirs}` | `{ours}` |" for theirs, ours in sorted(renamed.items())]
    parts = [f"## {library}\n\n{text}", "\n".join(rows) + "\n", f"The same name: {_listed(same)}.\n"]
    if missing:
        parts.append(f"No function of ours: {_listed(missing)}.\n")
    return "\n".join(parts)


def _listed(words: frozenset[str]) -> str:
    return ", ".join(f"`{word}`" for word in sorted(words))


def resolved(name: str) -> Any:
    """What a dotted name of `ivyhub.engine` stands for. Raises `AttributeError` or `ModuleNotFoundError`."""
    found: Any = engine
    for part in name.split("."):
        if isinstance(found, type(engine)) and not hasattr(found, part):
            found = importlib.import_module(f"{found.__name__}.{part}")
        else:
            found = getattr(found, part)
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
