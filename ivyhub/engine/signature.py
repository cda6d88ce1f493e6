"""What a compiled kernel of an operation depends on: as little of its operands as its rows look at.

A kernel is found by a key. Types of the operands are always in it; dtypes, ranks and shapes are where some row of the
operation has looked at them (`Look`), which is noticed while a row is chosen and filled (`Watched`). So ``sum`` over
an axis compiles once a dtype, not once a shape, and ``add`` once a framework.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any

from ..errors import ShapeError
from .dims import Dim
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


def named_sizes(
    operands: Iterable[str], specs: Iterable[Any], *, shared: bool = False
) -> tuple[tuple[Any, ...], dict[str, ast.expr]]:
    """Specs whose unknown sizes, None in a ``tf.function``, have names; and the expression that each name stands for.

    Where names are ``shared``, the unknown sizes of one axis are taken for equal.

    Example:
        >>> specs, sizes = named_sizes(["x"], [Spec((None, 3))])
        >>> specs[0], [ast.unparse(size) for size in sizes.values()]
        (float32[size_of_x_0, 3], ['tf.shape(x)[0]'])
    """
    sizes: dict[str, ast.expr] = {}

    def named(spec: Any, operand: str, word: str) -> Any:
        if isinstance(spec, tuple):
            return tuple(named(item, f"{operand}[{i}]", f"{word}_{i}") for i, item in enumerate(spec))
        shape: list[Any] = list(spec.shape) if isinstance(spec, Spec) else []
        if None not in shape:
            return spec
        for axis, size in enumerate(shape):
            if size is None:
                symbol = f"size_{axis}" if shared else f"size_of_{word}_{axis}"
                shape[axis] = Dim.symbol(symbol)
                sizes[symbol] = ast.parse(f"tf.shape({operand})[{axis}]", mode="eval").body
        return spec.with_shape(*shape)

    return tuple(named(spec, name, name) for name, spec in zip(operands, specs, strict=True)), sizes


def has_unknown(owner: str, args: Iterable[Any]) -> bool:
    """Whether a size of some array is not known while TensorFlow traces."""
    if owner != "tensorflow":
        return False
    return any(
        has_unknown(owner, arg) if isinstance(arg, tuple | list) else None in getattr(arg, "shape", ()) for arg in args
    )


def unsized(name: str, args: Iterable[Any]) -> ShapeError:
    """What is said where an operation needs a size that TensorFlow does not know while it traces."""
    shapes = ", ".join(str(tuple(arg.shape)) for arg in args if hasattr(arg, "shape"))
    return ShapeError(
        f"{name} expected sizes that are known when TensorFlow traces, received the shapes {shapes}",
        hint="name the size in the input_signature, or leave the signature out: each shape is traced then",
    )


class Sized(ast.NodeTransformer):
    """Puts the expressions of sizes where their names stand."""

    def __init__(self, sizes: Mapping[str, ast.expr]) -> None:
        self.sizes = sizes

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.sizes.get(node.id, node)


def key_of(args: Iterable[Any], attributes: Mapping[str, Any], look: Look, values: bool) -> Any:
    """What the kernel of a call depends on.

    Args:
        args: the operands.
        attributes: by name.
        look: how much of the arrays.
        values: whether numbers among the operands count by value, not by type alone.
    """
    key: list[Any] = []  # flat, since every call with attributes makes one
    if look is _TYPES:
        key += map(type, args)
    else:
        for arg in args:
            dtype = getattr(arg, "dtype", None) if look is _DTYPES else None
            if dtype is None:
                key.append(_signature(arg, look, values))
            else:
                key += type(arg), dtype
    for name, value in attributes.items():
        # 0, 0.0 and False are equal, and 0.0 equals -0.0: they are told apart by type and by how they are written.
        key += name, type(value), value if value or value is None or value is False else repr(value)
    return (*key,)


_TYPES, _DTYPES = Look.TYPES, Look.DTYPES
_SEQUENCES = (tuple, list)


def _signature(arg: Any, look: Look, values: bool) -> Any:
    if isinstance(arg, _SEQUENCES):
        return (*[_signature(item, look, values) for item in arg],)
    dtype = getattr(arg, "dtype", None)
    if dtype is None:
        return (type(arg), arg or repr(arg)) if values else type(arg)
    if look is _DTYPES:
        return type(arg), dtype
    return type(arg), dtype, len(arg.shape) if look == Look.RANKS else tuple(arg.shape)


def leaves_of(args: Iterable[Any]) -> Iterator[Any]:
    """The arguments of a call, those in sequences one by one."""
    for arg in args:
        if isinstance(arg, tuple | list):
            yield from leaves_of(arg)
        else:
            yield arg


def freeze(value: Any) -> Any:
    """A value with its sequences as tuples, which a key can hold."""
    return tuple(map(freeze, value)) if isinstance(value, list | tuple) else value


def first_dtype(args: Iterable[Any]) -> str | None:
    """The dtype of the first array among specs."""
    return next((leaf.dtype for leaf in leaves_of(args) if isinstance(leaf, Spec)), None)


def retyped(spec: Any, dtype: str) -> Any:
    """A spec, or those of a sequence, in a dtype; what is none stays."""
    if isinstance(spec, tuple):
        return tuple(retyped(item, dtype) for item in spec)
    return spec.with_dtype(dtype) if isinstance(spec, Spec) else spec


__all__ = [
    "Look",
    "Sized",
    "Watched",
    "first_dtype",
    "freeze",
    "has_unknown",
    "key_of",
    "leaves_of",
    "named_sizes",
    "retyped",
    "unsized",
    "watched",
]
