"""Random bits: threefry's, to the bit. A key is its data, two numbers of 32 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .....engine import ops
from ..sizes import sizes_of
from .common import RULES, Array, cast, dtype_of, filled, refuse, reshaped, shape_of

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_WORD = 0xFFFFFFFF


def _plain(x: Array) -> Array:
    """A word of 32 bits as an integer of 64, in which every framework counts."""
    return cast(x, "int64")


@RULES("threefry2x32")
def threefry2x32(k1: Array, k2: Array, x1: Array, x2: Array) -> tuple[Array, Array]:
    """20 rounds of the block cipher. Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"."""

    def word(x: Array) -> Array:
        return ops.bitwise_and(x, _WORD)

    k1, k2, x1, x2 = map(_plain, (k1, k2, x1, x2))
    keys = (k1, k2, ops.bitwise_xor(ops.bitwise_xor(k1, k2), 0x1BD11BDA))
    x1, x2 = word(ops.add(x1, keys[0])), word(ops.add(x2, keys[1]))
    for turn in range(5):
        for rotation in _ROTATIONS[turn % 2]:
            x1 = word(ops.add(x1, x2))
            left = word(ops.multiply(x2, 1 << rotation))
            right = ops.floor_divide(x2, 1 << (32 - rotation))
            x2 = ops.bitwise_xor(x1, ops.bitwise_or(left, right))
        x1 = word(ops.add(x1, keys[(turn + 1) % 3]))
        x2 = word(ops.add(ops.add(x2, keys[(turn + 2) % 3]), turn + 1))
    return cast(x1, "uint32"), cast(x2, "uint32")


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
    words = ops.bitwise_and(_plain(seeds), _WORD)
    if dtype_of(seeds) in ("int64", "uint64"):
        raise refuse("a key made of a seed of 64 bits")
    low = reshaped(words, (*shape_of(words), 1))
    return cast(ops.concat([filled(low, shape_of(low), 0, "int64"), low], axis=-1), "uint32")


@RULES("random_bits")
def random_bits(key: Array, *, bit_width: int, shape: Sequence[Any]) -> Array:
    key = _one(key)
    found = sizes_of(shape)
    if bit_width == 32:
        return ops.random_bits(key, shape=found)
    if bit_width in (8, 16):
        drawn = ops.bitwise_and(_plain(ops.random_bits(key, shape=found)), (1 << bit_width) - 1)
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
