"""Writes safetensors as a stream: headers first, then one tensor after the other, under temporary names until done."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import numpy as np

from ivyhub.errors import CheckpointError, CorruptFileError, OutputExistsError, StorageError, UnsafeError
from ivyhub.registry.places import Files, Location, append, joined
from ivyhub.registry.weights.checkpoint import INDEX_SUFFIX
from ivyhub.registry.weights.dtypes import CODE_OF_NAME, ITEMSIZE, numpy_dtype
from ivyhub.registry.weights.header import MAX_HEADER_BYTES, check_names, read_header
from ivyhub.registry.weights.lazy import PlannedTensor

_HINTS = {
    errno.ENOSPC: "free some space, or choose a folder on another disk",
    errno.EDQUOT: "the quota is used up: free some space, or choose another folder",
    errno.EFBIG: "the file system or a limit of this process allows no file of this size: ask for smaller shards",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EACCES: "this user may not write there: choose another folder",
    errno.ENOENT: "make the folder first",
}


class _Shard(NamedTuple):
    """One file to be written."""

    path: Path
    header: bytes
    tensors: Sequence[PlannedTensor]
    pieces: Sequence[Location | PlannedTensor]  # what makes up the file behind the header, or with it


def write_safetensors(
    path: Path,
    tensors: Sequence[PlannedTensor],
    *,
    metadata: Mapping[str, str] | None = None,
    shard_bytes: int = 5 * 10**9,
    progress: Callable[[int, int], None] | None = None,
    replace: bool = True,
) -> list[Path]:
    """Write tensors as one safetensors file, or as shards with an index in Hugging Face's layout.

    Bytes that need no change are copied from file to file by the kernel; the others are re-laid slab by slab, so
    that memory stays within the largest tensor. Final names appear once everything is written. Nothing waits for the
    disk: what must outlast a power cut goes into the store, which syncs what it keeps.

    Args:
        path: ``FOLDER/model.safetensors``; shards become ``model-00001-of-0000N.safetensors`` beside it.
        tensors: what to write, from `WeightMap.apply`.
        metadata: strings for the header; ``{"format": "pt"}`` is what transformers asks for.
        shard_bytes: most bytes of data in a file; a larger tensor has a file of its own.
        progress: called with the bytes just written and those of the whole.
        replace: take the place of files that have the names already.

    Returns:
        The files, in order; the index last.

    Raises:
        CheckpointError: a name occurs twice, or values differ from what was announced.
        CorruptFileError: a source file ended early.
        OutputExistsError: a file has one of the names, and is not to be replaced.
        StorageError: the disk is full or refuses; nothing is left behind.
        UnsafeError: a name with control characters.

    Example:
        >>> import tempfile
        >>> from ivyhub.registry.weights import Entry, MemoryCheckpoint, Transpose, WeightMap, open_checkpoint
        >>> state = MemoryCheckpoint({"weight": np.arange(6, dtype=np.float32).reshape(2, 3)})
        >>> rules = WeightMap((Entry(("kernel",), ("weight",), (Transpose((1, 0)),)),))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [file] = write_safetensors(Path(folder, "model.safetensors"), rules.apply(state))
        ...     open_checkpoint(file).read("kernel").tolist()
        [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    """
    path = Path(path)
    names = tuple(tensor.info.name for tensor in tensors)
    check_names(names, path)
    if len(set(names)) != len(names) or "__metadata__" in names:
        raise CheckpointError(f"expected each name once and none of them __metadata__, in the tensors for {path}")
    groups = _groups(tensors, shard_bytes)
    files = _file_names(path, len(groups))
    with storage_errors(path):
        shards = [_lay_out(*pair, dict(metadata or {})) for pair in zip(files, groups, strict=True)]
        total = sum(tensor.info.nbytes for tensor in tensors)
        with Staging(replace=replace) as staging:
            for shard in shards:
                with staging.create(shard.path) as file:
                    for written in _write(file, shard):
                        if progress is not None:
                            progress(written, total)
            if len(shards) > 1:
                index = path.with_name(path.stem + INDEX_SUFFIX)
                with staging.create(index) as file:
                    file.write(_index(shards, total))
                files.append(index)
            staging.commit()
    return files


def _groups(tensors: Sequence[PlannedTensor], shard_bytes: int) -> list[list[PlannedTensor]]:
    groups: list[list[PlannedTensor]] = [[]]
    room = shard_bytes
    for tensor in tensors:
        if tensor.info.nbytes > room and groups[-1]:
            groups.append([])
            room = shard_bytes
        groups[-1].append(tensor)
        room -= tensor.info.nbytes
    return groups


def _file_names(path: Path, count: int) -> list[Path]:
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{i:05d}-of-{count:05d}{path.suffix}") for i in range(1, count + 1)]


def _index(shards: Sequence[_Shard], total: int) -> bytes:
    weight_map = {tensor.info.name: shard.path.name for shard in shards for tensor in shard.tensors}
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    return msgspec.json.format(msgspec.json.encode(index), indent=2) + b"\n"


def _lay_out(path: Path, tensors: Sequence[PlannedTensor], metadata: dict[str, str]) -> _Shard:
    tensors = _aligned(tensors)
    entries: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    position = 0
    for info, _, _ in tensors:
        end = position + info.nbytes
        entries[info.name] = {
            "dtype": CODE_OF_NAME[info.dtype],
            "shape": info.shape,
            "data_offsets": (position, end),
        }
        position = end
    text = msgspec.json.encode(entries)
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_BYTES:
        raise CheckpointError(f"expected a header of at most {MAX_HEADER_BYTES} bytes, received {len(text)}: {path}")
    pieces = list(_merged(tensors))
    if whole := _whole_file(tensors, pieces, metadata):
        return _Shard(path, b"", tensors, [whole])
    return _Shard(path, len(text).to_bytes(8, "little") + text, tensors, pieces)


def _aligned(tensors: Sequence[PlannedTensor]) -> Sequence[PlannedTensor]:
    """The tensors so ordered that each begins at a multiple of its item size; as they are where that holds already.

    In the order of the source, neighbours are copied in one go.
    """
    position = 0
    for info, _, _ in tensors:
        if position % ITEMSIZE[info.dtype]:
            return sorted(tensors, key=lambda tensor: -ITEMSIZE[tensor.info.dtype])
        position += info.nbytes
    return tensors


def _merged(tensors: Sequence[PlannedTensor]) -> Iterator[Location | PlannedTensor]:
    """The tensors, with passed-through bytes as ranges that are as long as they can be."""
    for passed, group in groupby(tensors, lambda tensor: tensor.passthrough is not None):
        if passed:
            yield from joined(place for tensor in group for place in tensor.passthrough or ())
        else:
            yield from group


def _whole_file(
    tensors: Sequence[PlannedTensor], pieces: Sequence[Location | PlannedTensor], metadata: dict[str, str]
) -> Location | None:
    """The source file, where the new file would say the same in the same order: then its very bytes are kept."""
    source = pieces[0] if len(pieces) == 1 else None
    if not isinstance(source, Location):
        return None
    try:
        with source.path.open("rb") as file:
            header = read_header(file, source.path)
    except (CorruptFileError, UnsafeError):  # it is of another format
        return None
    same = [info for info, _ in header.tensors.values()] == [tensor.info for tensor in tensors]
    return Location(source.path, 0, header.file_size) if same and header.metadata == metadata else None


def _write(file: BinaryIO, shard: _Shard) -> Iterator[int]:
    """Write a shard; yields the bytes of data written, as it goes."""
    file.write(shard.header)
    yield from write_pieces(file, shard.pieces)


def write_pieces(file: BinaryIO, pieces: Sequence[Location | PlannedTensor]) -> Iterator[int]:
    """Write bytes of files and values of tensors one after the other; yields how many, as it goes.

    Raises:
        CheckpointError: values differ from what was announced.
        CorruptFileError: a source file ended early.
    """
    with Files() as files:
        for piece in _values(pieces):
            if isinstance(piece, np.ndarray):
                file.write(piece.reshape(-1).view(np.uint8).data)
                yield piece.nbytes
            else:
                yield from append(piece, files, file)


def _values(pieces: Sequence[Location | PlannedTensor]) -> Iterator[Location | np.ndarray]:
    for piece in pieces:
        if isinstance(piece, Location):
            yield piece
            continue
        info, written = piece.info, 0
        for slab in piece.read.slabs():
            if slab.dtype != numpy_dtype(info.dtype):
                raise CheckpointError(f"expected {info.dtype} for tensor {info.name!r}, received {slab.dtype}")
            written += slab.nbytes
            yield slab
        if written != info.nbytes:
            raise CheckpointError(f"expected {info.nbytes} bytes for tensor {info.name!r}, received {written}")


class Staging:
    """Files under temporary names, which become final together; on an error none of them stays.

    Args:
        replace: take the place of what has a final name already.
    """

    def __init__(self, *, replace: bool = True) -> None:
        self._replace = replace
        self._files: list[tuple[Path, Path]] = []
        self._placed: list[Path] = []

    def create(self, final: Path) -> BinaryIO:
        """A new file, opened for writing, that is to be called `final`."""
        return self.reserve(final).open("xb")

    def reserve(self, final: Path) -> Path:
        """The temporary name of a file or folder that is to be called `final`.

        Raises:
            OutputExistsError: something is called that, and is not to be replaced.
        """
        if not self._replace and os.path.lexists(final):
            raise OutputExistsError(
                f"expected a new file, {final} exists", hint="choose another one with --out, or --force"
            )
        temporary = final.with_name(f".{final.name}.tmp-{secrets.token_hex(8)}")
        self._files.append((temporary, final))
        return temporary

    @property
    def files(self) -> list[Path]:
        """The final names, in order."""
        return [final for _, final in self._files]

    def commit(self) -> None:
        """Give everything its final name; a folder that has it already goes."""
        for temporary, final in self._files:
            aside = final.with_name(f".{final.name}.old-{secrets.token_hex(8)}") if final.is_dir() else None
            if aside is not None:
                os.replace(final, aside)
            os.replace(temporary, final)
            self._placed.append(final)
            if aside is not None:
                shutil.rmtree(aside, ignore_errors=True)

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            for file in (*(temporary for temporary, _ in self._files), *self._placed):
                if file.is_dir():
                    shutil.rmtree(file, ignore_errors=True)
                else:
                    file.unlink(missing_ok=True)


@contextmanager
def storage_errors(path: Path) -> Generator[None]:
    """Turn an ``OSError`` of the body into a `StorageError` that says what to do."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"expected to write {path}, received from the system: {error.strerror}",
            hint=_HINTS.get(error.errno or 0, "see that the disk is well, and try again"),
        ) from error
