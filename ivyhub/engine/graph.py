"""The graph: every model and function that ivyhub knows, in one form.

Specification of the IR (`verify` checks it, after capture and after every pass)
--------------------------------------------------------------------------------

A `Graph` is a list of nodes in topological order, over a table of modules and a table of calls.

* A **value** is an array of a `Spec`: dtype, and a shape whose sizes are integers or symbolic (`dims.Dim`). It is
  produced once, by a node or as an input. Symbols are positive integers within ``graph.symbols``.
* A **node** is (op, args, attributes, outputs, scope). Args are values, Python scalars (which adopt the dtype of the
  arrays beside them), None, or tuples of those. Attributes are plain data: None, bool, int, float, complex, str,
  sizes, tuples. ``op`` is a name in `op.OPS`, or one of

  - ``parameter`` (attribute ``path``): reads a parameter or buffer of the module table;
  - ``call`` (attribute ``module``): runs a leaf layer (`engine.stateful.layers`) of the module table on its args;
  - ``constant`` (attribute ``name``): reads a small array of ``graph.constants``;
  - ``cond`` (predicate, operands, captured; attributes ``then``, ``orelse``), ``while_loop`` (carry, captured;
    ``test``, ``body``), ``scan`` (carry, xs, captured; ``body``, ``length``, ``reverse``): control flow. The first
    attributes are graphs: their inputs are operands or carry, slices of xs, and captured, in that order, their outputs
    a tuple of values; they have no modules and no calls, and the symbols of this graph. The node's outputs are those
    of ``then``; the last carry; the last carry and the stacked rest of what ``body`` gives;
  - ``value_and_grad`` (arrays, captured), ``vjp`` (arrays, cotangents, captured), ``jvp`` (arrays, tangents, captured),
    ``vmap`` (arrays, captured), ``checkpoint`` (arrays, captured): transforms of a graph ``body`` of arrays (for
    ``vmap``, of slices along their first axes) and captured. Its first result is the scalar that ``value_and_grad``
    differentiates. The node's outputs are: results of ``body`` and gradients by the arrays; gradients by the arrays;
    results and the derivatives of those that have one; results stacked; results. ``custom_gradient`` (arrays, captured;
    ``body``, ``pullback``): the results of ``body``, whose gradient is what ``pullback`` gives of arrays, cotangents of
    the results, and captured; what is captured has none.

* A **module** is (path, class name, layer, config, parameters, buffers). ``layer`` names a leaf layer and ``config``
  holds its fields; a module without one is composite and its body is the nodes of its calls. Paths are those of the
  source model, ``""`` is the root, and every parent of a module is in the table. A parameter with ``alias`` is
  another name of the one that owns the array: shared parameters are one parameter with several names.
* A **call** is one run of a module: (module path, parent call, named arguments, result). Call 0 is the root. Each
  node's scope names its call, so that the nodes of a call and of those below it are contiguous. A module that runs
  twice has two calls. Arguments and results are trees of values as the source's signature had them; they name things
  and bound nothing: what a call takes and gives is read off the nodes (`outline.outline`).
* **Training** keeps its meaning: dropout is a leaf layer or an op that is the identity in evaluation; batch
  normalisation is a leaf layer that updates its own buffers; ``graph.updates`` holds new values of other buffers.
* There is no implicit promotion: operands of an elementwise op have one dtype. There is no aliasing and no mutation.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import GraphError, ShapeError
from .dims import Dim, Size, substitute
from .op import OPS
from .recording import RECORDER
from .spec import Spec, basic_key
from .ufuncs import WithoutValues

CONTROL: Mapping[str, tuple[str, ...]] = {
    "cond": ("then", "orelse"),
    "while_loop": ("test", "body"),
    "scan": ("body",),
    **dict.fromkeys(("value_and_grad", "vjp", "jvp", "vmap", "checkpoint"), ("body",)),
    "custom_gradient": ("body", "pullback"),
}
"""The operations that hold graphs, and the attributes that do."""

BUILTIN = frozenset({"parameter", "call", "constant", *CONTROL})


@dataclass(frozen=True, slots=True)
class Record:
    """A tree node with named fields: a dataclass or named tuple of the source, by its class name."""

    name: str
    fields: Mapping[str, Any]


Tree = Any  # Value | None | bool | int | float | str | tuple | list | dict | Record, nested


def tree_leaves(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of a tree with their paths: ``("past.0", value)``."""
    children: Iterable[tuple[str, Any]]
    match tree:
        case Record(fields=fields):
            children = fields.items()
        case dict():
            children = ((str(key), child) for key, child in tree.items())
        case tuple() | list():
            children = zip(getattr(tree, "_fields", map(str, range(len(tree)))), tree, strict=True)
        case _:
            yield prefix, tree
            return
    for name, child in children:
        yield from tree_leaves(child, f"{prefix}.{name}" if prefix else name)


def tree_map(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """The same tree with every leaf replaced."""
    match tree:
        case Record(name, fields):
            return Record(name, {key: tree_map(function, child) for key, child in fields.items()})
        case dict():
            return {key: tree_map(function, child) for key, child in tree.items()}
        case tuple() | list():
            children = [tree_map(function, child) for child in tree]
            return type(tree)(*children) if hasattr(tree, "_fields") else type(tree)(children)
    return function(tree)


def tree_values(tree: Tree) -> list[Value]:
    """The values among the leaves of a tree."""
    return [leaf for _, leaf in tree_leaves(tree) if isinstance(leaf, Value)]


class Value(WithoutValues):
    """An array in a graph. Operators and indexing record nodes, so rules and decompositions read as array code.

    Attributes:
        spec: shape and dtype.
        node: the node that produces it, None for an input.
        hint: the name it had in the source, or "".
    """

    __slots__ = ("hint", "node", "spec")
    __traced__ = True

    def __init__(self, spec: Spec, *, node: Node | None = None, hint: str = "") -> None:
        self.spec = spec
        self.node = node
        self.hint = hint

    @property
    def shape(self) -> tuple[Size, ...]:
        """Its sizes."""
        return self.spec.shape

    @property
    def dtype(self) -> str:
        """The name of its dtype."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.spec.ndim

    @property
    def size(self) -> Size:
        """The number of elements."""
        total: Size = 1
        for size in self.shape:
            total = total * size
        return total

    @property
    def device(self) -> str:
        """Nowhere: a graph is not on a device."""
        return ""

    @property
    def T(self) -> Value:  # noqa: N802 - the standard's name
        """The two axes of a matrix exchanged. Raises `ShapeError` on anything else."""
        if self.ndim != 2:
            raise ShapeError(f"expected a matrix, received {self.spec}", hint="mT exchanges the last two axes")
        return self.mT

    @property
    def mT(self) -> Value:  # noqa: N802 - the standard's name
        """The last two axes exchanged. Raises `ShapeError` where there are fewer."""
        if self.ndim < 2:
            raise ShapeError(f"expected two axes or more, received {self.spec}")
        return OPS["transpose"](self, axes=(*range(self.ndim - 2), self.ndim - 1, self.ndim - 2))

    def to_device(self, device: Any, /, *, stream: Any = None) -> Value:
        """Itself: a graph is not on a device."""
        return self

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Any:
        """The functions of the Array API Standard, which record nodes."""
        return importlib.import_module(".xp.versions", __package__).namespace("traced", api_version)

    def __repr__(self) -> str:
        return f"<{self.hint or 'value'}: {self.spec}>"

    def __getitem__(self, key: Any) -> Value:
        key = basic_key(key, self.shape)
        return OPS["getitem"](self, key=key) if key else self

    def __bool__(self) -> bool:
        raise GraphError(f"the truth of {self!r} is not known while a graph is built", hint="use where or cond")

    def __iter__(self) -> Iterator[Any]:
        raise GraphError(f"{self!r} cannot be iterated over while a graph is built", hint="use unstack or scan")

    # Whoever keeps graphs compares values by identity. Array code that is traced for a user means the elements.

    def __eq__(self, other: object) -> Any:
        return OPS["equal"](self, other) if _is_array_code(other) else self is other

    def __ne__(self, other: object) -> Any:
        return OPS["not_equal"](self, other) if _is_array_code(other) else self is not other

    __hash__ = object.__hash__

    def __neg__(self) -> Value:
        return OPS["negative"](self)

    def __abs__(self) -> Value:
        return OPS["abs"](self)

    def __invert__(self) -> Value:
        return OPS["logical_not" if self.dtype == "bool" else "bitwise_invert"](self)


_OPERANDS = (Value, bool, int, float, complex, Dim, np.ndarray, np.generic)


def _is_array_code(operand: object) -> bool:
    recorder = RECORDER.get()
    return recorder is not None and recorder.lines and isinstance(operand, _OPERANDS)


def _operator(name: str, *, reflected: bool = False, boolean: str | None = None) -> Callable[[Value, Any], Any]:
    def method(self: Value, other: Any) -> Any:
        op = OPS[boolean if boolean is not None and self.dtype == "bool" else name]
        return op(other, self) if reflected else op(self, other)

    return method


for _python, _name, _boolean in (
    *(("add", "add", None), ("sub", "subtract", None), ("mul", "multiply", None), ("truediv", "divide", None)),
    *(("floordiv", "floor_divide", None), ("mod", "remainder", None), ("pow", "pow", None), ("matmul", "matmul", None)),
    *(("and", "bitwise_and", "logical_and"), ("or", "bitwise_or", "logical_or")),
    *(("xor", "bitwise_xor", "logical_xor"),),
):
    setattr(Value, f"__{_python}__", _operator(_name, boolean=_boolean))
    setattr(Value, f"__r{_python}__", _operator(_name, reflected=True, boolean=_boolean))
for _python, _name in (("lt", "less"), ("le", "less_equal"), ("gt", "greater"), ("ge", "greater_equal")):
    setattr(Value, f"__{_python}__", _operator(_name))


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a node came from: its call, and the user's source line with the names on its left-hand side."""

    call: int = 0
    file: str = ""
    line: int = 0
    name: str = ""


ROOT = Scope()


@dataclass(slots=True, eq=False)
class Node:
    """One operation of a graph (see the specification above)."""

    op: str
    args: tuple[Any, ...]
    attributes: dict[str, Any]
    outputs: tuple[Value, ...] = ()
    scope: Scope = ROOT

    @property
    def operands(self) -> list[Value]:
        """The values among its args, in order."""
        found: list[Value] = []
        for arg in self.args:  # by hand: passes ask this of every node, and most args are values
            if isinstance(arg, Value):
                found.append(arg)
            elif isinstance(arg, tuple):
                found.extend(tree_values(arg))
        return found

    @property
    def output(self) -> Value:
        """Its only output."""
        (value,) = self.outputs
        return value

    @property
    def arg_specs(self) -> tuple[Any, ...]:
        """Its args with every value replaced by its spec."""
        return tree_map(lambda leaf: leaf.spec if isinstance(leaf, Value) else leaf, self.args)

    @property
    def graphs(self) -> dict[str, Graph]:
        """The graphs that it holds, by attribute."""
        return {name: self.attributes[name] for name in CONTROL.get(self.op, ())}

    def __repr__(self) -> str:
        return f"<{self.op} -> {', '.join(str(value.spec) for value in self.outputs)}>"


@dataclass(slots=True)
class Parameter:
    """A parameter or buffer of a module.

    Attributes:
        spec: shape and dtype.
        trainable: whether gradients reach it; False for a buffer.
        persistent: whether checkpoints hold it.
        alias: the full path of the parameter that owns the array, when this is another name of it.
    """

    spec: Spec
    trainable: bool = True
    persistent: bool = True
    alias: str | None = None


@dataclass(slots=True)
class ModuleInfo:
    """One row of the module table.

    Attributes:
        path: its place, ``"encoder.layer.0"``.
        cls: the qualified name of its class in the source.
        layer: the leaf layer of `engine.stateful.layers` that it is, or None.
        config: the fields of that layer.
        parameters: by local name; buffers too (``trainable=False``).
    """

    path: str
    cls: str
    layer: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Parameter] = field(default_factory=dict)

    @property
    def class_name(self) -> str:
        """The last part of its class's name."""
        return self.cls.rpartition(".")[2]


@dataclass(slots=True, eq=False)
class Call:
    """One run of a module: its arguments by name and its result, as trees of values.

    ``name`` holds the names that the caller gave the result, joined by ", ", or "".
    """

    module: str
    parent: int | None
    arguments: dict[str, Tree] = field(default_factory=dict)
    result: Tree = None
    name: str = ""


@dataclass(eq=False)
class Graph:
    """A captured model or function (see the specification above).

    Attributes:
        inputs: arguments by name, as trees of values; None for an argument that was left out.
        outputs: the result, a tree of values.
        nodes: in topological order.
        modules: the module table by path; the root is ``""``.
        calls: the call table; call 0 is the root's.
        symbols: the range of each symbolic size, (lowest, highest or None).
        constants: small arrays that are part of the program.
        updates: new values of buffers that the program changes, by full path.
        meta: what is known of the source: framework, version, class; JSON data.

    Example:
        >>> from ivyhub.engine import ops, trace
        >>> from ivyhub.engine.spec import Spec
        >>> graph = trace.trace(lambda x: ops.multiply(x, 2.0), Spec(("batch", 3)))
        >>> print(graph)
        # batch >= 1
        Function(x: float32[batch, 3]):
            multiply: float32[batch, 3] = multiply(x, 2.0)
            return multiply
        >>> Graph.from_json(graph.to_json()).outputs.spec
        float32[batch, 3]
    """

    inputs: dict[str, Tree] = field(default_factory=dict)
    outputs: Tree = None
    nodes: list[Node] = field(default_factory=list)
    modules: dict[str, ModuleInfo] = field(default_factory=lambda: {"": ModuleInfo("", "Function")})
    calls: list[Call] = field(default_factory=lambda: [Call("", None)])
    symbols: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    updates: dict[str, Value] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    # -- reading -------------------------------------------------------------------------------------------------

    @property
    def input_values(self) -> list[Value]:
        """The values among the inputs."""
        return tree_values(tuple(self.inputs.values()))

    @property
    def output_values(self) -> list[Value]:
        """Every value that leaves the graph: outputs and buffer updates."""
        return [*tree_values(self.outputs), *self.updates.values()]

    def parameter(self, path: str) -> Parameter:
        """The parameter or buffer at a full path. Raises `GraphError` when there is none."""
        module, _, name = path.rpartition(".")
        try:
            return self.modules[module].parameters[name]
        except KeyError:
            raise GraphError(f"the graph has no parameter {path!r}") from None

    def owner(self, path: str) -> str:
        """The full path of the parameter that owns the array that ``path`` names."""
        return self.parameter(path).alias or path

    def parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter and buffer with its full path, aliases among them."""
        for module in self.modules.values():
            for name, parameter in module.parameters.items():
                yield (f"{module.path}.{name}" if module.path else name), parameter

    def children(self, path: str) -> list[ModuleInfo]:
        """The modules directly below a path, in table order."""
        prefix = f"{path}." if path else ""
        return [m for p, m in self.modules.items() if p and p.startswith(prefix) and "." not in p[len(prefix) :]]

    def uses(self) -> dict[Value, list[Node]]:
        """The nodes that read each value."""
        found: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in node.operands:
                users = found.setdefault(value, [])
                if not users or users[-1] is not node:
                    users.append(node)
        return found

    # -- rewriting (for passes) ----------------------------------------------------------------------------------

    def replace(self, replacements: Mapping[Value, Any]) -> None:
        """Use other values (or scalars) in place of some, everywhere: args, outputs, updates, call records."""
        if not replacements:
            return

        def swap(leaf: Any) -> Any:
            while isinstance(leaf, Value) and leaf in replacements:
                leaf = replacements[leaf]
            return leaf

        for node in self.nodes:
            if any(value in replacements for value in node.operands):
                node.args = tree_map(swap, node.args)
        self.outputs = tree_map(swap, self.outputs)
        self.updates = {path: swap(value) for path, value in self.updates.items()}
        for call in self.calls:
            call.arguments = tree_map(swap, call.arguments)
            call.result = tree_map(swap, call.result)

    def substitute(self, values: Mapping[str, Size]) -> None:
        """Replace symbols everywhere: by other names, or by integers."""

        def swap(leaf: Any) -> Any:
            return substitute(leaf, values) if isinstance(leaf, Dim) else leaf

        def update(value: Value) -> None:
            value.spec = Spec(tuple(substitute(size, values) for size in value.spec.shape), value.spec.dtype)

        for value in self.input_values:
            update(value)
        for node in self.nodes:
            node.attributes = tree_map(swap, node.attributes)
            for nested in node.graphs.values():
                nested.substitute(values)
            for value in node.outputs:
                update(value)
        ranges = dict(self.symbols)
        self.symbols = {name: bounds for name, bounds in ranges.items() if name not in values}
        for name, size in values.items():
            if isinstance(size, Dim) and size.is_symbol and name in ranges:
                (low, high), (other_low, other_high) = ranges[name], self.symbols.get(str(size), (1, None))
                highs = [bound for bound in (high, other_high) if bound is not None]
                self.symbols[str(size)] = (max(low, other_low), min(highs) if highs else None)

    def copy(self) -> Graph:
        """A graph that may be rewritten without touching this one; constants are shared."""
        values: dict[Value, Value] = {value: Value(value.spec, hint=value.hint) for value in self.input_values}

        def swap(leaf: Any) -> Any:
            return values.get(leaf) if isinstance(leaf, Value) else leaf

        nodes: list[Node] = []
        for node in self.nodes:
            attributes = node.attributes | {name: nested.copy() for name, nested in node.graphs.items()}
            made = Node(node.op, tree_map(swap, node.args), attributes, scope=node.scope)
            made.outputs = tuple(Value(value.spec, node=made, hint=value.hint) for value in node.outputs)
            values.update(zip(node.outputs, made.outputs, strict=True))
            nodes.append(made)
        modules = {
            path: replace(m, config=dict(m.config), parameters={n: replace(p) for n, p in m.parameters.items()})
            for path, m in self.modules.items()
        }
        calls = [
            Call(c.module, c.parent, tree_map(swap, c.arguments), tree_map(swap, c.result), c.name) for c in self.calls
        ]
        return Graph(
            *(tree_map(swap, self.inputs), tree_map(swap, self.outputs), nodes, modules, calls),
            *(dict(self.symbols), dict(self.constants), tree_map(swap, self.updates), dict(self.meta)),
        )

    # -- showing and storing -------------------------------------------------------------------------------------

    def __str__(self) -> str:
        from .printer import print_graph

        return print_graph(self)

    def __repr__(self) -> str:
        return f"<Graph of {self.modules[''].class_name}: {len(self.nodes)} nodes, {len(self.modules)} modules>"

    def tree(self) -> str:
        """The module tree with parameter counts, as text."""
        from .printer import print_tree

        return print_tree(self)

    def to_json(self) -> str:
        """The graph as JSON text, with a format version; `Graph.from_json` reads it back."""
        from .serialize import to_json

        return to_json(self)

    @staticmethod
    def from_json(text: str | bytes) -> Graph:
        """Read what `to_json` wrote. Raises `GraphError` on anything else."""
        from .serialize import from_json

        return from_json(text)

    def to(self, target: str) -> Any:
        """The graph as a live, native object of a target, ``"jax"``: see ``ivyhub.transpile``.

        A graph of a module has its arrays as long as the module lives in this process.
        """
        import ivyhub  # the public face finds what writes native source; the engine does not know the registry

        return ivyhub.transpile(self, to=target)

    def emit(self, target: str) -> Any:
        """The graph as native source of a target, ``"jax"``: see ``ivyhub.transpile`` for live objects.

        Returns an object with ``source`` (text), ``weights`` (the map of names and layouts) and ``dims``.
        Raises `NoLoweringError` with every operation that the target cannot express.
        """
        if EMIT is None:
            importlib.import_module(EMITTERS)
        if EMIT is None:
            raise GraphError("no emitters are registered", hint="reach the graph through ivyhub.trace")
        return EMIT(self, target)


EMITTERS = "ivyhub.registry.adapters"
"""What registers the emitters: a name and no import, since the engine stands below it."""

EMIT: Callable[[Graph, str], Any] | None = None
"""How `Graph.emit` writes source; the registry, which stands above the engine, sets it."""


FORMS = frozenset({"transpose", "reshape", "astype", "getitem", "broadcast_to", "logical_not"})


def forms(value: Value) -> list[Value]:
    """A value and those that it is another form of, nearest first: through `FORMS`, which have one operand."""
    found = [value]
    while (node := found[-1].node) is not None and node.op in FORMS:
        found.append(node.operands[0])
    return found


def below(path: str, module: str) -> bool:
    """Whether a full path lies below a module's.

    Example:
        >>> below("encoder.layer.0.weight", "encoder"), below("encoders.weight", "encoder"), below("weight", "")
        (True, False, True)
    """
    return not module or path.startswith(f"{module}.")


def call_chain(graph: Graph, call: int) -> list[int]:
    """The calls around a call, from the root to itself."""
    chain = [call]
    while (parent := graph.calls[chain[-1]].parent) is not None:
        chain.append(parent)
    return chain[::-1]
