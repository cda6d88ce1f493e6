"""Sources: what a model or function may be before it is a graph, and the adapter that captures it.

A kind of source is one row of `KINDS`. Its adapter has one function:

    capture(source, args, kwargs, dynamic) -> Capture

where ``source`` is the object itself, or the pair of a module and its variables where a framework keeps them apart.
Nothing here imports a framework: an object's kind is read off the names of its classes, a function's off its example
inputs, a file's off its suffix.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...engine.backends import framework_of
from ...engine.extensions import load_installed
from ...engine.graph import Graph, Value, tree_leaves
from ...errors import CaptureError, UsageError
from .running import Original

Dynamic = Mapping[str, Mapping[int, str]]

#: Makes the arguments of the source, nested as it takes them, from arrays by path.
Arrange = Callable[[dict[str, Any]], Mapping[str, Any]]


class Live(NamedTuple):
    """What a source has beside its graph.

    Attributes:
        tensors: the arrays of its parameters and buffers, by the paths of the graph's own.
        original: opens a copy of the source, which a certificate asks for numbers and trains.
    """

    tensors: dict[str, Any]
    original: Callable[[Arrange], Original]


@dataclass
class Capture:
    """A source as it was captured.

    Attributes:
        graph: with the names of the source.
        tensors: see `Live`.
        original: see `Live`.
        examples: the arrays among the example inputs by path, for the range of their integers.
        notes: what a reader of an export should know.
    """

    graph: Graph
    tensors: dict[str, Any]
    original: Callable[[Arrange], Original]
    examples: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])
    notes: list[str] = field(default_factory=list[str])

    @property
    def live(self) -> Live:
        """What outlives the graph that was captured."""
        return Live(self.tensors, self.original)


@dataclass(frozen=True)
class Kind:
    """One kind of source.

    Attributes:
        name: what a message calls it.
        adapter: the module of this package that captures it.
        classes: the qualified names of its base classes.
        arrays: the framework whose arrays, among its example inputs, tell a function of this kind.
        suffixes: of its files.
        holds: the name of a file that a folder of this kind has in it.
    """

    name: str
    adapter: str
    classes: tuple[str, ...] = ()
    arrays: str | None = None
    suffixes: tuple[str, ...] = ()
    holds: str = ""


KINDS: tuple[Kind, ...] = (
    Kind("a torch.nn.Module", ".torch.capture", ("torch.nn.modules.module.Module",)),
    Kind(
        "a torch.export.ExportedProgram or the path of a .pt2 file",
        ".torch.exported",
        ("torch.export.exported_program.ExportedProgram",),
        suffixes=(".pt2",),
    ),
    Kind(
        "an onnx.ModelProto or the path of an .onnx file",
        ".onnx.capture",
        ("onnx.onnx_ml_pb2.ModelProto",),
        suffixes=(".onnx",),
    ),
    Kind("a module of ivyhub.engine.nn", ".modules", ("ivyhub.engine.stateful.module.Module",)),
    Kind("a module of Flax", ".jax.capture", ("flax.nnx.module.Module", "flax.linen.module.Module")),
    Kind("a module of Equinox", ".jax.capture", ("equinox._module._module.Module", "equinox._module.Module")),
    Kind("a function of JAX", ".jax.capture", arrays="jax"),
    Kind(
        "a Keras model or layer, or the path of a .keras file",
        ".tensorflow.keras_capture",
        ("keras.src.layers.layer.Layer",),
        suffixes=(".keras",),
    ),
    Kind(
        "a function or module of TensorFlow",
        ".tensorflow.capture",
        (
            "tensorflow.python.module.module.Module",
            "tensorflow.python.eager.polymorphic_function.polymorphic_function.Function",
        ),
        arrays="tensorflow",
    ),
    Kind("the folder of a SavedModel", ".tensorflow.saved_model", holds="saved_model.pb"),
)


def kind_of(source: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Kind | None:
    """The kind of a source, or None.

    Args:
        source: an object, a pair of one and its variables, a function or the path of a file.
        args: its example inputs.
        kwargs: its example inputs by name.

    Example:
        >>> import torch
        >>> kind_of(torch.nn.Linear(2, 2)).name
        'a torch.nn.Module'
    """
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        return next((k for k in KINDS if path.suffix in k.suffixes or (k.holds and (path / k.holds).is_file())), None)
    head = source[0] if isinstance(source, tuple) and len(source) == 2 else source
    names = {f"{base.__module__}.{base.__qualname__}" for base in type(head).__mro__}
    found = next((kind for kind in KINDS if names.intersection(kind.classes)), None)
    if found is not None or not callable(head):
        return found
    inputs = (tuple(args), dict(kwargs or {}), source[1] if head is not source else None)
    frameworks = {framework_of(leaf) for _, leaf in tree_leaves(inputs)}
    return next((kind for kind in KINDS if kind.arrays in frameworks - {None}), None)


def capture_source(source: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Dynamic) -> Capture:
    """Capture a source of any kind.

    Raises:
        UsageError: it is of no kind that is known.
        CaptureError: its adapter cannot capture it; with every operation that no rule reads; or it fixes a size that
            is to vary.
    """
    load_installed()
    kind = kind_of(source, args, kwargs)
    if kind is None:
        kinds = ", ".join(kind.name for kind in KINDS)
        received = repr(str(source)) if isinstance(source, str | Path) else type(source).__name__
        raise UsageError(
            f"expected {kinds}, received {received}",
            hint="models of other frameworks come from a checkpoint: ivyhub.pull",
        )
    found: Capture = importlib.import_module(kind.adapter, __package__).capture(source, args, kwargs, dynamic)
    for name, axes in dynamic.items():
        for _, value in tree_leaves(found.graph.inputs.get(name)):
            for axis, size in axes.items():
                if isinstance(value, Value) and isinstance(value.shape[axis], int):
                    raise CaptureError(
                        f"axis {axis} of {name!r} was named {size!r}, but the model only takes "
                        f"{value.shape[axis]} there",
                        hint="leave it out of dynamic; an export for another size needs another capture",
                    )
    return found
