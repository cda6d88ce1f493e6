"""Sums, means, extremes and the like over axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.spec import reduced_shape
from .common import RULES, Array, cast, dtype_of, filled, is_floating, on_axis, rank_of, shape_of, static_ints


def _sum_square(x: Array, **options: Any) -> Array:
    return ops.sum(ops.multiply(x, x), **options)


def _sum(x: Array, **options: Any) -> Array:
    return cast(ops.sum(x, **options), dtype_of(x))


def _in_float(function: Callable[..., Array]) -> Callable[..., Array]:
    """Integers are computed with as float64 and cut off."""

    def compute(x: Array, **options: Any) -> Array:
        dtype = dtype_of(x)
        if is_floating(dtype):
            return function(x, **options)
        return cast(function(cast(x, "float64"), **options), dtype)

    return compute


def _prod(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    for each in sorted(axis, reverse=True):
        x = cast(ops.prod(x, axis=each, keepdims=keepdims), dtype_of(x))
    return x


def _neutral(op: Any, dtype: str) -> float:
    """What no element is beyond: the extreme of no elements."""
    if is_floating(dtype):
        return np.inf if op is ops.min else -np.inf
    return np.iinfo(dtype).max if op is ops.min else np.iinfo(dtype).min


def _extreme(op: Any, of_bool: Any) -> Callable[..., Array]:
    def compute(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
        if dtype_of(x) == "bool":
            return of_bool(x, axis=axis, keepdims=keepdims)
        shape = shape_of(x)
        if any(shape[each] == 0 for each in axis):
            return filled(reduced_shape(shape, axis, keepdims), _neutral(op, dtype_of(x)), dtype_of(x))
        return op(x, axis=axis, keepdims=keepdims)

    return compute


def _logsumexp(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    shape = shape_of(x)
    if any(shape[each] == 0 for each in axis):
        return filled(reduced_shape(shape, axis, keepdims), -np.inf, dtype_of(x))
    return ops.logsumexp(x, axis=axis, keepdims=keepdims)


_REDUCTIONS: dict[str, Callable[..., Array]] = {
    "ReduceSum": _sum,
    "ReduceSumSquare": lambda x, **options: cast(_sum_square(x, **options), dtype_of(x)),
    "ReduceMean": _in_float(ops.mean),
    "ReduceMax": _extreme(ops.max, ops.any),
    "ReduceMin": _extreme(ops.min, ops.all),
    "ReduceProd": _prod,
    "ReduceL1": lambda x, **options: _sum(ops.abs(x), **options),
    "ReduceL2": _in_float(lambda x, **options: ops.sqrt(_sum_square(x, **options))),
    "ReduceLogSum": _in_float(lambda x, **options: ops.log(ops.sum(x, **options))),
    "ReduceLogSumExp": _in_float(_logsumexp),
}

#: Since which opset the axes are an input.
_AXES_INPUT = {name: 13 if name == "ReduceSum" else 18 for name in _REDUCTIONS}


def _enter(name: str, function: Callable[..., Array]) -> None:
    def reduced(x: Array, axes: Sequence[int] | None, keepdims: int, noop: int) -> Array:
        if not axes and noop:
            return x if name not in _POINTWISE else _POINTWISE[name](x)
        ndim = rank_of(x)
        chosen = tuple(axis % ndim for axis in axes) if axes else tuple(range(ndim))
        return (
            function(x, axis=chosen, keepdims=bool(keepdims))
            if chosen
            else function(ops.reshape(x, shape=(1,)), axis=(0,), keepdims=False)
        )

    @RULES(name)
    def by_attribute(x: Array, *, axes: tuple[int, ...] | None = None, keepdims: int = 1) -> Array:
        return reduced(x, axes, keepdims, 0)

    @RULES(f"{name}-{_AXES_INPUT[name]}")
    def by_input(x: Array, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Array:
        return reduced(x, None if axes is None else static_ints(axes, "axes"), keepdims, noop_with_empty_axes)


#: What is done to the elements where nothing is reduced.
_POINTWISE: dict[str, Callable[[Array], Array]] = {
    "ReduceSumSquare": lambda x: ops.multiply(x, x),
    "ReduceL1": ops.abs,
    "ReduceL2": ops.abs,
    "ReduceLogSum": _in_float(ops.log),
}

for _name, _function in _REDUCTIONS.items():
    _enter(_name, _function)


def _arg(op: Any, x: Array, axis: int, keepdims: int, select_last_index: int) -> Array:
    axis %= rank_of(x)
    if not select_last_index:
        return (
            ops.argmax(x, axis=axis, keepdims=bool(keepdims))
            if op == "max"
            else ops.argmin(x, axis=axis, keepdims=bool(keepdims))
        )
    found = _arg(op, ops.flip(x, axis=axis), axis, keepdims, 0)
    return ops.subtract(shape_of(x)[axis] - 1, found)


@RULES("ArgMax")
def argmax(x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
    return _arg("max", x, axis, keepdims, select_last_index)


@RULES("ArgMin")
def argmin(x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
    return _arg("min", x, axis, keepdims, select_last_index)


def _cumulative(op: Any, x: Array, axis: Any, exclusive: int, reverse: int, start: int) -> Array:
    from .common import static_int

    place = static_int(axis, "axis") % rank_of(x)
    y = ops.flip(x, axis=place) if reverse else x
    if exclusive:
        shape = list(shape_of(x))
        shape[place] = 1
        y = ops.concat([filled(shape, start, dtype_of(x)), on_axis(y, place, (None, -1, None))], axis=place)
    y = cast(op(y, axis=place), dtype_of(x))
    return ops.flip(y, axis=place) if reverse else y


@RULES("CumSum")
def cumsum(x: Array, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> Array:
    return _cumulative(ops.cumulative_sum, x, axis, exclusive, reverse, 0)


@RULES("CumProd")
def cumprod(x: Array, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> Array:
    return _cumulative(ops.cumulative_prod, x, axis, exclusive, reverse, 1)
