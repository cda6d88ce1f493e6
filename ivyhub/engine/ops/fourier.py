"""Discrete Fourier transforms (Array API Standard 2025.12, "fft"; NumPy's numpy.fft).

``n`` cuts the axis or fills it with zeros before the transform; ``norm`` says which direction is divided: "backward"
(the inverse, by n), "forward" (this one) or "ortho" (both, by √n).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from ...errors import DTypeError, ShapeError
from ..dims import Dim, Size, floordiv
from ..op import Array, Op, op
from ..spec import Spec, normalize_axes, normalize_axis, spec_of
from .parts import conj
from .shape import roll

_REAL = {"complex64": "float32", "complex128": "float64"}
_COMPLEX = {"float32": "complex64", "float64": "complex128"}
_SWAPPED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _sized(x: Spec, axis: int, n: Size) -> tuple[Size, ...]:
    axis = normalize_axis(axis, x.ndim)
    return tuple(n if i == axis else size for i, size in enumerate(x.shape))


def _checked(norm: str) -> None:
    if norm not in _SWAPPED:
        raise ShapeError(f"expected norm 'backward', 'forward' or 'ortho', received {norm!r}")


def _fft_spec(x: Spec, *, n: Size | None, axis: int, norm: str) -> Spec:
    _checked(norm)
    if x.dtype not in _REAL:
        raise DTypeError(f"expected complex numbers, received {x}", hint="cast them with astype")
    return x.with_shape(*_sized(x, axis, x.shape[axis] if n is None else n))


def _rfft_spec(x: Spec, *, n: Size | None, axis: int, norm: str) -> Spec:
    _checked(norm)
    if x.dtype not in _COMPLEX:
        raise DTypeError(f"expected real floating-point numbers, received {x}")
    size = x.shape[axis] if n is None else n
    return Spec(_sized(x, axis, floordiv(size, 2) + 1), _COMPLEX[x.dtype])


def _irfft_spec(x: Spec, *, n: Size | None, axis: int, norm: str) -> Spec:
    _checked(norm)
    if x.dtype not in _REAL:
        raise DTypeError(f"expected complex numbers, received {x}", hint="cast them with astype")
    return Spec(_sized(x, axis, 2 * (x.shape[axis] - 1) if n is None else n), _REAL[x.dtype])


def _lower(op: Op, name: str = "") -> None:
    name = name or op.name
    for framework, prefix in (("numpy", "np"), ("jax", "jnp")):
        op.lower(framework, f"{prefix}.fft.{name}({{x}}, n={{n}}, axis={{axis:-1}}, norm={{norm:'backward'}})")
    op.lower("torch", f"torch.fft.{name}({{x}}, n={{n}}, dim={{axis:-1}}, norm={{norm:'backward'}})")


@op(rule=_fft_spec, primitive=True)
def fft(x: Array, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """Σ x[k] exp(-2πi jk / n) over an axis of complex numbers."""


@op(rule=_fft_spec, primitive=True)
def ifft(x: Array, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """Σ x[k] exp(2πi jk / n) / n over an axis of complex numbers."""


@op(rule=_rfft_spec, primitive=True)
def rfft(x: Array, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """The first n / 2 + 1 numbers of `fft` of real numbers; the others are their conjugates."""


@op(rule=_irfft_spec, primitive=True)
def irfft(x: Array, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """The n real numbers whose `rfft` is x; 2 · (size - 1) of them unless n is given."""


for _op in (fft, ifft, rfft, irfft):
    _lower(_op)
    _op.lower("tensorflow", f"support.{_op.name}({{x}}, n={{n}}, axis={{axis:-1}}, norm={{norm:'backward'}})")


@op(rule=_irfft_spec)
def hfft(x: Array, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """`fft` of n numbers, of which x is the first half and the other half its conjugates: real numbers."""
    return irfft(conj(x), n=n, axis=axis, norm=_SWAPPED[norm])


@op(rule=_rfft_spec)
def ihfft(x: Array, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """The inverse of `hfft`: the first n / 2 + 1 numbers of `ifft` of real numbers."""
    return conj(rfft(x, n=n, axis=axis, norm=_SWAPPED[norm]))


for _op in (hfft, ihfft):
    _lower(_op)

# -- several axes ----------------------------------------------------------------------------------------------------


def pairs(shape: Sequence[Size], s: Sequence[Size] | None, axes: Sequence[int] | None) -> list[tuple[int, Size | None]]:
    """The axes of a transform, each with the size to give it; the last ones for ``axes=None``."""
    if axes is None:
        axes = range(-len(s), 0) if s is not None else range(-len(shape), 0)
    found = normalize_axes(tuple(axes), len(shape))
    if s is not None and len(s) != len(found):
        raise ShapeError(f"expected one size for each of the axes {tuple(axes)}, received {tuple(s)}")
    return list(zip(found, s if s is not None else [None] * len(found), strict=True))


Sizes = tuple[Size, ...] | None
Axes = tuple[int, ...] | None


@op
def fftn(x: Array, /, *, s: Sizes = None, axes: Axes = None, norm: str = "backward") -> Array:
    """`fft` over several axes."""
    for axis, n in pairs(spec_of(x).shape, s, axes):
        x = fft(x, n=n, axis=axis, norm=norm)
    return x


@op
def ifftn(x: Array, /, *, s: Sizes = None, axes: Axes = None, norm: str = "backward") -> Array:
    """`ifft` over several axes."""
    for axis, n in pairs(spec_of(x).shape, s, axes):
        x = ifft(x, n=n, axis=axis, norm=norm)
    return x


@op
def rfftn(x: Array, /, *, s: Sizes = None, axes: Axes = None, norm: str = "backward") -> Array:
    """`rfft` over the last of several axes, `fft` over the others."""
    *others, (last, size) = pairs(spec_of(x).shape, s, axes)
    x = rfft(x, n=size, axis=last, norm=norm)
    for axis, n in others:
        x = fft(x, n=n, axis=axis, norm=norm)
    return x


@op
def irfftn(x: Array, /, *, s: Sizes = None, axes: Axes = None, norm: str = "backward") -> Array:
    """`irfft` over the last of several axes, after `ifft` over the others."""
    *others, (last, size) = pairs(spec_of(x).shape, s, axes)
    for axis, n in others:
        x = ifft(x, n=n, axis=axis, norm=norm)
    return irfft(x, n=size, axis=last, norm=norm)


def _few(n: SimpleNamespace) -> bool:
    """XLA transforms up to three axes at once; a transform of no axis at all is x."""
    return n.axes is not None and 1 <= len(n.axes) <= 3


for _op in (fftn, ifftn, rfftn, irfftn):
    _arguments = "axes={axes}, norm={norm:'backward'})"
    _op.lower("numpy", f"np.fft.{_op.name}({{x}}, s={{s}}, {_arguments}", when=_few)
    _op.lower("jax", f"jnp.fft.{_op.name}({{x}}, s={{s}}, {_arguments}", when=_few)
    _op.lower("torch", f"torch.fft.{_op.name}({{x}}, s={{s}}, dim={{axes}}, norm={{norm:'backward'}})", when=_few)


@op(rule=lambda x, *, axes: x)
def fftshift(x: Array, /, *, axes: Axes = None) -> Array:
    """The zero frequency moved to the middle of axes."""
    shape = spec_of(x).shape
    found = normalize_axes(axes, len(shape))
    return roll(x, shift=tuple(_half(shape[axis]) for axis in found), axis=found)


@op(rule=lambda x, *, axes: x)
def ifftshift(x: Array, /, *, axes: Axes = None) -> Array:
    """The inverse of `fftshift`."""
    shape = spec_of(x).shape
    found = normalize_axes(axes, len(shape))
    return roll(x, shift=tuple(-_half(shape[axis]) for axis in found), axis=found)


def _half(size: Any) -> Any:
    return floordiv(size, 2) if isinstance(size, Dim) else size // 2


for _op in (fftshift, ifftshift):
    _op.lower("numpy", f"np.fft.{_op.name}({{x}}, axes={{axes}})").lower(
        "jax", f"jnp.fft.{_op.name}({{x}}, axes={{axes}})"
    )
    _op.lower("torch", f"torch.fft.{_op.name}({{x}}, dim={{axes}})")
