"""Functions of complex numbers whose infinities, nans and signs of zeros frameworks leave to their C library.

Sources: Array API Standard 2025.12, "Special cases" of each function; C99, annex G, which it follows.
"""

from __future__ import annotations

import math

from .. import ops
from ..op import Array
from ._common import dtype_of, is_complex


def acos(x: Array, /) -> Array:
    """The inverse cosine."""
    found = ops.acos(x)
    if not is_complex(dtype_of(x)):
        return found
    return ops.complex(ops.real(found), ops.copysign(ops.imag(found), ops.negative(ops.imag(x))))


def expm1(x: Array, /) -> Array:
    """eˣ - 1, exact near zero."""
    if not is_complex(dtype_of(x)):
        return ops.expm1(x)
    a, b = ops.real(x), ops.imag(x)
    half = ops.sin(ops.multiply(b, 0.5))
    level, lost = ops.equal(b, 0), ops.logical_not(ops.isfinite(b))
    near = ops.expm1(a)
    real = ops.where(level | (lost & ops.isinf(a)), near, near * ops.cos(b) - 2.0 * half * half)
    imag = ops.where(level, b, ops.exp(a) * ops.sin(b))
    return ops.complex(real, ops.where(lost & ops.equal(a, -math.inf), 0.0, imag))


def log1p(x: Array, /) -> Array:
    """log(1 + x), exact near zero."""
    found = ops.log1p(x)
    if not is_complex(dtype_of(x)):
        return found
    unbounded = ops.isinf(ops.real(x)) | ops.isinf(ops.imag(x))
    return ops.complex(ops.where(unbounded, math.inf, ops.real(found)), ops.imag(found))


def tanh(x: Array, /) -> Array:
    """The hyperbolic tangent."""
    found = ops.tanh(x)
    if not is_complex(dtype_of(x)):
        return found
    a, b = ops.real(x), ops.imag(x)
    far = ops.isinf(a)
    real = ops.where(far, ops.sign(a), ops.real(found))
    return ops.complex(real, ops.where(far, ops.copysign(ops.where(far, 0.0, a), b), ops.imag(found)))


PLAIN = (acos, expm1, log1p, tanh)
