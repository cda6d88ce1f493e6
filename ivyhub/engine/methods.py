"""The methods of `Array`: those of EagerPy's tensors, for code that is written ``x.square().sum()``.

The standard gives an array attributes and operators, and no methods; these are its functions and operations of
`engine.ops` with the array first. Where EagerPy and the standard have one name for two things, the standard's is
meant: ``x.T`` is of matrices, ``x.matmul(y)`` takes stacks of them and vectors, ``x.tile`` fills up missing axes. Means
of integers are taken, and a dtype that does not fit raises `DTypeError`, which is a TypeError.

Source: EagerPy 0.30 and what came after it, ``eagerpy.Tensor``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

from ..errors import DTypeError, ShapeError
from . import native, ops, random, transforms
from .backends import dtype_name, framework_of, is_integer
from .standard import creation, dtypes, elementwise, linalg, manipulation, statistical

if TYPE_CHECKING:
    from .array import Array

Axis = int | tuple[int, ...] | None
Shape = int | Sequence[int]


def _native(value: Any) -> Any:
    return value.native if isinstance(value, Methods) else value


def _like(x: Methods, native: Any) -> Array:
    """A native array as what x is."""
    found = object.__new__(type(x))
    found.native = native
    return cast("Array", found)


def _framework(x: Methods) -> str:
    return framework_of(x.native) or ""


def _sizes(shape: Shape) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


# -- families of methods; their types are inferred, so that editors see the parameters ---------------------------------


def _unary(function: Callable[[Any], Any]):
    def method(self: Methods, /) -> Array:
        return _like(self, function(self.native))

    method.__doc__ = function.__doc__
    return method


def _binary(function: Callable[[Any, Any], Any]):
    def method(self: Methods, other: Any, /) -> Array:
        return _like(self, function(self.native, _native(other)))

    method.__doc__ = function.__doc__
    return method


def _reduction(function: Callable[..., Any]):
    def method(self: Methods, axis: Axis = None, keepdims: bool = False) -> Array:
        return _like(self, function(self.native, axis=axis, keepdims=keepdims))

    method.__doc__ = function.__doc__
    return method


def _place(function: Callable[..., Any]):
    def method(self: Methods, axis: int | None = None) -> Array:
        return _like(self, function(self.native, axis=axis))

    method.__doc__ = function.__doc__
    return method


def _along(function: Callable[..., Any]):
    def method(self: Methods, axis: int = -1) -> Array:
        return _like(self, function(self.native, axis=axis))

    method.__doc__ = function.__doc__
    return method


def _norm(order: float):
    def method(self: Norms, axis: Axis = None, keepdims: bool = False) -> Array:
        return self.lp(order, axis, keepdims)

    method.__doc__ = f"The norm of order {order:g}."
    return method


class Norms:
    """The norms of an array over all axes, one, or several as one vector: ``x.norms.l2(axis=(1, 2, 3))``."""

    __slots__ = ("_x",)

    def __init__(self, x: Methods) -> None:
        self._x = x

    def lp(self, p: float, axis: Axis = None, keepdims: bool = False) -> Array:
        """(Σ |x|ᵖ)¹ᐟᵖ; the number of elements that are not 0 for p = 0, the largest for infinity."""
        return _like(self._x, linalg.vector_norm(self._x.native, axis=axis, keepdims=keepdims, ord=p))

    l0 = _norm(0)
    l1 = _norm(1)
    l2 = _norm(2)
    linf = _norm(float("inf"))


class Methods:
    """What `Array` inherits."""

    __slots__ = ()
    native: Any

    # -- elementwise -------------------------------------------------------------------------------------------------

    abs = _unary(elementwise.abs)
    arccos = _unary(ops.acos)
    arccosh = _unary(ops.acosh)
    arcsin = _unary(ops.asin)
    arcsinh = _unary(ops.asinh)
    arctan = _unary(ops.atan)
    arctanh = _unary(ops.atanh)
    ceil = _unary(elementwise.ceil)
    cos = _unary(ops.cos)
    cosh = _unary(ops.cosh)
    exp = _unary(ops.exp)
    floor = _unary(elementwise.floor)
    isinf = _unary(elementwise.isinf)
    isnan = _unary(elementwise.isnan)
    log = _unary(ops.log)
    log10 = _unary(ops.log10)
    log1p = _unary(ops.log1p)
    log2 = _unary(ops.log2)
    logical_not = _unary(ops.logical_not)
    round = _unary(elementwise.round)
    sign = _unary(elementwise.sign)
    sin = _unary(ops.sin)
    sinh = _unary(ops.sinh)
    sqrt = _unary(ops.sqrt)
    square = _unary(ops.square)
    tan = _unary(ops.tan)
    tanh = _unary(ops.tanh)

    logical_and = _binary(ops.logical_and)
    logical_or = _binary(ops.logical_or)
    maximum = _binary(elementwise.maximum)
    minimum = _binary(elementwise.minimum)
    pow = _binary(elementwise.pow)

    def clip(self, min: Any = None, max: Any = None, /) -> Array:
        """x between two bounds, each a number, an array or None."""
        return _like(self, elementwise.clip(self.native, _native(min), _native(max)))

    def where(self, x: Any, y: Any, /) -> Array:
        """x where this array of truth values holds, y elsewhere; each an array or a number."""
        return _like(self, statistical.where(self.native, _native(x), _native(y)))

    # -- reductions, places, order -----------------------------------------------------------------------------------

    all = _reduction(statistical.all)
    any = _reduction(statistical.any)
    max = _reduction(statistical.max)
    mean = _reduction(statistical.mean)
    min = _reduction(statistical.min)
    prod = _reduction(statistical.prod)
    sum = _reduction(statistical.sum)

    argmax = _place(statistical.argmax)
    argmin = _place(statistical.argmin)
    argsort = _along(statistical.argsort)
    sort = _along(statistical.sort)
    log_softmax = _along(ops.log_softmax)
    softmax = _along(ops.softmax)

    def cumsum(self, axis: int | None = None) -> Array:
        """Σ x over everything up to and with each place of an axis; of the flattened array for None."""
        x = self.native if axis is not None else manipulation.reshape(self.native, (-1,))
        return _like(self, statistical.cumulative_sum(x, axis=axis or 0))

    def topk(self, k: int, sorted: bool = True) -> tuple[Array, Array]:
        """The k largest elements along the last axis and their positions, always in descending order."""
        values, positions = ops.topk(self.native, k=k)
        return _like(self, values), _like(self, positions)

    @property
    def norms(self) -> Norms:
        """The norms of the array, as methods: ``l0``, ``l1``, ``l2``, ``linf``, ``lp``."""
        return Norms(self)

    # -- shape -------------------------------------------------------------------------------------------------------

    expand_dims = _along(manipulation.expand_dims)

    def flatten(self, start: int = 0, end: int = -1) -> Array:
        """The axes from ``start`` up to and with ``end`` as one."""
        shape = tuple(self.native.shape)
        start, end = start % max(len(shape), 1), end % max(len(shape), 1)
        return self.reshape((*shape[:start], -1, *shape[end + 1 :]))

    def flip(self, axis: Axis = None) -> Array:
        """The order of the elements reversed along axes, all of them for None."""
        return _like(self, manipulation.flip(self.native, axis=axis))

    def meshgrid(self, *others: Any, indexing: Any = "xy") -> tuple[Array, ...]:
        """Coordinate arrays of a grid whose first vector this is."""
        found = creation.meshgrid(self.native, *map(_native, others), indexing=indexing)
        return tuple(_like(self, x) for x in found)

    def pad(self, paddings: Sequence[tuple[int, int]], mode: str = "constant", value: float = 0) -> Array:
        """Elements before and after along each axis; ``mode`` is constant, reflect or edge."""
        return _like(self, ops.pad(self.native, padding=tuple(map(tuple, paddings)), mode=mode, value=value))

    def reshape(self, shape: Shape) -> Array:
        """The same elements in another shape; -1 stands for the size that is left."""
        return _like(self, manipulation.reshape(self.native, _sizes(shape)))

    def squeeze(self, axis: Axis = None) -> Array:
        """The array without axes of size 1: those that are named, or all of them."""
        if axis is None:
            axis = tuple(i for i, size in enumerate(self.native.shape) if size == 1)
        return _like(self, manipulation.squeeze(self.native, axis))

    def take_along_axis(self, index: Any, axis: int) -> Array:
        """For each line along an axis, its elements at the positions that stand in the same line of ``index``."""
        return _like(self, manipulation.take_along_axis(self.native, _native(index), axis=axis))

    def tile(self, multiples: Sequence[int]) -> Array:
        """The array as a whole, repeated along each axis."""
        return _like(self, manipulation.tile(self.native, tuple(multiples)))

    def transpose(self, axes: Sequence[int] | None = None) -> Array:
        """The axes in another order, in the reversed one for None."""
        order = range(len(self.native.shape))[::-1] if axes is None else axes
        return _like(self, manipulation.permute_dims(self.native, tuple(order)))

    # -- matrices ----------------------------------------------------------------------------------------------------

    inv = _unary(ops.inv)
    matmul = _binary(linalg.matmul)

    def slogdet(self) -> tuple[Array, Array]:
        """The sign of the determinant, and the logarithm of its size."""
        sign, size = ops.slogdet(self.native)
        return _like(self, sign), _like(self, size)

    # -- data types and other libraries ------------------------------------------------------------------------------

    @property
    def raw(self) -> Any:
        """The native array."""
        return self.native

    def astype(self, dtype: Any) -> Array:
        """The array in another dtype."""
        return _like(self, dtypes.astype(self.native, dtype))

    def bool(self) -> Array:
        """Whether each element is not zero."""
        return self.astype("bool")

    def float32(self) -> Array:
        """The array in float32."""
        return self.astype("float32")

    def float64(self) -> Array:
        """The array in float64; in JAX without its x64 mode, in float32."""
        return self.astype("float64")

    def numpy(self) -> Any:
        """The array in NumPy, to be read; its memory may be this array's."""
        found = native.module(_framework(self)).to_numpy(self.native, None, None).view()
        found.flags.writeable = False
        return found

    def tolist(self) -> Any:
        """The elements as Python numbers in nested lists."""
        return self.numpy().tolist()

    # -- arrays of the same framework, on the same device ------------------------------------------------------------

    full_like = _binary(creation.full_like)
    ones_like = _unary(creation.ones_like)
    zeros_like = _unary(creation.zeros_like)

    def arange(self, start: float, stop: float | None = None, step: float | None = None) -> Array:
        """start, start + step, ... up to but without stop; from 0 where one number is given."""
        step = 1 if step is None else step
        return _like(self, creation.arange(_framework(self), start, stop, step, device=creation.beside(self.native)))

    def from_numpy(self, a: Any) -> Array:
        """An array of NumPy."""
        return _like(self, creation.asarray(_framework(self), a, device=creation.beside(self.native)))

    def full(self, shape: Shape, value: float) -> Array:
        """An array of one number."""
        return _like(self, creation.full(_framework(self), _sizes(shape), value, device=creation.beside(self.native)))

    def normal(self, shape: Shape, mean: float = 0.0, stddev: float = 1.0, *, key: Any = None) -> Array:
        """Normal numbers in float32, of a key of `engine.random`, or of a new one each time for None."""
        return _like(self, random.normal(_key(self, key), _sizes(shape), mean=mean, std=stddev))

    def ones(self, shape: Shape) -> Array:
        """An array of ones."""
        return _like(self, creation.ones(_framework(self), _sizes(shape), device=creation.beside(self.native)))

    def onehot_like(self, indices: Any, *, value: float = 1) -> Array:
        """A matrix of this one's shape and dtype: in each row a value at one index, 0 elsewhere."""
        x, indices = self.native, _native(indices)
        _check_rows("onehot_like", x, indices)
        columns = self.arange(int(x.shape[1])).native
        chosen = ops.equal(ops.reshape(indices, shape=(-1, 1)), columns)
        return _like(self, dtypes.astype(statistical.where(chosen, value, 0), x.dtype))

    def uniform(self, shape: Shape, low: float = 0.0, high: float = 1.0, *, key: Any = None) -> Array:
        """Uniform numbers in float32, of a key of `engine.random`, or of a new one each time for None."""
        return _like(self, random.uniform(_key(self, key), _sizes(shape), low=low, high=high))

    def zeros(self, shape: Shape) -> Array:
        """An array of zeros."""
        return _like(self, creation.zeros(_framework(self), _sizes(shape), device=creation.beside(self.native)))

    # -- gradients ---------------------------------------------------------------------------------------------------

    def crossentropy(self, labels: Any) -> Array:
        """-log softmax(x) at the label of each row of a matrix of logits."""
        x, labels = self.native, _native(labels)
        _check_rows("crossentropy", x, labels)
        return _like(self, ops.cross_entropy(x, labels, reduction="none"))

    def value_and_grad(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Array, Array]:
        """The scalar ``function(x, *args, **kwargs)``, and its gradient with respect to x.

        Example:
            >>> import jax.numpy as jnp
            >>> from ivyhub.engine import Array
            >>> value, gradient = Array(jnp.arange(3.0)).value_and_grad(lambda x: x.square().sum())
            >>> value.item(), gradient
            (5.0, Array([0. 2. 4.], float32, jax))
        """
        return transforms.value_and_grad(function)(self, *args, **kwargs)

    def value_aux_and_grad(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Array, Any, Array]:
        """The same for a function that returns a scalar and a tree of other arrays."""
        (value, aux), gradient = transforms.value_and_grad(function, has_aux=True)(self, *args, **kwargs)
        return value, aux, gradient


def _key(x: Methods, key: Any) -> Any:
    return random.key(secrets.randbits(64), _framework(x)) if key is None else _native(key)


def _check_rows(name: str, x: Any, indices: Any) -> None:
    if len(x.shape) != 2 or tuple(indices.shape) != tuple(x.shape[:1]):
        raise ShapeError(
            f"{name} expected a matrix and an index for each row, received {tuple(x.shape)} and {tuple(indices.shape)}"
        )
    if not is_integer(dtype_name(indices.dtype)):
        raise DTypeError(f"{name} expected integers as indices, received {dtype_name(indices.dtype)}")


def _name_methods(cls: type) -> None:
    for name, method in vars(cls).items():
        if isinstance(method, FunctionType):
            method.__name__, method.__qualname__ = name, f"{cls.__name__}.{name}"


_name_methods(Norms)
_name_methods(Methods)

__all__ = ["Methods", "Norms"]
