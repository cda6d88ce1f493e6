"""Attributes of TensorFlow's operations: as plain data, and the function graphs that they name."""

from __future__ import annotations

from typing import Any

from ....engine.backends import dtype_name
from ....errors import CaptureError


def attribute(op: Any, attr: Any) -> Any:
    """An attribute as a rule takes it."""
    if attr.type in ("func", "list(func)", "tensor"):
        return None
    value = op.get_attr(attr.name)
    if attr.type == "type":
        return _dtype(value)
    if attr.type == "list(type)":
        return tuple(map(_dtype, value))
    return plain(value)


def _dtype(value: Any) -> str:
    import tensorflow as tf

    dtype = tf.as_dtype(value)
    return dtype.name if dtype in (tf.resource, tf.string, tf.variant) else dtype_name(dtype)


def plain(value: Any) -> Any:
    """Bytes as text and lists as tuples."""
    if isinstance(value, bytes):
        return value.decode()
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value


def default(value: Any) -> Any:
    """The default of an attribute as plain data."""
    kind = value.WhichOneof("value")
    if kind == "list":
        return tuple(plain(list(next((v for _, v in value.list.ListFields()), ()))))
    return plain(getattr(value, kind)) if kind else None


def tuples(tree: Any) -> Any:
    """Nested lists as tuples."""
    return tuple(map(tuples, tree)) if isinstance(tree, list) else tree


def function(op: Any, name: str) -> Any:
    """The function graph that an attribute of an operation names."""
    return _graph_of(op, op.get_attr(name).name)


def branches(op: Any) -> list[Any]:
    """The function graphs between which an If or a Case chooses, an If's first the one of a true predicate."""
    if op.type.endswith("Case"):
        return [_graph_of(op, branch.name) for branch in op.get_attr("branches")]
    return [function(op, "then_branch"), function(op, "else_branch")]


def _graph_of(op: Any, name: str) -> Any:
    found = getattr(op.graph._get_function(name), "graph", None)
    if found is None:  # of the first version of TensorFlow: what is left of one is its definition
        raise CaptureError(
            f"{op.type} calls {name}, a function that TensorFlow made in its old way, which is not read",
            hint="write the operation without it, or wrap the function in tf.function",
        )
    return found
