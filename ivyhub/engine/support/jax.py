"""What JAX lacks. See `ivyhub.engine.support`."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable, Sequence

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


def rnn(
    x: jax.Array,
    h: jax.Array,
    weights: Sequence[jax.Array],
    *,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
    activation: str = "tanh",
) -> tuple[jax.Array, ...]:
    """A plain recurrent network over (time, batch, features), and its states at the end.

    ``weights`` are, for each layer and direction, (hidden, features), (hidden, hidden) and, if any, two biases.
    """
    act = jnp.tanh if activation == "tanh" else jax.nn.relu

    def step(gates: jax.Array, state: tuple, w: Sequence[jax.Array]) -> tuple:
        return (act(gates + _hidden(state[0], w)),)

    return _recurrent(x, (h,), weights, step, num_layers, bidirectional, batch_first)


def lstm(
    x: jax.Array,
    h: jax.Array,
    c: jax.Array,
    weights: Sequence[jax.Array],
    *,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[jax.Array, ...]:
    """Long short-term memory over (time, batch, features), and both its states at the end.

    ``weights`` are, for each layer and direction, (4 · hidden, features), (4 · hidden, hidden) and, if any, two biases:
    input, forget, cell and output gate.
    """

    def step(gates: jax.Array, state: tuple, w: Sequence[jax.Array]) -> tuple:
        i, f, g, o = jnp.split(gates + _hidden(state[0], w), 4, axis=-1)
        c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    return _recurrent(x, (h, c), weights, step, num_layers, bidirectional, batch_first)


def gru(
    x: jax.Array,
    h: jax.Array,
    weights: Sequence[jax.Array],
    *,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[jax.Array, ...]:
    """Gated recurrent units over (time, batch, features), and their states at the end.

    ``weights`` are, for each layer and direction, (3 · hidden, features), (3 · hidden, hidden) and, if any, two biases:
    reset, update and new gate.
    """

    def step(gates: jax.Array, state: tuple, w: Sequence[jax.Array]) -> tuple:
        xr, xz, xn = jnp.split(gates, 3, axis=-1)
        hr, hz, hn = jnp.split(_hidden(state[0], w), 3, axis=-1)
        n = jnp.tanh(xn + jax.nn.sigmoid(xr + hr) * hn)
        return (n + jax.nn.sigmoid(xz + hz) * (state[0] - n),)

    return _recurrent(x, (h,), weights, step, num_layers, bidirectional, batch_first)


def _hidden(h: jax.Array, w: Sequence[jax.Array]) -> jax.Array:
    """What the state adds to the gates; with biases there are four weights."""
    y = h @ w[1].T
    return y + w[3] if len(w) == 4 else y


def _recurrent(
    x: jax.Array,
    states: tuple,
    weights: Sequence[jax.Array],
    step: Callable[..., tuple],
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[jax.Array, ...]:
    directions = 2 if bidirectional else 1
    count = len(weights) // (num_layers * directions)
    x = x.swapaxes(0, 1) if batch_first else x
    last = []
    for layer in range(num_layers):
        both = []
        for k in range(layer * directions, (layer + 1) * directions):
            w = weights[k * count : (k + 1) * count]
            gates = x @ w[0].T
            gates = gates + w[2] if count == 4 else gates
            backwards = k % directions == 1

            def one(state: tuple, gates: jax.Array, w: Sequence[jax.Array] = w) -> tuple:
                state = step(gates, state, w)
                return state, state[0]

            end, shown = jax.lax.scan(one, tuple(state[k] for state in states), gates, reverse=backwards)
            both.append(shown)
            last.append(end)
        x = jnp.concatenate(both, axis=-1)
    finals = (jnp.stack(each) for each in zip(*last, strict=True))
    return (x.swapaxes(0, 1) if batch_first else x, *finals)


def scan(
    body: Callable[..., tuple[jax.Array, ...]],
    carry: tuple[jax.Array, ...],
    xs: tuple[jax.Array, ...],
    captured: tuple[jax.Array, ...] = (),
    *,
    length: int,
    reverse: bool = False,
) -> tuple[jax.Array, ...]:
    """The last carry, and the stacked rest of what ``body`` gives of the carry and the slices of ``xs``."""

    def step(
        carry: tuple[jax.Array, ...], x: tuple[jax.Array, ...]
    ) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        results = body(*carry, *x, *captured)
        return results[: len(carry)], results[len(carry) :]

    carry, rows = jax.lax.scan(step, carry, xs, length=length, reverse=reverse)
    return (*carry, *rows)
