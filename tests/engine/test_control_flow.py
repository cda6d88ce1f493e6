"""Control flow: on arrays against Python and against JAX, compiled, differentiated, and as graphs that hold graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ivyhub.engine import control_flow, ops
from ivyhub.engine.compilation import jit
from ivyhub.engine.control_flow import associative_scan, cond, fori_loop, scan, switch, while_loop
from ivyhub.engine.graph import Graph
from ivyhub.engine.spec import Spec
from ivyhub.engine.trace import trace
from ivyhub.engine.transforms import grad, vmap
from ivyhub.engine.verify import verify
from ivyhub.errors import DTypeError, EngineError, GraphError, ShapeError
from tests.arrays import as_numpy, assert_close, native
from tests.engine.evaluate import evaluate

# What PyTorch imports for Inductor warns of itself.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
# float32 against float64 formulas of some ten steps.
CLOSE = 1e-4


def program(x: Any, w: Any) -> dict[str, Any]:
    """All of it, one feeding the next; branches and bodies close over x and w."""
    count = ops.astype(ops.sum(ops.multiply(x, 0)), dtype="int32")
    _, y = while_loop(
        lambda carry: ops.less(carry[0], 3),
        lambda carry: (ops.add(carry[0], 1), ops.tanh(ops.matmul(w, carry[1]))),
        (count, x),
    )
    y = cond(ops.greater(ops.sum(y), 0.0), lambda v: {"v": v * 2.0}, lambda v: {"v": ops.multiply(v, x)}, y)["v"]
    last, rows = scan(lambda carry, row: (ops.add(carry, row), ops.multiply(carry, row)), y, w, reverse=True)
    z = fori_loop(0, 2, lambda i, v: ops.add(v, ops.astype(i, dtype="float32")), last)
    chosen = switch(ops.add(count, 1), [lambda v: v, lambda v: -v, lambda v: v * 3.0], z)
    return {"chosen": chosen, "rows": rows, "sums": control_flow.map(lambda row: ops.sum(row), w)}


def wanted(x: np.ndarray, w: np.ndarray) -> dict[str, np.ndarray]:
    """The same in Python's words, in float64."""
    y = x
    for _ in range(3):
        y = np.tanh(w @ y)
    y = y * 2 if y.sum() > 0 else y * x
    rows = [np.empty(0)] * len(w)
    for i in reversed(range(len(w))):
        y, rows[i] = y + w[i], y * w[i]
    return {"chosen": -(y + 1), "rows": np.stack(rows), "sums": w.sum(1)}


def assert_same(found: dict[str, Any], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert_close(found[name], array, CLOSE, name)


def arrays(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x, w = rng.normal(size=(3,)), rng.normal(size=(3, 3))
    y = x
    for _ in range(3):
        y = np.tanh(w @ y)
    return (x, w) if abs(y.sum()) > 1e-3 else arrays(rng)  # no rounding decides the branch


def test_on_arrays(framework: str, rng: np.random.Generator) -> None:
    x, w = arrays(rng)
    assert_same(program(native(framework, x), native(framework, w)), wanted(x, w))


@pytest.mark.parametrize("owner", [pytest.param("torch", marks=pytest.mark.slow), "jax", "tensorflow"])
def test_compiled(owner: str, rng: np.random.Generator) -> None:
    x, w = arrays(rng)
    assert_same(jit(program)(native(owner, x), native(owner, w)), wanted(x, w))


def test_pytorch_compiles_its_own_branches_and_loops(rng: np.random.Generator) -> None:
    """A loop whose length is a value, with a branch in it; both close over arrays, of outside and of the function."""
    import torch

    w = native("torch", rng.uniform(1.5, 2.0, (3,)))
    taken = []

    def function(x: Any, count: Any) -> Any:
        y = x * 1.0

        def body(carry: Any) -> Any:
            i, v, same = carry
            taken.append(1)
            v = cond(ops.equal(i % 2, 0), lambda v: {"v": ops.multiply(v, w)}, lambda v: {"v": v + y}, v)["v"]
            return i + 1, v, same

        return while_loop(lambda carry: ops.less(carry[0], count), body, (torch.tensor(0), x, x))

    fast, x = jit(function), native("torch", rng.normal(size=(3,)))
    for count in (0, 3, 6):
        found, wanted = fast(x, torch.tensor(count)), function(x, torch.tensor(count))
        for each, other in zip(found, wanted, strict=True):
            assert_close(each, other, CLOSE)
    taken.clear()
    fast(x, torch.tensor(9))
    assert not taken  # no Python of it runs again


def test_a_loop_that_pytorch_cannot_differentiate_is_refused() -> None:
    import torch

    slope = grad(lambda x: while_loop(lambda x: ops.less(x, 9.0), lambda x: ops.multiply(x, 2.0), x))
    assert float(slope(torch.tensor(1.0))) == 16.0
    with pytest.raises(EngineError, match="differentiates or maps"):
        jit(slope)(torch.tensor(1.0))


@pytest.mark.slow
@pytest.mark.parametrize("owner", ["torch", "jax", "tensorflow"])
def test_compiled_derivatives_of_loops(owner: str, rng: np.random.Generator) -> None:
    """Of loops whose steps have a number. Oracle: as below."""
    w, y = native(owner, rng.uniform(0.5, 2.0, (3,))), native(owner, rng.normal(size=(2,)))

    def loops(w: Any, y: Any) -> Any:
        last, rows = scan(lambda carry, each: (ops.multiply(carry, each), carry), y, w, reverse=True)
        power = fori_loop(0, 2, lambda i, v: ops.multiply(v, w), w)
        return ops.sum(last) + ops.sum(rows) * 0.0 + ops.sum(power)

    first, total = as_numpy(w), as_numpy(y).sum()
    assert_close(jit(grad(loops))(w, y), total * first.prod() / first + 3 * first**2, CLOSE)


@pytest.mark.parametrize("owner", ["torch", "jax", "tensorflow"])
def test_derivatives(owner: str, rng: np.random.Generator) -> None:
    """Of y ← y·w, w steps: Π w · Σ. Oracle: the derivative of Σ (y · Π wᵢ) by each wᵢ."""
    w, y = rng.uniform(0.5, 2.0, (4,)), rng.normal(size=(3,))

    def product(w: Any) -> Any:
        return ops.sum(scan(lambda carry, each: (ops.multiply(carry, each), carry), native(owner, y), w)[0])

    assert_close(grad(product)(native(owner, w)), y.sum() * w.prod() / w, CLOSE)

    def branch(w: Any) -> Any:
        return ops.sum(cond(ops.greater(ops.sum(w), 0.0), lambda w: w * w, lambda w: w, w))

    assert_close(grad(branch)(native(owner, w)), 2 * w, CLOSE)
    power = grad(lambda w: ops.sum(fori_loop(0, 3, lambda i, v: ops.multiply(v, w), w)))
    assert_close(power(native(owner, w)), 4 * w**3, CLOSE)


def test_a_mapped_predicate_chooses_each(framework: str, rng: np.random.Generator) -> None:
    if framework == "tensorflow":
        pytest.xfail("tf.vectorized_map has no rule for a branch that depends on what is mapped in eager mode")
    x = rng.normal(size=(6,))
    found = vmap(lambda x: cond(ops.greater(x, 0.0), lambda v: v, lambda v: v * 2.0, x))(native(framework, x))
    assert_close(found, np.where(x > 0, x, 2 * x), 1e-6)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_associative_scan(size: int, framework: str, rng: np.random.Generator) -> None:
    """Products of matrices, whose order matters."""
    a = rng.normal(size=(size, 2, 2))
    forward = list(a[:1])
    for each in a[1:]:
        forward.append(forward[-1] @ each)
    found = associative_scan(ops.matmul, native(framework, a))
    assert_close(found, np.stack(forward), 1e-3)  # products of up to eight
    sums = associative_scan(lambda p, q: {"x": p["x"] + q["x"]}, {"x": native(framework, a)}, reverse=True, axis=1)
    assert_close(sums["x"], np.cumsum(a[:, ::-1], 1)[:, ::-1], CLOSE)


def test_a_graph_holds_graphs(rng: np.random.Generator) -> None:
    graph = verify(trace(program, Spec((3,)), Spec((3, 3))))
    assert [node.op for node in graph.nodes].count("while_loop") == 2
    again = Graph.from_json(graph.to_json())
    assert again.to_json() == graph.to_json()
    assert str(again) == str(graph)
    x, w = (each.astype(np.float32) for each in arrays(rng))
    for each in (graph, graph.copy(), again):
        found = evaluate(each, {"x": x, "w": w})
        names = list(graph.outputs)
        assert_same(dict(zip(names, found, strict=True)), wanted(x.astype(float), w.astype(float)))


def test_a_graph_shows_its_graphs() -> None:
    graph = trace(lambda x: cond(ops.greater(ops.sum(x), 0.0), ops.exp, lambda v: v, x), Spec(("n", 3)))
    assert [line.partition("  #")[0] for line in str(graph).splitlines()[-7:]] == [
        "    cond: float32[n, 3] = cond(greater, (x,))",
        "        then(x: float32[n, 3]):",
        "            exp: float32[n, 3] = exp(x)",
        "            return (exp,)",
        "        orelse(x: float32[n, 3]):",
        "            return (x,)",
        "    return cond",
    ]


def test_symbols_are_those_of_the_graph_around() -> None:
    graph = trace(lambda x: scan(lambda c, r: (c, ops.multiply(r, 2.0)), ops.sum(x), x)[1], Spec(("n", 3)))
    graph.substitute({"n": 4})
    assert verify(graph).outputs.spec == Spec((4, 3))


def test_a_graph_that_lies_is_refused() -> None:
    graph = trace(lambda x: while_loop(lambda x: ops.less(ops.sum(x), 9.0), lambda x: x * 2.0, x), Spec((3,)))
    node = next(node for node in graph.nodes if node.op == "while_loop")
    node.attributes["test"] = node.attributes["body"]
    with pytest.raises(GraphError, match="one truth value"):
        verify(graph)


def test_bad_input(framework: str) -> None:
    x = native(framework, np.ones(3))
    with pytest.raises(DTypeError, match=r"one truth value as the predicate, received bool\[3\]"):
        cond(ops.greater(x, 0.0), lambda v: v, lambda v: v, x)
    with pytest.raises(ShapeError, match="the carry and what becomes of it"):
        fori_loop(0, 2, lambda i, v: ops.sum(v), x)
    with pytest.raises(ShapeError, match="arrays of one length"):
        scan(lambda c, r: (c, r), x, (x, native(framework, np.ones(2))))
    with pytest.raises(EngineError, match="at least one branch"):
        switch(ops.sum(x), [], x)
