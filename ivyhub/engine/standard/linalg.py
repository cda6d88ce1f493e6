"""Linear algebra of the standard, the functions of the main namespace and those of the extension ``linalg``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from ...errors import ShapeError
from .. import ops
from ..op import Array
from ..spec import spec_of
from ._common import cast, dtype_of, is_number
from .elementwise import conj
from .manipulation import matrix_transpose
from .statistical import accumulated, sum


class EigResult(NamedTuple):
    """Result of `eig` and `eigh`."""

    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    """Result of `qr`."""

    Q: Array
    R: Array


class SlogdetResult(NamedTuple):
    """Result of `slogdet`."""

    sign: Array
    logabsdet: Array


class SVDResult(NamedTuple):
    """Result of `svd`."""

    U: Array
    S: Array
    Vh: Array


def matmul(x1: Array, x2: Array, /) -> Array:
    """The matrix product over the last two axes, the others broadcast; a single axis is a vector."""
    return ops.matmul(x1, x2)


def tensordot(x1: Array, x2: Array, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Array:
    """Σ x1 · x2 over pairs of axes: the last ``axes`` of x1 with the first of x2, or those that are named."""
    if not isinstance(axes, int):
        axes = (tuple(axes[0]), tuple(axes[1]))
    return ops.tensordot(x1, x2, axes=axes)


def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Σ conj(x1) · x2 over an axis, counted from the end; the others broadcast."""
    return ops.vecdot(x1, x2, axis=axis)


def cholesky(x: Array, /, *, upper: bool = False) -> Array:
    """The lower triangular L with L Lᴴ = x, or the upper triangular Lᴴ, of Hermitian positive definite x."""
    found = ops.cholesky(x)
    return conj(matrix_transpose(found)) if upper else found


def diagonal(x: Array, /, *, offset: int = 0) -> Array:
    """The elements on a diagonal of the last two axes: above the main one for a positive offset."""
    return ops.diagonal(x, offset=offset)


def trace(x: Array, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sum of a diagonal of the last two axes; integers in the default integer dtype or wider."""
    return sum(diagonal(cast(x, accumulated(x, dtype)), offset=offset), axis=-1, dtype=dtype)


def eig(x: Array, /) -> EigResult:
    """Eigenvalues, in no order, and eigenvectors (the columns) of square matrices: complex numbers."""
    return EigResult(*ops.eig(x))


def eigh(x: Array, /) -> EigResult:
    """Eigenvalues, ascending, and eigenvectors (the columns) of Hermitian matrices."""
    return EigResult(*ops.eigh(x))


def qr(x: Array, /, *, mode: Literal["reduced", "complete"] = "reduced") -> QRResult:
    """Q with orthonormal columns and upper triangular R, Q R = x; Q is square for "complete"."""
    return QRResult(*ops.qr(x, mode=mode))


def slogdet(x: Array, /) -> SlogdetResult:
    """The sign of the determinant, and the logarithm of its size."""
    return SlogdetResult(*ops.slogdet(x))


def svd(x: Array, /, *, full_matrices: bool = True) -> SVDResult:
    """U, S, Vᴴ with U diag(S) Vᴴ = x and S in descending order."""
    return SVDResult(*ops.svd(x, full_matrices=full_matrices))


def matrix_power(x: Array, n: int, /) -> Array:
    """x multiplied with itself n times, its inverse for negative n."""
    return ops.matrix_power(x, n=n)


def matrix_rank(x: Array, /, *, rtol: Any = None) -> Array:
    """How many singular values are greater than ``rtol`` times the largest.

    ``rtol`` is max(rows, columns) times the spacing of 1 in the dtype unless it is given.
    """
    values = ops.svdvals(x)
    tolerance = _tolerance(x, values, rtol)
    largest = ops.max(values, axis=-1, keepdims=True)
    return sum(ops.greater(values, largest * tolerance), axis=-1)


def _tolerance(x: Array, values: Array, rtol: Any) -> Any:
    if rtol is None:
        return ops.rank_tolerance(spec_of(x))
    return rtol if is_number(rtol) else ops.reshape(cast(rtol, dtype_of(values)), shape=(*rtol.shape, 1))


def pinv(x: Array, /, *, rtol: Any = None) -> Array:
    """The pseudo-inverse: singular values up to ``rtol`` times the largest count as zero. See `matrix_rank`."""
    if rtol is None or is_number(rtol):
        return ops.pinv(x, rtol=rtol)
    u, s, vh = ops.svd(x, full_matrices=False)
    kept = ops.greater(s, ops.max(s, axis=-1, keepdims=True) * _tolerance(x, s, rtol))
    inverse = ops.where(kept, ops.reciprocal(ops.where(kept, s, 1.0)), 0.0)
    line = cast(ops.reshape(inverse, shape=(*s.shape[:-1], 1, s.shape[-1])), dtype_of(x))
    return ops.matmul(conj(matrix_transpose(vh)) * line, conj(matrix_transpose(u)))


def vector_norm(
    x: Array, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, ord: float = 2
) -> Array:
    """(Σ |x|^ord)^(1/ord) over axes; the largest |x| for inf, the smallest for -inf, how many are not 0 for 0."""
    return ops.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


def matrix_norm(x: Array, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """A norm of matrices: "fro", "nuc", 1, -1, 2, -2, inf or -inf."""
    return ops.matrix_norm(x, keepdims=keepdims, ord=ord)


def cross(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """The cross product of vectors of three numbers along an axis, counted from the end."""
    if axis >= 0:
        raise ShapeError(f"expected an axis counted from the end, received {axis}")
    return ops.cross(x1, x2, axis=axis)


MAIN = (matmul, matrix_transpose, tensordot, vecdot)
EXTENSION = (
    *(cholesky, cross, diagonal, eig, eigh, matmul, matrix_norm, matrix_power, matrix_rank, matrix_transpose, pinv),
    *(qr, slogdet, svd, tensordot, trace, vecdot, vector_norm),
    *(ops.det, ops.eigvals, ops.eigvalsh, ops.inv, ops.outer, ops.solve, ops.svdvals),
)
