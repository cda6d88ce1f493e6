"""Sorted tables of TensorFlow, which LevelDB's are: keys and places of their values, in order.

Format: LevelDB's ``doc/table_format.md``; ``tensorflow/core/lib/io`` keeps it, with blocks
that are stored or compressed by Snappy. TensorFlow writes checkpoints uncompressed.
"""

from __future__ import annotations

from collections.abc import Iterator

from ivyhub.registry.checkpoints.mapped import Pages, corrupt, counted
from ivyhub.registry.checkpoints.protobuf import varint

_FOOTER = 48
_MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
_TRAILER = 5  # the compression of a block, and its checksum
_LONGEST_KEY = 1 << 16


def is_table(pages: Pages) -> bool:
    """Whether a file ends as a table does."""
    return pages.size >= _FOOTER and pages.read(pages.size - 8, 8) == _MAGIC


def entries(pages: Pages) -> Iterator[tuple[bytes, int, int]]:
    """Each key with the place and the bytes of its value. A key shares its beginning with the one before it.

    Raises:
        CorruptFileError: blocks lie outside of the file or over each other, keys are out of order, or a block is
            compressed.
    """
    return counted(_entries(pages), pages.path)


def _entries(pages: Pages) -> Iterator[tuple[bytes, int, int]]:
    footer = pages.size - _FOOTER
    position = footer
    handles: list[int] = []
    for _ in range(4):  # of the meta index, then of the index
        value, position = varint(pages, position, pages.size - 8)
        handles.append(value)
    last, end = b"", 0
    for _, at, size in _block(pages, handles[2], handles[3], footer):
        offset, after = varint(pages, at, at + size)
        length, _ = varint(pages, after, at + size)
        if offset < end:
            raise corrupt(pages.path, f"expected blocks one after the other, received one at {offset}")
        end = offset + length
        for key, place, count in _block(pages, offset, length, footer):
            if key < last or (key == last and last):
                raise corrupt(pages.path, "expected keys in order, each once, received others")
            last = key
            yield key, place, count


def _block(pages: Pages, offset: int, size: int, footer: int) -> Iterator[tuple[bytes, int, int]]:
    if offset + size + _TRAILER > footer or size < 4:
        raise corrupt(pages.path, f"expected a block inside of the file, received {size} bytes at {offset}")
    if pages.read(offset + size, 1) != b"\0":
        raise corrupt(pages.path, "expected a table that is not compressed, received one that is")
    restarts = int.from_bytes(pages.read(offset + size - 4, 4), "little")
    end = offset + size - 4 - 4 * restarts
    if end < offset:
        raise corrupt(pages.path, f"expected a block of {size} bytes, received {restarts} restarts in it")
    key, position = b"", offset
    while position < end:
        shared, position = varint(pages, position, end)
        fresh, position = varint(pages, position, end)
        count, position = varint(pages, position, end)
        if shared > len(key) or shared + fresh > _LONGEST_KEY or position + fresh + count > end:
            raise corrupt(pages.path, "expected an entry inside of its block, received a longer one")
        key = key[:shared] + pages.read(position, fresh)
        yield key, position + fresh, count
        position += fresh + count
