"""Random bits: threefry's, to the bit. A key is its data, two numbers of 32 bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .....engine import control_flow, ops
from ..sizes import sizes_of
from .common import RULES, Array, cast, dtype_of, filled, refuse, reshaped, shape_of


def _each(keys: Array, draw: Callable[..., Array], *others: Array) -> Array:
    """What each of many keys draws with its part of other arrays, one after the other."""
    lead = shape_of(keys)[:-1]
    if not lead:
        return draw(keys, *others)
    count: Any = 1
    for size in lead:
        count = count * size
    parts = (reshaped(keys, (count, 2)), *(reshaped(each, (count,)) for each in others))
    _, drawn = control_flow.scan(lambda carry, part: (carry, draw(*part)), (), parts)
    return reshaped(drawn, (*lead, *shape_of(drawn)[1:]))


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
    found = sizes_of(shape)
    if bit_width in (8, 16, 32):
        drawn = _each(key, lambda key: ops.random_bits(key, shape=found))
        if bit_width == 32:
            return drawn
        return cast(ops.bitwise_and(cast(drawn, "int64"), (1 << bit_width) - 1), f"uint{bit_width}")
    raise refuse(f"random numbers of {bit_width} bits")


@RULES("random_fold_in")
def random_fold_in(key: Array, data: Array) -> Array:
    return _each(key, ops.random_fold_in, data)


@RULES("random_split")
def random_split(key: Array, *, shape: Sequence[Any]) -> Array:
    count: Any = 1
    for size in sizes_of(shape):
        count = count * size
    return _each(key, lambda key: reshaped(ops.random_split(key, num=count), (*shape, 2)))
