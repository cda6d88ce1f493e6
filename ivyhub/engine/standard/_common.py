"""What the functions of the standard share."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import DTypeError
from .. import native, ops
from ..backends import dtype_name, framework_of, is_floating, is_integer
from ..imaginary import COMPLEX_OF
from ..op import Array
from ..promotion import kind_of, result_dtype
from ..recording import TRACED
from ..spec import spec_of

SCALARS = (bool, int, float, complex)


def is_number(x: Any) -> bool:
    """Whether x is a Python number; NumPy's float64 is one by inheritance, but an array by meaning."""
    return isinstance(x, SCALARS) and not hasattr(x, "dtype")


def owner_or_none(x: Any) -> str | None:
    """The framework of an array, `TRACED` for one of a trace, None for anything else."""
    return framework_of(x) or (TRACED if getattr(x, "__traced__", False) is True else None)


def owner_of(*arrays: Any) -> str:
    """The framework of the first array, `TRACED` for one of a trace. Raises `DTypeError` where there is none."""
    for x in arrays:
        found = owner_or_none(x)
        if found:
            return found
    raise DTypeError(f"expected an array, received {', '.join(type(x).__name__ for x in arrays) or 'nothing'}")


def dtype_of(x: Array) -> str:
    """The dtype of an array, by ivyhub's name."""
    return dtype_name(x.dtype)


def cast(x: Array, name: str) -> Array:
    """x in a dtype; x itself where it has it."""
    return x if dtype_of(x) == name else ops.astype(x, dtype=name)


def scalar_like(value: Any, x: Array) -> Array:
    """A number as an array without axes, of the dtype of the array beside it."""
    dtype = result_dtype([spec_of(x), value])
    if (owner := owner_of(x)) == TRACED:  # a number in the source that is written, not a constant beside it
        return ops.full(shape=(), fill_value=value, dtype=dtype)
    return native.module(owner).asarray(np.array(value, np.dtype(dtype)), dtype, None)


def arrays(x1: Any, x2: Any) -> tuple[Array, Array]:
    """Both operands as arrays of one dtype, a complex one where a complex number stands beside real ones."""
    if is_number(x1):
        x2 = _holding(x1, x2)
        return scalar_like(x1, x2), x2
    if is_number(x2):
        x1 = _holding(x2, x1)
        return x1, scalar_like(x2, x1)
    first, second = dtype_of(x1), dtype_of(x2)
    if first != second:
        dtype = result_dtype([spec_of(x1), spec_of(x2)])
        return cast(x1, dtype), cast(x2, dtype)
    return x1, x2


def _holding(value: Any, x: Array) -> Array:
    """x in a dtype that holds a number."""
    name = dtype_of(x)
    return cast(x, COMPLEX_OF.get(name, name)) if isinstance(value, complex) else x


def same(x: Array) -> Array:
    """x in memory of its own, where arrays are mutable."""
    owner = owner_or_none(x)
    return native.module(owner).copied(x) if owner else x


def is_complex(dtype: str) -> bool:
    """Whether a dtype is a complex type."""
    return dtype.startswith("complex")


def is_inexact(dtype: str) -> bool:
    """Whether a dtype is real or complex floating-point."""
    return is_floating(dtype) or is_complex(dtype)


REAL_OF = {"complex64": "float32", "complex128": "float64"}


__all__ = [
    "COMPLEX_OF",
    "REAL_OF",
    "SCALARS",
    "arrays",
    "cast",
    "dtype_of",
    "is_complex",
    "is_floating",
    "is_inexact",
    "is_integer",
    "is_number",
    "kind_of",
    "owner_of",
    "owner_or_none",
    "same",
    "scalar_like",
]
