"""Optimizers, as pure functions over the engine's operations; public as ``ivyhub.engine.optim``.

An optimizer is a frozen record of settings. ``init`` makes its state, ``update`` takes a model, its gradient and the
state to the next of both; nothing is changed in place, so that `jit` compiles an update in every framework. A model is
a `Module`, whose trainable parameters are moved, or any pytree of arrays; the gradient has its structure, or is the
dictionary that `nn.value_and_grad` gives. The state is a dictionary: the step, and for each parameter its slots.

    >>> import numpy as np
    >>> optimizer = SGD(0.1)
    >>> weights = {"w": np.array([1.0])}
    >>> weights, state = optimizer.update(weights, {"w": np.array([2.0])}, optimizer.init(weights))
    >>> weights["w"]
    array([0.8])

The learning rate is a number or a schedule (`schedules`). Slots are float32 where a parameter is half precision, and
the arithmetic is done in their dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ...errors import EngineError, ShapeError
from .. import ops, trees
from ..backends import framework_of, is_floating
from ..op import Array
from ..spec import spec_of
from ..transforms import owner_of
from .module import Module
from .schedules import Schedule

State = dict[str, Any]
Slots = dict[str, Array]
T = TypeVar("T")


@dataclass(frozen=True)
class Optimizer:
    """Base of the optimizers; subclasses write `slots` and `step`.

    Attributes:
        learning_rate: a number, or a function from the step.
    """

    learning_rate: float | Schedule

    def slots(self, x: Array) -> Slots:
        """The arrays that it keeps beside a parameter, before the first update."""
        return {}

    def step(self, x: Array, g: Array, slots: Slots, rate: Any, count: Array) -> tuple[Array, Slots]:
        """One update of one parameter.

        Args:
            x: the parameter.
            g: its gradient.
            slots: what `slots` made, or the update before gave.
            rate: the learning rate: a number, or an array without axes in x's dtype.
            count: 1 at the first update, as an array without axes in x's dtype.
        """
        raise NotImplementedError

    def init(self, model: Any) -> State:
        """The state before the first update.

        Raises `EngineError` where there is nothing to train.
        """
        arrays, _ = _taken(model)
        if not arrays:
            raise EngineError(f"{type(self).__name__} received nothing to train", hint="init or unfreeze the model")
        owner = framework_of(next(iter(arrays.values())))
        return {
            "step": ops.full.on(owner, shape=(), fill_value=0, dtype="int32"),
            "slots": {name: self.slots(_wide(array)) for name, array in arrays.items()},
        }

    def update(self, model: T, gradient: Any, state: State) -> tuple[T, State]:
        """The model and the state after one update.

        Args:
            model: what is trained; it stays as it is.
            gradient: a dictionary by the names of `Module.trainable`, or a tree of the model's structure.
            state: from `init` or the update before.

        Raises:
            EngineError: the gradient or the state has other parameters than the model.
            MixedFrameworksError: a gradient or the state is of another framework than the model.
            ShapeError: a gradient has another shape than its parameter.
        """
        arrays, rebuilt = _taken(model)
        gradients = _gradients(model, gradient)
        _check(arrays, gradients, state)
        owner_of(type(self).__name__, (arrays, dict(gradients), state), gradients=False)
        count = state["step"] + 1
        rate = self.learning_rate(state["step"]) if callable(self.learning_rate) else self.learning_rate
        moved: dict[str, Array] = {}
        slots: dict[str, Slots] = {}
        for name, x in arrays.items():
            wide = _wide(x)
            dtype = spec_of(wide).dtype
            own_rate = ops.astype(rate, dtype=dtype) if callable(self.learning_rate) else rate
            g = ops.astype(gradients[name], dtype=dtype)
            new, slots[name] = self.step(wide, g, state["slots"][name], own_rate, ops.astype(count, dtype=dtype))
            moved[name] = ops.astype(new, dtype=spec_of(x).dtype)
        return rebuilt(moved), {"step": count, "slots": slots}


def _wide(x: Array) -> Array:
    return ops.astype(x, dtype="float32") if spec_of(x).dtype in ("float16", "bfloat16") else x


def _taken(model: Any) -> tuple[dict[str, Array], Callable[[dict[str, Array]], Any]]:
    """What is trained of a model, by name, and how to put it back."""
    if isinstance(model, Module):
        return model.trainable(), model.replaced
    parts = trees.Split(model, _is_trained)
    return {str(i): array for i, array in enumerate(parts.arrays)}, lambda moved: parts.joined(moved.values())


def _is_trained(leaf: Any) -> bool:
    return trees.is_array(leaf) and is_floating(spec_of(leaf).dtype)


def _gradients(model: Any, gradient: Any) -> Mapping[str, Array]:
    if isinstance(gradient, Module):
        return {name: slot.value for name, slot in gradient.slots().items() if slot.trainable}
    if isinstance(model, Module):
        return gradient
    return {str(i): array for i, array in enumerate(trees.Split(gradient, _is_trained).arrays)}


def _check(arrays: Mapping[str, Array], gradients: Mapping[str, Array], state: State) -> None:
    for what, found in (("gradients", gradients), ("slots", state["slots"])):
        if found.keys() != arrays.keys():
            odd = sorted(found.keys() ^ arrays.keys())
            raise EngineError(
                f"expected {what} for {len(arrays)} parameters, received {len(found)}; they differ in {odd[:20]}",
                hint="call init again after freezing, unfreezing or replacing parameters",
            )
    for name, array in arrays.items():
        if tuple(gradients[name].shape) != tuple(array.shape):
            raise ShapeError(
                f"expected a gradient of shape {tuple(array.shape)} for {name}, received {tuple(gradients[name].shape)}"
            )


def _zeros(x: Array) -> Array:
    return x * 0


def _mixed(old: Array, new: Array, part: float) -> Array:
    """part · old + (1 - part) · new."""
    return part * old + (1 - part) * new


def _corrected(average: Array, part: float, count: Array) -> Array:
    """A moving average that began at zero, without its bias."""
    return average / (1 - _power(part, count))


def _power(base: float, count: Array) -> Array:
    return ops.exp(count * math.log(base)) if base > 0 else count * 0


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: v = momentum · v + g, x = x - rate · v.

    Args:
        learning_rate: a number, or a function from the step.
        momentum: 0 keeps no slot.
        nesterov: take g + momentum · v for v.
        weight_decay: adds weight_decay · x to the gradient.
        dampening: new gradients enter v times 1 - dampening, the first one whole.

    Source: Sutskever et al. 2013; torch.optim.SGD.
    """

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    dampening: float = 0.0

    def __post_init__(self) -> None:
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise EngineError("nesterov expected a momentum, and no dampening")

    def slots(self, x: Array) -> Slots:
        return {"velocity": _zeros(x)} if self.momentum else {}

    def step(self, x: Array, g: Array, slots: Slots, rate: Any, count: Array) -> tuple[Array, Slots]:
        if self.weight_decay:
            g = g + self.weight_decay * x
        if not self.momentum:
            return x - rate * g, slots
        part = 1 - self.dampening
        v = self.momentum * slots["velocity"] + (g if part == 1 else ops.where(ops.equal(count, 1), g, part * g))
        return x - rate * (g + self.momentum * v if self.nesterov else v), {"velocity": v}


@dataclass(frozen=True)
class Adam(Optimizer):
    """m = b1 · m + (1 - b1) · g, v = b2 · v + (1 - b2) · g², x = x - rate · m̂ / (√v̂ + eps), both without their bias.

    Args:
        learning_rate: a number, or a function from the step.
        b1: of the first moment.
        b2: of the second.
        eps: added to the root.
        weight_decay: adds weight_decay · x to the gradient; see `AdamW` for the other kind.
        amsgrad: divide by the largest v̂ so far.

    Source: Kingma & Ba 2015, arXiv:1412.6980; Reddi et al. 2018; torch.optim.Adam.
    """

    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False

    def slots(self, x: Array) -> Slots:
        return {name: _zeros(x) for name in ("m", "v", "largest")[: 3 if self.amsgrad else 2]}

    def step(self, x: Array, g: Array, slots: Slots, rate: Any, count: Array) -> tuple[Array, Slots]:
        if self.weight_decay:
            g = g + self.weight_decay * x
        direction, slots = self.direction(g, slots, count)
        return x - rate * direction, slots

    def direction(self, g: Array, slots: Slots, count: Array) -> tuple[Array, Slots]:
        """m̂ / (√v̂ + eps), and the new moments."""
        new = {"m": _mixed(slots["m"], g, self.b1), "v": _mixed(slots["v"], g * g, self.b2)}
        second = new["v"]
        if self.amsgrad:
            second = new["largest"] = ops.maximum(slots["largest"], second)
        m, v = _corrected(new["m"], self.b1, count), _corrected(second, self.b2, count)
        return m / (ops.sqrt(v) + self.eps), new


@dataclass(frozen=True)
class AdamW(Adam):
    """`Adam` with a decay beside the moments: x = x - rate · (m̂ / (√v̂ + eps) + weight_decay · x).

    Source: Loshchilov & Hutter 2019, arXiv:1711.05101; torch.optim.AdamW.
    """

    weight_decay: float = 0.01

    def step(self, x: Array, g: Array, slots: Slots, rate: Any, count: Array) -> tuple[Array, Slots]:
        direction, slots = self.direction(g, slots, count)
        return x - rate * (direction + self.weight_decay * x), slots


@dataclass(frozen=True)
class LAMB(Adam):
    """`AdamW`'s direction, scaled in each parameter to the parameter's own norm.

    Source: You et al. 2020, arXiv:1904.00962; optax.lamb.
    """

    eps: float = 1e-6
    weight_decay: float = 0.0

    def step(self, x: Array, g: Array, slots: Slots, rate: Any, count: Array) -> tuple[Array, Slots]:
        direction, slots = self.direction(g, slots, count)
        direction = direction + self.weight_decay * x
        size, length = ops.sqrt(ops.sum(x * x)), ops.sqrt(ops.sum(direction * direction))
        usable = ops.logical_and(ops.greater(size, 0), ops.greater(length, 0))
        trust = ops.where(usable, size / ops.where(usable, length, 1.0), 1.0)
        return x - rate * trust * direction, slots


@dataclass(frozen=True)
class Lion(Optimizer):
    """x = x - rate · (sign(b1 · m + (1 - b1) · g) + decay · x), m = b2 · m + (1 - b2) · g.

    Source: Chen et al. 2023, arXiv:2302.06675; optax.lion.
    """

    b1: float = 0.9
    b2: float = 0.99
    weight_decay: float = 0.0

    def slots(self, x: Array) -> Slots:
        return {"m": _zeros(x)}

    def step(self, x: Array, g: Array, slots: Slots, rate: Any, count: Array) -> tuple[Array, Slots]:
        direction = ops.sign(_mixed(slots["m"], g, self.b1)) + self.weight_decay * x
        return x - rate * direction, {"m": _mixed(slots["m"], g, self.b2)}


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """v = rho · v + (1 - rho) · g², x = x - rate · g / (√v + eps).

    Args:
        learning_rate: a number, or a function from the step.
        rho: of the average of squares.
        eps: added to the root.
        momentum: of the quotients; 0 keeps no slot.
        centred: subtract the square of the average gradient from v.
        weight_decay: adds weight_decay · x to the gradient.

    Source: Tieleman & Hinton 2012, lecture 6.5; torch.optim.RMSprop.
    """

    rho: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    centred: bool = False
    weight_decay: float = 0.0

    def slots(self, x: Array) -> Slots:
        names = ("v",) + ("mean",) * self.centred + ("velocity",) * bool(self.momentum)
        return {name: _zeros(x) for name in names}

    def step(self, x: Array, g: Array, slots: Slots, rate: Any, count: Array) -> tuple[Array, Slots]:
        if self.weight_decay:
            g = g + self.weight_decay * x
        new = {"v": _mixed(slots["v"], g * g, self.rho)}
        square = new["v"]
        if self.centred:
            new["mean"] = _mixed(slots["mean"], g, self.rho)
            square = square - new["mean"] * new["mean"]
        direction = g / (ops.sqrt(square) + self.eps)
        if self.momentum:
            direction = new["velocity"] = self.momentum * slots["velocity"] + direction
        return x - rate * direction, new


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """v = v + g², x = x - rate · g / (√v + eps).

    Args:
        learning_rate: a number, or a function from the step.
        initial: v before the first update.
        eps: added to the root.
        weight_decay: adds weight_decay · x to the gradient.

    Source: Duchi et al. 2011, JMLR 12; torch.optim.Adagrad.
    """

    initial: float = 0.0
    eps: float = 1e-10
    weight_decay: float = 0.0

    def slots(self, x: Array) -> Slots:
        return {"v": _zeros(x) + self.initial}

    def step(self, x: Array, g: Array, slots: Slots, rate: Any, count: Array) -> tuple[Array, Slots]:
        if self.weight_decay:
            g = g + self.weight_decay * x
        v = slots["v"] + g * g
        return x - rate * g / (ops.sqrt(v) + self.eps), {"v": v}


@dataclass(frozen=True)
class Adafactor(Optimizer):
    """Adam's second moment as an outer product of row and column averages: memory of n + m for a matrix of n · m.

    Args:
        learning_rate: a number, or a function from the step; times the parameter's root mean square (at least
            ``eps2``) where ``scaled``.
        decay: the average's part at update t is 1 - t ** -decay.
        clipping: the update's root mean square is kept to this.
        eps: added to squared gradients.
        eps2: the least scale of a parameter.
        weight_decay: subtracts rate · weight_decay · x.
        scaled: whether the rate is relative to the parameter.
        factored_from: the two largest axes are factored where both have at least this size.

    Source: Shazeer & Stern 2018, arXiv:1804.04235; optax.adafactor (whose min_dim_size_to_factor is 128).
    """

    decay: float = 0.8
    clipping: float | None = 1.0
    eps: float = 1e-30
    eps2: float = 1e-3
    weight_decay: float = 0.0
    scaled: bool = True
    factored_from: int = 128

    def _factored(self, shape: tuple[int, ...]) -> tuple[int, int] | None:
        """The second largest and the largest axis, where both are to be factored."""
        if len(shape) < 2:
            return None
        order = sorted(range(len(shape)), key=lambda axis: shape[axis])
        return (order[-2], order[-1]) if shape[order[-2]] >= self.factored_from else None

    def slots(self, x: Array) -> Slots:
        axes = self._factored(tuple(x.shape))
        if axes is None:
            return {"v": _zeros(x)}
        return {name: ops.sum(_zeros(x), axis=axis) for name, axis in zip(("rows", "columns"), axes[::-1], strict=True)}

    def step(self, x: Array, g: Array, slots: Slots, rate: Any, count: Array) -> tuple[Array, Slots]:
        part = 1 - ops.pow(count, -self.decay)
        square = g * g + self.eps
        axes = self._factored(tuple(x.shape))
        if axes is None:
            new = {"v": part * slots["v"] + (1 - part) * square}
            update = g * ops.rsqrt(new["v"])
        else:
            short, long = axes
            new = {
                "rows": part * slots["rows"] + (1 - part) * ops.mean(square, axis=long),
                "columns": part * slots["columns"] + (1 - part) * ops.mean(square, axis=short),
            }
            rest = short - 1 if short > long else short  # where the shorter axis stands among the rows
            rows = ops.rsqrt(new["rows"] / ops.mean(new["rows"], axis=rest, keepdims=True))
            columns = ops.rsqrt(new["columns"])
            update = g * _expanded(rows, long) * _expanded(columns, short)
        if self.clipping is not None:
            update = update / ops.maximum(_rms(update) / self.clipping, 1.0)
        size = rate * ops.maximum(_rms(x), self.eps2) if self.scaled else rate
        if self.weight_decay:
            x = x - rate * self.weight_decay * x
        return x - size * update, new


def _expanded(x: Array, axis: int) -> Array:
    shape = list(spec_of(x).shape)
    shape.insert(axis, 1)
    return ops.reshape(x, shape=tuple(shape))


def _rms(x: Array) -> Array:
    return ops.sqrt(ops.mean(x * x))


__all__ = ["LAMB", "SGD", "Adafactor", "Adagrad", "Adam", "AdamW", "Lion", "Optimizer", "RMSprop", "State"]
