"""What the reading rules share: the table, and small words for JAX's conventions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .....engine import ops
from .....engine.backends import dtype_name, framework_of
from .....engine.dims import Size
from .....engine.ops.creation import created, scalar
from .....engine.spec import FULL, Pick, spec_of
from .....errors import CaptureError
from ...reading import Rules
from ..sizes import sizes_of

Array = Any

RULES = Rules("jax")

#: The rules that take a number as it is beside an array: it adopts the dtype of the array.
NUMBERS: set[str] = set()


def is_array(value: object) -> bool:
    """Whether an argument is an array, native or traced."""
    return getattr(value, "__traced__", False) or framework_of(value) is not None


def dtype_of(x: Array) -> str:
    """The name of an array's dtype."""
    return spec_of(x).dtype


def shape_of(x: Array) -> tuple[Size, ...]:
    """The sizes of an array."""
    return spec_of(x).shape


def cast(x: Array, dtype: str) -> Array:
    """x in a dtype, itself where it has that."""
    return x if dtype_of(x) == dtype else ops.astype(x, dtype=dtype)


def reshaped(x: Array, shape: Sequence[Any]) -> Array:
    """x in a shape, itself where it has that."""
    shape = sizes_of(shape)
    return x if shape_of(x) == shape else ops.reshape(x, shape=shape)


def permuted(x: Array, axes: Sequence[int]) -> Array:
    """x with its axes in an order, itself where they are."""
    axes = tuple(axes)
    return x if axes == tuple(range(len(axes))) else ops.transpose(x, axes=axes)


def spread(x: Array, shape: Sequence[Any]) -> Array:
    """x broadcast to a shape, itself where it has that."""
    shape = sizes_of(shape)
    return x if shape_of(x) == shape else ops.broadcast_to(x, shape=shape)


def cut(x: Array, axis: int, item: Pick) -> Array:
    """x indexed on one axis."""
    return x if item == FULL else ops.getitem(x, key=(*(FULL,) * axis, item))


def filled(like: Array, shape: Sequence[Any], value: Any, dtype: str) -> Array:
    """An array of one number, of the kind of another."""
    return created(ops.full, like, shape=sizes_of(shape), fill_value=value, dtype=dtype)


def counted(like: Array, size: Any, dtype: str = "int32") -> Array:
    """0, 1, 2, ..., of the kind of another array."""
    return created(ops.arange, like, stop=sizes_of((size,))[0], dtype=dtype)


def is_floating(dtype: str) -> bool:
    """Whether a dtype is real and floating-point."""
    return dtype.startswith(("float", "bfloat"))


def is_complex(dtype: str) -> bool:
    """Whether a dtype is complex."""
    return dtype.startswith("complex")


def is_unsigned(dtype: str) -> bool:
    """Whether a dtype is an unsigned integer."""
    return dtype.startswith("uint")


def bits_of(dtype: str) -> int:
    """The width of a number."""
    return 8 if dtype == "bool" else int("".join(c for c in dtype.partition("_")[0] if c.isdigit()))


def refuse(reason: str, hint: str = "") -> CaptureError:
    """The error of a rule that does not know what it was given."""
    return CaptureError(reason, hint=hint or "write it otherwise")


__all__ = [
    "FULL",
    "NUMBERS",
    "RULES",
    "Array",
    "bits_of",
    "cast",
    "counted",
    "created",
    "cut",
    "dtype_name",
    "dtype_of",
    "filled",
    "is_array",
    "is_complex",
    "is_floating",
    "is_unsigned",
    "permuted",
    "refuse",
    "reshaped",
    "scalar",
    "shape_of",
    "spread",
]
