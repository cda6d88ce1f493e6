"""Leaf layers of a target: how its native layer is built and called, and where its arrays go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from packaging.version import Version

from ....engine.template import Template
from ....errors import EngineError
from ...weights import Step

Names = str | tuple[str, ...]
Placement = Mapping[Names, tuple[Names, tuple[Step, ...]]]  # ivyhub's name, or several -> (native name or names, steps)


def several(names: Names) -> tuple[str, ...]:
    """One name or several as several."""
    return (names,) if isinstance(names, str) else names


@dataclass(frozen=True)
class LeafRow:
    """How a framework writes one leaf layer.

    Attributes:
        build: the constructor's expression over the layer's fields and what ``derive`` adds.
        call: the call's expression over ``{self}``, ``{x}``, the ``{states}`` of a recurrent layer (an expression, a
            tuple of several, None where there are none), and the context.
        weights: from the layer's arrays to the native ones; those left out have no place in the framework.
        alone: the call's expression where a recurrent layer starts from zeros and its first result alone is read.
        results: how the results of a layer of several lie in what the call gives: their numbers in nested tuples.
    """

    layer: str
    build: Template
    call: Template
    weights: Callable[[SimpleNamespace], Placement]
    since: Version
    when: Callable[[SimpleNamespace], bool] | None
    derive: Callable[[SimpleNamespace], Mapping[str, Any]] | None
    results: tuple[Any, ...]
    alone: Template | None

    def values(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the placeholders of ``build``."""
        return {**config, **(self.derive(SimpleNamespace(**config)) if self.derive else {})}


class Leaves:
    """The leaf rows of one flavour."""

    def __init__(self) -> None:
        self._rows: dict[str, list[LeafRow]] = {}

    def row(
        self,
        layer: str,
        build: str,
        *,
        call: str = "{self}({x})",
        weights: Placement | Callable[[SimpleNamespace], Placement] | Sequence[str] = (),
        since: str = "0",
        when: Callable[[SimpleNamespace], bool] | None = None,
        derive: Callable[[SimpleNamespace], Mapping[str, Any]] | None = None,
        results: tuple[Any, ...] = (),
        alone: str | None = None,
    ) -> None:
        """Enter a row; as with operations, the newest that holds wins, then the order of declaration.

        ``weights`` may be a sequence of names that are the same on both sides. Raises `EngineError` when two rows of
        one layer and version have no condition.
        """
        table: Placement | Callable[[SimpleNamespace], Placement]
        table = weights if callable(weights) or isinstance(weights, Mapping) else {name: (name, ()) for name in weights}
        place = table if callable(table) else lambda config: table
        rows = self._rows.setdefault(layer, [])
        if when is None and any(row.when is None and row.since == Version(since) for row in rows):
            raise EngineError(f"the leaf layer {layer} has a row for version {since} already")
        shorter = Template(alone) if alone is not None else None
        rows.append(
            LeafRow(layer, Template(build), Template(call), place, Version(since), when, derive, results, shorter)
        )
        rows.sort(key=lambda row: row.since, reverse=True)

    def find(self, layer: str, config: Mapping[str, Any], version: Version | None = None) -> LeafRow | None:
        """The row that writes a layer with that configuration, or None where its formula must be written out."""
        names = SimpleNamespace(**config)
        for row in self._rows.get(layer, ()):
            if (version is None or row.since <= version) and (row.when is None or row.when(names)):
                return row
        return None
