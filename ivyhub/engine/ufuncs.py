"""What arrays that are not NumPy's answer to its functions.

NumPy asks an operand beside its own arrays and scalars: ``array + x`` is ``np.add(array, x)`` to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ..errors import GraphError
from .op import OPS

_COMPARISONS = {
    "equal": ("eq", "eq"),
    "not_equal": ("ne", "ne"),
    "less": ("lt", "gt"),
    "greater": ("gt", "lt"),
    "less_equal": ("le", "ge"),
    "greater_equal": ("ge", "le"),
}
_ARITHMETIC = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "truediv",
    "floor_divide": "floordiv",
    "remainder": "mod",
    "power": "pow",
    "matmul": "matmul",
    "left_shift": "lshift",
    "right_shift": "rshift",
    "bitwise_and": "and",
    "bitwise_or": "or",
    "bitwise_xor": "xor",
}
OPERATORS: dict[Callable[..., Any], tuple[str, str]] = {
    **{getattr(np, ufunc): (f"__{left}__", f"__{right}__") for ufunc, (left, right) in _COMPARISONS.items()},
    **{getattr(np, ufunc): (f"__{name}__", f"__r{name}__") for ufunc, name in _ARITHMETIC.items()},
}
"""The operators behind ufuncs of NumPy: the one of an array of ours on the left, and of one on the right."""

_ATTRIBUTES = {np.shape: "shape", np.ndim: "ndim", np.size: "size"}


class WithoutValues:
    """A traced array to NumPy: operators beside NumPy's arrays are its own, functions that need numbers are refused."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, /, *inputs: Any, **options: Any) -> Any:
        if ufunc in OPERATORS and method == "__call__" and not options:
            left, right = OPERATORS[ufunc]
            first, second = inputs
            if isinstance(second, np.ndarray | np.generic):
                return getattr(first, left)(second)
            if isinstance(first, np.ndarray | np.generic) and hasattr(second, right):
                return getattr(second, right)(first)
        return _refuse(f"numpy.{ufunc.__name__}", self)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any, /) -> Any:
        if function in _ATTRIBUTES and len(args) == 1 and not options:
            return getattr(self, _ATTRIBUTES[function])
        return _refuse(f"{function.__module__}.{function.__name__}", self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        _refuse("numpy.asarray", self)


def _refuse(name: str, x: Any) -> NoReturn:
    own = name.rpartition(".")[2]
    own = own.replace("arc", "a", 1) if own.startswith("arc") else own
    raise GraphError(
        f"{name} expected an array with values, received {x!r}, which has none while a graph is built",
        hint=f"use the engine's functions, which are recorded{f': engine.{own}' if own in OPS else ''}",
    )


__all__ = ["OPERATORS", "WithoutValues"]
