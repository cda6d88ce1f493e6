"""HDF5 files of Keras: ``.h5`` and ``.weights.h5`` of every version, and the one in a ``.keras`` archive.

They are opened by h5py, once each link, dataset and filter in them is known to be plain. Numbers that lie in one piece
are mapped, the others read by h5py.
"""

from __future__ import annotations

import io
import math
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ivyhub.errors import FrameworkNotInstalledError, IvyhubError
from ivyhub.registry.checkpoints import confined, zips
from ivyhub.registry.checkpoints.contents import Contents
from ivyhub.registry.checkpoints.mapped import (
    MOST_DEPTH,
    MOST_TENSORS,
    FormatCheckpoint,
    Pages,
    Stored,
    corrupt,
    counted,
    stored,
    unsafe,
)
from ivyhub.registry.weights.dtypes import ITEMSIZE, numpy_dtype
from ivyhub.registry.weights.header import TensorInfo

if TYPE_CHECKING:
    import h5py

MAGIC = b"\x89HDF\r\n\x1a\n"
WEIGHTS = "model.weights.h5"
CONFIG = "config.json"
_GZIP, _SHUFFLE, _FLETCHER = 1, 2, 3
_MOST_EXPANSION, _FREE_EXPANSION = 1100, 64 << 20
"""gzip makes at most 1032 of one byte."""
_LONGEST_TEXT = 1 << 24


def is_keras(names: list[str]) -> bool:
    """Whether the members of a zip archive are those of `keras.Model.save`."""
    return WEIGHTS in names and CONFIG in names


def open_hdf5(pages: Pages, format: str = "hdf5", name: str = "") -> FormatCheckpoint:
    """The datasets of a file, under their paths.

    Args:
        pages: the file, or the part of one.
        format: what the checkpoint is called.
        name: of a part, for messages.

    Raises:
        CorruptFileError: it is no such file.
        FrameworkNotInstalledError: h5py is missing.
        UnsafeError: a dataset or link leads out of the file, a group lies in itself, a dataset would be larger than
            any that its bytes can hold, or needs a filter from outside.
    """
    load_h5py()
    confined.read("hdf5", pages.path, (pages.start, pages.size))
    return _opened(pages, format, name)


def try_file(start: int, size: int, path: Path) -> Contents:
    """Open a part of a file as `open_hdf5` does, and go along all that it reads by later; nothing is kept of it.

    The library of HDF5 goes in a circle, or ends its process, where places in a file do not fit: see `confined`.
    """
    pages = Pages(path).part(start, size)
    with _opened(pages, "hdf5", WEIGHTS):
        pass
    with load_h5py().File(_Window(pages), "r") as file:
        for _, dataset in _datasets(str(path), file):
            if dataset.chunks is not None:
                dataset.id.chunk_iter(lambda _: None)
    return Contents("hdf5", (), (), {}, {})


def _opened(pages: Pages, format: str, name: str) -> FormatCheckpoint:
    import h5py

    where = f"{pages.path}{name and '/'}{name}"
    try:
        source: Any = pages.path if not name else _Window(pages)
        file = h5py.File(source, "r")
        tensors: list[Stored] = []
        values: dict[str, str] = {}
        unreadable: dict[str, str] = {}
        for path, dataset in counted(_datasets(where, file), where):
            if dataset.shape is None:
                values[path] = '"nothing"'
                continue
            dtype = _dtype(dataset)
            if dtype in ITEMSIZE:
                tensors.append(_tensor(pages, where, path, dataset, dtype))
            else:
                unreadable[path] = f"{dtype}{list(dataset.shape)}"
        metadata = _metadata(file)
    except IvyhubError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, AttributeError) as error:
        raise corrupt(where, f"expected an HDF5 file, received one that h5py refuses: {error}") from None
    return FormatCheckpoint(
        format, tensors, [pages.path], metadata=metadata, values=values, unreadable=unreadable, separator="/", keep=file
    )


def open_keras(pages: Pages, members: dict[str, zips.Member]) -> FormatCheckpoint:
    """The weights of a ``.keras`` file. Its configuration is a text among the metadata.

    Raises as `open_hdf5` does.
    """
    found = _open_weights(pages, members[WEIGHTS])
    if members[CONFIG].size <= _LONGEST_TEXT:
        found.metadata["model_config"] = zips.read(pages, members[CONFIG], _LONGEST_TEXT).decode("utf-8", "replace")
    return found


def _open_weights(pages: Pages, member: zips.Member) -> FormatCheckpoint:
    if not member.deflated:
        return open_hdf5(pages.part(member.offset, member.size), "keras", WEIGHTS)
    with tempfile.NamedTemporaryFile(prefix="ivyhub-", suffix=".h5") as file:
        for piece in zips.expand(pages, member):
            file.write(piece)
        file.flush()
        found = open_hdf5(Pages(Path(file.name)), "keras")
        found.files = (pages.path,)
        return found


def load_h5py() -> Any:
    """The h5py package. Raises `FrameworkNotInstalledError` where it is missing."""
    try:
        import h5py
    except ImportError:
        raise FrameworkNotInstalledError(
            "h5py is not installed, which reading and writing HDF5 needs", hint="pip install 'ivyhub[checkpoints]'"
        ) from None
    return h5py


class _Window(io.RawIOBase):
    """A part of a mapped file as a file of its own."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._pages.size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._pages.size - self._position))
        view[:count] = self._pages.read(self._position, count)
        self._position += count
        return count


def _datasets(where: str, file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """Every dataset with its path. Nothing is opened before its link is known to be a hard one."""
    import h5py

    entered: set[h5py.Group] = set()  # equal where they are one object of the file
    pending: list[tuple[str, h5py.Group, str, int]] = [("", file, "/", 0)]
    count = 0
    while pending:
        before, group, name, depth = pending.pop()
        path = f"{before}/{name}" if before else name.strip("/")
        if name != "/" and not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise unsafe(where, f"{path[:80]!r} is a link to another place or file")
        found = group[name]
        if isinstance(found, h5py.Dataset):
            _check(where, path, found)
            yield path, found
            continue
        if not isinstance(found, h5py.Group):
            continue  # a named type
        if found in entered:
            raise unsafe(where, f"the group {path[:80]!r} lies in itself or in two others")
        entered.add(found)
        names = list(found)
        count += 1 + len(names)
        if depth > MOST_DEPTH or count > MOST_TENSORS:
            raise corrupt(where, "expected datasets in groups, received ones that are nested without end")
        pending += [(path, found, name, depth + 1) for name in reversed(names)]


def _check(where: str, path: str, dataset: h5py.Dataset) -> None:
    if dataset.external or dataset.is_virtual:
        raise unsafe(where, f"{path[:80]!r} lies in another file")
    if other := {*_filters(dataset)} - {_GZIP, _SHUFFLE, _FLETCHER}:
        raise unsafe(where, f"{path[:80]!r} needs the filter {min(other)}, expected gzip, shuffled or with checksums")
    kept = dataset.id.get_storage_size()
    for count in (dataset.size or 0, math.prod(dataset.chunks or ())):
        if dataset.dtype.itemsize * count > max(_FREE_EXPANSION, _MOST_EXPANSION * kept):
            raise unsafe(where, f"{path[:80]!r} has the shape {dataset.shape} over {kept} bytes")


def _filters(dataset: h5py.Dataset) -> list[int]:
    """What each chunk of a dataset goes through when it is written, in order."""
    properties = dataset.id.get_create_plist()
    return [properties.get_filter(place)[0] for place in range(properties.get_nfilters())]


def _check_chunks(where: str, path: str, dataset: h5py.Dataset) -> None:
    """Expand each compressed chunk as far as it may go: the HDF5 library would follow it to its end."""
    filters = _filters(dataset)
    if _GZIP not in filters:
        return
    most = dataset.dtype.itemsize * math.prod(dataset.chunks or ()) + 4 * len(filters)
    starts: list[tuple[int, ...]] = []
    dataset.id.chunk_iter(lambda chunk: starts.append(chunk.chunk_offset))
    for start in starts:
        mask, data = dataset.id.read_direct_chunk(start)
        for place in reversed(range(len(filters))):
            if filters[place] == _GZIP and not mask >> place & 1:
                data = zlib.decompressobj().decompress(data, most + 1)
                if len(data) > most:
                    raise unsafe(where, f"a part of {path[:80]!r} would expand to more than its {most} bytes")
            elif filters[place] == _FLETCHER and not mask >> place & 1:
                data = data[:-4]


def _dtype(dataset: h5py.Dataset) -> str:
    """The name of the type of a dataset, under which Keras keeps bfloat16 as two bytes."""
    said = dataset.attrs.get("dtype")
    if isinstance(said, str) and said == "bfloat16" and dataset.dtype.itemsize == 2:
        return said
    return dataset.dtype.name if dataset.dtype.kind != "O" else "text"


def _tensor(pages: Pages, where: str, path: str, dataset: h5py.Dataset, dtype: str) -> Stored:
    import h5py

    properties = dataset.id.get_create_plist()
    offset = dataset.id.get_offset() if properties.get_layout() == h5py.h5d.CONTIGUOUS else None
    if offset is not None and dataset.id.get_storage_size() == TensorInfo(path, dtype, dataset.shape).nbytes:
        return stored(path, dtype, dataset.shape, pages, offset, big_endian=dataset.dtype.byteorder == ">")

    def load() -> np.ndarray:
        try:
            _check_chunks(where, path, dataset)
            array = np.asarray(dataset[()])
        except (OSError, RuntimeError, ValueError, zlib.error) as error:
            raise corrupt(where, f"expected the numbers of {path!r}, received an error of h5py: {error}") from None
        kind = numpy_dtype(dtype)
        return array.view(kind) if array.dtype.kind == "V" else array.astype(kind, copy=False)

    return Stored(TensorInfo(path, dtype, dataset.shape), load)


def _metadata(file: h5py.File) -> dict[str, str]:
    """The texts among the attributes of the root: versions and the configuration that Keras keeps there."""
    found: dict[str, str] = {}
    for name in file.attrs:
        shape, kind = file.attrs.get_id(name).shape, file.attrs.get_id(name).dtype.kind
        if shape == () and kind in "OS":
            value = file.attrs[name]
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            if isinstance(text, str) and len(text) <= _LONGEST_TEXT:
                found[name] = text
    return found
