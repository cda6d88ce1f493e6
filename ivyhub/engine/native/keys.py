"""Keys of an array, looked at before a framework sees them: one clamps what another reads beyond or casts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import AxisError, DTypeError, MixedFrameworksError
from ..backends import dtype_name, framework_of


def is_plain(key: Any, shape: Sequence[int | None]) -> bool:
    """Whether a key is of positions in range, slices that go forwards, '...' and None: every framework reads it alike.

    Example:
        >>> is_plain((0, slice(1, 9)), (2, 3)), is_plain((..., -3), (2, 3)), is_plain(2, (2, 3))
        (True, True, False)
    """
    items = key if type(key) is tuple else (key,)
    axis, ndim, open_ = 0, len(shape), False
    if ndim > 8:  # more than TensorFlow's kernel takes
        return False
    for place, item in enumerate(items):
        if item is None:
            continue
        if item is Ellipsis:
            last = ndim - sum([each is not None for each in items[place + 1 :]])
            if open_ or last < axis:
                return False
            axis, open_ = last, True
            continue
        if axis == ndim:
            return False
        kind = type(item)
        if kind is int:
            size = shape[axis]
            if type(size) is not int or not -size <= item < size:
                return False
        elif kind is slice:
            start, stop, step = item.start, item.stop, item.step
            if not (
                (start is None or type(start) is int)
                and (stop is None or type(stop) is int)
                and (step is None or (type(step) is int and step > 0))
            ):
                return False
        else:
            return False
        axis += 1
    return True


def checked(key: Any, shape: Sequence[int | None], owner: str) -> Any:
    """The key itself, of an array of a framework; an unknown size is None.

    Raises:
        AxisError: for too many positions, for one that is out of range, and for what is no position.
        DTypeError: for an array that holds neither integers nor truth values.
        MixedFrameworksError: for an array of another framework; NumPy's are taken.
        AxisError: for a mask of another shape than the axes that it stands for.

    Example:
        >>> checked((0, ..., -1), (2, 3, 4), "numpy")
        (0, Ellipsis, -1)
    """
    items = key if type(key) is tuple else (key,)
    arrays = {place: _array(item, owner) for place, item in enumerate(items) if hasattr(item, "dtype")}
    used = [_axes(item, arrays.get(place)) for place, item in enumerate(items)]
    total = sum(used)
    if total > len(shape):
        raise AxisError(f"indexing expected positions for {len(shape)} axes or fewer, received {total}")
    if sum(item is Ellipsis for item in items) > 1:
        raise AxisError("indexing expected one '...' at most, received two or more")
    axis = 0
    for place, item in enumerate(items):
        if item is Ellipsis:
            axis += len(shape) - total
        elif type(item) is int:
            _in_range(item, axis, shape[axis])
        elif arrays.get(place) == "bool":
            _fits(tuple(item.shape), axis, tuple(shape))
        axis += used[place]
    return key


def _array(item: Any, owner: str) -> str:
    """The dtype of an array among positions."""
    found = framework_of(item)
    if found not in (owner, "numpy"):
        raise MixedFrameworksError(
            f"indexing expected positions of {owner}, received an array of {found or type(item).__name__}",
            hint="move it first: to_framework(x, ...)",
        )
    name = dtype_name(item.dtype)
    if name != "bool" and "int" not in name:
        raise DTypeError(
            f"indexing expected an array of integers or a mask, received {name}", hint="cast it with astype"
        )
    return name


def _axes(item: Any, array: str | None) -> int:
    """How many axes an item of a key stands for."""
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    if array == "bool":
        return len(item.shape)
    if array is None and not isinstance(item, slice | list) and not hasattr(item, "__index__"):
        raise AxisError(
            f"indexing expected integers, slices, '...', None, masks or arrays of integers, received {item!r}"
        )
    return 1


def _in_range(position: int, axis: int, size: int | None) -> None:
    if isinstance(size, int) and not -size <= position < size:
        raise AxisError(f"indexing expected a position from {-size} to {size - 1} on axis {axis}, received {position}")


def _fits(mask: tuple[int, ...], axis: int, shape: tuple[int | None, ...]) -> None:
    """A size of 0 fits any: a mask without elements chooses nothing."""
    beside = shape[axis : axis + len(mask)]
    if any(size not in (other, 0) for size, other in zip(mask, beside, strict=True) if other is not None):
        raise AxisError(f"indexing expected a mask of {beside}, received one of {mask}")


__all__ = ["checked", "is_plain"]
