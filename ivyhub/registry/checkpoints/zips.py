"""Zip archives, read as hostile: where each member lies, by the central directory, once both sides of it agree.

`zipfile` believes the directory, takes the last of two members of one name, and lets members overlap. Format: PKWARE's
APPNOTE 6.3.10, of which checkpoints use stored and deflated members and the 64-bit extension.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from ivyhub.registry.checkpoints.mapped import MOST_TENSORS, Pages, corrupt, unsafe

_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_STORED, _DEFLATED = 0, 8
_MOST_EXPANSION, _FREE_EXPANSION = 200, 256 << 20
_CHUNK = 1 << 20
_OUTSIDE = re.compile(r"\A[A-Za-z]:|[\\\x00-\x1f]")


class Member(NamedTuple):
    """A file of an archive.

    Args:
        name: its name.
        offset: of its data, from the start of the archive.
        packed: bytes that it takes there.
        size: bytes that it has.
        crc: its CRC-32.
        deflated: whether it has to be expanded.
    """

    name: str
    offset: int
    packed: int
    size: int
    crc: int
    deflated: bool


def is_zip(pages: Pages) -> bool:
    """Whether a file begins as an archive."""
    return pages.size >= _END.size and pages.read(0, 4) in (b"PK\x03\x04", b"PK\x05\x06")


def members(pages: Pages) -> dict[str, Member]:
    """What an archive holds, in the order of its directory.

    Raises:
        CorruptFileError: it is truncated or malformed, or a member is compressed in another way.
        UnsafeError: two members have one name or share bytes, one is encrypted, has a name that leads out of a
            folder, differs between the directory and its own header, or would expand without measure.
    """
    where = pages.path
    found: dict[str, Member] = {}
    for member in _directory(pages):
        if member.name in found:
            raise unsafe(where, f"the archive has two members {member.name!r}")
        found[member.name] = member
    end = 0
    for member in sorted(found.values(), key=lambda member: member.offset):
        if member.offset < end:
            raise unsafe(where, f"the archive's member {member.name!r} lies over another one")
        end = member.offset + member.packed
    return found


def expand(pages: Pages, member: Member) -> Iterator[bytes]:
    """The bytes of a member, piece by piece, with its checksum compared.

    Raises:
        CorruptFileError: they are not what the directory says.
    """
    crc = left = 0
    machine = zlib.decompressobj(-15)
    left = member.size
    try:
        for start in range(0, member.packed, _CHUNK):
            piece = pages.read(member.offset + start, min(_CHUNK, member.packed - start))
            while piece or not member.deflated:
                out = machine.decompress(piece, _CHUNK) if member.deflated else piece
                piece = machine.unconsumed_tail if member.deflated else b""
                left -= len(out)
                if left < 0:
                    raise unsafe(pages.path, f"the archive's member {member.name!r} is longer than it says")
                crc = zlib.crc32(out, crc)
                if out:
                    yield out
                if not piece:
                    break
    except zlib.error as error:
        raise corrupt(pages.path, f"expected {member.name!r} deflated, received {error}") from None
    if left or crc != member.crc:
        raise corrupt(pages.path, f"expected {member.name!r} with its checksum, received other bytes")


def read(pages: Pages, member: Member, most: int) -> bytes:
    """All of a member that has to be small. Raises `UnsafeError` where it is not, and what `expand` raises."""
    if member.size > most:
        raise unsafe(
            pages.path, f"the archive's member {member.name!r} has {member.size} bytes, expected {most} at most"
        )
    return b"".join(expand(pages, member))


def _directory(pages: Pages) -> Iterator[Member]:
    start, size, count = _end(pages)
    if count > MOST_TENSORS or size < count * _ENTRY.size:
        raise corrupt(pages.path, f"expected a directory of {count} members, received {size} bytes")
    directory = pages.read(start, size)
    position = 0
    for _ in range(count):
        if position + _ENTRY.size > size:
            raise corrupt(pages.path, "expected a directory of a zip archive, received one that ends early")
        (magic, _, _, flags, method, _, _, crc, packed, length, *counts, disk, _, _, local) = _ENTRY.unpack_from(
            directory, position
        )
        name_bytes, extra_bytes, comment_bytes = counts
        if magic != b"PK\x01\x02" or disk not in (0, 0xFFFF):
            raise corrupt(pages.path, "expected a directory of a zip archive, received other bytes")
        after = position + _ENTRY.size
        raw = directory[after : after + name_bytes]
        extra = directory[after + name_bytes : after + name_bytes + extra_bytes]
        length, packed, local = _wide(pages, extra, length, packed, local)
        position = after + name_bytes + extra_bytes + comment_bytes
        member = _member(pages, raw, flags, method, crc, packed, length, local, start)
        if member is not None:
            yield member


def _member(
    pages: Pages, raw: bytes, flags: int, method: int, crc: int, packed: int, size: int, local: int, end: int
) -> Member | None:
    """A member, compared with the header before its data; None for a folder."""
    where = pages.path
    name = raw.decode("utf-8", "replace")
    if flags & 0x2041:
        raise unsafe(where, f"the archive's member {name[:80]!r} is encrypted")
    if method not in (_STORED, _DEFLATED):
        raise corrupt(where, f"expected {name[:80]!r} stored or deflated, received the compression {method}")
    magic, _, here, own, *_, own_crc, _, own_size, name_bytes, extra_bytes = _LOCAL.unpack(
        pages.read(local, _LOCAL.size)
    )
    if magic != b"PK\x03\x04" or own != method or here & 0x2041 or pages.read(local + _LOCAL.size, name_bytes) != raw:
        raise unsafe(where, f"the archive's member {name[:80]!r} is another one in the directory than in the data")
    # A header that was written before the data has zeros there, and says so in bit 3.
    if not flags & 8 and (own_crc != crc or own_size not in (size, 0xFFFFFFFF)):
        raise unsafe(where, f"the archive's member {name[:80]!r} has another size in the directory than in the data")
    if name.endswith("/") and size == 0:
        return None
    # Members are never written to a disk, but whoever unpacks the archive would.
    if any(part in ("", ".", "..") for part in name.split("/")) or _OUTSIDE.search(name):
        raise unsafe(where, f"the archive's member {name[:80]!r} leads out of its folder")
    offset = local + _LOCAL.size + name_bytes + extra_bytes
    pages.check(offset, packed)
    if offset + packed > end:
        raise unsafe(where, f"the archive's member {name!r} lies over the directory")
    if method == _STORED and packed != size:
        raise corrupt(where, f"expected {size} bytes for {name!r}, received {packed}")
    if size > max(_FREE_EXPANSION, _MOST_EXPANSION * packed):
        raise unsafe(where, f"the archive's member {name!r} would expand from {packed} bytes to {size}")
    return Member(name, offset, packed, size, crc, method == _DEFLATED)


def _end(pages: Pages) -> tuple[int, int, int]:
    """Where the directory begins, its bytes, and how many members it has."""
    place = pages.find_last(b"PK\x05\x06", max(0, pages.size - _END.size - 0xFFFF))
    if place < 0:
        raise corrupt(pages.path, "expected a zip archive, received one without its directory: it is truncated")
    _, disk, first, here, count, size, start, comment = _END.unpack(pages.read(place, _END.size))
    if disk not in (0, 0xFFFF) or first not in (0, 0xFFFF) or place + _END.size + comment != pages.size:
        raise corrupt(pages.path, "expected a zip archive, received bytes behind its end")
    last = place
    if place >= _LOCATOR_64.size:
        magic, _, wide, _ = _LOCATOR_64.unpack(pages.read(place - _LOCATOR_64.size, _LOCATOR_64.size))
        if magic == b"PK\x06\x07":
            magic, _, _, _, _, _, here, count, size, start = _END_64.unpack(pages.read(wide, _END_64.size))
            if magic != b"PK\x06\x06":
                raise corrupt(pages.path, "expected a zip archive of 64 bits, received other bytes")
            last = wide
    if here != count or start + size != last:
        raise corrupt(pages.path, "expected a directory at the end of a zip archive, received other places")
    return start, size, count


def _wide(pages: Pages, extra: bytes, size: int, packed: int, local: int) -> tuple[int, int, int]:
    """Sizes and places, of which the 64-bit extension has those that 32 bits do not hold."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        if kind == 1:
            values = iter(struct.unpack_from(f"<{min(length, len(extra) - place - 4) // 8}Q", extra, place + 4))
            size, packed, local = (
                next(values, value) if value == 0xFFFFFFFF else value for value in (size, packed, local)
            )
        place += 4 + length
    if 0xFFFFFFFF in (size, packed, local):
        raise corrupt(pages.path, "expected the 64-bit sizes of a zip archive, received none")
    return size, packed, local
