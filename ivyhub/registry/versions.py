"""Models in the store: what is kept of one, and how it comes back."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ivyhub import __version__
from ivyhub.engine.dims import product
from ivyhub.engine.graph import Graph, Value, tree_leaves
from ivyhub.errors import CorruptFileError, GraphError, UsageError
from ivyhub.registry.files import Digest, digest_file
from ivyhub.registry.manifest import FileRecord, Origin, Parent, Version, now
from ivyhub.registry.pipeline import Model, Recipe
from ivyhub.registry.source import CONFIG, FOREIGN, Source
from ivyhub.registry.store import Store
from ivyhub.registry.weights import Checkpoint, Entry, PlannedTensor, WeightMap, write_safetensors
from ivyhub.registry.weights.checkpoint import open_shards

RECIPE = "ivyhub-recipe.json"
PROOF = "ivyhub-proof.json"
_OWN = {RECIPE, PROOF}  # what ivyhub keeps beside a model; the other files travel with it


@contextmanager
def open_source(source: Source) -> Generator[Checkpoint]:
    """The weights of a source, under the names that transformers has for them in PyTorch.

    Raises:
        CheckpointError: they are another framework's, and no family has all of their names.
    """
    files = [source.folder / name for name in source.weights]
    if source.weights[0] not in FOREIGN:
        with open_shards(files) as checkpoint:
            yield checkpoint
        return
    from ivyhub.registry.adapters.families import renamed
    from ivyhub.registry.checkpoints import open_file

    with open_file(files[0]) as checkpoint:
        yield renamed(checkpoint, "transformers")[0]


def put_source(store: Store, model: Model, source: Source) -> Digest:
    """Keep a model that was captured from a checkpoint; the checkpoint's own files are its weights, if safetensors."""
    files = {name: _adopt(store, source, name) for name in source.files if name not in {*source.weights, CONFIG}}
    if source.weights[0] in FOREIGN:
        with open_source(source) as checkpoint:
            unchanged = WeightMap(tuple(Entry((name,), (name,)) for name in checkpoint))
            weights, index = _write_weights(store, unchanged.apply(checkpoint))
        for name in source.weights:
            _check_digest(source, name, digest_file(source.folder / name))
        files |= index
    else:
        weights = {name: _adopt(store, source, name) for name in source.weights}
    return _put(
        store,
        model,
        origin=source.origin,
        weights=weights,
        config=_adopt(store, source, CONFIG),
        files=files,
        licence=source.licence,
    )


def put_tensors(
    store: Store,
    model: Model,
    tensors: list[PlannedTensor],
    *,
    origin: Origin,
    like: Version | None = None,
    config: FileRecord | None = None,
    parents: tuple[Parent, ...] = (),
    proof: Mapping[str, Any] | None = None,
) -> Digest:
    """Keep a model with tensors under the names of its checkpoint.

    Args:
        store: where to.
        model: its recipe's sources are the names of the tensors.
        tensors: read while they are written.
        origin: where they come from.
        like: a version whose configuration, tokenizer and licence hold for this one too.
        config: a configuration in place of that one's.
        parents: the versions that this one was made from.
        proof: the certificate of its PyTorch export against the module that it was captured from.
    """
    records, index = _write_weights(store, tensors)
    kept = {name: file for name, file in like.files.items() if name not in _OWN} if like else {}
    kept = {name: file for name, file in kept.items() if not name.endswith(".safetensors.index.json")}
    if proof is not None:
        kept[PROOF] = store.record(store.put_bytes(msgspec.json.encode(proof, order="sorted")))
    return _put(
        store,
        model,
        origin=origin,
        weights=records,
        config=config or (like.config if like else None),
        files={**kept, **index},
        licence=like.licence if like else None,
        parents=parents,
    )


def amended(store: Store, digest: Digest, *, metrics: Mapping[str, float], merged: Sequence[Digest] = ()) -> Digest:
    """The version of that digest with more that is said of it: another version, made of the same bytes.

    Args:
        store: where it is.
        digest: the version.
        metrics: figures of the user's own.
        merged: further versions whose weights went into it.

    Raises:
        UsageError: a figure has no name, or is no finite number; or the version was not made from another.
    """
    version = store.version(digest)
    for name, number in metrics.items():
        if not name or not math.isfinite(number):
            raise UsageError(f"expected metrics with names and finite numbers, received {name!r}: {number}")
    if merged and not version.parents:
        raise UsageError(
            "only an export was made from versions of the registry", hint="push the export that the merge started from"
        )
    if merged:
        parents = dict.fromkeys([*(parent.digest for parent in version.parents), *merged])
        version = msgspec.structs.replace(version, parents=tuple(Parent(each, "merge") for each in parents))
    if metrics:
        version = msgspec.structs.replace(version, metrics=dict(metrics))
    return store.put_version(version)


def _put(
    store: Store,
    model: Model,
    *,
    origin: Origin,
    weights: dict[str, FileRecord],
    config: FileRecord | None,
    files: dict[str, FileRecord],
    licence: str | None,
    parents: tuple[Parent, ...] = (),
) -> Digest:
    files[RECIPE] = store.record(store.put_bytes(msgspec.json.encode(model.recipe, order="sorted")))
    meta = model.graph.meta
    return store.put_version(
        Version(
            origin=origin,
            framework=str(meta.get("framework", "ivyhub")),
            framework_version=str(meta.get("version", __version__)),
            ivyhub=__version__,
            created=now(),
            licence=licence,
            graph=store.record(store.put_bytes(model.graph.to_json().encode())),
            config=config,
            weights=weights,
            files=files,
            signature=signature(model.graph),
            parents=parents,
        )
    )


def _adopt(store: Store, source: Source, name: str) -> FileRecord:
    """A file of a source as a blob, proved to be the bytes that were announced."""
    _check_digest(source, name, store.put_file(source.folder / name))
    return source.files[name]


def _check_digest(source: Source, name: str, digest: Digest) -> None:
    if digest != source.files[name].digest:
        raise CorruptFileError(
            f"{source.folder / name} changed while it was read", hint="run it again once nothing else writes there"
        )


def _write_weights(store: Store, tensors: list[PlannedTensor]) -> tuple[dict[str, FileRecord], dict[str, FileRecord]]:
    """Tensors as safetensors in the store, and the index of their shards, where there are several."""
    with store.scratch() as folder:
        paths = write_safetensors(folder / "model.safetensors", tensors, metadata={"format": "pt"})
        records = {path.name: store.record(store.put_file(path, move=True)) for path in paths}
    index = {name: records.pop(name) for name in list(records) if name.endswith(".json")}
    return records, index


def signature(graph: Graph) -> dict[str, Any]:
    """Inputs and outputs by name, each as ``float32[batch, 3]``, and the number of trainable elements.

    Example:
        >>> from ivyhub.engine.spec import Spec
        >>> from ivyhub.engine.trace import trace
        >>> signature(trace(lambda x: {"y": x + x}, Spec(("n",))))
        {'inputs': {'x': 'float32[n]'}, 'outputs': {'y': 'float32[n]'}, 'parameters': 0}
    """

    def told(tree: Any) -> dict[str, str]:
        return {path or "output": str(leaf.spec) for path, leaf in tree_leaves(tree) if isinstance(leaf, Value)}

    count = sum(product(p.spec.shape) for _, p in graph.parameters() if p.trainable and p.alias is None)
    return {"inputs": told(graph.inputs), "outputs": told(graph.outputs), "parameters": count}


def get_model(store: Store, version: Version) -> Model:
    """A model as it was kept.

    Raises:
        CorruptFileError: a blob of the version is damaged or gone.
        GraphError: another ivyhub kept it, whose operations or formats this one does not know.
    """
    try:
        graph = Graph.from_json(store.read(version.graph.digest).decode())
    except GraphError as error:
        raise _foreign(version, error.message, error.hint) from error
    if RECIPE not in version.files:
        raise CorruptFileError(f"the version has no {RECIPE}", hint="pull the model again")
    try:
        recipe = msgspec.json.decode(store.read(version.files[RECIPE].digest), type=Recipe)
    except msgspec.DecodeError as error:
        raise _foreign(version, str(error)) from error
    return Model(graph, recipe)


def _foreign(version: Version, why: str, hint: str = "") -> GraphError:
    """What there is to say of bytes that are whole and yet cannot be read."""
    return GraphError(
        f"ivyhub {__version__} cannot read the graph of {version.origin.id}, which ivyhub {version.ivyhub} kept on "
        f"{version.created:%Y-%m-%d}: {why}",
        hint="push the module again, or load it with the ivyhub that kept it"
        + (f"; an operation of your own: {hint}" if hint else ""),
    )


def reference(version: Version) -> str:
    """What the exports of a version are compared with, in words; `conversion.original_of` opens it."""
    if version.config is not None:
        return f"the model of {version.framework} that its configuration describes"
    if PROOF in version.files:
        return "the PyTorch export of this version, which agreed with the module when that was pushed"
    if version.parents:
        return "the PyTorch export of this version, whose graph is that of the version it was made from"
    return "the PyTorch export of this version, which was compared with nothing when it was pushed"


@contextmanager
def open_weights(store: Store, version: Version) -> Generator[Checkpoint]:
    """The checkpoint of a version, read from the store."""
    with open_shards([store.places(file.digest) for file in version.weights.values()]) as checkpoint:
        yield checkpoint


def side_files(version: Version) -> Mapping[str, FileRecord]:
    """What travels with a model into every export: tokenizer, preprocessor, licence."""
    kept = {name: file for name, file in version.files.items() if name not in _OWN}
    return {name: file for name, file in kept.items() if not name.endswith((".safetensors.index.json", "README.md"))}


def configuration(store: Store, version: Version, folder: Path) -> Path:
    """Lay the configuration files of a version into a folder, for the library that reads them."""
    wanted = {CONFIG: version.config, "preprocessor_config.json": version.files.get("preprocessor_config.json")}
    for name, file in wanted.items():
        if file is not None:
            store.copy_out(file, folder / name)
    return folder
