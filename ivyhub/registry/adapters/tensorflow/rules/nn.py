"""Convolutions, pooling, normalisation, losses and resizing of images.

TensorFlow's images have their channels last; graphs have them first, and the transposes between them meet and vanish.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .....engine import ops
from .....engine.dims import Size
from .....errors import CaptureError
from .common import (
    FULL,
    Array,
    cast,
    channels_first,
    channels_last,
    dtype_of,
    in_first,
    out_of_first,
    reads,
    reshape,
    shape_of,
    shortest,
    spatial,
    transpose,
)

# -- convolution -----------------------------------------------------------------------------------------------------


def padding_of(padding: str, explicit: Sequence[int], data_format: str) -> Any:
    """TensorFlow's words for padding as ours."""
    if padding != "EXPLICIT":
        return None if padding == "VALID" else padding
    pairs = [(explicit[i], explicit[i + 1]) for i in range(0, len(explicit), 2)]
    return spatial(pairs, data_format)  # type: ignore[arg-type]


def first_kernel(kernel: Array) -> Array:
    """A kernel (*size, in, out) as (out, in, *size)."""
    rank = len(shape_of(kernel)) - 2
    return ops.transpose(kernel, axes=(rank + 1, rank, *range(rank)))


def _conv(
    x: Array, kernel: Array, strides: Sequence[int], dilations: Sequence[int], padding: Any, data_format: str
) -> Array:
    x = in_first(x, data_format)
    weight = first_kernel(kernel)
    found = ops.conv(
        *(x, weight, None),
        strides=spatial(strides, data_format),
        dilation=spatial(dilations, data_format),
        padding=padding,
        groups=_groups(shape_of(x)[1], shape_of(weight)[1]),
    )
    return out_of_first(found, data_format)


def _groups(channels: Size, each: Size) -> int:
    if not isinstance(channels, int) or not isinstance(each, int):
        raise CaptureError(f"expected a known number of channels, received {channels}")
    return channels // each


@reads("Conv2D")
def conv2d(
    x: Array,
    kernel: Array,
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str,
    explicit_paddings: Sequence[int],
    data_format: str,
) -> Array:
    pads = padding_of(padding, explicit_paddings, data_format)
    return _conv(x, kernel, strides, dilations, pads, data_format)


@reads("Conv3D")
def conv3d(
    x: Array, kernel: Array, *, strides: Sequence[int], dilations: Sequence[int], padding: str, data_format: str
) -> Array:
    return _conv(x, kernel, strides, dilations, padding_of(padding, (), data_format), data_format)


@reads("DepthwiseConv2dNative")
def depthwise_conv2d(
    x: Array,
    kernel: Array,
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str,
    explicit_paddings: Sequence[int],
    data_format: str,
) -> Array:
    height, width, channels, multiplier = shape_of(kernel)
    weight = reshape(transpose(kernel, (2, 3, 0, 1)), (channels * multiplier, 1, height, width))
    x = in_first(x, data_format)
    found = ops.conv(
        *(x, weight, None),
        strides=spatial(strides, data_format),
        dilation=spatial(dilations, data_format),
        padding=padding_of(padding, explicit_paddings, data_format),
        groups=_groups(shape_of(x)[1], 1),
    )
    return out_of_first(found, data_format)


def _conv_backward(
    sizes: Sequence[Size],
    kernel: Array,
    x: Array,
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: Any,
    data_format: str,
) -> Array:
    """The gradient of a convolution by its input, which is what a transposed convolution computes."""
    wanted = spatial(sizes, data_format)  # type: ignore[arg-type]
    steps, dilation = spatial(strides, data_format), spatial(dilations, data_format)
    x = in_first(x, data_format)
    weight = first_kernel(kernel)
    pads, extra = [], []
    given = [(0, 0)] * len(wanted) if padding is None else padding
    for axis, (size, step, d) in enumerate(zip(wanted, steps, dilation, strict=True)):
        reach = (shape_of(kernel)[axis] - 1) * d + 1  # type: ignore[operator]
        count = shape_of(x)[2 + axis]
        if padding == "SAME":
            total = (count - 1) * step + reach - size
            if not isinstance(total, int):
                raise CaptureError(f"expected the size of an image to follow from its windows, received {size}")
            total = max(total, 0)
            before, after = total // 2, total - total // 2
        else:
            before, after = given[axis]
        rest = size - ((count - 1) * step + reach - before - after)
        if not isinstance(rest, int):
            raise CaptureError(f"expected the size of an image to follow from its windows, received {size}")
        pads.append((before, after))
        extra.append(rest)
    found = ops.conv_transpose(
        *(x, weight, None),
        strides=steps,
        dilation=dilation,
        padding=tuple(pads),
        output_padding=tuple(extra),
    )
    return out_of_first(found, data_format)


@reads("Conv2DBackpropInput", known=(0,))
def conv2d_backward(
    sizes: Sequence[Size],
    kernel: Array,
    x: Array,
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str,
    explicit_paddings: Sequence[int],
    data_format: str,
) -> Array:
    pads = padding_of(padding, explicit_paddings, data_format)
    return _conv_backward(sizes, kernel, x, strides, dilations, pads, data_format)


@reads("Conv3DBackpropInputV2", known=(0,))
def conv3d_backward(
    sizes: Sequence[Size],
    kernel: Array,
    x: Array,
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str,
    data_format: str,
) -> Array:
    return _conv_backward(sizes, kernel, x, strides, dilations, padding_of(padding, (), data_format), data_format)


# -- pooling ---------------------------------------------------------------------------------------------------------


def _windows(ksize: Sequence[int], strides: Sequence[int], padding: Any, data_format: str) -> dict[str, Any]:
    if any(v != 1 for values in (ksize, strides) for v in set(values[:1]) | {values[_channels(data_format)]}):
        raise CaptureError("pooling over the batch or the channels is unknown")
    return {"kernel": spatial(ksize, data_format), "strides": spatial(strides, data_format), "padding": padding}


def _channels(data_format: str) -> int:
    return 1 if data_format.startswith("NC") else -1


@reads("MaxPool")
def max_pool(
    x: Array,
    *,
    ksize: Sequence[int],
    strides: Sequence[int],
    padding: str,
    explicit_paddings: Sequence[int],
    data_format: str,
) -> Array:
    pads = padding_of(padding, explicit_paddings, data_format)
    found = ops.max_pool(in_first(x, data_format), **_windows(ksize, strides, pads, data_format))
    return out_of_first(found, data_format)


@reads("MaxPool3D")
def max_pool3d(x: Array, *, ksize: Sequence[int], strides: Sequence[int], padding: str, data_format: str) -> Array:
    pads = padding_of(padding, (), data_format)
    found = ops.max_pool(in_first(x, data_format), **_windows(ksize, strides, pads, data_format))
    return out_of_first(found, data_format)


@reads("AvgPool", "AvgPool3D")
def avg_pool(x: Array, *, ksize: Sequence[int], strides: Sequence[int], padding: str, data_format: str) -> Array:
    pads = padding_of(padding, (), data_format)
    found = ops.avg_pool(
        in_first(x, data_format), **_windows(ksize, strides, pads, data_format), count_include_pad=False
    )
    return out_of_first(found, data_format)


# -- normalisation ---------------------------------------------------------------------------------------------------


@reads("FusedBatchNormV3", "FusedBatchNormV2", "FusedBatchNorm")
def fused_batch_norm(
    x: Array,
    scale: Array,
    offset: Array,
    mean: Array,
    variance: Array,
    *,
    epsilon: float,
    exponential_avg_factor: float,
    is_training: bool,
    data_format: str,
) -> tuple[Array, ...]:
    """In training the statistics are those of the batch, and the unbiased variance is what is given back."""
    first = in_first(x, data_format)
    axes = (0, *range(2, len(shape_of(first))))
    if not is_training:
        found = ops.batch_norm(first, mean, variance, scale, offset, eps=shortest(epsilon))
        return out_of_first(found, data_format), mean, variance, mean, variance, mean
    if exponential_avg_factor != 1.0:
        raise CaptureError("FusedBatchNormV3 with running averages is unknown")
    found = ops.batch_norm(first, None, None, scale, offset, eps=shortest(epsilon))
    mean = ops.mean(first, axis=axes)
    variance = ops.var(first, axis=axes, correction=1)
    return out_of_first(found, data_format), mean, variance, mean, variance, mean


@reads("LRN")
def local_response_norm(x: Array, *, depth_radius: int, bias: float, alpha: float, beta: float) -> Array:
    """TensorFlow's alpha multiplies the sum, ours the mean."""
    size = 2 * depth_radius + 1
    found = ops.local_response_norm(
        channels_first(x), size=size, alpha=shortest(alpha) * size, beta=shortest(beta), k=shortest(bias)
    )
    return channels_last(found)


@reads("Softmax")
def softmax(x: Array) -> Array:
    return ops.softmax(x, axis=len(shape_of(x)) - 1)


@reads("LogSoftmax")
def log_softmax(x: Array) -> Array:
    return ops.log_softmax(x, axis=len(shape_of(x)) - 1)


# -- losses ----------------------------------------------------------------------------------------------------------


@reads("SoftmaxCrossEntropyWithLogits")
def softmax_cross_entropy(features: Array, labels: Array) -> tuple[Array, Array]:
    logs = ops.log_softmax(features, axis=1)
    loss = ops.negative(ops.sum(ops.multiply(labels, logs), axis=1))
    return loss, ops.subtract(ops.softmax(features, axis=1), labels)


@reads("SparseSoftmaxCrossEntropyWithLogits")
def sparse_softmax_cross_entropy(features: Array, labels: Array) -> tuple[Array, Array]:
    logs = ops.log_softmax(features, axis=1)
    picked = ops.take_along_axis(logs, ops.getitem(cast(labels, "int64"), key=(FULL, None)), axis=1)
    loss = ops.negative(ops.getitem(picked, key=(FULL, 0)))
    hot = ops.one_hot(labels, num_classes=shape_of(features)[1], dtype=dtype_of(features))
    return loss, ops.subtract(ops.softmax(features, axis=1), hot)


# -- images ----------------------------------------------------------------------------------------------------------


def _resize(x: Array, size: Sequence[Size], **options: Any) -> Array:
    return channels_last(ops.interpolate(channels_first(x), size=tuple(size), **options))


@reads("ResizeBilinear", known=(1,))
def resize_bilinear(x: Array, size: Sequence[Size], *, align_corners: bool, half_pixel_centers: bool) -> Array:
    if not (align_corners or half_pixel_centers) and tuple(size) != shape_of(x)[1:3]:
        raise CaptureError("bilinear resizing with pixels at their corners is unknown", hint="use tf.image.resize")
    return _resize(cast(x, "float32"), size, mode="linear", align_corners=align_corners)


@reads("ResizeNearestNeighbor", known=(1,))
def resize_nearest(x: Array, size: Sequence[Size], *, align_corners: bool, half_pixel_centers: bool) -> Array:
    if align_corners:
        raise CaptureError("nearest resizing with aligned corners is unknown", hint="use tf.image.resize")
    return _resize(x, size, mode="nearest-exact" if half_pixel_centers else "nearest")
