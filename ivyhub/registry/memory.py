"""Models in memory: traced, transpiled, and kept in the registry."""

from __future__ import annotations

import importlib
import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ivyhub.engine import trace as tracing
from ivyhub.engine.backends import framework_of
from ivyhub.engine.graph import Graph, Value, tree_leaves
from ivyhub.engine.passes import simplify
from ivyhub.engine.spec import Spec, spec_of
from ivyhub.engine.stateful.module import Module
from ivyhub.errors import CaptureError, CheckpointError, TensorMismatchError, UnknownNameError, UsageError
from ivyhub.registry import conversion, versions
from ivyhub.registry.adapters import emit, modules
from ivyhub.registry.adapters.running import Original
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.adapters.writing.export import Export
from ivyhub.registry.export import (
    Record,
    call_load,
    import_package,
    read_record,
    record_of,
    record_of_object,
    write_source,
    write_weights,
)
from ivyhub.registry.files import Digest, digest_bytes
from ivyhub.registry.layout import in_layout
from ivyhub.registry.manifest import FileRecord, Origin, Parent, Version
from ivyhub.registry.pipeline import Model, Recipe, arrange, floating_dtype, input_specs, model_of, through
from ivyhub.registry.progress import SILENT
from ivyhub.registry.source import CONFIG
from ivyhub.registry.store import Store
from ivyhub.registry.weights import (
    Cast,
    Checkpoint,
    Entry,
    MemoryCheckpoint,
    PlannedTensor,
    Step,
    TensorInfo,
    WeightMap,
    open_checkpoint,
)
from ivyhub.registry.weights.dtypes import numpy_dtype

Dynamic = Mapping[str, Mapping[int, str]]

#: The modules that graphs were traced from and their arrays, for as long as the graph is alive.
_TRACED: weakref.WeakKeyDictionary[Graph, tuple[Any, dict[str, Any]]] = weakref.WeakKeyDictionary()


def trace(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Dynamic) -> Graph:
    """See `ivyhub.trace`."""
    if _is_torch(function) or isinstance(function, Module):
        found = _capture(function, args, kwargs, dynamic)
        graph = simplify(found.graph)
        _TRACED[graph] = function, found.tensors
        return graph
    if not callable(function):
        raise UsageError(
            "expected a torch.nn.Module, a module of ivyhub.engine.nn or a function of ivyhub.engine.ops, received "
            f"{type(function).__name__}"
        )
    if dynamic:
        raise UsageError("the sizes of a function's inputs are named in their specs, not by dynamic")
    specs = [arg if isinstance(arg, Spec) else spec_of(arg) for arg in args]
    named = {name: arg if isinstance(arg, Spec) else spec_of(arg) for name, arg in kwargs.items()}
    return simplify(tracing.trace(function, *specs, **named))


def transpile(
    module: Any,
    target: Target,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    dynamic: Dynamic,
    *,
    device: str | None,
    layout: str,
    verify: bool,
) -> Any:
    """See `ivyhub.transpile`."""
    if isinstance(module, Graph):
        if args or kwargs or dynamic:
            raise UsageError("a graph has its inputs already; expected no example inputs beside it")
        model, module, arrays = _of_graph(module)
        verify = verify and module is not None
    else:
        model, arrays = _captured(module, args, kwargs, dynamic)
    graph, last = in_layout(model.graph, target, layout)
    export = emit(graph, target)
    native = conversion.native_device(target, device)
    record = record_of(export, model.recipe, signature=versions.signature(graph), channels_last=last)
    with tempfile.TemporaryDirectory(prefix="ivyhub-") as name:
        folder = Path(name) / export.entry.lower()
        folder.mkdir()
        _write(folder, model, export, arrays)
        if verify:
            found = _certified(module, model, export, folder, channels_last=last, device=native)
            record = msgspec.structs.replace(record, certificate=found)
        package = import_package(folder)
        vars(package)["__ivyhub__"] = record
        return call_load(package, device=native)


def keep(
    store: Store,
    model: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    dynamic: Dynamic,
    *,
    name: str,
    dtype: str | None,
    verify: bool,
) -> Digest:
    """See `ivyhub.push`."""
    if isinstance(model, str | Path):
        folder = Path(model).expanduser()
        record = read_record(folder)
        with open_checkpoint(folder) as checkpoint:
            return _keep_export(store, record, checkpoint, name=name, dtype=dtype)
    known = None if isinstance(model, Graph) else record_of_object(model)
    if known is None and dtype is not None:
        raise UsageError("only an export is cast when it is pushed", hint="cast the module, or pull it with a dtype")
    if isinstance(model, Graph):
        found, module, arrays = _of_graph(model)
        return _keep_arrays(store, found, arrays, name=name, module=module if verify else None)
    if known is not None:
        record = known[0]
        adapter = importlib.import_module(f"ivyhub.registry.adapters.{Target.parse(record.target).framework}.run")
        arrays = adapter.tensors(model)
        return _keep_export(store, record, _checkpoint(arrays), name=name, dtype=dtype)
    found, arrays = _captured(model, args, kwargs, dynamic)
    return _keep_arrays(store, found, arrays, name=name, module=model if verify else None)


# -- capture ----------------------------------------------------------------------------------------------------------


def _is_torch(module: Any) -> bool:
    return any(
        f"{kind.__module__}.{kind.__qualname__}" == "torch.nn.modules.module.Module" for kind in type(module).__mro__
    )


def _capture(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Dynamic) -> Any:
    if isinstance(module, Module):
        return modules.capture(module, args, kwargs, dynamic)
    if not _is_torch(module):
        raise UsageError(
            f"expected a torch.nn.Module or a module of ivyhub.engine.nn, received {type(module).__name__}",
            hint="models of other frameworks come from a checkpoint: ivyhub.pull",
        )
    from ivyhub.registry.adapters.torch import capture

    found = capture.capture(module, args, kwargs, dynamic)
    for name, axes in dynamic.items():
        for _, value in tree_leaves(found.graph.inputs.get(name)):
            for axis, size in axes.items():
                if isinstance(value, Value) and isinstance(value.shape[axis], int):
                    raise CaptureError(
                        f"axis {axis} of {name!r} was named {size!r}, but the module only takes "
                        f"{value.shape[axis]} there",
                        hint="leave it out of dynamic; an export for another size needs another capture",
                    )
    return found


def _captured(
    module: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Dynamic
) -> tuple[Model, dict[str, Any]]:
    """A live module as a model, and its arrays by the paths of the graph's parameters."""
    found = _capture(module, args, kwargs, dynamic)
    graph = found.graph
    if isinstance(module, Module):
        missing = [
            path for path, parameter in graph.parameters() if parameter.alias is None and path not in found.tensors
        ]
        if missing:
            raise UsageError(
                f"{type(module).__name__} has no numbers yet for {', '.join(missing[:20])}", hint="call init"
            )
    examples = found.examples if isinstance(module, Module) else _examples(module, args, kwargs)
    recipe = Recipe(input_specs(graph, examples), {}, _identity(graph), tuple(found.notes))
    return model_of(graph, recipe), found.tensors


def _examples(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The example arrays by path, for the range of their integers."""
    from ivyhub.registry.adapters.torch.arguments import bind
    from ivyhub.registry.adapters.torch.trees import to_numpy

    return {
        path: to_numpy(leaf)
        for path, leaf in tree_leaves(bind(module, args, kwargs))
        if framework_of(leaf) == "torch" and not leaf.is_meta
    }


def _of_graph(graph: Graph) -> tuple[Model, Any, dict[str, Any]]:
    """A graph as a model, the module that it was traced from, if that lives, and its arrays.

    Raises `UsageError` where it has parameters, and nothing to take them from.
    """
    recipe = Recipe(input_specs(graph, {}), {}, _identity(graph))
    module, arrays = _TRACED.get(graph, (None, None))
    if arrays is None and recipe.weights:
        raise UsageError(
            f"the graph has {len(recipe.weights)} parameters and no weights",
            hint="use the module, or the graph that ivyhub.trace returned for it in this process",
        )
    return Model(graph, recipe), module, arrays or {}


def _identity(graph: Graph) -> tuple[Entry, ...]:
    """The recipe's weights where the checkpoint has the names of the graph."""
    return tuple(Entry((path,), (path,)) for path, parameter in graph.parameters() if parameter.alias is None)


def _checkpoint(arrays: Mapping[str, Any]) -> Checkpoint:
    """Arrays of PyTorch or NumPy as a checkpoint; nothing is copied that is in memory already."""
    from ivyhub.registry.adapters.torch.trees import to_numpy

    return MemoryCheckpoint(
        {
            name: to_numpy(array) if framework_of(array) == "torch" else np.asarray(array)
            for name, array in arrays.items()
        }
    )


def _write(folder: Path, model: Model, export: Export, arrays: Mapping[str, Any]) -> None:
    write_source(folder, export)
    write_weights(folder, export, model.tensors(_checkpoint(arrays), export.weights))


def _certified(
    module: Any, model: Model, export: Export, folder: Path, *, channels_last: tuple[str, ...] = (), device: Any
) -> dict[str, Any]:
    """The certificate of an export against the live module. Raises `VerificationError` where they do not agree."""
    original = _original(module, model)
    found = conversion.measure(
        model, export, original, folder, channels_last=channels_last, device=device, progress=SILENT
    )
    conversion.refuse_missed(type(module).__name__, export.target, found)
    return {**found, "reference": f"the module {type(module).__name__} in memory"}


def _original(module: Any, model: Model) -> Callable[[], Original]:
    """Opens a copy of a live module: a certificate trains what it compares."""
    import copy

    from ivyhub.registry.adapters.torch.run import TorchRunner

    if isinstance(module, Module):
        return lambda: modules.ModuleRunner(module, lambda arrays: arrange(model.graph, arrays))
    return lambda: TorchRunner(copy.deepcopy(module), arrange=lambda arrays: arrange(model.graph, arrays))


# -- keeping ----------------------------------------------------------------------------------------------------------


def _keep_arrays(store: Store, model: Model, arrays: Mapping[str, Any], *, name: str, module: Any = None) -> Digest:
    """Keep a model that is not in the registry, its arrays under the names of its graph.

    Where the module is given that it was captured from, its PyTorch export is compared with that first: it is what
    the exports of the version are compared with when the module is gone.
    """
    wanted = WeightMap(model.recipe.weights)
    text = model.graph.to_json().encode()
    proof = None
    if module is not None:
        export = emit(model.graph, Target.parse("torch"))
        with store.scratch() as folder:
            _write(folder, model, export, arrays)
            proof = _certified(module, model, export, folder, device=None)
    tensors = wanted.apply(_checkpoint(arrays))
    origin = Origin("memory", name, None, digest_bytes(text))
    return versions.put_tensors(store, model, tensors, origin=origin, proof=proof)


def _keep_export(store: Store, record: Record, native: Checkpoint, *, name: str, dtype: str | None) -> Digest:
    """Keep a fine-tuned export as a child of the version that it was made from."""
    if not store.has_version(record.version):
        raise UnknownNameError(
            f"the registry does not hold the version that this export of {record.target} was made from",
            hint="pull the original first, or push from the machine where it was pulled",
        )
    parent = store.version(record.version)
    model = conversion.model_as_kept(store, parent)
    missing = [name for entry in record.weights for name in entry.targets if name not in native]
    if missing:
        raise TensorMismatchError(
            f"expected the tensors of the export, received {len(missing)} fewer: {', '.join(missing[:20])}",
            hint="push the whole model, not a part of it",
        )
    dtype = dtype or _floating(native) or floating_dtype(model.graph)
    config = None
    with versions.open_weights(store, parent) as before:
        if dtype == floating_dtype(model.graph):
            tensors = _homeward(model, record, native, before, {name: before[name].dtype for name in before})
        else:
            recast = conversion.model_in(store, parent, dtype)
            tensors = _homeward(recast, record, native, before, _stored(recast, before))
            model, config = _in_its_dtype(store, parent, recast, tensors, dtype)
        origin = Origin("memory", name, None, digest_bytes(repr([t.info for t in tensors]).encode()))
        lineage = (Parent(record.version, "fine-tune"),)
        return versions.put_tensors(store, model, tensors, origin=origin, like=parent, config=config, parents=lineage)


def _floating(checkpoint: Checkpoint) -> str | None:
    """The floating-point type that most tensors have."""
    counts = Counter(info.dtype for info in checkpoint.values() if "float" in info.dtype)
    return max(counts, key=lambda dtype: counts[dtype], default=None)


def _stored(model: Model, before: Checkpoint) -> dict[str, str]:
    """The dtype of each tensor of a checkpoint as a model computes with it."""
    found = {name: before[name].dtype for name in before}
    for entry in model.recipe.weights:
        found |= dict.fromkeys(entry.sources, model.graph.parameter(entry.targets[0]).spec.dtype)
    return found


def _in_its_dtype(
    store: Store, parent: Version, recast: Model, tensors: list[PlannedTensor], dtype: str
) -> tuple[Model, FileRecord | None]:
    """The model of a version whose tensors are stored in a dtype, and its configuration, which names that dtype."""
    if parent.config is None:
        plain = tuple(msgspec.structs.replace(entry, steps=_uncast(entry)) for entry in recast.recipe.weights)
        return Model(recast.graph, msgspec.structs.replace(recast.recipe, weights=plain)), None
    said = msgspec.json.decode(store.read(parent.config.digest))
    said = {key: value for key, value in said.items() if key != "torch_dtype"} | {"dtype": dtype}
    data = msgspec.json.format(msgspec.json.encode(said), indent=2)
    shapes = {
        tensor.info.name: np.broadcast_to(np.zeros((), numpy_dtype(tensor.info.dtype)), tensor.info.shape)
        for tensor in tensors
    }
    with store.scratch() as folder:
        (versions.configuration(store, parent, folder) / CONFIG).write_bytes(data)
        model = conversion.capture_folder(folder, MemoryCheckpoint(shapes))
    return model, store.record(store.put_bytes(data))


def _uncast(entry: Entry) -> tuple[Step, ...]:
    return tuple(step for step in entry.steps if not isinstance(step, Cast))


def _homeward(
    model: Model, record: Record, native: Checkpoint, before: Checkpoint, dtypes: Mapping[str, str]
) -> list[PlannedTensor]:
    """The tensors of the parent's checkpoint, with the values of the export where it holds them.

    Args:
        model: of the parent.
        record: of the export.
        native: its tensors, in whatever floating-point types.
        before: the checkpoint of the parent.
        dtypes: the type in which each tensor of the checkpoint is to be.

    Raises:
        CheckpointError: the export and the version do not belong together.
    """
    to_graph = WeightMap(record.weights).inverse()
    made = {name for entry in to_graph.entries for name in entry.targets}
    recipe = (msgspec.structs.replace(entry, steps=_uncast(entry)) for entry in model.recipe.weights)
    to_source = WeightMap(tuple(recipe)).inverse()
    whole = [entry for entry in to_source.entries if made.issuperset(entry.sources)]
    home = through(to_graph, WeightMap(tuple(whole)))
    received = {tensor.info.name: tensor.info for tensor in home.apply(native)}
    cast = tuple(_to_dtypes(entry, received, dtypes) for entry in home.entries)
    returned = {tensor.info.name: tensor for tensor in WeightMap(cast).apply(native)}
    kept = WeightMap(tuple(Entry((name,), (name,)) for name in before if name not in returned)).apply(before)
    found = {tensor.info.name: tensor for tensor in kept} | returned
    wrong = [
        name
        for name in before
        if found[name].info.shape != before[name].shape or (name in returned and found[name].info.dtype != dtypes[name])
    ]
    if wrong:
        raise CheckpointError(f"the export does not fit its version: {', '.join(wrong[:20])}")
    return [found[name] for name in before]


def _to_dtypes(entry: Entry, received: Mapping[str, TensorInfo], dtypes: Mapping[str, str]) -> Entry:
    """The entry with casts between floating-point types at its end."""
    casts = tuple(
        Cast(dtypes[name], received[name].dtype, position)
        for position, name in enumerate(entry.targets)
        if dtypes[name] != received[name].dtype and "float" in dtypes[name] and "float" in received[name].dtype
    )
    return msgspec.structs.replace(entry, steps=(*entry.steps, *casts))


__all__ = ["keep", "trace", "transpile"]
