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
import numpy as np

from ivyhub.registry.checkpoints import torch_files, zips
from ivyhub.registry.checkpoints.mapped import FormatCheckpoint, Pages, Stored, corrupt, overlap, sizes
from ivyhub.registry.checkpoints.objects import KNOWN, DType, word
from ivyhub.registry.checkpoints.pickles import Record, Unpickler, record
from ivyhub.registry.weights.checkpoint import file_inside
from ivyhub.registry.weights.dtypes import ITEMSIZE, numpy_dtype
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


def open_distributed(folder: Path) -> FormatCheckpoint:
    """The tensors of a folder, put together from their pieces when they are read.

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
    files: dict[str, Pages] = {}
    made: list[Stored] = []
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
    paths = [index.path, *(pages.path for pages in files.values())]
    return FormatCheckpoint("torch-distributed", made, paths, values=values, unreadable=unreadable)


def _dtype(index: Pages, properties: Any) -> str:
    states = properties.state if isinstance(properties, Record) else []
    if states and isinstance(states[0], tuple) and states[0] and isinstance(states[0][0], DType):
        return states[0][0]
    raise corrupt(index.path, "expected the type of a tensor, received something else")


def _tensor(
    index: Pages,
    folder: Path,
    info: TensorInfo,
    chunks: Any,
    where: dict[tuple[str, tuple[int, ...]], dict[Any, Any]],
    files: dict[str, Pages],
) -> Stored:
    pieces: list[tuple[tuple[int, ...], tuple[int, ...], Pages]] = []
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
            files[file] = Pages(file_inside(folder, file))
        pieces.append((starts, shape, files[file].part(*sizes((offset, size), index.path))))
    for starts, shape, _ in pieces:
        if any(start + size > full for start, size, full in zip(starts, shape, info.shape, strict=True)):
            raise corrupt(index.path, f"expected pieces inside of {info.name!r} {info}, received one beyond it")
    if sum(math.prod(shape) for _, shape, _ in pieces) != math.prod(info.shape) or overlap([p[:2] for p in pieces]):
        raise corrupt(index.path, f"expected pieces that fill {info.name!r} {info}, received others")
    if len(pieces) == 1:
        return _piece(pieces[0][2], info, info.shape)

    def load() -> np.ndarray:
        array = np.empty(info.shape, numpy_dtype(info.dtype))
        for starts, shape, part in pieces:
            places = tuple(slice(start, start + size) for start, size in zip(starts, shape, strict=True))
            array[places] = _piece(part, info, shape).load()
            part.release(0, part.size)
        return array

    return Stored(info, load)


def _piece(part: Pages, info: TensorInfo, shape: tuple[int, ...]) -> Stored:
    """The one tensor of a file of `torch.save`."""
    found = torch_files.open_archive(part, zips.members(part)) if zips.is_zip(part) else torch_files.open_legacy(part)
    tensors = found.stored()
    if len(tensors) != 1 or (tensors[0].info.dtype, tensors[0].info.shape) != (info.dtype, shape):
        raise corrupt(part.path, f"expected a piece {list(shape)} of {info.name!r} {info}, received something else")
    return msgspec.structs.replace(tensors[0], info=TensorInfo(info.name, info.dtype, shape))
