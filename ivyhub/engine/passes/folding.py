"""Rewrites of arithmetic that is known beforehand.

Requires: nothing. Ensures: no pure operation has only constants as operands when its result is as small as they are;
no x + 0, x - 0, x · 1, x / 1, x ** 1 and no double negation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import IvyhubError
from .. import ops
from ..dims import Dim
from ..graph import Node, Value, tree_leaves, tree_map
from ..op import OPS
from ..spec import Spec
from .facts import POINTWISE, uniform
from .rewriting import Replacement, Rewrites, Sweep, producer

FOLDING = Rewrites()

_NEUTRAL: dict[str, tuple[Any, tuple[int, ...]]] = {
    "add": (0, (0, 1)),
    "subtract": (0, (1,)),
    "multiply": (1, (0, 1)),
    "divide": (1, (1,)),
    "floor_divide": (1, (1,)),
    "pow": (1, (1,)),
    "maximum": (-math.inf, (0, 1)),
    "minimum": (math.inf, (0, 1)),
}
"""The number that leaves the other operand as it is, and where it may stand."""


@FOLDING(*_NEUTRAL)
def neutral(node: Node, sweep: Sweep) -> Replacement:
    """x + 0, x · 1 and their like are x."""
    number, places = _NEUTRAL[node.op]
    if node.op == "floor_divide" and "float" in node.output.dtype:
        return "the other operand loses its fraction"
    for place in places:
        found = uniform(node.args[place], sweep)
        other = node.args[1 - place]
        if found == number and not isinstance(found, bool) and isinstance(other, Value):
            return ops.broadcast_to(other, shape=node.output.shape)
    return f"no operand is {number}"


@FOLDING("negative", "logical_not", "bitwise_invert")
def undone(node: Node, sweep: Sweep) -> Replacement:
    """-(-x) and not not x are x."""
    inner = producer(node.args[0], node.op)
    return "its operand is not of its kind" if inner is None else inner.args[0]


@FOLDING("stop_gradient")
def still(node: Node, sweep: Sweep) -> Replacement:
    """A constant has no gradient to stop."""
    return node.args[0] if producer(node.args[0], "constant") is not None else "its operand is no constant"


@FOLDING(*POINTWISE, "reshape", "transpose", "getitem", "concat", "stack", "flip", "take", "sum", "max", "min")
def constants(node: Node, sweep: Sweep) -> Replacement:
    """What has only constants as operands is computed by numpy, when the result is no larger than they are."""
    arrays: dict[Value, np.ndarray] = {}
    for value in node.operands:
        constant = producer(value, "constant")
        if constant is None:
            return "an operand is no constant"
        arrays[value] = sweep.graph.constants[constant.attributes["name"]]
    if not arrays:
        return "it has no operands"
    if any(isinstance(leaf, Dim) for _, leaf in tree_leaves(node.attributes)):
        return "a size of it is symbolic"
    known = sum(arrays[value].nbytes for value in node.operands)
    args = tree_map(lambda leaf: arrays[leaf] if isinstance(leaf, Value) else leaf, node.args)
    try:
        with np.errstate(all="ignore"):
            result = OPS[node.op](*args, **node.attributes)
    except (IvyhubError, TypeError, ValueError, IndexError) as error:
        return f"numpy cannot compute it: {error}"
    if isinstance(result, tuple):
        return "it has several results"
    result = np.asarray(result)
    if result.nbytes > known or Spec(result.shape, result.dtype.name) != node.output.spec:
        return "the result is larger than its operands, or of another dtype in numpy"
    return sweep.constant(result)
