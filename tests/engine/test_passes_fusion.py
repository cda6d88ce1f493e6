"""Formulas that a source wrote out come down to the operation that they are, and keep their values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ivyhub.engine import ops
from ivyhub.engine.graph import Graph
from ivyhub.engine.passes import simplify
from ivyhub.engine.passes.difference import differences
from ivyhub.engine.spec import Spec
from ivyhub.engine.trace import trace
from tests.engine.evaluate import BATCH, keeps_values, operations

X = Spec((BATCH, 4, 4, 2))
EITHER = {"kernel": (2, 2), "strides": (2, 2), "channel_axis": -1}


def wrapped(places: Any, size: int) -> Any:
    return ops.where(places < 0, places + size, places)


CASES: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "silu": (lambda x: x * ops.sigmoid(x), ["silu"]),
    "silu of another": (lambda x: ops.sigmoid(x) * ops.exp(x), ["sigmoid", "exp", "multiply"]),
    "gelu": (lambda x: 0.5 * x * (1 + ops.erf(x / math.sqrt(2))), ["gelu"]),
    "gelu bracketed": (lambda x: 0.5 * x * (ops.erf(x * math.sqrt(0.5)) + 1.0), ["gelu"]),
    "gelu bracketed otherwise": (lambda x: x * (0.5 * (1 + ops.erf(x * math.sqrt(0.5)))), ["gelu"]),
    "gelu halved last": (lambda x: x * (1 + ops.erf(x * math.sqrt(0.5))) * 0.5, ["gelu"]),
    "mean": (lambda x: ops.sum(x, axis=(1, -1)) / 8, ["mean"]),
    "mean of kept axes": (lambda x: ops.reshape(ops.sum(x, axis=1), shape=(BATCH, 1, 4, 2)) / 4, ["mean"]),
    "mean of other axes": (
        lambda x: ops.reshape(ops.sum(x, axis=1), shape=(1, BATCH, 4, 2)) / 4,
        ["sum", "reshape", "divide"],
    ),
    "sum": (lambda x: ops.sum(x, axis=1) / 3, ["sum", "divide"]),
    "mean of windows": (lambda x: ops.avg_pool(x, **EITHER, divisor=1) / 4, ["avg_pool"]),
    "sum of windows": (lambda x: ops.avg_pool(x, **EITHER, divisor=1) / 3, ["avg_pool", "divide"]),
    "flipped twice": (lambda x: ops.flip(ops.flip(x, axis=(1, -1)), axis=(3, 1)), []),
    "flipped otherwise": (lambda x: ops.flip(ops.flip(x, axis=1), axis=2), ["flip", "flip"]),
    "tile of ones": (lambda x: ops.tile(x[:, :1], repetitions=(1, 3, 1, 1)), ["getitem", "broadcast_to"]),
    "tile": (lambda x: ops.tile(x, repetitions=(1, 3, 1, 1)), ["tile"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_formula_is_its_operation(name: str, rng: np.random.Generator) -> None:
    function, left = CASES[name]
    graph = trace(function, X)
    keeps_values(graph, lambda g: simplify(g, check=True), rng, exact=False)
    assert operations(graph) == left


@pytest.mark.parametrize("read", [ops.take, lambda x, i, axis: ops.index(x, (*(None,) * axis, i))])
def test_places_that_were_counted_from_the_start_count_from_either_end(read: Any, rng: np.random.Generator) -> None:
    def function(x: Any, y: Any) -> Any:
        places = ops.astype(y, dtype="int32")
        return read(x, wrapped(places, 4), axis=1)

    graph = trace(function, X, Spec((5,), "int32"))
    before = trace(lambda x, y: ops.index(x, (None, ops.astype(y, dtype="int32"))), X, Spec((5,), "int32"))
    assert differences(graph, before) == []


def test_another_size_is_no_wrap() -> None:
    graph = trace(lambda x, y: ops.take(x, wrapped(y, 3), axis=1), X, Spec((5,), "int32"))
    assert "where" in operations(simplify(graph))


@pytest.mark.parametrize("op", ["conv", "conv_transpose"])
@pytest.mark.parametrize("shape", [(3,), (1, 1, 1, 3)])
def test_what_is_added_along_channels_is_a_bias(op: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    kernel = Spec((3, 2, 2, 2) if op == "conv" else (2, 3, 2, 2))

    def function(x: Any, w: Any, b: Any) -> Any:
        y = getattr(ops, op)(x, w, strides=(1, 1), channel_axis=-1)
        return y + ops.reshape(b, shape=shape)

    graph = trace(function, X, kernel, Spec((3,)))
    keeps_values(graph, lambda g: simplify(g, check=True), rng, exact=False)
    assert operations(graph) == [op]


def test_graphs_differ_where_their_formulas_do() -> None:
    def made(result: Callable[[Any], Any]) -> Graph:
        return trace(lambda x: result(x), Spec(("n", 3)))

    graph = made(lambda x: {"y": ops.exp(x) * 2.0, "z": ops.sum(x, axis=-1)})
    assert differences(graph, made(lambda x: {"y": 2 * ops.exp(x), "z": ops.sum(x, axis=1)})) == []
    swapped = made(lambda x: {"y": ops.sum(x, axis=1), "z": ops.exp(x) * 2.0})
    assert differences(graph, swapped) == ["the outputs are not the same"]
    found = differences(graph, made(lambda x: {"y": ops.exp(x) * 3.0, "z": ops.sum(x, axis=-1)}))
    assert [line.partition(":")[0] for line in found] == [
        "only the first has multiply",
        "only the second has multiply",
    ]


def test_integers_may_count_without_their_widths() -> None:
    wide, narrow = (trace(lambda x: x + 1, Spec(("n",), dtype)) for dtype in ("int64", "int32"))
    assert differences(wide, narrow)
    assert differences(wide, narrow, widths=False) == []
