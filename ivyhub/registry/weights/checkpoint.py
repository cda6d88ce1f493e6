"""Checkpoints as read-only mappings from tensor names to what is known of each tensor.

A file is mapped, never loaded: opening one reads its header, and `Checkpoint.read` gives a view of its pages.
"""

from __future__ import annotations

import mmap
import os
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np

from ivyhub.errors import CheckpointError, CorruptFileError, UnsafeError
from ivyhub.registry.files import check_relative_name
from ivyhub.registry.places import Location
from ivyhub.registry.weights.dtypes import numpy_dtype
from ivyhub.registry.weights.header import (
    MAX_HEADER_BYTES,
    PICKLE_SUFFIXES,
    Header,
    TensorInfo,
    check_names,
    load_json,
    pickle_refused,
    read_header,
)

INDEX_SUFFIX = ".safetensors.index.json"


class Checkpoint(Mapping[str, TensorInfo]):
    """Named tensors, read one at a time. A context manager; closing it leaves arrays that were read alive.

    Iteration follows the order of the data. A name in `aliases` is another name of a tensor that is stored once:
    lookups through it reach the owner, iteration and `len` count the owner alone.

    Args:
        aliases: other name to owner, given by who knows the model; never guessed from equal bytes.
        metadata: the strings a file carries beside its tensors.
        files: the files behind the tensors, () in memory.
    """

    def __init__(self, aliases: Mapping[str, str], metadata: Mapping[str, str], files: tuple[Path, ...]) -> None:
        self.aliases = dict(aliases)
        self.metadata = dict(metadata)
        self.files = files
        for alias, owner in self.aliases.items():
            if owner not in self._infos() or owner in self.aliases:
                raise CheckpointError(f"expected {alias!r} to be another name of a tensor, received {owner!r}")
        for alias, owner in self.aliases.items():
            if alias in self._infos() and not self._equal(alias, owner):
                raise CheckpointError(
                    f"expected {alias!r} to share the values of {owner!r}, received two different tensors",
                    hint="the checkpoint unties what the model ties; untie it in the model's configuration",
                )

    @abstractmethod
    def _infos(self) -> Mapping[str, TensorInfo]:
        """Every stored tensor."""

    @abstractmethod
    def _array(self, name: str) -> np.ndarray:
        """The values of a stored tensor."""

    def _equal(self, alias: str, owner: str) -> bool:
        a, b = self._array(alias), self._array(owner)
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            return False
        if (a.ctypes.data, a.strides) == (b.ctypes.data, b.strides):
            return True
        # As bytes, so that NaN equals itself.
        return a.reshape(-1).view(np.uint8).data == b.reshape(-1).view(np.uint8).data

    def info(self, name: str) -> TensorInfo:
        """Name, dtype and shape of a tensor.

        Raises:
            CheckpointError: no tensor of that name.
        """
        try:
            return self._infos()[self.aliases.get(name, name)]
        except KeyError:
            raise CheckpointError(f"expected a tensor of this checkpoint, received {name!r}") from None

    def read(self, name: str) -> np.ndarray:
        """The values of a tensor, as a read-only array that shares memory with its source.

        Raises:
            CheckpointError: no tensor of that name.
        """
        array = self._array(self.info(name).name).view()
        array.flags.writeable = False
        return array

    def location(self, name: str) -> Location | None:
        """Where the bytes of a tensor lie, or None where they are not in a file."""
        self.info(name)
        return None

    def release(self, name: str) -> None:
        """Let the system take back the memory behind a tensor that was read; reading it again brings it back."""

    def close(self) -> None:
        """Let go of the files."""

    def __getitem__(self, name: str) -> TensorInfo:
        return self._infos()[self.aliases.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._infos() if name not in self.aliases)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MemoryCheckpoint(Checkpoint):
    """A checkpoint over arrays, so that a live module's state goes the same way as a file.

    Args:
        tensors: name to array; not copied unless the byte order is foreign.
        aliases: other name to owner, for tensors with several names.
        metadata: strings to carry along.

    Raises:
        CheckpointError: a dtype that safetensors cannot hold, or an alias whose values differ from its owner's.
        UnsafeError: a name with control characters.

    Example:
        >>> state = MemoryCheckpoint({"weight": np.zeros((2, 3), np.float32)}, aliases={"head.weight": "weight"})
        >>> list(state), state["head.weight"].shape, state.location("weight")
        (['weight'], (2, 3), None)
    """

    def __init__(
        self,
        tensors: Mapping[str, np.ndarray],
        aliases: Mapping[str, str] = MappingProxyType({}),
        metadata: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        check_names(tensors, "memory")
        self._tensors = {
            name: array.astype(numpy_dtype(array.dtype.name), copy=False) for name, array in tensors.items()
        }
        self._known = {name: TensorInfo(name, a.dtype.name, a.shape) for name, a in self._tensors.items()}
        super().__init__(aliases, metadata, ())

    def _infos(self) -> Mapping[str, TensorInfo]:
        return self._known

    def _array(self, name: str) -> np.ndarray:
        return self._tensors[name]


@contextmanager
def opened(path: Path) -> Generator[BinaryIO]:
    """A file opened for reading. Raises `CheckpointError` where it is none, or cannot be read."""
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            fault = "is not a file" if path.exists() else "does not exist"
            raise CheckpointError(f"expected a checkpoint, received {path}, which {fault}")
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise CheckpointError(f"expected a readable file, received {path}: {error.strerror}") from None


class _Shard:
    """One mapped safetensors file, whose bytes may lie in several places one after another."""

    def __init__(self, places: Sequence[Location]) -> None:
        self.path = places[0].path
        self._places = places
        self._starts = [0, *accumulate(place.nbytes for place in places)]
        self._pages: dict[Path, mmap.mmap] = {}
        for path in dict.fromkeys(place.path for place in places):
            with opened(path) as file:
                if path == self.path:
                    file.seek(places[0].offset)
                    self.header: Header = read_header(file, path, size=self._starts[-1])
                self._pages[path] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @classmethod
    def at(cls, path: Path) -> _Shard:
        """A file as it lies there."""
        if path.suffix in PICKLE_SUFFIXES:
            raise pickle_refused(path)
        with opened(path) as file:
            return cls([Location(path, 0, os.fstat(file.fileno()).st_size)])

    def location(self, info: TensorInfo, offset: int) -> Location:
        """Where a tensor lies that begins at that byte of the whole."""
        number = min(bisect_right(self._starts, offset), len(self._places)) - 1
        path, start, nbytes = self._places[number]
        inside = offset - self._starts[number]
        if inside + info.nbytes > nbytes:
            raise CorruptFileError(f"{path}: expected {info.nbytes} bytes of {info.name!r} in one place")
        return Location(path, start + inside, info.nbytes)

    def array(self, info: TensorInfo, offset: int) -> np.ndarray:
        dtype = numpy_dtype(info.dtype)
        if info.nbytes == 0:
            return np.empty(info.shape, dtype)
        path, offset, _ = self.location(info, offset)
        return np.ndarray(info.shape, dtype, buffer=self._pages[path], offset=offset)

    def release(self, info: TensorInfo, offset: int) -> None:
        path, offset, nbytes = self.location(info, offset)
        pages = self._pages[path]
        if hasattr(pages, "madvise") and nbytes:
            first = offset - offset % mmap.PAGESIZE
            pages.madvise(mmap.MADV_DONTNEED, first, offset + nbytes - first)


class _FileCheckpoint(Checkpoint):
    """One or more safetensors files as one checkpoint."""

    def __init__(self, shards: list[_Shard], aliases: Mapping[str, str]) -> None:
        self._places: dict[str, tuple[_Shard, int]] = {}
        self._known: dict[str, TensorInfo] = {}
        for shard in shards:
            for name, (info, offset) in shard.header.tensors.items():
                if name in self._known:
                    raise CheckpointError(f"expected each tensor in one file, received {name!r} in two: {shard.path}")
                self._known[name] = info
                self._places[name] = (shard, offset)
        super().__init__(aliases, shards[0].header.metadata, tuple(shard.path for shard in shards))

    def _infos(self) -> Mapping[str, TensorInfo]:
        return self._known

    def _place(self, name: str) -> tuple[_Shard, int]:
        if not self._places:
            raise CheckpointError("expected an open checkpoint, received one that was closed")
        return self._places[name]

    def _array(self, name: str) -> np.ndarray:
        shard, offset = self._place(name)
        return shard.array(self._known[name], offset)

    def location(self, name: str) -> Location:
        info = self.info(name)
        shard, offset = self._place(info.name)
        return shard.location(info, offset)

    def release(self, name: str) -> None:
        info = self.info(name)
        shard, offset = self._place(info.name)
        shard.release(info, offset)

    def close(self) -> None:
        # The mapping itself ends with the last array that shares it.
        self._places.clear()


def open_checkpoint(path: Path, *, aliases: Mapping[str, str] = MappingProxyType({})) -> Checkpoint:
    """Open a safetensors checkpoint without reading its tensors.

    Args:
        path: a ``.safetensors`` file, a ``.safetensors.index.json``, or a folder that holds ``model.safetensors`` or
            ``model.safetensors.index.json`` with its shards, as Hugging Face writes them.
        aliases: other name to owner, for tensors that the model shares.

    Raises:
        CheckpointError: no checkpoint there, a shard is missing, or the index and the shards disagree.
        CorruptFileError: a file is truncated or malformed.
        UnsafeError: a pickle, an index that points outside its folder, or a name with control characters.
    """
    path = Path(path)
    if path.is_dir():
        path = _main_file(path)
    if path.name.endswith(INDEX_SUFFIX):
        return _FileCheckpoint(_open_indexed(path), aliases)
    return _FileCheckpoint([_Shard.at(path)], aliases)


def open_shards(
    files: Sequence[Path | Sequence[Location]], *, aliases: Mapping[str, str] = MappingProxyType({})
) -> Checkpoint:
    """Open safetensors files that together are one checkpoint, whatever they are called.

    Args:
        files: each a path, or the ranges whose bytes are the file, one after another; no tensor may lie in two.
        aliases: other name to owner, for tensors that the model shares.

    Raises what `open_checkpoint` raises.
    """
    if not files:
        return MemoryCheckpoint({}, aliases)
    return _FileCheckpoint([_Shard.at(file) if isinstance(file, Path) else _Shard(file) for file in files], aliases)


def _main_file(folder: Path) -> Path:
    for name in ("model.safetensors", "model" + INDEX_SUFFIX):
        # lexists: a link that leads nowhere is a broken checkpoint, not an absent one.
        if (folder / name).exists() or (folder / name).is_symlink():
            return file_inside(folder, name)
    pickles = sorted(file for file in folder.iterdir() if file.suffix in PICKLE_SUFFIXES)
    if pickles:
        raise pickle_refused(pickles[0])
    raise CheckpointError(
        f"expected model.safetensors or model{INDEX_SUFFIX} in {folder}, received neither",
        hint="give the folder that `save_pretrained` wrote, or the path of a .safetensors file",
    )


def _open_indexed(index: Path) -> list[_Shard]:
    with opened(index) as file:
        content = load_json(file.read(MAX_HEADER_BYTES), index)
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map or not all(isinstance(f, str) for f in weight_map.values()):
        raise CheckpointError(
            f"{index}: expected an object weight_map from tensors to files, received {type(weight_map).__name__}",
            hint="get the index again from its source",
        )
    check_names(weight_map, index)
    # In the index's order, so that a tensor's place does not depend on how files are called.
    files = [file_inside(index.parent, name) for name in dict.fromkeys(weight_map.values())]
    for file in files:
        if file.suffix in PICKLE_SUFFIXES:
            raise pickle_refused(file)
        if not file.exists():
            raise CheckpointError(
                f"expected shard {file.name} beside {index}, received a folder without it",
                hint="download every shard that the index names",
            )
    shards = [_Shard.at(file) for file in files]
    stored = {(name, shard.path.name) for shard in shards for name in shard.header.tensors}
    if differing := sorted(stored ^ set(weight_map.items())):
        name, file = differing[0]
        raise CheckpointError(
            f"{index}: expected the tensors of its shards, received {len(differing)} that differ, such as {name!r} "
            f"in {file}",
            hint="the index and the shards come from different checkpoints; get them all again",
        )
    return shards


def file_inside(folder: Path, name: str) -> Path:
    """The file of that name in the folder, once it is sure that nothing leads out of it.

    Raises:
        UnsafeError: the name has another folder in it, or is a link that leaves the folder.
    """
    plain = "/" not in name
    file = folder / name
    if plain:
        check_relative_name(name)
        allowed = [folder.resolve()]
        # The cache of huggingface_hub keeps MODEL/snapshots/REVISION full of links into MODEL/blobs:
        # https://huggingface.co/docs/huggingface_hub/guides/manage-cache
        if allowed[0].parent.name == "snapshots":
            allowed.append(allowed[0].parent.parent / "blobs")
        plain = Path(os.path.realpath(file)).parent in allowed
    if not plain:
        raise UnsafeError(
            f"expected a file inside {folder}, received {name!r}, which leads out of it",
            hint="the checkpoint was made to read other files; get it from a source you trust",
        )
    return file
