"""Choosing elements: by position, by an array of positions, by rank.

Source: Array API Standard 2025.12, "Indexing", "Searching" and "Sorting functions"; NumPy's advanced indexing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ...errors import DTypeError, ShapeError
from ..backends import is_integer
from ..dims import Dim, Size
from ..op import Array, DType, Source, op
from ..spec import (
    Pick,
    Spec,
    broadcast_shapes,
    indexed_shape,
    normalize_axis,
    same_as_first,
    spec_of,
)
from .creation import arange, created, scalar
from .elementwise import add, astype, equal, less, where
from .shape import reshape

# -- basic indexing --------------------------------------------------------------------------------------------------


def _native_key(n: SimpleNamespace) -> Mapping[str, Any]:
    items = tuple(slice(*item) if isinstance(item, tuple) else item for item in n.key)
    return {"key": Source("None") if items == (None,) else items[0] if len(items) == 1 else items}


def _backwards(n: SimpleNamespace) -> bool:
    return any(isinstance(item, tuple) and isinstance(item[2], int) and item[2] < 0 for item in n.key)


def _getitem_spec(x: Spec, *, key: Sequence[Pick]) -> Spec:
    return x.with_shape(*indexed_shape(x.shape, key))


@op(rule=_getitem_spec, primitive=True)
def getitem(x: Array, /, *, key: tuple[Pick, ...]) -> Array:
    """x[key], with a key of basic kind.

    Args:
        x: any shape.
        key: one item an axis, the last ones left out where they are full slices: a position, (start, stop, step) for
            a slice, or None for a new axis (see `spec.basic_key`). A symbolic bound lies within its axis.
    """


def _flip_axes(n: SimpleNamespace) -> Mapping[str, Any]:
    axes = [item for item in n.key if item is not None]
    return {"axes": tuple(i for i, item in enumerate(axes) if item == (None, None, -1))}


def _only_flips(n: SimpleNamespace) -> bool:
    return all(item in ((None, None, None), (None, None, -1)) for item in n.key) and _backwards(n)


getitem.lower("torch", "{x}.flip({axes})", when=_only_flips, derive=_flip_axes)
getitem.lower("torch", "{x}[{key}]", when=lambda n: not _backwards(n), derive=_native_key)
getitem.lower(("numpy", "jax", "tensorflow"), "{x}[{key}]", derive=_native_key)


# -- by arrays of positions ------------------------------------------------------------------------------------------


def _positions(indices: Spec) -> Spec:
    if not is_integer(indices.dtype):
        raise DTypeError(
            f"expected an integer array of positions, received {indices}", hint="choose by a mask with where"
        )
    return indices


def _from_start_spec(indices: Spec, x: Spec, *, axis: int) -> Spec:
    normalize_axis(axis, x.ndim)
    return _positions(indices).with_dtype("int64")


@op(rule=_from_start_spec)
def from_start(indices: Array, x: Array, /, *, axis: int) -> Array:
    """Positions on an axis of x, counted from its start: those below 0 count from its end.

    Of any integer dtype, as int64: smaller ones may not hold the size, and frameworks choose by few.
    """
    dtype, size = spec_of(indices).dtype, spec_of(x).shape[axis]
    places = indices if dtype == "int64" else astype(indices, dtype="int64")
    if dtype.startswith("u"):
        return places
    return where(less(places, 0), add(places, scalar(size, "int64", places) if isinstance(size, Dim) else size), places)


def _take_spec(x: Spec, indices: Spec, *, axis: int) -> Spec:
    axis = normalize_axis(axis, x.ndim)
    return x.with_shape(*x.shape[:axis], *_positions(indices).shape, *x.shape[axis + 1 :])


@op(rule=_take_spec)
def take(x: Array, indices: Array, /, *, axis: int) -> Array:
    """The slices of x at the given positions, from the start of an axis, in the shape of ``indices``."""
    return index(x, [None] * normalize_axis(axis, spec_of(x).ndim) + [indices])


take.lower(("torch", "jax", "numpy"), "{x}[{indices}]", when=lambda n: n.axis in (0, -n.x.ndim))
take.lower("torch", "{x}.index_select({axis}, {indices})", when=lambda n: n.indices.ndim == 1)
take.lower(("jax", "numpy"), "{x}.take({indices}, axis={axis})")
take.lower("tensorflow", "tf.gather({x}, {indices}, axis={axis:0})")


def _index_spec(x: Spec, indices: Sequence[Spec | None], **_: Any) -> Spec:
    return x.with_shape(*_index_shape(x.shape, indices))


def _index_shape(shape: Sequence[Size], indices: Sequence[Spec | None]) -> tuple[Size, ...]:
    """NumPy's rule: the new axes stand where the indexed ones stood if these are neighbours, else first."""
    if len(indices) > len(shape):
        raise ShapeError(f"expected at most {len(shape)} indices, received {len(indices)}")
    axes = [i for i, each in enumerate(indices) if each is not None]
    if not axes:
        raise ShapeError("expected an array among the indices")
    found = broadcast_shapes(*(_positions(each).shape for each in indices if each is not None))
    kept = [size for i, size in enumerate(shape) if i not in axes]
    place = axes[0] if axes == list(range(axes[0], axes[-1] + 1)) else 0
    return (*kept[:place], *found, *kept[place:])


@op(rule=_index_spec, primitive=True)
def index(x: Array, indices: Sequence[Array | None], /) -> Array:
    """x[indices], NumPy's advanced indexing: integer arrays that broadcast, and None for an axis taken whole."""


index.lower(("torch", "jax", "numpy"), "{x}[{indices}]")
index.lower("tensorflow", "support.index({x}, [*{indices}])")


def put_spec(x: Spec, indices: Sequence[Spec | None], values: Any) -> Spec:
    """The spec of x with values put at indices: that of x."""
    shape = _index_shape(x.shape, indices)
    if isinstance(values, Spec):
        if values.dtype != x.dtype:
            raise DTypeError(f"expected values of {x.dtype}, received {values}", hint="cast them with astype")
        if broadcast_shapes(shape, values.shape) != shape:
            raise ShapeError(f"expected values that broadcast to {shape}, received {values}")
    return x


@op(rule=put_spec, primitive=True)
def at_set(x: Array, indices: Sequence[Array | None], values: Array, /) -> Array:
    """x with ``x[indices]`` replaced. Where a position comes twice, which value stays is not defined."""


@op(rule=put_spec, primitive=True)
def at_add(x: Array, indices: Sequence[Array | None], values: Array, /) -> Array:
    """x with values added to ``x[indices]``; where a position comes twice, both are added."""


at_set.lower("jax", "{x}.at[{indices}].set({values})")
at_add.lower("jax", "{x}.at[{indices}].add({values})")
for _op in (at_set, at_add):
    _op.lower(("numpy", "tensorflow"), f"support.{_op.name}({{x}}, [*{{indices}}], {{values}})")


def _plain(n: SimpleNamespace) -> bool:
    return None not in n.indices and isinstance(n.values, Spec)


at_set.lower("torch", "{x}.index_put([*{indices}], {values})", when=_plain)
at_add.lower("torch", "{x}.index_put([*{indices}], {values}, accumulate=True)", when=_plain)
at_set.lower("torch", "support.at_set({x}, [*{indices}], {values})")
at_add.lower("torch", "support.at_add({x}, [*{indices}], {values})")


def _along_axis_spec(x: Spec, indices: Spec, *, axis: int) -> Spec:
    axis = normalize_axis(axis, x.ndim)
    if _positions(indices).ndim != x.ndim:
        raise ShapeError(f"expected positions with {x.ndim} axes, received {indices}")
    ours, theirs = list(x.shape), list(indices.shape)
    ours[axis] = theirs[axis]
    return x.with_shape(*broadcast_shapes(ours, theirs))


@op(rule=_along_axis_spec, primitive=True, strict=True)
def take_along_axis(x: Array, indices: Array, /, *, axis: int) -> Array:
    """For each line along an axis, its elements at the positions, from its start, in the same line of ``indices``."""


take_along_axis.lower(
    "torch",
    "{x}.gather({axis}, {indices})",  # the other asks for its sizes as numbers when it is exported
    when=lambda n: all(n.indices.shape[i] == n.x.shape[i] for i in range(n.x.ndim) if i != n.axis % n.x.ndim),
)
take_along_axis.lower("torch", "{x}.take_along_dim({indices}, dim={axis})")
take_along_axis.lower("jax", "jnp.take_along_axis({x}, {indices}, axis={axis})")
take_along_axis.lower("numpy", "np.take_along_axis({x}, {indices}, axis={axis})")
take_along_axis.lower(
    "tensorflow",
    "tf.gather({x}, {indices}, batch_dims={last:0})",  # the other is some sixty operations
    when=lambda n: n.axis in (-1, n.x.ndim - 1) and n.indices.shape[:-1] == n.x.shape[:-1],
    derive=lambda n: {"last": n.x.ndim - 1},
)
take_along_axis.lower("tensorflow", "tf.experimental.numpy.take_along_axis({x}, {indices}, axis={axis})")


def line_grid(indices: Array, axis: int) -> list[Array]:
    """Positions on every axis, so that ``x[grid]`` is ``take_along_axis(x, indices, axis)``."""
    spec = spec_of(indices)
    axis = normalize_axis(axis, spec.ndim)
    lines = []
    for i, size in enumerate(spec.shape):
        line = created(arange, indices, stop=size, dtype=spec.dtype)
        lines.append(reshape(line, shape=tuple(size if i == j else 1 for j in range(spec.ndim))))
    lines[axis] = indices
    return lines


@op(rule=same_as_first)
def set_along_axis(x: Array, indices: Array, values: Array, /, *, axis: int) -> Array:
    """x with the elements of `take_along_axis` replaced. Source: numpy.put_along_axis, torch.scatter."""
    return at_set(x, line_grid(indices, axis), values)


set_along_axis.lower(
    "torch",
    "{x}.scatter({axis}, {indices}, {values})",
    when=lambda n: not isinstance(n.values, Spec) or (n.values.shape == n.indices.shape),
)


@op(rule=same_as_first)
def add_along_axis(x: Array, indices: Array, values: Array, /, *, axis: int) -> Array:
    """x with values added to the elements of `take_along_axis`. Source: torch.scatter_add."""
    return at_add(x, line_grid(indices, axis), values)


add_along_axis.lower(
    "torch",
    "{x}.scatter_add({axis}, {indices}, {values})",
    when=lambda n: isinstance(n.values, Spec) and (n.values.shape == n.indices.shape),
)


def _one_hot_spec(x: Spec, *, num_classes: Size, dtype: str) -> Spec:
    return Spec((*_positions(x).shape, num_classes), dtype)


@op(rule=_one_hot_spec, strict=True)
def one_hot(x: Array, /, *, num_classes: Size, dtype: DType = "float32") -> Array:
    """1 at position x of a new last axis, 0 elsewhere."""
    classes = created(arange, x, stop=num_classes, dtype=spec_of(x).dtype)
    return astype(equal(getitem(x, key=(*((None, None, None),) * spec_of(x).ndim, None)), classes), dtype=dtype)


one_hot.lower("torch", "F.one_hot({x}, {num_classes})", when=lambda n: n.dtype == "int64" and n.x.dtype == "int64")
one_hot.lower("torch", "F.one_hot({x}, {num_classes}).to({dtype})", when=lambda n: n.x.dtype == "int64")
one_hot.lower("jax", "jax.nn.one_hot({x}, {num_classes}, dtype={dtype:jnp.float32})")
one_hot.lower("tensorflow", "tf.one_hot({x}, {num_classes}, dtype={dtype:tf.float32})")
one_hot.lower("numpy", "np.eye({num_classes}, dtype={dtype:np.float64})[{x}]")


# -- triangles -------------------------------------------------------------------------------------------------------


def _matrix_spec(x: Spec, *, k: int = 0) -> Spec:
    if x.ndim < 2:
        raise ShapeError(f"expected two axes or more, received {x}")
    return x


def _below(x: Array, k: int) -> Array:
    """Where the last two axes are on or below the k-th diagonal."""
    rows, columns = spec_of(x).shape[-2:]
    row = reshape(created(arange, x, stop=rows, dtype="int32"), shape=(rows, 1))
    return created(arange, x, stop=columns, dtype="int32") <= row + k


@op(rule=_matrix_spec)
def tril(x: Array, /, *, k: int = 0) -> Array:
    """The last two axes on and below the k-th diagonal; zeros (False) above."""
    return _chosen(_below(x, k), x)


@op(rule=_matrix_spec)
def triu(x: Array, /, *, k: int = 0) -> Array:
    """The last two axes on and above the k-th diagonal; zeros (False) below."""
    return _chosen(~_below(x, k - 1), x)


def _chosen(condition: Array, x: Array) -> Array:
    return condition & x if spec_of(x).dtype == "bool" else where(condition, x, 0)


for _op in (tril, triu):
    _op.lower("torch", f"{{x}}.{_op.name}({{k:0}})")
    _op.lower("jax", f"jnp.{_op.name}({{x}}, {{k:0}})").lower("numpy", f"np.{_op.name}({{x}}, {{k:0}})")


def _in_band(k: int, size: Size) -> bool:
    """Whether TensorFlow takes so many diagonals: not below 0, and not beyond an axis."""
    return k == 0 or (isinstance(size, int) and 0 < k <= size)


tril.lower("tensorflow", "tf.linalg.band_part({x}, -1, {k})", when=lambda n: _in_band(n.k, n.x.shape[-1]))
triu.lower(
    "tensorflow",
    "tf.linalg.band_part({x}, {above}, -1)",
    when=lambda n: _in_band(-n.k, n.x.shape[-2]),
    derive=lambda n: {"above": -n.k},
)


# -- by rank ---------------------------------------------------------------------------------------------------------


@op(rule=same_as_first, primitive=True)
def sort(x: Array, /, *, axis: int = -1, descending: bool = False) -> Array:
    """The elements along an axis in order."""


@op(rule=lambda x, *, axis=-1, descending=False: x.with_dtype("int64"), primitive=True)
def argsort(x: Array, /, *, axis: int = -1, descending: bool = False) -> Array:
    """The positions along an axis that put its elements in order, as int64; equal elements keep theirs."""


sort.lower("torch", "{x}.sort(dim={axis:-1}, descending={descending:False}).values")
argsort.lower("torch", "{x}.argsort(dim={axis:-1}, descending={descending:False}, stable=True)")
sort.lower("jax", "jnp.sort({x}, axis={axis:-1}, descending={descending:False})")
argsort.lower("jax", "jnp.argsort({x}, axis={axis:-1}, descending={descending:False})")
_DIRECTION: Any = {"derive": lambda n: {"direction": "DESCENDING" if n.descending else "ASCENDING"}}
_FRACTIONS: Any = {"dtypes": ("bfloat16", "float16", "float32", "float64")}  # of which TensorFlow has no order of nan
for _op in (sort, argsort):
    _op.lower("tensorflow", f"support.{_op.name}({{x}}, {{axis:-1}}, {{descending:False}})", **_FRACTIONS)
sort.lower("tensorflow", "tf.sort({x}, axis={axis:-1}, direction={direction:'ASCENDING'})", **_DIRECTION)
argsort.lower(
    "tensorflow",
    "tf.cast(tf.argsort({x}, axis={axis:-1}, direction={direction:'ASCENDING'}, stable=True), tf.int64)",
    **_DIRECTION,
)
sort.lower("numpy", "np.flip(np.sort({x}, axis={axis:-1}), axis={axis})", when=lambda n: n.descending)
sort.lower("numpy", "np.sort({x}, axis={axis:-1})")
argsort.lower("numpy", "support.argsort_descending({x}, axis={axis:-1})", when=lambda n: n.descending)
argsort.lower("numpy", "np.argsort({x}, axis={axis:-1}, kind='stable')")


def _topk_spec(x: Spec, *, k: Size, axis: int = -1) -> tuple[Spec, Spec]:
    axis = normalize_axis(axis, x.ndim)
    size = x.shape[axis]
    if isinstance(k, int) and isinstance(size, int) and k > size:
        raise ShapeError(f"expected k at most {size}, received {k}")
    shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
    return x.with_shape(*shape), Spec(shape, "int64")


@op(rule=_topk_spec, strict=True)
def topk(x: Array, /, *, k: Size, axis: int = -1) -> tuple[Array, Array]:
    """The k largest elements along an axis, in descending order, and their positions (int64)."""
    order = argsort(x, axis=axis, descending=True)
    positions = getitem(order, key=(*((None, None, None),) * normalize_axis(axis, spec_of(x).ndim), (None, k, None)))
    return take_along_axis(x, positions, axis=axis), positions


topk.lower("torch", "{x}.topk({k}, dim={axis:-1})")
topk.lower("jax", "lax.top_k({x}, {k})", when=lambda n: n.axis in (-1, n.x.ndim - 1))


def _searchsorted_spec(x1: Spec, x2: Spec, *, side: str) -> Spec:
    if x1.ndim != 1:
        raise ShapeError(f"expected a sorted vector, received {x1}")
    if side not in ("left", "right"):
        raise ShapeError(f"expected side 'left' or 'right', received {side!r}")
    return Spec(x2.shape, "int64")


@op(rule=_searchsorted_spec, primitive=True, promotes=("x1", "x2"), strict=True)
def searchsorted(x1: Array, x2: Array, /, *, side: str = "left") -> Array:
    """Where each number of x2 belongs in the sorted vector x1, as int64: before its equals, or after ("right")."""


searchsorted.lower("torch", "torch.searchsorted({x1}, {x2}, side={side:'left'})")
searchsorted.lower("numpy", "np.searchsorted({x1}, {x2}, side={side:'left'})")
searchsorted.lower("jax", "jnp.searchsorted({x1}, {x2}, side={side:'left'})")
searchsorted.lower("tensorflow", "support.searchsorted({x1}, {x2}, side={side:'left'})")
searchsorted.lower(
    "torch",
    "torch.searchsorted(support.ordered({x1}), support.ordered({x2}), side={side:'left'})",
    dtypes=("uint64",),
)
