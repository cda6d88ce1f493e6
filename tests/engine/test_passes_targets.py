"""What a target asks of a graph: its layouts, its dropout layers, only the operations and layers that it has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ivyhub.engine import control_flow, ops
from ivyhub.engine.graph import Call, Graph, ModuleInfo, Parameter, Scope
from ivyhub.engine.passes import channels_last, heads_third, legalise, own_dropouts, run, simplify
from ivyhub.engine.spec import Spec
from ivyhub.engine.stateful.layers import LAYERS
from ivyhub.engine.trace import Builder, trace
from ivyhub.engine.verify import verify
from ivyhub.errors import GraphError, NoLoweringError
from tests.arrays import assert_close
from tests.engine.evaluate import BATCH, LENGTH, evaluate, keeps_values, operations, random_array, random_parameters

X = Spec((BATCH, LENGTH, 4))
HEADS = Spec((BATCH, 3, LENGTH, 4))


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
        assert_close(a, b, 2e-5)  # another order of summation
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


def test_loops_over_the_same_arrays_are_never_common():
    def function(x: Any) -> Any:
        found = [control_flow.scan(lambda carry, row, op=op: (carry, op(row)), (), x)[1] for op in (ops.exp, ops.sin)]
        return found[0] + found[1]

    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    graph = trace(function, Spec((2, 3)))
    simplify(graph, check=True)
    assert_close(evaluate(graph, {"x": x})[0], np.exp(x) + np.sin(x), 1e-6)


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
