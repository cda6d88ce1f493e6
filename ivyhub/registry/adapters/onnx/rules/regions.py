"""Pooling over regions of images."""

from __future__ import annotations

import numpy as np

from .....engine import ops
from .....errors import CaptureError
from .common import FULL, RULES, Array, cast, dtype_of, static_shape


@RULES("RoiAlign")
def roi_align(
    x: Array,
    rois: Array,
    batch_indices: Array,
    *,
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Array:
    """As before opset 16: regions are not moved by half a pixel."""
    return roi_align_moved(
        *(x, rois, batch_indices),
        coordinate_transformation_mode="output_half_pixel",
        mode=mode,
        output_height=output_height,
        output_width=output_width,
        sampling_ratio=sampling_ratio,
        spatial_scale=spatial_scale,
    )


@RULES("RoiAlign-16")
def roi_align_moved(
    x: Array,
    rois: Array,
    batch_indices: Array,
    *,
    coordinate_transformation_mode: str = "half_pixel",
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Array:
    """The mean, or the largest, of samples in each part of each region. Source: He et al. 2017, arXiv:1703.06870."""
    if sampling_ratio <= 0:
        raise CaptureError("RoiAlign expected a sampling_ratio: without, the number of samples depends on the regions")
    if mode not in ("avg", "max"):
        raise CaptureError(f"expected the mode avg or max, received {mode!r}")
    _, channels, height, width = static_shape(x, "RoiAlign")
    count = static_shape(rois, "RoiAlign")[0]
    half = coordinate_transformation_mode == "half_pixel"
    corners = ops.subtract(ops.multiply(rois, spatial_scale), 0.5 if half else 0.0)
    places: list[Array] = []
    for low, parts in ((1, output_height), (0, output_width)):
        start, stop = (ops.getitem(corners, key=(FULL, at)) for at in (low, low + 2))
        size = ops.subtract(stop, start)
        size = size if half else ops.maximum(size, cast(np.asarray(1.0), dtype_of(rois)))
        steps = (np.arange(parts * sampling_ratio) + 0.5) / (sampling_ratio * parts)
        along = ops.multiply(ops.reshape(size, shape=(count, 1)), cast(steps, dtype_of(rois)))
        places.append(ops.add(ops.reshape(start, shape=(count, 1)), along))
    rows, columns = output_height * sampling_ratio, output_width * sampling_ratio
    y = ops.broadcast_to(ops.reshape(places[0], shape=(count, rows, 1)), shape=(count, rows, columns))
    z = ops.broadcast_to(ops.reshape(places[1], shape=(count, 1, columns)), shape=(count, rows, columns))
    images = ops.take(x, cast(batch_indices, "int64"), axis=0)
    terms = _weighted(images, y, z, (count, channels, height, width), rows * columns)
    shape = (count, channels, output_height, sampling_ratio, output_width, sampling_ratio)
    if mode == "max":  # of the four terms of each sample, as the standard's own kernel has it
        best = terms[0]
        for term in terms[1:]:
            best = ops.maximum(best, term)
        return ops.max(ops.reshape(best, shape=shape), axis=(3, 5))
    total = terms[0]
    for term in terms[1:]:
        total = ops.add(total, term)
    return ops.mean(ops.reshape(total, shape=shape), axis=(3, 5))


def _weighted(x: Array, y: Array, z: Array, sizes: tuple[int, int, int, int], samples: int) -> list[Array]:
    """The four neighbours of each place, each times its share; nothing where a place is beyond the image."""
    count, channels, height, width = sizes
    dtype = dtype_of(x)
    inside = ops.logical_and(
        ops.logical_and(ops.greater_equal(y, -1.0), ops.less_equal(y, float(height))),
        ops.logical_and(ops.greater_equal(z, -1.0), ops.less_equal(z, float(width))),
    )
    found: list[Array] = []
    ends: list[tuple[Array, Array, Array]] = []
    for place, size in ((y, height), (z, width)):
        place = ops.clip(place, min=0.0, max=float(size - 1))
        low = ops.clip(ops.floor(place), min=0.0, max=float(size - 1))
        ends.append((low, ops.clip(ops.add(low, 1.0), min=0.0, max=float(size - 1)), ops.subtract(place, low)))
    flat = ops.reshape(x, shape=(count, channels, height * width))
    for row in (0, 1):
        for column in (0, 1):
            share_y = ends[0][2] if row else ops.subtract(1.0, ends[0][2])
            share_z = ends[1][2] if column else ops.subtract(1.0, ends[1][2])
            share = ops.multiply(ops.multiply(share_y, share_z), cast(inside, dtype))
            at = ops.add(ops.multiply(cast(ends[0][row], "int64"), width), cast(ends[1][column], "int64"))
            at = ops.broadcast_to(ops.reshape(at, shape=(count, 1, samples)), shape=(count, channels, samples))
            picked = ops.take_along_axis(flat, at, axis=2)
            found.append(ops.multiply(picked, ops.reshape(share, shape=(count, 1, samples))))
    return found
