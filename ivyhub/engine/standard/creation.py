"""Creation functions of the standard."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from ...errors import DTypeError, MixedFrameworksError, ShapeError
from .. import native, ops
from ..backends import dtype_name, framework_of
from ..devices import preferred_device, preferred_dtype
from ..dims import Dim
from ..op import Array
from ..recording import TRACED
from ..refusals import fitting
from ..spec import Spec
from ._common import cast, dtype_of, is_integer, is_number, kind_of, owner_of, owner_or_none

Shape = int | tuple[int, ...]


def default_dtype(framework: str, kind: str) -> str:
    """The dtype that a framework gives to Python numbers of a kind: bool, int, float or complex.

    Within ``devices.default_dtype``, that one for floating-point numbers.
    """
    functions = native.module(framework)
    preferred = preferred_dtype() if kind == "float" else None
    return functions.canonical(preferred or functions.DEFAULTS[kind])


def named(framework: str, dtype: Any, kind: str = "float") -> str:
    """The dtype that is asked for, else the default one of a kind."""
    return default_dtype(framework, kind) if dtype is None else dtype_name(dtype)


def placed(framework: str, x: Array, device: Any) -> Array:
    """x on the device that is asked for, else on that of ``devices.default_device``, if any."""
    device = preferred_device(framework) if device is None else device
    return x if device is None else native.module(framework).to_device(x, device)


def _shape(shape: Any, dtype: str) -> tuple[int, ...]:
    """A size or sizes as a tuple. Raises `ShapeError` for what no array can have."""
    sizes: Any = (shape,) if hasattr(shape, "__index__") else shape
    if not hasattr(sizes, "__iter__") or not all(map(_is_size, sizes)):
        raise ShapeError(f"expected a size or a tuple of sizes, received {shape!r}")
    found = tuple(int(size) if isinstance(size, np.integer) else size for size in sizes)
    fitting(Spec(found, dtype))
    return found


def _is_size(size: Any) -> bool:
    return hasattr(size, "__index__") or isinstance(size, Dim)


def _line(count: int, dtype: str) -> int:
    """The size of a vector. Raises `ShapeError` where it is too large."""
    fitting(Spec((count,), dtype))
    return count


def full(framework: str, shape: Shape, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """An array of one number; its dtype is the default one of the number's kind unless it is given."""
    if framework_of(fill_value) == framework:  # an array of one number
        fill_value = native.module(framework).to_numpy(fill_value, None, None).item()
    name = named(framework, dtype, _kind(fill_value))
    shape = _shape(shape, name)
    whole = fill_value in (0, 1) and not name.startswith("float8")  # which TensorFlow makes of no integers
    if whole or framework == TRACED:
        x = ops.full.on(framework, shape=shape, fill_value=fill_value, dtype=name)
    else:  # a kernel for each number would have no end
        number = native.module(framework).asarray(_host(fill_value, name), name, None)
        x = native.module(framework).copied(ops.broadcast_to(number, shape=shape))
    return placed(framework, x, device)


def _kind(number: Any) -> str:
    """The kind of a Python number, also where its class is a child of int (a size, an enumeration)."""
    return next((kind.__name__ for kind in (bool, int, float, complex) if isinstance(number, kind)), "float")


def native_numpy(name: str) -> Any:
    """NumPy's dtype of that name, which a number goes through on its way to a framework."""
    return native.module("numpy").dtype(name)


def zeros(framework: str, shape: Shape, *, dtype: Any = None, device: Any = None) -> Array:
    """An array of zeros."""
    return full(framework, shape, 0, dtype=named(framework, dtype), device=device)


def ones(framework: str, shape: Shape, *, dtype: Any = None, device: Any = None) -> Array:
    """An array of ones."""
    return full(framework, shape, 1, dtype=named(framework, dtype), device=device)


def empty(framework: str, shape: Shape, *, dtype: Any = None, device: Any = None) -> Array:
    """An array whose values are not promised; they are zeros."""
    return zeros(framework, shape, dtype=dtype, device=device)


def full_like(x: Array, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """An array of one number, with the shape of x and its dtype unless another is given."""
    owner = owner_of(x)
    return full(
        owner, tuple(x.shape), fill_value, dtype=dtype_of(x) if dtype is None else dtype, device=beside(x, device)
    )


def zeros_like(x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Zeros with the shape of x, and its dtype unless another is given."""
    return full_like(x, 0, dtype=dtype, device=device)


def ones_like(x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Ones with the shape of x, and its dtype unless another is given."""
    return full_like(x, 1, dtype=dtype, device=device)


def empty_like(x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
    """An array with the shape of x whose values are not promised; they are zeros."""
    return full_like(x, 0, dtype=dtype, device=device)


def beside(x: Array, device: Any = None) -> Any:
    """The device to place an array on that stands beside x; None where it is the default one anyway."""
    functions = native.module(owner_of(x))
    if device is None and len(functions.devices()) > 1:
        return functions.device(x) or None  # in a compiled function an array is nowhere yet
    return device


def arange(
    framework: str, start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Array:
    """start, start + step, ... up to but without stop; from 0 where one number is given."""
    if stop is None:
        start, stop = 0, start
    whole = all(isinstance(value, int | Dim) for value in (start, stop, step))
    name = named(framework, dtype, "int" if whole else "float")
    if step == 0:
        raise ShapeError("expected a step other than 0")
    if framework == TRACED:
        return ops.arange(start=start, stop=stop, step=step, dtype=name)
    count = max(-((start - stop) // step) if whole else math.ceil((stop - start) / step), 0)
    _line(count, name)
    host = np.arange(count) * step + start if count else np.zeros(0)
    return placed(framework, native.module(framework).asarray(host.astype(native_numpy(name)), name, None), device)


def linspace(
    framework: str,
    start: Any,
    stop: Any,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: Any = None,
    endpoint: bool = True,
) -> Array:
    """``num`` numbers from start to stop at equal distances, stop among them unless ``endpoint`` is False."""
    kind = "complex" if isinstance(start, complex) or isinstance(stop, complex) else "float"
    name = named(framework, dtype, kind)
    if framework == TRACED and endpoint and kind == "float":
        return ops.linspace(start=start, stop=stop, num=num, dtype=name)
    host = np.linspace(start, stop, _line(num, name), endpoint=endpoint).astype(native_numpy(name))
    return placed(framework, native.module(framework).asarray(host, name, None), device)


def eye(
    framework: str, n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None
) -> Array:
    """Ones on the k-th diagonal of a matrix, zeros elsewhere."""
    name = named(framework, dtype)
    if framework == TRACED and k == 0:
        return ops.eye(n_rows=n_rows, n_cols=n_cols, dtype=name)
    fitting(Spec((n_rows, n_rows if n_cols is None else n_cols), name))
    host = np.eye(n_rows, n_cols, k, dtype=native_numpy(name))
    return placed(framework, native.module(framework).asarray(host, name, None), device)


def asarray(framework: str, obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Array:
    """A number, nested sequence of numbers, array or buffer as an array.

    Args:
        framework: the framework that the array is of.
        obj: numbers get the default dtype of their kind, arrays keep theirs.
        dtype: the dtype to give it.
        device: where to put it.
        copy: True: always in memory of its own; False: never, which raises `ValueError` where it would be needed;
            None: where it is needed.
    """
    functions = native.module(framework)
    owner = owner_or_none(obj)
    if owner == framework:
        return _as_array(framework, obj, dtype, device, copy)
    if owner not in (None, "numpy"):
        raise MixedFrameworksError(
            f"asarray expected numbers or an array of {framework}, received one of {owner}",
            hint="from_dlpack takes arrays of other frameworks",
        )
    plain = is_number(obj) or isinstance(obj, list | tuple)
    if copy is False and plain:
        raise ValueError("expected an array that can be shared, received Python numbers, which copy=False cannot take")
    host = _host(obj, None if dtype is None else dtype_name(dtype))
    name = dtype_name(host.dtype) if dtype is None and not plain else dtype_name(dtype) if dtype is not None else None
    if name is None:
        name = default_dtype(framework, kind_of(dtype_name(host.dtype)) if host.size else "float")
    if plain and host.dtype.kind in "iu" and is_integer(name):
        _held(host, functions.canonical(name))
    return placed(framework, functions.asarray(host, name, copy), device)


def _host(obj: Any, name: str | None) -> np.ndarray:
    if isinstance(obj, list | tuple):
        obj = _plain(obj)
    try:
        host = np.asarray(obj, None if name is None else native_numpy(name))
    except OverflowError as error:
        raise DTypeError(
            f"expected numbers that {name} holds, received {obj!r:.80}", hint="name a wider dtype"
        ) from error
    except ValueError as error:
        raise ShapeError(f"expected sequences of equal length, received {obj!r:.80}") from error
    if host.dtype.kind not in "biufcV" or host.dtype.hasobject:
        raise DTypeError(f"expected numbers of 64 bits or fewer, received {obj!r:.80}")
    return host


def _held(host: np.ndarray, name: str) -> None:
    """Raise `DTypeError` for integers beyond a dtype, which a framework would cut off: JAX, where it has 32 bits."""
    limits = np.iinfo(name)
    if host.size and not limits.min <= host.min() <= host.max() <= limits.max:
        raise DTypeError(
            f"expected integers that {name} holds, received some from {host.min()} to {host.max()}",
            hint="ask for a wider dtype; JAX has 64 bits with JAX_ENABLE_X64=1",
        )


def _plain(obj: Any) -> Any:
    """Nested sequences with arrays without axes as Python numbers."""
    if isinstance(obj, list | tuple):
        return [_plain(item) for item in obj]
    return obj.item() if hasattr(obj, "item") else obj


def _as_array(framework: str, x: Array, dtype: Any, device: Any, copy: bool | None) -> Array:
    functions = native.module(framework)
    found = x
    if dtype is not None and dtype_of(x) != dtype_name(dtype):
        if copy is False:
            raise ValueError(f"expected an array of {dtype_name(dtype)} for copy=False, received {dtype_of(x)}")
        found = cast(x, dtype_name(dtype))
    elif copy:
        found = functions.copied(x)
    return found if device is None else functions.to_device(found, device)


def from_dlpack(framework: str, x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """An array over the memory of another library's array; in memory of its own where ``copy`` is True.

    Raises `ValueError` for ``copy=False`` where another device would need one.
    """
    functions = native.module(framework)
    native_x = getattr(x, "native", x)
    try:
        found = native_x if framework_of(native_x) == framework else functions.from_dlpack(native_x)
    except BufferError as error:  # memory that the framework cannot take as it lies
        if copy is False:
            raise ValueError(f"from_dlpack cannot share this memory: {error}") from error
        host = np.from_dlpack(native_x)
        found = functions.asarray(host, dtype_name(host.dtype), True)
    if device is not None and functions.device(found) != device:
        if copy is False:
            raise ValueError(f"expected the device {functions.device(found)} for copy=False, received {device}")
        return functions.to_device(found, device)
    return functions.copied(found) if copy else found


def meshgrid(*arrays: Array, indexing: Literal["xy", "ij"] = "xy") -> tuple[Array, ...]:
    """Coordinate arrays of a grid from vectors; "xy" exchanges the first two axes."""
    if indexing not in ("xy", "ij"):
        raise ShapeError(f"expected indexing 'xy' or 'ij', received {indexing!r}")
    ndim = len(arrays)
    order = list(range(ndim))
    if indexing == "xy" and ndim > 1:
        order[:2] = [1, 0]
    sizes: list[Any] = [0] * ndim
    for axis, x in zip(order, arrays, strict=True):
        sizes[axis] = x.shape[0]
    out: list[Array] = []
    for axis, x in zip(order, arrays, strict=True):
        line = ops.reshape(x, shape=tuple(sizes[i] if i == axis else 1 for i in range(ndim)))
        out.append(ops.broadcast_to(line, shape=tuple(sizes)))
    return tuple(out)


def tril(x: Array, /, *, k: int = 0) -> Array:
    """The last two axes on and below the k-th diagonal; zeros above."""
    return ops.tril(x, k=k)


def triu(x: Array, /, *, k: int = 0) -> Array:
    """The last two axes on and above the k-th diagonal; zeros below."""
    return ops.triu(x, k=k)


OWNED = (arange, asarray, empty, eye, from_dlpack, full, linspace, ones, zeros)
"""Functions that take the framework first."""

PLAIN = (empty_like, full_like, meshgrid, ones_like, tril, triu, zeros_like)
