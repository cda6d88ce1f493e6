"""How TensorFlow's operations are read: ``RULES`` by name, and in ``OPERANDS`` how each takes its inputs."""

from __future__ import annotations

from . import elementwise, indexing, linalg, nn, reduction, shape
from .common import OPERANDS, RULES, Operands, has_sizes, number, reads, sizes_array

__all__ = [
    "OPERANDS",
    "RULES",
    "Operands",
    "elementwise",
    "has_sizes",
    "indexing",
    "linalg",
    "nn",
    "number",
    "reads",
    "reduction",
    "shape",
    "sizes_array",
]
