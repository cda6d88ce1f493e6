"""What the registry holds, as a list; it loads nothing of the engine, so that it is told at once."""

from __future__ import annotations

import msgspec

from ivyhub.registry.files import Digest
from ivyhub.registry.store import Store


class Listed(msgspec.Struct, frozen=True):
    """One model of the registry."""

    name: str
    tags: list[str]
    framework: str
    parameters: int
    size: int
    source: str


def list_models(*, store: Store | None = None) -> list[Listed]:
    """Every model of the registry, by name.

    Example:
        >>> import ivyhub
        >>> [model.name for model in ivyhub.list_models()]  # doctest: +SKIP
        ['minilm']
    """
    found: dict[tuple[str, Digest], Listed] = {}
    for entry in (store or Store()).list():
        key = entry.name, entry.digest
        if key in found:
            found[key].tags.append(entry.label)
        else:
            found[key] = Listed(entry.name, [entry.label], entry.framework, entry.parameters, entry.size, entry.origin)
    return list(found.values())
