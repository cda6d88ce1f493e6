"""Transforms: derivatives against the framework's own of a function that is written in it, on random inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from ivyhub.engine import Array, ops
from ivyhub.engine.backends import load
from ivyhub.engine.compilation import jit
from ivyhub.engine.devices import to_framework
from ivyhub.engine.graph import Graph
from ivyhub.engine.spec import Spec
from ivyhub.engine.trace import trace
from ivyhub.engine.transforms import checkpoint, custom_gradient, grad, jvp, stop_gradient, value_and_grad, vjp, vmap
from ivyhub.engine.trees import flatten
from ivyhub.engine.verify import verify
from ivyhub.errors import DTypeError, EngineError, GraphError, MixedFrameworksError, NoLoweringError, ShapeError
from tests.arrays import as_numpy, assert_close, native
from tests.engine.evaluate import evaluate

TRAINING = ("torch", "jax", "tensorflow")
# What PyTorch imports for Inductor and jvp warns of itself.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
# float32 against the same formula in float32: sums of some ten terms in another order.
CLOSE = 1e-4


@pytest.fixture(params=TRAINING)
def trainer(request: pytest.FixtureRequest) -> str:
    """A framework that has gradients."""
    return request.param


class Parts(NamedTuple):
    first: Any
    others: list[Any]


def loss(params: Any, x: Any) -> Any:
    hidden = ops.tanh(ops.add(ops.matmul(x, params["w"]), params["b"]))
    return ops.mean(ops.square(hidden))


def model(rng: np.random.Generator, owner: str) -> tuple[dict[str, Any], Any]:
    arrays = rng.normal(size=(3, 4)), rng.normal(size=(4,)), rng.normal(size=(5, 3))
    w, b, x = (native(owner, each) for each in arrays)
    return {"w": w, "b": b, "steps": 3}, x


def native_gradients(owner: str, params: dict[str, Any], x: Any) -> tuple[Any, dict[str, Any]]:
    """The same loss in the framework's own words, differentiated by its own means."""
    module = load(owner)
    arrays = {name: params[name] for name in ("w", "b")}
    if owner == "torch":
        return tuple(module.func.grad_and_value(lambda p: (x @ p["w"] + p["b"]).tanh().square().mean())(arrays)[::-1])
    if owner == "jax":
        jnp = module.numpy
        return module.value_and_grad(lambda p: jnp.mean(jnp.square(jnp.tanh(x @ p["w"] + p["b"]))))(arrays)
    with module.GradientTape() as tape:
        tape.watch(arrays)
        value = module.reduce_mean(module.square(module.tanh(x @ arrays["w"] + arrays["b"])))
    return value, tape.gradient(value, arrays)


def test_gradients_are_those_of_the_framework(trainer: str, rng: np.random.Generator) -> None:
    params, x = model(rng, trainer)
    wanted_value, wanted = native_gradients(trainer, params, x)
    (value, aux), found = value_and_grad(lambda p, x: (loss(p, x), {"x": x, "note": "kept"}), has_aux=True)(params, x)
    assert_close(value, wanted_value, CLOSE)
    assert aux["note"] == "kept"
    np.testing.assert_array_equal(as_numpy(aux["x"]), as_numpy(x))
    assert found.keys() == params.keys()
    assert found["steps"] is None
    for name, array in wanted.items():
        assert_close(found[name], array, CLOSE)
    both = grad(loss, argnums=(1, 0))(params, x)
    assert_close(both[1]["w"], wanted["w"], CLOSE)


def test_one_array_given_twice_is_two_arguments(trainer: str) -> None:
    x = native(trainer, np.float32(3.0))
    assert [float(each) for each in grad(lambda x, y: x * y, argnums=(0, 1))(x, x)] == [3.0, 3.0]
    assert float(grad(lambda y: x * y)(x)) == 3.0  # what is closed over is a constant


def test_gradients_of_gradients(trainer: str, rng: np.random.Generator) -> None:
    """Of Σ sin(x)·x the second derivative is 2 cos x - x sin x."""
    x = rng.normal(size=(6,))
    slope = grad(lambda x: ops.sum(ops.multiply(ops.sin(x), x)))
    found = grad(lambda x: ops.sum(slope(x)))(native(trainer, x))
    assert_close(found, 2 * np.cos(x) - x * np.sin(x), CLOSE)


def test_vjp_and_jvp_are_products_with_the_jacobian(trainer: str, rng: np.random.Generator) -> None:
    """Oracle: the Jacobian of x ↦ A tanh(x), which is A diag(1 - tanh²)."""
    a, x, u, v = (rng.normal(size=shape) for shape in ((4, 3), (3,), (4,), (3,)))
    jacobian = a * (1 - np.tanh(x) ** 2)
    matrix, point = native(trainer, a), native(trainer, x)

    def function(x: Any) -> dict[str, Any]:
        return {"y": ops.matmul(matrix, ops.tanh(x)), "largest": ops.argmax(x, axis=0)}

    result, pullback = vjp(function, point)
    assert_close(result["y"], a @ np.tanh(x), CLOSE)
    assert int(result["largest"]) == x.argmax()
    (found,) = pullback({"y": native(trainer, u), "largest": None})
    assert_close(found, u @ jacobian, CLOSE)
    result, derivative = jvp(function, (point,), (native(trainer, v),))
    assert_close(derivative["y"], jacobian @ v, CLOSE)
    assert derivative["largest"] is None
    with pytest.raises(ShapeError, match=r"a cotangent of shape \(4,\)"):
        pullback({"y": native(trainer, v), "largest": None})


def test_complex_gradients_point_upwards(trainer: str) -> None:
    """|z|² has the gradient 2z, as in PyTorch."""
    z = native(trainer, np.complex64(1 + 2j))
    found = grad(lambda z: ops.square(ops.abs(z)))(z)
    assert_close(found, 2 + 4j, 1e-6)


def test_vmap_is_a_loop(framework: str, rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(3, 5, 2)), rng.normal(size=(2,))
    x, y = native(framework, a), native(framework, b)

    def one(pair: dict[str, Any], weight: Any) -> dict[str, Any]:
        return {"dot": ops.matmul(pair["x"], weight), "sum": ops.sum(pair["x"])}

    found = vmap(one, in_axes=({"x": 1}, None), out_axes={"dot": 1, "sum": 0})({"x": x}, y)
    assert_close(found["dot"], a @ b, CLOSE)
    assert_close(found["sum"], a.sum((0, 2)), CLOSE)
    with pytest.raises(ShapeError, match="axes of one size"):
        vmap(ops.add)(x, y)


def test_gradients_of_each_example(trainer: str, rng: np.random.Generator) -> None:
    params, x = model(rng, trainer)
    found = vmap(grad(loss), in_axes=(None, 0))(params, x)["w"]
    for i in range(5):
        wanted = grad(loss)(params, x[i])["w"]
        assert_close(as_numpy(found)[i], wanted, CLOSE)


def test_a_checkpoint_changes_no_number(trainer: str, rng: np.random.Generator) -> None:
    params, x = model(rng, trainer)
    calls = []

    def counted(params: Any, x: Any) -> Any:
        calls.append(1)
        return loss(params, x)

    found = grad(lambda p: checkpoint(counted)(p, x))(params)
    assert_close(found["w"], grad(loss)(params, x)["w"], CLOSE)
    assert len(calls) > 1 or trainer == "jax"  # JAX traces it once and computes again what it traced


@pytest.mark.parametrize("owner", ["torch", "tensorflow"])
def test_a_checkpoint_that_would_lose_a_gradient_says_so(owner: str, rng: np.random.Generator) -> None:
    params, x = model(rng, owner)
    with pytest.raises(EngineError, match="closes over an array"):
        grad(lambda p: checkpoint(lambda x: loss(p, x))(x))(params)
    plain = checkpoint(lambda y: ops.multiply(y, x))  # closes over what is no argument of the gradient
    assert_close(grad(lambda y: ops.sum(plain(y)))(x), x, CLOSE)


def test_stopped_and_custom_gradients(trainer: str, rng: np.random.Generator) -> None:
    x = rng.normal(size=(4,)) * 3
    stopped = grad(lambda x: ops.sum(ops.multiply(x, stop_gradient(x))))(native(trainer, x))
    assert_close(stopped, x, 1e-6)

    @custom_gradient
    def clipped(x: Any) -> tuple[Any, Callable[[Any], Any]]:
        return {"out": ops.exp(x)}, lambda g: ops.clip(g["out"], min=-0.5, max=0.5)

    def scaled(x: Any) -> Any:
        return ops.sum(ops.multiply(clipped(x)["out"], native(trainer, np.array([9.0, -9.0, 0.1, 0.0]))))

    assert_close(grad(scaled)(native(trainer, x)), np.array([0.5, -0.5, 0.1, 0.0]), 1e-6)


def test_a_compiled_step_of_training(trainer: str, rng: np.random.Generator) -> None:
    """Traced once for a signature; then no Python of it runs. Oracle: the same step, not compiled."""
    params, x = model(rng, trainer)
    traces = []

    def step(params: Any, x: Any) -> Any:
        traces.append(1)
        value, gradients = value_and_grad(loss)(params, x)
        params = {name: ops.subtract(params[name], ops.multiply(gradients[name], 0.1)) for name in ("w", "b")}
        return {**params, "steps": 3}, value

    fast = jit(step)
    state, reference = params, params
    for _ in range(3):
        state, value = fast(state, x)
        reference, wanted = step(reference, x)
        assert_close(value, wanted, CLOSE)
    assert len(traces) == 3 + 1
    fast(state | {"steps": 4}, x)  # another number is another signature
    assert len(traces) == 3 + 2
    assert_close(state["w"], reference["w"], CLOSE)


def test_compiled_pytorch_is_differentiable_from_outside(rng: np.random.Generator) -> None:
    import torch

    x = torch.tensor(rng.normal(size=(3,)), requires_grad=True)
    jit(lambda x: ops.sum(ops.square(x)))(x).backward()
    assert_close(x.grad, 2 * x.detach().numpy(), 1e-6)


def test_compiled_pytorch_is_differentiable_by_what_it_closes_over() -> None:
    import torch

    w = torch.ones(3, requires_grad=True)
    fast = jit(lambda x: ops.sum(ops.multiply(x, w)))
    fast(torch.arange(3.0)).backward()
    assert w.grad is not None
    assert w.grad.tolist() == [0.0, 1.0, 2.0]
    with torch.no_grad():
        assert not fast(torch.ones(3)).requires_grad


def test_compiled_for_strides_and_shapes(trainer: str, rng: np.random.Generator) -> None:
    """One function of several shapes and layouts; the structure of its result depends on the shape."""
    fast = jit(lambda x, n: {f"{i}": x[i] * n for i in range(x.shape[0])})
    a = rng.normal(size=(2, 3))
    for array in (native(trainer, a), native(trainer, a.T.copy()), ops.transpose(native(trainer, a), axes=(1, 0))):
        for n in (2, 2.0, 3):
            found = fast(array, n)
            assert [*found] == [str(i) for i in range(array.shape[0])]
            assert_close(np.stack([as_numpy(v) for v in found.values()]), as_numpy(array) * n, 1e-6)


@pytest.mark.parametrize("trainer", ["jax", "tensorflow"])  # Inductor takes seconds for each
def test_compiled_over_trees_of_all_kinds(trainer: str, rng: np.random.Generator) -> None:
    """Trees of arrays alone, then with other leaves and other containers, then the first ones again."""
    x, y = native(trainer, rng.normal(size=3)), native(trainer, rng.normal(size=3))
    calls = 0

    def function(first: Any, *, rest: Any) -> Any:
        nonlocal calls
        calls += 1
        return {"b": first, "a": (rest, None), "c": [ops.multiply(leaf, 2.0) for leaf in (x, y)]}

    fast = jit(function)
    trees = (x, Parts(y, [x]), {"z": y, "a": (x, None)}, {1: x, "a": y}, Array(x), [x, 0.5], [x, "mode"], {})
    for first in (*trees, *trees):
        result = fast(first, rest={"y": y})
        assert type(result["b"]) is type(first)
        wanted = {"b": first, "a": ({"y": y}, None), "c": [ops.multiply(x, 2.0), ops.multiply(y, 2.0)]}
        (found, structure), (expected, other) = flatten(result), flatten(wanted)
        assert structure == other
        assert [type(leaf) for leaf in found] == [type(leaf) for leaf in expected]
        for each, leaf in zip(found, expected, strict=True):
            if isinstance(leaf, str | float):
                assert each == leaf
            else:
                assert_close(each, as_numpy(leaf), 1e-6)
    assert calls == len(trees)
    with pytest.raises(MixedFrameworksError, match=f"received some of {trainer} and numpy"):
        fast(x, rest=np.ones(3, np.float32))
    assert calls == len(trees)


def test_a_gradient_that_compiling_would_lose_is_refused() -> None:
    import torch

    own = custom_gradient(lambda x: (x * 2.0, lambda g: g * 5.0))
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(EngineError, match="differentiated from outside"):
        jit(own)(x)
    assert jit(grad(lambda x: ops.sum(own(x))))(torch.ones(3)).tolist() == [5.0] * 3


def test_numpy_says_that_it_has_no_gradients() -> None:
    x = np.ones(3)
    for transform in (grad(ops.sum), lambda x: vjp(ops.sum, x), lambda x: jvp(ops.sum, (x,), (x,))):
        with pytest.raises(NoLoweringError, match="NumPy has no gradients"):
            transform(x)
    assert jit(lambda x: ops.sum(x))(x) == 3.0


def test_transforms_are_nodes_of_a_graph(rng: np.random.Generator) -> None:
    """A value of the graph around that a function closes over is an operand, what is computed stays inside."""

    def function(x: Any, y: Any) -> Any:
        value, slope = value_and_grad(lambda x: ops.sum(ops.sin(x) * y))(x)
        return value, vmap(lambda row: row * slope[0])(checkpoint(ops.exp)(y))

    graph = verify(trace(function, Spec(("n",)), Spec(("n",))))
    assert [line.partition("  #")[0] for line in str(graph).splitlines()[2:9]] == [
        "    value: float32[], slope: float32[n] = value_and_grad((x,), (y,))",
        "        body(x: float32[n], y: float32[n]):",
        "            sin: float32[n] = sin(x)",
        "            multiply: float32[n] = multiply(sin, y)",
        "            sum: float32[] = sum(multiply)",
        "            return (sum,)",
        "    checkpoint: float32[n] = checkpoint((y,))",
    ]
    assert [node.op for node in graph.nodes][-1] == "vmap"
    again = Graph.from_json(graph.to_json())
    assert str(again) == str(graph)
    again.substitute({"n": 4})
    assert [value.spec for value in verify(again).output_values] == [Spec(()), Spec((4,))]
    x = rng.normal(size=(3, 4))
    mapped = trace(lambda x: vmap(lambda row: ops.exp(row) * 2.0, in_axes=1, out_axes=-1)(x), Spec((3, 4)))
    assert_close(evaluate(mapped, {"x": x.astype(np.float32)}), 2 * np.exp(x).astype(np.float32), CLOSE)


def test_a_graph_that_lies_is_refused() -> None:
    def traced(function: Callable[..., Any], *specs: Spec) -> tuple[Graph, Any]:
        graph = verify(trace(function, *specs))
        return graph, next(node for node in graph.nodes if node.graphs)

    lies: tuple[tuple[Any, str], ...] = (
        (lambda x: grad(lambda x: ops.sum(x))(x), "floating-point scalar"),
        (lambda x: vmap(ops.sin)(x), "inputs of body and its operands"),
        (lambda x: vjp(ops.sin, x)[1](x)[0], "results and their cotangents"),
        (lambda x: custom_gradient(lambda x: (ops.sin(x), lambda g: g))(x), "arrays and their gradients"),
    )
    for function, message in lies:
        graph, node = traced(function, Spec((3,)))
        name = [*node.graphs][-1]
        other = trace(lambda x, g: (ops.stack([x, x], axis=0),), *[Spec((3,))] * 2)
        if name == "body":
            other = trace(lambda x: (ops.stack([x, x], axis=0),), Spec((3,)))
        node.attributes[name] = other
        with pytest.raises(GraphError, match=message):
            verify(graph)


def test_bad_input_of_a_trace() -> None:
    for function, error, message in (
        (lambda x: grad(lambda x: x)(x), ShapeError, "expected a scalar as the result"),
        (lambda x: grad(lambda n: ops.sum(x))(ops.astype(x, dtype="int32")), DTypeError, "floating-point arrays"),
        (lambda x: vmap(ops.add)(x, x[:2]), ShapeError, "axes of one size"),
        (lambda x: vjp(ops.sin, x)[1](x[:2]), ShapeError, "a cotangent of shape"),
        (lambda x: custom_gradient(lambda x: (x, lambda g: g[:2]))(x), ShapeError, "gradients to have equal shapes"),
        (lambda x: grad(lambda x: 1.0)(x), EngineError, "one scalar"),
    ):
        with pytest.raises(error, match=message):
            trace(function, Spec((3,)))


def test_bad_input(trainer: str) -> None:
    x, n = native(trainer, np.ones(3)), native(trainer, np.arange(3))
    with pytest.raises(ShapeError, match=r"expected a scalar as the result, received an array of shape \(3,\)"):
        grad(lambda x: x)(x)
    with pytest.raises(DTypeError, match="expected floating-point arrays to differentiate, received int"):
        grad(ops.sum)(n)
    with pytest.raises(MixedFrameworksError, match=r"received some of .* and numpy"):
        grad(lambda x, y: ops.sum(x))(x, np.ones(3))
    with pytest.raises(MixedFrameworksError, match=f"expected results of {trainer}, received one of numpy"):
        jit(lambda x: np.ones(3))(x)
    with pytest.raises(EngineError, match="received no array"):
        jit(lambda x: x)(1.0)
    for branch in (lambda x: ops.sum(x) > 0, lambda x: float(ops.sum(x)) > 0, lambda x: int(ops.sum(x)) > 0):
        with pytest.raises(EngineError, match="depends on the value of an array"):
            jit(lambda x, branch=branch: x if branch(x) else -x)(x)
    for leaving in (np.sin, lambda x: to_framework(x, "numpy"), lambda x: Array(x).sum().item()):
        with pytest.raises(EngineError, match=r"leaves the framework of its arguments .*\n  hint: "):
            jit(leaving)(x)
    with pytest.raises(EngineError, match="argnums below 1"):
        grad(ops.sum, argnums=1)(x)


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], dict[str, Callable[[Any, Any], Any]]]] = {
    name: (ours, {"torch": torch, "jax": jax, "tensorflow": tensorflow})
    for name, ours, torch, jax, tensorflow in (
        ("add", lambda x: ops.add(x, x), lambda m, x: x + x, lambda m, x: x + x, lambda m, x: x + x),
        ("scale", lambda x: ops.multiply(x, 2.0), lambda m, x: x * 2.0, lambda m, x: x * 2.0, lambda m, x: x * 2.0),
        ("exp", lambda x: ops.exp(x), lambda m, x: m.exp(x), lambda m, x: m.numpy.exp(x), lambda m, x: m.exp(x)),
        ("tanh", lambda x: ops.tanh(x), lambda m, x: m.tanh(x), lambda m, x: m.numpy.tanh(x), lambda m, x: m.tanh(x)),
        ("matmul", lambda x: ops.matmul(x, x), lambda m, x: x @ x, lambda m, x: x @ x, lambda m, x: x @ x),
        (
            "sum",
            lambda x: ops.sum(x, axis=0),
            lambda m, x: x.sum(dim=0),
            lambda m, x: m.numpy.sum(x, axis=0),
            lambda m, x: m.reduce_sum(x, axis=0),
        ),
        (
            "softmax",
            lambda x: ops.softmax(x, axis=-1),
            lambda m, x: m.softmax(x, dim=-1),
            lambda m, x: m.nn.softmax(x, axis=-1),
            lambda m, x: m.nn.softmax(x, axis=-1),
        ),
        (
            "relu",
            lambda x: ops.relu(x),
            lambda m, x: m.relu(x),
            lambda m, x: m.nn.relu(x),
            lambda m, x: m.nn.relu(x),
        ),
        (
            "transpose",
            lambda x: ops.transpose(x, axes=(1, 0)),
            lambda m, x: x.permute(1, 0),
            lambda m, x: m.numpy.transpose(x, (1, 0)),
            lambda m, x: m.transpose(x, (1, 0)),
        ),
        (
            "where",
            lambda x: ops.where(ops.greater(x, 0.5), x, ops.multiply(x, 3.0)),
            lambda m, x: m.where(x > 0.5, x, x * 3.0),
            lambda m, x: m.numpy.where(x > 0.5, x, x * 3.0),
            lambda m, x: m.where(x > 0.5, x, x * 3.0),
        ),
    )
}


def program(owner: str, function: Callable[[Any], Any]) -> Any:
    """What the framework compiles of a function of a 4 by 4 matrix."""
    module, x = load(owner), native(owner, np.ones((4, 4), np.float32))
    if owner == "jax":
        return str(module.make_jaxpr(function)(x))
    if owner == "torch":
        graph = module.fx.experimental.proxy_tensor.make_fx(function, tracing_mode="fake")(x).graph
        return [(node.op, str(node.target), str(node.args)) for node in graph.nodes]
    graph = module.function(function, autograph=False).get_concrete_function(x).graph
    return [(node.type, [each.name for each in node.inputs]) for node in graph.get_operations()]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled_code_has_no_operation_more(name: str, trainer: str) -> None:
    """What is compiled is what the framework compiles of the function in its own words."""
    ours, theirs = FUNCTIONS[name]
    module = load(trainer)
    found = program(trainer, ours)
    wanted = program(trainer, lambda x: theirs[trainer](module, x))
    if trainer == "tensorflow":  # names of operations are not meaning
        found, wanted = ([kind for kind, _ in each] for each in (found, wanted))
    assert found == wanted
