"""Arguments of ``forward`` by name, and back."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

from ....engine.backends import framework_of
from ....engine.graph import Graph, Value, tree_leaves
from ....errors import CaptureError


def bind(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by the parameter names of ``forward``. Raises `CaptureError` when they do not fit it."""
    try:
        bound = inspect.signature(module.forward).bind(*args, **kwargs)
    except TypeError as error:
        raise CaptureError(
            f"the example inputs do not fit {type(module).__name__}.forward: {error}",
            hint=f"its signature is {inspect.signature(module.forward)}",
        ) from None
    arguments = flattened(inspect.signature(module.forward), bound)
    for path, leaf in tree_leaves(arguments):
        owner = framework_of(leaf)
        if owner not in (None, "torch"):
            raise CaptureError(
                f"expected a tensor of PyTorch for {path!r}, received an array of {owner}",
                hint='give torch.as_tensor(x), or ivyhub.engine.to_framework(x, "torch")',
            )
    return arguments


def flattened(signature: inspect.Signature, bound: inspect.BoundArguments) -> dict[str, Any]:
    """Bound arguments by name, those of ``**kwargs`` among the others."""
    arguments = dict(bound.arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments.update(arguments.pop(parameter.name, {}))
    return arguments


def unbind(module: Any, arguments: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments by name as a call's ``args`` and ``kwargs``: the inverse of `bind`.

    Example:
        >>> import torch
        >>> class Sum(torch.nn.Module):
        ...     def forward(self, x, /, *others, scale=1): ...
        >>> unbind(Sum(), {"x": 1, "others": (2, 3), "scale": 4})
        ((1, 2, 3), {'scale': 4})
    """
    args: list[Any] = []
    kwargs = dict(arguments)
    parameters = inspect.signature(module.forward).parameters.values()
    starred = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL and kwargs.get(p.name)), None)
    for parameter in parameters:
        positional = parameter.kind is parameter.POSITIONAL_ONLY or (
            starred is not None and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        )
        if parameter.kind is parameter.VAR_POSITIONAL:
            args += kwargs.pop(parameter.name, ())
        elif positional and parameter.name in kwargs:
            args.append(kwargs.pop(parameter.name))
    return tuple(args), kwargs


@contextlib.contextmanager
def named_arguments(module: Any, names: Iterable[str]) -> Generator[None]:
    """While entered, ``forward`` names what it takes as ``**kwargs``, whose sizes torch.export would fix."""
    forward = module.forward
    signature = inspect.signature(forward)
    others = [name for name in names if name not in signature.parameters]
    if not others:
        yield
        return

    def named(*args: Any, **kwargs: Any) -> Any:
        return forward(*args, **kwargs)

    kept = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    extra = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in others]
    named.__signature__ = signature.replace(parameters=[*kept, *extra])  # type: ignore[attr-defined]
    own = module.__dict__.get("forward")
    module.forward = named
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def name_calls(graph: Graph, nodes: Iterable[Any], env: Mapping[Any, Any]) -> None:
    """Fill the call table's arguments and results from the marks that hooks left at the nodes of a trace."""
    results: dict[int, dict[str, Value]] = {}
    for node in nodes:
        value = env.get(node)
        for call, role, keys in node.meta.get("ivyhub_marks", ()):
            if not isinstance(value, Value):
                continue
            if role == "result":
                results.setdefault(call, {})[".".join(keys)] = value
                continue
            name, *rest = keys
            arguments = graph.calls[call].arguments
            arguments[name] = {**(arguments[name] or {}), ".".join(rest): value} if rest else value
    for call, found in results.items():
        graph.calls[call].result = found
