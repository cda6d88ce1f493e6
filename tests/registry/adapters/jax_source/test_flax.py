"""Modules of Flax in other frameworks: certified against the live module, with its names and its training behaviour."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import ivyhub
from ivyhub.errors import CaptureError


class Block(nnx.Module):
    def __init__(self, size: int, rngs: nnx.Rngs) -> None:
        self.norm = nnx.LayerNorm(size, rngs=rngs)
        self.up = nnx.Linear(size, 2 * size, rngs=rngs)
        self.down = nnx.Linear(2 * size, size, rngs=rngs)
        self.drop = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        h = nnx.gelu(self.up(self.norm(x)))
        return x + self.drop(self.down(h))


class Network(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(3, 8, (3, 3), strides=2, padding="SAME", rngs=rngs)
        self.norm = nnx.GroupNorm(8, 2, rngs=rngs)
        self.blocks = nnx.List([Block(8, rngs) for _ in range(2)])
        self.attention = nnx.MultiHeadAttention(2, 8, 8, 8, decode=False, rngs=rngs)
        self.temperature = nnx.Param(jnp.ones(()))

    def __call__(self, x: Any) -> Any:
        y = nnx.silu(self.norm(self.conv(x))).reshape(x.shape[0], -1, 8)
        for block in self.blocks:
            y = block(y)
        return self.attention(y) * self.temperature


class Words(linen.Module):
    @linen.compact
    def __call__(self, i: Any, deterministic: bool = True) -> Any:
        x = linen.Embed(11, 8, name="words")(i)
        x = linen.Dropout(0.5)(linen.LayerNorm()(x), deterministic=deterministic)
        return {"logits": linen.Dense(3)(linen.relu(x).mean(1)), "hidden": x}


def _image(rng: np.random.Generator) -> Any:
    return jnp.asarray(rng.standard_normal((2, 8, 8, 3)), jnp.float32)


def test_an_nnx_module_becomes_a_module_of_torch(rng: np.random.Generator) -> None:
    model = Network(nnx.Rngs(int(rng.integers(2**31))))
    state = jax.tree.map(np.asarray, nnx.state(model, nnx.Param))
    native = ivyhub.transpile(model, to="torch", args=(_image(rng),), dynamic={"x": {0: "batch"}})
    layers = {name: type(layer).__name__ for name, layer in native.named_modules()}
    assert layers["blocks.1"] == layers["blocks.0"] == "Block"  # one class
    assert layers["blocks.1.up"] == "Linear"
    assert layers["blocks.0.drop"] == "Dropout"
    np.testing.assert_array_equal(
        native.blocks[1].up.weight.detach().numpy(), np.asarray(state["blocks"][1]["up"]["kernel"][...]).T
    )
    assert "__call__" in vars(Block)  # as it was written
    assert Block.__call__.__qualname__ == "Block.__call__"
    assert not hasattr(Block.__call__, "__wrapped__")


@pytest.mark.parametrize(
    "to",
    [
        pytest.param("torch", marks=pytest.mark.sweep),
        *(pytest.param(to, marks=pytest.mark.slow) for to in ("tensorflow", "jax")),
    ],
)
def test_an_nnx_module_is_certified(to: str, rng: np.random.Generator) -> None:
    model = Network(nnx.Rngs(int(rng.integers(2**31))))
    ivyhub.transpile(model, to=to, args=(_image(rng),), dynamic={"x": {0: "batch"}}, verify=True)


def test_a_linen_module_becomes_a_module_of_torch(rng: np.random.Generator) -> None:
    model, i = Words(), jnp.asarray(rng.integers(11, size=(2, 5)), jnp.int32)
    variables = model.init(jax.random.key(int(rng.integers(2**31))), i)
    dynamic = {"i": {0: "batch", 1: "length"}}
    native = ivyhub.transpile(model, variables, to="torch", args=(i,), dynamic=dynamic, verify=True)
    assert [name for name, _ in native.named_parameters()] == [
        *("words.weight", "LayerNorm_0.weight", "LayerNorm_0.bias", "Dense_0.weight", "Dense_0.bias"),
    ]
    assert type(native.Dropout_0).__name__ == "Dropout"


class Statistics(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, momentum=0.9, rngs=rngs)
        self.frozen = nnx.BatchNorm(4, use_running_average=True, use_bias=False, use_scale=False, rngs=rngs)
        self.drop = nnx.Dropout(0.3, rngs=rngs)
        self.head = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = nnx.gelu(self.norm(self.conv(x)))
        x = self.frozen(x, use_running_average=True)
        return self.head(self.drop(x.mean((1, 2))))


class Mode(linen.Module):
    """Batch statistics and dropout by a ``train`` argument; with ``more``, another thing besides."""

    more: bool = False

    @linen.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = linen.BatchNorm(use_running_average=not train)(linen.Dense(5)(x))
        x = linen.Dropout(0.2)(jnp.tanh(x), deterministic=not train)
        return x * 2 if self.more and train else x


def test_batch_statistics_are_kept_as_flax_moves_them(rng: np.random.Generator) -> None:
    """With the biased variance, in training and in evaluation; a layer that is frozen is a formula."""
    model = Statistics(nnx.Rngs(int(rng.integers(2**31))))
    native = ivyhub.transpile(model, to="torch", args=(_image(rng),), dynamic={"x": {0: "batch"}}, verify=True)
    assert {name for name, _ in native.named_buffers()} >= {"norm.running_mean", "norm.running_var"}


@pytest.mark.slow
@pytest.mark.parametrize("to", ["tensorflow", "jax", "flax.linen"])
def test_batch_statistics_are_certified(to: str, rng: np.random.Generator) -> None:
    model = Statistics(nnx.Rngs(int(rng.integers(2**31))))
    ivyhub.transpile(model, to=to, args=(_image(rng),), dynamic={"x": {0: "batch"}}, verify=True)


def test_an_argument_that_says_whether_it_trains_becomes_the_mode(rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.standard_normal((4, 3)), jnp.float32)
    variables = Mode().init(jax.random.key(0), x, train=False)
    ivyhub.transpile(Mode(), variables, to="torch", args=(x,), dynamic={"x": {0: "batch"}}, verify=True)
    with pytest.raises(CaptureError, match="other things in training than in evaluation"):
        ivyhub.trace((Mode(more=True), variables), x)


def test_batch_statistics_in_evaluation_are_refused(rng: np.random.Generator) -> None:
    class Always(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            return linen.BatchNorm(use_running_average=False)(x)

    x = jnp.asarray(rng.standard_normal((4, 3)), jnp.float32)
    with pytest.raises(CaptureError, match="BatchNorm_0 normalises by the statistics of the batch in evaluation too"):
        ivyhub.trace((Always(), Always().init(jax.random.key(0), x)), x)


class Step(linen.Module):
    @linen.compact
    def __call__(self, x: Any, _: Any) -> Any:
        return jnp.tanh(linen.Dense(4)(x)), None


class Repeated(linen.Module):
    """Layers that are one behind the other in a loop, and side by side: their arrays are stacked."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        lifted = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}}
        x, _ = linen.scan(Step, **lifted, length=3)()(x, None)
        return linen.vmap(linen.Dense, **lifted, in_axes=1, out_axes=1)(3)(x)


class Scaled(nnx.Module):
    """A layer whose weights are computed of arrays that are no variables of its own."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.inner = nnx.WeightNorm(nnx.Linear(4, 3, rngs=rngs), rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.inner(x)


@pytest.mark.parametrize("kind", ["repeated", "scaled"])
def test_layers_of_arrays_that_are_not_their_own_are_formulas(kind: str, rng: np.random.Generator) -> None:
    x, seed = jnp.asarray(rng.standard_normal((2, 3, 4)), jnp.float32), int(rng.integers(2**31))
    if kind == "repeated":
        source: Any = Repeated(), Repeated().init(jax.random.key(seed), x)
        expected = source[0].apply(source[1], x)
    else:
        source = Scaled(nnx.Rngs(seed))
        expected = source(x)
    found = ivyhub.transpile(source, to="numpy", args=(x,))
    np.testing.assert_allclose(found(np.asarray(x)), expected, atol=1e-5)  # float32 sums of a few numbers near 1


class Sequence(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.RNN(nnx.OptimizedLSTMCell(3, 5, rngs=rngs))
        self.second = nnx.RNN(nnx.GRUCell(5, 4, rngs=rngs))

    def __call__(self, x: Any) -> Any:
        return self.second(self.first(x))


RECURRENT = {"": None, "first": "LSTM", "second": "GRU"}


def test_recurrent_layers_are_leaves(rng: np.random.Generator) -> None:
    model = Sequence(nnx.Rngs(int(rng.integers(2**31))))
    graph = ivyhub.trace(model, jnp.zeros((2, 4, 3)), dynamic={"x": {0: "batch"}})
    assert {path: info.layer for path, info in graph.modules.items()} == RECURRENT


@pytest.mark.sweep
def test_recurrent_layers_are_the_same_again(rng: np.random.Generator) -> None:
    model = Sequence(nnx.Rngs(int(rng.integers(2**31))))
    x = jnp.asarray(rng.standard_normal((2, 4, 3)), jnp.float32)
    found = ivyhub.transpile(model, to="jax", args=(x,), dynamic={"x": {0: "batch"}})
    assert [type(each.cell) for each in (found.first, found.second)] == [nnx.OptimizedLSTMCell, nnx.GRUCell]
    again = ivyhub.trace(found, x, dynamic={"x": {0: "batch"}})
    assert {path: info.layer for path, info in again.modules.items()} == RECURRENT
    np.testing.assert_allclose(found(x), model(x), atol=1e-5)  # float32, a few steps of sums of ten numbers near 1


class Cells(linen.Module):
    """Cells of layers that are made before, and of one that is made where it is called."""

    def setup(self) -> None:
        self.first = linen.RNN(linen.OptimizedLSTMCell(5), time_major=True)

    @linen.compact
    def __call__(self, x: Any) -> Any:
        x = jnp.swapaxes(self.first(jnp.swapaxes(x, 0, 1)), 0, 1)
        return linen.Dense(2, name="head")(linen.RNN(linen.LSTMCell(4, bias_init=normal), name="second")(x))


def normal(key: Any, shape: Any, dtype: Any = jnp.float32) -> Any:
    return jax.random.normal(key, shape, dtype)


def _cells(rng: np.random.Generator) -> tuple[Any, Any]:
    module = Cells()
    return module, module.init(jax.random.key(int(rng.integers(2**31))), jnp.zeros((2, 4, 3)))


@pytest.mark.slow
def test_recurrent_layers_of_linen_are_leaves_and_the_same_again(rng: np.random.Generator) -> None:
    source, x = _cells(rng), jnp.asarray(rng.standard_normal((2, 4, 3)), jnp.float32)
    graph = ivyhub.trace(source, x, dynamic={"x": {0: "batch"}})
    layers = {"": None, "first": "LSTM", "second": "LSTM", "head": "Linear"}
    assert {path: info.layer for path, info in graph.modules.items()} == layers
    module, variables = ivyhub.transpile(source, to="flax.linen", args=(x,), dynamic={"x": {0: "batch"}})
    assert {*variables["params"]["second"]["cell"]} == {f"{side}{gate}" for side in "ih" for gate in "ifgo"}
    again = ivyhub.trace((module, variables), x, dynamic={"x": {0: "batch"}})
    assert {path: info.layer for path, info in again.modules.items()} == layers
    np.testing.assert_allclose(module.apply(variables, x), source[0].apply(source[1], x), atol=1e-5)  # as above


@pytest.mark.sweep
@pytest.mark.parametrize("to", ["torch", "tensorflow", "jax", "flax.linen"])
def test_recurrent_layers_of_linen_are_certified(to: str, rng: np.random.Generator) -> None:
    x = jnp.zeros((2, 4, 3))
    ivyhub.transpile(_cells(rng), to=to, args=(x,), dynamic={"x": {0: "batch"}}, verify=True)


@pytest.mark.sweep
@pytest.mark.parametrize("to", ["torch", "tensorflow", "jax", "flax.linen"])
def test_recurrent_layers_are_certified(to: str, rng: np.random.Generator) -> None:
    model = Sequence(nnx.Rngs(int(rng.integers(2**31))))
    ivyhub.transpile(model, to=to, args=(jnp.zeros((2, 4, 3)),), dynamic={"x": {0: "batch"}}, verify=True)
