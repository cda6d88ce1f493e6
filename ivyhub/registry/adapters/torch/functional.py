"""Mutation made functional: in-place operations and views of the training IR as new values.

PyTorch's training IR mutates: ``y += 1``, ``y[:, 0] = 3``, ``buffer.add_(x)``. `Storage` follows which node is a view
of which, so that a write to a view becomes a new value of its base, and a view read after a write to its base is
taken anew.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....engine import ops
from ....engine.backends import is_floating
from ....engine.graph import Value
from ....engine.trace import Builder
from ....errors import CaptureError
from .rules import RULES

# Operations whose overload has another name where they write.
_RENAMED = {
    "aten.transpose.default": "aten.transpose.int",
    "aten.normal.default": "aten.normal_functional.default",
    "aten.bernoulli.float": "aten.bernoulli.p",
}


@dataclass
class _Root:
    """An array that is no view: its present value, how often it was written, and the state that it is, if any."""

    value: Value | None = None
    version: int = 0
    path: str = ""
    constant: np.ndarray | None = None
    name: str = "constant"


class Storage:
    """The arrays behind the nodes of one trace (see the module's docstring)."""

    def __init__(self, builder: Builder, arguments: Callable[[Any], tuple[list[Any], dict[str, Any]]]) -> None:
        self.builder = builder
        self.arguments = arguments  # those of a node, as rules take them
        self.roots: dict[Any, _Root] = {}
        self.views: dict[Any, tuple[Any, Value, int]] = {}  # node -> (base node, value, the base's version then)
        self.aliases: dict[Any, Any] = {}
        self.silent = False  # whether writes are under no_grad: an array keeps the gradient of what it was

    # -- declaration ---------------------------------------------------------------------------------------------

    def own(self, node: Any, value: Value) -> None:
        """A node whose array is its own."""
        self.roots[node] = _Root(value)

    def own_state(self, node: Any, path: str) -> None:
        """A node that is a parameter or buffer: it is read where it is used, until it is written."""
        known = next((root for root in self.roots.values() if root.path == path), None)
        self.roots[node] = known or _Root(path=path)

    def own_constant(self, node: Any, array: np.ndarray, name: str) -> None:
        """A node that is an array of the program itself."""
        self.roots[node] = _Root(constant=array, name=name)

    def alias(self, node: Any, target: Any) -> None:
        """A node that is another node, in a sub-graph."""
        self.aliases[node] = self.resolve(target)

    def resolve(self, node: Any) -> Any:
        """The node that a node stands for."""
        while node in self.aliases:
            node = self.aliases[node]
        return node

    # -- reading and writing -------------------------------------------------------------------------------------

    def state_path(self, node: Any) -> str:
        """The path of the unwritten parameter or buffer that a node is, or ""."""
        root = self.roots.get(self.resolve(node))
        return root.path if root is not None else ""

    def read(self, node: Any) -> Value | None:
        """The present value of a node; None when the storage does not follow it."""
        node = self.resolve(node)
        if node in self.roots:
            root = self.roots[node]
            if root.value is not None:
                return root.value
            if root.constant is not None:
                return self.builder.constant(root.constant, root.name)
            return self.builder.parameter(root.path)
        if node in self.views:
            base, value, version = self.views[node]
            if self._version(base) != version:
                value = self._retake(node, base)
                self.views[node] = (base, value, self._version(base))
            return value
        return None

    def write(self, node: Any, value: Any) -> None:
        """Note what a node gave: a new array, a view of its first argument, or a write into it."""
        if not isinstance(value, Value):
            return
        if self.is_mutation(node):
            target = self.resolve(node.args[0])
            before = self.read(target)
            if (
                before is not None
                and before.shape != value.shape
                and any(target is base for base, *_ in self.views.values())
            ):
                raise CaptureError("an array changes its size of which there are views", hint="resize a copy of it")
            self.aliases[node] = target
            self._put(target, value)
        elif self._is_view(node):
            base = self.resolve(node.args[0])
            self.views[node] = (base, value, self._version(base))
        else:
            self.own(node, value)

    def updated(self) -> dict[str, Value]:
        """New values of the buffers that were written, by path."""
        return {root.path: root.value for root in self.roots.values() if root.path and root.value is not None}

    # -- torch's schemas -----------------------------------------------------------------------------------------

    def is_mutation(self, node: Any) -> bool:
        """Whether a node writes into its first argument."""
        info = alias_info(node)
        return info is not None and info.is_write

    def functional_name(self, node: Any) -> str:
        """The name of the operation without the write: ``aten.add_.Tensor`` is ``aten.add.Tensor``."""
        return functional_name(str(node.target))

    def _is_view(self, node: Any) -> bool:
        info = alias_info(node)
        return info is not None and not info.is_write and self.resolve(node.args[0]) in (self.roots | self.views)

    # -- views ---------------------------------------------------------------------------------------------------

    def _version(self, node: Any) -> int:
        node = self.resolve(node)
        while node in self.views:
            node = self.views[node][0]
        return self.roots[node].version

    def _retake(self, node: Any, base: Any) -> Value:
        (_, *rest), kwargs = self.arguments(node)
        return RULES[str(node.target)](self.read(base), *rest, **kwargs)

    def _put(self, node: Any, value: Value) -> None:
        before = self.read(node)
        if before is not None and value.dtype != before.dtype:
            value = ops.astype(value, dtype=before.dtype)
        if node in self.roots:
            root = self.roots[node]
            if root.path and self.builder.graph.parameter(root.path).trainable:
                raise CaptureError(
                    f"a call writes to the parameter {root.path}, and training alone changes parameters",
                    hint="write to a copy of it, or make it a buffer",
                )
            if self.silent and root.value is not None and not root.path and root.constant is None:
                value = _with_gradient_of(root.value, value)
            root.value, root.version = value, root.version + 1
            return
        base = self.views[node][0]
        self._put(base, self._place(node, self.read(base), value))
        self.views[node] = (base, value, -1 if self.silent else self._version(base))

    def _place(self, view: Any, base: Any, value: Value) -> Value:
        """The base with the elements that a view shows replaced: the inverse of the view's operation."""
        name, args = str(view.target).split(".")[1], self.arguments(view)[0][1:]
        match name:
            case "select":
                return RULES["aten.select_scatter.default"](base, value, *args)
            case "slice":
                return RULES["aten.slice_scatter.default"](base, value, *args)
            case "view" | "reshape" | "unsqueeze" | "squeeze" | "_unsafe_view" | "flatten":
                return ops.reshape(value, shape=base.shape)
            case "transpose":
                return RULES["aten.transpose.int"](value, *args)
            case "t":
                return RULES["aten.t.default"](value)
            case "permute":
                order = [axis % base.ndim for axis in args[0]]
                return ops.transpose(value, axes=tuple(order.index(axis) for axis in range(base.ndim)))
            case "detach" | "alias" | "to" | "contiguous":
                return value
        raise CaptureError(
            f"a write through {name} cannot be made functional",
            hint="write to the array itself, or build a new one with torch.where",
        )


def _with_gradient_of(before: Value, value: Value) -> Value:
    """A value whose gradient is another's of the same size."""
    if not is_floating(before.dtype) or (before.node is not None and before.node.op == "stop_gradient"):
        return value
    cut = RULES["aten.detach.default"]
    return cut(value) + ops.where(ops.isfinite(before), before - cut(before), 0)


def functional_name(target: str) -> str:
    """An operation's name without the write.

    Example:
        >>> functional_name("aten.normal_.default")
        'aten.normal_functional.default'
    """
    namespace, name, overload = target.split(".")
    plain = f"{namespace}.{name.rstrip('_')}.{overload}"
    return _RENAMED.get(plain, plain)


def alias_info(node: Any) -> Any:
    """What the schema of a node's operation says of its first argument: written, shown by the result, or None."""
    schema = getattr(getattr(node, "target", None), "_schema", None)
    return schema.arguments[0].alias_info if schema is not None and schema.arguments and node.args else None


def memory_order(tensor: Any) -> tuple[int, ...] | None:
    """The order in which a tensor's axes lie in memory, where it is all that lies there; else None.

    Example:
        >>> import torch
        >>> memory_order(torch.zeros(2, 3).T), memory_order(torch.zeros(2, 3)[1])
        ((1, 0), None)
    """
    order = sorted(range(tensor.ndim), key=lambda axis: (-tensor.stride(axis), axis))
    alone = tensor.storage_offset() == 0 and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.itemsize
    return tuple(order) if alone and tensor.permute(order).is_contiguous() else None


def mutated_buffers(program: Any) -> set[str]:
    """The buffers that a program writes to, by path."""
    kinds = program.graph_signature
    held = {**kinds.inputs_to_buffers}
    found: set[str] = set()
    for graph in (program.graph, *(m.graph for m in program.graph_module.children() if hasattr(m, "graph"))):
        for node in graph.nodes:
            info = alias_info(node)
            if info is None:
                continue
            base = node.args[0]
            while alias_info(base) is not None:
                base = base.args[0]
            if info.is_write and base.name in held:
                found.add(held[base.name])
    return found


def is_projection(node: Any) -> bool:
    """Whether a node takes a result out of a sub-graph's: it belongs to no layer, wherever that result was made."""
    return node.target is operator.getitem and getattr(node.args[0].target, "namespace", "") == "higher_order"
