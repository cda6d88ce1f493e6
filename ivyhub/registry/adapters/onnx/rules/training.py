"""Steps of optimizers. Source: ONNX, the operators of ai.onnx.preview.training."""

from __future__ import annotations

from typing import Any

from .....engine import ops
from .....errors import CaptureError
from .common import RULES, Array, cast, dtype_of


def _groups(arrays: tuple[Array, ...], count: int) -> list[tuple[Array, ...]]:
    """Arrays that come by kind, one for each parameter, as one tuple for each parameter."""
    size = len(arrays) // count
    return list(zip(*(arrays[i * size : (i + 1) * size] for i in range(count)), strict=True))


def _by_kind(rows: list[tuple[Array, ...]]) -> tuple[Array, ...]:
    return tuple(array for column in zip(*rows, strict=True) for array in column)


def _decayed(x: Array, gradient: Array, coefficient: float) -> Array:
    return ops.add(ops.multiply(x, coefficient), gradient) if coefficient else gradient


@RULES("ai.onnx.preview.training.Adagrad")
def adagrad(
    rate: Array,
    step: Array,
    *arrays: Array,
    decay_factor: float = 0.0,
    epsilon: float = 1e-6,
    norm_coefficient: float = 0.0,
) -> Any:
    rows: list[tuple[Array, ...]] = []
    for x, gradient, squares in _groups(arrays, 3):
        now = ops.divide(rate, ops.add(ops.multiply(cast(step, dtype_of(rate)), decay_factor), 1.0))
        gradient = _decayed(x, gradient, norm_coefficient)
        squares = ops.add(squares, ops.square(gradient))
        change = ops.divide(ops.multiply(gradient, now), ops.add(ops.sqrt(squares), epsilon))
        rows.append((ops.subtract(x, change), squares))
    return _by_kind(rows)


@RULES("ai.onnx.preview.training.Adam")
def adam(
    rate: Array,
    step: Array,
    *arrays: Array,
    alpha: float = 0.9,
    beta: float = 0.999,
    epsilon: float = 1e-6,
    norm_coefficient: float = 0.0,
    norm_coefficient_post: float = 0.0,
) -> Any:
    rows: list[tuple[Array, ...]] = []
    for x, gradient, mean, squares in _groups(arrays, 4):
        gradient = _decayed(x, gradient, norm_coefficient)
        mean = ops.add(ops.multiply(mean, alpha), ops.multiply(gradient, 1 - alpha))
        squares = ops.add(ops.multiply(squares, beta), ops.multiply(ops.square(gradient), 1 - beta))
        count = cast(step, dtype_of(x))
        first, second = (ops.subtract(1.0, ops.pow(ops.add(ops.multiply(count, 0.0), b), count)) for b in (alpha, beta))
        corrected = ops.multiply(rate, ops.divide(ops.sqrt(second), first))
        now = ops.where(ops.greater(count, 0.0), corrected, rate)
        x = ops.subtract(x, ops.divide(ops.multiply(mean, now), ops.add(ops.sqrt(squares), epsilon)))
        rows.append((ops.multiply(x, 1 - norm_coefficient_post) if norm_coefficient_post else x, mean, squares))
    return _by_kind(rows)


@RULES("ai.onnx.preview.training.Momentum")
def momentum(
    rate: Array, step: Array, *arrays: Array, alpha: float, beta: float, mode: str, norm_coefficient: float
) -> Any:
    if mode not in ("standard", "nesterov"):
        raise CaptureError(f"expected the mode standard or nesterov, received {mode!r}")
    rows: list[tuple[Array, ...]] = []
    for x, gradient, velocity in _groups(arrays, 3):
        gradient = _decayed(x, gradient, norm_coefficient)
        first = ops.equal(step, 0)
        share = ops.where(first, ops.add(ops.multiply(rate, 0.0), 1.0), ops.add(ops.multiply(rate, 0.0), beta))
        velocity = ops.add(ops.multiply(velocity, alpha), ops.multiply(gradient, share))
        change = ops.add(gradient, ops.multiply(velocity, alpha)) if mode == "nesterov" else velocity
        rows.append((ops.subtract(x, ops.multiply(change, rate)), velocity))
    return _by_kind(rows)
