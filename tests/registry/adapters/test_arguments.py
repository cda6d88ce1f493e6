"""Modules whose inputs and results are trees: an export takes and gives what its source does."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
import pytest

import ivyhub
from tests.arrays import assert_close, native

TARGETS = ("torch", "jax", "flax.linen", "tensorflow", "numpy")
SOURCES = ("torch", "nnx", "linen", "keras", "ivyhub")
_FAST = (
    *(("torch", "tensorflow"), ("torch", "numpy"), ("nnx", "torch")),
    *(("linen", "numpy"), ("keras", "jax"), ("ivyhub", "flax.linen")),
)


class State(NamedTuple):
    h: Any
    c: Any


def _compute(scale: Any, x: Any, others: Any, state: Any) -> Any:
    """What each source computes: of an array, a dictionary with a list in it, and a named tuple."""
    y = x * scale + others["k"] - others["more"][1]
    return {"sum": y + state.c, "parts": (y, others["more"][0] * state.h)}


def _torch() -> Any:
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.rand(3))

        def forward(self, x: Any, others: Any, state: Any) -> Any:
            return _compute(self.scale, x, others, state)

    return Net()


def _nnx() -> Any:
    import jax
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self) -> None:
            self.scale = nnx.Param(jax.random.uniform(jax.random.key(0), (3,)))

        def __call__(self, x: Any, others: Any, state: Any) -> Any:
            return _compute(self.scale[...], x, others, state)

    return Net()


def _linen() -> Any:
    import jax
    from flax import linen

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x: Any, others: Any, state: Any) -> Any:
            return _compute(self.param("scale", linen.initializers.uniform(), (3,)), x, others, state)

    return Net(), {"params": {"scale": jax.random.uniform(jax.random.key(0), (3,))}}


def _keras() -> Any:
    import keras

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.scale = self.add_weight((3,), "random_uniform", name="scale")

        def call(self, x: Any, others: Any, state: Any) -> Any:
            return _compute(self.scale, x, others, state)

    return Net()


def _ivyhub() -> Any:
    from ivyhub.engine import nn, random

    class Net(nn.Module):
        def __init__(self) -> None:
            self.scale = nn.Parameter((3,), nn.init.Normal(0.0, 1.0))

        def forward(self, x: Any, others: Any, state: Any) -> Any:
            return _compute(self.scale, x, others, state)

    return Net().init(random.key(0, "numpy"))


def _marked(source: str, target: str) -> Any:
    return pytest.param(source, target, marks=[] if (source, target) in _FAST else [pytest.mark.sweep])


@pytest.mark.parametrize(("source", "target"), [_marked(source, target) for source in SOURCES for target in TARGETS])
def test_an_export_takes_what_its_source_takes(source: str, target: str, rng: np.random.Generator) -> None:
    def arguments(framework: str) -> dict[str, Any]:
        x, k, first, second, h, c = (native(framework, array) for array in arrays)
        rate = (
            {} if source == "keras" or framework == "tensorflow" else {"rate": 0.5}
        )  # Keras refuses what is no array beside arrays
        return {"x": x, "others": {"k": k, "more": [first, second], **rate}, "state": State(h, c)}

    arrays = rng.standard_normal((6, 2, 3)).astype(np.float32)
    given = {"torch": _torch, "nnx": _nnx, "linen": _linen, "keras": _keras, "ivyhub": _ivyhub}[source]()
    own = {"nnx": "jax", "linen": "jax", "keras": "tensorflow", "ivyhub": "numpy"}.get(source, source)
    named = {word: {0: "batch"} for word in ("x", "others", "state")}
    found = ivyhub.transpile(given, to=target, kwargs=arguments(own), dynamic=named, verify=True)
    module, *variables = found if isinstance(found, tuple) else (found,)
    call = getattr(module, "apply" if variables else "__call__")
    result = call(*variables, **arguments("jax" if variables else target))
    wanted = given[0].apply(given[1], **arguments(own)) if source == "linen" else given(**arguments(own))
    written = getattr(module, "forward", getattr(module, "call", module.__call__))
    assert list(inspect.signature(written).parameters)[:3] == ["x", "others", "state"]
    assert type(result) is dict
    assert_close([result["sum"], *result["parts"]], [wanted["sum"], *wanted["parts"]], 1e-5)
