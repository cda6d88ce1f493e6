"""Four models written once, each with a batch of data and a loss: what the issue asks to train everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ivyhub.engine import nn, ops

Array = Any


class MLP(nn.Module):
    def __init__(self) -> None:
        self.hidden = nn.Linear(6, 16)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Array) -> Array:
        return self.head(ops.gelu(self.norm(self.hidden(x))))


class CNN(nn.Module):
    def __init__(self) -> None:
        self.stem = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1, use_bias=False), nn.BatchNorm(6), nn.ReLU())
        self.pool = nn.MaxPool2d(2)
        self.conv = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Array) -> Array:
        x = ops.relu(self.norm(self.conv(self.pool(self.stem(x)))))
        return self.head(ops.mean(x, axis=(2, 3)))


class Transformer(nn.Module):
    def __init__(self) -> None:
        self.embedding = nn.Embedding(11, 12)
        self.position = nn.Parameter((7, 12), nn.init.Normal(0.0, 0.02))
        self.layers = [
            nn.TransformerEncoderLayer(12, 3, 24, dropout=0.1, activation=ops.gelu, norm_first=first)
            for first in (True, False)
        ]
        self.head = nn.Linear(12, 3)

    def forward(self, tokens: Array) -> Array:
        x = self.embedding(tokens) + self.position
        for layer in self.layers:
            x = layer(x, causal=True)
        return self.head(ops.mean(x, axis=1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        self.embedding = nn.Embedding(11, 8)
        self.lstm = nn.LSTM(8, 10, num_layers=2, bidirectional=True)
        self.head = nn.Linear(20, 3)

    def forward(self, tokens: Array) -> Array:
        outputs, _ = self.lstm(self.embedding(tokens))
        return self.head(ops.mean(outputs, axis=1))


def _numbers(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.normal(size=shape).astype(np.float32)


def _tokens(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.integers(0, 11, shape).astype(np.int32)


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[np.random.Generator], np.ndarray]]] = {
    "mlp": (MLP, _numbers(9, 6)),
    "cnn": (CNN, _numbers(6, 2, 8, 8)),
    "transformer": (Transformer, _tokens(5, 7)),
    "lstm": (Recurrent, _tokens(5, 6)),
}
