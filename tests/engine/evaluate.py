"""A graph run on NumPy, node by node: the oracle of the pass tests, with what they share. Nothing but tests uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ivyhub.engine.dims import Dim
from ivyhub.engine.graph import CONTROL, Graph, Value, tree_map, tree_values
from ivyhub.engine.op import OPS
from ivyhub.engine.spec import Spec
from ivyhub.engine.stateful.layers import LAYERS
from ivyhub.engine.verify import verify
from tests.arrays import assert_close

BATCH, LENGTH = Dim.symbol("batch"), Dim.symbol("length")
SIZES = {"batch": 2, "length": 5}


def evaluate(graph: Graph, inputs: Mapping[str, Any], parameters: Mapping[str, np.ndarray] | None = None) -> list[Any]:
    """The outputs and buffer updates of a graph in evaluation mode, as a flat list."""
    parameters = parameters or {}
    env: dict[Value, np.ndarray] = {}
    sizes: dict[str, int] = {}
    for name, tree in graph.inputs.items():
        values = tree_values(tree)
        arrays = [inputs[name]] if len(values) == 1 else list(inputs[name])
        for value, array in zip(values, arrays, strict=True):
            env[value] = array
            for size, actual in zip(value.shape, array.shape, strict=True):
                if isinstance(size, Dim) and size.is_symbol:
                    assert sizes.setdefault(str(size), actual) == actual

    def known(leaf: Any) -> Any:
        if isinstance(leaf, Value):
            return env[leaf]
        return leaf.evaluate(sizes) if isinstance(leaf, Dim) else leaf

    for node in graph.nodes:
        args = tree_map(known, node.args)
        attributes = {name: tree_map(known, value) for name, value in node.attributes.items()}
        match node.op:
            case "parameter":
                result: Any = parameters[graph.owner(attributes["path"])]
            case "constant":
                result = graph.constants[attributes["name"]]
            case "call":
                module = graph.modules[attributes["module"]]
                weights = {name: parameters[graph.owner(f"{module.path}.{name}")] for name in module.parameters}
                result = LAYERS[str(module.layer)](**module.config).forward(weights, *args)
            case op if op in CONTROL:
                result = control(node, args)
            case _:
                op = OPS[node.op]
                with np.errstate(all="ignore"):  # as the frameworks do: a later where may choose the other branch
                    result = op(*args, **attributes) if node.operands else op.on("numpy", *args, **attributes)
        outputs = result if isinstance(result, tuple | list) else (result,)
        for value, array in zip(node.outputs, outputs, strict=True):
            array = np.asarray(array)
            expected = tuple(size.evaluate(sizes) if isinstance(size, Dim) else size for size in value.shape)
            assert array.shape == expected, (node, array.shape)
            assert array.dtype.name == value.dtype, (node, array.dtype)
            env[value] = array
    return [env[value] for value in graph.output_values]


def control(node: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """A node that holds graphs, in Python."""

    def run(name: str, *operands: Any) -> list[Any]:
        nested = node.graphs[name]
        return evaluate(nested, dict(zip(nested.inputs, operands, strict=True)))

    match node.op:
        case "cond":
            predicate, operands, captured = args
            return tuple(run("then" if predicate else "orelse", *operands, *captured))
        case "while_loop":
            carry, captured = args
            while run("test", *carry, *captured)[0]:
                carry = run("body", *carry, *captured)
            return tuple(carry)
        case "checkpoint" | "custom_gradient":
            arrays, captured = args
            return tuple(run("body", *arrays, *captured))
        case "vmap":
            arrays, captured = args
            rows = [run("body", *slices, *captured) for slices in zip(*arrays, strict=True)]
            return tuple(np.stack(each) for each in zip(*rows, strict=True))
    assert node.op == "scan", "NumPy has no gradients"
    carry, xs, captured = args
    steps = list(range(node.attributes["length"]))
    rows = {}
    for i in steps[::-1] if node.attributes["reverse"] else steps:
        found = run("body", *carry, *(x[i] for x in xs), *captured)
        carry, rows[i] = found[: len(carry)], found[len(carry) :]
    return (*carry, *(np.stack(each) for each in zip(*(rows[i] for i in steps), strict=True)))


def random_parameters(graph: Graph, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """An array for every parameter and buffer that owns one: small numbers, positive variances."""
    found: dict[str, np.ndarray] = {}
    for path, parameter in graph.parameters():
        if parameter.alias is None:
            array = rng.normal(size=parameter.spec.shape) * 0.2
            if path.endswith("running_var"):
                array = np.abs(array) + 0.5
            found[path] = array.astype(parameter.spec.dtype)
    return found


def operations(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def random_array(spec: Spec, rng: np.random.Generator) -> np.ndarray:
    shape = [size.evaluate(SIZES) if isinstance(size, Dim) else size for size in spec.shape]
    if spec.dtype == "bool" or spec.dtype.startswith("int"):
        return rng.integers(0, 2, shape).astype(spec.dtype)
    return rng.normal(size=shape).astype(spec.dtype)


def keeps_values(
    graph: Graph, change: Callable[[Graph], Any], rng: np.random.Generator, *, exact: bool = True
) -> list[str]:
    """Apply a pass and compare; returns the operations that are left."""
    verify(graph)
    inputs = {name: random_array(value.spec, rng) for name, value in graph.inputs.items()}
    parameters = random_parameters(graph, rng)
    before = evaluate(graph, inputs, parameters)
    change(graph)
    verify(graph)
    after = evaluate(graph, inputs, parameters)
    for expected, found in zip(before, after, strict=True):
        if exact:
            np.testing.assert_array_equal(found, expected)
        else:  # another order of summation in float32
            assert_close(found, expected, 2e-5)
    return operations(graph)
