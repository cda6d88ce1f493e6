"""What a checkpoint holds, as plain data: all that a process may say which has read the pickles of one (`confined`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from ivyhub.registry.checkpoints.mapped import FormatCheckpoint, Pages, Stored, corrupt, stored
from ivyhub.registry.weights.checkpoint import file_inside
from ivyhub.registry.weights.dtypes import ITEMSIZE, numpy_dtype
from ivyhub.registry.weights.header import TensorInfo


class Part(msgspec.Struct, frozen=True, array_like=True):
    """Numbers that lie in a file, and where in their tensor they belong.

    Args:
        file: the number of the file.
        offset: of the first of them, from the start of the file.
        shape: their shape.
        strides: in elements; row by row where there are none.
        big_endian: their byte order.
        starts: the place of the first of them in the tensor, () where they are all of it.
    """

    file: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    big_endian: bool = False
    starts: tuple[int, ...] = ()


class Described(msgspec.Struct, frozen=True, array_like=True):
    """A tensor: its parts, or its bytes where they lie in the pickle itself."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    parts: tuple[Part, ...] = ()
    data: bytes | None = None


class Contents(msgspec.Struct, frozen=True, array_like=True):
    """A checkpoint.

    Args:
        format: the name of its format.
        files: of a folder, the names of its files; "" is the path itself.
        tensors: what it holds.
        values: by name, what is no tensor, as JSON.
        unreadable: by name, tensors that ivyhub has no dtype for, described.
    """

    format: str
    files: tuple[str, ...]
    tensors: tuple[Described, ...]
    values: dict[str, str]
    unreadable: dict[str, str]


def checkpoint_of(contents: Contents, path: Path) -> FormatCheckpoint:
    """The tensors of a file or folder by its description, which is not believed: nothing lies outside of the files.

    Raises:
        CheckpointError: a file is missing.
        CorruptFileError: the description does not fit the files.
        UnsafeError: a file lies outside of the folder.
    """
    files = [Pages(file_inside(path, name) if name else path) for name in contents.files]
    tensors = [_stored(tensor, files, path) for tensor in contents.tensors]
    return FormatCheckpoint(
        contents.format,
        tensors,
        [pages.path for pages in files],
        values=contents.values,
        unreadable=contents.unreadable,
    )


def _stored(tensor: Described, files: Sequence[Pages], path: Path) -> Stored:
    if tensor.dtype not in ITEMSIZE:
        raise corrupt(path, f"expected a known dtype, received {tensor.dtype!r}")
    info = TensorInfo(tensor.name, tensor.dtype, tensor.shape)
    if tensor.data is not None:
        array = np.frombuffer(tensor.data, numpy_dtype(info.dtype)).reshape(info.shape)
        return Stored(info, lambda: array)
    parts = [
        stored(
            tensor.name, tensor.dtype, part.shape, files[part.file], part.offset,
            strides=part.strides, big_endian=part.big_endian,
        )
        for part in tensor.parts
    ]  # fmt: skip
    if len(parts) == 1 and parts[0].info == info:
        return parts[0]

    def load() -> np.ndarray:
        array = np.empty(info.shape, numpy_dtype(info.dtype))
        for part, numbers in zip(tensor.parts, parts, strict=True):
            places = tuple(slice(start, start + size) for start, size in zip(part.starts, part.shape, strict=True))
            array[places] = numbers.load()
            if numbers.span is not None:
                numbers.span.pages.release(numbers.span.offset, numbers.span.nbytes)
        return array

    return Stored(info, load)
