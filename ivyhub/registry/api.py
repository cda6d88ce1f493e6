"""What ivyhub does, as functions: each command of the command line is one of these."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ivyhub.engine.backends import FRAMEWORKS
from ivyhub.errors import (
    IvyhubError,
    NetworkError,
    NoLoweringError,
    UnknownNameError,
    UnsafeError,
    UnsupportedOpsError,
    UsageError,
)
from ivyhub.registry import conversion, locking, memory, versions
from ivyhub.registry.adapters import emit
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.export import load_package, read_record
from ivyhub.registry.export_folder import check_destination, materialise
from ivyhub.registry.files import Digest
from ivyhub.registry.layout import check_layout, turned
from ivyhub.registry.listing import Listed, list_models
from ivyhub.registry.manifest import ExportRecord, Version
from ivyhub.registry.model_files import find_model_file
from ivyhub.registry.names import resolve_source, table
from ivyhub.registry.progress import SILENT, Progress
from ivyhub.registry.refs import check_name
from ivyhub.registry.store import Store

if TYPE_CHECKING:
    from ivyhub.engine.graph import Graph

Dynamic = Mapping[str, Mapping[int, str]]


class PullResult(msgspec.Struct, frozen=True):
    """What a pull did.

    Attributes:
        name: what was asked for.
        framework: the target, as the command line writes it.
        path: the folder of the package.
        version: the identity of the version in the registry.
        reused: whether the registry had the export already.
        seconds: how long the whole pull took.
        certificate: the measured agreement with the original; None where it was not measured.
    """

    name: str
    framework: str
    path: str
    version: Digest
    reused: bool
    seconds: float
    certificate: dict[str, Any] | None


class Details(msgspec.Struct, frozen=True):
    """One model of the registry in full; `tree`, `graph` and `source` are texts."""

    name: str
    tags: list[str]
    digest: Digest
    origin: str
    framework: str
    created: str
    size: int
    parameters: int
    signature: dict[str, Any]
    metrics: dict[str, float]
    config: dict[str, Any] | None
    certificates: dict[str, dict[str, Any]]
    tree: str
    graph: str
    source: str


# -- pull ------------------------------------------------------------------------------------------------------------


def pull_package(
    name: str,
    *,
    framework: str,
    to: Path,
    device: str | None = None,
    dtype: str | None = None,
    layout: str = "source",
    new_name: str | None = None,
    verify: bool = True,
    force: bool = False,
    offline: bool | None = None,
    lock: Path | None = None,
    progress: Progress = SILENT,
    store: Store | None = None,
) -> PullResult:
    """Write a model as native source of a framework, with its weights and proof, into a folder.

    Args:
        name: a short name, a model of the registry or the Hub, a local folder in Hugging Face layout, or a model file.
        framework: ``torch``, ``jax``, ``flax.linen``, ``tensorflow`` or ``numpy``, with a version where one is meant.
        to: the folder.
        device: where the comparison runs; the framework's default if None.
        dtype: cast the weights to ``float32``, ``bfloat16`` or ``float16``.
        layout: of images: as the ``source`` takes them, or ``native``: with their channels last in JAX and TensorFlow.
        new_name: keep it in the registry under this name.
        verify: compare it with the original, and refuse it where it does not agree.
        force: replace the folder if it holds something already.
        offline: use no network; by default as the environment says.
        lock: a lock file that says which version the name stands for.
        progress: hears of each stage.
        store: the registry; the user's own by default.

    Raises:
        IvyhubError: see `ivyhub.errors`; nothing is left in the folder then.
    """
    start = time.perf_counter()
    store = store or Store()
    target = Target.parse(framework)
    check_destination(store, to, force=force)
    if new_name is not None:
        check_name(new_name)
    options = (device, dtype, layout, new_name, verify, offline, lock)
    digest, export, reused = _export(store, name, target, *options, progress)
    with progress.stage("write"):
        path = materialise(store, export, to, force=force)
    certificate = _certificate(store, export)
    return PullResult(name, str(target), str(path), digest, reused, time.perf_counter() - start, certificate)


def pull(
    name: str,
    framework: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    layout: str = "source",
    new_name: str | None = None,
    verify: bool = True,
    offline: bool | None = None,
) -> Any:
    """A model as a live, trainable model of a framework, its weights loaded.

    Args:
        name: a short name, a model of the registry or the Hub, a local folder in Hugging Face layout, or a model file.
        framework: ``torch``, ``jax``, ``flax.linen``, ``tensorflow`` or ``numpy``, with a version where one is meant.
        device: ``cpu``, ``gpu``, ``cuda:1``; the framework's default if None.
        dtype: cast the weights to ``float32``, ``bfloat16`` or ``float16``.
        layout: of images: as the ``source`` takes them, or ``native``: with their channels last in JAX and TensorFlow.
        new_name: keep it in the registry under this name.
        verify: compare it with the original the first time, and refuse it where it does not agree.
        offline: use no network; by default as the environment says.

    Raises:
        IvyhubError: see `ivyhub.errors`.

    Example:
        >>> import ivyhub
        >>> model = ivyhub.pull("minilm", framework="jax")  # doctest: +SKIP
    """
    store = Store()
    target = Target.parse(framework)
    conversion.check_installed(target)
    _, export, _ = _export(store, name, target, device, dtype, layout, new_name, verify, offline, None, SILENT)
    return load_package(conversion.view(store, export), device=conversion.native_device(target, device))


def _export(
    store: Store,
    name: str,
    target: Target,
    device: str | None,
    dtype: str | None,
    layout: str,
    new_name: str | None,
    verify: bool,
    offline: bool | None,
    lock: Path | None,
    progress: Progress,
) -> tuple[Digest, ExportRecord, bool]:
    """The version of a name and its export, each made where the store lacks it; the names are set last."""
    check_layout(layout)
    native = conversion.native_device(target, device)
    if lock is None:
        digest, own = _find(store, name, offline, progress)
    else:
        digest, own = locking.locked_version(store, name, lock, offline=offline, progress=progress), None
    export, reused = conversion.export_of(
        store, digest, target, name=name, dtype=dtype, layout=layout, verify=verify, device=native, progress=progress
    )
    for word in {word for word in (own, new_name) if word is not None}:
        store.refs.set(word, digest, why=f"pull {name}")
    return digest, export, reused


def _find(store: Store, name: str, offline: bool | None, progress: Progress) -> tuple[Digest, str | None]:
    """The version that a name means, captured if need be, and the name under which the registry lists it."""
    kept = _kept(store, name)
    if kept is not None and not _follows_source(store.version(kept), name):
        return kept, None
    path = find_model_file(name)
    if path is not None:
        return memory.version_of_file(store, path, progress), _listed_name(name, str(path), "file")
    try:
        with progress.stage("find"):
            source = resolve_source(name, offline=offline, store=store, known=store.refs.names())
    except NetworkError:
        if kept is None:
            raise
        return kept, None  # what was pulled before serves until the network is back
    return conversion.version_of(store, source, progress), _listed_name(name, source.id, source.kind)


def _kept(store: Store, name: str) -> Digest | None:
    """The version that the registry has under a name, or None.

    Raises:
        UnknownNameError: it has the name, but no such label of it.
    """
    try:
        return store.refs.resolve(name)
    except (UsageError, UnsafeError):
        if name.partition(":")[0] in store.refs.names():
            raise
        return None


def _follows_source(version: Version, name: str) -> bool:
    """Whether a name belongs to a source that may have moved on: a short name or an id of the Hub that was pulled."""
    bare = name.partition(":")[0].partition("@")[0]
    return version.origin.kind != "memory" and table().aliases.get(bare, bare) == version.origin.id


def _listed_name(name: str, id: str, kind: str) -> str | None:
    """The name that a pull gives a version: the short name, the Hub id, or that of the folder or file if it is one."""
    local = {"folder": Path(id).name, "file": Path(id).stem}
    word = local.get(kind) or (name if name in table().aliases else id)
    try:
        check_name(word)
    except IvyhubError:
        return None
    return word


def _label(export: ExportRecord) -> str:
    """An export among those of its version."""
    return export.target + (", native layout" if export.options.get("layout") == "native" else "")


def _certificate(store: Store, export: ExportRecord) -> dict[str, Any] | None:
    return None if export.certificate is None else msgspec.json.decode(store.read(export.certificate))


# -- what is there ---------------------------------------------------------------------------------------------------


def show(name: str, *, store: Store | None = None) -> Details:
    """One model of the registry: what it takes and gives, its configuration, its certificates, its source.

    Raises:
        UnknownNameError: the registry has no model of that name.

    Example:
        >>> import ivyhub
        >>> print(ivyhub.show("minilm").tree)  # doctest: +SKIP
    """
    store = store or Store()
    digest = store.refs.resolve(name)
    version = store.version(digest)
    graph = conversion.model_as_kept(store, version).graph
    exports = store.exports(digest)
    newest = max(exports, key=lambda export: export.created, default=None)
    signature = {key: value for key, value in version.signature.items() if key != "parameters"}
    bare = name.partition("@")[0].partition(":")[0]
    return Details(
        name=name,
        tags=[word for word, label in store.refs.labels(bare).items() if label.digest == digest],
        digest=digest,
        origin=version.origin.id + (f" at {version.origin.revision}" if version.origin.revision else ""),
        framework=f"{version.framework} {version.framework_version}",
        created=version.created.isoformat(),
        size=version.size,
        parameters=version.parameters,
        signature=signature,
        metrics=version.metrics or {},
        config=None if version.config is None else msgspec.json.decode(store.read(version.config.digest)),
        certificates={
            _label(export): found for export in exports if (found := _certificate(store, export)) is not None
        },
        tree=graph.tree(),
        graph=str(graph),
        source="" if newest is None else _source(store, newest),
    )


def _source(store: Store, export: ExportRecord) -> str:
    """The text of an export, none where its program is no text."""
    found = export.package.get("modeling.py")
    return "" if found is None else store.read(found.digest).decode()


def frameworks() -> list[tuple[str, list[str], str | None, str, str]]:
    """Every framework: name, flavours, installed version or None, the oldest version served, the extra that brings it.

    Example:
        >>> import ivyhub
        >>> [name for name, *_ in ivyhub.frameworks()]
        ['numpy', 'torch', 'jax', 'tensorflow']
    """
    return [
        (row.name, list(row.flavours), None if row.installed is None else str(row.installed), row.minimum, row.extra)
        for row in FRAMEWORKS.values()
    ]


def check(
    name: str, framework: str | None = None, *, offline: bool | None = None, store: Store | None = None
) -> list[tuple[str, str, str]]:
    """Every operation of a model that cannot be converted, without converting: (operation, module path, source line).

    Args:
        name: see `pull`.
        framework: check the way to this target too.
        offline: use no network; by default as the environment says.
        store: the registry; the user's own by default.

    Raises:
        IvyhubError: the model cannot be found or captured at all.

    Example:
        >>> import ivyhub
        >>> ivyhub.check("minilm", "jax")  # doctest: +SKIP
        []
    """
    store = store or Store()
    target = None if framework is None else Target.parse(framework)
    kept = _kept(store, name)
    try:
        if kept is not None and not _follows_source(store.version(kept), name):
            graph = conversion.model_as_kept(store, store.version(kept)).graph
        elif (path := find_model_file(name)) is not None:
            graph = memory.graph_of_file(path)
        else:
            graph = conversion.capture_source(resolve_source(name, offline=offline, store=store)).graph
        if target is not None:
            emit(graph, target)
    except (UnsupportedOpsError, NoLoweringError) as error:
        return list(error.missing)
    return []


def verify(export: str, *, progress: Progress = SILENT, store: Store | None = None) -> dict[str, Any]:
    """Compare an export with its original again, on fresh random inputs.

    Args:
        export: a folder that a pull wrote, or the name of a model in the registry: then each of its exports.
        progress: hears of each stage.
        store: the registry; the user's own by default.

    Returns:
        The certificate; see `ivyhub.registry.certificate.certify`.

    Raises:
        UnknownNameError: no such folder or model, or none of its exports is there.
        FrameworkNotInstalledError: the framework of the export or that of its original is missing.

    Example:
        >>> import ivyhub
        >>> ivyhub.verify("bert-jax")["rows"]  # doctest: +SKIP
    """
    store = store or Store()
    if Path(export).expanduser().is_dir():
        return _verify_folder(store, Path(export).expanduser().resolve(), progress)
    digest = store.refs.resolve(export)
    found = store.exports(digest)
    if not found:
        raise UnknownNameError(f"{export!r} has no export to verify", hint="pull it for a framework first")
    told = {}
    for record in found:
        for file in record.package.values():
            store.verify(file.digest)
        told[_label(record)] = _verify_folder(store, conversion.view(store, record), progress)
    if len(told) == 1:
        return next(iter(told.values()))
    rows = [{**row, "check": f"{name}: {row['check']}"} for name, one in told.items() for row in one["rows"]]
    return {**next(iter(told.values())), "rows": rows}


def _verify_folder(store: Store, folder: Path, progress: Progress) -> dict[str, Any]:
    record = read_record(folder)
    target = Target.parse(record.target)
    conversion.check_installed(target)
    if store.has_version(record.version):
        digest = record.version
    elif record.origin is not None and record.origin.kind == "file" and Path(record.origin.id).exists():
        digest = memory.version_of_file(store, Path(record.origin.id), progress)
        if store.version(digest).origin != record.origin:
            raise UnknownNameError(
                f"{record.origin.id} has changed since {folder} was made of it", hint="convert it again"
            )
    elif record.origin is not None and record.origin.kind not in ("file", "memory"):
        source = resolve_source(
            record.origin.id, revision=record.origin.revision if record.origin.kind == "hub" else None, store=store
        )
        digest = conversion.version_of(store, source, progress)
    else:
        raise UnknownNameError(
            f"the registry does not hold the original of {folder}", hint="verify it where it was pulled"
        )
    version = store.version(digest)
    original = conversion.original_of(store, version, record.dtype)
    model = conversion.model_in(store, version, record.dtype)
    last = record.channels_last
    export = emit(turned(model.graph, last), target)
    found = conversion.measure(model, export, original, folder, channels_last=last, device=None, progress=progress)
    return {**found, "reference": conversion.reference(version, record.dtype)}


# -- models in memory ------------------------------------------------------------------------------------------------


def trace(module_or_function: Any, *args: Any, dynamic: Dynamic | None = None, **kwargs: Any) -> Graph:
    """A model or function as a graph.

    Args:
        module_or_function: a source as `transpile` takes it; a pair of a module and its variables where its framework
            keeps them apart.
        args: its inputs: arrays, or for a function of the engine also `ivyhub.engine.spec.Spec`.
        dynamic: for an input by name, the name of each axis whose size varies: ``{"x": {0: "batch"}}``.
        kwargs: its inputs by name.

    Raises:
        CaptureError: it cannot be captured; with every operation that no rule reads.

    Example:
        >>> import ivyhub
        >>> from ivyhub.engine import ops
        >>> from ivyhub.engine.spec import Spec
        >>> print(ivyhub.trace(lambda x: ops.tanh(x) * 2, Spec(("n",))).nodes)
        [<tanh -> float32[n]>, <multiply -> float32[n]>]
    """
    return memory.trace(module_or_function, args, kwargs, dynamic or {})


def transpile(
    source: Any,
    variables: Any = None,
    *,
    to: str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    dynamic: Dynamic | None = None,
    device: str | None = None,
    layout: str = "source",
    verify: bool = False,
) -> Any:
    """A live model or function of one framework as a live, trainable one of another.

    Args:
        source: a ``torch.nn.Module``, a ``torch.export.ExportedProgram``; a function of JAX, a ``flax.nnx.Module``, a
            ``flax.linen.Module``; a function or module of TensorFlow, a Keras model; the path of a ``.keras`` or
            ``.onnx`` file or of a SavedModel, an ``onnx.ModelProto``; a function or module of the engine; or a graph,
            which has its inputs already.
        variables: of a Linen module, or the pytree of parameters that a function takes first.
        to: the target, as `pull` takes it.
        args: example inputs; shapes, dtypes and plain values count, not the numbers in arrays. A Keras model and an
            ONNX file know their own.
        kwargs: example inputs by name.
        dynamic: for an input by name, the name of each axis whose size varies: ``{"x": {0: "batch"}}``.
        device: where the weights go; the framework's default if None.
        layout: of images, as `pull` takes it.
        verify: compare the two on random inputs, and refuse the result where they do not agree.

    Returns:
        A module of the target; for a function without parameters, a function of the same arguments; for ``onnx``, an
        ``onnx.ModelProto``.

    Raises:
        CaptureError: it cannot be captured; with every operation that no rule reads.
        NoLoweringError: with every operation that the target cannot express.
        VerificationError: the two do not agree.

    Example:
        >>> import ivyhub, torch
        >>> native = ivyhub.transpile(torch.nn.Linear(3, 2), to="jax", args=(torch.ones(4, 3),))
        >>> type(native).__mro__[1].__module__.partition(".")[0]
        'flax'
    """
    target = Target.parse(to)
    check_layout(layout)
    conversion.check_installed(target)
    source = source if variables is None else (source, variables)
    return memory.transpile(
        source, target, args, kwargs or {}, dynamic or {}, device=device, layout=layout, verify=verify
    )


def push(
    model: Any,
    name: str,
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    dynamic: Dynamic | None = None,
    dtype: str | None = None,
    metrics: Mapping[str, float] | None = None,
    merged_from: Sequence[str] = (),
    verify: bool = True,
    store: Store | None = None,
) -> Digest:
    """Keep a model in the local registry under a name.

    A fine-tuned export, live or as a folder, goes back to the names and layouts of the checkpoint that it came from,
    as a new version whose parent is that one; its numbers keep the type that they have. Any other source of `transpile`
    is captured with the inputs given; its PyTorch export is compared with it, and stands for it when other exports are
    compared with their original later.

    Args:
        model: a live export, the folder of one, a source as `transpile` takes it, with its variables in a pair where
            its framework keeps them apart, or a graph of `trace`.
        name: ``name`` or ``organisation/name``.
        args: of a source that is no export: example inputs, see `transpile`.
        kwargs: of such a source: example inputs by name.
        dynamic: of such a source: the names of its symbolic sizes.
        dtype: of an export: cast it to this floating-point type, ``float32`` for one that was trained in bfloat16.
        metrics: figures to keep with the version, as ``{"accuracy": 0.91}``.
        merged_from: of an export: the other models of the registry whose weights went into it.
        verify: compare such a source with its PyTorch export, and refuse it where they do not agree.
        store: the registry; the user's own by default.

    Returns:
        The identity of the version.

    Raises:
        UsageError: the name is none, or the model is of no kind that can be kept.
        TensorMismatchError: tensors of the export are missing or have other shapes.
        VerificationError: the module and its PyTorch export do not agree.

    Example:
        >>> import ivyhub
        >>> ivyhub.push(model, "my-bert")  # doctest: +SKIP
        'sha256:...'
    """
    check_name(name)
    store = store or Store()
    merged = [store.refs.resolve(reference) for reference in merged_from]
    digest = memory.keep(store, model, args, kwargs or {}, dynamic or {}, name=name, dtype=dtype, verify=verify)
    if metrics or merged:
        digest = versions.amended(store, digest, metrics=metrics or {}, merged=merged)
    store.refs.set(name, digest, why="push")
    return digest


__all__ = [
    "Details",
    "Listed",
    "PullResult",
    "check",
    "frameworks",
    "list_models",
    "pull",
    "pull_package",
    "push",
    "show",
    "trace",
    "transpile",
    "verify",
]
