"""Graph -> TensorFlow: Keras 3 layers and models, as a person would write them."""

from __future__ import annotations

import ast

from ....engine.graph import Graph
from ..target import Target
from ..writing.body import Method
from ..writing.classes import Class
from ..writing.emitter import Emitter, main_dtype
from ..writing.export import Export
from ..writing.prepare import prepare
from ..writing.style import expression
from .styles import KerasStyle

_LOAD = '''"""Load the model: ``model = load()``."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import tensorflow as tf
from safetensors.numpy import load_file

from .modeling import {words}

__all__ = [{listed}]


def read(folder):
    """All tensors of the weight files in a folder, by name."""
    files = ["model.safetensors"]
    if (index := folder / "model.safetensors.index.json").exists():
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    return {{name: tensor for file in files for name, tensor in load_file(folder / file).items()}}


def variables(model):
    """The variables of a model by their attribute paths, which are the names in the weight files."""
    places = (variable.path.partition(f"{{model.name}}/")[2] for variable in model.weights)
    return {{place.replace("/", "."): variable for place, variable in zip(places, model.weights)}}


def load(path=None, *, device=None, dtype=None):
    """The model with its weights.

    Args:
        path: the folder of the weights; this package's own by default.
        device: where the variables are put, "GPU:0".
        dtype: a Keras dtype policy, "bfloat16" or "mixed_bfloat16"; the dtype of the weights by default.
    """
    tensors = read(Path(__file__).parent if path is None else Path(path))
    if dtype is None:
        dtypes = {{tensor.dtype.name for tensor in tensors.values() if "float" in tensor.dtype.name}}
        dtype = keras.backend.result_type(*dtypes) if dtypes else "{dtype}"
{constants}    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        with tf.device(device):
            model = {entry}()
    finally:
        keras.config.set_dtype_policy(policy)
    places = variables(model)
    if places.keys() != tensors.keys():
        missing, unexpected = places.keys() - tensors.keys(), tensors.keys() - places.keys()
        raise ValueError(f"missing tensors: {{sorted(missing)}}; unexpected tensors: {{sorted(unexpected)}}")
    for name, variable in places.items():
        variable.assign(tensors.pop(name))
    return model
'''

_REGISTER = "@keras.saving.register_keras_serializable(package=__name__)"


class KerasEmitter(Emitter):
    """Writes `keras.layers.Layer` classes and a `keras.Model`."""

    load = _LOAD
    load_constants = '    tensors |= load_file(Path(__file__).parent / "constants.safetensors")\n'

    def prepare(self, graph: Graph) -> Graph:
        return prepare(graph, self.style)

    def render_class(self, cls: Class) -> str:
        root = "" in cls.instances
        base = "keras.Model" if root else self.style.base
        lines = [_REGISTER, f"class {cls.name}({base}):{self.place(cls)}"]
        arguments = "".join(f"{word}, " for word in cls.arguments)
        builds = "build" in cls.methods
        if cls.build or cls.arguments or (root and builds):
            lines += [f"    def __init__(self, {arguments}**kwargs):", "        super().__init__(**kwargs)"]
            lines += [f"        self.{word} = {word}" for word in cls.arguments]
            lines += [self.statements([_named(stmt) for stmt in cls.build])]
            lines += ["        self.build()", ""] if root and builds else [""]
        if builds:
            lines += ["    def build(self, input_shape=None):", self.statements(cls.methods["build"].body), ""]
        for word, method in cls.methods.items():
            if word != "build":
                lines += [*self._call(word, method, root), self.statements(method.body), ""]
        if cls.arguments:
            fields = ", ".join(f'"{word}": self.{word}' for word in cls.arguments)
            lines += ["    def get_config(self):", f"        return {{**super().get_config(), {fields}}}", ""]
        return "\n".join(lines)

    def _call(self, word: str, method: Method, root: bool) -> list[str]:
        """The head of a method. The root takes its inputs as one dict too, which is how datasets give them."""
        first, *rest = method.parameters or [""]
        training = method.training
        several = root and bool(rest) and first not in method.trees  # which may be a dict itself
        words = [
            *method.parameters[:1],
            *(f"{each}=None" if several else each for each in rest),
            *["training=None"] * training,
        ]
        head = [f"    def {word}({', '.join(['self', *words])}):"]
        if several:
            mode = ", training=training" if training else ""
            head += [f"        if isinstance({first}, dict):", f"            return self.{word}(**{first}{mode})"]
        return head


def _named(stmt: ast.stmt) -> ast.stmt:
    """A constructor statement that gives a layer the name of its attribute, by which its variables are found."""
    assert isinstance(stmt, ast.Assign)
    (attribute,) = stmt.targets
    assert isinstance(attribute, ast.Attribute)
    return ast.Assign([attribute], _with_name(stmt.value, ast.Constant(attribute.attr)))


def _with_name(tree: ast.expr, word: ast.expr) -> ast.expr:
    match tree:
        case ast.Call(func, args, keywords):
            return ast.Call(func, args, [*keywords, ast.keyword("name", word)])
        case ast.ListComp(item, [loop]):
            index = "ijk"[isinstance(word, ast.JoinedStr)]
            named = _with_name(item, expression(f'f"{_text(word)}.{{{index}}}"'))
            return ast.ListComp(named, [ast.comprehension(ast.Name(index, ast.Store()), loop.iter, [], 0)])
        case ast.List(items):
            return ast.List([_with_name(item, _numbered(word, i)) for i, item in enumerate(items)], ast.Load())
    return tree


def _text(word: ast.expr) -> str:
    return str(word.value) if isinstance(word, ast.Constant) else ast.unparse(word)[2:-1]


def _numbered(word: ast.expr, index: int) -> ast.expr:
    text = f"{_text(word)}.{index}"
    return ast.Constant(text) if isinstance(word, ast.Constant) else expression(f'f"{text}"')


def emit(graph: Graph, target: Target) -> Export:
    """Write a graph for TensorFlow. Raises `NoLoweringError` with every operation that TensorFlow cannot express."""
    return KerasEmitter(KerasStyle(target.oldest, main=main_dtype(graph)), target).emit(graph)
