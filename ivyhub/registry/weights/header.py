"""A strict reader of the safetensors header.

The ``safetensors`` package hides where a tensor's bytes lie, takes the last of two equal keys in silence, and lets
any name through. ivyhub copies bytes from file to file, so it reads the header itself and believes none of it.

Format: https://github.com/huggingface/safetensors#format. Eight bytes, the little-endian length N of the header; N
bytes of JSON, ``{"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [BEGIN, END]}, ..., "__metadata__":
{str: str}}``; then the data, which the tensors fill from end to end without holes or overlaps.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec

from ivyhub.errors import CorruptFileError, UnsafeError
from ivyhub.registry.characters import steers
from ivyhub.registry.weights.dtypes import ITEMSIZE, NAME_OF_CODE

MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors package itself
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_Size = Annotated[int, msgspec.Meta(ge=0)]


class TensorInfo(msgspec.Struct, frozen=True, gc=False):
    """What is known of a tensor before its bytes are read.

    Args:
        name: its name in the checkpoint.
        dtype: ivyhub's name of its dtype, "float32".
        shape: its shape, () for a scalar.

    Example:
        >>> TensorInfo("wte.weight", "bfloat16", (50257, 768)).nbytes
        77194752
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of its data."""
        return ITEMSIZE[self.dtype] * math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


class Header(msgspec.Struct, frozen=True):
    """A header that has passed every check.

    Args:
        tensors: name to (info, offset from the start of the file), in the order of their data.
        metadata: the strings under ``__metadata__``.
        data_start: where the data begins, in bytes from the start of the file.
        file_size: bytes of the whole file.
    """

    tensors: dict[str, tuple[TensorInfo, int]]
    metadata: dict[str, str]
    data_start: int
    file_size: int


class _Entry(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    dtype: str
    shape: tuple[_Size, ...]
    data_offsets: tuple[_Size, _Size]


_raw = msgspec.json.Decoder(dict[str, msgspec.Raw])
_entry = msgspec.json.Decoder(_Entry)
_strings = msgspec.json.Decoder(dict[str, str])


def read_header(file: BinaryIO, path: Path, *, size: int | None = None) -> Header:
    """Read and check the header of an open safetensors file.

    Args:
        file: the file, opened for binary reading.
        path: its name, for messages.
        size: bytes of the whole, where this file is its beginning.

    Raises:
        CorruptFileError: truncated or malformed in any way.
        UnsafeError: a pickle or zip archive, or a tensor's name with control characters.
    """
    size = os.fstat(file.fileno()).st_size if size is None else size
    start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or start[8:] != b"{" or length > min(MAX_HEADER_BYTES, size - 8):
        # Only now: a sound file whose header has 640 bytes begins like a pickle of protocol 2.
        if start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] <= b"\x05"):
            raise pickle_refused(path)
        if start[8:] == b"{" and length > MAX_HEADER_BYTES:
            raise _corrupt(path, f"expected a header of at most {MAX_HEADER_BYTES} bytes, received {length}")
        if start[8:] == b"{":
            raise _corrupt(path, f"expected a header of {length} bytes, received a file of {size}: it is truncated")
        raise _corrupt(path, "expected a safetensors header, received other bytes")
    text = b"{" + file.read(length - 1)
    try:
        raw = _raw.decode(text)
        metadata = _strings.decode(raw.pop("__metadata__", b"{}"))
        entries = {name: _entry.decode(value) for name, value in raw.items()}
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _corrupt(path, f"expected a safetensors header, received malformed JSON: {error}") from None
    _refuse_duplicates(text, entries, metadata, path)
    check_names(entries, path)
    return Header(_lay_out(entries, 8 + length, size, path), metadata, 8 + length, size)


def _lay_out(entries: Mapping[str, _Entry], start: int, size: int, path: Path) -> dict[str, tuple[TensorInfo, int]]:
    """Check that the entries fill the data exactly, and order them by it."""
    tensors: dict[str, tuple[TensorInfo, int]] = {}
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        begin, end = entry.data_offsets
        if entry.dtype not in NAME_OF_CODE:
            raise _corrupt(path, f"expected a known dtype for tensor {name!r}, received {entry.dtype!r}")
        info = TensorInfo(name, NAME_OF_CODE[entry.dtype], entry.shape)
        if begin != position:
            raise _corrupt(path, f"expected tensor {name!r} to begin at byte {position} of the data, received {begin}")
        if end - begin != info.nbytes:
            raise _corrupt(path, f"expected {info.nbytes} bytes for tensor {name!r} {info}, received {end - begin}")
        tensors[name] = (info, start + begin)
        position = end
    if start + position != size:
        fault = "it is truncated" if start + position > size else "bytes follow the last tensor"
        raise _corrupt(path, f"expected a file of {start + position} bytes, received {size}: {fault}")
    return tensors


def _refuse_duplicates(text: bytes, entries: Mapping[str, _Entry], metadata: Mapping[str, str], path: Path) -> None:
    """Refuse keys that occur twice, of which a JSON decoder keeps the last.

    Each key writes one colon outside strings, so without escapes the colons of the text are those of the keys that
    were kept and of the strings, or a key was dropped. Counting costs a hundredth of a second parse.
    """
    strings = "".join((*entries, *metadata, *metadata.values()))
    keys = 4 * len(entries) + len(metadata) + (b'"__metadata__"' in text)
    if b"\\" in text or text.count(b":") != keys + strings.count(":"):
        load_json(text, path)


def load_json(text: bytes | str, where: object) -> Any:
    """Decode JSON in which no object may have a key twice.

    Raises:
        CorruptFileError: malformed, or a key occurs twice.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(items)
        if len(seen) != len(items):
            raise _corrupt(where, f"expected each key once, received {twice(key for key, _ in items)!r} twice")
        return seen

    try:
        return json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise _corrupt(where, f"expected JSON, received malformed text: {error}") from None


def twice(names: Iterable[str]) -> str:
    """The first of some names that occurs a second time, "" where none does.

    Example:
        >>> twice(["a", "b", "a", "b"])
        'a'
    """
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), "")


def check_names(names: Mapping[str, Any] | tuple[str, ...], where: object) -> None:
    """Refuse tensor names with control characters; they end up in messages, in JSON and in source.

    Raises:
        UnsafeError: a name has one.
    """
    if steers("".join(names)):
        name = next(name for name in names if steers(name))
        raise UnsafeError(
            f"expected tensor names without control characters in {where}, received {name!r}",
            hint="the file was made to deceive or is damaged; get it again from a source you trust",
        )


def pickle_refused(path: Path) -> UnsafeError:
    """The error for a pickle where safetensors was expected."""
    return UnsafeError(
        f"expected safetensors, received a pickle: {path}; reading one can run any code",
        hint=f"`ivyhub convert {path.name} --to safetensors` reads its tensors and runs nothing",
    )


def _corrupt(where: object, fault: str) -> CorruptFileError:
    return CorruptFileError(f"{where}: {fault}", hint="get the file again and compare its checksum with its source's")
