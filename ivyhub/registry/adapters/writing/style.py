"""`Style`: what one flavour of a framework decides about emitted source. Each emitter has one."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from packaging.version import Version

from ....engine.graph import ModuleInfo, Parameter
from ....engine.spec import Spec
from ....engine.template import literal
from .layers import Leaves
from .names import identifier, numbered
from .render import definitions

#: What the source of every flavour may import besides its framework: short name -> import statement.
IMPORTS: Mapping[str, str] = {
    "math": "import math",
    "np": "import numpy as np",
    "functools": "import functools",
    "Any": "from typing import Any",
    "Callable": "from collections.abc import Callable",
    "NamedTuple": "from typing import NamedTuple",
    "Sequence": "from collections.abc import Sequence",
}


def name(word: str) -> ast.Name:
    """A name as an expression."""
    return ast.Name(word, ast.Load())


def attribute(value: ast.expr, word: str) -> ast.Attribute:
    """``value.word``."""
    return ast.Attribute(value, word, ast.Load())


def expression(text: str) -> Any:
    """The expression that a text is."""
    return ast.parse(text, mode="eval").body


def statement(text: str) -> ast.stmt:
    """The statement that a text is."""
    return ast.parse(text).body[0]


@dataclass(frozen=True)
class Callee:
    """How a child call is written.

    Attributes:
        method: the name of the method, None for a plain call.
        training: whether it needs the training argument.
        holds: whether it reads any array or child of its module.
        function: the name of its class, once that is known.
        arguments: the numbers in which this instance of the class differs from others.
    """

    method: str | None
    training: bool
    holds: bool = True
    function: str = ""
    arguments: Mapping[str, ast.expr] = field(default_factory=dict)

    def alike(self, other: Callee) -> bool:
        """Whether one expression may call both."""
        return [self.function, self.method, *map(ast.dump, self.arguments.values())] == [
            *(other.function, other.method),
            *map(ast.dump, other.arguments.values()),
        ]


@dataclass(frozen=True)
class Member:
    """A child of a module.

    Attributes:
        reach: the expression for it, from the module's ``self``.
        info: its row of the module table.
        items: its own children, where it is a list.
        rank: how many axes the input of a leaf layer has.
    """

    reach: ast.expr
    info: ModuleInfo
    items: tuple[Member, ...] = ()
    rank: int = 0


@dataclass
class Style:
    """The words and habits of one flavour; subclasses override what theirs does otherwise.

    Attributes:
        version: the oldest version of the framework that the source must run on, None for the newest.
        support: the functions of `engine.support` that the source calls.
        since: the oldest version of the framework that has all that was written.
    """

    framework: ClassVar[str]
    leaves: ClassVar[Leaves]
    method: ClassVar[str] = "__call__"
    base: ClassVar[str]
    array: ClassVar[str]  # the annotation of an array
    reserved: ClassVar[frozenset[str]] = frozenset()  # attributes of the base class
    imports: ClassVar[Mapping[str, str]] = {}  # short name -> import statement
    supports: ClassVar[tuple[str, ...]]  # modules of `engine.support` whose definitions may travel into the export
    ties: ClassVar[bool] = False  # whether a layer may hold another's array
    updates: ClassVar[bool] = False  # whether a call may give a buffer a new value
    training: ClassVar[str | None] = None  # the argument that carries train mode through calls, if any
    names_sizes: ClassVar[bool] = False  # whether sizes are given to a child by name
    instance: ClassVar[str] = "self"  # what holds a module's arrays and children in its code
    functional: ClassVar[bool] = False  # whether modules are functions of their arrays, without constructors
    keyed: ClassVar[bool] = False  # whether a list of modules may have names for keys
    items: ClassVar[str] = "layers"  # the list of the children with numbers for names; "" where it is the module itself

    version: Version | None = None
    support: set[str] = field(default_factory=set)
    since: Version = field(default_factory=lambda: Version("0"))

    @functools.cached_property
    def globals(self) -> frozenset[str]:
        """The names that a module of this flavour may hold besides its classes: imports and supporting definitions."""
        return frozenset(self.imports).union(*(definitions(word) for word in self.supports))

    def needs(self, since: Version) -> None:
        """Note that something was written that holds from a version of the framework on."""
        self.since = max(self.since, since)

    def library(self) -> str:
        """The versions of the flavour's library that the source runs on; "" where it has none."""
        return ""

    def class_name(self, word: str) -> str:
        """What a class of the source is called here."""
        return word

    def word(self, source: str) -> str:
        """What an array or a child of the source is called here."""
        return identifier(source, self.reserved)

    def words(self, parameters: Iterable[str]) -> dict[str, str]:
        """What the arrays of a module are called here; names that differ in what is no letter get numbers."""
        found: dict[str, str] = {}
        for source in parameters:
            found[source] = numbered(self.word(source), found.values())
        return found

    def member(self, owner: ast.expr, word: str) -> ast.expr:
        """A child of a module."""
        return attribute(owner, word)

    def assign(self, word: str, child: ast.expr) -> ast.stmt:
        """The constructor's statement that makes a child."""
        return ast.Assign([ast.Attribute(name(self.instance), word, ast.Store())], child)

    def setting(self, word: str, *, building: bool) -> ast.expr:
        """Reading a number that differs between the instances of a class, in the constructor or in a method."""
        return name(word) if building else attribute(name(self.instance), word)

    def call(self, target: ast.expr, callee: Callee, args: list[ast.expr], keywords: list[ast.keyword]) -> ast.expr:
        """Calling a child."""
        return ast.Call(attribute(target, callee.method) if callee.method else target, args, keywords)

    def parameter(self, owner: ast.expr, word: str, *, trainable: bool, layer: str | None = None) -> ast.expr:
        """Reading a parameter or buffer: an own one, or one of a leaf layer."""
        return attribute(owner, word)

    def update(self, owner: ast.expr, word: str, value: ast.expr) -> ast.stmt:
        """Giving an own buffer a new value, where the flavour has ``updates``."""
        raise NotImplementedError

    def declare(self, word: str, spec: Spec, *, trainable: bool, persistent: bool) -> list[ast.stmt]:
        """Constructor statements of an own parameter or buffer."""
        raise NotImplementedError

    def freeze(self, target: ast.expr) -> list[ast.stmt]:
        """Constructor statements that keep a leaf layer, or one array of it, from being trained."""
        return []

    def build(self, info: ModuleInfo, members: Sequence[Member]) -> list[ast.stmt]:
        """Statements of a method ``build``, where the framework makes arrays apart from the constructor.

        Args:
            info: the module's own row of the module table.
            members: its children that are leaf layers, lists, or have such a method.
        """
        return []

    def dropout(self, layer: ast.expr) -> ast.expr:
        """A Dropout child as the ``{dropout}`` of an operation: by default something callable."""
        return layer

    def rngs(self) -> ast.expr | None:
        """What an operation that draws takes its numbers from, in frameworks where modules hold that."""
        return None

    def stream(self) -> list[ast.stmt]:
        """Constructor statements of a module that draws, which make what `rngs` reads."""
        return []

    def device(self, array: ast.expr) -> ast.expr | None:
        """Where an array lies, for operations that make new ones, in frameworks that must be told."""
        return None

    def module_list(self, items: Mapping[Any, ast.expr]) -> ast.expr:
        """A list of modules by their index in the source, or by their names where the style is ``keyed``."""
        raise NotImplementedError

    def list_index(self, indices: Sequence[int], index: int) -> Any:
        """How an item of such a list is found: its key or its position; see `filled`."""
        return index if _has_few_gaps(indices) else indices.index(index)

    def own_list(self, items: Mapping[Any, ast.expr]) -> ast.stmt:
        """The constructor's statement of a module whose children all have numbers for names: they are a list of it."""
        return self.assign(self.items, self.module_list(items))

    def tie(self, target: ast.expr, word: str, owner: ast.expr) -> ast.stmt:
        """The statement that makes an array of a layer another name of its owner, where the flavour has ``ties``."""
        raise NotImplementedError

    def construct(self, cls: str, arguments: Mapping[str, ast.expr], *, bare: bool) -> ast.expr:
        """Constructing a class of the export; a bare one has no constructor of its own."""
        return ast.Call(name(cls), [], [ast.keyword(key, value) for key, value in arguments.items()])

    def adopt(self, tree: ast.expr) -> ast.expr:
        """An expression with ``support.f`` as plain ``f``, whose source then travels into the export."""
        return _Adopt(self.support).visit(tree)

    def shape(self, array: ast.expr) -> ast.expr:
        """The shape of an array, as sizes that may be unpacked."""
        return attribute(array, "shape")

    def constant(self, array: Any) -> ast.expr:
        """A small constant array."""
        raise NotImplementedError

    def stores(self, parameter: Parameter) -> bool:
        """Whether the weight file holds an array; the others are made anew by the constructor."""
        return True

    def stored_name(self, parts: Sequence[str | int], *, trainable: bool, layer: str | None) -> str:
        """The name that an array is stored under: its place, whether it is trained, and its leaf layer."""
        return ".".join(map(str, parts))


class _Adopt(ast.NodeTransformer):
    def __init__(self, support: set[str]) -> None:
        self.support = support

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == "support":
            self.support.add(node.attr)
            return name(node.attr)
        self.generic_visit(node)
        return node


def _has_few_gaps(indices: Sequence[int]) -> bool:
    return max(indices) <= 2 * len(indices) + 8


def filled(items: Mapping[int, ast.expr]) -> list[ast.expr]:
    """The items of a list at their numbers in the source, None where activations stood; without gaps if it has many."""
    if not _has_few_gaps(list(items)):
        return list(items.values())
    return [items[index] if index in items else ast.Constant(None) for index in range(max(items) + 1)]


def repeated(items: Sequence[ast.expr]) -> ast.expr:
    """A list display, as a comprehension where all items are written alike."""
    if len(items) > 1 and len({ast.dump(item) for item in items}) == 1:
        count = ast.Constant(len(items), kind="depth")
        loop = ast.comprehension(ast.Name("_", ast.Store()), ast.Call(name("range"), [count], []), [], 0)
        return ast.ListComp(items[0], [loop])
    return ast.List(list(items), ast.Load())


def array_literal(array: np.ndarray, function: str, dtype: str) -> ast.expr:
    """``jnp.array([1.0, 2.0], dtype=jnp.float32)``; numbers print so that they read back to the same bits."""
    array = np.asarray(array)
    return ast.Call(expression(function), [_nested(array.tolist())], [ast.keyword("dtype", expression(dtype))])


def _nested(value: Any) -> ast.expr:
    if isinstance(value, list):
        return ast.List([_nested(item) for item in value], ast.Load())
    return literal(value) or ast.Constant(None)
