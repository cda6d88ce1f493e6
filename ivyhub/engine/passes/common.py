"""Passes over whole graphs: what is never read, and what is computed twice."""

from __future__ import annotations

import struct
from typing import Any

from ..dims import Dim
from ..graph import Graph, Node, Value, forms, tree_map
from ..ops.draws import DRAWS

RANDOM = DRAWS | {"dropout"}


def dead(graph: Graph) -> bool:
    """Remove nodes whose outputs nothing reads, and the constants that only they read.

    Requires: nothing. Ensures: every node is on a path to an output or update. A leaf layer that would only have
    updated its own statistics goes too: nothing that the graph returns depends on them. Records of calls keep
    another form of a value that no longer exists where there is one, and forget the others.
    """
    live: set[Value] = set(graph.output_values)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if any(value in live for value in node.outputs):
            live.update(node.operands)
            kept.append(node)
    changed = len(kept) != len(graph.nodes)
    graph.nodes = kept[::-1]
    known = {value for node in graph.nodes for value in node.outputs} | set(graph.input_values)

    def forget(leaf: Any) -> Any:
        if not isinstance(leaf, Value) or leaf in known:
            return leaf
        return next((form for form in forms(leaf) if form in known), None)

    for call in graph.calls:
        call.arguments = tree_map(forget, call.arguments)
        call.result = tree_map(forget, call.result)
    read = {node.attributes["name"] for node in graph.nodes if node.op == "constant"}
    graph.constants = {name: array for name, array in graph.constants.items() if name in read}
    return changed


def common(graph: Graph) -> bool:
    """Compute equal things once in each call.

    Requires: nothing. Ensures: no two pure nodes of one call are equal in operation, args and attributes. Calls of
    layers and random operations stay: each run of theirs is a run of its own.
    """
    seen: dict[Any, Node] = {}
    swaps: dict[Value, Value] = {}

    def swap(leaf: Any) -> Any:
        return swaps.get(leaf, leaf) if isinstance(leaf, Value) else leaf

    kept: list[Node] = []
    for node in graph.nodes:
        if swaps:
            node.args = tree_map(swap, node.args)
        if node.op == "call" or node.op in RANDOM or _random(node):
            kept.append(node)
            continue
        key = (node.scope.call, node.op, _key(node.args), _key(tuple(node.attributes.items())))
        first = seen.setdefault(key, node)
        if first is node:
            kept.append(node)
        else:
            swaps.update(zip(node.outputs, first.outputs, strict=True))
    graph.nodes = kept
    graph.replace(swaps)
    return bool(swaps)


def _random(node: Node) -> bool:
    return bool(node.attributes.get("dropout_rate"))


def _key(tree: Any) -> Any:
    """A hashable stand-in in which 0, 0.0, -0.0 and False differ, and a nan equals itself."""
    match tree:
        case tuple():
            return tuple(map(_key, tree))
        case Value() | Graph():  # of graphs, those of two nodes are two
            return id(tree)
        case float():
            return ("float", struct.pack("d", tree))
        case str() | None | Dim():
            return tree
    return (type(tree).__name__, repr(tree))
