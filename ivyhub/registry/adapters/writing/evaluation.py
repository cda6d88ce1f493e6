"""What targets without training write: the graph as it is in evaluation."""

from __future__ import annotations

from ....engine import ops
from ....engine.graph import Node
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
