"""Where two graphs differ that may come from two frameworks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from .. import ops
from ..dims import Dim
from ..graph import Graph, ModuleInfo, Node, Record, Value, call_chain, tree_leaves
from ..op import OPS
from ..ops._spatial import all_pads, spatial_axes
from ..printer import print_nodes
from ..spec import FULL, normalize_axes
from . import channels_last, heads_third, legalise, simplify
from .common import RANDOM
from .layout import REDUCTIONS
from .rewriting import Replacement, Rewrites, Sweep

COMMUTATIVE = frozenset(
    ("add", "multiply", "maximum", "minimum", "equal", "not_equal", "logical_and", "logical_or", "logical_xor")
)


def normal(graph: Graph, *, through: Collection[str] = ()) -> Graph:
    """A copy as every framework's way of writing the graph leads to it: simplified, channels last, heads third.

    Zeros around an image stand before its convolution, since some layers pad both sides alike. What one of the
    frameworks ``through`` which it came has no row for at all is its definition.
    """
    graph = graph.copy()
    channels_last(graph)
    heads_third(graph)
    if through:
        legalise(graph, "a framework", covers=lambda node: _is_known(node.op, through))
    _pad_before(graph)
    return simplify(graph)


def _is_known(name: str, frameworks: Collection[str]) -> bool:
    return name in RANDOM or OPS[name].primitive or all(OPS[name].rows.get(framework) for framework in frameworks)


def _pad_before(graph: Graph) -> None:
    """Write the padding of convolutions as an operation before each, of layers and of operations alike."""
    pads = {path: module.config["padding"] for path, module in graph.modules.items() if module.layer == "Conv"}
    for path, padding in pads.items():
        graph.modules[path].config = {**graph.modules[path].config, "padding": ((0, 0),) * len(padding)}
    table, done = Rewrites(), set[Value]()

    def padded(x: Value, padding: Any, channel_axis: int) -> Value:
        return ops.pad(x, padding=all_pads(padding, spatial_axes(x.ndim, channel_axis), x.ndim))

    @table("call")
    def of_layer(node: Node, sweep: Sweep) -> Replacement:
        path = node.attributes["module"]
        if not any(map(any, pads.get(path, ()))) or node.output in done:
            return "it pads nothing"
        x = padded(node.args[0], pads[path], graph.modules[path].config["channel_axis"])
        done.add(found := sweep.call(path, (x,)))
        return found

    @table("conv")
    def of_operation(node: Node, sweep: Sweep) -> Replacement:
        padding, mode = node.attributes["padding"], node.attributes["padding_mode"]
        if mode != "constant" or isinstance(padding, str) or not any(map(any, padding or ())):
            return "it pads no zeros"
        x = padded(node.args[0], padding, node.attributes["channel_axis"])
        return ops.conv(x, *node.args[1:], **{**node.attributes, "padding": None})

    table.apply(graph)


def differences(a: Graph, b: Graph, *, widths: bool = True, through: Collection[str] = ()) -> list[str]:
    """Where two graphs differ after normalisation, the first places first; nothing where they are the same.

    The same are: inputs and outputs by name, modules with their paths, their classes' names, leaf layers and
    parameters, and what is computed of what in which module. Not compared: the order of nodes that do not depend on
    each other, the names and lines of values, the ranges of symbols, modules that neither hold nor compute anything,
    the classes of lists, numbers behind a class's name, and where the two were captured.

    A node is told where its operands have their like in the other graph and it has not; what follows from it is not.

    Args:
        a: the one.
        b: the other.
        widths: whether int64 and int32 differ; one of two graphs that went through JAX has int32 alone.
        through: frameworks through which the second came from the first: what one of them has no words for came back
            as the formula that defines it, and is compared as that.

    Example:
        >>> from ivyhub.engine import ops
        >>> from ivyhub.engine.spec import Spec
        >>> from ivyhub.engine.trace import trace
        >>> one = trace(lambda x: ops.exp(x) * 2.0 + 1.0, Spec(("n",)))
        >>> differences(one, trace(lambda x: 1 + 2 * ops.exp(x), Spec(("n",))))
        []
        >>> print(*differences(one, trace(lambda x: ops.sin(x) * 2.0 + 1.0, Spec(("n",)))), sep="\\n")
        only the first has exp: float32[n] = exp(x)
        only the second has sin: float32[n] = sin(x)
    """
    a, b = normal(a, through=through), normal(b, through=through)
    table: dict[Any, int] = {}
    first, second = _Keys(a, table, widths), _Keys(b, table, widths)
    found = list(_modules(first, second))
    found += [f"only the first has {text}" for text in first.without(second)]
    found += [f"only the second has {text}" for text in second.without(first)]
    for what, mine, other in zip(("inputs", "outputs", "updates"), first.ends(), second.ends(), strict=True):
        if mine != other and not found:
            found.append(f"the {what} are not the same")
    return found


def _modules(first: _Keys, second: _Keys) -> Iterator[str]:
    """What differs between the module tables."""
    a, b = first.modules(), second.modules()
    for path in dict.fromkeys((*a, *b)):
        place = path or "the root"
        if path not in b or path not in a:
            graph, which = (first.graph, "first") if path in a else (second.graph, "second")
            yield f"only the {which} has the module {place}, a {graph.modules[path].class_name}"
            continue
        for what in sorted(a[path].keys() | b[path].keys()):
            if a[path].get(what) != b[path].get(what):
                yield f"{what} of {place}: {a[path].get(what)} and {b[path].get(what)}"


class _Keys:
    """A number for each value of a graph, the same for what is computed alike; numbers are given by a table."""

    def __init__(
        self, graph: Graph, table: dict[Any, int], widths: bool, given: dict[Value, int] | None = None
    ) -> None:
        self.graph, self.table, self.widths = graph, table, widths
        self.values = dict(given or {})
        self.nodes: dict[Node, int] = {}
        self._runs: Counter[Any] = Counter()
        if given is None:
            for name, tree in graph.inputs.items():
                for path, leaf in tree_leaves(tree, name):
                    if isinstance(leaf, Value):
                        self.values[leaf] = self._number(("input", path, self._text(leaf.spec)))
        for node in graph.nodes:
            self.nodes[node] = number = self._number(self._key(node))
            for place, value in enumerate(node.outputs):
                self.values[value] = self._number((number, place))

    def modules(self) -> dict[str, dict[str, Any]]:
        """What is compared of each module that holds or computes something, and of those above it."""
        graph = self.graph
        ran = {graph.calls[call].module for node in graph.nodes for call in call_chain(graph, node.scope.call)}
        own = ran | {str(node.attributes.get("module", "")) for node in graph.nodes}
        own |= {path for path, module in graph.modules.items() if module.parameters}
        kept = {path for path in graph.modules if any(each == path or each.startswith(f"{path}.") for each in own)}
        return {path: self._facts(graph.modules[path], path in ran) for path in graph.modules if path in kept | {""}}

    def _facts(self, module: ModuleInfo, ran: bool) -> dict[str, Any]:
        """A leaf layer has a class in each framework, and so have lists, which run nothing."""
        found: dict[str, Any] = {name: self._text(parameter) for name, parameter in module.parameters.items()}
        if module.layer is not None:
            return found | {"layer": module.layer} | module.config
        return found | ({"class": re.sub(r"_\d+$", "", module.class_name)} if ran else {})

    def ends(self) -> tuple[Any, Any, Any]:
        """What stands for inputs, outputs and updates."""
        graph = self.graph
        updates = {path: self.values[value] for path, value in graph.updates.items()}
        return self._plain(tuple(graph.inputs.items())), self._plain(graph.outputs), updates

    def without(self, other: _Keys) -> Iterator[str]:
        """The nodes whose operands the other graph has, and which it has not."""
        values, nodes = set(other.values.values()), set(other.nodes.values())
        lines = print_nodes(self.graph)
        for node, number in self.nodes.items():
            if number not in nodes and all(self.values[value] in values for value in node.operands):
                yield lines[node]

    def _number(self, key: Any) -> int:
        return self.table.setdefault(key, len(self.table))

    def _text(self, what: Any) -> str:
        """Something as text, without the widths of integers where these do not count."""
        return str(what) if self.widths else re.sub(r"\bint64\b", "int32", str(what))

    def _key(self, node: Node) -> Any:
        if node.op == "constant":
            array = self.graph.constants[node.attributes["name"]]
            array = array if self.widths or array.dtype != np.int64 else array.astype(np.int32)
            return "constant", str(array.dtype), array.shape, array.tobytes()
        if node.op == "parameter":
            return "parameter", self.graph.owner(node.attributes["path"])
        module = self.graph.calls[node.scope.call].module
        op, given, said = node.op, node.args, _usual(node)
        if op == "take":  # is defined by it
            axis = said.pop("axis") % node.args[0].ndim
            op, given = "index", (node.args[0], (*(None,) * axis, node.args[1]))
        args = [self._plain(arg, self._dtype(node)) for arg in given]
        if op in COMMUTATIVE:
            args.sort(key=repr)
        attributes = tuple(
            (name, self._nested(value) if isinstance(value, Graph) else self._plain(value))
            for name, value in sorted(said.items())
        )
        key = (op, tuple(args), attributes, tuple(self._text(value.spec) for value in node.outputs), module)
        if op == "call" or op in RANDOM:  # each run is a run of its own
            self._runs[key] += 1
            return key, self._runs[key]
        return key

    def _nested(self, graph: Graph) -> Any:
        """What stands for a graph that a node holds: its inputs are known by their order."""
        given = {
            value: self._number(("nested", place, self._text(value.spec)))
            for place, value in enumerate(graph.input_values)
        }
        return _Keys(graph, self.table, self.widths, given)._plain(graph.outputs)

    def _plain(self, tree: Any, dtype: str | None = None) -> Any:
        """A tree with numbers for values, scalars as arrays of a dtype hold them."""
        match tree:
            case Value():
                return "value", self.values[tree]
            case tuple() | list():
                return type(tree).__name__, tuple(self._plain(item, dtype) for item in tree)
            case dict():
                return "dict", tuple((str(name), self._plain(item, dtype)) for name, item in tree.items())
            case Record(name, fields):
                return name, tuple((word, self._plain(item, dtype)) for word, item in fields.items())
            case bool() | str() | None | Dim():
                return type(tree).__name__, self._text(tree)
        if dtype is not None and isinstance(tree, int | float):
            return "number", np.asarray(tree).astype(dtype).tobytes()
        return "number", repr(complex(tree))

    def _dtype(self, node: Node) -> str | None:
        """The dtype that numbers beside the arrays of a node adopt, where NumPy has it."""
        found = next((self._text(value.dtype) for value in node.operands), None)
        return found if found in ("float16", "float32", "float64", "int8", "int16", "int32", "int64") else None


def _usual(node: Node) -> dict[str, Any]:
    """The attributes of a node; what says in two ways that there is nothing special says it in one."""
    said = dict(node.attributes)
    if node.op in REDUCTIONS:
        said["axis"] = tuple(sorted(normalize_axes(said["axis"], node.operands[0].ndim)))
    elif node.op == "getitem":
        key = list(said["key"])
        while key and key[-1] == FULL:
            key.pop()
        said["key"] = tuple(key)
    for word in ("padding", "output_padding"):
        if word in said and all(leaf in (0, "VALID") for _, leaf in tree_leaves(said[word])):
            said[word] = None
    if "kernel" in said and said.get("strides") == said["kernel"]:
        said["strides"] = None  # those of pooling
    if said.get("padding", 0) is None and not said.get("ceil_mode"):
        said.pop("count_include_pad", None)
    return said


__all__ = ["differences", "normal"]
