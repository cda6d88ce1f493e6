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
from ._spatial import channels_first, channels_last, moved_axis, resized_spec, spatial_axes
from .creation import arange, created, scalar
from .elementwise import abs, astype, clip, floor, maximum, minimum, where
from .indexing import take
from .linalg import matmul
from .pooling import adaptive_avg_pool
from .reduction import sum
from .shape import reshape, transpose

_WORDS = ("nearest", "nearest-exact", "linear", "cubic", "area")


def _interpolate_spec(
    x: Spec, *, size: Sequence[Size], mode: str, antialias: bool, align_corners: bool, channel_axis: int = 1
) -> Spec:
    if mode not in _WORDS:
        raise ShapeError(f"expected the mode {', '.join(_WORDS)}, received {mode!r}")
    if antialias and (mode not in ("linear", "cubic") or align_corners):
        raise ShapeError(f"expected antialiasing with the mode linear or cubic and no aligned corners, not {mode!r}")
    return resized_spec(x, size=tuple(size), channel_axis=channel_axis)


@op(rule=_interpolate_spec, strict=True)
def interpolate(
    x: Array,
    /,
    *,
    size: tuple[Size, ...],
    mode: str = "nearest",
    align_corners: bool = False,
    antialias: bool = False,
    channel_axis: int = 1,
) -> Array:
    """x at another resolution.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).
        size: the new size of each spatial axis.
        mode: "nearest" (the element at floor(i · old / new)), "nearest-exact" (at floor((i + ½) · old / new), the
            nearest one in JAX and TensorFlow), "linear" (between the nearest two on each axis), "cubic" (between the
            nearest four, Keys' kernel with a = -0.75) or "area" (`adaptive_avg_pool`).
        align_corners: whether the outermost elements keep their places; else the outermost edges do.
        antialias: whether the kernel grows with the elements where there are fewer; Keys' then has a = -0.5.
        channel_axis: where the channels are.

    Source: torch.nn.functional.interpolate; with antialiasing also jax.image.resize.
    """
    dtype = spec_of(x).dtype
    if mode == "area":
        return adaptive_avg_pool(x, size=size, channel_axis=channel_axis)
    for axis, new in zip(spatial_axes(spec_of(x).ndim, channel_axis), size, strict=True):
        old = spec_of(x).shape[axis]
        if old == new:
            continue
        if antialias:
            x = _smoothed(x, axis, old, new, mode)
            continue
        place = created(arange, x, stop=new, dtype="float32")
        if mode.startswith("nearest"):
            place = place if mode == "nearest" else place + 0.5
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
            taps = {step: cubic(share - float(step)) for step in (-1, 0, 1, 2)}
        result: Any = None
        for step, weight in taps.items():
            at = minimum(maximum(first + step, 0), last)
            term = take(x, at, axis=axis) * astype(weight, dtype=dtype)
            result = term if result is None else result + term
        x = result
    return x


def _smoothed(x: Array, axis: int, old: Size, new: Size, mode: str) -> Array:
    """One axis resized by a kernel that is as wide as the elements that become one."""
    dtype = spec_of(x).dtype
    ratio = _ratio(old, new, x)
    width = maximum(ratio, 1.0) if not isinstance(ratio, float) else ratio if ratio > 1 else 1.0
    place = reshape((created(arange, x, stop=new, dtype=dtype) + 0.5) * ratio - 0.5, shape=(new, 1))
    distance = abs(place - created(arange, x, stop=old, dtype=dtype)) / width
    weights = cubic(distance, -0.5) if mode == "cubic" else clip(1.0 - distance, min=0.0)
    weights = weights / sum(weights, axis=1, keepdims=True)
    last = moved_axis(x, axis, -1)
    return moved_axis(matmul(last, transpose(weights, axes=(1, 0))), spec_of(x).ndim - 1, axis)


def _ratio(old: Size, new: Size, like: Array) -> Any:
    if new == 0:
        return 0.0
    if isinstance(old, int) and isinstance(new, int):
        return old / new
    return scalar(old, "float32", like) / scalar(new, "float32", like)


def cubic(distance: Array, a: float = -0.75) -> Array:
    """Keys' cubic kernel at a distance, 0 from 2 on. Source: Keys 1981."""
    d = maximum(distance, -distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1.0
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return where(d <= 1.0, near, where(d < 2.0, far, 0.0))


_MODES = {1: {"linear": "linear"}, 2: {"linear": "bilinear", "cubic": "bicubic"}, 3: {"linear": "trilinear"}}


def _torch_mode(n: SimpleNamespace) -> Mapping[str, Any]:
    aligned = n.align_corners if n.mode in ("linear", "cubic") else None
    return {"mode": _MODES[len(n.size)].get(n.mode, n.mode), "align": aligned}


def _in_torch(n: SimpleNamespace) -> bool:
    known = n.mode in ("nearest", "nearest-exact", "area") or n.mode in _MODES[len(n.size)]
    return channels_first(n) and known and (not n.antialias or len(n.size) == 2)


interpolate.lower(
    "torch",
    "F.interpolate({x}, size={size}, mode={mode:'nearest'}, align_corners={align:False}, antialias={antialias:False})",
    when=_in_torch,
    derive=_torch_mode,
)

_JAX_WORDS = {"nearest-exact": "nearest", "linear": "linear", "cubic": "cubic"}


def _in_jax(n: SimpleNamespace) -> bool:
    """jax.image.resize has Keys' kernel with a = -0.5, which is ours with antialiasing."""
    return n.mode in _JAX_WORDS and not n.align_corners and (n.mode != "cubic" or n.antialias)


interpolate.lower(
    "jax",
    "jax.image.resize({x}, {shape}, {word}, antialias={antialias:True})",
    when=_in_jax,
    derive=lambda n: {
        "shape": resized_spec(n.x, size=n.size, channel_axis=n.channel_axis).shape,
        "word": _JAX_WORDS[n.mode],
    },
)
interpolate.lower(
    "tensorflow",
    "tf.image.resize({x}, {size}, {word}, antialias={antialias:False})",
    when=lambda n: (
        n.x.ndim == 4
        and channels_last(n)
        and n.x.dtype == "float32"
        and n.mode in ("nearest-exact", "linear")
        and not n.align_corners
    ),
    derive=lambda n: {"word": "nearest" if n.mode == "nearest-exact" else "bilinear"},
)
