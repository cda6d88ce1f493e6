"""`Spec`, the type of an array (shape and dtype, no values), and the shape arithmetic that rules are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import DTypeError, ShapeError
from .backends import dtype_name
from .dims import Dim, Size, product, symbols_of

Shape = tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class Spec:
    """Shape and dtype of an array; sizes may be symbolic.

    Example:
        >>> x = Spec(("batch", 3), "float32")
        >>> x, x.ndim, x.symbols
        (float32[batch, 3], 2, {'batch'})
    """

    shape: Shape
    dtype: str = "float32"

    def __post_init__(self) -> None:
        sizes = tuple(Dim.symbol(size) if isinstance(size, str) else size for size in self.shape)
        object.__setattr__(self, "shape", sizes)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> Size:
        """The number of elements."""
        return product(self.shape)

    @property
    def symbols(self) -> set[str]:
        """The symbols in its shape."""
        return symbols_of(self.shape)

    def with_shape(self, *shape: Size) -> Spec:
        """The same dtype in another shape."""
        return Spec(shape, self.dtype)

    def with_dtype(self, dtype: str) -> Spec:
        """The same shape in another dtype."""
        return Spec(self.shape, dtype)

    def __repr__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


def spec_of(array: Any) -> Spec:
    """The spec of a native array of any framework; unknown TensorFlow sizes raise `ShapeError`.

    Example:
        >>> import numpy as np
        >>> spec_of(np.zeros((2, 3), np.int32))
        int32[2, 3]
    """
    return Spec(tuple(array.shape), dtype_name(array.dtype))


def normalize_axis(axis: int, ndim: int) -> int:
    """A non-negative axis. Raises `ShapeError` when it is out of range."""
    if not -ndim <= axis < ndim:
        raise ShapeError(f"expected an axis from {-ndim} to {ndim - 1}, received {axis}")
    return axis % ndim


def normalize_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Non-negative axes in the order given; every axis for None."""
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    found = tuple(normalize_axis(a, ndim) for a in axes)
    if len(set(found)) != len(found):
        raise ShapeError(f"expected each axis once, received {axes}")
    return found


def broadcast_shapes(*shapes: Sequence[Size]) -> Shape:
    """The shape that all broadcast to (Array API Standard, "Broadcasting"). Raises `ShapeError` when none is.

    Example:
        >>> broadcast_shapes((3, 1), (1, 4))
        (3, 4)
    """
    ndim = max((len(shape) for shape in shapes), default=0)
    out: list[Size] = []
    for axis in range(-ndim, 0):
        size: Size = 1
        for shape in shapes:
            other = shape[axis] if -axis <= len(shape) else 1
            if size == 1:
                size = other
            elif other not in (1, size):
                raise ShapeError(
                    f"shapes {' and '.join(map(_text, shapes))} do not broadcast: {size} against {other} on axis {axis}",
                    hint="sizes must be equal or 1; two symbolic sizes are equal when they carry one name",
                )
        out.append(size)
    return tuple(out)


def broadcast_specs(*operands: Any) -> Spec:
    """The spec of an elementwise result: shapes broadcast, dtypes equal, Python scalars adopt the arrays' dtype.

    Raises `DTypeError` on two dtypes: the IR has no implicit promotion.
    """
    specs = [operand for operand in operands if isinstance(operand, Spec)]
    dtypes = {spec.dtype for spec in specs}
    if len(dtypes) != 1:
        raise DTypeError(
            f"expected operands of one dtype, received {', '.join(map(repr, specs))}",
            hint="cast one of them with astype",
        )
    return Spec(broadcast_shapes(*(spec.shape for spec in specs)), dtypes.pop())


def flatten_operands(operands: Iterable[Any]) -> list[Any]:
    """Operands with nested sequences opened."""
    out: list[Any] = []
    for operand in operands:
        if isinstance(operand, tuple | list):
            out.extend(flatten_operands(operand))
        else:
            out.append(operand)
    return out


def _text(shape: Sequence[Size]) -> str:
    return f"({', '.join(map(str, shape))})"
