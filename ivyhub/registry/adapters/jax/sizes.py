"""Sizes of JAX as sizes of the engine, and back."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from ....engine.backends import dtype_name
from ....engine.dims import Dim, Size, floordiv, maximum, minimum, mod
from ....engine.spec import Spec
from ....errors import CaptureError


def size_of(size: Any) -> Size:
    """A size of a JAX shape; a symbolic one is read from the text that `jax.export.symbolic_shape` reads.

    Raises `CaptureError` on a function that sizes do not have.

    Example:
        >>> from jax.export import symbolic_shape
        >>> (size,) = symbolic_shape("floordiv(n, 2)")
        >>> size_of(size), size_of(3)
        ((n//2), 3)
    """
    if isinstance(size, Dim):
        return size
    if isinstance(size, int) or not hasattr(size, "scope"):
        return int(size)
    return _read(ast.parse(str(size).replace("^", "**"), mode="eval").body, size)


def _read(node: ast.expr, whole: Any) -> Size:
    match node:
        case ast.Constant(value=int() as value):
            return value
        case ast.Name(id=name):
            return Dim.symbol(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_read(operand, whole)
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int() as power)):
            base, result = _read(left, whole), 1
            for _ in range(power):
                result = result * base
            return result
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _read(left, whole), _read(right, whole)
            match op:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
        case ast.Call(func=ast.Name(id=name), args=args) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_read(arg, whole) for arg in args))
    raise CaptureError(
        f"the size {whole} uses {ast.unparse(node)}, which symbolic sizes cannot express",
        hint="make that axis static",
    )


_FUNCTIONS: Mapping[str, Any] = {
    "floordiv": floordiv,
    "mod": mod,
    "max": maximum,
    "min": minimum,
    "non_negative": lambda size: maximum(size, 0),
}


def sizes_of(sizes: Sequence[Any]) -> tuple[Size, ...]:
    """See `size_of`."""
    return tuple(map(size_of, sizes))


def is_key(dtype: Any) -> bool:
    """Whether arrays of this dtype hold random keys."""
    import jax

    return jax.numpy.issubdtype(dtype, jax.dtypes.prng_key)


def spec_of_aval(aval: Any) -> Spec:
    """The spec of an abstract array; a random key is its data, two numbers of 32 bits.

    Raises `CaptureError` on keys of another generator, and on dtypes that graphs do not have.
    """
    if not is_key(aval.dtype):
        return Spec(sizes_of(aval.shape), dtype_name(aval.dtype))
    if aval.dtype.name != "key<fry>":
        raise CaptureError(
            f"received random keys of {aval.dtype.name}, expected threefry's", hint="jax.random.key(seed)"
        )
    return Spec((*sizes_of(aval.shape), 2), "uint32")


__all__ = ["is_key", "size_of", "sizes_of", "spec_of_aval"]
