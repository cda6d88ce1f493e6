"""Products of matrices and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

from ...errors import DTypeError, ShapeError
from ..dims import Size
from ..op import Array, op
from ..spec import Spec, broadcast_shapes, broadcast_specs, spec_of
from .shape import transpose


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
