"""Patches of images as columns and back; channels that become positions and back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ...errors import ShapeError
from ..dims import Size, product
from ..op import Array, op
from ..spec import Spec, normalize_axis, spec_of
from ._spatial import Ints, all_pads, channels_first, check_lengths, one_or_all, ones_or, windows
from .creation import arange, created, full
from .indexing import at_add, getitem
from .shape import Pairs, pad, reshape, stack, transpose


def _settings(
    rank: int, kernel: Ints, strides: Ints | None, padding: Pairs | None, dilation: Ints | None
) -> tuple[Ints, Pairs, Ints]:
    return ones_or(strides, rank), ((0, 0),) * rank if padding is None else padding, ones_or(dilation, rank)


def _counts(
    sizes: Sequence[Size], kernel: Ints, strides: Ints | None, padding: Pairs | None, dilation: Ints | None
) -> list[Size]:
    steps, pads, spread = _settings(len(sizes), kernel, strides, padding, dilation)
    return [windows(*each) for each in zip(sizes, kernel, steps, pads, spread, strict=True)]


def _unfold_spec(
    x: Spec, *, kernel: Ints, strides: Ints | None = None, padding: Pairs | None = None, dilation: Ints | None = None
) -> Spec:
    check_lengths(x, x.ndim - 2, kernel=kernel)
    batch, channels, *sizes = x.shape
    return x.with_shape(
        batch, channels * math.prod(kernel), product(_counts(sizes, kernel, strides, padding, dilation))
    )


@op(rule=_unfold_spec, strict=True)
def unfold(
    x: Array,
    /,
    *,
    kernel: Ints,
    strides: Ints | None = None,
    padding: Pairs | None = None,
    dilation: Ints | None = None,
) -> Array:
    """The windows of an array as columns: (batch, channels · kernel, windows).

    Args:
        x: (batch, channels, ...).
        kernel: the size of the window along each spatial axis.
        strides: from one window to the next; 1 where None.
        padding: zeros (before, after) each spatial axis; none where None.
        dilation: the distance of a window's elements; 1 where None.

    Source: torch.nn.functional.unfold; jax.lax.conv_general_dilated_patches.
    """
    batch, channels, *sizes = spec_of(x).shape
    counts = _counts(sizes, kernel, strides, padding, dilation)
    strides, padding, dilation = _settings(len(sizes), kernel, strides, padding, dilation)
    if any(pair != (0, 0) for pair in padding):
        x = pad(x, padding=all_pads(padding, range(2, len(sizes) + 2), len(sizes) + 2))
    patches: list[Array] = []
    for offset in itertools.product(*map(range, kernel)):
        picks = [
            (o * d, o * d + (count - 1) * stride + 1, stride)
            for o, count, stride, d in zip(offset, counts, strides, dilation, strict=True)
        ]
        patches.append(getitem(x, key=((None, None, None), (None, None, None), *picks)))
    return reshape(stack(patches, axis=2), shape=(batch, channels * math.prod(kernel), product(counts)))


def _columns(n: SimpleNamespace) -> Mapping[str, Any]:
    rank = len(n.kernel)
    strides, padding, dilation = _settings(rank, n.kernel, n.strides, n.padding, n.dilation)
    return {
        "kernel": one_or_all(n.kernel),
        "strides": one_or_all(strides),
        "padding": one_or_all(before for before, _ in padding),
        "dilation": one_or_all(dilation),
    }


def _images(n: SimpleNamespace) -> bool:
    return len(n.kernel) == 2 and all(before == after for before, after in n.padding or ())


_TORCH = "{kernel}, dilation={dilation:1}, padding={padding:0}, stride={strides:1})"
unfold.lower("torch", f"F.unfold({{x}}, {_TORCH}", when=_images, derive=_columns)


def _patches(n: SimpleNamespace) -> Mapping[str, Any]:
    strides, padding, dilation = _settings(len(n.kernel), n.kernel, n.strides, n.padding, n.dilation)
    shape = _unfold_spec(n.x, kernel=n.kernel, strides=strides, padding=padding, dilation=dilation).shape
    return {
        "strides": strides,
        "padding": padding,
        "dilation": None if set(dilation) == {1} else dilation,
        "shape": shape if 0 in shape[:2] else (*shape[:2], -1),  # of nothing no size can be told
    }


unfold.lower(
    "jax",
    "lax.conv_general_dilated_patches({x}, {kernel}, {strides}, {padding}, rhs_dilation={dilation}).reshape({shape})",
    derive=_patches,
)


def _fold_spec(
    x: Spec,
    *,
    size: Ints,
    kernel: Ints,
    strides: Ints | None = None,
    padding: Pairs | None = None,
    dilation: Ints | None = None,
) -> Spec:
    check_lengths(x, len(size), kernel=kernel)
    area, columns = math.prod(kernel), product(_counts(size, kernel, strides, padding, dilation))
    if x.ndim != 3 or x.shape[1] % area != 0 or x.shape[2] != columns:
        raise ShapeError(f"expected (batch, channels · {area}, {columns}), received {x}")
    return x.with_shape(x.shape[0], x.shape[1] // area, *size)


@op(rule=_fold_spec, strict=True)
def fold(
    x: Array,
    /,
    *,
    size: Ints,
    kernel: Ints,
    strides: Ints | None = None,
    padding: Pairs | None = None,
    dilation: Ints | None = None,
) -> Array:
    """Columns of `unfold` added up at the places that they came from.

    Args:
        x: (batch, channels · kernel, windows).
        size: of each spatial axis of the result.
        kernel: the size of the window along each spatial axis.
        strides: from one window to the next; 1 where None.
        padding: (before, after) each spatial axis, which is cut off again; none where None.
        dilation: the distance of a window's elements; 1 where None.

    Source: torch.nn.functional.fold.
    """
    spec = spec_of(x)
    counts = [int(count) for count in _counts(size, kernel, strides, padding, dilation)]
    strides, padding, dilation = _settings(len(size), kernel, strides, padding, dilation)
    channels = spec.shape[1] // math.prod(kernel)
    padded = [n + int(before) + int(after) for n, (before, after) in zip(size, padding, strict=True)]
    place: Any = 0
    rank = len(size)
    for axis in range(rank):
        offsets = created(arange, x, stop=kernel[axis] * dilation[axis], step=dilation[axis], dtype="int64")
        starts = created(arange, x, stop=counts[axis] * strides[axis], step=strides[axis], dtype="int64")
        offsets = reshape(offsets, shape=tuple(kernel[axis] if i == axis else 1 for i in range(2 * rank)))
        starts = reshape(starts, shape=tuple(counts[axis] if i == rank + axis else 1 for i in range(2 * rank)))
        place = place * padded[axis] + (offsets + starts)
    flat = math.prod(kernel) * math.prod(counts)
    zeros = created(full, x, shape=(spec.shape[0], channels, math.prod(padded)), fill_value=0, dtype=spec.dtype)
    values = reshape(x, shape=(spec.shape[0], channels, flat))
    whole = reshape(
        at_add(zeros, [None, None, reshape(place, shape=(flat,))], values), shape=(spec.shape[0], channels, *padded)
    )
    inner = [(before, before + n, None) for n, (before, _) in zip(size, padding, strict=True)]
    return getitem(whole, key=((None, None, None), (None, None, None), *inner))


fold.lower("torch", f"F.fold({{x}}, {{size}}, {_TORCH}", when=_images, derive=_columns)


# -- channels and positions ------------------------------------------------------------------------------------------


def _image(x: Spec, channel_axis: int) -> int:
    if x.ndim != 4:
        raise ShapeError(f"expected images of four axes, received {x}")
    return normalize_axis(channel_axis, 4)


def _shuffle_spec(x: Spec, *, upscale_factor: int, channel_axis: int = 1) -> Spec:
    axis, r = _image(x, channel_axis), upscale_factor
    if x.shape[axis] % (r * r) != 0:
        raise ShapeError(f"expected channels that {r}² divides, received {x}")
    return x.with_shape(*(n if i == 0 else n // (r * r) if i == axis else n * r for i, n in enumerate(x.shape)))


@op(rule=_shuffle_spec, strict=True)
def pixel_shuffle(x: Array, /, *, upscale_factor: int, channel_axis: int = 1) -> Array:
    """r² channels of a pixel as r × r pixels: (batch, channels · r², h, w) to (batch, channels, h · r, w · r).

    Source: Shi et al. 2016, arXiv:1609.05158; torch.nn.functional.pixel_shuffle.
    """
    shape, r = spec_of(x).shape, upscale_factor
    if _image(spec_of(x), channel_axis) == 1:
        batch, channels, height, width = shape
        x = reshape(x, shape=(batch, channels // (r * r), r, r, height, width))
        x = transpose(x, axes=(0, 1, 4, 2, 5, 3))
        return reshape(x, shape=(batch, channels // (r * r), height * r, width * r))
    batch, height, width, channels = shape
    x = transpose(reshape(x, shape=(batch, height, width, channels // (r * r), r, r)), axes=(0, 1, 4, 2, 5, 3))
    return reshape(x, shape=(batch, height * r, width * r, channels // (r * r)))


def _unshuffle_spec(x: Spec, *, downscale_factor: int, channel_axis: int = 1) -> Spec:
    axis, r = _image(x, channel_axis), downscale_factor
    if any(n % r != 0 for i, n in enumerate(x.shape) if i not in (0, axis)):
        raise ShapeError(f"expected height and width that {r} divides, received {x}")
    return x.with_shape(*(n if i == 0 else n * r * r if i == axis else n // r for i, n in enumerate(x.shape)))


@op(rule=_unshuffle_spec, strict=True)
def pixel_unshuffle(x: Array, /, *, downscale_factor: int, channel_axis: int = 1) -> Array:
    """The inverse of `pixel_shuffle`. Source: torch.nn.functional.pixel_unshuffle."""
    shape, r = spec_of(x).shape, downscale_factor
    if _image(spec_of(x), channel_axis) == 1:
        batch, channels, height, width = shape
        x = reshape(x, shape=(batch, channels, height // r, r, width // r, r))
        x = transpose(x, axes=(0, 1, 3, 5, 2, 4))
        return reshape(x, shape=(batch, channels * r * r, height // r, width // r))
    batch, height, width, channels = shape
    x = transpose(reshape(x, shape=(batch, height // r, r, width // r, r, channels)), axes=(0, 1, 3, 5, 2, 4))
    return reshape(x, shape=(batch, height // r, width // r, channels * r * r))


def _channels_spec(x: Spec, *, groups: int, channel_axis: int = 1) -> Spec:
    if x.shape[normalize_axis(channel_axis, x.ndim)] % groups != 0:
        raise ShapeError(f"expected channels that {groups} groups divide, received {x}")
    return x


@op(rule=_channels_spec, strict=True)
def channel_shuffle(x: Array, /, *, groups: int, channel_axis: int = 1) -> Array:
    """Channel i of group j as channel j of group i.

    Source: Zhang et al. 2017, arXiv:1707.01083; torch.nn.ChannelShuffle.
    """
    shape = spec_of(x).shape
    axis = normalize_axis(channel_axis, len(shape))
    x = reshape(x, shape=(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :]))
    order = [*range(axis), axis + 1, axis, *range(axis + 2, len(shape) + 1)]
    return reshape(transpose(x, axes=tuple(order)), shape=shape)


pixel_shuffle.lower("torch", "F.pixel_shuffle({x}, {upscale_factor})", when=channels_first)
pixel_unshuffle.lower("torch", "F.pixel_unshuffle({x}, {downscale_factor})", when=channels_first)
channel_shuffle.lower("torch", "torch.channel_shuffle({x}, {groups})", when=channels_first)
