"""Graph -> JAX: `flax.nnx` modules, as a person would write them; `flax.linen` ones stand in `linen`."""

from __future__ import annotations

import ast

from ....engine.graph import Graph
from ..target import Target
from ..writing.classes import Class, Plan
from ..writing.emitter import Emitter
from ..writing.export import Export
from ..writing.prepare import prepare
from .linen import LinenEmitter, LinenStyle
from .styles import NnxStyle

_LOAD = '''"""Load the model: ``model = load()``."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors.flax import load_file

from .modeling import {words}

__all__ = [{listed}]


def read(folder):
    """All tensors of the weight files in a folder, by name."""
    files = ["model.safetensors"]
    if (index := folder / "model.safetensors.index.json").exists():
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    return {{name: tensor for file in files for name, tensor in load_file(folder / file).items()}}


def blank():
    """The model without values, for `nnx.eval_shape`."""
    rngs = nnx.Rngs(0)
    # A traced count would take most of the time of a load: Flax asks for its sharding, which JAX is slow to refuse.
    rngs.default.count = nnx.RngCount(np.zeros((), np.uint32), tag="default")
    return {entry}(rngs=rngs)


def load(path=None, *, device=None, dtype=None, seed=0):
    """The model with its weights.

    Args:
        path: the folder of the weights; this package's own by default.
        device: a `jax.Device`, or a platform such as "cpu" or "gpu".
        dtype: cast floating-point weights to it, ``jnp.bfloat16``; as stored by default.
        seed: of the random numbers of dropout.
    """
    tensors = read(Path(__file__).parent if path is None else Path(path))
{constants}    device = jax.devices(device)[0] if isinstance(device, str) else device
    graph, state = nnx.split(nnx.eval_shape(blank))
    flat, rngs = {{}}, nnx.Rngs(seed)
    for place, variable in nnx.to_flat_state(state):
        if isinstance(variable, nnx.RngKey):
            value = rngs()  # each layer draws its own numbers
        elif isinstance(variable, nnx.RngCount):
            value = jnp.zeros((), jnp.uint32)
        else:
            value = tensors.pop(".".join(map(str, place)))
            if dtype is not None and jnp.issubdtype(value.dtype, jnp.floating):
                value = value.astype(dtype)
            value = jax.device_put(value, device)
        flat[place] = variable.replace(value)
    if tensors:
        raise ValueError(f"unexpected tensors: {{', '.join(sorted(tensors))}}")
    model = nnx.merge(graph, nnx.from_flat_state(flat))
    # An embedding computes in the type that it was built with; None stands for that of its array.
    model.set_attributes(nnx.Embed, dtype=None, raise_if_not_found=False)
    return model
'''


_EMBEDDINGS = _LOAD[_LOAD.index("    # An embedding computes") : _LOAD.index("    return model\n")]

#: The lines that differ for Flax before 0.12, where the leaves of a state are no variables but know their type.
_BEFORE_LISTS = (
    (_LOAD[_LOAD.index("    # A traced count") : _LOAD.index("    return {entry}(rngs=rngs)")], ""),
    ("in nnx.to_flat_state(state):", "in dict(state.flat_state()).items():"),
    ("isinstance(variable, nnx.RngKey)", "issubclass(variable.type, nnx.RngKey)"),
    ("isinstance(variable, nnx.RngCount)", "issubclass(variable.type, nnx.RngCount)"),
    (
        "        else:\n",
        "        elif variable.value is None:  # a bias that is not there\n            value = None\n        else:\n",
    ),
    ("nnx.from_flat_state(flat)", "nnx.State.from_flat_path(flat)"),
)


class NnxEmitter(Emitter):
    """Writes `flax.nnx` classes."""

    style: NnxStyle
    load = _LOAD
    load_constants = '    tensors |= load_file(Path(__file__).parent / "constants.safetensors")\n'

    def prepare(self, graph: Graph) -> Graph:
        return prepare(graph, self.style)

    def _package(self, names: list[str], done: Plan) -> str:
        text = super()._package(names, done)
        for line, before in () if self.style.lists else _BEFORE_LISTS:
            assert line in text, f"the text of a package has no {line!r}"
            text = text.replace(line, before, 1)
        if not any("nnx.Embed(" in ast.unparse(line) for cls in done.classes for line in cls.build):
            text = text.replace(_EMBEDDINGS, "")
        if done.root.build or done.root.kept:
            return text
        before, after = text.index("    rngs = nnx.Rngs(0)\n"), text.index(f"    return {done.root.name}")
        return (text[:before] + text[after:]).replace("(rngs=rngs)", "()").replace("import numpy as np\n", "")

    def render_class(self, cls: Class) -> str:
        lines = [f"class {cls.name}(nnx.Module):{self.place(cls)}"]
        if cls.build or cls.kept:
            arguments = "".join(f"{word}: {kind}, " for word, kind in cls.arguments.items())
            lines += [f"    def __init__(self, {arguments}*, rngs: nnx.Rngs, **dtypes):"]
            lines += [f"        self.{word} = {word}" for word in cls.kept]
            lines += [self.statements(cls.build), ""]
        for word, method in cls.methods.items():
            parameters = ", ".join(["self", *method.signature("jax.Array")])
            head = f"    def {word}({parameters}){method.arrow('jax.Array')}:"
            lines += [head, self.statements(method.body), ""]
        return "\n".join(lines)


def emit(graph: Graph, target: Target) -> Export:
    """Write a graph for JAX. Raises `NoLoweringError` with every operation that JAX cannot express."""
    if target.flavour == "flax.linen":
        return LinenEmitter(LinenStyle(target.oldest), target).emit(graph)
    return NnxEmitter(NnxStyle(target.oldest), target).emit(graph)
