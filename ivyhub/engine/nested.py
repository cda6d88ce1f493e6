"""Nodes that hold graphs: control flow and transforms (see the specification in `graph`).

`nest` traces the functions of such a node. A value of the graph around that they close over becomes an operand of the
node and an input of each of its graphs; a parameter likewise; a leaf layer stands as its formula.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import DTypeError, EngineError, GraphError, ShapeError
from .backends import is_floating
from .graph import CONTROL, Graph, Value, tree_map
from .layer import find_layer
from .lines import keep_last_hint
from .recording import RECORDER
from .spec import Spec
from .trace import Builder

Function = Callable[[Sequence[Value]], Sequence[Value]]
Inputs = Mapping[str, Spec]


class NestedBuilder(Builder):
    """Records the body of a function inside of another builder's graph.

    Attributes:
        parent: the builder of the graph around.
        captured: the input that stands for each value of the graph around.
    """

    nested = True

    def __init__(self, parent: Builder) -> None:
        super().__init__(Graph(symbols=dict(parent.graph.symbols)), lines=parent.lines)
        self.parent = parent
        self.scope = replace(parent.scope, call=0)
        self.captured: dict[Value, Value] = {}
        self.own: set[Value] = set()

    def input(self, name: str, spec: Spec) -> Value:
        value = super().input(name, spec)
        self.own.add(value)
        return value

    def record(self, op: str, args: Sequence[Any], attributes: Mapping[str, Any], specs: Any) -> Any:
        result = super().record(op, tree_map(self.lift, tuple(args)), attributes, specs)
        self.own.update(self.nodes[-1].outputs)
        return result

    def parameter(self, path: str) -> Value:
        return self.lift(self.parent.parameter(path))

    def constant(self, array: Any, name: str = "constant") -> Value:
        return self.lift(self.parent.constant(array, name))

    def call(self, module: str, args: Sequence[Any], *, specs: Any = None) -> Any:
        outermost: Builder = self
        while isinstance(outermost, NestedBuilder):
            outermost = outermost.parent
        info = outermost.graph.modules[module]
        kind = find_layer(str(info.layer))
        if kind is None or (layer := kind(**info.config)).uses_training:
            raise GraphError(
                f"{module} ({info.layer}) behaves differently in training, so it cannot stand in a branch, loop or "
                "transform",
                hint="call it before or after",
            )
        return layer.forward({name: self.parameter(f"{module}.{name}") for name in info.parameters}, *args)

    def lift(self, leaf: Any) -> Any:
        """A value as one of this graph; native arrays become constants."""
        if not isinstance(leaf, Value):
            return super().lift(leaf)
        if leaf in self.own:
            return leaf
        if leaf not in self.captured:
            self.captured[leaf] = self._capture(leaf)
        return self.captured[leaf]

    def _capture(self, value: Value) -> Value:
        base = value.hint or "captured"
        name, count = base, 2
        while name in self.graph.inputs:
            name, count = f"{base}_{count}", count + 1
        return self.input(name, value.spec)


def inputs_like(arrays: Sequence[Value]) -> dict[str, Spec]:
    """Names for the inputs of a nested graph: those of the values around, where they have any."""
    found: dict[str, Spec] = {}
    for array in arrays:
        base = word = array.hint or "x"
        count = 2
        while word in found:
            word, count = f"{base}_{count}", count + 1
        found[word] = array.spec
    return found


def nest(
    functions: Mapping[str, tuple[Function, Inputs | Callable[[], Inputs]]],
) -> tuple[dict[str, Graph], tuple[Value, ...]]:
    """Trace the functions of one node.

    Args:
        functions: by the attribute that will hold the graph: the function over values, and its inputs by name, or what
            tells them once the functions before it are traced.

    Returns:
        The graphs, and the values of the graph around that they all take after their own inputs.
    """
    parent = RECORDER.get()
    if not isinstance(parent, Builder):
        raise EngineError("control flow or a transform received a traced array outside of its trace")
    builders: dict[str, NestedBuilder] = {}
    words: dict[str, list[str]] = {}
    for name, (function, inputs) in functions.items():
        builder = builders[name] = NestedBuilder(parent)
        specs = inputs() if callable(inputs) else inputs
        values = [builder.input(word, spec) for word, spec in specs.items()]
        words[name] = list(specs)
        with builder.recording():
            builder.finish(tuple(builder.lift(value) for value in function(values)))
        keep_last_hint(builder.graph)
    captured = tuple(dict.fromkeys(value for builder in builders.values() for value in builder.captured))
    for name, builder in builders.items():
        inputs = {word: builder.graph.inputs[word] for word in words[name]}
        for value in captured:
            builder.lift(value)
        given = {value: word for word, value in builder.graph.inputs.items()}
        inputs |= {given[builder.captured[value]]: builder.captured[value] for value in captured}
        builder.graph.inputs = inputs
        builder.graph.calls[0].arguments = dict(inputs)
    return {name: builder.graph for name, builder in builders.items()}, captured


def record_control(op: str, args: Sequence[Any], attributes: Mapping[str, Any]) -> tuple[Value, ...]:
    """Record such a node in the current trace. Raises where its graphs do not fit."""
    builder = RECORDER.get()
    args = tree_map(builder.lift, tuple(args))
    specs = infer_control(op, tree_map(lambda leaf: leaf.spec if isinstance(leaf, Value) else leaf, args), attributes)
    return builder.record(op, args, attributes, specs)


def infer_control(op: str, args: Sequence[Any], attributes: Mapping[str, Any]) -> tuple[Spec, ...]:
    """The specs of a control node's results, from those of its args. Raises where its graphs do not fit."""
    if set(CONTROL[op]) - attributes.keys() or any(not isinstance(attributes[name], Graph) for name in CONTROL[op]):
        raise GraphError(f"{op} holds the graphs {', '.join(CONTROL[op])}; found {sorted(attributes)}")
    results: dict[str, tuple[Spec, ...]] = {}
    match op, args:
        case "cond", (Spec() as predicate, tuple() as operands, tuple() as captured):
            _truth(op, predicate)
            for name in CONTROL[op]:
                results[name] = _run(op, name, attributes[name], (*operands, *captured))
            _equal(op, "the branches", results["then"], results["orelse"])
            return results["then"]
        case "while_loop", (tuple() as carry, tuple() as captured):
            for name in CONTROL[op]:
                results[name] = _run(op, name, attributes[name], (*carry, *captured))
            if len(results["test"]) != 1:
                raise ShapeError(f"{op} expected one result of its test, received {len(results['test'])}")
            _truth(op, results["test"][0])
            _equal(op, "the carry and what becomes of it", carry, results["body"])
            return carry
        case "scan", (tuple() as carry, tuple() as xs, tuple() as captured):
            length = attributes["length"]
            if any(x.ndim == 0 or x.shape[0] != length for x in xs):
                raise ShapeError(f"{op} expected arrays of the length {length}, received {xs}")
            rows = tuple(x.with_shape(*x.shape[1:]) for x in xs)
            found = _run(op, "body", attributes["body"], (*carry, *rows, *captured))
            _equal(op, "the carry and what becomes of it", carry, found[: len(carry)])
            return (*carry, *(y.with_shape(length, *y.shape) for y in found[len(carry) :]))
        case "checkpoint", (tuple() as arrays, tuple() as captured):
            return _run(op, "body", attributes["body"], (*arrays, *captured))
        case "vmap", (tuple() as arrays, tuple() as captured):
            if len({x.shape[:1] for x in arrays}) != 1 or arrays[0].ndim == 0:
                raise ShapeError(f"{op} expected arrays of one length, received {arrays}")
            slices = tuple(x.with_shape(*x.shape[1:]) for x in arrays)
            found = _run(op, "body", attributes["body"], (*slices, *captured))
            return tuple(y.with_shape(arrays[0].shape[0], *y.shape) for y in found)
        case "value_and_grad", (tuple() as arrays, tuple() as captured):
            found = _run(op, "body", attributes["body"], (*arrays, *captured))
            _smooth(op, arrays)
            if not found or found[0].shape or not is_floating(found[0].dtype):
                raise ShapeError(f"{op} expected a floating-point scalar as the first result, received {found}")
            return (*found, *arrays)
        case "vjp", (tuple() as arrays, tuple() as cotangents, tuple() as captured):
            found = _run(op, "body", attributes["body"], (*arrays, *captured))
            _smooth(op, (*arrays, *found))
            _equal(op, "the results and their cotangents", found, cotangents)
            return arrays
        case "jvp", (tuple() as arrays, tuple() as tangents, tuple() as captured):
            found = _run(op, "body", attributes["body"], (*arrays, *captured))
            _smooth(op, arrays)
            _equal(op, "the arrays and their tangents", arrays, tangents)
            return (*found, *filter(_is_smooth, found))
        case "custom_gradient", (tuple() as arrays, tuple() as captured):
            found = _run(op, "body", attributes["body"], (*arrays, *captured))
            _smooth(op, (*arrays, *found))
            gradients = _run(op, "pullback", attributes["pullback"], (*arrays, *found, *captured))
            _equal(op, "the arrays and their gradients", arrays, gradients)
            return found
    raise GraphError(f"{op} has other args than {args}")


def _run(op: str, name: str, graph: Graph, operands: tuple[Any, ...]) -> tuple[Spec, ...]:
    inputs = tuple(value.spec for value in graph.input_values)
    _equal(op, f"the inputs of {name} and its operands", inputs, operands)
    if not isinstance(graph.outputs, tuple) or not all(isinstance(value, Value) for value in graph.outputs):
        raise GraphError(f"{op} expected a tuple of values as the result of {name}")
    return tuple(value.spec for value in graph.outputs)


def _truth(op: str, spec: Spec) -> None:
    if spec != Spec((), "bool"):
        raise DTypeError(f"{op} expected one truth value, received {spec}", hint="reduce it with all or any")


def _is_smooth(spec: Spec) -> bool:
    return is_floating(spec.dtype) or spec.dtype.startswith("complex")


def _smooth(op: str, specs: Sequence[Spec]) -> None:
    if not specs or not all(map(_is_smooth, specs)):
        raise DTypeError(f"{op} expected floating-point or complex arrays, received {', '.join(map(repr, specs))}")


def _equal(op: str, what: str, first: tuple[Any, ...], second: tuple[Any, ...]) -> None:
    if tuple(first) != tuple(second):
        raise ShapeError(
            f"{op} expected {what} to have equal shapes and dtypes, "
            f"received {', '.join(map(repr, first))} and {', '.join(map(repr, second))}"
        )


__all__ = ["NestedBuilder", "infer_control", "inputs_like", "nest", "record_control"]
