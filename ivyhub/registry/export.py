"""An export as a Python package in a folder: source, weights, what it came from, and how to use it."""

from __future__ import annotations

import importlib.util
import itertools
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from ivyhub import __version__
from ivyhub.errors import CorruptFileError, UnknownNameError
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.adapters.writing.export import Export
from ivyhub.registry.files import storage_errors
from ivyhub.registry.manifest import Origin
from ivyhub.registry.pipeline import Recipe
from ivyhub.registry.progress import SILENT, Progress
from ivyhub.registry.weights import Entry, MemoryCheckpoint, PlannedTensor, WeightMap, write_safetensors
from ivyhub.registry.weights.header import load_json

RECORD = "ivyhub.json"
WEIGHTS = "model.safetensors"
CONSTANTS = "constants.safetensors"
_FORMAT = 1
_MAX_RECORD = 256 << 20
_METADATA = {"torch": {"format": "pt"}, "jax": {"format": "flax"}, "tensorflow": {"format": "tf"}}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_packages = itertools.count()


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``ivyhub.json``: what a package is, without the store that it came from.

    Attributes:
        version: the identity of the version in the registry; "" for one that was never kept.
        graph: the digest of its graph.
        origin: where the version came from.
        target: what it was written for, as the command line writes it.
        requires: the packages that the source imports.
        entry: the class in ``modeling.py``.
        dims: the range of each size that varies.
        signature: inputs and outputs.
        recipe: how the graph is fed, from the checkpoint's names on.
        weights: from the graph's parameters to the tensors of this package.
        dtype: the floating-point type that was asked for, or None.
        channels_last: the inputs that come with their channels last, other than in the source.
        certificate: the measured agreement with the original; None where it was not measured.
    """

    format: int = _FORMAT
    ivyhub: str
    version: str
    graph: str
    origin: Origin | None
    target: str
    requires: dict[str, str]
    entry: str
    dims: dict[str, tuple[int, int | None]]
    signature: dict[str, Any]
    recipe: Recipe
    weights: tuple[Entry, ...]
    dtype: str | None
    channels_last: tuple[str, ...] = ()
    certificate: dict[str, Any] | None


def record_of(
    export: Export,
    recipe: Recipe,
    *,
    signature: dict[str, Any],
    version: str = "",
    graph: str = "",
    origin: Origin | None = None,
    dtype: str | None = None,
    channels_last: tuple[str, ...] = (),
    certificate: dict[str, Any] | None = None,
) -> Record:
    """What there is to say about an export."""
    return Record(
        ivyhub=__version__,
        version=version,
        graph=graph,
        origin=origin,
        target=str(export.target),
        requires=dict(export.requires),
        entry=export.entry,
        dims=dict(export.symbols),
        signature=signature,
        recipe=recipe,
        weights=tuple(export.weights.entries),
        dtype=dtype,
        channels_last=channels_last,
        certificate=certificate,
    )


def write_source(folder: Path, export: Export) -> list[Path]:
    """Write the source files and the constants of an export."""
    paths = []
    with storage_errors("writing the export"):
        for name, text in export.files.items():
            (folder / name).write_text(text, "utf-8")
            paths.append(folder / name)
    if export.constants:
        identity = WeightMap(tuple(Entry((name,), (name,)) for name in export.constants))
        metadata = _METADATA.get(export.target.framework)
        checkpoint = MemoryCheckpoint(export.constants)
        paths += write_safetensors(folder / CONSTANTS, identity.apply(checkpoint), metadata=metadata)
    return paths


def write_weights(
    folder: Path, export: Export, tensors: Sequence[PlannedTensor], *, progress: Progress = SILENT
) -> list[Path]:
    """Write the weight file of an export, or its shards with an index; or what holds weights and program together.

    Raises:
        StorageError: the disk is full or refuses; nothing is left behind.
    """
    if export.pack is not None:
        with storage_errors("writing the export"):
            return export.pack(folder, tensors, progress.advance)
    metadata = _METADATA.get(export.target.framework)
    return write_safetensors(folder / WEIGHTS, tensors, metadata=metadata, progress=progress.advance)


def read_record(folder: Path) -> Record:
    """The ``ivyhub.json`` of a package.

    Raises:
        UnknownNameError: the folder is no package of ivyhub.
        CorruptFileError: the file is damaged, or of a release that is newer than this one.
    """
    path = folder / RECORD
    if not path.is_file():
        raise UnknownNameError(
            f"{folder} is not an export: it has no {RECORD}", hint="give a folder that `ivyhub pull` wrote"
        )
    with storage_errors("reading an export"):
        if path.stat().st_size > _MAX_RECORD:
            raise CorruptFileError(f"expected {path} of at most {_MAX_RECORD} bytes, received {path.stat().st_size}")
        raw = load_json(path.read_bytes(), path)
    if isinstance(raw, dict) and raw.get("format") != _FORMAT:
        raise CorruptFileError(
            f"expected {path} of format {_FORMAT}, received {raw.get('format')!r}",
            hint="upgrade ivyhub, or pull the model again",
        )
    try:
        return msgspec.convert(raw, Record)
    except msgspec.ValidationError as error:
        raise CorruptFileError(f"{path} is malformed: {error}", hint="pull the model again with --force") from None


def encode_record(record: Record) -> bytes:
    """``ivyhub.json`` as text that a person can read: one line an entry."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


# -- loading -----------------------------------------------------------------------------------------------------------


def import_package(folder: Path) -> ModuleType:
    """Import a package from its folder, under a name of its own, so that two exports of one name do not meet.

    Raises:
        UnknownNameError: there is no package.
    """
    path = folder / "__init__.py"
    if not path.is_file():
        raise UnknownNameError(
            f"{folder} is not an export: it has no __init__.py", hint="give a folder that pull wrote"
        )
    name = f"_ivyhub_{re.sub(r'[^A-Za-z0-9_]', '_', folder.name)}_{next(_packages)}"
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    try:
        spec.loader.exec_module(package)
    except BaseException:
        for word in [word for word in sys.modules if word == name or word.startswith(f"{name}.")]:
            del sys.modules[word]
        raise
    return package


def load_package(folder: Path, *, device: Any = None) -> Any:
    """The live model of a package.

    Args:
        folder: what ``ivyhub pull`` wrote.
        device: where the weights go, as its framework says it; the default if None.

    Raises:
        UnknownNameError: there is no package.
        FrameworkNotInstalledError: its framework is missing.
    """
    return call_load(import_package(folder), device=device)


def call_load(package: ModuleType, *, device: Any) -> Any:
    """Call a package's ``load``."""
    return package.load() if device is None else package.load(device=device)


def record_of_object(model: Any) -> tuple[Record, Path] | None:
    """The record of the package that a live object's class comes from, and its folder; None for any other object."""
    owner = model[0] if isinstance(model, tuple) and model else model  # a Linen module comes with its variables
    package = sys.modules.get(type(owner).__module__.rpartition(".")[0])
    if package is None:
        return None
    folder = Path(next(iter(getattr(package, "__path__", [])), ""))
    known = getattr(package, "__ivyhub__", None)
    if isinstance(known, Record):
        return known, folder
    return (read_record(folder), folder) if (folder / RECORD).is_file() else None


# -- the card ----------------------------------------------------------------------------------------------------------

_TRAINING = {
    "torch": """optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
model.train()
loss = ...  # of what the model returns
loss.backward()
optimizer.step()""",
    "flax.nnx": """optimizer = nnx.Optimizer(model, optax.adamw(1e-5), wrt=nnx.Param)
model.train()

@nnx.jit
def step(model, optimizer, batch):
    gradients = nnx.grad(lambda model: ...)(model)  # the loss of what the model returns
    optimizer.update(model, gradients)""",
    "flax.nnx before 0.12": """state = optimizer.init(nnx.state(model, nnx.Param))
model.train()
gradients = nnx.grad(lambda model: ...)(model)  # the loss of what the model returns
updates, state = optimizer.update(gradients, state)
nnx.update(model, optax.apply_updates(nnx.state(model, nnx.Param), updates))""",
    "flax.linen": """gradients = jax.grad(lambda params: ...)(variables["params"])  # the loss of module.apply
updates, state = optimizer.update(gradients, state)
variables["params"] = optax.apply_updates(variables["params"], updates)""",
    "keras": """optimizer = keras.optimizers.AdamW(1e-5)
with tf.GradientTape() as tape:
    loss = ...  # of model(inputs, training=True)
gradients = tape.gradient(loss, model.trainable_variables)
optimizer.apply(gradients, model.trainable_variables)""",
}


def card(name: str, record: Record, licence: str | None) -> str:
    """``README.md``: where the package comes from, how to load and train it, and how well it agrees."""
    target = Target.parse(record.target)
    origin = record.origin
    source = (
        f"`{_plain(origin.id)}`" + (f" at `{_plain(origin.revision)}`" if origin.revision else "")
        if origin
        else "memory"
    )
    lines = [
        f"# {_plain(name)} for {target}",
        "",
        f"Native {target.row.name} source with weights, written by ivyhub {__version__} from {source}.",
        f"Licence of the original: {_plain(licence) if licence else 'not stated; see its source'}.",
        "",
        f"It needs {', '.join(f'`{package}{versions}`' for package, versions in record.requires.items())}.",
        "",
        "## Use",
        "",
        "```python",
        "import this_folder  # the name of this folder, from the folder above it",
        "",
        f"{'model, variables' if target.flavour == 'flax.linen' else 'model'} = this_folder.load()",
        "```",
        "",
        "| input | array |",
        "| --- | --- |",
        *(f"| `{_plain(name)}` | `{_plain(spec)}` |" for name, spec in record.signature["inputs"].items()),
        "",
    ]
    if record.channels_last:
        lines += [f"Other than in the source, the channels come last in {_plain(', '.join(record.channels_last))}.", ""]
    old = target.flavour == "flax.nnx" and "<0.12" in record.requires.get("flax", "")
    training = _TRAINING.get("flax.nnx before 0.12" if old else target.flavour)
    if training is not None:
        lines += ["## Train", "", "```python", training, "```", ""]
    if record.recipe.notes:
        lines += ["## Notes", "", *(f"- {_plain(note)}" for note in record.recipe.notes), ""]
    lines += ["## Agreement with the original", ""]
    if record.certificate is None:
        lines += ["Not measured: `ivyhub verify` on this folder compares it with the original.", ""]
    else:
        lines += ["| check | measured | tolerance |", "| --- | --- | --- |"]
        lines += [
            f"| {row['check']} | {row['measured']:.1e} | {row['tolerance']:.0e}{'' if row['passed'] else ' (missed)'} |"
            for row in record.certificate["rows"]
        ]
        reference = _plain(record.certificate.get("reference", "its original"))
        lines += ["", f"Compared with {reference},"]
        lines += [f"on random inputs of seed {record.certificate['seed']}; `ivyhub verify` measures again.", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text from outside as one line of Markdown: no control characters, nothing that is markup."""
    return re.sub(r"([\\`|<>\[\]*])", r"\\\1", _UNPRINTABLE.sub(" ", text))[:500]
