"""What convolution, pooling and resizing share: spatial axes, windows, and where the channels are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ...errors import ShapeError
from ..dims import Dim, Size, floordiv
from ..op import Array, Op
from ..spec import Spec, normalize_axis, spec_of
from .shape import Pairs, transpose

Ints = tuple[int, ...]
Padding = Pairs | str | None


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


def pairs(padding: Padding, sizes: Sequence[Size], kernel: Sequence[Size], strides: Ints, dilation: Ints) -> Pairs:
    """A padding as (before, after) for each spatial axis.

    ``"VALID"`` and None are none; ``"SAME"`` is as much as makes ceil(size / stride) windows, the odd one after.
    Raises `ShapeError` on other words, and on sizes that are not known where they matter.
    """
    if padding is None or padding == "VALID":
        return ((0, 0),) * len(sizes)
    if not isinstance(padding, str):
        return padding
    if padding != "SAME":
        raise ShapeError(f"expected a padding of pairs, SAME or VALID, received {padding!r}")
    found: list[tuple[Size, Size]] = []
    for size, width, stride, step in zip(sizes, kernel, strides, dilation, strict=True):
        total = step * (width - 1)
        if stride != 1:
            if isinstance(size, Dim) or isinstance(total, Dim):
                raise ShapeError(f"expected an axis of known size for SAME with strides, received {size}")
            total = max((-(-size // stride) - 1) * stride + total + 1 - size, 0)
        found.append((total // 2, total - total // 2))
    return tuple(found)


def with_ceil(sizes: Sequence[Size], kernel: Ints, strides: Ints, padding: Pairs, dilation: Ints) -> Pairs:
    """The padding with what the last window lacks, where it starts within the array or the padding before it.

    Source: torch.nn.MaxPool2d, ``ceil_mode``.
    """
    found: list[tuple[Size, Size]] = []
    for i, (size, (before, after)) in enumerate(zip(sizes, padding, strict=True)):
        length = size + before + after
        reach = dilation[i] * (kernel[i] - 1) + 1
        if isinstance(length, Dim) or isinstance(before, Dim) or isinstance(size, Dim):
            raise ShapeError(f"expected an axis of known size for pooling with ceil_mode, received {size}")
        count = -(-(length - reach) // strides[i]) + 1
        count -= (count - 1) * strides[i] >= size + before
        found.append((before, after + max((count - 1) * strides[i] + reach - length, 0)))
    return tuple(found)


def settled(n: SimpleNamespace) -> SimpleNamespace:
    """A call with its strides, padding and dilation written out, one for each spatial axis."""
    axes = spatial_axes(n.x.ndim, n.channel_axis)
    kernel = n.kernel if hasattr(n, "kernel") else tuple(n.weight.shape[2:])
    strides = tuple(n.strides or getattr(n, "kernel", None) or (1,) * len(axes))
    dilation = ones_or(getattr(n, "dilation", None), len(axes))
    sizes = [n.x.shape[axis] for axis in axes]
    padding = sides = pairs(n.padding, sizes, kernel, strides, dilation)
    if getattr(n, "ceil_mode", False):
        padding = with_ceil(sizes, kernel, strides, padding, dilation)
    return SimpleNamespace(**{**vars(n), "strides": strides, "dilation": dilation, "padding": padding, "sides": sides})


def lower_settled(
    op: Op,
    framework: str,
    expression: str,
    when: Callable[[SimpleNamespace], Any],
    derive: Callable[[SimpleNamespace], Mapping[str, Any]] = lambda n: {},
) -> None:
    """A row whose condition and derived values see the call `settled`."""

    def values(n: SimpleNamespace) -> Mapping[str, Any]:
        n = settled(n)
        return {"strides": n.strides, "dilation": n.dilation, "padding": n.padding, **derive(n)}

    op.lower(framework, expression, when=lambda n: when(settled(n)), derive=values)


def all_pads(padding: Pairs, axes: range, ndim: int) -> Pairs:
    """The padding of spatial axes as that of all axes."""
    return ((0, 0),) * axes.start + tuple(padding) + ((0, 0),) * (ndim - axes.stop)


def check_lengths(x: Spec, count: int, **fields: Sequence[Any]) -> None:
    """Raise `ShapeError` where a field has not one value for each spatial axis."""
    for name, values in fields.items():
        if len(values) != count:
            raise ShapeError(f"expected {name} for each of {count} spatial axes of {x}, received {tuple(values)}")


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
    sides = {side for pair in n.padding for side in pair}
    return {
        "strides": one_or_all(n.strides),
        "padding": sides.pop() if len(sides) == 1 else n.padding,
        "dilation": one_or_all(n.dilation),
    }


def resized_spec(x: Spec, *, size: Sequence[Size], channel_axis: int = 1) -> Spec:
    """The spec of x with other sizes on its spatial axes."""
    axes = spatial_axes(x.ndim, channel_axis)
    check_lengths(x, len(axes), size=size)
    shape = list(x.shape)
    for axis, wanted in zip(axes, size, strict=True):
        shape[axis] = wanted
    return x.with_shape(*shape)
