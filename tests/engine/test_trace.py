"""Code over arrays, traced: every function of the engine gives in a graph what it gives at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ivyhub import engine
from ivyhub.engine import Spec
from ivyhub.engine.trace import trace
from ivyhub.engine.verify import verify
from ivyhub.errors import EngineError, GraphError
from tests.arrays import assert_close
from tests.engine.evaluate import evaluate

TOLERANCE = 1e-6  # the same operations of NumPy in the same order; a constant may have been rounded to float32 first


def standardized(x: Any) -> Any:
    """As it is written for any array of the standard."""
    xp = x.__array_namespace__(api_version="2024.12")
    size = xp.astype(xp.asarray(x.shape[1]), x.dtype) if isinstance(x.shape[1], int) else x.shape[1]
    centred = x - xp.sum(x, axis=1, keepdims=True) / size
    spread = xp.sqrt(xp.mean(centred * centred, axis=1, keepdims=True) + 1e-5)
    return xp.where(centred == 0, xp.asarray(xp.pi, dtype=xp.float32), centred / spread)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "ones_like": lambda x: engine.ones_like(x) + x,
    "full_like": lambda x: engine.full_like(x, 2.5) * x,
    "zeros": lambda x: engine.zeros((x.shape[0], 1), dtype="float32", **out(x)) + x,
    "full": lambda x: engine.full((4,), 2.5, dtype="float32", **out(x)) * x,
    "arange": lambda x: engine.arange(4, dtype="float32", **out(x)) * x,
    "arange of a size": lambda x: engine.arange(x.shape[0], **out(x)),
    "linspace": lambda x: engine.linspace(0.0, 1.0, 4, dtype="float32", **out(x)) + x,
    "eye": lambda x: x @ engine.eye(4, dtype="float32", **out(x)),
    "eye above": lambda x: x @ engine.eye(4, k=1, dtype="float32", **out(x)),
    "asarray": lambda x: x @ engine.asarray([1.0, 2.0, 3.0, 4.0], dtype="float32", **out(x)),
    "mean of integers": lambda x: engine.astype(engine.mean(engine.astype(x * 9, "int32"), axis=1), "float32"),
    "sum of integers": lambda x: engine.sum(engine.astype(x * 9, "int32"), axis=0),
    "var": lambda x: engine.var(x, axis=1, correction=1),
    "argmax": lambda x: engine.argmax(x, axis=1),
    "sort": lambda x: engine.sort(x, axis=1, descending=True),
    "argsort": lambda x: engine.argsort(x, axis=1),
    "clip": lambda x: engine.clip(x, 0.0, 1.0),
    "isfinite": engine.isfinite,
    "cumulative_sum": lambda x: engine.cumulative_sum(x, axis=1, include_initial=True),
    "tile": lambda x: engine.tile(x, (2, 1)),
    "roll": lambda x: engine.roll(x, 1, axis=1),
    "flip": lambda x: engine.flip(x, axis=1),
    "repeat": lambda x: engine.repeat(x, 2, axis=1),
    "reshape": lambda x: engine.reshape(x, (-1, 2, 2)),
    "unstack": lambda x: engine.unstack(x, axis=1),
    "diff": lambda x: engine.diff(x, axis=0),
    "meshgrid": lambda x: engine.meshgrid(x[0], x[1]),
    "isin": lambda x: engine.isin(x, x[:1]),
    "where of numbers": lambda x: engine.where(x > 0, 1, 0),
    "sign": engine.sign,
    "floor_divide": lambda x: engine.floor_divide(x, 2.0),
    "vector_norm": lambda x: engine.linalg.vector_norm(x, axis=1),
    "fft": lambda x: engine.fft.rfft(x, axis=1),
    "result_type": lambda x: engine.astype(x > 0, engine.result_type(x, engine.astype(x, "int8"))),
    "finfo": lambda x: x + float(engine.finfo(x).eps),
    "take": lambda x: engine.take(x, engine.asarray([0, -1], **out(x)), axis=1),
    "concat": lambda x: engine.concat([x, x], axis=None),
    "squeeze": lambda x: engine.squeeze(engine.expand_dims(x, axis=0), axis=0),
    "broadcast_arrays": lambda x: engine.broadcast_arrays(x, x[:1]),
    "std": engine.std,
    "prod": lambda x: engine.prod(x, axis=(0, 1)),
    "count_nonzero": lambda x: engine.count_nonzero(x > 0, axis=1),
    "transposed": lambda x: x.T @ x,
    "equal": lambda x: (x == x[0]) & (x != 0.5),
    "size": lambda x: engine.sum(x) / x.size,
    "standardized": standardized,
}


def out(x: Any) -> dict[str, Any]:
    """Out of nothing an array of NumPy is made by name; a trace knows that it is one."""
    return {"framework": "numpy"} if isinstance(x, np.ndarray) else {}


@pytest.mark.parametrize("rows", [5, "n"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_graph_computes_what_the_code_does(name: str, rows: int | str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 4)).astype(np.float32)
    graph = verify(trace(FUNCTIONS[name], Spec((rows, 4), "float32")))
    (parameter,) = graph.inputs
    wanted = FUNCTIONS[name](x)
    wanted = list(wanted) if isinstance(wanted, tuple | list) else [wanted]
    for ours, theirs in zip(evaluate(graph, {parameter: x}), wanted, strict=True):
        assert ours.shape == theirs.shape
        assert_close(ours, theirs, TOLERANCE)


@pytest.mark.parametrize("function", [engine.nonzero, engine.unique_values])
def test_what_values_decide_is_refused(function: Callable[[Any], Any]) -> None:
    with pytest.raises(EngineError, match="size depends on values"):
        trace(function, Spec(("n",), "float32"))


def test_the_truth_of_an_array_is_refused() -> None:
    with pytest.raises(GraphError, match="not known while a graph is built"):
        trace(lambda x: x if x == 0 else -x, Spec((), "float32"))


def test_numbers_out_of_nothing_need_a_trace_or_a_name() -> None:
    with pytest.raises(EngineError, match="framework is unknown"):
        engine.zeros((2,))


def test_operators_beside_arrays_of_numpy(rng: np.random.Generator) -> None:
    """Arrays are constants, scalars are numbers, on either side, whatever their dtype."""
    host = rng.uniform(1, 2, 4)
    x = rng.uniform(1, 2, (5, 4)).astype(np.float32)

    def function(x: Any) -> Any:
        total = host + x - x * host.astype(np.float32) + host / x + x // np.arange(1, 5)
        total = total * np.float64(0.5) + np.float64(2) ** x - np.float32(3) % x
        return total + engine.where(host < x, x == host, host != x) + (x @ np.ones((4, 1), np.float32))

    graph = trace(function, Spec(("n", 4), "float32"))
    verify(graph)
    (found,) = evaluate(graph, {"x": x})
    assert found.dtype == np.float64  # of host, as of any array
    assert_close(found, function(x), 1e-6)
    numbers = trace(lambda x: np.float64(0.5) * x + np.float32(2), Spec((4,), "float16"))
    assert [node.op for node in numbers.nodes] == ["multiply", "add"]
    assert numbers.outputs.dtype == "float16"


def test_a_product_of_all_elements_is_one_product() -> None:
    """Axis after axis it is nan where a zero comes first and what follows is too large."""
    for shape in ((2, 3, 4), (3,)):
        graph = trace(lambda x: engine.prod(x, keepdims=True), Spec(shape, "float32"))
        assert [node.op for node in graph.nodes] == ["prod"]
        assert graph.outputs.shape == (1,) * len(shape)


NUMPY: dict[str, Callable[[Any], Any]] = {
    "numpy.sqrt": np.sqrt,
    "numpy.add": lambda x: np.add(x, 1),
    "numpy.sum": np.sum,
    "numpy.stack": lambda x: np.stack([x, x]),
    "numpy.asarray": np.asarray,
    "numpy.zeros_like": np.zeros_like,
    "numpy.multiply": lambda x: np.multiply.outer(np.ones(2), x),
}


@pytest.mark.parametrize("name", NUMPY)
def test_functions_of_numpy_are_refused(name: str) -> None:
    with pytest.raises(GraphError, match=rf"{name} expected .*, received <x: float32\[3\]>") as caught:
        trace(lambda x: NUMPY[name](x), Spec((3,), "float32"))
    assert "use the engine's functions" in str(caught.value)
    assert ("engine.sqrt" in str(caught.value)) == (name == "numpy.sqrt")
    shape = trace(lambda x: x * (np.ndim(x) + np.shape(x)[0] + np.size(x)), Spec((3,), "float32"))
    assert [node.op for node in shape.nodes] == ["multiply"]
