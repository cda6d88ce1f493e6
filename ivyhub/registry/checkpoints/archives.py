"""Writes zip archives of tensors as streams: files that `torch.load` reads, ``.npz``, and ``.keras``."""

from __future__ import annotations

import io
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ivyhub.errors import CheckpointError
from ivyhub.registry.checkpoints import hdf5, trees, zips
from ivyhub.registry.checkpoints.mapped import FormatCheckpoint, Pages
from ivyhub.registry.checkpoints.objects import STORAGES
from ivyhub.registry.checkpoints.renamed import RenamedCheckpoint
from ivyhub.registry.weights.dtypes import numpy_dtype
from ivyhub.registry.weights.lazy import PlannedTensor
from ivyhub.registry.weights.writer import Staging

_ALIGNMENT = 64  # of torch.save, so that a mapped file has aligned tensors
_WIDE = ((1 << 31) - 1) * 20 // 21  # `zipfile` keeps a twentieth for what compression adds
_STEP = 1 << 20
_DATE = (1980, 1, 1, 0, 0, 0)  # the same tensors make the same bytes


def write_torch(file: BinaryIO, tensors: Sequence[PlannedTensor]) -> Iterator[int]:
    """Write a dictionary of tensors as `torch.save` does; ``torch.load(weights_only=True)`` reads it.

    Tensors that lie in the same bytes of a source share their storage, as they did there.

    Raises:
        CheckpointError: values differ from what was announced.
    """
    keys: dict[object, str] = {}
    owners: list[PlannedTensor] = []
    named: list[tuple[PlannedTensor, str]] = []
    for tensor in tensors:
        same = (tensor.info.dtype, tensor.passthrough) if tensor.passthrough else tensor.info.name
        if same not in keys:
            keys[same] = str(len(owners))
            owners.append(tensor)
        named.append((tensor, keys[same]))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _small(archive, "archive/data.pkl", _pickle(named))
        _small(archive, "archive/.format_version", b"1")
        _small(archive, "archive/.storage_alignment", str(_ALIGNMENT).encode())
        _small(archive, "archive/byteorder", b"little")
        for key, tensor in enumerate(owners):
            yield from _large(archive, f"archive/data/{key}", b"", tensor)
        _small(archive, "archive/version", b"3\n")


def write_npz(file: BinaryIO, tensors: Sequence[PlannedTensor]) -> Iterator[int]:
    """Write arrays as `numpy.savez` does.

    Raises:
        CheckpointError: NumPy has no type for one, or values differ from what was announced.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for tensor in tensors:
            dtype, header = numpy_dtype(tensor.info.dtype), io.BytesIO()
            said = {"descr": dtype.str, "fortran_order": False, "shape": tensor.info.shape}
            np.lib.format.write_array_header_2_0(header, said)
            yield from _large(archive, f"{tensor.info.name}.npy", header.getvalue(), tensor)


def write_keras(
    staging: Staging, path: Path, tensors: Sequence[PlannedTensor], ckpt: FormatCheckpoint
) -> Iterator[int]:
    """Write a ``.keras`` file: the weights, and everything else of the one that they come from as it is.

    Its configuration is carried as bytes, and nobody reads it here.

    Raises:
        CheckpointError: the source is no ``.keras`` file, which alone says what the model is in the words of Keras 3.
    """
    if ckpt.format != "keras" or isinstance(ckpt, RenamedCheckpoint):
        raise CheckpointError(
            "expected a .keras file under its own names, which has the model's configuration, to write one, received "
            f"{ckpt.files[0].name}, which has none that Keras 3 reads, or others",
            hint="--to h5 writes weights alone, for model.load_weights",
        )
    source = Pages(ckpt.files[0])
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        weights = Path(folder) / hdf5.WEIGHTS
        yield from trees.write_hdf5(weights, tensors)
        with staging.create(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for member in zips.members(source).values():
                if member.name != hdf5.WEIGHTS:
                    info = _member(archive, member.name, member.size)
                    with archive.open(info, "w", force_zip64=member.size > _WIDE) as target:
                        for piece in zips.expand(source, member):
                            target.write(piece)
            size = weights.stat().st_size
            info = _member(archive, hdf5.WEIGHTS, size)
            with weights.open("rb") as made, archive.open(info, "w", force_zip64=size > _WIDE) as target:
                shutil.copyfileobj(made, target, _STEP)


def _small(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    with archive.open(_member(archive, name, len(data)), "w") as member:
        member.write(data)


def _large(archive: zipfile.ZipFile, name: str, start: bytes, tensor: PlannedTensor) -> Iterator[int]:
    size = len(start) + tensor.info.nbytes
    with archive.open(_member(archive, name, size), "w", force_zip64=size > _WIDE) as member:
        member.write(start)
        for slab in tensor.read.slabs():
            member.write(slab.reshape(-1).view(np.uint8).data)
            yield slab.nbytes
    if archive.getinfo(name).file_size != size:
        raise CheckpointError(f"expected {size} bytes for {name}, received {archive.getinfo(name).file_size}")


def _member(archive: zipfile.ZipFile, name: str, size: int) -> zipfile.ZipInfo:
    """A member whose data begins at a multiple of the alignment, by an extra field that nobody reads."""
    info = zipfile.ZipInfo(name, _DATE)
    info.file_size = size
    wide = 20 if size > _WIDE else 0
    start = archive.start_dir + 30 + len(name.encode()) + 4 + wide
    info.extra = struct.pack("<2sH", b"FB", -start % _ALIGNMENT) + bytes(-start % _ALIGNMENT)
    return info


def _pickle(tensors: Sequence[tuple[PlannedTensor, str]]) -> bytes:
    """The pickle of a dictionary of tensors in protocol 2, whose opcodes ``pickletools`` documents."""
    parts = [b"\x80\x02}("]
    for tensor, key in tensors:
        info = tensor.info
        storage = STORAGES.get(info.dtype)
        count = info.nbytes if storage is None else info.nbytes // numpy_dtype(info.dtype).itemsize
        kind = b"ctorch.storage\nUntypedStorage\n" if storage is None else f"ctorch\n{storage}Storage\n".encode()
        strides = [1]
        for size in info.shape[:0:-1]:
            strides.append(strides[-1] * max(size, 1))
        parts += [
            _text(info.name),
            b"ctorch._utils\n_rebuild_tensor_v3\n(" if storage is None else b"ctorch._utils\n_rebuild_tensor_v2\n(",
            *(b"(", _text("storage"), kind, _text(key), _text("cpu"), _integer(count), b"tQ"),
            _integer(0),
            _tuple(info.shape),
            _tuple(strides[::-1] if info.shape else ()),
            b"\x89ccollections\nOrderedDict\n)R",
            *([f"ctorch\n{info.dtype}\n".encode()] if storage is None else []),
            b"tR",
        ]
    return b"".join([*parts, b"u."])


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(value: int) -> bytes:
    if value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def _tuple(values: Sequence[int]) -> bytes:
    return b"(" + b"".join(map(_integer, values)) + b"t"
