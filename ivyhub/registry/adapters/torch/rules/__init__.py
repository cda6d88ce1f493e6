"""How PyTorch's operations read: `RULES`, from ATen names as ``torch.export`` prints them to the functional API.

A rule takes arguments as the ATen schema orders them: tensors as arrays or traced values, symbolic integers as sizes,
dtypes by ivyhub's names; layout, device and memory format never matter. It makes PyTorch's type promotion explicit and
writes views in one canonical form: ``getitem`` for slices, selections and new axes, ``transpose`` with every axis, and
nothing at all for what changes nothing.
"""

from __future__ import annotations

from . import (
    counting,
    creation,
    draws,
    elementwise,
    fourier,
    indexing,
    linalg,
    losses,
    nn,
    ordering,
    polynomials,
    pooling,
    recurrent,
    reduction,
    shape,
    smoothing,
    special,
)
from .common import RULES

__all__ = [
    "RULES",
    "counting",
    "creation",
    "draws",
    "elementwise",
    "fourier",
    "indexing",
    "linalg",
    "losses",
    "nn",
    "ordering",
    "polynomials",
    "pooling",
    "recurrent",
    "reduction",
    "shape",
    "smoothing",
    "special",
]
