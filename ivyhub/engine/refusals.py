"""What is said where a framework refuses a call, and what is refused before a framework sees it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from ..errors import AxisError, DTypeError, EngineError, IvyhubError, MixedFrameworksError, ShapeError
from .backends import framework_of
from .signature import has_unknown, leaves_of, named_sizes, unsized
from .spec import Spec, spec_of

LIMIT = 2**63 - 1
"""The most bytes that an array can count: sizes are signed 64-bit integers in every framework."""

_KINDS: dict[type, type[EngineError]] = {
    AttributeError: DTypeError,
    IndexError: AxisError,
    NotImplementedError: DTypeError,
    OverflowError: DTypeError,
    RuntimeError: EngineError,
    TypeError: DTypeError,
    ValueError: ShapeError,
}
"""The engine's errors for those of Python; a framework's own subclasses steer its tracers and pass as they are."""

_E = TypeVar("_E", bound=IvyhubError)
_NUMPY = ("numpy.exceptions", "numpy._core._exceptions", "numpy.core._exceptions")
_TENSORFLOW = "tensorflow.python.framework.errors_impl"


def fitting(spec: Spec) -> Spec:
    """The spec itself. Raises `ShapeError` where a size is negative, or where no memory could count its bytes.

    JAX ends the process at such a shape, others count modulo 2⁶⁴.

    Example:
        >>> fitting(Spec((2, 3)))
        float32[2, 3]
    """
    sizes = [size for size in spec.shape if isinstance(size, int)]
    if any(size < 0 for size in sizes):
        raise ShapeError(f"expected sizes of 0 or more, received {_listed(spec.shape)}")
    if max(sizes, default=0) > LIMIT or math.prod(sizes) * _bytes(spec.dtype) > LIMIT:
        raise ShapeError(
            f"expected a shape of at most 2**63 - 1 bytes, received {_listed(spec.shape)} of {spec.dtype}",
            hint="make it in parts",
        )
    return spec


def checked(name: str, results: Any) -> None:
    """Raise `ShapeError` for a result of an operation, or one of several, that is not `fitting`."""
    for result in results if isinstance(results, tuple) else (results,):
        try:
            fitting(result)
        except ShapeError as error:
            tell(name, error, (), {})


def operand(arg: Any, owner: str, name: str) -> Any:
    """The spec of an operation's operand; numbers, None and sequences as they are.

    Raises:
        DTypeError: for what is no array.
        MixedFrameworksError: for an array of another framework than the owner's.
    """
    if arg is None or (isinstance(arg, bool | int | float | complex) and not hasattr(arg, "dtype")):
        return arg  # np.float64 is a float, too
    if isinstance(arg, tuple | list):
        return tuple(operand(item, owner, name) for item in arg)
    found = framework_of(arg)
    if found == owner or isinstance(getattr(arg, "spec", None), Spec):  # of a value that is recorded
        return spec_of(arg)
    received = f"{type(arg).__module__}.{type(arg).__qualname__}".removeprefix("builtins.")
    if found is None:
        wrapped = framework_of(getattr(arg, "native", None)) is not None
        raise DTypeError(
            f"{name} expected arrays of {owner} or numbers, received {received}",
            hint="pass its native array: x.native" if wrapped else "asarray makes an array of numbers and sequences",
        )
    raise MixedFrameworksError(
        f"{name} expected arrays of {owner}, received {received}", hint="move every array to one framework first"
    )


def _listed(shape: Sequence[Any]) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"


def _bytes(dtype: str) -> int:
    """The bytes of one element.

    Example:
        >>> _bytes("bool"), _bytes("float8_e5m2"), _bytes("complex64")
        (1, 1, 8)
    """
    digits = "".join(each for each in dtype.partition("_")[0] if each.isdigit())
    return int(digits or 8) // 8


def large(attributes: Mapping[str, Any]) -> bool:
    """Whether attributes hold numbers that could make a shape too large: it is worth a look at the result's."""
    return math.prod(max(abs(number), 1) for number in _integers(attributes.values())) > 2**40


def _integers(values: Any) -> Iterator[int]:
    for value in values:
        if isinstance(value, tuple | list):
            yield from _integers(value)
        elif isinstance(value, int):
            yield value


def explained(operation: Any, error: Exception, args: Sequence[Any], attributes: Mapping[str, Any]) -> Exception:
    """The engine's error for what a framework refused, in the words of the operation's rule where it refuses it too.

    Args:
        operation: the `Op` that was called.
        error: what its kernel raised.
        args: its operands, as many as were given.
        attributes: those that were given.
    """
    name = operation.name
    owner = next((found for arg in leaves_of(args) if (found := framework_of(arg))), "")
    own = isinstance(error, EngineError) and error.message.startswith(name)
    if own and not has_unknown(owner, args):
        return error
    try:
        specs = [operand(arg, owner, name) for arg in (*args, *operation.defaults[len(args) :])]
        operands, sizes = named_sizes(operation.operands, specs, shared=True)
        operation.infer(operands, operation.bind(attributes))
        if sizes:
            return unsized(name, args)
    except EngineError as found:
        return naming(name, found)
    except Exception:  # what no rule foresees, the framework tells
        pass
    if isinstance(error, EngineError):  # of an operation that this one is written in
        return naming(name, error)
    return refused(name, owner or "the framework", args, attributes, error)


def refused(
    name: str, owner: str, operands: Sequence[Any], attributes: Mapping[str, Any], error: Exception
) -> Exception:
    """The engine's error for what a framework refused: the function, what it received, and the framework's words.

    Operands are native arrays, specs or other values. Errors of no plain class are returned as they are: they steer the
    tracers of their framework, or say something exact (a singular matrix).

    Example:
        >>> print(refused("softmax", "numpy", [Spec((2,))], {"axis": 5}, ValueError("axis 5 is out of bounds")))
        softmax: numpy refused float32[2] with axis=5: axis 5 is out of bounds
          hint: help(engine.softmax) says what it takes
    """
    kind, home = _KINDS.get(type(error)), type(error).__module__
    if kind is None and home in _NUMPY:
        kind = next((ours for base, ours in _KINDS.items() if isinstance(error, base)), None)
    if kind is None and home == _TENSORFLOW:
        kind = EngineError
    if kind is None:
        return error
    words = str(error).strip().partition("\n")[0].rpartition("}} ")[2]  # after TensorFlow's name of the node
    received = ", ".join(map(_word, operands)) or "a call"
    given = ", ".join(f"{key}={value!r}" for key, value in attributes.items())
    options = f" with {given}" if given else ""
    hint = f"help(engine.{name}) says what it takes" if name != "assignment" else ""
    return kind(f"{name}: {owner} refused {received}{options}: {words}", hint=hint)


def _word(operand: Any) -> str:
    if isinstance(operand, tuple | list):
        return f"({', '.join(map(_word, operand))}{',' * (len(operand) == 1)})"
    try:
        return repr(spec_of(operand)) if framework_of(operand) else f"{operand!r:.80}"
    except ShapeError:  # a tensor of TensorFlow without known sizes
        return type(operand).__name__


def naming(name: str, error: _E) -> _E:
    """The error, whose message begins with the function that it left.

    Example:
        >>> naming("sum", ShapeError("expected each axis once, received (0, 0)")).message
        'sum: expected each axis once, received (0, 0)'
    """
    if not error.message.startswith(name):
        error.message = f"{name}: {error.message}"
    return error


def tell(name: str, error: Exception, args: Sequence[Any], options: Mapping[str, Any]) -> NoReturn:
    """Raise an error that left a function as one that names it and says what it received.

    Example:
        >>> tell("sum", ShapeError("expected each axis once, received (0, 0)"), (), {})
        Traceback (most recent call last):
        ivyhub.errors.ShapeError: sum: expected each axis once, received (0, 0)
        >>> tell("sum", AttributeError("'list' object has no attribute 'dtype'"), ([1, 2],), {})
        Traceback (most recent call last):
        ivyhub.errors.DTypeError: sum expected an array, received list
          hint: asarray makes one of numbers and sequences
    """
    if isinstance(error, IvyhubError):
        raise naming(name, error)
    owner = next((found for each in (*args, *options.values()) if (found := framework_of(each))), "the framework")
    if type(error) is AttributeError and args and framework_of(args[0]) is None:
        raise DTypeError(
            f"{name} expected an array, received {type(args[0]).__name__}",
            hint="asarray makes one of numbers and sequences",
        ) from error
    found = refused(name, owner, args, options, error)
    if found is error:
        raise error
    raise found from error


__all__ = ["LIMIT", "checked", "fitting", "large", "naming", "operand", "refused", "tell"]
