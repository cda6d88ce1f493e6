"""TensorFlow's function graphs as graphs of ivyhub: each operation by its rule, inner functions in their places."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ....engine import ops
from ....engine.backends import dtype_name
from ....engine.control_flow import cond, scan, switch, while_loop
from ....engine.dims import Dim
from ....engine.graph import Call, Scope, Value
from ....engine.lines import assigned_name, short_path
from ....engine.nested import NestedBuilder
from ....engine.recording import RECORDER
from ....engine.spec import Spec
from ....engine.trace import Builder
from ....errors import CaptureError, EngineError
from .attributes import attribute, branches, default, function, plain, tuples
from .known import computed, counted, size_arithmetic, wanted_operations
from .lines import of_tensorflow, user_line
from .lists import LISTS, TensorList, carried, grown, is_unshaped, read_list
from .rules import OPERANDS, RULES, Operands, has_sizes, number, sizes_array
from .slices import picked

SAME = frozenset({"Identity", "PreventGradient", "EnsureShape", "Snapshot", "CheckNumerics", "CheckNumericsV2"})
"""Operations that give what they are given."""

SILENT = frozenset({"NoOp", "Assert", "Placeholder", "ControlTrigger", "PrintV2", "Print", "VarHandleOp"})
"""Operations without a meaning for the result, and those that are bound before the others are read."""

OUTSIDE = ("PyFunc", "File", "Reader", "Dataset", "Iterator", "Sql", "Save", "Restore", "Table", "Queue", "Xla", "Env")
"""Parts of the names of operations that run Python, touch files, or have state that is no variable."""


@dataclass(frozen=True)
class Variable:
    """A variable as a resource: the path of the graph's parameter."""

    path: str


@dataclass
class Interval:
    """The operations that one call of a layer made: those from ``start`` to ``end`` of a function graph.

    Attributes:
        path: of the layer.
        run: makes the result of a layer that is read as a whole, from values; None for any other.
        inputs: the tensors that ``run`` is given.
        results: the tensors that it stands for.
        arguments: what the layer was called with, by name: trees of tensors.
        result: what it returned.
    """

    path: str
    start: int
    end: int = 0
    run: Callable[..., Any] | None = None
    inputs: Sequence[Any] = ()
    results: Sequence[Any] = ()
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    result: Any = None


class Reader:
    """Reads function graphs into a builder.

    Attributes:
        intervals: the calls of layers in each function graph, by its identity, in the order in which they began.
        missing: operations without a rule, with the module path and the line of each.
        updated: the new values of variables that were assigned to.
        special: what reads the operations that are no functions of arrays.
    """

    def __init__(self, builder: Builder, *, intervals: dict[int, list[Interval]] | None = None) -> None:
        self.builder = builder
        self.intervals = intervals or {}
        self.missing: list[tuple[str, str, str]] = []
        self.notes: list[str] = []
        self.env: dict[tuple[int, str, int], Any] = {}
        self.updated: dict[str, Any] = {}
        self.special: dict[str, Callable[[Any, list[Any]], None]] = {
            "Const": self._const,
            "StridedSlice": self._strided_slice,
            "Shape": self._shape,
            "ShapeN": self._shape_n,
            "Size": self._size,
            "Rank": self._rank,
            "BroadcastArgs": self._broadcast_args,
            "VariableShape": self._variable_shape,
            "IdentityN": self._identity_n,
            "ReadVariableOp": self._read_variable_op,
            "ResourceGather": self._resource_gather,
            "AssignVariableOp": self._assign_variable_op,
            "AssignAddVariableOp": self._assign_add_variable_op,
            "AssignSubVariableOp": self._assign_sub_variable_op,
            "PartitionedCall": self._partitioned_call,
            "If": self._if,
            "Case": self._case,
            "While": self._while,
            "StatefulPartitionedCall": self._partitioned_call,
            "StatelessIf": self._if,
            "StatelessCase": self._case,
            "StatelessWhile": self._while,
            **dict.fromkeys(LISTS, self._list),
        }

    @staticmethod
    def names() -> frozenset[str]:
        """The operations that are read by no rule, since they are no functions of arrays."""
        return frozenset(Reader(Builder()).special)

    # -- graphs --------------------------------------------------------------------------------------------------

    def read(self, graph: Any, arguments: Sequence[Any], outputs: Sequence[Any] | None = None) -> list[Any]:
        """The outputs of a function graph for arguments: values, known arrays or variables."""
        for placeholder, argument in zip(graph.inputs, arguments, strict=True):
            self._set(placeholder, argument)
        results: Sequence[Any] = graph.outputs if outputs is None else outputs
        every = graph.get_operations()
        wanted = wanted_operations(every, results, _STATEFUL)
        calls = iter(self.intervals.get(id(graph), ()))
        self._read_span(every, wanted, 0, len(every), _Peekable(calls))
        return [self.get(output) for output in results]

    def _read_span(self, every: Sequence[Any], wanted: set[str], start: int, end: int, calls: _Peekable) -> None:
        position = start
        while position < end or (calls.next is not None and calls.next.start < end):
            call = calls.next
            if call is not None and call.start <= position:
                calls.advance()
                self._read_call(call, every, wanted, calls)
                position = max(position, call.end)
                continue
            op = every[position]
            position += 1
            if op.name in wanted and op.type not in SILENT:
                scope = self._scope(op)
                with self._current().recording(scope):
                    self._read_op(op)

    def _read_call(self, call: Interval, every: Sequence[Any], wanted: set[str], calls: _Peekable) -> None:
        builder = self._current()
        if call.run is not None:
            while calls.next is not None and calls.next.start < call.end:
                calls.advance()
            line = user_line(every[call.start]) if call.start < len(every) else ("", 0)
            with builder.recording(self._at(line)):
                found = call.run(*(self.value(tensor) for tensor in call.inputs))
            for tensor, value in zip(call.results, found, strict=True):
                self._set(tensor, value)
            return
        if builder.nested:
            self._read_span(every, wanted, call.start, call.end, calls)
            return
        graph = builder.graph
        found = Call(call.path, builder.scope.call)
        graph.calls.append(found)
        with builder.recording(replace(builder.scope, call=len(graph.calls) - 1)):
            self._read_span(every, wanted, call.start, call.end, calls)
        found.arguments = {name: self._tree(tree) for name, tree in call.arguments.items()}
        found.result = self._tree(call.result)

    def _tree(self, tree: Any) -> Any:
        """A tree of tensors as one of values; what is no value of this graph is left out."""
        if isinstance(tree, dict):
            return {str(key): self._tree(child) for key, child in tree.items()}
        if isinstance(tree, tuple | list):
            return tuple(self._tree(child) for child in tree)
        if tree is None or isinstance(tree, bool | int | float | str):
            return tree
        found = self.env.get(self._key(tree)) if hasattr(tree, "op") else None
        return found if isinstance(found, Value) else None

    # -- operations ----------------------------------------------------------------------------------------------

    def _read_op(self, op: Any) -> None:
        inputs = [self.get(tensor) for tensor in op.inputs]
        if op.type in SAME:
            self._set(op.outputs[0], inputs[0])
        elif op.type in self.special:
            self.special[op.type](op, inputs)
        elif any(part in op.type for part in OUTSIDE):
            raise CaptureError(
                f"{op.type} runs Python, touches files, or keeps state outside of variables; a graph cannot"
                f"{self._place()}",
                hint="compute what it gives before, and pass it in",
            )
        else:
            self._by_rule(op, inputs)

    def _by_rule(self, op: Any, inputs: list[Any]) -> None:
        attributes = {attr.name: attribute(op, attr) for attr in op.op_def.attr}
        if any(has_sizes(x) for x in inputs):
            found = size_arithmetic(op.type, inputs, attributes)
            if found is not None:
                self._set_all(op, found if isinstance(found, tuple) else (found,))
                return
        if inputs and all(isinstance(x, np.ndarray) for x in inputs):
            numbers = computed(op, inputs, attributes)
            if numbers is not None:
                self._set_all(op, numbers)
                return
        if op.type not in RULES:
            self._miss(op)
            return
        operands = OPERANDS[op.type]
        self._check_attributes(op, attributes, operands)
        try:
            arguments = self._operands(op, inputs, operands)
            result = RULES[op.type](*arguments, **{name: attributes[name] for name in operands.attributes})
        except (EngineError, CaptureError) as error:
            error.message = f"{error.message}\n  while reading {op.type}{self._place()}"
            error.args = (error.message,)
            raise
        self._set_all(op, result if isinstance(result, tuple) else (result,))

    def _check_attributes(self, op: Any, attributes: dict[str, Any], operands: Operands) -> None:
        """What a rule does not name has TensorFlow's default."""
        for attr in op.op_def.attr:
            if attr.name in operands.attributes or attr.type in ("type", "list(type)") or attr.name in _NEUTRAL:
                continue
            if not attr.HasField("default_value") or default(attr.default_value) != plain(attributes[attr.name]):
                raise CaptureError(
                    f"{op.type} with {attr.name}={attributes[attr.name]!r} is unknown{self._place()}",
                    hint="please report it with the function",
                )

    def _operands(self, op: Any, inputs: list[Any], operands: Operands) -> list[Any]:
        known = {place % len(inputs) for place in operands.known} if inputs else set[int]()
        arrays = [x for place, x in enumerate(inputs) if place not in known]
        scalars = operands.scalars and any(isinstance(x, Value) for x in arrays)
        found: list[Any] = []
        for place, (x, tensor) in enumerate(zip(inputs, op.inputs, strict=True)):
            if place in known:
                found.append(self._known(op, place, x))
            elif scalars and isinstance(x, np.ndarray) and x.dtype != object and x.ndim == 0:
                found.append(number(x))
            else:
                found.append(self.value(tensor))
        return found

    def _known(self, op: Any, place: int, x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            raise CaptureError(
                f"input {place} of {op.type} depends on the values of arrays{self._place()}",
                hint="shapes, axes and counts may depend on shapes alone",
            )
        if x.dtype.kind == "f" and x.ndim == 0:
            return number(x)
        return tuples(x.tolist())

    def _set_all(self, op: Any, results: Sequence[Any]) -> None:
        for tensor, result in zip(op.outputs, results, strict=True):
            if isinstance(result, Value):
                result = self._checked(op, tensor, result)
            self._set(tensor, result)

    def _checked(self, op: Any, tensor: Any, value: Value) -> Value:
        """The rule's result has the dtype that TensorFlow gives, and its shape as far as it is known there."""
        dtype = dtype_name(tensor.dtype)
        if value.dtype != dtype and {value.dtype, dtype} <= {"int32", "int64"}:
            value = ops.astype(value, dtype=dtype)
        shape = None if tensor.shape.rank is None else tensor.shape.as_list()
        wrong = shape is not None and (
            len(shape) != value.ndim
            or any(
                isinstance(ours, int) and theirs is not None and ours != theirs
                for ours, theirs in zip(value.shape, shape, strict=True)
            )
        )
        if value.dtype != dtype or wrong:
            raise CaptureError(
                f"the rule for {op.type} gave {value.spec} where TensorFlow gives {dtype}{shape}{self._place()}",
                hint="this is a defect of the rule; please report it",
            )
        return value

    def _miss(self, op: Any) -> None:
        place = self._current().scope
        path = self.builder.graph.calls[place.call].module if not self._current().nested else ""
        self.missing.append((op.type, path, f"{place.file}:{place.line}" if place.file else ""))
        for tensor in op.outputs:
            shape = tensor.shape.as_list() if tensor.shape.rank is not None else []
            sizes = tuple(Dim.symbol("unknown") if size is None else size for size in shape)
            try:
                self._set(tensor, self._current().value(Spec(sizes, dtype_name(tensor.dtype))))
            except (EngineError, TypeError, KeyError):  # strings and resources have no values
                self._set(tensor, None)

    # -- operations that are no functions of arrays ----------------------------------------------------------------

    def _const(self, op: Any, inputs: list[Any]) -> None:
        import tensorflow as tf

        array = tf.make_ndarray(op.get_attr("value"))
        self._set(op.outputs[0], array)

    def _strided_slice(self, op: Any, inputs: list[Any]) -> None:
        picks = picked(op, inputs[0], self.get) if any(isinstance(x, Value) for x in inputs[1:]) else None
        self._by_rule(op, inputs) if picks is None else self._set_all(op, (picks,))

    def _shape(self, op: Any, inputs: list[Any]) -> None:
        self._set(op.outputs[0], sizes_array(self._sizes(op, inputs[0])))

    def _shape_n(self, op: Any, inputs: list[Any]) -> None:
        for tensor, x in zip(op.outputs, inputs, strict=True):
            self._set(tensor, sizes_array(self._sizes(op, x)))

    def _size(self, op: Any, inputs: list[Any]) -> None:
        total: Any = 1
        for size in self._sizes(op, inputs[0]):
            total = total * size
        self._set(op.outputs[0], sizes_array((total,)).reshape(()))

    def _rank(self, op: Any, inputs: list[Any]) -> None:
        self._set(op.outputs[0], np.asarray(len(self._sizes(op, inputs[0])), np.int32))

    def _broadcast_args(self, op: Any, inputs: list[Any]) -> None:
        from ....engine.spec import broadcast_shapes

        shapes = [self._known(op, place, x) for place, x in enumerate(inputs)]
        self._set(op.outputs[0], sizes_array(broadcast_shapes(*shapes)))

    def _sizes(self, op: Any, x: Any) -> tuple[Any, ...]:
        if isinstance(x, Variable):
            return self.builder.graph.parameter(x.path).spec.shape
        return tuple(x.shape)

    def _variable_shape(self, op: Any, inputs: list[Any]) -> None:
        self._shape(op, inputs)

    def _identity_n(self, op: Any, inputs: list[Any]) -> None:
        """A function with a gradient of its own, unless it is TensorFlow's, has another one than its graph."""
        if "_gradient_op_type" in op.node_def.attr and not of_tensorflow(op):
            raise CaptureError(
                f"a function with a gradient of its own (tf.custom_gradient) would lose it{self._place()}",
                hint="write it without, or in terms of tf.stop_gradient",
            )
        self._set_all(op, inputs)

    def _read_variable_op(self, op: Any, inputs: list[Any]) -> None:
        self._set(op.outputs[0], self._variable(inputs[0]))

    def _resource_gather(self, op: Any, inputs: list[Any]) -> None:
        rule = RULES["ResourceGather"]
        found = rule(self._variable(inputs[0]), self.value(op.inputs[1]), batch_dims=op.get_attr("batch_dims"))
        self._set(op.outputs[0], found)

    def _variable(self, resource: Any) -> Value:
        if not isinstance(resource, Variable):
            raise CaptureError(f"a resource that is no variable is read{self._place()}")
        if resource.path in self.updated:
            return self.updated[resource.path]
        return self._current().parameter(resource.path)

    def _assign_variable_op(self, op: Any, inputs: list[Any]) -> None:
        self._assign(inputs[0], self.value(op.inputs[1]))

    def _assign_add_variable_op(self, op: Any, inputs: list[Any]) -> None:
        self._assign(inputs[0], ops.add(self._variable(inputs[0]), self.value(op.inputs[1])))

    def _assign_sub_variable_op(self, op: Any, inputs: list[Any]) -> None:
        self._assign(inputs[0], ops.subtract(self._variable(inputs[0]), self.value(op.inputs[1])))

    def _assign(self, resource: Any, value: Value) -> None:
        if self._current().nested or not isinstance(resource, Variable):
            raise CaptureError(f"a variable is assigned in a branch or loop{self._place()}")
        if self.builder.graph.parameter(resource.path).trainable:
            raise CaptureError(
                f"{resource.path} is trainable and is assigned to{self._place()}",
                hint="make it a variable with trainable=False",
            )
        self.updated[resource.path] = self.builder.graph.updates[resource.path] = value

    def _partitioned_call(self, op: Any, inputs: list[Any]) -> None:
        self._set_all(op, self.read(function(op, "f"), inputs))

    def _if(self, op: Any, inputs: list[Any]) -> None:
        predicate, *operands = inputs
        if isinstance(predicate, np.ndarray) and not has_sizes(predicate):
            self._set_all(op, self.read(branches(op)[0 if predicate.all() else 1], operands))
            return
        value = self.value(op.inputs[0])
        if value.dtype != "bool" or value.ndim:
            raise CaptureError(f"expected a truth value to choose by, received {value.spec}{self._place()}")
        self._set_chosen(op, cond(value, *self._branches(branches(op), operands)))

    def _case(self, op: Any, inputs: list[Any]) -> None:
        index, *operands = inputs
        graphs = branches(op)
        last = len(graphs) - 1  # an index outside is the last one
        if isinstance(index, np.ndarray) and not has_sizes(index):
            place = int(index) if 0 <= int(index) < last else last
            self._set_all(op, self.read(graphs[place], operands))
            return
        value = self.value(op.inputs[0])
        value = ops.where(ops.logical_or(ops.less(value, 0), ops.greater(value, last)), last, value)
        self._set_chosen(op, switch(value, self._branches(graphs, operands)))

    def _branches(self, graphs: Sequence[Any], operands: Sequence[Any]) -> list[Callable[[], tuple[Any, ...]]]:
        """Each branch as a function of nothing, whose lists are arrays."""
        if any(map(is_unshaped, operands)):
            with self._aside():
                for graph in graphs:
                    self.read(graph, operands)

        def run(graph: Any) -> tuple[Any, ...]:
            before = dict(self.env)
            found = tuple(map(self._held, self.read(graph, operands), graph.outputs))
            self.env = before
            return found

        return [functools.partial(run, graph) for graph in graphs]

    def _set_chosen(self, op: Any, found: Sequence[Any]) -> None:
        """What branches give: a value with a list's place in it is one again."""
        lists = (tensor.dtype.name == "variant" for tensor in op.outputs)
        self._set_all(op, [TensorList.of(x) if is_list else x for x, is_list in zip(found, lists, strict=True)])

    def _list(self, op: Any, inputs: list[Any]) -> None:
        try:
            self._set_all(op, read_list(op, inputs, self.value))
        except (EngineError, CaptureError) as error:
            error.message = f"{error.message}\n  while reading {op.type}{self._place()}"
            error.args = (error.message,)
            raise

    def _held(self, found: Any, tensor: Any, before: Any = None) -> Value:
        return carried(found, before) if isinstance(found, TensorList) else self.lift(found, tensor)

    @contextlib.contextmanager
    def _aside(self) -> Generator[None]:
        """While entered, what is read is only looked at."""
        before, missing = dict(self.env), len(self.missing)
        with NestedBuilder(self._current()).recording():
            yield
        self.env = before
        del self.missing[missing:]

    def _while(self, op: Any, inputs: list[Any]) -> None:
        """What the body hands on as it is, is no carry: it stays known where it is known.

        A loop whose counters can be followed runs a known number of times, and is a scan: every framework can
        differentiate that.
        """
        body, test = function(op, "body"), function(op, "cond")
        kept = [_is_invariant(body, place) for place in range(len(inputs))]
        followed = counted(test, body, inputs)
        counters = {} if followed is None else {place: v for place, v in followed.items() if not kept[place]}
        places = [place for place, same in enumerate(kept) if not same and place not in counters]

        def arguments(carry: Sequence[Any], counts: Sequence[Any]) -> list[Any]:
            full = list(inputs)
            for place, value in (*zip(places, carry, strict=True), *zip(counters, counts, strict=True)):
                held = inputs[place]
                full[place] = held.holding(value) if isinstance(held, TensorList) else value
            return full

        def run(graph: Any, carry: Sequence[Any], counts: Sequence[Any] = ()) -> list[Any]:
            before = dict(self.env)
            found = self.read(graph, arguments(carry, counts))
            self.env = before
            return found

        def step(carry: Sequence[Any], counts: Sequence[Any] = ()) -> tuple[Any, ...]:
            found = run(body, carry, counts)
            return tuple(self._held(found[place], body.outputs[place], inputs[place]) for place in places)

        def goes_on(carry: Sequence[Any]) -> Value:
            return self._held(run(test, carry)[0], test.outputs[0])

        lists = [place for place in places if isinstance(inputs[place], TensorList)]
        for place in lists:
            inputs[place] = grown(inputs[place], body, place, followed)
        if any(is_unshaped(inputs[place]) for place in lists):
            with self._aside():
                varies = {*places, *counters} - {*lists}
                self.read(body, [self.value(op.inputs[i]) if i in varies else x for i, x in enumerate(inputs)])
        init = tuple(self._held(inputs[place], op.inputs[place]) for place in places)
        if followed is None:
            self._set_all(op, arguments(while_loop(goes_on, step, init), ()))
            return
        length = len(next(iter(followed.values()))) - 1
        xs = tuple(self._current().lift(np.stack(values[:-1])) for values in counters.values()) if length else ()
        last = [values[-1] for values in counters.values()]
        found = scan(lambda carry, counts: (step(carry, counts), ()), init, xs, length=length)[0] if length else init
        self._set_all(op, arguments(found, last))

    # -- values --------------------------------------------------------------------------------------------------

    def get(self, tensor: Any) -> Any:
        """What a tensor is: a value, a known array, or a variable."""
        try:
            return self.env[self._key(tensor)]
        except KeyError:
            raise CaptureError(f"{tensor.name} comes from a layer that was read as a whole{self._place()}") from None

    def value(self, tensor: Any) -> Value:
        """What a tensor is, as a value: a known array becomes a constant."""
        return self.lift(self.get(tensor), tensor)

    def lift(self, found: Any, tensor: Any) -> Value:
        """What a tensor was found to be, as a value."""
        if isinstance(found, Value):
            return found
        if isinstance(found, Variable):
            return self._variable(found)
        if isinstance(found, TensorList):
            raise CaptureError(f"a list of tensors is taken for an array{self._place()}", hint="stack the TensorArray")
        dtype = dtype_name(tensor.dtype)
        if not has_sizes(found):
            return self._current().lift(found.astype(dtype) if found.dtype.name != dtype else found)
        items = [ops.full(shape=(), fill_value=item, dtype=dtype) for item in found.ravel().tolist()]
        flat = ops.stack(items, axis=0)
        return items[0] if found.ndim == 0 else flat if found.ndim == 1 else ops.reshape(flat, shape=found.shape)

    def _set(self, tensor: Any, value: Any) -> None:
        self.env[self._key(tensor)] = value

    @staticmethod
    def _key(tensor: Any) -> tuple[int, str, int]:
        return id(tensor.graph), tensor.op.name, tensor.value_index

    def _current(self) -> Builder:
        found = RECORDER.get()
        return found if isinstance(found, Builder) else self.builder

    def _scope(self, op: Any) -> Scope:
        return self._at(user_line(op))

    def _at(self, line: tuple[str, int]) -> Scope:
        call = self._current().scope.call
        file, number_ = line
        return Scope(call, short_path(file) if file else "", number_, assigned_name(file, number_))

    def _place(self) -> str:
        scope = self._current().scope
        path = "" if self._current().nested else self.builder.graph.calls[scope.call].module
        inside = f" in {path}" if path else ""
        return f"{inside} at {scope.file}:{scope.line}" if scope.file else inside


class _Peekable:
    """An iterator whose next item can be seen."""

    def __init__(self, items: Iterable[Interval]) -> None:
        self._items = iter(items)
        self.next: Interval | None = next(self._items, None)

    def advance(self) -> None:
        self.next = next(self._items, None)


_NEUTRAL = frozenset({"use_cudnn_on_gpu", "validate_indices", "parallel_iterations", "sorted", "validate_shape", "N"})
"""Attributes that say how something is computed, and not what."""


def _is_invariant(body: Any, place: int) -> bool:
    tensor = body.outputs[place]
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor is body.inputs[place] or tensor.name == body.inputs[place].name


_STATEFUL = ("Assign", "PartitionedCall", "While", "If", "Case", *OUTSIDE)
