"""Formulas that a source wrote out, as the operations that they are.

Requires: nothing. Ensures: no gelu written with tanh, and no attention with the scale that it has anyway.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .. import ops
from ..graph import Node, Value
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


@FUSION("multiply")
def gelu_by_tanh(node: Node, sweep: Sweep) -> Replacement:
    """x · 0.5 · (1 + tanh(√(2/π) · (x + 0.044715 · x³))), however it is bracketed. Source: arXiv:1606.08415."""
    for half, gate in _sides(node.output, "multiply"):
        x = next((x for x, number in _sides(half, "multiply") if _is(number, 0.5)), None)
        curve = next((curve for curve, number in _sides(gate, "add") if _is(number, 1.0)), None)
        bent = producer(curve, "tanh")
        if not isinstance(x, Value) or bent is None:
            continue
        inner = next((y for y, n in _sides(bent.args[0], "multiply") if _is(n, math.sqrt(2 / math.pi))), None)
        for left, right in _sides(inner, "add"):
            cube = next((y for y, number in _sides(right, "multiply") if _is(number, 0.044715)), None)
            power = producer(cube, "pow")
            if left is x and power is not None and power.args[0] is x and _is(power.args[1], 3):
                return ops.gelu(x, approximate=True)
    return "it is no gelu"


@FUSION("attention")
def usual_scale(node: Node, sweep: Sweep) -> Replacement:
    """The scale 1 / √(features) is what attention takes where none is given."""
    features, scale = node.args[0].shape[-1], node.attributes["scale"]
    if scale is None or not isinstance(features, int) or not math.isclose(scale, features**-0.5, rel_tol=1e-12):
        return "its scale is its own"
    return ops.attention(*node.args, **{**node.attributes, "scale": None})
