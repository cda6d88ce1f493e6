"""Elementwise operations (Array API Standard, "Elementwise functions", and activations)."""

from __future__ import annotations

from ..op import Array, op
from ..spec import broadcast_specs


@op(rule=broadcast_specs, primitive=True)
def add(x1: Array, x2: Array, /) -> Array:
    """x1 + x2."""
    ...


add.lower(("numpy", "torch", "jax", "tensorflow"), "{x1} + {x2}")


@op(rule=broadcast_specs, primitive=True)
def multiply(x1: Array, x2: Array, /) -> Array:
    """x1 * x2."""
    ...


multiply.lower(("numpy", "torch", "jax", "tensorflow"), "{x1} * {x2}")
