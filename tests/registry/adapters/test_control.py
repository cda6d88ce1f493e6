"""Functions of the engine as source of every target: control flow, random numbers, symbolic sizes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivyhub.engine import ops, random
from ivyhub.engine.control_flow import cond, scan
from ivyhub.engine.dims import Dim
from ivyhub.engine.graph import Graph
from ivyhub.engine.spec import Spec
from ivyhub.engine.trace import trace
from ivyhub.engine.verify import verify
from tests.arrays import as_numpy, assert_close, native
from tests.engine.test_control_flow import arrays, assert_same, program, wanted

N = Dim.symbol("n")


def live(graph: Graph, target: str, folder: Path) -> Any:
    """What the source of a graph without parameters defines, called with arrays."""
    export = graph.emit(target)
    assert "ivyhub." not in export.files["modeling.py"]
    path = folder / f"{target}_{export.entry}.py"
    path.write_text(export.files["modeling.py"])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    entry = getattr(module, export.entry)
    return entry({}) if target == "numpy" else entry()


def test_control_flow_is_written_as_functions(framework: str, tmp_path: Path, rng: np.random.Generator) -> None:
    graph = trace(program, Spec((3,)), Spec((3, 3)))
    text = graph.to_json()
    call = live(graph, framework, tmp_path)
    assert graph.to_json() == text  # emitting leaves a graph as it was
    for _ in range(2):  # both branches, most often
        x, w = arrays(rng)
        assert_same(call(native(framework, x), native(framework, w)), wanted(x, w))


def test_sizes_and_random_numbers(framework: str, tmp_path: Path, rng: np.random.Generator) -> None:
    def noisy(x: Any, key: Any) -> Any:
        first, second = random.split(key)
        noise = random.normal(first, x.shape)
        shifted = cond(ops.greater(ops.sum(x), 0.0), lambda v: ops.add(v, noise), lambda v: v, x)
        total, _ = scan(lambda t, row: (ops.add(t, row), row), random.uniform(second, (3,)), shifted)
        return ops.broadcast_to(total, shape=(x.shape[0], 3))

    graph = verify(trace(noisy, Spec((4, 3)), Spec((2,), "uint32")))
    call = live(graph, framework, tmp_path)
    x = rng.normal(size=(4, 3)) + 1
    key = random.key(int(rng.integers(0, 2**32)), framework)
    found = as_numpy(call(native(framework, x), key))
    assert_close(found, noisy(native(framework, x), key), 1e-5)


PARAMETERS = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
BASIC: dict[str, Callable[[Any, Any], Any]] = {
    "bits": lambda key, p: random.bits(key, (5,)),
    "uniform": lambda key, p: random.uniform(key, p.shape, low=p, high=ops.add(p, 1.0)),
    "normal": lambda key, p: random.normal(key, p.shape, std=p),
    "bernoulli": random.bernoulli,
    "randint": lambda key, p: random.randint(key, (9,), low=-5, high=9),
    "dropout": lambda key, p: random.dropout(key, p, rate=0.4),
}
DISTRIBUTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "truncated_normal": lambda key, p: random.truncated_normal(key, -1.0, 2.0, (5,)),
    "exponential": lambda key, p: random.exponential(key, (4,), rate=p),
    "gumbel": lambda key, p: random.gumbel(key, (4,)),
    "laplace": lambda key, p: random.laplace(key, (4,), mean=p),
    "categorical": lambda key, p: random.categorical(key, ops.log(p), shape=(9,)),
    "permutation": lambda key, p: random.permutation(key, 20),
    "shuffle": random.shuffle,
    "choice": lambda key, p: random.choice(key, 9, (3, 2)),
    "choice_once": lambda key, p: random.choice(key, p, (2,), replace=False),
    "choice_by": lambda key, p: random.choice(key, p, (2,), p=p),
    "choice_once_by": lambda key, p: random.choice(key, p, (2,), p=p, replace=False),
    "gamma": random.gamma,
    "beta": lambda key, p: random.beta(key, p, 2.0),
    "dirichlet": lambda key, p: random.dirichlet(key, p, (3,)),
    "poisson": lambda key, p: random.poisson(key, ops.multiply(p, 40.0)),
}


@pytest.mark.parametrize("draws", [BASIC, pytest.param(DISTRIBUTIONS, marks=pytest.mark.slow)], ids=["basic", "all"])
def test_keys_are_made_in_a_trace(
    draws: dict[str, Callable[[Any, Any], Any]], framework: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    """A key from a number and one from a traced integer, split and folded. Oracle: the same code on arrays.

    Where rounding may decide a draw (the largest of noisy numbers, a count), the seeds are the same in every run.
    """

    def draw(p: Any, seed: Any, owner: str = "") -> dict[str, Any]:
        keys = random.split(random.fold_in(random.key(number, owner), seed), len(draws))
        found = {name: draw(key, p) for (name, draw), key in zip(draws.items(), keys, strict=True)}
        own = random.key(seed)
        stacked = scan(
            lambda _, i: ((), random.uniform(random.fold_in(own, i), (2,))), (), ops.astype(p, dtype="int32")
        )
        return {**found, "own": stacked[1]}

    seeds = rng if draws is BASIC else np.random.default_rng(0)
    number = int(seeds.integers(2**32))
    call = live(verify(trace(draw, Spec((4,)), Spec((), "int32"))), framework, tmp_path)
    for seed in seeds.integers(-(2**31), 2**31, 2):
        given = native(framework, PARAMETERS), native(framework, np.asarray(seed, np.int32))
        wanted = draw(PARAMETERS, np.asarray(seed, np.int32), "numpy")
        found = call(*given)
        for name, array in wanted.items():  # logarithms and inverses are each library's own
            assert_close(found[name], array, 1e-3, name)


def test_symbolic_sizes_reach_nested_functions(framework: str, tmp_path: Path, rng: np.random.Generator) -> None:
    def padded(x: Any) -> Any:
        return cond(
            ops.greater(ops.sum(x), 0.0),
            lambda v: ops.broadcast_to(ops.sum(v, axis=0), shape=(x.shape[0], 3)),
            lambda v: v,
            x,
        )

    call = live(trace(padded, Spec((N, 3))), framework, tmp_path)
    for x in (rng.uniform(1, 2, (5, 3)), rng.uniform(-2, -1, (2, 3))):
        expected = np.broadcast_to(x.sum(0), x.shape) if x.sum() > 0 else x
        assert_close(call(native(framework, x)), expected, 1e-5)


def test_a_graph_says_where_it_comes_from() -> None:
    graph = trace(program, Spec((3,)), Spec((3, 3)))
    scopes = {node.scope for node in graph.nodes if node.op == "while_loop"}
    assert all(scope.file == "tests/engine/test_control_flow.py" and scope.line > 0 for scope in scopes)
    assert "last, rows = " in graph.emit("torch").source


@pytest.mark.parametrize("target", ["torch", "jax"])
def test_native_code_is_what_one_would_write(target: str) -> None:
    source = trace(lambda x: cond(ops.greater(ops.sum(x), 0.0), lambda v: v * 2.0, lambda v: v, x), Spec((3,)))
    text = source.emit(target).source
    line = {"jax": "lax.cond(x_2, then, otherwise, x)", "torch": "(then if x_2 else otherwise)(x)"}[target]
    assert line in text, text
