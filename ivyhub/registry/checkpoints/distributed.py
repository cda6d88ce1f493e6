"""Checkpoints of `torch.distributed.checkpoint`: a folder of pieces of tensors, and a pickle of where they belong.

Source: ``torch/distributed/checkpoint/metadata.py`` and ``filesystem.py``. Each piece is a file of `torch.save` within
a larger one. The pickle is read as every other one here, with the classes of its index as plain data.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ivyhub.registry.checkpoints import torch_files, zips
from ivyhub.registry.checkpoints.contents import Contents, Described, Part
from ivyhub.registry.checkpoints.mapped import Pages, corrupt, overlap, sizes
from ivyhub.registry.checkpoints.objects import KNOWN, DType, word
from ivyhub.registry.checkpoints.pickles import Record, Unpickler, record
from ivyhub.registry.weights.checkpoint import file_inside
from ivyhub.registry.weights.dtypes import ITEMSIZE
from ivyhub.registry.weights.header import TensorInfo

INDEX = ".metadata"
_LARGEST_INDEX = 1 << 30
_CLASSES = (
    *("Metadata", "TensorStorageMetadata", "BytesStorageMetadata", "ChunkStorageMetadata", "TensorProperties"),
    *("MetadataIndex", "StorageMeta", "_MEM_FORMAT_ENCODING"),
)
_KNOWN: Mapping[tuple[str, str], Any] = {
    **KNOWN,
    **{("torch.distributed.checkpoint.metadata", name): record(name) for name in _CLASSES},
    # Where earlier versions of PyTorch had them.
    **{
        ("torch.distributed._shard.sharded_tensor.metadata", name): record(name)
        for name in ("TensorProperties", "MEM_FORMAT_ENCODING")
    },
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"): record("_StorageInfo"),
}


def read_folder(folder: Path) -> Contents:
    """The tensors of a folder, each in pieces; in a process without rights (`confined`).

    Raises:
        CheckpointError: a file of it is missing.
        CorruptFileError: pieces do not fill a tensor, or are other than the index says.
        UnsafeError: the index names what no checkpoint needs, or a file outside of the folder.
    """
    index = Pages(file_inside(folder, INDEX))
    if index.size > _LARGEST_INDEX:
        raise corrupt(index.path, f"expected an index, received {index.size} bytes")
    found = Unpickler(index.read(0, index.size), index.path, _KNOWN).load()
    if not isinstance(found, Record) or found.kind != "Metadata":
        raise corrupt(index.path, "expected the metadata of a distributed checkpoint, received something else")
    fields = found.fields()
    tensors, places = fields.get("state_dict_metadata"), fields.get("storage_data")
    if not isinstance(tensors, dict) or not isinstance(places, dict):
        raise corrupt(index.path, "expected tensors and their places, received something else")
    where: dict[tuple[str, tuple[int, ...]], dict[Any, Any]] = {}
    for key, place in places.items():
        if isinstance(key, Record) and isinstance(place, Record):
            said = key.fields()
            where[word(said.get("fqn")), sizes(said.get("offset") or (), index.path)] = place.fields()
    files: dict[str, tuple[int, Pages]] = {INDEX: (0, index)}
    made: list[Described] = []
    values: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Record) or not isinstance(name, str):
            raise corrupt(index.path, f"expected a description of {reprlib.repr(name)}, received something else")
        if tensor.kind == "BytesStorageMetadata":
            values[name] = '"a pickled value"'
            continue
        said = tensor.fields()
        shape, dtype = sizes(said.get("size"), index.path), _dtype(index, said.get("properties"))
        if dtype not in ITEMSIZE:
            unreadable[name] = f"{dtype}{list(shape)}"
            continue
        made.append(_tensor(index, folder, TensorInfo(name, dtype, shape), said.get("chunks"), where, files))
    return Contents("torch-distributed", tuple(files), tuple(made), values, unreadable)


def _dtype(index: Pages, properties: Any) -> str:
    states = properties.state if isinstance(properties, Record) else []
    if states and isinstance(states[0], tuple) and states[0] and isinstance(states[0][0], DType):
        return str(states[0][0])
    raise corrupt(index.path, "expected the type of a tensor, received something else")


def _tensor(
    index: Pages,
    folder: Path,
    info: TensorInfo,
    chunks: Any,
    where: dict[tuple[str, tuple[int, ...]], dict[Any, Any]],
    files: dict[str, tuple[int, Pages]],
) -> Described:
    pieces: list[tuple[tuple[int, ...], tuple[int, ...], Part]] = []
    for chunk in chunks if isinstance(chunks, list) else []:
        said = chunk.fields() if isinstance(chunk, Record) else {}
        starts, shape = sizes(said.get("offsets"), index.path), sizes(said.get("sizes"), index.path)
        place = where.get((info.name, starts))
        if place is None or len(starts) != len(info.shape) or len(shape) != len(info.shape):
            raise corrupt(index.path, f"expected the place of a piece of {info.name!r}, received none")
        if place.get("transform_descriptors"):
            raise corrupt(index.path, f"expected {info.name!r} as it is, received it compressed or encrypted")
        file, offset, size = word(place.get("relative_path")), place.get("offset"), place.get("length")
        if file not in files:
            files[file] = len(files), Pages(file_inside(folder, file))
        number, pages = files[file]
        found = _piece(pages.part(*sizes((offset, size), index.path)), info, shape)
        pieces.append((starts, shape, msgspec.structs.replace(found, file=number, starts=starts)))
    for starts, shape, _ in pieces:
        if any(start + size > full for start, size, full in zip(starts, shape, info.shape, strict=True)):
            raise corrupt(index.path, f"expected pieces inside of {info.name!r} {info}, received one beyond it")
    if sum(math.prod(shape) for _, shape, _ in pieces) != math.prod(info.shape) or overlap([p[:2] for p in pieces]):
        raise corrupt(index.path, f"expected pieces that fill {info.name!r} {info}, received others")
    return Described(info.name, info.dtype, info.shape, tuple(part for _, _, part in pieces))


def _piece(pages: Pages, info: TensorInfo, shape: tuple[int, ...]) -> Part:
    """The one tensor of a file of `torch.save`."""
    read = torch_files.read_archive if zips.is_zip(pages) else torch_files.read_legacy
    tensors = read(pages).tensors
    if len(tensors) != 1 or (tensors[0].dtype, tensors[0].shape) != (info.dtype, shape) or not tensors[0].parts:
        raise corrupt(pages.path, f"expected a piece {list(shape)} of {info.name!r} {info}, received something else")
    return tensors[0].parts[0]
