"""What a target cannot write, in terms of what it can: decompositions of operations, formulas of layers."""

from __future__ import annotations

from collections.abc import Callable

from packaging.version import Version

from ...errors import NoLoweringError
from ..graph import Graph, ModuleInfo, Node
from ..layer import find_layer
from ..op import OPS
from .rewriting import Replacement, Rewrites, Sweep


def legalise(
    graph: Graph,
    framework: str,
    version: Version | None = None,
    *,
    expand: Callable[[ModuleInfo], bool] = lambda module: False,
    covers: Callable[[Node], bool] | None = None,
    evaluates: bool = False,
) -> bool:
    """Decompose every operation that a framework has no row for, and expand layers into their formulas.

    The formula of an expanded leaf layer reads its parameters under their owners' paths.

    Requires: nothing. Ensures: every operation has a row for that version of the framework.

    Args:
        graph: what to rewrite.
        framework: a name of `backends.FRAMEWORKS`, or what a message calls the target that ``covers`` tells of.
        version: of the framework; the newest for None.
        expand: whether the target lacks a leaf layer of the module table.
        covers: whether the target can write a node, where that is not for a framework's rows to say.
        evaluates: whether the target has evaluation alone, in which every layer is its formula.

    Raises `NoLoweringError` with every operation that cannot be written, its module and its source line.
    """
    missing: list[tuple[str, str, str]] = []
    table = Rewrites()

    def place(node: Node) -> tuple[str, str]:
        line = f"{node.scope.file}:{node.scope.line}" if node.scope.file else ""
        return graph.calls[node.scope.call].module, line

    @table("call")
    def formula(node: Node, sweep: Sweep) -> Replacement:
        module = graph.modules[node.attributes["module"]]
        if not expand(module):
            return "the target has the layer"
        kind = find_layer(str(module.layer))
        assert kind is not None, f"{module.path} is no leaf layer, which verify has refused"
        layer = kind(**module.config)
        if layer.uses_training and not evaluates:
            missing.append((f"{module.layer} (of {module.path}, which behaves differently in training)", *place(node)))
            return "its formula has no training"
        paths = {name: f"{module.path}.{name}" if module.path else name for name in module.parameters}
        weights = {name: sweep.parameter(graph.owner(path)) for name, path in paths.items()}
        return layer.forward(weights, *node.args)

    @table(*OPS)
    def decomposition(node: Node, sweep: Sweep) -> Replacement:
        op = OPS[node.op]
        if covers is not None:
            if covers(node):
                return "the target has a row"
        elif op.row(framework, node.arg_specs, node.attributes, version=version) is not None:
            return "the framework has a row"
        if op.primitive:
            missing.append((node.op, *place(node)))
            return "it has no decomposition"
        return op.function(*node.args, **node.attributes)

    changed = table.apply(graph)
    if missing:
        target = framework if version is None else f"{framework} {version}"
        names = sorted({name for name, _, _ in missing})
        places = "\n".join(
            f"  {name}  in {path or '(root)'}  at {line or 'unknown line'}" for name, path, line in missing
        )
        raise NoLoweringError(
            f"{target} cannot express {len(names)} operation(s): {', '.join(names)}\n{places}",
            hint="choose another target, or add a row for each (CONTRIBUTING.md)",
            missing=missing,
        )
    return changed
