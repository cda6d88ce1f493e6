"""Fourier transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .....engine import ops
from .....engine.dims import Size
from .common import RULES, Array, Axes, cast, dtype_of, floating, shape_of

# What a normalisation of PyTorch's kernels means, forth and back: multiply by nothing, by one over the root of the
# length, by one over the length.
_FORTH = ("backward", "ortho", "forward")
_BACK = ("forward", "ortho", "backward")


def _complex(x: Array) -> Array:
    """x as complex numbers of its precision."""
    x = floating(x)
    return x if "complex" in dtype_of(x) else cast(x, "complex128" if dtype_of(x) == "float64" else "complex64")


# What transforms take: numbers of any kind as complex ones, or real numbers.
_TAKES = dict.fromkeys(("fft", "ifft", "irfft", "hfft"), _complex) | dict.fromkeys(("rfft", "ihfft"), floating)


def _along(op: Callable[..., Any], taken: Callable[[Array], Array]) -> Callable[..., Array]:
    def rule(x: Array, n: Size | None = None, dim: int = -1, norm: str | None = None) -> Array:
        return op(taken(x), n=n, axis=dim, norm=norm or "backward")

    return rule


for _name, _taken in _TAKES.items():
    RULES(f"aten.fft_{_name}.default")(_along(getattr(ops, _name), _taken))


def _over(
    op: Callable[..., Any], taken: Callable[[Array], Array], axes: tuple[int, ...] | None
) -> Callable[..., Array]:
    def rule(x: Array, s: Sequence[Size] | None = None, dim: Axes = axes, norm: str | None = None) -> Array:
        if dim is None and s is not None:
            dim = tuple(range(-len(s), 0))
        chosen = tuple(range(len(shape_of(x)))) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
        lengths = None if s is None else _lengths(x, s, chosen)
        return op(taken(x), s=lengths, axes=chosen, norm=norm or "backward")

    return rule


def _lengths(x: Array, s: Sequence[Size], axes: Sequence[int]) -> tuple[Size, ...]:
    """-1 keeps the length of an axis."""
    return tuple(shape_of(x)[axis] if size == -1 else size for size, axis in zip(s, axes, strict=True))


for _name in ("fft", "ifft", "rfft", "irfft"):
    RULES(f"aten.fft_{_name}2.default")(_over(getattr(ops, f"{_name}n"), _TAKES[_name], (-2, -1)))
    RULES(f"aten.fft_{_name}n.default")(_over(getattr(ops, f"{_name}n"), _TAKES[_name], None))


@RULES("aten._fft_c2c.default")
def complex_to_complex(x: Array, dim: Sequence[int], normalization: int, forward: bool) -> Array:
    op, norm = (ops.fftn, _FORTH[normalization]) if forward else (ops.ifftn, _BACK[normalization])
    return op(x, axes=tuple(dim), norm=norm)


@RULES("aten._fft_r2c.default")
def real_to_complex(x: Array, dim: Sequence[int], normalization: int, onesided: bool) -> Array:
    op = ops.rfftn if onesided else ops.fftn
    return op(x if onesided else _complex(x), axes=tuple(dim), norm=_FORTH[normalization])


@RULES("aten._fft_c2r.default")
def complex_to_real(x: Array, dim: Sequence[int], normalization: int, last_dim_size: Size) -> Array:
    lengths = tuple(last_dim_size if axis == dim[-1] else shape_of(x)[axis] for axis in dim)
    return ops.irfftn(x, s=lengths, axes=tuple(dim), norm=_BACK[normalization])


@RULES("prims.fft_c2c.default")
def prim_c2c(x: Array, *, dim: Sequence[int], forward: bool) -> Array:
    """Without a factor, as all of these."""
    return complex_to_complex(x, dim, 0, forward)


@RULES("prims.fft_r2c.default")
def prim_r2c(x: Array, *, dim: Sequence[int], onesided: bool) -> Array:
    return real_to_complex(x, dim, 0, onesided)


@RULES("prims.fft_c2r.default")
def prim_c2r(x: Array, *, dim: Sequence[int], last_dim_size: Size) -> Array:
    return complex_to_real(x, dim, 0, last_dim_size)


@RULES("aten.fft_fftshift.default")
def fftshift(x: Array, dim: Axes = None) -> Array:
    return ops.fftshift(x, axes=(dim,) if isinstance(dim, int) else dim and tuple(dim))


@RULES("aten.fft_ifftshift.default")
def ifftshift(x: Array, dim: Axes = None) -> Array:
    return ops.ifftshift(x, axes=(dim,) if isinstance(dim, int) else dim and tuple(dim))
