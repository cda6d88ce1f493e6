"""A function that was transpiled as a function again: it takes what its source takes, nested as the source takes it.

An export of a function is a module. Without parameters, there is nothing that a user would want of it but to call it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ivyhub.engine.backends import load
from ivyhub.engine.graph import Graph, Record, Value, tree_leaves
from ivyhub.engine.outline import arguments
from ivyhub.engine.passes.common import RANDOM
from ivyhub.errors import UsageError
from ivyhub.registry.adapters.arguments import record_class
from ivyhub.registry.adapters.target import Target


def is_function(graph: Graph) -> bool:
    """Whether a graph is of a function, and holds neither parameters, nor what differs in training, nor draws."""
    kept = any(node.op in (*RANDOM, "call") or node.attributes.get("dropout_rate", 0) for node in graph.nodes)
    return "function" in graph.meta and not kept and next(graph.parameters(), None) is None and not graph.updates


def as_function(graph: Graph, model: Any, target: Target) -> Callable[..., Any]:
    """The live export of such a graph as a function of its target.

    It has the name and the parameters of the source. What is no array was a part of the program when the source was
    captured: it has a default where Python allows one, and another value is refused, as are trees of another structure,
    by `UsageError`.
    """
    call = _caller(model, target)
    name = str(graph.meta["function"]["name"])
    known = [(word, str(kind)) for word, kind in graph.meta["function"]["parameters"] if word in graph.inputs]
    named = {word for word, _ in known}
    known += [(word, "KEYWORD_ONLY") for word in graph.inputs if word not in named]  # of the source's **kwargs
    taken = arguments(graph)

    def run(given: Mapping[str, Any]) -> Any:
        found: list[Any] = []
        for word, tree in graph.inputs.items():
            fitted = _fitted(name, tree, given[word], word)
            found += [fitted] if word in taken else [leaf for _, leaf in tree_leaves(fitted) if leaf is not None]
        return call(*found)

    function = _with_signature(known, {word: _settings(tree) for word, tree in graph.inputs.items()}, run)
    function.__name__ = function.__qualname__ = name
    function.__module__ = type(model[0] if isinstance(model, tuple) else model).__module__
    function.__doc__ = f"{name} of {graph.meta.get('framework', 'ivyhub')} for {target}, written by ivyhub."
    return function


class _Open:
    """Stands for a value that has no default."""


def _settings(tree: Any) -> Any:
    """The default of an argument: its value where it holds no array."""
    return _Open if isinstance(tree, Value | tuple | list | dict | Record) else tree


def _with_signature(known: list[tuple[str, str]], defaults: Mapping[str, Any], run: Callable[..., Any]) -> Any:
    """A function of named parameters that gives ``run`` its arguments by name.

    It is compiled from a signature, and not bound at each call, so that compilers of the frameworks see through it.
    """
    kinds = {kind.name: kind for kind in _KINDS}
    parameters: list[inspect.Parameter] = []
    for word, kind in sorted(known, key=lambda each: _KINDS.index(kinds[each[1]])):
        parameters.append(inspect.Parameter(word, kinds[kind]))
    open_ends = [p.name for p in parameters if p.kind in _KINDS[:2] and defaults[p.name] is _Open]
    last = open_ends[-1] if open_ends else None  # no default may stand before it
    behind = last is None
    for place, parameter in enumerate(parameters):
        value = defaults[parameter.name]
        if value is not _Open and (behind or parameter.kind is parameter.KEYWORD_ONLY):
            parameters[place] = parameter.replace(default=value)
        behind = behind or parameter.name == last
    words = "".join(f"{parameter.name!r}: {parameter.name}, " for parameter in parameters)
    plain = inspect.Signature([parameter.replace(default=parameter.empty) for parameter in parameters])
    hook = "run" + "_" * max((len(parameter.name) for parameter in parameters), default=0)  # no parameter is called so
    found = eval(f"lambda {str(plain)[1:-1]}: {hook}({{{words}}})", {hook: run})
    stated = [p for p in parameters if p.default is not p.empty]
    found.__defaults__ = tuple(p.default for p in stated if p.kind in _KINDS[:2]) or None
    found.__kwdefaults__ = {p.name: p.default for p in stated if p.kind is p.KEYWORD_ONLY} or None
    return found


_KINDS = (
    *(inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_POSITIONAL),
    *(inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD),
)
"""The kinds of parameters in the order of a signature."""


def _fitted(name: str, tree: Any, given: Any, path: str) -> Any:
    """An argument as the export takes it, None for what is no array. Raises `UsageError` where it is not as it was."""
    match tree:
        case Value():
            if isinstance(given, Mapping | tuple | list) or given is None:
                raise UsageError(f"{name} expected an array as {path}, received {type(given).__name__}")
            return given
        case Mapping():
            if not isinstance(given, Mapping) or set(given) != set(tree):
                keys = sorted(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
                raise UsageError(f"{name} expected a dictionary of {sorted(map(str, tree))} as {path}, received {keys}")
            return {key: _fitted(name, child, given[key], f"{path}.{key}") for key, child in tree.items()}
        case tuple() | list():
            if not isinstance(given, tuple | list) or len(given) != len(tree):
                count = len(given) if isinstance(given, tuple | list) else type(given).__name__
                raise UsageError(f"{name} expected {len(tree)} items as {path}, received {count}")
            return [_fitted(name, child, given[place], f"{path}.{place}") for place, child in enumerate(tree)]
        case Record():
            found: list[Any] = []
            for key, child in tree.fields.items():
                part = given[key] if isinstance(given, Mapping) else getattr(given, key)
                found.append(_fitted(name, child, part, f"{path}.{key}"))
            return record_class(tree.name, tuple(tree.fields))(*found)
        case _:
            if type(given) is not type(tree) or given != tree:
                raise UsageError(
                    f"{name} was captured with {path}={tree!r}, received {given!r:.80}",
                    hint="what is no array is a part of the program: capture it again with that value",
                )
            return None


def _caller(model: Any, target: Target) -> Callable[..., Any]:
    """How a live export without parameters is called with its arrays."""
    if isinstance(model, tuple):  # a Linen module and its variables
        module, variables = model
        return functools.partial(module.apply, variables)
    if target.framework == "tensorflow":  # as a model, Keras would cast the arrays to its own dtype
        tf = load("tensorflow")

        def tensor(leaf: Any) -> Any:
            return None if leaf is None else tf.convert_to_tensor(leaf)

        return lambda *arguments: model.call(*tf.nest.map_structure(tensor, arguments))
    return model


__all__ = ["as_function", "is_function"]
