"""Products of matrices and tensors."""

from __future__ import annotations

from collections.abc import Sequence

from .....engine import ops
from .common import RULES, Array
from .shape import unsqueeze


@RULES("aten.mm.default", "aten.bmm.default", "aten.matmul.default", "aten.mv.default", "aten.dot.default")
def matmul(x: Array, y: Array) -> Array:
    return ops.matmul(x, y)


@RULES("aten.linear.default")
def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    return ops.linear(x, weight, bias)


def _scaled(x: Array, factor: float) -> Array:
    return x if factor == 1 else x * factor


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
