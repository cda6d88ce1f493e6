"""Arrays of a trace: what stands for a framework where a graph is recorded. See `ivyhub.engine.native`.

They have no values, no memory and no device; numbers become constants of the graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import EngineError
from ..recording import RECORDER

DEFAULTS = {"bool": "bool", "int": "int64", "float": "float32", "complex": "complex64"}


def dtype(name: str) -> str:
    return name


def canonical(name: str) -> str:
    return name


def asarray(host: np.ndarray, name: str, copy: bool | None) -> Any:
    from .numpy import dtype as of_numpy

    recorder = RECORDER.get()
    if recorder is None:
        raise EngineError("there is no trace that an array could be a constant of", hint="make it inside of `trace`")
    return recorder.constant(np.asarray(host, of_numpy(name)))


def copied(x: Any) -> Any:
    return x


def getitem(x: Any, key: Any) -> Any:
    return x[key]


def setitem(x: Any, key: Any, value: Any) -> Any:
    raise EngineError("elements of an array in a trace cannot be assigned", hint="use where, which gives a new array")


def device(x: Any) -> str:
    return ""


def to_device(x: Any, device: Any) -> Any:
    return x


def devices() -> tuple[str, ...]:
    return ("",)


def default_device() -> str:
    return ""


def sort_keys(x: Any) -> Any:
    return x
