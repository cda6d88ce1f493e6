"""Products, decompositions and Fourier transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .....engine import ops
from ..sizes import sizes_of
from .common import (
    RULES,
    Array,
    bits_of,
    cast,
    dtype_name,
    dtype_of,
    is_complex,
    is_floating,
    is_unsigned,
    permuted,
    refuse,
    reshaped,
    shape_of,
)


@RULES("dot_general")
def dot_general(
    x: Array, y: Array, *, dimension_numbers: Any, precision: Any, preferred_element_type: Any = None
) -> Array:
    """Sums of products over axes of both; of the result the common axes come first, then those of x, then those of y.

    ``precision`` says how a device may round, and nothing of what is computed.
    """
    ((over_x, over_y), (batch_x, batch_y)) = dimension_numbers
    wanted = None if preferred_element_type is None else dtype_name(preferred_element_type)
    if dtype_of(x) == dtype_of(y) == "bool":
        counted = _product(cast(x, "float32"), cast(y, "float32"), over_x, over_y, batch_x, batch_y)
        return cast(ops.greater(counted, 0), wanted or "bool")
    dtype = max(dtype_of(x), dtype_of(y), key=_rank)
    if wanted is not None and _rank(wanted) >= _rank(dtype):
        return _product(cast(x, wanted), cast(y, wanted), over_x, over_y, batch_x, batch_y)
    return cast(_product(cast(x, dtype), cast(y, dtype), over_x, over_y, batch_x, batch_y), wanted or dtype)


def _rank(dtype: str) -> tuple[Any, ...]:
    """What XLA compares where the dtypes of a product differ: the larger one holds it."""
    bits = 1 if dtype == "bool" else bits_of(dtype) // (2 if is_complex(dtype) else 1)
    exponents = {"float16": 16, "bfloat16": 128}.get(dtype, bits * bits // 8)
    floating = is_floating(dtype) or is_complex(dtype)
    return is_complex(dtype), exponents if floating else -1, bits, not is_unsigned(dtype)


def _product(
    x: Array,
    y: Array,
    over_x: Sequence[int],
    over_y: Sequence[int],
    batch_x: Sequence[int],
    batch_y: Sequence[int],
) -> Array:
    free_x = [axis for axis in range(len(shape_of(x))) if axis not in (*over_x, *batch_x)]
    free_y = [axis for axis in range(len(shape_of(y))) if axis not in (*over_y, *batch_y)]
    if not over_x:
        return _outer(x, y, free_x, free_y, batch_x, batch_y)
    if not batch_x and len(over_x) == 1 and len(free_y) == 1 and free_x and over_x[0] == len(free_x):
        if over_y[0] == 1 and _is_floating(x):
            return ops.linear(x, y)
        return ops.matmul(x, permuted(y, (over_y[0], free_y[0])))
    shape_x, shape_y = shape_of(x), shape_of(y)
    result = [shape_x[axis] for axis in (*batch_x, *free_x)] + [shape_y[axis] for axis in free_y]
    x = permuted(x, (*batch_x, *free_x, *over_x))
    y = permuted(y, (*batch_y, *over_y, *free_y))
    batch = [shape_x[axis] for axis in batch_x]
    if not batch and free_x:
        inner, free = _count(shape_x, over_x), [shape_x[axis] for axis in free_x]
        product = ops.matmul(reshaped(x, (*free, inner)), reshaped(y, (inner, _count(shape_y, free_y))))
        return reshaped(product, result)
    rows, inner = _count(shape_x, free_x), _count(shape_x, over_x)
    columns = _count(shape_y, free_y)
    product = ops.matmul(reshaped(x, (*batch, rows, inner)), reshaped(y, (*batch, inner, columns)))
    return reshaped(product, result)


def _is_floating(x: Array) -> bool:
    return is_floating(dtype_of(x))


def _count(shape: Sequence[Any], axes: Sequence[int]) -> Any:
    total: Any = 1
    for axis in axes:
        total = total * shape[axis]
    return total


def _outer(x: Array, y: Array, free_x: Any, free_y: Any, batch_x: Any, batch_y: Any) -> Array:
    """Without axes to sum over, a product of broadcast arrays."""
    x, y = permuted(x, (*batch_x, *free_x)), permuted(y, (*batch_y, *free_y))
    x = reshaped(x, (*shape_of(x), *(1,) * len(free_y)))
    count = len(batch_y)
    shape = shape_of(y)
    return ops.multiply(x, reshaped(y, (*shape[:count], *(1,) * len(free_x), *shape[count:])))


# -- decompositions --------------------------------------------------------------------------------------------------


def _adjoint(x: Array) -> Array:
    turned = _turned(x)
    return ops.conj(turned) if is_complex(dtype_of(x)) else turned


def _turned(x: Array) -> Array:
    ndim = len(shape_of(x))
    return permuted(x, (*range(ndim - 2), ndim - 1, ndim - 2))


@RULES("cholesky")
def cholesky(x: Array) -> Array:
    """The lower factor, from the lower triangle."""
    return ops.cholesky(_symmetric(x, lower=True))


def _symmetric(x: Array, *, lower: bool) -> Array:
    """The Hermitian matrix whose lower (or upper) triangle is that of x."""
    part = ops.tril(x) if lower else ops.triu(x)
    rest = ops.triu(_adjoint(part), k=1) if lower else ops.tril(_adjoint(part), k=-1)
    return ops.add(part, rest)


@RULES("lu")
def lu(x: Array) -> tuple[Array, Array, Array]:
    return tuple(ops.lu(x))


@RULES("lu_pivots_to_permutation")
def lu_pivots_to_permutation(pivots: Array, *, permutation_size: int) -> Array:
    return ops.pivots_to_permutation(pivots, size=permutation_size)


@RULES("householder_product")
def householder_product(x: Array, tau: Array) -> Array:
    return ops.householder_product(x, tau)


@RULES("tridiagonal_solve")
def tridiagonal_solve(below: Array, diagonal: Array, above: Array, y: Array, *, perturb_singular: bool) -> Array:
    """By elimination of the whole matrix. The first of those below and the last of those above count for nothing."""
    if perturb_singular:
        raise refuse("a singular matrix that is perturbed")
    size = shape_of(diagonal)[-1]
    one = ops.eye(n_rows=size, dtype=dtype_of(y))

    def on_diagonal(x: Array, offset: int) -> Array:
        """x[i] in row i, so many columns to the right."""
        return ops.multiply(reshaped(x, (*shape_of(x), 1)), ops.roll(one, shift=offset, axis=1))

    lower, upper = ops.tril(on_diagonal(below, -1), k=-1), ops.triu(on_diagonal(above, 1), k=1)
    return ops.solve(ops.add(ops.add(lower, on_diagonal(diagonal, 0)), upper), y)


@RULES("qr")
def qr(x: Array, *, pivoting: bool, full_matrices: bool, use_magma: Any = None) -> tuple[Array, Array]:
    if pivoting:
        raise refuse("a QR decomposition with pivoting")
    return tuple(ops.qr(x, mode="complete" if full_matrices else "reduced"))


@RULES("eigh")
def eigh(x: Array, *, lower: bool, sort_eigenvalues: bool, subset_by_index: Any, **_: Any) -> tuple[Array, Array]:
    """Eigenvectors, then eigenvalues in ascending order."""
    if subset_by_index not in (None, (0, shape_of(x)[-1])):
        raise refuse("a part of the eigenvalues")
    values, vectors = ops.eigh(_symmetric(x, lower=lower))
    return vectors, values


@RULES("svd")
def svd(x: Array, *, full_matrices: bool, compute_uv: bool, subset_by_index: Any = None, algorithm: Any = None) -> Any:
    if subset_by_index not in (None, (0, min(map(int, shape_of(x)[-2:])))):
        raise refuse("a part of the singular values")
    if not compute_uv:
        return (ops.svdvals(x),)
    u, s, vh = ops.svd(x, full_matrices=full_matrices)
    return s, u, vh


@RULES("eig")
def eig(x: Array, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool, **_: Any) -> Any:
    if compute_left_eigenvectors:
        raise refuse("left eigenvectors")
    return tuple(ops.eig(x)) if compute_right_eigenvectors else (ops.eigvals(x),)


@RULES("triangular_solve")
def triangular_solve(
    a: Array, b: Array, *, left_side: bool, lower: bool, transpose_a: bool, conjugate_a: bool, unit_diagonal: bool
) -> Array:
    """The x with a x = b, or x a = b, for the triangle of a."""
    if unit_diagonal:
        size = shape_of(a)[-1]
        one = ops.eye(n_rows=size, dtype=dtype_of(a))
        a = ops.add(ops.tril(a, k=-1) if lower else ops.triu(a, k=1), one)
    else:
        a = ops.tril(a) if lower else ops.triu(a)
    if conjugate_a and is_complex(dtype_of(a)):
        a = ops.conj(a)
    a = _turned(a) if transpose_a else a
    return ops.solve(a, b) if left_side else _turned(ops.solve(_turned(a), _turned(b)))


# -- Fourier ---------------------------------------------------------------------------------------------------------


@RULES("fft")
def fft(x: Array, *, fft_type: Any, fft_lengths: Sequence[Any]) -> Array:
    """A Fourier transform over the last axes."""
    lengths = sizes_of(fft_lengths)
    kind = str(getattr(fft_type, "name", fft_type)).lower()
    if not lengths:
        return x
    axes = tuple(range(-len(lengths), 0))
    if len(lengths) == 1:
        return {"fft": ops.fft, "ifft": ops.ifft, "rfft": ops.rfft, "irfft": ops.irfft}[kind](x, n=lengths[0], axis=-1)
    many = {"fft": ops.fftn, "ifft": ops.ifftn, "rfft": ops.rfftn, "irfft": ops.irfftn}[kind]
    return many(x, s=lengths, axes=axes)
