"""Graph -> NumPy: plain functions of a dictionary of arrays, as a person would write them, for evaluation."""

from __future__ import annotations

import ast
import dataclasses

from ....engine.graph import Graph, ModuleInfo
from ....engine.passes.expansion import expand_recurrences
from ...weights import Cast, Entry, WeightMap
from ..target import Target
from ..writing.body import Method
from ..writing.classes import Class, Plan
from ..writing.emitter import Emitter
from ..writing.evaluation import EVALUATION
from ..writing.export import Export
from ..writing.names import identifier
from ..writing.prepare import prepare
from .styles import NumpyStyle, function_name

_LOAD = '''"""Load the model: ``model = load()``, then ``model(...)``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from .modeling import {words}

__all__ = [{listed}]


def read(folder):
    """All tensors of the weight files in a folder, by name."""
    files = ["model.safetensors"]
    if (index := folder / "model.safetensors.index.json").exists():
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    return {{name: tensor for file in files for name, tensor in load_file(folder / file).items()}}


def nest(tensors):
    """``{{"layer.0.bias": x}}`` as ``{{"layer": [{{"bias": x}}]}}``."""
    tree = {{}}
    for name, tensor in tensors.items():
        *path, last = name.split(".")
        place = tree
        for part in path:
            place = place.setdefault(part, {{}})
        place[last] = tensor
    return listed(tree)


def listed(tree):
    """Dictionaries whose keys are numbers as lists."""
    if not isinstance(tree, dict):
        return tree
    tree = {{key: listed(child) for key, child in tree.items()}}
    if not all(key.isdigit() for key in tree):
        return tree
    return [tree.get(str(index), {{}}) for index in range(max(map(int, tree), default=-1) + 1)]


def load(path=None, *, dtype=None):
    """The model with its weights, for evaluation: NumPy has no gradients.

    Args:
        path: the folder of the weights; this package's own by default.
        dtype: cast floating-point weights to it, ``np.float16``; as stored by default.
    """
    tensors = read(Path(__file__).parent if path is None else Path(path))
{constants}    if dtype is not None:
        for name, tensor in tensors.items():
            if np.issubdtype(tensor.dtype, np.floating):
                tensors[name] = tensor.astype(dtype)
    return {entry}(nest(tensors))
'''


def widen(graph: Graph) -> set[str]:
    """Make bfloat16, which NumPy has not, float32 throughout; returns the parameters that were so."""
    widened = {path for path, parameter in graph.parameters() if parameter.spec.dtype == "bfloat16"}
    for _, parameter in graph.parameters():
        if parameter.spec.dtype == "bfloat16":
            parameter.spec = parameter.spec.with_dtype("float32")
    for value in (*graph.input_values, *(value for node in graph.nodes for value in node.outputs)):
        if value.dtype == "bfloat16":
            value.spec = value.spec.with_dtype("float32")
    for node in graph.nodes:
        node.attributes = {key: "float32" if value == "bfloat16" else value for key, value in node.attributes.items()}
    graph.constants = {
        name: array.astype("float32") if array.dtype.name == "bfloat16" else array
        for name, array in graph.constants.items()
    }
    return widened


class NumpyEmitter(Emitter):
    """Writes functions."""

    load = _LOAD
    load_constants = '    tensors |= load_file(Path(__file__).parent / "constants.safetensors")\n'

    def prepare(self, graph: Graph) -> Graph:
        self.widened = widen(graph)
        expand_recurrences(graph, lambda module: True)
        EVALUATION.apply(graph)
        return prepare(graph, self.style, channels="any")

    def emit(self, graph: Graph) -> Export:
        done = super().emit(graph)
        entry = _entry(graph.modules[""], done.entry)
        return dataclasses.replace(done, entry=entry, weights=WeightMap(tuple(map(self._cast, done.weights.entries))))

    def _cast(self, entry: Entry) -> Entry:
        if not self.widened.intersection(entry.sources):
            return entry
        return Entry(entry.targets, entry.sources, (*entry.steps, Cast("float32", "bfloat16")))

    def _docstring(self, graph: Graph, done: Plan) -> str:
        note = "``params`` holds the arrays by the names of the source. NumPy has no gradients: this is for evaluation."
        return super()._docstring(graph, done).replace("Inputs:", f"{note}\n\nInputs:", 1)

    def _package(self, names: list[str], done: Plan) -> str:
        return super()._package([_entry(done.graph.modules[""], names[0]), *names[1:]], done)

    def _holds(self, method: Method) -> bool:
        """Whether a function reads any array of its module."""
        nodes = (node for statement in method.body for node in ast.walk(statement))
        return any(isinstance(node, ast.Name) and node.id == self.style.instance for node in nodes)

    def render_class(self, cls: Class) -> str:
        lines: list[str] = []
        for word, method in cls.methods.items():
            body = self.statements(method.body)
            parameters = method.signature("np.ndarray")
            if self._holds(method):
                parameters.insert(0, f"{self.style.instance}: dict")
            used = {n.id for stmt in method.body for n in ast.walk(stmt) if isinstance(n, ast.Name)}
            settings = [f"{argument}: {kind}" for argument, kind in cls.arguments.items() if argument in used]
            if settings:
                parameters += ["*", *settings]
            name = function_name(cls.name, word, self.style)
            lines += [self.place(cls).strip(), f"def {name}({', '.join(parameters)}):", body, "", ""]
        if "" in cls.instances:
            lines += [self._callable(cls)]
        return "\n".join(lines)

    def _callable(self, root: Class) -> str:
        method = root.methods[self.style.method]
        signature = "".join(f", {parameter}" for parameter in method.signature("np.ndarray"))
        arguments = ", ".join(["self.params"] * self._holds(method) + method.parameters)
        return f'''class {_entry(root.info, root.name)}:
    """`{root.name}` with its arrays: dictionaries by name, and lists where a name is a number."""

    def __init__(self, params: dict):
        self.params = params

    # no warnings of elements that a mask then hides
    @np.errstate(divide="ignore", invalid="ignore")
    def __call__(self{signature}):
        return {root.name}({arguments})
'''


def _entry(root: ModuleInfo, function: str) -> str:
    """The name of the class that holds the arrays and calls the root's function."""
    return identifier(root.class_name, [function])


def emit(graph: Graph, target: Target) -> Export:
    """Write a graph for NumPy. Raises `NoLoweringError` with every operation that NumPy cannot express."""
    return NumpyEmitter(NumpyStyle(target.oldest), target).emit(graph)
