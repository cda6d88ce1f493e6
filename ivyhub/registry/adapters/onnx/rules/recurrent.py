"""Recurrent layers, on the engine's, which have PyTorch's order of gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .....engine import ops
from .....errors import CaptureError
from .common import RULES, Array, arange, cast, dtype_of, filled, known, on_axis, shape_of

_USUAL = {"RNN": ("tanh",), "GRU": ("sigmoid", "tanh"), "LSTM": ("sigmoid", "tanh", "tanh")}
#: The gates of the engine in the order of the standard: z r h of GRU are r z n there, i o f c of LSTM are i f g o.
_GATES = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 2, 3, 1)}


class _Layer:
    """What the three operators share: weights by direction, and the layout of arrays."""

    def __init__(
        self,
        kind: str,
        x: Array,
        w: Array,
        r: Array,
        b: Array | None,
        lengths: Array | None,
        *,
        activations: Sequence[str] | None,
        clip: float | None,
        direction: str,
        layout: int,
    ) -> None:
        if direction not in ("forward", "reverse", "bidirectional"):
            raise CaptureError(f"expected a direction of the standard, received {direction!r}")
        if clip is not None:
            raise CaptureError(f"no rule reads {kind} with clip")
        self.kind, self.b = kind, b
        self.reverse = direction == "reverse"
        self.both = direction == "bidirectional"
        self.layout = layout
        self.x = ops.transpose(x, axes=(1, 0, 2)) if layout else x
        self.activations = tuple(word.lower() for word in activations or _USUAL[kind])
        self.hidden = shape_of(r)[-1]
        self.directions = 2 if self.both else 1
        self.w, self.r = w, r
        self.lengths = self._lengths(lengths)
        if self.reverse and self.lengths is not None:
            raise CaptureError(f"no rule reads {kind} in reverse with sequence_lens")
        if self.reverse:
            self.x = ops.flip(self.x, axis=0)

    def _lengths(self, lengths: Array | None) -> Array | None:
        numbers = None if lengths is None else known(lengths)
        if numbers is not None and (numbers == shape_of(self.x)[0]).all():
            return None
        return None if lengths is None else cast(lengths, "int64")

    def check_activations(self, *choices: tuple[str, ...]) -> None:
        """Raise `CaptureError` where the activations are none of these, the same both ways."""
        usual = tuple(choice * self.directions for choice in choices)
        if self.activations not in (*usual, *choices):
            raise CaptureError(f"no rule reads {self.kind} with the activations {self.activations}")

    def weights(self) -> list[Array]:
        """Weights and biases of each direction in the order of the engine."""
        found: list[Array] = []
        for way in range(self.directions):
            found += [self._gates(self.w, way), self._gates(self.r, way)]
            if self.b is not None:
                size = len(_GATES[self.kind]) * self.hidden
                vector = ops.getitem(self.b, key=(way,))
                found += [self._ordered(on_axis(vector, 0, (at, at + size, None))) for at in (0, size)]
        return found

    def _gates(self, matrix: Array, way: int) -> Array:
        return self._ordered(ops.getitem(matrix, key=(way,)))

    def _ordered(self, x: Array) -> Array:
        order = _GATES[self.kind]
        if order == tuple(range(len(order))):
            return x
        parts = [on_axis(x, 0, (gate * self.hidden, (gate + 1) * self.hidden, None)) for gate in order]
        return ops.concat(parts, axis=0)

    def state(self, start: Array | None) -> Array:
        """A state at the start: (directions, batch, hidden)."""
        if start is None:
            return filled((self.directions, shape_of(self.x)[1], self.hidden), 0, dtype_of(self.x))
        return ops.transpose(start, axes=(1, 0, 2)) if self.layout else start

    def results(self, y: Array, *states: Array) -> tuple[Array, ...]:
        """Results as the operator has them: (time, directions, batch, hidden), or batch first."""
        if self.reverse:
            y = ops.flip(y, axis=0)
        time, batch = shape_of(y)[:2]
        y = ops.reshape(y, shape=(time, batch, self.directions, self.hidden))
        y = ops.transpose(y, axes=(1, 0, 2, 3) if self.layout else (0, 2, 1, 3))
        return (y, *(ops.transpose(state, axes=(1, 0, 2)) if self.layout else state for state in states))

    @property
    def options(self) -> dict[str, Any]:
        """What the engine's operations are told."""
        return {"use_bias": self.b is not None, "bidirectional": self.both}


@RULES("RNN")
def rnn(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    *,
    activations: tuple[str, ...] = ("Tanh", "Tanh"),
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
) -> Any:
    layer = _Layer(
        *("RNN", x, w, r, b, sequence_lens),
        activations=activations,
        clip=clip,
        direction=direction,
        layout=layout,
    )
    layer.check_activations(("tanh",), ("relu",), ("tanh", "tanh"), ("relu", "relu"))
    y, h = ops.rnn(
        layer.x,
        layer.state(initial_h),
        layer.weights(),
        layer.lengths,
        activation=layer.activations[0],
        **layer.options,
    )
    return layer.results(y, h)


@RULES("GRU")
def gru(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    *,
    activations: tuple[str, ...] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    linear_before_reset: int = 0,
) -> Any:
    layer = _Layer(
        *("GRU", x, w, r, b, sequence_lens),
        activations=activations,
        clip=clip,
        direction=direction,
        layout=layout,
    )
    layer.check_activations(_USUAL["GRU"])
    if linear_before_reset:
        y, h = ops.gru(layer.x, layer.state(initial_h), layer.weights(), layer.lengths, **layer.options)
        return layer.results(y, h)
    if layer.lengths is not None:
        raise CaptureError("no rule reads GRU with sequence_lens and linear_before_reset=0")
    weights = layer.weights()
    step = 4 if layer.b is not None else 2
    ways: list[tuple[Array, Array]] = []
    for way in range(layer.directions):
        start = ops.getitem(layer.state(initial_h), key=(way,))
        series = ops.flip(layer.x, axis=0) if way else layer.x
        rows, last = _reset_first(series, start, weights[way * step : (way + 1) * step], layer.hidden)
        ways.append((ops.flip(rows, axis=0) if way else rows, last))
    y = ops.concat([rows for rows, _ in ways], axis=2) if len(ways) > 1 else ways[0][0]
    return layer.results(y, ops.stack([last for _, last in ways], axis=0))


def _reset_first(x: Array, h: Array, weights: Sequence[Array], hidden: Any) -> tuple[Array, Array]:
    """A GRU whose reset gate works on the state before its matrix. Source: Cho et al. 2014, arXiv:1406.1078."""
    from .....engine import control_flow

    w, r, *biases = weights
    gates = ops.linear(x, w, ops.add(*biases) if biases else None)
    turned = ops.transpose(r, axes=(1, 0))
    both, last = on_axis(turned, 1, (None, 2 * hidden, None)), on_axis(turned, 1, (2 * hidden, None, None))

    def step(state: Array, row: Array) -> Any:
        open_ = ops.sigmoid(ops.add(on_axis(row, 1, (None, 2 * hidden, None)), ops.matmul(state, both)))
        reset, update = on_axis(open_, 1, (None, hidden, None)), on_axis(open_, 1, (hidden, None, None))
        new = ops.tanh(ops.add(on_axis(row, 1, (2 * hidden, None, None)), ops.matmul(ops.multiply(reset, state), last)))
        state = ops.add(ops.multiply(ops.subtract(1.0, update), new), ops.multiply(update, state))
        return state, state

    final, rows = control_flow.scan(step, h, gates)
    return rows, final


@RULES("LSTM")
def lstm(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    initial_c: Array | None = None,
    p: Array | None = None,
    *,
    activations: tuple[str, ...] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
    layout: int = 0,
) -> Any:
    layer = _Layer(
        *("LSTM", x, w, r, b, sequence_lens),
        activations=activations,
        clip=clip,
        direction=direction,
        layout=layout,
    )
    layer.check_activations(_USUAL["LSTM"])
    if input_forget:
        raise CaptureError("no rule reads LSTM with input_forget=1")
    h, c = layer.state(initial_h), layer.state(initial_c)
    if p is None:
        y, h, c = ops.lstm(layer.x, h, c, layer.weights(), layer.lengths, **layer.options)
        return layer.results(y, h, c)
    if layer.both:
        raise CaptureError("no rule reads LSTM with peepholes in both directions")
    y, h, c = _peeping(layer, ops.getitem(h, key=(0,)), ops.getitem(c, key=(0,)), ops.getitem(p, key=(0,)))
    return layer.results(y, *(ops.reshape(state, shape=(1, *shape_of(state))) for state in (h, c)))


def _peeping(layer: _Layer, h: Array, c: Array, p: Array) -> tuple[Array, Array, Array]:
    """An LSTM whose gates look at its cell. Source: Gers and Schmidhuber 2000, "Recurrent nets that time and count"."""
    from .....engine import control_flow

    hidden = layer.hidden
    w, r, *biases = layer.weights()
    gates = ops.linear(layer.x, w, ops.add(*biases) if biases else None)
    turned = ops.transpose(r, axes=(1, 0))
    peep_i, peep_o, peep_f = (on_axis(p, 0, (at * hidden, (at + 1) * hidden, None)) for at in range(3))

    def step(carry: Any, slices: Any) -> Any:
        h, c = carry
        row, *time = slices
        whole = ops.add(row, ops.matmul(h, turned))
        i, f, g, o = (on_axis(whole, 1, (at * hidden, (at + 1) * hidden, None)) for at in range(4))
        i = ops.sigmoid(ops.add(i, ops.multiply(peep_i, c)))
        f = ops.sigmoid(ops.add(f, ops.multiply(peep_f, c)))
        new = ops.add(ops.multiply(f, c), ops.multiply(i, ops.tanh(g)))
        out = ops.multiply(ops.sigmoid(ops.add(o, ops.multiply(peep_o, new))), ops.tanh(new))
        if layer.lengths is None:
            return (out, new), out
        goes_on = ops.reshape(ops.less(time[0], layer.lengths), shape=(shape_of(layer.lengths)[0], 1))
        state = (ops.where(goes_on, out, h), ops.where(goes_on, new, c))
        return state, ops.where(goes_on, out, 0.0)

    times = () if layer.lengths is None else (arange(shape_of(layer.x)[0]),)
    (h, c), rows = control_flow.scan(step, (h, c), (gates, *times))
    return rows, h, c
