"""Where an export and its original part: the first module whose results differ.

The graph is written once more with the result of every module as an output, and run on the inputs on which the
certificate missed. The original's modules report theirs through hooks. What ends first is compared first, so a leaf
is named before the module around it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ivyhub.engine.graph import Graph, Value, tree_leaves
from ivyhub.registry.adapters import emit
from ivyhub.registry.adapters.running import Original
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.inputs import random_inputs
from ivyhub.registry.layout import ExportRunner
from ivyhub.registry.pipeline import Model


def first_difference(
    model: Model,
    target: Target,
    original: Callable[[], Original],
    package: Path,
    *,
    seed: int,
    tolerance: float = 1e-4,
) -> str | None:
    """The path of the first module whose results differ in evaluation; None where none does.

    Args:
        model: what was exported.
        target: what it was written for.
        original: opens the original.
        package: the export, whose weights are used again.
        seed: of the inputs.
        tolerance: relative to the largest value of a result.
    """
    from ivyhub.registry.certificate import sizes_of
    from ivyhub.registry.conversion import open_runner
    from ivyhub.registry.export import load_package, write_source

    inputs = random_inputs(
        model.recipe.inputs, next(iter(sizes_of(model).values())), np.random.default_rng(seed), padded=True
    )
    seen: dict[tuple[str, int], dict[str, np.ndarray]] = {}
    counts: dict[str, int] = {}

    def note(path: str, results: dict[str, np.ndarray]) -> None:
        count = counts[path] = counts.get(path, -1) + 1
        seen[path, count] = results

    runner = original()
    with runner.watching(note):
        runner.outputs(inputs)
    del runner
    graph = model.graph.copy()
    results = _results(graph)
    graph.outputs = [value for values in results.values() for value in values.values()]
    with tempfile.TemporaryDirectory() as folder:
        export = emit(graph, target)
        if export.pack is not None:
            return None  # its weights are in one file with a program that gives the results of no module
        write_source(Path(folder), export)
        for path in package.glob("model*.safetensors*"):
            (Path(folder) / path.name).symlink_to(path.resolve())
        runner = ExportRunner(open_runner(target, load_package(Path(folder))), model.graph)
        received = iter(runner.outputs(inputs))
        ours = {key: {path: next(received) for path in values} for key, values in results.items()}
    for key, expected in seen.items():
        found = ours.get(key, {})
        pairs = [(expected[path], found[path]) for path in expected if path in found]
        if not all(any(_difference(a, each) <= tolerance for each in _layouts(b)) for a, b in pairs):
            return key[0]
    return None


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    from ivyhub.registry.certificate import difference

    return difference(a, b, None) if a.shape == b.shape else np.inf


def _layouts(found: np.ndarray) -> Iterator[np.ndarray]:
    """The result of a leaf layer has its channels second in graphs; those of Keras and Flax have them last."""
    yield found
    if found.ndim > 2:
        yield np.moveaxis(found, 1, -1)


def _results(graph: Graph) -> dict[tuple[str, int], dict[str, Value]]:
    """The values that each module call gives, by path and by how many-th call of that module it is."""
    found: dict[tuple[str, int], dict[str, Value]] = {}
    counts: dict[str, int] = {}

    def enter(path: str, values: dict[str, Value]) -> None:
        count = counts[path] = counts.get(path, -1) + 1
        if values:
            found[path, count] = values

    for call in graph.calls[1:]:
        enter(call.module, {path: leaf for path, leaf in tree_leaves(call.result) if isinstance(leaf, Value)})
    for node in graph.nodes:
        if node.op == "call" and len(node.outputs) == 1:  # the results of others lie differently in each framework
            enter(node.attributes["module"], {"": node.output})
    return found
