"""Functions of complex numbers whose infinities, nans and signs of zeros frameworks leave to their C library.

Each takes what the framework gives and puts right where a part of the argument is not finite. Real numbers go straight
to the operation. Sources: Array API Standard 2025.12, "Special cases" of each function; C99, annex G, which it follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import ops
from ..op import Array, Op
from ._common import dtype_of, is_complex

_Parts = Callable[[Array, Array, Array, Array], tuple[Any, Any]]


def _mended(op: Op, mend: _Parts) -> Callable[[Array], Array]:
    """An operation, its complex results mended: (real, imaginary) of argument and result to those of the result."""

    def function(x: Array, /) -> Array:
        found = op(x)
        if not is_complex(dtype_of(x)):
            return found
        return ops.complex(*mend(ops.real(x), ops.imag(x), ops.real(found), ops.imag(found)))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = op.__doc__
    return function


def _lost(x: Array) -> Array:
    """Where an angle or size is infinite or nan."""
    return ops.logical_not(ops.isfinite(x))


def _zero(x: Array) -> Array:
    return ops.equal(x, 0)


def _where(*pairs: Any) -> Array:
    """The value after the first condition that holds: ``_where(condition, value, ..., otherwise)``."""
    *cases, found = pairs
    for condition, value in reversed([*zip(cases[::2], cases[1::2], strict=True)]):
        found = ops.where(condition, value, found)
    return found


def _acos(a: Array, b: Array, real: Array, imag: Array) -> tuple[Any, Any]:
    real = _where(_zero(a) & ops.isnan(b), math.pi / 2, real)
    imag = _where(ops.isnan(b) & ops.isfinite(a), math.nan, imag)
    return real, ops.copysign(imag, ops.negative(b))


def _acosh(a: Array, b: Array, real: Array, imag: Array) -> tuple[Any, Any]:
    unknown = ops.isnan(b)
    real = _where(unknown & ops.isfinite(a), math.nan, real)
    imag = _where(unknown & _zero(a), math.pi / 2, unknown & ops.isfinite(a), math.nan, imag)
    return real, ops.copysign(imag, b)


def _asinh(a: Array, b: Array, real: Array, imag: Array) -> tuple[Any, Any]:
    unknown = (ops.isnan(a) & ops.isfinite(b)) | (ops.isfinite(a) & ops.isnan(b))
    imag = _where(ops.isnan(a) & _zero(b), b, unknown, math.nan, imag)
    return ops.copysign(_where(unknown, math.nan, real), a), ops.copysign(imag, b)


def _atanh(a: Array, b: Array, real: Array, imag: Array) -> tuple[Any, Any]:
    unknown = (ops.isnan(a) | ops.isnan(b)) & ops.logical_not(ops.isinf(b))
    nowhere = ops.copysign(ops.where(unknown, 0.0, a), a)
    real = _where(unknown & (_zero(a) | ops.isinf(a)), nowhere, unknown, math.nan, real)
    return ops.copysign(real, a), ops.copysign(_where(unknown, math.nan, imag), b)


def _exp(a: Array, b: Array, real: Array, imag: Array) -> tuple[Any, Any]:
    below, above = _lost(b) & ops.equal(a, -math.inf), _lost(b) & ops.equal(a, math.inf)
    return _where(below, 0.0, above, math.inf, real), _where(below, 0.0, above, math.nan, _zero(b), b, imag)


def _cosh(a: Array, b: Array, real: Array, imag: Array) -> tuple[Any, Any]:
    lost, far = _lost(b), ops.isinf(a)
    flat = _where(_zero(b), ops.where(ops.signbit(a), ops.negative(b), b), _zero(a), a * ops.sin(b), imag)
    return _where(lost & far, math.inf, real), _where(lost & far, math.nan, lost & _zero(a), 0.0, flat)


def _sinh(a: Array, b: Array, real: Array, imag: Array) -> tuple[Any, Any]:
    lost, far = _lost(b), ops.isinf(a)
    real = _where(lost & (far | _zero(a)), a, _zero(a), a * ops.cos(b), real)
    return real, _where(lost & far, math.nan, _zero(b), b, imag)


def _tanh(a: Array, b: Array, real: Array, imag: Array) -> tuple[Any, Any]:
    far = ops.isinf(a)
    real = _where(far, ops.sign(a), _zero(a), a, real)
    return real, _where(far, ops.copysign(ops.where(far, 0.0, a), b), _zero(b), b, imag)


def _log(a: Array, b: Array, real: Array, imag: Array) -> tuple[Any, Any]:
    return _where(ops.isinf(a) | ops.isinf(b), math.inf, real), imag


def _log1p(a: Array, b: Array, real: Array, imag: Array) -> tuple[Any, Any]:
    above = a + 1.0
    real = _where(ops.isinf(a) | ops.isinf(b), math.inf, _zero(above) & _zero(b), -math.inf, real)
    return real, ops.atan2(b, above)


def _sqrt(a: Array, b: Array, real: Array, imag: Array) -> tuple[Any, Any]:
    above, below = ops.isnan(b) & ops.equal(a, math.inf), ops.isnan(b) & ops.equal(a, -math.inf)
    upright = ops.isinf(b)
    imag = _where(above, math.nan, below | upright, math.inf, imag)
    return _where(above | upright, math.inf, below, math.nan, real), ops.copysign(imag, b)


def _cos(a: Array, b: Array, real: Array, imag: Array) -> tuple[Any, Any]:
    """cos x = cosh ix."""
    return _cosh(ops.negative(b), a, real, imag)


def _turned(mend: _Parts) -> _Parts:
    """Of f(x) = -i g(ix), where g is mended: the sine from the hyperbolic one."""

    def turned(a: Array, b: Array, real: Array, imag: Array) -> tuple[Any, Any]:
        low, high = mend(ops.negative(b), a, ops.negative(imag), real)
        return high, ops.negative(low)

    return turned


acos, acosh, asin, asinh, atan, atanh, cos, cosh, exp, log, log10, log1p, log2, sin, sinh, sqrt, tan, tanh = (
    _mended(op, mend)
    for op, mend in (
        *((ops.acos, _acos), (ops.acosh, _acosh), (ops.asin, _turned(_asinh)), (ops.asinh, _asinh)),
        *((ops.atan, _turned(_atanh)), (ops.atanh, _atanh), (ops.cos, _cos), (ops.cosh, _cosh), (ops.exp, _exp)),
        *((ops.log, _log), (ops.log10, _log), (ops.log1p, _log1p), (ops.log2, _log), (ops.sin, _turned(_sinh))),
        *((ops.sinh, _sinh), (ops.sqrt, _sqrt), (ops.tan, _turned(_tanh)), (ops.tanh, _tanh)),
    )
)


def expm1(x: Array, /) -> Array:
    """eˣ - 1, exact near zero."""
    if not is_complex(dtype_of(x)):
        return ops.expm1(x)
    a, b = ops.real(x), ops.imag(x)
    half = ops.sin(ops.multiply(b, 0.5))
    level, lost = _zero(b), _lost(b)
    near = ops.expm1(a)
    real = _where(level | (lost & ops.isinf(a)), near, near * ops.cos(b) - 2.0 * half * half)
    imag = _where(level, b, lost & ops.equal(a, -math.inf), 0.0, ops.exp(a) * ops.sin(b))
    return ops.complex(real + 0.0, imag)  # a real part of zero has no sign


PLAIN = (
    *(acos, acosh, asin, asinh, atan, atanh, cos, cosh, exp, expm1, log, log10, log1p, log2, sin, sinh, sqrt, tan),
    tanh,
)
