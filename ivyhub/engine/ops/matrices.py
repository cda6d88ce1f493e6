"""Decompositions, inverses and norms of matrices, the last two axes (Array API Standard 2025.12, "linalg")."""

from __future__ import annotations

from typing import Any

from ...errors import DTypeError, ShapeError
from ..dims import Dim, Size
from ..op import Array, Op, op
from ..spec import Spec, broadcast_shapes, normalize_axes, reduced_shape, spec_of
from .creation import created, eye
from .elementwise import abs, astype, not_equal, pow, sqrt, square, where
from .linalg import matmul
from .parts import conj
from .reduction import max, min, sum
from .shape import broadcast_to, reshape, transpose

_REAL = {"complex64": "float32", "complex128": "float64"}
_COMPLEX = {"float32": "complex64", "float64": "complex128"}


def matrices(x: Spec) -> Spec:
    """x, which holds matrices of a dtype that linear algebra takes. Raises `ShapeError` and `DTypeError`."""
    if x.ndim < 2:
        raise ShapeError(f"expected two axes or more, received {x}")
    if x.dtype not in (*_REAL, *_COMPLEX):
        raise DTypeError(f"expected matrices of float32, float64 or complex numbers, received {x}")
    return x


def square_matrices(x: Spec, **_: Any) -> Spec:
    """x, which holds square matrices. Raises `ShapeError` and `DTypeError`."""
    if matrices(x).shape[-1] != x.shape[-2]:
        raise ShapeError(f"expected square matrices, received {x}")
    return x


def _real(x: Spec) -> str:
    return _REAL.get(x.dtype, x.dtype)


def least_size(x: Spec) -> Size:
    """The smaller number of rows and columns. Raises `ShapeError` where one is symbolic."""
    rows, columns = x.shape[-2:]
    if isinstance(rows, Dim) or isinstance(columns, Dim):
        raise ShapeError(f"expected matrices of known size, received {x}")
    return rows if rows < columns else columns


def _lower(op: Op, arguments: str = "{x}", *, tensorflow: str | None, **others: str) -> None:
    """Rows of the frameworks whose ``linalg`` follows NumPy."""
    for framework, prefix in (("numpy", "np"), ("jax", "jnp"), ("torch", "torch")):
        op.lower(framework, others.get(framework, f"{prefix}.linalg.{op.name}({arguments})"))
    if tensorflow is not None:
        op.lower("tensorflow", tensorflow)


# -- decompositions --------------------------------------------------------------------------------------------------


@op(rule=square_matrices, primitive=True)
def cholesky(x: Array, /) -> Array:
    """The lower triangular L with L Lᴴ = x, of Hermitian positive definite x."""


_lower(cholesky, tensorflow="tf.linalg.cholesky({x})")


def _qr_spec(x: Spec, *, mode: str) -> tuple[Spec, Spec]:
    if mode not in ("reduced", "complete"):
        raise ShapeError(f"expected mode 'reduced' or 'complete', received {mode!r}")
    *batch, rows, columns = matrices(x).shape
    inner = least_size(x) if mode == "reduced" else rows
    return x.with_shape(*batch, rows, inner), x.with_shape(*batch, inner, columns)


@op(rule=_qr_spec, primitive=True)
def qr(x: Array, /, *, mode: str = "reduced") -> tuple[Array, Array]:  # pyright: ignore[reportReturnType]
    """Q with orthonormal columns and upper triangular R, Q R = x; Q is square for "complete"."""


_lower(qr, "{x}, mode={mode:'reduced'}", tensorflow=None)
qr.lower(
    "tensorflow",
    "support.qr({x}, full_matrices={complete:False})",
    derive=lambda n: {"complete": n.mode == "complete"},
)


def _svd_spec(x: Spec, *, full_matrices: bool) -> tuple[Spec, Spec, Spec]:
    *batch, rows, columns = matrices(x).shape
    least = least_size(x)
    u, v = (rows, columns) if full_matrices else (least, least)
    return x.with_shape(*batch, rows, u), Spec((*batch, least), _real(x)), x.with_shape(*batch, v, columns)


@op(rule=_svd_spec, primitive=True)
def svd(x: Array, /, *, full_matrices: bool = True) -> tuple[Array, Array, Array]:  # pyright: ignore[reportReturnType]
    """U, S, Vᴴ with U diag(S) Vᴴ = x and S in descending order."""


_lower(
    svd, "{x}, full_matrices={full_matrices:True}", tensorflow="support.svd({x}, full_matrices={full_matrices:True})"
)


@op(rule=lambda x: Spec((*matrices(x).shape[:-2], least_size(x)), _real(x)), primitive=True)
def svdvals(x: Array, /) -> Array:
    """The singular values, in descending order."""


_lower(
    svdvals,
    tensorflow="tf.linalg.svd({x}, compute_uv=False)",
    numpy="np.linalg.svd({x}, compute_uv=False)",
    jax="jnp.linalg.svd({x}, compute_uv=False)",
)


def _eigh_spec(x: Spec) -> tuple[Spec, Spec]:
    return Spec(square_matrices(x).shape[:-1], _real(x)), x


@op(rule=_eigh_spec, primitive=True)
def eigh(x: Array, /) -> tuple[Array, Array]:  # pyright: ignore[reportReturnType]
    """Eigenvalues, ascending, and eigenvectors (the columns) of Hermitian matrices."""


_lower(eigh, tensorflow="support.eigh({x})")


@op(rule=lambda x: _eigh_spec(x)[0], primitive=True)
def eigvalsh(x: Array, /) -> Array:
    """The eigenvalues of Hermitian matrices, ascending."""


_lower(eigvalsh, tensorflow="support.eigvalsh({x})")


def _eig_spec(x: Spec) -> tuple[Spec, Spec]:
    dtype = _COMPLEX.get(square_matrices(x).dtype, x.dtype)
    return Spec(x.shape[:-1], dtype), Spec(x.shape, dtype)


@op(rule=_eig_spec, primitive=True)
def eig(x: Array, /) -> tuple[Array, Array]:  # pyright: ignore[reportReturnType]
    """Eigenvalues, in no order, and eigenvectors (the columns) of square matrices: complex numbers."""


_lower(eig, tensorflow="tuple(tf.linalg.eig({x}))", numpy="support.eig({x})")


@op(rule=lambda x: _eig_spec(x)[0], primitive=True)
def eigvals(x: Array, /) -> Array:
    """The eigenvalues of square matrices, in no order: complex numbers."""


_lower(eigvals, tensorflow="tf.linalg.eigvals({x})", numpy="support.eigvals({x})")

# -- equations -------------------------------------------------------------------------------------------------------


def _solve_spec(x1: Spec, x2: Spec) -> Spec:
    size = square_matrices(x1).shape[-1]
    if x1.dtype != x2.dtype:
        raise DTypeError(f"expected operands of one dtype, received {x1} and {x2}", hint="cast one of them with astype")
    if x2.ndim == 0 or x2.shape[0 if x2.ndim == 1 else -2] != size:
        raise ShapeError(f"expected {size} equations for {x1}, received {x2}")
    if x2.ndim == 1:
        return x2.with_shape(*x1.shape[:-1])
    return x2.with_shape(*broadcast_shapes(x1.shape[:-2], x2.shape[:-2]), *x2.shape[-2:])


@op(rule=_solve_spec, primitive=True, promotes=("x1", "x2"))
def solve(x1: Array, x2: Array, /) -> Array:
    """y with x1 y = x2, for a vector or for the columns of matrices."""


solve.lower("numpy", "np.linalg.solve({x1}, {x2}[..., None])[..., 0]", when=lambda n: n.x2.ndim == 1)
solve.lower("numpy", "np.linalg.solve({x1}, {x2})").lower("jax", "jnp.linalg.solve({x1}, {x2})")
solve.lower("torch", "torch.linalg.solve({x1}, {x2}[:, None]).squeeze(-1)", when=lambda n: n.x2.ndim == 1)
solve.lower("torch", "torch.linalg.solve({x1}, {x2})").lower("tensorflow", "support.solve({x1}, {x2})")


@op(rule=square_matrices, primitive=True)
def inv(x: Array, /) -> Array:
    """The inverse of square matrices."""


_lower(inv, tensorflow="tf.linalg.inv({x})")


def _det_spec(x: Spec) -> Spec:
    return x.with_shape(*square_matrices(x).shape[:-2])


@op(rule=_det_spec, primitive=True)
def det(x: Array, /) -> Array:
    """The determinant of square matrices."""


_lower(det, tensorflow="tf.linalg.det({x})")


@op(rule=lambda x: (_det_spec(x), _det_spec(x).with_dtype(_real(x))), primitive=True)
def slogdet(x: Array, /) -> tuple[Array, Array]:  # pyright: ignore[reportReturnType]
    """The sign of the determinant, and the logarithm of its size."""


_lower(slogdet, tensorflow="support.slogdet({x})")


@op(rule=lambda x, *, rtol: x.with_shape(*matrices(x).shape[:-2], *x.shape[:-3:-1]))
def pinv(x: Array, /, *, rtol: float | None = None) -> Array:
    """The pseudo-inverse: singular values up to ``rtol`` times the largest count as zero.

    ``rtol`` is max(rows, columns) times the spacing of 1 in the dtype unless it is given.
    """
    spec = spec_of(x)
    u, s, vh = svd(x, full_matrices=False)
    limit = max(s, axis=-1, keepdims=True) * (rank_tolerance(spec) if rtol is None else rtol)
    kept = s > limit
    inverse = where(kept, 1.0 / where(kept, s, 1.0), 0.0)
    scaled = adjoint(vh) * astype(reshape(inverse, shape=(*spec.shape[:-2], 1, spec_of(s).shape[-1])), dtype=spec.dtype)
    return matmul(scaled, adjoint(u))


@op(promotes=("x1", "x2"))
def lstsq(x1: Array, x2: Array, /, *, rtol: float | None = None) -> Array:
    """The shortest y among those that bring x1 y closest to x2, a vector or the columns of matrices.

    Singular values of x1 up to ``rtol`` times the largest count as zero, as for `pinv`. Source: ``numpy.linalg.lstsq``,
    of whose results this is the first.
    """
    return matmul(pinv(x1, rtol=rtol), x2)


def _plain(n: Any) -> bool:
    return n.rtol is None and n.x1.ndim == 2 and n.x2.ndim < 3


lstsq.lower("numpy", "np.linalg.lstsq({x1}, {x2})[0]", when=_plain)
lstsq.lower("jax", "jnp.linalg.lstsq({x1}, {x2})[0]", when=_plain)


def rank_tolerance(x: Spec) -> float:
    """The relative size below which a singular value counts as zero: the larger side times the spacing of 1."""
    rows, columns = x.shape[-2:]
    larger = rows + columns - least_size(x)
    return float(larger) * (2.0**-23 if _real(x) == "float32" else 2.0**-52)


def adjoint(x: Array) -> Array:
    """The conjugate transpose of the last two axes."""
    spec = spec_of(x)
    swapped = transpose(x, axes=(*range(spec.ndim - 2), spec.ndim - 1, spec.ndim - 2))
    return conj(swapped) if spec.dtype in _REAL else swapped


@op
def matrix_power(x: Array, /, *, n: int) -> Array:
    """x multiplied with itself, its inverse for negative n. Source: numpy.linalg.matrix_power."""
    if n < 0:
        x, n = inv(x), -n
    spec = spec_of(x)
    if n == 0:
        unit = created(eye, x, n_rows=spec.shape[-1], dtype=spec.dtype)
        return broadcast_to(unit, shape=spec.shape)
    result = None
    while n:
        if n % 2:
            result = x if result is None else matmul(result, x)
        n //= 2
        x = matmul(x, x) if n else x
    return result


for _prefix, _framework in (("np", "numpy"), ("jnp", "jax"), ("torch", "torch")):
    matrix_power.lower(_framework, f"{_prefix}.linalg.matrix_power({{x}}, {{n}})")


# -- norms -----------------------------------------------------------------------------------------------------------

Axis = int | tuple[int, ...] | None


def _norm_spec(x: Spec, *, axis: Axis, keepdims: bool, ord: float) -> Spec:
    if x.dtype not in (*_REAL, *_COMPLEX, "float16", "bfloat16"):
        raise DTypeError(f"expected floating-point or complex numbers, received {x}")
    return Spec(reduced_shape(x.shape, axis, keepdims), _real(x))


@op(rule=_norm_spec)
def vector_norm(x: Array, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Array:
    """(Σ |x|^ord)^(1/ord) over axes; the largest |x| for inf, the smallest for -inf, how many are not 0 for 0."""
    axes = normalize_axes(axis, spec_of(x).ndim)
    size = abs(x)
    options: Any = {"axis": axes, "keepdims": keepdims}
    if ord == float("inf"):
        return max(size, **options)
    if ord == -float("inf"):
        return min(size, **options)
    if ord == 0:
        return sum(astype(not_equal(size, 0), dtype=spec_of(size).dtype), **options)
    if ord == 1:
        return sum(size, **options)
    if ord == 2:
        return sqrt(sum(square(size), **options))
    return pow(sum(pow(size, float(ord)), **options), 1.0 / ord)


def _matrix_norm_spec(x: Spec, *, keepdims: bool, ord: Any) -> Spec:
    return Spec(reduced_shape(matrices(x).shape, (-2, -1), keepdims), _real(x))


@op(rule=_matrix_norm_spec)
def matrix_norm(x: Array, /, *, keepdims: bool = False, ord: float | str | None = "fro") -> Array:
    """A norm of matrices.

    "fro" is the root of the sum of squares and "nuc" the sum of the singular values; 2 and -2 are the largest and
    smallest singular value, 1 and -1 the largest and smallest sum of sizes of a column, inf and -inf of a row.
    """
    ndim = spec_of(x).ndim
    if ord is None or ord == "fro":
        return vector_norm(x, axis=(ndim - 2, ndim - 1), keepdims=keepdims)
    if ord in ("nuc", 2, -2):
        values = svdvals(x)
        found = {"nuc": sum, 2: max, -2: min}[ord](values, axis=-1)
    elif ord in (1, -1, float("inf"), -float("inf")):
        sums = sum(abs(x), axis=-2 if ord in (1, -1) else -1)
        found = (max if float(ord) > 0 else min)(sums, axis=-1)
    else:
        raise ShapeError(f"expected ord 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, received {ord!r}")
    return reshape(found, shape=(*spec_of(found).shape, 1, 1)) if keepdims else found
