"""JSON of graphs: equal bytes for equal graphs, and nothing but a graph is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivyhub.engine import ops
from ivyhub.engine.dims import Dim
from ivyhub.engine.graph import Call, Graph, ModuleInfo, Parameter, Record, Scope
from ivyhub.engine.serialize import from_json, to_json
from ivyhub.engine.spec import Spec
from ivyhub.engine.stateful.layers import LAYERS
from ivyhub.engine.trace import Builder, trace
from ivyhub.engine.verify import verify
from ivyhub.errors import GraphError
from tests.engine.evaluate import evaluate

N = Dim.symbol("n")


def example() -> Graph:
    """A graph with one of everything."""
    builder = Builder()
    graph = builder.graph
    graph.modules[""] = ModuleInfo("", "package.<locals>.Model", parameters={"scale": Parameter(Spec((3,)))})
    conv = {"in_channels": 3, "out_channels": 2, "kernel_size": (3,), "strides": (1,), "padding": ((1, 1),)}
    graph.modules["conv"] = ModuleInfo("conv", "torch.nn.Conv1d", "Conv", {**conv, "dilation": (1,)})
    graph.modules["conv"].parameters = {"weight": Parameter(Spec((2, 3, 3))), "bias": Parameter(Spec((2,)))}
    graph.modules["block"] = ModuleInfo("block", "Block", parameters={"0": Parameter(Spec((3,)), alias="scale")})
    graph.modules["block"].parameters["count"] = Parameter(Spec((), "int64"), trainable=False, persistent=False)
    x = builder.input("x", Spec((N, 3, 2 * N + 1)))
    graph.inputs |= {"rest": [builder.value(Spec((2,), "int64"), "rest_0"), None, {"flag": True}], "none": None}
    graph.calls.append(Call("block", 0, {"x": x, "limits": (1, 2.5)}, None))
    with builder.recording(Scope(0, "model.py", 3, "y")):
        y = builder.call("conv", (x,))
        y = y + ops.full(shape=(2 * N + 1,), fill_value=-float("inf"))
        y = ops.where(y > builder.constant(np.array(0.5, np.float32)), y, float("nan"))
        pieces = ops.split(y, sizes=(1, 1), axis=1)
    with builder.recording(Scope(1, "model.py", 9)):
        scale = builder.parameter("block.0")
        count = builder.parameter("block.count") + 1
    graph.updates["block.count"] = count
    graph.calls[1].result = count
    graph.meta = {"framework": "torch", "versions": ["2.13"], "nested": {"a": None}}
    outputs = Record("ModelOutput", {"first": pieces[0], "rest": (pieces[1], [scale], {"z": y, "a": None})})
    return verify(builder.finish(outputs))


def test_round_trip_keeps_everything():
    graph = example()
    text = graph.to_json()
    back = Graph.from_json(text)
    assert back.to_json() == text
    assert str(back) == str(graph)
    assert back.tree() == graph.tree()
    assert back.modules.keys() == graph.modules.keys()
    assert back.modules["block"] == graph.modules["block"]
    assert back.modules["conv"].config == LAYERS["Conv"](**graph.modules["conv"].config).config
    assert [node.attributes for node in back.nodes] == [node.attributes for node in graph.nodes]
    assert [list(node.attributes) for node in back.nodes] == [list(node.attributes) for node in graph.nodes]
    assert [node.scope for node in back.nodes] == [node.scope for node in graph.nodes]
    assert back.constants.keys() == graph.constants.keys()
    assert back.meta == graph.meta
    assert back.symbols == graph.symbols
    assert list(back.outputs.fields["rest"][2]) == ["z", "a"]
    assert isinstance(back.inputs["rest"], list)
    assert from_json(text.encode()).to_json() == text


def test_equal_graphs_have_equal_bytes():
    one, other = example(), example()
    other.constants = dict(reversed(other.constants.items()))
    other.meta = dict(reversed(other.meta.items()))
    other.modules["conv"].config["groups"] = 1  # its default, stated
    other.nodes[0].attributes = dict(reversed(other.nodes[0].attributes.items()))
    assert to_json(one) == to_json(other)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "complex64", "bfloat16"])
def test_constants_of_every_dtype(dtype, rng):
    import ml_dtypes

    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    array = (rng.normal(size=(2, 3)) * 5).astype(kind)
    builder = Builder()
    with builder.recording():
        graph = builder.finish(builder.constant(array))
    back = from_json(to_json(graph))
    (found,) = back.constants.values()
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()


STEPS: tuple[Callable[[Any], Any], ...] = (
    lambda x: x + 0.1,
    lambda x: x * -float("inf"),
    lambda x: ops.reshape(x, shape=(x.spec.size,)),
    lambda x: x[None],
    lambda x: x[..., None],
    lambda x: ops.broadcast_to(x, shape=(N, *x.shape)),
    lambda x: ops.softmax(x, axis=-1),
    lambda x: ops.concat([x, x], axis=0),
    lambda x: x + ops.astype(ops.arange(stop=x.shape[-1]), dtype="float32"),
    lambda x: x + np.float32(3),
)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(STEPS), max_size=8), st.integers(0, 2**32))
def test_random_graphs_read_back(steps, seed):
    def model(x):
        for step in steps:
            x = step(x) if 0 < x.ndim < 6 else x
        return x

    graph = trace(model, Spec((2, N)))
    text = to_json(graph)
    back = from_json(text)
    assert to_json(back) == text
    x = np.random.default_rng(seed).normal(size=(2, 3)).astype(np.float32)
    with np.errstate(all="ignore"):
        for a, b in zip(evaluate(graph, {"x": x}), evaluate(back, {"x": x}), strict=True):
            np.testing.assert_array_equal(a, b)


# -- hostile text ----------------------------------------------------------------------------------------------------


def data() -> dict[str, Any]:
    return json.loads(to_json(example()))


def put(value: Any, *path: Any) -> Callable[[dict[str, Any]], None]:
    def change(graph: dict[str, Any]) -> None:
        *parents, last = path
        place: Any = graph
        for key in parents:
            place = place[key]
        place[last] = value

    return change


CODE = "x; import os"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(2, "version"), "expected the format"),
        (put("other", "format"), "expected the format"),
        (put(1, "surprise"), "unknown field"),
        (put(1, "nodes", 0, "surprise"), "unknown field"),
        (put("1", "version"), "Expected `int`"),
        (put("exec", "nodes", 1, "op"), "unknown operation"),
        (put({"module": CODE}, "nodes", 0, "attributes"), "is no leaf layer"),
        (put({}, "nodes", 0, "attributes"), "other attributes"),
        (put({"surprise": 1}, "nodes", 1, "attributes"), "has the attributes"),
        (put([{"value": 99}], "nodes", 0, "args"), "value that exists"),
        (put([{"value": -1}], "nodes", 0, "args"), "value that exists"),
        (put([{"value": True}], "nodes", 0, "args"), "value that exists"),
        (put([], "nodes", 0, "args"), "not a valid graph"),
        (put([{"size": "__import__('os')"}], "nodes", 0, "args"), "expected a size"),
        (put([{"size": "7"}], "nodes", 0, "args"), "plain data"),
        (put([{"float": "1"}], "nodes", 0, "args"), "plain data"),
        (put([], "nodes", 0, "outputs"), "produces nothing"),
        (put("float31", "nodes", 0, "outputs", 0, "spec", "dtype"), "unknown dtype"),
        (put([1, 2], "nodes", 0, "outputs", 0, "spec", "shape"), "expected the result"),
        (put([-1], "nodes", 0, "outputs", 0, "spec", "shape"), "expected a size"),
        (put(CODE, "nodes", 0, "outputs", 0, "hint"), "as a hint"),
        (put("lambda", "nodes", 0, "outputs", 0, "hint"), "as a hint"),
        (put([7, "model.py", 3, "y"], "nodes", 0, "scope"), "does not exist"),
        (put([0, "a\nb", 3, "y"], "nodes", 0, "scope"), "file name"),
        (put([0, "model.py", 3, CODE], "nodes", 0, "scope"), "as a name"),
        (put(CODE, "inputs", 0, 0), "input name"),
        (put("rest", "inputs", 0, 0), "name of its own"),
        (put({"value": 1}, "inputs", 0, 1), "every input value once"),
        (put({"n": [0, None]}, "symbols"), "range"),
        (put({"n": [5, 2]}, "symbols"), "range"),
        (put({}, "symbols"), "has no range"),
        (put({"a b": [1, None], "n": [1, None]}, "symbols"), "as a symbol"),
        (put("a.b\nimport os", "modules", 1, "path"), "module path"),
        (put("a\u2028b", "modules", 1, "path"), "module path"),
        (put("../conv", "modules", 1, "path"), "module path"),
        (put("", "modules", 1, "path"), "twice"),
        (put("deep.conv", "modules", 1, "path"), "not a valid graph"),
        (put("A(Exception)", "modules", 1, "cls"), "class name"),
        (put("a.<locals>", "modules", 1, "cls"), "class name"),
        (put("Convolution", "modules", 1, "layer"), "unknown leaf layer"),
        (put("3", "modules", 1, "config", "in_channels"), "does not fit"),
        (put({"x": 1}, "modules", 0, "config"), "no leaf layer"),
        (put(5, "modules", 1, "config", "in_channels"), "needs parameters"),
        (put(0, "modules", 1, "config", "groups"), "not a valid graph"),
        (put("weight", "modules", 1, "parameters", 1, "name"), "two parameters"),
        (put("x\nimport os", "modules", 1, "parameters", 1, "name"), "parameter name"),
        (put("a.b", "modules", 1, "parameters", 1, "name"), "parameter name"),
        (put("", "modules", 1, "parameters", 1, "name"), "parameter name"),
        (put("nowhere.at_all", "modules", 2, "parameters", 0, "alias"), "no parameter"),
        (put("x\rimport os", "modules", 2, "parameters", 0, "alias"), "parameter path"),
        (put(3, "calls", 1, "parent"), "has the parent"),
        (put([], "calls"), "root"),
        (put({"nowhere.count": {"value": 0}}, "updates"), "no parameter"),
        (put({"record": ["Out", [["a b", None]]]}, "outputs"), "field name"),
        (put({"record": [CODE, []]}, "outputs"), "field name"),
        (put({"tuple": [], "list": []}, "outputs"), "plain data"),
        (put("A" * 8, "constants", "constant", "data"), "bytes"),
        (put("!", "constants", "constant", "data"), "base64"),
        (put(["n"], "constants", "constant", "spec", "shape"), "known shape"),
        (put([10**9, 10**9], "constants", "constant", "spec", "shape"), "bytes"),
        (put({}, "constants"), "does not exist"),
        (put([[[[]]]] * 3, "meta", "deep"), None),
    ],
)
def test_hostile_graphs_are_refused(change, message):
    graph = data()
    change(graph)
    text = json.dumps(graph)
    if message is None:
        assert from_json(text).meta["deep"] == [[[[]]]] * 3
        return
    with pytest.raises(GraphError) as caught:
        from_json(text)
    assert message in caught.value.message


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "null", "[]", "{}", '"graph"', "NaN", "\x00", b"\xff\xfe"),
        to_json(example()).replace('"version":1', '"version":1,"version":1'),
        to_json(example()).replace('"framework":"torch"', '"framework":1e999'),
        to_json(example()).replace('"framework":"torch"', '"framework":NaN'),
        to_json(example()).replace('"framework":"torch"', f'"framework":{nested(100)}'),
        nested(100_000),
        to_json(example())[:-1],
        "9" * 5000,
    ],
)
def test_malformed_text_is_refused(text):
    with pytest.raises(GraphError):
        from_json(text)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_damage_escapes_as_another_error(draw):
    """Any one part of the text replaced by any other plain data: a graph, or a GraphError, and nothing else."""
    graph = data()
    place: Any = graph
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw.draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and draw.draw(st.booleans()):
            place = place[key]
            continue
        break
    place[key] = draw.draw(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-3, 2**40)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
            max_leaves=4,
        )
    )
    try:
        back = from_json(json.dumps(graph))
    except GraphError:
        return
    assert to_json(from_json(to_json(back))) == to_json(back)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda graph: graph.meta.update(value=object()),
        lambda graph: graph.nodes[0].attributes.update(module=object()),
        lambda graph: graph.inputs.update({CODE: None}),
        lambda graph: setattr(graph, "outputs", {1: None}),
        lambda graph: setattr(graph, "nodes", graph.nodes[1:]),
        lambda graph: graph.constants.update(big=np.zeros(2**25, np.int8)),
    ],
)
def test_what_cannot_be_read_is_not_written(spoil):
    graph = example()
    spoil(graph)
    with pytest.raises(GraphError):
        to_json(graph)
