"""Eager arrays of JAX. See `ivyhub.engine.native`."""

# pyright: basic

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import UnknownDeviceError

DEFAULTS = {"bool": "bool", "int": "int64", "float": "float64", "complex": "complex128"}
"""Where 64-bit types are off, the 32-bit ones of the same kind."""


def dtype(name: str) -> np.dtype:
    return jnp.dtype(name)


def canonical(name: str) -> str:
    return jax.dtypes.canonicalize_dtype(name).name


def asarray(host: np.ndarray, name: str, copy: bool | None) -> jax.Array:
    return jnp.array(host, dtype=jax.dtypes.canonicalize_dtype(name), copy=bool(copy))


def copied(x: jax.Array) -> jax.Array:
    return x


def getitem(x: jax.Array, key: Any) -> jax.Array:
    try:
        return x[key]
    except OverflowError:
        return x[_wide(key)]


def setitem(x: jax.Array, key: Any, value: Any) -> jax.Array:
    try:
        return x.at[key].set(value)
    except OverflowError:
        return x.at[_wide(key)].set(value)


def _wide(key: Any) -> tuple[Any, ...]:
    """Positions as int32 at least: JAX counts in their own dtype, which may not hold the size of an axis."""
    items = key if isinstance(key, tuple) else (key,)
    narrow = (jnp.int8, jnp.int16)
    return tuple(item.astype(jnp.int32) if getattr(item, "dtype", None) in narrow else item for item in items)


def device(x: jax.Array) -> Any:
    return getattr(x, "device", None)  # a tracer has none


def to_device(x: jax.Array, device: Any) -> jax.Array:
    if isinstance(device, str):
        platform, _, number = device.partition(":")
        try:
            device = jax.devices(platform)[int(number or 0)]
        except (RuntimeError, IndexError, ValueError):
            raise UnknownDeviceError(f"jax has no device {device!r}", hint=f"it has {jax.devices()}") from None
    return jax.device_put(x, device)


def devices() -> tuple[Any, ...]:
    return tuple(jax.devices())


def default_device() -> Any:
    return jax.devices()[0]


def from_dlpack(x: Any) -> jax.Array:
    return jnp.from_dlpack(x)


def nonzero(x: jax.Array) -> tuple[jax.Array, ...]:
    return jnp.nonzero(x)


def to_numpy(x: jax.Array, dtype: Any, copy: bool | None) -> np.ndarray:
    return np.array(x, dtype=dtype, copy=copy)


def dlpack(x: jax.Array, max_version: tuple[int, int] | None = None, **options: Any) -> Any:
    if max_version is not None and max_version < (1, 0):
        max_version = None  # a capsule without a version, as all were before 1.0; JAX refuses to be asked below 0.5
    return x.__dlpack__(max_version=max_version, **options)  # pyright: ignore[reportCallIssue] the stub is older


def dlpack_device(x: jax.Array) -> tuple[Any, int]:
    return x.__dlpack_device__()  # pyright: ignore[reportAttributeAccessIssue]


def sort_keys(x: jax.Array) -> jax.Array:
    return x
