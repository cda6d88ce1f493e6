"""Graph -> JAX: `flax.linen` modules on request, set up by name, with their variables beside them."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

from ....engine.graph import Graph
from ....engine.spec import Spec
from ....engine.template import literal
from ...weights import Split, Transpose
from ..writing.classes import Class
from ..writing.emitter import Emitter
from ..writing.layers import Leaves, Placement
from ..writing.prepare import prepare
from ..writing.style import IMPORTS, Style, array_literal, attribute, expression, filled, name, repeated, statement
from .layers import batch_norm, conv_settings, conv_weights, is_one_cell
from .styles import jax_dtype

LINEN = Leaves()

_DTYPES = "dtype=self.dtype, param_dtype=self.param_dtype"

LINEN.row(
    "Linear",
    f"nn.Dense({{out_features}}, use_bias={{use_bias:True}}, {_DTYPES})",
    weights={"weight": ("kernel", (Transpose((1, 0)),)), "bias": ("bias", ())},
)
LINEN.row(
    "Embedding",
    f"nn.Embed({{num_embeddings}}, {{embedding_dim}}, {_DTYPES})",
    weights={"weight": ("embedding", ())},
    when=lambda c: c.padding_idx is None,
)
LINEN.row(
    "Embedding",
    f"nn.Embed({{num_embeddings}}, {{embedding_dim}}, {_DTYPES})",
    call="support.stop_gradient_where({self}({x}), {x} == {padding_idx})",
    weights={"weight": ("embedding", ())},
)
LINEN.row(
    "LayerNorm",
    f"nn.LayerNorm(epsilon={{eps:1e-06}}, use_scale={{use_weight:True}}, use_bias={{use_bias:True}}, {_DTYPES})",
    weights={"weight": ("scale", ()), "bias": ("bias", ())},
    when=lambda c: len(c.normalized_shape) == 1,
)
LINEN.row(
    "GroupNorm",
    "nn.GroupNorm({num_groups}, epsilon={eps:1e-06}, use_scale={affine:True}, use_bias={affine:True}, "
    f"{_DTYPES})",
    weights={"weight": ("scale", ()), "bias": ("bias", ())},
    when=lambda c: c.channel_axis == -1,
)


def _lstm_weights(c: SimpleNamespace) -> Placement:
    """Linen has an array for each gate."""
    sizes, gates = (c.hidden_size,) * 4, "ifgo"
    kernels = (Split(0, sizes), *(Transpose((1, 0), at) for at in range(4)))
    return {
        "weight_ih_l0": (tuple(f"cell.i{gate}.kernel" for gate in gates), kernels),
        "weight_hh_l0": (tuple(f"cell.h{gate}.kernel" for gate in gates), kernels),
        "bias_ih_l0": (tuple(f"cell.h{gate}.bias" for gate in gates), (Split(0, sizes),)),
    }


LINEN.row(
    "LSTM",
    f"nn.RNN(nn.OptimizedLSTMCell({{hidden_size}}, {_DTYPES}), time_major={{time_major:False}})",
    call="support.recurrent({self}, {x}, {states})",
    alone="{self}({x})",
    weights=_lstm_weights,
    when=is_one_cell,
    derive=lambda c: {"time_major": not c.batch_first},
)
LINEN.row("Dropout", "nn.Dropout({rate})", call="{self}({x}, deterministic={training})")
LINEN.row(
    "Conv",
    "nn.Conv({out_channels}, {kernel_size}, strides={strides}, padding={padding}, kernel_dilation={dilation:1}, "
    f"feature_group_count={{groups:1}}, use_bias={{use_bias:True}}, {_DTYPES})",
    weights=conv_weights,
    when=lambda c: c.channel_axis == -1,
    derive=conv_settings,
)
for _home, _unbiased in (("support", True), ("nn", False)):
    LINEN.row(
        "BatchNorm",
        f"{_home}.BatchNorm(momentum={{decay:0.99}}, epsilon={{eps:1e-05}}, use_scale={{affine:True}}, "
        f"use_bias={{affine:True}}, {_DTYPES})",
        call="{self}({x}, use_running_average={training})",
        **batch_norm(_unbiased),
    )

# dir(flax.linen.Module) of Flax 0.12 with its dataclass fields, kept as a table so that writing needs no Flax
_RESERVED = """
apply bind clone copy get_variable has_rng has_variable init init_with_output is_initializing is_mutable_collection
lazy_init make_rng module_paths name param parent path perturb put_variable scope setup sow tabulate unbind variable
variables dtype param_dtype deterministic
"""


@dataclass
class LinenStyle(Style):
    """``flax.linen.Module`` classes: dataclass fields and ``setup``, so that parameters bear the source's names."""

    framework: ClassVar[str] = "jax"
    leaves: ClassVar[Leaves] = LINEN
    base: ClassVar[str] = "nn.Module"
    supports: ClassVar[tuple[str, ...]] = ("jax", "flax_linen")
    array: ClassVar[str] = "jax.Array"
    updates: ClassVar[bool] = True
    training: ClassVar[str | None] = "deterministic"
    reserved: ClassVar[frozenset[str]] = frozenset(_RESERVED.split())
    imports: ClassVar[Mapping[str, str]] = {
        **IMPORTS,
        "jax": "import jax",
        "jnp": "import jax.numpy as jnp",
        "lax": "from jax import lax",
        "nn": "from flax import linen as nn",
        "partial": "from functools import partial",
    }

    def library(self) -> str:
        return ">=0.8.5"

    def setting(self, word: str, *, building: bool) -> ast.expr:
        return attribute(name("self"), word)

    def parameter(self, owner: ast.expr, word: str, *, trainable: bool, layer: str | None = None) -> ast.expr:
        if layer is None:
            array = attribute(owner, word)
            return array if trainable else attribute(array, "value")
        if layer == "Embedding":
            return attribute(owner, word)
        params = ast.Subscript(attribute(owner, "variables"), ast.Constant("params"), ast.Load())
        return ast.Subscript(params, ast.Constant(word), ast.Load())

    def declare(self, word: str, spec: Spec, *, trainable: bool, persistent: bool) -> list[ast.stmt]:
        dtype = "self.param_dtype" if spec.dtype == "float32" and trainable else jax_dtype(spec.dtype)
        initial = f'param("{word}", nn.initializers.zeros' if trainable else f'variable("buffers", "{word}", jnp.zeros'
        stmt = statement(f"self.{word} = self.{initial}, 0, {dtype})")
        stmt.value.args[-2] = literal(spec.shape, "size")  # type: ignore[attr-defined]
        return [stmt]

    def update(self, owner: ast.expr, word: str, value: ast.expr) -> ast.stmt:
        stmt = statement('if self.is_mutable_collection("buffers"):\n    self.x.value = 0')
        stmt.body[0].targets[0].value = attribute(owner, word)  # type: ignore[attr-defined]
        stmt.body[0].value = value  # type: ignore[attr-defined]
        return stmt

    def dropout(self, layer: ast.expr) -> ast.expr:
        return ast.Call(name("partial"), [layer], [ast.keyword("deterministic", name("deterministic"))])

    def rngs(self) -> ast.expr:
        return expression('self.make_rng("default")')

    def module_list(self, items: Mapping[int, ast.expr]) -> ast.expr:
        return repeated(filled(items))

    def construct(self, cls: str, arguments: Mapping[str, ast.expr], *, bare: bool) -> ast.expr:
        keywords = [ast.keyword(key, value) for key, value in arguments.items()]
        dtypes = [] if bare else [ast.keyword(word, attribute(name("self"), word)) for word in ("dtype", "param_dtype")]
        return ast.Call(name(cls), [], [*keywords, *dtypes])

    def constant(self, array: Any) -> ast.expr:
        return array_literal(array, "jnp.array", jax_dtype(array.dtype.name))

    def stored_name(self, parts: Sequence[str | int], *, trainable: bool, layer: str | None) -> str:
        """Its place in the variables: the collection, then names as Linen makes them (item 0 of ``h`` is ``h_0``)."""
        if layer is None:
            words = ["params" if trainable else "buffers"]
        else:
            words = ["batch_stats" if layer == "BatchNorm" and parts[-1] in ("mean", "var") else "params"]
        for part in parts:
            if isinstance(part, int):
                words[-1] += f"_{part}"
            else:
                words.append(part)
        return ".".join(words)


_LOAD = '''"""Load the model: ``model, variables = load()``, then ``model.apply(variables, ...)``."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
from flax.traverse_util import unflatten_dict
from safetensors.flax import load_file

from .modeling import {words}

__all__ = [{listed}]


def read(folder):
    """All tensors of the weight files in a folder, by name."""
    files = ["model.safetensors"]
    if (index := folder / "model.safetensors.index.json").exists():
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    return {{name: tensor for file in files for name, tensor in load_file(folder / file).items()}}


def load(path=None, *, device=None, dtype=None):
    """The model and its variables, a dictionary of collections: "params", and where there are any, "batch_stats"
    and "buffers". A tensor's name in the file is its path in them: "params.layer_0.kernel".

    To train, pass ``deterministic=False`` where the model takes it, ``rngs={{"dropout": key}}`` to ``apply``, and
    ``mutable=["batch_stats"]`` where there are batch statistics (``["buffers"]`` where the model changes buffers).
    A model that draws random numbers of its own takes them from ``rngs={{"default": key}}`` in every mode.

    Args:
        path: the folder of the weights; this package's own by default.
        device: a `jax.Device`, or a platform such as "cpu" or "gpu".
        dtype: cast floating-point weights to it, ``jnp.bfloat16``; as stored by default.
    """
    tensors = read(Path(__file__).parent if path is None else Path(path))
{constants}    if dtype is not None:
        for name, tensor in tensors.items():
            if jnp.issubdtype(tensor.dtype, jnp.floating):
                tensors[name] = tensor.astype(dtype)
    device = jax.devices(device)[0] if isinstance(device, str) else device
    return {entry}(), unflatten_dict(jax.device_put(tensors, device), sep=".")
'''


class LinenEmitter(Emitter):
    """Writes `flax.linen` classes."""

    load = _LOAD
    load_constants = '    tensors |= load_file(Path(__file__).parent / "constants.safetensors")\n'

    def prepare(self, graph: Graph) -> Graph:
        return prepare(graph, self.style)

    def render_class(self, cls: Class) -> str:
        lines = [f"class {cls.name}(nn.Module):{self.place(cls)}"]
        if cls.build or cls.arguments:
            lines += [f"    {word}: {kind}" for word, kind in cls.arguments.items()]
            lines += ["    dtype: Any = None", "    param_dtype: Any = jnp.float32", ""]
        if cls.build:
            lines += ["    def setup(self):", self.statements(cls.build), ""]
        for word, method in cls.methods.items():
            parameters = ["self", *method.signature("jax.Array"), *["deterministic: bool = True"] * method.training]
            head = f"    def {word}({', '.join(parameters)}){method.arrow('jax.Array')}:"
            lines += [head, self.statements(method.body), ""]
        return "\n".join(lines)
