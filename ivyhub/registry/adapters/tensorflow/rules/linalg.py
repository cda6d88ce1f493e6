"""Products, decompositions and Fourier transforms."""

from __future__ import annotations

from collections.abc import Sequence

from .....engine import ops
from .....engine.dims import Size
from .common import FULL, Array, adjoint, cast, reads, shape_of


@reads("MatMul")
def matmul(a: Array, b: Array, *, transpose_a: bool, transpose_b: bool) -> Array:
    a = ops.transpose(a, axes=(1, 0)) if transpose_a else a
    return ops.matmul(a, ops.transpose(b, axes=(1, 0)) if transpose_b else b)


@reads("BatchMatMul", "BatchMatMulV2")
def batch_matmul(a: Array, b: Array, *, adj_x: bool, adj_y: bool) -> Array:
    return ops.matmul(adjoint(a) if adj_x else a, adjoint(b) if adj_y else b)


@reads("BatchMatMulV3")
def batch_matmul_to(a: Array, b: Array, *, adj_x: bool, adj_y: bool, Tout: str) -> Array:  # noqa: N803
    return batch_matmul(cast(a, Tout), cast(b, Tout), adj_x=adj_x, adj_y=adj_y)


@reads("Einsum")
def einsum(*operands: Array, equation: str) -> Array:
    return ops.einsum(operands, equation=equation.replace(" ", ""))


@reads("MatrixInverse")
def inverse(x: Array, *, adjoint: bool) -> Array:
    found = ops.inv(x)
    return _adjoint(found) if adjoint else found


_adjoint = adjoint


@reads("MatrixSolve")
def solve(a: Array, b: Array, *, adjoint: bool) -> Array:
    return ops.solve(_adjoint(a) if adjoint else a, b)


@reads("MatrixTriangularSolve")
def triangular_solve(a: Array, b: Array, *, lower: bool, adjoint: bool) -> Array:
    """The other triangle is not read."""
    a = ops.tril(a) if lower else ops.triu(a)
    return ops.solve(_adjoint(a) if adjoint else a, b)


@reads("TridiagonalSolve")
def tridiagonal_solve(diagonals: Array, b: Array, *, partial_pivoting: bool) -> Array:
    """Of the diagonals above and below the main one, the last and the first element do not count."""
    ndim, size = len(shape_of(diagonals)), shape_of(diagonals)[-1]
    lead = (FULL,) * (ndim - 2)
    place = ops.arange(stop=size, dtype="int32")
    across = ops.subtract(place, ops.getitem(place, key=(FULL, None)))  # the column less the row
    matrix = ops.multiply(0, ops.getitem(diagonals, key=(*lead, 1, None)))
    for number, offset in enumerate((1, 0, -1)):
        column = ops.getitem(diagonals, key=(*lead, number, FULL, None))
        matrix = ops.add(matrix, ops.where(ops.equal(across, offset), column, 0))
    return ops.solve(matrix, b)


@reads("Cholesky")
def cholesky(x: Array) -> Array:
    return ops.cholesky(x)


@reads("MatrixDeterminant")
def determinant(x: Array) -> Array:
    return ops.det(x)


@reads("LogMatrixDeterminant")
def log_determinant(x: Array) -> tuple[Array, Array]:
    return ops.slogdet(x)


@reads("SelfAdjointEigV2")
def self_adjoint_eig(x: Array, *, compute_v: bool) -> tuple[Array, Array | None]:
    """Eigenvectors are unique up to their signs."""
    return ops.eigh(x) if compute_v else (ops.eigvalsh(x), None)


@reads("Qr")
def qr(x: Array, *, full_matrices: bool) -> tuple[Array, Array]:
    return ops.qr(x, mode="complete" if full_matrices else "reduced")


@reads("Svd")
def svd(x: Array, *, compute_uv: bool, full_matrices: bool) -> tuple[Array, Array | None, Array | None]:
    if not compute_uv:
        return ops.svdvals(x), None, None
    u, s, vh = ops.svd(x, full_matrices=full_matrices)
    return s, u, adjoint(vh)


@reads("Cross")
def cross(a: Array, b: Array) -> Array:
    return ops.cross(a, b, axis=-1)


# -- Fourier transforms ----------------------------------------------------------------------------------------------

for _name, _op in {"FFT": ops.fft, "IFFT": ops.ifft}.items():
    reads(_name)(lambda x, op=_op: op(x))


@reads("FFT2D")
def fft2d(x: Array) -> Array:
    return ops.fftn(x, axes=(-2, -1))


@reads("IFFT2D")
def ifft2d(x: Array) -> Array:
    return ops.ifftn(x, axes=(-2, -1))


@reads("FFT3D")
def fft3d(x: Array) -> Array:
    return ops.fftn(x, axes=(-3, -2, -1))


@reads("IFFT3D")
def ifft3d(x: Array) -> Array:
    return ops.ifftn(x, axes=(-3, -2, -1))


@reads("RFFT", known=(1,))
def rfft(x: Array, length: Sequence[Size], *, Tcomplex: str) -> Array:  # noqa: N803 - TensorFlow's name
    return cast(ops.rfft(x, n=_length(length[0], shape_of(x)[-1])), Tcomplex)


@reads("RFFT2D", known=(1,))
def rfft2d(x: Array, length: Sequence[Size], *, Tcomplex: str) -> Array:  # noqa: N803 - TensorFlow's name
    return cast(ops.rfftn(x, s=tuple(length), axes=(-2, -1)), Tcomplex)


@reads("IRFFT", known=(1,))
def irfft(x: Array, length: Sequence[Size], *, Treal: str) -> Array:  # noqa: N803 - TensorFlow's name
    return cast(ops.irfft(x, n=length[0]), Treal)


@reads("IRFFT2D", known=(1,))
def irfft2d(x: Array, length: Sequence[Size], *, Treal: str) -> Array:  # noqa: N803 - TensorFlow's name
    return cast(ops.irfftn(x, s=tuple(length), axes=(-2, -1)), Treal)


def _length(length: Size, size: Size) -> Size | None:
    return None if length == size else length
