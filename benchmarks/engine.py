"""What the engine adds to a call: ``python benchmarks/engine.py [numpy torch jax tensorflow]``.

``add`` of two 4x4 arrays of float32 by the framework itself and by everything over it, then a compiled function of a
tree of three such arrays by the framework's own compiler and by `jit`; in one process on one core, taking turns. Prints
the least time of a call over many short rounds, which other processes do not disturb, and what it has over the
framework's own.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from measuring import pin, table

CALLS, ROUNDS = 100, 300
Pair = tuple[Callable[[Any, Any], Any], Any]  # a function, and what it is given twice


def contestants(framework: str) -> dict[str, Pair]:
    """Functions of two arrays, each with the array that it is given."""
    import numpy as np

    from ivyhub import engine

    host = np.arange(16, dtype=np.float32).reshape(4, 4)
    xp = importlib.import_module(f"ivyhub.engine.xp.{framework}")
    wrapped = xp.asarray(host)
    x = wrapped.native
    own = importlib.import_module({"jax": "jax.numpy"}.get(framework, framework))
    found: dict[str, Pair] = {
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


def compiled(framework: str) -> dict[str, Pair]:
    """The same function compiled by the framework and by `jit`."""
    import numpy as np

    from ivyhub.engine import jit, to_framework

    own = importlib.import_module(framework)
    compilers: dict[str, Callable[[Any], Any]] = {
        "torch": lambda function: own.compile(function, fullgraph=True),
        "jax": lambda function: own.jit(function),
        "tensorflow": lambda function: own.function(function, autograph=False),
    }

    def step(p: Any, q: Any) -> Any:
        return {"w": p["w"] * 2.0, "b": p["b"] + q["w"]}

    x = to_framework(np.ones((4, 4), np.float32), framework)
    tree = {"w": x, "b": x}
    return {f"{framework}'s compiler": (compilers[framework](step), tree), "engine.jit": (jit(step), tree)}


def microseconds(function: Callable[[Any, Any], Any], x: Any) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        function(x, x)
    return (time.perf_counter() - start) / CALLS * 1e6


def least(functions: dict[str, Pair]) -> dict[str, float]:
    times = dict.fromkeys(functions, float("inf"))
    for function, x in functions.values():
        microseconds(function, x)  # compiles
    for _ in range(ROUNDS):
        for name, (function, x) in functions.items():
            times[name] = min(times[name], microseconds(function, x))
    return times


def main() -> None:
    pin()
    rows = []
    for framework in sys.argv[1:] or ("numpy", "torch", "jax", "tensorflow"):
        for found in (contestants, compiled) if framework != "numpy" else (contestants,):
            times = least(found(framework))
            own = next(iter(times.values()))
            rows += [[framework, name, f"{each:.2f}", f"{each - own:+.2f}"] for name, each in times.items()]
    table(["framework", "call", "µs", "over its own"], rows)


if __name__ == "__main__":
    main()
