"""What JAX lacks. See `ivyhub.engine.support`."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp


def attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None = None,
    *,
    scale: float | None = None,
    causal: bool = False,
    dropout: Callable[[jax.Array], jax.Array] | None = None,
) -> jax.Array:
    """Scaled dot-product attention over arrays of (batch, length, heads, features).

    ``mask`` broadcasts to (batch, heads, queries, keys). It is True where a query attends to a key, or is added to the
    scores. A query that attends to no key gets zeros. ``dropout`` is applied to the attention weights.
    """
    factor: float = query.shape[-1] ** -0.5 if scale is None else scale
    scores = jnp.einsum("bqnh,bknh->bnqk", query * factor, key)
    if causal:
        mask = jnp.tri(query.shape[1], key.shape[1], dtype=bool)
    if mask is None:
        weights = jax.nn.softmax(scores)
    else:
        attends, bias = (mask, 0) if mask.dtype == bool else (mask != -jnp.inf, mask)
        bias = jnp.where(attends, bias, jnp.finfo(scores.dtype).min / 2).astype(scores.dtype)
        weights = jnp.where(attends.any(-1, keepdims=True), jax.nn.softmax(scores + bias), 0)
    if dropout is not None:
        weights = dropout(weights)
    return jnp.einsum("bnqk,bknh->bqnh", weights, value)


def stop_gradient_where(x: jax.Array, mask: jax.Array) -> jax.Array:
    """x, with no gradient to the rows where ``mask`` is True: padding that is not learned."""
    return jnp.where(mask[..., None], jax.lax.stop_gradient(x), x)
