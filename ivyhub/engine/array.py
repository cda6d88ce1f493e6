"""`Array`: a native array of any framework, with the operators and attributes of the Array API Standard 2025.12."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import DTypeError, MixedFrameworksError, ShapeError, UnknownDeviceError
from . import native, ops, trees
from .backends import dtype_name, framework_of
from .methods import Methods
from .native.keys import checked, is_plain
from .refusals import refused
from .standard import elementwise, linalg, manipulation
from .ufuncs import OPERATORS

_SCALARS = frozenset({bool, int, float, complex})


class Array(Methods):
    """A thin wrapper around a native array.

    Arithmetic, comparison and indexing follow the standard on every framework; the native array is always at hand.
    ``x[key] = value`` and ``x += y`` change the wrapper on every framework: where arrays are immutable, it takes a new
    one. Functions of the standard are methods, too, under the names that EagerPy gives them (`methods.Methods`).
    Functions of NumPy take an `Array` for what ``x.numpy()`` is, and give arrays of NumPy.

    Attributes:
        native: the array of NumPy, PyTorch, JAX or TensorFlow.

    Example:
        >>> import numpy as np
        >>> x = Array(np.array([1, 2, 3]))
        >>> (x[1:] * 2).native
        array([4, 6])
        >>> x[x > 1] = 0
        >>> x
        Array([1 0 0], int64, numpy)
    """

    __slots__ = ("native",)
    __hash__ = None  # pyright: ignore[reportAssignmentType] equality is elementwise
    native: Any

    def __init__(self, native: Any, /) -> None:
        if framework_of(native) is None:
            raise DTypeError(
                f"expected an array of a framework, received {type(native).__name__}",
                hint="xp.asarray makes one of numbers and sequences",
            )
        self.native = native

    # -- attributes --------------------------------------------------------------------------------------------------

    @property
    def framework(self) -> str:
        """The framework whose array this is."""
        return framework_of(self.native) or ""

    @property
    def dtype(self) -> Any:
        """The framework's dtype object."""
        return self.native.dtype

    @property
    def device(self) -> Any:
        """Where the array is, as its framework says it."""
        return native.module(self.framework).device(self.native)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.native.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return tuple(self.native.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        total = 1
        for size in self.native.shape:
            total *= int(size)
        return total

    @property
    def T(self) -> Array:  # noqa: N802 - the standard's name
        """The two axes of a matrix exchanged. Raises `ShapeError` on anything else."""
        x = self.native
        if len(x.shape) != 2:
            raise ShapeError(
                f"expected a matrix, received the shape {self.shape}", hint="mT exchanges the last two axes"
            )
        return wrap(ops.transpose(x, axes=(1, 0)))

    @property
    def mT(self) -> Array:  # noqa: N802 - the standard's name
        """The last two axes exchanged."""
        return wrap(manipulation.matrix_transpose(self.native))

    def to_device(self, device: Any, /, *, stream: Any = None) -> Array:
        """The array on a device of its framework. Raises `UnknownDeviceError`."""
        if device is None:
            raise UnknownDeviceError("to_device expected a device, received None", hint="x.device tells where x is")
        return wrap(native.module(self.framework).to_device(self.native, device))

    # -- exchange ----------------------------------------------------------------------------------------------------

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Any:
        return importlib.import_module(".xp.versions", __package__).namespace(self.framework, api_version)

    def __dlpack__(
        self,
        /,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[Any, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        return native.module(self.framework).dlpack(
            self.native, stream=stream, max_version=max_version, dl_device=dl_device, copy=copy
        )

    def __dlpack_device__(self, /) -> tuple[Any, int]:
        return native.module(self.framework).dlpack_device(self.native)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return native.module(self.framework).to_numpy(self.native, dtype, copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, /, *inputs: Any, **kwargs: Any) -> Any:
        names = OPERATORS.get(ufunc)
        if names and method == "__call__" and not kwargs:  # array + x, of NumPy's array and ours: the work is ours
            first, second = inputs
            if isinstance(first, Array):
                return getattr(first, names[0])(second)
            return getattr(second, names[1])(first)
        return getattr(ufunc, method)(*_hosted(inputs), **_hosted(kwargs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any, /) -> Any:
        if not all(issubclass(each, Array | np.ndarray) for each in types):
            return NotImplemented
        return function(*_hosted(args), **_hosted(kwargs))

    # -- indexing ----------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any, /) -> Array:
        x = self.native
        if is_plain(key, x.shape):
            return wrap(x[key])
        key = checked(_key(key), self.shape, self.framework)
        return wrap(native.module(self.framework).getitem(x, key))

    def __setitem__(self, key: Any, value: Any, /) -> None:
        value, owner = value.native if isinstance(value, Array) else value, self.framework
        if type(value) not in _SCALARS and framework_of(value) not in (None, owner, "numpy"):
            raise MixedFrameworksError(
                f"assignment expected numbers or an array of {owner}, received one of {framework_of(value)}",
                hint="move it first: to_framework(x, ...)",
            )
        if not is_plain(key, self.native.shape):
            key = checked(_key(key), self.shape, owner)
        try:
            self.native = native.module(owner).setitem(self.native, key, value)
        except Exception as error:
            raise refused("assignment", owner, [self.native, value], {"key": key}, error) from error

    def index_update(self, indices: Any, values: Any, /) -> Array:
        """A new array with the elements at ``indices`` replaced."""
        found = wrap(native.module(self.framework).copied(self.native))
        found[indices] = values
        return found

    def __len__(self) -> int:
        if not self.ndim:
            raise ShapeError("expected an array of one axis or more, received one without axes")
        return int(self.native.shape[0])

    def __iter__(self) -> Any:
        return map(wrap, manipulation.unstack(self.native))

    # -- one number --------------------------------------------------------------------------------------------------

    def item(self) -> bool | int | float | complex:
        """The only element as a Python number. Raises `ShapeError` where there are more or none."""
        if self.size != 1:
            raise ShapeError(f"expected one element, received the shape {self.shape}")
        return native.module(self.framework).to_numpy(self.native, None, None).item()

    def __bool__(self, /) -> bool:
        return bool(self.item())

    def __int__(self, /) -> int:
        return int(self.item())  # pyright: ignore[reportArgumentType] Python refuses complex numbers itself

    def __float__(self, /) -> float:
        return float(self.item())  # pyright: ignore[reportArgumentType]

    def __complex__(self, /) -> complex:
        return complex(self.item())

    def __index__(self, /) -> int:
        if "int" not in dtype_name(self.dtype):
            raise DTypeError(f"expected an integer as an index, received {dtype_name(self.dtype)}")
        return int(self.item())  # pyright: ignore[reportArgumentType]

    def __format__(self, spec: str, /) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self) -> str:
        values = str(native.module(self.framework).to_numpy(self.native, None, None))
        return f"Array({values}, {dtype_name(self.dtype)}, {self.framework})"


def wrap(native: Any) -> Array:
    """A native array as an `Array`, unchecked."""
    x = _new(Array)
    x.native = native
    return x


_new = object.__new__


def _key(key: Any) -> Any:
    return tuple(map(_item, key)) if type(key) is tuple else _item(key)


def _item(item: Any) -> Any:
    if type(item) is Array:
        return item.native
    if type(item) is slice:
        bounds = (item.start, item.stop, item.step)
        return slice(*(None if bound is None else operator.index(bound) for bound in bounds))
    if isinstance(item, list | tuple | range):
        return np.asarray(item, None if item else np.int64)
    return item


def _operand(other: Any, x: Any) -> Any:
    """What an operator takes beside x: a native array, or a number; NumPy's scalars are numbers to other frameworks."""
    if isinstance(other, Array):
        return other.native
    if isinstance(other, np.generic) and framework_of(x) != "numpy":
        return other.item()
    return NotImplemented if framework_of(other) is None else other


def _hosted(value: Any) -> Any:
    """Arguments of a function of NumPy with arrays of NumPy for ours. Raises `DTypeError` where a gradient is lost."""
    if isinstance(value, Array):
        if getattr(value.native, "requires_grad", False):
            raise DTypeError(
                "functions of NumPy expected an array without a gradient, received one that PyTorch follows",
                hint="take the function of x.__array_namespace__(), or x.numpy() where no gradient is needed",
            )
        return value.numpy()
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(map(_hosted, value))
    return {key: _hosted(each) for key, each in value.items()} if isinstance(value, dict) else value


def _unary(function: Callable[[Any], Any]) -> Any:
    def method(self: Array, /) -> Array:
        return wrap(function(self.native))

    return method


def _binary(function: Callable[[Any, Any], Any]) -> Any:
    def method(self: Array, other: Any, /) -> Array:
        kind = type(other)
        if kind is Array:
            other = other.native
        elif kind not in _SCALARS and (other := _operand(other, self.native)) is NotImplemented:
            return NotImplemented
        x = _new(Array)
        x.native = function(self.native, other)
        return x

    return method


def _reflected(function: Callable[[Any, Any], Any]) -> Any:
    def method(self: Array, other: Any, /) -> Array:
        if type(other) not in _SCALARS and (other := _operand(other, self.native)) is NotImplemented:
            return NotImplemented
        return wrap(function(other, self.native))

    return method


def _in_place(function: Callable[[Any, Any], Any]) -> Any:
    def method(self: Array, other: Any, /) -> Array:
        if type(other) not in _SCALARS and (other := _operand(other, self.native)) is NotImplemented:
            return NotImplemented
        found = function(self.native, other)
        if found.dtype != self.native.dtype or tuple(found.shape) != self.shape:
            raise DTypeError(
                f"expected a result of {self.shape} and {self.dtype} in place, received {tuple(found.shape)} and "
                f"{found.dtype}",
                hint="write x = x + y",
            )
        self.native = found
        return self

    return method


_UNARY = {
    "abs": elementwise.abs,
    "invert": elementwise.bitwise_invert,
    "neg": ops.negative,
    "pos": elementwise.positive,
}
_COMPARISONS = {
    "eq": ops.equal,
    "ge": ops.greater_equal,
    "gt": ops.greater,
    "le": ops.less_equal,
    "lt": ops.less,
    "ne": ops.not_equal,
}
_BINARY = {
    "add": ops.add,
    "and": elementwise.bitwise_and,
    "floordiv": elementwise.floor_divide,
    "lshift": elementwise.bitwise_left_shift,
    "matmul": linalg.matmul,
    "mod": elementwise.remainder,
    "mul": ops.multiply,
    "or": elementwise.bitwise_or,
    "pow": elementwise.pow,
    "rshift": elementwise.bitwise_right_shift,
    "sub": ops.subtract,
    "truediv": elementwise.divide,
    "xor": elementwise.bitwise_xor,
}


def _install() -> None:
    for name, function in _UNARY.items():
        _set(f"__{name}__", _unary(function))
    for name, function in {**_COMPARISONS, **_BINARY}.items():
        _set(f"__{name}__", _binary(function))
    for name, function in _BINARY.items():
        _set(f"__r{name}__", _reflected(function))
        _set(f"__i{name}__", _in_place(function))


def _set(name: str, method: Any) -> None:
    method.__name__ = name
    method.__qualname__ = f"Array.{name}"
    setattr(Array, name, method)


_install()
trees.register(Array, lambda x: ((x.native,), None), lambda _, children: wrap(*children))

__all__ = ["Array", "wrap"]
