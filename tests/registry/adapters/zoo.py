"""Small PyTorch modules that together use every leaf layer, and the ways in which modules hold and share arrays."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from ivyhub.registry.adapters import emit
from ivyhub.registry.adapters.torch.capture import capture
from ivyhub.registry.adapters.torch.trees import to_numpy
from ivyhub.registry.export import write_source, write_weights
from ivyhub.registry.weights import MemoryCheckpoint


class Example(NamedTuple):
    """A module with example inputs, as `ivyhub.transpile` takes them."""

    module: nn.Module
    args: tuple[Any, ...]
    dynamic: Mapping[str, Mapping[int, str]]


class Attention(nn.Module):
    """Self-attention with a mask, and dropout of its weights."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projection = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        shape = (batch, length, self.heads, width // self.heads)
        query, key, value = (part.view(shape).transpose(1, 2) for part in self.projection(x).chunk(3, dim=-1))
        rate = self.dropout.p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None], dropout_p=rate)
        return self.output(mixed.transpose(1, 2).reshape(batch, length, width))


class Squared(nn.Module):
    """An activation without any array."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) ** 2


class Block(nn.Module):
    """A transformer block with a scale of its own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.inner = nn.Linear(width, 2 * width)
        self.activation = Squared()
        self.outer = nn.Linear(2 * width, width)
        self.scale = nn.Parameter(torch.rand(width))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm(x), mask)
        hidden = self.activation(self.inner(x))
        return x + self.scale * self.dropout(self.outer(hidden))


class Text(nn.Module):
    """Blocks in a list between an embedding and its transpose, with a buffer that checkpoints hold."""

    def __init__(self, vocabulary: int = 11, width: int = 8, depth: int = 3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        self.blocks = nn.ModuleList([Block(width, 2) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, bias=False)
        self.register_buffer("temperature", torch.tensor([2.0]))
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        return {"state": x, "logits": self.head(x) / self.temperature}


class Stage(nn.Module):
    """A strided convolution with batch statistics, and a residual of two."""

    def __init__(self, channels: int, out: int, stride: int, groups: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.normalization = nn.BatchNorm2d(out, momentum=0.2)
        self.wide = nn.Conv2d(out, out, (3, 1), padding=(2, 0), dilation=(2, 1), groups=groups)
        self.groups = nn.GroupNorm(2, out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.normalization(self.convolution(x)))
        return x + self.groups(self.wide(x))


class Image(nn.Module):
    """Stages that differ in their numbers, pools, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([Stage(3, 4, 1, 1), Stage(4, 8, 2, 8), Stage(8, 8, 2, 2), Stage(8, 8, 2, 2)])
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.mean = nn.AvgPool2d(2, stride=1, padding=1, count_include_pad=False)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(8, 5))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = pixels
        for stage in self.stages:
            x = stage(x)
        x = self.mean(self.pool(x))
        return self.classifier(x.mean(dim=(2, 3)))


class Signal(nn.Module):
    """Convolutions of one axis, and a norm over two."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(2, 4, 3, padding="same", groups=2)
        self.normalization = nn.BatchNorm1d(4, affine=False)
        self.plain = nn.LayerNorm((4, 6), elementwise_affine=False)
        self.norm = nn.LayerNorm((4, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.gelu(self.normalization(self.convolution(x)))
        return self.norm(self.plain(x))


class Twice(nn.Module):
    """One layer called twice, the second time on what the first gave."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        once = torch.tanh(self.layer(x))
        return once, self.layer(once)


class Counting(nn.Module):
    """A buffer that calls change."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.register_buffer("average", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        self.average.mul_(0.5).add_(0.5 * y.detach().mean(dim=0))
        return y - self.average


def _text() -> Example:
    ids = torch.arange(10).reshape(2, 5)
    axes = {0: "batch", 1: "length"}
    return Example(Text(), (ids, torch.tensor([[True] * 5, [False] * 5])), {"ids": axes, "mask": axes})


EXAMPLES: dict[str, Callable[[], Example]] = {
    "text": _text,
    "image": lambda: Example(Image(), (torch.rand(2, 3, 32, 32),), {"pixels": {0: "batch"}}),
    "signal": lambda: Example(Signal(), (torch.rand(2, 2, 6),), {"x": {0: "batch"}}),
    "counting": lambda: Example(Counting(), (torch.rand(3, 4),), {"x": {0: "batch"}}),
    "twice": lambda: Example(Twice(), (torch.rand(3, 4),), {"x": {0: "batch"}}),
}
"""Examples by name, each with fresh weights."""


def write_package(example: Example, target: str, folder: Path) -> Path:
    """The package of an example for a target, written into a new folder."""
    found = capture(example.module, example.args, {}, example.dynamic)
    export = emit(found.graph, target)
    folder.mkdir()
    write_source(folder, export)
    checkpoint = MemoryCheckpoint({name: to_numpy(tensor) for name, tensor in found.tensors.items()})
    write_weights(folder, export, export.weights.apply(checkpoint))
    return folder


def unused_or_undefined(folder: Path) -> str:
    """What pyflakes says of a package's source."""
    command = [sys.executable, "-m", "pyflakes", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
