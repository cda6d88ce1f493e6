"""Pytrees: nested containers of arrays, taken apart and put together again (optree).

Tuples, named tuples, lists, dictionaries and None are trees; other classes become so by `register`, as `engine.Array`
and `engine.stateful.Module` do. Everything else is a leaf: arrays, and Python values that are carried along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import optree

from ..errors import EngineError
from .backends import framework_of

Tree = Any  # arrays and other values in nested containers

NAMESPACE = "ivyhub"
"""Where registered classes are known: optree keeps registrations of different libraries apart by such a name."""


def register(
    cls: type, flatten: Callable[[Any], tuple[Iterable[Any], Any]], unflatten: Callable[[Any, Any], Any]
) -> None:
    """Make a class a tree.

    Args:
        cls: the class.
        flatten: from an instance to its children and to what else makes it, which must be hashable.
        unflatten: from that and the children to an instance; children may be placeholders, so they go unchecked.

    Example:
        >>> class Pair:
        ...     def __init__(self, first, second):
        ...         self.both = first, second
        >>> register(Pair, lambda pair: (pair.both, None), lambda _, children: Pair(*children))
        >>> flatten([Pair(1, 2), 3])[0]
        [1, 2, 3]
    """
    optree.register_pytree_node(cls, flatten, unflatten, namespace=NAMESPACE)


def flatten(tree: Tree) -> tuple[list[Any], Any]:
    """The leaves of a tree and its structure, a hashable thing with ``unflatten(leaves)``.

    Example:
        >>> leaves, structure = flatten({"a": 1, "b": (2, None)})
        >>> leaves, structure.unflatten([10, 20])
        ([1, 2], {'a': 10, 'b': (20, None)})
    """
    leaves, structure = optree.tree_flatten(tree, namespace=NAMESPACE)
    return leaves, structure


def leaves(tree: Tree) -> list[Any]:
    """The leaves of a tree."""
    return optree.tree_leaves(tree, namespace=NAMESPACE)


def tree_map(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """The same tree with every leaf replaced; ``others`` have its structure.

    Example:
        >>> tree_map(lambda x, y: x + y, {"a": 1, "b": [2]}, {"a": 10, "b": [20]})
        {'a': 11, 'b': [22]}
    """
    return optree.tree_map(function, tree, *others, namespace=NAMESPACE)


def broadcast(prefix: Tree, tree: Tree) -> list[Any]:
    """One item of ``prefix`` for every leaf of a tree: the item at the leaf's place or at a container around it.

    None is an item here. Raises `EngineError` where the prefix is of another structure.

    Example:
        >>> broadcast((0, None), ([1, 2], {"a": 3}))
        [0, 0, None]
    """
    try:
        items = optree.broadcast_prefix(prefix, tree, none_is_leaf=True, namespace=NAMESPACE)
    except ValueError as error:
        raise EngineError(f"expected one value, or a tree of the arguments' structure: {error}") from error
    places = optree.tree_leaves(tree, none_is_leaf=True, namespace=NAMESPACE)
    return [item for item, place in zip(items, places, strict=True) if place is not None]


def is_array(leaf: object) -> bool:
    """Whether a leaf is a native array of any framework, or a traced one."""
    return framework_of(leaf) is not None or getattr(leaf, "__traced__", False) is True


class Split:
    """A tree as its arrays and the rest.

    Attributes:
        arrays: the chosen leaves, in order; arrays of any framework by default.
        structure: how the tree is built.
        rest: the other leaves, None in the places of the chosen ones.

    Example:
        >>> import numpy as np
        >>> parts = Split({"x": np.ones(2), "mode": "same"})
        >>> parts.joined(["X"]), parts.alone(["X"])
        ({'x': 'X', 'mode': 'same'}, {'x': 'X', 'mode': None})
    """

    __slots__ = ("arrays", "places", "rest", "structure")

    def __init__(self, tree: Tree, chosen: Callable[[Any], bool] = is_array) -> None:
        self.rest, self.structure = flatten(tree)
        self.places = [place for place, leaf in enumerate(self.rest) if chosen(leaf)]
        self.arrays = [self.rest[place] for place in self.places]
        for place in self.places:
            self.rest[place] = None

    def joined(self, values: Iterable[Any]) -> Tree:
        """The tree with other values in the places of the chosen leaves."""
        return self._filled(list(self.rest), values)

    def alone(self, values: Iterable[Any]) -> Tree:
        """The same with None in the places of the rest."""
        return self._filled([None] * len(self.rest), values)

    @property
    def key(self) -> tuple[Any, ...]:
        """What trees have in common that differ in their arrays alone, to be compared and hashed.

        Equal leaves of different types are told apart, and 0.0 from -0.0.
        """
        return (self.structure, *((type(leaf), leaf or repr(leaf)) for leaf in self.rest))

    def _filled(self, leaves: list[Any], values: Iterable[Any]) -> Tree:
        if len(self.places) == len(leaves):
            return self.structure.unflatten(values)
        for place, value in zip(self.places, values, strict=True):
            leaves[place] = value
        return self.structure.unflatten(leaves)


__all__ = ["NAMESPACE", "Split", "Tree", "broadcast", "flatten", "is_array", "leaves", "register", "tree_map"]
