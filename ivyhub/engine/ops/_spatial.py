"""What convolution, pooling and resizing share: spatial axes, windows, and where the channels are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ...errors import ShapeError
from ..dims import Size, floordiv
from ..op import Array
from ..spec import Spec, normalize_axis, spec_of
from .shape import Pairs, transpose

Ints = tuple[int, ...]


def spatial_axes(ndim: int, channel_axis: int) -> range:
    """The axes that are neither batch nor channels. Raises `ShapeError` where the channels may not be."""
    channels = normalize_axis(channel_axis, ndim)
    if channels not in (1, ndim - 1):
        raise ShapeError(f"expected the channels on axis 1 or the last, received {channel_axis}")
    return range(1, ndim - 1) if channels == ndim - 1 else range(2, ndim)


def windows(size: Size, kernel: Size, stride: int, pads: tuple[Size, Size], dilation: int) -> Size:
    """How many windows fit on an axis."""
    before, after = pads
    return floordiv(size + before + after - dilation * (kernel - 1) - 1, stride) + 1


def ones_or(values: Sequence[int] | None, count: int) -> Ints:
    """The values given, or a one for each axis."""
    return (1,) * count if values is None else tuple(values)


def pairs_or_zeros(padding: Pairs | None, count: int) -> Pairs:
    """The padding given, or none for each axis."""
    return ((0, 0),) * count if padding is None else padding


def check_lengths(x: Spec, count: int, **fields: Sequence[Any]) -> None:
    """Raise `ShapeError` where a field has not one value for each spatial axis."""
    for name, values in fields.items():
        if len(values) != count:
            raise ShapeError(f"expected {count} {name} for {x}, received {tuple(values)}")


def channels_last(n: SimpleNamespace) -> bool:
    """Whether the channels stand on the last axis."""
    return n.channel_axis in (-1, n.x.ndim - 1)


def channels_first(n: SimpleNamespace) -> bool:
    """Whether the channels stand on axis 1."""
    return n.channel_axis in (1, 1 - n.x.ndim)


def moved_axis(x: Array, source: int, target: int) -> Array:
    """x with one axis moved to another place."""
    axes = list(range(spec_of(x).ndim))
    axes.insert(target % len(axes), axes.pop(source))
    return transpose(x, axes=tuple(axes))


def one_or_all(values: Any) -> Any:
    """One number for all axes, where they agree."""
    values = tuple(values)
    return values[0] if len(set(values)) == 1 else values


def numpy_windows(n: SimpleNamespace) -> Mapping[str, Any]:
    """Settings of windows as one number where all axes have the same."""
    padding = pairs_or_zeros(n.padding, n.x.ndim - 2)
    sides = {side for pair in padding for side in pair}
    return {
        "strides": one_or_all(n.strides),
        "padding": sides.pop() if len(sides) == 1 else padding,
        "dilation": one_or_all(ones_or(getattr(n, "dilation", None), n.x.ndim - 2)),
    }


def resized_spec(x: Spec, *, size: Sequence[Size], channel_axis: int = 1) -> Spec:
    """The spec of x with other sizes on its spatial axes."""
    axes = spatial_axes(x.ndim, channel_axis)
    check_lengths(x, len(axes), size=size)
    shape = list(x.shape)
    for axis, wanted in zip(axes, size, strict=True):
        shape[axis] = wanted
    return x.with_shape(*shape)
