"""Primitives that reduce, accumulate and rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .....engine import ops
from .common import (
    RULES,
    Array,
    cast,
    cut,
    dtype_name,
    dtype_of,
    is_complex,
    is_floating,
    refuse,
    reshaped,
    shape_of,
)
from .elementwise import maximum, minimum


@RULES("reduce_sum")
def reduce_sum(x: Array, *, axes: Sequence[int]) -> Array:
    return cast(ops.sum(x, axis=tuple(map(int, axes))), dtype_of(x)) if axes else x


@RULES("reduce_prod")
def reduce_prod(x: Array, *, axes: Sequence[int]) -> Array:
    dtype = dtype_of(x)
    for axis in sorted(axes, reverse=True):
        x = ops.prod(x, axis=axis)
    return cast(x, dtype)


def _extreme(x: Array, axes: Sequence[int], *, largest: bool) -> Array:
    dtype = dtype_of(x)
    if not axes:
        return x
    if is_complex(dtype):
        return folded(x, axes, maximum if largest else minimum)
    if dtype == "bool":
        return (ops.any if largest else ops.all)(x, axis=tuple(map(int, axes)))
    return (ops.max if largest else ops.min)(x, axis=tuple(map(int, axes)))


@RULES("reduce_max")
def reduce_max(x: Array, *, axes: Sequence[int]) -> Array:
    return _extreme(x, axes, largest=True)


@RULES("reduce_min")
def reduce_min(x: Array, *, axes: Sequence[int]) -> Array:
    return _extreme(x, axes, largest=False)


def folded(x: Array, axes: Sequence[int], op: Any) -> Array:
    """What an associative operation makes of axes, halves combined with halves."""
    for axis in sorted(axes, reverse=True):
        while (size := int(shape_of(x)[axis])) > 1:
            half = size // 2
            both = op(cut(x, axis, (None, half, None)), cut(x, axis, (half, 2 * half, None)))
            x = ops.concat([both, cut(x, axis, (2 * half, None, None))], axis=axis) if size % 2 else both
        x = reshaped(x, [n for i, n in enumerate(shape_of(x)) if i != axis])
    return x


@RULES("reduce_and")
def reduce_and(x: Array, *, axes: Sequence[int]) -> Array:
    return ops.all(x, axis=tuple(map(int, axes))) if dtype_of(x) == "bool" else folded(x, axes, ops.bitwise_and)


@RULES("reduce_or")
def reduce_or(x: Array, *, axes: Sequence[int]) -> Array:
    return ops.any(x, axis=tuple(map(int, axes))) if dtype_of(x) == "bool" else folded(x, axes, ops.bitwise_or)


@RULES("reduce_xor")
def reduce_xor(x: Array, *, axes: Sequence[int]) -> Array:
    if dtype_of(x) != "bool":
        return folded(x, axes, ops.bitwise_xor)
    count = ops.sum(cast(x, "int32"), axis=tuple(map(int, axes)))
    return ops.equal(ops.remainder(count, 2), 1)


def _place(x: Array, axes: Sequence[int], index_dtype: Any, *, largest: bool) -> Array:
    (axis,) = axes
    if dtype_of(x) == "bool":
        x = cast(x, "int32")
    return cast((ops.argmax if largest else ops.argmin)(x, axis=axis), dtype_name(index_dtype))


@RULES("argmax")
def argmax(x: Array, *, axes: Sequence[int], index_dtype: Any) -> Array:
    return _place(x, axes, index_dtype, largest=True)


@RULES("argmin")
def argmin(x: Array, *, axes: Sequence[int], index_dtype: Any) -> Array:
    return _place(x, axes, index_dtype, largest=False)


# -- cumulative ------------------------------------------------------------------------------------------------------


def _cumulative(x: Array, axis: int, reverse: bool, op: Any) -> Array:
    dtype = dtype_of(x)
    x = ops.flip(x, axis=axis) if reverse else x
    x = cast(op(x, axis=axis), dtype)
    return ops.flip(x, axis=axis) if reverse else x


@RULES("cumsum")
def cumsum(x: Array, *, axis: int, reverse: bool) -> Array:
    return _cumulative(x, axis, reverse, ops.cumulative_sum)


@RULES("cumprod")
def cumprod(x: Array, *, axis: int, reverse: bool) -> Array:
    return _cumulative(x, axis, reverse, ops.cumulative_prod)


def _doubled(op: Any) -> Any:
    """Prefixes of an associative operation: each step looks twice as far back."""

    def run(x: Array, *, axis: int) -> Array:
        size, reach = int(shape_of(x)[axis]), 1
        while reach < size:
            moved = op(cut(x, axis, (reach, None, None)), cut(x, axis, (None, size - reach, None)))
            x = ops.concat([cut(x, axis, (None, reach, None)), moved], axis=axis)
            reach *= 2
        return x

    return run


@RULES("cummax")
def cummax(x: Array, *, axis: int, reverse: bool) -> Array:
    return _cumulative(x, axis, reverse, _doubled(maximum))


@RULES("cummin")
def cummin(x: Array, *, axis: int, reverse: bool) -> Array:
    return _cumulative(x, axis, reverse, _doubled(minimum))


@RULES("cumlogsumexp")
def cumlogsumexp(x: Array, *, axis: int, reverse: bool) -> Array:
    return _cumulative(x, axis, reverse, _doubled(ops.logaddexp))


# -- rank ------------------------------------------------------------------------------------------------------------


def _ordered(x: Array) -> Array:
    """Numbers whose order is that in which JAX sorts: nan last, False before True."""
    if is_complex(dtype_of(x)):
        raise refuse("the order of complex numbers")
    return cast(x, "int32") if dtype_of(x) == "bool" else x


def _parts(x: Array) -> list[Array]:
    """A key of complex numbers as two, real parts first."""
    return [ops.real(x), ops.imag(x)] if is_complex(dtype_of(x)) else [x]


@RULES("sort")
def sort(*operands: Array, dimension: int, is_stable: bool, num_keys: int) -> tuple[Array, ...]:
    """Several arrays in the order of the first ones, of one in its own."""
    if len(operands) == 1 and dtype_of(operands[0]) != "bool" and not is_complex(dtype_of(operands[0])):
        return (ops.sort(operands[0], axis=dimension),)
    order: Any = None  # by the last key first: each sort keeps the order of equals
    for key in reversed([part for operand in operands[:num_keys] for part in _parts(operand)]):
        key = _ordered(key)
        if is_floating(dtype_of(key)):
            key = ops.add(key, 0.0)  # -0.0 and 0.0 are one number
        here = key if order is None else ops.take_along_axis(key, order, axis=dimension)
        step = ops.argsort(here, axis=dimension)
        order = step if order is None else ops.take_along_axis(order, step, axis=dimension)
    if len(operands) == 2 and num_keys == 1 and _is_places(operands[1], dimension):
        return ops.take_along_axis(operands[0], order, axis=dimension), cast(order, dtype_of(operands[1]))
    return tuple(ops.take_along_axis(x, order, axis=dimension) for x in operands)


def _is_places(x: Array, axis: int) -> bool:
    """Whether an array is known to hold each element's place along an axis."""
    node = getattr(x, "node", None)
    while node is not None and node.op in ("broadcast_to", "reshape"):
        before = node.args[0]
        lone = [size for size in shape_of(before) if size != 1]
        if lone and (len(lone) > 1 or shape_of(node.output)[axis] != lone[0]):
            return False
        if node.op == "reshape" and any(s != 1 for i, s in enumerate(shape_of(node.output)) if i != axis):
            return False
        node = before.node
    return node is not None and node.op == "arange" and node.attributes.get("start", 0) == 0


@RULES("top_k")
def top_k(x: Array, *, k: Any, axis: int = -1) -> tuple[Array, Array]:
    axis %= len(shape_of(x))
    order = ops.argsort(ops.flip(_ordered(x), axis=axis), axis=axis)  # backwards, so that of equals the first wins
    places = ops.subtract(int(shape_of(x)[axis]) - 1, ops.flip(order, axis=axis))
    places = cut(places, axis, (None, k, None))
    return ops.take_along_axis(x, places, axis=axis), cast(places, "int32")


@RULES("approx_top_k")
def approx_top_k(
    x: Array,
    *,
    k: int,
    reduction_dimension: int,
    recall_target: float,
    is_max_k: bool,
    reduction_input_size_override: int,
    aggregate_to_topk: bool,
) -> tuple[Array, Array]:
    """All of the largest: no approximation is closer."""
    if not aggregate_to_topk:
        raise refuse("approx_max_k without aggregate_to_topk")
    if is_max_k:
        return top_k(x, k=k, axis=reduction_dimension)
    values, places = top_k(ops.negative(x), k=k, axis=reduction_dimension)
    return ops.negative(values), places
