"""Passes: rewrites of a graph that keep its meaning.

A pass is a function from a graph, changed in place, to whether it changed; its docstring says what it requires and
what it ensures. `run` applies passes by name until none changes anything more. Most are tables of local rewrites
(`rewriting.Rewrites`); see `simplify` for those that every graph goes through before it is written.

What depends on the target is asked for by name: `channels_last` and `heads_third` for its layouts, `own_dropouts` where
randomness needs a layer, and `legalise` last, for what the target lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from ...errors import GraphError
from ..graph import Graph
from ..verify import verify
from .common import common, dead
from .dropouts import own_dropouts
from .folding import FOLDING
from .fusion import FUSION
from .layout import channels_last, heads_third
from .legalise import legalise
from .masks import MASKS
from .products import PRODUCTS
from .shapes import SHAPES

Pass = Callable[[Graph], bool]

PASSES: Mapping[str, Pass] = MappingProxyType(
    {
        "common": common,
        "dead": dead,
        "dropouts": own_dropouts,
        "folding": FOLDING.apply,
        "heads_third": heads_third,
        "fusion": FUSION.apply,
        "masks": MASKS.apply,
        "products": PRODUCTS.apply,
        "shapes": SHAPES.apply,
        # In one sweep, so that they see each other's work.
        "rewrites": (FOLDING | SHAPES | MASKS | PRODUCTS | FUSION).apply,
    }
)
"""Passes by name."""


def run(graph: Graph, names: Sequence[str], *, check: bool = False) -> Graph:
    """Apply passes in turn until none changes the graph any more; the graph is changed in place and returned.

    Args:
        graph: what to rewrite.
        names: of `PASSES`.
        check: verify the graph after each pass.

    Raises `GraphError` for an unknown name, and when the passes undo each other without end.

    Example:
        >>> from ivyhub.engine import ops
        >>> from ivyhub.engine.spec import Spec
        >>> from ivyhub.engine.trace import trace
        >>> graph = trace(lambda x: ops.reshape(x + 0, shape=(6,)), Spec((2, 3)))
        >>> run(graph, ["folding", "shapes", "dead"]).nodes
        [<reshape -> float32[6]>]
    """
    unknown = [name for name in names if name not in PASSES]
    if unknown:
        raise GraphError(f"unknown passes {unknown}", hint=f"choose from {', '.join(PASSES)}")
    for _ in range(20):
        changed = False
        for name in names:
            changed |= PASSES[name](graph)
            if check:
                verify(graph)
        if not changed:
            return graph
    raise GraphError(f"the passes {', '.join(names)} find no end")


def simplify(graph: Graph, *, check: bool = False) -> Graph:
    """Everything that makes a graph smaller and keeps its values: what every target gets.

    Requires: nothing. Ensures: what `common`, `dead` and the tables of rewrites ensure, together.
    """
    return run(graph, ("rewrites", "common", "dead"), check=check)


__all__ = ["PASSES", "Pass", "channels_last", "heads_third", "legalise", "own_dropouts", "run", "simplify"]
