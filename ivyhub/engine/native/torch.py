"""Eager arrays of PyTorch. See `ivyhub.engine.native`."""

# pyright: basic

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import torch

from ...errors import UnknownDeviceError

DEFAULTS = {"bool": "bool", "int": "int64", "float": "float32", "complex": "complex64"}


def dtype(name: str) -> torch.dtype:
    return getattr(torch, name)


def canonical(name: str) -> str:
    return name


def asarray(host: np.ndarray, name: str, copy: bool | None) -> torch.Tensor:
    if not host.flags.writeable or any(stride < 0 for stride in host.strides):
        host = host.copy()
    bits = _BITS.get(host.dtype.name)
    found = torch.from_numpy(host) if bits is None else torch.from_numpy(host.view(bits)).view(dtype(host.dtype.name))
    found = found.to(dtype(name))
    return found.clone() if copy else found


def copied(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


def getitem(x: torch.Tensor, key: Any) -> torch.Tensor:
    if x.dtype in _SIGNED:  # few kernels know the unsigned ones: the bits are the same
        return getitem(x.view(_SIGNED[x.dtype]), key).view(x.dtype)
    items = key if type(key) is tuple else (key,)
    if _turns(items):
        key, flipped = _forwards(items, x.shape)
        return x[key].flip(flipped)
    return x[_positions(items)] if not _blank(items) else x.new_empty(0, *x.shape[items[0].ndim :])


def _blank(items: tuple[Any, ...]) -> bool:
    """Whether a mask without elements stands alone: the standard lets it choose nothing from axes of any size."""
    return len(items) == 1 and getattr(items[0], "dtype", None) == torch.bool and 0 in items[0].shape


def setitem(x: torch.Tensor, key: Any, value: Any) -> torch.Tensor:
    items = key if type(key) is tuple else (key,)
    if _blank(items):
        return x
    key, flipped = _forwards(items, x.shape) if _turns(items) else (_positions(items), [])
    bits = x
    if x.dtype in _SIGNED:
        value = torch.as_tensor(value, dtype=x.dtype, device=x.device)
        bits, value = x.view(_SIGNED[x.dtype]), value.view(_SIGNED[x.dtype])
    elif type(value) not in _NUMBERS or abs(value) >= 2**63:  # which PyTorch refuses where as_tensor knows infinity
        value = torch.as_tensor(value, dtype=x.dtype, device=x.device)
    bits[key] = value if not flipped or type(value) in _NUMBERS else value.expand(bits[key].shape).flip(flipped)
    return x


_BITS = {"bfloat16": "int16", "float8_e4m3fn": "int8", "float8_e5m2": "int8"}
"""What PyTorch has no word for in NumPy crosses as integers of the same bits."""

_NUMBERS = frozenset({bool, int, float})
_SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}


def _turns(items: tuple[Any, ...]) -> bool:
    """Whether a slice goes backwards."""
    steps = (item.step for item in items if isinstance(item, slice))
    return any(step is not None and int(step) < 0 for step in steps)


def _positions(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Integer arrays as int64: PyTorch reads uint8 as a mask, and knows no other unsigned ones."""
    return tuple(
        item.to(torch.int64) if isinstance(item, torch.Tensor) and item.dtype != torch.bool else item for item in items
    )


def _forwards(items: tuple[Any, ...], shape: Any) -> tuple[tuple[Any, ...], list[int]]:
    """A key whose slices go forwards, as PyTorch wants them, and the axes of its result to turn."""
    out: list[Any] = []
    flipped: list[int] = []
    axis = place = 0
    rest = sum(item is not None and item is not Ellipsis for item in items)
    for item in _positions(items):
        if item is Ellipsis:
            axis, place = len(shape) - rest, place + len(shape) - rest - axis
        elif item is None:
            place += 1
        elif isinstance(item, slice):
            positions = range(*item.indices(shape[axis]))
            if positions.step < 0:
                turned = positions[::-1]
                item = slice(turned.start, turned.stop, turned.step) if len(turned) else slice(0, 0)
                flipped.append(place)
            axis, rest, place = axis + 1, rest - 1, place + 1
        else:
            axis, rest = axis + (item.ndim if getattr(item, "dtype", None) == torch.bool else 1), rest - 1
        out.append(item)
    return tuple(out), flipped


def device(x: torch.Tensor) -> torch.device:
    return x.device


def to_device(x: torch.Tensor, device: Any) -> torch.Tensor:
    try:
        return x.to(torch.device(device))
    except (RuntimeError, AssertionError, TypeError) as error:
        words = str(error).partition("\n")[0]
        raise UnknownDeviceError(f"torch has no device {device!r}: {words}", hint=f"it has {devices()}") from None


def devices() -> tuple[torch.device, ...]:
    return (torch.device("cpu"), *(torch.device("cuda", i) for i in range(torch.cuda.device_count())))


def default_device() -> torch.device:
    return torch.get_default_device()


def from_dlpack(x: Any) -> torch.Tensor:
    return torch.from_dlpack(x)


def nonzero(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.nonzero(x if x.dtype == torch.bool else x != 0, as_tuple=True)


def to_numpy(x: torch.Tensor, dtype: Any, copy: bool | None) -> np.ndarray:
    x, name = x.detach().cpu().resolve_conj().resolve_neg(), str(x.dtype).removeprefix("torch.")
    host = x.view(getattr(torch, _BITS[name])).numpy().view(getattr(ml_dtypes, name)) if name in _BITS else x.numpy()
    return np.array(host, dtype=dtype, copy=copy)


def dlpack(x: torch.Tensor, **options: Any) -> Any:
    return x.detach().__dlpack__(**options)


def dlpack_device(x: torch.Tensor) -> tuple[Any, int]:
    return x.__dlpack_device__()


def sort_keys(x: torch.Tensor) -> torch.Tensor:
    return x
