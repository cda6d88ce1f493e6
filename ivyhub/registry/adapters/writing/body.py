"""The body of one emitted method: steps of a function as statements.

Three passes. `_roll` finds repeated children that feed each other and makes loops of them. `_Writer` turns steps into
statements over numbered placeholders, inlining what the source wrote on one line. `locals.Namer` gives the
placeholders names.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from ....engine.graph import CONTROL, Graph, Node, Record, Tree, Value, tree_leaves, tree_map, tree_values
from ....engine.op import OPS
from ....engine.ops.draws import DRAWS
from ....engine.outline import Function, Run, Step
from ....engine.template import literal
from ...weights import Step as WeightStep
from ...weights import Transpose
from . import control
from .layers import LeafRow
from .locals import Assign, Method, Namer
from .names import identifier, singular
from .style import Callee, Style, name

INLINE_WIDTH = 60  # an inlined operand longer than this is given a name instead


@dataclass
class _Loop:
    """Consecutive runs of list items that differ in nothing but the item, each feeding the next."""

    runs: list[Run]
    carried: dict[int, int]  # position of an argument -> position of the output that feeds it

    @property
    def operands(self) -> list[Value]:
        return self.runs[0].operands

    @property
    def outputs(self) -> tuple[Value, ...]:
        return self.runs[-1].outputs


def write_method(
    graph: Graph, function: Function, style: Style, paths: Mapping[str, ast.expr], callees: Mapping[int, Callee]
) -> Method:
    """Write one function as a method.

    Args:
        graph: what the function is a part of.
        function: what is written.
        style: how the target writes it.
        paths: for every module and own parameter below the function's module, how it is reached from ``self``.
        callees: how each child call's method is written, by call.
    """
    return _Writer(graph, function, style, paths, callees).write()


def _roll(
    function: Function, uses: Mapping[Value, int], places: Mapping[str, ast.expr], callees: Mapping[int, Callee] | None
) -> list[Step | _Loop]:
    steps: list[Step | _Loop] = []
    position = 0
    while position < len(function.steps):
        runs = _chain(function.steps, position, uses)
        if runs and not isinstance(places[runs[0].function.module], ast.Subscript):
            runs = []  # members with numbers for names, not items of a list
        if callees is not None:  # nothing but the item may differ between the calls
            first = callees[runs[0].function.call] if runs else None
            same = itertools.takewhile(
                lambda run, first=first: first is not None and callees[run.function.call].alike(first), runs
            )
            runs = list(same) if first is not None and first.holds else []
        if len(runs) > 1:
            carried = {
                i: runs[0].outputs.index(operand)
                for i, operand in enumerate(runs[1].operands)
                if operand in runs[0].outputs
            }
            steps.append(_Loop(runs, carried))
            position += len(runs)
        else:
            steps.append(function.steps[position])
            position += 1
    return steps


def _chain(steps: Sequence[Step], position: int, uses: Mapping[Value, int]) -> list[Run]:
    """The longest row of runs from a position that one loop can stand for."""
    first = steps[position]
    if not isinstance(first, Run):
        return []
    parent, dot, index = first.function.module.rpartition(".")
    runs = [first]
    for step in steps[position + 1 :]:
        if not index.isdigit() or not isinstance(step, Run):
            break
        if step.function.module != f"{parent}{dot}{int(index) + len(runs)}" or not _continues(runs, step, uses):
            break
        runs.append(step)
    return runs


def _continues(runs: list[Run], step: Run, uses: Mapping[Value, int]) -> bool:
    last = runs[-1]
    if [*last.function.inputs] != [*step.function.inputs] or last.function.sizes != step.function.sizes:
        return False
    if len(last.outputs) != len(step.outputs) or not last.outputs:
        return False
    fed: list[Value] = []
    for before, after in zip(last.operands, step.operands, strict=True):
        if after in last.outputs:
            fed.append(after)
        elif after is not before:
            return False
    if len(runs) > 1:  # the same outputs feed the same arguments all along
        earlier = [runs[-2].outputs.index(v) if v in runs[-2].outputs else None for v in last.operands]
        if earlier != [last.outputs.index(v) if v in last.outputs else None for v in step.operands]:
            return False
    return sorted(map(id, fed)) == sorted(map(id, last.outputs)) and all(uses.get(v, 0) == 1 for v in fed)


class _Writer:
    def __init__(
        self,
        graph: Graph,
        function: Function,
        style: Style,
        paths: Mapping[str, ast.expr],
        callees: Mapping[int, Callee],
    ) -> None:
        self.graph = graph
        self.function = function
        self.style = style
        self.paths = paths
        self.callees = callees
        self.values: dict[Value, ast.expr] = {}  # how a value is written: its placeholder, or inlined
        self.numbers: dict[str, Value] = {}  # placeholder -> value
        self.statements: list[Assign] = []
        self.records: dict[str, tuple[str, ...]] = {}
        self.defined: list[str] = []  # the functions that it holds
        self.training = False
        self.uses: dict[Value, int] = {}
        self.consumer: dict[Value, Step | None] = {}
        for step in function.steps:
            for value in step.operands:
                self.uses[value] = self.uses.get(value, 0) + 1
                self.consumer[value] = step
        for value in (*self._returned(), *function.updates.values()):
            self.uses[value] = self.uses.get(value, 0) + 1
            self.consumer[value] = None

    def _returned(self) -> list[Value]:
        return tree_values(self.function.result) if self.function.call == 0 else self.function.outputs

    # -- statements ----------------------------------------------------------------------------------------------

    def write(self) -> Method:
        for value in self.function.inputs.values():
            self.values[value] = self._placeholder(value)
        for step in _roll(self.function, self.uses, self.paths, self.callees if self.style.functional else None):
            if isinstance(step, _Loop):
                self._loop(step)
            elif isinstance(step, Run):
                self._run(step)
            else:
                self._node(step)
        for path, value in self.function.updates.items():
            module, _, word = path.rpartition(".")
            buffer = self.paths[module], self.style.words(self.graph.modules[module].parameters)[word]
            self.statements.append(Assign([], self.values[value], buffer=buffer))
        self.statements.append(Assign([], self._result()))
        return Namer(self).method()

    def _placeholder(self, value: Value) -> ast.expr:
        word = f"\0{len(self.numbers)}"
        self.numbers[word] = value
        return name(word)

    def _assign(
        self, targets: Sequence[Value], tree: ast.expr, hints: Sequence[str] = (), nested: tuple[Any, ...] = ()
    ) -> None:
        for value in targets:
            self.values[value] = self._placeholder(value)
        self.statements.append(Assign(list(targets), tree, hints, nested=nested))

    def _node(self, node: Node) -> None:
        if not any(self.uses.get(value) for value in node.outputs):
            return
        tree = self._expression(node)
        if self._is_inlined(node, tree):
            self.values[node.output] = tree
        elif node.op == "call" and self._is_alone(node):
            self._assign(node.outputs[:1], tree)
        else:
            self._assign(node.outputs, tree, nested=self._row(node).results if node.op == "call" else ())

    def _is_alone(self, node: Node) -> bool:
        """Whether a recurrent layer starts from zeros, and nothing reads its states, and the target can say so."""
        rest = node.outputs[1:]
        return (
            len(node.args) == 1
            and bool(rest)
            and not any(map(self.uses.get, rest))
            and self._row(node).alone is not None
        )

    def _row(self, node: Node) -> LeafRow:
        info = self.graph.modules[node.attributes["module"]]
        row = self.style.leaves.find(str(info.layer), info.config, self.style.version)
        assert row is not None, f"{info.layer} was not legalised for {self.style.framework}"
        return row

    def _is_inlined(self, node: Node, tree: ast.expr) -> bool:
        if node.op in ("parameter", "constant"):
            return node.attributes.get("path") not in self.graph.updates  # else it is read before it is written
        if len(node.outputs) != 1 or self.uses.get(node.output, 0) != 1:
            return False
        consumer = self.consumer[node.output]
        if isinstance(consumer, Run) or (consumer is not None and consumer.op in CONTROL):
            return False
        if consumer is None and node.output in self.function.updates.values():
            return len(ast.unparse(tree)) <= INLINE_WIDTH
        if consumer is None:
            return self._is_returned_alone(node.output)
        if self._repeats(consumer, node.output):
            return False
        same_line = (node.scope.file, node.scope.line) == (consumer.scope.file, consumer.scope.line)
        if node.output.hint and not same_line:
            return False
        return len(ast.unparse(tree)) <= INLINE_WIDTH

    def _is_returned_alone(self, value: Value) -> bool:
        """Whether a value is the whole result and read by nothing else."""
        alone = self.function.result is value if self.function.call == 0 else self.function.outputs == [value]
        return alone and self.uses.get(value) == 1

    def _repeats(self, consumer: Node, value: Value) -> bool:
        """Whether a consumer's row may write an operand more than once, so that it must be a name."""
        if consumer.op == "call":
            return self._row(consumer).call.placeholders.count("x") > 1
        op = OPS[consumer.op]
        position = next(i for i, arg in enumerate(consumer.args) if value in tree_values((arg,)))
        rows = op.rows[self.style.framework]
        return any(row.template.placeholders.count(op.operands[position]) > 1 for row in rows)

    def _expression(self, node: Node) -> ast.expr:
        match node.op:
            case op if op in CONTROL:
                return self._control(node)
            case "parameter":
                return self._parameter(node.attributes["path"])
            case "constant":
                return self.style.constant(self.graph.constants[node.attributes["name"]])
            case "call":
                return self._leaf(node)
        op = OPS[node.op]
        row = op.row(self.style.framework, node.arg_specs, node.attributes, version=self.style.version)
        assert row is not None, f"{node.op} was not legalised for {self.style.framework}"
        self.style.needs(row.since)
        operands = tree_map(self._operand, node.args)
        return self.style.adopt(op.expression(row, operands, node.arg_specs, node.attributes, self._context(node)))

    def _control(self, node: Node) -> ast.expr:
        words: dict[str, str] = {}
        for key, graph in node.graphs.items():
            method = _Writer(graph, control.outlined(node, key), self.style, {}, {}).write()
            words[key] = control.function_word(key, [*self.style.globals, *self.defined])
            self.defined.append(words[key])
            body = control.definition(words[key], method.parameters, method.body)
            self.statements.append(Assign([], ast.Constant(None), define=body))
        operands = tree_map(self._operand, tuple(list(arg) if isinstance(arg, tuple) else arg for arg in node.args))
        return self.style.adopt(control.expression(node, self.style.framework, operands, words))

    def _operand(self, leaf: Any) -> ast.expr | None:
        return self.values[leaf] if isinstance(leaf, Value) else literal(leaf)

    def _context(self, node: Node) -> dict[str, ast.expr]:
        context: dict[str, ast.expr] = {}
        first = next(iter(self.function.inputs.values()), None)
        if first is not None and (device := self.style.device(self.values[first])) is not None:
            context["device"] = device
        if node.op in DRAWS and (rngs := self.style.rngs()) is not None:
            context["rngs"] = rngs
        if layer := node.attributes.get("dropout_layer"):
            self.training = True
            context["dropout"] = self.style.dropout(self.paths[layer])
        return context

    def _parameter(self, path: str) -> ast.expr:
        """Reading an array: an own one, or a leaf layer's in the layout that the graph knows it in."""
        module, _, word = path.rpartition(".")
        info, parameter = self.graph.modules[module], self.graph.parameter(path)
        steps: tuple[WeightStep, ...] = ()
        row = self.style.leaves.find(info.layer, info.config, self.style.version) if info.layer else None
        if row is not None:
            native, steps = row.weights(SimpleNamespace(**info.config))[word]
            assert isinstance(native, str), f"{path} is stored in parts, which no expression joins"
            word = native
        else:
            word = self.style.words(info.parameters)[word]
        tree = self.style.parameter(self.paths[module], word, trainable=parameter.trainable, layer=info.layer)
        spec = parameter.spec
        for step in reversed(steps):
            assert isinstance(step, Transpose), f"{path} is stored in a way that no expression undoes"
            stored = spec.with_shape(*(spec.shape[axis] for axis in step.perm))
            attributes = {"axes": step.inverse().perm}
            transposes = OPS["transpose"].row(self.style.framework, (stored,), attributes, version=self.style.version)
            assert transposes is not None
            tree = OPS["transpose"].expression(transposes, [tree], (stored,), attributes)
        return tree

    def _leaf(self, node: Node) -> ast.expr:
        path = node.attributes["module"]
        info = self.graph.modules[path]
        row = self._row(node)
        if "training" in row.call.placeholders:
            self.training = True
        values: dict[str, Any] = {key: literal(value, key) for key, value in row.values(info.config).items()}
        x, *states = (self._operand(arg) or ast.Constant(None) for arg in node.args)
        values |= {
            "self": self.paths[path],
            "x": x,
            "states": ast.Tuple(states, ast.Load()) if len(states) > 1 else states[0] if states else None,
            "training": name(self.style.training or "training"),
        }
        template = row.alone if row.alone is not None and self._is_alone(node) else row.call
        return self.style.adopt(template.fill(values))

    def _run(self, run: Run) -> None:
        effect = any(function.updates for function in run.function.walk())
        used = any(self.uses.get(value) for value in run.outputs)
        if not used and not effect:
            return
        tree = self._call(run, self.paths[run.function.module])
        if not used:
            self.statements.append(Assign([], tree, effect=True))
            return
        if len(run.outputs) == 1 and self._is_returned_alone(run.outputs[0]):
            self.values[run.outputs[0]] = tree
        else:
            self._assign(run.outputs, tree, self._result_names(run))

    def _result_names(self, run: Run) -> list[str]:
        """The names that the source's caller gave the outputs of a run, "" where it is not known."""
        call = self.graph.calls[run.function.call]
        names = call.name.split(", ")
        leaves = [leaf for _, leaf in tree_leaves(call.result)]
        if len(names) == 1:
            return names if len(run.outputs) == 1 else [""] * len(run.outputs)
        known = dict(zip(leaves, names, strict=False)) if len(names) == len(leaves) else {}
        return [known.get(value, "") for value in run.outputs]

    def _call(self, run: Run, target: ast.expr) -> ast.expr:
        callee = self.callees[run.function.call]
        args: list[ast.expr] = [self.values[value] for value in run.operands]
        keywords: list[ast.keyword] = []
        if self.style.names_sizes:
            keywords += [ast.keyword(size, name(size)) for size in run.function.sizes]
        else:
            args += [name(size) for size in run.function.sizes]
        if callee.training:
            self.training = True
            if self.style.training is not None:
                keywords.append(ast.keyword(self.style.training, name(self.style.training)))
        return self.style.call(target, callee, args, keywords)

    def _loop(self, loop: _Loop) -> None:
        parent = loop.runs[0].function.module.rpartition(".")[0]
        container, first = _item(self.paths[loop.runs[0].function.module])
        keys = [_item(self.paths[run.function.module])[1] for run in loop.runs]
        if isinstance(first, int):
            kept = [self.paths[child.path] for child in self.graph.children(parent) if child.path in self.paths]
            iterable = _slice(container, first, first + len(keys), 1 + max(int(_item(place)[1]) for place in kept))
            word = singular(parent.rpartition(".")[2])
        else:
            iterable, word = ast.Tuple([ast.Constant(key) for key in keys], ast.Load()), "key"
        item = f"\0item{word}"
        carried: list[tuple[Value, Value]] = []
        initials: list[ast.expr] = []
        for position, operand in enumerate(loop.operands):
            if position in loop.carried:
                if not isinstance(self.values[operand], ast.Name):  # the loop rebinds it, so it needs a name
                    self._assign([operand], self.values[operand])
                initials.append(self.values[operand])
                carried.append((operand, loop.outputs[loop.carried[position]]))
        for value in loop.outputs:
            self.values[value] = self._placeholder(value)
        before = dict(self.values)
        for operand, final in carried:
            self.values[operand] = self.values[final]  # inside, the initial and the final value have one name
        child = name(item) if isinstance(first, int) else ast.Subscript(container, name(item), ast.Load())
        body = self._call(loop.runs[0], child)
        self.values = before
        self.statements.append(Assign(list(loop.outputs), body, loop=(item, iterable, carried)))

    # -- results -------------------------------------------------------------------------------------------------

    def _result(self) -> ast.expr:
        if self.function.call == 0:
            return self._tree(self.function.result)
        outputs = [self.values[value] for value in self.function.outputs]
        return outputs[0] if len(outputs) == 1 else ast.Tuple(outputs, ast.Load())

    def returns(self) -> str:
        """The annotation of the result."""
        result = self.function.result if self.function.call == 0 else tuple(self.function.outputs)
        match result:
            case Record(record, _):
                return identifier(record, self.style.globals)
            case Value() | (Value(),) if self.function.call or isinstance(result, Value):
                return "{array}"
            case tuple() if all(isinstance(item, Value) for item in result):
                return f"tuple[{', '.join(['{array}'] * len(result))}]"
            case dict() if all(isinstance(item, Value) for item in result.values()):
                return "dict[str, {array}]"
        return ""

    def _tree(self, tree: Tree) -> ast.expr:
        match tree:
            case Record(record, fields):
                kept = {identifier(key): child for key, child in fields.items() if child is not None}
                word = identifier(record, self.style.globals)
                self.records[word] = tuple(kept)
                return ast.Call(name(word), [], [ast.keyword(key, self._tree(child)) for key, child in kept.items()])
            case dict():
                keys: list[ast.expr | None] = [ast.Constant(key) for key in tree]
                return ast.Dict(keys, [self._tree(child) for child in tree.values()])
            case tuple():
                return ast.Tuple([self._tree(child) for child in tree], ast.Load())
            case list():
                return ast.List([self._tree(child) for child in tree], ast.Load())
        return self.values[tree] if isinstance(tree, Value) else literal(tree) or ast.Constant(None)


def _item(place: ast.expr) -> tuple[ast.expr, Any]:
    """The list that an item stands in, and its position or key there."""
    assert isinstance(place, ast.Subscript)
    assert isinstance(place.slice, ast.Constant)
    return place.value, place.slice.value


def _slice(container: ast.expr, start: int, stop: int, count: int) -> ast.expr:
    if stop - start == count:
        return container
    low = ast.Constant(start) if start else None
    high = ast.Constant(stop) if stop < count else None
    if isinstance(container, ast.Name):  # the module itself, a part of which would be another of its class
        container = ast.Call(name("list"), [container], [])
    return ast.Subscript(container, ast.Slice(low, high), ast.Load())
