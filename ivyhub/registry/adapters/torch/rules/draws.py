"""Random numbers: all distributions in terms of uniform and normal draws of the model's own stream.

What PyTorch gives no gradient gets none here: the parameters of a normal or Bernoulli draw are cut off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .....engine import ops
from .....engine.backends import is_floating
from .....engine.dims import Size
from .....engine.ops.creation import created
from .....engine.recording import RECORDER
from .....errors import GraphError
from ... import draws
from .common import RULES, Array, cast, dtype_of, is_array, shape_of

_LEAST = 2.0**-32  # what stands for 0 under a logarithm: no draw is finer


def _drawn(kind: str, shape: Sequence[Size], dtype: str, like: Array | None, **bounds: int) -> Array:
    recorder = RECORDER.get()
    if recorder is not None and recorder.nested:
        raise GraphError(
            "random numbers are drawn from what a module holds, so not in a branch or loop",
            hint="draw them before it, and give them as operands",
        )
    if draws.FIXED.get():
        import torch

        found = draws.integers(shape, **bounds) if bounds else draws.numbers(kind, shape)
        return torch.as_tensor(found, dtype=getattr(torch, dtype), device=None if like is None else like.device)
    draw = {"uniform": ops.draw_uniform, "normal": ops.draw_normal, "integers": ops.draw_integers}[kind]
    return created(draw, like, shape=tuple(shape), dtype=dtype, **bounds)


def _uniform(shape: Sequence[Size], dtype: str, like: Array | None = None) -> Array:
    return _drawn("uniform", shape, dtype, like)


def _normal(shape: Sequence[Size], dtype: str, like: Array | None = None) -> Array:
    return _drawn("normal", shape, dtype, like)


def _integers(low: int, high: int, shape: Sequence[Size], dtype: str, like: Array | None = None) -> Array:
    """Integers as PyTorch has them in floating-point dtypes too."""
    whole = "int64" if is_floating(dtype) else dtype
    return cast(_drawn("integers", shape, whole, like, low=int(low), high=int(high)), dtype)


def _fixed(parameter: Any) -> Any:
    """A parameter of a distribution, as a constant to differentiation."""
    return ops.stop_gradient(parameter) if is_array(parameter) and is_floating(dtype_of(parameter)) else parameter


def _like(x: Array) -> tuple[Array, str]:
    """Uniform numbers of x's shape, in its dtype where that is a floating-point one, and that dtype."""
    dtype = dtype_of(x)
    return _uniform(shape_of(x), dtype if is_floating(dtype) else "float32", x), dtype


def _log(unit: Array) -> Array:
    """The logarithm of uniform numbers, below 0."""
    return ops.log(ops.maximum(unit, _LEAST))


# -- by shape --------------------------------------------------------------------------------------------------------


@RULES("aten.rand.default")
def rand(size: Sequence[Size], *, dtype: str | None = None, **_: Any) -> Array:
    return _uniform(size, dtype or "float32")


@RULES("aten.randn.default")
def randn(size: Sequence[Size], *, dtype: str | None = None, **_: Any) -> Array:
    return _normal(size, dtype or "float32")


@RULES("aten.rand_like.default")
def rand_like(x: Array, *, dtype: str | None = None, **_: Any) -> Array:
    return _uniform(shape_of(x), dtype or dtype_of(x), x)


@RULES("aten.randn_like.default")
def randn_like(x: Array, *, dtype: str | None = None, **_: Any) -> Array:
    return _normal(shape_of(x), dtype or dtype_of(x), x)


@RULES("aten.randint.default")
def randint(high: int, size: Sequence[Size], *, dtype: str | None = "int64", **_: Any) -> Array:
    return _integers(0, high, size, dtype or "int64")


@RULES("aten.randint.low")
def randint_low(low: int, high: int, size: Sequence[Size], *, dtype: str | None = "int64", **_: Any) -> Array:
    return _integers(low, high, size, dtype or "int64")


@RULES("aten.randint_like.default")
def randint_like(x: Array, high: int, *, dtype: str | None = None, **_: Any) -> Array:
    return _integers(0, high, shape_of(x), dtype or dtype_of(x), x)


@RULES("aten.randint_like.low_dtype")
def randint_like_low(x: Array, low: int, high: int, *, dtype: str | None = None, **_: Any) -> Array:
    return _integers(low, high, shape_of(x), dtype or dtype_of(x), x)


@RULES("aten.randperm.default")
def randperm(n: Size, *, dtype: str | None = "int64", **_: Any) -> Array:
    """The order of uniform numbers."""
    return cast(ops.argsort(_uniform((n,), "float32"), axis=0), dtype or "int64")


# -- in place, as `Tensor.normal_` -----------------------------------------------------------------------------------


@RULES("aten.uniform.default")
def uniform(x: Array, low: float = 0.0, high: float = 1.0) -> Array:
    unit, dtype = _like(x)
    return cast(ops.add(ops.multiply(unit, float(high) - float(low)), float(low)), dtype)


@RULES("aten.normal_functional.default")
def normal(x: Array, mean: float = 0.0, std: float = 1.0) -> Array:
    return ops.add(ops.multiply(_normal(shape_of(x), dtype_of(x), x), float(std)), float(mean))


@RULES("aten.exponential.default")
def exponential(x: Array, lambd: float = 1.0) -> Array:
    unit, dtype = _like(x)
    return cast(ops.divide(_log(unit), -float(lambd)), dtype)


@RULES("aten.log_normal.default")
def log_normal(x: Array, mean: float = 1.0, std: float = 2.0) -> Array:
    return ops.exp(normal(x, mean, std))


@RULES("aten.cauchy.default")
def cauchy(x: Array, median: float = 0.0, sigma: float = 1.0) -> Array:
    unit, dtype = _like(x)
    turned = ops.tan(ops.multiply(ops.subtract(unit, 0.5), math.pi))
    return cast(ops.add(ops.multiply(turned, float(sigma)), float(median)), dtype)


@RULES("aten.geometric.default")
def geometric(x: Array, p: float) -> Array:
    """The number of trials until one succeeds."""
    unit, dtype = _like(x)
    if p == 1:
        return created(ops.full, x, shape=shape_of(x), fill_value=1, dtype=dtype)
    return cast(ops.ceil(ops.divide(_log(unit), math.log1p(-p))), dtype)


@RULES("aten.random.to")
def random_to(x: Array, to: int) -> Array:
    return _integers(0, to, shape_of(x), dtype_of(x), x)


# -- of parameters that are arrays -----------------------------------------------------------------------------------


@RULES("aten.bernoulli.default")
def bernoulli(p: Array) -> Array:
    """Ones with the probabilities p."""
    return bernoulli_tensor(p, p)


@RULES("aten.bernoulli.p")
def bernoulli_float(x: Array, p: float = 0.5) -> Array:
    unit, dtype = _like(x)
    return cast(ops.less(unit, float(p)), dtype)


@RULES("aten.bernoulli.Tensor")
def bernoulli_tensor(x: Array, p: Array) -> Array:
    unit = _uniform(shape_of(x), dtype_of(p), x)
    return cast(ops.less(unit, _fixed(p)), dtype_of(x))


@RULES("aten.normal.float_float")
def normal_floats(mean: float, std: float, size: Sequence[Size], *, dtype: str | None = None, **_: Any) -> Array:
    return ops.add(ops.multiply(_normal(size, dtype or "float32"), float(std)), float(mean))


@RULES("aten.normal.Tensor_float", "aten.normal.float_Tensor", "aten.normal.Tensor_Tensor")
def normal_of(mean: Array | float, std: Array | float = 1.0) -> Array:
    mean, std = _fixed(mean), _fixed(std)
    first = mean if is_array(mean) else std
    both = ops.add(mean, std) if is_array(mean) and is_array(std) else first
    return ops.add(ops.multiply(_normal(shape_of(both), dtype_of(first), first), std), mean)


@RULES("aten.multinomial.default")
def multinomial(x: Array, num_samples: int, replacement: bool = False) -> Array:
    """Places by weights, after Gumbel: the largest of logarithms with noise."""
    weights = ops.log(_fixed(x))
    lead, count = shape_of(x)[:-1], shape_of(x)[-1]
    if not replacement:
        noise = ops.negative(ops.log(ops.negative(_log(_uniform((*lead, count), dtype_of(x), x)))))
        return ops.astype(ops.topk(ops.add(weights, noise), k=num_samples)[1], dtype="int64")
    noise = ops.negative(ops.log(ops.negative(_log(_uniform((*lead, num_samples, count), dtype_of(x), x)))))
    found = ops.add(ops.reshape(weights, shape=(*lead, 1, count)), noise)
    return ops.astype(ops.argmax(found, axis=-1), dtype="int64")


# -- layers ----------------------------------------------------------------------------------------------------------


@RULES("aten.rrelu.default")
def rrelu(
    x: Array, lower: float = 0.125, upper: float = 1 / 3, training: bool = False, generator: None = None
) -> Array:
    """max(x, 0) + s · min(x, 0), with slopes s that training draws."""
    if not training:
        return ops.where(ops.greater_equal(x, 0), x, ops.multiply(x, (float(lower) + float(upper)) / 2))
    return ops.where(ops.greater_equal(x, 0), x, ops.multiply(x, uniform(x, lower, upper)))


@RULES("aten.fractional_max_pool2d.default", "aten.fractional_max_pool3d.default")
def fractional_max_pool(x: Array, kernel: Sequence[int], size: Sequence[int], samples: Array) -> tuple[Array, Array]:
    """With where each element comes from; PyTorch's numbers of images are for width and height."""
    shape, spatial = shape_of(x), len(kernel)
    single = len(shape) == spatial + 1
    batch = ops.reshape(x, shape=(1, *shape)) if single else x
    samples = ops.flip(samples, axis=-1) if spatial == 2 else samples
    found = ops.fractional_max_pool_with_indices(batch, samples, kernel=tuple(kernel), size=tuple(size))
    return tuple(ops.reshape(each, shape=shape_of(each)[1:]) for each in found) if single else found
