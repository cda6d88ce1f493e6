"""Recurrent layers of PyTorch: one leaf layer of the graph each, the same layer in an export for PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.engine.stateful.layers import LAYERS
from ivyhub.engine.support import torch as support
from ivyhub.registry.adapters.torch.layers import read_layer
from tests.arrays import as_numpy, assert_close

torch = pytest.importorskip("torch")
from torch import nn

CASES: dict[str, Any] = {
    "lstm": lambda: nn.LSTM(3, 4, batch_first=True),
    "lstm, two layers both ways": lambda: nn.LSTM(3, 4, 2, bidirectional=True, dropout=0.3, batch_first=True),
    "lstm, projected": lambda: nn.LSTM(3, 5, 2, proj_size=2, bidirectional=True),
    "gru, two layers": lambda: nn.GRU(3, 4, 2, dropout=0.2),
    "gru without biases": lambda: nn.GRU(3, 4, bias=False, bidirectional=True, batch_first=True),
    "rnn": lambda: nn.RNN(3, 4, 2, nonlinearity="relu", batch_first=True),
}
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
TOLERANCE = 1e-5  # float32, a few steps of sums of ten numbers near 1


class Encoder(nn.Module):
    """A recurrent layer that starts from states of its own, where it is to."""

    def __init__(self, layer: Any, *, starts: bool) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(3, 3)
        rows = layer.num_layers * (2 if layer.bidirectional else 1)
        self.hidden = nn.Parameter(torch.randn(rows, 1, layer.proj_size or layer.hidden_size)) if starts else None
        self.cell = nn.Parameter(torch.randn(rows, 1, layer.hidden_size)) if starts else None

    def forward(self, x: Any) -> Any:
        state = None
        if self.hidden is not None:
            batch = x.shape[0 if self.layer.batch_first else 1]
            state = self.hidden.expand(-1, batch, -1).contiguous()
            if isinstance(self.layer, nn.LSTM):
                state = state, self.cell.expand(-1, batch, -1).contiguous()
        y, ends = self.layer(self.head(x).tanh(), state)
        return y, *(ends if isinstance(ends, tuple) else (ends,))


def _model(name: str, rng: np.random.Generator, *, starts: bool | None = None) -> Any:
    torch.manual_seed(int(rng.integers(1 << 30)))
    return Encoder(CASES[name](), starts=bool(rng.integers(2)) if starts is None else starts)


@pytest.mark.parametrize("name", CASES)
def test_the_formula_is_the_layer(name: str, rng: np.random.Generator) -> None:
    model = _model(name, rng, starts=True).eval()
    layer = model.layer
    kind, config = read_layer(layer)  # type: ignore[misc]
    x = rng.normal(size=(2, 3, 3)).astype(np.float32)
    states = [
        rng.normal(size=(s.shape[0], 2 if layer.batch_first else 3, s.shape[2])) for s in (model.hidden, model.cell)
    ]
    states = [state.astype(np.float32) for state in states][: LAYERS[kind].states]
    weights = {word: as_numpy(array) for word, array in layer.named_parameters()}
    for given in ([], states):
        found = LAYERS[kind](**config).forward(weights, *(x, *given))
        held = [torch.from_numpy(array) for array in given]
        with torch.no_grad():
            y, ends = layer(torch.from_numpy(x), (tuple(held) if len(held) > 1 else held[0]) if held else None)
        for ours, theirs in zip(found, (y, *(ends if isinstance(ends, tuple) else (ends,))), strict=True):
            assert_close(ours, theirs, TOLERANCE)


@pytest.mark.parametrize("name", CASES)
def test_a_layer_is_one_call_and_the_same_layer_again(name: str, rng: np.random.Generator) -> None:
    model = _model(name, rng)
    x = torch.randn(2, 3, 3)
    dynamic = {"x": {0 if model.layer.batch_first else 1: "batch"}}
    graph = ivyhub.trace(model, x, dynamic=dynamic)
    calls = [node for node in graph.nodes if node.op == "call" and node.attributes["module"] == "layer"]
    assert [len(node.args) for node in calls] == [1 if model.hidden is None else 1 + len(calls[0].outputs[1:])]
    found = ivyhub.transpile(model, to="torch", args=(x,), dynamic=dynamic)
    assert repr(found.layer) == repr(model.layer)
    found.load_state_dict(model.state_dict(), strict=True)
    given = torch.randn((5, 3, 3) if model.layer.batch_first else (3, 5, 3))
    for ours, theirs in zip(found.eval()(given), model.eval()(given), strict=True):
        assert_close(ours, theirs, TOLERANCE)


def test_a_sequence_that_is_no_batch(rng: np.random.Generator) -> None:
    model = nn.Sequential(nn.LSTM(3, 4)).eval()
    x = torch.from_numpy(rng.normal(size=(5, 3)).astype(np.float32))
    found = ivyhub.transpile(model, to="numpy", args=(x,))
    y, (h, c) = model(x)
    ours, (last, kept) = found(as_numpy(x))
    for a, b in ((ours, y), (last, h), (kept, c)):
        assert_close(a, b, TOLERANCE)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_layer_with_one_bias_is_the_layer_with_zeros_for_the_other(kind: str, rng: np.random.Generator) -> None:
    """Keras's and Flax's have one. Oracle: PyTorch's own layer, its second biases zeros."""
    torch.manual_seed(int(rng.integers(1 << 30)))
    whole = getattr(nn, kind)(3, 4, 2, bidirectional=True, batch_first=True)
    ours = getattr(support, kind)(3, 4, 2, bidirectional=True, batch_first=True)
    state = {name: array for name, array in whole.state_dict().items() if not name.startswith("bias_hh")}
    ours.load_state_dict(state, strict=True, assign=True)
    ours.to(torch.float64).to(torch.float32)
    for name, array in whole.named_parameters():
        array.data *= not name.startswith("bias_hh")
    x = torch.randn(2, 3, 3)
    assert_close(ours(x)[0], whole(x)[0], TOLERANCE)
    ours.load_state_dict(state, strict=True, assign=True)
    ours(x)[0].square().sum().backward()
    whole(x)[0].square().sum().backward()
    for name, array in ours.named_parameters():
        assert_close(array.grad, getattr(whole, name).grad, 10 * TOLERANCE, name)  # sums over the batch and all steps
    kind, config = read_layer(ours)  # type: ignore[misc]
    assert LAYERS[kind](**config).parameters().keys() == state.keys()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("to", ["torch", "jax", "tensorflow", "numpy", "onnx"])
@pytest.mark.sweep
def test_exports_are_certified(name: str, to: str, rng: np.random.Generator) -> None:
    model = _model(name, rng)
    dynamic = {"x": {0 if model.layer.batch_first else 1: "batch"}}
    ivyhub.transpile(model, to=to, args=(torch.randn(2, 3, 3),), dynamic=dynamic, verify=True)
