"""Picks by a place that depends on the values of arrays: ``x[:, i]`` in a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ....engine import ops
from ....engine.graph import Value
from .rules import RULES
from .rules.common import dtype_of, shape_of

_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def picked(op: Any, x: Value, get: Callable[[Any], Any]) -> Value | None:
    """The result of a StridedSlice of which some places are values; None where these are no picks of one element.

    Args:
        op: the operation.
        x: what it slices.
        get: what a tensor is, a value or a known array.
    """
    begin, end = (_items(tensor, get) for tensor in op.inputs[1:3])
    strides = get(op.inputs[3])
    if begin is None or end is None or not isinstance(strides, np.ndarray):
        return None
    masks = {name: op.get_attr(name) for name in _MASKS}
    places = [k for k, item in enumerate(begin) if isinstance(item, Value)]
    single = all(masks["shrink_axis_mask"] >> k & 1 for k in places)
    if not single or any(isinstance(item, Value) for k, item in enumerate(end) if k not in places):
        return None
    chosen = [begin[k] for k in places]
    for k in places:  # first the whole axis, from which one element is taken then
        begin[k] = end[k] = 0
        masks["begin_mask"] |= 1 << k
        masks["end_mask"] |= 1 << k
        masks["shrink_axis_mask"] &= ~(1 << k)
    x = RULES["StridedSlice"](x, begin, end, strides.tolist(), **masks)
    for k, index in reversed(list(zip(places, chosen, strict=True))):
        axis = _axis(k, len(begin), len(op.inputs[0].shape), masks)
        size = shape_of(x)[axis]
        behind = ops.add(index, ops.full(shape=(), fill_value=size, dtype=dtype_of(index)))
        x = ops.take(x, ops.where(ops.less(index, 0), behind, index), axis=axis)
    return x


def _items(tensor: Any, get: Callable[[Any], Any]) -> list[Any] | None:
    """The numbers of a tensor without structure, each known or a value; None where it is one value."""
    found = get(tensor)
    if isinstance(found, np.ndarray):
        return found.tolist()
    if tensor.op.type != "Pack":
        return None
    items = [get(item) for item in tensor.op.inputs]
    return [item.tolist() if isinstance(item, np.ndarray) else item for item in items]


def _axis(k: int, count: int, ndim: int, masks: dict[str, int]) -> int:
    """The axis of the result that the k-th of the items of a slice stands for."""

    def has(name: str, item: int) -> bool:
        return bool(masks[name] >> item & 1)

    taken = sum(not has("ellipsis_mask", j) and not has("new_axis_mask", j) for j in range(count))
    axis = 0
    for j in range(k):
        if has("ellipsis_mask", j):
            axis += ndim - taken
        elif has("new_axis_mask", j) or not has("shrink_axis_mask", j):
            axis += 1
    return axis
