"""Recurrent leaf layers: LSTM, GRU and RNN over sequences, in layers and directions.

Their arrays have PyTorch's names and layouts: ``weight_ih`` (gates · hidden, features), ``weight_hh`` (gates · hidden,
hidden) and a bias for each, and behind them ``_l0``, ``_l0_reverse``, ``_l1``, ... A graph calls a layer with the
sequence and, where they are not zeros, with its states at the start; it gives the states of the last layer at every
step, and all states at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

from ...errors import ShapeError
from .. import ops
from ..control_flow import scan
from ..dims import Size
from ..layer import Layer, Weights
from ..op import Array
from ..ops.creation import created
from ..spec import spec_of


@dataclass(frozen=True)
class Recurrence(Layer, is_base=True):
    """Base of the recurrent layers.

    Attributes:
        input_size: features of the sequence.
        hidden_size: features of a state.
        num_layers: each runs over what the one before gives.
        use_bias: whether there are biases.
        recurrent_bias: whether there is one beside each recurrent weight, too, as PyTorch has it; Keras and Flax add
            one bias for both.
        batch_first: whether sequences are (batch, time, features), else (time, batch, features).
        dropout: the share of the elements that is dropped between layers in training.
        bidirectional: whether each layer reads backwards, too; both results stand side by side.
    """

    gates: ClassVar[int]
    states: ClassVar[int] = 1

    input_size: int
    hidden_size: int
    num_layers: int = 1
    use_bias: bool = True
    recurrent_bias: bool = True
    batch_first: bool = False
    dropout: float = 0.0
    bidirectional: bool = False

    @property
    def ways(self) -> tuple[str, ...]:
        """What the names of the arrays of each direction end with."""
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def shown(self) -> int:
        """Features of what a layer gives in one direction."""
        return self.hidden_size

    def parameters(self) -> dict[str, tuple[Size, ...]]:
        return {name: shape for each in self._arrays() for name, shape in each.items()}

    def _arrays(self) -> Iterator[dict[str, tuple[Size, ...]]]:
        """The arrays of each layer and direction, in the order of the operations."""
        rows = self.gates * self.hidden_size
        for layer in range(self.num_layers):
            features = self.shown * len(self.ways) if layer else self.input_size
            for way in self.ways:
                end = f"_l{layer}{way}"
                found: dict[str, tuple[Size, ...]] = {
                    f"weight_ih{end}": (rows, features),
                    f"weight_hh{end}": (rows, self.shown),
                }
                if self.use_bias:
                    found |= {f"bias_ih{end}": (rows,)} | ({f"bias_hh{end}": (rows,)} if self.recurrent_bias else {})
                yield found | self._projection(end)

    def _projection(self, end: str) -> dict[str, tuple[Size, ...]]:
        return {}

    def forward(self, weights: Weights, x: Array, *states: Array) -> tuple[Array, ...]:  # type: ignore[override]
        """Its formula: the result at every step, and the states at the end, (layers · directions, batch, features)."""
        spec, ways = spec_of(x), len(self.ways)
        if spec.ndim != 3 or len(states) not in (0, self.states):
            raise ShapeError(f"expected a sequence of three axes and {self.states} states or none, received {spec}")
        batch = spec.shape[0 if self.batch_first else 1]
        held: Sequence[Array] = states or [
            created(ops.full, x, shape=(self.num_layers * ways, batch, size), fill_value=0, dtype=spec.dtype)
            for size in (self.shown, self.hidden_size)[: self.states]
        ]
        arrays = [self._with_biases(weights, list(each), x) for each in self._arrays()]
        if self._is_one_operation():
            return self._run(x, held, list(chain(*arrays)), self.num_layers)
        ends: list[list[Array]] = []
        for layer in range(self.num_layers):
            x = ops.dropout(x, rate=self.dropout) if layer and self.dropout else x
            span = ((layer * ways, (layer + 1) * ways, None),)
            own = [ops.getitem(state, key=span) for state in held] if self.num_layers > 1 else held
            x, *last = self._run(x, own, list(chain(*arrays[layer * ways : (layer + 1) * ways])), 1)
            ends.append(last)
        if len(ends) == 1:
            return (x, *ends[0])
        return (x, *(ops.concat(list(each), axis=0) for each in zip(*ends, strict=True)))

    def _is_one_operation(self) -> bool:
        return not self.dropout or self.num_layers == 1

    def _with_biases(self, weights: Weights, names: list[str], x: Array) -> list[Array]:
        """The arrays of one direction: the bias that Keras and Flax have not is zeros."""
        found = [weights[name] for name in names]
        if self.use_bias and not self.recurrent_bias:
            zeros = created(
                ops.full, x, shape=(self.gates * self.hidden_size,), fill_value=0, dtype=spec_of(found[2]).dtype
            )
            found.insert(3, zeros)
        return found

    def _run(self, x: Array, states: Sequence[Array], weights: list[Array], layers: int) -> tuple[Array, ...]:
        raise NotImplementedError

    def _options(self, layers: int) -> dict[str, bool | int]:
        return {
            "use_bias": self.use_bias,
            "num_layers": layers,
            "bidirectional": self.bidirectional,
            "batch_first": self.batch_first,
        }


@dataclass(frozen=True)
class RNN(Recurrence):
    """`ops.rnn`. Source: Elman 1990; torch.nn.RNN."""

    gates: ClassVar[int] = 1

    activation: str = "tanh"

    def _run(self, x: Array, states: Sequence[Array], weights: list[Array], layers: int) -> tuple[Array, ...]:
        return ops.rnn(x, *states, weights, activation=self.activation, **self._options(layers))


@dataclass(frozen=True)
class GRU(Recurrence):
    """`ops.gru`. Source: Cho et al. 2014, arXiv:1406.1078; torch.nn.GRU."""

    gates: ClassVar[int] = 3

    def _run(self, x: Array, states: Sequence[Array], weights: list[Array], layers: int) -> tuple[Array, ...]:
        return ops.gru(x, *states, weights, **self._options(layers))


@dataclass(frozen=True)
class LSTM(Recurrence):
    """`ops.lstm`; with ``proj_size`` what it shows is projected: h = W_hr (o · tanh(c)).

    Source: Hochreiter & Schmidhuber 1997; Sak et al. 2014, arXiv:1402.1128; torch.nn.LSTM.
    """

    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    proj_size: int = 0

    @property
    def shown(self) -> int:
        return self.proj_size or self.hidden_size

    def _projection(self, end: str) -> dict[str, tuple[Size, ...]]:
        return {f"weight_hr{end}": (self.proj_size, self.hidden_size)} if self.proj_size else {}

    def _is_one_operation(self) -> bool:
        return super()._is_one_operation() and not self.proj_size

    def _run(self, x: Array, states: Sequence[Array], weights: list[Array], layers: int) -> tuple[Array, ...]:
        if not self.proj_size:
            return ops.lstm(x, *states, weights, **self._options(layers))
        x = ops.transpose(x, axes=(1, 0, 2)) if self.batch_first else x
        count = len(weights) // len(self.ways)
        found = [
            self._projected(x, [ops.getitem(state, key=(way,)) for state in states], part, backwards=bool(way))
            for way, part in enumerate(weights[i : i + count] for i in range(0, len(weights), count))
        ]
        y = ops.concat([y for y, _, _ in found], axis=-1) if len(found) > 1 else found[0][0]
        y = ops.transpose(y, axes=(1, 0, 2)) if self.batch_first else y
        return (y, *(ops.stack([each[place] for each in found], axis=0) for place in (1, 2)))

    def _projected(
        self, x: Array, states: Sequence[Array], weights: list[Array], *, backwards: bool
    ) -> tuple[Array, Array, Array]:
        """One direction of one layer over (time, batch, features)."""
        weight_ih, weight_hh, *biases, weight_hr = weights
        bias_ih, bias_hh = biases or (None, None)

        def step(carry: tuple[Array, Array], row: Array) -> tuple[tuple[Array, Array], Array]:
            h, c = carry
            gates = ops.linear(row, weight_ih, bias_ih) + ops.linear(h, weight_hh, bias_hh)
            i, f, g, o = ops.split(gates, sizes=(self.hidden_size,) * 4, axis=-1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.linear(ops.sigmoid(o) * ops.tanh(c), weight_hr)
            return (h, c), h

        (h, c), y = scan(step, (states[0], states[1]), x, reverse=backwards)
        return y, h, c


__all__ = ["GRU", "LSTM", "RNN", "Recurrence"]
