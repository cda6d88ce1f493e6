"""Graph -> PyTorch: `torch.nn.Module` classes, as a person would write them."""

from __future__ import annotations

import ast

from ....engine.graph import Graph
from ..target import Target
from ..writing.classes import Class
from ..writing.emitter import Emitter
from ..writing.export import Export
from ..writing.prepare import prepare
from ..writing.style import statement
from .styles import TorchStyle

_LOAD = '''"""Load the model: ``model = load()``."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.overrides import TorchFunctionMode

from .modeling import {words}

__all__ = [{listed}]


def read(folder, device="cpu"):
    """All tensors of the weight files in a folder, by name."""
    files = ["model.safetensors"]
    if (index := folder / "model.safetensors.index.json").exists():
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    return {{name: tensor for file in files for name, tensor in load_file(folder / file, device=device).items()}}


class _Blank(TorchFunctionMode):
    """Initialisers of `torch.nn.init` do nothing: on the meta device some would import all of PyTorch's compiler."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"]
        return function(*args, **(kwargs or {{}}))


def load(path=None, *, device="cpu", dtype=None):
    """The model with its weights, in training mode as every new `torch.nn.Module`.

    Args:
        path: the folder of the weights; this package's own by default.
        device: where the weights go, "cuda:0".
        dtype: cast floating-point weights to it, ``torch.bfloat16``; as stored by default.
    """
    tensors = read(Path(__file__).parent if path is None else Path(path), str(device))
    with torch.device("meta"), _Blank():
        model = {entry}()
    owners = {{}}
    for name, tensor in model.state_dict(keep_vars=True).items():
        owner = owners.setdefault(tensor, name)
        if owner != name:  # a tied weight is stored once
            tensors[name] = tensors[owner]
        elif isinstance(tensor, torch.nn.Parameter):
            tensors[name] = torch.nn.Parameter(tensors[name], requires_grad=tensor.requires_grad)
    model.load_state_dict(tensors, strict=True, assign=True)
{constants}    return model if dtype is None else model.to(dtype)
'''

_CONSTANTS = """    for name, tensor in load_file(
        Path(__file__).parent / "constants.safetensors", device=str(device)
    ).items():
        setattr(model.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], tensor)
"""


class TorchEmitter(Emitter):
    """Writes `torch.nn.Module` classes."""

    load = _LOAD
    load_constants = _CONSTANTS

    def prepare(self, graph: Graph) -> Graph:
        return prepare(graph, self.style, channels="first", heads="second")

    def render_class(self, cls: Class) -> str:
        base, (first, *rest) = _inherited(cls)
        lines = [f"class {cls.name}({base}):{self.place(cls)}"]
        if cls.build or cls.kept:
            arguments = "".join(f", {word}: {kind}" for word, kind in cls.arguments.items())
            lines += [f"    def __init__(self{arguments}):", self.statements([first])]
            lines += [f"        self.{word} = {word}" for word in cls.kept]
            lines += [self.statements(rest), ""]
        for word, method in cls.methods.items():
            parameters = ", ".join(["self", *method.signature("torch.Tensor")])
            head = f"    def {word}({parameters}){method.arrow('torch.Tensor')}:"
            lines += [head, self.statements(method.body), ""]
        return "\n".join(lines)


def _inherited(cls: Class) -> tuple[str, list[ast.stmt]]:
    """The base class, and the statements of the constructor from its own constructor's call on."""
    match cls.build:
        case [ast.Expr(ast.Call(ast.Attribute(attr="__init__"), [children])), *_]:
            return "nn.ModuleDict" if isinstance(children, ast.Dict) else "nn.ModuleList", cls.build
    return "nn.Module", [statement("super().__init__()"), *cls.build]


def emit(graph: Graph, target: Target) -> Export:
    """Write a graph for PyTorch. Raises `NoLoweringError` with every operation that PyTorch cannot express."""
    return TorchEmitter(TorchStyle(target.oldest), target).emit(graph)
