"""Source expressions with placeholders, parsed once and filled as trees (never spliced as text).

``{x}``            replaced by the expression given for ``x``; where that is None, the argument is left out of its call
                   (a keyword, or trailing positional ones), or written ``None`` when it cannot be.
``{axis:-1}``      the same, and also left out, there, when the expression equals the default after the colon.
``*{arrays}``      a tuple is spread into the call, list or tuple around it.

    >>> row = Template("F.softmax({x}, dim={axis:-1}, dtype={dtype})")
    >>> import ast
    >>> ast.unparse(row.fill({"x": ast.Name("logits"), "axis": literal(1), "dtype": None}))
    'F.softmax(logits, dim=1)'
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import EngineError
from .dims import Dim

_PLACEHOLDER = re.compile(r"\{([a-z_][a-z_0-9]*)(?::([^{}]*))?\}")


@dataclass(frozen=True)
class Source:
    """A value that is source text already: ``Source("jnp.inf")``."""

    text: str


class Template:
    """One parsed expression.

    Attributes:
        text: as it was written.
        placeholders: the names in it, each as often as it stands.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        found = list(_PLACEHOLDER.finditer(text))
        self.placeholders: tuple[str, ...] = tuple(match[1] for match in found)
        self._stated = {_word(i, match): match[2] for i, match in enumerate(found) if match[2] is not None}

    # Parsed at the first use: a process uses few of the thousand rows that it declares.

    @functools.cached_property
    def tree(self) -> ast.expr:
        """The expression, with a name (`_word`) for each placeholder."""
        places = itertools.count()
        return ast.parse(_PLACEHOLDER.sub(lambda match: _word(next(places), match), self.text), mode="eval").body

    @functools.cached_property
    def _defaults(self) -> dict[str, str]:
        return {word: ast.unparse(ast.parse(text, mode="eval")) for word, text in self._stated.items()}

    def __repr__(self) -> str:
        return f"Template({self.text!r})"

    def fill(self, values: Mapping[str, ast.expr | None], stated: Collection[str] = ()) -> ast.expr:
        """The expression with every placeholder replaced. Raises `KeyError` when one has no value.

        What is among ``stated`` is written even where it equals its default.
        """
        return _Fill(values, self._defaults, stated).visit(copy_tree(self.tree))


def _word(place: int, match: re.Match[str]) -> str:
    """What a placeholder is in the tree: one may have a default where another of its name has none."""
    return f"_ph{place}_{match[1]}"


def _named(node: ast.expr) -> str | None:
    """The name of a placeholder in a tree; None for anything else."""
    word = node.id if isinstance(node, ast.Name) else ""
    return word.partition("_")[2].partition("_")[2] if word.startswith("_ph") else None


def literal(value: Any, hint: str = "") -> ast.expr | None:
    """A plain value as an expression; None stays None, so that it can be left out.

    Numbers in it remember ``hint``, the name that the value goes by, in ``ast.Constant.kind``: emitted constructors
    name their arguments after it. Raises `EngineError` for anything that is no plain data.
    """
    tree = _literal(value)
    if hint and tree is not None and not isinstance(value, ast.expr):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and not isinstance(node.value, str):
                node.kind = hint
    return tree


def _literal(value: Any) -> ast.expr | None:
    match value:
        case None:
            return None
        case ast.expr():
            return value
        case Source(text):
            return ast.parse(text, mode="eval").body
        case Dim():
            return ast.parse(str(value), mode="eval").body
        case tuple() | list():
            return ast.Tuple([_literal(item) or ast.Constant(None) for item in value], ast.Load())
        case slice(start=start, stop=stop, step=step):
            return ast.Slice(_literal(start), _literal(stop), _literal(step))
        case float() if value != value or value in (float("inf"), float("-inf")):
            return ast.parse(f'float("{value}")', mode="eval").body
        case bool() | str() | complex():
            return ast.Constant(value)
        case int() | float() if value < 0:
            return ast.UnaryOp(ast.USub(), ast.Constant(-value))
        case int() | float():
            return ast.Constant(value)
        case _ if value is Ellipsis:
            return ast.Constant(value)
        case np.generic():  # a size or number that NumPy computed
            return _literal(value.item())
    raise EngineError(f"expected an attribute of plain values, received {value!r}")


def called(tree: ast.expr, arrays: Collection[str], operators: Mapping[str, str]) -> ast.expr:
    """A Python operator between two arrays as the function of their framework that it ends in.

    Args:
        tree: an expression; any other comes back as it is.
        arrays: the names that are arrays, not numbers.
        operators: by the name of the operator in `ast`, a call with ``{left}`` and ``{right}``.

    Example:
        >>> tree = ast.parse("x + y", mode="eval").body
        >>> ast.unparse(called(tree, ("x", "y"), {"Add": "jnp.add({left}, {right})"}))
        'jnp.add(x, y)'
    """
    match tree:
        case ast.BinOp(ast.Name(left), operator, ast.Name(right)):
            pass
        case ast.Compare(ast.Name(left), [operator], [ast.Name(right)]):
            pass
        case _:
            return tree
    function = operators.get(type(operator).__name__)
    if function is None or left not in arrays or right not in arrays:
        return tree
    return ast.parse(function.format(left=left, right=right), mode="eval").body


def copy_tree(node: Any) -> Any:
    """A deep copy of an expression; `copy.deepcopy` costs ten times as much."""
    fields: dict[str, Any] = {}
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.expr | ast.keyword):
            value = copy_tree(value)
        elif isinstance(value, list):
            value = [copy_tree(item) if isinstance(item, ast.AST) else item for item in value]
        fields[name] = value
    return type(node)(**fields)


class _Fill(ast.NodeTransformer):
    """Put expressions where placeholders stand, and leave out what is None or a stated default."""

    def __init__(
        self, values: Mapping[str, ast.expr | None], defaults: Mapping[str, str], stated: Collection[str]
    ) -> None:
        self.values = values
        self.defaults = defaults
        self.stated = stated

    def visit_Name(self, node: ast.Name) -> ast.expr:
        name = _named(node)
        if name is None:
            return node
        value = self.values[name]
        return ast.Constant(None) if value is None else copy_tree(value)

    def _omitted(self, node: ast.expr) -> bool:
        name = _named(node)
        if name is None:
            return False
        value = self.values[name]
        default = None if name in self.stated else self.defaults.get(getattr(node, "id", ""))
        if value is None:
            return default in (None, "None")
        return default is not None and ast.unparse(value) == default

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node.keywords = [keyword for keyword in node.keywords if not self._omitted(keyword.value)]
        while node.args and self._omitted(node.args[-1]):
            node.args.pop()
        self.generic_visit(node)
        node.args = _spread(node.args)
        return node

    def visit_List(self, node: ast.List) -> ast.expr:
        self.generic_visit(node)  # a full slice that stands in a list and not in an index is a None
        node.elts = [ast.Constant(None) if isinstance(item, ast.Slice) else item for item in _spread(node.elts)]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 1:
            node.slice = node.slice.elts[0]  # x[i,] is x[i]
        return node

    def visit_Tuple(self, node: ast.Tuple) -> ast.expr:
        self.generic_visit(node)
        node.elts = _spread(node.elts)
        return node


def _spread(items: list[ast.expr]) -> list[ast.expr]:
    """f(*(a, b)) is f(a, b)."""
    out: list[ast.expr] = []
    for item in items:
        if isinstance(item, ast.Starred) and isinstance(item.value, ast.Tuple):
            out.extend(item.value.elts)
        else:
            out.append(item)
    return out


__all__ = ["Source", "Template", "called", "copy_tree", "literal"]
