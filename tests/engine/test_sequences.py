"""Sequences of unequal lengths: exported, traced by PyTorch, and of no length at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ivyhub.engine import Spec, nn, ops, random, to_framework
from tests.arrays import as_numpy, assert_close, native


class Tagger(nn.Module):
    def __init__(self) -> None:
        self.rnn = nn.GRU(3, 4, bidirectional=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Any, lengths: Any) -> Any:
        return self.head(self.rnn(x, lengths=lengths)[0])


@pytest.mark.slow
@pytest.mark.parametrize("target", ["torch", "jax", "tensorflow"])
def test_lengths_are_exported(target: str, rng: np.random.Generator) -> None:
    model = Tagger().init(random.key(int(rng.integers(2**31)), "numpy"))
    x, lengths = rng.normal(size=(3, 6, 3)).astype(np.float32), rng.permutation([1, 4, 6])
    live = model.to(target, Spec(("batch", 6, 3)), Spec(("batch",), "int64"))
    found = live(*to_framework((x, lengths), target))
    assert_close(found, model(x, lengths), 1e-4)  # float32, two matrix products


def test_pytorch_traces_ctc(rng: np.random.Generator) -> None:
    """Its own function keeps arrays whose sizes it cannot tell without numbers."""
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    operands = (
        torch.tensor(rng.normal(size=(5, 2, 4)).astype(np.float32)),
        torch.tensor([[1, 2], [3, 3]]),
        torch.tensor([5, 4]),
        torch.tensor([2, 1]),
    )
    traced = make_fx(lambda *given: ops.ctc_loss(*given), tracing_mode="fake")(*operands)
    assert_close(traced(*operands), ops.ctc_loss(*operands), 1e-5)  # float32, sums of exponentials


def test_ctc_of_nothing(framework: str) -> None:
    """Without frames, only the empty sequence is possible."""
    logits = native(framework, np.zeros((3, 2, 4), np.float32))
    targets = native(framework, np.array([[1], [1]]))
    lengths = native(framework, np.array([0, 0])), native(framework, np.array([0, 1]))
    found = ops.ctc_loss(logits, targets, *lengths, reduction="none")
    np.testing.assert_array_equal(as_numpy(found), [0, np.inf])
