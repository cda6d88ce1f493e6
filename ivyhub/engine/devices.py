"""Where arrays live: devices by one name in every framework, defaults for a block of code, and exchange without copies.

    >>> import numpy as np
    >>> device("cuda:1"), device(np.ones(2))
    (Device('cuda', 1), Device('cpu', 0))
    >>> from ivyhub import engine
    >>> with default_dtype("float64"):
    ...     engine.zeros(2, framework="torch").dtype
    torch.float64

Defaults are context variables: a thread or an asynchronous task has its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ..errors import DTypeError, EngineError, UnknownDeviceError
from .backends import dtype_name, framework, framework_of, is_floating
from .native import module as functions_of
from .op import Array
from .trees import Tree, is_array, tree_map

_KINDS = {
    # kind: what torch, JAX and TensorFlow call it
    "cpu": ("cpu", "cpu", "CPU"),
    "cuda": ("cuda", "gpu", "GPU"),
    "gpu": ("cuda", "gpu", "GPU"),
    "mps": ("mps", "", "GPU"),
    "xpu": ("xpu", "gpu", "XPU"),
    "tpu": ("xla", "tpu", "TPU"),
}
_PLACES = {"torch": 0, "jax": 1, "tensorflow": 2}


@dataclass(frozen=True, repr=False)
class Device:
    """A device under one name in every framework.

    Attributes:
        kind: cpu, cuda, gpu, mps, xpu or tpu.
        index: which of them.
    """

    kind: str
    index: int = 0

    def __repr__(self) -> str:
        return f"Device({self.kind!r}, {self.index})"

    def __str__(self) -> str:
        return f"{self.kind}:{self.index}"

    def name(self, owner: str) -> str:
        """What a framework calls it. Raises `UnknownDeviceError` where the framework knows no such kind.

        Example:
            >>> Device("cuda", 1).name("tensorflow")
            'GPU:1'
        """
        framework(owner)
        word = "" if owner == "numpy" else _KINDS[self.kind][_PLACES[owner]]
        if owner == "numpy" and self == Device("cpu"):
            return "cpu"
        if not word:
            raise UnknownDeviceError(f"{owner} has no device {str(self)!r}", hint="choose cpu")
        return word if owner == "torch" and word == "cpu" else f"{word}:{self.index}"


def device(place: str | Device | Array) -> Device:
    """A device by its name (``"cuda:0"``, ``"cpu"``), or that of an array.

    Raises `UnknownDeviceError` for a name of no device.
    """
    if isinstance(place, Device):
        return place
    owner = framework_of(place)
    text = place if isinstance(place, str) else None
    if owner is not None:
        found = functions_of(owner).device(place)
        text = f"{found.platform}:{found.id}" if owner == "jax" else str(found).lower()
    if text is None:
        raise UnknownDeviceError(f"expected a device or an array, received {type(place).__name__}", hint="'cuda:0'")
    kind, _, index = text.partition(":")
    if kind not in _KINDS or not (index or "0").isdecimal():
        raise UnknownDeviceError(f"unknown device {text!r}", hint=f"one of {', '.join(_KINDS)}, with :0 and so on")
    return Device(kind, int(index or 0))


def to_device(tree: Tree, place: str | Device) -> Tree:
    """The arrays of a tree on a device. Raises `UnknownDeviceError` where a framework has no such device."""
    target = device(place)

    def moved(leaf: Any) -> Any:
        owner = framework_of(leaf)
        return leaf if owner is None else functions_of(owner).to_device(leaf, _present(target, owner))

    return tree_map(moved, tree)


def _present(target: Device, owner: str) -> str:
    """What a framework calls a device. TensorFlow takes another in its place where it is missing, so it is asked."""
    name = target.name(owner)
    if owner == "tensorflow" and name not in (present := functions_of(owner).devices()):
        raise UnknownDeviceError(f"tensorflow has no device {name!r}", hint=f"it has {', '.join(present)}")
    return name


_DEVICE: ContextVar[Device | None] = ContextVar("ivyhub_device", default=None)
_DTYPE: ContextVar[str | None] = ContextVar("ivyhub_dtype", default=None)


@contextlib.contextmanager
def default_device(place: str | Device) -> Generator[Device]:
    """In the block, creation functions make arrays on a device, unless they are told another."""
    token = _DEVICE.set(device(place))
    try:
        yield device(place)
    finally:
        _DEVICE.reset(token)


@contextlib.contextmanager
def default_dtype(dtype: Any) -> Generator[str]:
    """In the block, creation functions make floating-point arrays of a dtype, unless they are told another."""
    name = dtype_name(dtype)
    if not is_floating(name):
        raise DTypeError(f"default_dtype expected a floating-point dtype, received {name}")
    token = _DTYPE.set(name)
    try:
        yield name
    finally:
        _DTYPE.reset(token)


def preferred_device(owner: str) -> str | None:
    """The device of the block for a framework, None outside of one."""
    found = _DEVICE.get()
    return None if found is None else _present(found, owner)


def preferred_dtype() -> str | None:
    """The floating-point dtype of the block, None outside of one."""
    return _DTYPE.get()


def to_framework(tree: Tree, owner: str, *, copy: bool | None = None) -> Tree:
    """The arrays of a tree as arrays of another framework, over the same memory where that is possible.

    Args:
        tree: arrays of any frameworks; what is no array is kept.
        owner: torch, jax, tensorflow or numpy.
        copy: True for memory of their own, False to raise where the memory cannot be shared.

    Memory is shared by DLPack. Where two arrays share it, neither is to be written to: JAX and TensorFlow take arrays
    as constant. bfloat16 and float8 of NumPy are those of ml_dtypes.

    Raises:
        EngineError: for a tensor that a gradient is recorded for, and, with ``copy=False``, where memory is not shared.

    Example:
        >>> import numpy as np
        >>> type(to_framework({"x": np.ones(2)}, "torch")["x"]).__name__
        'Tensor'
    """
    framework(owner)
    return tree_map(lambda leaf: _exchanged(leaf, owner, copy) if is_array(leaf) else leaf, tree)


def _exchanged(x: Array, owner: str, copy: bool | None) -> Array:
    source = framework_of(x)
    if source is None:
        raise EngineError(f"to_framework received {x!r}: a graph is emitted to a framework", hint="graph.emit(...)")
    functions = functions_of(owner)
    if source == owner:
        return functions.copied(x) if copy else x
    if getattr(x, "requires_grad", False):
        raise EngineError(
            f"to_framework expected an array without a gradient, received a tensor that requires one for {owner}",
            hint="give it stop_gradient(x): gradients do not cross frameworks",
        )
    try:
        if not copy:
            return functions.from_dlpack(x)
    except Exception as error:  # each framework has errors of its own, and each refuses other arrays
        if copy is False:
            raise EngineError(
                f"{source} and {owner} cannot share the memory of {dtype_name(x.dtype)}{list(x.shape)}: {error}",
                hint="allow a copy with copy=None",
            ) from error
    host = functions_of(source).to_numpy(x, None, None)
    return functions.asarray(host, dtype_name(host.dtype), True)


__all__ = [
    "Device",
    "default_device",
    "default_dtype",
    "device",
    "preferred_device",
    "preferred_dtype",
    "to_device",
    "to_framework",
]
