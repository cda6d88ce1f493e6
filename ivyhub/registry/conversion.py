"""The main flow: a source becomes a version, a version becomes an export, and each step is done once.

Both steps are idempotent. Whoever gets the lock looks first whether the work is done; what is written becomes visible
when it is complete, so a process that dies leaves nothing that looks finished.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from packaging.specifiers import SpecifierSet

from ivyhub import __version__
from ivyhub.engine.backends import FRAMEWORKS, load
from ivyhub.errors import FrameworkNotInstalledError, GraphError, TargetVersionError, VerificationError
from ivyhub.registry import certificate as certificates
from ivyhub.registry import model_files, versions
from ivyhub.registry.adapters import emit
from ivyhub.registry.adapters import source as sources
from ivyhub.registry.adapters.running import Original, Runner
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.adapters.writing.export import Export
from ivyhub.registry.divergence import first_difference
from ivyhub.registry.export import RECORD, card, encode_record, load_package, record_of, write_source, write_weights
from ivyhub.registry.files import Digest, digest_bytes, digest_hex, storage_errors
from ivyhub.registry.layout import ExportRunner, in_layout
from ivyhub.registry.manifest import ExportRecord, Version, encode, now
from ivyhub.registry.pipeline import Model, Recipe, arrange, cast, floating_dtype, keywords, model_of
from ivyhub.registry.progress import Progress
from ivyhub.registry.source import Source
from ivyhub.registry.store import Store
from ivyhub.registry.weights import Checkpoint


def capture_source(source: Source) -> Model:
    """Capture a checkpoint in Hugging Face layout; its weights are named and checked, not read.

    Raises:
        UnsupportedOpsError: with every operation that no rule reads.
        TensorMismatchError: with every tensor that does not fit.
        UnsafeError, CorruptFileError, CheckpointError, CaptureError, FrameworkNotInstalledError.
    """
    with versions.open_source(source) as checkpoint:
        return capture_folder(source.folder, checkpoint)


def capture_folder(folder: Path, checkpoint: Checkpoint, dtype: str | None = None) -> Model:
    """Capture what the configuration in a folder describes; of the checkpoint only names and shapes count."""
    from ivyhub.registry.adapters.torch.hub import capture_skeleton, read_folder

    skeleton = read_folder(folder, checkpoint, dtype)
    found = capture_skeleton(skeleton)
    assert skeleton.weights is not None
    recipe = Recipe(tuple(skeleton.inputs), skeleton.settings, tuple(skeleton.weights.entries), tuple(found.notes))
    return model_of(found.graph, recipe)


def model_as_kept(store: Store, version: Version) -> Model:
    """The model of a version; captured anew from its configuration where another ivyhub kept it in another form.

    Raises:
        GraphError: that form cannot be read, and there is no configuration.
        CorruptFileError: a blob of the version is damaged or gone.
    """
    try:
        return versions.get_model(store, version)
    except GraphError:
        if version.config is None:
            raise
    with store.scratch() as folder, versions.open_weights(store, version) as checkpoint:
        return capture_folder(versions.configuration(store, version, folder), checkpoint)


def model_in(store: Store, version: Version, dtype: str | None) -> Model:
    """The model of a version, its parameters and inputs in a floating-point type; as it was kept for None.

    A graph of a float32 model does not tell an explicit cast to float32, which stays one in another type, from a cast
    to the type of an array, which does not: both did nothing. So the model is captured anew in that type. One that was
    pushed without a configuration is gone: it computes in that type throughout.

    Raises:
        UsageError: not a floating-point type.
        CaptureError, UnsupportedOpsError, NoLoweringError: the model cannot be captured in it.
    """
    model = model_as_kept(store, version)
    recast = cast(model, dtype)
    if recast is model or version.config is None:
        return recast
    with store.scratch() as folder, versions.open_weights(store, version) as checkpoint:
        return capture_folder(versions.configuration(store, version, folder), checkpoint, dtype)


def version_of(store: Store, source: Source, progress: Progress) -> Digest:
    """The version of a source: found by its digest, or captured and kept."""

    def make() -> Digest:
        with progress.stage("capture"):
            model = capture_source(source)
        with progress.stage("store"):
            return versions.put_source(store, model, source)

    return kept_once(store, source.id, source.digest, make)


def kept_once(store: Store, origin: str, digest: Digest, make: Callable[[], Digest]) -> Digest:
    """The version that is kept of a source, by its digest; made where none is, by one process at a time."""

    def known() -> Digest | None:
        found = store.find_version(digest, origin=origin, ivyhub=__version__)
        return found if found is not None and store.is_whole(found) else None

    found = known()
    if found is not None:
        return found
    with store.lock(f"capture {origin} {digest}"):
        return known() or make()


def export_of(
    store: Store,
    digest: Digest,
    target: Target,
    *,
    name: str,
    dtype: str | None,
    layout: str,
    verify: bool,
    device: Any,
    progress: Progress,
) -> tuple[ExportRecord, bool]:
    """The export of a version for a target, and whether it was there already.

    Raises:
        VerificationError: it does not agree with its original; nothing is kept.
        NoLoweringError: with every operation that the target cannot express.
        FrameworkNotInstalledError, TargetVersionError: it is to be verified and cannot run here.
    """
    options = {"dtype": dtype, "ivyhub": __version__} | ({} if layout == "source" else {"layout": layout})
    version = store.version(digest)

    def known() -> ExportRecord | None:
        found = store.find_export(digest, str(target), options)
        return found if found is not None and (found.certificate is not None or not verify) else None

    found = known()
    if found is not None:
        return found, True
    if verify:
        check_installed(target)
    with store.lock(f"export {digest} {target} {dtype} {layout}"):
        found = known()
        if found is not None:
            return found, True
        model = model_in(store, version, dtype)
        graph, last = in_layout(model.graph, target, layout)
        with progress.stage("emit"):
            export = emit(graph, target)
        with store.scratch() as folder:
            package = folder / "package"
            package.mkdir()
            written = write_source(package, export)
            with progress.stage("weights"), versions.open_weights(store, version) as checkpoint:
                tensors = model.tensors(checkpoint, export.weights)
                written += write_weights(package, export, tensors, progress=progress)
            certificate = None
            if verify:
                original = original_of(store, version, dtype)
                certificate = measure(
                    model, export, original, package, channels_last=last, device=device, progress=progress
                )
                certificate["reference"] = reference(version, dtype)
                refuse_missed(name, target, certificate)
            record = record_of(
                export,
                model.recipe,
                signature=versions.signature(graph),
                channels_last=last,
                version=digest,
                graph=version.graph.digest,
                origin=version.origin,
                dtype=dtype,
                certificate=certificate,
            )
            with progress.stage("store"):
                files = {path.name: store.record(store.put_file(path, move=True)) for path in written}
                files |= versions.side_files(version)
                if version.config is not None:
                    files["config.json"] = version.config
                for file, data in ((RECORD, encode_record(record)), ("README.md", _card(name, record, version))):
                    files[file] = store.record(store.put_bytes(data))
                kept = store.put_bytes(msgspec.json.encode(certificate, order="sorted")) if certificate else None
                found = ExportRecord(
                    version=digest,
                    target=str(target),
                    options=options,
                    created=now(),
                    package=files,
                    certificate=kept,
                )
                store.put_export(found)
    return found, False


def _card(name: str, record: Any, version: Version) -> bytes:
    return card(name, record, version.licence).encode()


def check_installed(target: Target) -> None:
    """Refuse to verify, or to load, what cannot run here, before any work is done.

    Raises:
        FrameworkNotInstalledError: the framework is missing.
        TargetVersionError: another version of it is installed than was asked for.
    """
    row = target.row
    if row.installed is None and target.framework in FRAMEWORKS:
        load(target.framework)
    for part in (row, target.library):
        asked = "" if part is None else target.asks(part.distribution)
        if part is None or (part.installed is not None and SpecifierSet(asked).contains(part.installed, True)):
            continue
        if part.installed is None:
            raise FrameworkNotInstalledError(
                f"{part.distribution} is not installed, which {target} needs",
                hint=f"pip install 'ivyhub[{row.extra}]'",
            )
        raise TargetVersionError(
            f"expected {target} to be installed here, where the export is compared with its original, found "
            f"{part.installed}",
            hint=f"pip install '{part.distribution}{asked}', or write it unverified with --no-verify",
        )


def measure(
    model: Model,
    export: Export,
    original: Callable[[], Original],
    package: Path,
    *,
    channels_last: tuple[str, ...] = (),
    device: Any,
    progress: Progress,
) -> dict[str, Any]:
    """The certificate of a package, and the first module that differs where it misses.

    Args:
        model: what was exported, with its inputs as the source takes them.
        export: how it was written.
        original: opens what it is compared with.
        package: its folder.
        channels_last: the inputs that the package takes with their channels last.
        device: where it runs.
        progress: hears of each stage.
    """

    def opened() -> Runner:
        runner = open_runner(export.target, load_package(package, device=device))
        return ExportRunner(runner, model.graph, channels_last)

    trainable = any(parameter.trainable for _, parameter in model.graph.parameters())
    found = certificates.certify(
        model,
        original,
        opened,
        export.weights,
        trains=trainable and export.target.trains,
        dtype=floating_dtype(model.graph),
        progress=progress,
    )
    if certificates.missed(found):
        place = first_difference(model, export.target, original, package, seed=found["seed"])
        found["first_difference"] = place
    return found


def open_runner(target: Target, model: Any) -> Runner:
    """The runner of a live export, which takes the export's arguments by name."""
    return importlib.import_module(f"ivyhub.registry.adapters.{target.framework}.run").open_package(model)


def original_of(store: Store, version: Version, dtype: str | None) -> Callable[[], Original]:
    """Opens what the exports of a version are compared with; `reference` says in words which it is.

    With a configuration it is the model of the library that it comes from, of a model file the model in it. A module
    that was pushed is gone when its exports are made: they are compared with the version's own PyTorch export, which
    `push` compared with the module.

    Raises:
        FrameworkNotInstalledError: PyTorch is missing, or what runs the model file.
    """
    path = _file_of(version, dtype)
    if path is not None:
        graph = model_as_kept(store, version).graph
        return lambda: sources.capture_source(path, (), {}, {}).original(lambda arrays: arrange(graph, arrays))
    load("torch")
    from ivyhub.registry.adapters.torch.hub import fill, read_folder
    from ivyhub.registry.adapters.torch.run import TorchRunner

    def exported() -> Original:
        model, target = model_in(store, version, dtype), Target.parse("torch")
        export = emit(model.graph, target)
        with store.scratch() as folder, versions.open_weights(store, version) as checkpoint:
            write_source(folder, export)
            write_weights(folder, export, model.tensors(checkpoint, export.weights))
            return TorchRunner(load_package(folder), arrange=lambda arrays: keywords(model.graph, arrays))

    def opened() -> Original:
        with store.scratch() as folder, versions.open_weights(store, version) as checkpoint:
            skeleton = read_folder(versions.configuration(store, version, folder), checkpoint, dtype)
            assert skeleton.weights is not None
            planned = skeleton.weights.apply(checkpoint)
            fill(skeleton.module, ((tensor.info.name, tensor.read()) for tensor in planned))
        return TorchRunner(skeleton.module, skeleton.settings)

    return exported if version.config is None else opened


def reference(version: Version, dtype: str | None) -> str:
    """What the exports of a version in a floating-point type are compared with, in words."""
    path = _file_of(version, dtype)
    return versions.reference(version) if path is None else f"the model in {path.name}, run as what wrote it runs it"


def _file_of(version: Version, dtype: str | None) -> Path | None:
    """The model file that can be asked for numbers of that type: the values in one have their types for life."""
    return model_files.unchanged(version) if dtype is None else None


def refuse_missed(name: str, target: Target, certificate: dict[str, Any]) -> None:
    """Raise `VerificationError` for a certificate with a figure beyond its tolerance."""
    failed = [row for row in certificate["rows"] if not row["passed"]]
    if failed:
        figures = ", ".join(f"{row['check']} {row['measured']:.1e} (at most {row['tolerance']:.0e})" for row in failed)
        place = certificate.get("first_difference")
        raise VerificationError(
            f"{name} for {target} does not agree with its original: {figures}"
            + (f"; the first module that differs is {place}" if place else ""),
            hint="this is a defect of ivyhub, please report it; --no-verify writes the export all the same",
        )


def view(store: Store, record: ExportRecord) -> Path:
    """The package of an export as a folder of links into the store, to be imported and not to be changed.

    Raises:
        StorageError: the store cannot be written.
    """
    key = digest_hex(digest_bytes(encode(record)))
    final = store.home / "views" / f"{record.target.split('=')[0].strip('<>~!').replace('.', '_')}_{key[:32]}"
    if final.is_dir():
        with suppress(OSError):
            os.utime(final)  # young, for a collection
        return final
    with store.scratch() as folder, storage_errors("preparing a package"):
        for name, file in record.package.items():
            path = folder / "package" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            places = store.places(file.digest)
            try:
                if len(places) > 1:
                    store.copy_out(file, path)
                else:
                    os.symlink(places[0].path, path)
            except OSError:  # a file system, or a user of Windows, that may not link
                store.copy_out(file, path)
        if not final.is_dir():
            publish_folder(folder / "package", final)
    return final


def publish_folder(temporary: Path, final: Path) -> None:
    """Give a finished folder its name; where another process was first, its folder stays."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(temporary, final)
    except OSError:
        if not final.is_dir():
            raise


def native_device(target: Target, device: str | None) -> Any:
    """A device in the words of the target's framework; None for its default.

    Raises:
        UnknownDeviceError: the framework has no such device here.
    """
    if device is None:
        return None
    if target.framework in FRAMEWORKS:
        load(target.framework)
    return importlib.import_module(f"ivyhub.registry.adapters.{target.framework}.run").device(device)
