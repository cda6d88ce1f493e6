"""HDF5 files of Keras: ``.h5`` and ``.weights.h5`` of every version, and the one in a ``.keras`` archive.

They are opened by h5py, once each link, dataset and filter in them is known to be plain. Numbers that lie in one piece
are mapped, the others read by h5py.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ivyhub.errors import FrameworkNotInstalledError, IvyhubError
from ivyhub.registry.checkpoints import zips
from ivyhub.registry.checkpoints.mapped import (
    MOST_DEPTH,
    MOST_TENSORS,
    FormatCheckpoint,
    Pages,
    Stored,
    corrupt,
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
_FILTERS = frozenset({1, 2, 3, 4, 32000})
"""gzip, shuffle, fletcher32, szip and lzf, which h5py brings; any other one would be a library to load."""
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
    h5py = load_h5py()
    where = f"{pages.path}{name and '/'}{name}"
    try:
        source: Any = pages.path if not name else _Window(pages)
        file = h5py.File(source, "r")
        tensors: list[Stored] = []
        values: dict[str, str] = {}
        unreadable: dict[str, str] = {}
        for path, dataset in _datasets(where, file):
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
    """The weights of a ``.keras`` file. Its configuration is not looked at.

    Raises as `open_hdf5` does.
    """
    member = members[WEIGHTS]
    if not member.deflated:
        return open_hdf5(pages.part(member.offset, member.size), "keras", WEIGHTS)
    with tempfile.NamedTemporaryFile(prefix="ivyhub-", suffix=".h5") as file:
        for piece in zips.expand(pages, member):
            file.write(piece)
        file.flush()
        found = open_hdf5(Pages(type(pages.path)(file.name)), "keras")
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
    pending: list[tuple[str, Any, int]] = [("", file, 0)]
    count = 0
    while pending:
        path, found, depth = pending.pop()
        count += 1
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
        if depth > MOST_DEPTH or count + len(names) > MOST_TENSORS:
            raise corrupt(where, "expected datasets in groups, received ones that are nested without end")
        for name in reversed(names):
            inner = f"{path}/{name}" if path else name
            if not isinstance(found.get(name, getlink=True), h5py.HardLink):
                raise unsafe(where, f"{inner[:80]!r} is a link to another place or file")
            pending.append((inner, found[name], depth + 1))


def _check(where: str, path: str, dataset: h5py.Dataset) -> None:
    properties = dataset.id.get_create_plist()
    if dataset.external or dataset.is_virtual:
        raise unsafe(where, f"{path[:80]!r} lies in another file")
    filters = {properties.get_filter(place)[0] for place in range(properties.get_nfilters())}
    if not filters <= _FILTERS:
        raise unsafe(where, f"{path[:80]!r} needs the filter {min(filters - _FILTERS)}, which is a library to load")
    if dataset.shape is None:
        return
    size, kept = dataset.dtype.itemsize * dataset.size, dataset.id.get_storage_size()
    if size > max(_FREE_EXPANSION, _MOST_EXPANSION * kept):
        raise unsafe(where, f"{path[:80]!r} has the shape {list(dataset.shape)} over {kept} bytes")


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
            array = np.asarray(dataset[()])
        except (OSError, RuntimeError, ValueError) as error:
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
