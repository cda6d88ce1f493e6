"""Tracing: run array code on `graph.Value`s and keep what it does as a `Graph`.

`Builder` records: captures of every framework run reading rules under it, passes run decompositions under it, and
`trace` runs a user's function.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import keyword
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import EngineError, GraphError
from .backends import framework_of
from .dims import Dim
from .graph import ROOT, Graph, Node, Record, Scope, Tree, Value, tree_leaves, tree_map
from .imaginary import with_complex
from .layer import find_layer
from .lines import keep_last_hint, short_path, user_line
from .op import INFER, OPS, Op
from .recording import RECORDER
from .spec import Spec


class Builder:
    """Records nodes into a graph.

    Attributes:
        graph: what is being built.
        scope: given to every node that is recorded; set it before running a rule.
        nodes: where nodes go, ``graph.nodes`` unless a pass collects them first.
        lines: whether each node's scope names the user's line that records it.
        nested: whether the graph is that of a branch or loop, which has no calls.

    Example:
        >>> from ivyhub.engine import ops
        >>> builder = Builder()
        >>> x = builder.input("x", Spec(("n", 3), "float32"))
        >>> with builder.recording():
        ...     y = ops.add(x, 1.0)
        >>> y.spec
        float32[n, 3]
    """

    nested = False

    def __init__(self, graph: Graph | None = None, *, lines: bool = False) -> None:
        self.lines = lines
        self.graph = Graph() if graph is None else graph
        self.nodes: list[Node] = self.graph.nodes
        self.scope: Scope = ROOT

    @contextlib.contextmanager
    def recording(self, scope: Scope | None = None) -> Generator[Builder]:
        """Record every operation that the block applies, in a scope."""
        token = RECORDER.set(self)
        before = self.scope
        if scope is not None:
            self.scope = scope
        try:
            yield self
        finally:
            self.scope = before
            RECORDER.reset(token)

    def value(self, spec: Spec, hint: str = "") -> Value:
        """A new value without a producer; its symbols get an open range when they have none."""
        for name in spec.symbols - self.graph.symbols.keys():
            self.graph.symbols[name] = (1, None)
        return Value(spec, hint=hint)

    def input(self, name: str, spec: Tree) -> Any:
        """A new input of the graph: a value, or a tree of values from one of specs, in the same containers."""
        if name in self.graph.inputs:
            raise GraphError(f"the graph has an input {name!r} already")
        paths = iter([path for path, _ in tree_leaves(spec, name)])

        def value(leaf: Any) -> Any:
            hint = next(paths).replace(".", "_")
            return self.value(leaf, hint if hint.isidentifier() else "") if isinstance(leaf, Spec) else leaf

        tree = tree_map(value, spec)
        self.graph.inputs[name] = self.graph.calls[0].arguments[name] = recorded(tree)
        return tree

    def apply(self, op: Op, args: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
        """Record one operation and return its value (or tuple of values).

        Native arrays among the args become constants. Raises the engine's `ShapeError` or `DTypeError`.
        """
        args = tree_map(self.lift, self._sizes_lifted(_freeze(args)))
        attributes = {name: _freeze(value) for name, value in attributes.items()}
        specs = tree_map(lambda leaf: leaf.spec if isinstance(leaf, Value) else leaf, args)
        try:
            inferred = op.infer(specs, attributes)
        except EngineError as error:
            if not error.message.startswith(op.name):
                error.message = f"{op.name}: {error.message}"
            raise
        return self.record(op.name, args, attributes, inferred)

    def record(self, op: str, args: Sequence[Any], attributes: Mapping[str, Any], specs: Any) -> Any:
        """Append a node with outputs of the given spec (or tuple of specs)."""
        scope = self._here() if self.lines else self.scope
        node = Node(op, _freeze(args), dict(attributes), scope=scope)
        outputs = specs if isinstance(specs, tuple) else (specs,)
        hints = scope.name.split(", ")
        if len(hints) != len(outputs):
            hints = hints[:1] * len(outputs)
        node.outputs = tuple(Value(spec, node=node, hint=hint) for spec, hint in zip(outputs, hints, strict=True))
        self.nodes.append(node)
        return node.outputs if isinstance(specs, tuple) else node.outputs[0]

    def parameter(self, path: str) -> Value:
        """Read a parameter or buffer of the module table; each is read once a scope."""
        for node in reversed(self.nodes):
            if node.scope.call != self.scope.call:
                break
            if node.op == "parameter" and node.attributes["path"] == path:
                return node.output
        value = self.record("parameter", (), {"path": path}, self.graph.parameter(path).spec)
        name = path.rpartition(".")[2]
        plain = name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
        value.hint = name if plain else ""  # a parameter of a list is called 0
        return value

    def constant(self, array: np.ndarray, name: str = "constant") -> Value:
        """A small array that is part of the program; equal arrays are kept once."""
        array = np.asarray(array)
        for key, known in self.graph.constants.items():
            if known.dtype == array.dtype and known.shape == array.shape and known.tobytes() == array.tobytes():
                return self.record("constant", (), {"name": key}, _spec(array))
        key, count = name, 1
        while key in self.graph.constants:
            key, count = f"{name}_{count}", count + 1
        self.graph.constants[key] = array
        return self.record("constant", (), {"name": key}, _spec(array))

    def call(self, module: str, args: Sequence[Any], *, specs: Any = None) -> Any:
        """Run a leaf layer of the module table; its result's spec is inferred through the layer's formula."""
        if specs is None:
            specs = infer_layer(self.graph, module, tree_map(_leaf_spec, tuple(args)))
        return self.record("call", args, {"module": module}, specs)

    def finish(self, outputs: Tree) -> Graph:
        """Close the graph with its outputs."""
        self.graph.outputs = self.graph.calls[0].result = recorded(outputs)
        return self.graph

    def _here(self) -> Scope:
        file, line, name = user_line()
        return Scope(self.scope.call, short_path(file), line, name) if file else self.scope

    def _sizes_lifted(self, args: Any) -> Any:
        """Symbolic sizes among operands as values: numbers, so of the dtype of the array beside them."""
        leaves = [leaf for _, leaf in tree_leaves(args)]
        if not any(isinstance(leaf, Dim) for leaf in leaves):
            return args
        dtype = next((leaf.dtype for leaf in leaves if isinstance(leaf, Value)), "int64")

        def lifted(leaf: Any) -> Any:
            return self.apply(OPS["full"], (), {"shape": (), "fill_value": leaf, "dtype": dtype})

        return tree_map(lambda leaf: lifted(leaf) if isinstance(leaf, Dim) else leaf, args)

    def operands(self, op: Op, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The operands of a call with native arrays as constants.

        A scalar of NumPy beside values whose dtype it would share is a number, as it is beside arrays of a framework.
        """
        if not any(framework_of(leaf) for _, leaf in tree_leaves(args)):
            return tuple(with_complex(op, args))
        shared = [arg for name, arg in zip(op.operands, args, strict=True) if name in op.promotes]
        beside = any(isinstance(leaf, Value) for _, leaf in tree_leaves(tuple(shared)))

        def operand(name: str, leaf: Any) -> Any:
            if isinstance(leaf, np.generic) and beside and name in op.promotes:
                return leaf.item()
            return leaf if framework_of(leaf) is None else self.lift(leaf)

        found = [tree_map(functools.partial(operand, name), arg) for name, arg in zip(op.operands, args, strict=True)]
        return tuple(with_complex(op, found))

    def lift(self, leaf: Any) -> Any:
        """What may stand among the args of a node: native arrays become constants."""
        if leaf is None or isinstance(leaf, Value | bool | int | float | complex):
            return leaf
        return self.constant(np.asarray(leaf))


def infer_by_tracing(op: Op, args: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """The spec of an operation's result, by following its decomposition."""
    return _infer(lambda *values: op.function(*values, **attributes), args)


INFER.append(infer_by_tracing)


def infer_layer(graph: Graph, module: str, args: Sequence[Any]) -> Any:
    """The spec of a leaf layer's result, by following its formula."""
    info = graph.modules[module]
    kind = find_layer(str(info.layer))
    if kind is None:
        raise GraphError(f"{module!r} is an unknown leaf layer {info.layer!r}")
    layer = kind(**info.config)
    weights = {name: parameter.spec for name, parameter in info.parameters.items()}
    return _infer(lambda weights, *values: layer.forward(weights, *values), (weights, *args))


def _infer(function: Callable[..., Any], args: Sequence[Any]) -> Any:
    builder = Builder()
    with builder.recording():
        result = function(*tree_map(lambda leaf: builder.value(leaf) if isinstance(leaf, Spec) else leaf, tuple(args)))
    return tree_map(_leaf_spec, result)


def _leaf_spec(leaf: Any) -> Any:
    return leaf.spec if isinstance(leaf, Value) else leaf


def trace(function: Callable[..., Any], *specs: Tree, **named: Tree) -> Graph:
    """Trace a function of engine operations.

    Each node remembers the line of the function's source that records it, and the names on its left-hand side.

    Args:
        function: array code over the functional API, control flow and random numbers included.
        specs: of the positional arguments, named after the function's parameters: `Spec`s, whose sizes may be symbolic,
            or trees of them; what is no spec is given to the function as it is.
        named: of keyword arguments.

    Raises:
        GraphError: where the function asks for the value of an array.

    Example:
        >>> from ivyhub.engine import ops
        >>> graph = trace(lambda p: ops.add(p["x"], p["y"]), {"x": Spec(("n",), "float32"), "y": Spec((), "float32")})
        >>> graph.nodes
        [<add -> float32[n]>]
    """
    builder = Builder(lines=True)
    names = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    values = [builder.input(names[i] if i < len(names) else f"arg_{i}", spec) for i, spec in enumerate(specs)]
    keywords = {name: builder.input(name, spec) for name, spec in named.items()}
    name = getattr(function, "__name__", "")
    words = [word[:1].upper() + word[1:] for word in name.split("_")] if name.isidentifier() else []
    builder.graph.modules[""].cls = "".join(words) or "Function"  # a lambda has no name to write
    keep_signature(builder.graph, function)
    with builder.recording():
        found = function(*values, **keywords)
        outputs = tree_map(lambda leaf: builder.lift(leaf) if framework_of(leaf) else leaf, found)
    keep_last_hint(builder.graph)
    return builder.finish(outputs)


def keep_signature(graph: Graph, function: Callable[..., Any]) -> None:
    """Note that a graph is of a function, whose name and parameters are to be those of what is made of it."""
    name = getattr(function, "__name__", "function")
    parameters = [[word, parameter.kind.name] for word, parameter in inspect.signature(function).parameters.items()]
    graph.meta["function"] = {"name": name if name.isidentifier() else "function", "parameters": parameters}
    graph.meta |= starred(inspect.signature(function))


def recorded(tree: Any) -> Tree:
    """A tree with records in the places of its named tuples."""
    match tree:
        case dict():
            return {key: recorded(child) for key, child in tree.items()}
        case tuple() | list():
            children = [recorded(child) for child in tree]
            fields = getattr(tree, "_fields", None)
            if fields is None:
                return type(tree)(children)
            return Record(type(tree).__name__, dict(zip(fields, children, strict=True)))
    return tree


def starred(signature: inspect.Signature) -> dict[str, str]:
    """For the notes of a graph: the name under which a source takes any number of arguments, where there is one.

    Example:
        >>> starred(inspect.signature(lambda x, *others: x))
        {'starred': 'others'}
    """
    words = [word for word, each in signature.parameters.items() if each.kind is each.VAR_POSITIONAL]
    return {"starred": words[0]} if words else {}


def _freeze(value: Any) -> Any:
    return tuple(map(_freeze, value)) if isinstance(value, list | tuple) else value


def _spec(array: np.ndarray) -> Spec:
    return Spec(array.shape, array.dtype.name)


__all__ = ["Builder", "infer_by_tracing", "infer_layer", "keep_signature", "recorded", "starred", "trace"]
