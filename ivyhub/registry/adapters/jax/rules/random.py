"""Random bits: threefry's, to the bit. A key is its data, two numbers of 32 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .....engine import ops
from ..sizes import sizes_of
from .common import RULES, Array, cast, dtype_of, filled, refuse, reshaped, shape_of


def _one(key: Array) -> Array:
    if len(shape_of(key)) != 1:
        raise refuse("draws from many keys at once", "draw with jax.lax.map, or from one key")
    return key


@RULES("random_wrap")
def random_wrap(x: Array, *, impl: Any) -> Array:
    return x


@RULES("random_unwrap", "random_clone")
def random_unwrap(key: Array) -> Array:
    return key


@RULES("random_seed")
def random_seed(seeds: Array, *, impl: Any) -> Array:
    """The key of an integer: its lower 32 bits, after zeros."""
    if dtype_of(seeds) in ("int64", "uint64"):
        raise refuse("a key made of a seed of 64 bits")
    low = reshaped(cast(seeds, "uint32"), (*shape_of(seeds), 1))
    return ops.concat([filled(low, shape_of(low), 0, "uint32"), low], axis=-1)


@RULES("random_bits")
def random_bits(key: Array, *, bit_width: int, shape: Sequence[Any]) -> Array:
    key = _one(key)
    found = sizes_of(shape)
    if bit_width == 32:
        return ops.random_bits(key, shape=found)
    if bit_width in (8, 16):
        drawn = ops.bitwise_and(cast(ops.random_bits(key, shape=found), "int64"), (1 << bit_width) - 1)
        return cast(drawn, f"uint{bit_width}")
    raise refuse(f"random numbers of {bit_width} bits")


@RULES("random_fold_in")
def random_fold_in(key: Array, data: Array) -> Array:
    return ops.random_fold_in(_one(key), data)


@RULES("random_split")
def random_split(key: Array, *, shape: Sequence[Any]) -> Array:
    count: Any = 1
    for size in sizes_of(shape):
        count = count * size
    return reshaped(ops.random_split(_one(key), num=count), (*shape, 2))
