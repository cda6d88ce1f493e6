"""Files of `flax.serialization`: nested dictionaries in MessagePack, arrays as an extension of it.

An own reader, so that arrays stay in the file until they are read. Formats:
https://github.com/msgpack/msgpack/blob/master/spec.md, and ``flax/serialization.py`` for the extensions: 1 is an array,
as the MessagePack of its shape, type and bytes; 2 a complex number; 3 a scalar of NumPy. An array of more than 2**30
bytes is a dictionary of flat pieces.
"""

from __future__ import annotations

import json
import math
import reprlib
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ivyhub.registry.checkpoints.mapped import (
    MOST_DEPTH,
    MOST_TENSORS,
    FormatCheckpoint,
    Pages,
    Span,
    Stored,
    corrupt,
    counted,
    sizes,
    stored,
)
from ivyhub.registry.weights.dtypes import ITEMSIZE, numpy_dtype
from ivyhub.registry.weights.header import TensorInfo

CHUNKED = "__msgpack_chunked_array__"
_ARRAY, _COMPLEX, _SCALAR = 1, 2, 3
_LONGEST_TEXT = 1 << 20
_NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}
_SIGNED = {0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_WIDTHS = {0: 1, 1: 2, 2: 4}


class _Bytes(NamedTuple):
    """Bytes of the file."""

    offset: int
    size: int


class _Array(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int


class _Reader:
    def __init__(self, pages: Pages, position: int = 0, end: int | None = None) -> None:
        self.pages = pages
        self.position = position
        self.end = pages.size if end is None else end
        self.objects = 0

    def take(self, count: int) -> int:
        """Go on by some bytes, and give where they begin."""
        if self.position + count > self.end:
            raise corrupt(self.pages.path, f"expected {count} more bytes, received {self.end - self.position}")
        self.position += count
        return self.position - count

    def number(self, code: str) -> Any:
        size = struct.calcsize(code)
        return struct.unpack(code, self.pages.read(self.take(size), size))[0]

    def value(self, depth: int = 0) -> Any:
        self.objects += 1
        if depth > MOST_DEPTH or self.objects > MOST_TENSORS:
            raise corrupt(self.pages.path, "expected arrays in dictionaries, received ones that are nested without end")
        code = self.number(">B")
        if code < 0x80:
            return code
        if code < 0x90:
            return self.pairs(code & 0x0F, depth)
        if code < 0xA0:
            return self.items(code & 0x0F, depth)
        if code < 0xC0:
            return self.text(code & 0x1F)
        if code >= 0xE0:
            return code - 0x100
        match code:
            case 0xC0:
                return None
            case 0xC2 | 0xC3:
                return code == 0xC3
            case 0xC4 | 0xC5 | 0xC6:
                size = self.size(code - 0xC4)
                return _Bytes(self.take(size), size)
            case 0xC7 | 0xC8 | 0xC9:
                return self.extension(self.size(code - 0xC7))
            case 0xD4 | 0xD5 | 0xD6 | 0xD7 | 0xD8:
                return self.extension(1 << (code - 0xD4))
            case 0xD9 | 0xDA | 0xDB:
                return self.text(self.size(code - 0xD9))
            case 0xDC | 0xDD:
                return self.items(self.size(code - 0xDB), depth)
            case 0xDE | 0xDF:
                return self.pairs(self.size(code - 0xDD), depth)
            case _ if code in _NUMBERS:
                return self.number(_NUMBERS[code])
            case _ if code in _SIGNED:
                return self.number(_SIGNED[code])
        raise corrupt(self.pages.path, f"expected MessagePack, received the byte 0x{code:02x}")

    def size(self, step: int) -> int:
        return int.from_bytes(self.pages.read(self.take(_WIDTHS[step]), _WIDTHS[step]), "big")

    def text(self, size: int) -> str:
        if size > _LONGEST_TEXT:
            raise corrupt(self.pages.path, f"expected a text, received {size} bytes")
        try:
            return self.pages.read(self.take(size), size).decode()
        except UnicodeDecodeError:
            raise corrupt(self.pages.path, "expected a text, received other bytes") from None

    def items(self, count: int, depth: int) -> list[Any]:
        self.fits(count)
        return [self.value(depth + 1) for _ in range(count)]

    def pairs(self, count: int, depth: int) -> dict[str, Any]:
        self.fits(2 * count)
        found: dict[str, Any] = {}
        for _ in range(count):
            key = self.value(depth + 1)
            if isinstance(key, int) and not isinstance(key, bool):
                key = str(key)
            if not isinstance(key, str) or key in found:
                raise corrupt(self.pages.path, f"expected each text once as a key, received {reprlib.repr(key)}")
            found[key] = self.value(depth + 1)
        return found

    def fits(self, count: int) -> None:
        """Refuse a count of more objects than bytes are left, before room is made for them."""
        if count > self.end - self.position:
            raise corrupt(self.pages.path, f"expected {count} objects, received {self.end - self.position} bytes")

    def extension(self, size: int) -> Any:
        kind = self.number(">b")
        start = self.take(size)
        if kind not in (_ARRAY, _COMPLEX, _SCALAR):
            raise corrupt(self.pages.path, f"expected an array of Flax, received the extension {kind}")
        inner = _Reader(self.pages, start, start + size)
        found = inner.value()
        if inner.position != inner.end:
            raise corrupt(self.pages.path, "expected an array of Flax, received bytes behind it")
        if kind == _COMPLEX:
            return "a complex number"
        match found:
            case [list() as shape, str() | _Bytes() as dtype, _Bytes(offset, count)]:
                name = dtype if isinstance(dtype, str) else self.pages.read(*dtype).decode("ascii", "replace")
                return _Array(name, sizes(shape, self.pages.path), offset, count)
        raise corrupt(self.pages.path, "expected the shape, type and bytes of an array, received something else")


def open_msgpack(pages: Pages) -> FormatCheckpoint:
    """The arrays of a file, under the keys that lead to them with dots between.

    Raises:
        CorruptFileError: it is no such file.
    """
    reader = _Reader(pages)
    tree = reader.value()
    if not isinstance(tree, dict) or reader.position != reader.end:
        raise corrupt(pages.path, "expected one dictionary in MessagePack, received something else")
    tensors: list[Stored] = []
    values: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    for name, leaf in counted(_leaves(tree), pages.path):
        if not isinstance(leaf, _Array | dict):
            values[name] = json.dumps(leaf if not isinstance(leaf, _Bytes) else f"{leaf.size} bytes")
        elif (dtype := _dtype(leaf)) not in ITEMSIZE:
            unreadable[name] = f"{dtype[:30]}{list(leaf.shape) if isinstance(leaf, _Array) else ''}"
        else:
            tensors.append(_tensor(pages, name, leaf))
    return FormatCheckpoint("msgpack", tensors, [pages.path], values=values, unreadable=unreadable)


def _leaves(tree: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    pending: list[tuple[str, str, Any]] = [("", "", tree)]
    while pending:
        before, key, found = pending.pop()
        path = f"{before}.{key}" if before else key
        inside = found.items() if isinstance(found, dict) else enumerate(found) if type(found) is list else None
        if inside is None or CHUNKED in found:
            yield path, found
        else:
            pending += [(path, str(key), item) for key, item in reversed([*inside])]


def _pieces(found: _Array | dict[str, Any]) -> list[_Array]:
    if isinstance(found, _Array):
        return [found]
    pieces = found.get("chunks")
    if not isinstance(pieces, dict) or not all(isinstance(piece, _Array) for piece in pieces.values()):
        return []
    return [piece for _, piece in sorted(pieces.items(), key=lambda item: (len(item[0]), item[0]))]


def _dtype(found: _Array | dict[str, Any]) -> str:
    pieces = _pieces(found)
    return pieces[0].dtype if pieces else "nothing"


def _tensor(pages: Pages, name: str, found: _Array | dict[str, Any]) -> Stored:
    pieces = _pieces(found)
    dtype = pieces[0].dtype
    for piece in pieces:
        if piece.dtype != dtype or piece.size != math.prod(piece.shape) * ITEMSIZE[dtype]:
            raise corrupt(pages.path, f"expected {name!r} as {dtype}{list(piece.shape)}, received {piece.size} bytes")
    if isinstance(found, _Array):
        return stored(name, dtype, found.shape, pages, found.offset)
    said = found.get("shape")
    shape = sizes([*said.values()] if isinstance(said, dict) else said, pages.path)
    info = TensorInfo(name, dtype, shape)
    if sum(piece.size for piece in pieces) != info.nbytes or any(len(piece.shape) != 1 for piece in pieces):
        raise corrupt(pages.path, f"expected {name!r} as {info}, received pieces of another size")

    def load() -> np.ndarray:
        whole = np.empty(math.prod(shape), numpy_dtype(dtype))
        position = 0
        for piece in pieces:
            count = piece.shape[0]
            whole[position : position + count] = pages.array(piece.offset, whole.dtype, (count,))
            pages.release(piece.offset, piece.size)
            position += count
        return whole.reshape(shape)

    first, last = pieces[0].offset, pieces[-1].offset + pieces[-1].size
    return Stored(info, load, Span(pages, first, last - first) if last > first else None)
