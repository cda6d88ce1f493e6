"""Recurrent layers: cells, and cells run over a sequence.

Weights are laid out as PyTorch's: ``weight_ih`` (gates · hidden, input), ``weight_hh`` (gates · hidden, hidden), and a
bias for each. The gates of LSTM are input, forget, cell, output; those of GRU are reset, update, new. Everything
starts uniform within ±1 / √hidden.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ...errors import EngineError, ShapeError
from .. import ops
from ..op import Array
from ..spec import spec_of
from .dropout import Dropout
from .module import Module, Parameter
from .parametric import within


class Cell(Module):
    """Base of the cells: from an input and a state to the next state, whose first array is the output.

    Attributes:
        gates: how many blocks of ``hidden_size`` rows the weights have.
        states: how many arrays the state has.
    """

    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1
    weight_ih: Array
    weight_hh: Array
    bias_ih: Array | None
    bias_hh: Array | None

    def __init__(self, input_size: int, hidden_size: int, use_bias: bool = True) -> None:
        self.input_size, self.hidden_size = input_size, hidden_size
        rows, start = self.gates * hidden_size, within(hidden_size)
        self.weight_ih = Parameter((rows, input_size), start)
        self.weight_hh = Parameter((rows, hidden_size), start)
        self.bias_ih = Parameter((rows,), start) if use_bias else None
        self.bias_hh = Parameter((rows,), start) if use_bias else None

    def zero_state(self, like: Array) -> tuple[Array, ...]:
        """The state before the first input, for the batch of ``like``: (batch, ..., features)."""
        spec = spec_of(like)
        zero = ops.created(ops.full, like, shape=(spec.shape[0], self.hidden_size), fill_value=0, dtype=spec.dtype)
        return (zero,) * self.states

    def _gates(self, x: Array) -> tuple[Array, ...]:
        return ops.split(x, sizes=(self.hidden_size,) * self.gates, axis=-1)

    def projected(self, x: Array) -> Array:
        """What the input adds to the gates, of one step or of all at once."""
        return ops.linear(x, self.weight_ih, self.bias_ih)

    def advance(self, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        """The next state from a `projected` input."""
        raise NotImplementedError

    def forward(self, x: Array, state: tuple[Array, ...] | None = None) -> tuple[Array, ...]:
        """One step: x is (batch, input), each array of the state is (batch, hidden), zeros by default."""
        return self.advance(self.projected(x), self.zero_state(x) if state is None else state)


class RNNCell(Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu. Source: Elman 1990; torch.nn.RNNCell."""

    def __init__(self, input_size: int, hidden_size: int, use_bias: bool = True, *, nonlinearity: str = "tanh") -> None:
        super().__init__(input_size, hidden_size, use_bias)
        if nonlinearity not in ("tanh", "relu"):
            raise EngineError(f"expected the nonlinearity tanh or relu, received {nonlinearity!r}")
        self.nonlinearity = nonlinearity

    def advance(self, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        total = x + ops.linear(state[0], self.weight_hh, self.bias_hh)
        return (ops.tanh(total) if self.nonlinearity == "tanh" else ops.relu(total),)


class LSTMCell(Cell):
    """c' = σ(f) · c + σ(i) · tanh(g), h' = σ(o) · tanh(c'), with (i, f, g, o) = W_ih x + b_ih + W_hh h + b_hh.

    The state is (h, c). Source: Hochreiter & Schmidhuber 1997; Gers et al. 2000; torch.nn.LSTMCell.
    """

    gates = 4
    states = 2

    def advance(self, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        h, c = state
        i, f, g, o = self._gates(x + ops.linear(h, self.weight_hh, self.bias_hh))
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        return ops.sigmoid(o) * ops.tanh(c), c


class GRUCell(Cell):
    """h' = (1 - z) · n + z · h, with r, z = σ(...) and n = tanh(W x + b + r · (W h + b)).

    Source: Cho et al. 2014, arXiv:1406.1078; torch.nn.GRUCell (keras.layers.GRU with reset_after).
    """

    gates = 3

    def advance(self, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        (h,) = state
        xr, xz, xn = self._gates(x)
        hr, hz, hn = self._gates(ops.linear(h, self.weight_hh, self.bias_hh))
        r, z = ops.sigmoid(xr + hr), ops.sigmoid(xz + hz)
        n = ops.tanh(xn + r * hn)
        return (n + z * (h - n),)


class Recurrent(Module):
    """Cells over a sequence, in layers, forwards or both ways.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        num_layers: each runs over the outputs of the one before.
        use_bias: whether the cells have biases.
        dropout: of the outputs of every layer but the last.
        bidirectional: a second cell in each layer runs from the end; outputs stand side by side.
        options: of the cells.

    The cells are ``cells.0``, ``cells.1``, ...: layer by layer, forwards before backwards.
    """

    cell: ClassVar[type[Cell]]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        use_bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options: Any,
    ) -> None:
        self.ways = 2 if bidirectional else 1
        self.num_layers = num_layers
        sizes = [input_size] + [hidden_size * self.ways] * (num_layers - 1)
        self.cells = [self.cell(size, hidden_size, use_bias, **options) for size in sizes for _ in range(self.ways)]
        self.dropout = Dropout(dropout)

    def forward(self, x: Array, state: tuple[Array, ...] | None = None) -> tuple[Array, tuple[Array, ...]]:
        """Run over a sequence.

        Args:
            x: (batch, time, input).
            state: each array (layers · ways, batch, hidden), as the call before gave it; zeros by default.

        Returns:
            The outputs, (batch, time, ways · hidden), and the last state.
        """
        last: list[tuple[Array, ...]] = []
        for layer in range(self.num_layers):
            if layer:
                x = self.dropout(x)
            outputs: list[Array] = []
            for way in range(self.ways):
                index = layer * self.ways + way
                cell = self.cells[index]
                start = cell.zero_state(x) if state is None else tuple(ops.getitem(s, key=(index,)) for s in state)
                output, end = _over_time(cell, x, start, backwards=way == 1)
                outputs.append(output)
                last.append(end)
            x = outputs[0] if self.ways == 1 else ops.concat(outputs, axis=-1)
        return x, tuple(ops.stack(list(arrays), axis=0) for arrays in zip(*last, strict=True))


def _over_time(cell: Cell, x: Array, state: tuple[Array, ...], *, backwards: bool) -> tuple[Array, tuple[Array, ...]]:
    """One cell over (batch, time, features): the outputs in the order of time, and the last state."""
    projected = cell.projected(x)  # one large product instead of one a step
    length = spec_of(x).shape[1]
    if not isinstance(length, int):
        raise ShapeError(
            f"expected a sequence of known length, received {spec_of(x)}", hint="give its time axis a number"
        )
    outputs: list[Array] = []
    for time in range(length)[::-1] if backwards else range(length):
        state = cell.advance(ops.getitem(projected, key=((None, None, None), time)), state)
        outputs.append(state[0])
    return ops.stack(outputs[::-1] if backwards else outputs, axis=1), state


class RNN(Recurrent):
    """`RNNCell` over a sequence. Source: torch.nn.RNN with batch_first."""

    cell = RNNCell


class LSTM(Recurrent):
    """`LSTMCell` over a sequence. Source: torch.nn.LSTM with batch_first."""

    cell = LSTMCell


class GRU(Recurrent):
    """`GRUCell` over a sequence. Source: torch.nn.GRU with batch_first."""

    cell = GRUCell


__all__ = ["GRU", "LSTM", "RNN", "Cell", "GRUCell", "LSTMCell", "RNNCell", "Recurrent"]
