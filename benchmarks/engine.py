"""What the engine adds to an eager call: ``python benchmarks/engine.py [numpy torch jax tensorflow]``.

``add`` of two 4x4 arrays of float32 by the framework itself and by everything over it, in one process on one core,
taking turns. Prints the median CPU time of a call, and what it has over the framework's own.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from measuring import pin, table

CALLS, ROUNDS = 2000, 25


def contestants(framework: str) -> dict[str, tuple[Callable[[Any, Any], Any], Any]]:
    """Functions of two arrays, each with the array that it is given."""
    import numpy as np

    from ivyhub import engine

    host = np.arange(16, dtype=np.float32).reshape(4, 4)
    xp = importlib.import_module(f"ivyhub.engine.xp.{framework}")
    wrapped = xp.asarray(host)
    x = wrapped.native
    own = importlib.import_module({"jax": "jax.numpy"}.get(framework, framework))
    found: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
        f"{framework}'s a + b": (lambda a, b: a + b, x),
        f"{framework}'s add": (own.add, x),
        "engine.add": (engine.add, x),
        "Array a + b": (lambda a, b: a + b, wrapped),
        "xp.add": (xp.add, wrapped),
    }
    if framework in ("numpy", "torch") and importlib.util.find_spec("array_api_compat"):
        found["array_api_compat.add"] = (importlib.import_module(f"array_api_compat.{framework}").add, x)
    if framework != "numpy" and importlib.util.find_spec("eagerpy"):
        import eagerpy

        found["eagerpy +"] = (lambda a, b: a + b, eagerpy.astensor(x))
    if framework == keras_backend() and importlib.util.find_spec("keras"):
        from keras import ops

        found["keras.ops.add"] = (ops.add, x)
    return found


def keras_backend() -> str:
    """Keras has one framework a process; TensorFlow is its default."""

    return os.environ.get("KERAS_BACKEND", "tensorflow")


def microseconds(function: Callable[[Any, Any], Any], x: Any) -> float:
    start = time.process_time()
    for _ in range(CALLS):
        function(x, x)
    return (time.process_time() - start) / CALLS * 1e6


def main() -> None:
    pin()
    rows = []
    for framework in sys.argv[1:] or ("numpy", "torch", "jax", "tensorflow"):
        functions = contestants(framework)
        times: dict[str, list[float]] = {name: [] for name in functions}
        for _ in range(ROUNDS + 1):
            for name, (function, x) in functions.items():
                times[name].append(microseconds(function, x))
        own = times[next(iter(times))][1:]  # the first round compiles
        for name, each in times.items():
            over = median(a - b for a, b in zip(each[1:], own, strict=True))
            rows.append([framework, name, f"{median(each[1:]):.2f}", f"{over:+.2f}"])
    table(["framework", "call", "µs", "over its own"], rows)


if __name__ == "__main__":
    main()
