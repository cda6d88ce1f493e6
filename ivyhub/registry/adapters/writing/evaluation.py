"""What targets without training write: the graph as it is in evaluation."""

from __future__ import annotations

from ....engine import ops
from ....engine.graph import Node, Value
from ....engine.passes.rewriting import Replacement, Rewrites, Sweep

EVALUATION = Rewrites()


@EVALUATION("dropout", "stop_gradient")
def identity(node: Node, sweep: Sweep) -> Replacement:
    """Dropout and stopped gradients are the identity in evaluation."""
    return node.args[0]


@EVALUATION("call")
def dropout_layer(node: Node, sweep: Sweep) -> Replacement:
    """The same for layers."""
    layer = sweep.graph.modules[node.attributes["module"]].layer
    return node.args[0] if layer == "Dropout" else "the layer computes"


@EVALUATION("attention")
def kept_weights(node: Node, sweep: Sweep) -> Replacement:
    """No attention weight is dropped."""
    if not node.attributes["dropout_rate"]:
        return "none is"
    return ops.attention(*node.args, **{**node.attributes, "dropout_rate": 0.0, "dropout_layer": None})


@EVALUATION("embedding")
def every_row(node: Node, sweep: Sweep) -> Replacement:
    """A row without a gradient is a row."""
    if node.attributes["padding_idx"] is None:
        return "all rows are alike"
    return ops.embedding(*node.args, padding_idx=None)


@EVALUATION("where")
def choice_of_training(node: Node, sweep: Sweep) -> Replacement:
    """What dropout gives of 1 tells whether a graph is in training, and where it chooses, the choice is known."""
    condition, chosen, other = node.args
    test = condition.node if isinstance(condition, Value) else None
    if test is None or test.op not in ("equal", "not_equal"):
        return "the choice depends on values"
    made = test.args[0].node if isinstance(test.args[0], Value) else None
    if made is None or made.op != "full" or made.attributes["fill_value"] != test.args[1]:
        return "the choice depends on values"
    found = chosen if test.op == "equal" else other
    return found if isinstance(found, Value) and found.spec == node.output.spec else "it broadcasts"
