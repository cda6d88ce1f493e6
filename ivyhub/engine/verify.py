"""`verify`: a graph against the specification of the IR, which stands in `engine.graph`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import EngineError, GraphError
from .graph import CONTROL, Graph, ModuleInfo, Node, call_chain, tree_values
from .layer import find_layer
from .nested import infer_control
from .op import OPS
from .spec import Spec
from .trace import infer_layer


def verify(graph: Graph) -> Graph:
    """Check a graph against the specification and return it. Raises `GraphError` at the first breach."""

    def fail(message: str, node: Node | None = None) -> GraphError:
        place = ""
        if node is not None:
            where = f", {node.scope.file}:{node.scope.line}" if node.scope.file else ""
            place = f" in {node!r} of {graph.calls[node.scope.call].module or '(root)'}{where}"
        return GraphError(f"{message}{place}", hint="this is a defect of the capture or pass that made the graph")

    for path, module in graph.modules.items():
        if path != module.path:
            raise fail(f"module {module.path!r} stands at {path!r}")
        if path and path.rpartition(".")[0] not in graph.modules:
            raise fail(f"module {path!r} has no parent")
        if module.layer is not None:
            if find_layer(module.layer) is None:
                raise fail(f"module {path!r} is an unknown leaf layer {module.layer!r}")
            _verify_layer(module, fail)
    for path, parameter in graph.parameters():
        if parameter.alias is not None:
            owner = graph.parameter(parameter.alias)
            if owner.alias is not None or owner.spec != parameter.spec:
                raise fail(f"{path!r} is an alias of {parameter.alias!r}, which does not own an array of its spec")
    for index, call in enumerate(graph.calls):
        if call.module not in graph.modules:
            raise fail(f"call {index} runs {call.module!r}, which is no module")
        if (call.parent is None) != (index == 0) or (call.parent is not None and not 0 <= call.parent < index):
            raise fail(f"call {index} has the parent {call.parent}")

    known = set(graph.input_values)
    for value in known:
        if free := value.spec.symbols - graph.symbols.keys():
            raise fail(f"the symbol {sorted(free)[0]!r} of the input {value!r} has no range")
    closed: set[int] = set()
    stack: list[int] = [0]
    for node in graph.nodes:
        if not 0 <= node.scope.call < len(graph.calls):
            raise fail(f"call {node.scope.call} of {node!r} does not exist")
        chain = call_chain(graph, node.scope.call)
        while stack[-1] not in chain:
            closed.add(stack.pop())
        for call in chain[chain.index(stack[-1]) + 1 :]:
            if call in closed:
                raise fail(f"the nodes of call {call} are not contiguous", node)
            stack.append(call)
        for value in node.operands:
            if value not in known:
                raise fail(f"{value!r} is used before it is produced", node)
        _verify_node(graph, node, fail)
        for value in node.outputs:
            if value.node is not node or value in known:
                raise fail(f"{value!r} is not produced by this node alone", node)
            known.add(value)
            if free := value.spec.symbols - graph.symbols.keys():
                raise fail(f"the symbol {sorted(free)[0]!r} has no range", node)
    for value in graph.output_values:
        if value not in known:
            raise fail(f"the output {value!r} is never produced")
    for index, call in enumerate(graph.calls):
        for value in tree_values((*call.arguments.values(), call.result)):
            if value not in known:
                raise fail(f"the record of call {index} ({call.module}) names {value!r}, which is never produced")
    return graph


def _verify_layer(module: ModuleInfo, fail: Callable[..., GraphError]) -> None:
    try:
        cls = find_layer(str(module.layer))
        if cls is None:
            raise TypeError("no such layer")
        layer = cls(**module.config)
        shapes = {**layer.parameters(), **{name: shape for name, (shape, _) in layer.buffers().items()}}
    except (EngineError, TypeError, ValueError, ArithmeticError) as error:
        raise fail(f"module {module.path!r} is no {module.layer}: {error}") from error
    found = {name: parameter.spec.shape for name, parameter in module.parameters.items()}
    if found != shapes:
        raise fail(f"module {module.path!r} needs parameters of the shapes {shapes}, found {found}")


def _verify_node(graph: Graph, node: Node, fail: Callable[..., GraphError]) -> None:
    match node.op:
        case "parameter":
            expected: Any = graph.parameter(node.attributes["path"]).spec
        case "constant":
            name = node.attributes["name"]
            if name not in graph.constants:
                raise fail(f"the constant {name!r} does not exist", node)
            expected = Spec(graph.constants[name].shape, graph.constants[name].dtype.name)
        case "call":
            module = graph.modules.get(node.attributes["module"])
            if module is None or module.layer is None:
                raise fail(f"{node.attributes['module']!r} is no leaf layer", node)
            expected = _inferred(lambda: infer_layer(graph, module.path, node.arg_specs), node, fail)
        case op if op in CONTROL:
            expected = _inferred(lambda: infer_control(node.op, node.arg_specs, node.attributes), node, fail)
            for nested in node.graphs.values():
                if len(nested.modules) != 1 or len(nested.calls) != 1 or nested.updates:
                    raise fail("a nested graph has modules, calls or updates", node)
                verify(nested)
        case _:
            op = OPS.get(node.op)
            if op is None:
                raise fail(f"the operation {node.op!r} does not exist", node)
            if len(node.args) != len(op.operands) or node.attributes.keys() != op.attributes.keys():
                raise fail(f"{op.name} takes {op.operands} and {list(op.attributes)}", node)
            dropout = node.attributes.get("dropout_layer")
            if dropout is not None and (dropout not in graph.modules or graph.modules[dropout].layer != "Dropout"):
                raise fail(f"{dropout!r} is no Dropout layer", node)
            expected = _inferred(lambda: op.infer(node.arg_specs, node.attributes), node, fail)
    specs = tuple(value.spec for value in node.outputs)
    if specs != (expected if isinstance(expected, tuple) else (expected,)):
        raise fail(f"expected the result {expected}, found {', '.join(map(repr, specs))}", node)


def _inferred(infer: Callable[[], Any], node: Node, fail: Callable[..., GraphError]) -> Any:
    try:
        return infer()
    except EngineError as error:
        raise fail(error.message, node) from error
    except Exception as error:  # rules take well-typed attributes for granted; a graph from a file may lie
        raise fail(f"{type(error).__name__}: {error}", node) from error
