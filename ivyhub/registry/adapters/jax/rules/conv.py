"""Convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .....engine import ops
from .common import RULES, Array, cast, cut, dtype_name, dtype_of, filled, permuted, refuse, reshaped, shape_of
from .shape import pad


@RULES("conv_general_dilated")
def conv_general_dilated(
    x: Array,
    kernel: Array,
    *,
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """A cross-correlation; ``precision`` says how a device may round.

    Source: the XLA specification of Conv.
    """
    dtype = dtype_of(x) if preferred_element_type is None else dtype_name(preferred_element_type)
    x, kernel = cast(x, dtype), cast(kernel, dtype)
    lhs, rhs, out = (tuple(each) for each in dimension_numbers)
    rank = len(window_strides)
    if rank == 0:
        raise refuse("a convolution without spatial axes")
    last = lhs == (0, rank + 1, *range(1, rank + 1))
    x = x if last else permuted(x, lhs)
    kernel = permuted(kernel, rhs)
    groups = feature_group_count
    if batch_group_count > 1:
        x, groups = _batch_groups(x, batch_group_count, channel_axis=-1 if last else 1), batch_group_count
    first = 1 if last else 2
    for axis, (before, after) in enumerate(padding):
        if before < 0 or after < 0:
            stretched = lhs_dilation[axis] > 1
            if stretched:
                break
            size = shape_of(x)[first + axis]
            x = cut(x, first + axis, (max(-before, 0) or None, size - max(-after, 0) if after < 0 else None, None))
    spatial = _spatial(x, kernel, first, window_strides, padding, lhs_dilation, rhs_dilation)
    if 0 in spatial:  # frameworks refuse a window beyond the array, and TensorFlow returns whatever was there
        batch, channels = shape_of(x)[0], shape_of(kernel)[0]
        shape = (batch, *spatial, channels) if last else (batch, channels, *spatial)
        y = ops.full(shape=shape, fill_value=0, dtype=dtype)
    elif any(step > 1 for step in lhs_dilation):
        y = _transposed(x, kernel, window_strides, padding, lhs_dilation, rhs_dilation, groups, last)
    else:
        y = ops.conv(
            *(x, kernel),
            strides=tuple(window_strides),
            padding=tuple((max(before, 0), max(after, 0)) for before, after in padding),
            dilation=tuple(rhs_dilation),
            groups=groups,
            channel_axis=-1 if last else 1,
        )
    if last:
        mine = (0, rank + 1, *range(1, rank + 1))
        order = [0] * (rank + 2)
        for place, axis in zip(out, mine, strict=True):
            order[place] = axis
        return permuted(y, order)
    order = [0] * (rank + 2)
    for axis, place in enumerate(out):
        order[place] = axis
    return permuted(y, order)


def _spatial(
    x: Array,
    kernel: Array,
    first: int,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    stretched: Sequence[int],
    dilation: Sequence[int],
) -> list[Any]:
    """The sizes of a result along its spatial axes, where they are known."""
    found: list[Any] = []
    for axis, ends in enumerate(padding):
        size, window = shape_of(x)[first + axis], shape_of(kernel)[2 + axis]
        if isinstance(size, int) and isinstance(window, int):
            room = max((size - 1) * stretched[axis] + 1, 0) + sum(max(end, 0) for end in ends)
            found.append(max((room - (window - 1) * dilation[axis] - 1) // strides[axis] + 1, 0))
        else:
            found.append(None)
    return found


def _batch_groups(x: Array, count: int, *, channel_axis: int) -> Array:
    """The parts of a batch side by side as groups of channels."""
    shape = shape_of(x)
    axis = channel_axis % len(shape)
    parts = reshaped(x, (count, shape[0] // count, *shape[1:]))
    order = [*range(1, axis + 1), 0, *range(axis + 1, len(shape) + 1)]
    return reshaped(
        permuted(parts, order), (shape[0] // count, *shape[1:axis], count * shape[axis], *shape[axis + 1 :])
    )


def _transposed(
    x: Array,
    kernel: Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    spread: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    last: bool,
) -> Array:
    """With zeros between the elements of x: a transposed convolution where the windows lie side by side."""
    out, size, *window = shape_of(kernel)
    axis = -1 if last else 1
    reach = [d * (int(k) - 1) for k, d in zip(window, dilation, strict=True)]
    if all(stride == 1 for stride in strides):
        spatial = tuple(range(2, 2 + len(window)))
        if groups == 1:
            weight = ops.flip(permuted(kernel, (1, 0, *spatial)), axis=spatial)
        else:
            weight = ops.flip(
                reshaped(kernel, (groups, out // groups, size, *window)), axis=tuple(each + 1 for each in spatial)
            )
            weight = permuted(weight, (0, 2, 1, *range(3, 3 + len(window))))
            weight = reshaped(weight, (groups * size, out // groups, *window))
        return ops.conv_transpose(
            *(x, weight),
            strides=tuple(spread),
            padding=tuple((r - before, r - after) for r, (before, after) in zip(reach, padding, strict=True)),
            dilation=tuple(dilation),
            groups=groups,
            channel_axis=axis,
        )
    between = [(before, after, step - 1) for (before, after), step in zip(padding, spread, strict=True)]
    config = [(0, 0, 0), *between, (0, 0, 0)] if last else [(0, 0, 0), (0, 0, 0), *between]
    x = pad(x, filled(x, (), 0, dtype_of(x)), padding_config=config)
    return ops.conv(x, kernel, strides=tuple(strides), dilation=tuple(dilation), groups=groups, channel_axis=axis)
