"""Messages of protocol buffers, field by field, in a mapped file: what is long is a place there, not a copy.

Format: https://protobuf.dev/programming-guides/encoding. The messages of checkpoints are few and old; reading them so
needs neither their schemas nor the libraries that bring these, and tensors stay where they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ivyhub.registry.checkpoints.mapped import MOST_TENSORS, Pages, corrupt

_LONGEST_TEXT = 1 << 24
_MOST_FIELDS = 2 * MOST_TENSORS


class Field(NamedTuple):
    """A field of a message.

    Args:
        number: of its schema.
        wire: 0 for an integer, 1 and 5 for eight and four bytes, 2 for a place.
        value: the integer, also of the eight or four bytes; of a place, where it begins.
        size: bytes of a place.
    """

    number: int
    wire: int
    value: int
    size: int

    def signed(self) -> int:
        """The integer as one of 64 bits with a sign."""
        return self.value - (1 << 64) if self.value >> 63 else self.value


class Message:
    """A message in a mapped file.

    Args:
        pages: the file.
        offset: where it begins.
        size: its bytes.

    Raises:
        CorruptFileError: it is none. So do its methods.
    """

    def __init__(self, pages: Pages, offset: int, size: int) -> None:
        pages.check(offset, size)
        self._pages = pages
        self._offset = offset
        self._size = size

    def __iter__(self) -> Iterator[Field]:
        pages, position, end = self._pages, self._offset, self._offset + self._size
        count = 0
        while position < end:
            count += 1
            if count > _MOST_FIELDS:
                raise corrupt(pages.path, f"expected a message, received one of more than {count - 1} fields")
            tag, position = varint(pages, position, end)
            number, wire = tag >> 3, tag & 7
            if wire == 0:
                value, position = varint(pages, position, end)
                yield Field(number, wire, value, 0)
                continue
            if wire == 2:
                size, position = varint(pages, position, end)
            else:
                size = {1: 8, 5: 4}.get(wire, -1)
            if number == 0 or size < 0 or position + size > end:
                raise corrupt(pages.path, "expected a message of protocol buffers, received other bytes")
            value = position if wire == 2 else int.from_bytes(pages.read(position, size), "little")
            yield Field(number, wire, value, size)
            position += size

    def inner(self, field: Field) -> Message:
        """The message that a field holds."""
        self._expect(field, 2)
        return Message(self._pages, field.value, field.size)

    def data(self, field: Field) -> bytes:
        """The bytes that a field holds."""
        self._expect(field, 2)
        if field.size > _LONGEST_TEXT:
            raise corrupt(self._pages.path, f"expected a text, received {field.size} bytes")
        return self._pages.read(field.value, field.size)

    def text(self, field: Field) -> str:
        """The text that a field holds."""
        try:
            return self.data(field).decode()
        except UnicodeDecodeError:
            raise corrupt(self._pages.path, "expected a text, received other bytes") from None

    def integers(self, field: Field, most: int) -> list[int]:
        """The integers of a field that is repeated, packed or one by one."""
        if field.wire == 0:
            return [field.signed()]
        self._expect(field, 2)
        if field.size > 10 * most:
            raise corrupt(self._pages.path, f"expected at most {most} integers, received {field.size} bytes of them")
        return varints(self._pages, field.value, field.size).tolist()

    def _expect(self, field: Field, wire: int) -> None:
        if field.wire != wire:
            raise corrupt(self._pages.path, f"expected field {field.number} as bytes, received another kind")


def varint(pages: Pages, position: int, end: int) -> tuple[int, int]:
    """An integer of 64 bits, and where it ends."""
    data, start = pages.map, pages.start
    value = shift = 0
    while True:
        if position >= end or shift > 63:
            raise corrupt(pages.path, "expected an integer of at most 64 bits, received one that goes on")
        byte = data[start + position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7


def varints(pages: Pages, offset: int, size: int) -> np.ndarray:
    """Packed integers with signs."""
    raw = pages.array(offset, np.dtype(np.uint8), (size,))
    if size and raw[-1] & 0x80:
        raise corrupt(pages.path, "expected integers, received one that goes on")
    ends = np.flatnonzero(raw < 0x80)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    lengths = ends - starts + 1
    if len(lengths) and lengths.max() > 10:
        raise corrupt(pages.path, "expected integers of at most 64 bits, received longer ones")
    values = np.zeros(len(ends), np.uint64)
    for place in range(int(lengths.max()) if len(lengths) else 0):
        has = lengths > place
        values[has] |= (raw[starts[has] + place] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * place)
    return values.view(np.int64)


def fixed(pages: Pages, field: Field) -> float:
    """The number of a field of four or eight bytes."""
    kind = {5: "<f", 1: "<d"}.get(field.wire)
    if kind is None:
        raise corrupt(pages.path, f"expected field {field.number} as a number, received another kind")
    return struct.unpack(kind, field.value.to_bytes(field.size, "little"))[0]


def encoded(number: int, value: int | bytes | str) -> bytes:
    """A field as it is written: an integer of at least 0, or bytes with their length.

    Example:
        >>> encoded(1, 300), encoded(2, "w")
        (b'\\x08\\xac\\x02', b'\\x12\\x01w')
    """
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return opening(number, len(data)) + data


def opening(number: int, size: int) -> bytes:
    """What stands before the bytes of a field that are written afterwards."""
    return _varint(number << 3 | 2) + _varint(size)


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)
