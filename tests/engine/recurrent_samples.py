"""Samples of recurrent cells and sequences; the oracles are PyTorch's modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.draw import BATCH, Draw, Sample

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
STATES = {"rnn": 1, "lstm": 2, "gru": 1}


def weights(d: Draw, gates: int, features: int, hidden: int, *, bias: bool) -> list[np.ndarray]:
    shapes = ((gates * hidden, features), (gates * hidden, hidden), (gates * hidden,), (gates * hidden,))
    return [d.f(*shape, low=-1.0, high=1.0) for shape in shapes[: 4 if bias else 2]]


def cell(kind: str, *options: dict[str, Any]) -> Callable[[Draw], list[Sample]]:
    def draw(d: Draw) -> list[Sample]:
        states = [d.f(BATCH, 4) for _ in range(STATES[kind])]
        return [
            ((d.f(BATCH, 3), *states, *weights(d, GATES[kind], 3, 4, bias=bias)), each)
            for each in ({}, *options)
            for bias in (True, False)
        ]

    return draw


def sequence(kind: str, *options: dict[str, Any]) -> Callable[[Draw], list[Sample]]:
    def draw(d: Draw) -> list[Sample]:
        def sample(layers: int, both: bool, bias: bool, batch_first: bool, *lengths: np.ndarray, **more: Any) -> Sample:
            ways = 2 if both else 1
            x = d.f(BATCH, 6, 3) if batch_first else d.f(6, BATCH, 3)
            states = [d.f(layers * ways, BATCH, 4) for _ in range(STATES[kind])]
            found: list[np.ndarray] = []
            for layer in range(layers):
                for _ in range(ways):
                    found += weights(d, GATES[kind], 3 if layer == 0 else 4 * ways, 4, bias=bias)
            attributes = {"num_layers": layers, "bidirectional": both, "use_bias": bias, "batch_first": batch_first}
            return (x, *states, found, *lengths), attributes | more

        lengths = d.rng.permutation([1, 2, 4, 4, 6])

        return [
            sample(1, False, True, False),
            sample(2, True, True, True),
            sample(2, False, False, True),
            *(sample(1, True, True, False, **each) for each in options),
            sample(2, True, True, False, lengths),
            *(sample(1, False, False, True, lengths.astype(np.int32), **each) for each in options or [{}]),
        ]

    return draw


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    **{f"{kind}_cell": cell(kind, *([{"activation": "relu"}] if kind == "rnn" else [])) for kind in GATES},
    **{kind: sequence(kind, *([{"activation": "relu"}] if kind == "rnn" else [])) for kind in GATES},
}


def _module(name: str, **settings: Any) -> Any:
    import torch

    return getattr(torch.nn, name)(**settings).double()


def _fill(module: Any, arrays: Any) -> Any:
    import torch

    with torch.no_grad():
        for parameter, array in zip(module.parameters(), arrays, strict=True):
            parameter.copy_(torch.tensor(array))
    return module


def cell_oracle(kind: str) -> Callable[..., Any]:
    def compute(x: np.ndarray, *operands: np.ndarray, activation: str = "tanh") -> Any:
        import torch

        states, found = operands[: STATES[kind]], operands[STATES[kind] :]
        settings = {"nonlinearity": activation} if kind == "rnn" else {}
        module = _module(f"{kind.upper()}Cell", input_size=3, hidden_size=4, bias=len(found) == 4, **settings)
        held = tuple(map(torch.tensor, states))
        with torch.no_grad():
            result = _fill(module, found)(torch.tensor(x), held if len(held) > 1 else held[0])
        return tuple(each.numpy() for each in result) if kind == "lstm" else result.numpy()

    return compute


def sequence_oracle(kind: str) -> Callable[..., Any]:
    def compute(x: np.ndarray, *operands: Any, use_bias: bool, activation: str = "tanh", **settings: Any) -> Any:
        import torch
        from torch.nn.utils import rnn

        if kind == "rnn":
            settings["nonlinearity"] = activation
        module = _module(kind.upper(), input_size=3, hidden_size=4, bias=use_bias, **settings)
        states, (found, *lengths) = operands[: STATES[kind]], operands[STATES[kind] :]
        held = tuple(map(torch.tensor, states))
        inputs: Any = torch.tensor(x)
        first, time = settings["batch_first"], x.shape[1 if settings["batch_first"] else 0]
        if lengths:
            inputs = rnn.pack_padded_sequence(inputs, torch.tensor(lengths[0]), first, enforce_sorted=False)
        with torch.no_grad():
            result, last = _fill(module, found)(inputs, held if len(held) > 1 else held[0])
        if lengths:
            result, _ = rnn.pad_packed_sequence(result, first, total_length=time)
        return tuple(each.numpy() for each in (result, *(last if isinstance(last, tuple) else (last,))))

    return compute


ORACLES: dict[str, Callable[..., Any]] = {
    **{f"{kind}_cell": cell_oracle(kind) for kind in GATES},
    **{kind: sequence_oracle(kind) for kind in GATES},
}
"""What an operation is compared with, in float64."""
