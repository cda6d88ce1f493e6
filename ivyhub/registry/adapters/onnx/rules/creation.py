"""Arrays from nothing, and casts."""

from __future__ import annotations

from typing import Any

import numpy as np

from .....engine import ops
from .....engine.dims import Dim, floordiv
from .....errors import CaptureError
from ....weights.dtypes import numpy_dtype
from ..loading import dtype_of_type, type_of_dtype
from .common import (
    RULES,
    Array,
    Sizes,
    cast,
    dtype_of,
    filled,
    known,
    moved,
    rank_of,
    shape_of,
    static,
    static_int,
    static_sizes,
)
from .narrow import Narrow, converted, to_narrow


def named(number: int) -> str:
    """The dtype of an attribute. Raises `CaptureError` where the engine has none for it."""
    dtype = dtype_of_type(number)
    if dtype is None:
        from ..loading import load_onnx

        raise CaptureError(f"{load_onnx().TensorProto.DataType.Name(number)} is no dtype of the engine")
    return dtype


@RULES("Constant")
def constant(
    *,
    value: Any = None,
    value_int: int | None = None,
    value_ints: tuple[int, ...] | None = None,
    value_float: float | None = None,
    value_floats: tuple[float, ...] | None = None,
) -> Array:
    if value is not None:
        return value
    if value_int is not None or value_ints is not None:
        return np.asarray(value_int if value_ints is None else value_ints, np.int64)
    return np.asarray(value_float if value_floats is None else value_floats, np.float32)


@RULES("ConstantOfShape")
def constant_of_shape(shape: Any, *, value: Any = None) -> Array:
    number = np.zeros(1, np.float32) if value is None else value
    return filled(static_sizes(shape, "input"), number.reshape(()).item(), number.dtype.name)


@RULES("Range")
def arange(start: Any, limit: Any, delta: Any, *, stash_type: int = 1) -> Array:
    dtype = dtype_of(start)
    if any(isinstance(bound, Sizes) for bound in (start, limit, delta)):
        low, high, step = (static_sizes(bound, "limit")[0] for bound in (start, limit, delta))
        return ops.arange(start=low, stop=high, step=step, dtype=dtype)
    low, high, step = (static(bound, name) for bound, name in ((start, "start"), (limit, "limit"), (delta, "delta")))
    exact = np.int64 if "int" in dtype else np.float64
    low, high, step = (bound.reshape(()).astype(exact) for bound in (low, high, step))
    if not step:
        raise CaptureError("Range expected a step other than 0")
    count = max(int(np.ceil((high - low) / step)), 0)
    return (low + np.arange(count).astype(exact) * step).astype(numpy_dtype(dtype))


@RULES("EyeLike")
def eye_like(x: Array, *, dtype: int | None = None, k: int = 0) -> Array:
    rows, columns = shape_of(x)
    kind = dtype_of(x) if dtype is None else named(dtype)
    if isinstance(rows, Dim) or isinstance(columns, Dim):
        if k:
            raise CaptureError("EyeLike with k expected known sizes")
        return ops.eye(n_rows=rows, n_cols=columns, dtype=kind)
    return np.eye(rows, columns, k).astype(numpy_dtype(kind))


@RULES("OneHot")
def one_hot(indices: Array, depth: Any, values: Array, *, axis: int = -1) -> Array:
    count = static_int(depth, "depth")
    places = cast(indices, "int64")
    places = ops.where(ops.less(places, 0), ops.add(places, count), places)
    places = ops.reshape(places, shape=(*shape_of(places), 1))
    found = ops.equal(places, np.arange(count))  # a position beyond the depth is nowhere
    off, on = (ops.getitem(values, key=(place,)) for place in (0, 1))
    return moved(ops.where(found, on, off), -1, axis % (rank_of(indices) + 1))


@RULES("Cast")
def cast_to(x: Any, *, to: int, saturate: int = 1, round_mode: str = "up") -> Any:
    return converted(x, to, saturate, round_mode)


@RULES("CastLike")
def cast_like(x: Any, like: Any, *, saturate: int = 1, round_mode: str = "up") -> Any:
    if isinstance(like, Narrow):
        return to_narrow(x, like.kind, saturate, round_mode)
    return converted(x, type_of_dtype(dtype_of(like)), saturate)


@RULES("BitCast")
def bit_cast(x: Array, *, to: int) -> Array:
    dtype = named(to)
    if dtype == dtype_of(x):
        return x
    numbers = known(x)
    if numbers is not None:
        return numbers.view(numpy_dtype(dtype))
    before = dtype_of(x)
    if before == "bool" and dtype in ("int8", "uint8"):
        return ops.astype(x, dtype=dtype)
    if before.removeprefix("u") == dtype.removeprefix("u") and "int" in dtype:
        return ops.astype(x, dtype=dtype)  # two's complement on every framework
    return ops.bitcast(x, dtype=dtype)


def _window(size: Any, periodic: int, output_datatype: int, terms: tuple[float, ...]) -> Array:
    count = static_int(size, "size")
    steps = np.arange(count) * (2 * np.pi / (count if periodic else max(count - 1, 1)))
    whole = sum(term * np.cos(order * steps) for order, term in enumerate(terms))
    return np.asarray(whole).astype(numpy_dtype(named(output_datatype)))


@RULES("HannWindow")
def hann_window(size: Any, *, periodic: int = 1, output_datatype: int = 1) -> Array:
    return _window(size, periodic, output_datatype, (0.5, -0.5))


@RULES("HammingWindow")
def hamming_window(size: Any, *, periodic: int = 1, output_datatype: int = 1) -> Array:
    return _window(size, periodic, output_datatype, (25 / 46, -21 / 46))


@RULES("BlackmanWindow")
def blackman_window(size: Any, *, periodic: int = 1, output_datatype: int = 1) -> Array:
    return _window(size, periodic, output_datatype, (0.42, -0.5, 0.08))


@RULES("MelWeightMatrix")
def mel_weight_matrix(
    num_mel_bins: Any,
    dft_length: Any,
    sample_rate: Any,
    lower_edge_hertz: Any,
    upper_edge_hertz: Any,
    *,
    output_datatype: int = 1,
) -> Array:
    """Triangles over frequencies, equally wide in mels. Source: the operator's definition in the standard."""
    bins, length = static_int(num_mel_bins, "num_mel_bins"), static_int(dft_length, "dft_length")
    rate = static_int(sample_rate, "sample_rate")
    low, high = (float(static(x, "edge").reshape(())) for x in (lower_edge_hertz, upper_edge_hertz))
    edges = 2595 * np.log10(1 + np.array([low, high]) / 700)
    mels = np.arange(bins + 2) * ((edges[1] - edges[0]) / (bins + 2)) + edges[0]
    places = ((length + 1) * (700 * (10 ** (mels / 2595) - 1)) // rate).astype(np.int64)
    found = np.zeros((int(floordiv(length, 2)) + 1, bins))
    for i in range(bins):
        start, centre, stop = places[i : i + 3]
        if start == centre:
            found[centre, i] = 1
        else:
            found[start : centre + 1, i] = (np.arange(start, centre + 1) - start) / (centre - start)
        if stop > centre:
            found[centre:stop, i] = (stop - np.arange(centre, stop)) / (stop - centre)
    return found.astype(numpy_dtype(named(output_datatype)))
