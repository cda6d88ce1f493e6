"""Local rewrites: rows of (operation, function), applied in one sweep over a graph.

A rewrite is a function of a node and the `Sweep` around it. It looks at the node and at what produces its operands
(never at what reads it), and either records a replacement with the functional API and returns its value (or a tuple of
values, or a Python scalar), or returns the reason why it does not apply, as text:

    TRANSPOSES = Rewrites()

    @TRANSPOSES("transpose")
    def identity(node: Node, sweep: Sweep) -> Replacement:
        axes = node.attributes["axes"]
        return node.args[0] if axes == tuple(range(len(axes))) else "it moves an axis"

Because a rewrite looks only upwards and every producer is in its final form when its readers are visited, one sweep
in topological order reaches the fixed point, in time linear in the number of nodes and replacements. What a rewrite
records takes the node's place and scope, so that the nodes of a call stay contiguous, and is rewritten in its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ...errors import GraphError
from ..graph import Graph, Node, Value, tree_map
from ..recording import RECORDER
from ..trace import Builder

Replacement = Any  # Value | tuple[Value, ...] | bool | int | float | complex, or str: the reason why there is none
Rewrite = Callable[[Node, "Sweep"], Replacement]


class Rewrites(dict[str, list[Rewrite]]):
    """A table of rewrites by the operation that they start from; the key "*" stands for any."""

    def __call__(self, *ops: str) -> Callable[[Rewrite], Rewrite]:
        """Enter a function under operations."""

        def enter(rewrite: Rewrite) -> Rewrite:
            for op in ops:
                self.setdefault(op, []).append(rewrite)
            return rewrite

        return enter

    def __or__(self, other: Rewrites) -> Rewrites:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Both tables; rewrites of the left one are tried first."""
        joined = Rewrites({op: list(rewrites) for op, rewrites in self.items()})
        for op, rewrites in other.items():
            joined.setdefault(op, []).extend(rewrites)
        return joined

    def apply(self, graph: Graph) -> bool:
        """Rewrite a graph in place and say whether anything changed."""
        return Sweep(graph, self).run()


class Sweep:
    """One pass over a graph, and what rewrites may ask of it.

    Attributes:
        graph: what is rewritten.
        facts: what analyses found out about values, so that they look at each once.
    """

    def __init__(self, graph: Graph, rewrites: Rewrites) -> None:
        self.graph = graph
        self.facts: dict[Any, Any] = {}
        self._rewrites = rewrites
        self._everywhere = rewrites.get("*", [])
        self._builder = Builder(graph)
        self._swaps: dict[Value, Any] = {}
        self._uses: dict[Value, int] = {}
        for node in graph.nodes:
            self._count(node.operands, 1)
        self._count(graph.output_values, 1)

    def only_use(self, value: Value) -> bool:
        """Whether the node at hand is the only reader of a value, so that replacing its producer copies no work."""
        return self._uses.get(value, 0) <= 1

    def parameter(self, path: str) -> Value:
        """Read a parameter or buffer in the scope of the node at hand."""
        return self._builder.parameter(path)

    def constant(self, array: Any, name: str = "constant") -> Value:
        """A small array as part of the program."""
        return self._builder.constant(array, name)

    def record(self, op: str, args: tuple[Any, ...], attributes: dict[str, Any], specs: Any) -> Any:
        """Record a node as it is, its result's spec known: for ``call`` and for copies of a node."""
        return self._builder.record(op, args, attributes, specs)

    def call(self, module: str, args: tuple[Any, ...]) -> Any:
        """Record a call of a leaf layer; the spec of its result is inferred."""
        return self._builder.call(module, args)

    def run(self) -> bool:
        """Visit every node. Raises `GraphError` when rewrites undo each other without end."""
        graph, builder = self.graph, self._builder
        done: list[Node] = []
        waiting = graph.nodes[::-1]
        budget = 50 * len(waiting) + 1000
        token = RECORDER.set(builder)
        try:
            while waiting:
                node = waiting.pop()
                if self._swaps and any(value in self._swaps for value in node.operands):
                    node.args = tree_map(self._swap, node.args)
                rewrites = self._rewrites.get(node.op, ())
                for rewrite in (*rewrites, *self._everywhere) if self._everywhere else rewrites:
                    builder.nodes, builder.scope = [], node.scope
                    replacement = rewrite(node, self)
                    if isinstance(replacement, str):
                        continue
                    budget -= 1
                    if not budget:
                        raise GraphError(f"the rewrite {rewrite.__name__} of {node!r} finds no end")
                    self._replace(node, replacement, builder.nodes)
                    waiting.extend(reversed(builder.nodes))
                    break
                else:
                    done.append(node)
        finally:
            RECORDER.reset(token)
        graph.nodes = done
        graph.replace(self._swaps)
        return bool(self._swaps)

    def _swap(self, leaf: Any) -> Any:
        while isinstance(leaf, Value) and leaf in self._swaps:
            leaf = self._swaps[leaf]
        return leaf

    def _replace(self, node: Node, replacement: Replacement, recorded: Iterable[Node]) -> None:
        values = replacement if isinstance(replacement, tuple) else (replacement,)
        for old, new in zip(node.outputs, values, strict=True):
            if isinstance(new, Value):
                if new.spec != old.spec:
                    raise GraphError(f"a rewrite of {node!r} gave {new.spec}", hint="this is a defect of the pass")
                if new.node is not None and new.node.scope == node.scope and new.node in recorded and old.hint:
                    new.hint = old.hint
                self._uses[new] = self._uses.get(new, 0) + self._uses.get(old, 0)
            self._swaps[old] = new
        for made in recorded:
            self._count(made.operands, 1)
        self._count(node.operands, -1)

    def _count(self, values: Iterable[Value], by: int) -> None:
        for value in values:
            self._uses[value] = left = self._uses.get(value, 0) + by
            if left == 0 and value.node is not None and not any(self._uses.get(v) for v in value.node.outputs):
                self._count(value.node.operands, -1)  # its producer is dead


def producer(value: Any, op: str) -> Node | None:
    """The node behind a value when it is one of that operation, else None."""
    node = value.node if isinstance(value, Value) else None
    return node if node is not None and node.op == op else None
