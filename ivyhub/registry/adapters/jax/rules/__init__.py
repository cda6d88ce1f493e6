"""Reading rules for JAX's primitives, one file a family; a rule bears the primitive's name and takes its parameters."""

from __future__ import annotations

from . import conv, elementwise, indexing, linalg, random, reduction, shape, windows
from .common import NUMBERS, RULES

__all__ = ["NUMBERS", "RULES", "conv", "elementwise", "indexing", "linalg", "random", "reduction", "shape", "windows"]
