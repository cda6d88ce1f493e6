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
from ivyhub.engine.dims import Dim
from ivyhub.engine.graph import Call, Graph, ModuleInfo, Parameter, Scope, Value, verify
from ivyhub.engine.op import RECORDER
from ivyhub.engine.passes import PASSES, channels_last, heads_third, legalise, own_dropouts, run, simplify
from ivyhub.engine.spec import Spec
from ivyhub.engine.stateful.layers import LAYERS
from ivyhub.engine.trace import Builder, trace
from ivyhub.errors import GraphError, NoLoweringError
from tests.engine.evaluate import evaluate, random_parameters

BATCH, LENGTH = Dim.symbol("batch"), Dim.symbol("length")
SIZES = {"batch": 2, "length": 5}


def operations(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def random_array(spec: Spec, rng: np.random.Generator) -> np.ndarray:
    shape = [size.evaluate(SIZES) if isinstance(size, Dim) else size for size in spec.shape]
    if spec.dtype == "bool" or spec.dtype.startswith("int"):
        return rng.integers(0, 2, shape).astype(spec.dtype)
    return rng.normal(size=shape).astype(spec.dtype)


def keeps_values(
    graph: Graph, change: Callable[[Graph], Any], rng: np.random.Generator, *, exact: bool = True
) -> list[str]:
    """Apply a pass and compare; returns the operations that are left."""
    verify(graph)
    inputs = {name: random_array(value.spec, rng) for name, value in graph.inputs.items()}
    parameters = random_parameters(graph, rng)
    before = evaluate(graph, inputs, parameters)
    change(graph)
    verify(graph)
    after = evaluate(graph, inputs, parameters)
    for expected, found in zip(before, after, strict=True):
        if exact:
            np.testing.assert_array_equal(found, expected)
        else:  # another order of summation in float32
            np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
    return operations(graph)


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


# -- calls -----------------------------------------------------------------------------------------------------------


class Net:
    """A graph of leaf layers and composite modules, built by hand."""

    def __init__(self, **inputs: Spec) -> None:
        self.builder = Builder()
        self.graph = self.builder.graph
        self.values = [self.builder.input(name, spec) for name, spec in inputs.items()]

    def module(self, path: str, layer: str | None = None, **config: Any) -> str:
        info = ModuleInfo(path, layer or "Block", layer, config)
        if layer is not None:
            made = LAYERS[layer](**config)
            info.parameters = {name: Parameter(Spec(tuple(shape))) for name, shape in made.parameters().items()}
            for name, (shape, dtype) in made.buffers().items():
                info.parameters[name] = Parameter(Spec(tuple(shape), dtype), trainable=False)
        self.graph.modules[path] = info
        return path

    def enter(self, path: str) -> Any:
        self.graph.calls.append(Call(path, self.builder.scope.call))
        return self.builder.recording(Scope(len(self.graph.calls) - 1))


def residual_network(blocks: int) -> Graph:
    """A small ResNet: strided stem, max pooling, residual blocks, global pooling."""
    net = Net(pixels=Spec((BATCH, 3, 17, 17)))
    square = {"kernel_size": (3, 3), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "use_bias": False}
    net.module("stem")
    net.module("stem.conv", "Conv", in_channels=3, out_channels=8, strides=(2, 2), **square)
    net.module("stem.norm", "BatchNorm", num_features=8)
    for i in range(blocks):
        net.module(f"block{i}")
        net.module(f"block{i}.conv", "Conv", in_channels=8, out_channels=8, strides=(1, 1), **square)
        net.module(f"block{i}.norm", "BatchNorm", num_features=8)
        net.module(f"block{i}.drop", "Dropout", rate=0.1)
    (x,) = net.values
    with net.builder.recording():
        with net.enter("stem"):
            x = ops.relu(net.builder.call("stem.norm", (net.builder.call("stem.conv", (x,)),)))
        x = ops.max_pool(x, kernel=(3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for i in range(blocks):
            with net.enter(f"block{i}"):
                y = net.builder.call(f"block{i}.norm", (net.builder.call(f"block{i}.conv", (x,)),))
                scale = ops.sigmoid(ops.mean(y, axis=(2, 3), keepdims=True))
                y = net.builder.call(f"block{i}.drop", (y * scale,))
                x = ops.relu(x + y)
        pooled = ops.adaptive_avg_pool(x, size=(1, 1))
        return net.builder.finish((x, pooled, ops.reshape(pooled, shape=(BATCH, 8))))


def test_channels_last_leaves_one_transpose_at_entry_and_one_at_exit(rng):
    graph = residual_network(3)
    keeps_values(graph, lambda g: (channels_last(g), simplify(g, check=True)), rng, exact=False)
    turns = [node for node in graph.nodes if node.op == "transpose"]
    assert [turn.scope.call for turn in turns] == [0, 0]
    assert turns[0].args[0] is graph.inputs["pixels"]
    assert turns[0] is graph.nodes[0]
    assert turns[1] is graph.nodes[-1]
    assert {m.config["channel_axis"] for m in graph.modules.values() if m.layer in ("Conv", "BatchNorm")} == {-1}
    blocks = [[n.op for n in graph.nodes if graph.calls[n.scope.call].module == f"block{i}"] for i in range(3)]
    assert blocks[0] == blocks[1] == blocks[2]


def test_channels_last_inputs_on_request(rng):
    graph = residual_network(1)
    pixels = random_array(graph.inputs["pixels"].spec, rng)
    parameters = random_parameters(graph, rng)
    expected = evaluate(graph, {"pixels": pixels}, parameters)
    channels_last(graph, inputs=["pixels"])
    verify(graph)
    assert graph.inputs["pixels"].shape == (BATCH, 17, 17, 3)
    found = evaluate(graph, {"pixels": pixels.transpose(0, 2, 3, 1)}, parameters)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)  # another order of summation
    assert operations(graph).count("transpose") == 1


def test_patches_need_no_transpose_with_channels_last(rng):
    """ViT: a convolution, flattened and transposed to (batch, patches, channels)."""
    net = Net(pixels=Spec((BATCH, 3, 8, 8)))
    stride = {"kernel_size": (4, 4), "strides": (4, 4), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    net.module("conv", "Conv", in_channels=3, out_channels=5, **stride)
    with net.builder.recording():
        x = ops.reshape(net.builder.call("conv", (net.values[0],)), shape=(BATCH, 5, 4))
        graph = net.builder.finish(ops.transpose(x, axes=(0, 2, 1)))
    left = keeps_values(graph, lambda g: channels_last(g, inputs=()), rng, exact=False)
    assert left == ["transpose", "call", "reshape"]


def test_flatten_keeps_the_order_of_its_source(rng):
    graph = trace(
        lambda x: ops.reshape(ops.max_pool(x, kernel=(2, 2), strides=(2, 2)), shape=(BATCH, 12)), Spec((BATCH, 3, 4, 4))
    )
    assert keeps_values(graph, channels_last, rng) == ["transpose", "max_pool", "transpose", "reshape"]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.concat([x, ops.relu(x)], axis=1),
        lambda x: ops.pad(x, padding=((0, 0), (1, 0), (2, 1), (0, 3)), value=1.0),
        lambda x: x[:, 1:, :, ::2],
        lambda x: ops.softmax(x, axis=1),
        lambda x: ops.split(x, sizes=(1, 2), axis=1)[1],
        lambda x: ops.sum(x, axis=(0, 2)),
        lambda x: ops.max(x, axis=1, keepdims=True),
        lambda x: ops.mean(x),
        lambda x: x * x[:, :1, :1],
        lambda x: x + np.arange(3, dtype=np.float32).reshape(3, 1, 1),
        lambda x: ops.where(x > 0, x, 0.5),
        lambda x: ops.flip(x, axis=1),
        lambda x: x[:, 0],
        lambda x: ops.reshape(x, shape=(BATCH, 3, 4, 2, 2)),
    ],
)
def test_transposes_sink_through(function, rng):
    graph = trace(lambda x: function(ops.max_pool(x, kernel=(1, 1), strides=(1, 1))), Spec((BATCH, 3, 4, 4)))
    keeps_values(graph, channels_last, rng, exact=False)


def test_heads_third_attention_needs_no_transposes(rng):
    def split_heads(x):
        return ops.transpose(ops.reshape(x, shape=(BATCH, LENGTH, 2, 4)), axes=(0, 2, 1, 3))

    def model(q, k, v, mask):
        y = ops.attention(split_heads(q), split_heads(k), split_heads(v), mask[:, None, None])
        return ops.reshape(ops.transpose(y, axes=(0, 2, 1, 3)), shape=(BATCH, LENGTH, 8))

    wide = Spec((BATCH, LENGTH, 8))
    graph = trace(model, wide, wide, wide, Spec((BATCH, LENGTH), "bool"))
    left = keeps_values(graph, heads_third, rng)
    assert left == ["reshape", "reshape", "reshape", "getitem", "attention", "reshape"]
    assert graph.nodes[4].attributes["layout"] == "BTNH"


# -- whole graphs ----------------------------------------------------------------------------------------------------


def test_common_stays_within_a_call():
    net = Net(x=X)
    net.module("a")
    net.module("b")
    with net.builder.recording():
        parts = []
        for path in ("a", "b"):
            with net.enter(path):
                parts += [ops.exp(net.values[0]), ops.exp(net.values[0])]
        graph = net.builder.finish(parts[0] + parts[1] + parts[2] + parts[3])
    simplify(graph, check=True)
    assert operations(graph) == ["exp", "exp", "add", "add", "add"]


def test_dropout_is_never_common():
    graph = trace(lambda x: ops.dropout(x, rate=0.5) + ops.dropout(x, rate=0.5), X)
    simplify(graph, check=True)
    assert operations(graph) == ["dropout", "dropout", "add"]


def test_dead_values_leave_the_records_of_calls():
    net = Net(x=X)
    net.module("a")
    with net.builder.recording():
        with net.enter("a"):
            y = ops.exp(net.values[0])
            net.graph.calls[1].arguments["x"] = net.values[0]
            net.graph.calls[1].result = (y, ops.sin(y))
        graph = net.builder.finish(y)
    run(graph, ["dead"], check=True)
    assert graph.calls[1].result == (y, None)


def test_unknown_pass_names_the_known():
    with pytest.raises(GraphError, match="unknown passes"):
        run(Graph(), ["faster"])


# -- dropout layers --------------------------------------------------------------------------------------------------


def test_dropouts_are_owned_by_their_module(rng):
    net = Net(x=HEADS)
    for i in range(2):
        net.module(f"layer{i}")
    net.module("layer0.drop", "Dropout", rate=0.1)
    (x,) = net.values
    with net.builder.recording():
        for i in range(2):
            with net.enter(f"layer{i}"):
                x = ops.dropout(ops.attention(x, x, x, dropout_rate=0.1), rate=0.2)
        graph = net.builder.finish(x)
    left = keeps_values(graph, own_dropouts, rng)
    assert left == ["attention", "call"] * 2
    assert [node.attributes.get("dropout_layer") for node in graph.nodes[::2]] == ["layer0.drop", "layer1.dropout"]
    assert [node.attributes["module"] for node in graph.nodes[1::2]] == ["layer0.dropout", "layer1.dropout_2"]
    assert graph.modules["layer1.dropout_2"].config == {"rate": 0.2}
    assert not own_dropouts(graph)


def test_two_calls_of_a_module_share_its_dropout():
    net = Net(x=X)
    net.module("block")
    (x,) = net.values
    with net.builder.recording():
        for _ in range(2):
            with net.enter("block"):
                x = ops.dropout(x, rate=0.2)
        graph = net.builder.finish(x)
    own_dropouts(verify(graph))
    assert [node.attributes["module"] for node in verify(graph).nodes] == ["block.dropout", "block.dropout"]


# -- what a target lacks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow", "numpy"])
def test_legalise_decomposes_what_has_no_row(framework, rng):
    def model(x):
        return ops.logsumexp(ops.selu(ops.layer_norm(x)), axis=-1)

    graph = trace(model, X)
    keeps_values(graph, lambda g: legalise(g, framework), rng, exact=False)
    for node in graph.nodes:
        assert ops.OPS[node.op].row(framework, node.arg_specs, node.attributes) is not None


def test_layers_expand_to_their_formula(rng):
    net = Net(x=X)
    net.module("norm", "LayerNorm", normalized_shape=(4,))
    with net.builder.recording():
        graph = net.builder.finish(net.builder.call("norm", (net.values[0],)))
    assert keeps_values(
        graph, lambda g: legalise(g, "torch", expand=lambda module: module.layer == "LayerNorm"), rng
    ) == [*("parameter", "parameter", "layer_norm")]
    assert [node.attributes["path"] for node in graph.nodes[:2]] == ["norm.weight", "norm.bias"]


def test_layers_with_shared_parameters_read_the_owner(rng):
    net = Net(x=Spec((BATCH, LENGTH), "int64"))
    net.module("table", "Embedding", num_embeddings=7, embedding_dim=4)
    net.module("head", "Linear", in_features=4, out_features=7, use_bias=False)
    net.graph.modules["head"].parameters["weight"].alias = "table.weight"
    with net.builder.recording():
        hidden = net.builder.call("table", (net.values[0],))
        graph = net.builder.finish(net.builder.call("head", (hidden,)))

    def shared(module: ModuleInfo) -> bool:
        return any(parameter.alias for parameter in module.parameters.values())

    left = keeps_values(graph, lambda g: legalise(g, "torch", expand=shared), rng)
    assert left == ["call", "parameter", "linear"]
    assert graph.nodes[1].attributes["path"] == "table.weight"


def test_every_missing_operation_is_named_at_once():
    builder = Builder()
    x = builder.input("x", X)
    with builder.recording(Scope(0, "model.py", 12)):
        y = builder.apply(ops.OPS["at_set"], (x, (ops.arange(stop=2),), 0.0), {})
        y = builder.apply(ops.OPS["at_add"], (y, (ops.arange(stop=2),), 0.0), {})
    with pytest.raises(NoLoweringError) as caught:
        missing_everywhere(builder.finish(y))
    assert "at_set" in caught.value.message
    assert "at_add" in caught.value.message
    assert "model.py:12" in caught.value.message


def missing_everywhere(graph: Graph) -> None:
    """No version of a framework before its first has any row with ``since``, nor a row at all where it is too old."""
    from packaging.version import Version

    legalise(graph, "torch", Version("0.dev0"))


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
