"""A namespace of the standard from the table of its functions."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import native
from ..array import Array, wrap
from ..backends import framework_of
from ..refusals import tell
from ..standard import creation, dtypes, elementwise, fft, linalg, manipulation, statistical
from ..standard.info import Info
from .versions import NEWEST

_OWNED = (*creation.OWNED, *dtypes.OWNED)
_MAIN = (
    *(*creation.PLAIN, *dtypes.PLAIN, *elementwise.PLAIN, *manipulation.PLAIN),
    *(*linalg.MAIN, *statistical.PLAIN),
)
_RAW = {"broadcast_shapes", "can_cast", "finfo", "iinfo", "isdtype", "result_type"}


def build(framework: str, over: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None) -> dict[str, Any]:
    """The attributes of a framework's namespace.

    Args:
        framework: its name, or that of traces.
        over: makes the namespace's functions of those of native arrays; by default `over_arrays`.
    """
    over = over_arrays if over is None else over
    functions = native.module(framework)
    attributes: dict[str, Any] = {
        "__array_api_version__": NEWEST,
        "__array_namespace_info__": functools.wraps(_array_namespace_info)(lambda: Info(framework)),
        "e": math.e,
        "inf": math.inf,
        "nan": math.nan,
        "newaxis": None,
        "pi": math.pi,
        **{name: _dtype(functions.dtype(name)) for name in _DTYPES},
    }
    for function in _MAIN:
        attributes[_name(function)] = over(function)
    for function in _OWNED:
        attributes[_name(function)] = over(_bound(function, framework))
    attributes["linalg"] = SimpleNamespace(**{_name(f): over(f) for f in linalg.EXTENSION})
    attributes["fft"] = SimpleNamespace(
        **{_name(f): over(f) for f in fft.PLAIN},
        **{_name(f): over(_bound(f, framework)) for f in fft.OWNED},
    )
    return attributes


_DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "complex64", "complex128"),
)


def _dtype(dtype: Any) -> Any:
    """A dtype object as an attribute; of NumPy's, which JAX shares, the scalar type.

    ``None == np.dtype("float64")`` holds, for None asks NumPy for float64: a dtype that was not given would equal it.
    """
    return dtype.type if isinstance(dtype, np.dtype) else dtype


def _array_namespace_info() -> Info:  # pyright: ignore[reportReturnType] its signature and documentation
    """The inspection functions of the namespace."""


def _name(function: Any) -> str:
    return function.__name__


def _bound(function: Callable[..., Any], framework: str) -> Callable[..., Any]:
    bound: Any = functools.partial(function, framework)
    bound.__name__, bound.__doc__ = function.__name__, function.__doc__
    return bound


def over_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of native arrays as one of `Array`, whose errors name it."""
    name = _name(function)
    parameters = inspect.signature(function).parameters
    if name not in _RAW and list(parameters) == ["x"]:

        def unary(x: Array, /) -> Any:
            operand = x.native if type(x) is Array else x
            try:
                return wrap(function(operand)) if plain else _wrapped(function(operand))
            except Exception as error:
                tell(name, error, (operand,), {})

        plain = inspect.signature(function).return_annotation == "Array"
        wrapped: Any = unary
    elif list(parameters) == ["x1", "x2"]:

        def binary(x1: Array | Any, x2: Array | Any, /) -> Any:
            first, second = x1.native if type(x1) is Array else x1, x2.native if type(x2) is Array else x2
            try:
                return wrap(function(first, second))
            except Exception as error:
                tell(name, error, (first, second), {})

        wrapped = binary
    else:

        def general(*args: Any, **options: Any) -> Any:
            operands, settings = [*map(_native, args)], {key: _native(value) for key, value in options.items()}
            try:
                found = function(*operands, **settings)
            except Exception as error:
                tell(name, error, operands, settings)
            if shares and type(args[0]) is Array and args[0].native is found and not options.get("copy"):
                return args[0]  # one array, where its wrapper is what changes
            return found if raw else _wrapped(found)

        raw, shares = name in _RAW, name == "asarray"
        wrapped = general
    return functools.update_wrapper(wrapped, function)


def _native(value: Any) -> Any:
    if type(value) is Array:
        return value.native
    if isinstance(value, list | tuple):
        return type(value)(map(_native, value)) if not hasattr(value, "_fields") else value
    return value


def _wrapped(result: Any) -> Any:
    if isinstance(result, tuple):
        items = map(_wrapped, result)
        return type(result)(*items) if hasattr(result, "_fields") else tuple(items)
    return wrap(result) if framework_of(result) else result
