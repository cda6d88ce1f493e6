"""Reductions over windows, and by functions that are given as programs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.spec import FULL
from .common import RULES, Array, cast, dtype_of, filled, is_complex, is_floating, refuse, shape_of
from .elementwise import maximum, minimum
from .reduction import reduce_and, reduce_max, reduce_min, reduce_or, reduce_prod, reduce_sum, reduce_xor
from .shape import pad

_COMBINE = {"add": ops.add, "mul": ops.multiply, "max": maximum, "min": minimum}


def _neutral(kind: str, dtype: str) -> Any:
    if kind in ("add", "mul"):
        return 0 if kind == "add" else 1
    if is_complex(dtype) or dtype == "bool":
        raise refuse(f"windows of {dtype} beyond the array, combined by {kind}")
    if is_floating(dtype):
        return -float("inf") if kind == "max" else float("inf")
    return int(np.iinfo(dtype).min if kind == "max" else np.iinfo(dtype).max)


def _windowed(
    kind: str,
    x: Array,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    base_dilation: Sequence[int],
    window_dilation: Sequence[int],
) -> Array:
    dtype = dtype_of(x)
    if dtype == "bool":
        if kind not in ("max", "min"):
            raise refuse(f"windows of truth values combined by {kind}")
        return cast(
            _windowed(
                kind, cast(x, "int32"), window_dimensions, window_strides, padding, base_dilation, window_dilation
            ),
            "bool",
        )
    pooled = _pool(kind, x, window_dimensions, window_strides, padding, base_dilation, window_dilation)
    if pooled is not None:
        return pooled
    config = [(before, after, step - 1) for (before, after), step in zip(padding, base_dilation, strict=True)]
    if any(each != (0, 0, 0) for each in config):
        x = pad(x, filled(x, (), _neutral(kind, dtype), dtype), padding_config=config)
    for axis, (size, stride, apart) in enumerate(zip(window_dimensions, window_strides, window_dilation, strict=True)):
        length = shape_of(x)[axis]
        count = (length - (size - 1) * apart - 1) // stride + 1
        if isinstance(count, int):
            count = max(count, 0)
        result: Any = None
        for offset in range(size):
            start = offset * apart
            item = (start, start + (count - 1) * stride + 1 if count != 0 else start, stride)
            part = ops.getitem(x, key=(*(FULL,) * axis, item)) if (size, stride) != (1, 1) else x
            result = part if result is None else _COMBINE[kind](result, part)
        x = result
    return x


def _pool(kind: str, x: Array, window: Any, strides: Any, padding: Any, base: Any, apart: Any) -> Any:
    """A pooling of images or sequences with one axis of channels, or None."""
    rank = len(window) - 2
    if not 1 <= rank <= 3 or kind not in ("max", "add") or any(step != 1 for step in base):
        return None
    if not is_floating(dtype_of(x)) or all(size == 1 for size in window):
        return None
    if any(before < 0 or after < 0 for before, after in padding):
        return None
    still = [i for i in range(len(window)) if window[i] == strides[i] == 1 and tuple(padding[i]) == (0, 0)]
    if 0 not in still or (len(window) - 1 not in still and 1 not in still):
        return None
    last = len(window) - 1 in still
    part = slice(1, -1) if last else slice(2, None)
    options: dict[str, Any] = {
        "kernel": tuple(window[part]),
        "strides": tuple(strides[part]),
        "padding": tuple(map(tuple, padding[part])),
        "channel_axis": -1 if last else 1,
    }
    if kind == "max":
        return ops.max_pool(x, dilation=tuple(apart[part]), **options)
    if any(step != 1 for step in apart):
        return None
    return ops.avg_pool(x, divisor=1, **options)


@RULES("reduce_window_max")
def reduce_window_max(x: Array, **options: Any) -> Array:
    return _windowed("max", x, **options)


@RULES("reduce_window_min")
def reduce_window_min(x: Array, **options: Any) -> Array:
    return _windowed("min", x, **options)


@RULES("reduce_window_sum")
def reduce_window_sum(x: Array, **options: Any) -> Array:
    return _windowed("add", x, **options)


def monoid(jaxpr: Any) -> str | None:
    """The name of the primitive that a program of two arrays consists of, or None."""
    program = getattr(jaxpr, "jaxpr", jaxpr)
    if len(program.eqns) != 1 or len(program.invars) != 2 or list(program.eqns[0].invars) != list(program.invars):
        return None
    return program.eqns[0].primitive.name if list(program.eqns[0].outvars) == list(program.outvars) else None


@RULES("reduce_window")
def reduce_window(*operands: Array, jaxpr: Any, consts: Any, **options: Any) -> tuple[Array, ...]:
    kind = monoid(jaxpr)
    if len(operands) != 2 or kind not in _COMBINE:
        raise refuse("windows combined by a function of one's own")
    x, start = operands
    return (_COMBINE[kind](_windowed(kind, x, **options), start),)


_REDUCTIONS: dict[str, Any] = {
    "add": reduce_sum,
    "mul": reduce_prod,
    "max": reduce_max,
    "min": reduce_min,
    "and": reduce_and,
    "or": reduce_or,
    "xor": reduce_xor,
}


def is_reduction(jaxpr: Any, operands: int) -> bool:
    """Whether a reduction of so many arrays and first numbers is one of those that have names."""
    return operands == 2 and monoid(jaxpr) in _REDUCTIONS


@RULES("reduce")
def reduce(x: Array, start: Array, *, jaxpr: Any, dimensions: Sequence[int], computation: Any) -> tuple[Array, ...]:
    """By a primitive; the reader reads those by functions of one's own."""
    kind = str(monoid(jaxpr))
    return (RULES[kind](_REDUCTIONS[kind](x, axes=tuple(dimensions)), start),)


# -- the place of the largest ----------------------------------------------------------------------------------------


def _chosen(
    operand: Array,
    select_prim: Any,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    config: Sequence[tuple[int, int, int]],
    apart: Sequence[int],
) -> tuple[list[tuple[tuple[int, ...], Array]], tuple[int, ...]]:
    """For each place of a window, in which windows it has the element that is chosen; and the padded sizes."""
    largest = {"ge": True, "le": False}[select_prim.name]
    dtype = dtype_of(operand)
    start = filled(operand, (), _neutral("max" if largest else "min", dtype), dtype)
    padded = pad(operand, start, padding_config=config) if any(map(any, config)) else operand
    sizes = tuple(map(int, shape_of(padded)))
    best: Any = None
    which: Any = None
    places = list(itertools.product(*map(range, window_dimensions)))
    for number, place in enumerate(places):
        part = _taken(padded, place, sizes, window_dimensions, window_strides, apart)
        if best is None:
            best, which = part, filled(operand, shape_of(part), 0, "int32")
            continue
        better = (ops.greater if largest else ops.less)(part, best)
        best, which = ops.where(better, part, best), ops.where(better, number, which)
    return [(place, ops.equal(which, number)) for number, place in enumerate(places)], sizes


def _taken(
    x: Array,
    place: Sequence[int],
    sizes: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    apart: Sequence[int],
) -> Array:
    """What stands at one place of every window."""
    starts = [at * step for at, step in zip(place, apart, strict=True)]
    ends = [size - (width - 1 - at) * step for size, width, at, step in zip(sizes, window, place, apart, strict=True)]
    return ops.getitem(x, key=tuple(zip(starts, ends, strides, strict=True)))


@RULES("select_and_scatter_add")
def select_and_scatter_add(
    source: Array,
    operand: Array,
    *,
    select_prim: Any,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> Array:
    """Each number of the source added where its window has its largest element, the first of several."""
    grown = [(before, after, 0) for before, after in padding]
    chosen, sizes = _chosen(operand, select_prim, window_dimensions, window_strides, grown, (1,) * len(padding))
    dtype = dtype_of(source)
    zero = filled(source, (), 0, dtype)
    total: Any = None
    for place, here in chosen:
        config = [
            (at, size - at - (count - 1) * stride - 1, stride - 1)
            for at, size, count, stride in zip(place, sizes, map(int, shape_of(source)), window_strides, strict=True)
        ]
        spread = pad(ops.where(here, source, 0), zero, padding_config=config)
        total = spread if total is None else ops.add(total, spread)
    ends = [(before, size - after, 1) for (before, after), size in zip(padding, sizes, strict=True)]
    return ops.getitem(total, key=tuple(ends)) if any(map(any, padding)) else total


@RULES("select_and_gather_add")
def select_and_gather_add(
    tangents: Array,
    operand: Array,
    *,
    select_prim: Any,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    base_dilation: Sequence[int],
    window_dilation: Sequence[int],
) -> Array:
    """What stands in one array where each window of another has its largest element, the first of several."""
    config = [(before, after, step - 1) for (before, after), step in zip(padding, base_dilation, strict=True)]
    chosen, sizes = _chosen(operand, select_prim, window_dimensions, window_strides, config, window_dilation)
    zero = filled(tangents, (), 0, dtype_of(tangents))
    padded = pad(tangents, zero, padding_config=config) if any(map(any, config)) else tangents
    total: Any = None
    for place, here in chosen:
        part = _taken(padded, place, sizes, window_dimensions, window_strides, window_dilation)
        part = ops.where(here, part, 0)
        total = part if total is None else ops.add(total, part)
    return total
