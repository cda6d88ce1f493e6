"""Modules as graphs: a call of a module opens a `graph.Call`, a leaf layer becomes one ``call`` node."""

from __future__ import annotations

import functools
import inspect
from dataclasses import replace
from typing import Any

from ..graph import Call, Graph, ModuleInfo, tree_map
from ..graph import Parameter as GraphParameter
from ..op import Array
from ..recording import RECORDER
from ..spec import Spec, spec_of
from ..trace import trace as trace_function
from ..trees import is_array
from .module import TRACING, Buffer, Module, Parameter


class Tracing:
    """What a model's modules and arrays are called while it is traced, and the graph that records them.

    Attributes:
        root: the model.
        paths: of its modules, by identity.
        names: of its arrays, by identity.
        training: the modules, by identity, that were in training before the trace, which runs them in evaluation.
    """

    def __init__(self, root: Module) -> None:
        self.paths = {id(module): path for path, module in root.named_modules().items()}
        self.names = {id(slot): path for path, slot in root.slots().items()}
        self.root = root
        self.training = {id(module) for module in root.named_modules().values() if module.training}

    def read(self, module: Module, name: str, slot: Parameter) -> Array:
        """A parameter or buffer as a value of the graph; one from outside of the model is read as it is."""
        path = self.paths.get(id(module))
        if path is None:
            return slot.value
        builder = RECORDER.get()
        if slot.persistent is False:
            self.enter(builder.graph, path, name, slot)
        return builder.parameter(f"{path}.{name}" if path else name)

    def call(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a module in a scope of its own."""
        builder = RECORDER.get()
        path = self.paths.get(id(module))
        if path is None or module.inlined or (module is self.root and builder.scope.call == 0):
            return module.forward(*args, **kwargs)
        if module.leaf() is not None:
            arrays = inspect.signature(module.forward).bind(*args, **kwargs).args
            config = {} if builder.nested else builder.graph.modules[path].config
            if "spatial_rank" in config:  # a normalisation takes arrays of any rank, PyTorch has a class for each
                config["spatial_rank"] = max(spec_of(arrays[0]).ndim - 2, 1)
            return builder.call(path, arrays)
        if builder.nested:  # the graph of a branch or loop has no calls
            return module.forward(*args, **kwargs)
        graph: Graph = builder.graph
        bound = inspect.signature(module.forward).bind(*args, **kwargs)
        call = Call(path, builder.scope.call, dict(bound.arguments))
        graph.calls.append(call)
        with builder.recording(replace(builder.scope, call=len(graph.calls) - 1)):
            call.result = module.forward(*args, **kwargs)
        return call.result

    def enter_modules(self, graph: Graph) -> None:
        """Fill the module table."""
        for path, module in self.root.named_modules().items():
            steps = path.split(".")
            for end in range(len(steps)):  # lists and dictionaries of modules stand in the table, too
                graph.modules.setdefault(".".join(steps[:end]), ModuleInfo(".".join(steps[:end]), "ivyhub.Container"))
            leaf = None if path == "" else module.leaf()
            info = ModuleInfo(path, f"{type(module).__module__}.{type(module).__qualname__}")
            if leaf is not None:
                info.layer, info.config = type(leaf).__name__, leaf.config
            graph.modules[path] = info
            for name, slot in module.own_slots.items():
                if slot.persistent:  # others, as the keys of dropout, are entered where they are read
                    self.enter(graph, path, name, slot)

    def enter(self, graph: Graph, path: str, name: str, slot: Parameter) -> None:
        """Enter a parameter or buffer in the module table."""
        full = f"{path}.{name}" if path else name
        owner = self.names[id(slot)]
        graph.modules[path].parameters[name] = GraphParameter(
            slot.spec, not isinstance(slot, Buffer), slot.persistent, None if owner == full else owner
        )


def trace(module: Module, *specs: Any, **named: Any) -> Graph:
    """A module as a graph; see `Module.trace`.

    What differs in training is kept in leaf layers (dropout, batch normalisation), which are whole in the graph, and in
    the operation ``dropout``; other modules are traced as they run in evaluation.
    """
    tracing = Tracing(module)

    @functools.wraps(module.forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        tracing.enter_modules(RECORDER.get().graph)
        return module(*args, **kwargs)

    modes = {id(each): each.training for each in module.named_modules().values()}
    token = TRACING.set(tracing)
    try:
        module.eval()
        graph = trace_function(run, *map(_spec, specs), **{name: _spec(tree) for name, tree in named.items()})
    finally:
        TRACING.reset(token)
        for each in module.named_modules().values():
            each.training = modes[id(each)]
    del graph.meta["function"]
    kind = type(module)
    graph.modules[""].cls = f"{kind.__module__}.{kind.__qualname__}"
    graph.meta.update({"framework": "ivyhub", "class": graph.modules[""].cls, "module": kind.__module__})
    return graph


def _spec(tree: Any) -> Any:
    return tree_map(lambda leaf: spec_of(leaf) if is_array(leaf) else leaf, tree)


__all__ = ["Spec", "Tracing", "trace"]
