"""TensorLy over `engine.Array`: one backend a framework.

::

    import tensorly
    from ivyhub.engine.interop.tensorly import register

    register()
    tensorly.set_backend("ivyhub.jax")          # or .numpy, .torch, .tensorflow

Tensors of these backends are `Array`: indexing, assignment, operators and promotion are those of the standard on every
framework, and nothing global is switched on (TensorLy's own backends turn on JAX's 64 bits and TensorFlow's NumPy
behaviour). With JAX, 64-bit dtypes need its x64 mode, as ever.
"""

# pyright: basic

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tensorly.backend import BackendManager
from tensorly.backend.core import Backend

from .. import ops
from ..array import Array
from ..backends import FRAMEWORKS
from .names import INVERSE

_DTYPES = ("int32", "int64", "float32", "float64", "complex64", "complex128")
_SAME = ("conj", "cos", "cosh", "exp", "log", "log2", "sign", "sin", "sinh", "sqrt", "tan", "tanh")
_ELEMENTWISE = {
    # TensorLy's name: the standard's
    **{name: name for name in _SAME},
    **INVERSE,
    "abs": "abs",
    "maximum": "maximum",
    "minimum": "minimum",
    "matmul": "matmul",
}
_REDUCTIONS = ("all", "any", "argmax", "argmin", "count_nonzero", "max", "mean", "min", "prod", "sum")


def register() -> tuple[str, ...]:
    """Make the backends known to TensorLy, for ``tensorly.set_backend``; their names.

    Example:
        >>> register()  # doctest: +SKIP
        ('ivyhub.numpy', 'ivyhub.torch', 'ivyhub.jax', 'ivyhub.tensorflow')
    """
    names = tuple(f"ivyhub.{framework}" for framework in FRAMEWORKS)
    for framework, name in zip(FRAMEWORKS, names, strict=True):
        if name not in Backend._available_backends:
            type(f"{framework.capitalize()}Arrays", (_Arrays, Backend), {"framework": framework}, backend_name=name)
            BackendManager.available_backend_names.append(name)
    return names


class _Arrays:
    """The functions that TensorLy asks of a backend and cannot derive, over a framework's namespace of the standard."""

    framework: str

    def __init__(self) -> None:
        self.xp = xp = importlib.import_module(f"ivyhub.engine.xp.{self.framework}")
        for name in (*_DTYPES, "e", "inf", "nan", "pi"):
            setattr(type(self), name, getattr(xp, name))
        for name, theirs in _ELEMENTWISE.items():
            setattr(self, name, self._elementwise(getattr(xp, theirs)))
        for name in _REDUCTIONS:
            setattr(self, name, self._reduction(getattr(xp, name)))

    def _elementwise(self, function: Callable[..., Array]) -> Callable[..., Array]:
        def of(first: Any, *others: Any, **_: Any) -> Array:
            return function(self._array(first), *map(self._number, others))

        return of

    def _reduction(self, function: Callable[..., Array]) -> Callable[..., Array]:
        def of(tensor: Any, axis: Any = None, **options: Any) -> Array:
            return function(self._array(tensor), axis=tuple(axis) if isinstance(axis, list) else axis, **options)

        return of

    def _array(self, x: Any) -> Array:
        return x if isinstance(x, Array) else self.xp.asarray(x)

    def _number(self, x: Any) -> Any:
        """What stands beside an array: NumPy's scalars as Python's."""
        return x.item() if isinstance(x, np.generic) else self._array(x) if isinstance(x, np.ndarray) else x

    def _context(self, dtype: Any = None, device: Any = None, **_: Any) -> dict[str, Any]:
        """What creation functions take of a context; Python's types stand for NumPy's dtypes of them."""
        python = isinstance(dtype, type) and dtype in (bool, int, float, complex)
        return {"dtype": np.dtype(dtype) if python else dtype, "device": device}

    # -- creation ----------------------------------------------------------------------------------------------------

    @staticmethod
    def context(tensor: Array) -> dict[str, Any]:
        return {"dtype": tensor.dtype, "device": tensor.device}

    def tensor(self, data: Any, dtype: Any = None, device: Any = None, **_: Any) -> Array:
        if isinstance(data, Array) and data.framework != self.framework:
            data = data.numpy()
        return self.xp.asarray(data, **self._context(dtype, device), copy=True)

    @staticmethod
    def is_tensor(tensor: Any) -> bool:
        return isinstance(tensor, Array)

    @staticmethod
    def to_numpy(tensor: Any) -> np.ndarray:
        return np.array(tensor.numpy() if isinstance(tensor, Array) else tensor)

    def arange(self, start: Any = 0, stop: Any = None, step: Any = 1, **context: Any) -> Array:
        return self.xp.arange(start, stop, 1 if step is None else step, **self._context(**context))

    def eye(self, n: int, m: int | None = None, **context: Any) -> Array:
        return self.xp.eye(n, m, **self._context(**context))

    def ones(self, shape: Any, **context: Any) -> Array:
        return self.xp.ones(_sizes(shape), **self._context(**context))

    def zeros(self, shape: Any, **context: Any) -> Array:
        return self.xp.zeros(_sizes(shape), **self._context(**context))

    def zeros_like(self, tensor: Array, **context: Any) -> Array:
        return self.xp.zeros_like(tensor, **self._context(**context))

    def copy(self, tensor: Array) -> Array:
        return self.xp.asarray(tensor, copy=True)

    def diag(self, diagonal: Array, k: int = 0) -> Array:
        if diagonal.ndim == 2:
            return self.xp.linalg.diagonal(diagonal, offset=k)
        row = diagonal
        if k:
            zeros = self.xp.zeros(abs(k), dtype=diagonal.dtype)
            row = self.xp.concat([zeros, diagonal] if k > 0 else [diagonal, zeros])
        # Chosen, not multiplied: the diagonal may hold what is not finite.
        return self.xp.where(self.xp.eye(row.shape[0], k=k, dtype=self.xp.bool), row, 0)

    # -- shape -------------------------------------------------------------------------------------------------------

    def shape(self, tensor: Any) -> tuple[int, ...]:
        return self._array(tensor).shape

    def ndim(self, tensor: Any) -> int:
        return self._array(tensor).ndim

    def reshape(self, tensor: Any, newshape: Any, **_: Any) -> Array:
        return self.xp.reshape(self._array(tensor), _sizes(newshape))

    def transpose(self, tensor: Array, axes: Sequence[int] | None = None) -> Array:
        return tensor.transpose(axes)

    def moveaxis(self, tensor: Array, source: Any, destination: Any) -> Array:
        return self.xp.moveaxis(tensor, source, destination)

    def flip(self, tensor: Array, axis: Any = None) -> Array:
        return self.xp.flip(tensor, axis=axis)

    def concatenate(self, tensors: Sequence[Any], axis: int = 0) -> Array:
        return self.xp.concat(list(map(self._array, tensors)), axis=axis)

    def stack(self, arrays: Sequence[Any], axis: int = 0) -> Array:
        return self.xp.stack(list(map(self._array, arrays)), axis=axis)

    def index_update(self, tensor: Array, indices: Any, values: Any) -> Array:
        return tensor.index_update(indices, values)

    # -- values ------------------------------------------------------------------------------------------------------

    def where(self, condition: Array, x: Any = None, y: Any = None) -> Any:
        return self.xp.nonzero(condition) if x is None else self.xp.where(condition, self._number(x), self._number(y))

    def clip(self, tensor: Any, a_min: Any = None, a_max: Any = None, **_: Any) -> Array:
        return self.xp.clip(self._array(tensor), self._number(a_min), self._number(a_max))

    def cumsum(self, tensor: Array, axis: int | None = None) -> Array:
        return tensor.cumsum(axis)

    def sort(self, tensor: Array, axis: int | None = -1) -> Array:
        return tensor.flatten().sort() if axis is None else tensor.sort(axis)

    def argsort(self, tensor: Array, axis: int | None = -1) -> Array:
        return tensor.flatten().argsort() if axis is None else tensor.argsort(axis)

    def logsumexp(self, tensor: Array, axis: Any = 0) -> Array:
        return Array(ops.logsumexp(tensor.native, axis=axis))

    def digamma(self, x: Any) -> Array:
        return Array(ops.digamma(self._array(x).native))

    # -- linear algebra ----------------------------------------------------------------------------------------------

    def dot(self, a: Any, b: Any) -> Array:
        a, b = self._array(a), self._array(b)
        if not a.ndim or not b.ndim:
            return a * b
        return self.xp.tensordot(a, b, axes=((a.ndim - 1,), (max(b.ndim - 2, 0),)))

    def tensordot(self, a: Array, b: Array, axes: Any = 2, **_: Any) -> Array:
        if not isinstance(axes, int):
            axes = tuple((each,) if isinstance(each, int) else tuple(each) for each in axes)
        return self.xp.tensordot(a, b, axes=axes)

    def einsum(self, subscripts: str, *operands: Array) -> Array:
        return Array(ops.einsum([each.native for each in operands], equation=_explicit(subscripts)))

    def kron(self, a: Array, b: Array) -> Array:
        return Array(ops.kron(a.native, b.native))

    def trace(self, tensor: Array) -> Array:
        return self.xp.linalg.trace(tensor)

    def solve(self, a: Array, b: Array) -> Array:
        return self.xp.linalg.solve(a, b)

    def lstsq(self, a: Array, b: Array, rcond: Any = None) -> tuple[Array, Array]:
        x = Array(ops.lstsq(a.native, b.native, rtol=rcond))
        rows, columns = a.shape
        whole = rows > columns and int(self.xp.linalg.matrix_rank(a, rtol=rcond)) == columns
        error = self.xp.matmul(a, x) - b
        residuals = self.xp.sum(self.xp.abs(error) ** 2, axis=0) if whole else self.xp.zeros(0, dtype=a.dtype)
        return x, self.xp.reshape(residuals, (-1,)) if whole else residuals

    def svd(self, matrix: Array, full_matrices: bool = True, **_: Any) -> Any:
        return self.xp.linalg.svd(matrix, full_matrices=full_matrices)

    def qr(self, a: Array, mode: Any = "reduced") -> Any:
        return self.xp.linalg.qr(a, mode=mode)

    def eigh(self, matrix: Array) -> Any:
        return self.xp.linalg.eigh(matrix)


def _sizes(shape: Any) -> tuple[int, ...]:
    return tuple(map(int, shape)) if isinstance(shape, list | tuple) else (int(shape),)


def _explicit(subscripts: str) -> str:
    """The equation with its result written out: letters that stand once, in the order of the alphabet."""
    if "->" in subscripts:
        return subscripts
    letters = subscripts.replace(" ", "")
    return f"{letters}->{''.join(sorted(x for x in set(letters) if x.isalpha() and letters.count(x) == 1))}"


__all__ = ["register"]
