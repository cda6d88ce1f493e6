"""The dtype of a result: the promotion lattice.

Within a kind, and from signed with unsigned integers, it is that of the Array API Standard 2025.12 ("Type promotion
rules"). The standard leaves kinds beside one another open; here the higher kind wins and keeps its width, as in
PyTorch and JAX: bool < integer < floating < complex. What no dtype holds (uint64 beside int64) is an error.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from ..errors import DTypeError
from .backends import is_floating, is_integer

_BITS = {"float8_e4m3fn": 8, "float8_e5m2": 8, "bfloat16": 16, "float16": 16, "float32": 32, "float64": 64}


def kind_of(dtype: str) -> str:
    """The kind of a dtype: bool, int, float or complex.

    Example:
        >>> kind_of("uint8"), kind_of("bfloat16")
        ('int', 'float')
    """
    if dtype == "bool":
        return "bool"
    if is_integer(dtype):
        return "int"
    return "float" if is_floating(dtype) else "complex"


_KINDS = ("bool", "int", "float", "complex")


@functools.cache
def promote(first: str, second: str) -> str:
    """The dtype that holds two.

    Raises `DTypeError` where none does.

    Example:
        >>> promote("uint8", "int8"), promote("int64", "float32"), promote("bfloat16", "float16")
        ('int16', 'float32', 'float32')
    """
    if first == second:
        return first
    low, high = sorted((first, second), key=lambda dtype: _KINDS.index(kind_of(dtype)))
    if kind_of(low) != kind_of(high):
        if kind_of(high) == "complex" and low == "float64":
            return "complex128"
        return high
    found = _same_kind(low, high)
    if found is None:
        raise DTypeError(f"no dtype holds both {first} and {second}", hint="cast one of them with astype")
    return found


def _same_kind(first: str, second: str) -> str | None:
    match kind_of(first):
        case "complex":
            return "complex128"
        case "float":
            wide = max((first, second), key=_BITS.__getitem__)
            if _BITS[first] != _BITS[second]:
                return None if min(_BITS[first], _BITS[second]) == 8 else wide
            return "float32" if _BITS[first] == 16 else None
        case _:
            return _integers(first, second)


def _integers(first: str, second: str) -> str | None:
    bits = {dtype: int(dtype.removeprefix("u").removeprefix("int")) for dtype in (first, second)}
    unsigned = [dtype for dtype in (first, second) if dtype.startswith("u")]
    if len(unsigned) != 1:
        return max((first, second), key=bits.__getitem__)
    (other,) = {first, second} - {*unsigned}
    needed = max(bits[other], 2 * bits[unsigned[0]])
    return f"int{needed}" if needed <= 64 else None


def result_dtype(operands: Iterable[Any]) -> str:
    """The dtype of specs and Python scalars together; a scalar adopts the dtype of the arrays beside it.

    Raises `DTypeError` for a scalar that the arrays' dtype does not hold by kind (1.5 beside int64), and for no array
    at all.
    """
    operands = list(operands)
    dtypes = [operand.dtype for operand in operands if hasattr(operand, "dtype")]
    if not dtypes:
        raise DTypeError("expected at least one array or dtype, received Python scalars only")
    found = functools.reduce(promote, dtypes)
    for operand in operands:
        if isinstance(operand, bool | int | float | complex) and not hasattr(operand, "dtype"):
            kind = type(operand).__name__
            if _KINDS.index(kind) > _KINDS.index(kind_of(found)):
                raise DTypeError(
                    f"expected a {kind_of(found)} beside {found}, received {operand!r}",
                    hint="cast the array with astype first",
                )
    return found


MODULAR = frozenset(
    {
        *("add", "subtract", "multiply", "negative", "positive", "abs", "square", "pow", "matmul", "tensordot", "sum"),
        *("prod", "cumulative_sum", "cumulative_prod", "equal", "not_equal", "bitwise_and", "bitwise_or"),
        *("bitwise_xor", "bitwise_invert", "bitwise_left_shift", "where", "flip", "roll", "tril", "triu", "take"),
        *("at_set", "index", "take_along_axis", "repeat", "tile", "diagonal", "outer", "einsum"),
    }
)
"""Operations that give the same bits for numbers with a sign and without: there int64 stands for uint64."""

__all__ = ["MODULAR", "kind_of", "promote", "result_dtype"]
