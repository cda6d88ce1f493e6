"""Names for the local variables of an emitted method.

A body comes as statements over numbered placeholders. `Namer` gives these names: the source's own where it is known,
the same name again where the old value is no longer needed, as a person would write it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ....engine.graph import Record, Tree, Value
from ....engine.outline import Function
from .names import KEYWORDS, identifier, numbered
from .style import Style, attribute, name


@dataclass
class Method:
    """One emitted method.

    Attributes:
        parameters: argument names after ``self``, in order; the last ones may be sizes.
        body: its statements.
        sizes: how many of the parameters are sizes, which are integers.
        returns: the annotation of the result, where "{array}" stands for an array's, or "" for a result of many kinds.
        records: the named results that it builds, name to field names.
        training: whether it needs the training argument.
        trees: the annotations of the parameters that are no arrays, where "{array}" stands for an array's.
    """

    parameters: list[str]
    body: list[ast.stmt]
    records: dict[str, tuple[str, ...]] = field(default_factory=dict)
    training: bool = False
    sizes: int = 0
    returns: str = ""
    trees: dict[str, str] = field(default_factory=dict[str, str])

    def signature(self, array: str) -> list[str]:
        """The parameters with their annotations."""
        arrays = len(self.parameters) - self.sizes
        kinds = {word: kind.format(array=array) for word, kind in self.trees.items()}
        kinds |= dict.fromkeys(self.parameters[arrays:], "int")
        return [f"{word}: {kinds.get(word, array)}" for word in self.parameters]

    def arrow(self, array: str) -> str:
        """The annotation of the result with its arrow, or ""."""
        return f" -> {self.returns.format(array=array)}" if self.returns else ""


@dataclass
class Assign:
    """Placeholders for targets (values), and an expression over placeholders.

    Without targets it is a return, or a new value of the buffer at ``buffer`` (its module and its name there), or
    a call for its effect.
    """

    targets: list[Value]
    expression: ast.expr
    hints: Sequence[str] = ()  # names that the source gave the targets, where they are no hints of the values
    loop: tuple[str, ast.expr, list[tuple[Value, Value]]] | None = None  # item, iterable, [(initial, final)]
    buffer: tuple[ast.expr, str] | None = None
    effect: bool = False  # it is run for what it does
    define: ast.stmt | None = None  # a function that statements after it run
    nested: tuple[Any, ...] = ()  # how the targets lie in the result, where it is no plain tuple: their numbers


class Written(Protocol):
    """A body that has no names yet.

    Attributes:
        function: what was written.
        style: how the target writes it.
        statements: over placeholders.
        numbers: each placeholder's value.
        records: the named results that it builds.
        training: whether it needs the training argument.
    """

    function: Function
    style: Style
    statements: list[Assign]
    numbers: dict[str, Value]
    records: dict[str, tuple[str, ...]]
    training: bool

    def returns(self) -> str:
        """The annotation of the result."""
        ...


class Namer:
    """Names for the placeholders of a written body."""

    def __init__(self, writer: Written) -> None:
        self.writer = writer
        self.values = writer.numbers
        self.words = {value: word for word, value in writer.numbers.items()}
        self.names: dict[str, str] = {}
        self.holder: dict[str, Value] = {}  # name -> the value that bears it now
        self.last: dict[str, int] = {}  # placeholder -> the statement that reads it last
        for index, statement in enumerate(writer.statements):
            for node in ast.walk(statement.expression):
                if isinstance(node, ast.Name) and node.id in self.values:
                    self.last[node.id] = index
            for initial, _ in statement.loop[2] if statement.loop else ():
                self.last[self.words[initial]] = max(index, self.last.get(self.words[initial], 0))

    def method(self) -> Method:
        writer, function = self.writer, self.writer.function
        self.taken = {*KEYWORDS, self.writer.style.instance, *self._free_words()}
        parameters: list[str] = []
        trees: dict[str, Tree] = {}
        for argument, tree in (function.arguments or function.inputs).items():
            word = numbered(identifier(argument, self.taken), [*self.taken, *parameters])
            parameters.append(word)
            if isinstance(tree, Value):
                self._hold(word, tree)
            else:
                trees[word] = tree
        items = self._items(trees, parameters)
        body: list[ast.stmt] = []
        for index, assign in enumerate(writer.statements):
            body += self._statement(index, assign)
        body = self._sizes(body) + body
        used = {n.id for stmt in body for n in ast.walk(stmt) if isinstance(n, ast.Name)}
        read: list[ast.stmt] = [ast.Assign([_target([word])], tree) for word, tree in items.items() if word in used]
        return Method(
            *([*parameters, *function.sizes], [*read, *body], writer.records, writer.training),
            *(len(function.sizes), writer.returns(), {word: _annotation(tree) for word, tree in trees.items()}),
        )

    def _items(self, trees: dict[str, Tree], parameters: list[str]) -> dict[str, ast.expr]:
        """The arrays in the arguments that are trees of them, by the names that they get."""
        arguments = {value: argument for argument, value in self.writer.function.inputs.items()}
        found: dict[str, ast.expr] = {}
        for parameter, tree in trees.items():
            for item, value in items_of(tree, name(parameter)):
                word = numbered(identifier(arguments[value], self.taken), [*self.taken, *parameters, *found])
                self._hold(word, value)
                found[word] = item
        return found

    def _free_words(self) -> set[str]:
        """Words that the expressions use for themselves: modules, functions, sizes."""
        words = {*self.writer.function.shown, *self.writer.function.sizes}
        for statement in self.writer.statements:
            trees = [statement.expression, *([statement.loop[1]] if statement.loop else [])]
            for tree in trees:
                words |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not n.id.startswith("\0")}
        return words

    def _hold(self, word: str, value: Value) -> None:
        self.names[self.words[value]] = word
        self.holder[word] = value

    def _is_free(self, word: str, index: int) -> bool:
        """Whether a name may be bound anew by a statement: nothing reads what it holds afterwards."""
        if word in self.taken:
            return False
        held = self.holder.get(word)
        return held is None or self.last.get(self.words[held], -1) <= index

    def _choose(self, value: Value, index: int, tree: ast.expr, hint: str = "") -> str:
        base = identifier(hint or value.hint or self._suggest(value, tree), self.taken)
        word, count = base, 2
        while not self._is_free(word, index):
            word, count = f"{base}_{count}", count + 1
        return word

    def _suggest(self, value: Value, tree: ast.expr) -> str:
        """A name for a value that the source never named: what it is the result of."""
        node = value.node
        module = node.attributes["module"].rpartition(".")[2] if node is not None and node.op == "call" else ""
        if module and not module.isdigit():
            return module
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Attribute) and _starts_at_self(tree.func):
            return tree.func.attr
        operand = (
            next((v for v in node.operands if self.words.get(v) in self.names), None) if node is not None else None
        )
        return self.names[self.words[operand]] if operand is not None else "x"

    def _statement(self, index: int, assign: Assign) -> list[ast.stmt]:
        if assign.define is not None:
            return [assign.define]
        if assign.buffer is not None:
            owner, word = assign.buffer
            return [self.writer.style.update(owner, word, self._rename(assign.expression))]
        if assign.effect:
            return [ast.Expr(self._rename(assign.expression))]
        if not assign.targets:
            return [ast.Return(self._rename(assign.expression))]
        if assign.loop is not None:
            return self._for(index, assign)
        tree = self._rename(assign.expression)
        words: list[str] = []
        for value, hint in zip(assign.targets, assign.hints or [""] * len(assign.targets), strict=True):
            if self.words[value] in self.last:
                word = self._choose(value, index, tree, hint)
                self._hold(word, value)
            else:
                word = "_"
            words.append(word)
        return [ast.Assign([_nested(words, assign.nested) if assign.nested else _target(words)], tree)]

    def _for(self, index: int, assign: Assign) -> list[ast.stmt]:
        assert assign.loop is not None
        item, iterable, carried = assign.loop
        body: list[ast.stmt] = []
        for initial, final in carried:
            word = self.names[self.words[initial]]
            if self.last.get(self.words[initial], -1) > index:  # still needed after the loop
                kept = word
                word = self._choose(final, index, assign.expression)
                body.append(ast.Assign([_target([word])], name(kept)))
            self._hold(word, final)
        for value in assign.targets:
            if self.words[value] not in self.names:
                self._hold(self._choose(value, index, assign.expression), value)
        word = numbered(item.removeprefix("\0item"), {*self.taken, *self.holder})
        self.names[item] = word
        call = self._rename(assign.expression)
        targets = _target([self.names[self.words[value]] for value in assign.targets])
        loop = ast.For(ast.Name(word, ast.Store()), self._rename(iterable), [ast.Assign([targets], call)], [])
        return [*body, loop]

    def _rename(self, tree: ast.expr) -> ast.expr:
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id.startswith("\0"):
                node.id = self.names[node.id]
        return tree

    def _sizes(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Statements that read the symbols which the body uses off the shapes that show them."""
        used = {n.id for stmt in body for n in ast.walk(stmt) if isinstance(n, ast.Name)}
        wanted: dict[Value, dict[int, str]] = {}
        for symbol, (value, axis) in self.writer.function.shown.items():
            if symbol in used:
                wanted.setdefault(value, {})[axis] = symbol
        arguments = dict(zip(self.writer.function.inputs.values(), self.writer.function.inputs, strict=True))
        out: list[ast.stmt] = []
        for value, axes in wanted.items():
            array = name(self._argument(value, arguments[value]))
            shape = self.writer.style.shape(array)
            if len(axes) == 1:
                ((axis, symbol),) = axes.items()
                out.append(ast.Assign([_target([symbol])], ast.Subscript(shape, ast.Constant(axis), ast.Load())))
                continue
            end = max(axes) + 1
            words = [axes.get(axis, "_") for axis in range(end)]
            if end < value.ndim:
                shape = ast.Subscript(shape, ast.Slice(None, ast.Constant(end)), ast.Load())
            out.append(ast.Assign([_target(words)], shape))
        return out

    def _argument(self, value: Value, argument: str) -> str:
        return self.names[self.words[value]]


def items_of(tree: Tree, place: ast.expr) -> Iterator[tuple[ast.expr, Value]]:
    """The arrays of an argument, each with the expression that reads it.

    Example:
        >>> from ....engine.spec import Spec
        >>> tree = {"k": [Value(Spec((2,)))], "n": 3}
        >>> [ast.unparse(item) for item, _ in items_of(tree, name("others"))]
        ["others['k'][0]"]
    """
    match tree:
        case Value():
            yield place, tree
        case Record(fields=fields):
            for key, child in fields.items():
                yield from items_of(child, attribute(place, key))
        case dict() | list() | tuple():
            for key, child in tree.items() if isinstance(tree, dict) else enumerate(tree):
                yield from items_of(child, ast.Subscript(place, ast.Constant(key), ast.Load()))
        case _:
            return


def _annotation(tree: Tree) -> str:
    match tree:
        case dict() if all(isinstance(child, Value) for child in tree.values()):
            return "dict[str, {array}]"
        case list() if all(isinstance(child, Value) for child in tree):
            return "list[{array}]"
        case tuple() if all(isinstance(child, Value) for child in tree):
            return f"tuple[{', '.join(['{array}'] * len(tree))}]"
        case Record():
            return "Any"
    return type(tree).__name__


def _starts_at_self(tree: ast.expr) -> bool:
    while isinstance(tree, ast.Attribute | ast.Subscript):
        tree = tree.value
    return isinstance(tree, ast.Name) and tree.id == "self"


def _nested(words: Sequence[str], places: Any) -> ast.expr:
    """The targets as they lie in nested tuples; one of which nothing is read is "_" as a whole.

    Example:
        >>> [ast.unparse(_nested(words, (0, (1, 2)))) for words in (["y", "h", "_"], ["y", "_", "_"])]
        ['(y, (h, _))', '(y, _)']
    """
    if isinstance(places, int):
        return ast.Name(words[places], ast.Store())
    items = [_nested(words, place) for place in places]
    if all(isinstance(item, ast.Name) and item.id == "_" for item in items):
        return ast.Name("_", ast.Store())
    return ast.Tuple(items, ast.Store())


def _target(words: Sequence[str]) -> ast.expr:
    names: list[ast.expr] = [ast.Name(word, ast.Store()) for word in words]
    return names[0] if len(names) == 1 else ast.Tuple(names, ast.Store())
