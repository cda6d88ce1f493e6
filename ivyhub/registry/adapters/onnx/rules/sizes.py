"""Operators of integers that are computed from shapes, of which some are symbolic.

A rule here gives `Sizes` or an array, or None where the result is no integer that shapes need: then the sizes become a
traced array, and the operator's own rule reads them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .....engine.dims import lower_bound, maximum, minimum, product
from .common import Sizes, is_integer, known, sizes_from, static_ints

SIZE_RULES: dict[str, Callable[..., Any]] = {}


def _rule(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def enter(rule: Callable[..., Any]) -> Callable[..., Any]:
        SIZE_RULES[name] = rule
        return rule

    return enter


def _items(x: Any) -> np.ndarray | None:
    """The integers of an operand, or None where they are not known."""
    if isinstance(x, Sizes):
        return x.items
    found = known(x)
    return None if found is None or not (is_integer(found.dtype.name)) else found.astype(object)


def _made(items: Any, dtype: str) -> Any:
    array = np.asarray(items, dtype=object)
    return sizes_from(array, dtype)


def _elementwise(name: str, function: Callable[[Any, Any], Any]) -> None:
    apply = np.frompyfunc(function, 2, 1)

    def rule(a: Any, b: Any) -> Any:
        first, second = _items(a), _items(b)
        if first is None or second is None:
            return None
        return _made(apply(first, second), (a if isinstance(a, Sizes) else b).dtype)

    SIZE_RULES[name] = rule


_elementwise("Add", operator.add)
_elementwise("Sub", operator.sub)
_elementwise("Mul", operator.mul)
_elementwise("Div", operator.floordiv)
_elementwise("Mod", operator.mod)
_elementwise("Max", maximum)
_elementwise("Min", minimum)


def _same(a: Any, b: Any) -> bool | None:
    """Whether two sizes are one; None where that depends on the sizes. A size is never negative."""
    if a == b:
        return True
    if isinstance(a, int) and isinstance(b, int):
        return False
    for low in (lower_bound(a - b), lower_bound(b - a)):
        if low is not None and low > 0:
            return False
    return None


@_rule("Equal")
def equal(a: Any, b: Any) -> Any:
    first, second = _items(a), _items(b)
    if first is None or second is None:
        return None
    found = np.frompyfunc(_same, 2, 1)(first, second)
    found = np.asarray(found, dtype=object)
    return None if any(item is None for item in found.flat) else found.astype(bool)


@_rule("Where")
def where(condition: Any, a: Any, b: Any) -> Any:
    truth, first, second = known(condition), _items(a), _items(b)
    if truth is None or first is None or second is None:
        return None
    return _made(np.where(truth, first, second), (a if isinstance(a, Sizes) else b).dtype)


@_rule("Concat")
def concat(*arrays: Any, axis: int) -> Any:
    items = [_items(array) for array in arrays]
    if any(item is None for item in items):
        return None
    dtype = next(array.dtype for array in arrays if isinstance(array, Sizes))
    return _made(np.concatenate([item for item in items if item is not None], axis=axis), dtype)


@_rule("Gather")
def gather(x: Any, indices: Any, *, axis: int = 0) -> Any:
    places = known(indices)
    if places is None or not isinstance(x, Sizes):
        return None
    return _made(np.take(x.items, places, axis=axis), x.dtype)


@_rule("Slice")
def slices(x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Any:
    if not isinstance(x, Sizes) or x.items.ndim != 1 or starts is None or known(starts) is None or known(ends) is None:
        return None
    step = None if steps is None else static_ints(steps, "steps")[0]
    return _made(x.items[slice(static_ints(starts, "starts")[0], static_ints(ends, "ends")[0], step)], x.dtype)


@_rule("Unsqueeze")
def unsqueeze(x: Any, axes: Any = None) -> Any:
    return x if axes is None else _made(np.expand_dims(x.items, static_ints(axes, "axes")), x.dtype)


@_rule("Squeeze")
def squeeze(x: Any, axes: Any = None) -> Any:
    return _made(np.squeeze(x.items, None if axes is None else static_ints(axes, "axes")), x.dtype)


@_rule("Reshape")
def reshape(x: Any, shape: Any) -> Any:
    if not isinstance(x, Sizes) or known(shape) is None:
        return None
    return _made(x.items.reshape(static_ints(shape, "shape")), x.dtype)


@_rule("Cast")
def cast(x: Any, *, to: int) -> Any:
    from ..loading import dtype_of_type

    dtype = dtype_of_type(to)
    return Sizes(x.items, dtype) if dtype in ("int32", "int64") else None


@_rule("Identity")
def identity(x: Any) -> Any:
    return x


@_rule("Neg")
def negative(x: Any) -> Any:
    return _made(-x.items, x.dtype)


@_rule("ReduceProd")
def reduce_prod(x: Any, axes: Any = None, *, keepdims: int = 1) -> Any:
    if x.items.ndim != 1:
        return None
    whole: Any = product(x.items.tolist())
    return _made([whole] if keepdims else whole, x.dtype)


@_rule("Shape")
def shape(x: Any) -> Any:
    return np.asarray(x.items.shape, np.int64)


TAKES_SIZES = frozenset(
    {
        "ConstantOfShape",
        "Expand",
        "Identity",
        "If",
        "Loop",
        "Pad",
        "Range",
        "Reshape",
        "Resize",
        "Slice",
        "Split",
        "Tile",
    }
)
"""Operators whose own rules take sizes, as what says a shape."""
