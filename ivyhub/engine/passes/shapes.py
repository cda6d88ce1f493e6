"""Rewrites of operations that move elements: what does nothing vanishes, what follows its like merges with it.

Requires: nothing. Ensures: no reshape, transpose, broadcast_to, getitem or astype is the identity or directly follows
one that it could merge with; nothing is broadcast for a reader that broadcasts by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import EngineError
from .. import ops
from ..dims import Dim, Size, lower_bound, minimum
from ..graph import Node, Value
from ..op import OPS
from ..spec import FULL, normalize_axes
from .facts import POINTWISE, uniform
from .rewriting import Replacement, Rewrites, Sweep, producer

SHAPES = Rewrites()


@SHAPES("reshape", "broadcast_to", "astype")
def identity(node: Node, sweep: Sweep) -> Replacement:
    """What gives the type that it received."""
    return node.args[0] if node.args[0].spec == node.output.spec else "it changes the type"


@SHAPES("positive", "tile", "repeat", "concat", "getitem")
def identity_of_one(node: Node, sweep: Sweep) -> Replacement:
    """+x, a tile or repeat by 1, a concat of one array, an empty key."""
    match node.op, node.attributes:
        case "concat", _:
            return node.args[0][0] if len(node.args[0]) == 1 else "it joins several"
        case "getitem", {"key": key} if any(item != FULL for item in key):
            return "the key picks something"
        case "tile", {"repetitions": repetitions} if any(n != 1 for n in repetitions):
            return "it repeats"
        case "repeat", {"repeats": repeats} if repeats != 1:
            return "it repeats"
    return node.args[0]


@SHAPES("tile")
def tile_of_ones(node: Node, sweep: Sweep) -> Replacement:
    """An axis of size 1 that is repeated is broadcast."""
    x, repetitions = node.args[0], node.attributes["repetitions"]
    if len(repetitions) != x.ndim or any(n != 1 != size for n, size in zip(repetitions, x.shape, strict=True)):
        return "it repeats more than ones"
    return ops.broadcast_to(x, shape=node.output.shape)


@SHAPES("flip")
def flip_of_flip(node: Node, sweep: Sweep) -> Replacement:
    """What is turned round twice is as it was."""
    inner, ndim = producer(node.args[0], "flip"), node.output.ndim
    if inner is None or _flipped(node, ndim) != _flipped(inner, ndim):
        return "its operand is not turned round alike"
    return inner.args[0]


def _flipped(node: Node, ndim: int) -> set[int]:
    return set(normalize_axes(node.attributes["axis"], ndim))


@SHAPES("transpose")
def identity_transpose(node: Node, sweep: Sweep) -> Replacement:
    """A transpose that leaves every axis in its place."""
    axes = node.attributes["axes"]
    return node.args[0] if axes == tuple(range(len(axes))) else "it moves an axis"


@SHAPES("reshape")
def reshape_of_reshape(node: Node, sweep: Sweep) -> Replacement:
    """Only the last shape counts. Each module keeps its own, so that equal modules stay equal."""
    inner = producer(node.args[0], "reshape")
    if inner is None or inner.scope.call != node.scope.call:
        return "its operand is no reshape of the same call"
    return ops.reshape(inner.args[0], shape=node.attributes["shape"])


@SHAPES("reshape")
def reshape_of_transpose(node: Node, sweep: Sweep) -> Replacement:
    """A transpose that only moves axes of size 1 leaves the elements in order."""
    inner = producer(node.args[0], "transpose")
    if inner is None:
        return "its operand is no transpose"
    source = inner.args[0]
    moved = [axis for axis in inner.attributes["axes"] if source.shape[axis] != 1]
    if moved != sorted(moved):
        return "the transpose moves elements"
    return ops.reshape(source, shape=node.attributes["shape"])


@SHAPES("reshape")
def reshape_of_new_axes(node: Node, sweep: Sweep) -> Replacement:
    """What only adds axes leaves the elements in order."""
    inner = producer(node.args[0], "getitem")
    if inner is None or any(item not in (None, FULL) for item in inner.attributes["key"]):
        return "its operand is no array with new axes"
    return ops.reshape(inner.args[0], shape=node.attributes["shape"])


@SHAPES("transpose")
def transpose_of_transpose(node: Node, sweep: Sweep) -> Replacement:
    """Two permutations are one."""
    inner = producer(node.args[0], "transpose")
    if inner is None:
        return "its operand is no transpose"
    return ops.transpose(inner.args[0], axes=tuple(inner.attributes["axes"][axis] for axis in node.attributes["axes"]))


@SHAPES("broadcast_to")
def broadcast_of_broadcast(node: Node, sweep: Sweep) -> Replacement:
    """Only the last shape counts."""
    inner = producer(node.args[0], "broadcast_to")
    if inner is None:
        return "its operand is not broadcast"
    return ops.broadcast_to(inner.args[0], shape=node.attributes["shape"])


@SHAPES("broadcast_to", "reshape", "transpose", "getitem", "astype", "cumulative_sum")
def of_one_number(node: Node, sweep: Sweep) -> Replacement:
    """An array of one number in another form is made in that form."""
    number = uniform(node.output, sweep)
    if number is None:
        return "its elements differ"
    return ops.full(shape=node.output.shape, fill_value=number, dtype=node.output.dtype)


_WIDER = {"float16": {"float32", "float64"}, "bfloat16": {"float32", "float64"}, "float32": {"float64"}}


def keeps_values(source: str, target: str) -> bool:
    """Whether a cast is exact: from bool to any, and to a wider type of the same kind."""
    if source in _WIDER or target in _WIDER:
        return source == "bool" or target in _WIDER.get(source, ())
    try:
        return source == "bool" or (source[0] in "iu" and target[0] in "iu" and np.can_cast(source, target, "safe"))
    except TypeError:
        return False


@SHAPES("astype")
def cast_of_cast(node: Node, sweep: Sweep) -> Replacement:
    """A cast that keeps every value may be skipped on the way to another."""
    inner = producer(node.args[0], "astype")
    if inner is None:
        return "its operand is not cast"
    source = inner.args[0]
    if not keeps_values(source.dtype, inner.output.dtype):
        return f"the cast from {source.dtype} to {inner.output.dtype} rounds"
    return ops.astype(source, dtype=node.attributes["dtype"])


# -- indexing --------------------------------------------------------------------------------------------------------


@SHAPES("getitem")
def getitem_of_getitem(node: Node, sweep: Sweep) -> Replacement:
    """Two keys are one, where both count from the start."""
    inner = producer(node.args[0], "getitem")
    if inner is None:
        return "its operand is not indexed"
    source = inner.args[0]
    key = merged_key(inner.attributes["key"], node.attributes["key"], source.shape)
    if isinstance(key, str):
        return key
    result = source[key]
    return result if result.spec == node.output.spec else "the merged key has another shape"


def merged_key(first: Sequence[Any], second: Sequence[Any], shape: Sequence[Size]) -> tuple[Any, ...] | str:
    """The key of ``x[first][second]``, or the reason why there is none."""
    outer = list(second)
    key: list[Any] = []
    used = sum(item is not None for item in first)
    sizes = iter(shape)
    for item in (*first, *(FULL,) * (len(shape) - used)):
        size = 1 if item is None else next(sizes)
        if not (item is None or isinstance(item, tuple)):
            key.append(item)
            continue
        while outer and outer[0] is None:
            key.append(outer.pop(0))
        picked = _picked(item, outer.pop(0) if outer else FULL, size)
        if isinstance(picked, str):
            return picked
        key.extend(picked)
    key.extend(outer)
    while key and key[-1] == FULL:
        key.pop()
    return tuple(key)


def _picked(first: Any, second: Any, size: Size) -> list[Any] | str:
    """One item applied after another on the same axis."""
    if second == FULL:
        return [first]
    if first == FULL:
        return [second]
    if first is None:
        return [] if second in (0, -1) else "it slices a new axis"
    start, stop, step = first
    if step not in (None, 1) or not _from_start(start) or not (stop is None or _from_start(stop)):
        return "the first slice counts from the end, or in steps"
    begin = 0 if start is None else start
    if not isinstance(second, tuple):
        if _from_start(second):
            return [begin + second]
        return [second] if stop is None else "it counts from the end of a slice"
    if not (_from_start(second[0]) and (second[1] is None or _from_start(second[1]))):
        return "the second slice counts from the end"
    if isinstance(second[2], int) and second[2] < 0:
        return "the second slice runs backwards"
    low = begin + (0 if second[0] is None else second[0])
    high = stop if second[1] is None else begin + second[1] if stop is None else minimum(stop, begin + second[1])
    if isinstance(high, Dim) and any(atom[0] == "min" for monomial in high.terms for atom, _ in monomial):
        return "which slice ends first is not known"
    return [(None if low == 0 else low, None if high == size else high, second[2])]


def _from_start(bound: Any) -> bool:
    least = 0 if bound is None else lower_bound(bound)
    return least is not None and least >= 0


@SHAPES("getitem")
def getitem_of_broadcast(node: Node, sweep: Sweep) -> Replacement:
    """Where every axis that is picked from has the size that it had before, the pick may come first."""
    inner = producer(node.args[0], "broadcast_to")
    if inner is None:
        return "its operand is not broadcast"
    source, shape = inner.args[0], inner.output.shape
    offset = len(shape) - source.ndim
    key: list[Any] = []
    axis = 0
    for item in (*node.attributes["key"], *(FULL,) * (len(shape) - sum(i is not None for i in node.attributes["key"]))):
        if item is None:
            key.append(None)
            continue
        here = axis - offset
        axis += 1
        if here < 0:
            if isinstance(item, tuple):
                key.append(None)  # a new axis: broadcast again below
        elif item == FULL or source.shape[here] == shape[axis - 1]:
            key.append(item)
        else:
            key.append(FULL if isinstance(item, tuple) else 0)
    return ops.broadcast_to(source[tuple(key)], shape=node.output.shape)


# -- readers that broadcast by themselves ----------------------------------------------------------------------------


@SHAPES(*POINTWISE)
def reader_broadcasts(node: Node, sweep: Sweep) -> Replacement:
    """An elementwise operation broadcasts by itself; what no operand spans is broadcast after it."""
    args = [arg if (made := producer(arg, "broadcast_to")) is None else made.args[0] for arg in node.args]
    if all(arg is before for arg, before in zip(args, node.args, strict=True)):
        return "no operand is broadcast"
    return ops.broadcast_to(OPS[node.op](*args, **node.attributes), shape=node.output.shape)


@SHAPES("matmul")
def product_broadcasts(node: Node, sweep: Sweep) -> Replacement:
    """A product broadcasts its leading axes by itself."""
    args = list(node.args)
    for i, arg in enumerate(args):
        made = producer(arg, "broadcast_to")
        if made is not None and _same_result(node, (*args[:i], made.args[0], *args[i + 1 :])):
            args[i] = made.args[0]
    if args == list(node.args):
        return "nothing is broadcast in vain"
    return ops.matmul(*args)


@SHAPES("attention")
def mask_is_broadcast(node: Node, sweep: Sweep) -> Replacement:
    """A mask need not be broadcast: attention takes masks that broadcast to (batch, heads, queries, keys)."""
    place = OPS["attention"].operands.index("mask")
    inner = producer(node.args[place], "broadcast_to")
    if inner is None:
        return "its mask is not broadcast"
    args = (*node.args[:place], inner.args[0], *node.args[place + 1 :])
    return OPS["attention"](*args, **node.attributes) if _same_result(node, args) else "its mask needs all its axes"


def _same_result(node: Node, args: Sequence[Any]) -> bool:
    specs = [arg.spec if isinstance(arg, Value) else arg for arg in args]
    try:
        return OPS[node.op].infer(specs, node.attributes) == node.output.spec
    except EngineError:
        return False


@SHAPES(*POINTWISE)
def number_for_array(node: Node, sweep: Sweep) -> Replacement:
    """An operand of one number is written as that number, where another array gives shape and dtype."""
    if node.op == "astype":
        return "a cast needs an array"
    args = list(node.args)
    for i, arg in enumerate(args):
        if not isinstance(arg, Value) or (node.op == "where" and i == 0):
            continue
        number = uniform(arg, sweep)
        others = (*args[:i], number, *args[i + 1 :])
        if number is not None and any(isinstance(other, Value) for other in others) and _same_result(node, others):
            args[i] = number
    if args == list(node.args):
        return "no operand is one number"
    return OPS[node.op](*args, **node.attributes)


@SHAPES("take", "index")
def index_wraps(node: Node, sweep: Sweep) -> Replacement:
    """Places below 0 count from the end by themselves."""
    x, places = node.args
    if node.op == "take":
        places = (*(None,) * (node.attributes["axis"] % x.ndim), places)
    bare = [None if each is None else _unwrapped(each, size) for each, size in zip(places, x.shape, strict=False)]
    if all(each is None or each is before for each, before in zip(bare, places, strict=True)):
        return "no places are counted from the start"
    return ops.index(x, tuple(bare))


def _unwrapped(places: Value, size: Size) -> Value:
    """i of ``where(i < 0, i + size, i)``; anything else as it is."""
    chosen = producer(places, "where")
    if chosen is None:
        return places
    negative, moved, kept = chosen.args
    below, above = producer(negative, "less"), producer(moved, "add")
    if not isinstance(kept, Value) or below is None or above is None:
        return places
    from_zero = below.args[0] is kept and not isinstance(below.args[1], Value) and below.args[1] == 0
    start, offset = above.args if above.args[0] is kept else above.args[::-1]
    return kept if from_zero and start is kept and not isinstance(offset, Value) and offset == size else places
