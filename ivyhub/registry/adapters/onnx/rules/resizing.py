"""Resize and Upsample: each axis by a matrix of weights, or by positions where it takes the nearest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.dims import Dim
from .....errors import CaptureError
from .common import RULES, Array, cast, dtype_of, is_floating, rank_of, shape_of, static, static_sizes


@RULES("Upsample")
def upsample_attribute(x: Array, *, scales: tuple[float, ...], mode: str = "nearest") -> Array:
    return upsample(x, np.asarray(scales, np.float32), mode=mode)


@RULES("Upsample-9")
def upsample(x: Array, scales: Any, *, mode: str = "nearest") -> Array:
    return resize_asymmetric(x, scales, mode=mode)


@RULES("Resize-10")
def resize_asymmetric(x: Array, scales: Any, *, mode: str = "nearest") -> Array:
    return resize(x, None, scales, coordinate_transformation_mode="asymmetric", mode=mode, nearest_mode="floor")


@RULES("Resize-11")
def resize(
    x: Array,
    roi: Any = None,
    scales: Any = None,
    sizes: Any = None,
    *,
    antialias: int = 0,
    axes: tuple[int, ...] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Array:
    ndim = rank_of(x)
    chosen = list(range(ndim)) if axes is None else [axis % ndim for axis in axes]
    before = [shape_of(x)[axis] for axis in chosen]
    factors: list[Any] = []
    after: list[Any]
    scales = None if scales is None or (not isinstance(scales, tuple) and 0 in np.shape(scales)) else scales
    if scales is not None:
        factors = [float(item) for item in static(scales, "scales").reshape(-1)]
        after = [
            size * int(factor)
            if isinstance(size, Dim) and factor.is_integer()
            else size
            if factor == 1.0
            else math.floor(_known(size) * factor)
            for size, factor in zip(before, factors, strict=True)
        ]
    else:
        after = list(static_sizes(sizes, "sizes"))
        if keep_aspect_ratio_policy != "stretch":
            if keep_aspect_ratio_policy not in ("not_larger", "not_smaller"):
                raise CaptureError(f"expected a policy of the standard, received {keep_aspect_ratio_policy!r}")
            best = min if keep_aspect_ratio_policy == "not_larger" else max
            factor = best(new / _known(old) for new, old in zip(after, before, strict=True))
            factors = [factor] * len(before)
            after = [math.floor(factor * _known(old) + 0.5) for old in before]
        else:
            factors = [None if new == old else new / _known(old) for new, old in zip(after, before, strict=True)]
    regions = None
    if coordinate_transformation_mode == "tf_crop_and_resize":
        numbers = static(roi, "roi").reshape(2, -1)
        regions = [(float(numbers[0, i]), float(numbers[1, i])) for i in range(len(chosen))]
    dtype = dtype_of(x)
    y = x if is_floating(dtype) or mode == "nearest" else cast(x, "float32")
    outside: Any = None
    for place, axis in enumerate(chosen):
        region = None if regions is None else regions[place]
        if before[place] == after[place] and factors[place] in (None, 1.0) and region in (None, (0.0, 1.0)):
            continue
        size, new, factor = _known(before[place]), _known(after[place]), float(factors[place])
        places, beyond = _coordinates(size, new, factor, coordinate_transformation_mode, region)
        if beyond is not None and beyond.any():
            row = beyond.reshape([-1 if i == axis else 1 for i in range(ndim)])
            outside = row if outside is None else outside | row
        if mode == "nearest":
            y = ops.take(y, np.clip(_nearest(places, nearest_mode), 0, size - 1).astype(np.int64), axis=axis)
            continue
        weights = _weights(places, size, factor, mode, cubic_coeff_a, exclude_outside, antialias)
        matrix = cast(weights, dtype_of(y))
        letters = "abcdefghijklm"[:ndim]
        result = letters.replace(letters[axis], "z")
        y = ops.einsum([y, matrix], equation=f"{letters},z{letters[axis]}->{result}")
    if outside is not None:
        y = ops.where(outside, cast(np.asarray(extrapolation_value), dtype_of(y)), y)
    if dtype_of(y) != dtype:
        info = np.iinfo(dtype)
        y = cast(ops.clip(ops.round(y), min=float(info.min), max=float(info.max)), dtype)
    return y


def _known(size: Any) -> int:
    if isinstance(size, Dim):
        raise CaptureError(f"Resize expected an axis of known size, received {size}")
    return int(size)


def _coordinates(
    size: int, new: int, factor: float, mode: str, region: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Where in x each element of the result lies, and which lie beyond its ends where that counts."""
    i = np.arange(new, dtype=np.float64)
    length = factor * size
    match mode:
        case "half_pixel":
            return (i + 0.5) / factor - 0.5, None
        case "half_pixel_symmetric":
            middle = size / 2 * (1 - new / length)
            return middle + (i + 0.5) / factor - 0.5, None
        case "pytorch_half_pixel":
            return ((i + 0.5) / factor - 0.5) if length > 1 else np.zeros(new), None
        case "asymmetric":
            return i / factor, None
        case "align_corners":
            return (i * (size - 1) / (length - 1)) if length != 1 else np.zeros(new), None
        case "tf_half_pixel_for_nn":
            return (i + 0.5) / factor, None
        case "tf_crop_and_resize" if region is not None:
            start, stop = region
            if new > 1:
                places = start * (size - 1) + i * (stop - start) * (size - 1) / (length - 1)
            else:
                places = np.full(1, 0.5 * (start + stop) * (size - 1))
            return places, (places < 0) | (places > size - 1)
    raise CaptureError(f"no rule reads coordinate_transformation_mode={mode!r}")


def _nearest(places: np.ndarray, mode: str) -> np.ndarray:
    places = np.where(np.abs(places - np.round(places)) < 1e-9, np.round(places), places)  # of 7 / 3 * 3 a 7
    match mode:
        case "round_prefer_floor":
            return np.ceil(places - 0.5)
        case "round_prefer_ceil":
            return np.floor(places + 0.5)
        case "floor":
            return np.floor(places)
        case "ceil":
            return np.ceil(places)
    raise CaptureError(f"no rule reads nearest_mode={mode!r}")


def _kernel(distance: np.ndarray, mode: str, a: float) -> np.ndarray:
    d = np.abs(distance)
    if mode == "linear":
        return np.maximum(1 - d, 0)
    if mode != "cubic":
        raise CaptureError(f"no rule reads the mode {mode!r} of Resize")
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def _weights(
    places: np.ndarray, size: int, factor: float, mode: str, a: float, exclude_outside: int, antialias: int
) -> np.ndarray:
    """The matrix from elements of x to elements of the result."""
    narrow = min(factor, 1.0) if antialias else 1.0
    reach = (1 if mode == "linear" else 2) / narrow
    found = np.zeros((len(places), size))
    for row, place in enumerate(places):
        columns = np.arange(math.floor(place - reach) - 1, math.ceil(place + reach) + 2)
        weights = _kernel((columns - place) * narrow, mode, a)
        if exclude_outside:
            weights = np.where((columns < 0) | (columns >= size), 0.0, weights)
        total = weights.sum()
        weights = weights / total if total else weights
        np.add.at(found[row], np.clip(columns, 0, size - 1), weights)
    return found
