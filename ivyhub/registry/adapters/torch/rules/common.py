"""What the reading rules share: the table, PyTorch's type promotion, and small words for its conventions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.backends import framework_of, is_floating, is_integer
from .....engine.dims import Dim, Size
from .....engine.ops.creation import scalar
from .....engine.recording import RECORDER
from .....engine.spec import FULL, Pick, spec_of
from .....errors import AxisError
from ...reading import Rule, Rules

Array = Any
Axes = int | Sequence[int] | None

RULES = Rules("torch")


def is_array(value: object) -> bool:
    """Whether an argument is an array, native or traced."""
    return getattr(value, "__traced__", False) or framework_of(value) is not None


def dtype_of(x: Array) -> str:
    """The name of an array's dtype."""
    return spec_of(x).dtype


# -- type promotion --------------------------------------------------------------------------------------------------

_FLOAT_BITS = {"float8_e4m3fn": 8, "float8_e5m2": 8, "float16": 16, "bfloat16": 16, "float32": 32, "float64": 64}


def promote_types(a: str, b: str) -> str:
    """The dtype that two arrays with axes make together. Source: torch.promote_types.

    Example:
        >>> promote_types("int64", "float16"), promote_types("uint8", "int8"), promote_types("float16", "bfloat16")
        ('float16', 'int16', 'float32')
    """
    if a == b:
        return a
    low, high = sorted((a, b), key=_category)
    match _category(low), _category(high):
        case (3, 3):
            return "complex128"
        case (2, 3):
            return "complex128" if low == "float64" else high
        case (2, 2):
            wider = max(_FLOAT_BITS[a], _FLOAT_BITS[b])
            return "float32" if _FLOAT_BITS[a] == _FLOAT_BITS[b] else next(f for f in (a, b) if _FLOAT_BITS[f] == wider)
        case (1, 1):
            return np.promote_types(a, b).name
    return high


def _category(dtype: str) -> int:
    """bool, integer, floating, complex: 0, 1, 2, 3."""
    if dtype == "bool":
        return 0
    return 1 if is_integer(dtype) else 2 if is_floating(dtype) else 3


def _scalar_dtype(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | Dim):
        return "int64"
    return "float32" if isinstance(value, float) else "complex64"


def result_type(*operands: Any) -> str:
    """The dtype of an operation on tensors and numbers. Source: torch.result_type.

    Arrays with axes outrank arrays without, and those outrank numbers: the lower rank decides only where it brings a
    higher category (bool, integer, floating, complex).
    """
    ranks: dict[int, str] = {}
    for operand in operands:
        if is_array(operand):
            spec = spec_of(operand)
            rank, dtype = (0 if spec.ndim else 1), spec.dtype
        else:
            rank, dtype = 2, _scalar_dtype(operand)
        ranks[rank] = promote_types(ranks[rank], dtype) if rank in ranks else dtype
    result, *others = (ranks[rank] for rank in sorted(ranks))
    for other in others:
        if _category(other) > _category(result):
            if _category(result) == 2:  # a complex number keeps the precision that the array has
                other = "complex128" if result == "float64" else "complex64"
            result = other
    return result


def cast(x: Array, dtype: str | None) -> Array:
    """x in a dtype: x itself where it has that already, or where there is none to be had."""
    return x if dtype is None or dtype_of(x) == dtype else ops.astype(x, dtype=dtype)


def floating(x: Array, dtype: str | None = None) -> Array:
    """x in the dtype where one is given, else as a floating-point array: integers become float32."""
    if dtype is not None:
        return cast(x, dtype)
    return x if _category(dtype_of(x)) > 1 else ops.astype(x, dtype="float32")


def promote(*operands: Any, floating: bool = False) -> tuple[Any, ...]:
    """Operands in the dtype that PyTorch computes with; numbers stay numbers of that kind.

    With ``floating``, integers become float32, as in true division.
    """
    dtype = result_type(*operands)
    if floating and _category(dtype) < 2:
        dtype = "float32"
    like = next(operand for operand in operands if is_array(operand))
    out: list[Any] = []
    for operand in operands:
        if is_array(operand):
            out.append(cast(operand, dtype))
        elif isinstance(operand, Dim):
            out.append(scalar(operand, dtype, like if framework_of(like) else None))
        elif isinstance(operand, bool) and dtype != "bool":
            out.append(int(operand))
        else:
            out.append(operand)
    return tuple(out)


def apply(rule: Rule, args: Sequence[Any], kwargs: Mapping[str, Any], shapes: Sequence[tuple[Size, ...]]) -> Any:
    """The result of a rule, whose arrays have given shapes.

    PyTorch takes an array without axes for one of a single element on axis 0 wherever it asks for an axis.
    """
    try:
        return rule(*args, **kwargs)
    except AxisError:
        bare = [is_array(arg) and not shape_of(arg) for arg in args]
        if not any(bare):
            raise
    found = rule(*(ops.reshape(a, shape=(1,)) if b else a for a, b in zip(args, bare, strict=True)), **kwargs)
    if not isinstance(found, tuple):
        return ops.reshape(found, shape=shapes[0])
    return tuple(ops.reshape(result, shape=shape) for result, shape in zip(found, shapes, strict=True))


# -- axes and shapes -------------------------------------------------------------------------------------------------


def axes_of(dim: Axes) -> int | tuple[int, ...] | None:
    """PyTorch's ``dim`` as an axis, several, or None for all (which it also writes as an empty list)."""
    if dim is None or isinstance(dim, int):
        return dim
    return None if len(dim) == 0 else dim[0] if len(dim) == 1 else tuple(dim)


def at_axis(x: Array, axis: int, item: Pick) -> Array:
    """x indexed on one axis by a position, None or (start, stop, step); x itself for a full slice."""
    return x if item == FULL else ops.getitem(x, key=(*(FULL,) * axis, item))


def shape_of(x: Array) -> tuple[Size, ...]:
    """The sizes of an array."""
    return spec_of(x).shape


def spread(values: int | Sequence[int], count: int) -> tuple[int, ...]:
    """One number for each of ``count`` axes, where PyTorch may give one for all."""
    values = (values,) if isinstance(values, int) else tuple(values)
    return values * count if len(values) == 1 else values


def constant(found: np.ndarray, like: Array | None = None) -> Array:
    """Numbers that are known: in a trace, or beside an array, or as they are."""
    recorder = RECORDER.get()
    if recorder is not None:
        return recorder.lift(found)
    return found if like is None else like.new_tensor(found)


__all__ = [
    "FULL",
    "RULES",
    "Array",
    "Axes",
    "apply",
    "at_axis",
    "axes_of",
    "cast",
    "constant",
    "dtype_of",
    "floating",
    "is_array",
    "promote",
    "promote_types",
    "result_type",
    "shape_of",
    "spread",
]
