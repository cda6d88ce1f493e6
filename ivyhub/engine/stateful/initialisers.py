"""Initialisers: what makes a parameter from a key, its shape and its dtype.

An initialiser is a function ``(key, shape, dtype) -> array`` in the key's framework; the ones here are frozen settings
that are called so. Fans are counted as the layers lay their weights out, (out, in, *kernel): fan in is in · kernel,
fan out is out · kernel. Layers start as PyTorch's do unless they are told otherwise.

    >>> import numpy as np
    >>> ones(np.zeros(2, np.uint32), (2,), "float32")
    array([1., 1.], dtype=float32)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from ...errors import EngineError, ShapeError
from .. import ops, random
from ..backends import framework_of
from ..op import Array

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Constant:
    """One number everywhere."""

    value: float

    def __call__(self, key: Array, shape: Shape, dtype: str) -> Array:
        return ops.full.on(framework_of(key), shape=tuple(shape), fill_value=self.value, dtype=dtype)


@dataclass(frozen=True)
class Uniform:
    """Numbers from low up to high, each as likely."""

    low: float = 0.0
    high: float = 1.0

    def __call__(self, key: Array, shape: Shape, dtype: str) -> Array:
        return random.uniform(key, tuple(shape), low=self.low, high=self.high, dtype=dtype)


@dataclass(frozen=True)
class Normal:
    """The normal distribution."""

    mean: float = 0.0
    std: float = 1.0

    def __call__(self, key: Array, shape: Shape, dtype: str) -> Array:
        return random.normal(key, tuple(shape), mean=self.mean, std=self.std, dtype=dtype)


@dataclass(frozen=True)
class TruncatedNormal:
    """The normal distribution without what lies further than ``bound`` deviations from its mean."""

    mean: float = 0.0
    std: float = 1.0
    bound: float = 2.0

    def __call__(self, key: Array, shape: Shape, dtype: str) -> Array:
        drawn = random.truncated_normal(key, -self.bound, self.bound, tuple(shape), dtype=dtype)
        return drawn * self.std + self.mean


@dataclass(frozen=True)
class VarianceScaling:
    """Numbers whose variance is scale / fan.

    Args:
        scale: a factor of the variance.
        mode: the fan: "fan_in", "fan_out" or "fan_avg", their mean.
        distribution: "normal", "uniform", or "truncated_normal" within two deviations, of the variance all the same.

    Source: Glorot & Bengio 2010; He et al. 2015, arXiv:1502.01852; jax.nn.initializers.variance_scaling.
    """

    scale: float = 1.0
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in"
    distribution: Literal["normal", "uniform", "truncated_normal"] = "truncated_normal"

    def __call__(self, key: Array, shape: Shape, dtype: str) -> Array:
        fan_in, fan_out = fans(shape)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        std = math.sqrt(self.scale / max(1.0, count))
        if self.distribution == "uniform":
            return Uniform(-math.sqrt(3) * std, math.sqrt(3) * std)(key, shape, dtype)
        if self.distribution == "normal":
            return Normal(0.0, std)(key, shape, dtype)
        return TruncatedNormal(0.0, std / _CUT_STD)(key, shape, dtype)


_CUT_STD = 0.87962566103423978  # of the normal distribution cut at two deviations


@dataclass(frozen=True)
class Orthogonal:
    """A matrix whose rows (or columns, where there are fewer) are orthonormal, times ``gain``.

    The shape is taken as (first axis, all others). Source: Saxe et al. 2013, arXiv:1312.6120.
    """

    gain: float = 1.0

    def __call__(self, key: Array, shape: Shape, dtype: str) -> Array:
        if len(shape) < 2:
            raise ShapeError(f"orthogonal expected at least two axes, received {shape}")
        rows, columns = shape[0], math.prod(shape[1:])
        drawn = random.normal(key, (max(rows, columns), min(rows, columns)), dtype=dtype)
        # Gram and Schmidt's method as QR has it, with the signs that make the distribution uniform.
        q, r = ops.qr(drawn)
        diagonal = ops.diagonal(r)
        q = q * ops.where(ops.less(diagonal, 0), diagonal * 0 - 1, diagonal * 0 + 1)
        if rows < columns:
            q = ops.transpose(q, axes=(1, 0))
        return ops.reshape(q, shape=tuple(shape)) * self.gain


@dataclass(frozen=True)
class Identity:
    """The identity matrix times ``gain``; ones on the diagonal of one that is not square."""

    gain: float = 1.0

    def __call__(self, key: Array, shape: Shape, dtype: str) -> Array:
        if len(shape) != 2:
            raise ShapeError(f"identity expected two axes, received {shape}")
        return ops.eye.on(framework_of(key), n_rows=shape[0], n_cols=shape[1], dtype=dtype) * self.gain


def fans(shape: Shape) -> tuple[int, int]:
    """Fan in and fan out of a weight (out, in, *kernel).

    Example:
        >>> fans((8, 4, 3, 3))
        (36, 72)
    """
    if len(shape) < 2:
        raise ShapeError(f"expected a weight of at least two axes, received {shape}")
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def kaiming_gain(nonlinearity: str, slope: float = 0.01) -> float:
    """The factor that keeps the variance through a nonlinearity. Source: torch.nn.init.calculate_gain."""
    gains = {
        **dict.fromkeys(("linear", "sigmoid"), 1.0),
        "tanh": 5.0 / 3,
        "relu": math.sqrt(2.0),
        "leaky_relu": math.sqrt(2.0 / (1 + slope**2)),
        "selu": 0.75,
    }
    if nonlinearity not in gains:
        raise EngineError(f"expected one of {', '.join(gains)}, received {nonlinearity!r}")
    return gains[nonlinearity]


def _scaling(scale: float, mode: Any, distribution: Any) -> VarianceScaling:
    return VarianceScaling(scale, mode, distribution)


zeros, ones = Constant(0.0), Constant(1.0)
constant, uniform, normal, truncated_normal = Constant, Uniform, Normal, TruncatedNormal
variance_scaling, orthogonal, identity = VarianceScaling, Orthogonal, Identity
# The normal ones are PyTorch's under the names that it uses, and those of JAX and Keras, which are cut, under theirs.
xavier_uniform = glorot_uniform = _scaling(1.0, "fan_avg", "uniform")
xavier_normal, glorot_normal = _scaling(1.0, "fan_avg", "normal"), _scaling(1.0, "fan_avg", "truncated_normal")
kaiming_uniform = he_uniform = _scaling(2.0, "fan_in", "uniform")
kaiming_normal, he_normal = _scaling(2.0, "fan_in", "normal"), _scaling(2.0, "fan_in", "truncated_normal")
lecun_uniform, lecun_normal = _scaling(1.0, "fan_in", "uniform"), _scaling(1.0, "fan_in", "truncated_normal")
