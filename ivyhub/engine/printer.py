"""Graphs as text to read: the nodes as one indented function, the modules as a tree."""

from __future__ import annotations

import inspect
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

from .graph import Graph, ModuleInfo, Node, Record, Tree, Value, call_chain, tree_values
from .layer import find_layer
from .op import OPS

INDENT = "    "


def print_graph(graph: Graph) -> str:
    """The nodes as one function: a line each, indented by module, with types and the user's lines.

    Example:
        >>> from ivyhub.engine import ops
        >>> from ivyhub.engine.spec import Spec
        >>> from ivyhub.engine.trace import trace
        >>> print(print_graph(trace(lambda x: ops.multiply(ops.add(x, 1.0), x), Spec(("n", 3)))))
        # n >= 1
        Function(x: float32[n, 3]):
            add: float32[n, 3] = add(x, 1.0)
            multiply: float32[n, 3] = multiply(add, x)
            return multiply
    """
    return "\n".join(_lines(graph))


def _lines(graph: Graph, title: str = "") -> Iterator[str]:
    names = _Names()
    if graph.symbols and not title:  # those of a nested graph are those of the graph around
        yield f"# {', '.join(_range(*item) for item in graph.symbols.items())}"
    for name, tree in graph.inputs.items():
        for value in tree_values(tree):
            names.give(value, value.hint or name)
    inputs = (f"{name}: {_tree(tree, names, typed=True)}" for name, tree in graph.inputs.items())
    yield f"{title or graph.modules[''].class_name}({', '.join(inputs)}):"
    chain, line = [0], ("", 0)
    for node in graph.nodes:
        if node.scope.call != chain[-1]:
            before, chain = chain, call_chain(graph, node.scope.call)
            for depth, call in enumerate(chain):
                if call not in before:
                    module = graph.modules[graph.calls[call].module]
                    yield f"{INDENT * depth}{module.path}: {module.class_name}"
        text = f"{INDENT * len(chain)}{_node(node, names)}"
        here = (node.scope.file, node.scope.line)
        if here != line and node.scope.file:
            text += f"  # {os.path.basename(node.scope.file)}:{node.scope.line}"
        line = here
        yield text
        for name, nested in node.graphs.items():
            yield from (f"{INDENT * (len(chain) + 1)}{each}" for each in _lines(nested, name))
    for path, value in graph.updates.items():
        yield f"{INDENT}update {path} = {names[value]}"
    yield f"{INDENT}return {_tree(graph.outputs, names)}"


def print_nodes(graph: Graph) -> dict[Node, str]:
    """A line for each node as `print_graph` has it, with the path of its module and the user's line behind it.

    Example:
        >>> from ivyhub.engine import ops
        >>> from ivyhub.engine.spec import Spec
        >>> from ivyhub.engine.trace import trace
        >>> list(print_nodes(trace(lambda x: ops.exp(x), Spec(("n", 3)))).values())
        ['exp: float32[n, 3] = exp(x)']
    """
    names = _Names()
    for name, tree in graph.inputs.items():
        for value in tree_values(tree):
            names.give(value, value.hint or name)
    found: dict[Node, str] = {}
    for node in graph.nodes:
        module, scope = graph.calls[node.scope.call].module, node.scope
        where = [module] if module else []
        where += [f"{os.path.basename(scope.file)}:{scope.line}"] if scope.file else []
        found[node] = _node(node, names) + (f"  # {', '.join(where)}" if where else "")
    return found


def _node(node: Node, names: _Names) -> str:
    args = [_tree(arg, names) for arg in node.args]
    match node.op:
        case "parameter":
            expression = node.attributes["path"]
        case "constant":
            expression = f"constant {node.attributes['name']}"
        case "call":
            expression = f"{node.attributes['module']}({', '.join(args)})"
        case "getitem":
            expression = f"{args[0]}[{', '.join(map(_pick, node.attributes['key']))}]"
        case _:
            defaults = OPS[node.op].attributes if node.op in OPS else {}
            attributes = {
                name: value
                for name, value in node.attributes.items()
                if name not in node.graphs
                and defaults.get(name, inspect.Parameter.empty) is not value
                and defaults.get(name) != value
            }
            while args and args[-1] in ("None", "()"):
                args.pop()
            keywords = [f"{name}={_attribute(value)}" for name, value in attributes.items()]
            expression = f"{node.op}({', '.join(args + keywords)})"
    outputs = ", ".join(f"{names.give(value, value.hint or node.op)}: {value.spec}" for value in node.outputs)
    return f"{outputs} = {expression}"


def _pick(item: Any) -> str:
    """One item of a basic index as Python writes it."""
    if not isinstance(item, tuple):
        return str(item)
    start, stop, step = ("" if bound is None else str(bound) for bound in item)
    return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"


def _attribute(value: Any) -> str:
    match value:
        case tuple():
            return f"({', '.join(map(_attribute, value))}{',' * (len(value) == 1)})"
        case str():
            return f'"{value}"' if '"' not in value else repr(value)
    return repr(value)


def _tree(tree: Tree, names: _Names, *, typed: bool = False) -> str:
    match tree:
        case Value():
            return str(tree.spec) if typed else names[tree]
        case Record(name, children):
            return (
                f"{name}({', '.join(f'{key}={_tree(child, names, typed=typed)}' for key, child in children.items())})"
            )
        case dict():
            return f"{{{', '.join(f'{key!r}: {_tree(child, names, typed=typed)}' for key, child in tree.items())}}}"
        case tuple() | list():
            inner = ", ".join(_tree(child, names, typed=typed) for child in tree)
            return f"[{inner}]" if isinstance(tree, list) else f"({inner}{',' * (len(tree) == 1)})"
    return repr(tree)


def _range(name: str, bounds: tuple[int, int | None]) -> str:
    low, high = bounds
    return f"{name} >= {low}" if high is None else f"{low} <= {name} <= {high}"


class _Names(dict[Value, str]):
    """A name for every value: its hint, numbered where it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.used: Counter[str] = Counter()

    def give(self, value: Value, hint: str) -> str:
        name = hint
        while self.used[name]:
            self.used[hint] += 1
            name = f"{hint}_{self.used[hint]}"
        self.used[name] += 1
        self[value] = name
        return name


def print_tree(graph: Graph) -> str:
    """The module tree: classes, leaf layers with their configuration, and the parameters below each.

    Counts are of trainable elements by dtype, with elements of buffers after a plus; a shared parameter counts where
    it is owned. Equal children in a row are drawn once.

    Example:
        >>> from ivyhub.engine.graph import Parameter
        >>> from ivyhub.engine.spec import Spec
        >>> graph = Graph()
        >>> graph.modules["dense"] = ModuleInfo("dense", "torch.nn.Linear", "Linear", {"in_features": 2,
        ...     "out_features": 3, "use_bias": False}, {"weight": Parameter(Spec((3, 2)))})
        >>> print(print_tree(graph))
        Function  6 float32
        └── dense: Linear(in_features=2, out_features=3, use_bias=False)  6 float32
    """
    root = _Branch(graph, "")
    return "\n".join([f"{root.module.class_name}{root.count()}", *_branches(root)])


class _Branch:
    """A module with all below it; branches of one ``shape`` differ in nothing but where they stand."""

    def __init__(self, graph: Graph, path: str) -> None:
        self.module: ModuleInfo = graph.modules[path]
        self.children = [_Branch(graph, child.path) for child in graph.children(path)]
        self.trainable: Counter[str] = Counter()
        self.buffers: Counter[str] = Counter()
        parameters = self.module.parameters
        for parameter in parameters.values():
            if parameter.alias is None:
                counter = self.trainable if parameter.trainable else self.buffers
                counter[parameter.spec.dtype] += int(parameter.spec.size)
        for child in self.children:
            self.trainable.update(child.trainable)
            self.buffers.update(child.buffers)
        self.shape: Any = (
            *(self.module.cls, self.module.layer, repr(self.module.config)),
            tuple((name, repr(parameter)) for name, parameter in parameters.items()),
            tuple((child.name, child.shape) for child in self.children),
        )

    @property
    def name(self) -> str:
        return self.module.path.rpartition(".")[2]

    @property
    def label(self) -> str:
        """Its name; a number stands behind the name of the list that it is in."""
        parts = self.module.path.rsplit(".", 2)
        return ".".join(parts[-2:]) if parts[-1].isdecimal() else parts[-1]

    def title(self) -> str:
        if self.module.layer is None:
            return self.module.class_name
        config = ", ".join(f"{name}={value!r}" for name, value in _config(self.module).items())
        return f"{self.module.class_name}({config})"

    def count(self, times: int = 1) -> str:
        parts = [f"{size:,} {dtype}" for dtype, size in sorted(self.trainable.items())]
        parts += [f"+ {size:,} {dtype}" for dtype, size in sorted(self.buffers.items())]
        return f"  {f'{times} × ' if times > 1 else ''}{' '.join(parts)}" if parts else ""


def _config(module: ModuleInfo) -> dict[str, Any]:
    """The configuration of a leaf layer without what its layer has as default."""
    layer = find_layer(str(module.layer))
    defaults = {f.name: f.default for f in fields(layer) if f.default is not MISSING} if layer is not None else {}
    return {name: value for name, value in module.config.items() if name not in defaults or defaults[name] != value}


def _branches(branch: _Branch, margin: str = "") -> Iterator[str]:
    rows: list[tuple[str, _Branch | None]] = []
    for name, parameter in branch.module.parameters.items():
        if parameter.alias is not None:
            rows.append((f"{name}: {parameter.spec} shared with {parameter.alias}", None))
        elif branch.module.layer is None:
            rows.append((f"{name}: {parameter.spec}{'' if parameter.trainable else ' buffer'}", None))
    index = 0
    while index < len(branch.children):
        first = last = branch.children[index]
        times = 1
        while index + times < len(branch.children) and branch.children[index + times].shape == first.shape:
            last = branch.children[index + times]
            times += 1
        index += times
        label = first.label if times == 1 else f"{first.label} … {last.label}"
        rows.append((f"{label}: {first.title()}{first.count(times)}", first))
    for number, (text, child) in enumerate(rows):
        final = number == len(rows) - 1
        yield f"{margin}{'└── ' if final else '├── '}{text}"
        if child is not None:
            yield from _branches(child, margin + ("    " if final else "│   "))
