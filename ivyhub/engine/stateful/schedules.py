"""Learning rates that change with the step.

A schedule is a function from the step (an array without axes, 0 for the first update) to the learning rate, over the
engine's operations: it runs inside `jit`, in every framework.

    >>> import numpy as np
    >>> float(warmup(linear(1.0, 0.0, steps=10), steps=5)(np.array(5.0)))
    1.0
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import EngineError
from .. import ops
from ..op import Array
from ..spec import spec_of

Schedule = Callable[[Array], Array]


def _number(step: Array) -> Array:
    """The step as a floating-point number, in which every step up to 2²⁴ is exact."""
    return step if spec_of(step).dtype.startswith("float") else ops.astype(step, dtype="float32")


def _done(step: Array, steps: int) -> Array:
    """The part of the steps that is done, from 0 to 1."""
    if steps < 1:
        raise EngineError(f"expected at least one step, received {steps}")
    return ops.clip(_number(step) / steps, min=0.0, max=1.0)


def constant(value: float) -> Schedule:
    """The same at every step."""
    return lambda step: _number(step) * 0.0 + value


def linear(start: float, end: float, steps: int) -> Schedule:
    """From start to end in equal parts, then end. Source: optax.linear_schedule; torch's LinearLR."""
    return polynomial(start, end, steps, power=1.0)


def polynomial(start: float, end: float, steps: int, *, power: float = 1.0) -> Schedule:
    """(start - end) · (1 - step / steps) ** power + end. Source: optax.polynomial_schedule."""

    def schedule(step: Array) -> Array:
        left = 1.0 - _done(step, steps)
        return (start - end) * (left if power == 1 else left**power) + end

    return schedule


def cosine(start: float, steps: int, *, end: float = 0.0) -> Schedule:
    """From start to end along half a cosine, then end.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983; torch's CosineAnnealingLR.
    """
    return lambda step: end + (start - end) * 0.5 * (1.0 + ops.cos(_done(step, steps) * math.pi))


def exponential(start: float, rate: float, *, steps: int = 1, staircase: bool = False) -> Schedule:
    """start · rate ** (step / steps), of the whole part of the quotient for a ``staircase``.

    Source: optax.exponential_decay; torch's ExponentialLR and StepLR; keras's ExponentialDecay.
    """

    def schedule(step: Array) -> Array:
        exponent = _number(step) / steps
        return start * ops.exp((ops.floor(exponent) if staircase else exponent) * math.log(rate))

    return schedule


def step_decay(start: float, rate: float, every: int) -> Schedule:
    """Times ``rate`` after each ``every`` steps. Source: torch's StepLR."""
    return exponential(start, rate, steps=every, staircase=True)


def piecewise(start: float, factors: Mapping[int, float]) -> Schedule:
    """Times a factor from each step of a table on. Source: optax.piecewise_constant_schedule; torch's MultiStepLR."""

    def schedule(step: Array) -> Array:
        now = _number(step)
        value: Any = now * 0.0 + start
        for boundary, factor in sorted(factors.items()):
            value = ops.where(ops.greater_equal(now, boundary), value * factor, value)
        return value

    return schedule


def warmup(schedule: Schedule | float, steps: int, *, start: float = 0.0) -> Schedule:
    """From ``start`` in equal parts to the first value of a schedule, which then begins.

    Source: Goyal et al. 2017, arXiv:1706.02677; optax.join_schedules of a linear one and the schedule.
    """
    then = schedule if callable(schedule) else constant(schedule)

    def warmed(step: Array) -> Array:
        now = _number(step)
        first = then(now * 0.0)
        return ops.where(ops.less(now, steps), start + (first - start) * _done(step, steps), then(now - steps))

    return warmed


def warmup_cosine(peak: float, warmup_steps: int, steps: int, *, start: float = 0.0, end: float = 0.0) -> Schedule:
    """`warmup` to the peak, then `cosine` down in the rest of ``steps``. Source: optax.warmup_cosine_decay_schedule."""
    return warmup(cosine(peak, steps - warmup_steps, end=end), warmup_steps, start=start)


def one_cycle(
    peak: float, steps: int, *, rising: float = 0.3, start_factor: float = 25.0, end_factor: float = 1e4
) -> Schedule:
    """Along a cosine from peak / start_factor up to the peak, then down to peak / (start_factor · end_factor).

    Args:
        peak: the highest rate.
        steps: of the whole cycle.
        rising: the part of the steps on the way up.
        start_factor: the peak over the first rate.
        end_factor: the first rate over the last.

    Source: Smith & Topin 2018, arXiv:1708.07120; optax.cosine_onecycle_schedule.
    """
    up = int(rising * steps)
    first = peak / start_factor
    climb, fall = cosine(first, up, end=peak), cosine(peak, steps - up, end=first / end_factor)

    def schedule(step: Array) -> Array:
        now = _number(step)
        return ops.where(ops.less(now, up), climb(now), fall(now - up))

    return schedule


__all__ = [
    "Schedule",
    "constant",
    "cosine",
    "exponential",
    "linear",
    "one_cycle",
    "piecewise",
    "polynomial",
    "step_decay",
    "warmup",
    "warmup_cosine",
]
