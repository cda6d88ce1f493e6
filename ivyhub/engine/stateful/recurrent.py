"""Recurrent layers: cells, and cells run over a sequence.

Arrays have PyTorch's names and layouts: ``weight_ih`` (gates · hidden, input), ``weight_hh`` (gates · hidden, hidden),
a bias for each, and behind them in the layers over sequences ``_l0``, ``_l0_reverse``, ``_l1``, ... The gates of LSTM
are input, forget, cell and output; those of GRU are reset, update and new. Everything starts uniform within
±1 / √hidden.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ...errors import EngineError
from .. import ops
from ..op import Array
from ..spec import spec_of
from .dropout import Dropout
from .module import Module, Parameter
from .parametric import within

_GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def _declare(module: Module, gates: int, input_size: int, hidden_size: int, use_bias: bool, end: str = "") -> None:
    start, rows = within(hidden_size), gates * hidden_size
    shapes = {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size)}
    if use_bias:
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    for name, shape in shapes.items():
        setattr(module, name + end, Parameter(shape, start))


class _Cell(Module):
    """Base of the cells: one step, from an input and a state to the next state, whose first array is the output."""

    op: ClassVar[str]
    states: ClassVar[int] = 1

    def __init__(self, input_size: int, hidden_size: int, use_bias: bool = True) -> None:
        self.input_size, self.hidden_size, self.settings = input_size, hidden_size, dict[str, Any]()
        _declare(self, _GATES[self.op], input_size, hidden_size, use_bias)

    def forward(self, x: Array, state: tuple[Array, ...] | None = None) -> tuple[Array, ...]:
        """x is (batch, input), each array of the state (batch, hidden), zeros by default."""
        if state is None:
            state = _zeros(x, (spec_of(x).shape[0], self.hidden_size), self.states)
        weights = [getattr(self, name) for name in self.own_slots]
        found = getattr(ops, f"{self.op}_cell")(x, *state, *weights, **self.settings)
        return found if isinstance(found, tuple) else (found,)

    def _settings(self) -> str:
        return _shown(self, **self.settings)


class RNNCell(_Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu. Source: Elman 1990; torch.nn.RNNCell."""

    op = "rnn"

    def __init__(self, input_size: int, hidden_size: int, use_bias: bool = True, *, activation: str = "tanh") -> None:
        super().__init__(input_size, hidden_size, use_bias)
        self.settings["activation"] = _activation(activation)


class LSTMCell(_Cell):
    """The state is (h, c); see `ops.lstm_cell`. Source: Hochreiter & Schmidhuber 1997; torch.nn.LSTMCell."""

    op = "lstm"
    states = 2


class GRUCell(_Cell):
    """See `ops.gru_cell`. Source: Cho et al. 2014, arXiv:1406.1078; torch.nn.GRUCell."""

    op = "gru"


class _Sequence(Module):
    """Base of the layers over sequences."""

    op: ClassVar[str]
    states: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        use_bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.ways = ("", "_reverse") if bidirectional else ("",)
        self.settings: dict[str, Any] = {"use_bias": use_bias, "bidirectional": bidirectional}
        for layer in range(num_layers):
            size = hidden_size * len(self.ways) if layer else input_size
            for way in self.ways:
                _declare(self, _GATES[self.op], size, hidden_size, use_bias, f"_l{layer}{way}")
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Array, state: tuple[Array, ...] | None = None, lengths: Array | None = None
    ) -> tuple[Array, tuple[Array, ...]]:
        """Run over a sequence.

        Args:
            x: (batch, time, input).
            state: each array (layers · ways, batch, hidden), as the call before gave it; zeros by default.
            lengths: (batch,), integers: how many steps of each sequence count. Outputs behind them are zero, the last
                state is that of the last step that counts, and the way back starts there.

        Returns:
            The outputs, (batch, time, ways · hidden), and the last state.
        """
        ways = len(self.ways)
        if state is None:
            shape = (self.num_layers * ways, spec_of(x).shape[0], self.hidden_size)
            state = _zeros(x, shape, self.states)
        weights = [getattr(self, name) for name in self.own_slots]
        if not self.dropout.rate or self.num_layers == 1:
            return self._run(x, state, weights, lengths, self.num_layers)
        last: list[tuple[Array, ...]] = []
        count = len(weights) // self.num_layers
        for layer in range(self.num_layers):
            part = ((layer * ways, (layer + 1) * ways, None),)
            own = tuple(ops.getitem(each, key=part) for each in state)
            x = self.dropout(x) if layer else x
            x, end = self._run(x, own, weights[layer * count : (layer + 1) * count], lengths, 1)
            last.append(end)
        return x, tuple(ops.concat(list(arrays), axis=0) for arrays in zip(*last, strict=True))

    def _settings(self) -> str:
        return _shown(self, num_layers=self.num_layers, **self.settings)

    def _run(self, x: Array, state: tuple[Array, ...], weights: list[Array], lengths: Array | None, layers: int) -> Any:
        run = getattr(ops, self.op)
        x, *last = run(x, *state, weights, lengths, num_layers=layers, batch_first=True, **self.settings)
        return x, tuple(last)


class RNN(_Sequence):
    """`RNNCell` over a sequence, in layers, forwards or both ways.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        num_layers: each runs over the outputs of the one before.
        activation: "tanh" or "relu".
        use_bias: whether the cells have biases.
        dropout: of the outputs of every layer but the last.
        bidirectional: a second cell in each layer runs from the end; outputs stand side by side.

    Source: torch.nn.RNN with batch_first.
    """

    op = "rnn"

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, activation: str = "tanh", **settings: Any
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, **settings)
        self.settings["activation"] = _activation(activation)


class LSTM(_Sequence):
    """`LSTMCell` over a sequence; see `RNN` for the arguments. Source: torch.nn.LSTM with batch_first."""

    op = "lstm"
    states = 2


class GRU(_Sequence):
    """`GRUCell` over a sequence; see `RNN` for the arguments. Source: torch.nn.GRU with batch_first."""

    op = "gru"


def _shown(module: Any, **settings: Any) -> str:
    return ", ".join(
        [str(module.input_size), str(module.hidden_size), *(f"{name}={value!r}" for name, value in settings.items())]
    )


def _activation(word: str) -> str:
    if word not in ("tanh", "relu"):
        raise EngineError(f"expected the activation tanh or relu, received {word!r}")
    return word


def _zeros(like: Array, shape: tuple[Any, ...], count: int) -> tuple[Array, ...]:
    return (ops.created(ops.full, like, shape=shape, fill_value=0, dtype=spec_of(like).dtype),) * count


__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]
