"""Functional dropout becomes a layer of the module that calls it, as targets with explicit randomness need."""

from __future__ import annotations

from ..graph import Graph, ModuleInfo, Node
from .rewriting import Replacement, Rewrites, Sweep


def own_dropouts(graph: Graph) -> bool:
    """Give each functional dropout, attention's among them, a Dropout layer of its module.

    A dropout of a rate takes a child of its module that is a Dropout of that rate and is never called, else a new
    child ``dropout`` (numbered where the name is taken). Calls of one module share the layer of the same place.

    Requires: nothing. Ensures: no ``dropout`` operation; every attention with a dropout rate above 0 names its layer
    in ``dropout_layer``.
    """
    called = {node.attributes["module"] for node in graph.nodes if node.op == "call"}
    called |= {node.attributes.get("dropout_layer") or "" for node in graph.nodes}
    given: dict[tuple[str, int], str] = {}  # (module, how many-th dropout of its call) -> path of the layer
    counts: dict[int, int] = {}
    table = Rewrites()

    def layer_of(node: Node, rate: float) -> str:
        parent = graph.calls[node.scope.call].module
        count = counts.get(node.scope.call, 0)
        counts[node.scope.call] = count + 1
        if (parent, count) not in given:
            given[parent, count] = _free_child(graph, parent, rate, called)
            called.add(given[parent, count])
        return given[parent, count]

    @table("dropout")
    def layer(node: Node, sweep: Sweep) -> Replacement:
        return sweep.call(layer_of(node, node.attributes["rate"]), node.args)

    @table("attention")
    def weights(node: Node, sweep: Sweep) -> Replacement:
        rate = node.attributes["dropout_rate"]
        if not rate or node.attributes["dropout_layer"] is not None:
            return "it drops nothing, or has its layer"
        attributes = {**node.attributes, "dropout_layer": layer_of(node, rate)}
        return sweep.record("attention", node.args, attributes, node.output.spec)

    return table.apply(graph)


def _free_child(graph: Graph, parent: str, rate: float, called: set[str]) -> str:
    for child in graph.children(parent):
        if child.layer == "Dropout" and child.config["rate"] == rate and child.path not in called:
            return child.path
    prefix = f"{parent}." if parent else ""
    path, count = f"{prefix}dropout", 1
    while path in graph.modules or path.rpartition(".")[2] in graph.modules[parent].parameters:
        count += 1
        path = f"{prefix}dropout_{count}"
    graph.modules[path] = ModuleInfo(path, "Dropout", "Dropout", {"rate": rate})
    return path
