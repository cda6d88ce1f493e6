"""Elements that are gathered, scattered and combined by arrays of positions; segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...errors import ShapeError
from ..backends import is_integer
from ..dims import Size
from ..op import Array, op
from ..spec import Spec, broadcast_shapes, broadcast_specs, normalize_axis, spec_of
from .creation import arange, created, full
from .elementwise import astype, divide, equal, maximum, multiply, not_equal, where
from .indexing import add_along_axis, at_add, getitem, line_grid, put_spec, searchsorted, take
from .nn import stop_gradient
from .reduction import max, mean, prod, sum

_FULL = (None, None, None)


# -- by positions ----------------------------------------------------------------------------------------------------


@op(rule=put_spec, primitive=True)
def at_max(x: Array, indices: Sequence[Array | None], values: Array, /) -> Array:
    """x with ``x[indices]`` replaced by the larger of it and values, which of several values is the largest."""


@op(rule=put_spec, primitive=True)
def at_min(x: Array, indices: Sequence[Array | None], values: Array, /) -> Array:
    """x with ``x[indices]`` replaced by the smaller of it and values, which of several values is the smallest."""


for _op, _name in ((at_max, "max"), (at_min, "min")):
    _op.lower("jax", f"{{x}}.at[{{indices}}].{_name}({{values}})")
    _op.lower(("numpy", "torch", "tensorflow"), f"support.{_op.name}({{x}}, [*{{indices}}], {{values}})")


def _index_add_spec(x: Spec, indices: Spec, values: Spec, *, axis: int) -> Spec:
    axis = normalize_axis(axis, x.ndim)
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    if indices.ndim != 1 or broadcast_shapes(shape, values.shape) != shape:
        raise ShapeError(f"expected positions of (n,) and values of {shape}, received {indices} and {values}")
    return x


@op(rule=_index_add_spec, strict=True)
def index_add(x: Array, indices: Array, values: Array, /, *, axis: int) -> Array:
    """x with slices of values added to its slices at positions of an axis. Source: torch.Tensor.index_add."""
    return at_add(x, [None] * normalize_axis(axis, spec_of(x).ndim) + [indices], values)


index_add.lower(
    "torch",
    "{x}.index_add({axis}, {indices}, {values})",
    when=lambda n: n.values.ndim == n.x.ndim and n.values.shape[n.axis] == n.indices.shape[0],
)


@op(rule=lambda x, mask, *, value: x.with_shape(*broadcast_shapes(x.shape, mask.shape)))
def masked_fill(x: Array, mask: Array, /, *, value: float) -> Array:
    """A number where the mask holds, x elsewhere. Source: torch.Tensor.masked_fill."""
    return where(mask, value, x)


masked_fill.lower("torch", "{x}.masked_fill({mask}, {value})")


_REDUCTIONS = {"sum": "sum", "mean": "mean", "prod": "prod", "max": "amax", "min": "amin"}


def _scatter_spec(x: Spec, indices: Spec, values: Spec, *, axis: int, reduction: str) -> Spec:
    if reduction not in _REDUCTIONS:
        raise ShapeError(f"expected the reduction {', '.join(_REDUCTIONS)}, received {reduction!r}")
    axis = normalize_axis(axis, x.ndim)
    kept = [i for i in range(x.ndim) if i != axis]
    if indices.shape != values.shape or indices.ndim != x.ndim or any(indices.shape[i] != x.shape[i] for i in kept):
        raise ShapeError(
            f"expected positions and values of the shape of {x} but on axis {axis}, received {indices} and {values}"
        )
    broadcast_specs(x.with_shape(), values.with_shape())
    return x


@op(rule=_scatter_spec, promotes=("x", "values"), strict=True)
def scatter_reduce(x: Array, indices: Array, values: Array, /, *, axis: int, reduction: str) -> Array:
    """Along an axis, each element of x combined with the values whose position it has.

    Args:
        x: any shape.
        indices: the shape of x but on the axis; positions along it.
        values: of the shape of indices.
        axis: the axis.
        reduction: "sum", "mean", "prod", "max" or "min"; the element of x is one of what is combined.

    Source: torch.Tensor.scatter_reduce with ``include_self``.
    """
    axis = normalize_axis(axis, spec_of(x).ndim)
    match reduction:
        case "sum":
            return add_along_axis(x, indices, values, axis=axis)
        case "mean":
            ones = created(full, x, shape=spec_of(values).shape, fill_value=1, dtype=spec_of(x).dtype)
            count = add_along_axis(x * 0 + 1, indices, ones, axis=axis)
            return divide(add_along_axis(x, indices, values, axis=axis), stop_gradient(count))
        case "prod":
            size = spec_of(x).shape[axis]
            lead = (_FULL,) * axis
            places = created(arange, x, stop=size, dtype=spec_of(indices).dtype)
            places = getitem(places, key=(_FULL, *(None,) * (spec_of(x).ndim - axis)))
            here = equal(getitem(indices, key=(*lead, None)), places)
            product = prod(where(here, getitem(values, key=(*lead, None)), 1), axis=axis + 1)
            return multiply(x, astype(product, dtype=spec_of(x).dtype))
    return (at_max if reduction == "max" else at_min)(x, line_grid(indices, axis), values)


scatter_reduce.lower(
    "torch",
    "{x}.scatter_reduce({axis}, {indices}, {values}, {reduction})",
    when=lambda n: n.indices.dtype == "int64",
    derive=lambda n: {"reduction": _REDUCTIONS[n.reduction]},
)


# -- segments --------------------------------------------------------------------------------------------------------


def _segment_spec(x: Spec, segment_ids: Spec, *, num_segments: Size) -> Spec:
    if segment_ids.shape != x.shape[:1] or not is_integer(segment_ids.dtype):
        raise ShapeError(f"expected a segment for each slice of {x}, received {segment_ids}")
    return x.with_shape(num_segments, *x.shape[1:])


def _empty(x: Array, num_segments: Size, value: float) -> Array:
    spec = spec_of(x)
    return created(full, x, shape=(num_segments, *spec.shape[1:]), fill_value=value, dtype=spec.dtype)


@op(rule=_segment_spec, strict=True)
def segment_sum(x: Array, segment_ids: Array, /, *, num_segments: Size) -> Array:
    """The sum of the slices of x, along its first axis, that belong to each segment; 0 for one without any.

    Args:
        x: (n, ...).
        segment_ids: (n,), integers from 0 to num_segments - 1 in any order.
        num_segments: how many segments there are.

    Source: jax.ops.segment_sum, tf.math.unsorted_segment_sum.
    """
    return at_add(_empty(x, num_segments, 0), [segment_ids], x)


@op(rule=_segment_spec, strict=True)
def segment_prod(x: Array, segment_ids: Array, /, *, num_segments: Size) -> Array:
    """The product of the slices of each segment; 1 for one without any. Arguments are those of `segment_sum`."""
    places = created(arange, x, stop=num_segments, dtype=spec_of(segment_ids).dtype)
    trailing = (None,) * (spec_of(x).ndim - 1)
    here = equal(getitem(segment_ids, key=(_FULL, None, *trailing)), getitem(places, key=(_FULL, *trailing)))
    return prod(where(here, getitem(x, key=(_FULL, None)), 1), axis=0)


@op(rule=_segment_spec, strict=True)
def segment_max(x: Array, segment_ids: Array, /, *, num_segments: Size) -> Array:
    """The largest of the slices of each segment; -inf for one without any. Arguments are those of `segment_sum`."""
    return at_max(_empty(x, num_segments, -float("inf")), [segment_ids], x)


@op(rule=_segment_spec, strict=True)
def segment_min(x: Array, segment_ids: Array, /, *, num_segments: Size) -> Array:
    """The smallest of the slices of each segment; inf for one without any. Arguments are those of `segment_sum`."""
    return at_min(_empty(x, num_segments, float("inf")), [segment_ids], x)


@op(rule=_segment_spec, strict=True)
def segment_mean(x: Array, segment_ids: Array, /, *, num_segments: Size) -> Array:
    """The mean of the slices of each segment; 0 for one without any. Arguments are those of `segment_sum`.

    Source: tf.math.unsorted_segment_mean.
    """
    spec = spec_of(x)
    ones = created(full, x, shape=spec.shape[:1], fill_value=1, dtype=spec.dtype)
    count = maximum(segment_sum(ones, segment_ids, num_segments=num_segments), 1)
    return segment_sum(x, segment_ids, num_segments=num_segments) / getitem(
        count, key=(_FULL, *(None,) * (spec.ndim - 1))
    )


for _op in (segment_sum, segment_max, segment_min):
    _op.lower("jax", f"jax.ops.{_op.name}({{x}}, {{segment_ids}}, num_segments={{num_segments}})")
for _op in (segment_sum, segment_mean, segment_prod):
    _op.lower("tensorflow", f"tf.math.unsorted_{_op.name}({{x}}, {{segment_ids}}, {{num_segments}})")


# -- bags of embeddings ----------------------------------------------------------------------------------------------


def _within(mode: str, x: Array) -> Array:
    """The members of bags of one length, (batch, length, ...), combined."""
    return {"sum": sum, "mean": mean, "max": max}[mode](x, axis=1)


def _between(offsets: Array, indices: Array) -> Callable[[str, Array], Array]:
    """What combines the members of bags that start at offsets, (n, ...)."""
    every = created(arange, indices, stop=spec_of(indices).shape[0], dtype=spec_of(offsets).dtype)
    bags = searchsorted(offsets, every, side="right") - 1
    reductions = {"sum": segment_sum, "mean": segment_mean, "max": segment_max}
    return lambda mode, x: reductions[mode](x, bags, num_segments=spec_of(offsets).shape[0])


def _bag_spec(
    indices: Spec,
    weight: Spec,
    scales: Spec | None = None,
    offsets: Spec | None = None,
    *,
    mode: str = "mean",
    **_: Any,
) -> Spec:
    if mode not in ("sum", "mean", "max"):
        raise ShapeError(f"expected the mode sum, mean or max, received {mode!r}")
    if indices.ndim != (2 if offsets is None else 1) or weight.ndim != 2 or (offsets is not None and offsets.ndim != 1):
        raise ShapeError(
            f"expected bags (batch, length), or (n,) with offsets (batch,), and a table (rows, features), received "
            f"{indices}, {offsets} and {weight}"
        )
    if scales is not None and (mode != "sum" or scales.shape != indices.shape):
        raise ShapeError(f"expected a scale for each of {indices} and the mode sum, received {scales} and {mode!r}")
    return weight.with_shape((indices if offsets is None else offsets).shape[0], weight.shape[1])


@op(rule=_bag_spec, promotes=("weight", "scales"), strict=True)
def embedding_bag(
    indices: Array,
    weight: Array,
    scales: Array | None = None,
    offsets: Array | None = None,
    /,
    *,
    mode: str = "mean",
    padding_idx: int | None = None,
) -> Array:
    """Rows of a table, added up, averaged or their largest elements taken, for each bag of them.

    Args:
        indices: (batch, length), integers; with offsets (n,), all bags one behind the other.
        weight: (rows, features).
        scales: of the shape of the indices, what rows are multiplied with before they are added; with the mode "sum"
            only.
        offsets: (batch,), integers: where each bag starts, the first at 0. A bag ends where the next one starts.
        mode: "sum", "mean" or "max".
        padding_idx: the row that is no member of any bag; a bag without members gives zeros.

    Source: torch.nn.functional.embedding_bag, whose ``per_sample_weights`` are the scales.
    """
    found = (None if each is None else spec_of(each) for each in (indices, weight, scales, offsets))
    _bag_spec(*found, mode=mode)  # type: ignore[arg-type] bags of another rank would be added up along another axis
    rows = take(weight, indices, axis=0)
    lead = (_FULL,) * spec_of(indices).ndim
    if scales is not None:
        rows = rows * getitem(scales, key=(*lead, None))
    combined = _within if offsets is None else _between(offsets, indices)
    if padding_idx is None and (offsets is None or mode != "max"):
        return combined(mode, rows)
    size = spec_of(weight).shape[0]
    if padding_idx is None:
        member = equal(indices, indices)
    else:
        member = not_equal(indices, padding_idx % size if isinstance(size, int) else padding_idx)
    kept = getitem(member, key=(*lead, None))
    dtype = spec_of(weight).dtype
    count = combined("sum", astype(kept, dtype=dtype))
    if mode == "max":
        largest = combined("max", where(kept, rows, -float("inf")))
        return where(count > 0, largest, 0)
    total = combined("sum", where(kept, rows, 0))
    return total if mode == "sum" else total / maximum(count, 1)


embedding_bag.lower(
    "torch",
    "F.embedding_bag({indices}, {weight}, {offsets}, mode={mode:'mean'}, per_sample_weights={scales},"
    " padding_idx={padding_idx})",
    when=lambda n: n.indices.dtype in ("int64", "int32") and (n.offsets is None or n.offsets.dtype == n.indices.dtype),
)
