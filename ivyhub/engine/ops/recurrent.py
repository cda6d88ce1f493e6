"""Recurrent cells and sequences.

The weights of a cell are those of PyTorch: (gates · hidden, features), the gates one below the other in the order that
each cell states. Keras has the same order but for the first two of the GRU, and holds the transposes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from ...errors import DTypeError, ShapeError
from ..backends import is_integer
from ..op import Array, op
from ..spec import Spec, spec_of
from .activation import relu, sigmoid
from .elementwise import where
from .indexing import getitem
from .linalg import linear
from .shape import concat, flip, split, stack, transpose
from .trigonometry import tanh

_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


# -- cells -----------------------------------------------------------------------------------------------------------


def _check(x: Spec, h: Spec, weights: Sequence[Spec | None], gates: int) -> None:
    hidden = h.shape[-1]
    shapes = ((gates * hidden, x.shape[-1]), (gates * hidden, hidden), (gates * hidden,), (gates * hidden,))
    for name, weight, shape in zip(_WEIGHTS, weights, shapes, strict=False):
        if weight is not None and weight.shape != shape:
            raise ShapeError(f"expected {name} of {shape} for {x} and a state of {h}, received {weight}")
    if len({each.dtype for each in (x, h, *weights) if each is not None}) > 1:
        raise DTypeError(f"expected operands of one dtype, received {x}, {h} and {weights}")


def _cell_spec(gates: int, states: int = 1) -> Callable[..., Any]:
    def rule(x: Spec, *operands: Spec | None, **_: Any) -> Any:
        held, weights = operands[:states], operands[states:]
        assert held[0] is not None  # it is required
        if any(each != held[0] for each in held) or held[0].shape[:-1] != x.shape[:-1]:
            raise ShapeError(f"expected states of {x.shape[:-1]} and hidden features, received {held}")
        _check(x, held[0], weights, gates)
        return held[0] if states == 1 else held

    return rule


@op(rule=_cell_spec(1), strict=True)
def rnn_cell(
    x: Array,
    h: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    /,
    *,
    activation: str = "tanh",
) -> Array:
    """activation(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh).

    Args:
        x: (batch, features).
        h: (batch, hidden), the state.
        weight_ih: (hidden, features).
        weight_hh: (hidden, hidden).
        bias_ih: (hidden,) or None.
        bias_hh: (hidden,) or None.
        activation: "tanh" or "relu".

    Source: Elman 1990; torch.nn.RNNCell.
    """
    return _act(activation)(linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh))


def _act(activation: str) -> Callable[[Array], Array]:
    if activation not in ("tanh", "relu"):
        raise ShapeError(f"expected the activation tanh or relu, received {activation!r}")
    return tanh if activation == "tanh" else relu


@op(rule=_cell_spec(4, 2), strict=True)
def lstm_cell(
    x: Array,
    h: Array,
    c: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    /,
) -> tuple[Array, Array]:
    """i, f, g, o = x W_ihᵀ + b_ih + h W_hhᵀ + b_hh; c' = σ(f) c + σ(i) tanh(g); h' = σ(o) tanh(c').

    Args:
        x: (batch, features).
        h: (batch, hidden), the state that is shown.
        c: (batch, hidden), the state that is kept.
        weight_ih: (4 · hidden, features), for input, forget, cell and output gate; Keras has this order too.
        weight_hh: (4 · hidden, hidden).
        bias_ih: (4 · hidden,) or None.
        bias_hh: (4 · hidden,) or None.

    Returns:
        The new h and c.

    Source: Hochreiter & Schmidhuber 1997; torch.nn.LSTMCell.
    """
    hidden = spec_of(h).shape[-1]
    gates = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)
    i, f, g, o = split(gates, sizes=(hidden,) * 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


@op(rule=_cell_spec(3), strict=True)
def gru_cell(
    x: Array,
    h: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    /,
) -> Array:
    """r, z = σ(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh); n = tanh(x W_inᵀ + b_in + r (h W_hnᵀ + b_hn)); h' = (1 - z) n + z h.

    Args:
        x: (batch, features).
        h: (batch, hidden), the state.
        weight_ih: (3 · hidden, features), for reset, update and new gate; Keras has update, reset, new, and this
            formula with ``reset_after=True``.
        weight_hh: (3 · hidden, hidden).
        bias_ih: (3 · hidden,) or None.
        bias_hh: (3 · hidden,) or None.

    Source: Cho et al. 2014, arXiv:1406.1078; torch.nn.GRUCell.
    """
    hidden = spec_of(h).shape[-1]
    xr, xz, xn = split(linear(x, weight_ih, bias_ih), sizes=(hidden,) * 3, axis=-1)
    hr, hz, hn = split(linear(h, weight_hh, bias_hh), sizes=(hidden,) * 3, axis=-1)
    z = sigmoid(xz + hz)
    n = tanh(xn + sigmoid(xr + hr) * hn)
    return n + z * (h - n)


_CELL = "{weight_ih}, {weight_hh}, {bias_ih}, {bias_hh})"
rnn_cell.lower("torch", f"torch.rnn_tanh_cell({{x}}, {{h}}, {_CELL}", when=lambda n: n.activation == "tanh")
rnn_cell.lower("torch", f"torch.rnn_relu_cell({{x}}, {{h}}, {_CELL}")
lstm_cell.lower("torch", f"torch.lstm_cell({{x}}, ({{h}}, {{c}}), {_CELL}")
gru_cell.lower("torch", f"torch.gru_cell({{x}}, {{h}}, {_CELL}")


# -- sequences -------------------------------------------------------------------------------------------------------


def _sequence_spec(gates: int, states: int = 1) -> Callable[..., Any]:
    def rule(
        x: Spec,
        *operands: Any,
        use_bias: bool = True,
        num_layers: int = 1,
        bidirectional: bool = False,
        batch_first: bool = False,
        **_: Any,
    ) -> Any:
        held, weights, lengths = operands[:states], operands[states], (*operands, None)[states + 1]
        directions, count = 2 if bidirectional else 1, 4 if use_bias else 2
        if x.ndim != 3:
            raise ShapeError(f"expected a sequence of three axes, received {x}")
        batch, hidden = x.shape[0 if batch_first else 1], held[0].shape[-1]
        wanted = (num_layers * directions, batch, hidden)
        if any(each.shape != wanted for each in held):
            raise ShapeError(f"expected states of {wanted} (layers · directions, batch, hidden), received {held}")
        if lengths is not None and (lengths.shape != (batch,) or not is_integer(lengths.dtype)):
            raise ShapeError(f"expected a length for each of {batch} sequences, received {lengths}")
        if len(weights) != count * num_layers * directions:
            raise ShapeError(
                f"expected {count} weights for each of {num_layers} layer(s) and {directions} direction(s), received "
                f"{len(weights)}"
            )
        features = x.shape[-1]
        for layer in range(num_layers):
            for part in range(directions):
                at = (layer * directions + part) * count
                _check(x.with_shape(batch, features), x.with_shape(batch, hidden), weights[at : at + count], gates)
            features = directions * hidden
        return (x.with_shape(*x.shape[:2], features), *held)

    return rule


def _sequence(
    x: Array,
    states: Sequence[Array],
    weights: Sequence[Array],
    lengths: Array | None,
    cell: Callable[..., Any],
    use_bias: bool,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Array, ...]:
    directions, count = 2 if bidirectional else 1, 4 if use_bias else 2
    if batch_first:
        x = transpose(x, axes=(1, 0, 2))
    time = spec_of(x).shape[0]
    if not isinstance(time, int):
        raise ShapeError(f"expected a time axis of known size, received {time}")
    last: list[Sequence[Array]] = []
    for layer in range(num_layers):
        both: list[Array] = []
        for part in range(directions):
            at = layer * directions + part
            held: Sequence[Array] = [getitem(state, key=(at,)) for state in states]
            shown: list[Array] = []
            for step in range(time) if part == 0 else reversed(range(time)):
                found = cell(getitem(x, key=(step,)), *held, *weights[at * count : (at + 1) * count])
                new = found if isinstance(found, tuple) else (found,)
                if lengths is None:
                    held = new
                    shown.append(new[0])
                    continue
                reached = getitem(lengths > step, key=((None, None, None), None))
                held = tuple(where(reached, after, before) for after, before in zip(new, held, strict=True))
                shown.append(where(reached, new[0], 0.0))
            line = stack(shown, axis=0)
            both.append(line if part == 0 else flip(line, axis=0))
            last.append(held)
        x = concat(both, axis=-1) if directions == 2 else both[0]
    finals = (stack(each, axis=0) for each in zip(*last, strict=True))
    return (transpose(x, axes=(1, 0, 2)) if batch_first else x, *finals)


@op(rule=_sequence_spec(1), strict=True)
def rnn(
    x: Array,
    h: Array,
    weights: Sequence[Array],
    lengths: Array | None = None,
    /,
    *,
    activation: str = "tanh",
    use_bias: bool = True,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Array, Array]:
    """`rnn_cell` over a sequence, in layers and, where asked, in both directions.

    Args:
        x: (time, batch, features), or (batch, time, features) where ``batch_first``.
        h: (layers · directions, batch, hidden), the states at the start: layer 0 forwards, backwards, layer 1, ...
        weights: for each layer and direction, in that order: weight_ih, weight_hh, and with biases bias_ih, bias_hh.
            The features of a layer but the first are directions · hidden.
        lengths: (batch,), integers: how many steps of each sequence count, all where None. Behind them the result is
            zero; the states at the end are those of the last step that counts, from which the way back starts.
        activation: "tanh" or "relu".
        use_bias: whether there are biases.
        num_layers: how many layers.
        bidirectional: whether each layer reads backwards, too; both results stand side by side.
        batch_first: the order of the axes of x and of the result.

    Returns:
        The states of the last layer at every step, (time, batch, directions · hidden), and all states at the end.

    Source: torch.nn.RNN; lengths as in torch.nn.utils.rnn.pack_padded_sequence.
    """

    def cell(*operands: Array) -> Array:
        return rnn_cell(*operands, activation=activation)

    return _sequence(x, (h,), weights, lengths, cell, use_bias, num_layers, bidirectional, batch_first)  # type: ignore[return-value]


@op(rule=_sequence_spec(4, 2), strict=True)
def lstm(
    x: Array,
    h: Array,
    c: Array,
    weights: Sequence[Array],
    lengths: Array | None = None,
    /,
    *,
    use_bias: bool = True,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Array, Array, Array]:
    """`lstm_cell` over a sequence. Arguments are those of `rnn`, with both states; the result, and h and c at the end.

    Source: torch.nn.LSTM.
    """
    return _sequence(x, (h, c), weights, lengths, lstm_cell, use_bias, num_layers, bidirectional, batch_first)  # type: ignore[return-value]


@op(rule=_sequence_spec(3), strict=True)
def gru(
    x: Array,
    h: Array,
    weights: Sequence[Array],
    lengths: Array | None = None,
    /,
    *,
    use_bias: bool = True,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Array, Array]:
    """`gru_cell` over a sequence. Arguments and results are those of `rnn`. Source: torch.nn.GRU."""
    return _sequence(x, (h,), weights, lengths, gru_cell, use_bias, num_layers, bidirectional, batch_first)  # type: ignore[return-value]


_FORM = "[*{weights}], {use_bias}, {num_layers}, 0.0, False, {bidirectional}, {batch_first})"


def _whole(n: SimpleNamespace) -> bool:
    return n.lengths is None


rnn.lower("torch", f"torch.rnn_tanh({{x}}, {{h}}, {_FORM}", when=lambda n: _whole(n) and n.activation == "tanh")
rnn.lower("torch", f"torch.rnn_relu({{x}}, {{h}}, {_FORM}", when=_whole)
lstm.lower("torch", f"torch.lstm({{x}}, ({{h}}, {{c}}), {_FORM}", when=_whole)
gru.lower("torch", f"torch.gru({{x}}, {{h}}, {_FORM}", when=_whole)


_REST = (
    "[*{weights}], lengths={lengths}, num_layers={num_layers:1}, bidirectional={bidirectional:False},"
    " batch_first={batch_first:False})"
)
for _framework in ("torch", "jax", "tensorflow", "numpy"):
    rnn.lower(_framework, f"support.rnn({{x}}, {{h}}, {_REST[:-1]}, activation={{activation:'tanh'}})")
    lstm.lower(_framework, f"support.lstm({{x}}, {{h}}, {{c}}, {_REST}")
    gru.lower(_framework, f"support.gru({{x}}, {{h}}, {_REST}")
