"""Initialisers of ONNX models: read where they are, in the file or beside it in its folder; and written as streams.

Messages: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, by the numbers of their fields.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ivyhub.errors import CheckpointError, IvyhubError
from ivyhub.registry.checkpoints.mapped import FormatCheckpoint, Pages, Stored, corrupt, sizes, stored, unsafe
from ivyhub.registry.checkpoints.protobuf import Field, Message, encoded, fixed, opening, varints
from ivyhub.registry.files import check_relative_name
from ivyhub.registry.weights.dtypes import numpy_dtype
from ivyhub.registry.weights.header import TensorInfo
from ivyhub.registry.weights.lazy import PlannedTensor
from ivyhub.registry.weights.writer import Staging, write_pieces

_MODEL_VERSION, _MODEL_PRODUCER, _MODEL_GRAPH, _MODEL_OPSET = 1, 2, 7, 8
_GRAPH_NAME, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 2, 5, 15
_DIMS, _TYPE, _NAME, _RAW, _EXTERNAL, _LOCATION = 1, 2, 8, 9, 13, 14
_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 16: "bfloat16", 17: "float8_e4m3fn",
    19: "float8_e5m2",
}  # fmt: skip
_NUMBERS = {dtype: number for number, dtype in _TYPES.items()}
_OTHER_TYPES = {
    8: "text", 15: "complex128", 18: "float8_e4m3fnuz", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4_e2m1", 24: "float8_e8m0",
}  # fmt: skip
_MOST_AXES, _MOST_SINGLE = 64, 1 << 20
_FLOATS, _DOUBLES, _INTEGERS, _LONGS, _UNSIGNED = 4, 10, 5, 7, 11
_LARGEST = 2**31 - 256
"""Bytes of a graph, so that protobuf, which reads 2 GB, reads the model; larger ones keep tensors beside them."""
_SMALL, _ALIGNMENT = 1024, 4096
"""Tensors of fewer bytes stay in the model then, as the onnx package does it; the others begin on a page."""
_VERSIONS = 10, 21
"""Of the format and of its operators: ONNX 1.16, the first with every type here."""
_AS_BITS = {"float16": np.uint16, "bfloat16": np.uint16, "float8_e4m3fn": np.uint8, "float8_e5m2": np.uint8}


def open_onnx(pages: Pages) -> FormatCheckpoint:
    """The initialisers of a model's graph. Its operations are not looked at.

    Raises:
        CorruptFileError: it is no model, or a tensor has fewer or more bytes than its shape says.
        UnsafeError: a tensor lies in a file outside of the model's folder.
    """
    model = Message(pages, 0, pages.size)
    tensors: list[Stored] = []
    metadata: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    others: dict[Path, Pages] = {}
    graphs = 0
    for field in model:
        if field.number == _MODEL_PRODUCER:
            metadata["producer_name"] = model.text(field)
        if field.number != _MODEL_GRAPH:
            continue
        graphs += 1
        graph = model.inner(field)
        for part in graph:
            if part.number == _GRAPH_NAME:
                metadata["graph"] = graph.text(part)
            elif part.number == _GRAPH_INITIALIZER:
                found = _initializer(pages, graph.inner(part), others)
                if isinstance(found, Stored):
                    tensors.append(found)
                else:
                    unreadable |= found
            elif part.number == _GRAPH_SPARSE:
                unreadable[f"sparse_initializer.{len(unreadable)}"] = "sparse"
    if graphs != 1:
        raise corrupt(pages.path, f"expected an ONNX model with a graph, received {graphs} graphs")
    files = [pages.path, *others]
    return FormatCheckpoint("onnx", tensors, files, metadata=metadata, unreadable=unreadable)


def _initializer(pages: Pages, tensor: Message, others: dict[Path, Pages]) -> Stored | dict[str, str]:
    name, kind, external = "", 0, False
    dims: list[int] = []
    raw: Field | None = None
    said: dict[str, str] = {}
    typed: list[Field] = []
    for field in tensor:
        if field.number == _DIMS:
            dims += tensor.integers(field, _MOST_AXES)
        elif field.number == _TYPE:
            kind = field.value
        elif field.number == _NAME:
            name = tensor.text(field)
        elif field.number == _RAW:
            raw = field
        elif field.number == _EXTERNAL:
            entry = tensor.inner(field)
            words = {part.number: entry.text(part) for part in entry if part.number in (1, 2)}
            said[words.get(1, "")] = words.get(2, "")
        elif field.number == _LOCATION:
            external = field.value == 1
        elif field.number in (_FLOATS, _DOUBLES, _INTEGERS, _LONGS, _UNSIGNED):
            typed.append(field)
        if len(dims) > _MOST_AXES or len(typed) > _MOST_SINGLE:
            raise corrupt(
                pages.path, f"expected {name!r} with packed numbers and few axes, received {len(typed)}, {len(dims)}"
            )
    shape = sizes(dims, pages.path)
    if kind not in _TYPES:
        if kind not in _OTHER_TYPES:
            raise corrupt(pages.path, f"expected {name!r} of a known type, received {kind}")
        return {name: f"{_OTHER_TYPES[kind]}{list(shape)}"}
    info = TensorInfo(name, _TYPES[kind], shape)
    if external:
        place, offset, size = _outside(pages, info, said, others)
        found = stored(name, info.dtype, shape, place, offset)
    elif raw is not None or not typed:
        size = raw.size if raw is not None else 0
        found = stored(name, info.dtype, shape, pages, raw.value if raw is not None else 0)
    else:
        return _typed(pages, info, typed)
    if size != info.nbytes:
        raise corrupt(pages.path, f"expected {info.nbytes} bytes for {name!r} {info}, received {size}")
    return found


def _outside(pages: Pages, info: TensorInfo, said: dict[str, str], others: dict[Path, Pages]) -> tuple[Pages, int, int]:
    """The file beside the model in which a tensor lies, where in it, and its bytes."""
    location, folder = said.get("location", ""), pages.path.resolve().parent
    try:
        file = folder / check_relative_name(location)
    except IvyhubError:
        file = folder.parent
    if not Path(os.path.realpath(file)).is_relative_to(folder) or file.is_symlink():
        raise unsafe(pages.path, f"{info.name!r} names the file {location[:80]!r}, which is not in the model's folder")
    if file not in others:
        others[file] = Pages(file)
    try:
        offset = int(said.get("offset") or 0)
        size = int(said["length"]) if said.get("length") else others[file].size - offset
    except ValueError:
        raise corrupt(pages.path, f"expected a place of {info.name!r} in {location!r}, received other text") from None
    others[file].check(offset, size)
    return others[file], offset, size


def _typed(pages: Pages, info: TensorInfo, fields: list[Field]) -> Stored:
    """A tensor whose numbers lie in a field of their own type, packed or one by one."""
    packed = fields[0] if len(fields) == 1 and fields[0].wire == 2 else None
    number = fields[0].number
    if number in (_FLOATS, _DOUBLES) and packed is not None:
        if packed.size != info.nbytes:
            raise corrupt(pages.path, f"expected {info.nbytes} bytes for {info.name!r}, received {packed.size}")
        return stored(info.name, info.dtype, info.shape, pages, packed.value)

    def load() -> np.ndarray:
        if number in (_FLOATS, _DOUBLES):
            values = np.array([fixed(pages, field) for field in fields], "float32" if number == _FLOATS else "float64")
            if values.nbytes != info.nbytes:
                raise corrupt(pages.path, f"expected {info} for {info.name!r}, received {len(values)} numbers")
            return values.view(numpy_dtype(info.dtype)).reshape(info.shape)
        parts = [varints(pages, f.value, f.size) if f.wire == 2 else np.array([f.signed()]) for f in fields]
        values = np.concatenate(parts)
        if len(values) != math.prod(info.shape):
            raise corrupt(pages.path, f"expected {info} for {info.name!r}, received {len(values)} numbers")
        bits = _AS_BITS.get(info.dtype)
        dtype = numpy_dtype(info.dtype)
        return (values.astype(dtype) if bits is None else values.astype(bits).view(dtype)).reshape(info.shape)

    if sum(field.size or 1 for field in fields) > 10 * math.prod(info.shape):
        raise corrupt(pages.path, f"expected {info} for {info.name!r}, received more numbers")
    return Stored(info, load)


# -- writing -----------------------------------------------------------------------------------------------------------


def write_onnx(staging: Staging, path: Path, tensors: Sequence[PlannedTensor]) -> Iterator[int]:
    """Write a model whose graph has initialisers and nothing else; yields the bytes of numbers as it goes.

    Args:
        staging: makes the files.
        path: of the model; where that would be larger than 2 GB, the numbers lie in ``NAME.data`` beside it.
        tensors: what to write.

    Raises:
        CheckpointError: a tensor has no name, or values differ from what was announced.
    """
    if not all(tensor.info.name for tensor in tensors):
        raise CheckpointError("expected names, which initialisers of ONNX have, received a tensor without one")
    beside: Path | None = None
    graph = _graph(tensors, beside)
    if (size := _size(graph)) > _LARGEST:
        beside = path.with_name(f"{path.name}.data")
        graph = _graph(tensors, beside)
    if (size := _size(graph)) > _LARGEST:
        raise CheckpointError(
            f"expected descriptions that a model of {_LARGEST} bytes can hold, received {size} bytes for "
            f"{len(tensors)} tensors",
            hint="choose safetensors",
        )
    with staging.create(path) as file:
        file.write(encoded(_MODEL_VERSION, _VERSIONS[0]) + encoded(_MODEL_PRODUCER, "ivyhub"))
        file.write(encoded(_MODEL_OPSET, encoded(2, _VERSIONS[1])) + opening(_MODEL_GRAPH, size))
        for start, _, tensor in graph:
            file.write(start)
            if tensor is not None:
                yield from write_pieces(file, tensor.passthrough or [tensor])
    if beside is not None:
        with staging.create(beside) as file:
            for tensor, offset in _outsiders(tensors):
                file.seek(offset)
                yield from write_pieces(file, tensor.passthrough or [tensor])


def _graph(tensors: Sequence[PlannedTensor], beside: Path | None) -> list[tuple[bytes, int, PlannedTensor | None]]:
    """A graph in parts: bytes, and how many numbers of which tensor follow them."""
    outside = {} if beside is None else {tensor.info.name: offset for tensor, offset in _outsiders(tensors)}
    parts: list[tuple[bytes, int, PlannedTensor | None]] = [(encoded(_GRAPH_NAME, "weights"), 0, None)]
    for tensor in tensors:
        info = tensor.info
        head = b"".join(encoded(_DIMS, size) for size in info.shape)
        head += encoded(_TYPE, _NUMBERS[info.dtype]) + encoded(_NAME, info.name)
        if beside is not None and info.name in outside:
            said = {"location": beside.name, "offset": outside[info.name], "length": info.nbytes}
            for key, value in said.items():
                head += encoded(_EXTERNAL, encoded(1, key) + encoded(2, str(value)))
            parts.append((encoded(_GRAPH_INITIALIZER, head + encoded(_LOCATION, 1)), 0, None))
        else:
            head += opening(_RAW, info.nbytes)
            parts.append((opening(_GRAPH_INITIALIZER, len(head) + info.nbytes) + head, info.nbytes, tensor))
    return parts


def _size(graph: list[tuple[bytes, int, PlannedTensor | None]]) -> int:
    return sum(len(start) + size for start, size, _ in graph)


def _outsiders(tensors: Sequence[PlannedTensor]) -> Iterator[tuple[PlannedTensor, int]]:
    """The tensors that do not stay in a large model, and where each begins in the file beside it."""
    position = 0
    for tensor in tensors:
        if tensor.info.nbytes >= _SMALL:
            yield tensor, position
            position += -(-tensor.info.nbytes // _ALIGNMENT) * _ALIGNMENT
