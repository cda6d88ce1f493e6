"""Pictures of models of the registry."""

from __future__ import annotations

from pathlib import Path

from ivyhub.engine.drawing import draw
from ivyhub.errors import UsageError
from ivyhub.registry import conversion
from ivyhub.registry.files import replacing
from ivyhub.registry.store import Store


def draw_to(name: str, path: Path, *, depth: int = 2, store: Store | None = None) -> Path:
    """Draw the graph of a model into an SVG file, in place of one that is there.

    Args:
        name: the model, as `Refs.resolve` takes it.
        path: the file.
        depth: how many levels of modules are opened.
        store: the registry; the user's own by default.

    Raises:
        UnknownNameError: the registry has no such model.
        UsageError: the path is a folder.
        StorageError: the file cannot be written.
    """
    store = store or Store()
    path = path.expanduser().absolute()
    if path.is_dir():
        raise UsageError(f"expected a file to draw into, received the folder {path}")
    text = draw(conversion.model_as_kept(store, store.version(store.refs.resolve(name))).graph, depth=depth)
    with replacing(path, "writing a picture") as temporary:
        temporary.write_text(text, "utf-8")
    return path
