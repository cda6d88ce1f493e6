"""Rewrites of masks and positions, where they are exact.

Positions are sums of multiples of indices (`facts.Affine`), so that comparisons of them may hold everywhere by their
ranges, and so that gathering by all positions of an axis is a slice.

Requires: nothing. Ensures: no comparison of positions that always or never holds, no logic with True or False, no
choice by a known condition, no gather whose positions are a range, no mask that lets everything through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..dims import Size
from ..graph import Node, Value
from ..spec import FULL
from .facts import Affine, affine, at_least, uniform
from .rewriting import Replacement, Rewrites, Sweep, producer

MASKS = Rewrites()


def _full(node: Node, number: Any) -> Value:
    return ops.full(shape=node.output.shape, fill_value=number, dtype=node.output.dtype)


def _of(node: Node, operand: Any) -> Replacement:
    """An operand as the result of a node, broadcast to its shape."""
    return ops.broadcast_to(operand, shape=node.output.shape) if isinstance(operand, Value) else _full(node, operand)


# -- comparisons -----------------------------------------------------------------------------------------------------


@MASKS("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
def compared_positions(node: Node, sweep: Sweep) -> Replacement:
    """A comparison of positions that holds at all of them, or at none."""
    a, b = affine(node.args[0], sweep), affine(node.args[1], sweep)
    if a is None or b is None:
        return "it compares no positions"
    above, below = (a - b).minimum(), (b - a).minimum()  # of a - b and of b - a

    def reaches(least: Any, bound: int) -> bool:
        return at_least(least, bound, sweep.graph)

    match node.op:
        case "equal" | "not_equal":
            equal = node.op == "equal"
            if reaches(above, 0) and reaches(below, 0):
                return _full(node, equal)
            if reaches(above, 1) or reaches(below, 1):
                return _full(node, not equal)
        case "greater_equal" | "less":
            if reaches(above, 0):
                return _full(node, node.op == "greater_equal")
            if reaches(below, 1):
                return _full(node, node.op == "less")
        case _:
            if reaches(below, 0):
                return _full(node, node.op == "less_equal")
            if reaches(above, 1):
                return _full(node, node.op == "greater")
    return "it holds at some positions only"


# -- logic and choice ------------------------------------------------------------------------------------------------


@MASKS("logical_and", "logical_or")
def logic(node: Node, sweep: Sweep) -> Replacement:
    """x and True is x, x and False is False, x and x is x; likewise or."""
    neutral = node.op == "logical_and"
    for place in (0, 1):
        known = uniform(node.args[place], sweep)
        if known is not None:
            return _of(node, node.args[1 - place]) if known == neutral else _full(node, not neutral)
    return _of(node, node.args[0]) if node.args[0] is node.args[1] else "neither operand is known"


@MASKS("logical_not")
def negated(node: Node, sweep: Sweep) -> Replacement:
    """not True is False."""
    known = uniform(node.args[0], sweep)
    return "its operand is not known" if known is None else _full(node, not known)


@MASKS("where")
def known_choice(node: Node, sweep: Sweep) -> Replacement:
    """A choice by a known condition, or between equals."""
    condition, x1, x2 = node.args
    if isinstance(x1, Value) and x1 is x2:
        return _of(node, x1)
    known = uniform(condition, sweep)
    return "its condition is not known" if known is None else _of(node, x1 if known else x2)


@MASKS("attention")
def open_mask(node: Node, sweep: Sweep) -> Replacement:
    """A mask of True, or of added zeros, lets everything through."""
    query, key, value, mask = node.args
    known = uniform(mask, sweep)
    if known is None or known != (mask.dtype == "bool"):
        return "its mask hides something"
    return ops.attention(query, key, value, **node.attributes)


@MASKS("attention")
def causal_mask(node: Node, sweep: Sweep) -> Replacement:
    """A mask that holds exactly where the key stands no later than the query."""
    query, key, value, mask = node.args
    made = mask.node if isinstance(mask, Value) else None
    if made is None or made.op not in ("less", "less_equal", "greater", "greater_equal"):
        return "its mask compares nothing"
    a, b = affine(made.args[0], sweep), affine(made.args[1], sweep)
    if a is None or b is None:
        return "its mask compares no positions"
    ahead = a - b if made.op.startswith("greater") else b - a  # query - key, at least 0 where the mask holds
    if not made.op.endswith("equal"):
        ahead = ahead.plus(-1)
    ahead = ahead.padded(max(2, len(ahead.shape)))
    if ahead.constant != 0 or ahead.steps != (*(0,) * (len(ahead.steps) - 2), 1, -1):
        return "its mask is another one than that of causal attention"
    return ops.attention(query, key, value, **{**node.attributes, "causal": True})


@MASKS("attention")
def added_mask(node: Node, sweep: Sweep) -> Replacement:
    """Adding 0 where a condition holds and -inf elsewhere is a mask by the condition."""
    query, key, value, mask = node.args
    chosen = producer(mask, "where")
    if chosen is None or uniform(chosen.args[1], sweep) != 0 or uniform(chosen.args[2], sweep) != -float("inf"):
        return "its mask adds something else"
    condition = ops.broadcast_to(chosen.args[0], shape=mask.shape)
    return ops.attention(query, key, value, condition, **node.attributes)


# -- ranges ----------------------------------------------------------------------------------------------------------


@MASKS("constant")
def table_is_range(node: Node, sweep: Sweep) -> Replacement:
    """A table of 0, 1, 2, ... is made as a range."""
    found = affine(node.output, sweep)
    if found is None or node.output.spec.size == 2:
        return "it is no range, or too short to be meant as one"
    step, size = next((step, size) for step, size in zip(found.steps, found.shape, strict=True) if size != 1)
    if step == 0:
        return "its elements are equal"
    made = ops.arange(start=found.constant, stop=found.constant + step * size, step=step, dtype=node.output.dtype)
    return made[tuple(FULL if size != 1 else None for size in found.shape)]


@MASKS("getitem")
def slice_of_range(node: Node, sweep: Sweep) -> Replacement:
    """A slice of a range is a shorter range."""
    made, key = producer(node.args[0], "arange"), node.attributes["key"]
    place = next((i for i, item in enumerate(key) if isinstance(item, tuple) and item != FULL), None)
    if made is None or place is None:
        return "it slices no range"
    found = affine(node.output, sweep)
    axis = sum(item is None for item in key[:place])
    if found is None:
        return "where the slice starts is not known"
    step, size = found.steps[axis], found.shape[axis]
    if size == 1 or step == 0:
        return "one element is left"
    stop = found.constant + step * size
    shorter = ops.arange(start=found.constant, stop=stop, step=step, dtype=node.output.dtype)
    return shorter[(*key[:place], FULL, *key[place + 1 :])]


# -- gathers ---------------------------------------------------------------------------------------------------------


@MASKS("index")
def gather_is_slice(node: Node, sweep: Sweep) -> Replacement:
    """``x[arange(n)[:, None], arange(m)]`` is ``x[:n, :m]``."""
    x, indices = node.args
    axes = [axis for axis, each in enumerate(indices) if each is not None]
    place = axes[0] if axes == list(range(axes[0], axes[-1] + 1)) else 0
    return _sliced(x, [None if each is None else affine(each, sweep) or "" for each in indices], place, node, sweep)


@MASKS("take")
def take_is_slice(node: Node, sweep: Sweep) -> Replacement:
    """A take of a range of positions is a slice."""
    x, indices = node.args
    axis = node.attributes["axis"] % x.ndim
    return _sliced(x, [*[None] * axis, affine(indices, sweep) or ""], axis, node, sweep)


@MASKS("take")
def take_of_range(node: Node, sweep: Sweep) -> Replacement:
    """The i-th of 0, 1, 2, ... is i."""
    table, found = affine(node.args[0], sweep), affine(node.args[1], sweep)
    if table is None or table.constant != 0 or table.steps != (1,):
        return "its table is no range from 0"
    if found is None or not at_least(found.minimum(), 0, sweep.graph):
        return "its positions may count from the end"
    return ops.astype(node.args[1], dtype=node.output.dtype)


def _sliced(x: Value, indices: Sequence[Affine | str | None], place: int, node: Node, sweep: Sweep) -> Replacement:
    """x[indices] by slices, where each index walks along one axis of the result of its own.

    ``indices`` has None for an axis taken whole and "" for positions that are no range; the axes of the positions
    stand at ``place`` in the result.
    """
    if "" in indices:
        return "its positions are no ranges"
    found = max(len(each.shape) for each in indices if isinstance(each, Affine))
    key: list[Any] = []
    whole: list[int] = []  # axes of the sliced array that were taken whole
    walked: dict[int, int] = {}  # axis among the positions -> axis of the sliced array
    lengths: dict[int, Size] = {}
    kept = 0
    for axis in range(x.ndim):
        each = indices[axis] if axis < len(indices) else None
        if not isinstance(each, Affine):
            key.append(FULL)
            whole.append(kept)
            kept += 1
            continue
        each = each.padded(found)
        if not at_least(each.minimum(), 0, sweep.graph):
            return "a position may count from the end"
        walks = [i for i, step in enumerate(each.steps) if step != 0]
        if not walks:
            key.append(each.constant)
            continue
        if len(walks) > 1 or each.steps[walks[0]] != 1 or walks[0] in walked:
            return "a position walks along several axes, in steps, or along an axis that another one walks"
        stop = each.constant + each.shape[walks[0]]
        key.append((None if each.constant == 0 else each.constant, None if stop == x.shape[axis] else stop, None))
        walked[walks[0]], lengths[walks[0]] = kept, each.shape[walks[0]]
        kept += 1
    order = [*whole[:place], *(walked[i] for i in sorted(walked)), *whole[place:]]
    picked = x[tuple(key)]
    if any(picked.shape[walked[i]] != size for i, size in lengths.items()):
        return "whether the range lies within its axis is not known"
    sliced = ops.transpose(picked, axes=tuple(order))
    spread = (FULL if i in walked else None for i in range(found))
    return ops.broadcast_to(sliced[(*(FULL,) * place, *spread)], shape=node.output.shape)
