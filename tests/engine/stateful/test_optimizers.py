"""Optimizers against Optax, torch.optim and Keras over twenty steps of random gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from ivyhub.engine.stateful import optimizers as optim
from ivyhub.engine.stateful import schedules
from tests.arrays import as_numpy, assert_close, native

Arrays = Mapping[str, np.ndarray]
STEPS = 20
# float32, whose unit in the last place is 1.2e-7, through twenty updates that each divide by a root.
TOLERANCE = 2e-5


@pytest.fixture
def problem(rng: np.random.Generator) -> tuple[Arrays, list[Arrays]]:
    shapes = {"w": (4, 3), "b": (3,), "k": (2, 3, 4)}
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    gradients = [{name: rng.normal(size=s).astype(np.float32) for name, s in shapes.items()} for _ in range(STEPS)]
    return weights, gradients


def ours(optimizer: optim.Optimizer, problem: tuple[Arrays, list[Arrays]], owner: str) -> Arrays:
    weights, gradients = problem
    model: Any = {name: native(owner, array) for name, array in weights.items()}
    state = optimizer.init(model)
    for gradient in gradients:
        model, state = optimizer.update(model, {name: native(owner, array) for name, array in gradient.items()}, state)
    return {name: as_numpy(array) for name, array in model.items()}


def optax_run(make: Callable[[Any], Any], problem: tuple[Arrays, list[Arrays]]) -> Arrays:
    import jax.numpy as jnp
    import optax

    weights, gradients = problem
    transformation = make(optax)
    params: Any = {name: jnp.asarray(array) for name, array in weights.items()}
    state = transformation.init(params)
    for gradient in gradients:
        updates, state = transformation.update({n: jnp.asarray(a) for n, a in gradient.items()}, state, params)
        params = optax.apply_updates(params, updates)
    return {name: np.asarray(array) for name, array in params.items()}


def torch_run(make: Callable[[Any, Any], Any], problem: tuple[Arrays, list[Arrays]]) -> Arrays:
    import torch

    weights, gradients = problem
    params = {name: torch.nn.Parameter(torch.tensor(array)) for name, array in weights.items()}
    optimizer = make(torch.optim, list(params.values()))
    for gradient in gradients:
        for name, parameter in params.items():
            parameter.grad = torch.tensor(gradient[name])
        optimizer.step()
    return {name: parameter.detach().numpy() for name, parameter in params.items()}


def keras_run(make: Callable[[Any], Any], problem: tuple[Arrays, list[Arrays]]) -> Arrays:
    import keras
    import tensorflow as tf

    weights, gradients = problem
    variables = {name: tf.Variable(array) for name, array in weights.items()}
    optimizer = make(keras.optimizers)
    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant(gradient[name]), v) for name, v in variables.items()])
    return {name: v.numpy() for name, v in variables.items()}


TORCH: dict[str, tuple[optim.Optimizer, Callable[[Any, Any], Any]]] = {
    "sgd": (optim.SGD(0.1), lambda o, p: o.SGD(p, 0.1)),
    "sgd-momentum": (
        optim.SGD(0.1, momentum=0.9, weight_decay=0.01),
        lambda o, p: o.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
    ),
    "sgd-nesterov": (
        optim.SGD(0.1, momentum=0.9, nesterov=True),
        lambda o, p: o.SGD(p, 0.1, momentum=0.9, nesterov=True),
    ),
    "sgd-dampening": (
        optim.SGD(0.1, momentum=0.9, dampening=0.3),
        lambda o, p: o.SGD(p, 0.1, momentum=0.9, dampening=0.3),
    ),
    "adam": (optim.Adam(0.01), lambda o, p: o.Adam(p, 0.01)),
    "adam-decay": (optim.Adam(0.01, weight_decay=0.1), lambda o, p: o.Adam(p, 0.01, weight_decay=0.1)),
    "amsgrad": (optim.Adam(0.01, amsgrad=True), lambda o, p: o.Adam(p, 0.01, amsgrad=True)),
    "adamw": (optim.AdamW(0.01), lambda o, p: o.AdamW(p, 0.01)),
    "rmsprop": (optim.RMSprop(0.01), lambda o, p: o.RMSprop(p, 0.01)),
    "rmsprop-centred": (
        optim.RMSprop(0.01, momentum=0.9, centred=True, weight_decay=0.1),
        lambda o, p: o.RMSprop(p, 0.01, momentum=0.9, centered=True, weight_decay=0.1),
    ),
    "adagrad": (
        optim.Adagrad(0.1, initial=0.1, weight_decay=0.1),
        lambda o, p: o.Adagrad(p, 0.1, initial_accumulator_value=0.1, weight_decay=0.1),
    ),
}
OPTAX: dict[str, tuple[optim.Optimizer, Callable[[Any], Any]]] = {
    "adam": (optim.Adam(0.01), lambda o: o.adam(0.01)),
    "adamw": (optim.AdamW(0.01, weight_decay=0.1), lambda o: o.adamw(0.01, weight_decay=0.1)),
    "lion": (optim.Lion(0.01, weight_decay=0.1), lambda o: o.lion(0.01, weight_decay=0.1)),
    "lamb": (optim.LAMB(0.01, weight_decay=0.1), lambda o: o.lamb(0.01, weight_decay=0.1)),
    "adafactor": (
        optim.Adafactor(0.01, factored_from=2),
        lambda o: o.adafactor(0.01, min_dim_size_to_factor=2),
    ),
    "adafactor-whole": (
        optim.Adafactor(0.01, scaled=False, clipping=None),
        lambda o: o.adafactor(0.01, multiply_by_parameter_scale=False, clipping_threshold=None),
    ),
    "scheduled": (
        optim.SGD(schedules.warmup_cosine(0.1, 5, 15)),
        lambda o: o.sgd(o.warmup_cosine_decay_schedule(0.0, 0.1, 5, 15)),
    ),
}
KERAS: dict[str, tuple[optim.Optimizer, Callable[[Any], Any]]] = {
    "sgd-momentum": (optim.SGD(0.1, momentum=0.9), lambda o: o.SGD(0.1, momentum=0.9)),
    "sgd-nesterov": (
        optim.SGD(0.1, momentum=0.9, nesterov=True),
        lambda o: o.SGD(0.1, momentum=0.9, nesterov=True),
    ),
    # Keras adds its epsilon elsewhere
    "adam": (optim.Adam(0.01, eps=0.0), lambda o: o.Adam(0.01, epsilon=0.0)),
    "adamw": (optim.AdamW(0.01, eps=0.0, weight_decay=0.1), lambda o: o.AdamW(0.01, 0.1, epsilon=0.0)),
    "rmsprop": (
        optim.RMSprop(0.01, rho=0.9, eps=0.0, momentum=0.5),
        lambda o: o.RMSprop(0.01, momentum=0.5, epsilon=0.0),
    ),
    "lamb": (optim.LAMB(0.01, eps=0.0), lambda o: o.Lamb(0.01, epsilon=0.0)),
    "lion": (optim.Lion(0.01), lambda o: o.Lion(0.01)),
    "adagrad": (optim.Adagrad(0.1, initial=0.1, eps=0.0), lambda o: o.Adagrad(0.1, epsilon=0.0)),
}


def assert_same(found: Arrays, wanted: Arrays) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert_close(found[name], array, TOLERANCE, name)


@pytest.mark.parametrize("name", TORCH)
def test_torch(name: str, problem: Any, framework: str) -> None:
    optimizer, make = TORCH[name]
    assert_same(ours(optimizer, problem, framework), torch_run(make, problem))


@pytest.mark.parametrize("name", OPTAX)
def test_optax(name: str, problem: Any, framework: str) -> None:
    optimizer, make = OPTAX[name]
    assert_same(ours(optimizer, problem, framework), optax_run(make, problem))


@pytest.mark.parametrize("name", KERAS)
def test_keras(name: str, problem: Any, framework: str) -> None:
    optimizer, make = KERAS[name]
    assert_same(ours(optimizer, problem, framework), keras_run(make, problem))
