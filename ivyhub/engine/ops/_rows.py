"""Rows of operations that the frameworks spell alike."""

from __future__ import annotations

from ..op import Op

_PREFIX = {"numpy": "np", "torch": "torch", "jax": "jnp", "tensorflow": "tf"}


def lower_alike(op: Op, name: str = "", **others: str | None) -> Op:
    """Write the operation as ``np.name``, ``torch.name``, ``jnp.name`` and ``tf.name`` of its operands.

    Args:
        op: the operation.
        name: what the frameworks call it, when that is not its own name.
        others: the row of a framework that writes it differently, or None where it cannot.
    """
    operands = ", ".join(f"{{{operand}}}" for operand in op.operands)
    for framework, prefix in _PREFIX.items():
        row = others.get(framework, f"{prefix}.{name or op.name}({operands})")
        if row is not None:
            op.lower(framework, row)
    return op


def lower_operator(op: Op, expression: str) -> Op:
    """Write the operation with one Python operator in every framework."""
    return op.lower(tuple(_PREFIX), expression)
