"""Packed sequences: what PyTorch computes of the steps that count, from padded sequences with their lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.errors import CaptureError
from tests.arrays import as_numpy, assert_close, native

torch = pytest.importorskip("torch")
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

LAYERS: dict[str, Any] = {
    "lstm": lambda: nn.LSTM(3, 4, batch_first=True),
    "lstm, two layers both ways": lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True),
    "gru both ways": lambda: nn.GRU(3, 4, bidirectional=True, batch_first=True),
    "rnn without biases": lambda: nn.RNN(3, 4, bias=False),
}


class Tagger(nn.Module):
    """The usual way: pack, run, pad to what it was."""

    def __init__(self, layer: Any, *, is_sorted: bool = False, padding: float = 0.0) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(4 * (2 if layer.bidirectional else 1), 2)
        self.is_sorted, self.padding = is_sorted, padding

    def forward(self, x: Any, lengths: Any) -> Any:
        first = self.layer.batch_first
        packed = pack_padded_sequence(x, lengths, batch_first=first, enforce_sorted=self.is_sorted)
        steps, ends = self.layer(packed)
        steps, counts = pad_packed_sequence(
            steps, batch_first=True, padding_value=self.padding, total_length=x.shape[1 if first else 0]
        )
        return self.head(steps), steps, ends[0] if isinstance(ends, tuple) else ends, counts


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name: str, framework: str, rng: np.random.Generator) -> None:
    layer, is_sorted = LAYERS[name](), bool(rng.integers(2))
    module = Tagger(layer, is_sorted=is_sorted, padding=float(rng.integers(2)) * 7.0)
    lengths = np.array([5, *rng.integers(1, 6, 3)])
    lengths = np.sort(lengths)[::-1].copy() if is_sorted else rng.permutation(lengths)
    shape = (4, 5, 3) if layer.batch_first else (5, 4, 3)
    batch, time = (0, 1) if layer.batch_first else (1, 0)
    x = rng.normal(size=shape).astype(np.float32)
    found = ivyhub.transpile(
        module,
        to=framework,
        args=(torch.zeros(shape), torch.tensor([5, 4, 3, 1])),
        dynamic={"x": {batch: "batch", time: "time"}, "lengths": {0: "batch"}},
    )
    wanted = module(torch.from_numpy(x), torch.from_numpy(lengths))
    given = found(native(framework, x), native(framework, lengths))
    for ours, theirs in zip(given, wanted, strict=True):
        assert_close(ours, theirs, 1e-5)  # a few steps of sums of ten numbers near 1


def test_gradients_pass_the_steps_that_count_and_no_others(rng: np.random.Generator) -> None:
    module = Tagger(LAYERS["gru both ways"]())
    x = torch.from_numpy(rng.normal(size=(3, 4, 3)).astype(np.float32))
    lengths = torch.tensor([2, 4, 1])
    found = ivyhub.transpile(module, to="torch", args=(x, lengths))
    gradients = []
    for each in (module, found):
        leaf = x.clone().requires_grad_()
        each(leaf, lengths)[0].square().sum().backward()
        gradients.append([as_numpy(leaf.grad), *(as_numpy(p.grad) for _, p in sorted(each.named_parameters()))])
    assert_close(gradients[1], gradients[0], 1e-5)  # as above
    assert not gradients[1][0][0, 2:].any()


def test_packing_and_padding_alone_clears_what_does_not_count(framework: str, rng: np.random.Generator) -> None:
    class Clear(nn.Module):
        def forward(self, x: Any, lengths: Any) -> Any:
            packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
            return pad_packed_sequence(packed, padding_value=3.0, total_length=x.shape[0])[0]

    x, lengths = rng.normal(size=(4, 2, 3)).astype(np.float32), np.array([1, 4])
    found = ivyhub.transpile(Clear(), to=framework, args=(torch.zeros(4, 2, 3), torch.tensor([1, 4])))
    wanted = Clear()(torch.from_numpy(x), torch.from_numpy(lengths)).numpy()
    np.testing.assert_array_equal(as_numpy(found(native(framework, x), native(framework, lengths))), wanted)


def test_what_depends_on_the_lengths_is_refused() -> None:
    class Longest(nn.Module):
        def forward(self, x: Any, lengths: Any) -> Any:
            return pad_packed_sequence(pack_padded_sequence(x, lengths))[0]

    class Mean(nn.Module):
        def forward(self, x: Any, lengths: Any) -> Any:
            return torch.tanh(pack_padded_sequence(x, lengths).data).mean()

    class Sizes(nn.Module):
        def forward(self, x: Any, lengths: Any) -> Any:
            return x * pack_padded_sequence(x, lengths).batch_sizes[1]

    args = (torch.zeros(4, 2, 3), torch.tensor([4, 1]))
    with pytest.raises(CaptureError, match="pads to the longest of the lengths") as caught:
        ivyhub.trace(Longest(), *args)
    assert "total_length=x.shape[1]" in caught.value.hint
    with pytest.raises(CaptureError, match=r"test_packed\.py:\d+: return torch\.tanh"):
        ivyhub.trace(Mean(), *args)
    with pytest.raises(CaptureError, match="how many sequences have a further step"):
        ivyhub.trace(Sizes(), *args)
    Longest()(*args)  # PyTorch's own functions are back
