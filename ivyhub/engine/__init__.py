"""One functional API over native arrays of NumPy, PyTorch, JAX and TensorFlow.

::

    from ivyhub import engine

    engine.softmax(x)                              # an array of x's framework
    engine.zeros((2, 3), framework="torch")        # out of nothing: the framework is named
    import ivyhub.engine.xp.torch as xp            # the Array API Standard's namespace, over engine.Array

Every function takes arrays of any one framework and gives arrays of that framework. Those of the Array API Standard
2025.12 have its signatures; the others (neural networks, losses, segments, ...) take arrays by position and attributes
by keyword. Nothing is imported before its first use, and no framework before its first array.

    >>> import numpy as np
    >>> from ivyhub import engine
    >>> engine.sum(np.array([[1, 2], [3, 4]]), axis=0)
    array([4, 6])
"""

from __future__ import annotations

import importlib
from typing import Any

from .interop import follow

_HOMES: dict[str, str] = {
    "Array": "array",
    "ops": "ops",
    "random": "random",
    "xp": "xp",
    **dict.fromkeys(("Device", "default_device", "default_dtype", "device", "to_device", "to_framework"), "devices"),
    **dict.fromkeys(("checkpoint", "custom_gradient", "grad", "jvp", "stop_gradient"), "transforms"),
    **dict.fromkeys(("value_and_grad", "vjp", "vmap"), "transforms"),
    **dict.fromkeys(("associative_scan", "cond", "fori_loop", "map", "scan", "switch", "while_loop"), "control_flow"),
    **{name: name for name in ("metrics", "nn", "optim")},
    "Spec": "spec",
    "jit": "compilation",
}
"""Public names and the modules that define them; what is not here is a function of the standard or an operation."""

follow("einops._backends", f"{__name__}.interop.einops")


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _HOMES:
        home = importlib.import_module(f".{_HOMES[name]}", __name__)
        found = home if _HOMES[name] == name else getattr(home, name)
    else:
        public = importlib.import_module(".functions", __name__).FUNCTIONS
        if name not in public:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = public[name]
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    public = importlib.import_module(".functions", __name__).FUNCTIONS
    return sorted({*globals(), *_HOMES, *public})
