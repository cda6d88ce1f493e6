"""What rows of `lower` write with: nodes of ONNX, constants, sizes, and graphs inside of nodes.

Constants and the sizes that vary are computed once, before everything else; graphs inside of nodes see them there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ....engine.dims import Dim, Size
from ....engine.graph import Graph, Node, Value, tree_map, tree_values
from ....engine.op import OPS
from ....engine.spec import Spec
from ....errors import NoLoweringError
from ...weights.dtypes import numpy_dtype
from .loading import type_of_dtype

OPSET = 21
"""The version of ONNX's operators that is written, of ONNX 1.16 (2024)."""

SMALL = 64  # elements: a constant of more is an initialiser, which readers take for a weight

IrValue = Any  # an onnx_ir.Value


@dataclass(frozen=True)
class Row:
    """How an operation is written, and when that holds.

    Attributes:
        write: of the writer, the call (operands' specs, attributes, and ``result``, its specs) and the operands.
        when: a condition over the call.
    """

    write: Callable[..., Any]
    when: Callable[[SimpleNamespace], Any] | None


class Rows(dict[str, list[Row]]):
    """The rows of operations by name; of several, the first whose condition holds."""

    def __call__(
        self, *names: str, when: Callable[[SimpleNamespace], Any] | None = None
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Enter a function as the next row of operations."""

        def enter(write: Callable[..., Any]) -> Callable[..., Any]:
            for name in names:
                self.setdefault(name, []).append(Row(write, when))
            return write

        return enter

    def find(self, node: Node) -> Row | None:
        """The row of a node; none has complex numbers or those of 8 bits with a point."""
        call = call_of(node)
        specs = [leaf for leaf in (*_leaves(node.arg_specs), *call.result) if isinstance(leaf, Spec)]
        if any("complex" in spec.dtype or "float8" in spec.dtype for spec in specs):
            return None
        return next((row for row in self.get(node.op, ()) if row.when is None or row.when(call)), None)


def call_of(node: Node) -> SimpleNamespace:
    """A node as conditions and rows see it: operands' specs and attributes by name, ``result``: the outputs' specs."""
    operands = OPS[node.op].operands if node.op in OPS else ()
    named = dict(zip(operands, node.arg_specs, strict=True)) if operands else {}
    return SimpleNamespace(**named, **node.attributes, result=[value.spec for value in node.outputs])


def _leaves(tree: Any) -> Iterable[Any]:
    for leaf in tree:
        if isinstance(leaf, tuple):
            yield from _leaves(leaf)
        else:
            yield leaf


class Writer:
    """Writes one graph.

    Args:
        graph: prepared, so that `rows` have each of its operations.
        rows: how operations are written.
    """

    def __init__(self, graph: Graph, rows: Rows) -> None:
        import onnx_ir

        self.ir: Any = onnx_ir
        self.graph = graph
        self.rows = rows
        self.first: list[Any] = []
        self.nodes: list[Any] = []
        self.initializers: dict[str, IrValue] = {}
        self.values: dict[Value, IrValue] = {}
        self.names = {path for path, _ in graph.parameters()}
        self.constants: dict[tuple[str, tuple[int, ...], bytes], IrValue] = {}
        self.sizes: dict[Size, IrValue] = {}
        self.symbols: dict[str, tuple[IrValue, int]] = {}
        self.properties: dict[str, str] = {}
        self.place = ""

    # -- nodes ---------------------------------------------------------------------------------------------------

    def op(self, kind: str, *inputs: IrValue | None, outputs: int = 1, **attributes: Any) -> Any:
        """A node of ONNX; its output, or the tuple of them. Attributes that are None are left out."""
        given = list(inputs)
        while given and given[-1] is None:
            given.pop()
        plain = {name: _plain(value) for name, value in attributes.items() if value is not None}
        node = self.ir.node(
            kind,
            given,
            plain,
            num_outputs=outputs,
            name=self.name(f"{self.place}/{kind}" if self.place else kind),
            metadata_props=dict(self.properties),
        )
        for value in node.outputs:
            value.name = self.name(kind.lower())
        self.nodes.append(node)
        return node.outputs[0] if outputs == 1 else tuple(node.outputs)

    def name(self, word: str) -> str:
        """A name that nothing has yet."""
        found, count = word, 2
        while found in self.names:
            found, count = f"{word}_{count}", count + 1
        self.names.add(found)
        return found

    def value(self, name: str, spec: Spec) -> IrValue:
        """A value that no node makes, of a name that is its own already."""
        return self.ir.Value(name=name, type=self.ir.TensorType(self.type_of(spec.dtype)), shape=self.shape_of(spec))

    def type_of(self, dtype: str) -> Any:
        """The element type of a dtype."""
        return self.ir.DataType(type_of_dtype(dtype))

    def shape_of(self, spec: Spec) -> Any:
        """A shape, with the sizes that vary as text."""
        return self.ir.Shape([size if isinstance(size, int) else str(size) for size in spec.shape])

    def cast(self, x: IrValue, before: str, after: str) -> IrValue:
        """x in another dtype."""
        return x if before == after else self.op("Cast", x, to=int(self.type_of(after)))

    @contextlib.contextmanager
    def ahead(self) -> Generator[None]:
        """While entered, nodes are written before everything else."""
        nodes, place, properties = self.nodes, self.place, self.properties
        self.nodes, self.place, self.properties = self.first, "", {}
        try:
            yield
        finally:
            self.nodes, self.place, self.properties = nodes, place, properties

    # -- constants and sizes -------------------------------------------------------------------------------------

    def constant(self, array: Any, dtype: str | None = None, name: str = "constant") -> IrValue:
        """An array, or a number of a dtype, as a part of the program."""
        array = np.asarray(array) if dtype is None else np.asarray(array).astype(numpy_dtype(dtype))
        key = (array.dtype.name, array.shape, array.tobytes())
        found = self.constants.get(key)
        if found is None:
            tensor = self.ir.tensor(array)
            if array.size > SMALL:
                found = self.value(self.name(name), Spec(array.shape, array.dtype.name))
                found.const_value = tensor
                tensor.name = found.name
                self.initializers[found.name] = found
            else:
                with self.ahead():
                    found = self.op("Constant", value=tensor)
            self.constants[key] = found
        return found

    def ints(self, sizes: Sequence[Size]) -> IrValue:
        """Sizes as a vector of int64."""
        if all(isinstance(size, int) for size in sizes):
            return self.constant(np.asarray(sizes, np.int64).reshape(-1))
        parts = [self.size(size) for size in sizes]
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=0)

    def number(self, size: Size, dtype: str = "int64") -> IrValue:
        """A size as an array without axes."""
        if isinstance(size, int | float):
            return self.constant(size, dtype)
        return self.cast(self.op("Squeeze", self.size(size), self.ints((0,))), "int64", dtype)

    def size(self, size: Size) -> IrValue:
        """A size as a vector of one int64."""
        if not isinstance(size, Dim):
            return self.constant(np.asarray([size], np.int64))
        if size not in self.sizes:
            with self.ahead():
                self.sizes[size] = self._computed(size)
        return self.sizes[size]

    def _computed(self, size: Dim) -> IrValue:
        total: Any = None
        for monomial, coefficient in size.terms.items():
            term: Any = None
            for atom, power in monomial:
                factor = self._atom(atom)
                for _ in range(power):
                    term = factor if term is None else self.op("Mul", term, factor)
            if term is None:
                term = self.size(coefficient)
            elif coefficient != 1:
                term = self.op("Mul", term, self.size(coefficient))
            total = term if total is None else self.op("Add", total, term)
        return total

    def _atom(self, atom: Any) -> IrValue:
        if atom[0] == "symbol":
            x, axis = self.symbols[atom[1]]
            key = Dim.symbol(atom[1])
            if key not in self.sizes:
                self.sizes[key] = self.op("Shape", x, start=axis, end=axis + 1)
            return self.sizes[key]
        function, *operands = atom
        a, b = (self.size(operand) for operand in operands)
        if function == "floordiv":  # Div of integers cuts towards zero
            return self.op("Div", self.op("Sub", a, self.op("Mod", a, b)), b)
        return self.op({"mod": "Mod", "max": "Max", "min": "Min"}[function], a, b)

    # -- graphs --------------------------------------------------------------------------------------------------

    def write(self, graph: Graph) -> None:
        """Write the nodes of a graph whose inputs are in `values`."""
        for node in graph.nodes:
            self._scope(node)
            self._node(node, graph)

    def _node(self, node: Node, graph: Graph) -> None:
        match node.op:
            case "parameter":
                path = self.graph.owner(node.attributes["path"])
                if path not in self.initializers:
                    self.initializers[path] = self.value(path, node.output.spec)
                self.values[node.output] = self.initializers[path]
                return
            case "constant":
                name = node.attributes["name"]
                self.values[node.output] = self.constant(graph.constants[name], name=name)
                return
            case "cond":
                results = self._cond(node)
            case "while_loop":
                results = self._while_loop(node)
            case "scan":
                results = self._scan(node)
            case _:
                row = self.rows.find(node)
                assert row is not None, f"{node.op} has no row, which prepare has refused"
                results = row.write(self, call_of(node), *self.operands(node))
        found = results if isinstance(results, tuple) else (results,)
        for value, result in zip(node.outputs, found, strict=True):
            self.values[value] = result
            if result.producer() is not None and result.type is None:
                result.type = self.ir.TensorType(self.type_of(value.dtype))
                result.shape = self.shape_of(value.spec)

    def operands(self, node: Node) -> list[Any]:
        """The operands of a node; numbers among them as constants of the dtype that they adopt."""
        op = OPS[node.op]
        names = op.operands
        typed = [
            value.dtype
            for name, arg in zip(names, node.args, strict=True)
            if not op.promotes or name in op.promotes
            for value in tree_values(arg)
        ]
        dtype = typed[0] if typed else node.outputs[0].dtype

        def lifted(leaf: Any) -> Any:
            if isinstance(leaf, Value):
                return self.values[leaf]
            if isinstance(leaf, Dim):
                return self.number(leaf, dtype)
            return None if leaf is None else self.constant(leaf, dtype)

        return [tree_map(lifted, arg) for arg in node.args]

    def _scope(self, node: Node) -> None:
        """Where a node comes from, in the words of PyTorch's exporter, which Netron and others read."""
        call = self.graph.calls[node.scope.call] if node.scope.call < len(self.graph.calls) else self.graph.calls[0]
        path = call.module
        parts = path.split(".") if path else []
        paths = [".".join(parts[:depth]) for depth in range(len(parts) + 1)]
        modules = [(each, self.graph.modules[each].cls) for each in paths if each in self.graph.modules]
        self.place = path.replace(".", "/")
        self.properties = {
            "namespace": "/".join([*(f"{each}: {cls}" for each, cls in modules), f"{node.op}: {node.op}"]),
            "pkg.torch.onnx.class_hierarchy": repr([*(cls for _, cls in modules), node.op]),
            "pkg.torch.onnx.name_scopes": repr([*(each for each, _ in modules), node.op]),
        }
        if node.scope.file:
            self.properties["source"] = f"{Path(node.scope.file).name}:{node.scope.line}"

    @contextlib.contextmanager
    def _inside(self) -> Generator[list[Any]]:
        """While entered, nodes go to the list that is given."""
        nodes, self.nodes = self.nodes, []
        try:
            yield self.nodes
        finally:
            self.nodes = nodes

    def _run(self, graph: Graph, given: Sequence[IrValue]) -> list[IrValue]:
        """Write a graph in place, over other values for its inputs; its results."""
        for value, other in zip(graph.input_values, given, strict=True):
            self.values[value] = other
        place, properties = self.place, self.properties
        for node in graph.nodes:
            self._node(node, graph)
        self.place, self.properties = place, properties
        return [self.values[value] for value in tree_values(graph.outputs)]

    def results(self, values: Sequence[IrValue], specs: Sequence[Spec]) -> list[IrValue]:
        """Values as outputs of a graph: each its own, made in it, with a type."""
        made = {id(value) for node in self.nodes for value in node.outputs}
        seen: set[int] = set()
        found: list[IrValue] = []
        for each, spec in zip(values, specs, strict=True):
            value = each if id(each) in made and id(each) not in seen else self.op("Identity", each)
            seen.add(id(value))
            value.type, value.shape = self.ir.TensorType(self.type_of(spec.dtype)), self.shape_of(spec)
            found.append(value)
        return found

    def _subgraph(
        self, name: str, inputs: Sequence[IrValue], body: Callable[[], tuple[Sequence[IrValue], Sequence[Spec]]]
    ) -> Any:
        with self._inside() as nodes:
            values, specs = body()
            outputs = self.results(values, specs)
        return self.ir.Graph(list(inputs), outputs, nodes=nodes, name=self.name(name))

    def _cond(self, node: Node) -> Any:
        predicate, operands, captured = (tree_map(self.values.__getitem__, arg) for arg in node.args)
        branches = {}
        for word, name in (("then", "then_branch"), ("orelse", "else_branch")):
            graph: Graph = node.attributes[word]
            specs = [value.spec for value in tree_values(graph.outputs)]
            branches[name] = self._subgraph(
                word, (), lambda graph=graph, specs=specs: (self._run(graph, [*operands, *captured]), specs)
            )
        return self._several("If", (predicate,), len(node.outputs), branches)

    def _while_loop(self, node: Node) -> Any:
        carry, captured = (tree_map(self.values.__getitem__, arg) for arg in node.args)
        test, body = node.attributes["test"], node.attributes["body"]
        specs = [value.spec for value in node.outputs]
        going = self._run(test, [*carry, *captured])[0]
        carried = [self.value(self.name("carry"), spec) for spec in specs]
        inputs = [self.value(self.name("step"), Spec((), "int64")), self.value(self.name("going"), Spec((), "bool"))]

        def step() -> tuple[Sequence[IrValue], Sequence[Spec]]:
            after = self._run(body, [*carried, *captured])
            return [*self._run(test, [*after, *captured]), *after], [Spec((), "bool"), *specs]

        graph = self._subgraph("body", [*inputs, *carried], step)
        return self._several("Loop", (None, going, *carry), len(specs), {"body": graph})

    def _scan(self, node: Node) -> Any:
        carry, xs, captured = (tree_map(self.values.__getitem__, arg) for arg in node.args)
        body: Graph = node.attributes["body"]
        slices = [value.spec for value in body.input_values[len(carry) : len(carry) + len(xs)]]
        specs = [value.spec for value in tree_values(body.outputs)]
        carried = [self.value(self.name("carry"), spec) for spec in specs[: len(carry)]]
        sliced = [self.value(self.name("slice"), spec) for spec in slices]
        # ONNX counts steps by what is sliced alone.
        count = self.op("Range", self.number(0), self.number(node.attributes["length"]), self.number(1))
        counter = self.value(self.name("step"), Spec((), "int64"))
        graph = self._subgraph(
            "body", [*carried, *sliced, counter], lambda: (self._run(body, [*carried, *sliced, *captured]), specs)
        )
        stacked = len(specs) - len(carry)
        backwards = int(node.attributes["reverse"])
        return self._several(
            "Scan",
            (*carry, *xs, count),
            len(specs),
            {"body": graph},
            num_scan_inputs=len(xs) + 1,
            scan_input_directions=[backwards] * (len(xs) + 1),
            scan_output_directions=[backwards] * stacked if stacked else None,
        )

    def _several(
        self, kind: str, inputs: Sequence[IrValue | None], outputs: int, graphs: Mapping[str, Any], **attributes: Any
    ) -> Any:
        held = {name: self.ir.AttrGraph(name, graph) for name, graph in graphs.items()}
        return self.op(kind, *inputs, outputs=outputs, **held, **attributes)


def _plain(value: Any) -> Any:
    """An attribute without numbers of NumPy's own types."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, np.integer) else value


def symbols_of_inputs(graph: Graph, inputs: Mapping[Value, IrValue]) -> dict[str, tuple[IrValue, int]]:
    """The input and axis that tell each symbolic size.

    Raises `NoLoweringError` with those that no input has as one of its sizes.
    """
    found: dict[str, tuple[IrValue, int]] = {}
    for value, given in inputs.items():
        for axis, size in enumerate(value.shape):
            if isinstance(size, Dim) and size.is_symbol:
                found.setdefault(str(size), (given, axis))
    lost = sorted(set(graph.symbols) - set(found) & _used(graph))
    if lost:
        raise NoLoweringError(
            f"onnx cannot express the size(s) {', '.join(lost)}, which no input has as they are",
            hint="name each of them with an axis of its own by dynamic",
            missing=[(f"the size {name}", "", "") for name in lost],
        )
    return found


def _used(graph: Graph) -> set[str]:
    """The symbols that any shape or attribute of a graph depends on."""
    found: set[str] = set()

    def look(leaf: Any) -> Any:
        if isinstance(leaf, Dim):
            found.update(leaf.symbols)
        return leaf

    for value in graph.input_values:
        tree_map(look, value.shape)
    for node in graph.nodes:
        tree_map(look, (node.args, {key: each for key, each in node.attributes.items() if key not in node.graphs}))
        for value in node.outputs:
            tree_map(look, value.shape)
        for nested in node.graphs.values():
            found |= _used(nested)
    return found
