"""From a source to what is kept of it: a simplified graph, and the recipe that leads from its checkpoint to the graph.

A `Model` is everything an export is made from. It comes from a checkpoint, from a live module, or back from the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from ivyhub.engine.backends import DTYPES
from ivyhub.engine.graph import Graph, Tree, Value, tree_leaves, tree_map
from ivyhub.engine.outline import arguments
from ivyhub.engine.passes import simplify
from ivyhub.engine.verify import verify
from ivyhub.errors import UsageError
from ivyhub.registry.adapters.arguments import spoken
from ivyhub.registry.inputs import InputSpec
from ivyhub.registry.weights import Cast, Checkpoint, Entry, PlannedTensor, WeightMap
from ivyhub.registry.weights.dtypes import numpy_dtype


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a graph is fed: kept in the store beside it.

    Attributes:
        inputs: the arrays that it takes, as random ones can be made.
        settings: the arguments that were baked into it.
        weights: from the names of the checkpoint to the graph's parameters.
        notes: what a reader of the export should know.
    """

    inputs: tuple[InputSpec, ...]
    settings: dict[str, bool | int | float | str | None]
    weights: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    format: int = 1


class Model(msgspec.Struct, frozen=True):
    """A captured model.

    Attributes:
        graph: simplified; no pass has yet prepared it for a target.
        recipe: see there.
    """

    graph: Graph
    recipe: Recipe

    def tensors(self, checkpoint: Checkpoint, native: WeightMap) -> list[PlannedTensor]:
        """The tensors of an export, planned from the checkpoint of the source and in its order.

        In that order bytes that do not change are copied in long runs, and a file that says the same is the same.

        Args:
            checkpoint: the weights of the source.
            native: from the graph's parameters to the export's names and layouts.

        Raises:
            TensorMismatchError: the checkpoint lacks a tensor.
        """
        order = {name: position for position, name in enumerate(checkpoint)}
        entries = through(WeightMap(self.recipe.weights), native).entries
        placed = sorted(entries, key=lambda entry: min((order.get(name, 0) for name in entry.sources), default=0))
        return WeightMap(tuple(placed)).apply(checkpoint)


def through(first: WeightMap, second: WeightMap) -> WeightMap:
    """One map and then another; what the first makes and the second does not use is left out.

    Example:
        >>> rename = WeightMap((Entry(("b",), ("a",)), Entry(("spare",), ("c",))))
        >>> through(rename, WeightMap((Entry(("d",), ("b",)),))).entries
        (Entry(targets=('d',), sources=('a',), steps=()),)
    """
    wanted = {name for entry in second.entries for name in entry.sources}
    read = [entry for entry in first.entries if wanted.intersection(entry.targets)]
    spare = sorted({name for entry in read for name in entry.targets} - wanted)
    whole = WeightMap((*second.entries, *(Entry((name,), (name,)) for name in spare)))
    composed = WeightMap(tuple(read)).compose(whole)
    order = {name: position for position, entry in enumerate(second.entries) for name in entry.targets}
    kept = [entry for entry in composed.entries if any(name in order for name in entry.targets)]
    return WeightMap(tuple(sorted(kept, key=lambda entry: order.get(entry.targets[0], len(order)))))


def model_of(graph: Graph, recipe: Recipe) -> Model:
    """Simplify a freshly captured graph, which is changed, and check it. Raises `GraphError` for a broken one."""
    simplify(graph)
    return Model(verify(graph), recipe)


def cast(model: Model, dtype: str | None) -> Model:
    """The model in another floating-point type throughout, as a module without casts of its own is in it.

    Raises:
        UsageError: not a floating-point type.
    """
    if dtype is None or dtype == floating_dtype(model.graph):
        return model
    if dtype not in DTYPES or "float" not in dtype:
        raise UsageError(f"expected a floating-point dtype, received {dtype!r}", hint="float32, bfloat16 or float16")
    before = floating_dtype(model.graph)
    graph = model.graph.copy()
    graph.constants = {name: _as(array, before, dtype) for name, array in graph.constants.items()}
    for value in (*graph.input_values, *(value for node in graph.nodes for value in node.outputs)):
        if value.dtype == before:
            value.spec = value.spec.with_dtype(dtype)
    for node in graph.nodes:
        node.attributes = {key: dtype if value == before else value for key, value in node.attributes.items()}
    for _, parameter in graph.parameters():
        if parameter.spec.dtype == before:
            parameter.spec = parameter.spec.with_dtype(dtype)
    weights = tuple(_recast(entry, graph, dtype, before) for entry in model.recipe.weights)
    inputs = tuple(
        msgspec.structs.replace(spec, dtype=dtype) if spec.dtype == before else spec for spec in model.recipe.inputs
    )
    return Model(verify(graph), msgspec.structs.replace(model.recipe, weights=weights, inputs=inputs))


def floating_dtype(graph: Graph) -> str:
    """The floating-point type that most parameters have, float32 where there are none."""
    sizes: dict[str, int] = {}
    for _, parameter in graph.parameters():
        if "float" in parameter.spec.dtype:
            sizes[parameter.spec.dtype] = sizes.get(parameter.spec.dtype, 0) + 1
    return max(sizes, key=lambda dtype: sizes[dtype], default="float32")


def _as(array: np.ndarray, before: str, after: str) -> np.ndarray:
    return array.astype(numpy_dtype(after)) if array.dtype.name == before else array


def _recast(entry: Entry, graph: Graph, after: str, before: str) -> Entry:
    casts = tuple(
        Cast(after, before, position)
        for position, name in enumerate(entry.targets)
        if graph.parameter(name).spec.dtype == after
    )
    return Entry(entry.targets, entry.sources, (*entry.steps, *casts))


def input_specs(graph: Graph, examples: dict[str, np.ndarray]) -> tuple[InputSpec, ...]:
    """The inputs of a graph from their specs; ranges of integers are those of the example arrays.

    Args:
        graph: a captured graph; a nested input is named by its path, ``past.0``.
        examples: arrays by those names; without one an integer lies in {0, 1}.

    Example:
        >>> from ivyhub.engine.spec import Spec
        >>> from ivyhub.engine.trace import trace
        >>> input_specs(trace(lambda x: x + x, Spec(("n", 3))), {})
        (InputSpec(name='x', shape=('n', 3), dtype='float32', low=-1.0, high=1.0, pad=None, mask=False, ordered=False),)
    """
    specs = []
    for top, tree in graph.inputs.items():
        for path, value in tree_leaves(tree, top):
            if not isinstance(value, Value):
                continue
            shape = tuple(size if isinstance(size, int) else str(size) for size in value.shape)
            low, high = -1.0, 1.0
            if "float" not in value.dtype and "complex" not in value.dtype:
                array = examples.get(path)
                low, high = (0, 2) if array is None or not array.size else (int(array.min()), int(array.max()) + 1)
            specs.append(InputSpec(path, shape, value.dtype, low, high))
    return tuple(specs)


def arrange(graph: Graph, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays by path as the arguments of the source: nested where it nests, with its settings between them."""
    return {name: _filled(graph, tree, arrays, settings=True) for name, tree in graph.inputs.items()}


def keywords(graph: Graph, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays by path as the arguments of an export; None where the source takes what is no array.

    Example:
        >>> from ivyhub.engine.spec import Spec
        >>> from ivyhub.engine.trace import trace
        >>> keywords(trace(lambda x: x[0], [Spec((2,)), Spec((3,))]), {"x.0": 7, "x.1": 8})
        {'x': [7, 8]}
    """
    return {name: _filled(graph, tree, arrays, settings=False) for name, tree in arguments(graph).items()}


def _filled(graph: Graph, tree: Tree, arrays: Mapping[str, Any], *, settings: bool) -> Any:
    paths = {leaf: path for path, leaf in tree_leaves(graph.inputs) if isinstance(leaf, Value)}

    def filled(leaf: Any) -> Any:
        return arrays[paths[leaf]] if isinstance(leaf, Value) else leaf if settings else None

    return spoken(tree_map(filled, tree))
