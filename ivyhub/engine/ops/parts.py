"""Parts of numbers: real and imaginary, sign and size, bits (Array API Standard 2025.12, "Element-wise functions")."""

from __future__ import annotations

from typing import Any

from ...errors import DTypeError
from ..backends import is_floating
from ..op import Array, DType, op
from ..spec import Spec, broadcast_specs, same_as_first
from ._rows import lower_alike
from .elementwise import abs, abs_spec, negative, where

_COMPLEX = ("complex64", "complex128")


def _part_spec(x: Spec) -> Spec:
    if x.dtype not in _COMPLEX:
        raise DTypeError(f"expected complex numbers, received {x}")
    return abs_spec(x)


@op(rule=_part_spec, primitive=True)
def real(x: Array, /) -> Array:
    """The real part of complex numbers."""


@op(rule=_part_spec, primitive=True)
def imag(x: Array, /) -> Array:
    """The imaginary part of complex numbers."""


for _op in (real, imag):
    _op.lower("torch", f"{{x}}.{_op.name}").lower(("numpy", "jax"), f"{{x}}.{_op.name}")
    _op.lower("tensorflow", f"tf.math.{_op.name}({{x}})")


@op(rule=same_as_first, primitive=True)
def conj(x: Array, /) -> Array:
    """The complex conjugate; x itself where it is real."""


lower_alike(conj, torch="{x}.conj().resolve_conj()", tensorflow="tf.math.conj({x})")


def _complex_spec(real: Spec, imag: Spec) -> Spec:
    found = broadcast_specs(real, imag)
    if found.dtype not in ("float32", "float64"):
        raise DTypeError(f"expected real and imaginary parts of float32 or float64, received {found.dtype}")
    return found.with_dtype("complex64" if found.dtype == "float32" else "complex128")


@op(rule=_complex_spec, primitive=True, promotes=("real", "imag"))
def complex(real: Array, imag: Array, /) -> Array:
    """real + i · imag. Source: torch.complex, jax.lax.complex, tf.complex."""


complex.lower("torch", "torch.complex({real}, {imag})").lower("tensorflow", "support.complex_({real}, {imag})")
complex.lower("numpy", "support.complex_({real}, {imag})")
complex.lower("jax", "lax.complex(*jnp.broadcast_arrays({real}, {imag}))")


def real_specs(*operands: Any) -> Spec:
    """The result of operands that are broadcast. Raises `DTypeError` where they are not real floating-point ones."""
    found = broadcast_specs(*operands)
    if not is_floating(found.dtype):
        raise DTypeError(f"expected real floating-point numbers, received {found.dtype}")
    return found


@op(rule=lambda x: real_specs(x).with_dtype("bool"), primitive=True)
def signbit(x: Array, /) -> Array:
    """Whether the sign bit is set: of negative numbers, of -0.0, and of a negative nan."""


lower_alike(signbit, tensorflow="support.signbit({x})")


@op(rule=real_specs, promotes=("x1", "x2"))
def copysign(x1: Array, x2: Array, /) -> Array:
    """|x1| with the sign of x2."""
    size = abs(x1)
    return where(signbit(x2), negative(size), size)


lower_alike(copysign, tensorflow=None)


@op(rule=real_specs, primitive=True, promotes=("x1", "x2"))
def nextafter(x1: Array, x2: Array, /) -> Array:
    """The number next to x1 in the direction of x2."""


lower_alike(nextafter, tensorflow="support.nextafter({x1}, {x2})")


def _width(dtype: str) -> int:
    """The bits of a number that is no complex one."""
    return int(dtype.removeprefix("b").lstrip("uintfloa").partition("_")[0])


def _bits_spec(x: Spec, *, dtype: str) -> Spec:
    if any(each == "bool" or each in _COMPLEX for each in (x.dtype, dtype)) or _width(x.dtype) != _width(dtype):
        raise DTypeError(f"expected real numbers and a dtype of as many bits, received {x} and {dtype}")
    return x.with_dtype(dtype)


@op(rule=_bits_spec, primitive=True, strict=True)
def bitcast(x: Array, /, *, dtype: DType) -> Array:
    """The bits of x read as those of another dtype of as many: no number is converted.

    Source: ``numpy.ndarray.view``, ``torch.Tensor.view``, ``jax.lax.bitcast_convert_type``, ``tf.bitcast``.
    """


bitcast.lower(("numpy", "torch"), "{x}.view({dtype})").lower("tensorflow", "tf.bitcast({x}, {dtype})")
# 64 bits are 32 in JAX, which are other bits.
bitcast.lower("jax", "lax.bitcast_convert_type({x}, {dtype})", when=lambda n: "64" not in n.dtype)
