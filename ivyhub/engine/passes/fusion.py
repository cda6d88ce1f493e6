"""Formulas that a source wrote out, as the operations that they are.

Requires: nothing. Ensures: no gelu or silu is written out, and no attention has the scale that it has anyway.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .. import ops
from ..backends import is_floating
from ..graph import Node, Value
from ..op import OPS
from ..ops._spatial import spatial_axes
from ..spec import FULL, normalize_axes
from .rewriting import Replacement, Rewrites, Sweep, producer

FUSION = Rewrites()


def _sides(operand: Any, op: str) -> Iterator[tuple[Any, Any]]:
    """The operands of a commutative operation both ways round; nothing where another operation made the value."""
    made = producer(operand, op)
    if made is not None:
        first, second = made.args
        yield first, second
        yield second, first


def _is(operand: Any, number: float) -> bool:
    return isinstance(operand, int | float) and math.isclose(operand, number, rel_tol=1e-6)


def _halves(node: Node) -> Iterator[tuple[Value, Any]]:
    """x and y of a product x · ½ · y, however it is bracketed."""
    for left, right in _sides(node.output, "multiply"):
        for a, b in _sides(left, "multiply"):
            half, x, y = (a, b, right) if _is(a, 0.5) else (right, a, b)
            if _is(half, 0.5) and isinstance(x, Value):
                yield x, y
                if isinstance(y, Value):
                    yield y, x


@FUSION("multiply")
def gelu_by_tanh(node: Node, sweep: Sweep) -> Replacement:
    """x · 0.5 · (1 + tanh(√(2/π) · (x + 0.044715 · x³))), however it is bracketed. Source: arXiv:1606.08415."""
    for x, gate in _halves(node):
        curve = next((curve for curve, number in _sides(gate, "add") if _is(number, 1.0)), None)
        bent = producer(curve, "tanh")
        if bent is None:
            continue
        inner = next((y for y, n in _sides(bent.args[0], "multiply") if _is(n, math.sqrt(2 / math.pi))), None)
        for left, right in _sides(inner, "add"):
            cube = next((y for y, number in _sides(right, "multiply") if _is(number, 0.044715)), None)
            power = producer(cube, "pow")
            if left is x and power is not None and power.args[0] is x and _is(power.args[1], 3):
                return ops.gelu(x, approximate=True)
    return "it is no gelu"


@FUSION("multiply")
def gelu_by_erf(node: Node, sweep: Sweep) -> Replacement:
    """x · 0.5 · (1 + erf(x / √2)), however it is bracketed. Source: arXiv:1606.08415."""
    for x, gate in _halves(node):
        curve = next((curve for curve, number in _sides(gate, "add") if _is(number, 1.0)), None)
        bent = producer(curve, "erf")
        if not is_floating(x.dtype) or bent is None:
            continue
        divided = producer(bent.args[0], "divide")
        if divided is not None and divided.args[0] is x and _is(divided.args[1], math.sqrt(2)):
            return ops.gelu(x)
        if any(y is x and _is(n, math.sqrt(0.5)) for y, n in _sides(bent.args[0], "multiply")):
            return ops.gelu(x)
    return "it is no gelu"


@FUSION("multiply")
def silu_by_sigmoid(node: Node, sweep: Sweep) -> Replacement:
    """x · sigmoid(x). Source: arXiv:1702.03118."""
    for x, gate in _sides(node.output, "multiply"):
        curve = producer(gate, "sigmoid")
        if isinstance(x, Value) and is_floating(x.dtype) and curve is not None and curve.args[0] is x:
            return ops.silu(x)
    return "it is no silu"


@FUSION("divide")
def mean_by_sum(node: Node, sweep: Sweep) -> Replacement:
    """The sum along axes by the number of elements there."""
    kept = producer(node.args[0], "reshape")
    summed = producer(node.args[0] if kept is None else kept.args[0], "sum")
    if summed is None or node.output.dtype not in ("float32", "float64"):
        return "it is no sum, or one that a mean would take in a wider dtype"
    x, axis, keeps = summed.args[0], summed.attributes["axis"], summed.attributes["keepdims"]
    axes = normalize_axes(axis, x.ndim)
    sizes = [x.shape[each] for each in axes]
    if not all(isinstance(size, int) for size in sizes) or node.args[1] != math.prod(map(int, sizes)):
        return "it is divided by another number"
    if kept is not None:
        keeps = kept.output.shape == tuple(1 if place in axes else size for place, size in enumerate(x.shape))
    if kept is not None and not keeps:
        return "what is reshaped is no axes that were kept"
    return ops.mean(x, axis=axis, keepdims=keeps) if x.dtype == node.output.dtype else "the sum is of another dtype"


@FUSION("divide")
def mean_of_windows(node: Node, sweep: Sweep) -> Replacement:
    """The sum of each window by the number of its elements."""
    summed = producer(node.args[0], "avg_pool")
    if summed is None or summed.attributes["divisor"] != 1:
        return "it is no sum of windows"
    if not _is(node.args[1], math.prod(summed.attributes["kernel"])) or summed.attributes["ceil_mode"]:
        return "it is divided by another number"
    return ops.avg_pool(*summed.args, **{**summed.attributes, "divisor": None, "count_include_pad": True})


@FUSION("add")
def bias_of_convolution(node: Node, sweep: Sweep) -> Replacement:
    """A vector that is added along the channels of a convolution is its bias."""
    for op in ("conv", "conv_transpose"):
        for made, added in ((producer(a, op), b) for a, b in (node.args, node.args[::-1])):
            if made is None or made.args[2:] not in ((), (None,)) or not sweep.only_use(made.output):
                continue
            bias = _along_channels(added, made)
            cut = made.attributes["padding"] if op == "conv_transpose" else None
            added_zeros = any(side < 0 for pair in cut or () for side in pair)  # which frameworks add after the bias
            if bias is not None and not added_zeros:
                return OPS[op](*made.args[:2], bias, **made.attributes)
    return "it is no bias of a convolution"


def _along_channels(added: Any, made: Node) -> Value | None:
    """The vector that is added to each position, None for anything else."""
    shaped, ndim = producer(added, "reshape"), made.output.ndim
    axis = made.attributes["channel_axis"] % ndim
    vector = added if shaped is None else shaped.args[0]
    if not isinstance(vector, Value) or vector.shape != (made.output.shape[axis],) or vector.dtype != made.output.dtype:
        return None
    spread = (1,) * (ndim - added.ndim) + added.shape
    return vector if all(size == 1 or place == axis for place, size in enumerate(spread)) else None


@FUSION("getitem")
def cut_of_transposed_convolution(node: Node, sweep: Sweep) -> Replacement:
    """What is cut off the sides of a transposed convolution is its padding."""
    made = producer(node.args[0], "conv_transpose")
    if made is None or not sweep.only_use(made.output):
        return "its operand is no transposed convolution, or is read besides"
    axes = spatial_axes(made.output.ndim, made.attributes["channel_axis"])
    padding = list(made.attributes["padding"] or ((0, 0),) * len(axes))
    for axis, item in enumerate(node.attributes["key"]):
        if item == FULL:
            continue
        size = made.output.shape[axis]
        if axis not in axes or not isinstance(item, tuple) or item[2] not in (None, 1) or not isinstance(size, int):
            return "it is no cut along the axes of an image"
        if any(not isinstance(bound, int | None) for bound in item):
            return "its sides depend on a size"
        start, stop, _ = slice(*item).indices(size)
        if not start < stop:
            return "nothing is left"
        before, after = padding[axes.index(axis)]
        padding[axes.index(axis)] = (before + start, after + size - stop)
    return ops.conv_transpose(*made.args, **{**made.attributes, "padding": tuple(padding)})


@FUSION("attention")
def usual_scale(node: Node, sweep: Sweep) -> Replacement:
    """The scale 1 / √(features) is what attention takes where none is given."""
    features, scale = node.args[0].shape[-1], node.attributes["scale"]
    if scale is None or not isinstance(features, int) or not math.isclose(scale, features**-0.5, rel_tol=1e-12):
        return "its scale is its own"
    return ops.attention(*node.args, **{**node.attributes, "scale": None})
