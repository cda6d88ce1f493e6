"""Interpolation over one to three spatial axes.

Channels stand on ``channel_axis``, 1 or the last; the spatial axes are the others but the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ...errors import ShapeError
from ..dims import Size
from ..op import Array, op
from ..spec import Spec, spec_of
from ._spatial import (
    channels_first,
    resized_spec,
    spatial_axes,
)
from .creation import arange, created, scalar
from .elementwise import astype, clip, floor, maximum, minimum, where
from .indexing import take
from .shape import reshape


def _interpolate_spec(x: Spec, *, size: Sequence[Size], channel_axis: int = 1, **_: Any) -> Spec:
    return resized_spec(x, size=tuple(size), channel_axis=channel_axis)


@op(rule=_interpolate_spec)
def interpolate(
    x: Array, /, *, size: tuple[Size, ...], mode: str = "nearest", align_corners: bool = False, channel_axis: int = 1
) -> Array:
    """x at another resolution.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        size: the new size of each spatial axis.
        mode: "nearest" (the element at floor(i · old / new)), "linear" (between the nearest two on each axis) or
            "cubic" (between the nearest four, Keys' kernel with a = -0.75).
        align_corners: whether the outermost elements keep their places; else the outermost edges do.
        channel_axis: where the channels are.

    Source: torch.nn.functional.interpolate, without antialiasing.
    """
    if mode not in ("nearest", "linear", "cubic"):
        raise ShapeError(f"expected the mode nearest, linear or cubic, received {mode!r}")
    dtype = spec_of(x).dtype
    for axis, new in zip(spatial_axes(spec_of(x).ndim, channel_axis), size, strict=True):
        old = spec_of(x).shape[axis]
        if old == new:
            continue
        place = created(arange, x, stop=new, dtype="float32")
        if mode == "nearest":
            x = take(x, astype(floor(place * _ratio(old, new, x)), dtype="int32"), axis=axis)
            continue
        if align_corners:
            place = place * _ratio(old - 1, new - 1, x)
        else:
            place = (place + 0.5) * _ratio(old, new, x) - 0.5
            place = clip(place, min=0.0) if mode == "linear" else place
        low = floor(place)
        trailing = (*(1,) * (spec_of(x).ndim - axis - 1),)
        share = reshape(place - low, shape=(new, *trailing))
        first = astype(low, dtype="int32")
        last = scalar(old - 1, "int32", x)
        if mode == "linear":
            taps = {0: 1.0 - share, 1: share}
        else:
            taps = {step: _cubic(share - float(step)) for step in (-1, 0, 1, 2)}
        result: Any = None
        for step, weight in taps.items():
            at = minimum(maximum(first + step, 0), last)
            term = take(x, at, axis=axis) * astype(weight, dtype=dtype)
            result = term if result is None else result + term
        x = result
    return x


def _ratio(old: Size, new: Size, like: Array) -> Any:
    if new == 0:
        return 0.0
    if isinstance(old, int) and isinstance(new, int):
        return old / new
    return scalar(old, "float32", like) / scalar(new, "float32", like)


def _cubic(distance: Array) -> Array:
    """Keys' cubic kernel with a = -0.75 at a distance below 2."""
    d = maximum(distance, -distance)
    near = ((1.25 * d) - 2.25) * d * d + 1.0
    far = ((-0.75 * d + 3.75) * d - 6.0) * d + 3.0
    return where(d <= 1.0, near, far)


_MODES = {1: {"linear": "linear"}, 2: {"linear": "bilinear", "cubic": "bicubic"}, 3: {"linear": "trilinear"}}


def _torch_mode(n: SimpleNamespace) -> Mapping[str, Any]:
    return {"mode": _MODES[len(n.size)].get(n.mode, n.mode), "align": n.align_corners if n.mode != "nearest" else None}


interpolate.lower(
    "torch",
    "F.interpolate({x}, size={size}, mode={mode:'nearest'}, align_corners={align:False})",
    when=lambda n: channels_first(n) and (n.mode == "nearest" or n.mode in _MODES[len(n.size)]),
    derive=_torch_mode,
)
