"""Reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .....engine import ops
from .common import RULES, Array, Axes, axes_of, cast, dtype_of, floating
from .shape import squeeze


@RULES("aten.sum.default", "aten.sum.dim_IntList")
def sum_(x: Array, dim: Axes = None, keepdim: bool = False, *, dtype: str | None = None) -> Array:
    return ops.sum(cast(x, dtype), axis=axes_of(dim), keepdims=keepdim)


@RULES("aten.mean.default", "aten.mean.dim")
def mean(x: Array, dim: Axes = None, keepdim: bool = False, *, dtype: str | None = None) -> Array:
    return ops.mean(cast(x, dtype), axis=axes_of(dim), keepdims=keepdim)


@RULES("aten.prod.default")
def prod(x: Array, *, dtype: str | None = None) -> Array:
    return ops.prod(cast(x, dtype))


@RULES("aten.prod.dim_int")
def prod_dim(x: Array, dim: int, keepdim: bool = False, *, dtype: str | None = None) -> Array:
    return ops.prod(cast(x, dtype), axis=dim, keepdims=keepdim)


@RULES("aten.cumsum.default")
def cumsum(x: Array, dim: int, *, dtype: str | None = None) -> Array:
    return cast(ops.cumulative_sum(cast(x, dtype), axis=dim), dtype)  # which widens integers


@RULES("aten.cumprod.default")
def cumprod(x: Array, dim: int, *, dtype: str | None = None) -> Array:
    return cast(ops.cumulative_prod(cast(x, dtype), axis=dim), dtype)


def _correction(unbiased: bool | float | None) -> float:
    """``unbiased`` is the older word: True for 1."""
    return 1 if unbiased is None else int(unbiased) if int(unbiased) == unbiased else unbiased


def _spread(op: Callable[..., Any]) -> None:
    name = op.__name__

    @RULES(f"aten.{name}.default")
    def default(x: Array, unbiased: bool = True) -> Array:
        return op(x, correction=_correction(unbiased))

    @RULES(f"aten.{name}.dim")
    def dim(x: Array, dim: Axes, unbiased: bool = True, keepdim: bool = False) -> Array:
        return op(x, axis=axes_of(dim), correction=_correction(unbiased), keepdims=keepdim)

    @RULES(f"aten.{name}.correction")
    def correction(x: Array, dim: Axes = None, *, correction: float | None = None, keepdim: bool = False) -> Array:
        return op(x, axis=axes_of(dim), correction=_correction(correction), keepdims=keepdim)

    @RULES(f"aten.{name}_mean.default")
    def default_with_mean(x: Array, unbiased: bool = True) -> tuple[Array, Array]:
        return default(x, unbiased), ops.mean(x)

    @RULES(f"aten.{name}_mean.dim")
    def dim_with_mean(x: Array, dim: Axes, unbiased: bool = True, keepdim: bool = False) -> tuple[Array, Array]:
        return with_mean(x, dim, correction=_correction(unbiased), keepdim=keepdim)

    @RULES(f"aten.{name}_mean.correction")
    def with_mean(
        x: Array, dim: Axes = None, *, correction: float | None = None, keepdim: bool = False
    ) -> tuple[Array, Array]:
        axis = axes_of(dim)
        spread = op(x, axis=axis, correction=_correction(correction), keepdims=keepdim)
        return spread, ops.mean(x, axis=axis, keepdims=keepdim)


_spread(ops.var)
_spread(ops.std)


@RULES("aten.logsumexp.default")
def logsumexp(x: Array, dim: Axes, keepdim: bool = False) -> Array:
    return ops.logsumexp(floating(x), axis=axes_of(dim), keepdims=keepdim)


def _extreme(name: str, op: Callable[..., Any], arg: Callable[..., Any]) -> None:
    @RULES(f"aten.a{name}.default", f"aten.{name}.default")
    def all_axes(x: Array, dim: Axes = None, keepdim: bool = False) -> Array:
        return op(x, axis=axes_of(dim), keepdims=keepdim)

    @RULES(f"aten.{name}.dim")
    def with_position(x: Array, dim: int, keepdim: bool = False) -> tuple[Array, Array]:
        positions = arg(x, axis=dim, keepdims=True)
        values = ops.take_along_axis(x, positions, axis=dim)
        if keepdim:
            return values, positions
        return squeeze(values, dim), squeeze(positions, dim)

    @RULES(f"aten.arg{name}.default")
    def position(x: Array, dim: int | None = None, keepdim: bool = False) -> Array:
        return arg(x, axis=dim, keepdims=keepdim)


_extreme("max", ops.max, ops.argmax)
_extreme("min", ops.min, ops.argmin)


@RULES("aten.any.default", "aten.any.dim", "aten.any.dims")
def any_(x: Array, dim: Axes = None, keepdim: bool = False) -> Array:
    return ops.any(x, axis=axes_of(dim), keepdims=keepdim)


@RULES("aten.all.default", "aten.all.dim", "aten.all.dims")
def all_(x: Array, dim: Axes = None, keepdim: bool = False) -> Array:
    return ops.all(x, axis=axes_of(dim), keepdims=keepdim)


@RULES("aten.count_nonzero.default", "aten.count_nonzero.dim_IntList")
def count_nonzero(x: Array, dim: Axes = None) -> Array:
    return ops.count_nonzero(x, axis=axes_of(dim))


@RULES("aten.linalg_vector_norm.default", "aten.norm.ScalarOpt_dim", "aten.norm.ScalarOpt_dim_dtype")
def vector_norm(
    x: Array, ord: float | None = 2, dim: Axes = None, keepdim: bool = False, *, dtype: str | None = None
) -> Array:
    x = cast(x, dtype)
    axis = axes_of(dim)
    ord = 2 if ord is None else ord
    if ord == 2:
        return ops.sqrt(ops.sum(ops.square(x), axis=axis, keepdims=keepdim))
    size = ops.abs(x)
    if ord == 1:
        return ops.sum(size, axis=axis, keepdims=keepdim)
    if ord == float("inf"):
        return ops.max(size, axis=axis, keepdims=keepdim)
    if ord == -float("inf"):
        return ops.min(size, axis=axis, keepdims=keepdim)
    if ord == 0:
        return ops.astype(ops.count_nonzero(x, axis=axis, keepdims=keepdim), dtype=dtype_of(x))
    return ops.pow(ops.sum(ops.pow(size, ord), axis=axis, keepdims=keepdim), 1 / ord)


@RULES("aten.norm.Scalar")
def norm(x: Array, p: float = 2) -> Array:
    return vector_norm(x, p)
