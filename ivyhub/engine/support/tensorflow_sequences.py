"""What TensorFlow lacks of sequences: recurrent layers, scans, the loss of an alignment.

See `ivyhub.engine.support`.
"""

# pyright: basic, reportOptionalOperand=false, reportOperatorIssue=false, reportArgumentType=false
# (A static size is None where it is unknown; the sizes that are computed with here are features, which are known. The
# stubs know neither `...` in an index nor tensors among the numbers of a list.)

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import tensorflow as tf


def rnn(
    x: tf.Tensor,
    h: tf.Tensor,
    weights: Sequence[tf.Tensor],
    *,
    lengths: tf.Tensor | None = None,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
    activation: str = "tanh",
) -> tuple[tf.Tensor, ...]:
    """A plain recurrent network over (time, batch, features), and its states at the end.

    ``weights`` are, for each layer and direction, (hidden, features), (hidden, hidden) and, if any, two biases. Of
    each sequence ``lengths`` steps count; behind them the result is zero, and the states stay.
    """
    act = tf.tanh if activation == "tanh" else tf.nn.relu

    def step(gates: tf.Tensor, state: tuple, w: Sequence[tf.Tensor]) -> tuple:
        return (act(gates + _hidden(state[0], w)),)

    return _recurrent(x, (h,), weights, lengths, step, num_layers, bidirectional, batch_first)


def lstm(
    x: tf.Tensor,
    h: tf.Tensor,
    c: tf.Tensor,
    weights: Sequence[tf.Tensor],
    *,
    lengths: tf.Tensor | None = None,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[tf.Tensor, ...]:
    """Long short-term memory over (time, batch, features), and both its states at the end.

    ``weights`` are, for each layer and direction, (4 · hidden, features), (4 · hidden, hidden) and, if any, two biases:
    input, forget, cell and output gate.
    """

    def step(gates: tf.Tensor, state: tuple, w: Sequence[tf.Tensor]) -> tuple:
        i, f, g, o = tf.split(gates + _hidden(state[0], w), 4, axis=-1)
        c = tf.sigmoid(f) * state[1] + tf.sigmoid(i) * tf.tanh(g)
        return tf.sigmoid(o) * tf.tanh(c), c

    return _recurrent(x, (h, c), weights, lengths, step, num_layers, bidirectional, batch_first)


def gru(
    x: tf.Tensor,
    h: tf.Tensor,
    weights: Sequence[tf.Tensor],
    *,
    lengths: tf.Tensor | None = None,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[tf.Tensor, ...]:
    """Gated recurrent units over (time, batch, features), and their states at the end.

    ``weights`` are, for each layer and direction, (3 · hidden, features), (3 · hidden, hidden) and, if any, two biases:
    reset, update and new gate.
    """

    def step(gates: tf.Tensor, state: tuple, w: Sequence[tf.Tensor]) -> tuple:
        xr, xz, xn = tf.split(gates, 3, axis=-1)
        hr, hz, hn = tf.split(_hidden(state[0], w), 3, axis=-1)
        n = tf.tanh(xn + tf.sigmoid(xr + hr) * hn)
        return (n + tf.sigmoid(xz + hz) * (state[0] - n),)

    return _recurrent(x, (h,), weights, lengths, step, num_layers, bidirectional, batch_first)


def _hidden(h: tf.Tensor, w: Sequence[tf.Tensor]) -> tf.Tensor:
    """What the state adds to the gates; with biases there are four weights."""
    y = tf.matmul(h, w[1], transpose_b=True)
    return y + w[3] if len(w) == 4 else y


def _recurrent(
    x: tf.Tensor,
    states: tuple,
    weights: Sequence[tf.Tensor],
    lengths: tf.Tensor | None,
    step: Callable[..., tuple],
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[tf.Tensor, ...]:
    directions = 2 if bidirectional else 1
    count = len(weights) // (num_layers * directions)
    x = tf.transpose(x, [1, 0, 2]) if batch_first else x
    reached = None if lengths is None else tf.transpose(tf.sequence_mask(lengths, tf.shape(x)[0]))[..., None]
    last = []
    for layer in range(num_layers):
        both = []
        for k in range(layer * directions, (layer + 1) * directions):
            w = weights[k * count : (k + 1) * count]
            gates = tf.tensordot(x, w[0], [[-1], [-1]])
            gates = gates + w[2] if count == 4 else gates
            backwards = k % directions == 1

            def one(state: tuple, gates: tf.Tensor, w: Sequence[tf.Tensor] = w) -> tuple:
                return step(gates, state, w)

            def some(state: tuple, inputs: tuple, one: Callable[..., tuple] = one) -> tuple:
                gates, counts = inputs
                new = one(state, gates)
                return tuple(tf.where(counts, after, before) for after, before in zip(new, state, strict=True))

            start = tuple(state[k] for state in states)
            if reached is None:
                steps = tf.scan(one, gates, start, reverse=backwards)
                both.append(steps[0])
            else:
                steps = tf.scan(some, (gates, reached), start, reverse=backwards)
                both.append(tf.where(reached, steps[0], tf.zeros_like(steps[0])))
            last.append(tuple(each[0 if backwards else -1] for each in steps))
        x = tf.concat(both, axis=-1)
    finals = (tf.stack(each) for each in zip(*last, strict=True))
    return (tf.transpose(x, [1, 0, 2]) if batch_first else x, *finals)


def ctc_loss(
    logits: tf.Tensor,
    targets: tf.Tensor,
    input_lengths: tf.Tensor,
    target_lengths: tf.Tensor,
    *,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> tf.Tensor:
    """-log of the probability of labels over all their alignments with frames (Graves et al. 2006).

    ``logits`` are (time, batch, classes), ``targets`` (batch, length); of each, the lengths say how many count.
    """
    time, batch, length = tf.shape(logits)[0], tf.shape(targets)[0], tf.shape(targets)[1]
    labels = tf.where(tf.sequence_mask(target_lengths, length), targets, blank)
    path = tf.reshape(tf.stack([tf.fill(tf.shape(labels), tf.cast(blank, labels.dtype)), labels], axis=-1), [batch, -1])
    path = tf.pad(path, [[0, 0], [0, 1]], constant_values=blank)
    places = 2 * length + 1
    twice = tf.pad(path, [[0, 0], [2, 0]], constant_values=blank)[:, :places]
    skips = (path != blank) & (path != twice)  # from one label to another without a blank
    index = tf.broadcast_to(path, [time, batch, places])
    emitted = tf.gather(tf.nn.log_softmax(logits), index, batch_dims=2)
    never = -1e30  # the logarithm of no probability: finite, so that differences of two are

    def step(alpha: tf.Tensor, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        emitted, counts = inputs
        earlier = tf.pad(alpha, [[0, 0], [2, 0]], constant_values=never)
        ways = tf.stack([alpha, earlier[:, 1:-1], tf.where(skips, earlier[:, :-2], never)])
        return tf.where(counts, tf.reduce_logsumexp(ways, axis=0) + emitted, alpha)

    start = tf.where(tf.range(places) < 1, tf.constant(0, emitted.dtype), tf.constant(never, emitted.dtype))
    counts = tf.transpose(tf.sequence_mask(input_lengths, time))[..., None]
    alpha = tf.scan(step, (emitted, counts), tf.broadcast_to(start, [batch, places]))[-1]
    ends = 2 * tf.cast(target_lengths, tf.int32)[:, None] + tf.constant([0, -1])
    last = tf.gather(alpha, tf.maximum(ends, 0), batch_dims=1)
    loss = -tf.reduce_logsumexp(tf.where(ends < 0, tf.constant(never, last.dtype), last), axis=1)
    loss = tf.where(loss < -never / 2, loss, tf.constant(0 if zero_infinity else math.inf, loss.dtype))
    if reduction == "mean":
        return tf.reduce_mean(loss / tf.cast(tf.maximum(target_lengths, 1), loss.dtype))
    return tf.reduce_sum(loss) if reduction == "sum" else loss


def scan(
    body: Callable[..., tuple[tf.Tensor, ...]],
    carry: tuple[tf.Tensor, ...],
    xs: tuple[tf.Tensor, ...],
    captured: tuple[tf.Tensor, ...] = (),
    *,
    length: int,
    reverse: bool = False,
) -> tuple[tf.Tensor, ...]:
    """The last carry, and the stacked rest of what ``body`` gives of the carry and the slices of ``xs``.

    The first step stands before the loop, for it tells the dtypes of the results.
    """

    def step(i: tf.Tensor | int, carry: tuple[tf.Tensor, ...]) -> tuple[tuple[tf.Tensor, ...], tuple[tf.Tensor, ...]]:
        results = body(*carry, *(x[i] for x in xs), *captured)
        return tuple(results[: len(carry)]), tuple(results[len(carry) :])

    def advance(n: tf.Tensor, carry: tuple[tf.Tensor, ...], rows: tuple[tf.TensorArray, ...]) -> tuple:
        i = length - 1 - n if reverse else n
        carry, y = step(i, carry)
        return n + 1, carry, tuple(row.write(i, each) for row, each in zip(rows, y, strict=True))

    first = length - 1 if reverse else 0
    carry, y = step(first, carry)
    rows = tuple(tf.TensorArray(each.dtype, size=length, element_shape=each.shape).write(first, each) for each in y)
    _, carry, rows = tf.while_loop(lambda n, *_: n < length, advance, (tf.constant(1), carry, rows))
    return (*carry, *(row.stack() for row in rows))
