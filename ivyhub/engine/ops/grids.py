"""Images sampled at places that a grid names."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ...errors import DTypeError, ShapeError
from ..dims import Size, product
from ..op import Array, op
from ..spec import Spec, spec_of
from .creation import arange, created, scalar
from .elementwise import abs, astype, clip, equal, floor, minimum, round, where
from .indexing import getitem, index
from .linalg import matmul
from .resizing import cubic
from .shape import broadcast_to, reshape, stack, transpose

_FULL = (None, None, None)


def _sample_spec(
    x: Spec, grid: Spec, *, mode: str = "linear", padding_mode: str = "zeros", align_corners: bool = False
) -> Spec:
    rank = x.ndim - 2
    if rank not in (2, 3) or grid.ndim != x.ndim or grid.shape[-1] != rank or grid.shape[0] != x.shape[0]:
        raise ShapeError(f"expected (batch, channels, ...) and a grid (batch, ..., axes), received {x} and {grid}")
    if x.dtype != grid.dtype:
        raise DTypeError(
            f"expected operands of one dtype, received {x} and {grid}", hint="cast one of them with astype"
        )
    if mode not in ("nearest", "linear", "cubic") or (mode == "cubic" and rank != 2):
        raise ShapeError(f"expected the mode nearest, linear or, for two axes, cubic, received {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ShapeError(f"expected the padding mode zeros, border or reflection, received {padding_mode!r}")
    return x.with_shape(*x.shape[:2], *grid.shape[1:-1])


@op(rule=_sample_spec, strict=True)
def grid_sample(
    x: Array,
    grid: Array,
    /,
    *,
    mode: str = "linear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> Array:
    """x at the places of a grid.

    Args:
        x: (batch, channels, height, width), or with a depth before the height.
        grid: (batch, ..., axes): for each place of the result its coordinates in x, the last axis of x first, where -1
            and 1 are its ends.
        mode: "nearest", "linear" (between the nearest two on each axis) or "cubic" (the nearest four, a = -0.75).
        padding_mode: what lies beyond: "zeros", "border" (the outermost element) or "reflection".
        align_corners: whether -1 and 1 are the middles of the outermost elements; else their outer edges.

    Source: Jaderberg et al. 2015, arXiv:1506.02025; torch.nn.functional.grid_sample.
    """
    spec, places = spec_of(x), spec_of(grid)
    sizes = spec.shape[2:]
    rank = len(sizes)
    coordinates: list[Array] = []
    for axis, size in enumerate(sizes):  # the grid names the last axis first
        unit = getitem(grid, key=(*(_FULL,) * (rank + 1), rank - 1 - axis))
        length = _number(size, spec.dtype, x)
        at = (unit + 1) * ((length - 1) * 0.5) if align_corners else ((unit + 1) * length - 1) * 0.5
        coordinates.append(at if mode == "cubic" else _inside(at, length, padding_mode, align_corners))
    taps: list[list[tuple[Array, Any]]] = []
    for at in coordinates:
        if mode == "nearest":
            taps.append([(round(at), None)])
            continue
        low = floor(at)
        share = at - low
        if mode == "linear":
            taps.append([(low, 1.0 - share), (low + 1, share)])
        else:
            taps.append([(low + float(step), cubic(share - float(step))) for step in (-1, 0, 1, 2)])
    batch = created(arange, x, stop=spec.shape[0], dtype="int64")
    batch = reshape(batch, shape=(spec.shape[0], *(1,) * rank))
    result: Any = None
    for corner in itertools.product(*taps):
        weight: Any = None
        positions: list[Array] = []
        for (at, share), size in zip(corner, sizes, strict=True):
            length = _number(size, spec.dtype, x)
            if mode == "cubic":
                at = _inside(at, length, padding_mode, align_corners)
            factor = share
            if padding_mode == "zeros":
                present = astype((at >= 0) & (at <= length - 1), dtype=spec.dtype)
                factor = present if share is None else share * present
            if factor is not None:
                weight = factor if weight is None else weight * factor
            positions.append(astype(_clipped(at, length), dtype="int64"))
        picked = index(x, [batch, None, *positions])  # (batch, ..., channels)
        if weight is not None:
            picked = picked * getitem(weight, key=(*(_FULL,) * (rank + 1), None))
        result = picked if result is None else result + picked
    order = (0, places.ndim - 1, *range(1, places.ndim - 1))
    return transpose(result, axes=order)


def _number(size: Size, dtype: str, like: Array) -> Any:
    return float(size) if isinstance(size, int) else scalar(size, dtype, like)


def _clipped(at: Array, length: Any) -> Array:
    return clip(at, min=0.0, max=length - 1) if isinstance(length, float) else minimum(clip(at, min=0.0), length - 1)


def _inside(at: Array, length: Any, padding_mode: str, align_corners: bool) -> Array:
    """A coordinate as the padding mode places it."""
    if padding_mode == "zeros":
        return at
    if padding_mode == "reflection":
        low, span = (0.0, length - 1) if align_corners else (-0.5, length)
        distance = abs(at - low)
        if isinstance(span, float) and not span:
            return at * 0
        turns = floor(distance / span)
        extra = distance - turns * span
        at = where(equal(turns % 2, 0), extra + low, span - extra + low)
    return _clipped(at, length)


def _affine_spec(theta: Spec, *, size: tuple[Size, ...], align_corners: bool = False) -> Spec:
    rank = len(size)
    if theta.ndim != 3 or theta.shape[1:] != (rank, rank + 1):
        raise ShapeError(f"expected transforms (batch, {rank}, {rank + 1}), received {theta}")
    return theta.with_shape(theta.shape[0], *size, rank)


@op(rule=_affine_spec, strict=True)
def affine_grid(theta: Array, /, *, size: tuple[Size, ...], align_corners: bool = False) -> Array:
    """The grid of `grid_sample` that an affine transform of the places makes.

    Args:
        theta: (batch, axes, axes + 1), for each coordinate, the last axis of the image first, its matrix and shift.
        size: (height, width) or (depth, height, width) of the image that is to come.
        align_corners: as for `grid_sample`.

    Source: torch.nn.functional.affine_grid.
    """
    spec, rank = spec_of(theta), len(size)
    columns: list[Array] = []
    for axis in reversed(range(rank)):
        length = size[axis]
        steps = created(arange, theta, stop=length, dtype=spec.dtype)
        count = _number(length, spec.dtype, theta)
        if align_corners:
            line = steps * 0 if length == 1 else steps * (2.0 / (count - 1)) - 1
        else:
            line = (2 * steps + 1) / count - 1
        line = reshape(line, shape=tuple(length if i == axis else 1 for i in range(rank)))
        columns.append(broadcast_to(line, shape=tuple(size)))
    places = stack([*columns, columns[0] * 0 + 1], axis=-1)
    flat = reshape(places, shape=(1, product(size), rank + 1))
    moved = matmul(flat, transpose(theta, axes=(0, 2, 1)))
    return reshape(moved, shape=(spec.shape[0], *size, rank))


def _torch_words(n: SimpleNamespace) -> Mapping[str, Any]:
    return {"mode": {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}[n.mode]}


grid_sample.lower(
    "torch",
    "F.grid_sample({x}, {grid}, mode={mode:'bilinear'}, padding_mode={padding_mode:'zeros'},"
    " align_corners={align_corners})",
    derive=_torch_words,
)
affine_grid.lower(
    "torch",
    "F.affine_grid({theta}, {whole}, align_corners={align_corners})",
    derive=lambda n: {"whole": (n.theta.shape[0], 1, *n.size)},
)
