"""Pooling over windows of unequal places, and where each largest element stands: adaptive and fractional pooling.

Conventions are those of `pooling`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ...errors import ShapeError
from ..backends import is_floating
from ..dims import Dim, product
from ..op import Array, op
from ..spec import Spec, spec_of
from ._spatial import Ints, channels_first, channels_last, check_lengths, moved_axis, one_or_all, resized_spec
from .creation import arange, created, full
from .elementwise import astype, minimum
from .indexing import getitem, take, take_along_axis
from .reduction import argmax
from .shape import broadcast_to, concat, reshape

_FULL = (None, None, None)


def _with_places(x: Spec, *_: Any, size: Ints, channel_axis: int = 1, **__: Any) -> tuple[Spec, Spec]:
    result = resized_spec(x, size=size, channel_axis=channel_axis)
    return result, result.with_dtype("int64")


@op(rule=_with_places, strict=True)
def adaptive_max_pool_with_indices(x: Array, /, *, size: Ints, channel_axis: int = 1) -> tuple[Array, Array]:
    """`adaptive_max_pool`, and where each element comes from: its place among the positions of its channel, as int64.

    The spatial axes are of known size. Of equal elements it is the first.

    Source: torch.nn.functional.adaptive_max_pool1d, adaptive_max_pool2d and adaptive_max_pool3d with
    ``return_indices``.
    """
    if channels_last(SimpleNamespace(x=spec_of(x), channel_axis=channel_axis)):
        found = adaptive_max_pool_with_indices(moved_axis(x, -1, 1), size=size)
        return moved_axis(found[0], 1, -1), moved_axis(found[1], 1, -1)
    lines: list[Array] = []
    for length, parts in zip(_known(x), size, strict=True):
        number = reshape(created(arange, x, stop=parts, dtype="int64"), shape=(parts, 1))
        start, stop = number * length // parts, ((number + 1) * length + (parts - 1)) // parts
        width = max(-(-(i + 1) * length // parts) - i * length // parts for i in range(parts))
        # Windows that are narrower have their last element several times.
        line = minimum(start + created(arange, x, stop=width, dtype="int64"), stop - 1)
        lines.append(reshape(line, shape=(1, 1, parts, width)))
    return _largest(x, lines)


for _count in (1, 2, 3):
    adaptive_max_pool_with_indices.lower(
        "torch",
        f"F.adaptive_max_pool{_count}d({{x}}, {{size}}, return_indices=True)",
        when=lambda n, rank=_count: n.x.ndim == rank + 2 and channels_first(n),
        derive=lambda n: {"size": one_or_all(n.size)},
    )


def _fractional(rule: Callable[..., Any]) -> Callable[..., Any]:
    def checked(x: Spec, samples: Spec, *, kernel: Ints, size: Ints, channel_axis: int = 1) -> Any:
        check_lengths(x, x.ndim - 2, kernel=kernel)
        lead = (x.shape[0], x.shape[channel_axis])
        if samples.shape != (*lead, len(kernel)) or not is_floating(samples.dtype):
            raise ShapeError(f"expected numbers of {(*lead, len(kernel))} from 0 to 1 for {x}, received {samples}")
        return rule(x, size=size, channel_axis=channel_axis)

    return checked


@op(rule=_fractional(_with_places), strict=True)
def fractional_max_pool_with_indices(
    x: Array, samples: Array, /, *, kernel: Ints, size: Ints, channel_axis: int = 1
) -> tuple[Array, Array]:
    """`fractional_max_pool`, and where each element comes from, as in `max_pool_with_indices`."""
    if channels_last(SimpleNamespace(x=spec_of(x), channel_axis=channel_axis)):
        found = fractional_max_pool_with_indices(moved_axis(x, -1, 1), samples, kernel=kernel, size=size)
        return moved_axis(found[0], 1, -1), moved_axis(found[1], 1, -1)
    lines: list[Array] = []
    for axis, (length, width, parts) in enumerate(zip(_known(x), kernel, size, strict=True)):
        if length < width + parts - 1:
            raise ShapeError(f"expected windows of {width} at {parts} places to fit into {length}")
        offset = getitem(samples, key=(_FULL, _FULL, (axis, axis + 1, None)))
        last = created(full, x, shape=(*spec_of(x).shape[:2], 1), fill_value=length - width, dtype="int64")
        start = last
        if parts > 1:
            step = (length - width) / (parts - 1)
            number = created(arange, x, stop=parts - 1, dtype=spec_of(samples).dtype)
            start = astype((number + offset) * step, dtype="int64") - astype(offset * step, dtype="int64")
            start = concat([start, last], axis=2)
        within = created(arange, x, stop=width, dtype="int64")
        lines.append(getitem(start, key=(_FULL, _FULL, _FULL, None)) + within)
    return _largest(x, lines)


@op(
    rule=_fractional(lambda x, *, size, channel_axis: resized_spec(x, size=size, channel_axis=channel_axis)),
    strict=True,
)
def fractional_max_pool(x: Array, samples: Array, /, *, kernel: Ints, size: Ints, channel_axis: int = 1) -> Array:
    """The largest element of each window, where windows stand a fraction of elements apart, a little at random.

    Of n windows of size k on an axis of length l, window i starts at trunc((i + s) · a) - trunc(s · a) with
    a = (l - k) / (n - 1), and the last one ends where the axis does.

    Args:
        x: (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels), of known spatial sizes.
        samples: (batch, channels, spatial axes), the numbers s, uniform from 0 to 1.
        kernel: the size of the window along each spatial axis.
        size: the new size of each spatial axis.
        channel_axis: where the channels are.

    Source: Graham 2014, arXiv:1412.6071; torch.nn.functional.fractional_max_pool2d and fractional_max_pool3d.
    """
    return fractional_max_pool_with_indices(x, samples, kernel=kernel, size=size, channel_axis=channel_axis)[0]


def _torch_fractional(n: SimpleNamespace) -> Mapping[str, Any]:
    return {"kernel": one_or_all(n.kernel), "size": one_or_all(n.size)}


for _count, _samples in ((2, "{samples}.flip(-1)"), (3, "{samples}")):  # PyTorch's of images are for width and height
    for _op, _more in ((fractional_max_pool, ""), (fractional_max_pool_with_indices, ", return_indices=True")):
        _op.lower(
            "torch",
            f"F.fractional_max_pool{_count}d({{x}}, {{kernel}}, {{size}}{_more}, _random_samples={_samples})",
            when=lambda n, rank=_count: n.x.ndim == rank + 2 and channels_first(n) and n.samples.dtype == n.x.dtype,
            derive=_torch_fractional,
        )


# -- parts -----------------------------------------------------------------------------------------------------------


def _known(x: Array) -> list[int]:
    """The sizes of the spatial axes, which are behind the channels. Raises `ShapeError` where one is not known."""
    spec = spec_of(x)
    sizes = [size for size in spec.shape[2:] if not isinstance(size, Dim)]
    if len(sizes) < spec.ndim - 2:
        raise ShapeError(f"expected spatial axes of known size, received {spec}")
    return sizes


def _largest(x: Array, lines: Sequence[Array]) -> tuple[Array, Array]:
    """The largest element of each window, and its place.

    ``lines`` are, for each spatial axis, the positions of (batch or 1, channels or 1, windows, elements).
    """
    spec, rank = spec_of(x), len(lines)
    places: Any = None
    for i, line in enumerate(lines):
        lead, (parts, width) = spec_of(line).shape[:2], spec_of(line).shape[2:]
        grid: list[Any] = [1] * (2 * rank)
        grid[i], grid[rank + i] = parts, width
        term = reshape(line, shape=(*lead, *grid))
        places = term if places is None else places * spec.shape[2 + i] + term
    shape = spec_of(places).shape
    size, elements = shape[2 : 2 + rank], product(shape[2 + rank :])
    places = reshape(places, shape=(*shape[:2], *size, elements))
    flat = reshape(x, shape=(*spec.shape[:2], product(spec.shape[2:])))
    lead = spec.shape[:2]
    if shape[:2] == (1, 1):
        windows = take(flat, reshape(places, shape=(product(size) * elements,)), axis=2)
    else:
        windows = take_along_axis(flat, reshape(places, shape=(*lead, product(size) * elements)), axis=2)
    windows = reshape(windows, shape=(*lead, *size, elements))
    best = argmax(windows, axis=-1, keepdims=True)
    every = broadcast_to(places, shape=(*lead, *size, elements))
    drop = (*(_FULL,) * (2 + rank), 0)
    return (
        getitem(take_along_axis(windows, best, axis=-1), key=drop),
        getitem(take_along_axis(every, best, axis=-1), key=drop),
    )
