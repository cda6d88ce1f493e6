"""What the eager array needs of each framework beside operations: conversion, indexing, assignment, devices.

One module a framework, with the same functions; `module` imports one. Operations are rows of `engine.ops`: what stands
here depends on values (a mask), mutates, or is about memory, so that it could never be recorded in a graph.

``DEFAULTS``
    the dtypes of Python's bool, int, float and complex, and of indices.
``dtype(name)``
    the framework's dtype object.
``canonical(name)``
    the dtype that arrays get when they are asked for one: JAX narrows 64-bit types unless its x64 mode is on.
``asarray(host, name, copy)``
    a NumPy array as an array of that dtype.
``copied(x)``
    x in memory of its own, where arrays are mutable; elsewhere x.
``getitem(x, key)``
    x[key] with integers, slices, ``...``, None, masks and integer arrays.
``setitem(x, key, value)``
    x with x[key] replaced; where arrays are mutable, x itself.
``nonzero(x)``
    the positions of the elements that are not zero, one array an axis.
``sort_keys(x)``
    what sorts in the order of the standard: x itself, or numbers in its place.
``device(x)``, ``to_device(x, device)``, ``devices()``, ``default_device()``
    where arrays live.
``from_dlpack(x)``
    an array over the memory of another library's.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

from ..backends import load
from ..recording import TRACED


@functools.cache
def module(framework: str) -> Any:
    """The functions of a framework, which is imported, or of traces. Raises `FrameworkNotInstalledError`."""
    if framework != TRACED:
        load(framework)
    return importlib.import_module(f".{framework}", __name__)


__all__ = ["module"]
