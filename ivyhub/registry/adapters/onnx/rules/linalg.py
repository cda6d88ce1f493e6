"""Products of matrices, and transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from .....engine import ops
from .....errors import CaptureError
from .common import (
    FULL,
    RULES,
    Array,
    cast,
    dtype_of,
    is_integer,
    rank_of,
    shape_of,
    static_int,
    static_shape,
)


@RULES("MatMul")
def matmul(a: Array, b: Array) -> Array:
    return ops.matmul(a, b)


@RULES("Gemm")
def gemm(
    a: Array,
    b: Array,
    c: Array | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    broadcast: int = 1,
    transA: int = 0,  # noqa: N803 - the standard's name
    transB: int = 0,  # noqa: N803 - the standard's name
) -> Array:
    a = ops.transpose(a, axes=(1, 0)) if transA else a
    fits = c is None or shape_of(c) == shape_of(b)[:1]
    if transB and alpha == beta == 1.0 and not is_integer(dtype_of(a)) and fits:
        return ops.linear(a, b, c)
    y = ops.matmul(a, ops.transpose(b, axes=(1, 0)) if transB else b)
    if is_integer(dtype_of(a)) and not (float(alpha).is_integer() and float(beta).is_integer()):
        raise CaptureError("Gemm of integers expected integers as alpha and beta")
    plain = int if is_integer(dtype_of(a)) else float
    y = y if alpha == 1.0 else ops.multiply(y, plain(alpha))
    if c is None or not beta:
        return y
    return ops.add(y, c if beta == 1.0 else ops.multiply(c, plain(beta)))


@RULES("Einsum")
def einsum(*operands: Array, equation: str) -> Array:
    equation = equation.replace(" ", "")
    if "->" not in equation:
        letters = equation.replace(",", "").replace("...", "")
        once = "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
        equation = f"{equation}->{'...' if '...' in equation else ''}{once}"
    return ops.einsum(list(operands), equation=equation)


@RULES("Det")
def det(x: Array) -> Array:
    return ops.det(x)


# -- Fourier transforms: a last axis of 1 or 2 holds real and imaginary parts ----------------------------------------


def _parts(z: Array) -> Array:
    return ops.stack([ops.real(z), ops.imag(z)], axis=-1)


def _complex(x: Array) -> Array:
    every = (FULL,) * (rank_of(x) - 1)
    real = ops.getitem(x, key=(*every, 0))
    imag = ops.getitem(x, key=(*every, 1)) if shape_of(x)[-1] == 2 else ops.multiply(real, 0.0)
    return ops.complex(real, imag)


@RULES("DFT")
def dft_attribute(x: Array, dft_length: Any = None, *, axis: int = 1, inverse: int = 0, onesided: int = 0) -> Array:
    return dft(x, dft_length, np.asarray(axis), inverse=inverse, onesided=onesided)


@RULES("DFT-20")
def dft(x: Array, dft_length: Any = None, axis: Any = None, *, inverse: int = 0, onesided: int = 0) -> Array:
    dtype = dtype_of(x)
    if dtype not in ("float32", "float64"):
        return cast(dft(cast(x, "float32"), dft_length, axis, inverse=inverse, onesided=onesided), dtype)
    place = -2 if axis is None else static_int(axis, "axis")
    place = place % rank_of(x)
    length = None if dft_length is None else static_int(dft_length, "dft_length")
    if inverse:
        if onesided:
            every = (FULL,) * (rank_of(x) - 1)
            length = length or 2 * (static_shape(x, "DFT")[place] - 1)
            z = ops.complex(ops.getitem(x, key=(*every, 0)), ops.getitem(x, key=(*every, 1)))
            return ops.stack([ops.irfft(z, n=length, axis=place)], axis=-1)
        return _parts(ops.ifft(_complex(x), n=length, axis=place))
    if onesided:
        real = ops.getitem(x, key=(*(FULL,) * (rank_of(x) - 1), 0))
        return _parts(ops.rfft(real, n=length, axis=place))
    return _parts(ops.fft(_complex(x), n=length, axis=place))


@RULES("STFT")
def stft(
    signal: Array, frame_step: Any, window: Array | None = None, frame_length: Any = None, *, onesided: int = 1
) -> Array:
    sizes = static_shape(signal, "STFT")
    step = static_int(frame_step, "frame_step")
    length = static_shape(window, "STFT")[0] if frame_length is None and window is not None else None
    if length is None:
        length = sizes[1] if frame_length is None else static_int(frame_length, "frame_length")
    count = 1 + (sizes[1] - length) // step
    places = (np.arange(count)[:, None] * step + np.arange(length)[None]).reshape(-1)
    frames = ops.reshape(ops.take(signal, places, axis=1), shape=(sizes[0], count, length, *sizes[2:]))
    if window is not None:
        frames = ops.multiply(frames, ops.reshape(window, shape=(1, 1, length, *(1,) * (len(sizes) - 2))))
    if len(sizes) == 2:
        frames = ops.reshape(frames, shape=(*shape_of(frames), 1))
    return dft(frames, None, np.asarray(2), onesided=onesided)
