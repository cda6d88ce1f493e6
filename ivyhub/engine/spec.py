"""`Spec`, the type of an array (shape and dtype, no values), and the shape arithmetic that rules are made of."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import AxisError, DTypeError, ShapeError
from .backends import dtype_name, is_floating, is_integer
from .dims import Dim, Size, floordiv, lower_bound, maximum, minimum, product, symbols_of

Shape = tuple[Size, ...]
Pick = Any  # an item of a basic index: a position, None for a new axis, or (start, stop, step) for a slice
FULL = (None, None, None)  # the slice ":"


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
    """A non-negative axis. Raises `AxisError` when it is out of range."""
    if not -ndim <= axis < ndim:
        raise AxisError(f"expected an axis from {-ndim} to {ndim - 1}, received {axis}")
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
                listed = " and ".join(map(_text, shapes))
                raise ShapeError(
                    f"shapes {listed} do not broadcast: {size} against {other} on axis {axis}",
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
    dtype = dtypes.pop()
    for operand in operands:
        number = isinstance(operand, int | float) and not isinstance(operand, bool)
        imaginary = isinstance(operand, complex) and not dtype.startswith("complex")
        if (isinstance(operand, float) and is_integer(dtype)) or (number and dtype == "bool") or imaginary:
            raise DTypeError(
                f"expected operands of one dtype, received {operand!r} beside {dtype}",
                hint="cast the array with astype first",
            )
    return Spec(broadcast_shapes(*(spec.shape for spec in specs)), dtype)


# -- rules that many operations share --------------------------------------------------------------------------------


def same_as_first(x: Spec, *_: Any, **__: Any) -> Spec:
    """The result is like the first operand."""
    return x


def floating_specs(*operands: Any, **_: Any) -> Spec:
    """`broadcast_specs` for operations on floating-point and complex numbers. Raises `DTypeError` on others."""
    return _checked(broadcast_specs(*operands), lambda dtype: is_floating(dtype) or "complex" in dtype, "floating")


def integer_specs(*operands: Any, **_: Any) -> Spec:
    """`broadcast_specs` for operations on integers. Raises `DTypeError` on others."""
    return _checked(broadcast_specs(*operands), is_integer, "integer")


def bool_specs(*operands: Any, **_: Any) -> Spec:
    """`broadcast_specs` for operations on truth values. Raises `DTypeError` on others."""
    return _checked(broadcast_specs(*operands), lambda dtype: dtype == "bool", "bool")


def compared_specs(*operands: Any, **_: Any) -> Spec:
    """The spec of a comparison or test: shapes broadcast, the result is bool."""
    return broadcast_specs(*operands).with_dtype("bool")


ONE_DTYPE = frozenset({broadcast_specs, floating_specs, integer_specs, bool_specs, compared_specs})
"""Rules whose operands must have one dtype."""


def _checked(spec: Spec, accepts: Any, kind: str) -> Spec:
    if not accepts(spec.dtype):
        raise DTypeError(f"expected {kind} operands, received {spec.dtype}", hint="cast them with astype")
    return spec


def reduced_shape(shape: Sequence[Size], axis: int | Sequence[int] | None, keepdims: bool) -> Shape:
    """The shape that is left when axes are reduced.

    Example:
        >>> reduced_shape((2, 3, 4), -1, True)
        (2, 3, 1)
    """
    axes = normalize_axes(axis, len(shape))
    if keepdims:
        return tuple(1 if i in axes else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in axes)


# -- basic indexing --------------------------------------------------------------------------------------------------


def basic_key(key: Any, shape: Sequence[Size]) -> tuple[Pick, ...]:
    """A Python index of basic kind as plain data: positions, None, and slices as (start, stop, step).

    ``Ellipsis`` is written out, trailing full slices are dropped, and bounds that say nothing are None. Raises
    `ShapeError` on anything else, arrays among them.

    Example:
        >>> basic_key((Ellipsis, None, slice(0, 3)), (2, 5))
        ((None, None, None), None, (None, 3, None))
    """
    items = list(key) if isinstance(key, tuple) else [key]
    used = sum(item is not None and item is not Ellipsis for item in items)
    if used > len(shape):
        raise ShapeError(f"expected at most {len(shape)} indices, received {used}")
    dots = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise ShapeError("expected at most one '...' in an index")
    if dots:
        items[dots[0] : dots[0] + 1] = [slice(None)] * (len(shape) - used)
    picks: list[Pick] = []
    sizes = iter(shape)
    for item in items:
        if item is None:
            picks.append(None)
            continue
        size = next(sizes)
        if isinstance(item, slice):
            item = (item.start, item.stop, item.step)
        if isinstance(item, tuple):
            picks.append(_plain_slice(item, size))
        elif isinstance(item, bool) or not (isinstance(item, Dim) or hasattr(item, "__index__")):
            raise ShapeError(
                f"expected integers, slices, None or '...' as an index, received {type(item).__name__}",
                hint="index by arrays with take or index, choose by a mask with where",
            )
        else:
            picks.append(item if isinstance(item, Dim) else operator.index(item))
    while picks and picks[-1] == FULL:
        picks.pop()
    return tuple(picks)


def _plain_slice(item: tuple[Any, Any, Any], size: Size) -> Pick:
    start, stop, step = (b if b is None or isinstance(b, Dim) else operator.index(b) for b in item)
    if step in (None, 1):
        step = None
        start = None if start == 0 else start
        if stop == size or (isinstance(stop, int) and (stop >= size if isinstance(size, int) else stop >= 2**62)):
            stop = None
    return (start, stop, step)


def indexed_shape(shape: Sequence[Size], key: Sequence[Pick]) -> Shape:
    """The shape of ``x[key]``. A symbolic bound is taken to lie within its axis. Raises `ShapeError`.

    Example:
        >>> indexed_shape((2, 5, 7), (0, None, (1, None, 2)))
        (1, 2, 7)
    """
    out: list[Size] = []
    sizes = iter(shape)
    for item in key:
        if item is None:
            out.append(1)
            continue
        size = next(sizes, None)
        if size is None:
            raise ShapeError(f"expected at most {len(shape)} indices, received {key}")
        if isinstance(item, tuple):
            out.append(_slice_size(item, size))
        elif isinstance(item, int) and isinstance(size, int) and not -size <= item < size:
            raise ShapeError(f"expected an index from {-size} to {size - 1}, received {item}")
    return (*out, *sizes)


def _slice_size(item: tuple[Any, Any, Any], size: Size) -> Size:
    start, stop, step = item
    if all(not isinstance(b, Dim) for b in (*item, size)):
        return len(range(*slice(start, stop, step).indices(int(size))))
    if step is not None and step < 0:
        if start is None and stop is None and step == -1:
            return size
        raise ShapeError(f"a slice {item} of an axis of size {size} has no known length", hint="use flip")
    length = _bound(stop, size, size) - _bound(start, size, 0)
    if isinstance(length, int):
        length = max(length, 0)
    return length if step in (None, 1) else floordiv(length + step - 1, step)


def _bound(bound: Size | None, size: Size, default: Size) -> Size:
    if bound is None:
        return default
    if isinstance(bound, int):
        return minimum(bound, size) if bound >= 0 else maximum(size + bound, 0)
    below = lower_bound(-bound)
    return size + bound if below is not None and below > 0 else bound


def _text(shape: Sequence[Size]) -> str:
    return f"({', '.join(map(str, shape))})"
