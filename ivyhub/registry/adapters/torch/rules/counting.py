"""Histograms, and reductions of the segments of an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .....engine import ops
from .....engine.ops.creation import created, scalar
from .....errors import CaptureError
from .common import RULES, Array, cast, dtype_of, shape_of
from .shape import view


def _counted(places: Array, valid: Array, weight: Array | None, bins: int, dtype: str) -> Array:
    """How many valid elements, or what weight, each place has."""
    amount = cast(valid, dtype) if weight is None else ops.where(valid, view(weight, (-1,)), 0)
    return ops.segment_sum(amount, ops.where(valid, places, 0), num_segments=bins)


@RULES("aten.histc.default")
def histc(x: Array, bins: int = 100, low: float = 0, high: float = 0) -> Array:
    """Counts of bins of equal width; between the least and the largest element where no range is given."""
    x, dtype = view(x, (-1,)), dtype_of(x)
    least, largest = (ops.min(x), ops.max(x)) if low == high else (scalar(low, dtype, x), scalar(high, dtype, x))
    single = ops.equal(least, largest)
    least, largest = ops.where(single, least - 1, least), ops.where(single, largest + 1, largest)
    valid = ops.logical_and(ops.greater_equal(x, least), ops.less_equal(x, largest))
    inner = ops.where(valid, x, least)
    places = ops.astype(ops.floor((inner - least) * bins / (largest - least)), dtype="int64")
    return _counted(ops.minimum(places, bins - 1), valid, None, bins, dtype)


def _by_edges(
    columns: Sequence[Array], edges: Sequence[Array], weight: Array | None, density: bool, dtype: str
) -> Array:
    """Counts between edges along each axis, of which the last ones belong to their bins."""
    counts = [int(shape_of(each)[0]) - 1 for each in edges]
    places: Any = 0
    valid: Any = True
    for x, bins, count in zip(columns, edges, counts, strict=True):
        least, largest = ops.getitem(bins, key=(0,)), ops.getitem(bins, key=(count,))
        valid = ops.logical_and(valid, ops.logical_and(ops.greater_equal(x, least), ops.less_equal(x, largest)))
        place = ops.astype(ops.searchsorted(bins, x, side="right"), dtype="int64") - 1
        places = places * count + ops.clip(place, min=0, max=count - 1)
    found = ops.reshape(_counted(places, valid, weight, math.prod(counts), dtype), shape=tuple(counts))
    if not density:
        return found
    total = ops.sum(found)
    for axis, (bins, count) in enumerate(zip(edges, counts, strict=True)):
        widths = ops.getitem(bins, key=((1, None, None),)) - ops.getitem(bins, key=((None, count, None),))
        found = found / ops.reshape(widths, shape=(count, *(1,) * (len(counts) - axis - 1)))
    return found / total


def _edges(x: Array, bins: int, low: float | None, high: float | None) -> Array:
    """Of bins of equal width; between the least and the largest element where no range is given."""
    dtype = dtype_of(x)
    low, high = (0.0, 1.0) if low is None and 0 in shape_of(x) else (low, high)
    if low is not None and high is not None:
        return created(ops.linspace, x, start=float(low), stop=float(high), num=bins + 1, dtype=dtype)
    least, largest = ops.min(x), ops.max(x)
    single = ops.equal(least, largest)
    least, largest = ops.where(single, least - 0.5, least), ops.where(single, largest + 0.5, largest)
    steps = created(ops.linspace, x, start=0.0, stop=1.0, num=bins + 1, dtype=dtype)
    last = ops.equal(created(ops.arange, x, stop=bins + 1), bins)
    return ops.where(last, largest, least + steps * (largest - least))


@RULES("aten.histogram.bins_tensor")
def histogram_of(x: Array, bins: Array, *, weight: Array | None = None, density: bool = False) -> tuple[Array, Array]:
    return _by_edges([view(x, (-1,))], [bins], weight, density, dtype_of(x)), bins


@RULES("aten.histogram.bin_ct")
def histogram(
    x: Array,
    bins: int = 100,
    *,
    range: Sequence[float] | None = None,
    weight: Array | None = None,
    density: bool = False,
) -> tuple[Array, Array]:
    x = view(x, (-1,))
    return histogram_of(x, _edges(x, bins, *(range or (None, None))), weight=weight, density=density)


def _columns(x: Array) -> list[Array]:
    """The coordinates of points, each in a row that lies together in memory, as PyTorch searches."""
    rows = view(x, (-1, shape_of(x)[-1]))
    count, flat = shape_of(rows)[0], view(ops.transpose(rows, axes=(1, 0)), (-1,))
    places = range(int(shape_of(x)[-1]))
    return [ops.getitem(flat, key=((axis * count, (axis + 1) * count, None),)) for axis in places]


@RULES("aten.histogramdd.TensorList_bins")
def histogramdd_of(
    x: Array,
    bins: Sequence[Array],
    range: Sequence[float] | None = None,
    weight: Array | None = None,
    density: bool = False,
) -> tuple[Array, list[Array]]:
    """Counts of the points that are the last axis of an array."""
    return _by_edges(_columns(x), bins, weight, density, dtype_of(x)), list(bins)


@RULES("aten.histogramdd.default")
def histogramdd(
    x: Array,
    bins: Sequence[int],
    range: Sequence[float] | None = None,
    weight: Array | None = None,
    density: bool = False,
) -> tuple[Array, list[Array]]:
    ends = [None] * (2 * len(bins)) if range is None else range
    pairs = zip(_columns(x), bins, ends[::2], ends[1::2], strict=True)
    return histogramdd_of(x, [_edges(*each) for each in pairs], weight=weight, density=density)


@RULES("aten.histogramdd.int_bins")
def histogramdd_alike(
    x: Array,
    bins: int,
    range: Sequence[float] | None = None,
    weight: Array | None = None,
    density: bool = False,
) -> tuple[Array, list[Array]]:
    return histogramdd(x, [bins] * int(shape_of(x)[-1]), range, weight, density)


_NEUTRAL = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "max": -float("inf"), "min": float("inf")}


@RULES("aten.segment_reduce.default")
def segment_reduce(
    data: Array,
    reduce: str,
    *,
    lengths: Array | None = None,
    indices: Array | None = None,
    offsets: Array | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: Any = None,
) -> Array:
    """Segments of an axis, one behind the other, by their lengths or by where they start and end."""
    if indices is not None:
        raise CaptureError("segment_reduce by indices", hint="give it lengths or offsets")
    shape = shape_of(data)
    if offsets is None:
        assert lengths is not None
        ends = ops.cumulative_sum(lengths, axis=axis)
        starts = ends - lengths
    else:
        full = ((None, None, None),) * axis
        starts = ops.getitem(offsets, key=(*full, (None, -1, None)))
        ends = ops.getitem(offsets, key=(*full, (1, None, None)))
    every = created(ops.arange, data, stop=shape[axis], dtype=dtype_of(ends))
    column = (*((None, None, None),) * (axis + 1), None)
    within = ops.logical_and(
        ops.greater_equal(every, ops.getitem(starts, key=column)), ops.less(every, ops.getitem(ends, key=column))
    )
    member = ops.reshape(within, shape=(*shape_of(within), *(1,) * (len(shape) - axis - 1)))
    neutral = _NEUTRAL[reduce] if initial is None else float(initial)
    rows = ops.getitem(data, key=(*((None, None, None),) * axis, None))
    first = _NEUTRAL[reduce]
    kept = ops.where(member, rows, first)
    if reduce in ("sum", "mean"):
        total = ops.sum(kept, axis=axis + 1) + (0.0 if initial is None else neutral)
        if reduce == "sum":
            return total
        count = ops.sum(cast(member, dtype_of(data)), axis=axis + 1)
        empty = float("nan") if initial is None else neutral
        return ops.where(ops.equal(count, 0), empty, total / ops.maximum(count, 1))
    if reduce == "prod":
        return ops.prod(kept, axis=axis + 1) * neutral
    found = (ops.max if reduce == "max" else ops.min)(kept, axis=axis + 1)
    return (ops.maximum if reduce == "max" else ops.minimum)(found, neutral)
