"""Random numbers from explicit keys: the same key gives the same numbers in every framework.

A key is an array of two uint32. The generator is Threefry-2x32 with 20 rounds in counter mode, as in ``jax.random``
(with ``jax_threefry_partitionable``, its default), so JAX's rows are its own functions and are what the others agree
with. `engine.random` has the distributions, which are written in these operations.

Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel Random Numbers: As Easy as 1, 2, 3".
"""

from __future__ import annotations

from typing import Any

from ...errors import DTypeError, ShapeError
from ..backends import is_floating
from ..dims import Size
from ..op import Array, DType, op
from ..spec import Spec, floating_specs
from ._rows import lower_alike


def _checked(key: Any) -> None:
    if not isinstance(key, Spec) or key.dtype != "uint32" or key.shape != (2,):
        raise DTypeError(
            f"expected a key, uint32[2], received {key!r}", hint="make one with random.key or random.split"
        )


def _bits_spec(key: Spec, *, shape: tuple[Size, ...]) -> Spec:
    _checked(key)
    return Spec(tuple(shape), "uint32")


@op(rule=_bits_spec, primitive=True, strict=True)
def random_bits(key: Array, /, *, shape: tuple[Size, ...] = ()) -> Array:
    """Uniform random bits, as uint32.

    Source: ``jax.random.bits``.
    """


random_bits.lower("jax", "jax.random.bits({key}, {shape:()})")
random_bits.lower(("numpy", "torch", "tensorflow"), "support.random_bits({key}, {shape})")


def _split_spec(key: Spec, *, num: int) -> Spec:
    _checked(key)
    if num < 1:
        raise ShapeError(f"expected at least 1 key, received num={num}")
    return Spec((num, 2), "uint32")


@op(rule=_split_spec, primitive=True, strict=True)
def random_split(key: Array, /, *, num: int = 2) -> Array:
    """``num`` new keys, as uint32[num, 2]. Use the new ones in place of the old one.

    Source: ``jax.random.split``.
    """


random_split.lower("jax", "jax.random.split({key}, {num:2})")
random_split.lower(("numpy", "torch", "tensorflow"), "support.random_split({key}, {num})")


def _fold_spec(key: Spec, data: Any) -> Spec:
    _checked(key)
    if isinstance(data, Spec) and (data.shape or "int" not in data.dtype):
        raise DTypeError(f"expected an integer to fold into the key, received {data}")
    return key


@op(rule=_fold_spec, primitive=True, strict=True)
def random_fold_in(key: Array, data: Array, /) -> Array:
    """A new key from a key and an integer, such as the number of the step; its low 32 bits count.

    Source: ``jax.random.fold_in``.
    """


random_fold_in.lower("jax", "jax.random.fold_in({key}, {data})")
random_fold_in.lower(("numpy", "torch", "tensorflow"), "support.random_fold_in({key}, {data})")


def _uniform_spec(key: Spec, *, shape: tuple[Size, ...], low: float, high: float, dtype: str) -> Spec:
    _checked(key)
    if not is_floating(dtype) or "8" in dtype:
        raise DTypeError(f"expected float16, bfloat16, float32 or float64 for random numbers, received {dtype}")
    return Spec(tuple(shape), dtype)


@op(rule=_uniform_spec, primitive=True, strict=True)
def random_uniform(
    key: Array, /, *, shape: tuple[Size, ...] = (), low: float = 0.0, high: float = 1.0, dtype: DType = "float32"
) -> Array:
    """Uniform random numbers, low <= x < high.

    Source: ``jax.random.uniform``.
    """


random_uniform.lower("jax", "jax.random.uniform({key}, {shape}, {dtype}, {low:0.0}, {high:1.0})")
random_uniform.lower(
    ("numpy", "torch", "tensorflow"), "support.random_uniform({key}, {shape}, {dtype}, {low:0.0}, {high:1.0})"
)


def _integers_spec(key: Spec, *, shape: tuple[Size, ...], low: int, high: int) -> Spec:
    _checked(key)
    return Spec(tuple(shape), "int32")


@op(rule=_integers_spec, primitive=True, strict=True)
def random_integers(key: Array, /, *, shape: tuple[Size, ...] = (), low: int, high: int) -> Array:
    """Uniform random int32, low <= x < high.

    Source: ``jax.random.randint``.
    """


random_integers.lower("jax", "jax.random.randint({key}, {shape}, {low}, {high}, jnp.int32)")
random_integers.lower(("numpy", "torch", "tensorflow"), "support.random_integers({key}, {shape}, {low}, {high})")


@op(rule=floating_specs, primitive=True)
def erfinv(x: Array, /) -> Array:
    """The inverse of the error function, for -1 <= x <= 1.

    Source: ``torch.erfinv``.
    """


lower_alike(erfinv, numpy="support.erfinv({x})", jax="lax.erf_inv({x})", tensorflow="tf.math.erfinv({x})")
