"""Samples of the neural-network operations, and as oracles the functions of PyTorch, JAX, Optax and Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.engine.draw import Draw, Sample

SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {}
ORACLES: dict[str, Callable[..., Any]] = {}
