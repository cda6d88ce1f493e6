"""Products of matrices and tensors (Array API Standard 2025.12, "Linear algebra"). Decompositions are in `matrices`."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

from ...errors import DTypeError, ShapeError
from ..backends import is_integer
from ..dims import Dim, Size
from ..op import Array, op
from ..spec import Spec, broadcast_shapes, broadcast_specs, normalize_axes, spec_of
from .elementwise import astype, subtract
from .parts import conj
from .reduction import sum
from .shape import reshape, roll, transpose


def _matmul_spec(x1: Spec, x2: Spec) -> Spec:
    if x1.dtype != x2.dtype:
        raise DTypeError(f"expected operands of one dtype, received {x1} and {x2}", hint="cast one of them with astype")
    if x1.ndim == 0 or x2.ndim == 0:
        raise ShapeError(f"expected one axis or more, received {x1} and {x2}")
    inner = x2.shape[0] if x2.ndim == 1 else x2.shape[-2]
    if x1.shape[-1] != inner:
        raise ShapeError(f"expected the last axis of {x1} to be as long as axis {0 if x2.ndim == 1 else -2} of {x2}")
    batch = broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    return x1.with_shape(*batch, *x1.shape[-2:-1], *(x2.shape[-1:] if x2.ndim > 1 else ()))


@op(rule=_matmul_spec, primitive=True, promotes=("x1", "x2"))
def matmul(x1: Array, x2: Array, /) -> Array:
    """The matrix product over the last two axes, the others broadcast; a single axis is a vector."""


matmul.lower(("numpy", "torch", "jax"), "{x1} @ {x2}")
matmul.lower("tensorflow", "{x1} @ {x2}", when=lambda n: n.x1.ndim > 1 and n.x2.ndim > 1)
matmul.lower("tensorflow", "tf.linalg.matvec({x1}, {x2})", when=lambda n: n.x1.ndim > 1)
matmul.lower("tensorflow", "tf.tensordot({x1}, {x2}, 1)", when=lambda n: n.x2.ndim < 3)
matmul.lower("tensorflow", "tf.linalg.matvec({x2}, {x1}, transpose_a=True)")


def _einsum_spec(operands: Sequence[Spec], *, equation: str) -> Spec:
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow or len(terms) != len(operands):
        raise ShapeError(f"expected an equation 'ij,jk->ik' of {len(operands)} operands, received {equation!r}")
    sizes: dict[str, Size] = {}
    batch: tuple[Size, ...] = ()
    for term, spec in zip(terms, operands, strict=True):
        head, dots, tail = term.partition("...")
        letters = len(head) + len(tail)
        if spec.ndim < letters or (not dots and spec.ndim != letters):
            raise ShapeError(f"expected {letters} axes for {term!r}, received {spec}")
        middle = spec.ndim - letters
        batch = broadcast_shapes(batch, spec.shape[len(head) : len(head) + middle])
        named = (*zip(head, spec.shape, strict=False), *zip(tail, spec.shape[len(head) + middle :], strict=True))
        for letter, size in named:
            if sizes.setdefault(letter, size) in (size, 1):
                sizes[letter] = size
            elif size != 1:
                raise ShapeError(
                    f"expected one size for {letter!r} in {equation!r}, received {sizes[letter]} and {size}"
                )
    head, dots, tail = right.partition("...")
    shape = (*(sizes[letter] for letter in head), *(batch if dots else ()), *(sizes[letter] for letter in tail))
    return broadcast_specs(*(spec.with_shape() for spec in operands)).with_shape(*shape)


@op(rule=_einsum_spec, primitive=True)
def einsum(operands: Sequence[Array], /, *, equation: str) -> Array:
    """The sum of products that an equation names: ``"bqh,bkh->bqk"``. Source: numpy.einsum, with ``->`` always."""


einsum.lower("torch", "torch.einsum({equation}, *{operands})").lower("jax", "jnp.einsum({equation}, *{operands})")
einsum.lower("tensorflow", "tf.einsum({equation}, *{operands})")
einsum.lower("numpy", "np.einsum({equation}, *{operands}, optimize=True)", when=lambda n: len(n.operands) > 1)
einsum.lower("numpy", "np.einsum({equation}, *{operands})")


@op
def linear(x: Array, weight: Array, bias: Array | None = None, /) -> Array:
    """x Wᵀ + b over the last axis.

    Args:
        x: (..., in).
        weight: (out, in).
        bias: (out,) or None.

    Source: torch.nn.functional.linear.
    """
    y = matmul(x, transpose(weight, axes=(1, 0)) if spec_of(weight).ndim == 2 else weight)
    return y if bias is None else y + bias


def _with_bias(n: SimpleNamespace) -> bool:
    return n.bias is not None


linear.lower("torch", "F.linear({x}, {weight}, {bias})")
linear.lower(("numpy", "jax"), "{x} @ {weight}.T + {bias}", when=_with_bias).lower(("numpy", "jax"), "{x} @ {weight}.T")
linear.lower(
    "tensorflow", "tf.matmul({x}, {weight}, transpose_b=True) + {bias}", when=lambda n: _with_bias(n) and n.x.ndim == 2
)
linear.lower("tensorflow", "tf.matmul({x}, {weight}, transpose_b=True)", when=lambda n: n.x.ndim == 2)
linear.lower("tensorflow", "tf.tensordot({x}, {weight}, [[-1], [-1]]) + {bias}", when=_with_bias)
linear.lower("tensorflow", "tf.tensordot({x}, {weight}, [[-1], [-1]])")


# -- products of vectors -----------------------------------------------------------------------------------------------


def _outer_spec(x1: Spec, x2: Spec) -> Spec:
    if x1.ndim != 1 or x2.ndim != 1:
        raise ShapeError(f"expected two vectors, received {x1} and {x2}")
    return broadcast_specs(x1.with_shape(), x2.with_shape()).with_shape(*x1.shape, *x2.shape)


@op(rule=_outer_spec, promotes=("x1", "x2"), strict=True)
def outer(x1: Array, x2: Array, /) -> Array:
    """x1[i] · x2[j] of two vectors."""
    return reshape(x1, shape=(*spec_of(x1).shape, 1)) * x2


outer.lower(("numpy",), "np.outer({x1}, {x2})").lower("jax", "jnp.outer({x1}, {x2})")
outer.lower("torch", "torch.outer({x1}, {x2})")


@op(promotes=("x1", "x2"))
def kron(x1: Array, x2: Array, /) -> Array:
    """The Kronecker product: a block of x2 for each element of x1, times it; missing axes are put in front.

    Source: ``numpy.kron``.
    """
    first, second = spec_of(x1).shape, spec_of(x2).shape
    ndim = max(len(first), len(second))
    first, second = ((1,) * (ndim - len(shape)) + tuple(shape) for shape in (first, second))
    outer = [size for m in first for size in (m, 1)]
    inner = [size for n in second for size in (1, n)]
    product = reshape(x1, shape=tuple(outer)) * reshape(x2, shape=tuple(inner))
    return reshape(product, shape=tuple(m * n for m, n in zip(first, second, strict=True)))


kron.lower("numpy", "np.kron({x1}, {x2})").lower("jax", "jnp.kron({x1}, {x2})").lower("torch", "torch.kron({x1}, {x2})")


@op(promotes=("x1", "x2"))
def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Σ conj(x1) · x2 over an axis, counted from the end; the others broadcast."""
    dtype = spec_of(x1).dtype
    if axis >= 0 or -axis > min(spec_of(x1).ndim, spec_of(x2).ndim):
        raise ShapeError(f"expected an axis from the end that both have, received {axis}")
    if spec_of(x1).shape[axis] != spec_of(x2).shape[axis]:
        raise ShapeError(f"expected axis {axis} of one size, received {spec_of(x1)} and {spec_of(x2)}")
    products = (conj(x1) if "complex" in dtype else x1) * x2
    return astype(sum(products, axis=axis), dtype=dtype) if is_integer(dtype) else sum(products, axis=axis)


def _tensordot_axes(x1: Spec, x2: Spec, axes: int | tuple[Sequence[int], Sequence[int]]) -> tuple[list[int], list[int]]:
    if isinstance(axes, int):
        return list(range(x1.ndim - axes, x1.ndim)), list(range(axes))
    first, second = (list(normalize_axes(tuple(each), x.ndim)) for each, x in zip(axes, (x1, x2), strict=True))
    return first, second


def _tensordot_spec(x1: Spec, x2: Spec, *, axes: int | tuple[Sequence[int], Sequence[int]]) -> Spec:
    first, second = _tensordot_axes(x1, x2, axes)
    if [x1.shape[i] for i in first] != [x2.shape[i] for i in second]:
        raise ShapeError(f"expected equal sizes on the axes {axes}, received {x1} and {x2}")
    kept = [size for i, size in enumerate(x1.shape) if i not in first]
    kept += [size for i, size in enumerate(x2.shape) if i not in second]
    return broadcast_specs(x1.with_shape(), x2.with_shape()).with_shape(*kept)


@op(rule=_tensordot_spec, primitive=True, promotes=("x1", "x2"))
def tensordot(x1: Array, x2: Array, /, *, axes: int | tuple[tuple[int, ...], tuple[int, ...]] = 2) -> Array:
    """Σ x1 · x2 over pairs of axes: the last ``axes`` of x1 with the first of x2, or those that are named."""


tensordot.lower("torch", "torch.tensordot({x1}, {x2}, dims={axes:2})")
tensordot.lower("numpy", "np.tensordot({x1}, {x2}, axes={axes:2})").lower(
    "jax", "jnp.tensordot({x1}, {x2}, axes={axes:2})"
)
tensordot.lower("tensorflow", "tf.tensordot({x1}, {x2}, axes={axes})")


def _cross_spec(x1: Spec, x2: Spec, *, axis: int) -> Spec:
    found = broadcast_specs(x1, x2)
    if axis >= 0 or -axis > min(x1.ndim, x2.ndim) or x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ShapeError(f"expected an axis of size 3, counted from the end, received {axis} for {x1} and {x2}")
    return found


@op(rule=_cross_spec, promotes=("x1", "x2"), strict=True)
def cross(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """The cross product of vectors of three numbers along an axis, counted from the end."""
    rotated = roll(x1, shift=-1, axis=axis) * roll(x2, shift=-2, axis=axis)
    return subtract(rotated, roll(x1, shift=-2, axis=axis) * roll(x2, shift=-1, axis=axis))


_KERNELS = ("uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
cross.lower(
    "torch",
    "torch.linalg.cross({x1}, {x2}, dim={axis:-1})",
    when=lambda n: n.x1.ndim == n.x2.ndim,
    dtypes=(*_KERNELS, "complex64", "complex128"),  # not the wider unsigned integers
)
_BITS = "torch.broadcast_tensors({x1}.view(torch.int64), {x2}.view(torch.int64))"
cross.lower("torch", f"torch.linalg.cross(*{_BITS}, dim={{axis:-1}}).view(torch.uint64)", dtypes=("uint64",))
cross.lower("numpy", "np.cross({x1}, {x2}, axis={axis:-1})").lower("jax", "jnp.cross({x1}, {x2}, axis={axis:-1})")

# -- parts of matrices ------------------------------------------------------------------------------------------------


def _diagonal_spec(x: Spec, *, offset: int) -> Spec:
    if x.ndim < 2:
        raise ShapeError(f"expected two axes or more, received {x}")
    rows, columns = x.shape[-2:]
    if isinstance(rows, Dim) or isinstance(columns, Dim):
        raise ShapeError(f"expected matrices of known size, received {x}")
    size = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    return x.with_shape(*x.shape[:-2], size)


@op(rule=_diagonal_spec, primitive=True)
def diagonal(x: Array, /, *, offset: int = 0) -> Array:
    """The elements on a diagonal of the last two axes: above the main one for a positive offset."""


diagonal.lower("torch", "{x}.diagonal({offset}, dim1=-2, dim2=-1)")
diagonal.lower(("numpy", "jax"), "{x}.diagonal({offset}, axis1=-2, axis2=-1)")
diagonal.lower("tensorflow", "support.diagonal({x}, {offset:0})")


@op
def trace(x: Array, /, *, offset: int = 0) -> Array:
    """The sum of a diagonal of the last two axes; int64 for integers."""
    return sum(diagonal(x, offset=offset), axis=-1)
