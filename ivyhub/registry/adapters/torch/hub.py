"""Checkpoints of Hugging Face ``transformers``: the model's skeleton, its tensors' names, and its inputs.

Nothing of a checkpoint is executed: the class is one of the installed library's, chosen by name from
``config.json``, and a configuration that asks for code of its own (``auto_map``) is refused. The parameters of the
skeleton have no data, so that a model larger than memory is captured from its configuration alone; what the
constructor computes (position tables, frequencies) is real.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import json
import re
import sys
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ....engine.backends import dtype_name, load
from ....engine.extensions import load_installed
from ....errors import (
    CheckpointError,
    CorruptFileError,
    FrameworkNotInstalledError,
    IvyhubError,
    TensorMismatchError,
    UnsafeError,
)
from ...inputs import InputSpec, random_inputs
from ...weights import Cast, Checkpoint, Entry, Merge, Reshape, Split, TensorInfo, Transpose, WeightMap
from ...weights.header import load_json
from .capture import Capture, capture
from .inputs import inputs_of

MAX_CONFIG = 16 << 20
_TIMM = re.compile(r"[\w.]+")  # a model of timm's own; with a slash or colon it is a repository or folder


@dataclass
class Skeleton:
    """A model of the library without its weights.

    Attributes:
        module: the live module; parameters are fake tensors, buffers are real.
        inputs: what its ``forward`` is captured and checked with.
        settings: arguments of ``forward`` that are no arrays, ``{"use_cache": False}``.
        weights: from the checkpoint's names to those of the module; None where no checkpoint was given.
        notes: what a reader should know: tensors that are left out, inputs that are fixed.
    """

    module: Any
    inputs: list[InputSpec]
    settings: dict[str, Any]
    weights: WeightMap | None = None
    notes: list[str] = field(default_factory=list)


def read_folder(folder: Path, checkpoint: Checkpoint | None = None, dtype: str | None = None) -> Skeleton:
    """Build the skeleton that a folder's ``config.json`` describes, and name its tensors after a checkpoint's.

    Args:
        folder: in Hugging Face layout.
        checkpoint: its weights.
        dtype: cast the module to it, as ``module.to(dtype)`` does; as the configuration has it for None.

    Raises `UnsafeError` for a configuration that asks for code of its own, `CorruptFileError` for one that is no
    JSON object, `CheckpointError` for a class that the installed ``transformers`` lacks, `TensorMismatchError` with
    every tensor that is missing, unexpected or mis-shaped, and `FrameworkNotInstalledError`.
    """
    load("torch")
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise FrameworkNotInstalledError(
            f"transformers is needed to read this checkpoint (importing {error.name!r} failed)",
            hint="pip install 'ivyhub[transformers]'",
        ) from None
    try:
        config, cls = _configuration(folder, transformers)
        module = _build(cls, config, _dtype(config, checkpoint), dtype)
    except IvyhubError:
        raise
    except Exception as error:  # of transformers, for which a configuration can be wrong in any way
        raise CheckpointError(
            f"transformers {transformers.__version__} makes no model of {folder / 'config.json'}: "
            f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
            hint="get the file again, or install what transformers asks for",
        ) from error
    inputs, settings, notes = inputs_of(module, _preprocessor(folder))
    floating = dtype_name(module.dtype)
    inputs = [msgspec.structs.replace(spec, dtype=floating) if "float" in spec.dtype else spec for spec in inputs]
    skeleton = Skeleton(module, inputs, settings, notes=notes)
    if checkpoint is not None:
        skeleton.weights, left = weight_map(module, checkpoint)
        if left:
            skeleton.notes.append(f"left out, as they belong to other heads or to older releases: {', '.join(left)}")
    return skeleton


def _configuration(folder: Path, transformers: Any) -> tuple[Any, Any]:
    """The configuration object of a folder and the class it names."""
    path = folder / "config.json"
    if path.stat().st_size > MAX_CONFIG:
        raise CorruptFileError(f"expected a config.json of at most {MAX_CONFIG} bytes, received {path.stat().st_size}")
    raw = load_json(path.read_bytes(), path)
    if not isinstance(raw, dict):
        raise CorruptFileError(f"expected a JSON object in {path}, received a {type(raw).__name__}")
    _refuse_reaching_out(raw, path)
    kind = raw.get("model_type")
    if not isinstance(kind, str) or kind not in transformers.CONFIG_MAPPING:
        raise CheckpointError(
            f"expected a model_type that transformers {transformers.__version__} knows in {path}, received {kind!r}",
            hint="pip install --upgrade transformers, or use ivyhub.transpile on the live model",
        )
    config = transformers.CONFIG_MAPPING[kind].from_dict(raw)
    names = raw.get("architectures") or []
    if names and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise CorruptFileError(f"expected a list of class names as architectures in {path}, received {names!r:.80}")
    if names:
        cls = getattr(transformers, names[0], None) if names[0].isidentifier() else None
        if not (isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel)):
            raise CheckpointError(
                f"transformers {transformers.__version__} has no model {names[0]!r}, which {path} asks for",
                hint="install the release of transformers that the checkpoint was made with",
            )
        return config, cls
    try:
        return config, transformers.MODEL_MAPPING[type(config)]
    except KeyError:
        raise CheckpointError(
            f"{path} names no class (architectures), and transformers has no base model for {kind!r}",
            hint="add the class name as architectures to config.json",
        ) from None


def _refuse_reaching_out(raw: dict[str, Any], path: Path) -> None:
    """Raise `UnsafeError` where a configuration, or one inside of it, has transformers run or fetch something else.

    An implementation of attention with a slash is code of a repository; a backbone that is none of timm's is a
    repository or folder too. Pretrained weights of a backbone, which the checkpoint has itself, are not asked for.
    """
    pending: list[Any] = [raw]
    while pending:
        found = pending.pop()
        pending += found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
        if not isinstance(found, dict):
            continue
        named = {
            key: value for key, value in found.items() if value and key.endswith(("attn_implementation", "auto_map"))
        }
        code = {key: value for key, value in named.items() if key == "auto_map" or "/" in json.dumps(value)}
        if code:
            raise UnsafeError(
                f"{path} asks to run code of its own: {json.dumps(code)[:200]}",
                hint="ivyhub runs no code of a checkpoint; load the model yourself and use ivyhub.transpile",
            )
        timm = found.get("use_timm_backbone") or found.get("model_type") in ("timm_backbone", "timm_wrapper")
        for key in ("backbone", "architecture"):
            name = found.get(key)
            plain = _TIMM.fullmatch(str(name)) is not None and (timm or key != "backbone")
            if isinstance(name, str) and not plain:
                raise UnsafeError(
                    f"{path} asks for another repository, {name!r}, as its {key}",
                    hint="write the backbone's own configuration there as backbone_config",
                )
        if "use_pretrained_backbone" in found:
            found["use_pretrained_backbone"] = False


def _dtype(config: Any, checkpoint: Checkpoint | None) -> Any:
    """The dtype of the parameters: the configuration's, else that of the checkpoint's first floating tensor."""
    import torch

    if config.dtype is not None:
        return config.dtype
    for info in (checkpoint or {}).values():
        if "float" in info.dtype and hasattr(torch, info.dtype):
            return getattr(torch, info.dtype)
    return torch.float32


def _build(cls: Any, config: Any, dtype: Any, cast: str | None = None) -> Any:
    """Construct the class without its weights, with nothing drawn at random, and cast what it made to a dtype."""
    import torch
    from transformers import initialization

    with _uninitialised_on_meta(), initialization.no_init_weights():
        module = cls._from_config(config, dtype=dtype)
    module.tie_weights(recompute_mapping=False)
    if cast is not None:
        module.to(getattr(torch, cast))
    _without_data(module)
    return module.eval()


def _without_data(module: Any) -> None:
    """Replace every parameter by one that has no data and says that it is on the CPU, where the inputs are."""
    import torch
    from torch._subclasses import FakeTensorMode

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    made: dict[int, Any] = {}
    for part in module.modules():
        for name, old in part._parameters.items():
            if old is not None and id(old) not in made:
                with mode:
                    made[id(old)] = torch.nn.Parameter(
                        torch.empty(old.shape, dtype=old.dtype, device="cpu"), requires_grad=old.requires_grad
                    )
            if old is not None:
                part._parameters[name] = made[id(old)]


@contextlib.contextmanager
def _uninitialised_on_meta() -> Generator[None]:
    """Put what ``torch.empty`` makes on the meta device: parameters. What is computed stays real."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Mode(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if function in (torch.empty, torch.empty_like):
                kwargs = {**kwargs, "device": "meta"}
            return function(*args, **kwargs)

    with Mode():
        yield


def _preprocessor(folder: Path) -> Mapping[str, Any]:
    path = folder / "preprocessor_config.json"
    if not path.is_file() or path.stat().st_size > MAX_CONFIG:
        return {}
    raw = load_json(path.read_bytes(), path)
    return raw if isinstance(raw, dict) else {}


# -- names of tensors ------------------------------------------------------------------------------------------------


def weight_map(module: Any, checkpoint: Checkpoint) -> tuple[WeightMap, list[str]]:
    """From a checkpoint's names to the module's, by the library's own table of renamings and conversions.

    Tensors that the module shares stand under the name that comes first in it.

    Returns:
        The map, and the checkpoint's tensors that the class may ignore: those that it declares so, and those of other
        heads of the same architecture.

    Raises `TensorMismatchError` with every missing, unexpected and mis-shaped tensor at once.
    """
    wanted, owners = _wanted(module)
    targets, unexpected = _targets(module, checkpoint, owners)
    left = _ignored(module, unexpected)
    entries: list[Entry] = []
    faults: list[str] = []
    made: set[str] = set()
    for entry in targets:
        kept = tuple(owners.get(name, name) for name in entry.targets)
        if made.intersection(kept):  # a second name of a tensor that is there already
            left += entry.sources
            continue
        made.update(kept)
        fitted, fault = _fitted(Entry(kept, entry.sources, entry.steps), checkpoint, wanted)
        entries.append(fitted)
        faults += fault
    missing = [name for name in wanted if name not in made and not _may_miss(module, name)]
    _refuse(missing, [name for name in unexpected if name not in left], faults)
    order = {name: position for position, name in enumerate(wanted)}
    entries.sort(key=lambda entry: order[entry.targets[0]])
    return WeightMap(tuple(entries)), left


def _wanted(module: Any) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """The tensors that a checkpoint must hold, by owner, and the owner of every name."""
    first: dict[int, str] = {}
    wanted: dict[str, TensorInfo] = {}
    owners: dict[str, str] = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        owner = owners[name] = first.setdefault(id(tensor), name)
        if owner == name:
            wanted[name] = TensorInfo(name, dtype_name(tensor.dtype), tuple(tensor.shape))
    return wanted, owners


def _targets(module: Any, checkpoint: Checkpoint, owners: Mapping[str, str]) -> tuple[list[Entry], list[str]]:
    """One entry for each tensor (or group of them) of the checkpoint that the module takes, and the names left."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, dot_natural_key, rename_source_key

    transforms = get_model_conversion_mapping(module)
    renamings = [t for t in transforms if isinstance(t, WeightRenaming)]
    converters = [t for t in transforms if isinstance(t, WeightConverter)]
    by_pattern = {pattern: converter for converter in converters for pattern in converter.source_patterns}
    groups: dict[str, tuple[Any, dict[str, list[str]]]] = {}
    entries: list[Entry] = []
    unexpected: list[str] = []
    prefix, known = module.base_model_prefix, dict(owners)
    for name in sorted(checkpoint, key=dot_natural_key):
        target, pattern = rename_source_key(name, renamings, converters, prefix, known)
        if target not in owners and name in owners:
            target, pattern = rename_source_key(name, [], [], prefix, known)
        if target not in owners:
            unexpected.append(name)
        elif pattern is None:
            entries.append(Entry((target,), (name,)))
        else:
            _, sources = groups.setdefault(target, (by_pattern[pattern], {}))
            sources.setdefault(pattern, []).append(name)
    entries += [_converted(target, converter, sources, checkpoint) for target, (converter, sources) in groups.items()]
    return entries, unexpected


def _converted(target: str, converter: Any, sources: Mapping[str, list[str]], checkpoint: Checkpoint) -> Entry:
    """A conversion of the library (stack experts, fuse or split projections) as steps with inverses."""
    rows = [sources[pattern] for pattern in converter.source_patterns if pattern in sources]
    steps: list[Any] = []
    shapes = [[checkpoint[name].shape for name in row] for row in rows]
    targets = [target]
    for operation in converter.operations:
        match type(operation).__name__:
            case "MergeModulelist":
                at = 0
                for i, row in enumerate(shapes):
                    axis, shape, count = operation.dim, row[0], len(row)
                    one = (*shape[:axis], 1, *shape[axis:])
                    steps += [Reshape(one, shape, at + j) for j in range(count)]
                    steps.append(Merge(axis, (1,) * count, i))
                    shapes[i] = [(*shape[:axis], count, *shape[axis:])]
                    at = i + 1
            case "Concatenate":
                parts = [shape for row in shapes for shape in row]
                axis = operation.dim % len(parts[0])
                sizes = tuple(shape[axis] for shape in parts)
                steps.append(Merge(axis, sizes))
                shapes = [[(*parts[0][:axis], sum(sizes), *parts[0][axis + 1 :])]]
            case "Chunk":
                [[shape]] = shapes
                axis, count = operation.dim % len(shape), len(converter.target_patterns)
                steps.append(Split(axis, (shape[axis] // count,) * count))
                first = converter.target_patterns[0]
                targets = [target.replace(first, pattern) for pattern in converter.target_patterns]
                shapes = [[(*shape[:axis], shape[axis] // count, *shape[axis + 1 :])] * count]
            case "Transpose":
                [[shape]] = shapes
                perm = list(range(len(shape)))
                perm[operation.dim0], perm[operation.dim1] = perm[operation.dim1], perm[operation.dim0]
                steps.append(Transpose(tuple(perm)))
                shapes = [[tuple(shape[axis] for axis in perm)]]
            case name:
                raise CheckpointError(
                    f"the tensors of {target!r} need the conversion {name}, which ivyhub cannot reverse",
                    hint="load the model with transformers and use ivyhub.transpile on it",
                )
    return Entry(tuple(targets), tuple(name for row in rows for name in row), tuple(steps))


def _fitted(entry: Entry, checkpoint: Checkpoint, wanted: Mapping[str, TensorInfo]) -> tuple[Entry, list[str]]:
    """The entry with casts to the module's dtypes, and what does not fit."""
    try:
        planned = WeightMap((entry,)).apply(checkpoint)
    except TensorMismatchError as error:
        return entry, [error.message]
    casts: list[Any] = []
    faults: list[str] = []
    for position, tensor in enumerate(planned):
        expected = wanted[tensor.info.name]
        if tensor.info.shape != expected.shape:
            faults.append(f"{tensor.info.name}: expected {expected}, received {tensor.info}")
        elif tensor.info.dtype != expected.dtype:
            casts.append(Cast(expected.dtype, tensor.info.dtype, position))
    return Entry(entry.targets, entry.sources, (*entry.steps, *casts)), faults


def _ignored(module: Any, unexpected: list[str]) -> list[str]:
    """The unexpected tensors that the class, or the library for every class, declares as ignorable."""
    patterns: set[str] = set(module._keys_to_ignore_on_load_unexpected or ())
    # Buffers that older releases saved and newer ones compute: PreTrainedModel._adjust_missing_and_unexpected_keys.
    buffers = [name for name, _ in module.named_buffers()]
    for name, pattern in (("position_ids", r"(^|\.)position_ids$"), ("rotary_emb.inv_freq", r"rotary_emb\.inv_freq")):
        if any(buffer.endswith(name) for buffer in buffers):
            patterns.add(pattern)
    left = [name for name in unexpected if any(re.search(pattern, name) for pattern in patterns)]
    if len(left) < len(unexpected):
        others = _names_of_siblings(module)
        left += [name for name in unexpected if name not in left and name in others]
    return left


def _names_of_siblings(module: Any) -> set[str]:
    """The tensors of every class that the library builds from the same configuration: heads for other tasks.

    ``bert-base-uncased`` names BertForMaskedLM as its class and holds the head for next sentences as well.
    """
    import transformers

    cls = type(module)
    names: set[str] = set()
    for other in vars(sys.modules[cls.__module__]).values():
        if (
            isinstance(other, type)
            and issubclass(other, transformers.PreTrainedModel)
            and other.config_class is cls.config_class
            and not inspect.isabstract(other)
        ):
            with contextlib.suppress(Exception):  # a class that needs more of the configuration has no say
                made = _build(other, copy.deepcopy(module.config), module.config.dtype)
                names.update(made.state_dict())
    return names


def _may_miss(module: Any, name: str) -> bool:
    return any(re.search(pattern, name) for pattern in module._keys_to_ignore_on_load_missing or ())


def _refuse(missing: list[str], unexpected: list[str], faults: list[str]) -> None:
    kinds = (("missing", missing), ("unexpected", unexpected), ("mis-shaped", faults))
    found = [f"{len(names)} {kind}: {_listed(names)}" for kind, names in kinds if names]
    if found:
        raise TensorMismatchError(
            f"expected the tensors that config.json describes, received a checkpoint that differs; {'; '.join(found)}",
            hint="the weights belong to another configuration or class: compare architectures and sizes in config.json",
        )


def _listed(names: list[str], shown: int = 20) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


# -- capture and original ---------------------------------------------------------------------------------------------


def capture_skeleton(skeleton: Skeleton) -> Capture:
    """Capture a skeleton with its own inputs; no weights are needed.

    Raises what `capture` raises.
    """
    load_installed()
    names = sorted({size for spec in skeleton.inputs for size in spec.dynamic.values()})
    sizes = {name: 3 + 2 * position for position, name in enumerate(names)}  # apart, so that none passes for another
    examples = random_inputs(skeleton.inputs, sizes, np.random.default_rng(0))
    kwargs = {name: to_torch(array) for name, array in examples.items()}
    dynamic = {spec.name: spec.dynamic for spec in skeleton.inputs if spec.dynamic}
    found = capture(skeleton.module, kwargs={**kwargs, **skeleton.settings}, dynamic=dynamic)
    found.notes[:0] = skeleton.notes
    return found


def fill(module: Any, tensors: Iterable[tuple[str, np.ndarray]]) -> Any:
    """Give a skeleton its weights, by owner's name; other names of a shared tensor follow. Returns the module.

    Each array is copied once, so that the module can be trained.
    """
    import torch

    places: dict[str, list[tuple[Any, dict[str, Any], str]]] = {}
    owners: dict[int, str] = {}
    for path, part in module.named_modules():
        for table in (part._parameters, part._buffers):
            for name, tensor in table.items():
                if tensor is not None:
                    full = f"{path}.{name}" if path else name
                    places.setdefault(owners.setdefault(id(tensor), full), []).append((tensor, table, name))
    for owner, array in tensors:
        old = places[owner][0][0]
        new = to_torch(array)
        if isinstance(old, torch.nn.Parameter):
            new = torch.nn.Parameter(new, requires_grad=old.requires_grad)
        for _, table, name in places[owner]:
            table[name] = new
    return module


def to_torch(array: np.ndarray) -> Any:
    """A tensor with a copy of an array's values; bfloat16 and float8 come from ml_dtypes."""
    import torch

    name = array.dtype.name
    array = np.array(array, order="C")
    if name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        return torch.from_numpy(array.view(np.int16 if name == "bfloat16" else np.int8)).view(getattr(torch, name))
    return torch.from_numpy(array)
