"""Factors of matrices by elimination and by reflections, and the exponential of a matrix."""

from __future__ import annotations

from ...errors import ShapeError
from ..op import Array, op
from ..spec import Spec, spec_of
from .creation import arange, created, eye
from .elementwise import astype, equal, where
from .indexing import getitem, set_along_axis, take_along_axis, tril
from .linalg import matmul
from .matrices import least_size, matrices, square_matrices
from .parts import conj
from .shape import broadcast_to, transpose

_FULL = (None, None, None)


def _lu_spec(x: Spec) -> tuple[Spec, Spec, Spec]:
    *batch, rows, _ = matrices(x).shape
    return x, Spec((*batch, least_size(x)), "int32"), Spec((*batch, rows), "int32")


@op(rule=_lu_spec, primitive=True)
def lu(x: Array, /) -> tuple[Array, Array, Array]:  # pyright: ignore[reportReturnType]
    """L and U with x[order] = L U, by elimination with the largest element of each column.

    Returns:
        U with L, whose diagonal is ones, below it; the row that each row was exchanged with, counted from 0; the order
        of the rows that this makes.

    Source: ``jax.lax.linalg.lu``.
    """


lu.lower("jax", "jax.lax.linalg.lu({x})").lower(("numpy", "torch", "tensorflow"), "support.lu({x})")


def _permutation_spec(pivots: Spec, *, size: int) -> Spec:
    if not pivots.ndim or not isinstance(pivots.shape[-1], int) or pivots.shape[-1] > size:
        raise ShapeError(f"expected at most {size} exchanges of rows, received {pivots}")
    return pivots.with_shape(*pivots.shape[:-1], size)


@op(rule=_permutation_spec)
def pivots_to_permutation(pivots: Array, /, *, size: int) -> Array:
    """The order of rows that is left when each is exchanged with another, one after the other, counted from 0.

    Source: ``jax.lax.linalg.lu_pivots_to_permutation``.
    """
    spec = spec_of(pivots)
    every = created(arange, pivots, stop=size, dtype=spec.dtype)
    order = broadcast_to(every, shape=(*spec.shape[:-1], size))
    lead = (_FULL,) * (spec.ndim - 1)
    for k in range(int(spec.shape[-1])):
        place = astype(getitem(pivots, key=(*lead, (k, k + 1, 1))), dtype="int64")
        there = take_along_axis(order, place, axis=-1)
        order = set_along_axis(order, place, getitem(order, key=(*lead, (k, k + 1, 1))), axis=-1)
        order = where(equal(every, k), there, order)
    return order


pivots_to_permutation.lower(
    "jax", "jax.lax.linalg.lu_pivots_to_permutation({pivots}, {size})", when=lambda n: n.pivots.dtype == "int32"
)


def _householder_spec(x: Spec, tau: Spec) -> Spec:
    *batch, rows, columns = matrices(x).shape
    if tau.shape[:-1] != tuple(batch) or least_size(x) != columns or least_size(x) < tau.shape[-1]:  # type: ignore[operator]
        raise ShapeError(f"expected matrices of ({rows}, n <= {rows}) and at most n numbers, received {x} and {tau}")
    return x


@op(rule=_householder_spec, promotes=("x", "tau"))
def householder_product(x: Array, tau: Array, /) -> Array:
    """The first columns of the product of reflections 1 - τ v vᴴ, whose v stand below the diagonal of x.

    Source: ``torch.linalg.householder_product``.
    """
    spec = spec_of(x)
    *batch, rows, columns = spec.shape
    lead = (_FULL,) * len(batch)
    unit = created(eye, x, n_rows=rows, n_cols=columns, dtype=spec.dtype)
    below = tril(x, k=-1) + unit
    found = broadcast_to(unit, shape=spec.shape)
    axes = (*range(len(batch)), len(batch) + 1, len(batch))
    for i in reversed(range(int(spec_of(tau).shape[-1]))):
        v = getitem(below, key=(*lead, _FULL, (i, i + 1, 1)))
        factor = getitem(tau, key=(*lead, (i, i + 1, 1), None))
        found = found - factor * matmul(v, matmul(transpose(conj(v), axes=axes), found))
    return found


# JAX's own has no gradient.
householder_product.lower("torch", "torch.linalg.householder_product({x}, {tau})")


@op(rule=square_matrices, primitive=True)
def matrix_exp(x: Array, /) -> Array:
    """The exponential of square matrices, Σ xᵏ / k!. Source: ``torch.linalg.matrix_exp``."""


matrix_exp.lower("torch", "torch.linalg.matrix_exp({x})").lower("jax", "jax.scipy.linalg.expm({x})")
matrix_exp.lower("tensorflow", "tf.linalg.expm({x})").lower("numpy", "support.matrix_exp({x})")
