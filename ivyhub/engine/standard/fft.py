"""The extension ``fft`` of the standard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from ...errors import ShapeError
from .. import native, ops
from ..op import Array, Op
from ._common import COMPLEX_OF, cast, dtype_of
from .creation import named, placed

Norm = Literal["backward", "ortho", "forward"]


def _complex(x: Array) -> Array:
    name = dtype_of(x)
    return cast(x, COMPLEX_OF[name]) if name in COMPLEX_OF else x


def _one(op: Op, takes: Callable[[Array], Array]) -> Callable[..., Array]:
    def function(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
        return op(takes(x), n=n, axis=axis, norm=norm)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = op.__doc__
    return function


def _several(op: Op, takes: Callable[[Array], Array]) -> Callable[..., Array]:
    def function(
        x: Array, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
    ) -> Array:
        if axes is None:
            axes = range(len(x.shape) - (len(x.shape) if s is None else len(s)), len(x.shape))
        return op(takes(x), s=None if s is None else tuple(s), axes=tuple(axes), norm=norm)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = op.__doc__
    return function


fft, ifft, irfft, hfft = (_one(op, _complex) for op in (ops.fft, ops.ifft, ops.irfft, ops.hfft))
rfft, ihfft = (_one(op, lambda x: x) for op in (ops.rfft, ops.ihfft))
fftn, ifftn, irfftn = (_several(op, _complex) for op in (ops.fftn, ops.ifftn, ops.irfftn))
rfftn = _several(ops.rfftn, lambda x: x)


def _shift(op: Op) -> Callable[..., Array]:
    def function(x: Array, /, *, axes: int | Sequence[int] | None = None) -> Array:
        return op(x, axes=(axes,) if isinstance(axes, int) else None if axes is None else tuple(axes))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = op.__doc__
    return function


fftshift, ifftshift = _shift(ops.fftshift), _shift(ops.ifftshift)


def fftfreq(framework: str, n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Array:
    """The frequencies of `fft` of n samples at a distance d."""
    return _frequencies(framework, np.fft.fftfreq, n, d, dtype, device)


def rfftfreq(framework: str, n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Array:
    """The frequencies of `rfft` of n samples at a distance d."""
    return _frequencies(framework, np.fft.rfftfreq, n, d, dtype, device)


def _frequencies(framework: str, of: Any, n: int, d: float, dtype: Any, device: Any) -> Array:
    if n < 1:
        raise ShapeError(f"expected one sample or more, received {n}")
    return placed(framework, native.module(framework).asarray(of(n, d), named(framework, dtype), None), device)


OWNED = (fftfreq, rfftfreq)
PLAIN = (fft, fftn, fftshift, hfft, ifft, ifftn, ifftshift, ihfft, irfft, irfftn, rfft, rfftn)
