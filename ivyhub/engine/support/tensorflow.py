"""What TensorFlow lacks. See `ivyhub.engine.support`."""

# pyright: basic, reportOptionalOperand=false
# (A static size is None where it is unknown; the sizes that are computed with here are features, which are known.)

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf


def attention(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    mask: tf.Tensor | None = None,
    *,
    scale: float | None = None,
    causal: bool = False,
    dropout: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tf.Tensor:
    """Scaled dot-product attention over tensors of (batch, length, heads, features).

    ``mask`` broadcasts to (batch, heads, queries, keys). It is True where a query attends to a key, or is added to the
    scores. A query that attends to no key gets zeros. ``dropout`` is applied to the attention weights.
    """
    factor: float = query.shape[-1] ** -0.5 if scale is None else scale
    scores = tf.einsum("bqnh,bknh->bnqk", query * factor, key)
    if causal:
        mask = tf.range(tf.shape(query)[1])[:, None] >= tf.range(tf.shape(key)[1])
    if mask is None:
        weights = tf.nn.softmax(scores)
    else:
        attends, bias = (mask, tf.zeros((), scores.dtype)) if mask.dtype == tf.bool else (mask != -float("inf"), mask)
        bias = tf.where(attends, bias, scores.dtype.min / 2)
        weights = tf.where(tf.reduce_any(attends, -1, keepdims=True), tf.nn.softmax(scores + bias), 0)
    if dropout is not None:
        weights = dropout(weights)
    return tf.einsum("bnqk,bknh->bqnh", weights, value)


def index(x: tf.Tensor, indices: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """x[indices] as in NumPy's advanced indexing, with None for an axis that is taken whole."""
    first, *others = indices
    if first is not None and not others:
        return tf.gather(x, _wrapped(first, tf.shape(x)[0]))
    front, positions, place = _in_front(x, indices)
    picked = tf.gather_nd(tf.transpose(x, front), positions)
    new = positions.shape.rank - 1  # the axes of the positions: put them where the indexed axes were
    order = [*range(new, new + place), *range(new), *range(new + place, picked.shape.rank)]
    return tf.transpose(picked, order)


def at_set(x: tf.Tensor, indices: Sequence[tf.Tensor | None], values: tf.Tensor) -> tf.Tensor:
    """x with ``x[indices]`` replaced by values."""
    return _scattered(tf.tensor_scatter_nd_update, x, indices, values)


def at_add(x: tf.Tensor, indices: Sequence[tf.Tensor | None], values: tf.Tensor) -> tf.Tensor:
    """x with values added to ``x[indices]``; where a position comes twice, both are added."""
    return _scattered(tf.tensor_scatter_nd_add, x, indices, values)


def _scattered(
    scatter: Callable[..., tf.Tensor], x: tf.Tensor, indices: Sequence[tf.Tensor | None], values: tf.Tensor
) -> tf.Tensor:
    front, positions, place = _in_front(x, indices)
    new = positions.shape.rank - 1
    moved = tf.transpose(x, front)
    kept = tf.shape(moved)[positions.shape[-1] :]
    shape = tf.concat([kept[:place], tf.shape(positions)[:-1], kept[place:]], 0)
    values = tf.broadcast_to(tf.cast(values, x.dtype), shape)
    order = [*range(place, place + new), *range(place), *range(place + new, values.shape.rank)]
    result = scatter(moved, positions, tf.transpose(values, order))
    return tf.transpose(result, [front.index(axis) for axis in range(len(front))])


def _in_front(x: tf.Tensor, indices: Sequence[tf.Tensor | None]) -> tuple[list[int], tf.Tensor, int]:
    """The order of axes that puts the indexed ones first, the positions side by side, and where they will stand."""
    axes = [axis for axis, each in enumerate(indices) if each is not None]
    wrapped = [_wrapped(each, tf.shape(x)[axis]) for axis, each in enumerate(indices) if each is not None]
    shape = tf.shape(wrapped[0])
    for each in wrapped[1:]:
        shape = tf.broadcast_dynamic_shape(shape, tf.shape(each))
    positions = tf.stack([tf.broadcast_to(each, shape) for each in wrapped], axis=-1)
    together = axes == list(range(axes[0], axes[-1] + 1))
    return [*axes, *(axis for axis in range(x.shape.rank) if axis not in axes)], positions, axes[0] if together else 0


def _wrapped(positions: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Positions from the end counted from the start."""
    positions = tf.cast(positions, tf.int32)
    return tf.where(positions < 0, positions + size, positions)


def stop_gradient_where(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """x, with no gradient to the rows where ``mask`` is True: padding that is not learned."""
    return tf.where(tf.expand_dims(mask, -1), tf.stop_gradient(x), x)
