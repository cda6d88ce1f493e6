"""Statistical, searching, sorting, set and utility functions of the standard."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from ...errors import EngineError, ShapeError
from .. import native, ops
from ..backends import dtype_name, framework_of
from ..op import Array, Op
from ..spec import normalize_axes, normalize_axis
from ._common import arrays, cast, dtype_of, is_complex, is_inexact, is_integer, is_number, owner_of, same, scalar_like
from .creation import default_dtype, full_like
from .manipulation import size_of

Axis = int | tuple[int, ...] | None


def accumulated(x: Array, dtype: Any) -> str:
    """The dtype that a sum has: the one that is asked for, for integers one at least as wide as the default."""
    name = dtype_of(x)
    if dtype is not None:
        return dtype_name(dtype)
    if name != "bool" and not is_integer(name):
        return name
    default = default_dtype(owner_of(x), "int")
    default = "u" * name.startswith("u") + default
    return name if name.endswith("64") else default


def _plain(axes: tuple[int, ...]) -> int | tuple[int, ...]:
    """Axes as they are written: one as a number."""
    return axes[0] if len(axes) == 1 else axes


def sum(x: Array, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """Σ x over axes; integers in the default integer dtype or wider."""
    name = accumulated(x, dtype)
    x = cast(x, name)
    axes = normalize_axes(axis, len(x.shape))
    if not axes:
        return same(x)
    options: dict[str, Any] = {"keepdims": True} if keepdims else {}  # a call without attributes is found sooner
    if len(axes) < len(x.shape):
        options["axis"] = _plain(axes)
    return cast(ops.sum(x, **options), name)


def prod(x: Array, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """Π x over axes; integers in the default integer dtype or wider."""
    name = accumulated(x, dtype)
    found = cast(x, name)
    axes = normalize_axes(axis, len(x.shape))
    if len(axes) == len(x.shape) > 0:  # in the order of the elements, as frameworks have it: 0 comes before infinity
        return cast(ops.prod(found, keepdims=keepdims), name)
    for each in sorted(axes, reverse=True):
        found = cast(ops.prod(found, axis=each, keepdims=keepdims), name)
    return same(found) if found is x else found


def _cumulative(op: Op, initial: int, x: Array, axis: int | None, dtype: Any, include_initial: bool) -> Array:
    if axis is None:
        if len(x.shape) != 1:
            raise ShapeError(f"expected an axis for an array of {len(x.shape)} axes", hint="pass axis=")
        axis = 0
    axis = normalize_axis(axis, len(x.shape))
    name = accumulated(x, dtype)
    found = cast(op(cast(x, name), axis=axis), name)
    if include_initial:
        shape = tuple(1 if i == axis else size for i, size in enumerate(x.shape))
        number = cast(full_like(x, initial, dtype=name) if not shape else scalar_like(initial, found), name)
        found = ops.concat([ops.broadcast_to(number, shape=shape), found], axis=axis)
    return found


def cumulative_sum(x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """Σ x over everything up to and with each place of an axis, with a 0 before them if that is asked for."""
    return _cumulative(ops.cumulative_sum, 0, x, axis, dtype, include_initial)


def cumulative_prod(x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """Π x over everything up to and with each place of an axis, with a 1 before them if that is asked for."""
    return _cumulative(ops.cumulative_prod, 1, x, axis, dtype, include_initial)


def max(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The largest element over axes; nan where one is."""
    return _extreme(ops.max, x, axis, keepdims)


def min(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The smallest element over axes; nan where one is."""
    return _extreme(ops.min, x, axis, keepdims)


def _extreme(op: Op, x: Array, axis: Axis, keepdims: bool) -> Array:
    axes = normalize_axes(axis, len(x.shape))
    return op(x, axis=_plain(axes), keepdims=keepdims) if axes else same(x)


def mean(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Σ x / n, with n the number of elements; of integers in the default floating-point dtype."""
    if not is_inexact(dtype_of(x)):
        x = cast(x, default_dtype(owner_of(x), "float"))
    axes = normalize_axes(axis, len(x.shape))
    return ops.mean(x, axis=_plain(axes), keepdims=keepdims) if axes else same(x)


def var(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Σ |x - mean(x)|² / (n - correction), with n the number of elements."""
    axes = normalize_axes(axis, len(x.shape))
    if not axes:  # each element by itself
        return ops.divide(ops.subtract(x, x), 1.0 - correction)
    number = int(correction) if correction == int(correction) else correction
    return ops.var(x, axis=_plain(axes), correction=number, keepdims=keepdims)


def std(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """√var(x)."""
    return ops.sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


# -- searching -------------------------------------------------------------------------------------------------------


def _place(op: Op, x: Array, axis: int | None, keepdims: bool) -> Array:
    return _index(op(x, axis=axis, keepdims=keepdims))


def _index(x: Array) -> Array:
    """Positions in the default integer dtype."""
    return cast(x, default_dtype(owner_of(x), "int"))


def argmax(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Where the largest element stands first; in the flattened array for ``axis=None``."""
    return _place(ops.argmax, x, axis, keepdims)


def argmin(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Where the smallest element stands first; in the flattened array for ``axis=None``."""
    return _place(ops.argmin, x, axis, keepdims)


def count_nonzero(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The number of elements that are not zero."""
    truth = x if dtype_of(x) == "bool" else ops.not_equal(x, 0)
    return sum(truth, axis=axis, keepdims=keepdims)


def nonzero(x: Array, /) -> tuple[Array, ...]:
    """The positions of the elements that are not zero, one array an axis; of values that are there, not traced."""
    if not len(x.shape):
        raise ShapeError("nonzero expected an array of one axis or more, received one without axes")
    return tuple(map(_index, native.module(_with_values("nonzero", x)).nonzero(x)))


def _with_values(name: str, x: Array) -> str:
    """The framework of an array whose values are there. Raises `EngineError` in a trace."""
    owner = framework_of(x)
    if owner is None:
        raise EngineError(
            f"{name} has a result whose size depends on values; expected an array, received {type(x).__name__}",
            hint="inside a trace choose with where, which keeps the shape",
        )
    return owner


def searchsorted(
    x1: Array, x2: Array, /, *, side: Literal["left", "right"] = "left", sorter: Array | None = None
) -> Array:
    """Where each number of x2 belongs in the sorted vector x1: before its equals ("left") or after ("right")."""
    if sorter is not None:
        x1 = ops.take(x1, sorter, axis=0)
    return _index(ops.searchsorted(*arrays(x1, x2), side=side))


def where(condition: Array, x1: Any, x2: Any, /) -> Array:
    """x1 where the condition holds, x2 elsewhere; each an array or a number."""
    if is_number(x1) and is_number(x2):
        kind = type(x1 + x2).__name__ if not (isinstance(x1, bool) and isinstance(x2, bool)) else "bool"
        dtype = default_dtype(owner_of(condition), kind)
        x1 = cast(full_like(condition, x1, dtype=dtype), dtype)
    return ops.where(condition, *arrays(x1, x2))


# -- sorting ---------------------------------------------------------------------------------------------------------


def argsort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The positions along an axis that put its elements in order; equal elements always keep theirs."""
    return _index(ops.argsort(_keys(x), axis=axis, descending=descending))


def sort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The elements along an axis in order; nans, where they are, at the end of an ascending one."""
    keys = _keys(x)
    if keys is x:
        return ops.sort(x, axis=axis, descending=descending)
    return ops.take_along_axis(x, ops.argsort(keys, axis=axis, descending=descending), axis=axis)


def _keys(x: Array) -> Array:
    """What a framework sorts in the order of the standard: x itself, but where nan would stand anywhere."""
    return native.module(owner_of(x)).sort_keys(x)


# -- sets ------------------------------------------------------------------------------------------------------------


class UniqueAll(NamedTuple):
    """Result of `unique_all`."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCounts(NamedTuple):
    """Result of `unique_counts`."""

    values: Array
    counts: Array


class UniqueInverse(NamedTuple):
    """Result of `unique_inverse`."""

    values: Array
    inverse_indices: Array


def unique_all(x: Array, /) -> UniqueAll:
    """The different elements in order, where each stands first, which of them each element is, and how often each is.

    Every nan differs from every other; -0.0 equals 0.0. Of values that are there, not traced.
    """
    functions = native.module(_with_values("unique_all", x))
    shape = tuple(int(size) for size in x.shape)
    flat = ops.reshape(x, shape=(-1 if 0 not in shape else 0,)) if shape else ops.reshape(x, shape=(1,))
    size = int(flat.shape[0])
    order = _order(flat)
    ranked = ops.take(flat, order, axis=0)
    new = full_like(order, True, dtype="bool")
    if size > 1:
        ahead = ops.getitem(ranked, key=((1, None, None),))
        behind = ops.getitem(ranked, key=((None, size - 1, None),))
        new = ops.concat([full_like(ahead, True, dtype="bool")[:1], ops.not_equal(ahead, behind)], axis=0)
    (starts,) = map(_index, functions.nonzero(new))
    indices = ops.take(order, starts, axis=0)
    group = ops.subtract(ops.cumulative_sum(cast(new, dtype_of(order)), axis=0), 1)
    inverse = ops.take(group, ops.argsort(order), axis=0)
    ends = ops.concat([starts, full_like(starts, size)[:1]], axis=0) if size else starts
    counts = ops.subtract(ends[1:], ends[:-1]) if size else starts
    return UniqueAll(
        ops.take(flat, indices, axis=0), indices, ops.reshape(_index(inverse), shape=shape), _index(counts)
    )


def _order(flat: Array) -> Array:
    """A stable order; of complex numbers by real, then by imaginary part."""
    if not is_complex(dtype_of(flat)):
        return argsort(flat)
    minor = argsort(ops.imag(flat))
    major = argsort(ops.take(ops.real(flat), minor, axis=0))
    return _index(ops.take(minor, major, axis=0))


def unique_counts(x: Array, /) -> UniqueCounts:
    """The different elements in order, and how often each is. See `unique_all`."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Array, /) -> UniqueInverse:
    """The different elements in order, and which of them each element is. See `unique_all`."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Array, /) -> Array:
    """The different elements in order. See `unique_all`."""
    return unique_all(x).values


def isin(x1: Any, x2: Any, /, *, invert: bool = False) -> Array:
    """Whether each element of x1 is among those of x2; whether it is not, with ``invert``."""
    x1, x2 = arrays(x1, x2)
    flat = ops.reshape(x2, shape=(*(1,) * len(x1.shape), size_of(x2)))
    column = ops.reshape(x1, shape=(*x1.shape, 1))
    found = any(ops.equal(column, flat), axis=-1)
    return ops.logical_not(found) if invert else found


# -- truth and differences -------------------------------------------------------------------------------------------


def all(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether every element is true (not zero)."""
    return _truth(ops.all, x, axis, keepdims)


def any(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether one element or more is true (not zero)."""
    return _truth(ops.any, x, axis, keepdims)


def _truth(op: Op, x: Array, axis: Axis, keepdims: bool) -> Array:
    axes = normalize_axes(axis, len(x.shape))
    truth = x if dtype_of(x) == "bool" else ops.not_equal(x, 0)
    return op(truth, axis=_plain(axes), keepdims=keepdims) if axes else same(truth)


def diff(
    x: Array, /, *, axis: int = -1, n: int = 1, prepend: Array | None = None, append: Array | None = None
) -> Array:
    """The n-th differences of neighbours along an axis; of truth values whether they differ."""
    parts = [part for part in (prepend, x, append) if part is not None]
    found = ops.concat(parts, axis=axis) if len(parts) > 1 else x
    axis = normalize_axis(axis, len(x.shape))
    lead = ((None, None, None),) * axis
    for _ in range(n):
        size = found.shape[axis]
        ahead = ops.getitem(found, key=(*lead, (1, None, None)))
        behind = ops.getitem(found, key=(*lead, (None, size - 1 if size else 0, None)))
        found = (ops.not_equal if dtype_of(found) == "bool" else ops.subtract)(ahead, behind)
    return same(found) if found is x else found


PLAIN = (
    *(all, any, argmax, argmin, argsort, count_nonzero, cumulative_prod, cumulative_sum, diff, isin, max, mean, min),
    *(nonzero, prod, searchsorted, sort, std, sum, unique_all, unique_counts, unique_inverse, unique_values, var),
    where,
)
