"""Arguments that are trees: the trees of a graph, in which records stand, as Python calls take them."""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Mapping
from typing import Any

from ...engine.graph import Record, Tree


@functools.cache
def record_class(name: str, fields: tuple[str, ...]) -> Any:
    """The named tuple that stands for a record where the class of the source is not known; one class for one form."""
    return namedtuple(name, fields, rename=True)  # pyright: ignore[reportUntypedNamedTuple]


def spoken(tree: Tree) -> Any:
    """A tree with named tuples in the places of its records.

    Example:
        >>> spoken({"state": Record("State", {"h": 1, "c": 2})})["state"].c
        2
    """
    match tree:
        case Record(name, fields):
            return record_class(name, tuple(fields))(*map(spoken, fields.values()))
        case dict():
            return {key: spoken(child) for key, child in tree.items()}
        case tuple() | list():
            return type(tree)(map(spoken, tree))
    return tree


def like(example: Any, tree: Any) -> Any:
    """A tree in the containers of an example, whose named tuples have classes of their own.

    Example:
        >>> like({1: (0, 0)}, {"1": [7, 8]})
        {1: (7, 8)}
    """
    if isinstance(example, Mapping):
        return {key: like(child, tree[str(key)]) for key, child in example.items()}
    if isinstance(example, tuple | list):
        children = [like(child, part) for child, part in zip(example, tree, strict=True)]
        return type(example)(*children) if hasattr(example, "_fields") else type(example)(children)
    return tree


__all__ = ["like", "record_class", "spoken"]
