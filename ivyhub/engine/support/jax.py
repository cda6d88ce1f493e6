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
    if mask is not None:
        attends, bias = (mask, 0) if mask.dtype == bool else (mask != -jnp.inf, mask)
        scores += jnp.where(attends, bias, jnp.finfo(scores.dtype).min / 2).astype(scores.dtype)
    weights = jax.nn.softmax(scores)
    if dropout is not None:
        weights = dropout(weights)
    result = jnp.einsum("bnqk,bknh->bnqh", weights, value)
    if mask is not None:
        result = jnp.where(attends.any(-1, keepdims=True), result, 0)
    return result.swapaxes(1, 2)


def stop_gradient_where(x: jax.Array, mask: jax.Array) -> jax.Array:
    """x, with no gradient to the rows where ``mask`` is True: padding that is not learned."""
    return jnp.where(mask[..., None], jax.lax.stop_gradient(x), x)


def rnn(
    x: jax.Array,
    h: jax.Array,
    weights: Sequence[jax.Array],
    *,
    lengths: jax.Array | None = None,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
    activation: str = "tanh",
) -> tuple[jax.Array, ...]:
    """A plain recurrent network over (time, batch, features), and its states at the end.

    ``weights`` are, for each layer and direction, (hidden, features), (hidden, hidden) and, if any, two biases. Of
    each sequence ``lengths`` steps count; behind them the result is zero, and the states stay.
    """
    act = jnp.tanh if activation == "tanh" else jax.nn.relu

    def step(gates: jax.Array, state: tuple, w: Sequence[jax.Array]) -> tuple:
        return (act(gates + _hidden(state[0], w)),)

    return _recurrent(x, (h,), weights, lengths, step, num_layers, bidirectional, batch_first)


def lstm(
    x: jax.Array,
    h: jax.Array,
    c: jax.Array,
    weights: Sequence[jax.Array],
    *,
    lengths: jax.Array | None = None,
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

    return _recurrent(x, (h, c), weights, lengths, step, num_layers, bidirectional, batch_first)


def gru(
    x: jax.Array,
    h: jax.Array,
    weights: Sequence[jax.Array],
    *,
    lengths: jax.Array | None = None,
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

    return _recurrent(x, (h,), weights, lengths, step, num_layers, bidirectional, batch_first)


def _hidden(h: jax.Array, w: Sequence[jax.Array]) -> jax.Array:
    """What the state adds to the gates; with biases there are four weights."""
    y = h @ w[1].T
    return y + w[3] if len(w) == 4 else y


def _recurrent(
    x: jax.Array,
    states: tuple,
    weights: Sequence[jax.Array],
    lengths: jax.Array | None,
    step: Callable[..., tuple],
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[jax.Array, ...]:
    directions = 2 if bidirectional else 1
    count = len(weights) // (num_layers * directions)
    x = x.swapaxes(0, 1) if batch_first else x
    reached = None if lengths is None else (jnp.arange(len(x))[:, None] < lengths)[..., None]
    last = []
    for layer in range(num_layers):
        both = []
        for k in range(layer * directions, (layer + 1) * directions):
            w = weights[k * count : (k + 1) * count]
            gates = x @ w[0].T
            gates = gates + w[2] if count == 4 else gates
            backwards = k % directions == 1

            def one(state: tuple, inputs: tuple, w: Sequence[jax.Array] = w) -> tuple:
                gates, counts = inputs
                new = step(gates, state, w)
                if counts is None:
                    return new, new[0]
                kept = tuple(jnp.where(counts, after, before) for after, before in zip(new, state, strict=True))
                return kept, jnp.where(counts, new[0], 0)

            start = tuple(state[k] for state in states)
            end, shown = jax.lax.scan(one, start, (gates, reached), reverse=backwards)
            both.append(shown)
            last.append(end)
        x = jnp.concatenate(both, axis=-1)
    finals = (jnp.stack(each) for each in zip(*last, strict=True))
    return (x.swapaxes(0, 1) if batch_first else x, *finals)


def ctc_loss(
    logits: jax.Array,
    targets: jax.Array,
    input_lengths: jax.Array,
    target_lengths: jax.Array,
    *,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> jax.Array:
    """-log of the probability of labels over all their alignments with frames (Graves et al. 2006).

    ``logits`` are (time, batch, classes), ``targets`` (batch, length); of each, the lengths say how many count.
    """
    time, length = logits.shape[0], targets.shape[1]
    labels = jnp.where(jnp.arange(length) < target_lengths[:, None], targets, blank)
    path = jnp.full((len(targets), 2 * length + 1), blank, labels.dtype).at[:, 1::2].set(labels)
    twice = jnp.pad(path, ((0, 0), (2, 0)), constant_values=blank)[:, : path.shape[1]]
    skips = (path != blank) & (path != twice)  # from one label to another without a blank
    emitted = jnp.take_along_axis(jax.nn.log_softmax(logits), path[None], axis=2)
    never = -1e30  # the logarithm of no probability: finite, so that differences of two are

    def step(alpha: jax.Array, inputs: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        emitted, counts = inputs
        earlier = jnp.pad(alpha, ((0, 0), (2, 0)), constant_values=never)
        ways = jnp.stack([alpha, earlier[:, 1:-1], jnp.where(skips, earlier[:, :-2], never)])
        return jnp.where(counts, jax.nn.logsumexp(ways, axis=0) + emitted, alpha), None

    alpha = jnp.full(path.shape, never, emitted.dtype).at[:, 0].set(0)
    counts = (jnp.arange(time)[:, None] < input_lengths)[..., None]
    alpha, _ = jax.lax.scan(step, alpha, (emitted, counts))
    ends = 2 * target_lengths[:, None] + jnp.array([0, -1])
    last = jnp.take_along_axis(alpha, jnp.maximum(ends, 0), axis=1)
    loss = -jax.nn.logsumexp(jnp.where(ends < 0, never, last), axis=1)
    loss = jnp.where(loss < -never / 2, loss, 0 if zero_infinity else jnp.inf)
    if reduction == "mean":
        return jnp.mean(loss / jnp.maximum(target_lengths, 1))
    return jnp.sum(loss) if reduction == "sum" else loss


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


def value_and_grad(
    body: Callable[..., tuple[jax.Array, ...]], arrays: tuple[jax.Array, ...], captured: tuple[jax.Array, ...] = ()
) -> tuple[jax.Array, ...]:
    """What ``body`` gives of arrays and captured, and the gradients of the first of it, a scalar, by the arrays."""

    def run(*arrays: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        value, *others = body(*arrays, *captured)
        return value, others

    places = tuple(range(len(arrays)))
    (value, others), gradients = jax.value_and_grad(run, argnums=places, has_aux=True)(*arrays)
    return (value, *others, *conjugated(gradients))


def conjugated(arrays: Sequence[jax.Array]) -> tuple[jax.Array, ...]:
    """JAX's gradients of complex numbers as the direction of steepest ascent, and back; others as they are."""
    return tuple(x.conj() if jnp.iscomplexobj(x) else x for x in arrays)


def vjp(
    body: Callable[..., tuple[jax.Array, ...]],
    arrays: tuple[jax.Array, ...],
    cotangents: tuple[jax.Array, ...],
    captured: tuple[jax.Array, ...] = (),
) -> tuple[jax.Array, ...]:
    """The product of cotangents with the Jacobian of ``body`` by the arrays."""
    _, pull = jax.vjp(lambda *arrays: body(*arrays, *captured), *arrays)
    return conjugated(pull(conjugated(cotangents)))


def jvp(
    body: Callable[..., tuple[jax.Array, ...]],
    arrays: tuple[jax.Array, ...],
    tangents: tuple[jax.Array, ...],
    captured: tuple[jax.Array, ...] = (),
) -> tuple[jax.Array, ...]:
    """The results of ``body``, and the derivatives of those that have one, in the direction of the tangents."""
    results, derivatives = jax.jvp(lambda *arrays: body(*arrays, *captured), arrays, tangents)
    smooth = (jnp.issubdtype(y.dtype, jnp.inexact) for y in results)
    return (*results, *(d for d, known in zip(derivatives, smooth, strict=True) if known))


def vmap(
    body: Callable[..., tuple[jax.Array, ...]], arrays: tuple[jax.Array, ...], captured: tuple[jax.Array, ...] = ()
) -> tuple[jax.Array, ...]:
    """The results of ``body`` of slices along the first axes of arrays, stacked."""
    return jax.vmap(lambda *slices: body(*slices, *captured))(*arrays)


def checkpoint(
    body: Callable[..., tuple[jax.Array, ...]], arrays: tuple[jax.Array, ...], captured: tuple[jax.Array, ...] = ()
) -> tuple[jax.Array, ...]:
    """The results of ``body``, which keeps nothing for its gradient and runs again for it."""
    return jax.checkpoint(body)(*arrays, *captured)


def custom_gradient(
    body: Callable[..., tuple[jax.Array, ...]],
    pullback: Callable[..., tuple[jax.Array, ...]],
    arrays: tuple[jax.Array, ...],
    captured: tuple[jax.Array, ...] = (),
) -> tuple[jax.Array, ...]:
    """The results of ``body``, whose gradient by the arrays is ``pullback`` of arrays, cotangents and captured."""
    fixed = jax.lax.stop_gradient(captured)

    def run(*arrays: jax.Array) -> tuple[tuple[jax.Array, ...], Callable[..., tuple[jax.Array, ...]]]:
        def pull(cotangents: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            return conjugated(pullback(*arrays, *conjugated(cotangents), *fixed))

        return body(*arrays, *fixed), pull

    return jax.custom_gradient(run)(*arrays)
