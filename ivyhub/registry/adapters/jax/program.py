"""What is captured, in one form: functions, functions of parameters, and modules of Flax."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....engine import ops
from ....engine.graph import Graph, ModuleInfo


@dataclass(frozen=True)
class Place:
    """Where the source holds a parameter of the graph.

    Attributes:
        names: of the native array, or of several, which stand one behind the other along the parameter's first axis.
        axes: the order of their axes in the graph; None where it is theirs.
    """

    names: tuple[str, ...]
    axes: tuple[int, ...] | None = None

    def view(self, tensors: Mapping[str, Any]) -> np.ndarray:
        """The parameter in the graph's layout, from arrays of the source."""
        arrays = [np.asarray(tensors[name]) for name in self.names]
        arrays = arrays if self.axes is None else [array.transpose(self.axes) for array in arrays]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

    def of_source(self, value: Any, name: str) -> Any:
        """A native array in the source's layout, from the parameter in the graph's."""
        if len(self.names) > 1:
            place, size = self.names.index(name), int(value.shape[0]) // len(self.names)
            value = ops.getitem(value, key=((place * size, (place + 1) * size, None),))
        if self.axes is None:
            return value
        return ops.transpose(value, axes=tuple(np.argsort(self.axes).tolist()))

    def of_graph(self, value: Any) -> Any:
        """A value in the graph's layout, from one of a single array in the source's."""
        return value if self.axes is None else ops.transpose(value, axes=self.axes)


@dataclass
class Program:
    """What is captured, in one form.

    Attributes:
        name: of the class that an export gets.
        run: the results for native tensors by name, the arguments, and whether it trains; and the tensors it changed.
        signature: of its arguments.
        tensors: native arrays by name.
        places: for each parameter of the graph, the native array that it is, or those that it is made of.
        trainable: the names of the tensors that gradients reach.
        modules: the module table.
        tracing: entered while it is traced, with the graph, and with what was seen in training where that is over; see
            `flax_source`.
        table: makes the module table and the places from what the trace has seen, where there is no `modules`.
        modes: arguments that say whether it trains, which an export knows by its mode.
        module: where its class comes from.
    """

    name: str
    run: Callable[..., Any]
    signature: inspect.Signature
    tensors: dict[str, Any] = field(default_factory=dict[str, Any])
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    trainable: frozenset[str] = frozenset()
    modules: dict[str, ModuleInfo] = field(default_factory=dict[str, ModuleInfo])
    tracing: Callable[[Graph, Any], Any] | None = None
    table: Callable[[Any], tuple[dict[str, ModuleInfo], dict[str, Place]]] | None = None
    modes: frozenset[str] = frozenset()
    module: str = ""


def path_of(keys: Sequence[Any]) -> str:
    """The path of a leaf of a pytree, its parts identifiers or numbers."""
    words = [str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))) for key in keys]
    return ".".join(re.sub(r"\W", "_", word) for word in words)


def unbound(signature: inspect.Signature, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by name as a call takes them."""
    args: list[Any] = []
    kwargs = dict(arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            args += kwargs.pop(parameter.name, ())
        if parameter.kind > parameter.POSITIONAL_OR_KEYWORD or parameter.name not in kwargs:
            break  # one that was left out ends what may stand by its place
        args.append(kwargs.pop(parameter.name))
    return args, kwargs


__all__ = ["Place", "Program", "path_of", "unbound"]
