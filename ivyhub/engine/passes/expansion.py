"""Recurrent layers that a target lacks, as calls of modules that hold their formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..graph import Call, Graph, ModuleInfo, Node
from ..layer import find_layer
from ..stateful.sequences import Recurrence
from .rewriting import Replacement, Rewrites, Sweep


def expand_recurrences(graph: Graph, lacks: Callable[[ModuleInfo], bool]) -> bool:
    """Write recurrent layers out, each as a method of its own module; dropout between layers is an operation.

    Requires: nothing. Ensures: no call of a recurrent layer that ``lacks`` holds for.
    """
    layers = {path: _layer(module) for path, module in graph.modules.items()}
    chosen = {path: layer for path, layer in layers.items() if layer is not None and lacks(graph.modules[path])}
    made: dict[Node, Call] = {}
    for node in graph.nodes:
        path = node.attributes["module"] if node.op == "call" else ""
        if path in chosen:
            x, *states = node.args
            call = made[node] = Call(path, node.scope.call, {"input": x} | ({"hx": tuple(states)} if states else {}))
            graph.calls.append(call)
            node.scope = replace(node.scope, call=len(graph.calls) - 1)
    for node, call in made.items():
        call.result = node.outputs
    table = Rewrites()

    @table("call")
    def formula(node: Node, sweep: Sweep) -> Replacement:
        module = graph.modules[node.attributes["module"]]
        if module.path not in chosen:
            return "the target has the layer"
        paths = {name: f"{module.path}.{name}" if module.path else name for name in module.parameters}
        weights = {name: sweep.parameter(graph.owner(path)) for name, path in paths.items()}
        return chosen[module.path].forward(weights, *node.args)

    return table.apply(graph)


def _layer(module: ModuleInfo) -> Recurrence | None:
    kind = find_layer(module.layer) if module.layer is not None else None
    return kind(**module.config) if kind is not None and issubclass(kind, Recurrence) else None
