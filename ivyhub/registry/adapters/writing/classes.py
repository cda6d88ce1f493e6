"""Classes for a module tree: modules whose code is the same but for numbers share one class.

Modules are written innermost first. Each becomes constructor statements and methods, as trees; trees that differ only
in their numbers are one class, and the numbers that differ between its instances become constructor arguments, named
after what they are given to (``in_features``). Columns of equal numbers are one argument. So four stages of a network
become ``Stage(in_channels=64, out_channels=128, ...)`` four times, not four classes.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from ....engine.graph import Graph, ModuleInfo, Node
from ....engine.layer import find_layer
from ....engine.ops.draws import DRAWS
from ....engine.outline import Function, outline
from ....engine.template import copy_tree, literal
from ...weights import Entry, WeightMap
from .body import Method, write_method
from .layers import several
from .names import identifier, numbered
from .style import Callee, Member, Style, attribute, name


@dataclass
class Class:
    """One emitted class.

    Attributes:
        name: its name.
        info: the module table's row of its first instance.
        arguments: constructor arguments by name, with the type of their values.
        kept: those that a method reads off ``self``.
        build: constructor statements.
        methods: by name.
        instances: the paths of the modules that it stands for.
    """

    name: str
    info: ModuleInfo
    arguments: dict[str, str]
    kept: list[str]
    build: list[ast.stmt]
    methods: dict[str, Method]
    instances: list[str]

    @property
    def training(self) -> bool:
        """Whether any method needs the training argument."""
        return any(method.training for method in self.methods.values())


@dataclass
class Plan:
    """Everything that a renderer needs: classes innermost first, and where each array goes."""

    graph: Graph
    classes: list[Class]
    root: Class
    records: dict[str, tuple[str, ...]]
    places: list[Entry] = field(default_factory=list[Entry])  # from owners' paths to native names

    def weights(self) -> WeightMap:
        """The map from the graph's parameters to the tensors of the export."""
        return WeightMap(tuple(entry for entry in self.places if entry.sources[0] not in self.graph.constants))

    def constants(self) -> dict[str, np.ndarray]:
        """The large constants of the program by native name."""
        constants = self.graph.constants
        return {e.targets[0]: constants[e.sources[0]] for e in self.places if e.sources[0] in constants}


@dataclass
class _Written:
    """One module as code, before it shares a class."""

    path: str
    build: list[ast.stmt]
    methods: dict[str, Method]


def plan(graph: Graph, style: Style) -> Plan:
    """Write every module of a legalised graph in a style and share the classes."""
    return _Planner(graph, style).plan()


class _Planner:
    def __init__(self, graph: Graph, style: Style) -> None:
        self.graph = graph
        self.style = style
        self.root = outline(graph)
        self.functions: dict[str, list[Function]] = {}
        for function in self.root.walk():
            self.functions.setdefault(function.module, []).append(function)
        self.called = {node.attributes["module"] for node in graph.nodes if node.op == "call"}
        self.called |= {str(node.attributes.get("dropout_layer")) for node in graph.nodes}
        self.kept: set[str] = set()
        for path, module in graph.modules.items():
            owned = any(parameter.alias is None or style.ties for parameter in module.parameters.values())
            if owned or path in self.called or path in self.functions:
                parts = path.split(".")
                self.kept |= {".".join(parts[: i + 1]) for i in range(len(parts))}
        self.children: dict[str, list[ModuleInfo]] = {path: [] for path in graph.modules}
        for path in graph.modules:
            if path and self._is_kept(path):
                self.children[path.rpartition(".")[0]].append(graph.modules[path])
        self.callees: dict[int, Callee] = {}
        self.classes: list[Class] = []
        self.ranks = {n.attributes["module"]: n.args[0].ndim for n in graph.nodes if n.op == "call"}
        self.built: set[str] = set()  # the modules that have a method ``build``
        self.constructions: dict[str, ast.expr] = {}  # path -> how the module is constructed
        self.records: dict[str, tuple[str, ...]] = {}
        self.words: dict[str, str] = {}  # path -> the name of the module in its parent

    # -- the module tree -----------------------------------------------------------------------------------------

    def _is_kept(self, path: str) -> bool:
        """Whether a module holds arrays of its own or is called, itself or below."""
        return path in self.kept

    def _is_list(self, path: str) -> bool:
        """Whether a module is nothing but a list of others, or a dictionary where the style has such."""
        if not path or path in self.functions or not self.children[path] or self.graph.modules[path].parameters:
            return False
        return self._is_numbered(path) or (self.style.keyed and self.graph.modules[path].class_name == "ModuleDict")

    def _owns_list(self, path: str) -> bool:
        """Whether a module has code of its own, and besides is a list of others."""
        return self._is_numbered(path) and not self.graph.modules[path].parameters and not self._is_list(path)

    def _is_numbered(self, path: str) -> bool:
        names = [child.path.rpartition(".")[2] for child in self.children[path]]
        return bool(names) and all(word.isdigit() for word in names)

    def _member(self, path: str) -> str:
        """The name of a child in its parent; two that the source tells apart by what is no letter get numbers."""
        parent = path.rpartition(".")[0]
        if path not in self.words:
            taken = [*self.style.words(self.graph.modules[parent].parameters).values()]
            for child in self.children[parent]:
                taken.append(numbered(self.style.word(child.path.rpartition(".")[2]), taken))
                self.words[child.path] = taken[-1]
        return self.words[path]

    def _item(self, parent: str, path: str) -> str | int:
        """How a child is found in its parent: an attribute name, or the key of a list."""
        word = path.rpartition(".")[2]
        if not self._is_list(parent) and not self._owns_list(parent):
            return self._member(path)
        if not self._is_numbered(parent):
            return word
        return self.style.list_index([int(c.path.rpartition(".")[2]) for c in self.children[parent]], int(word))

    def _reach(self, base: str, path: str) -> ast.expr:
        """The expression for a module below another one, from its ``self``."""
        tree: ast.expr = name(self.style.instance)
        current = base
        for part in path[len(base) :].strip(".").split(".") if path != base else ():
            child = f"{current}.{part}" if current else part
            item = self._item(current, child)
            if self._owns_list(current) and self.style.items:
                tree = attribute(tree, self.style.items)
            if self._is_list(current) or self._owns_list(current):
                tree = ast.Subscript(tree, ast.Constant(item), ast.Load())
            else:
                tree = self.style.member(tree, str(item))
            current = child
        return tree

    def native_path(self, path: str) -> list[str | int]:
        """The place of a module in the export, as attribute names and list keys."""
        parts: list[str | int] = []
        while path:
            parent = path.rpartition(".")[0]
            parts.append(self._item(parent, path))
            if self._owns_list(parent) and self.style.items:
                parts.append(self.style.items)
            path = parent
        return parts[::-1]

    # -- planning ------------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        heights = self._heights()
        for height in range(max(heights.values()) + 1):
            level = [self._write(path) for path in self.graph.modules if heights.get(path) == height]
            for group in _groups(self.graph, level):
                self._share(group)
        order = {path: i for i, path in enumerate(_inner_first([p for p in self.graph.modules if p in heights]))}
        self.classes.sort(key=lambda cls: min(order[path] for path in cls.instances))
        if not self.style.functional:
            self._name_classes()
        root = self.classes[-1]
        return Plan(self.graph, self.classes, root, self.records, self._places())

    def _name_classes(self) -> None:
        names: dict[str, str] = {}
        for cls in self.classes:
            names[cls.name] = cls.name = numbered(
                identifier(cls.info.class_name, {*self.records, *self.style.globals}), names.values()
            )
        for cls in self.classes:
            for node in (node for stmt in cls.build for node in ast.walk(stmt)):
                if isinstance(node, ast.Name):
                    node.id = names.get(node.id, node.id)

    def _heights(self) -> dict[str, int]:
        """How many classes lie below each composite module on the longest way down."""
        heights: dict[str, int] = {}
        for path in reversed([p for p in self.graph.modules if not p or self._is_kept(p)]):
            if self.graph.modules[path].layer is not None or self._is_list(path):
                continue
            prefix = f"{path}." if path else ""
            below = [h for other, h in heights.items() if other.startswith(prefix)]
            heights[path] = max(below, default=-1) + 1
        return heights

    def _write(self, path: str) -> _Written:
        prefix = f"{path}." if path else ""
        paths = {other: self._reach(path, other) for other in self.graph.modules if self._below(prefix, path, other)}
        methods: dict[str, Method] = {}
        keys: dict[str, str] = {}
        for function in self.functions.get(path, ()):
            method = write_method(self.graph, function, self.style, paths, self.callees)
            self.records |= method.records
            key = f"{method.parameters}{[ast.dump(stmt) for stmt in method.body]}"
            if key not in keys:
                base = self.style.method if not methods else f"call_{len(methods) + 1}"
                keys[key] = base
                methods[base] = method
            word = keys[key]
            holds = any(
                isinstance(n, ast.Name) and n.id == self.style.instance for s in method.body for n in ast.walk(s)
            )
            self.callees[function.call] = Callee(None if word == self.style.method else word, method.training, holds)
        if made := self.style.build(self.graph.modules[path], self._members(path, path)):
            methods["build"] = Method(["input_shape"], made)
            self.built.add(path)
        return _Written(path, [] if self.style.functional else self._build(path), methods)

    def _members(self, base: str, path: str) -> tuple[Member, ...]:
        found = tuple(
            Member(
                self._reach(base, child.path),
                child,
                self._members(base, child.path) if self._is_list(child.path) else (),
                self.ranks.get(child.path, 0),
            )
            for child in self.children[path]
            if child.layer is not None or self._is_list(child.path) or child.path in self.built
        )
        if not found or not self._owns_list(path):
            return found
        word = self.style.items
        return (Member(attribute(self._reach(base, path), word), ModuleInfo(f"{path}.{word}", word), found),)

    def _below(self, prefix: str, path: str, other: str) -> bool:
        return other == path or (other.startswith(prefix) and self._is_kept(other))

    def _build(self, path: str) -> list[ast.stmt]:
        """The constructor's statements of a module: its own arrays, then its children."""
        out: list[ast.stmt] = self.style.stream() if self._draws(path) else []
        parameters = self.graph.modules[path].parameters
        for word, native in self.style.words(parameters).items():
            parameter = parameters[word]
            if parameter.alias is not None and not self.style.ties:
                continue  # read off its owner
            out += self.style.declare(
                native,
                parameter.spec,
                trainable=parameter.trainable,
                persistent=parameter.persistent,
            )
        if self._owns_list(path):
            out.append(self.style.own_list(self._items(path)))
        else:
            out += [self.style.assign(self._member(c.path), self._construct(c.path)) for c in self.children[path]]
        return [*out, *self._ties(path), *self._frozen(path, path)]

    def _draws(self, path: str) -> bool:
        """Whether the code of a module draws random numbers."""
        steps = (step for function in self.functions.get(path, ()) for step in function.steps)
        return any(isinstance(step, Node) and step.op in DRAWS for step in steps)

    def _items(self, path: str) -> dict[int | str, ast.expr]:
        """The constructions of a list's children, by their names in the source."""
        words = [child.path.rpartition(".")[2] for child in self.children[path]]
        keys = [int(word) for word in words] if self._is_numbered(path) else words
        return {key: self._construct(child.path) for key, child in zip(keys, self.children[path], strict=True)}

    def _frozen(self, base: str, path: str) -> Iterator[ast.stmt]:
        """Statements that keep the frozen arrays of leaf layers from being trained; own ones are no parameters."""
        for child in self.children[path]:
            if self._is_list(child.path):
                yield from self._frozen(base, child.path)
            layer = find_layer(str(child.layer)) if child.layer is not None else None
            if layer is None:
                continue
            trained = [word for word in layer(**child.config).parameters() if word in child.parameters]
            frozen = [word for word in trained if not child.parameters[word].trainable]
            reach = self._reach(base, child.path)
            if frozen == trained and trained:
                yield from self.style.freeze(reach)
            else:
                row = self.style.leaves.find(str(child.layer), child.config, self.style.version)
                table = row.weights(SimpleNamespace(**child.config)) if row is not None else {}
                for words, (native, _) in table.items():
                    for own in several(native) if set(several(words)) & {*frozen} else ():
                        yield from self.style.freeze(attribute(reach, own))

    def _ties(self, path: str) -> list[ast.stmt]:
        """Shared arrays whose names first meet in this module, where the style can tie them."""
        out: list[ast.stmt] = []
        for module in self.graph.modules.values() if self.style.ties else ():
            for word, parameter in module.parameters.items():
                full = f"{module.path}.{word}" if module.path else word
                if parameter.alias is None or self._meeting(full, parameter.alias) != path:
                    continue
                owner, _, owned = parameter.alias.rpartition(".")
                known = self.style.words(self.graph.modules[owner].parameters)[owned]
                source = self.style.parameter(self._reach(path, owner), known, trainable=True)
                target = self.style.words(module.parameters)[word]
                out.append(self.style.tie(self._reach(path, module.path), target, source))
        return out

    def _meeting(self, first: str, second: str) -> str:
        """The innermost module that holds both of two parameters and is no list."""
        shared: list[str] = []
        for a, b in zip(first.split(".")[:-1], second.split(".")[:-1], strict=False):
            if a != b:
                break
            shared.append(a)
        while self._is_list(".".join(shared)):
            shared.pop()
        return ".".join(shared)

    def _construct(self, path: str) -> ast.expr:
        info = self.graph.modules[path]
        if info.layer is not None:
            row = self.style.leaves.find(info.layer, info.config, self.style.version)
            assert row is not None, f"{info.layer} at {path} was not legalised for {self.style.framework}"
            self.style.needs(row.since)
            values = {key: literal(value, key) for key, value in row.values(info.config).items()}
            return self.style.adopt(row.build.fill(values))
        if self._is_list(path):
            return self.style.module_list(self._items(path))
        return copy_tree(self.constructions[path])

    def _share(self, group: list[_Written]) -> None:
        """One class for modules of one shape."""
        first = group[0]
        info = self.graph.modules[first.path]
        word = f"\0{len(self.classes)}"  # named at last, in the order of the model
        if self.style.functional:  # or at once: functions stand in each other's bodies, beside names that must differ
            word = numbered(identifier(self.style.class_name(info.class_name)), [cls.name for cls in self.classes])
        columns = list(zip(*(list(_constants(written)) for written in group), strict=True))
        taken = {"self", *(p for m in first.methods.values() for p in m.parameters)}
        if self.style.functional:  # the arguments stand beside the function's own names
            statements = [stmt for method in first.methods.values() for stmt in method.body]
            taken |= {node.id for stmt in statements for node in ast.walk(stmt) if isinstance(node, ast.Name)}
        members = {_member(node) for node in first.build} - {""}
        arguments: dict[tuple[object, ...], str] = {}
        in_methods: set[str] = set()
        for column in columns:
            values = tuple(constant.value for constant, _ in column)
            if all(value == values[0] and type(value) is type(values[0]) for value in values):
                continue
            constant, in_method = column[0]
            if values not in arguments:
                hint = identifier(constant.kind or "value", {*self.style.reserved, *members})
                arguments[values] = numbered(hint, {*arguments.values(), *taken, *members})
            argument = arguments[values]
            if in_method:
                in_methods.add(argument)
            constant.value = _Argument(argument, in_method)
        build = [_Fill(self.style).visit(stmt) for stmt in first.build]
        for method in first.methods.values():
            method.body = [_Fill(self.style).visit(stmt) for stmt in method.body]
        for position, written in enumerate(group):
            given = {
                argument: literal(values[position], argument) or ast.Constant(None)
                for values, argument in arguments.items()
            }
            self.constructions[written.path] = self.style.construct(word, given, bare=not build and not given)
            for function in self.functions.get(written.path, ()):
                callee = self.callees[function.call]
                self.callees[function.call] = dataclasses.replace(callee, function=word, arguments=given)
        types = {argument: type(values[0]).__name__ for values, argument in arguments.items()}
        kept = [argument for argument in arguments.values() if argument in in_methods]
        self.classes.append(Class(word, info, types, kept, build, first.methods, [w.path for w in group]))

    # -- arrays --------------------------------------------------------------------------------------------------

    def _places(self) -> list[Entry]:
        """Where each array of the graph stands in the export."""
        places: list[Entry] = []
        for path, info in self.graph.modules.items():
            home = self.native_path(path) if not path or self._is_kept(path) else []
            row = self.style.leaves.find(info.layer, info.config, self.style.version) if info.layer else None
            if row is not None:
                table = row.weights(SimpleNamespace(**info.config))
            else:
                table = {word: (native, ()) for word, native in self.style.words(info.parameters).items()}
            for names, (natives, steps) in table.items():
                words = several(names)
                held = [info.parameters[word] for word in words if word in info.parameters]
                if len(held) < len(words) or any(p.alias is not None or not self.style.stores(p) for p in held):
                    continue
                trainable = all(parameter.trainable for parameter in held)
                stored = [
                    self.style.stored_name([*home, native], trainable=trainable, layer=info.layer)
                    for native in several(natives)
                ]
                sources = tuple(f"{path}.{word}" if path else word for word in words)
                places.append(Entry(tuple(stored), sources, steps))
        return places


def _inner_first(paths: list[str]) -> list[str]:
    """Paths in the order of the model, each after those below it."""
    order: list[str] = []

    def visit(path: str) -> None:
        prefix = f"{path}." if path else ""
        for other in paths:
            if other and other.startswith(prefix) and other != path and other not in seen:
                seen.add(other)
                visit(other)
        order.append(path)

    seen: set[str] = set()
    paths = sorted(paths, key=lambda path: path.count("."))
    visit("")
    return order


class _Argument(str):
    """A constant's value that became a constructor argument."""

    __slots__ = ("in_method",)
    in_method: bool

    def __new__(cls, word: str, in_method: bool) -> _Argument:
        self = super().__new__(cls, word)
        self.in_method = in_method
        return self


class _Fill(ast.NodeTransformer):
    def __init__(self, style: Style) -> None:
        self.style = style

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, _Argument):
            return node
        return self.style.setting(str(node.value), building=not node.value.in_method)


def _member(node: ast.stmt) -> str:
    """The attribute of ``self`` that a constructor's statement sets, or ""."""
    match node:
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=word)]):
            return word
    return ""


def _groups(graph: Graph, level: list[_Written]) -> list[list[_Written]]:
    """Modules of one class in the source and of one shape but for numbers."""
    found: dict[object, list[_Written]] = {}
    for written in level:
        shape = [
            _shape(written.build),
            [(word, tuple(m.parameters), _shape(m.body)) for word, m in written.methods.items()],
        ]
        found.setdefault(f"{graph.modules[written.path].cls}{shape}", []).append(written)
    return list(found.values())


def _shape(tree: object) -> object:
    """A tree without the values of its numbers."""
    if isinstance(tree, ast.Constant):
        return type(tree.value).__name__ if _is_number(tree) else repr(tree.value)
    if isinstance(tree, ast.AST):
        return (type(tree).__name__, *(_shape(value) for _, value in ast.iter_fields(tree)))
    return [_shape(item) for item in tree] if isinstance(tree, list) else tree


def _is_number(node: ast.Constant) -> bool:
    return isinstance(node.value, int | float | complex)


def _constants(written: _Written) -> Iterator[tuple[ast.Constant, bool]]:
    """The numbers of a module's code in order, with whether a method holds them."""
    for stmt in written.build:
        yield from ((node, False) for node in ast.walk(stmt) if isinstance(node, ast.Constant) and _is_number(node))
    for method in written.methods.values():
        for stmt in method.body:
            yield from ((node, True) for node in ast.walk(stmt) if isinstance(node, ast.Constant) and _is_number(node))
