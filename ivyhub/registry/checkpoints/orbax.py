"""Folders of Orbax: a tree in ``_METADATA``, and its arrays as Zarr, each in a folder of its own or all in one OCDBT.

Arrays that are neither compressed nor cut are mapped; TensorStore reads the others.
Source: ``orbax/checkpoint/_src/metadata/tree.py``; Zarr 2: https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ivyhub.errors import CheckpointError, FrameworkNotInstalledError, IvyhubError, UnsafeError
from ivyhub.registry.checkpoints.mapped import FormatCheckpoint, Pages, Stored, corrupt, sizes, stored, unsafe
from ivyhub.registry.files import check_relative_name
from ivyhub.registry.weights.dtypes import ITEMSIZE, numpy_dtype
from ivyhub.registry.weights.header import MAX_HEADER_BYTES, TensorInfo, load_json

INDEX = "_METADATA"
_MOST_EXPANSION, _FREE_EXPANSION = 5000, 64 << 20
_TYPES = {"|b1": "bool", "|u1": "uint8", "|i1": "int8", "bfloat16": "bfloat16"} | {
    f"<{code}": name
    for code, name in {
        "u2": "uint16", "i2": "int16", "f2": "float16", "u4": "uint32", "i4": "int32", "f4": "float32",
        "u8": "uint64", "i8": "int64", "f8": "float64", "c8": "complex64",
    }.items()
}  # fmt: skip
ZARR_TYPES = {name: code for code, name in _TYPES.items()}
"""What Zarr 2 calls a dtype."""


def find_folder(folder: Path) -> Path | None:
    """The folder of a tree in a folder: itself, or the only one in it, as for a step of Orbax's manager."""
    if (folder / INDEX).is_file():
        return folder
    inner = [child for child in sorted(folder.iterdir()) if (child / INDEX).is_file()]
    if len(inner) > 1:
        raise CheckpointError(
            f"expected one checkpoint in {folder}, received {', '.join(child.name for child in inner[:5])}",
            hint="give one of these folders",
        )
    return inner[0] if inner else None


def open_orbax(folder: Path) -> FormatCheckpoint:
    """The arrays of a folder, under the keys that lead to them with dots between.

    Raises:
        CorruptFileError: it is no such folder, or an array is not there.
        FrameworkNotInstalledError: TensorStore is missing, and arrays are compressed or in an OCDBT.
        UnsafeError: a link leads out of the folder, or an array would be larger than any that its bytes can hold.
    """
    kept = _size_inside(folder)
    index = _json(folder / INDEX)
    tree = index.get("tree_metadata")
    if not isinstance(tree, dict):
        raise corrupt(folder / INDEX, "expected the tree of a checkpoint of Orbax, received something else")
    # Earlier versions did not say so in the index.
    ocdbt = bool(index.get("use_ocdbt", (folder / "manifest.ocdbt").is_file()))
    driver = "zarr3" if index.get("use_zarr3") else "zarr"
    made: list[Stored] = []
    values: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    for row in tree.values():
        try:
            keys = [str(part["key"]) for part in row["key_metadata"]]
            kind, skipped = row["value_metadata"]["value_type"], row["value_metadata"].get("skip_deserialize")
        except (TypeError, KeyError):
            raise corrupt(folder / INDEX, "expected the keys and the type of a leaf, received something else") from None
        name = ".".join(keys)
        if skipped or kind == "string":
            values[name] = f'"{kind}"'
            continue
        found = _mapped(folder, name) if not ocdbt and driver == "zarr" else None
        if found is None:
            found = _stored(folder, name, ocdbt, driver)
        if isinstance(found, str):
            unreadable[name] = found
        elif found.info.nbytes > max(_FREE_EXPANSION, _MOST_EXPANSION * kept):
            raise unsafe(folder, f"{name!r} is {found.info} over {kept} bytes")
        else:
            made.append(found)
    return FormatCheckpoint("orbax", made, [folder / INDEX], values=values, unreadable=unreadable)


def _size_inside(folder: Path) -> int:
    """Bytes of all files of a folder. Raises `UnsafeError` where a link leads out of it."""
    root, size = folder.resolve(), 0
    for file in folder.rglob("*"):
        if not Path(os.path.realpath(file)).is_relative_to(root):
            raise unsafe(folder, f"{file.name!r} is a link that leads out of it")
        size += file.stat().st_size if file.is_file() else 0
    return size


def _json(path: Path) -> dict[str, Any]:
    pages = Pages(path)
    if pages.size > MAX_HEADER_BYTES:
        raise corrupt(path, f"expected an index, received {pages.size} bytes")
    found = load_json(pages.read(0, pages.size), path)
    if not isinstance(found, dict):
        raise corrupt(path, f"expected an object, received {type(found).__name__}")
    return found


def _plain(folder: Path, name: str) -> Path:
    """The folder of an array. Raises `UnsafeError` where its name leads out."""
    try:
        return folder / check_relative_name(name)
    except IvyhubError as error:
        raise UnsafeError(error.message, hint=error.hint) from None


def _mapped(folder: Path, name: str) -> Stored | None:
    """An array that lies in one file as it is, or None."""
    place = _plain(folder, name)
    if not (place / ".zarray").is_file():
        raise corrupt(folder, f"expected the array {name!r}, received a folder without it")
    said = _json(place / ".zarray")
    shape, dtype = sizes(said.get("shape"), place), _TYPES.get(str(said.get("dtype")))
    whole = (said.get("compressor"), said.get("filters"), said.get("order")) == (None, None, "C")
    if not whole or dtype is None or said.get("chunks") != [*shape] or 0 in shape:
        return None
    separator = "." if said.get("dimension_separator") != "/" else "/"
    file = place / (separator.join("0" for _ in shape) or "0")
    if not file.is_file():
        return None
    pages = Pages(file)
    if pages.size != TensorInfo(name, dtype, shape).nbytes:
        raise corrupt(file, f"expected {dtype}{list(shape)}, received {pages.size} bytes")
    return stored(name, dtype, shape, pages, 0)


def _stored(folder: Path, name: str, ocdbt: bool, driver: str) -> Stored | str:
    """An array that TensorStore reads, or what it is where ivyhub has no dtype for it."""
    try:
        import tensorstore as ts
    except ImportError:
        raise FrameworkNotInstalledError(
            f"tensorstore is not installed, which reading {folder.name} needs", hint="pip install 'ivyhub[checkpoints]'"
        ) from None
    _plain(folder, name)
    base = {"driver": "file", "path": f"{folder.resolve()}/"}
    store = (
        {"driver": "ocdbt", "base": base, "path": f"{name}/"}
        if ocdbt
        else {"driver": "file", "path": f"{folder.resolve()}/{name}/"}
    )
    array = _told(folder, name, lambda: ts.open({"driver": driver, "kvstore": store}, open=True, read=True).result())
    dtype, shape = str(array.dtype.name), tuple(array.shape)
    if dtype not in ITEMSIZE:
        return f"{dtype}{list(shape)}"

    def load() -> np.ndarray:
        return np.asarray(_told(folder, name, lambda: array.read().result())).astype(numpy_dtype(dtype), copy=False)

    return Stored(TensorInfo(name, dtype, shape), load)


def _told(folder: Path, name: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (ValueError, KeyError, OSError, RuntimeError, NotImplementedError) as error:
        raise corrupt(folder, f"expected the array {name!r}, received an error of TensorStore: {error}") from None
