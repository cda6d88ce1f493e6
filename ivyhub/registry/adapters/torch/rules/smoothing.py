"""Interpolation with antialiasing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .....engine import ops
from .....engine.dims import Size
from .....engine.ops.resizing import cubic
from .....errors import ShapeError
from .common import RULES, Array, constant, dtype_of, shape_of

#: By mode, the kernel at a distance, and how far it reaches.
_KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {
    "linear": (lambda distance: np.maximum(1 - np.abs(distance), 0), 1),
    "cubic": (lambda distance: cubic(distance, -0.5), 2),
}


def _weights(old: int, new: int, scale: float, mode: str) -> np.ndarray:
    """The share of each old element in each new one, where elements are ``scale`` old ones wide."""
    kernel, reach = _KERNELS[mode]
    width = max(scale, 1.0)
    center = scale * (np.arange(new)[:, None] + 0.5)
    places = np.arange(old)
    first = np.maximum((center - reach * width + 0.5).astype(int), 0)
    last = np.minimum((center + reach * width + 0.5).astype(int), old)
    found = np.where((places >= first) & (places < last), kernel((places - center + 0.5) / width), 0)
    total = found.sum(1, keepdims=True)
    return found / np.where(total == 0, 1, total)


def _smoothed(x: Array, size: Sequence[Size], align_corners: bool, factors: Sequence[float | None], mode: str) -> Array:
    old = shape_of(x)[2:]
    given = [factor is not None and old[i] * factor != size[i] for i, factor in enumerate(factors)]  # type: ignore[operator]
    if not align_corners and not any(given):
        return ops.interpolate(x, size=tuple(size), mode=mode, antialias=True)
    if not all(isinstance(each, int) for each in (*old, *size)):
        raise ShapeError(f"expected images of known sizes, received {shape_of(x)}")
    for axis, (length, new, factor) in enumerate(zip(map(int, old), map(int, size), factors, strict=True)):
        if align_corners:
            scale = (length - 1) / (new - 1) if new > 1 else 0.0
        else:
            scale = length / new if factor is None else 1 / factor
        share = constant(_weights(length, new, scale, mode).astype(dtype_of(x)), x)
        x = ops.einsum([x, share], equation="nchw,vw->nchv" if axis else "nchw,vh->ncvw")
    return x


def _factored(size: Sequence[Size] | None, x: Array, factors: Sequence[float] | None) -> tuple[Sequence[Size], Any]:
    if size is not None:
        return size, (None, None)
    assert factors is not None
    old = shape_of(x)[2:]
    if not all(isinstance(each, int) for each in old):
        raise ShapeError(f"expected images of known sizes, received {shape_of(x)}")
    return [int(each * factor) for each, factor in zip(map(int, old), factors, strict=True)], factors


for _name, _mode in (("bilinear2d", "linear"), ("bicubic2d", "cubic")):

    @RULES(f"aten._upsample_{_name}_aa.vec")
    def by_factors(
        x: Array,
        size: Sequence[Size] | None,
        align_corners: bool,
        factors: Sequence[float] | None = None,
        *,
        mode: str = _mode,
    ) -> Array:
        new, found = _factored(size, x, factors)
        return _smoothed(x, new, align_corners, found, mode)

    @RULES(f"aten._upsample_{_name}_aa.default")
    def by_size(
        x: Array,
        size: Sequence[Size],
        align_corners: bool,
        height: float | None = None,
        width: float | None = None,
        *,
        mode: str = _mode,
    ) -> Array:
        return _smoothed(x, size, align_corners, (height, width), mode)
