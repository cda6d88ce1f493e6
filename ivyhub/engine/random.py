"""Random numbers: explicit keys, and the same numbers from the same key in every framework.

There is no hidden state. A key gives the same numbers each time it is used, under `jit` too, so it is split first::

    >>> from ivyhub.engine import random
    >>> key, dropout_key = random.split(random.key(0, "numpy"))
    >>> random.normal(key, (2,)).round(3)
    array([ 1.004, -0.906], dtype=float32)
    >>> random.normal(random.key(0, "torch"), ()).item() == random.normal(random.key(0, "torch"), ()).item()
    True

Up to the rounding of a last place, the numbers are those of ``jax.random`` with its default generator and the same key
(``jax.random.PRNGKey``); `gamma`, `beta`, `dirichlet` and `poisson` excepted, whose algorithms here need no loop, and
`choice` with probabilities.
Parameters of distributions are numbers or arrays, which broadcast to the shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DTypeError, EngineError, MixedFrameworksError, ShapeError
from . import ops
from .backends import dtype_name, framework, framework_of, is_integer, load
from .dims import Dim, Size
from .op import Array
from .ops.creation import created
from .recording import RECORDER
from .spec import broadcast_shapes
from .trees import is_array

Shape = Sequence[Size]
Parameter = Any  # of a distribution: a number or an array
_DIGITS = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}
_TINY = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}


def key(seed: Array | Size, owner: str = "") -> Array:
    """A key from a seed of up to 64 bits: an array of two uint32.

    Args:
        seed: a number; or an array of integers without axes, whose key is that of the number in it.
        owner: the framework. An array tells its own, and in a trace there is none.

    Raises:
        DTypeError: for an array that is no integer without axes.
        MixedFrameworksError: for an array of another framework than the owner; NumPy's are taken.
        EngineError: for a number outside of a trace without a framework.

    Example:
        >>> key(7, "numpy")
        array([0, 7], dtype=uint32)
        >>> key(np.asarray(-1))
        array([4294967295, 4294967295], dtype=uint32)
    """
    if owner:
        framework(owner)
    found = framework_of(seed)
    if found == "numpy" and owner:
        seed = _checked_seed(seed).item()
    elif is_array(seed):
        if owner not in ("", found or owner):
            raise MixedFrameworksError(f"random.key expected a seed of {owner}, received one of {found}")
        return _key_of_array(seed)
    if isinstance(seed, Dim):
        return _key_of_array(created(ops.full, seed, shape=(), fill_value=seed, dtype="int64"))
    seed = int(seed) % 2**64
    words = np.asarray([seed >> 32, seed & 0xFFFFFFFF], np.uint32)
    if (recorder := RECORDER.get()) is not None:
        return recorder.constant(words, "key")
    if not owner:
        raise EngineError("a key from a number needs a framework", hint=f"name it: random.key({seed}, 'torch')")
    if owner == "numpy":
        return words
    module = load(owner)
    if owner == "torch":
        return module.from_numpy(words)
    return module.numpy.asarray(words) if owner == "jax" else module.constant(words)


def split(key: Array, num: int = 2) -> tuple[Array, ...]:
    """New keys, each as good as the old one, which is not used again."""
    num = int(num)  # a symbolic size says here that it has no value; the same below
    keys = ops.random_split(key, num=num)
    return tuple(keys[i] for i in range(num))


def fold_in(key: Array, data: Array | int) -> Array:
    """A new key from a key and an integer, such as the number of the step."""
    return ops.random_fold_in(key, data)


def bits(key: Array, shape: Shape = ()) -> Array:
    """Random uint32."""
    return ops.random_bits(key, shape=tuple(shape))


def uniform(
    key: Array, shape: Shape = (), *, low: Parameter = 0.0, high: Parameter = 1.0, dtype: str = "float32"
) -> Array:
    """Uniform on low <= x < high."""
    if _is_number(low) and _is_number(high):
        return ops.random_uniform(key, shape=tuple(shape), low=float(low), high=float(high), dtype=dtype)
    unit = ops.random_uniform(key, shape=tuple(shape), dtype=dtype)
    return ops.add(ops.multiply(unit, ops.subtract(high, low)), low)


def normal(
    key: Array, shape: Shape = (), *, mean: Parameter = 0.0, std: Parameter = 1.0, dtype: str = "float32"
) -> Array:
    """Normal, by the inverse of its distribution function."""
    standard = ops.multiply(ops.erfinv(uniform(key, shape, low=_above(dtype), dtype=dtype)), math.sqrt(2))
    return _moved(standard, mean, std)


def truncated_normal(key: Array, low: float, high: float, shape: Shape = (), *, dtype: str = "float32") -> Array:
    """Standard normal numbers given that they lie between low and high."""
    if not low < high:
        raise EngineError(f"truncated_normal expected low < high, received {low} and {high}")
    sqrt2 = math.sqrt(2)
    u = uniform(key, shape, low=math.erf(low / sqrt2), high=math.erf(high / sqrt2), dtype=dtype)
    return ops.clip(ops.multiply(ops.erfinv(u), sqrt2), min=float(low), max=float(high))


def exponential(key: Array, shape: Shape = (), *, rate: Parameter = 1.0, dtype: str = "float32") -> Array:
    """Exponential, with density rate · exp(-rate · x)."""
    standard = ops.negative(ops.log1p(ops.negative(uniform(key, shape, dtype=dtype))))
    return standard if _is_number(rate) and rate == 1 else ops.divide(standard, rate)


def gumbel(key: Array, shape: Shape = (), *, dtype: str = "float32") -> Array:
    """Standard Gumbel: -log(-log(u))."""
    u = uniform(key, shape, low=_TINY[dtype], dtype=dtype)
    return ops.negative(ops.log(ops.negative(ops.log(u))))


def laplace(
    key: Array, shape: Shape = (), *, mean: Parameter = 0.0, scale: Parameter = 1.0, dtype: str = "float32"
) -> Array:
    """Laplace, with density exp(-|x - mean| / scale) / (2 · scale)."""
    u = uniform(key, shape, low=_above(dtype), dtype=dtype)
    standard = ops.multiply(ops.sign(u), ops.log1p(ops.negative(ops.abs(u))))
    return _moved(standard, mean, scale)


def bernoulli(key: Array, p: Parameter = 0.5, shape: Shape | None = None) -> Array:
    """True with probability p."""
    drawn = uniform(key, _shape(shape, p), dtype="float32" if _is_number(p) else dtype_name(p.dtype))
    return ops.less(drawn, p)


def categorical(key: Array, logits: Array, *, axis: int = -1, shape: Shape | None = None) -> Array:
    """Indices along an axis of unnormalised log-probabilities, by the Gumbel trick; int32.

    Args:
        key: the key.
        logits: of any shape.
        axis: along which they are chosen.
        shape: of the result: the shape of the logits without the axis, after axes of further draws.
    """
    batch = list(logits.shape)
    count = batch.pop(axis)
    shape = tuple(batch) if shape is None else tuple(shape)
    if shape[len(shape) - len(batch) :] != tuple(batch):
        raise ShapeError(f"categorical expected a shape that ends in {tuple(batch)}, received {shape}")
    place = axis if axis < 0 else axis - len(batch) - 1
    noise = list(shape)
    noise.insert(len(noise) + 1 + place, count)
    drawn = gumbel(key, noise, dtype=dtype_name(logits.dtype))
    return ops.astype(ops.argmax(ops.add(drawn, logits), axis=place), dtype="int32")


def randint(key: Array, shape: Shape = (), *, low: int = 0, high: int) -> Array:
    """Uniform integers, low <= x < high, as int32."""
    low, high = int(low), int(high)
    if not -(2**31) <= low < high <= 2**31 - 1:
        raise DTypeError(f"randint expected int32 bounds with low < high, received {low} and {high}")
    return ops.random_integers(key, shape=tuple(shape), low=low, high=high)


def permutation(key: Array, n: int) -> Array:
    """The integers from 0 to n - 1 in random order, as int32."""
    n = int(n)
    order = created(ops.arange, key, stop=n, dtype="int32")
    rounds = math.ceil(3 * math.log(max(1, n)) / math.log(2**32 - 1))  # so that no two of n³ keys of a sort are alike
    for _ in range(rounds):
        key, used = split(key)
        # Signed integers sort as unsigned ones do when the first bit is turned.
        signs = ops.bitwise_xor(ops.astype(bits(used, (n,)), dtype="int32"), -(2**31))
        order = ops.take(order, ops.argsort(signs, axis=0), axis=0)
    return order


def shuffle(key: Array, x: Array, *, axis: int = 0) -> Array:
    """The slices of an array along an axis in random order."""
    return ops.take(x, permutation(key, x.shape[axis]), axis=axis)


def choice(
    key: Array, a: Array | Size, shape: Shape = (), *, replace: bool = True, p: Array | None = None, axis: int = 0
) -> Array:
    """Slices of an array along an axis, or integers below a number, drawn with or without replacement.

    Args:
        key: the key.
        a: an array, or a number n that stands for 0, ..., n - 1.
        shape: of the draw.
        replace: whether one may be drawn again.
        p: the probability of each, uniform where it is None.
        axis: of the array.
    """
    count = int(a) if isinstance(a, int | Dim) else int(a.shape[axis])
    draws = math.prod(map(int, shape))
    if not replace and draws > count:
        raise ShapeError(f"choice expected at most {count} draws without replacement, received {draws}")
    if p is not None:
        if tuple(p.shape) != (count,):
            raise ShapeError(f"choice expected {count} probabilities, received the shape {tuple(p.shape)}")
        logits = ops.log(p)
        if replace:
            indices = categorical(key, logits, shape=(draws,))
        else:  # the largest of a Gumbel sample each: Efraimidis and Spirakis 2006, in logarithms
            scores = ops.add(gumbel(key, (count,), dtype=dtype_name(p.dtype)), logits)
            indices = ops.astype(ops.topk(scores, k=draws)[1], dtype="int32")
    elif replace:
        indices = randint(key, (draws,), high=count)
    else:
        indices = permutation(key, count)[:draws]
    if isinstance(a, int | Dim):
        return ops.reshape(indices, shape=tuple(shape))
    axis %= len(a.shape)
    taken = ops.take(a, indices, axis=axis)
    return ops.reshape(taken, shape=(*a.shape[:axis], *shape, *a.shape[axis + 1 :]))


def gamma(key: Array, shape_parameter: Parameter, shape: Shape | None = None, *, dtype: str = "float32") -> Array:
    """Gamma of a shape parameter and rate 1.

    Source: Marsaglia and Tsang 2000, "A Simple Method for Generating Gamma Variables", with eight candidates for each
    number at once. One is refused with a probability below 0.05, so that all are in 1 of 10¹⁰ numbers, where the
    last one stands.
    """
    shape = _shape(shape, shape_parameter)
    boost_key, normal_key, uniform_key = split(key, 3)
    alpha = _filled(key, shape_parameter, shape, dtype)
    small = ops.less(alpha, 1.0)
    d = ops.subtract(ops.where(small, ops.add(alpha, 1.0), alpha), 1 / 3)
    c = ops.reciprocal(ops.sqrt(ops.multiply(d, 9.0)))
    x = normal(normal_key, (8, *shape), dtype=dtype)
    v = ops.pow(ops.add(ops.multiply(x, c), 1.0), 3)
    positive = ops.greater(v, 0.0)
    v = ops.where(positive, v, 1.0)
    u = uniform(uniform_key, (8, *shape), low=_TINY[dtype], dtype=dtype)
    bound = ops.add(ops.multiply(ops.square(x), 0.5), ops.multiply(ops.add(ops.subtract(1.0, v), ops.log(v)), d))
    accepted = ops.logical_and(positive, ops.less(ops.log(u), bound))
    sample = ops.multiply(_first(accepted, v), d)
    # Below 1: Gamma(α) = Gamma(α + 1) · u^(1 / α).
    boost = ops.pow(uniform(boost_key, shape, low=_TINY[dtype], dtype=dtype), ops.reciprocal(alpha))
    return ops.where(small, ops.multiply(sample, boost), sample)


def beta(key: Array, a: Parameter, b: Parameter, shape: Shape | None = None, *, dtype: str = "float32") -> Array:
    """Beta of two shape parameters, as a quotient of gammas."""
    shape = _shape(shape, a, b)
    first, second = split(key)
    x, y = gamma(first, a, shape, dtype=dtype), gamma(second, b, shape, dtype=dtype)
    return ops.divide(x, ops.add(x, y))


def dirichlet(key: Array, concentration: Array, shape: Shape = ()) -> Array:
    """Dirichlet over the last axis of the concentrations; ``shape`` stands before theirs."""
    drawn = gamma(key, concentration, (*shape, *concentration.shape), dtype=dtype_name(concentration.dtype))
    return ops.divide(drawn, ops.sum(drawn, axis=-1, keepdims=True))


def poisson(key: Array, rate: Parameter, shape: Shape | None = None) -> Array:
    """Poisson counts, as int32.

    Source: below a rate of 10, the inverse of the distribution function; above, the transformed rejection of
    Hörmann 1993 (PTRS), with sixteen candidates for each number at once, one of which is refused with a probability
    below 0.2.
    """
    shape = _shape(shape, rate)
    small_key, u_key, v_key = split(key, 3)
    rate = _filled(key, rate, shape, "float32")
    low = ops.clip(rate, max=10.0)
    term = ops.exp(ops.negative(low))
    drawn, total, count = uniform(small_key, shape), term, ops.multiply(term, 0.0)
    for k in range(1, 48):  # of a rate of 10, P(x > 47) is 1e-16
        count = ops.add(count, ops.astype(ops.greater_equal(drawn, total), dtype="float32"))
        term = ops.multiply(term, ops.multiply(low, 1 / k))
        total = ops.add(total, term)
    high = ops.clip(rate, min=10.0)
    log_rate = ops.log(high)
    b = ops.add(ops.multiply(ops.sqrt(high), 2.53), 0.931)
    a = ops.add(ops.multiply(b, 0.02483), -0.059)
    inverse_alpha = ops.add(ops.divide(1.1328, ops.subtract(b, 3.4)), 1.1239)
    v_r = ops.subtract(0.9277, ops.divide(3.6224, ops.subtract(b, 2.0)))
    u = uniform(u_key, (16, *shape), low=-0.5, high=0.5)
    v = uniform(v_key, (16, *shape), low=_TINY["float32"])
    us = ops.maximum(ops.subtract(0.5, ops.abs(u)), 2.0**-24)  # u may be its limit: k is below zero then, and refused
    k = ops.floor(ops.add(ops.add(ops.multiply(ops.add(ops.divide(ops.multiply(a, 2.0), us), b), u), high), 0.43))
    quick = ops.logical_and(ops.greater_equal(us, 0.07), ops.less_equal(v, v_r))
    refused = ops.logical_or(ops.less(k, 0.0), ops.logical_and(ops.less(us, 0.013), ops.greater(v, us)))
    whole = ops.clip(k, min=0.0)
    left = ops.log(ops.divide(ops.multiply(v, inverse_alpha), ops.add(ops.divide(a, ops.square(us)), b)))
    right = ops.subtract(ops.subtract(ops.multiply(whole, log_rate), high), _log_factorial(whole))
    accepted = ops.logical_or(quick, ops.logical_and(ops.logical_not(refused), ops.less_equal(left, right)))
    found = ops.where(ops.less(rate, 10.0), count, _first(accepted, whole))
    return ops.astype(found, dtype="int32")


def dropout(key: Array, x: Array, *, rate: float = 0.5) -> Array:
    """x with numbers set to 0 at a rate, and the others divided by 1 - rate."""
    if not 0.0 <= rate <= 1.0:
        raise EngineError(f"dropout expected a rate from 0 to 1, received {rate}")
    if rate in (0.0, 1.0):
        return x if rate == 0.0 else ops.multiply(x, 0.0)
    kept = bernoulli(key, 1.0 - rate, tuple(x.shape))
    return ops.where(kept, ops.divide(x, 1.0 - rate), 0.0)


# -- parts -----------------------------------------------------------------------------------------------------------


def _checked_seed(seed: Array) -> Array:
    dtype = dtype_name(seed.dtype)
    if tuple(seed.shape) != () or not is_integer(dtype):
        raise DTypeError(
            f"random.key expected an integer without axes as the seed, received {dtype}{list(seed.shape)}",
            hint="cast it with astype",
        )
    return seed


def _key_of_array(seed: Array) -> Array:
    """The key of the number in an array, modulo 2⁶⁴: its high and low words, the sign kept where it is narrower."""
    dtype = dtype_name(_checked_seed(seed).dtype)
    width = int(dtype.lstrip("uint"))
    low = ops.astype(seed, dtype="uint32")
    if width == 64:
        high = ops.bitwise_right_shift(seed, 32)
    elif dtype.startswith("u"):
        high = ops.bitwise_and(seed, 0)
    else:
        high = ops.bitwise_right_shift(seed, width - 1)
    return ops.stack([ops.astype(high, dtype="uint32"), low], axis=0)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _above(dtype: str) -> float:
    """The next number after -1, whose image is -∞. Raises `DTypeError` for what is not drawn."""
    if dtype not in _DIGITS:
        raise DTypeError(f"expected {', '.join(_DIGITS)} for random numbers, received {dtype}")
    return -1.0 + 2.0 ** -(_DIGITS[dtype] + 1)


def _moved(standard: Array, mean: Parameter, scale: Parameter) -> Array:
    """A sample of another mean and scale; the standard one as it is."""
    if not (_is_number(scale) and scale == 1):
        standard = ops.multiply(standard, scale)
    return standard if _is_number(mean) and mean == 0 else ops.add(standard, mean)


def _shape(shape: Shape | None, *parameters: Parameter) -> tuple[Size, ...]:
    """The shape of a sample: that of its parameters where it is not given."""
    own = broadcast_shapes(*(() if _is_number(each) else tuple(each.shape) for each in parameters))
    if shape is None:
        return own
    if broadcast_shapes(tuple(shape), own) != tuple(shape):
        raise ShapeError(f"expected parameters that broadcast to {tuple(shape)}, received the shape {own}")
    return tuple(shape)


def _filled(key: Array, parameter: Parameter, shape: tuple[Size, ...], dtype: str) -> Array:
    """A parameter as an array of the shape and dtype, beside the key."""
    if _is_number(parameter):
        return created(ops.full, key, shape=shape, fill_value=float(parameter), dtype=dtype)
    if "float" not in dtype_name(parameter.dtype):
        raise DTypeError(f"expected a floating-point parameter, received {dtype_name(parameter.dtype)}")
    return ops.broadcast_to(ops.astype(parameter, dtype=dtype), shape=shape)


def _first(accepted: Array, candidates: Array) -> Array:
    """Of the candidates along the first axis, the first that is accepted, or the last."""
    count = candidates.shape[0]
    found = candidates[count - 1]
    for i in range(count - 2, -1, -1):
        found = ops.where(accepted[i], candidates[i], found)
    return found


def _log_factorial(k: Array) -> Array:
    """log k!, by Stirling's series of log Γ(k + 4), which is log k! + log((k + 1)(k + 2)(k + 3))."""
    n = ops.add(k, 4.0)
    product = ops.multiply(ops.multiply(ops.add(k, 1.0), ops.add(k, 2.0)), ops.add(k, 3.0))
    series = ops.subtract(ops.reciprocal(ops.multiply(n, 12.0)), ops.reciprocal(ops.multiply(ops.pow(n, 3), 360.0)))
    stirling = ops.add(ops.subtract(ops.multiply(ops.subtract(n, 0.5), ops.log(n)), n), 0.5 * math.log(2 * math.pi))
    return ops.subtract(ops.add(stirling, series), ops.log(product))


__all__ = [
    "bernoulli",
    "beta",
    "bits",
    "categorical",
    "choice",
    "dirichlet",
    "dropout",
    "exponential",
    "fold_in",
    "gamma",
    "gumbel",
    "key",
    "laplace",
    "normal",
    "permutation",
    "poisson",
    "randint",
    "shuffle",
    "split",
    "truncated_normal",
    "uniform",
]
