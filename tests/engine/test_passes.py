"""Passes keep the values of a graph (NumPy runs it before and after) and leave exactly what they promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ivyhub.engine import ops
from ivyhub.engine.graph import Graph, Parameter, Value
from ivyhub.engine.passes import PASSES, channels_last, simplify
from ivyhub.engine.recording import RECORDER
from ivyhub.engine.spec import Spec
from ivyhub.engine.trace import Builder, trace
from tests.engine.evaluate import BATCH, LENGTH, keeps_values, operations


def simplified(function: Callable[..., Any], *specs: Spec, rng: np.random.Generator, exact: bool = True) -> Graph:
    graph = trace(function, *specs)
    keeps_values(graph, lambda g: simplify(g, check=True), rng, exact=exact)
    return graph


# -- shapes and arithmetic -------------------------------------------------------------------------------------------

X = Spec((BATCH, LENGTH, 4))


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: x + 0, []),
        (lambda x: 0 + x - 0, []),
        (lambda x: x * 1.0 / 1, []),
        (lambda x: ops.negative(-x), []),
        (lambda x: ops.astype(x, dtype="float32"), []),
        (lambda x: ops.astype(ops.astype(x, dtype="float64"), dtype="float32"), []),
        (lambda x: ops.astype(ops.astype(x, dtype="float16"), dtype="float32"), ["astype", "astype"]),
        (lambda x: ops.reshape(ops.reshape(x, shape=(BATCH * LENGTH, 4)), shape=(BATCH, LENGTH, 4)), []),
        (lambda x: ops.reshape(ops.reshape(x, shape=(BATCH * LENGTH * 4,)), shape=(BATCH, LENGTH, 2, 2)), ["reshape"]),
        (lambda x: ops.transpose(ops.transpose(x, axes=(2, 0, 1)), axes=(1, 2, 0)), []),
        (lambda x: ops.transpose(ops.transpose(x, axes=(1, 0, 2)), axes=(0, 2, 1)), ["transpose"]),
        (lambda x: ops.reshape(ops.transpose(x[:, None], axes=(0, 2, 1, 3)), shape=(BATCH, LENGTH, 4)), []),
        (lambda x: x[..., 1:][..., 2:], ["getitem"]),
        (lambda x: x[..., 1:4][..., 1:2], ["getitem"]),
        (lambda x: x[..., 1:3][..., -1], ["getitem", "getitem"]),
        (lambda x: x[:, None][:, 0], []),
        (lambda x: x[1:, 0][0, 2], ["getitem"]),
        (lambda x: x[:, :, :], []),
        (lambda x: ops.broadcast_to(x[:, :, :1], shape=(BATCH, LENGTH, 4)) + x, ["getitem", "add"]),
        (lambda x: ops.broadcast_to(x[:, :, :1], shape=(BATCH, LENGTH, 4))[:, 0], ["getitem", "broadcast_to"]),
        (lambda x: ops.concat([x], axis=0), []),
        (lambda x: x * ops.full(shape=(), fill_value=0.5), ["multiply"]),
        (lambda x: x * ops.broadcast_to(ops.full(shape=(), fill_value=0.5), shape=(BATCH, LENGTH, 4)), ["multiply"]),
        (lambda x: x * (np.float32(2) + ops.full(shape=(), fill_value=0.5)), None),
        (lambda x: x + np.arange(4, dtype=np.float32) * np.arange(4, dtype=np.float32), ["constant", "add"]),
        (lambda x: ops.where(ops.full(shape=(), fill_value=True, dtype="bool"), x, 0), []),
        (lambda x: ops.where(x > 0, x, x), []),
        (lambda x: ops.exp(x) + ops.exp(x), ["exp", "add"]),
        (lambda x: (ops.exp(x), ops.sin(x))[0], ["exp"]),
    ],
)
def test_simplify(function, left, rng):
    graph = simplified(function, X, rng=rng)
    if left is not None:
        assert operations(graph) == left


# -- masks -----------------------------------------------------------------------------------------------------------

HEADS = Spec((BATCH, 3, LENGTH, 4))


def positions() -> tuple[Value, Value]:
    """Query and key positions as transformers makes them."""
    query, key = ops.arange(stop=LENGTH) + 0, ops.arange(stop=LENGTH) + 0
    return query[None][:, None][:, :, :, None], key[None][:, None][:, :, None]


def yes() -> Value:
    return ops.full(shape=(), fill_value=True, dtype="bool")


def test_padding_mask_comes_down_to_the_mask_itself(rng):
    """transformers 5, masking_utils: bidirectional mask of BERT, as torch.export gives it."""

    def model(q, k, v, attention_mask):
        padding = ops.astype(attention_mask, dtype="bool")
        batch = ops.arange(stop=BATCH)[:, None][:, :, None][:, :, :, None]
        query, key = positions()
        mask = ops.logical_and(yes(), query >= 0)
        mask = ops.logical_and(mask, ops.index(padding, [batch, key[:, :, :, :]]))
        return ops.attention(q, k, v, ops.broadcast_to(mask, shape=(BATCH, 1, LENGTH, LENGTH)))

    graph = simplified(model, HEADS, HEADS, HEADS, Spec((BATCH, LENGTH), "int64"), rng=rng)
    assert operations(graph) == ["astype", "getitem", "attention"]
    astype, getitem, attention = graph.nodes
    assert astype.args == (graph.inputs["attention_mask"],)
    assert getitem.attributes["key"] == ((None, None, None), None, None)
    assert attention.args[3] is getitem.output


def test_causal_mask_becomes_causal_attention(rng):
    def model(q, k, v):
        query, key = positions()
        mask = ops.logical_and(yes(), key <= query)
        return ops.attention(q, k, v, ops.broadcast_to(mask, shape=(BATCH, 1, LENGTH, LENGTH)))

    graph = simplified(model, HEADS, HEADS, HEADS, rng=rng)
    assert operations(graph) == ["attention"]
    assert graph.nodes[0].attributes["causal"] is True


@pytest.mark.parametrize(
    "mask",
    [
        lambda query, key: key < query,
        lambda query, key: key <= query + 1,
        lambda query, key: query <= key,
        lambda query, key: key + key <= query,
        lambda query, key: ops.logical_and(key <= query, query - 2 < key),
    ],
)
def test_other_masks_stay_masks(mask, rng):
    graph = simplified(lambda q, k, v: ops.attention(q, k, v, mask(*positions())), HEADS, HEADS, HEADS, rng=rng)
    assert graph.nodes[-1].attributes["causal"] is False
    assert graph.nodes[-1].args[3] is not None


def test_packed_sequences_are_none_where_positions_run_on(rng):
    """transformers 5, find_packed_sequence_indices: a causal mask in GPT-2 without an attention mask."""

    def model(q, k, v):
        position = ops.broadcast_to(ops.arange(stop=LENGTH)[None], shape=(BATCH, LENGTH))
        before = position[:, :1] - 1
        joined = ops.concat([before, position], axis=-1)
        packed = ops.cumulative_sum(ops.not_equal(joined[:, 1:] - joined[:, :-1], 1), axis=-1)
        same = ops.equal(packed[:, None, :, None], packed[:, None, None])
        query, key = positions()
        query = ops.broadcast_to(query, shape=(BATCH, 1, LENGTH, 1))
        return ops.attention(q, k, v, ops.logical_and(same, key <= query))

    graph = simplified(model, HEADS, HEADS, HEADS, rng=rng)
    assert operations(graph) == ["attention"]
    assert graph.nodes[0].attributes["causal"] is True


def test_added_mask_is_a_mask(rng):
    graph = simplified(
        lambda q, k, v, m: ops.attention(q, k, v, ops.where(m[:, None, None], zero(), -float("inf"))),
        *(HEADS, HEADS, HEADS, Spec((BATCH, LENGTH), "bool")),
        rng=rng,
    )
    assert operations(graph) == ["getitem", "attention"]


@pytest.mark.parametrize(
    ("table", "left"),
    [
        (np.arange(9)[None], ["getitem"]),
        (np.arange(3, 21, 2, dtype=np.int32)[None], ["arange", "getitem", "take"]),
        (np.arange(9)[None] // 2, ["constant", "take"]),
    ],
)
def test_table_of_positions_is_a_range(table, left, rng):
    """The position_ids of BERT, cut to the length of the input."""

    def model(x, weight):
        return x, ops.take(weight, constant(table)[:, 1:4], axis=0)

    graph = simplified(model, X, Spec((21, 2)), rng=rng)
    assert operations(graph) == left


def zero() -> Value:
    return ops.full(shape=(), fill_value=0.0)


def constant(array: np.ndarray) -> Value:
    return RECORDER.get().constant(array)


def test_causal_mask_with_padding_stays_a_mask(rng):
    def model(q, k, v, attention_mask):
        query, key = positions()
        batch = ops.arange(stop=BATCH)[:, None][:, :, None][:, :, :, None]
        padding = ops.index(ops.astype(attention_mask, dtype="bool"), [batch, key])
        return ops.attention(q, k, v, ops.logical_and(key <= query, padding))

    graph = simplified(model, HEADS, HEADS, HEADS, Spec((BATCH, LENGTH), "int64"), rng=rng)
    assert Counter(operations(graph)) == Counter(
        ["astype", "arange", "getitem", "getitem", "getitem", "less_equal", "logical_and", "attention"]
    )


def number(value: Any) -> Value:
    return ops.full(shape=(), fill_value=value, dtype="int64")


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        (lambda i: i >= 0, True),
        (lambda i: i < 0, False),
        (lambda i: i + 1 > 0, True),
        (lambda i: i < number(LENGTH), True),
        (lambda i: i - number(LENGTH) >= 0, False),
        (lambda i: ops.equal(i, -1), False),
        (lambda i: ops.not_equal(i * 2 + 1, -1), True),
        (lambda i: ops.equal(i, i), True),
        (lambda i: i > 0, None),
        (lambda i: 2 * i < number(LENGTH), None),
        (lambda i: i * i >= 0, None),
    ],
)
def test_comparisons_of_positions(comparison, expected, rng):
    def model(x):
        i = ops.arange(stop=LENGTH)
        if expected is None:
            return ops.where(comparison(i)[None, :, None], x, 0)
        return ops.where(comparison(i)[None, :, None], x, x * 3)

    left = operations(simplified(model, X, rng=rng))
    assert left == {True: [], False: ["multiply"]}.get(expected, left)
    assert ("where" in left) == (expected is None)


def test_ranges_of_symbols_bound_positions(rng):
    graph = trace(lambda x: ops.where((ops.arange(stop=LENGTH) < 512)[:, None], x, 0), Spec((LENGTH, 2)))
    graph.symbols["length"] = (1, 512)
    assert keeps_values(graph, simplify, rng) == []


@pytest.mark.parametrize(
    ("gather", "left"),
    [
        (lambda x: ops.index(x, [ops.arange(stop=BATCH)[:, None], ops.arange(stop=LENGTH)[None]]), []),
        (lambda x: ops.index(x, [ops.arange(stop=BATCH)]), []),
        (lambda x: ops.index(x, [None, None, ops.arange(start=1, stop=3)]), ["getitem"]),
        (lambda x: ops.index(x, [None, ops.arange(start=1, stop=3)]), ["arange", "index"]),
        (lambda x: ops.index(x, [ops.arange(stop=LENGTH - 1)[None], None, ops.arange(stop=4)[:, None]]), None),
        (lambda x: ops.index(x, [ops.arange(stop=BATCH)[None], ops.arange(stop=LENGTH)[:, None]]), ["transpose"]),
        (lambda x: ops.index(x, [ops.arange(stop=BATCH), number(1)]), ["getitem"]),
        (lambda x: ops.take(x, ops.arange(stop=3) + 1, axis=2), ["getitem"]),
        (lambda x: ops.take(x, ops.arange(stop=4) - 1, axis=2), None),
        (lambda x: ops.index(x, [ops.arange(stop=2), ops.arange(stop=2)]), None),
        (lambda x: ops.index(x, [None, ops.arange(stop=2), ops.arange(stop=2)]), None),
        (lambda x: ops.take(x, ops.take(ops.arange(stop=9), ops.arange(stop=2) + 1, axis=0), axis=2), ["getitem"]),
    ],
)
def test_gathers_of_ranges_are_slices(gather, left, rng):
    if left is None:
        x = Spec((LENGTH, LENGTH, 4))
        graph = simplified(gather, x, rng=rng)
    else:
        graph = simplified(gather, X, rng=rng)
        assert operations(graph) == left


# -- products --------------------------------------------------------------------------------------------------------


def with_parameters(function: Callable[..., Any], *specs: Spec, **parameters: Sequence[int]) -> Graph:
    builder = Builder()
    root = builder.graph.modules[""]
    root.parameters = {name: Parameter(Spec(tuple(shape))) for name, shape in parameters.items()}
    values = [builder.input(f"x{i}", spec) for i, spec in enumerate(specs)]
    with builder.recording():
        return builder.finish(function(*values, *(builder.parameter(name) for name in parameters)))


def test_flattened_product_is_a_product_over_the_last_axis(rng):
    """The Conv1D of transformers' GPT-2: addmm of a view."""

    def model(x, weight, bias):
        flat = ops.reshape(x, shape=(BATCH * LENGTH, 4))
        return ops.reshape(ops.matmul(flat, weight) + bias, shape=(BATCH, LENGTH, 6))

    graph = with_parameters(model, X, weight=(4, 6), bias=(6,))
    assert keeps_values(graph, simplify, rng, exact=False) == ["parameter", "parameter", "matmul", "add"]


def test_flattened_product_of_more_axes(rng):
    def model(x, weight):
        return ops.reshape(ops.matmul(ops.reshape(x, shape=(BATCH * LENGTH, 4)), weight), shape=(BATCH, LENGTH, 6))

    graph = with_parameters(model, Spec((BATCH, LENGTH, 2, 2)), weight=(4, 6))
    assert keeps_values(graph, simplify, rng, exact=False) == ["parameter", "reshape", "matmul"]


def test_product_with_a_transposed_parameter_is_linear(rng):
    def model(x, weight, bias):
        return ops.matmul(x, ops.transpose(weight, axes=(1, 0))) + bias

    graph = with_parameters(model, X, weight=(6, 4), bias=(6,))
    assert keeps_values(graph, simplify, rng, exact=False) == ["parameter", "parameter", "linear"]


# -- any graph -------------------------------------------------------------------------------------------------------

STEPS: tuple[Callable[[Any], Any], ...] = (
    lambda x: x + 0,
    lambda x: x * 2.0,
    lambda x: x + x,
    ops.relu,
    lambda x: ops.transpose(x, axes=tuple(range(x.ndim))[::-1]),
    lambda x: ops.transpose(x, axes=(*range(1, x.ndim), 0)),
    lambda x: ops.reshape(x, shape=(x.spec.size,)),
    lambda x: ops.reshape(x, shape=(*x.shape, 1)),
    lambda x: x[None],
    lambda x: x[..., None],
    lambda x: x[:1],
    lambda x: x[..., 0],
    lambda x: ops.broadcast_to(x, shape=(2, *x.shape)),
    lambda x: ops.broadcast_to(x[:1], shape=x.shape),
    lambda x: ops.where(x > 0, x, 0.0),
    lambda x: ops.astype(ops.astype(x, dtype="float64"), dtype="float32"),
    lambda x: ops.concat([x, x], axis=0),
    lambda x: ops.take(x, ops.arange(stop=x.shape[0]), axis=0),
    lambda x: ops.index(x, [ops.arange(stop=x.shape[0])]),
    lambda x: ops.where((ops.arange(stop=x.shape[-1]) >= 0), x, 1.0),
    lambda x: ops.sum(x, axis=-1, keepdims=True),
    lambda x: ops.softmax(x, axis=0),
    lambda x: x * ops.full(shape=(1,), fill_value=1.0),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(range(len(STEPS))), max_size=10))
def test_random_graphs_keep_their_values(rng, steps):
    def model(x):
        kept = x
        for step in steps:
            if x.ndim and x.ndim < 6:
                kept, x = x, STEPS[step](x)
        return x, kept

    graph = trace(model, Spec((2, LENGTH, 3)))
    keeps_values(graph, lambda g: (simplify(g, check=True), channels_last(g)), rng, exact=False)
    assert not any(PASSES[name](graph) for name in ("rewrites", "common", "dead"))
