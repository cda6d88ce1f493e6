"""How TensorFlow's operations are read: ``RULES`` by name, and in ``OPERANDS`` how each takes its inputs."""

from __future__ import annotations

from . import elementwise, images, indexing, linalg, nn, ordering, reduction, shape
from .common import OPERANDS, RULES, Operands, has_sizes, number, reads, sizes_array

__all__ = [
    "OPERANDS",
    "RULES",
    "Operands",
    "elementwise",
    "has_sizes",
    "images",
    "indexing",
    "linalg",
    "nn",
    "number",
    "ordering",
    "reads",
    "reduction",
    "shape",
    "sizes_array",
]
