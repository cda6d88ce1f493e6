"""How a certificate asks a model for numbers, whatever it is written in.

Each framework's ``run.py`` has a ``Runner`` of this form over its live objects. Arrays go in and out as NumPy; native
tensors bear the names that they have in the export's weight file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

#: Of an original by path; of an export by the names of its arguments, which may be trees of them.
Arrays = Mapping[str, Any]


class Runner(Protocol):
    """A live model that is asked for outputs, gradients and steps. Dropout is off throughout, in train mode too.

    Attributes:
        trains: whether it has gradients; NumPy's exports have outputs alone.
    """

    trains: bool

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        """Its results for some inputs, in the order of the model's result."""
        ...

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        """The gradient of ``sum(outputs * weights)`` for each trainable tensor; None leaves an output out."""
        ...

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        """Train by gradient descent on that sum, and return its value before each step. The model is changed."""
        ...

    def buffers(self) -> dict[str, np.ndarray]:
        """The floating-point tensors that training changes without a gradient, as they stand."""
        ...


class Original(Runner, Protocol):
    """A runner of what an export is compared with, which can be asked for more."""

    def widened(self) -> Runner:
        """The same model in float64, as the measure of its own rounding; this one is it from then on."""
        ...

    def watching(self, seen: Callable[[str, dict[str, np.ndarray]], None]) -> AbstractContextManager[None]:
        """While entered, report the path of each module call as it ends, with its results by their paths."""
        ...


def leaves(tree: Any) -> Iterator[Any]:
    """The arrays of a result in order: of dicts, tuples, named tuples, lists and dataclasses, without None."""
    return (leaf for _, leaf in labelled(tree))


def labelled(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The arrays of a result with their paths.

    Example:
        >>> list(labelled({"hidden": (7j, None, 8j)}))
        [('hidden.0', 7j), ('hidden.2', 8j)]
    """
    if tree is None or (isinstance(tree, bool | int | float | str) and not isinstance(tree, np.generic)):
        return  # float64 numbers of NumPy are floats, and results
    if isinstance(tree, Mapping):
        children: Any = tree.items()
    elif isinstance(tree, tuple | list):
        children = enumerate(tree)
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type) and not hasattr(tree, "shape"):
        children = ((field.name, getattr(tree, field.name)) for field in dataclasses.fields(tree))
    else:
        yield path, tree
        return
    for key, child in children:
        yield from labelled(child, f"{path}.{key}" if path else str(key))
