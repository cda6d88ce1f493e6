"""What a compiled kernel of an operation depends on: as little of its operands as its rows look at.

A kernel is found by a key. Types of the operands are always in it; dtypes, ranks and shapes are where some row of the
operation has looked at them (`Look`), which is noticed while a row is chosen and filled (`Watched`). So ``sum`` over
an axis compiles once a dtype, not once a shape, and ``add`` once a framework.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import Any

from .spec import Shape, Spec


class Look(IntEnum):
    """How much of their operands rows have looked at; each holds those before it."""

    TYPES = 0
    DTYPES = 1
    RANKS = 2
    SHAPES = 3


class Watched(Spec):
    """A spec that tells how much of its array was looked at; its dtype is a part of every key where rows look at all.

    Example:
        >>> seen = []
        >>> spec = Watched(Spec((2, 3), "int32"), seen.append)
        >>> spec.dtype, spec.ndim, spec.shape[0], seen
        ('int32', 2, 2, [<Look.RANKS: 2>, <Look.SHAPES: 3>])
    """

    __slots__ = ("_look", "_spec")
    __hash__ = Spec.__hash__

    def __init__(self, spec: Spec, look: Callable[[Look], None]) -> None:
        object.__setattr__(self, "dtype", spec.dtype)
        object.__setattr__(self, "_spec", spec)
        object.__setattr__(self, "_look", look)

    @property
    def shape(self) -> Shape:  # pyright: ignore[reportIncompatibleVariableOverride] read where it is asked for
        self._look(Look.SHAPES)
        return self._spec.shape

    @property
    def ndim(self) -> int:
        self._look(Look.RANKS)
        return self._spec.ndim

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and (self.shape, self.dtype) == (other.shape, other.dtype)


def watched(specs: Iterable[Any], look: Callable[[Look], None]) -> tuple[Any, ...]:
    """The specs among operands as watched ones."""
    return tuple(
        watched(spec, look) if isinstance(spec, tuple) else Watched(spec, look) if isinstance(spec, Spec) else spec
        for spec in specs
    )


def key_of(args: Iterable[Any], attributes: Mapping[str, Any], look: Look, values: bool) -> Any:
    """What the kernel of a call depends on.

    Args:
        args: the operands.
        attributes: by name.
        look: how much of the arrays.
        values: whether numbers among the operands count by value, not by type alone.
    """
    if look == Look.TYPES:
        key: Any = (*map(type, args),)
    else:
        key = (*[_signature(arg, look, values) for arg in args],)
    if not attributes:
        return key
    # 0, 0.0 and False are equal, and 0.0 equals -0.0: they are told apart by type and by how they are written.
    return (key, *[(name, type(value), value or repr(value)) for name, value in attributes.items()])


def _signature(arg: Any, look: Look, values: bool) -> Any:
    if isinstance(arg, tuple | list):
        return (*[_signature(item, look, values) for item in arg],)
    dtype = getattr(arg, "dtype", None)
    if dtype is None:
        return (type(arg), arg or repr(arg)) if values else type(arg)
    if look == Look.DTYPES:
        return type(arg), dtype
    return type(arg), dtype, len(arg.shape) if look == Look.RANKS else tuple(arg.shape)


__all__ = ["Look", "Watched", "key_of", "watched"]
