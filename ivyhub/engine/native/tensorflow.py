"""Eager arrays of TensorFlow. See `ivyhub.engine.native`."""

# pyright: basic

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import UnknownDeviceError
from ..support.tensorflow import index

DEFAULTS = {"bool": "bool", "int": "int64", "float": "float32", "complex": "complex64"}


def dtype(name: str) -> tf.DType:
    return tf.as_dtype(name)


def canonical(name: str) -> str:
    return name


def asarray(host: np.ndarray, name: str, copy: bool | None) -> tf.Tensor:
    return tf.cast(tf.convert_to_tensor(host), dtype(name))


def copied(x: tf.Tensor) -> tf.Tensor:
    return x


def getitem(x: tf.Tensor, key: Any) -> tf.Tensor:
    items = key if type(key) is tuple else (key,)
    if not any(hasattr(item, "dtype") or isinstance(item, bool) for item in items):
        return _sliced(x, items)
    axes = len(getattr(items[0], "shape", ()))
    if len(items) == 1 and axes > 7 and items[0].dtype in (bool, tf.bool):  # more than tf.gather_nd takes
        flat = tf.reshape(x, [-1, *x.shape[axes:]])
        return tf.boolean_mask(flat, tf.reshape(items[0], [-1]))
    basic, arrays = _parted(items, x.shape.rank)
    return index(_sliced(x, basic), arrays)


def _sliced(x: tf.Tensor, items: tuple[Any, ...]) -> tf.Tensor:
    """x[items], of positions, slices, `...` and None; the kernel behind tf.Tensor's takes eight axes at most."""
    if x.shape.rank <= 8:
        return x[items]
    missing = x.shape.rank - sum(item is not None and item is not ... for item in items)
    place = next((place for place, item in enumerate(items) if item is ...), len(items))
    axis = 0
    for item in (*items[:place], *[slice(None)] * missing, *items[place + 1 :]):
        if item is None:
            x = tf.expand_dims(x, axis)
        elif isinstance(item, slice):
            if item != slice(None):
                x = tf.gather(x, range(*item.indices(x.shape[axis])), axis=axis)
        else:
            x = tf.gather(x, int(item) % int(x.shape[axis] or 0), axis=axis)
            continue
        axis += 1
    return x


def setitem(x: tf.Tensor, key: Any, value: Any) -> tf.Tensor:
    positions = getitem(tf.reshape(tf.range(tf.size(x)), tf.shape(x)), key)
    if not hasattr(value, "dtype"):  # by way of NumPy: the cache of scalars mistakes the sign of a zero
        value = np.array(value, x.dtype.as_numpy_dtype)
    value = tf.cast(tf.convert_to_tensor(value), x.dtype)
    value = tf.reshape(tf.broadcast_to(value, tf.shape(positions)), [-1])
    flat = tf.tensor_scatter_nd_update(tf.reshape(x, [-1]), tf.reshape(positions, [-1, 1]), value)
    return tf.reshape(flat, tf.shape(x))


def _parted(items: tuple[Any, ...], rank: int) -> tuple[tuple[Any, ...], list[tf.Tensor | None]]:
    """A key as a basic one, and arrays of positions on the axes that it leaves (None: taken whole).

    An integer beside arrays is one of them, a mask is the positions where it holds, as in NumPy.
    """
    used = sum(_axes(item) for item in items)
    basic: list[Any] = []
    arrays: list[tf.Tensor | None] = []
    for item in items:
        if item is Ellipsis:
            basic += [slice(None)] * (rank - used)
            arrays += [None] * (rank - used)
        elif item is None or isinstance(item, slice):
            basic.append(item)
            arrays.append(None)
        elif isinstance(item, bool) or getattr(item, "dtype", None) == tf.bool:
            mask = tf.convert_to_tensor(item)
            if mask.shape.rank == 0:  # an axis of one element, kept or not
                basic.append(None)
                arrays.append(tf.reshape(tf.where(tf.reshape(mask, [1])), [-1]))
                continue
            basic += [slice(None)] * mask.shape.rank
            arrays += tf.unstack(tf.where(mask), axis=1, num=mask.shape.rank)
        else:
            basic.append(slice(None))
            arrays.append(tf.convert_to_tensor(item))
    return tuple(basic), arrays


def _axes(item: Any) -> int:
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    return item.shape.rank if getattr(item, "dtype", None) == tf.bool else 1


def device(x: tf.Tensor) -> str:
    return x.device.rpartition("/device:")[2]


def to_device(x: tf.Tensor, device: Any) -> tf.Tensor:
    try:
        with tf.device(device):
            return tf.identity(x)
    except (ValueError, tf.errors.InvalidArgumentError, RuntimeError):
        raise UnknownDeviceError(f"tensorflow has no device {device!r}", hint=f"it has {devices()}") from None


def devices() -> tuple[str, ...]:
    return tuple(
        each.name.rpartition("/device:")[2]
        for each in tf.config.list_logical_devices()
        if each.device_type in ("CPU", "GPU", "TPU")
    )


def default_device() -> str:
    return device(tf.zeros(()))


def from_dlpack(x: Any) -> tf.Tensor:
    # Kernels end the process at an address that is no multiple of 64 (EIGEN_MAX_ALIGN_BYTES), and DLPack does not ask.
    if x.__dlpack_device__()[0] == 1 and np.from_dlpack(x).ctypes.data % 64:
        raise BufferError("TensorFlow expected memory at a multiple of 64 bytes")
    return tf.experimental.dlpack.from_dlpack(x.__dlpack__())


def nonzero(x: tf.Tensor) -> tuple[tf.Tensor, ...]:
    truth = x if x.dtype == tf.bool else tf.not_equal(x, tf.zeros((), x.dtype))
    return tuple(tf.unstack(tf.where(truth), axis=1, num=x.shape.rank))


def to_numpy(x: tf.Tensor, dtype: Any, copy: bool | None) -> np.ndarray:
    return np.array(x.numpy(), dtype=dtype, copy=copy)


def dlpack(x: tf.Tensor, dl_device: Any = None, copy: bool | None = None, **options: Any) -> Any:
    if dl_device not in (None, dlpack_device(x)):
        if copy is False or dl_device != (1, 0):  # the standard asks for the way to the CPU alone
            raise BufferError(f"expected the device {dlpack_device(x)} of the array, received {dl_device}")
        x = to_device(x, "CPU:0")
    elif copy:
        x = tf.raw_ops.DeepCopy(x=x)
    return x.__dlpack__(**options)


def dlpack_device(x: tf.Tensor) -> tuple[Any, int]:
    return x.__dlpack_device__()


def sort_keys(x: tf.Tensor) -> tf.Tensor:
    if x.dtype == tf.bool:
        return tf.cast(x, tf.int8)
    if not x.dtype.is_floating or x.dtype.size == 1:  # float8 has no order here, and is refused by what sorts
        return x
    kind = {2: tf.int16, 4: tf.int32, 8: tf.int64}[x.dtype.size]
    bits = tf.bitcast(x + tf.zeros((), x.dtype), kind)  # as integers, which have no nan; the zero of -0.0 is plain
    bits = tf.where(bits < 0, tf.bitwise.bitwise_xor(bits, tf.constant(kind.max, kind)), bits)
    return tf.where(tf.math.is_nan(x), tf.constant(kind.max, kind), bits)
