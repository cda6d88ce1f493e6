"""Writes tensors whose names are paths as trees: MessagePack of Flax, HDF5, folders of Orbax."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ivyhub.errors import CheckpointError
from ivyhub.registry.checkpoints import hdf5
from ivyhub.registry.checkpoints.msgpack import CHUNKED
from ivyhub.registry.checkpoints.orbax import INDEX, ZARR_TYPES
from ivyhub.registry.files import check_relative_name
from ivyhub.registry.weights.dtypes import numpy_dtype
from ivyhub.registry.weights.lazy import PlannedTensor
from ivyhub.registry.weights.writer import write_pieces

if TYPE_CHECKING:
    import h5py

CHUNK_BYTES = 2**30
"""Larger arrays are cut into pieces of this size: ``MAX_CHUNK_SIZE`` of ``flax.serialization``."""
_VARIABLE = re.compile(r".+/.+:\d+")
_MOST_TEXTS = 4000
"""In an attribute: 16 bytes for each, of 64512 that HDF5 has room for."""


def tree_of(tensors: Sequence[PlannedTensor], separator: str) -> dict[str, Any]:
    """Tensors in nested dictionaries, by the parts of their names.

    Raises:
        CheckpointError: a name is the beginning of another one.

    Example:
        >>> tree_of([], ".")
        {}
    """
    root: dict[str, Any] = {}
    for tensor in tensors:
        *groups, last = tensor.info.name.split(separator)
        inside: Any = root
        for group in groups:
            inside = inside.setdefault(group, {}) if isinstance(inside, dict) else None
        if not isinstance(inside, dict) or last in inside:
            raise CheckpointError(
                f"expected names that make a tree, received {tensor.info.name!r} beside a name that it begins with",
                hint="convert it to a format without groups, such as safetensors",
            )
        inside[last] = tensor
    return root


# -- MessagePack -------------------------------------------------------------------------------------------------------


def write_msgpack(file: BinaryIO, tensors: Sequence[PlannedTensor], separator: str) -> Iterator[int]:
    """Write what `flax.serialization.msgpack_restore` reads; yields the bytes of numbers as it goes.

    Raises:
        CheckpointError: a name is the beginning of another one.
    """
    pending: list[Any] = [tree_of(tensors, separator)]
    while pending:
        found = pending.pop()
        if isinstance(found, bytes):
            file.write(found)
        elif isinstance(found, PlannedTensor):
            yield from _packed(file, found)
        else:
            file.write(_map(len(found)))
            for key, value in reversed(found.items()):
                pending += [value, _text(key)]


def _packed(file: BinaryIO, tensor: PlannedTensor) -> Iterator[int]:
    info = tensor.info
    if info.nbytes <= CHUNK_BYTES:
        file.write(_array_start(info.dtype, info.shape, info.nbytes))
        yield from write_pieces(file, tensor.passthrough or [tensor])
        return
    shape = b"".join(_text(str(axis)) + _number(size) for axis, size in enumerate(info.shape))
    item = numpy_dtype(info.dtype).itemsize
    step = CHUNK_BYTES // item
    count = math.prod(info.shape)
    file.write(_map(3) + _text(CHUNKED) + b"\xc3" + _text("shape") + _map(len(info.shape)) + shape + _text("chunks"))
    file.write(_map(-(-count // step)))
    written = 0
    for slab in tensor.read.slabs():
        flat = slab.reshape(-1)
        while flat.size:
            place = written % step
            if place == 0:
                size = min(step, count - written)
                file.write(_text(str(written // step)) + _array_start(info.dtype, (size,), size * item))
            part, flat = flat[: step - place], flat[step - place :]
            file.write(part.view(np.uint8).data)
            written += part.size
            yield part.nbytes


def _array_start(dtype: str, shape: Sequence[int], nbytes: int) -> bytes:
    """All of an array but its numbers."""
    inner = b"\x93" + bytes([0x90 | len(shape)]) if len(shape) < 16 else b"\x93" + struct.pack(">BH", 0xDC, len(shape))
    inner += b"".join(map(_number, shape)) + _text(dtype) + struct.pack(">BI", 0xC6, nbytes)
    return struct.pack(">BIb", 0xC9, len(inner) + nbytes, 1) + inner


def _map(count: int) -> bytes:
    return bytes([0x80 | count]) if count < 16 else struct.pack(">BI", 0xDF, count)


def _text(text: str) -> bytes:
    data = text.encode()
    return (bytes([0xA0 | len(data)]) if len(data) < 32 else struct.pack(">BI", 0xDB, len(data))) + data


def _number(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else struct.pack(">BQ", 0xCF, value)


# -- HDF5 --------------------------------------------------------------------------------------------------------------


def write_hdf5(path: Path, tensors: Sequence[PlannedTensor]) -> Iterator[int]:
    """Write datasets under the paths that names are, with slashes; bfloat16 as Keras keeps it.

    h5py lays the file out, and the numbers are then written to their places. Names of variables, ``layer/kernel:0``,
    are listed in the attributes by which Keras 2 finds them.

    Raises:
        CheckpointError: a name is no path of HDF5, or the beginning of another one.
    """
    h5py = hdf5.load_h5py()
    tree_of(tensors, "/")
    places: list[tuple[int, PlannedTensor]] = []
    with h5py.File(path, "w") as file:
        for tensor in tensors:
            info = tensor.info
            if any(part in ("", ".", "..") for part in info.name.split("/")):
                raise CheckpointError(f"expected a name that is a path of HDF5, received {info.name!r}")
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            dataset = file.create_dataset(info.name, info.shape, numpy_dtype(info.dtype), dcpl=properties)
            if info.dtype == "bfloat16":
                dataset.attrs["dtype"] = info.dtype
            if (offset := dataset.id.get_offset()) is not None:
                places.append((offset, tensor))
            elif info.nbytes:
                dataset[()] = tensor.read()
                yield info.nbytes
        if tensors and all(_VARIABLE.fullmatch(tensor.info.name) for tensor in tensors):
            _list_variables(file, [tensor.info.name for tensor in tensors])
    with path.open("r+b", buffering=0) as file:
        for offset, tensor in places:
            file.seek(offset)
            yield from write_pieces(file, tensor.passthrough or [tensor])


def _list_variables(file: h5py.File, names: Sequence[str]) -> None:
    layers: dict[str, list[str]] = {}
    for name in names:
        layer, _, variable = name.partition("/")
        layers.setdefault(layer, []).append(variable)
    _list(file.attrs, "layer_names", [*layers])
    file.attrs["backend"], file.attrs["keras_version"] = "tensorflow", "2.15.0"
    for layer, variables in layers.items():
        _list(file[layer].attrs, "weight_names", variables)


def _list(attributes: h5py.AttributeManager, name: str, texts: Sequence[str]) -> None:
    """Names as an attribute, or as several that are counted where one would be larger than HDF5 allows."""
    if len(texts) <= _MOST_TEXTS:
        attributes[name] = list(texts)
    else:
        for place, start in enumerate(range(0, len(texts), _MOST_TEXTS)):
            attributes[f"{name}{place}"] = list(texts[start : start + _MOST_TEXTS])


# -- Orbax -------------------------------------------------------------------------------------------------------------


def write_orbax(folder: Path, tensors: Sequence[PlannedTensor], separator: str) -> Iterator[int]:
    """Write a folder of Zarr arrays that are neither compressed nor cut, and the tree that Orbax finds them by.

    Raises:
        CheckpointError: two names lead to one array, or Zarr has no type for one.
        UnsafeError: a name is no file name.
    """
    tree_of(tensors, separator)
    folder.mkdir()
    rows: dict[str, Any] = {}
    for tensor in tensors:
        info, keys = tensor.info, tensor.info.name.split(separator)
        array = folder / check_relative_name(".".join(keys))
        if len(array.relative_to(folder).parts) != 1 or array.exists():
            raise CheckpointError(
                f"expected names that differ with dots between their parts and have no slashes, received {info.name!r}"
            )
        array.mkdir()
        said = {
            "chunks": info.shape,
            "compressor": None,
            "dimension_separator": ".",
            "dtype": ZARR_TYPES[info.dtype],
            "fill_value": None,
            "filters": None,
            "order": "C",
            "shape": info.shape,
            "zarr_format": 2,
        }
        if 0 in info.shape:
            said["chunks"] = tuple(max(size, 1) for size in info.shape)
        (array / ".zarray").write_text(json.dumps(said))
        if info.nbytes:
            with (array / (".".join("0" for _ in info.shape) or "0")).open("xb") as file:
                yield from write_pieces(file, tensor.passthrough or [tensor])
        rows[str(tuple(keys))] = {
            "key_metadata": [{"key": key, "key_type": 2} for key in keys],
            "value_metadata": {"value_type": "np.ndarray", "skip_deserialize": False},
        }
    index = {"tree_metadata": rows, "use_ocdbt": False, "use_zarr3": False, "custom_metadata": None}
    (folder / INDEX).write_text(json.dumps(index))
    handler = "orbax.checkpoint._src.handlers.pytree_checkpoint_handler.PyTreeCheckpointHandler"
    (folder / "_CHECKPOINT_METADATA").write_text(json.dumps({"item_handlers": handler, "custom_metadata": {}}))
