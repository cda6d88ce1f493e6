"""The module table of a graph from a module of PyTorch, and the arrays that it names."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from ....engine.backends import dtype_name
from ....engine.graph import Graph, ModuleInfo, Parameter
from ....engine.spec import Spec
from ....engine.stateful.layers import LAYERS


def describe(
    graph: Graph, module: Any, leaves: Mapping[str, tuple[str, Mapping[str, Any]]], mutated: Container[str]
) -> None:
    """Enter a module and all below it in the table of a graph.

    Args:
        graph: whose table is filled.
        module: a ``torch.nn.Module``; an array that stands in two places belongs to the first.
        leaves: the leaf layers by path, each with its kind and its settings.
        mutated: the buffers that a call changes.
    """
    owners: dict[int, str] = {}
    for path, part in module.named_modules():
        cls = type(part)
        info = ModuleInfo(path, f"{cls.__module__}.{cls.__qualname__}")
        if path in leaves:
            info.layer, settings = leaves[path]
            info.config = LAYERS[info.layer](**settings).config
        for name, tensor, trainable in (
            *((name, p, p.requires_grad) for name, p in part._parameters.items() if p is not None),
            *((name, b, False) for name, b in part._buffers.items() if b is not None),
        ):
            full = f"{path}.{name}" if path else name
            owner = owners.setdefault(id(tensor), full)
            if not trainable and name in part._buffers and is_constant(module, full, mutated):
                continue
            info.parameters[name] = Parameter(
                Spec(tuple(tensor.shape), dtype_name(tensor.dtype)),
                trainable=trainable,
                persistent=name not in part._non_persistent_buffers_set or full in mutated,
                alias=None if owner == full else owner,
            )
        graph.modules[path] = info


def is_constant(module: Any, path: str, mutated: Container[str]) -> bool:
    """Whether a buffer is part of the program: no checkpoint holds it, nothing changes it, its values are here."""
    part, _, name = path.rpartition(".")
    kept = name not in module.get_submodule(part)._non_persistent_buffers_set
    return not kept and path not in mutated and not module.get_buffer(path).is_meta


def tensors(graph: Graph, module: Any) -> dict[str, Any]:
    """The arrays of a module by the paths that own them in the table."""
    found: dict[str, Any] = {}
    for path, parameter in graph.parameters():
        if parameter.alias is None:
            part, _, name = path.rpartition(".")
            found[path] = getattr(module.get_submodule(part), name)
    return found


__all__ = ["describe", "is_constant", "tensors"]
