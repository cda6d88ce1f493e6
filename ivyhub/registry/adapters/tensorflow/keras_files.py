"""``.keras`` files: read as hostile until their configuration and their arrays have been looked through."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ....errors import CorruptFileError, UnsafeError

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"

_RUNS_CODE = frozenset({"Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "function"})
"""Classes of Keras whose configuration holds code, or names files that do."""


def load(path: Path) -> Any:
    """The model of a file. Nothing in it is executed.

    Raises:
        CorruptFileError: it is no such file.
        UnsafeError: it has a Lambda layer, a class that is neither Keras's nor registered with Keras, or arrays
            that lie in other files.
    """
    import keras

    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read(_CONFIG))
            _check_config(path, config)
            with tempfile.TemporaryDirectory(prefix="ivyhub-") as folder:
                weights = Path(folder) / _WEIGHTS
                weights.write_bytes(archive.read(_WEIGHTS))
                _check_weights(path, weights)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise CorruptFileError(
            f"{path.name} is no .keras file: {error}", hint="save it with model.save again"
        ) from error
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _objects(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        if "class_name" in tree:
            yield tree
        for child in tree.values():
            yield from _objects(child)
    elif isinstance(tree, list):
        for child in tree:
            yield from _objects(child)


def _check_config(path: Path, config: Any) -> None:
    import keras

    registered = keras.saving.get_custom_objects()
    for found in _objects(config):
        name, module = str(found["class_name"]), str(found.get("module") or "")
        if str(found.get("registered_name") or "") in registered:
            continue
        if module == "builtins" and name in ("tuple", "list", "dict", "set"):
            continue
        if name in _RUNS_CODE or not (module == "keras" or module.startswith("keras.") or _is_data(found)):
            raise UnsafeError(
                f"{path.name} has {name} of {module or 'an unnamed module'}, which would run code of the file's choice",
                hint="load the model yourself with keras.saving.load_model and its custom objects, and pass the model",
            )


def _is_data(found: dict[str, Any]) -> bool:
    """Tensors, dtypes and the like, which Keras writes without a module."""
    return "module" not in found and str(found["class_name"]) in (
        *("__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__", "__tuple__", "__keras_tensor__"),
    )


def _check_weights(path: Path, weights: Path) -> None:
    """Raise `UnsafeError` where an array lies outside of the file."""
    import h5py

    def check(group: Any) -> None:
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise UnsafeError(f"{path.name}: {name} is a link, expected an array")
            item = group[name]
            if isinstance(item, h5py.Group):
                check(item)
            elif item.external or item.is_virtual:
                raise UnsafeError(f"{path.name}: {name} lies in another file")

    with h5py.File(weights, "r") as file:
        check(file)
