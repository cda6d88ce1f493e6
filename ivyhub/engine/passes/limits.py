"""The least and the greatest integer, where a framework counts in fewer bits than the source."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import narrowed
from ..graph import Graph, tree_map


def narrow_limits(graph: Graph, name: str) -> bool:
    """Write the limits of 64-bit integers as those of the integers that a framework has instead.

    They stand for the neutral element of a minimum or maximum; as they are, JAX would refuse them or count from the
    other end. Other numbers that are too wide are left, and refused when they are used.

    Requires: nothing. Ensures: no operand or attribute is the limit of a dtype that the framework does not have.
    """
    limits: dict[int, int] = {}
    for wide, narrow in narrowed(name).items():
        if "int" in wide:
            a, b = np.iinfo(wide), np.iinfo(narrow)
            limits |= {int(a.max): int(b.max)} | ({int(a.min): int(b.min)} if a.min else {})
    changed = False

    def limited(leaf: Any) -> Any:
        nonlocal changed
        found = limits.get(leaf, leaf) if isinstance(leaf, int) and not isinstance(leaf, bool) else leaf
        changed |= found is not leaf
        return found

    for node in graph.nodes if limits else ():
        node.args = tree_map(limited, node.args)
        node.attributes = {
            key: limited(value) if isinstance(value, int) else value for key, value in node.attributes.items()
        }
    return changed
