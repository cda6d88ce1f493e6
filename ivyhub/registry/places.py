"""Where bytes lie: ranges of files, which one after another are a whole. Copied, hashed and read as one file is."""

from __future__ import annotations

import errno
import io
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import accumulate
from mmap import PAGESIZE
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ivyhub.errors import CorruptFileError
from ivyhub.registry.files import CHUNK, Digest, digest_open, storage_errors

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_STEP_BYTES = 64 << 20  # so often does a copy in the kernel report progress
_BUFFER_BYTES = 256 << 10  # a copy through memory is fastest while its buffer stays in the cache
# What systems answer where copy_file_range does not reach: other file systems, old kernels, pipes.
_NO_KERNEL_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)


class Location(NamedTuple):
    """Where bytes lie: a file, the offset from its start, and their number."""

    path: Path
    offset: int
    nbytes: int


def joined(places: Iterable[Location]) -> Iterator[Location]:
    """The same bytes in as few ranges as can be: neighbours of a file become one.

    Example:
        >>> file = Path("weights")
        >>> [place[1:] for place in joined([Location(file, 0, 8), Location(file, 8, 4), Location(file, 20, 4)])]
        [(0, 12), (20, 4)]
    """
    last: Location | None = None
    for place in places:
        if last is not None and (last.path, last.offset + last.nbytes) == place[:2]:
            last = last._replace(nbytes=last.nbytes + place.nbytes)
            continue
        if last is not None:
            yield last
        last = place
    if last is not None:
        yield last


class Files(ExitStack):
    """Files that are open for reading while the block lasts, each once."""

    def __init__(self) -> None:
        super().__init__()
        self._opened: dict[Path, io.FileIO] = {}

    def __getitem__(self, path: Path) -> io.FileIO:
        if path not in self._opened:
            self._opened[path] = self.enter_context(io.FileIO(path))
        return self._opened[path]


def append(place: Location, files: Files, target: BinaryIO) -> Iterator[int]:
    """Copy bytes to the end of an open file; yields how many, as it goes.

    The copy is made inside the kernel where that is no slower. There blocks may be shared; but where pages of the two
    files do not lie alike, it copies each of them in parts.

    Raises:
        CorruptFileError: the file ended early.
    """
    source = files[place.path]
    target.flush()
    offset, left = place.offset, place.nbytes
    in_kernel = hasattr(os, "copy_file_range") and (offset - target.tell()) % PAGESIZE == 0
    while left:
        count = 0
        if in_kernel:
            try:
                count = os.copy_file_range(source.fileno(), target.fileno(), min(left, _STEP_BYTES), offset)
            except OSError as error:
                if error.errno not in _NO_KERNEL_COPY:
                    raise
                in_kernel = False
        if not in_kernel:
            source.seek(offset)
            data = source.read(min(left, _BUFFER_BYTES))
            count = os.write(target.fileno(), data) if data else 0
        if count == 0:
            raise CorruptFileError(
                f"expected {left} more bytes in {place.path}, received none: it was cut short while it was read",
                hint="run it again once nothing else writes to that file",
            )
        offset += count
        left -= count
        yield count


def whole(path: Path) -> Location:
    """All of a file."""
    return Location(path, 0, path.stat().st_size)


def copy_places(places: Iterable[Location], destination: Path) -> int:
    """Copy bytes to a new file and return their number; blocks are shared where the file system can.

    The copy is a file of its own: writing to it never reaches the source, which a hard link would.

    Raises:
        FileExistsError: the destination exists.
        CorruptFileError: a file ended early.
    """
    with destination.open("xb") as file, Files() as files:
        return sum(count for place in places for count in append(place, files, file))


def digest_places(places: Sequence[Location]) -> Digest:
    """The digest of bytes, each read once.

    Raises:
        StorageError: a file cannot be read.
    """
    with storage_errors("hashing a file"), _Joined(places) as file:
        return digest_open(file)


def chunks(places: Sequence[Location]) -> Iterator[bytes]:
    """Bytes piece by piece, each of a size that stays in the cache."""
    with open_places(places) as file:
        yield from iter(lambda: file.read(CHUNK), b"")


def open_places(places: Sequence[Location]) -> BinaryIO:
    """Bytes as a file that is open for reading."""
    return io.BufferedReader(_Joined(places))


class _Joined(io.RawIOBase):
    """Ranges of files as one file."""

    def __init__(self, places: Sequence[Location]) -> None:
        self._places = places
        self._ends = [*accumulate(place.nbytes for place in places)]
        self._position = 0
        self._files = Files()
        for path, _, _ in places:
            self._files[path]  # what is not there is said now

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        number = bisect_right(self._ends, self._position)
        if number == len(self._ends):
            return 0
        path, offset, nbytes = self._places[number]
        left = self._ends[number] - self._position
        self._files[path].seek(offset + nbytes - left)
        count = self._files[path].readinto(memoryview(buffer)[:left])
        self._position += count
        return count

    def close(self) -> None:
        self._files.close()
        super().close()
