"""Products of matrices and tensors."""

from __future__ import annotations

from collections.abc import Sequence

from .....engine import ops
from .....engine.ops.creation import created
from .common import RULES, Array, dtype_of, promote, shape_of
from .reduction import vector_norm
from .shape import squeeze, transpose, unsqueeze


@RULES("aten.mm.default", "aten.bmm.default", "aten.matmul.default", "aten.mv.default", "aten.dot.default")
def matmul(x: Array, y: Array) -> Array:
    return ops.matmul(x, y)


@RULES("aten.linear.default")
def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    return ops.linear(x, weight, bias)


def _scaled(x: Array, factor: float) -> Array:
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


@RULES("aten.linalg_eigh.default")
def eigh(x: Array, uplo: str = "L") -> tuple[Array, Array]:
    return ops.eigh(_hermitian(x, uplo))


def _hermitian(x: Array, uplo: str) -> Array:
    """The Hermitian matrix of which x has one triangle; PyTorch never reads the other."""
    strict = ops.tril(x, k=-1) if uplo.upper() == "L" else ops.triu(x, k=1)
    half = ops.tril(x) if uplo.upper() == "L" else ops.triu(x)
    return half + _adjoint(strict)


@RULES("aten.linalg_qr.default")
def qr(x: Array, mode: str = "reduced") -> tuple[Array, Array]:
    if mode == "r":
        _, r = ops.qr(x)
        return created(ops.full, x, shape=(0,), fill_value=0.0, dtype=dtype_of(x)), r
    return ops.qr(x, mode=mode)


@RULES("aten.linalg_svd.default")
def svd(x: Array, full_matrices: bool = True, *, driver: str | None = None) -> tuple[Array, Array, Array]:
    return ops.svd(x, full_matrices=full_matrices)


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
