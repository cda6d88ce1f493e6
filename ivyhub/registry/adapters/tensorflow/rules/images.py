"""Images: resizing by weights that TensorFlow tells, patches, morphology and colours."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.dims import Size
from .....errors import CaptureError
from .common import FULL, Array, cast, reads, shape_of, spatial

# -- resizing: linear along each axis, so a matrix for each, which TensorFlow tells by what it makes of unit vectors ---


def _resized(x: Array, size: Sequence[Size], run: Callable[[Any, int, int], Any]) -> Array:
    """x of (batch, height, width, channels) in another size; ``run`` resizes an image along one axis to a size."""
    x = cast(x, "float32")
    for axis, equation in ((1, "ah,nhwc->nawc"), (2, "aw,nhwc->nhac")):
        old, new = shape_of(x)[axis], size[axis - 1]
        if not isinstance(old, int) or not isinstance(new, int):
            raise CaptureError(f"expected known sizes of an image that is resized, received {old} and {new}")
        units = np.eye(old, dtype=np.float32).reshape((1, old, 1, old) if axis == 1 else (1, 1, old, old))
        weights = np.asarray(run(units, axis, new)).reshape(new, old)
        if old != new or not (weights == np.eye(old)).all():
            x = ops.einsum((weights, x), equation=equation)
    return x


@reads("ResizeBicubic", known=(1,))
def resize_bicubic(x: Array, size: Sequence[Size], *, align_corners: bool, half_pixel_centers: bool) -> Array:
    def run(image: Any, axis: int, new: int) -> Any:
        import tensorflow as tf

        return tf.raw_ops.ResizeBicubic(
            images=image,
            size=(new, 1) if axis == 1 else (1, new),
            align_corners=align_corners,
            half_pixel_centers=half_pixel_centers,
        )

    return _resized(x, size, run)


@reads("ResizeArea", known=(1,))
def resize_area(x: Array, size: Sequence[Size], *, align_corners: bool) -> Array:
    def run(image: Any, axis: int, new: int) -> Any:
        import tensorflow as tf

        wanted = (new, 1) if axis == 1 else (1, new)
        return tf.raw_ops.ResizeArea(images=image, size=wanted, align_corners=align_corners)

    return _resized(x, size, run)


@reads("ScaleAndTranslate", known=(1, 2, 3))
def scale_and_translate(
    x: Array,
    size: Sequence[Size],
    scale: Sequence[float],
    translation: Sequence[float],
    *,
    kernel_type: str,
    antialias: bool,
) -> Array:
    def run(image: Any, axis: int, new: int) -> Any:
        import tensorflow as tf

        return tf.raw_ops.ScaleAndTranslate(
            images=image,
            size=(new, 1) if axis == 1 else (1, new),
            scale=(scale[0], 1.0) if axis == 1 else (1.0, scale[1]),
            translation=(translation[0], 0.0) if axis == 1 else (0.0, translation[1]),
            kernel_type=kernel_type,
            antialias=antialias,
        )

    return _resized(x, size, run)


# -- windows -----------------------------------------------------------------------------------------------------------


def _windows(
    x: Array, kernel: Sequence[int], strides: Sequence[int], rates: Sequence[int], padding: str, fill: float
) -> Iterator[Array]:
    """Of every window the element at each of its places in turn: (batch, windows, windows, channels)."""
    pads, counts = [(0, 0)], list[int]()
    for size, k, step, rate in zip(shape_of(x)[1:3], kernel, strides, rates, strict=True):
        if not isinstance(size, int):
            raise CaptureError(f"expected known sizes of an image, received {size}")
        reach = (k - 1) * rate + 1
        total = max((-(-size // step) - 1) * step + reach - size, 0) if padding == "SAME" else 0
        pads.append((total // 2, total - total // 2))
        counts.append((size + total - reach) // step + 1)
    if any(map(any, pads)):
        x = ops.pad(x, padding=(*pads, (0, 0)), value=fill)
    for place in itertools.product(*map(range, kernel)):
        spans = (
            (at * rate, at * rate + (count - 1) * step + 1, step)
            for at, rate, count, step in zip(place, rates, counts, strides, strict=True)
        )
        yield ops.getitem(x, key=((None, None, None), *spans))


@reads("ExtractImagePatches")
def extract_image_patches(
    x: Array, *, ksizes: Sequence[int], strides: Sequence[int], rates: Sequence[int], padding: str
) -> Array:
    kernel, strides, rates = (spatial(each, "NHWC") for each in (ksizes, strides, rates))
    return ops.concat(list(_windows(x, kernel, strides, rates, padding, 0)), axis=-1)


@reads("Dilation2D")
def dilation(x: Array, kernel: Array, *, strides: Sequence[int], rates: Sequence[int], padding: str) -> Array:
    size = [int(n) for n in shape_of(kernel)[:2]]
    parts = _windows(x, size, spatial(strides, "NHWC"), spatial(rates, "NHWC"), padding, -float("inf"))
    found: Any = None
    for place, part in zip(itertools.product(*map(range, size)), parts, strict=True):
        part = ops.add(part, ops.getitem(kernel, key=place))
        found = part if found is None else ops.maximum(found, part)
    return found


# -- colours -----------------------------------------------------------------------------------------------------------


def _parts(x: Array) -> list[Array]:
    return [ops.getitem(x, key=((FULL,) * (len(shape_of(x)) - 1) + (place,))) for place in range(3)]


@reads("RGBToHSV")
def rgb_to_hsv(x: Array) -> Array:
    red, green, blue = _parts(x)
    value = ops.max(x, axis=-1)
    spread = ops.subtract(value, ops.min(x, axis=-1))
    sixth = ops.divide(1.0, ops.multiply(ops.where(ops.greater(spread, 0), spread, 1.0), 6.0))
    hue = ops.where(
        ops.equal(red, value),
        ops.multiply(sixth, ops.subtract(green, blue)),
        ops.where(
            ops.equal(green, value),
            ops.add(ops.multiply(sixth, ops.subtract(blue, red)), 2 / 6),
            ops.add(ops.multiply(sixth, ops.subtract(red, green)), 4 / 6),
        ),
    )
    hue = ops.where(ops.greater(spread, 0), ops.where(ops.less(hue, 0), ops.add(hue, 1.0), hue), 0.0)
    positive = ops.greater(value, 0)
    saturation = ops.where(positive, ops.divide(spread, ops.where(positive, value, 1.0)), 0.0)
    return ops.stack([hue, saturation, value], axis=-1)


@reads("HSVToRGB")
def hsv_to_rgb(x: Array) -> Array:
    hue, saturation, value = _parts(x)
    six = ops.multiply(hue, 6.0)
    shades = [
        ops.subtract(ops.abs(ops.subtract(six, 3.0)), 1.0),
        ops.subtract(2.0, ops.abs(ops.subtract(six, 2.0))),
        ops.subtract(2.0, ops.abs(ops.subtract(six, 4.0))),
    ]
    clipped = (ops.minimum(ops.maximum(shade, 0.0), 1.0) for shade in shades)
    found = [ops.multiply(ops.add(ops.multiply(ops.subtract(shade, 1.0), saturation), 1.0), value) for shade in clipped]
    return ops.stack(found, axis=-1)


@reads("AdjustHue")
def adjust_hue(x: Array, delta: Array) -> Array:
    hue, saturation, value = _parts(rgb_to_hsv(x))
    turned = ops.add(hue, delta)
    return hsv_to_rgb(ops.stack([ops.subtract(turned, ops.floor(turned)), saturation, value], axis=-1))


@reads("AdjustSaturation")
def adjust_saturation(x: Array, scale: Array) -> Array:
    hue, saturation, value = _parts(rgb_to_hsv(x))
    saturation = ops.minimum(ops.maximum(ops.multiply(saturation, scale), 0.0), 1.0)
    return hsv_to_rgb(ops.stack([hue, saturation, value], axis=-1))


@reads("AdjustContrastv2")
def adjust_contrast(x: Array, factor: Array) -> Array:
    mean = ops.mean(x, axis=(-3, -2), keepdims=True)
    return ops.add(ops.multiply(ops.subtract(x, mean), factor), mean)
