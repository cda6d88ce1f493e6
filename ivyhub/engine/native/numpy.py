"""Eager arrays of NumPy. See `ivyhub.engine.native`."""

# pyright: basic

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from ...errors import UnknownDeviceError

DEFAULTS = {"bool": "bool", "int": "int64", "float": "float64", "complex": "complex128"}


def dtype(name: str) -> np.dtype:
    return np.dtype(getattr(ml_dtypes, name, name))


def canonical(name: str) -> str:
    return name


def asarray(host: np.ndarray, name: str, copy: bool | None) -> np.ndarray:
    return np.array(host, dtype=dtype(name), copy=copy)


def copied(x: np.ndarray) -> np.ndarray:
    return np.array(x)


def getitem(x: np.ndarray, key: Any) -> np.ndarray:
    return x[key]


def setitem(x: np.ndarray, key: Any, value: Any) -> np.ndarray:
    x = np.asarray(x)  # the scalar that NumPy makes of a result without axes
    x[key] = value
    return x


def device(x: np.ndarray) -> str:
    return "cpu"


def to_device(x: np.ndarray, device: Any) -> np.ndarray:
    if device != "cpu":
        raise UnknownDeviceError(f"expected the device 'cpu' of numpy, received {device!r}")
    return x


def devices() -> tuple[str, ...]:
    return ("cpu",)


def default_device() -> str:
    return "cpu"


def from_dlpack(x: Any) -> np.ndarray:
    return np.from_dlpack(x)


def nonzero(x: np.ndarray) -> tuple[np.ndarray, ...]:
    return np.nonzero(x)


def to_numpy(x: np.ndarray, dtype: Any, copy: bool | None) -> np.ndarray:
    return np.array(x, dtype=dtype, copy=copy)


def dlpack(x: np.ndarray, **options: Any) -> Any:
    x = np.asarray(x)
    return (x if x.flags.writeable else x.copy()).__dlpack__(**options)


def dlpack_device(x: np.ndarray) -> tuple[Any, int]:
    return np.asarray(x).__dlpack_device__()


def sort_keys(x: np.ndarray) -> np.ndarray:
    return x
