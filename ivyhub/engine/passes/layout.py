"""Where the channels and the heads stand: layouts of images and of attention, for targets that have their own.

Transposes are pushed towards the readers, through what can work in either order of axes, until they meet their inverse
and vanish, or stand before what needs the order: a reshape that merges axes, a product, an output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from .. import ops
from ..dims import Size, product
from ..graph import Graph, Node, Scope, Value, call_chain
from ..layer import find_layer
from ..op import OPS
from ..spec import FULL, normalize_axes
from .common import common, dead
from .facts import POINTWISE
from .rewriting import Replacement, Rewrites, Sweep, producer
from .shapes import SHAPES

SINKING = Rewrites()

REDUCTIONS = ("sum", "prod", "mean", "max", "min", "var", "std", "logsumexp", "any", "all", "count_nonzero")
ALONG_AN_AXIS = ("softmax", "log_softmax", "cumulative_sum", "cumulative_prod")


def _turned(value: Any) -> Node | None:
    return producer(value, "transpose")


def _back(axes: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes another."""
    return tuple(axes.index(axis) for axis in range(len(axes)))


def _again(node: Node, args: Sequence[Any], axes: tuple[int, ...], **attributes: Any) -> Value:
    """The node's operation on other args, its result transposed."""
    return ops.transpose(OPS[node.op](*args, **{**node.attributes, **attributes}), axes=axes)


@SINKING(*POINTWISE, "dropout", "stop_gradient")
def through_pointwise(node: Node, sweep: Sweep) -> Replacement:
    """Elementwise operations work in any order of axes; operands that only broadcast are put in that order."""
    ndim = node.output.ndim
    turned = [made for arg in node.args if (made := _turned(arg)) and made.output.ndim == ndim]
    if not turned:
        return "no operand is a transpose"
    axes = turned[0].attributes["axes"]
    args, kept = list[Any](), 0
    for arg in node.args:
        made = _turned(arg)
        if made is not None and made.attributes["axes"] == axes:
            args.append(made.args[0])
        elif isinstance(arg, Value) and arg.ndim:
            moved = _in_order(arg, axes)
            kept += moved is None
            args.append(_unturned(arg, axes) if moved is None else moved)
        else:
            args.append(arg)
    if kept >= sum(made.attributes["axes"] == axes for made in turned):
        return "as many operands would need a transpose"
    return _again(node, args, axes)


def _in_order(value: Value, axes: Sequence[int]) -> Value | None:
    """A broadcasting operand with its axes as before a transpose, where that moves no elements, else None."""
    shape = (1,) * (len(axes) - value.ndim) + value.shape
    long = [axis for axis in _back(axes) if shape[axis] != 1]
    if long != sorted(long):
        return None
    sizes = [shape[axis] for axis in _back(axes)]
    while sizes and sizes[0] == 1:
        sizes.pop(0)
    return ops.reshape(value, shape=tuple(sizes))


def _unturned(value: Value, axes: Sequence[int]) -> Value:
    value = ops.reshape(value, shape=(1,) * (len(axes) - value.ndim) + value.shape)
    return ops.transpose(value, axes=_back(axes))


@SINKING("call")
def through_dropout(node: Node, sweep: Sweep) -> Replacement:
    """A dropout layer is elementwise."""
    made = _turned(node.args[0])
    if made is None or sweep.graph.modules[node.attributes["module"]].layer != "Dropout":
        return "it is no dropout of a transpose"
    return ops.transpose(sweep.call(node.attributes["module"], made.args), axes=made.attributes["axes"])


@SINKING(*REDUCTIONS)
def through_reduction(node: Node, sweep: Sweep) -> Replacement:
    """The axes that are reduced have other numbers before the transpose."""
    made = _turned(node.args[0])
    if made is None:
        return "its operand is no transpose"
    axes, source = made.attributes["axes"], made.args[0]
    reduced = {axes[axis] for axis in normalize_axes(node.attributes["axis"], len(axes))}
    numbers = tuple(sorted(reduced))
    axis = node.attributes["axis"]
    axis = None if axis is None else numbers[0] if isinstance(axis, int) else numbers
    if node.attributes["keepdims"]:
        return _again(node, (source,), axes, axis=axis)
    left = [number for number in range(len(axes)) if number not in reduced]
    return _again(node, (source,), tuple(left.index(a) for a in axes if a not in reduced), axis=axis)


@SINKING(*ALONG_AN_AXIS)
def through_axis(node: Node, sweep: Sweep) -> Replacement:
    """The axis has another number before the transpose."""
    made = _turned(node.args[0])
    if made is None:
        return "its operand is no transpose"
    axes = made.attributes["axes"]
    return _again(node, made.args, axes, axis=axes[node.attributes["axis"]])


@SINKING("flip")
def through_flip(node: Node, sweep: Sweep) -> Replacement:
    """The axes that are turned round have other numbers before the transpose."""
    made = _turned(node.args[0])
    if made is None:
        return "its operand is no transpose"
    axes = made.attributes["axes"]
    turned = sorted(axes[axis] for axis in normalize_axes(node.attributes["axis"], len(axes)))
    return _again(node, made.args, axes, axis=tuple(turned))


@SINKING("concat")
def through_concat(node: Node, sweep: Sweep) -> Replacement:
    """Arrays that are all transposed alike are joined before."""
    made = [_turned(value) for value in node.args[0]]
    axes = made[0].attributes["axes"] if made[0] else ()
    if any(each is None or each.attributes["axes"] != axes for each in made):
        return "its operands are not transposed alike"
    sources = tuple(each.args[0] for each in made if each)
    return _again(node, (sources,), axes, axis=axes[node.attributes["axis"]])


@SINKING("split")
def through_split(node: Node, sweep: Sweep) -> Replacement:
    """Pieces are cut before the transpose."""
    made = _turned(node.args[0])
    if made is None:
        return "its operand is no transpose"
    axes = made.attributes["axes"]
    pieces = ops.split(made.args[0], sizes=node.attributes["sizes"], axis=axes[node.attributes["axis"]])
    return tuple(ops.transpose(piece, axes=axes) for piece in pieces)


@SINKING("pad")
def through_pad(node: Node, sweep: Sweep) -> Replacement:
    """Pairs of padding follow their axes."""
    made = _turned(node.args[0])
    if made is None:
        return "its operand is no transpose"
    axes = made.attributes["axes"]
    return _again(node, made.args, axes, padding=tuple(node.attributes["padding"][axis] for axis in _back(axes)))


@SINKING("getitem")
def through_slices(node: Node, sweep: Sweep) -> Replacement:
    """Slices follow their axes; positions and new axes change what the axes are."""
    made = _turned(node.args[0])
    if made is None or not all(isinstance(item, tuple) for item in node.attributes["key"]):
        return "it is no slicing of a transpose"
    axes = made.attributes["axes"]
    key = (*node.attributes["key"], *(FULL,) * (len(axes) - len(node.attributes["key"])))
    return _again(node, made.args, axes, key=tuple(key[axis] for axis in _back(axes)))


@SINKING("reshape")
def through_merge(node: Node, sweep: Sweep) -> Replacement:
    """A reshape that merges axes which are neighbours, in order, before the transpose too."""
    made = _turned(node.args[0])
    if made is None:
        return "its operand is no transpose"
    axes, source = made.attributes["axes"], made.args[0]
    groups = list(_merged(made.output.shape, node.attributes["shape"]))
    if not groups:
        return "it splits axes"
    before = [[axes[axis] for axis in group] for group in groups]
    if any(group != list(range(group[0], group[0] + len(group))) for group in before):
        return "it merges axes that were no neighbours"
    order = sorted(range(len(before)), key=lambda i: before[i][0])
    merged = ops.reshape(source, shape=tuple(node.attributes["shape"][i] for i in order))
    return ops.transpose(merged, axes=_back(order))


def _merged(shape: Sequence[Size], result: Sequence[Size]) -> Iterator[list[int]]:
    """For each axis of the result the axes that it merges; nothing when the reshape does anything else."""
    groups: list[list[int]] = []
    axis = 0
    for size in result:
        group: list[int] = []
        while axis < len(shape) and (not group or product(shape[i] for i in group) != size):
            group.append(axis)
            axis += 1
        if not group or product(shape[i] for i in group) != size:
            return
        groups.append(group)
    while axis < len(shape) and shape[axis] == 1 and groups:
        groups[-1].append(axis)
        axis += 1
    if axis == len(shape):
        yield from groups


SETTLED = Rewrites()


@SETTLED("transpose")
def moves_nothing(node: Node, sweep: Sweep) -> Replacement:
    """A transpose that only moves axes of size 1 is a reshape."""
    source = node.args[0]
    long = [axis for axis in node.attributes["axes"] if source.shape[axis] != 1]
    return ops.reshape(source, shape=node.output.shape) if long == sorted(long) else "it moves elements"


# -- images ----------------------------------------------------------------------------------------------------------


def channels_last(graph: Graph, *, inputs: Collection[str] = ()) -> bool:
    """Put the channels of every convolution, pooling and normalisation on the last axis.

    Requires: no layer or operation with channels on axis 1 of which a target needs the order. Ensures: every
    ``channel_axis`` is -1, in the module table and in operations; the transposes that this takes stand where the
    order of axes matters, at inputs, outputs, and reshapes. Parameters keep their layouts.

    Args:
        graph: what to rewrite.
        inputs: names of inputs that come with channels last; the others keep the layout of the source.
    """
    table = _turning(graph, -1)
    for name in inputs:
        _turn_input(graph, name)
    return _sunk(graph, table) or bool(inputs)


def channels_first(graph: Graph) -> bool:
    """Put the channels of every convolution, pooling and normalisation on axis 1, as PyTorch's functions have them.

    Requires: nothing. Ensures: what `channels_last` does, with axis 1; a graph without channels on the last axis is
    left as it is.
    """
    layers = _layers(graph, -1)
    if not layers and not any(_channels(node) == -1 for node in graph.nodes):
        return False
    return _sunk(graph, _turning(graph, 1))


def _layers(graph: Graph, axis: int) -> set[str]:
    """The paths of the leaf layers with their channels on an axis."""
    return {
        path
        for path, module in graph.modules.items()
        if (found := find_layer(str(module.layer))) and getattr(found(**module.config), "channel_axis", None) == axis
    }


# Operations that take places among channels-first positions stay as they are.
_WITH_CHANNELS = tuple(
    name for name, op in OPS.items() if "channel_axis" in op.attributes and "indices" not in op.operands
)


def _channels(node: Node) -> int | None:
    """1 or -1: where the channels of an operation on images or sequences are; None for any other."""
    if node.op not in _WITH_CHANNELS or node.args[0].ndim < 3:
        return None
    axis = node.attributes["channel_axis"] % node.args[0].ndim
    return -1 if axis == node.args[0].ndim - 1 else axis


def _turning(graph: Graph, axis: int) -> Rewrites:
    """What puts channels on an axis, 1 or -1, from the other; the module table is changed at once."""
    before, after = (_last, _first) if axis == -1 else (_first, _last)
    layers = _layers(graph, -axis)
    for path in layers:
        graph.modules[path].config["channel_axis"] = axis
    turned: set[Node] = set()
    table = Rewrites()

    @table("call")
    def layer(node: Node, sweep: Sweep) -> Replacement:
        path = node.attributes["module"]
        if path not in layers or node in turned or node.args[0].ndim < 3:
            return "its channels are there already"
        result = sweep.call(path, (before(node.args[0]),))
        turned.add(result.node)
        return after(result)

    @table(*_WITH_CHANNELS)
    def operation(node: Node, sweep: Sweep) -> Replacement:
        x, *rest = node.args
        if _channels(node) != -axis:
            return "its channels are there already"
        result = OPS[node.op](before(x), *rest, **{**node.attributes, "channel_axis": axis})
        if isinstance(result, tuple):
            return tuple(after(each) if each.ndim == x.ndim else each for each in result)
        return after(result)

    return table


def sink(graph: Graph) -> bool:
    """Push transposes towards their readers until they meet and vanish.

    Requires: nothing. Ensures: what was read between two inverse transposes, such as channels first in a model that
    has them last, runs without them wherever the order of axes does not matter.
    """
    return _sunk(graph, Rewrites())


def _sunk(graph: Graph, table: Rewrites) -> bool:
    changed = (table | SHAPES | SINKING).apply(graph)
    dead(graph)
    _settle(graph)
    (SETTLED | SHAPES).apply(graph)
    common(graph)
    dead(graph)
    return changed


def _last(x: Value) -> Value:
    return ops.transpose(x, axes=(0, *range(2, x.ndim), 1))


def _first(x: Value) -> Value:
    return ops.transpose(x, axes=(0, x.ndim - 1, *range(1, x.ndim - 1)))


def _turn_input(graph: Graph, name: str) -> None:
    """Let an input come with its channels last, and transpose it at the start."""
    value = graph.inputs[name]
    axes = (0, value.ndim - 1, *range(1, value.ndim - 1))
    given = Value(value.spec.with_shape(*(value.shape[axis] for axis in _back(axes))), hint=value.hint)
    node = Node("transpose", (given,), {"axes": axes})
    node.outputs = (Value(value.spec, node=node, hint=value.hint),)
    graph.replace({value: node.output})
    graph.inputs[name] = graph.calls[0].arguments[name] = given
    graph.nodes.insert(0, node)


def _settle(graph: Graph) -> None:
    """Take transposes of inputs and outputs out of the calls that they happen to stand in.

    A transpose of an input moves to the start; one that only other calls read moves to where it is read, and for an
    output to the end. So calls of equal modules stay equal.
    """
    inputs, uses, outputs = set(graph.input_values), graph.uses(), set(graph.output_values)
    swaps: dict[Value, Value] = {}
    start: list[Node] = []
    end: list[Node] = []
    before: dict[Node, list[Node]] = {}
    local: dict[tuple[Value, int], Value] = {}

    def moved(node: Node, scope: Scope) -> Node:
        copy = Node("transpose", node.args, dict(node.attributes), scope=scope)
        copy.outputs = (Value(node.output.spec, node=copy, hint=node.output.hint),)
        return copy

    for node in graph.nodes:
        if node.op != "transpose" or node.scope.call == 0:
            continue
        value = node.output
        if node.args[0] in inputs:
            start.append(moved(node, Scope()))
            swaps[value] = start[-1].output
            continue
        readers = uses.get(value, [])
        if any(node.scope.call in call_chain(graph, reader.scope.call) for reader in readers):
            continue
        for reader in readers:
            key = (value, reader.scope.call)
            if key not in local:
                copy = moved(node, reader.scope)
                before.setdefault(reader, []).append(copy)
                local[key] = copy.output
            reader.args = _swapped(reader.args, value, local[key])
        if value in outputs:
            end.append(moved(node, Scope()))
            swaps[value] = end[-1].output
    body = [each for node in graph.nodes for each in (*before.get(node, ()), node)]
    graph.nodes = [*start, *body, *end]
    graph.replace(swaps)


def _swapped(tree: Any, old: Value, new: Value) -> Any:
    if isinstance(tree, tuple):
        return tuple(_swapped(item, old, new) for item in tree)
    return new if tree is old else tree


# -- attention -------------------------------------------------------------------------------------------------------

HEADS = Rewrites()


@HEADS("attention")
def attention_layout(node: Node, sweep: Sweep) -> Replacement:
    """Attention of arrays that were transposed for it works on them as they were."""
    if node.attributes["layout"] != "BNTH":
        return "its heads stand third already"
    made = [_turned(arg) for arg in node.args[:3]]
    if any(each is None or each.attributes["axes"] != (0, 2, 1, 3) for each in made):
        return "its operands are not transposed for it"
    sources = [each.args[0] for each in made if each]
    result = ops.attention(*sources, node.args[3], **{**node.attributes, "layout": "BTNH"})
    return ops.transpose(result, axes=(0, 2, 1, 3))


def heads_third(graph: Graph) -> bool:
    """Let attention take (batch, length, heads, features) where its operands come so.

    Requires: nothing. Ensures: no attention in the layout "BNTH" has three operands that are transposed from the
    layout "BTNH".
    """
    changed = (HEADS | SHAPES).apply(graph)
    dead(graph)
    return changed
