"""The layout of inputs: as the source takes them, or with their channels last as the target's own models do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ivyhub.engine.graph import Graph, Value
from ivyhub.engine.passes.layout import channels_last
from ivyhub.errors import UsageError
from ivyhub.registry.adapters.running import Arrays, Runner
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.pipeline import keywords

LAYOUTS = ("source", "native")
_CHANNELS_LAST = ("jax", "tensorflow")


def check_layout(layout: str) -> None:
    """Raise `UsageError` for what is no layout."""
    if layout not in LAYOUTS:
        raise UsageError(f"expected a layout, received {layout!r}", hint=" or ".join(LAYOUTS))


def in_layout(graph: Graph, target: Target, layout: str) -> tuple[Graph, tuple[str, ...]]:
    """The graph as it takes its inputs in a layout, and the names of those whose channels are last now.

    Under ``native`` they are the inputs that the target's convolutions, pools and norms would transpose first. Results
    keep the layout of the source.
    """
    names = _images(graph) if layout == "native" and target.framework in _CHANNELS_LAST else ()
    return turned(graph, names), names


def turned(graph: Graph, names: Sequence[str]) -> Graph:
    """A copy of a graph that takes some of its inputs with their channels last; the graph itself for none."""
    if not names:
        return graph
    graph = graph.copy()
    channels_last(graph, inputs=names)
    graph.meta = {**graph.meta, "channels_last": ", ".join(names)}
    return graph


def _images(graph: Graph) -> tuple[str, ...]:
    """The inputs that are transposed to channels last wherever layers have them there."""
    trial = graph.copy()
    channels_last(trial)
    read = {
        node.args[0]
        for node in trial.nodes
        if node.op == "transpose" and node.attributes["axes"] == (0, *range(2, len(node.attributes["axes"])), 1)
    }
    return tuple(name for name, value in trial.inputs.items() if isinstance(value, Value) and value in read)


class ExportRunner:
    """A runner of an export that is given arrays by path, as its source is.

    Args:
        runner: takes the arguments of the export by name.
        graph: what was exported.
        names: the inputs that the export takes with their channels last.
    """

    def __init__(self, runner: Runner, graph: Graph, names: Sequence[str] = ()) -> None:
        self.trains = runner.trains
        self._runner = runner
        self._graph = graph
        self._names = names

    def _given(self, inputs: Arrays) -> Mapping[str, Any]:
        turned = {
            name: np.ascontiguousarray(np.moveaxis(array, 1, -1)) if name in self._names else array
            for name, array in inputs.items()
        }
        return keywords(self._graph, turned)

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        return self._runner.outputs(self._given(inputs), train=train)

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        return self._runner.gradients(self._given(inputs), weights, train=train)

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        return self._runner.descend(self._given(inputs), weights, rate=rate, steps=steps)

    def buffers(self) -> dict[str, np.ndarray]:
        return self._runner.buffers()
