"""GGUF files of ggml: tensors as they are, and those of a few quantised types as float32.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3; blocks of quantised types:
``ggml-quants.c`` there.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ivyhub.registry.checkpoints.mapped import MOST_TENSORS, FormatCheckpoint, Pages, Span, Stored, corrupt, stored
from ivyhub.registry.weights.header import TensorInfo

MAGIC = b"GGUF"
_PLAIN = {
    0: "float32", 1: "float16", 24: "int8", 25: "int16", 26: "int32", 27: "int64", 28: "float64", 30: "bfloat16",
}  # fmt: skip
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_LONGEST_TEXT = 1 << 24
_MOST_SHOWN = 16


class _Quantised(NamedTuple):
    """A type whose numbers lie in blocks.

    Args:
        name: of ggml.
        block: numbers of a block.
        size: bytes of a block.
        expand: blocks as an array of bytes, to numbers; None where ivyhub has no way.
    """

    name: str
    block: int
    size: int
    expand: Callable[[np.ndarray], np.ndarray] | None = None


def _half(blocks: np.ndarray, at: int) -> np.ndarray:
    return np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16).astype(np.float32)


def _nibbles(blocks: np.ndarray, at: int) -> np.ndarray:
    low, high = blocks[:, at : at + 16] & 0x0F, blocks[:, at : at + 16] >> 4
    return np.concatenate([low, high], 1)


def _fifth_bits(blocks: np.ndarray, at: int) -> np.ndarray:
    bits = np.ascontiguousarray(blocks[:, at : at + 4]).view(np.uint32)
    return ((bits >> np.arange(32, dtype=np.uint32)) & 1).astype(np.uint8) << 4


def _q4_0(blocks: np.ndarray) -> np.ndarray:
    return _half(blocks, 0) * (_nibbles(blocks, 2).astype(np.int8) - np.int8(8))


def _q4_1(blocks: np.ndarray) -> np.ndarray:
    return _half(blocks, 0) * _nibbles(blocks, 4) + _half(blocks, 2)


def _q5_0(blocks: np.ndarray) -> np.ndarray:
    return _half(blocks, 0) * ((_nibbles(blocks, 6) | _fifth_bits(blocks, 2)).astype(np.int8) - np.int8(16))


def _q5_1(blocks: np.ndarray) -> np.ndarray:
    return _half(blocks, 0) * (_nibbles(blocks, 8) | _fifth_bits(blocks, 4)) + _half(blocks, 2)


def _q8_0(blocks: np.ndarray) -> np.ndarray:
    return _half(blocks, 0) * blocks[:, 2:].view(np.int8)


_QUANTISED = {
    2: _Quantised("Q4_0", 32, 18, _q4_0),
    3: _Quantised("Q4_1", 32, 20, _q4_1),
    6: _Quantised("Q5_0", 32, 22, _q5_0),
    7: _Quantised("Q5_1", 32, 24, _q5_1),
    8: _Quantised("Q8_0", 32, 34, _q8_0),
    9: _Quantised("Q8_1", 32, 36),
    10: _Quantised("Q2_K", 256, 84),
    11: _Quantised("Q3_K", 256, 110),
    12: _Quantised("Q4_K", 256, 144),
    13: _Quantised("Q5_K", 256, 176),
    14: _Quantised("Q6_K", 256, 210),
    15: _Quantised("Q8_K", 256, 292),
    16: _Quantised("IQ2_XXS", 256, 66),
    17: _Quantised("IQ2_XS", 256, 74),
    18: _Quantised("IQ3_XXS", 256, 98),
    19: _Quantised("IQ1_S", 256, 50),
    20: _Quantised("IQ4_NL", 32, 18),
    21: _Quantised("IQ3_S", 256, 110),
    22: _Quantised("IQ2_S", 256, 82),
    23: _Quantised("IQ4_XS", 256, 136),
    29: _Quantised("IQ1_M", 256, 56),
    34: _Quantised("TQ1_0", 256, 54),
    35: _Quantised("TQ2_0", 256, 66),
    39: _Quantised("MXFP4", 32, 17),
}


class _Reader:
    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.position = len(MAGIC)

    def number(self, code: str) -> Any:
        size = struct.calcsize(f"<{code}")
        (value,) = struct.unpack(f"<{code}", self.pages.read(self.position, size))
        self.position += size
        return value

    def text(self) -> str:
        size = self.number("Q")
        if size > _LONGEST_TEXT:
            raise corrupt(self.pages.path, f"expected a text, received {size} bytes")
        raw = self.pages.read(self.position, size)
        self.position += size
        return raw.decode("utf-8", "replace")

    def value(self) -> Any:
        kind = self.number("I")
        if kind == _TEXT:
            return self.text()
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind == _ARRAY:
            return self._array()
        raise corrupt(self.pages.path, f"expected a value of a known type, received {kind}")

    def _array(self) -> Any:
        kind, count = self.number("I"), self.number("Q")
        if kind in _NUMBERS:
            size = struct.calcsize(f"<{_NUMBERS[kind]}") * count
            self.pages.check(self.position, size)
            shown = [self.number(_NUMBERS[kind]) for _ in range(count)] if count <= _MOST_SHOWN else None
            self.position += 0 if shown is not None else size
        elif kind == _TEXT and count <= self.pages.size // 8:
            texts = [self.text() for _ in range(count)]
            shown = texts if count <= _MOST_SHOWN else None
        else:
            raise corrupt(self.pages.path, f"expected an array of numbers or texts, received {count} of type {kind}")
        return shown if shown is not None else f"{count} values"


def open_gguf(pages: Pages) -> FormatCheckpoint:
    """The tensors of a file, under its own names, their axes in NumPy's order: GGUF writes the innermost first.

    Raises:
        CorruptFileError: it is of another version or byte order, or says more than it holds.
    """
    where = pages.path
    reader = _Reader(pages)
    version = reader.number("I")
    if version not in (2, 3):
        big = version >= 1 << 16
        raise corrupt(where, f"expected GGUF 2 or 3, received {'big-endian numbers' if big else version}")
    tensors, entries = reader.number("Q"), reader.number("Q")
    if tensors > MOST_TENSORS or tensors * 24 > pages.size or entries * 12 > pages.size:
        raise corrupt(where, f"expected {tensors} tensors and {entries} entries, received {pages.size} bytes")
    metadata: dict[str, Any] = {}
    for _ in range(entries):
        name = reader.text()
        if name in metadata:
            raise corrupt(where, f"expected each entry once, received {name[:80]!r} twice")
        metadata[name] = reader.value()
    rows = [(reader.text(), _shape(reader), reader.number("I"), reader.number("Q")) for _ in range(tensors)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 8 or alignment % 8 or alignment > 1 << 20:
        raise corrupt(where, f"expected an alignment of a multiple of 8, received {alignment}")
    start = -(-reader.position // alignment) * alignment
    found: list[Stored] = []
    unreadable: dict[str, str] = {}
    end = start
    for name, shape, kind, offset in sorted(rows, key=lambda row: row[3]):
        size = _size(pages, name, shape, kind)
        if offset % alignment or start + offset < end:
            raise corrupt(where, f"expected {name!r} behind the tensor before it, received offset {offset}")
        pages.check(start + offset, size)
        end = start + offset + size
        if kind in _PLAIN:
            found.append(stored(name, _PLAIN[kind], shape, pages, start + offset))
        elif _QUANTISED[kind].expand:
            found.append(_expanded(pages, name, shape, _QUANTISED[kind], start + offset, size))
        else:
            unreadable[name] = f"{_QUANTISED[kind].name}{list(shape)}"
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}
    return FormatCheckpoint("gguf", found, [where], metadata=texts, unreadable=unreadable)


def _shape(reader: _Reader) -> tuple[int, ...]:
    rank = reader.number("I")
    if rank > 8:
        raise corrupt(reader.pages.path, f"expected at most 8 axes, received {rank}")
    return tuple(reader.number("Q") for _ in range(rank))[::-1]


def _size(pages: Pages, name: str, shape: tuple[int, ...], kind: int) -> int:
    if kind in _PLAIN:
        return TensorInfo(name, _PLAIN[kind], shape).nbytes
    if kind not in _QUANTISED:
        raise corrupt(pages.path, f"expected {name!r} of a known type, received {kind}")
    row = _QUANTISED[kind]
    if not shape or shape[-1] % row.block:
        raise corrupt(pages.path, f"expected {name!r} in blocks of {row.block}, received {list(shape)}")
    return math.prod(shape) // row.block * row.size


def _expanded(pages: Pages, name: str, shape: tuple[int, ...], row: _Quantised, offset: int, size: int) -> Stored:
    def load() -> np.ndarray:
        assert row.expand is not None
        numbers = np.empty((math.prod(shape) // row.block, row.block), np.float32)
        blocks = pages.array(offset, np.dtype(np.uint8), (len(numbers), row.size))
        step = 1 << 14  # so that what lies between is small
        with np.errstate(all="ignore"):  # of scales that are infinite
            for first in range(0, len(numbers), step):
                numbers[first : first + step] = row.expand(blocks[first : first + step])
        return numbers.reshape(shape)

    return Stored(TensorInfo(name, "float32", shape), load, Span(pages, offset, size))
