"""Places in sorted arrays, segments of rows, and sequences of unequal lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .....engine import ops
from .....engine.dims import product
from .....errors import CaptureError
from .common import FULL, Array, cast, dtype_of, reads, reshape, shape_of


@reads("LowerBound")
def lower_bound(line: Array, x: Array, *, out_type: str) -> Array:
    return _places(line, x, out_type, "left")


@reads("UpperBound")
def upper_bound(line: Array, x: Array, *, out_type: str) -> Array:
    return _places(line, x, out_type, "right")


def _places(line: Array, x: Array, dtype: str, side: str) -> Array:
    """Where each number of a row belongs in the sorted row of the same number: how many stand before it."""
    if shape_of(line)[0] == 1:
        return cast(ops.searchsorted(ops.getitem(line, key=(0,)), x, side=side), dtype)
    before = ops.less if side == "left" else ops.less_equal
    found = before(ops.getitem(line, key=(FULL, None)), ops.getitem(x, key=(FULL, FULL, None)))
    return cast(ops.sum(cast(found, "int32"), axis=-1), dtype)


@reads("Bucketize")
def bucketize(x: Array, *, boundaries: Sequence[float]) -> Array:
    dtype = "float64" if dtype_of(x) == "float64" else "float32"
    return cast(ops.searchsorted(np.asarray(boundaries, dtype), cast(x, dtype), side="right"), "int32")


@reads("HistogramFixedWidth", known=(1, 2))
def histogram(x: Array, span: Sequence[float], count: int, *, dtype: str) -> Array:
    """How many numbers are in each of the bins between two bounds; what is beyond them is in the outermost."""
    low, high = span
    scaled = ops.multiply(ops.divide(ops.subtract(reshape(x, (product(shape_of(x)),)), low), high - low), float(count))
    place = cast(ops.floor(ops.minimum(ops.maximum(scaled, 0.0), float(count - 1))), "int32")
    return cast(ops.sum(ops.one_hot(place, num_classes=count, dtype="int32"), axis=0), dtype)


@reads("InTopKV2", known=(2,))
def in_top_k(x: Array, targets: Array, k: int) -> Array:
    """Whether fewer than k numbers of a row are greater than the one at its target, all of them finite."""
    own = ops.take_along_axis(x, ops.getitem(cast(targets, "int64"), key=(FULL, None)), axis=1)
    beyond = ops.sum(cast(ops.greater(x, own), "int32"), axis=1)
    return ops.logical_and(ops.all(ops.isfinite(x), axis=1), ops.less(beyond, k))


@reads("InvertPermutation")
def invert_permutation(x: Array) -> Array:
    return cast(ops.argsort(x), dtype_of(x))


@reads("ReverseSequence")
def reverse_sequence(x: Array, lengths: Array, *, seq_dim: int, batch_dim: int) -> Array:
    """The first elements of each row in the opposite order, as many as its length says."""
    ndim = len(shape_of(x))

    def along(vector: Array, axis: int) -> Array:
        return ops.getitem(vector, key=tuple(FULL if place == axis else None for place in range(ndim)))

    place = along(ops.arange(stop=shape_of(x)[seq_dim], dtype="int64"), seq_dim)
    last = along(cast(lengths, "int64"), batch_dim)
    turned = ops.where(ops.less(place, last), ops.subtract(ops.subtract(last, place), 1), place)
    return ops.take_along_axis(x, ops.broadcast_to(turned, shape=shape_of(x)), axis=seq_dim)


def _of_sorted(op: Callable[..., Array], *, empty: bool) -> Callable[..., Array]:
    def rule(x: Array, ids: Sequence[int]) -> Array:
        """Segments whose numbers are known, for they say how many rows there are."""
        count = max(ids, default=-1) + 1
        if not empty and set(ids) != {*range(count)}:
            raise CaptureError("segments without any row are unknown", hint="use tf.math.unsorted_segment_max")
        return op(x, np.asarray(ids, np.int32), num_segments=count)

    return rule


for _name, _op, _empty in (
    ("SegmentSum", ops.segment_sum, True),
    ("SegmentSumV2", ops.segment_sum, True),
    ("SegmentMean", ops.segment_mean, False),
    ("SegmentProd", ops.segment_prod, True),
    ("SegmentProdV2", ops.segment_prod, True),
    ("SegmentMax", ops.segment_max, False),
    ("SegmentMaxV2", ops.segment_max, False),
    ("SegmentMin", ops.segment_min, False),
    ("SegmentMinV2", ops.segment_min, False),
):
    reads(_name, known=(1,))(_of_sorted(_op, empty=_empty))


@reads("CumulativeLogsumexp", known=(1,))
def cumulative_logsumexp(x: Array, axis: int, *, exclusive: bool, reverse: bool) -> Array:
    from .....engine.control_flow import associative_scan  # which stands above the operations

    axis %= len(shape_of(x))
    if exclusive:
        raise CaptureError("the cumulative logsumexp of what stands before each element is unknown")
    return associative_scan(ops.logaddexp, x, axis=axis, reverse=reverse)
