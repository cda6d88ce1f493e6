"""Adapters: one folder a framework, both directions, and the doors to them.

`emit` and `capture` find the adapter of a framework by its name and import it on first use; nothing else of the
registry imports an adapter.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

from ...engine import graph as _graph

if TYPE_CHECKING:
    from ...engine.graph import Graph
    from .target import Target
    from .writing.export import Export


def emit(graph: Graph, target: Target | str) -> Export:
    """Write a graph as native source of a target. The graph is not changed.

    Raises `NoLoweringError` with every operation that the target cannot express.
    """
    if isinstance(target, str):
        target = importlib.import_module(".target", __name__).Target.parse(target)
    framework = cast("Target", target).framework
    return importlib.import_module(f".{framework}.emit", __name__).emit(graph, target)


def capture(framework: str, source: Any, *args: Any, **kwargs: Any) -> Any:
    """Capture a model or function of a framework: see the ``capture`` of its adapter."""
    return importlib.import_module(f".{framework}.capture", __name__).capture(source, *args, **kwargs)


_graph.EMIT = emit
