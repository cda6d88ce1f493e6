"""Element types that the engine has none for: integers of 2 and 4 bits, floating-point numbers of 4 and odd ones of 8.

Their numbers are kept in a wider type, integers in int8 or uint8, others in float32. Operators that only move elements
work on those; casts and quantisation round to them; every other operator refuses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .....engine import ops
from .....errors import CaptureError
from ..loading import dtype_of_type, load_onnx
from .common import Array, cast, dtype_of, is_floating

#: Operators that move elements as they are.
MOVES = frozenset(
    {
        *("Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Reshape"),
        *("Shape", "Size", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
    }
)
#: Operators whose rules take arrays of these types.
TAKES_NARROW = frozenset({"Cast", "CastLike", "DequantizeLinear", "QuantizeLinear"})


@dataclass(frozen=True)
class Format:
    """A floating-point format with a sign.

    Attributes:
        digits: the bits of the mantissa.
        low: the exponent of the smallest normal number.
        largest: the largest number.
        beyond: what a number beyond it is where a cast does not saturate.
        signed_zero: whether -0 differs from 0.
        nan: what stands for one.
    """

    digits: int
    low: int
    largest: float
    beyond: float
    signed_zero: bool = True
    nan: float = np.nan


_FLOATS = {
    "FLOAT8E4M3FN": Format(3, -6, 448.0, np.nan),
    "FLOAT8E4M3FNUZ": Format(3, -7, 240.0, np.nan, signed_zero=False),
    "FLOAT8E5M2": Format(2, -14, 57344.0, np.inf),
    "FLOAT8E5M2FNUZ": Format(2, -15, 57344.0, np.nan, signed_zero=False),
    "FLOAT4E2M1": Format(1, 0, 6.0, 6.0, nan=-0.0),
}
_INTEGERS = {"INT4": (-8, 7), "UINT4": (0, 15), "INT2": (-2, 1), "UINT2": (0, 3)}

#: The NumPy dtypes of arrays of these types (ml_dtypes).
NAMES = {
    "int4": "INT4",
    "uint4": "UINT4",
    "int2": "INT2",
    "uint2": "UINT2",
    "float4_e2m1fn": "FLOAT4E2M1",
    "float8_e4m3fnuz": "FLOAT8E4M3FNUZ",
    "float8_e5m2fnuz": "FLOAT8E5M2FNUZ",
    "float8_e8m0fnu": "FLOAT8E8M0",
}


@dataclass(frozen=True, eq=False)
class Narrow:
    """An array of a type that the engine has none for.

    Attributes:
        array: its numbers in a wider type.
        kind: the name of its element type in ONNX.
    """

    array: Any
    kind: str


def storage(kind: str) -> str | None:
    """The dtype in which the numbers of a type are kept; None where there is no such type here."""
    if kind in _INTEGERS:
        return "uint8" if kind.startswith("U") else "int8"
    return "float32" if kind in NAMES.values() else None


def widened(array: np.ndarray) -> np.ndarray:
    """An array of such a type in the one in which its numbers are kept; others as they are."""
    kind = NAMES.get(array.dtype.name)
    return array if kind is None else array.astype(str(storage(kind)))


def rounded(x: Array, kind: str, saturate: int = 1) -> Array:
    """Floating-point numbers rounded to those of a format, the even one where two are as near.

    Source: ONNX, "Float stored in 8 bits", the tables of casts.
    """
    form = _FLOATS[kind]
    y = cast(x, "float32") if dtype_of(x) != "float64" else x
    dtype = dtype_of(y)
    size = ops.abs(y)
    powers = np.arange(form.low + 1, int(np.floor(np.log2(form.largest))) + 2)
    steps = np.exp2(np.arange(form.low, form.low + len(powers) + 1.0) - form.digits).astype(dtype)
    bounds = np.exp2(powers.astype(np.float64)).astype(dtype)
    finite = ops.where(ops.isfinite(size), size, _number(form.largest * 2, dtype))
    quantum = ops.take(steps, ops.searchsorted(bounds, finite, side="right"), axis=0)
    found = ops.multiply(ops.round(ops.divide(finite, quantum)), quantum)
    above = ops.greater(found, form.largest)
    infinite = ops.isinf(size)
    limit = form.largest if saturate else form.beyond
    found = ops.where(ops.logical_or(above, infinite), _number(limit, dtype), found)
    found = ops.where(ops.logical_and(ops.signbit(y), ops.logical_not(ops.isnan(y))), ops.negative(found), found)
    if not form.signed_zero:
        found = ops.where(ops.equal(found, 0.0), _number(0.0, dtype), found)
    return ops.where(ops.isnan(y), _number(form.nan, dtype), found)


def _number(value: float, dtype: str) -> np.ndarray:
    return np.asarray(value, dtype)


def wrapped(x: Array, kind: str) -> Array:
    """Numbers as integers of few bits: the fraction cut off, and the bits above."""
    low, high = _INTEGERS[kind]
    y = cast(x, "int32")
    count = high - low + 1
    found = ops.add(ops.remainder(ops.subtract(y, low), count), low)
    return cast(found, str(storage(kind)))


def clipped(y: Array, kind: str) -> Array:
    """Rounded numbers cut off at the ends of an integer type."""
    low, high = _INTEGERS[kind]
    return cast(ops.clip(y, min=float(low), max=float(high)), str(storage(kind)))


def to_power(x: Array, saturate: int, round_mode: str) -> Array:
    """The sizes of numbers rounded to powers of two. Source: onnx.numpy_helper.to_float8e8m0."""
    if not saturate or round_mode not in ("up", "down", "nearest"):
        raise CaptureError(f"no rule reads a cast to FLOAT8E8M0 with saturate={saturate}, round_mode={round_mode!r}")
    powers = np.exp2(np.arange(-126.0, 128.0)).astype(np.float32)
    size = ops.abs(cast(x, "float32"))
    between = powers[:-1] * np.float32({"up": 1.0, "nearest": 1.5, "down": 2.0}[round_mode])
    side = "left" if round_mode == "up" else "right"
    found = ops.take(powers, ops.searchsorted(between, size, side=side), axis=0)
    return ops.where(ops.isfinite(size), found, _number(np.nan, "float32"))


def to_narrow(x: Any, kind: str, saturate: int = 1, round_mode: str = "up") -> Narrow:
    """A cast to such a type. Raises `CaptureError` where there is none of that name."""
    array = x.array if isinstance(x, Narrow) else x
    if kind == "FLOAT8E8M0":
        return Narrow(to_power(array, saturate, round_mode), kind)
    if kind in _INTEGERS:
        return Narrow(wrapped(array, kind), kind)
    if kind not in _FLOATS:
        raise CaptureError(f"{kind} is no element type that is read")
    return Narrow(rounded(array, kind, saturate), kind)


def kind_of(number: int) -> str:
    """The name of an element type of ONNX."""
    return load_onnx().TensorProto.DataType.Name(number)


def converted(x: Any, number: int, saturate: int = 1, round_mode: str = "up") -> Any:
    """A cast to an element type of ONNX, whatever x is of."""
    kind = kind_of(number)
    if storage(kind) is not None:
        return to_narrow(x, kind, saturate, round_mode)
    dtype = dtype_of_type(number)
    if dtype is None:
        raise CaptureError(f"{kind} is no dtype of the engine")
    array = x.array if isinstance(x, Narrow) else x
    if kind in _FLOATS and dtype_of(array) != dtype:
        array = rounded(array if is_floating(dtype_of(array)) else cast(array, "float32"), kind, saturate)
    return cast(array, dtype)


def is_integer_kind(kind: str) -> bool:
    """Whether a type is one of integers."""
    return kind in _INTEGERS


__all__ = [
    "MOVES",
    "NAMES",
    "TAKES_NARROW",
    "Narrow",
    "clipped",
    "converted",
    "is_integer_kind",
    "rounded",
    "storage",
    "to_narrow",
    "widened",
    "wrapped",
]
