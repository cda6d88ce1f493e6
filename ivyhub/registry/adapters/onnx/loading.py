"""Model files: parsed, checked, and their tensors as arrays. Nothing outside of a model's folder is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import CaptureError, CorruptFileError, FrameworkNotInstalledError, UnsafeError, UsageError
from ...files import check_relative_name
from ...weights.dtypes import numpy_dtype

#: protobuf itself holds no message of more.
_LARGEST = 2**31

_OTHER_DTYPES = {"FLOAT": "float32", "DOUBLE": "float64", "FLOAT8E4M3FN": "float8_e4m3fn", "FLOAT8E5M2": "float8_e5m2"}


def load_onnx() -> Any:
    """The onnx package. Raises `FrameworkNotInstalledError` where it is missing."""
    try:
        import onnx
    except ImportError:
        raise FrameworkNotInstalledError(
            "onnx is not installed, which reading .onnx files needs", hint="pip install 'ivyhub[onnx]'"
        ) from None
    return onnx


def files_beside(path: Path) -> list[Path]:
    """The files in which the tensors of a model lie that do not lie in the model's own.

    Raises as `load_model` does.
    """
    model, folder = load_model(path)
    return sorted(
        {place[0] for tensor in _tensors(model.graph) if (place := external_file(tensor, folder)) is not None}
    )


def load_model(source: Any) -> tuple[Any, Path | None]:
    """A model from a file or as it is, checked by ``onnx.checker``, and the folder of its external data.

    Raises:
        CorruptFileError: it is no valid model.
        UnsafeError: it names a file outside of its folder.
        UsageError: there is no such file.
    """
    onnx = load_onnx()
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if not path.is_file():
            raise UsageError(f"expected a file, found none at {path.name!r}")
        if path.stat().st_size >= _LARGEST:
            raise CorruptFileError(f"{path.name} has {path.stat().st_size} bytes; a model has fewer than {_LARGEST}")
        model = onnx.ModelProto()
        try:
            model.ParseFromString(path.read_bytes())
        except Exception as error:  # protobuf's own, which has no public home
            raise CorruptFileError(f"{path.name} is no ONNX model: {error}") from error
        folder = path.resolve().parent
        for tensor in _tensors(model.graph):
            external_file(tensor, folder)
        checked: Any = str(path)
    else:
        model, folder, checked = source, None, source
    try:
        onnx.checker.check_model(checked)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise CorruptFileError(f"the model is not valid: {str(error).splitlines()[0]}") from error
    return model, folder


def external_file(tensor: Any, folder: Path | None) -> tuple[Path, int, int | None] | None:
    """Where the bytes of a tensor are, if in another file: its path, the first byte and how many.

    Raises `UnsafeError` where that file is not in the model's folder.
    """
    onnx = load_onnx()
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return None
    if folder is None:
        raise UsageError(f"{tensor.name!r} is stored beside the model", hint="pass the path of the file instead")
    said = {entry.key: entry.value for entry in tensor.external_data}
    location = said.get("location", "")
    try:
        path = folder / check_relative_name(location)
        inside = Path(os.path.realpath(path)).is_relative_to(folder)
        inside = inside and not any(
            parent.is_symlink() for parent in (path, *path.parents) if parent.is_relative_to(folder)
        )
    except UnsafeError:
        path, inside = folder, False
    if not inside:
        raise UnsafeError(
            f"{tensor.name!r} names the file {location!r}, which is not in the model's folder",
            hint="keep a model and its data in one folder",
        )
    if not path.is_file():
        raise CorruptFileError(f"{tensor.name!r} names the file {location!r}, which is missing")
    try:
        offset, length = int(said.get("offset", 0)), int(said["length"]) if "length" in said else None
    except ValueError:
        raise CorruptFileError(f"{tensor.name!r} has no valid place in {location!r}") from None
    if offset < 0 or (length is not None and (length < 0 or offset + length > os.path.getsize(path))):
        raise CorruptFileError(f"{tensor.name!r} lies beyond the end of {location!r}")
    return path, offset, length


def array_of(tensor: Any, folder: Path | None = None) -> np.ndarray:
    """A tensor as an array; one in another file is mapped into memory, not read.

    Raises:
        CaptureError: it holds text.
        CorruptFileError: it has fewer or more bytes than its shape says.
    """
    onnx = load_onnx()
    if tensor.data_type == onnx.TensorProto.STRING:
        raise CaptureError(f"{tensor.name!r} holds text, which arrays do not")
    try:
        place = external_file(tensor, folder)
        if place is None:
            return onnx.numpy_helper.to_array(tensor)
        path, offset, _ = place
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        return np.memmap(path, dtype, "r", offset, tuple(tensor.dims))
    except (ValueError, TypeError) as error:
        raise CorruptFileError(f"{tensor.name!r} does not hold what it says: {error}") from error


def usual(array: np.ndarray) -> np.ndarray:
    """An array with NumPy's own object for its dtype, by which operations of the engine know it."""
    return array.view(numpy_dtype(array.dtype.name)) if array.dtype.kind not in "OSUT" else array


def dtype_of_type(number: int) -> str | None:
    """The name of an element type of ONNX, None where the engine has none for it.

    Example:
        >>> dtype_of_type(1), dtype_of_type(16), dtype_of_type(8)
        ('float32', 'bfloat16', None)
    """
    from ....engine.backends import DTYPES

    name = load_onnx().TensorProto.DataType.Name(number)
    name = _OTHER_DTYPES.get(name, name.lower())
    return name if name in DTYPES else None


def type_of_dtype(dtype: str) -> int:
    """The element type of ONNX of a dtype; see `dtype_of_type`."""
    other = {name: word for word, name in _OTHER_DTYPES.items()}
    return load_onnx().TensorProto.DataType.Value(other.get(dtype, dtype.upper()))


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor of a graph and of the graphs in it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)
            for inner in attribute.graphs:
                yield from _tensors(inner)


__all__ = [
    "array_of",
    "dtype_of_type",
    "external_file",
    "files_beside",
    "load_model",
    "load_onnx",
    "type_of_dtype",
    "usual",
]
