"""Arrays out of nothing, or like another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.backends import is_floating
from .....engine.dims import Size
from .....engine.ops.creation import created, scalar
from .common import RULES, Array, constant, dtype_of, is_array, shape_of
from .shape import expand


def _full(shape: Sequence[Size], value: Any, dtype: str | None, like: Array | None = None) -> Array:
    if is_array(value):
        return expand(value if dtype is None else ops.astype(value, dtype=dtype), tuple(shape))
    if dtype is None:
        dtype = "bool" if isinstance(value, bool) else "float32" if isinstance(value, float) else "int64"
    return created(ops.full, like, shape=tuple(shape), fill_value=value, dtype=dtype)


@RULES("aten.full.default")
def full(size: Sequence[Size], fill_value: Any, *, dtype: str | None = None, **_: Any) -> Array:
    return _full(size, fill_value, dtype)


@RULES("aten.zeros.default", "aten.empty.memory_format")
def zeros(size: Sequence[Size], *, dtype: str | None = None, **_: Any) -> Array:
    return _full(size, 0, dtype or "float32")


@RULES("aten.empty_strided.default", "aten.empty_permuted.default")
def strided(size: Sequence[Size], order: Sequence[Size], *, dtype: str | None = None, **_: Any) -> Array:
    """How an array lies in memory is none of a graph's affairs."""
    return zeros(size, dtype=dtype)


@RULES("aten.ones.default")
def ones(size: Sequence[Size], *, dtype: str | None = None, **_: Any) -> Array:
    return _full(size, 1, dtype or "float32")


@RULES("aten.scalar_tensor.default")
def scalar_tensor(value: Any, *, dtype: str | None = None, **_: Any) -> Array:
    return _full((), value, dtype or "float32")


@RULES("aten.full_like.default")
def full_like(x: Array, fill_value: Any, *, dtype: str | None = None, **_: Any) -> Array:
    return _full(shape_of(x), fill_value, dtype or dtype_of(x), x)


@RULES("aten.zeros_like.default", "aten.empty_like.default")
def zeros_like(x: Array, *, dtype: str | None = None, **_: Any) -> Array:
    return full_like(x, 0, dtype=dtype)


@RULES("aten.ones_like.default")
def ones_like(x: Array, *, dtype: str | None = None, **_: Any) -> Array:
    return full_like(x, 1, dtype=dtype)


@RULES("aten.new_full.default")
def new_full(x: Array, size: Sequence[Size], fill_value: Any, *, dtype: str | None = None, **_: Any) -> Array:
    return _full(size, fill_value, dtype or dtype_of(x), x)


@RULES("aten.new_zeros.default", "aten.new_empty.default")
def new_zeros(x: Array, size: Sequence[Size], *, dtype: str | None = None, **_: Any) -> Array:
    return new_full(x, size, 0, dtype=dtype)


@RULES("aten.new_empty_strided.default")
def new_strided(x: Array, size: Sequence[Size], stride: Sequence[Size], *, dtype: str | None = None, **_: Any) -> Array:
    return new_zeros(x, size, dtype=dtype)


@RULES("aten.new_ones.default")
def new_ones(x: Array, size: Sequence[Size], *, dtype: str | None = None, **_: Any) -> Array:
    return new_full(x, size, 1, dtype=dtype)


def _in_torch(name: str, *numbers: float, dtype: str) -> Array:
    """Integers between ends that are none, as PyTorch rounds them on their way."""
    import torch

    return constant(getattr(torch, name)(*numbers, dtype=getattr(torch, dtype)).numpy())


@RULES("aten.arange.default")
def arange(end: Any, *, dtype: str | None = None, **_: Any) -> Array:
    return arange_start_step(0, end, 1, dtype=dtype)


@RULES("aten.arange.start", "aten.arange.start_step")
def arange_start_step(start: Any, end: Any, step: Any = 1, *, dtype: str | None = None, **_: Any) -> Array:
    floats = any(isinstance(value, float) for value in (start, end, step))
    if floats and dtype is not None and not is_floating(dtype):
        return _in_torch("arange", start, end, step, dtype=dtype)
    return ops.arange(start=start, stop=end, step=step, dtype=dtype or ("float32" if floats else "int64"))


@RULES("aten.linspace.default")
def linspace(start: float, end: float, steps: int, *, dtype: str | None = None, **_: Any) -> Array:
    return ops.linspace(start=float(start), stop=float(end), num=steps, dtype=dtype or "float32")


@RULES("aten.logspace.default")
def logspace(start: float, end: float, steps: int, base: float = 10.0, *, dtype: str | None = None, **_: Any) -> Array:
    dtype = dtype or "float32"
    if not is_floating(dtype):
        return _in_torch("logspace", start, end, steps, base, dtype=dtype)
    return ops.pow(scalar(float(base), dtype), linspace(start, end, steps, dtype=dtype))


def _triangle(row: int, col: int, offset: int, dtype: str | None, places: Callable[..., Any]) -> Array:
    return constant(np.stack(places(row, offset, col)).astype(dtype or "int64"))


@RULES("aten.tril_indices.default")
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: str | None = "int64", **_: Any) -> Array:
    """The places on and below a diagonal, row by row."""
    return _triangle(row, col, offset, dtype, np.tril_indices)


@RULES("aten.triu_indices.default")
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: str | None = "int64", **_: Any) -> Array:
    """The places on and above a diagonal, row by row."""
    return _triangle(row, col, offset, dtype, np.triu_indices)


@RULES("aten.eye.default", "aten.eye.m")
def eye(n: Size, m: Size | None = None, *, dtype: str | None = None, **_: Any) -> Array:
    return ops.eye(n_rows=n, n_cols=None if m == n else m, dtype=dtype or "float32")
