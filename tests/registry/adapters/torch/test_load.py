"""The `load` of a torch export."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ivyhub.registry.export import import_package
from tests.registry.adapters.zoo import Example, write_package

SCRIPT = "import sys, words; words.load(); print(*{'sympy', 'torch._dynamo'}.intersection(sys.modules))"


class Words(nn.Module):
    """Layers whose initialisers draw from both distributions that PyTorch's layers use."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4, padding_idx=0)
        self.layer = nn.Linear(4, 3)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.layer(self.embedding(words))


def test_load_gives_all_values_and_imports_no_compiler(tmp_path: Path, rng: np.random.Generator) -> None:
    torch.manual_seed(int(rng.integers(2**31)))
    original, words = Words(), torch.from_numpy(rng.integers(0, 7, (2, 5)))
    folder = write_package(Example(original, (words,), {}), "torch", tmp_path / "words")
    model = import_package(folder).load()
    assert torch.equal(model(words), original(words))
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
