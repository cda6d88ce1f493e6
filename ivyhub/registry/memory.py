"""Models in memory and in files: traced, transpiled, and kept in the registry."""

from __future__ import annotations

import functools
import importlib
import inspect
import tempfile
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ivyhub.engine import trace as tracing
from ivyhub.engine.backends import FRAMEWORKS, framework_of
from ivyhub.engine.graph import Graph, tree_map
from ivyhub.engine.passes import simplify
from ivyhub.engine.spec import spec_of
from ivyhub.errors import CheckpointError, TensorMismatchError, UnknownNameError, UsageError
from ivyhub.registry import conversion, model_files, versions
from ivyhub.registry.adapters import emit
from ivyhub.registry.adapters.source import KINDS, Live, capture_source, kind_of
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
from ivyhub.registry.function import as_function, is_function
from ivyhub.registry.layout import in_layout
from ivyhub.registry.manifest import FileRecord, Origin, Parent, Version
from ivyhub.registry.pipeline import Model, Recipe, arrange, floating_dtype, input_specs, model_of, through
from ivyhub.registry.progress import SILENT, Progress
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

#: What graphs were traced from, for as long as the graph is alive.
_TRACED: weakref.WeakKeyDictionary[Graph, Live] = weakref.WeakKeyDictionary()


def trace(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Dynamic) -> Graph:
    """See `ivyhub.trace`."""
    if kind_of(function, args, kwargs) is not None:
        found = capture_source(function, args, kwargs, dynamic)
        graph = simplify(found.graph)
        _note(graph, function)
        _TRACED[graph] = found.live
        return graph
    if not callable(function):
        raise UsageError(
            f"expected {', '.join(kind.name for kind in KINDS)} or a function of ivyhub.engine, received "
            f"{type(function).__name__}"
        )
    if dynamic:
        raise UsageError("the sizes of a function's inputs are named in their specs, not by dynamic")
    specs, named = tree_map(lambda leaf: spec_of(leaf) if framework_of(leaf) else leaf, (tuple(args), dict(kwargs)))
    return simplify(tracing.trace(function, *specs, **named))


def transpile(
    source: Any,
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
    if isinstance(source, Graph):
        if args or kwargs or dynamic:
            raise UsageError("a graph has its inputs already; expected no example inputs beside it")
        model, found = _of_graph(source)
    elif callable(source) and kind_of(source, args, kwargs) is None:
        model, found = _of_graph(trace(source, args, kwargs, dynamic))
    else:
        model, found = _captured(source, args, kwargs, dynamic)
        _note(model.graph, source)
    graph, last = in_layout(model.graph, target, layout)
    export = emit(graph, target)
    native = conversion.native_device(target, device)
    record = record_of(export, model.recipe, signature=versions.signature(graph), channels_last=last)
    with tempfile.TemporaryDirectory(prefix="ivyhub-") as name:
        folder = Path(name) / export.entry.lower()
        folder.mkdir()
        _write(folder, model, export, {} if found is None else found.tensors)
        if verify and found is not None:
            proof = _certified(found, model, export, folder, channels_last=last, device=native)
            record = msgspec.structs.replace(record, certificate=proof)
        package = import_package(folder)
        vars(package)["__ivyhub__"] = record
        live = call_load(package, device=native)
    callable_again = is_function(model.graph) and target.framework in FRAMEWORKS  # a format has no functions
    return as_function(model.graph, live, target) if callable_again else live


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
    if isinstance(model, str | Path) and kind_of(model) is None:
        folder = Path(model).expanduser()
        record = read_record(folder)
        with open_checkpoint(folder) as checkpoint:
            return _keep_export(store, record, checkpoint, name=name, dtype=dtype)
    known = None if isinstance(model, Graph) else record_of_object(model)
    if known is None and dtype is not None:
        raise UsageError("only an export is cast when it is pushed", hint="cast the module, or pull it with a dtype")
    if isinstance(model, Graph):
        return _keep_arrays(store, *_of_graph(model), name=name, verify=verify)
    if known is not None:
        record = known[0]
        adapter = importlib.import_module(f"ivyhub.registry.adapters.{Target.parse(record.target).framework}.run")
        arrays = adapter.tensors(model)
        return _keep_export(store, record, _checkpoint(arrays), name=name, dtype=dtype)
    return _keep_arrays(store, *_captured(model, args, kwargs, dynamic), name=name, verify=verify)


def version_of_file(store: Store, path: Path, progress: Progress) -> Digest:
    """The version of a model file: found by the digest of its bytes, or captured and kept.

    Raises:
        UnsupportedOpsError: with every operation that no rule reads.
        UnsafeError, CorruptFileError, CaptureError, FrameworkNotInstalledError.
    """
    origin = model_files.origin_of(path, store.digest_of)

    def make() -> Digest:
        with progress.stage("capture"):
            model, live = _captured(path, (), {}, {})
        with progress.stage("store"):
            tensors = WeightMap(model.recipe.weights).apply(_checkpoint(live.tensors))
            return versions.put_tensors(store, model, tensors, origin=origin)

    return conversion.kept_once(store, origin.id, origin.digest, make)


def graph_of_file(path: Path) -> Graph:
    """The graph of a model file, as `version_of_file` would keep it, of which nothing is kept."""
    return _captured(path, (), {}, {})[0].graph


# -- capture ----------------------------------------------------------------------------------------------------------


def _captured(source: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Dynamic) -> tuple[Model, Live]:
    """A live source as a model, with its arrays.

    Raises `UsageError` where some of them have no numbers yet.
    """
    found = capture_source(source, args, kwargs, dynamic)
    missing = [path for path, parameter in found.graph.parameters() if parameter.alias is None]
    missing = [path for path in missing if path not in found.tensors]
    if missing:
        raise UsageError(f"{type(source).__name__} has no numbers yet for {', '.join(missing[:20])}", hint="call init")
    recipe = Recipe(input_specs(found.graph, found.examples), {}, _identity(found.graph), tuple(found.notes))
    return model_of(found.graph, recipe), found.live


def _note(graph: Graph, source: Any) -> None:
    """Keep the signature of a source that is a function, compiled by its framework or not."""
    if inspect.isroutine(inspect.unwrap(source)) or isinstance(source, functools.partial):
        tracing.keep_signature(graph, source)


def _of_graph(graph: Graph) -> tuple[Model, Live | None]:
    """A graph as a model, and what it was traced from, if that lives.

    Raises `UsageError` where it has parameters, and nothing to take them from.
    """
    recipe = Recipe(input_specs(graph, {}), {}, _identity(graph))
    found = _TRACED.get(graph)
    if found is None and recipe.weights:
        raise UsageError(
            f"the graph has {len(recipe.weights)} parameters and no weights",
            hint="use the module, or the graph that ivyhub.trace returned for it in this process",
        )
    return Model(graph, recipe), found


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
    source: Live, model: Model, export: Export, folder: Path, *, channels_last: tuple[str, ...] = (), device: Any
) -> dict[str, Any]:
    """The certificate of an export against the live source. Raises `VerificationError` where they do not agree."""
    found = conversion.measure(
        model,
        export,
        lambda: source.original(lambda arrays: arrange(model.graph, arrays)),
        folder,
        channels_last=channels_last,
        device=device,
        progress=SILENT,
    )
    name = model.graph.modules[""].cls
    conversion.refuse_missed(name, export.target, found)
    return {**found, "reference": f"{name} in memory"}


# -- keeping ----------------------------------------------------------------------------------------------------------


def _keep_arrays(store: Store, model: Model, source: Live | None, *, name: str, verify: bool) -> Digest:
    """Keep a model that is not in the registry, its arrays under the names of its graph.

    Where what it was captured from lives, its PyTorch export is compared with that first: it is what the exports of
    the version are compared with when the source is gone.
    """
    arrays = {} if source is None else source.tensors
    wanted = WeightMap(model.recipe.weights)
    text = model.graph.to_json().encode()
    proof = None
    if verify and source is not None:
        export = emit(model.graph, Target.parse("torch"))
        with store.scratch() as folder:
            _write(folder, model, export, arrays)
            proof = _certified(source, model, export, folder, device=None)
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
        lineage = (Parent(record.version, "cast" if _are_cast(tensors, before) else "fine-tune"),)
        return versions.put_tensors(store, model, tensors, origin=origin, like=parent, config=config, parents=lineage)


def _are_cast(tensors: Sequence[PlannedTensor], before: Checkpoint) -> bool:
    """Whether tensors are those of a checkpoint in other types, and nothing else."""
    if all(tensor.info.dtype == before[tensor.info.name].dtype for tensor in tensors):
        return False
    for tensor in tensors:
        values, position = before.read(tensor.info.name).reshape(-1), 0
        for slab in tensor.read.slabs():
            expected = values[position : position + slab.size].astype(slab.dtype)
            if expected.tobytes() != slab.tobytes():
                return False
            position += slab.size
    return True


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


__all__ = ["graph_of_file", "keep", "trace", "transpile", "version_of_file"]
