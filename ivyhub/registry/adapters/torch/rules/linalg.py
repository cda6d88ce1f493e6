"""Products of matrices and tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .....engine import ops
from .....engine.backends import is_integer
from .....engine.dims import Size
from .....engine.ops.creation import created
from .....errors import ShapeError
from .common import RULES, Array, at_axis, cast, dtype_of, promote, shape_of
from .reduction import vector_norm
from .shape import squeeze, transpose, unsqueeze


@RULES("aten.mm.default", "aten.bmm.default", "aten.matmul.default", "aten.mv.default", "aten.dot.default")
def matmul(x: Array, y: Array) -> Array:
    return ops.matmul(x, y)


@RULES("aten.linear.default")
def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    return ops.linear(x, weight, bias)


def _scaled(x: Array, factor: float) -> Array:
    """x times a factor, of which integers take the whole part."""
    if is_integer(dtype_of(x)):
        factor = int(factor)
    return x if factor == 1 else x * factor


@RULES("aten.addbmm.default")
def addbmm(bias: Array, x: Array, y: Array, *, beta: float = 1, alpha: float = 1) -> Array:
    product = _scaled(ops.sum(ops.matmul(x, y), axis=0), alpha)
    return product if beta == 0 else product + _scaled(bias, beta)


@RULES("aten.addmm.default", "aten.baddbmm.default", "aten.addmv.default")
def addmm(bias: Array, x: Array, y: Array, *, beta: float = 1, alpha: float = 1) -> Array:
    product = _scaled(ops.matmul(x, y), alpha)
    return product if beta == 0 else product + _scaled(bias, beta)


@RULES("aten.einsum.default")
def einsum(equation: str, operands: Sequence[Array], *, path: Sequence[int] | None = None) -> Array:
    """Without an arrow, the letters that stand once make the result, in their alphabet's order."""
    equation = equation.replace(" ", "")
    if "->" not in equation:
        letters = equation.replace("...", "").replace(",", "")
        once = sorted(letter for letter in set(letters) if letters.count(letter) == 1)
        equation += "->" + "..." * ("..." in equation) + "".join(once)
    return ops.einsum(list(operands), equation=equation)


@RULES("aten.outer.default", "aten.ger.default")
def outer(x: Array, y: Array) -> Array:
    return unsqueeze(x, 1) * y


@RULES("aten.bilinear.default")
def bilinear(x: Array, y: Array, weight: Array, bias: Array | None = None) -> Array:
    result = ops.einsum([x, weight, y], equation="...i,oij,...j->...o")
    return result if bias is None else result + bias


@RULES("aten.cosine_similarity.default")
def cosine_similarity(x: Array, y: Array, dim: int = 1, eps: float = 1e-8) -> Array:
    def length(z: Array) -> Array:
        return ops.maximum(ops.sqrt(ops.sum(ops.square(z), axis=dim, keepdims=True)), eps)

    return ops.sum((x / length(x)) * (y / length(y)), axis=dim)


# -- decompositions and solutions ------------------------------------------------------------------------------------


RULES("aten.det.default", "aten.linalg_det.default")(lambda x: ops.det(x))
RULES("aten.inverse.default", "aten.linalg_inv.default")(lambda x: ops.inv(x))
RULES("aten.matrix_power.default", "aten.linalg_matrix_power.default")(lambda x, n: ops.matrix_power(x, n=n))
RULES("aten.linalg_eigvals.default")(lambda x: ops.eigvals(x))
RULES("aten.trace.default")(lambda x: ops.trace(x))
RULES("aten.kron.default")(lambda x, y: ops.kron(x, y))


@RULES("aten.slogdet.default", "aten.linalg_slogdet.default")
def slogdet(x: Array) -> tuple[Array, Array]:
    return ops.slogdet(x)


@RULES("aten.logdet.default")
def logdet(x: Array) -> Array:
    """No number where the determinant is negative."""
    sign, size = ops.slogdet(x)
    if "complex" in dtype_of(x):
        return ops.log(sign) + size
    return ops.where(ops.less(sign, 0), math.nan, size)


@RULES("aten.cholesky.default", "aten.linalg_cholesky.default")
def cholesky(x: Array, upper: bool = False) -> Array:
    lower = ops.cholesky(_hermitian(x, "U" if upper else "L"))
    return _adjoint(lower) if upper else lower


def _adjoint(x: Array) -> Array:
    return transpose(ops.conj(x) if "complex" in dtype_of(x) else x, -2, -1)


@RULES("aten.cholesky_solve.default")
def cholesky_solve(y: Array, factor: Array, upper: bool = False) -> Array:
    lower = _adjoint(factor) if upper else factor
    return ops.solve(ops.matmul(lower, _adjoint(lower)), y)


@RULES("aten.cholesky_inverse.default")
def cholesky_inverse(factor: Array, upper: bool = False) -> Array:
    lower = _adjoint(factor) if upper else factor
    return ops.inv(ops.matmul(lower, _adjoint(lower)))


@RULES("aten.linalg_eigvalsh.default")
def eigvalsh(x: Array, uplo: str = "L") -> Array:
    return ops.eigvalsh(_hermitian(x, uplo))


@RULES("aten.linalg_eigh.default", "aten._linalg_eigh.default")
def eigh(x: Array, uplo: str = "L", compute_v: bool = True) -> tuple[Array, Array]:
    x = _hermitian(x, uplo)
    return ops.eigh(x) if compute_v else (ops.eigvalsh(x), _nothing(x))


@RULES("aten.linalg_eig.default")
def eig(x: Array) -> tuple[Array, Array]:
    return ops.eig(x)


def _nothing(x: Array) -> Array:
    """What stands for a result that was not asked for."""
    return created(ops.full, x, shape=(0,), fill_value=0.0, dtype=dtype_of(x))


def _hermitian(x: Array, uplo: str) -> Array:
    """The Hermitian matrix of which x has one triangle; PyTorch never reads the other."""
    strict = ops.tril(x, k=-1) if uplo.upper() == "L" else ops.triu(x, k=1)
    half = ops.tril(x) if uplo.upper() == "L" else ops.triu(x)
    return half + _adjoint(strict)


@RULES("aten.linalg_qr.default")
def qr(x: Array, mode: str = "reduced") -> tuple[Array, Array]:
    if mode == "r":
        _, r = ops.qr(x)
        return _nothing(x), r
    return ops.qr(x, mode=mode)


@RULES("aten.linalg_svd.default")
def svd(x: Array, full_matrices: bool = True, *, driver: str | None = None) -> tuple[Array, Array, Array]:
    return ops.svd(x, full_matrices=full_matrices)


@RULES("aten._linalg_svd.default")
def svd_or_values(
    x: Array, full_matrices: bool = False, compute_uv: bool = True, *, driver: str | None = None
) -> tuple[Array, Array, Array]:
    return ops.svd(x, full_matrices=full_matrices) if compute_uv else (_nothing(x), ops.svdvals(x), _nothing(x))


@RULES("aten.svd.default")
def older_svd(x: Array, some: bool = True, compute_uv: bool = True) -> tuple[Array, Array, Array]:
    """V as it is, and zeros for both where they are not asked for."""
    if compute_uv:
        u, s, vh = ops.svd(x, full_matrices=not some)
        return u, s, _adjoint(vh)
    *batch, rows, columns = shape_of(x)
    zeros = (
        created(ops.full, x, shape=(*batch, size, size), fill_value=0.0, dtype=dtype_of(x)) for size in (rows, columns)
    )
    return next(zeros), ops.svdvals(x), next(zeros)


@RULES("aten.linalg_pinv.atol_rtol_tensor")
def pinv(x: Array, *, atol: Array | None = None, rtol: Array | None = None, hermitian: bool = False) -> Array:
    """What is at most the larger of ``atol`` and ``rtol`` times the largest singular value counts as zero."""
    x = _hermitian(x, "L") if hermitian else x
    u, s, vh = ops.svd(x, full_matrices=False)
    if 0 in shape_of(s):
        return _adjoint(x)
    default = max(map(_known, shape_of(x)[-2:])) * float(np.finfo(dtype_of(s)).eps)
    if rtol is None:
        rtol = default if atol is None else ops.where(ops.greater(atol, 0), 0.0, default)
    least = ops.max(s, axis=-1) * rtol
    least = unsqueeze(least if atol is None else ops.maximum(atol, least), -1)
    kept = ops.greater(s, least)
    inverse = ops.where(kept, ops.reciprocal(ops.where(kept, s, 1.0)), 0.0)
    return ops.matmul(_adjoint(vh) * cast(unsqueeze(inverse, -2), dtype_of(x)), _adjoint(u))


def _known(size: Size) -> int:
    if not isinstance(size, int):
        raise ShapeError(f"expected matrices of known size, received {size}")
    return size


def _status(found: Array, ndim: int = 2) -> Array:
    """The word of LAPACK on each matrix: 0, or where the result is no number 1, for which LAPACK names a row."""
    wrong = ops.logical_not(ops.all(ops.isfinite(found), axis=tuple(range(-ndim, 0))))
    return ops.astype(wrong, dtype="int32")


@RULES("aten.linalg_inv_ex.default")
def inv_ex(x: Array, *, check_errors: bool = False) -> tuple[Array, Array]:
    inverse = ops.inv(x)
    return inverse, _status(inverse)


@RULES("aten.linalg_cholesky_ex.default")
def cholesky_ex(x: Array, *, upper: bool = False, check_errors: bool = False) -> tuple[Array, Array]:
    factor = cholesky(x, upper)
    return factor, _status(factor)


@RULES("aten.linalg_solve_ex.default")
def solve_ex(x: Array, y: Array, *, left: bool = True, check_errors: bool = False) -> tuple[Array, Array]:
    found = solve(x, y, left=left)
    return found, _status(found, len(shape_of(found)) - len(shape_of(x)) + 2)


RULES("aten.linalg_matrix_exp.default")(lambda x: ops.matrix_exp(x))
RULES("aten.linalg_householder_product.default")(lambda x, tau: ops.householder_product(x, tau))


@RULES("aten.ormqr.default")
def ormqr(x: Array, tau: Array, y: Array, left: bool = True, transpose: bool = False) -> Array:
    """y times the square product of reflections."""
    rows, columns = map(_known, shape_of(x)[-2:])
    zeros = created(ops.full, x, shape=(*shape_of(x)[:-1], rows - columns), fill_value=0.0, dtype=dtype_of(x))
    q = ops.householder_product(ops.concat([x, zeros], axis=-1), tau)
    q = _adjoint(q) if transpose else q
    return ops.matmul(q, y) if left else ops.matmul(y, q)


# -- elimination -----------------------------------------------------------------------------------------------------


def _pivoted(pivot: bool) -> None:
    if not pivot:
        raise ShapeError("expected elimination with pivots", hint="pivot=False has no rule")


@RULES("aten.linalg_lu_factor_ex.default")
def lu_factor_ex(x: Array, *, pivot: bool = True, check_errors: bool = False) -> tuple[Array, Array, Array]:
    """PyTorch counts rows from 1; the last result is 0, or where U has a zero on its diagonal its place."""
    _pivoted(pivot)
    packed, pivots, _ = ops.lu(x)
    zero = ops.equal(ops.diagonal(packed), 0)
    first = cast(ops.argmax(ops.astype(zero, dtype="int32"), axis=-1), "int32") + 1
    return packed, pivots + 1, ops.where(ops.any(zero, axis=-1), first, 0)


@RULES("aten.linalg_lu_factor.default")
def lu_factor(x: Array, *, pivot: bool = True) -> tuple[Array, Array]:
    return lu_factor_ex(x, pivot=pivot)[:2]


@RULES("aten._lu_with_info.default")
def lu_with_info(x: Array, pivot: bool = True, check_errors: bool = True) -> tuple[Array, Array, Array]:
    return lu_factor_ex(x, pivot=pivot)


@RULES("aten.linalg_lu.default")
def lu(x: Array, *, pivot: bool = True) -> tuple[Array, Array, Array]:
    _pivoted(pivot)
    packed, _, order = ops.lu(x)
    return (_ordering(order, dtype_of(x)), *_parts(packed))


def _parts(packed: Array) -> tuple[Array, Array]:
    *_, rows, columns = map(_known, shape_of(packed)[-2:])
    least = min(rows, columns)
    lower = ops.tril(at_axis(packed, len(shape_of(packed)) - 1, (None, least, None)), k=-1)
    unit = created(ops.eye, packed, n_rows=rows, n_cols=least, dtype=dtype_of(packed))
    return lower + unit, ops.triu(at_axis(packed, len(shape_of(packed)) - 2, (None, least, None)))


def _ordering(order: Array, dtype: str) -> Array:
    """The matrix P with x = P L U, where x[order] = L U."""
    size = shape_of(order)[-1]
    every = created(ops.arange, order, stop=size, dtype=dtype_of(order))
    return cast(ops.equal(unsqueeze(every, -1), unsqueeze(order, -2)), dtype)


@RULES("aten.lu_unpack.default")
def lu_unpack(
    packed: Array, pivots: Array, unpack_data: bool = True, unpack_pivots: bool = True
) -> tuple[Array, Array, Array]:
    order = ops.pivots_to_permutation(pivots - 1, size=_known(shape_of(packed)[-2]))
    ordering = _ordering(order, dtype_of(packed)) if unpack_pivots else _nothing(packed)
    return (ordering, *(_parts(packed) if unpack_data else (_nothing(packed), _nothing(packed))))


@RULES("aten.linalg_lu_solve.default")
def lu_solve(packed: Array, pivots: Array, y: Array, *, left: bool = True, adjoint: bool = False) -> Array:
    ordering, lower, upper = lu_unpack(packed, pivots)
    x = ops.matmul(ordering, ops.matmul(lower, upper))
    return solve(_adjoint(x) if adjoint else x, y, left=left)


@RULES("aten.lu_solve.default")
def older_lu_solve(y: Array, packed: Array, pivots: Array) -> Array:
    return lu_solve(packed, pivots, y)


@RULES("aten._linalg_solve_ex.default")
def solve_with_factors(
    x: Array, y: Array, *, left: bool = True, check_errors: bool = False
) -> tuple[Array, Array, Array, Array]:
    return (solve(x, y, left=left), *lu_factor_ex(x))


@RULES("aten._linalg_slogdet.default")
def slogdet_with_factors(x: Array) -> tuple[Array, Array, Array, Array]:
    return (*ops.slogdet(x), *lu_factor(x))


@RULES("aten._linalg_check_errors.default")
def check_errors(info: Array, api_name: str, *, is_matrix: bool) -> None:
    """An error for singular matrices, whose results are not finite in a graph, which cannot raise it."""


@RULES("aten.linalg_vecdot.default")
def vecdot(x: Array, y: Array, *, dim: int = -1) -> Array:
    rank = min(len(shape_of(x)), len(shape_of(y)))
    return ops.vecdot(*promote(x, y), axis=dim if dim < 0 else dim - rank)


@RULES("aten._cdist_forward.default")
def cdist(x: Array, y: Array, p: float, compute_mode: int | None) -> Array:
    return vector_norm(unsqueeze(x, -2) - unsqueeze(y, -3), p, -1)


@RULES("aten.linalg_svdvals.default")
def svdvals(x: Array, *, driver: str | None = None) -> Array:
    return ops.svdvals(x)


@RULES("aten.linalg_solve.default")
def solve(x: Array, y: Array, *, left: bool = True) -> Array:
    if not left:
        return transpose(solve(transpose(x, -2, -1), transpose(y, -2, -1)), -2, -1)
    a, b = shape_of(x), shape_of(y)
    if len(b) == 1 or b == a[:-1]:  # a batch of vectors
        return squeeze(ops.solve(x, unsqueeze(y, -1)), -1)
    return ops.solve(x, y)


@RULES("aten.linalg_solve_triangular.default")
def solve_triangular(x: Array, y: Array, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Array:
    """The other triangle of x is never read, and with ``unitriangular`` its diagonal is ones."""
    triangle = (ops.triu if upper else ops.tril)(x, k=(1 if upper else -1) if unitriangular else 0)
    if unitriangular:
        triangle = triangle + created(ops.eye, x, n_rows=shape_of(x)[-1], dtype=dtype_of(x))
    if not left:
        return transpose(ops.solve(transpose(triangle, -2, -1), transpose(y, -2, -1)), -2, -1)
    return ops.solve(triangle, y)


@RULES("aten.triangular_solve.default")
def triangular_solve(
    y: Array, x: Array, upper: bool = True, transpose_: bool = False, unitriangular: bool = False
) -> tuple[Array, Array]:
    if transpose_:
        x, upper = transpose(x, -2, -1), not upper
    return solve_triangular(x, y, upper=upper, unitriangular=unitriangular), x
