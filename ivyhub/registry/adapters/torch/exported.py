"""Programs of `torch.export` as sources: a live ``ExportedProgram``, or the ``.pt2`` file of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ....errors import UsageError
from ..source import Capture, Dynamic
from . import capture as modules
from . import exported_files


def capture(
    source: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, dynamic: Dynamic | None = None
) -> Capture:
    """Capture an exported program, whose inputs and sizes that vary are its own.

    Args:
        source: an ``ExportedProgram`` with the inputs that it was exported from, or the path of its file.
        args: none.
        kwargs: none.
        dynamic: other names for sizes that vary; by default they are named after inputs, ``x_0``.

    Raises:
        UnsafeError: something in the file would run code.
        CorruptFileError: it is no such file.
        UsageError: there are example inputs beside it, or the program has none.

    Example:
        >>> import torch
        >>> found = capture(torch.export.export(torch.nn.Linear(3, 2), (torch.ones(4, 3),)))
        >>> found.graph.outputs.spec
        float32[4, 2]
    """
    if isinstance(source, str | Path):
        source = exported_files.load(Path(source))
    if args or kwargs:
        raise UsageError("an ExportedProgram has its inputs already; expected no example inputs beside it")
    if source.example_inputs is None:
        raise UsageError("the program was saved without the inputs that it was exported from")
    args, kwargs = source.example_inputs
    return modules.capture(_module(source), args, kwargs, {**_sizes(source), **(dynamic or {})})


def _module(program: Any) -> Any:
    """The program as a plain module, whose calls can be watched; as a graph of PyTorch it could not be exported again.

    It is in training or in evaluation as it was exported, whatever it is set to.
    """
    import torch

    graph = program.module(check_guards=False)
    cls = type("ExportedProgram", (torch.nn.Module,), {"forward": type(graph).forward, "__module__": "torch.export"})
    module = cls()
    state = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "_in_spec", "_out_spec")
    constants = {word: value for word, value in vars(graph).items() if isinstance(value, torch.Tensor)}
    vars(module).update({word: value for word, value in vars(graph).items() if word in state} | constants)
    return module


def _sizes(program: Any) -> dict[str, dict[int, str]]:
    """The sizes that vary, by input: equal ones have one name."""
    import torch

    names: dict[str, str] = {}
    found: dict[str, dict[int, str]] = {}
    inputs = set(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        value = node.meta.get("val") if node.op == "placeholder" and node.name in inputs else None
        for axis, size in enumerate(value.shape if isinstance(value, torch.Tensor) else ()):
            if isinstance(size, torch.SymInt):
                name = names.setdefault(str(size), f"{node.name}_{axis}")
                found.setdefault(node.name, {})[axis] = name
    return found
