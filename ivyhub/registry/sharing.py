"""Tensors that weights of the registry have in common are kept once.

When a version is put, its weights are looked through: of those whose tensors lie in other versions' weights already,
only the rest is kept as a blob, with a list of *pieces*, the ranges of blobs that are the file again. A list is found
under the file's own digest, and whoever reads the file, copies it or checks its digest sees no difference.

A tensor is searched for by its *mark*, a digest of its length and of three samples of its bytes; what has the same
mark is then compared byte by byte. So most tensors cost three pages to read, and nothing hangs on samples.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from ivyhub.errors import CheckpointError, CorruptFileError, UnsafeError
from ivyhub.registry.files import CHUNK, Digest, storage_errors
from ivyhub.registry.manifest import Size
from ivyhub.registry.places import Location, chunks, joined

if TYPE_CHECKING:
    from ivyhub.registry.store import Store

#: Smaller tensors are not searched for, and weights with less than this in common are kept whole, in bytes.
SMALLEST = 1 << 16
LEAST = 1 << 20

_SAMPLE = 4096


class Piece(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A range of a blob, in bytes."""

    digest: Digest
    offset: Size
    size: Size


class Pieces(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ranges of blobs that one after another are a file."""

    format: Literal[1] = 1
    pieces: tuple[Piece, ...]


class Tensor(NamedTuple):
    """A tensor of a file: its mark, where it begins in the file, and where it lies."""

    mark: bytes
    begin: int
    place: Location


class _Pages:
    """Files mapped for reading, each once."""

    def __init__(self) -> None:
        self._maps: dict[Path, mmap.mmap] = {}

    def __call__(self, place: Location) -> memoryview:
        if place.path not in self._maps:
            with storage_errors("reading the registry"), place.path.open("rb") as file:
                self._maps[place.path] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return memoryview(self._maps[place.path])[place.offset : place.offset + place.nbytes]


def tensors_of(file: Sequence[Location]) -> list[Tensor]:
    """The tensors of a safetensors file that are large enough, in their order; none where the file is another.

    Args:
        file: where its bytes lie, one range after another.
    """
    from ivyhub.registry.weights.checkpoint import open_shards

    pages = _Pages()
    found: list[Tensor] = []
    try:
        with open_shards([file]) as checkpoint:
            begin = sum(place.nbytes for place in file) - sum(info.nbytes for info in checkpoint.values())
            for name, info in checkpoint.items():  # in the order of the data, which has no holes and ends the file
                place = checkpoint.location(name)
                if place is not None and place.nbytes >= SMALLEST:
                    found.append(Tensor(_mark(pages(place)), begin, place))
                begin += info.nbytes
    except (CheckpointError, CorruptFileError, UnsafeError):
        return []
    return found


def share(store: Store, digest: Digest) -> None:
    """Keep of a blob only what no weights of another version have; one that has little in common with them stays.

    Raises:
        StorageError: the store cannot be written. The blob stays then.
    """
    file = store.places(digest)
    if len(file) != 1 or file[0].nbytes < LEAST or not (tensors := tensors_of(file)):
        return
    with store.lock("sharing"):  # or two would each lean on the other
        same = dict(_same(store, file[0], tensors))
        if sum(place.nbytes for place in same.values()) < LEAST or digest in store.lent():
            return
        rest = _between(same, file[0])
        kept = store.path(store.put_stream(chunks([*rest.values()])))
        position = 0
        for begin, place in rest.items():
            same[begin] = Location(kept, position, place.nbytes)
            position += place.nbytes
        places = joined(place for _, place in sorted(same.items()))
        store.put_pieces(
            digest, Pieces(pieces=tuple(Piece(f"sha256:{path.name}", offset, size) for path, offset, size in places))
        )


def _same(store: Store, file: Location, tensors: Sequence[Tensor]) -> Iterator[tuple[int, Location]]:
    """Where in a file each tensor begins that another blob has too, and where it lies there."""
    known = store.tensors({tensor.mark for tensor in tensors})
    pages = _Pages()
    for tensor in tensors:
        for place in known.get(tensor.mark, ()):
            alike = place.path != file.path and place.nbytes == tensor.place.nbytes
            if alike and _equal(pages(place), pages(tensor.place)):
                yield tensor.begin, place
                break


def _between(same: dict[int, Location], file: Location) -> dict[int, Location]:
    """What of a file lies between the ranges that begin at those places, by where it begins."""
    found: dict[int, Location] = {}
    position = 0
    for begin, nbytes in [*((begin, same[begin].nbytes) for begin in sorted(same)), (file.nbytes, 0)]:
        if begin > position:
            found[position] = Location(file.path, position, begin - position)
        position = begin + nbytes
    return found


def _mark(data: memoryview) -> bytes:
    middle = (len(data) - _SAMPLE) // 2
    hasher = blake2b(len(data).to_bytes(8, "little"), digest_size=16)
    for start in (0, middle, len(data) - _SAMPLE):
        hasher.update(data[start : start + _SAMPLE])
    return hasher.digest()


def _equal(a: memoryview, b: memoryview) -> bool:
    import numpy as np

    return all(
        np.array_equal(
            np.frombuffer(a[start : start + CHUNK], np.uint8), np.frombuffer(b[start : start + CHUNK], np.uint8)
        )
        for start in range(0, len(a), CHUNK)
    )
