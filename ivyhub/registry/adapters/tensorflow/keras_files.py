"""``.keras`` files: read as hostile until their configuration and their arrays have been looked through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ....errors import CorruptFileError, UnsafeError
from ...checkpoints import hdf5, zips
from ...checkpoints.mapped import Pages
from ...weights.header import MAX_HEADER_BYTES, load_json

_FILES = ("vocabulary", "idf_weights")
"""What layers of text read from the disk or the network where it is a text."""

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

    pages = Pages(path)
    members = zips.members(pages)
    if not hdf5.is_keras([*members]):
        raise CorruptFileError(f"{path.name} is no .keras file", hint="save it with model.save again")
    with hdf5.open_keras(pages, members) as weights:
        for name in weights:
            if weights.location(name) is None:
                weights.read(name)  # which refuses numbers that would expand to others than they say
    _check_config(path, load_json(zips.read(pages, members[hdf5.CONFIG], MAX_HEADER_BYTES), path))
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError) as error:
        told = " ".join(str(error).split())[:300]
        raise CorruptFileError(
            f"Keras {keras.__version__} does not read {path.name}: {told}", hint="save it with this version again"
        ) from error


def _dictionaries(tree: Any) -> Iterator[dict[str, Any]]:
    pending = [tree]
    while pending:
        found = pending.pop()
        if isinstance(found, dict):
            yield found
        pending += found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()


def _check_config(path: Path, config: Any) -> None:
    import keras

    registered = keras.saving.get_custom_objects()
    for found in _dictionaries(config):
        if files := [key for key in _FILES if isinstance(found.get(key), str)]:
            raise UnsafeError(
                f"{path.name} has a {files[0]} that is the name of a file, which would be read",
                hint="save the model with its vocabulary in it",
            )
        if "class_name" not in found:
            continue
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
