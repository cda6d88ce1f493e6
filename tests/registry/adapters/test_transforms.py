"""Transforms in a trace: what their source computes in each framework, against JAX's transforms of its own code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.engine import nn, ops, random
from ivyhub.engine.control_flow import fori_loop, scan
from ivyhub.engine.spec import Spec
from ivyhub.engine.stateful.module import Module
from ivyhub.engine.trace import trace
from ivyhub.engine.transforms import checkpoint, custom_gradient, grad, jvp, stop_gradient, value_and_grad, vjp, vmap
from ivyhub.engine.trees import leaves
from ivyhub.engine.verify import verify
from ivyhub.errors import NoLoweringError
from tests.arrays import as_numpy, assert_close, native
from tests.registry.adapters.test_control import live

# What PyTorch imports for jvp warns of itself.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
# float32 against the same formula in float32: sums of some ten terms in another order.
CLOSE = 1e-4
# The parameters w and b, inputs x, targets y and integers n.
SPECS = (Spec((3, 4)), Spec((4,)), Spec(("rows", 3)), Spec(("rows", 4)), Spec(("rows",), "int32"))


def draw(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    shapes = (3, 4), (4,), (5, 3), (5, 4)
    return (*(rng.normal(size=shape).astype(np.float32) for shape in shapes), rng.integers(9, size=5).astype(np.int32))


def loss(p: dict[str, Any], x: Any, y: Any) -> Any:
    return ops.mean(ops.square(ops.tanh(ops.matmul(x, p["w"]) + p["b"]) - y))


def jax_loss(p: dict[str, Any], x: Any, y: Any) -> Any:
    import jax.numpy as jnp

    return jnp.mean(jnp.square(jnp.tanh(x @ p["w"] + p["b"]) - y))


def a_step(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    def both(p: dict[str, Any]) -> Any:
        return loss(p, x, y), {"twice": n * 2, "same": p["b"]}

    (value, aux), slopes = value_and_grad(both, has_aux=True)({"w": w, "b": b})
    return value, aux, w - slopes["w"] * 0.1, b - slopes["b"] * 0.1


def jax_step(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    import jax

    value, slopes = jax.value_and_grad(jax_loss)({"w": w, "b": b}, x, y)
    return value, {"twice": n * 2, "same": b}, w - slopes["w"] * 0.1, b - slopes["b"] * 0.1


def of_each(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    return vmap(grad(loss), in_axes=(None, 0, 0))({"w": w, "b": b}, x, y)


def jax_of_each(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    import jax

    return jax.vmap(jax.grad(jax_loss), (None, 0, 0))({"w": w, "b": b}, x, y)


def of_several(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    """By two arguments of which one is given twice, and by what a second derivative is taken of."""
    twice = grad(lambda first, second: ops.sum(ops.sin(first) * second), argnums=(1, 0))(b, b)
    slope = grad(lambda b: ops.sum(ops.sin(b) * b))
    return twice, grad(lambda b: ops.sum(slope(b) * ops.exp(b)))(b)


def jax_of_several(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    import jax
    import jax.numpy as jnp

    twice = jax.grad(lambda first, second: jnp.sum(jnp.sin(first) * second), argnums=(1, 0))(b, b)
    slope = jax.grad(lambda b: jnp.sum(jnp.sin(b) * b))
    return twice, jax.grad(lambda b: jnp.sum(slope(b) * jnp.exp(b)))(b)


def products(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    """Cotangents and tangents; a result without a derivative among the others."""

    def function(x: Any) -> dict[str, Any]:
        return {"y": ops.matmul(ops.tanh(x), w), "n": n + 1}

    result, pullback = vjp(function, x)
    forward, derivative = jvp(function, (x,), (ops.cos(x),))
    return result, pullback({"y": y, "n": None}), pullback({"y": y * 2.0, "n": None}), forward, derivative["y"]


def jax_products(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    import jax
    import jax.numpy as jnp

    def function(x: Any) -> Any:
        return jnp.tanh(x) @ w

    result, pullback = jax.vjp(function, x)
    both = {"y": result, "n": n + 1}
    return both, pullback(y), pullback(y * 2), both, jax.jvp(function, (x,), (jnp.cos(x),))[1]


def kept_and_stopped(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    """What is computed again, by an argument and by what is closed over; what is a constant."""
    again = grad(lambda w, x: ops.sum(checkpoint(lambda x: ops.sin(ops.matmul(x, w)))(x)), argnums=(0, 1))(w, x)
    once = checkpoint(lambda b, n: (ops.exp(b), n))(b, n)
    return again, once, grad(lambda b: ops.sum(b * stop_gradient(ops.exp(b))))(b)


def jax_kept_and_stopped(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    import jax
    import jax.numpy as jnp

    again = jax.grad(lambda w, x: jnp.sum(jnp.sin(x @ w)), argnums=(0, 1))(w, x)
    return again, (jnp.exp(b), n), jnp.exp(b)


@custom_gradient
def scaled(b: Any, y: Any) -> Any:
    result = ops.exp(b) * y
    return result, lambda g: (ops.tanh(g) * result, None)


def own(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    """A gradient of one's own, alone and mapped; what it closes over has none."""
    closed = custom_gradient(lambda b: (b * w[0], lambda g: g + w[0]))
    alone = grad(lambda b: ops.sum(scaled(b, y[0]) * 3.0))(b)
    mapped = vmap(lambda row: grad(lambda b: ops.sum(scaled(b, row)))(b))(y)
    return alone, mapped, scaled(b, y[0]), grad(lambda b, w: ops.sum(closed(b) * w[1]), argnums=(0, 1))(b, w)


def jax_own(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    import jax.numpy as jnp

    alone, ones = jnp.tanh(3.0) * jnp.exp(b) * y[0], jnp.zeros_like(w).at[1].set(b * w[0])
    return alone, jnp.tanh(1.0) * jnp.exp(b) * y, jnp.exp(b) * y[0], (w[1] + w[0], ones)


def mapped(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    """Over other axes than the first, over trees, integers, and with results that do not depend on what is mapped."""

    def one(pair: dict[str, Any], weight: Any) -> dict[str, Any]:
        return {"dot": ops.matmul(weight, pair["x"]), "n": pair["n"] + 1, "same": ops.exp(b)}

    nested = vmap(lambda row: vmap(lambda column: ops.sum(row * column), in_axes=1)(w))(x)
    axes = {"x": 1, "n": 0}
    out = {"dot": 1, "n": 0, "same": 0}
    return vmap(one, in_axes=(axes, None), out_axes=out)({"x": ops.transpose(x, axes=(1, 0)), "n": n}, w[:, :3]), nested


def jax_mapped(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    import jax.numpy as jnp

    return {"dot": w[:, :3] @ x.T, "n": n + 1, "same": jnp.broadcast_to(jnp.exp(b), (len(x), 4))}, x @ w


def with_control_flow(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    """Steps of descent in a loop, and the derivative of a scan."""

    def step(p: Any, row: tuple[Any, Any]) -> tuple[Any, Any]:
        value, slope = value_and_grad(lambda b: loss({"w": w, "b": b}, row[0], row[1]))(p)
        return p - slope * 0.1, value

    descended = scan(step, b, (x, y))
    power = grad(lambda b: ops.sum(scan(lambda c, row: (c * ops.cos(row * b), c), b, y)[0]))(b)
    return descended, power, fori_loop(0, 3, lambda i, b: b - grad(lambda b: ops.sum(ops.sin(b)))(b), b)


def jax_with_control_flow(w: Any, b: Any, x: Any, y: Any, n: Any) -> Any:
    import jax
    import jax.numpy as jnp

    p, values = b, []
    for i in range(len(x)):
        value, slope = jax.value_and_grad(lambda b, i=i: jax_loss({"w": w, "b": b}, x[i], y[i]))(p)
        p, values = p - slope * 0.1, [*values, value]
    power = jax.grad(lambda b: jnp.sum(b * jnp.prod(jnp.cos(y * b), 0)))(b)
    for _ in range(3):
        b = b - jnp.cos(b)
    return (p, jnp.stack(values)), power, b


PROGRAMS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "value_and_grad": (a_step, jax_step),
    "gradients of each example": (of_each, jax_of_each),
    "several arguments and orders": (of_several, jax_of_several),
    "vjp and jvp": (products, jax_products),
    "checkpoint and stop_gradient": (kept_and_stopped, jax_kept_and_stopped),
    "custom_gradient": (own, jax_own),
    "vmap": (mapped, jax_mapped),
    "control flow": (with_control_flow, jax_with_control_flow),
}


@pytest.fixture(params=["torch", "jax", "tensorflow"])
def trainer(request: pytest.FixtureRequest) -> str:
    """A framework that has gradients."""
    return request.param


SLOW = ("several arguments and orders", "checkpoint and stop_gradient", "control flow")
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in PROGRAMS]


@pytest.mark.parametrize("name", NAMES)
def test_source_computes_what_jax_does(name: str, trainer: str, tmp_path: Path, rng: np.random.Generator) -> None:
    ours, theirs = PROGRAMS[name]
    specs = SPECS if name != "control flow" else (*SPECS[:2], Spec((5, 3)), Spec((5, 4)), Spec((5,), "int32"))
    graph = verify(trace(ours, *specs))
    text = graph.to_json()
    call = live(graph, trainer, tmp_path)
    assert graph.to_json() == text  # emitting leaves a graph as it was
    assert ivyhub.Graph.from_json(text).to_json() == text
    arrays = draw(rng)
    found = leaves(call(*(native(trainer, each) for each in arrays)))
    wanted = leaves(theirs(*(native("jax", each) for each in arrays)))
    assert len(found) == len(wanted)
    for array, other in zip(found, wanted, strict=True):
        assert_close(array, other, CLOSE, name)


def test_numpy_maps_and_has_no_gradients(tmp_path: Path, rng: np.random.Generator) -> None:
    arrays = draw(rng)
    found = live(trace(mapped, *SPECS), "numpy", tmp_path)(*arrays)
    for array, other in zip(leaves(found), leaves(jax_mapped(*map(native_jax, arrays))), strict=True):
        assert_close(array, other, CLOSE)
    again = trace(lambda b: checkpoint(lambda b: scaled(b, b))(b), SPECS[1])
    assert_close(live(again, "numpy", tmp_path)(arrays[1]), np.exp(arrays[1]) * arrays[1], CLOSE)
    for program in (a_step, of_each, products):
        for target in ("numpy", "onnx"):
            with pytest.raises(NoLoweringError, match=rf"{target} cannot express the transform.*, the first at tests/"):
                trace(program, *SPECS).emit(target)


def native_jax(array: np.ndarray) -> Any:
    return native("jax", array)


def test_complex_gradients_point_upwards(trainer: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """|z|² has the gradient 2z; the pullback of z² by g is 2 conj(z) g, as in PyTorch."""
    graph = trace(
        lambda z, g: (grad(lambda z: ops.sum(ops.square(ops.abs(z))))(z), vjp(lambda z: z * z, z)[1](g)[0]),
        *(Spec((3,), "complex64"), Spec((3,), "complex64")),
    )
    z, g = (rng.normal(size=3) + 1j * rng.normal(size=3) for _ in range(2))
    found = live(graph, trainer, tmp_path)(native(trainer, z), native(trainer, g))
    assert_close(found[0], 2 * z, CLOSE)
    assert_close(found[1], 2 * np.conj(z) * g, CLOSE)


class Force(Module):
    """The gradient of an energy by the positions: parameters stand inside of a transform."""

    def __init__(self) -> None:
        self.first, self.last = nn.Linear(3, 8), nn.Linear(8, 1)

    def forward(self, x: Any) -> Any:
        return grad(lambda x: ops.sum(self.last(ops.tanh(self.first(x)))))(x)


def test_parameters_inside_of_a_transform(trainer: str, rng: np.random.Generator) -> None:
    module = Force().init(random.key(int(rng.integers(2**31)), trainer))
    x = native(trainer, rng.normal(size=(4, 3)))
    found = ivyhub.transpile(module, to=trainer, args=(x,))
    assert_close(as_numpy(found(x)), module(x), CLOSE)
