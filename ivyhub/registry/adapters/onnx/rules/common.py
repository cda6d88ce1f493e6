"""What the reading rules share: the table, sizes that are known while a graph is built, and small words of ONNX.

A rule has the name of its operator, with a ``-13`` behind it where that meaning holds from opset 13 on: the newest
that the model's opset allows wins. Inputs are positional, None where they are left out; attributes are keywords, with
the defaults of the operator's schema. A rule that takes ``wanted`` is told how many results are used, one that takes
``version`` the opset that the operator is of. Results are a value or a tuple of them; a *list* is an ONNX sequence.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.backends import framework_of, is_floating, is_integer
from .....engine.dims import Dim, Size
from .....engine.graph import Value
from .....engine.spec import FULL, spec_of
from .....errors import CaptureError
from ....weights.dtypes import numpy_dtype
from ...reading import Rule, Rules

Array = Any

RULES = Rules("onnx")


def rule_of(name: str, opset: int) -> Rule | None:
    """The newest rule of an operator for an opset, or None.

    Example:
        >>> rule_of("Softmax", 11) is rule_of("Softmax", 13)
        False
    """
    eligible = [since for since in _sinces(name, len(RULES)) if since <= opset]
    if not eligible:
        return None
    newest = max(eligible)
    return RULES[f"{name}-{newest}" if newest > 1 else name]


@functools.cache
def _sinces(name: str, count: int) -> tuple[int, ...]:
    """The opsets from which rules of an operator hold, while the table has that many."""
    found = tuple(int(key.rpartition("-")[2]) for key in RULES if key.rpartition("-")[0] == name)
    return (1, *found) if name in RULES else found


# -- what is known while the graph is built ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sizes:
    """Integers of which some are symbolic: what an operator computes from shapes.

    Attributes:
        items: an array of objects, each an int or a `Dim`.
        dtype: of the integers.
    """

    items: np.ndarray
    dtype: str = "int64"

    @property
    def shape(self) -> tuple[int, ...]:
        """Its axes."""
        return self.items.shape


def sizes_from(items: Any, dtype: str = "int64") -> Any:
    """Integers and symbolic sizes as `Sizes`, or as an array where all are known."""
    array = np.empty(np.shape(items), object) if not isinstance(items, np.ndarray) else items
    if array is not items:
        for index in np.ndindex(array.shape):
            item = items
            for position in index:
                item = item[position]
            array[index] = item
    if any(isinstance(item, Dim) for item in array.flat):
        return Sizes(array, dtype)
    return array.astype(dtype)


def values_of(sizes: Sizes) -> Array:
    """Sizes as a traced array."""
    parts = [ops.full(shape=(), fill_value=item, dtype=sizes.dtype) for item in sizes.items.flat]
    stacked = ops.stack(parts, axis=0)
    return parts[0] if not sizes.shape else ops.reshape(stacked, shape=sizes.shape)


class UnknownError(CaptureError):
    """An operator needs numbers that are computed only when the model runs.

    Attributes:
        value: the traced array whose numbers are needed.
    """

    def __init__(self, value: Any, name: str) -> None:
        super().__init__(
            f"expected {name!r} to be known while the model is read, but it is computed when it runs",
            hint="pass example inputs: the value of an input that decides about shapes is then baked in and named",
        )
        self.value = value


NUMBERS: contextvars.ContextVar[Callable[[Value], np.ndarray | None]] = contextvars.ContextVar("NUMBERS")
"""How the numbers of a traced array are found where they are known: those of an initialiser."""


def known(x: Any) -> np.ndarray | None:
    """The numbers of an input where they are known while the graph is built, else None."""
    if isinstance(x, Sizes):
        return None
    if isinstance(x, Value):
        finder = NUMBERS.get(None)
        return None if finder is None else finder(x)
    return np.asarray(x)


def static(x: Any, name: str) -> np.ndarray:
    """The numbers of an input. Raises `UnknownError` where they are computed when the model runs."""
    found = known(x)
    if found is None:
        raise UnknownError(x, name)
    return found


def static_sizes(x: Any, name: str) -> tuple[Size, ...]:
    """The integers of an input, of which some may be symbolic."""
    if isinstance(x, Sizes):
        return tuple(x.items.reshape(-1).tolist())
    return tuple(int(item) for item in static(x, name).reshape(-1))


def static_ints(x: Any, name: str) -> tuple[int, ...]:
    """The integers of an input, all known."""
    return tuple(int(item) for item in static(x, name).reshape(-1))


def static_int(x: Any, name: str) -> int:
    """The one integer of an input."""
    found = static_ints(x, name)
    if len(found) != 1:
        raise CaptureError(f"expected one number as {name!r}, received {len(found)}")
    return found[0]


def static_float(x: Any, name: str) -> float:
    """The one number of an input."""
    return float(static(x, name).reshape(()))


# -- arrays -----------------------------------------------------------------------------------------------------------


def is_array(value: object) -> bool:
    """Whether an input is an array, native or traced."""
    return getattr(value, "__traced__", False) or framework_of(value) is not None


def dtype_of(x: Array) -> str:
    """The name of an array's dtype."""
    return x.dtype if isinstance(x, Sizes) else spec_of(x).dtype


def shape_of(x: Array) -> tuple[Size, ...]:
    """The sizes of an array."""
    return spec_of(x).shape


def rank_of(x: Array) -> int:
    """The number of axes of an array."""
    return len(shape_of(x))


def static_shape(x: Array, what: str) -> tuple[int, ...]:
    """The sizes of an array, all of which must be known. Raises `CaptureError`."""
    shape = shape_of(x)
    if any(isinstance(size, Dim) for size in shape):
        raise CaptureError(f"{what} expected an array of known sizes, received {spec_of(x)}")
    return tuple(int(size) for size in shape)


def cast(x: Array, dtype: str) -> Array:
    """x in a dtype: x itself where it has that already."""
    if dtype_of(x) == dtype:
        return x
    return ops.not_equal(x, 0) if dtype == "bool" else ops.astype(x, dtype=dtype)


def full_like(x: Array, value: float) -> Array:
    """A number without axes, of the dtype of an array."""
    return np.asarray(value).astype(numpy_dtype(dtype_of(x)))


def filled(shape: Sequence[Size], value: Any, dtype: str) -> Array:
    """An array of one number: a constant where its sizes are known."""
    if any(isinstance(size, Dim) for size in shape):
        return ops.full(shape=tuple(shape), fill_value=value, dtype=dtype)
    return np.full(tuple(shape), value, numpy_dtype(dtype))


def arange(count: Size, dtype: str = "int64") -> Array:
    """0, 1, 2, ...: a constant where it is known how many."""
    if isinstance(count, Dim):
        return ops.arange(stop=count, dtype=dtype)
    return np.arange(count, dtype=numpy_dtype(dtype))


def moved(x: Array, source: int, target: int) -> Array:
    """x with one axis moved to another place."""
    axes = list(range(rank_of(x)))
    axes.insert(target % len(axes), axes.pop(source))
    return x if axes == sorted(axes) else ops.transpose(x, axes=tuple(axes))


def on_axis(x: Array, axis: int, item: Any) -> Array:
    """x indexed on one axis by a position, None or (start, stop, step)."""
    return x if item == FULL else ops.getitem(x, key=(*(FULL,) * axis, item))


def broadcast_axes(x: Array, ndim: int, axis: int) -> Array:
    """A vector along one of ``ndim`` axes."""
    return ops.reshape(x, shape=tuple(shape_of(x)[0] if i == axis else 1 for i in range(ndim)))


__all__ = [
    "FULL",
    "NUMBERS",
    "RULES",
    "Array",
    "Sizes",
    "UnknownError",
    "arange",
    "broadcast_axes",
    "cast",
    "dtype_of",
    "filled",
    "full_like",
    "is_array",
    "is_floating",
    "is_integer",
    "known",
    "moved",
    "on_axis",
    "rank_of",
    "rule_of",
    "shape_of",
    "sizes_from",
    "static",
    "static_float",
    "static_int",
    "static_ints",
    "static_shape",
    "static_sizes",
    "values_of",
]
