"""Recurrent layers over whole sequences: LSTM, GRU and RNN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .....engine import ops
from .....errors import CaptureError
from .common import RULES, Array


def _layers(
    run: Callable[..., tuple[Array, ...]],
    x: Array,
    states: Sequence[Array],
    weights: Sequence[Array],
    lengths: Array | None = None,
    *,
    use_bias: bool,
    num_layers: int,
    dropout: float,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Array, ...]:
    """The result at every step, and the states at the end; dropout stands between the layers."""
    ways = 2 if bidirectional else 1
    count = (4 if use_bias else 2) * ways
    if len(weights) != count * num_layers:
        raise CaptureError(
            f"expected {count * num_layers} weights of a recurrent layer, received {len(weights)}",
            hint="projections (proj_size) are not read",
        )
    options: dict[str, Any] = {"use_bias": use_bias, "bidirectional": bidirectional, "batch_first": batch_first}
    if not dropout or num_layers == 1:
        return run(x, *states, tuple(weights), lengths, num_layers=num_layers, **options)
    ends: list[tuple[Array, ...]] = []
    for layer, part in enumerate(_parts(weights, count)):
        x = ops.dropout(x, rate=float(dropout)) if layer else x
        span = (layer * ways, (layer + 1) * ways, None)
        x, *last = run(x, *(ops.getitem(state, key=(span,)) for state in states), part, lengths, **options)
        ends.append(tuple(last))
    return (x, *(ops.concat(list(each), axis=0) for each in zip(*ends, strict=True)))


def _parts(weights: Sequence[Array], count: int) -> list[tuple[Array, ...]]:
    return [tuple(weights[start : start + count]) for start in range(0, len(weights), count)]


def _rnn(activation: str) -> Callable[..., Any]:
    return lambda *args, **options: ops.rnn(*args, activation=activation, **options)


_KINDS: dict[str, Callable[..., Any]] = {
    "lstm": ops.lstm,
    "gru": ops.gru,
    "rnn_tanh": _rnn("tanh"),
    "rnn_relu": _rnn("relu"),
}


@RULES("ivyhub.packed_recurrence.default")
def packed(
    kind: str,
    x: Array,
    lengths: Array,
    hx: Sequence[Array],
    params: Sequence[Array],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Array, ...]:
    return _layers(
        *(_KINDS[kind], x, hx, params, lengths),
        use_bias=has_biases,
        num_layers=num_layers,
        dropout=dropout if train else 0.0,
        bidirectional=bidirectional,
        batch_first=batch_first,
    )


for _kind in _KINDS:

    @RULES(f"aten.{_kind}.input")
    def recurrent(x: Array, hx: Array | Sequence[Array], *options: Any, _kind: str = _kind) -> tuple[Array, ...]:
        states = hx if isinstance(hx, Sequence) else [hx]
        return packed(_kind, x, None, states, *options)
