"""Schedules against Optax, at every step and beyond the last; clipping against Optax and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ivyhub.engine import nn
from ivyhub.engine.stateful import schedules
from ivyhub.errors import EngineError
from tests.arrays import as_numpy, assert_close, native

CASES: dict[str, tuple[schedules.Schedule, Callable[[Any], Any]]] = {
    "constant": (schedules.constant(0.3), lambda o: o.constant_schedule(0.3)),
    "linear": (schedules.linear(1.0, 0.1, 12), lambda o: o.linear_schedule(1.0, 0.1, 12)),
    "polynomial": (
        schedules.polynomial(1.0, 0.1, 12, power=2.0),
        lambda o: o.polynomial_schedule(1.0, 0.1, 2.0, 12),
    ),
    "cosine": (schedules.cosine(0.5, 12, end=0.05), lambda o: o.cosine_decay_schedule(0.5, 12, 0.1)),
    "exponential": (schedules.exponential(0.5, 0.7, steps=4), lambda o: o.exponential_decay(0.5, 4, 0.7)),
    "step": (
        schedules.step_decay(0.5, 0.7, 4),
        lambda o: o.exponential_decay(0.5, 4, 0.7, staircase=True),
    ),
    "piecewise": (
        schedules.piecewise(1.0, {4: 0.5, 9: 0.1}),
        lambda o: o.piecewise_constant_schedule(1.0, {4: 0.5, 9: 0.1}),
    ),
    "warmup": (
        schedules.warmup(0.7, 5),
        lambda o: o.join_schedules([o.linear_schedule(0.0, 0.7, 5), o.constant_schedule(0.7)], [5]),
    ),
    "warmup-cosine": (
        schedules.warmup_cosine(1.0, 5, 14, start=0.1, end=0.2),
        lambda o: o.warmup_cosine_decay_schedule(0.1, 1.0, 5, 14, 0.2),
    ),
    "one-cycle": (schedules.one_cycle(1.0, 14), lambda o: o.cosine_onecycle_schedule(14, 1.0)),
}


@pytest.mark.parametrize("name", CASES)
def test_schedules(name: str, framework: str) -> None:
    import optax

    schedule, make = CASES[name]
    oracle = make(optax)
    for step in range(18):
        found = as_numpy(schedule(native(framework, np.asarray(step, np.int32))))
        assert found.shape == ()
        assert_close(found, float(oracle(step)), 1e-5, f"step {step}")


def test_no_steps() -> None:
    with pytest.raises(EngineError, match="at least one step"):
        schedules.linear(1.0, 0.0, 0)(np.array(0))


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping(limit: float, framework: str, rng: np.random.Generator) -> None:
    import jax.numpy as jnp
    import optax

    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in (("a", (3, 2)), ("b", (4,)))}
    tree = {name: native(framework, array) for name, array in arrays.items()}
    theirs = {name: jnp.asarray(array) for name, array in arrays.items()}
    norms = {name: np.linalg.norm(array) for name, array in arrays.items()}
    wanted: dict[Any, Any] = {
        nn.clip_by_value: optax.clip(limit).update(theirs, optax.EmptyState())[0],
        nn.clip_by_norm: {name: array * min(1.0, limit / norms[name]) for name, array in arrays.items()},
        nn.clip_by_global_norm: optax.clip_by_global_norm(limit).update(theirs, optax.EmptyState())[0],
    }
    for clip, clipped in wanted.items():
        for name, array in clip(tree, limit).items():
            assert_close(array, np.asarray(clipped[name]), 1e-5, name)


def test_zeros_are_not_clipped_to_nan(framework: str) -> None:
    zeros = {"a": native(framework, np.zeros(3))}
    assert (as_numpy(nn.clip_by_global_norm(zeros, 1.0)["a"]) == 0).all()
    assert (as_numpy(nn.clip_by_norm(zeros, 1.0)["a"]) == 0).all()


def test_accumulated_gradients_are_their_mean(framework: str, rng: np.random.Generator) -> None:
    arrays = rng.normal(size=(4, 3)).astype(np.float32)
    total: Any = None
    for array in arrays:
        total = nn.accumulate(total, {"w": native(framework, array)}, count=4)
    assert_close(total["w"], arrays.mean(0), 1e-5)
