"""The graph: what `verify` lets through, what rewriting helpers do, and how graphs read as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ivyhub.engine import ops
from ivyhub.engine.dims import Dim
from ivyhub.engine.graph import Call, Graph, ModuleInfo, Node, Parameter, Record, Scope, Value, tree_leaves
from ivyhub.engine.spec import Spec
from ivyhub.engine.trace import Builder, trace
from ivyhub.engine.verify import verify
from ivyhub.errors import GraphError

N = Dim.symbol("n")


def two_blocks() -> Graph:
    """Two calls of one block, a leaf layer, a shared parameter and a buffer that is updated."""
    builder = Builder()
    graph = builder.graph
    graph.modules[""] = ModuleInfo("", "library.Model")
    dense = {"in_features": 3, "out_features": 3, "use_bias": False}
    graph.modules["block"] = ModuleInfo("block", "library.Block")
    graph.modules["block"].parameters["steps"] = Parameter(Spec((), "int64"), trainable=False)
    graph.modules["block.dense"] = ModuleInfo("block.dense", "torch.nn.Linear", "Linear", dense)
    graph.modules["block.dense"].parameters["weight"] = Parameter(Spec((3, 3)))
    graph.modules["head"] = ModuleInfo("head", "torch.nn.Linear", "Linear", dense)
    graph.modules["head"].parameters["weight"] = Parameter(Spec((3, 3)), alias="block.dense.weight")
    x = builder.input("x", Spec((N, 3)))
    with builder.recording():
        for _ in range(2):
            graph.calls.append(Call("block", 0, {"x": x}))
            with builder.recording(Scope(len(graph.calls) - 1, "/src/model.py", 7, "y")):
                y = builder.call("block.dense", (x,))
                builder.scope = Scope(len(graph.calls) - 1, "/src/model.py", 8, "y")
                x = ops.relu(y)
                steps = builder.parameter("block.steps") + 1
            graph.calls[-1].result = x
        graph.updates["block.steps"] = steps
        out = ops.softmax(builder.call("head", (x,)), axis=0)
    return builder.finish({"probabilities": out, "rest": (None, [1.5])})


def test_a_whole_graph_verifies():
    graph = two_blocks()
    assert verify(graph) is graph


def drop_node(graph: Graph) -> None:
    del graph.nodes[0]


def swap_nodes(graph: Graph) -> None:
    graph.nodes[0], graph.nodes[1] = graph.nodes[1], graph.nodes[0]


def interleave(graph: Graph) -> None:
    """The last node of the first call moves behind the second call, before its readers."""
    node = graph.nodes.pop(3)
    assert node.scope.call == 1
    graph.nodes.insert(6, node)


def wrong_spec(graph: Graph) -> None:
    graph.nodes[1].outputs[0].spec = Spec((N, 4))


def repeat_node(graph: Graph) -> None:
    graph.nodes.insert(1, graph.nodes[0])


def attribute(node: int, **attributes: Any) -> Callable[[Graph], None]:
    return lambda graph: graph.nodes[node].attributes.update(attributes)


def mixed_dtypes(graph: Graph) -> None:
    other = Node("full", (), {"shape": (), "fill_value": 1, "dtype": "int32"})
    other.outputs = (Value(Spec((), "int32"), node=other),)
    graph.nodes.insert(0, other)
    bad = Node("add", (graph.inputs["x"], other.output), {})
    bad.outputs = (Value(Spec((N, 3)), node=bad),)
    graph.nodes.insert(1, bad)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop_node, "used before it is produced"),
        (swap_nodes, "used before it is produced"),
        (interleave, "not contiguous"),
        (wrong_spec, "expected the result"),
        (repeat_node, "not produced by this node alone"),
        (mixed_dtypes, "one dtype"),
        (attribute(-1, surprise=1), "softmax takes"),
        (attribute(0, module="nowhere"), "no leaf layer"),
        (attribute(0, module="block"), "no leaf layer"),
        (lambda graph: graph.outputs.update(extra=Value(Spec(()))), "never produced"),
        (lambda graph: graph.symbols.clear(), "has no range"),
        (lambda graph: setattr(graph.nodes[1], "op", "conjure"), "does not exist"),
        (lambda graph: setattr(graph.nodes[1], "args", ()), "relu takes"),
        (lambda graph: setattr(graph.nodes[1], "scope", Scope(9)), "does not exist"),
        (lambda graph: graph.calls.append(Call("nowhere", 0)), "is no module"),
        (lambda graph: graph.calls.append(Call("block", 7)), "has the parent 7"),
        (lambda graph: graph.calls[1].arguments.update(x=Value(Spec(()))), "the record of call 1"),
        (lambda graph: graph.modules.pop("block"), "has no parent"),
        (lambda graph: graph.modules.update(other=ModuleInfo("another", "M")), "stands at"),
        (lambda graph: graph.modules.update(other=ModuleInfo("other", "M", "Linnear")), "unknown leaf layer"),
        (lambda graph: graph.modules["head"].config.update(out_features=4), "needs parameters"),
        (lambda graph: graph.modules["head"].config.update(surprise=4), "is no Linear"),
        (lambda graph: graph.modules["head"].parameters.pop("weight"), "needs parameters"),
        (lambda graph: setattr(graph.modules["head"].parameters["weight"], "alias", "head.weight"), "does not own"),
        (lambda graph: setattr(graph.modules["head"].parameters["weight"], "alias", "head.bias"), "no parameter"),
    ],
)
def test_verify_refuses(spoil, message):
    graph = two_blocks()
    spoil(graph)
    with pytest.raises(GraphError, match=message):
        verify(graph)


def test_verify_names_module_and_line():
    graph = two_blocks()
    wrong_spec(graph)
    with pytest.raises(GraphError, match=r"relu.* of block, /src/model.py:8"):
        verify(graph)


def test_a_dropout_layer_must_be_one():
    graph = trace(lambda x: ops.attention(x, x, x, dropout_rate=0.1, dropout_layer="nowhere"), Spec((2, 3, 4, 5)))
    with pytest.raises(GraphError, match="no Dropout layer"):
        verify(graph)


# -- rewriting helpers -----------------------------------------------------------------------------------------------


def test_replace_reaches_everywhere():
    graph = two_blocks()
    old, new = graph.calls[1].result, graph.inputs["x"]
    graph.replace({old: new})
    assert graph.calls[1].result is new
    assert old not in {value for node in graph.nodes for value in node.operands}
    before = graph.outputs["probabilities"]
    graph.replace({before: old, old: new})
    assert graph.outputs["probabilities"] is new


def test_substitute_renames_and_fixes_sizes():
    graph = trace(lambda x: ops.reshape(x, shape=(2 * N,)), Spec((N, 2)))
    graph.symbols["n"] = (1, 100)
    graph.substitute({"n": Dim.symbol("batch")})
    assert str(verify(graph).nodes[0].output.spec) == "float32[2*batch]"
    assert graph.symbols == {"batch": (1, 100)}
    graph.substitute({"batch": 5})
    assert verify(graph).nodes[0].attributes == {"shape": (10,)}
    assert graph.symbols == {}


def test_uses_and_owner_and_children():
    graph = two_blocks()
    uses = graph.uses()
    assert [node.op for node in uses[graph.inputs["x"]]] == ["call"]
    assert graph.owner("head.weight") == "block.dense.weight"
    assert [child.path for child in graph.children("")] == ["block", "head"]
    assert [child.path for child in graph.children("block")] == ["block.dense"]
    assert [path for path, _ in graph.parameters()] == ["block.steps", "block.dense.weight", "head.weight"]


def test_leaves_of_a_tree_have_paths():
    tree = Record("Out", {"a": 1, "b": {"c": (2, None)}})
    assert list(tree_leaves(tree)) == [("a", 1), ("b.c.0", 2), ("b.c.1", None)]


def test_parameters_are_read_once_a_call():
    builder = Builder()
    builder.graph.modules[""].parameters["w"] = Parameter(Spec((3,)))
    with builder.recording():
        assert builder.parameter("w") is builder.parameter("w")
    assert len(builder.graph.nodes) == 1


def test_traced_arrays_have_no_truth_and_no_elements():
    with pytest.raises(GraphError, match="truth"):
        trace(lambda x: x if x > 0 else -x, Spec(()))
    with pytest.raises(GraphError, match="iterated"):
        trace(lambda x: list(x), Spec((3,)))


# -- text ------------------------------------------------------------------------------------------------------------


def test_graph_as_text():
    assert str(two_blocks()).splitlines() == [
        "# n >= 1",
        "Model(x: float32[n, 3]):",
        "    block: Block",
        "        y: float32[n, 3] = block.dense(x)  # model.py:7",
        "        y_2: float32[n, 3] = relu(y)  # model.py:8",
        "        steps: int64[] = block.steps",
        "        y_3: int64[] = add(steps, 1)",
        "    block: Block",
        "        y_4: float32[n, 3] = block.dense(y_2)  # model.py:7",
        "        y_5: float32[n, 3] = relu(y_4)  # model.py:8",
        "        steps_2: int64[] = block.steps",
        "        y_6: int64[] = add(steps_2, 1)",
        "    call: float32[n, 3] = head(y_5)",
        "    softmax: float32[n, 3] = softmax(call, axis=0)",
        "    update block.steps = y_6",
        "    return {'probabilities': softmax, 'rest': (None, [1.5])}",
    ]


def test_indexing_and_sequences_as_text():
    def model(x):
        first, second = ops.split(x[1:, None, ..., 0, ::2], sizes=(1, 2), axis=-1)
        return ops.concat([first, second, first], axis=-1)

    lines = str(trace(model, Spec((4, N, 2, 6)))).splitlines()
    lines = [line.partition("  #")[0].strip() for line in lines]
    assert lines[2] == "getitem: float32[3, 1, n, 3] = x[1:, None, :, 0, ::2]"
    assert lines[3] == (
        "first: float32[3, 1, n, 1], second: float32[3, 1, n, 2] = split(getitem, sizes=(1, 2), axis=-1)"
    )
    assert lines[4] == "concat: float32[3, 1, n, 4] = concat((first, second, first), axis=-1)"


def test_names_are_unique():
    def model(x, x_2):
        return ops.exp(x) + ops.exp(ops.exp(x_2))

    lines = [line.strip() for line in str(trace(model, Spec(()), Spec(()))).splitlines()]
    names = [line.partition(":")[0] for line in lines[1:-1]]
    assert len(set(names)) == len(names) == 4


def test_tree_as_text():
    graph = two_blocks()
    for i in range(4):
        graph.modules[f"layers.{i}"] = ModuleInfo(f"layers.{i}", "library.Layer")
        graph.modules[f"layers.{i}"].parameters["scale"] = Parameter(Spec((3 if i < 3 else 1000,)))
    graph.modules["layers"] = ModuleInfo("layers", "torch.nn.ModuleList")
    assert graph.tree().splitlines() == [
        "Model  1,018 float32 + 1 int64",
        "├── block: Block  9 float32 + 1 int64",
        "│   ├── steps: int64[] buffer",
        "│   └── dense: Linear(in_features=3, out_features=3, use_bias=False)  9 float32",
        "├── head: Linear(in_features=3, out_features=3, use_bias=False)",
        "│   └── weight: float32[3, 3] shared with block.dense.weight",
        "└── layers: ModuleList  1,009 float32",
        "    ├── layers.0 … layers.2: Layer  3 × 3 float32",
        "    │   └── scale: float32[3]",
        "    └── layers.3: Layer  1,000 float32",
        "        └── scale: float32[1000]",
    ]
