"""What the reading rules of TensorFlow share: the table, known operands, and small words.

A rule is called with the inputs of the operation and those of its attributes that it names. Inputs that it calls
*known* are Python numbers and tuples of them, whose integers may be symbolic sizes; the others are arrays, or numbers
where the rule takes ``scalars``. An attribute that a rule does not name has TensorFlow's default.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .....engine import ops
from .....engine.backends import is_floating
from .....engine.dims import Dim, Size
from .....engine.spec import FULL, spec_of
from ...reading import Rule, Rules

Array = Any

RULES = Rules("tensorflow")


class Operands(NamedTuple):
    """How a rule takes its inputs.

    Attributes:
        known: which of them it takes as numbers; negative ones count from the end.
        scalars: whether the others may be Python numbers.
        attributes: the names of the attributes that it takes.
    """

    known: tuple[int, ...]
    scalars: bool
    attributes: frozenset[str]


OPERANDS: dict[str, Operands] = {}
"""How each rule takes its inputs, by the name of the operation."""


def reads(*names: str, known: Sequence[int] = (), scalars: bool = False) -> Callable[[Rule], Rule]:
    """Enter a rule for operations of TensorFlow. See `Operands`."""

    def enter(rule: Rule) -> Rule:
        keywords = (p.name for p in inspect.signature(rule).parameters.values() if p.kind is p.KEYWORD_ONLY)
        found = Operands(tuple(known), scalars, frozenset(keywords))
        OPERANDS.update(dict.fromkeys(names, found))
        return RULES(*names)(rule)

    return enter


def dtype_of(x: Array) -> str:
    """The name of an array's dtype."""
    return spec_of(x).dtype


def shape_of(x: Array) -> tuple[Size, ...]:
    """The sizes of an array."""
    return spec_of(x).shape


def cast(x: Array, dtype: str) -> Array:
    """x in a dtype: x itself where it has that already."""
    return x if dtype_of(x) == dtype else ops.astype(x, dtype=dtype)


def reshape(x: Array, shape: Sequence[Size]) -> Array:
    """x in a shape: x itself where it has that already."""
    return x if tuple(shape) == shape_of(x) else ops.reshape(x, shape=tuple(shape))


def transpose(x: Array, axes: Sequence[int]) -> Array:
    """x with its axes in an order: x itself where that is theirs."""
    return x if list(axes) == list(range(len(axes))) else ops.transpose(x, axes=tuple(axes))


def adjoint(x: Array) -> Array:
    """The last two axes exchanged, of complex numbers the conjugate."""
    ndim = len(shape_of(x))
    x = ops.conj(x) if "complex" in dtype_of(x) else x
    return ops.transpose(x, axes=(*range(ndim - 2), ndim - 1, ndim - 2))


def channels_first(x: Array) -> Array:
    """Images (batch, ..., channels) as (batch, channels, ...), the layout of graphs: transposes meet and vanish."""
    ndim = len(shape_of(x))
    return transpose(x, (0, ndim - 1, *range(1, ndim - 1)))


def channels_last(x: Array) -> Array:
    """The inverse of `channels_first`."""
    return transpose(x, (0, *range(2, len(shape_of(x))), 1))


def zero_of(dtype: str) -> Any:
    """Zero as a Python number of a dtype's kind."""
    return False if dtype == "bool" else 0.0 if is_floating(dtype) else 0


def has_sizes(array: Any) -> bool:
    """Whether known numbers are symbolic sizes, or may be: an array of Python objects."""
    return isinstance(array, np.ndarray) and array.dtype == object


def sizes_array(values: Sequence[Any]) -> np.ndarray:
    """Sizes as an array: of int64 where all are known.

    Example:
        >>> sizes_array((2, Dim.symbol("n"))).dtype, sizes_array((2, 3)).dtype
        (dtype('O'), dtype('int64'))
    """
    if any(isinstance(value, Dim) for value in values):
        found = np.empty(len(values), object)
        found[:] = values
        return found
    return np.asarray(values, np.int64)


def number(array: np.ndarray) -> Any:
    """An array without axes as the shortest Python number that stands for it.

    Example:
        >>> number(np.asarray(0.1, np.float32)), number(np.asarray(3))
        (0.1, 3)
    """
    if array.dtype.kind == "f" and np.isfinite(array):
        exact = np.float64(array) if array.itemsize > 4 else np.float32(array)
        shortest = float(np.format_float_scientific(exact, unique=True))
        # The digits of the largest float32 name a number beyond it, which some frameworks refuse.
        return shortest if abs(shortest) <= float(np.finfo(exact.dtype).max) else float(exact)
    return array.item() if array.dtype.kind in "biufc" else float(array)  # bfloat16 is of no kind of NumPy's


def shortest(value: float) -> float:
    """An attribute, which is stored in float32, as the shortest number that stands for it."""
    return number(np.asarray(value, np.float32))


def spatial(values: Sequence[int], data_format: str) -> tuple[int, ...]:
    """What an attribute of a window says of the spatial axes."""
    return tuple(values[2:] if data_format.startswith("NC") else values[1:-1])


def in_first(x: Array, data_format: str) -> Array:
    """Images in a data format with their channels first."""
    return x if data_format.startswith("NC") else channels_first(x)


def out_of_first(x: Array, data_format: str) -> Array:
    """The inverse of `in_first`."""
    return x if data_format.startswith("NC") else channels_last(x)


__all__ = [
    "FULL",
    "OPERANDS",
    "RULES",
    "Array",
    "adjoint",
    "cast",
    "channels_first",
    "channels_last",
    "dtype_of",
    "has_sizes",
    "in_first",
    "number",
    "out_of_first",
    "reads",
    "reshape",
    "shape_of",
    "shortest",
    "sizes_array",
    "spatial",
    "transpose",
    "zero_of",
]
