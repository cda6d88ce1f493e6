"""The flat graph as functions: one for each call of a composite module, with arguments, steps and results.

A graph keeps all nodes in one list, so that passes see through module boundaries. `outline` draws the boundaries
again: what a call takes is what its nodes read and did not make, what it gives is what others read of its making.
Argument names are those of the source's signature, where the value still is one of its arguments.

Symbolic sizes never cross a boundary as values. A function reads each symbol that it needs off the first argument
that shows it; where none does, the symbol becomes an argument of its own (``sizes``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from keyword import iskeyword

from ..errors import GraphError
from .dims import Dim, symbols_of
from .graph import Call, Graph, Node, Record, Scope, Tree, Value, below, call_chain, forms, tree_leaves, tree_values


@dataclass(eq=False)
class Run:
    """A step that runs the function of a child call."""

    function: Function

    @property
    def operands(self) -> list[Value]:
        """The values that it takes."""
        return list(self.function.inputs.values())

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The values that it gives."""
        return tuple(self.function.outputs)


Step = Node | Run


@dataclass(eq=False)
class Function:
    """One call of a composite module.

    Attributes:
        call: its index in ``graph.calls``.
        module: the path of the module.
        inputs: the values that it takes, by argument name.
        arguments: of the root, the same as its caller gives them; see `arguments`.
        sizes: the symbols that it takes as arguments, because no input shows them.
        shown: for the other symbols that it needs, the input and axis that show them.
        steps: nodes and runs in order.
        updates: new values of buffers below its module, by full path: those that it makes, or that a call below it
            makes of a buffer that lies outside of that call's module.
        outputs: the values that others read, in the order of the source's result.
        result: what the source returned; for the root the graph's outputs.
    """

    call: int
    module: str
    inputs: dict[str, Value] = field(default_factory=dict)
    arguments: dict[str, Tree] = field(default_factory=dict)
    sizes: list[str] = field(default_factory=list)
    shown: dict[str, tuple[Value, int]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    updates: dict[str, Value] = field(default_factory=dict)
    outputs: list[Value] = field(default_factory=list)
    result: Tree = None

    def runs(self) -> Iterator[Function]:
        """The functions of child calls, in order."""
        return (step.function for step in self.steps if isinstance(step, Run))

    def walk(self) -> Iterator[Function]:
        """It and every function below it, outermost first."""
        yield self
        for child in self.runs():
            yield from child.walk()


def arguments(graph: Graph) -> dict[str, Tree]:
    """What the caller of an export gives, by name: the source's arguments that hold arrays, nested as they are there.

    What the source takes by ``*args`` (``graph.meta["starred"]``) is one argument for each array, as are records whose
    fields have no names that Python has.

    Example:
        >>> from ivyhub.engine.spec import Spec
        >>> from ivyhub.engine.trace import trace
        >>> found = trace(lambda x, others: x + others["k"], Spec((2,)), {"k": Spec((2,)), "n": 3})
        >>> arguments(found)
        {'x': <x: float32[2]>, 'others': {'k': <others_k: float32[2]>, 'n': 3}}
    """
    found: dict[str, Tree] = {}
    for top, tree in graph.inputs.items():
        if isinstance(tree, Value) or top == graph.meta.get("starred") or not _is_spoken(tree):
            paths = tree_leaves(tree, top)
            found |= {path.replace(".", "_"): leaf for path, leaf in paths if isinstance(leaf, Value)}
        elif tree_values(tree):
            found[top] = tree
    return found


def _is_spoken(tree: Tree) -> bool:
    """Whether the fields of all records in a tree can be attributes."""
    match tree:
        case Record(fields=fields):
            names = all(key.isidentifier() and not iskeyword(key) and not key.startswith("_") for key in fields)
            return names and all(map(_is_spoken, fields.values()))
        case dict():
            return all(map(_is_spoken, tree.values()))
        case tuple() | list():
            return all(map(_is_spoken, tree))
    return True


def outline(graph: Graph) -> Function:
    """The graph's root function, with the functions of all calls below it.

    Raises `GraphError` when a symbol that is needed is shown by no input of the graph.
    """
    nodes = _hoisted(graph)
    readers: dict[Value, set[int]] = {}
    for node in nodes:
        for value in node.operands:
            readers.setdefault(value, set()).add(node.scope.call)
    leaving = set(tree_values(graph.outputs))
    chains = [call_chain(graph, call) for call in range(len(graph.calls))]
    made_in: dict[Value, int] = {value: node.scope.call for node in nodes for value in node.outputs}
    updates: dict[int, dict[str, Value]] = {}
    for path, value in graph.updates.items():
        call = next(call for call in reversed(chains[made_in.get(value, 0)]) if below(path, graph.calls[call].module))
        updates.setdefault(call, {})[path] = value
        readers.setdefault(value, set()).add(call)

    functions: dict[int, Function] = {}
    for node in nodes:
        parent: Function | None = None
        for call in chains[node.scope.call]:
            function = functions.get(call)
            if function is None:
                function = functions[call] = Function(call, graph.calls[call].module)
                if parent is not None:
                    parent.steps.append(Run(function))
            parent = function
        if parent is not None:
            parent.steps.append(node)
    root = functions.setdefault(0, Function(0, ""))

    for call, function in functions.items():
        function.updates = updates.get(call, {})
        if call == 0:
            function.inputs = {
                name.replace(".", "_"): leaf
                for top, tree in graph.inputs.items()
                for name, leaf in tree_leaves(tree, top)
                if isinstance(leaf, Value)
            }
            function.arguments = arguments(graph)
            function.outputs, function.result = tree_values(graph.outputs), graph.outputs
            continue
        taken = _taken(function, made_in, chains)
        function.inputs = _named(taken, graph.calls[call])
        given = {
            value
            for value, place in made_in.items()
            if call in chains[place]
            and (value in leaving or any(call not in chains[reader] for reader in readers.get(value, ())))
        }
        function.outputs = _ordered(given, graph.calls[call], made_in)
        function.result = graph.calls[call].result
    _place_symbols(root)
    if root.sizes:
        raise GraphError(
            f"no input shows the size(s) {', '.join(root.sizes)} as an axis",
            hint="give an input whose shape has the size alone on an axis",
        )
    return root


def _hoisted(graph: Graph) -> list[Node]:
    """The nodes, with reads of parameters that lie outside their call's module moved to the call that holds them."""
    first: dict[int, int] = {}
    moved: dict[int, list[Node]] = {}
    kept: list[Node] = []
    for node in graph.nodes:
        for call in call_chain(graph, node.scope.call):
            first.setdefault(call, len(kept))
        if node.op == "parameter":
            path = node.attributes["path"]
            chain = call_chain(graph, node.scope.call)
            inside = [call for call in chain if below(path, graph.calls[call].module)]
            if inside and inside[-1] != node.scope.call:
                child = chain[chain.index(inside[-1]) + 1]
                node.scope = Scope(inside[-1])
                moved.setdefault(first[child], []).append(node)
                continue
        kept.append(node)
    out: list[Node] = []
    for position, node in enumerate(kept):
        out += moved.get(position, [])
        out.append(node)
    return out + moved.get(len(kept), [])


def _taken(function: Function, made_in: dict[Value, int], chains: list[list[int]]) -> list[Value]:
    """The values that a function or those below it read and did not make, in order of use."""
    taken: dict[Value, None] = {}
    for inner in function.walk():
        for step in inner.steps:
            for value in step.operands if isinstance(step, Node) else ():
                if function.call not in chains[made_in.get(value, 0)]:
                    taken[value] = None
        for value in inner.updates.values():
            if function.call not in chains[made_in.get(value, 0)]:
                taken[value] = None
    return list(taken)


def _named(taken: list[Value], call: Call) -> dict[str, Value]:
    """Values by the call's argument names, in the order of its signature; others after them by their hints."""
    names: dict[str, Value] = {}
    left = dict.fromkeys(taken)
    for argument, tree in call.arguments.items():
        for name, leaf in tree_leaves(tree, argument):
            if isinstance(leaf, Value) and leaf in left:
                del left[leaf]
                names[name.replace(".", "_")] = leaf
    free = {
        leaf: name.replace(".", "_")
        for argument, tree in call.arguments.items()
        for name, leaf in tree_leaves(tree, argument)
        if isinstance(leaf, Value) and name.replace(".", "_") not in names
    }
    origins = {origin: name for leaf, name in free.items() for origin in forms(leaf)}
    for value in left:  # a pass may have moved the boundary: the argument in another layout, or before a cast
        base = next((origins[origin] for origin in forms(value) if origin in origins), value.hint or "x")
        name, count = base, 2
        while name in names:
            name, count = f"{base}_{count}", count + 1
        names[name] = value
    order = {name.replace(".", "_"): i for i, name in enumerate(_argument_names(call))}
    return dict(sorted(names.items(), key=lambda item: order.get(item[0], len(order))))


def _argument_names(call: Call) -> Iterator[str]:
    for argument, tree in call.arguments.items():
        yield from (name for name, _ in tree_leaves(tree, argument))


def _ordered(given: set[Value], call: Call, made_in: dict[Value, int]) -> list[Value]:
    """Values in the order of the call's result; others after them in the order of their making."""
    found: dict[Value, None] = {}
    for _, leaf in tree_leaves(call.result):
        if isinstance(leaf, Value) and leaf in given:
            found[leaf] = None
    for value in made_in:
        if value in given:
            found.setdefault(value)
    return list(found)


def _attribute_sizes(node: Node) -> list[Dim]:
    """The sizes among the attributes of a node, and of the nodes of graphs that it holds."""
    sizes = [leaf for _, leaf in tree_leaves(node.attributes) if isinstance(leaf, Dim)]
    for nested in node.graphs.values():
        for inner in nested.nodes:
            sizes += _attribute_sizes(inner)
    return sizes


def _place_symbols(function: Function) -> None:
    needed: dict[str, None] = {}
    for step in function.steps:
        if isinstance(step, Run):
            _place_symbols(step.function)
            needed.update(dict.fromkeys(step.function.sizes))
        else:
            sizes = _attribute_sizes(step)
            needed.update(dict.fromkeys(sorted(symbols_of(sizes))))
    sizes = [leaf for _, leaf in tree_leaves(function.result) if isinstance(leaf, Dim)] if function.call == 0 else []
    needed.update(dict.fromkeys(sorted(symbols_of(sizes))))
    for name in needed:
        place = next(
            (
                (value, axis)
                for value in function.inputs.values()
                for axis, size in enumerate(value.shape)
                if isinstance(size, Dim) and size.is_symbol and str(size) == name
            ),
            None,
        )
        if place is None:
            function.sizes.append(name)
        else:
            function.shown[name] = place
