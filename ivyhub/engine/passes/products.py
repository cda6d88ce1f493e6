"""Rewrites of matrix products: a product over the last axis needs no flattening, a transposed weight makes a linear.

Requires: nothing. Ensures: no matmul of an array flattened to a matrix whose result takes the leading axes back; no
matmul by a transposed parameter.
"""

from __future__ import annotations

from .. import ops
from ..graph import Node, Value
from .rewriting import Replacement, Rewrites, Sweep, producer

PRODUCTS = Rewrites()


@PRODUCTS("reshape")
def unflattened(node: Node, sweep: Sweep) -> Replacement:
    """reshape(reshape(x, (-1, k)) @ w + b, (..., m)) is reshape(x, (..., k)) @ w + b."""
    product, bias = node.args[0], None
    added = producer(product, "add")
    if added is not None:
        bias = next((arg for arg in added.args if isinstance(arg, Value) and arg.ndim == 1), None)
        product = next((arg for arg in added.args if producer(arg, "matmul")), None)
        if bias is None or product is None:
            return "it adds no bias to a product"
    made = producer(product, "matmul") or producer(product, "linear")
    if made is None or made.args[1].ndim != 2 or made.output.ndim != 2:
        return "its operand is no product with a matrix"
    flat = producer(made.args[0], "reshape")
    if flat is None:
        return "the product is not of a flattened array"
    shape = node.output.shape
    if shape[-1:] != made.output.shape[-1:]:
        return "the result has another last axis than the product"
    if not sweep.only_use(node.args[0]) or not sweep.only_use(made.output):
        return "the flat product is used elsewhere"
    source = ops.reshape(flat.args[0], shape=(*shape[:-1], flat.output.shape[-1]))
    if made.op == "linear":
        return ops.linear(source, *made.args[1:])
    result = ops.matmul(source, made.args[1])
    return result if bias is None else ops.add(result, bias)


@PRODUCTS("matmul")
def linear(node: Node, sweep: Sweep) -> Replacement:
    """x @ transpose(w) is linear(x, w), for a parameter w."""
    turned = producer(node.args[1], "transpose")
    if turned is None or turned.output.ndim != 2:
        return "its second operand is no transposed matrix"
    weight = turned.args[0]
    if producer(weight, "parameter") is None or node.args[0].ndim < 1:
        return "its second operand is no parameter"
    return ops.linear(node.args[0], weight)


@PRODUCTS("add")
def linear_with_bias(node: Node, sweep: Sweep) -> Replacement:
    """linear(x, w) + b is linear(x, w, b), for a parameter b."""
    for place in (0, 1):
        made, bias = producer(node.args[place], "linear"), node.args[1 - place]
        if made is None or made.args[2] is not None or producer(bias, "parameter") is None:
            continue
        if bias.shape == made.output.shape[-1:] and sweep.only_use(made.output):
            return ops.linear(made.args[0], made.args[1], bias)
    return "no operand is a product without bias beside a parameter of its length"
