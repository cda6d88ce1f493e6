"""Models that lie in files and folders: ``.keras``, ``.onnx``, SavedModels, whatever a row of `KINDS` reads.

They say themselves what the model is, so there is no configuration beside them, and they are their own original.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from ivyhub.errors import IvyhubError, UnknownNameError
from ivyhub.registry.adapters.source import kind_of
from ivyhub.registry.files import Digest, digest_bytes, digest_file, storage_errors
from ivyhub.registry.manifest import Origin, Version


def find_model_file(name: str) -> Path | None:
    """The model file or folder that a name means, absolute, or None where it means something else.

    Raises:
        UnknownNameError: it is written as a path to such a file, and there is none.

    Example:
        >>> find_model_file("minilm") is None
        True
    """
    if "\0" in name or name.startswith("hf://"):
        return None
    path = Path(name).expanduser()
    if kind_of(path) is None:
        return None
    if path.is_file() or (path.is_dir() and (path.name != name or path.is_absolute())):
        return path.resolve()  # a folder is written as a path, as one with a checkpoint is
    if path.name != name or path.is_absolute():
        raise UnknownNameError(f"there is no file {name!r}", hint="give the path of a model file")
    return None


def origin_of(path: Path, digest_of: Callable[[Path], Digest] = digest_file) -> Origin:
    """What a model file is called in a manifest; its digest is over all the files that the model lies in.

    Args:
        path: as `find_model_file` gives it.
        digest_of: the digest of one file: ``Store.digest_of`` remembers, ``digest_file`` reads each time.
    """
    kind = kind_of(path)
    assert kind is not None, f"{path} is no model file, which find_model_file has refused"
    adapter = importlib.import_module(kind.adapter, "ivyhub.registry.adapters")
    with storage_errors("reading a model"):
        beside: list[Path] = adapter.files_beside(path) if hasattr(adapter, "files_beside") else []
        found = {
            file.name if file == path else str(file): digest_of(file) for file in (path, *beside) if file.is_file()
        }
    return Origin("file", str(path), None, digest_bytes(msgspec.json.encode(found, order="sorted")))


def unchanged(version: Version) -> Path | None:
    """The file that a version was captured from, where it is still there with the same bytes."""
    if version.origin.kind != "file":
        return None
    path = Path(version.origin.id)
    try:
        return path if path.exists() and origin_of(path) == version.origin else None
    except IvyhubError:  # what it names beside itself is gone
        return None
