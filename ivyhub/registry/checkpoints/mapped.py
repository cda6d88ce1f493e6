"""Mapped files, and checkpoints of any format over them: an index is read at once, numbers when they are asked for."""

from __future__ import annotations

import itertools
import math
import mmap
import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
import numpy as np

from ivyhub.errors import CheckpointError, CorruptFileError, UnsafeError
from ivyhub.registry.places import Location
from ivyhub.registry.weights.checkpoint import Checkpoint, opened
from ivyhub.registry.weights.dtypes import ITEMSIZE, numpy_dtype
from ivyhub.registry.weights.header import TensorInfo, check_names, twice

Found = TypeVar("Found", bound=tuple[Any, ...])

MOST_TENSORS = 2_000_000
"""More names than any checkpoint has; a file that goes on after them was made to fill the memory."""
MOST_DEPTH = 100
"""So deep may groups and dictionaries lie in each other."""
_MOST_LETTERS = 1 << 28
"""Of all names together: a long one may stand once in a file, and be the beginning of millions."""


def corrupt(where: object, fault: str) -> CorruptFileError:
    """The error for a file that breaks its format."""
    return CorruptFileError(f"{where}: {fault}", hint="get the file again and compare its checksum with its source's")


def unsafe(where: object, what: str) -> UnsafeError:
    """The error for a file that would run code, reach other files or fill the memory."""
    return UnsafeError(f"refused {where}: {what}", hint="the file may be hostile; get it from a source you trust")


def counted(found: Iterable[Found], where: object) -> Iterator[Found]:
    """What an index leads to, as long as its names, which come first, would fill no memory.

    Raises:
        CorruptFileError: there are too many, or they are too long.
    """
    letters = 0
    for count, row in enumerate(found):
        letters += len(row[0])
        if count > MOST_TENSORS or letters > _MOST_LETTERS:
            raise corrupt(where, f"expected names, received more than {count} of {letters} letters")
        yield row


class Pages:
    """A file, or a part of one, mapped for reading: what is taken of it are views, and every bound is checked.

    Args:
        path: the file.

    Attributes:
        map: all of the file.
        start: where these bytes begin in it.
        size: how many they are.

    Raises:
        CheckpointError: there is no file that can be read.
        CorruptFileError: it is empty.
    """

    def __init__(self, path: Path) -> None:
        with opened(path) as file:
            self.size = os.fstat(file.fileno()).st_size
            if self.size == 0:
                raise corrupt(path, "expected a checkpoint, received an empty file")
            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.path = path
        self.start = 0

    def part(self, offset: int, nbytes: int) -> Pages:
        """A part as pages of its own, whose offsets count from its first byte."""
        self.check(offset, nbytes)
        part = object.__new__(Pages)
        part.path, part.map, part.start, part.size = self.path, self.map, self.start + offset, nbytes
        return part

    def check(self, offset: int, nbytes: int) -> None:
        """Raise `CorruptFileError` unless those bytes lie in the file."""
        if not 0 <= offset <= offset + nbytes <= self.size:
            raise corrupt(
                self.path, f"expected {nbytes} bytes at offset {offset}, received {self.size} bytes in all: truncated"
            )

    def read(self, offset: int, nbytes: int) -> bytes:
        """A copy of some bytes."""
        self.check(offset, nbytes)
        return self.map[self.start + offset : self.start + offset + nbytes]

    def array(
        self, offset: int, dtype: np.dtype, shape: Sequence[int], strides: Sequence[int] | None = None
    ) -> np.ndarray:
        """A view of the file as an array; strides in bytes."""
        if math.prod(shape) == 0:
            return np.empty(shape, dtype)
        last = sum((size - 1) * step for size, step in zip(shape, strides, strict=True)) if strides else None
        self.check(offset, math.prod(shape) * dtype.itemsize if last is None else last + dtype.itemsize)
        return np.ndarray(tuple(shape), dtype, self.map, self.start + offset, None if strides is None else (*strides,))

    def release(self, offset: int, nbytes: int) -> None:
        """Let the system take back the memory behind some bytes."""
        if hasattr(self.map, "madvise") and nbytes:
            first = (self.start + offset) // mmap.PAGESIZE * mmap.PAGESIZE
            self.map.madvise(mmap.MADV_DONTNEED, first, self.start + offset + nbytes - first)

    def find_last(self, what: bytes, start: int = 0) -> int:
        """The offset of the last occurrence at or after `start`, or -1."""
        found = self.map.rfind(what, self.start + start, self.start + self.size)
        return found - self.start if found >= 0 else -1

    def find(self, what: bytes, start: int = 0) -> int:
        """The offset of the first occurrence at or after `start`, or -1."""
        found = self.map.find(what, self.start + start, self.start + self.size)
        return found - self.start if found >= 0 else -1


_MOST_PARTS = 1 << 14


class Span(msgspec.Struct, frozen=True, gc=False):
    """Bytes of a mapped file."""

    pages: Pages
    offset: int
    nbytes: int


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A tensor of a file.

    Args:
        info: its name, dtype and shape.
        make: gives its values, in the machine's byte order; None where they are those of the span.
        span: the bytes that it is made from, where they lie in one place.
        verbatim: they are its values, row by row in little-endian order.
    """

    info: TensorInfo
    make: Callable[[], np.ndarray] | None
    span: Span | None = None
    verbatim: bool = False

    def load(self) -> np.ndarray:
        """Its values: a view of the file where they lie there as they are."""
        if self.make is not None:
            return self.make()
        assert self.span is not None, "what has no place in a file is made"
        return self.span.pages.array(self.span.offset, numpy_dtype(self.info.dtype), self.info.shape)


def stored(
    name: str,
    dtype: str,
    shape: Sequence[int],
    pages: Pages,
    offset: int,
    *,
    strides: Sequence[int] | None = None,
    big_endian: bool = False,
) -> Stored:
    """A tensor whose numbers lie in a mapped file as they are.

    Args:
        name: its name.
        dtype: ivyhub's name of its dtype.
        shape: its shape.
        pages: the file that it lies in.
        offset: of its first number there.
        strides: in elements; row by row if not given.
        big_endian: the byte order of the numbers.

    Raises:
        CorruptFileError: it does not lie inside of the file.
    """
    info = TensorInfo(name, dtype, tuple(shape))
    item, nbytes = ITEMSIZE[dtype], info.nbytes
    if nbytes == 0:
        return Stored(info, lambda: np.empty(info.shape, numpy_dtype(dtype)), Span(pages, 0, 0), verbatim=True)
    swapped = big_endian and item > 1
    steps: tuple[int, ...] | None = None
    if strides is not None and not is_contiguous(info.shape, strides):
        steps = tuple(step * item for step in strides)
        nbytes = sum((size - 1) * step for size, step in zip(info.shape, steps, strict=True)) + item
    pages.check(offset, nbytes)
    span = Span(pages, offset, nbytes)
    if steps is None and not swapped:
        return Stored(info, None, span, verbatim=True)

    def make() -> np.ndarray:
        if not swapped:
            return pages.array(offset, numpy_dtype(dtype), info.shape, steps)
        # NumPy swaps the halves of complex numbers and of its own types only.
        half = item // 2 if dtype.startswith("complex") else item
        inner = None if steps is None else (*steps, half)
        raw = pages.array(offset, np.dtype(f">u{half}"), (*info.shape, item // half), inner)
        return raw.astype(f"<u{half}").view(numpy_dtype(dtype)).reshape(info.shape)

    return Stored(info, make, span)


def is_contiguous(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether strides in elements are those of an array that lies row by row.

    Example:
        >>> is_contiguous((2, 1, 3), (3, 99, 1)), is_contiguous((2, 3), (1, 2))
        (True, False)
    """
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return math.prod(shape) == 0
        expected *= size
    return True


def sizes(values: object, where: object) -> tuple[int, ...]:
    """A shape or strides from a file. Raises `CorruptFileError` where they are no counts."""
    if not isinstance(values, list | tuple) or len(values) > 64:
        raise corrupt(where, f"expected a shape, received {reprlib.repr(values)}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
            raise corrupt(where, f"expected sizes of at least 0, received {reprlib.repr(value)}")
    return tuple(values)


def overlap(parts: Sequence[tuple[Sequence[int], Sequence[int]]]) -> bool:
    """Whether two parts of an array, by their first places and sizes along each axis, have a number in common.

    Raises `CorruptFileError` for more parts than any tensor is cut into.

    Example:
        >>> overlap([((0, 0), (2, 3)), ((2, 0), (1, 3))]), overlap([((0, 0), (2, 3)), ((1, 2), (2, 3))])
        (False, True)
    """
    filled = [(starts, shape) for starts, shape in parts if math.prod(shape)]
    for axis in range(len(filled[0][0]) if filled else 0):  # most often they follow each other along one axis
        spans = sorted((starts[axis], starts[axis] + shape[axis]) for starts, shape in filled)
        if all(before[1] <= after[0] for before, after in itertools.pairwise(spans)):
            return False
    if len(filled) > _MOST_PARTS:
        raise corrupt("a tensor", f"expected at most {_MOST_PARTS} parts, received {len(filled)}")
    first = np.array([starts for starts, _ in filled])
    last = first + np.array([shape for _, shape in filled])
    return any(
        bool(((first[i] < last[i + 1 :]) & (first[i + 1 :] < last[i])).all(axis=1).any())
        for i in range(len(filled) - 1)
    )


class FormatCheckpoint(Checkpoint):
    """The tensors of a file or folder of any format.

    Args:
        format: the name of its format.
        tensors: what it holds.
        files: where it lies.
        metadata: the strings that it carries.
        values: by name, what it holds that is no tensor: numbers, texts, as JSON.
        unreadable: by name, the tensors that ivyhub has no dtype for, described.
        separator: what parts of a name that are groups or dictionaries of the file are joined with.
        keep: what has to stay open while tensors are read.
    """

    def __init__(
        self,
        format: str,
        tensors: Sequence[Stored],
        files: Sequence[Path],
        *,
        metadata: Mapping[str, str] = MappingProxyType({}),
        values: Mapping[str, str] = MappingProxyType({}),
        unreadable: Mapping[str, str] = MappingProxyType({}),
        separator: str = ".",
        keep: object = None,
    ) -> None:
        self.format = format
        self.values_beside = dict(values)
        self.unreadable = dict(unreadable)
        self.separator = separator
        self._keep = keep
        names = [tensor.info.name for tensor in tensors]
        self._stored = dict(zip(names, tensors, strict=True))
        where = files[0] if files else "memory"
        if len(self._stored) != len(names):
            raise corrupt(where, f"expected each name once, received {twice(names)!r} twice")
        for info in (tensor.info for tensor in tensors if 0 in tensor.info.shape):
            if ITEMSIZE[info.dtype] * math.prod(size or 1 for size in info.shape) >= 1 << 63:  # NumPy has no such array
                raise corrupt(where, f"expected sizes that fit memory for {info.name!r}, received {info}")
        check_names((*names, *values, *unreadable), where)
        self._known = {name: tensor.info for name, tensor in self._stored.items()}
        super().__init__({}, metadata, tuple(files))

    def _infos(self) -> Mapping[str, TensorInfo]:
        return self._known

    def _open(self, name: str) -> Stored:
        tensor = self._stored.get(self.info(name).name)
        if tensor is None:
            raise CheckpointError("expected an open checkpoint, received one that was closed")
        return tensor

    def _array(self, name: str) -> np.ndarray:
        tensor = self._open(name)
        array = tensor.load()
        if (array.shape, array.dtype) != (tensor.info.shape, numpy_dtype(tensor.info.dtype)):
            raise corrupt(
                self.files[0], f"expected {name!r} as {tensor.info}, received {array.dtype}{list(array.shape)}"
            )
        return array

    def location(self, name: str) -> Location | None:
        tensor = self._open(name)
        if tensor.span is None or not tensor.verbatim:
            return None
        return Location(tensor.span.pages.path, tensor.span.pages.start + tensor.span.offset, tensor.info.nbytes)

    def release(self, name: str) -> None:
        if (span := self._open(name).span) is not None:
            span.pages.release(span.offset, span.nbytes)

    def stored(self) -> list[Stored]:
        """Its tensors, for a checkpoint that is made of several."""
        return [*self._stored.values()]

    def __enter__(self) -> FormatCheckpoint:
        return self

    def close(self) -> None:
        self._stored.clear()
        self._keep = None


def join(parts: Sequence[FormatCheckpoint], files: Sequence[Path]) -> FormatCheckpoint:
    """Files that together are one checkpoint.

    Raises:
        CorruptFileError: a tensor is in two of them.
    """
    first = parts[0]
    return FormatCheckpoint(
        first.format,
        [tensor for part in parts for tensor in part.stored()],
        files,
        metadata={key: value for part in reversed(parts) for key, value in part.metadata.items()},
        values={key: value for part in parts for key, value in part.values_beside.items()},
        unreadable={key: value for part in parts for key, value in part.unreadable.items()},
        separator=first.separator,
        keep=parts,
    )
