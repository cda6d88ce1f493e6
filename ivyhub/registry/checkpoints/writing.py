"""Converts a checkpoint into another format, tensor by tensor, under a temporary name until all of it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from ivyhub.errors import CheckpointError, OutputExistsError, UsageError
from ivyhub.registry.checkpoints import archives, onnx_files, orbax, trees
from ivyhub.registry.checkpoints.mapped import FormatCheckpoint
from ivyhub.registry.checkpoints.renamed import RenamedCheckpoint
from ivyhub.registry.weights.header import TensorInfo, check_names
from ivyhub.registry.weights.lazy import PlannedTensor, Reader
from ivyhub.registry.weights.writer import Staging, storage_errors, write_safetensors

_FLOAT8 = ("float8_e4m3fn", "float8_e5m2")
_Tensors = Sequence[PlannedTensor]
_Write = Callable[[Staging, Path, _Tensors, FormatCheckpoint], Iterator[int]]


class _Target(NamedTuple):
    """A format that is written.

    Args:
        suffix: of its file; of its folder where it begins with a dash.
        write: writes the tensors of a checkpoint and yields bytes as it goes; None for safetensors, which has shards.
        refused: the dtypes that it cannot hold.
    """

    suffix: str
    write: _Write | None = None
    refused: tuple[str, ...] = ()


def _in_one_file(write: Callable[[BinaryIO, _Tensors, str], Iterator[int]]) -> _Write:
    def run(staging: Staging, path: Path, tensors: _Tensors, ckpt: FormatCheckpoint) -> Iterator[int]:
        with staging.create(path) as file:
            yield from write(file, tensors, ckpt.separator)

    return run


TARGETS = {
    "safetensors": _Target(".safetensors"),
    "pt": _Target(".pt", _in_one_file(lambda file, tensors, _: archives.write_torch(file, tensors))),
    "npz": _Target(
        ".npz", _in_one_file(lambda file, tensors, _: archives.write_npz(file, tensors)), ("bfloat16", *_FLOAT8)
    ),
    "msgpack": _Target(".msgpack", _in_one_file(trees.write_msgpack)),
    "h5": _Target(
        ".weights.h5", lambda staging, path, tensors, _: trees.write_hdf5(staging.reserve(path), tensors), _FLOAT8
    ),
    "keras": _Target(".keras", archives.write_keras, _FLOAT8),
    "orbax": _Target(
        "-orbax",
        lambda staging, path, tensors, ckpt: trees.write_orbax(staging.reserve(path), tensors, ckpt.separator),
        _FLOAT8,
    ),
    "onnx": _Target(".onnx", lambda staging, path, tensors, _: onnx_files.write_onnx(staging, path, tensors)),
}
"""The formats that tensors alone are written in."""

_ECOSYSTEMS = {
    "msgpack": "flax",
    "orbax": "flax",
    "hdf5": "tf",
    "keras": "tf",
    "tensorflow": "tf",
    "tensorflow-v1": "tf",
}
"""Whose names and layouts a source has; transformers asks for it in the metadata of safetensors."""


class Converted(msgspec.Struct, frozen=True):
    """What a conversion wrote.

    Args:
        source: what was read.
        read: its format.
        format: the format that was written.
        files: what was written.
        tensors: how many.
        bytes: of their numbers.
        left_out: the names of what the source holds beside tensors, which was not written.
    """

    source: str
    read: str
    format: str
    files: tuple[str, ...]
    tensors: int
    bytes: int
    left_out: tuple[str, ...]


def default_path(source: Path, target: str, suffix: str | None = None) -> Path:
    """The path in the current folder that a conversion writes to, where none is given; with another suffix if asked.

    Example:
        >>> default_path(Path("weights/pytorch_model.bin"), "safetensors").name, default_path(Path("x"), "orbax").name
        ('pytorch_model.safetensors', 'x-orbax')
    """
    name = source.expanduser().resolve().name
    for ending in (".index.json", ".index", ".weights.h5"):
        name = name.removesuffix(ending)
    stem = Path(name).stem if Path(name).suffix and not source.is_dir() else name
    return Path(f"{stem}{suffix or TARGETS[target].suffix}")


def convert(
    ckpt: FormatCheckpoint,
    target: str,
    path: Path,
    *,
    dtype: str | None = None,
    force: bool = False,
    shard_bytes: int = 5 * 10**9,
    progress: Callable[[int, int], None] | None = None,
) -> Converted:
    """Write the tensors of a checkpoint in another format. Memory stays within the largest of them.

    Args:
        ckpt: from `open_file`.
        target: one of `TARGETS`.
        path: the file, or the folder of orbax. Large safetensors become shards beside it, with an index; the
            numbers of a large ONNX model a file beside it.
        dtype: what floating-point tensors are cast to; as they are if not given.
        force: replace what is at the path.
        shard_bytes: most bytes of data in a file of safetensors.
        progress: called with the bytes just written and those of the whole.

    Raises:
        CheckpointError: a tensor is of no dtype that ivyhub or the format has, or has no name that the format has; or
            the format holds models, and the source has none.
        OutputExistsError: something is at the path.
        StorageError: the disk is full or refuses; nothing is left behind.
        UsageError: there is no such format.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from ivyhub.registry.checkpoints import open_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(Path(folder, "a.npz"), weight=np.arange(3))
        ...     done = convert(open_file(Path(folder, "a.npz")), "pt", Path(folder, "a.pt"))
        ...     open_file(Path(folder, "a.pt")).read("weight").tolist(), done.tensors
        ([0, 1, 2], 1)
    """
    if target not in TARGETS:
        raise UsageError(f"unknown format {target!r}", hint=f"choose one of {', '.join(TARGETS)}")
    if ckpt.unreadable:
        shown = ", ".join(f"{name} ({what})" for name, what in [*ckpt.unreadable.items()][:3])
        raise CheckpointError(
            f"expected tensors that ivyhub has a dtype for, received {len(ckpt.unreadable)} others, such as {shown}",
            hint="write it again without them where it was made",
        )
    _refuse_existing(path, target, force)
    tensors = _plan(ckpt, dtype)
    _refuse(tensors, target)
    total = sum(tensor.info.nbytes for tensor in tensors)

    def told(steps: Iterator[int]) -> None:
        for step in steps:
            if progress is not None:
                progress(step, total)

    write = TARGETS[target].write
    if write is None:
        known = ckpt.format == target or isinstance(ckpt, RenamedCheckpoint)
        metadata = ckpt.metadata if known else {"format": _ECOSYSTEMS.get(ckpt.format, "pt")}
        files = write_safetensors(
            path, tensors, metadata=metadata, shard_bytes=shard_bytes, progress=progress, replace=force
        )
    else:
        with storage_errors(path), Staging(replace=force) as staging:
            told(write(staging, path, tensors, ckpt))
            staging.commit()
        files = staging.files
    names = tuple(map(str, files))
    return Converted(str(ckpt.files[0]), ckpt.format, target, names, len(tensors), total, tuple(ckpt.values_beside))


def _refuse_existing(path: Path, target: str, force: bool) -> None:
    if not (path.exists() or path.is_symlink()):
        return
    if not force:
        raise OutputExistsError(f"expected a new file, {path} exists", hint="choose another one with --out, or --force")
    if path.is_dir() and not (target == "orbax" and (path / orbax.INDEX).is_file()):
        raise OutputExistsError(
            f"expected a file or a folder of Orbax to replace, received the folder {path}", hint="choose another --out"
        )


def _plan(ckpt: FormatCheckpoint, dtype: str | None) -> list[PlannedTensor]:
    planned: list[PlannedTensor] = []
    for name, info in ckpt.items():
        cast = dtype is not None and dtype != info.dtype and _is_float(info.dtype)
        location = None if cast else ckpt.location(name)
        reader = Reader(
            lambda name=name: ckpt.read(name), (dtype,) if cast and dtype else (), lambda name=name: ckpt.release(name)
        )
        made = TensorInfo(name, dtype, info.shape) if cast and dtype else info
        planned.append(PlannedTensor(made, reader, None if location is None else (location,)))
    return planned


def _is_float(dtype: str) -> bool:
    return dtype.startswith(("float", "bfloat"))


def _refuse(tensors: Sequence[PlannedTensor], target: str) -> None:
    check_names(tuple(tensor.info.name for tensor in tensors), target)
    wrong = [tensor.info for tensor in tensors if tensor.info.dtype in TARGETS[target].refused]
    if wrong:
        raise CheckpointError(
            f"expected dtypes that {target} can hold, received {wrong[0].name!r} {wrong[0]}",
            hint="cast it with --dtype float32, or choose safetensors",
        )
