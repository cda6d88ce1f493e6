"""Data types of the standard: casting, inspection, promotion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import DTypeError
from .. import native, ops
from ..backends import DTYPES, dtype_name
from ..op import Array
from ..promotion import promote, result_dtype
from ..spec import Spec
from ._common import REAL_OF, dtype_of, is_complex, is_floating, is_inexact, is_integer, owner_of, owner_or_none

_KINDS: dict[str, Any] = {
    "bool": lambda name: name == "bool",
    "signed integer": lambda name: name.startswith("int"),
    "unsigned integer": lambda name: name.startswith("uint"),
    "integral": is_integer,
    "real floating": is_floating,
    "complex floating": is_complex,
    "numeric": lambda name: name != "bool",
}


def astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    """x in another dtype; in memory of its own unless ``copy`` is False and nothing changes.

    Raises `DTypeError` for complex numbers as real ones.
    """
    name = dtype_name(dtype)
    functions = native.module(owner_of(x))
    before = dtype_of(x)
    if is_complex(before) and not is_complex(name) and name != "bool":
        raise DTypeError(
            f"expected a complex dtype for an array of {before}, received {name}", hint="take real(x) first"
        )
    found = ops.astype(x, dtype=name) if before != name else functions.copied(x) if copy else x
    return found if device is None else functions.to_device(found, device)


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether the promotion rules let a dtype, or an array's, become another."""
    first = dtype_of(from_) if owner_or_none(from_) else dtype_name(from_)
    second = dtype_name(to)
    try:
        return promote(first, second) == second
    except DTypeError:
        return False


@dataclass(frozen=True)
class FloatInfo:
    """Limits of a floating-point dtype; for a complex one, of its parts."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: Any


@dataclass(frozen=True)
class IntInfo:
    """Limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: Any


def finfo(framework: str, type: Any, /) -> FloatInfo:
    """The limits of a floating-point or complex dtype, or of an array's."""
    name = dtype_of(type) if owner_or_none(type) else dtype_name(type)
    if not is_inexact(name):
        raise DTypeError(f"expected a floating-point dtype, received {name}", hint="iinfo is for integers")
    name = REAL_OF.get(name, name)
    import ml_dtypes

    limits: Any = ml_dtypes.finfo(native.module("numpy").dtype(name))
    return FloatInfo(
        limits.bits,
        float(limits.eps),
        float(limits.max),
        float(limits.min),
        float(limits.smallest_normal),
        native.module(framework).dtype(name),
    )


def iinfo(framework: str, type: Any, /) -> IntInfo:
    """The limits of an integer dtype, or of an array's."""
    name = dtype_of(type) if owner_or_none(type) else dtype_name(type)
    if not is_integer(name):
        raise DTypeError(f"expected an integer dtype, received {name}", hint="finfo is for floating-point numbers")
    limits = np.iinfo(name)
    return IntInfo(limits.bits, int(limits.max), int(limits.min), native.module(framework).dtype(name))


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: a word of the standard, a dtype, or one of a tuple of those."""
    name = dtype_name(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(dtype, each) for each in kind)
    if isinstance(kind, str) and kind in _KINDS:
        return bool(_KINDS[kind](name))
    return name == dtype_name(kind)


def result_type(framework: str, /, *arrays_and_dtypes: Any) -> Any:
    """The dtype that holds all arrays, dtypes and Python numbers together."""
    operands: list[Any] = []
    for each in arrays_and_dtypes:
        if isinstance(each, bool | int | float | complex):
            operands.append(each)
        else:
            operands.append(Spec((), dtype_of(each) if owner_or_none(each) else dtype_name(each)))
    return native.module(framework).dtype(result_dtype(operands))


def names(framework: str) -> tuple[str, ...]:
    """The dtypes of the standard that arrays of a framework can have."""
    found = (name for name in DTYPES if "float8" not in name and name not in ("bfloat16", "float16"))
    return tuple(name for name in found if native.module(framework).canonical(name) == name)


OWNED = (finfo, iinfo, result_type)
PLAIN = (astype, can_cast, isdtype)
KINDS = _KINDS
