"""Functions without parameters are functions again in the framework that they were written for."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch

import ivyhub
from ivyhub import engine
from ivyhub.engine import Spec, nn, ops, random
from ivyhub.engine.graph import Graph
from ivyhub.errors import UsageError
from tests.arrays import assert_close

TARGETS = {"numpy": "numpy", "torch": "torch", "jax": "jax", "flax.linen": "jax", "tensorflow": "tensorflow"}


Layer = tuple[Any, list[Any]]  # a kernel and its biases


def weighted(p: dict[str, Layer], x: Any, /, y: Any, n: int = 2, *, scale: float | None = None) -> Any:
    z = ops.matmul(x, p["w"][0]) + p["w"][1][0]
    return {"z": z * n, "more": (ops.sum(y), [z if scale is None else z * scale])}


SPECS = ({"w": (Spec((3, 4)), [Spec((4,))])}, Spec(("n", 3)), Spec(("m",)))


def draw(rng: np.random.Generator, owner: str) -> tuple[Any, ...]:
    def array(*shape: int) -> Any:
        return engine.to_framework(rng.normal(size=shape).astype(np.float32), owner)

    return {"w": (array(3, 4), [array(4)])}, array(2, 3), array(5)


@pytest.mark.parametrize("target", TARGETS)
def test_a_function_takes_and_gives_what_its_source_does(target: str, rng: np.random.Generator) -> None:
    found = ivyhub.transpile(weighted, to=target, args=SPECS, kwargs={"scale": 0.5})
    assert found.__name__ == "weighted"
    assert str(inspect.signature(found)) == "(p, x, /, y, *, scale=0.5)"  # n was left out, and is a part of the program
    p, x, y = draw(rng, TARGETS[target])
    result, wanted = found(p, x, y=y), weighted(p, x, y, scale=0.5)
    assert isinstance(result["more"][1], list | tuple)
    pairs = zip(ivyhub.engine.trees.leaves(dict(result)), ivyhub.engine.trees.leaves(wanted), strict=True)
    for ours, theirs in pairs:
        assert_close(np.asarray(ours), np.asarray(theirs), 1e-5)  # sums of four products


def test_frameworks_see_through_it(rng: np.random.Generator) -> None:
    import jax

    def total(p: Any, x: Any, y: Any) -> Any:
        return ops.sum(weighted(p, x, y)["z"])

    graph = ivyhub.trace(total, *SPECS)
    p, x, y = draw(rng, "jax")
    gradient = jax.jit(jax.grad(graph.to("jax")))(p, x, y)["w"][1][0]
    assert_close(gradient, np.full(4, 4.0), 1e-6)  # two rows, doubled
    p, x, y = draw(rng, "torch")
    gradients = torch.func.grad(graph.to("torch"))(p, x, y)
    assert_close(gradients["w"][1][0], np.full(4, 4.0), 1e-6)
    assert Graph.from_json(graph.to_json()).to("torch")(p, x, y).shape == ()


def test_doubles_stay_doubles(rng: np.random.Generator) -> None:
    """Keras casts what its models take."""
    found = ivyhub.transpile(lambda x: ops.square(x), to="tensorflow", args=(Spec((3,), "float64"),))
    x = rng.normal(size=3)
    np.testing.assert_array_equal(found(x), x * x)


def test_what_was_a_part_of_the_program_is_checked(rng: np.random.Generator) -> None:
    def power(x: Any, n: int, names: dict[str, Any], run: Any = None) -> Any:
        return x**n * names["a"]

    found = ivyhub.transpile(power, to="numpy", args=(Spec((3,)), 3, {"a": Spec(())}, None))
    x, one = rng.normal(size=3).astype(np.float32), np.float32(1)
    assert_close(found(x, 3, {"a": one}), x**3, 1e-6)
    with pytest.raises(UsageError, match="captured with n=3, received 2"):
        found(x, 2, {"a": one})
    with pytest.raises(UsageError, match=r"dictionary of \['a'\] as names, received \['a', 'b'\]"):
        found(x, 3, {"a": one, "b": one})
    with pytest.raises(UsageError, match="an array as x, received tuple"):
        found((x,), 3, {"a": one})
    with pytest.raises(TypeError, match="names"):
        found(x, 3)


def test_modules_stay_modules() -> None:
    module = nn.ReLU().init(random.key(0, "numpy"))
    assert isinstance(ivyhub.transpile(module, to="torch", args=(Spec((3,)),)), torch.nn.Module)
    assert isinstance(ivyhub.trace(module, Spec((3,))).to("torch"), torch.nn.Module)

    def drops(x: Any) -> Any:
        return ops.dropout(x, rate=0.5)

    assert isinstance(ivyhub.transpile(drops, to="torch", args=(Spec((3,)),)), torch.nn.Module)
