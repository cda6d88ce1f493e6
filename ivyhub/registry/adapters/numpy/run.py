"""NumPy exports as a certificate asks them (see ``adapters/running.py``): they have outputs alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ....engine.graph import tree_leaves
from ....errors import EngineError, UnknownDeviceError
from ..draws import integers, numbers, replaced
from ..running import Arrays, leaves

#: NumPy's own functions that an export draws with, as a certificate has them (see ``adapters/draws.py``).
_DRAWS: Mapping[str, Callable[..., np.ndarray]] = {
    "random": functools.partial(numbers, "uniform"),
    "standard_normal": functools.partial(numbers, "normal"),
    "randint": lambda low, high, shape, dtype: integers(shape, low, high).astype(dtype),
}


class NumpyRunner:
    """A live NumPy export: a callable over arrays."""

    trains = False

    def __init__(self, model: Any) -> None:
        self.model = model

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        if train:
            raise EngineError("NumPy has no train mode")
        with replaced(np.random, _DRAWS):
            return [np.asarray(leaf) for leaf in leaves(self.model(**inputs))]

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        raise EngineError("NumPy has no gradients")

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        raise EngineError("NumPy has no gradients")

    def buffers(self) -> dict[str, np.ndarray]:
        return {}


def device(text: str) -> None:
    """NumPy computes on the CPU alone. Raises `UnknownDeviceError` for anything else."""
    if text != "cpu":
        raise UnknownDeviceError(f"NumPy has no device {text!r}", hint="cpu is the one it has")


def tensors(model: Any) -> dict[str, np.ndarray]:
    """The arrays of a live model by the names of its weight file."""
    return dict(tree_leaves(model.params))


def open_package(model: Any) -> NumpyRunner:
    """The runner of a live export."""
    return NumpyRunner(model)
