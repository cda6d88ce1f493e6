"""Samples of windows and short-time Fourier transforms; the oracles are PyTorch's functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.draw import BATCH, Draw, Sample
from tests.engine.oracles import torch_oracle


def windows(**settings: Any) -> Callable[[Draw], list[Sample]]:
    return lambda d: [
        ((), {"size": 9} | settings),
        ((), {"size": 8} | settings),
        ((), {"size": 8, "periodic": False} | settings),
    ]


FRAMES: list[dict[str, Any]] = [
    {"n_fft": 10},
    {"n_fft": 10, "hop_length": 3, "normalized": True},
    {"n_fft": 9, "onesided": False, "hop_length": 2},
]


def signals(d: Draw) -> list[Sample]:
    return [
        *(((d.f(BATCH, 24), d.f(each["n_fft"], low=0.5)), each) for each in FRAMES),
        ((d.f(24), d.f(6, low=0.5)), {"n_fft": 10, "pad_mode": "constant"}),
        ((d.f(BATCH, 24), d.f(10, low=0.5)), {"n_fft": 10, "center": False}),
    ]


def spectra(d: Draw) -> list[Sample]:
    def sample(*lead: int, frames: int = 7, window: int = 0, **settings: Any) -> Sample:
        n_fft = settings["n_fft"]
        shape = (*lead, n_fft if settings.get("onesided") is False else n_fft // 2 + 1, frames)
        return (d.f(*shape) + 1j * d.f(*shape), d.f(window or n_fft, low=0.5)), settings

    return [
        *(sample(BATCH, **each) for each in FRAMES),
        sample(n_fft=10, window=6),
        sample(BATCH, n_fft=10, center=False, length=19),
    ]


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    **dict.fromkeys(("hann_window", "hamming_window", "blackman_window", "bartlett_window"), windows()),
    "kaiser_window": windows(beta=5.0),
    "gaussian_window": windows(std=2.0),
    "stft": signals,
    "istft": spectra,
}


def _window(name: str) -> Callable[..., Any]:
    """A window of torch.signal.windows in float64; torch.hann_window, which is in the row, is older code."""

    def compute(*, size: int, periodic: bool = True, **settings: Any) -> Any:
        import torch

        make = getattr(torch.signal.windows, name)
        return make(size, sym=not periodic, dtype=torch.float64, **settings).numpy()

    return compute


def _frames(name: str) -> Callable[..., Any]:
    def compute(x: np.ndarray, window: np.ndarray, *, n_fft: int, **settings: Any) -> Any:
        extra = {"return_complex": True} if name == "stft" else {}
        function = torch_oracle(name, named=())
        import torch

        return function(x, n_fft, win_length=len(window), window=torch.tensor(window), **extra, **settings)

    return compute


ORACLES: dict[str, Callable[..., Any]] = {
    **{f"{name}_window": _window(name) for name in ("hann", "hamming", "blackman", "bartlett", "kaiser", "gaussian")},
    "stft": _frames("stft"),
    "istft": _frames("istft"),
}
"""What an operation is compared with, in float64."""
