"""``.npz`` files of NumPy: zip archives of ``.npy`` members.

Format: ``numpy.lib.format``. The header of a member is a Python dictionary, parsed as a literal and never evaluated; an
array of objects would be a pickle, and is refused.
"""

from __future__ import annotations

import ast
import itertools
import math
import re
import warnings
from typing import Any

import numpy as np

from ivyhub.registry.checkpoints import zips
from ivyhub.registry.checkpoints.mapped import FormatCheckpoint, Pages, Span, Stored, corrupt, sizes, stored, unsafe
from ivyhub.registry.weights.dtypes import ITEMSIZE, numpy_dtype
from ivyhub.registry.weights.header import TensorInfo

_MAGIC = b"\x93NUMPY"
_TYPE = re.compile(r"[<>|=]?[?biufcmMSUV]\d*(\[\w+\])?")
_LONGEST_HEADER = 10_000  # NumPy's own limit


def is_arrays(names: list[str]) -> bool:
    """Whether the members of a zip archive are those of `numpy.savez`."""
    return bool(names) and all(name.endswith(".npy") for name in names)


def open_npz(pages: Pages, members: dict[str, zips.Member]) -> FormatCheckpoint:
    """The arrays of an archive; one that was compressed is expanded when it is read.

    Raises:
        CorruptFileError: a member is no array.
        UnsafeError: an array of objects, which are pickled.
    """
    tensors: list[Stored] = []
    unreadable: dict[str, str] = {}
    for file, member in members.items():
        name = file.removesuffix(".npy")
        length, header = _header(pages, member)
        dtype = _dtype(header.get("descr"), pages)
        shape = sizes(header.get("shape"), pages.path)
        if dtype is None:
            unreadable[name] = f"{str(header.get('descr'))[:60]}{list(shape)}"
            continue
        if length + math.prod(shape) * dtype.itemsize != member.size:
            raise corrupt(pages.path, f"expected {name!r} of {dtype.name}{list(shape)}, received {member.size} bytes")
        columns = header.get("fortran_order") is True
        info = TensorInfo(name, dtype.name, shape)
        tensors.append(
            _expanded(pages, member, info, length, dtype, columns)
            if member.deflated
            else _checked(pages, member, info, length, columns, dtype.byteorder == ">")
        )
    return FormatCheckpoint("npz", tensors, [pages.path], unreadable=unreadable, separator="/")


def _checked(
    pages: Pages, member: zips.Member, info: TensorInfo, length: int, columns: bool, big_endian: bool
) -> Stored:
    strides = (
        [*itertools.accumulate(info.shape[:-1], lambda a, b: a * b, initial=1)] if columns and info.shape else None
    )
    found = stored(
        info.name, info.dtype, info.shape, pages, member.offset + length, strides=strides, big_endian=big_endian
    )

    def load() -> np.ndarray:
        for _ in zips.expand(pages, member):  # compares the checksum
            pass
        return found.load()

    # Not verbatim: copied bytes would not be compared with their checksum.
    return Stored(found.info, load, Span(pages, member.offset, member.packed))


def _expanded(
    pages: Pages, member: zips.Member, info: TensorInfo, length: int, dtype: np.dtype, columns: bool
) -> Stored:
    def load() -> np.ndarray:
        raw = np.empty(member.size, np.uint8)
        position = 0
        for piece in zips.expand(pages, member):
            raw[position : position + len(piece)] = np.frombuffer(piece, np.uint8)
            position += len(piece)
        array = raw[length:].view(dtype).reshape(info.shape, order="F" if columns else "C")
        return array.astype(numpy_dtype(info.dtype), copy=False)

    return Stored(info, load, Span(pages, member.offset, member.packed))


def _header(pages: Pages, member: zips.Member) -> tuple[int, dict[str, Any]]:
    """Bytes before the numbers of a member, and what they say."""
    most = _LONGEST_HEADER + 12
    start = b""
    if member.deflated:
        for piece in zips.expand(pages, member):
            start = piece[:most]
            break
    else:
        start = pages.read(member.offset, min(member.size, most))
    if start[:6] != _MAGIC or len(start) < 12 or start[6] not in (1, 2, 3):
        raise corrupt(pages.path, f"expected the array {member.name!r}, received other bytes")
    first = 10 if start[6] == 1 else 12
    length = int.from_bytes(start[8:first], "little")
    text = start[first : first + length]
    if length > _LONGEST_HEADER or len(text) != length:
        raise corrupt(pages.path, f"expected a header for the array {member.name!r}, received one of {length} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that are none
            header = ast.literal_eval(text.decode("latin-1").strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        header = None
    if not isinstance(header, dict) or header.keys() != {"descr", "fortran_order", "shape"}:
        raise corrupt(pages.path, f"expected a header for the array {member.name!r}, received other text")
    return first + length, header


def _dtype(descr: Any, pages: Pages) -> np.dtype | None:
    """The type that a header names, None where ivyhub has none for it."""
    if not isinstance(descr, str):
        if "O" in str(descr):
            raise unsafe(pages.path, "it has an array of objects, which is a pickle and could run any code")
        return None
    if descr.lstrip("<>|=") == "O":
        raise unsafe(pages.path, "it has an array of objects, which is a pickle and could run any code")
    try:
        dtype = np.dtype(descr if _TYPE.fullmatch(descr) else "")
    except (TypeError, ValueError):
        raise corrupt(pages.path, f"expected a type of NumPy, received {descr[:60]!r}") from None
    return dtype if dtype.name in ITEMSIZE else None
