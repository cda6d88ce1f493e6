"""Checkpoints of TensorFlow, of both versions, read without TensorFlow.

Version 2 (`tf.train.Checkpoint`, variables of a SavedModel): ``NAME.index`` is a table of places in the files
``NAME.data-0000I-of-0000N``. Version 1 (before 2017): tables of whole tensors and of slices of them, in one file or in
``NAME-0000I-of-0000N``. Messages: ``tensorflow/core/protobuf/tensor_bundle.proto`` and
``tensorflow/core/util/saved_tensor_slice.proto``, by the numbers of their fields.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ivyhub.errors import CheckpointError
from ivyhub.registry.checkpoints.mapped import FormatCheckpoint, Pages, Stored, corrupt, overlap, sizes, stored
from ivyhub.registry.checkpoints.protobuf import Field, Message, fixed, varints
from ivyhub.registry.checkpoints.sstable import entries, is_table
from ivyhub.registry.weights.checkpoint import file_inside
from ivyhub.registry.weights.dtypes import ITEMSIZE, numpy_dtype
from ivyhub.registry.weights.header import TensorInfo

_TYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "text", 8: "complex64", 9: "int64",
    10: "bool", 11: "qint8", 12: "quint8", 13: "qint32", 14: "bfloat16", 15: "qint16", 16: "quint16", 17: "uint16",
    18: "complex128", 19: "float16", 20: "resource", 21: "variant", 22: "uint32", 23: "uint64", 24: "float8_e5m2",
    25: "float8_e4m3fn",
}  # fmt: skip
"""``DataType`` of ``types.proto``; those of ivyhub's names are read."""

_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})")


class _Slice(NamedTuple):
    """A part of a tensor: where it begins and how long it is, by axis, and which axes the file calls whole."""

    starts: tuple[int, ...]
    shape: tuple[int, ...]
    whole: tuple[bool, ...]

    def places(self) -> tuple[slice, ...]:
        return tuple(slice(start, start + size) for start, size in zip(self.starts, self.shape, strict=True))


def prefix_of(path: Path) -> Path | None:
    """The name of a checkpoint of version 2, from itself or one of its files; None where there is none.

    Example:
        >>> prefix_of(Path("no/such/model.ckpt")) is None
        True
    """
    for name in (path.name, path.name.removesuffix(".index"), path.name.partition(".data-")[0]):
        if name and path.with_name(f"{name}.index").is_file():
            return path.with_name(name)
    return None


def open_bundle(prefix: Path) -> FormatCheckpoint:
    """The tensors of a checkpoint of version 2.

    Raises:
        CheckpointError: a file of it is missing.
        CorruptFileError: it is truncated or malformed.
    """
    index = Pages(prefix.with_name(f"{prefix.name}.index"))
    if not is_table(index):
        raise corrupt(index.path, "expected the index of a checkpoint of TensorFlow, received other bytes")
    rows = {key: Message(index, at, size) for key, at, size in entries(index)}
    header = {field.number: field.value for field in rows.pop(b"", [])}
    shards, big = header.get(1, 0), header.get(2, 0) == 1
    if not 1 <= shards <= 100_000:
        raise corrupt(index.path, f"expected files with numbers, received {shards}")
    data: dict[int, Pages] = {}

    def pages(shard: int) -> Pages:
        if not 0 <= shard < shards:
            raise corrupt(index.path, f"expected one of {shards} files, received the {shard}th")
        if shard not in data:
            file = file_inside(prefix.parent, f"{prefix.name}.data-{shard:05d}-of-{shards:05d}")
            if not file.exists():
                raise CheckpointError(f"expected {file.name} beside {index.path}, received a folder without it")
            data[shard] = Pages(file)
        return data[shard]

    made: list[Stored] = []
    values: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    parsed = {key: _Entry.parse(index, row) for key, row in rows.items()}
    parts = {_slice_key(key, part) for key, entry in parsed.items() for part in entry.slices}
    for key, entry in parsed.items():
        if key in parts:
            continue
        name = _text(index, key)
        if entry.dtype not in ITEMSIZE:
            told = values if entry.dtype == "text" else unreadable
            told[name] = f'"{entry.dtype}{list(entry.shape)}"' if entry.dtype == "text" else entry.told()
            continue
        info = TensorInfo(name, entry.dtype, entry.shape)
        if entry.slices:
            pieces = [
                (part, _piece(index, name, info, part, parsed.get(_slice_key(key, part)))) for part in entry.slices
            ]
            stores = [
                (part, stored(name, info.dtype, part.shape, pages(p.shard), p.offset, big_endian=big))
                for part, p in pieces
            ]
            made.append(_joined(index, info, stores))
            continue
        if entry.size != info.nbytes:
            raise corrupt(index.path, f"expected {info.nbytes} bytes for {name!r} {info}, received {entry.size}")
        where = pages(entry.shard) if info.nbytes else index
        made.append(stored(name, info.dtype, info.shape, where, entry.offset, big_endian=big))
    values.pop(_OBJECTS, None)  # how the objects of Keras hang together: no values
    files = [index.path, *(part.path for _, part in sorted(data.items()))]
    return FormatCheckpoint("tensorflow", made, files, values=values, unreadable=unreadable, separator="/")


def _text(pages: Pages, key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise corrupt(pages.path, "expected names of tensors as keys, received other bytes") from None


class _Entry(NamedTuple):
    """A row of an index: a tensor, whole in one file or made of slices that have rows of their own."""

    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    slices: tuple[_Slice, ...]

    def told(self) -> str:
        return f"{self.dtype}{list(self.shape)}"

    @staticmethod
    def parse(pages: Pages, row: Message) -> _Entry:
        numbers = {1: 0, 3: 0, 4: 0, 5: 0}
        shape: tuple[int, ...] = ()
        slices: list[Message] = []
        for field in row:
            if field.number in numbers and field.wire == 0:
                numbers[field.number] = field.value
            elif field.number == 2:
                shape = _shape(pages, row.inner(field))
            elif field.number == 7:
                slices.append(row.inner(field))
        dtype = _TYPES.get(numbers[1], f"type {numbers[1]}")
        parts = tuple(_slice(pages, part, shape) for part in slices)
        return _Entry(dtype, shape, numbers[3], numbers[4], numbers[5], parts)


def _shape(pages: Pages, message: Message) -> tuple[int, ...]:
    dims: list[int] = []
    for field in message:
        if field.number == 2:
            dims.append(sum(part.signed() for part in message.inner(field) if part.number == 1))
        elif field.number == 3 and field.value:
            raise corrupt(pages.path, "expected a tensor of a known rank, received one without")
    return sizes(dims, pages.path)


def _slice(pages: Pages, message: Message, shape: Sequence[int]) -> _Slice:
    """An extent without a length is all of its axis."""
    extents = [message.inner(field) for field in message if field.number == 1]
    if len(extents) != len(shape):
        raise corrupt(pages.path, f"expected a slice of {list(shape)}, received one of {len(extents)} axes")
    starts: list[int] = []
    lengths: list[int] = []
    whole: list[bool] = []
    for extent, size in zip(extents, shape, strict=True):
        numbers = {field.number: field.signed() for field in extent}
        starts.append(numbers.get(1, 0))
        lengths.append(numbers.get(2, size))
        whole.append(2 not in numbers)
        if starts[-1] < 0 or lengths[-1] < 0 or starts[-1] + lengths[-1] > size:
            raise corrupt(pages.path, f"expected a slice of {list(shape)}, received one beyond it")
    return _Slice(tuple(starts), tuple(lengths), tuple(whole))


def _piece(pages: Pages, name: str, info: TensorInfo, part: _Slice, entry: _Entry | None) -> _Entry:
    size = TensorInfo(name, info.dtype, part.shape).nbytes
    if entry is None or (entry.dtype, entry.shape, entry.size) != (info.dtype, part.shape, size):
        raise corrupt(pages.path, f"expected the slice {list(part.shape)} of {name!r} {info}, received another one")
    return entry


def _joined(pages: Pages, info: TensorInfo, pieces: Sequence[tuple[_Slice, Stored]]) -> Stored:
    """A tensor from slices that fill it."""
    if sum(math.prod(part.shape) for part, _ in pieces) != math.prod(info.shape) or overlap(
        [(p.starts, p.shape) for p, _ in pieces]
    ):
        raise corrupt(pages.path, f"expected slices that fill {info.name!r} {info}, received others")
    if len(pieces) == 1:
        return pieces[0][1]

    def load() -> np.ndarray:
        whole = np.empty(info.shape, numpy_dtype(info.dtype))
        for part, found in pieces:
            whole[part.places()] = found.load()
            if found.span is not None:
                found.span.pages.release(found.span.offset, found.span.nbytes)
        return whole

    return Stored(info, load)


def _slice_key(name: bytes, part: _Slice) -> bytes:
    """The key of a slice, in ordered codes: ``EncodeTensorNameSlice`` of ``saved_tensor_slice_util.cc``."""
    escapes = {0: b"\0\xff", 255: b"\xff\0"}
    key = b"\0" + b"".join(escapes.get(byte, bytes([byte])) for byte in name) + b"\0\1"
    key += _increasing(len(part.starts))
    for start, size, whole in zip(part.starts, part.shape, part.whole, strict=True):
        key += _signed_increasing(start) + (b"\x7f" if whole else _signed_increasing(size))  # -1 for a whole axis
    return key


def _increasing(value: int) -> bytes:
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(data)]) + data


def _signed_increasing(value: int) -> bytes:
    """As many ones as it has bytes, a zero, and the bits of a number that is not negative and fits eight bytes."""
    length = 1
    while value.bit_length() > 7 * length - 1:
        length += 1
    return (((1 << length) - 1) << (7 * length) | value).to_bytes(length, "big") if length <= 8 else b""


# -- version 1 ---------------------------------------------------------------------------------------------------------


def open_slices(pages: Pages) -> FormatCheckpoint:
    """The tensors of a checkpoint of version 1, with those of the files beside it that it is one of.

    Raises as `open_bundle` does.
    """
    files = [pages]
    if (match := _SHARD.fullmatch(pages.path.name)) is not None:
        names = [f"{match[1]}-{shard:05d}-of-{match[2]}" for shard in range(int(match[2]))]
        missing = [name for name in names if not file_inside(pages.path.parent, name).exists()]
        if missing:
            raise CheckpointError(f"expected {missing[0]} beside {pages.path}, received a folder without it")
        files = [Pages(pages.path.with_name(name)) for name in names]
    known: dict[str, tuple[str, tuple[int, ...]]] = {}
    pieces: dict[str, list[tuple[_Slice, Pages, Message]]] = {}
    for part in files:
        for key, at, size in entries(part):
            row = Message(part, at, size)
            if key == b"":
                known |= _tensors(part, row)
                continue
            for field in row:
                if field.number == 2:
                    _keep(part, row.inner(field), known, pieces)
    made: list[Stored] = []
    unreadable: dict[str, str] = {}
    for name, (dtype, shape) in known.items():
        if dtype not in ITEMSIZE:
            unreadable[name] = f"{dtype}{list(shape)}"
            continue
        info = TensorInfo(name, dtype, shape)
        found = [
            (part, _numbers(where, TensorInfo(name, dtype, part.shape), data))
            for part, where, data in pieces.get(name, [])
        ]
        made.append(_joined(pages, info, found))
    return FormatCheckpoint("tensorflow-v1", made, [part.path for part in files], unreadable=unreadable, separator="/")


def _tensors(pages: Pages, row: Message) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name, type and shape of every tensor, from the first row of a table."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for field in row:
        if field.number != 1:
            continue
        meta = row.inner(field)
        for part in meta:
            if part.number != 1:
                continue
            tensor = meta.inner(part)
            name, shape, kind = "", (), 0
            for item in tensor:
                if item.number == 1:
                    name = tensor.text(item)
                elif item.number == 2:
                    shape = _shape(pages, tensor.inner(item))
                elif item.number == 3:
                    kind = item.value
            found[name] = (_TYPES.get(kind, f"type {kind}"), shape)
    return found


def _keep(
    pages: Pages,
    saved: Message,
    known: dict[str, tuple[str, tuple[int, ...]]],
    pieces: dict[str, list[tuple[_Slice, Pages, Message]]],
) -> None:
    name = ""
    part = data = None
    for field in saved:
        if field.number == 1:
            name = saved.text(field)
        elif field.number == 2:
            part = saved.inner(field)
        elif field.number == 3:
            data = saved.inner(field)
    if name not in known or data is None:
        raise corrupt(pages.path, f"expected a slice of a tensor, received one of {name[:60]!r}")
    shape = known[name][1]
    found = _slice(pages, part, shape) if part is not None else _Slice((0,) * len(shape), shape, (True,) * len(shape))
    pieces.setdefault(name, []).append((found, pages, data))


# Fields of TensorProto (tensor.proto) that hold numbers, by the type of a tensor.
_VALUES = {
    **dict.fromkeys(("int32", "uint8", "int16", "int8", "uint16"), 7),
    "float32": 5, "float64": 6, "complex64": 9, "int64": 10, "bool": 11, "float16": 13, "bfloat16": 13,
    "uint32": 16, "uint64": 17,
}  # fmt: skip
_CONTENT = 4


def _numbers(pages: Pages, info: TensorInfo, data: Message) -> Stored:
    """A tensor from a ``TensorProto``."""
    fields = [field for field in data if field.number == _VALUES.get(info.dtype)]
    content = [field for field in data if field.number == _CONTENT]
    as_they_are = info.dtype in ("float32", "float64", "complex64")
    whole = content or (fields if as_they_are and all(field.wire == 2 for field in fields) else [])
    if len(whole) == 1 or info.nbytes == 0:
        if sum(field.size for field in whole) != info.nbytes:
            raise corrupt(pages.path, f"expected {info.nbytes} bytes for {info.name!r}, received another number")
        return stored(info.name, info.dtype, info.shape, pages, whole[0].value if whole else 0)

    def load() -> np.ndarray:
        values = np.concatenate([_values(pages, field) for field in fields]) if fields else np.empty(0)
        if info.dtype == "complex64":
            values = values.astype(np.float32).view(np.complex64)
        dtype = numpy_dtype(info.dtype)
        if len(values) != math.prod(info.shape):
            raise corrupt(pages.path, f"expected {info} for {info.name!r}, received {len(values)} numbers")
        if info.dtype in ("float16", "bfloat16"):
            return values.astype(np.uint16).view(dtype).reshape(info.shape)
        return values.astype(dtype).reshape(info.shape)

    return Stored(info, load)


def _values(pages: Pages, field: Field) -> np.ndarray:
    if field.wire == 2:
        return varints(pages, field.value, field.size)
    return np.array([field.signed() if field.wire == 0 else fixed(pages, field)])
