"""Modules that are pytrees with functions, of Equinox and Haiku: parameters by their paths, trained and certified."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ivyhub
from ivyhub.errors import CaptureError

eqx = pytest.importorskip("equinox")
hk = pytest.importorskip("haiku")

Made = tuple[Any, tuple[Any, ...], dict[str, np.ndarray]]  # a source, its example inputs, its parameters by path


def _named(tree: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))[0]
    return {jax.tree_util.keystr(keys, simple=True, separator="."): np.asarray(leaf) for keys, leaf in leaves}


class Classifier(eqx.Module):
    """Layers in a list, a function among the leaves, and an array of its own."""

    layers: list[Any]
    head: Any
    scale: jax.Array
    activation: Callable[..., Any]

    def __init__(self, key: Any) -> None:
        first, second, third = jax.random.split(key, 3)
        self.layers = [eqx.nn.Conv2d(3, 4, 3, key=first), eqx.nn.GroupNorm(2, 4), eqx.nn.Conv2d(4, 4, 3, key=second)]
        self.head = eqx.nn.Linear(4 * 4 * 4, 3, key=third)
        self.scale = jnp.full((3,), 0.7)
        self.activation = jax.nn.gelu

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        for layer in self.layers:
            x = self.activation(layer(x))
        return self.scale * self.head(x.reshape(-1))


def equinox_module(rng: np.random.Generator) -> Made:
    model = Classifier(jax.random.key(int(rng.integers(2**31))))
    return model, (jnp.asarray(rng.standard_normal((3, 8, 8)), jnp.float32),), _named(model)


def equinox_module_of_a_batch(rng: np.random.Generator) -> Made:
    model = eqx.nn.MLP(3, 2, 8, 2, key=jax.random.key(int(rng.integers(2**31))))

    def batched(model: Any, x: Any) -> Any:
        return jax.vmap(model)(x)

    return (batched, model), (jnp.asarray(rng.standard_normal((5, 3)), jnp.float32),), _named(model)


def haiku_function(rng: np.random.Generator) -> Made:
    def network(x: Any) -> Any:
        x = hk.LayerNorm(-1, create_scale=True, create_offset=True)(hk.nets.MLP([8, 4])(x))
        return hk.Linear(2)(jax.nn.silu(x))

    transformed = hk.without_apply_rng(hk.transform(network))
    x = jnp.asarray(rng.standard_normal((5, 3)), jnp.float32)
    params = transformed.init(jax.random.key(int(rng.integers(2**31))), x)
    names = {name.replace("/", "_").replace("~", "_"): array for name, array in _named(params).items()}
    return (transformed.apply, params), (x,), names


@pytest.mark.parametrize("to", ["torch", "tensorflow"])
@pytest.mark.parametrize("make", [equinox_module, equinox_module_of_a_batch, haiku_function])
def test_its_arrays_are_parameters_by_their_paths(
    make: Callable[[np.random.Generator], Made], to: str, rng: np.random.Generator
) -> None:
    source, args, expected = make(rng)
    native = ivyhub.transpile(source, to=to, args=args, verify=True)  # outputs, gradients, training
    if to == "torch":
        assert {name: tuple(array.shape) for name, array in native.named_parameters()} == {
            name: array.shape for name, array in expected.items()
        }
        for name, array in native.named_parameters():
            np.testing.assert_array_equal(array.detach().numpy(), expected[name])
    else:
        assert sorted(np.prod(array.shape) for array in native.trainable_variables) == sorted(
            np.prod(array.shape) for array in expected.values()
        )


def test_a_number_among_parameters_is_no_array() -> None:
    with pytest.raises(CaptureError, match=r"params\['scale'\] is no array but 0.5"):
        ivyhub.transpile(
            (lambda params, x: params["scale"] * x, {"scale": 0.5, "x": jnp.ones(2)}), to="torch", args=(jnp.ones(2),)
        )
