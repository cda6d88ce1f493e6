"""Quantised arithmetic: integers with a scale and a zero point."""

from __future__ import annotations

from typing import Any

import numpy as np

from .....engine import ops
from .....errors import CaptureError
from ..loading import type_of_dtype
from .common import RULES, Array, broadcast_axes, cast, dtype_of, is_floating, rank_of, shape_of
from .creation import named
from .narrow import Narrow, clipped, converted, is_integer_kind, kind_of, storage, to_narrow
from .nn import conv

_RANGES = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535), "int16": (-32768, 32767)}


def _spread(x: Array, vector: Array, axis: int, block_size: int) -> Array:
    """A scale or zero point so that it broadcasts with x: one for all, for each place of an axis, or for each block."""
    if rank_of(vector) == 0 or shape_of(vector) == (1,):
        return ops.reshape(vector, shape=())
    axis %= rank_of(x)
    if not block_size:
        return broadcast_axes(vector, rank_of(x), axis) if rank_of(vector) == 1 else vector
    wide = ops.repeat(vector, repeats=block_size, axis=axis)
    size = shape_of(x)[axis]
    if shape_of(wide)[axis] != size:
        from .common import on_axis

        wide = on_axis(wide, axis, (None, size, None))
    return wide


def quantised(y: Array, dtype: str, zero_point: Array | None, saturate: int = 1) -> Any:
    """Numbers that were divided by their scale, rounded to even, shifted and cut off at the ends of a type.

    The type is a dtype, or the name of one that the engine has not.
    """
    narrow = storage(dtype) is not None
    integers = is_integer_kind(dtype) if narrow else not is_floating(dtype)
    y = ops.round(y) if integers else y
    if zero_point is not None:
        y = ops.add(y, cast(zero_point, dtype_of(y)))
    if not integers:
        return to_narrow(y, dtype, saturate) if narrow else converted(y, type_of_dtype(dtype), saturate)
    if narrow:
        return Narrow(clipped(y, dtype), dtype)
    if dtype not in _RANGES:
        raise CaptureError(f"no rule reads quantisation to {dtype}")
    low, high = _RANGES[dtype]
    return cast(ops.clip(y, min=float(low), max=float(high)), dtype)


@RULES("QuantizeLinear")
def quantize_linear(
    x: Array,
    scale: Array,
    zero_point: Any = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Any:
    if zero_point is not None:
        dtype = zero_point.kind if isinstance(zero_point, Narrow) else dtype_of(zero_point)
        zero_point = zero_point.array if isinstance(zero_point, Narrow) else zero_point
    else:
        kind = kind_of(output_dtype) if output_dtype else ""
        dtype = kind if storage(kind) is not None else named(output_dtype) if output_dtype else "uint8"
    kind = named(precision) if precision else dtype_of(scale)
    y = ops.divide(cast(x, kind), cast(_spread(x, scale, axis, block_size), kind))
    zero = None if zero_point is None else _spread(x, zero_point, axis, block_size)
    if dtype in ("int16", "uint16") and kind == "float16":
        y = cast(y, "float32")
    return quantised(y, dtype, zero, saturate)


@RULES("DequantizeLinear")
def dequantize_linear(
    x: Any,
    scale: Array,
    zero_point: Any = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> Array:
    dtype = named(output_dtype) if output_dtype else dtype_of(scale)
    x, zero_point = (each.array if isinstance(each, Narrow) else each for each in (x, zero_point))
    integers = not is_floating(dtype_of(x))
    y = cast(x, "int32") if integers else cast(x, dtype_of(scale))
    if zero_point is not None:
        zero = _spread(x, zero_point, axis, block_size)
        y = ops.subtract(y, cast(zero, dtype_of(y)))
    return cast(ops.multiply(cast(y, dtype_of(scale)), _spread(x, scale, axis, block_size)), dtype)


@RULES("DynamicQuantizeLinear")
def dynamic_quantize_linear(x: Array) -> Any:
    low = ops.minimum(ops.min(x), full(0.0, x))
    high = ops.maximum(ops.max(x), full(0.0, x))
    scale = ops.divide(ops.subtract(high, low), 255.0)
    zero = ops.clip(ops.round(ops.divide(ops.negative(low), scale)), min=0.0, max=255.0)
    zero = cast(zero, "uint8")
    return quantised(ops.divide(x, scale), "uint8", zero), scale, zero


def full(number: float, x: Array) -> Array:
    """A number of the dtype of x."""
    return cast(np.asarray(number), dtype_of(x))


def _shifted(x: Array, zero_point: Array | None, *, rows: bool) -> Array:
    """Integers less their zero point, which is one number, or one for each row or column of a matrix."""
    y = cast(x, "int32")
    if zero_point is None:
        return y
    zero = cast(zero_point, "int32")
    if rank_of(zero) == 1 and shape_of(zero) != (1,):
        zero = ops.reshape(zero, shape=(shape_of(zero)[0], 1) if rows else (1, shape_of(zero)[0]))
    return ops.subtract(y, zero)


@RULES("MatMulInteger")
def matmul_integer(a: Array, b: Array, a_zero: Array | None = None, b_zero: Array | None = None) -> Array:
    return ops.matmul(_shifted(a, a_zero, rows=True), _shifted(b, b_zero, rows=False))


@RULES("QLinearMatMul")
def qlinear_matmul(
    a: Array,
    a_scale: Array,
    a_zero: Array,
    b: Array,
    b_scale: Array,
    b_zero: Array,
    y_scale: Array,
    y_zero: Array,
) -> Array:
    total = ops.matmul(_shifted(a, a_zero, rows=True), _shifted(b, b_zero, rows=False))
    scale = ops.divide(ops.multiply(_row(a_scale), _column(b_scale)), _row(y_scale))
    y = ops.multiply(cast(total, "float32"), cast(scale, "float32"))
    return quantised(y, dtype_of(y_zero), _row(y_zero))


def _row(x: Array) -> Array:
    return ops.reshape(x, shape=(shape_of(x)[0], 1)) if rank_of(x) == 1 and shape_of(x) != (1,) else x


def _column(x: Array) -> Array:
    return ops.reshape(x, shape=(1, shape_of(x)[0])) if rank_of(x) == 1 and shape_of(x) != (1,) else x


def _integer_conv(x: Array, w: Array, x_zero: Array | None, w_zero: Array | None, options: dict[str, Any]) -> Array:
    """A convolution of integers, in float64: its sums of products of 8 bits are exact there."""
    y, kernel = cast(x, "int32"), cast(w, "int32")
    if x_zero is not None:
        y = ops.subtract(y, ops.reshape(cast(x_zero, "int32"), shape=()))
    if w_zero is not None:
        zero = cast(w_zero, "int32")
        one = rank_of(zero) == 0 or shape_of(zero) == (1,)
        kernel = ops.subtract(kernel, ops.reshape(zero, shape=()) if one else broadcast_axes(zero, rank_of(w), 0))
    return cast(ops.round(conv(cast(y, "float64"), cast(kernel, "float64"), **options)), "int32")


@RULES("ConvInteger")
def conv_integer(
    x: Array,
    w: Array,
    x_zero: Array | None = None,
    w_zero: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: tuple[int, ...] | None = None,
    group: int = 1,
    kernel_shape: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Array:
    options = {"auto_pad": auto_pad, "dilations": dilations, "group": group, "pads": pads, "strides": strides}
    return _integer_conv(x, w, x_zero, w_zero, options)


@RULES("QLinearConv")
def qlinear_conv(
    x: Array,
    x_scale: Array,
    x_zero: Array,
    w: Array,
    w_scale: Array,
    w_zero: Array,
    y_scale: Array,
    y_zero: Array,
    b: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: tuple[int, ...] | None = None,
    group: int = 1,
    kernel_shape: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Array:
    options = {"auto_pad": auto_pad, "dilations": dilations, "group": group, "pads": pads, "strides": strides}
    total = _integer_conv(x, w, x_zero, w_zero, options)
    if b is not None:
        total = ops.add(total, broadcast_axes(b, rank_of(x), 1))
    scale = ops.divide(ops.multiply(ops.reshape(x_scale, shape=()), w_scale), ops.reshape(y_scale, shape=()))
    scale = broadcast_axes(scale, rank_of(x), 1) if rank_of(scale) == 1 else scale
    return quantised(ops.multiply(cast(total, "float32"), scale), dtype_of(y_zero), ops.reshape(y_zero, shape=()))
