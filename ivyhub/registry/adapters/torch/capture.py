"""PyTorch -> Graph, through ``torch.export``.

The training IR of `torch.export.export` gives the operations, the module stack and the symbolic sizes. Two things it
does not give are taken while it traces: which tensors each module call received and returned (forward hooks look up
the tracer's node of each tensor, so that nothing is added to the program), and nothing else. All hooks end with the
capture. Sizes are made dynamic with ``Dim.AUTO`` and named afterwards, so one trace is enough.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import operator
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ....engine.backends import FRAMEWORKS, dtype_name, load
from ....engine.dims import Dim, Size
from ....engine.graph import Call, Scope, Value, tree_leaves, tree_map
from ....engine.lines import assigned_name, keep_last_hint, short_path
from ....engine.recording import RECORDER
from ....engine.spec import Spec
from ....engine.trace import Builder, starred
from ....errors import CaptureError, EngineError, UnsupportedOpsError
from ..running import Original
from ..source import Arrange, Capture
from .arguments import bind, flattened, name_calls, named_arguments, unbind
from .attention import STANDS_FOR, whole_attention
from .control import CONTROL
from .decompose import decomposed
from .formulas import unlooking
from .functional import Storage, is_projection, memory_order, mutated_buffers
from .layers import RECURRENT, read_layer, rule_of
from .lines import hushed, module_stack, refusal, source_line
from .packed import packed_sequences
from .rules import RULES
from .rules.common import apply
from .sizes import keep_ranges, size_of, widened
from .state import Attributes
from .table import describe, is_constant, tensors
from .training import Watch
from .trees import pytree_of_torch, to_numpy, unflatten

CONTAINERS = frozenset({"Sequential", "ModuleList", "ModuleDict"})


def capture(
    module: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
) -> Capture:
    """Capture a live ``torch.nn.Module`` with its training behaviour.

    Args:
        module: any module; its parameters may be on the meta device.
        args: example inputs of ``module.forward``; only shapes, dtypes and non-tensor values are used.
        kwargs: example inputs by name.
        dynamic: for an input by name, the name of the symbolic size of each dynamic axis:
            ``{"x": {0: "batch"}}``. One name is one size, wherever it stands.

    Raises `UnsupportedOpsError` with every operation that no rule reads, `CaptureError` when ``torch.export``
    refuses the module, and `FrameworkNotInstalledError` without torch.

    Example:
        >>> import torch
        >>> found = capture(torch.nn.Linear(3, 2), (torch.zeros(2, 3),), dynamic={"input": {0: "batch"}})
        >>> print(found.graph.outputs.spec)
        float32[batch, 2]
    """
    load("torch")
    arguments = bind(module, args, kwargs or {})
    attributes = Attributes(module)
    try:
        return _Reader(module, arguments, dynamic or {}).read()
    finally:
        attributes.restore()


def _original(module: Any, structures: Mapping[str, Any], arrange: Arrange) -> Original:
    from .run import TorchRunner  # which loads Hugging Face folders, and so captures

    def given(arrays: dict[str, Any]) -> dict[str, Any]:
        """The arguments in the classes that the source takes, as far as PyTorch knows these as trees."""
        return {
            name: pytree_of_torch().tree_unflatten([leaf for _, leaf in tree_leaves(tree)], structures[name])
            for name, tree in arrange(arrays).items()
        }

    return TorchRunner(copy.deepcopy(module), arrange=given)


class _Reader:
    """One capture of one module."""

    def __init__(self, module: Any, arguments: dict[str, Any], dynamic: Mapping[str, Mapping[int, str]]) -> None:
        import torch

        self.torch = torch
        self.module = module
        self.arguments = arguments
        self.dynamic = dynamic
        self.modules: dict[str, Any] = dict(module.named_modules())
        self.leaves = {path: leaf for path, m in self.modules.items() if path and (leaf := read_layer(m))}
        self.builder = Builder()
        self.graph = self.builder.graph
        self.symbols: dict[str, Size] = {}
        self.env: dict[Any, Any] = {}  # torch.fx node -> value, tuple of values, or size
        self.storage = Storage(self.builder, self._arguments)
        self.missing: list[tuple[str, str, str]] = []
        self.notes: list[str] = []
        self.calls: dict[tuple[str, int], int] = {}  # (path, how many-th call) -> index in graph.calls
        self.no_grad = False
        self.within = ""  # the operation whose decomposition is being read
        self.watch = Watch()
        self.changed: dict[str, Any] = {}  # attributes that the call changes, as it leaves them
        self.mutated: set[str] = set()

    # -- the trace -----------------------------------------------------------------------------------------------

    def read(self) -> Capture:
        names, examples = list(self.arguments), widened(self.arguments, self.dynamic)
        program = self._export(names, examples)
        self.program = program
        self.mutated = mutated_buffers(program)
        describe(self.graph, self.module, self.leaves, self.mutated)
        self._name_sizes(program, names)
        self._read_inputs(program, names)
        fx_nodes = [node for node in program.graph.nodes if node.op not in ("placeholder", "output")]
        self._read_nodes(fx_nodes, module_stack)
        if self.missing:
            raise UnsupportedOpsError(
                self.missing,
                hint="add a rule for each (CONTRIBUTING.md, 'A reading rule'), or rewrite the lines that use them",
            )
        self.watch.check()
        self.notes += self.watch.notes()
        self.notes += [
            f"{name} changes from call to call: what a first call makes of it is baked in" for name in self.changed
        ]
        name_calls(self.graph, program.graph.nodes, self.env)
        output = next(node for node in program.graph.nodes if node.op == "output")
        with self.builder.recording(Scope()):  # a view that was returned may have to be taken anew
            leaves = iter(
                [self._get(leaf) if isinstance(leaf, self.torch.fx.Node) else leaf for leaf in output.args[0]]
            )
        outputs = unflatten(program.call_spec.out_spec, leaves)
        self.graph.updates = {
            path: value for path, value in self.storage.updated().items() if not self._is_leaf_state(path)
        }
        graph = self.builder.finish(outputs)
        keep_last_hint(graph)
        graph.meta = {
            "framework": "torch",
            "version": str(FRAMEWORKS["torch"].installed),
            "class": graph.modules[""].cls,
            "module": type(self.module).__module__,
            **starred(inspect.signature(self.module.forward)),
        }
        examples = {
            path: to_numpy(leaf)
            for path, leaf in tree_leaves(self.arguments)
            if isinstance(leaf, self.torch.Tensor) and not leaf.is_meta
        }
        pytree = pytree_of_torch()
        structures = {name: pytree.tree_flatten(tree)[1] for name, tree in self.arguments.items()}
        original = functools.partial(_original, self.module, structures)
        return Capture(graph, tensors(graph, self.module), original, examples, self.notes)

    def _export(self, names: Sequence[str], examples: Mapping[str, Any]) -> Any:
        torch = self.torch
        pytree = pytree_of_torch()
        unknown = set(self.dynamic) - set(names)
        if unknown:
            raise CaptureError(
                f"dynamic names the inputs {sorted(unknown)}; the module received {names}",
                hint="use the parameter names of forward",
            )
        shapes: dict[str, Any] = {}
        for name in names:
            marked = dict.fromkeys(self.dynamic.get(name, {}), torch.export.Dim.AUTO)
            shapes[name] = pytree.tree_map(
                lambda leaf, marked=marked: marked if marked and isinstance(leaf, torch.Tensor) else None,
                examples[name],
            )
        args, kwargs = unbind(self.module, examples)
        export = functools.partial(torch.export.export, self.module, args, kwargs, dynamic_shapes=shapes, strict=False)
        self.module.train()
        # A layer with statistics is read as a whole, and its formula in evaluation is the shorter one to trace.
        statistics = [self.modules[path] for path in self.leaves if self.modules[path]._buffers]
        while True:
            try:
                with named_arguments(self.module, self.arguments), whole_attention(), packed_sequences(), hushed():
                    with unlooking(), self._hooks(), self.watch.watching(self.modules, statistics):
                        program = export()
                    if self.changed:
                        Attributes.give(self.module, self.changed)
                        self._compare(program, export())
                    return program
            except (CaptureError, EngineError):
                raise
            except Exception as error:  # torch.export raises many kinds; each means that it refused the module
                if not self.watch.evaluate_before(error):
                    raise refusal(self.module, error) from error

    def _compare(self, first: Any, second: Any) -> None:
        """Refuse a module that changed itself in a first call so that the second gives another structure."""
        before, after = first.call_spec.out_spec, second.call_spec.out_spec
        if before != after:
            raise CaptureError(
                f"{type(self.module).__name__} returns {before.num_leaves} arrays in a first call and "
                f"{after.num_leaves} in the next, as {', '.join(self.changed)} changed",
                hint="a graph has one structure: convert a module that returns the same in every call",
            )

    @contextlib.contextmanager
    def _hooks(self) -> Generator[None]:
        """While tracing, note which tensors each call of a composite module received and returned."""
        from torch.fx.experimental.proxy_tensor import get_innermost_proxy_mode, get_proxy_slot

        pytree = pytree_of_torch()
        counts: dict[str, int] = {}
        stack: list[int] = []
        attributes = Attributes(self.module)
        self.graph.calls.clear()
        self.calls.clear()

        def mark(call: int, role: str, tree: Any) -> None:
            mode = get_innermost_proxy_mode()
            if mode is None:
                return
            for path, leaf in pytree.tree_flatten_with_path(tree)[0]:
                if isinstance(leaf, self.torch.Tensor):
                    slot = get_proxy_slot(leaf, mode.tracer, None)
                    if slot is not None:
                        keys = tuple(str(getattr(key, "key", getattr(key, "idx", key))) for key in path)
                        slot.proxy.node.meta.setdefault("ivyhub_marks", []).append((call, role, keys))

        def enter(path: str, signature: inspect.Signature) -> Any:
            def hook(module: Any, args: Any, kwargs: Any) -> None:
                index = len(self.graph.calls)
                name = self._caller_name(self.graph.calls[stack[-1]].module) if stack else ""
                self.graph.calls.append(Call(path, stack[-1] if stack else None, name=name))
                count = counts.get(path, 0)
                counts[path] = count + 1
                self.calls[path, count] = index
                stack.append(index)
                bound = flattened(signature, signature.bind(*args, **kwargs))
                self.graph.calls[index].arguments = dict.fromkeys(bound)
                mark(index, "argument", bound)

            return hook

        def leave(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            mark(stack.pop(), "result", output)
            if not stack:
                self.changed = attributes.changed()

        handles = []
        try:
            for path, module in self.modules.items():
                if self._is_composite(path):
                    signature = inspect.signature(module.forward)
                    handles.append(module.register_forward_pre_hook(enter(path, signature), with_kwargs=True))
                    handles.append(module.register_forward_hook(leave, with_kwargs=True))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _caller_name(self, parent: str) -> str:
        """The names to which the running method of a module assigns what it is about to call."""
        owner, frame = self.modules[parent], sys._getframe(2)  # pyright: ignore[reportPrivateUsage]
        while frame.f_locals.get("self") is not owner or frame.f_code.co_name.startswith("_"):
            if frame.f_back is None:
                return ""
            frame = frame.f_back
        return assigned_name(frame.f_code.co_filename, frame.f_lineno)

    def _is_composite(self, path: str) -> bool:
        """Whether calls of a module stand in the graph: it holds parameters, and is neither leaf nor container."""
        if path in self.leaves:
            return False
        if not path:
            return True
        module = self.modules[path]
        if type(module).__name__ in CONTAINERS and type(module).__module__.startswith("torch.nn"):
            return False
        return next(module.parameters(), None) is not None or next(module.buffers(), None) is not None

    def _is_leaf_state(self, path: str) -> bool:
        return path.rpartition(".")[0] in self.leaves

    # -- sizes and inputs ----------------------------------------------------------------------------------------

    def _name_sizes(self, program: Any, names: Sequence[str]) -> None:
        """Give each symbol of the trace the user's name, and its range."""
        placeholders = self._user_placeholders(program)
        keys = self._flat_names(names)
        for (name, _), node in zip(keys, placeholders, strict=True):
            if node is None or not isinstance(node.meta.get("val"), self.torch.Tensor):
                continue
            for axis, wanted in self.dynamic.get(name, {}).items():
                size = node.meta["val"].shape[axis]
                expression = size.node.expr if isinstance(size, self.torch.SymInt) else int(size)
                if getattr(expression, "is_Symbol", False):
                    known = self.symbols.setdefault(str(expression), Dim.symbol(wanted))
                    if str(known) != wanted:
                        self.notes.append(f"the sizes {known} and {wanted} are one: the model needs them equal")
                else:
                    self.notes.append(
                        f"axis {axis} of {name!r} is fixed at {expression}: the model does not allow it to vary"
                    )
        keep_ranges(program.range_constraints, self.symbols, self.graph.symbols)

    def _user_placeholders(self, program: Any) -> list[Any]:
        by_name = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
        user = self.torch.export.graph_signature.InputKind.USER_INPUT
        return [
            by_name.get(getattr(spec.arg, "name", None))
            for spec in program.graph_signature.input_specs
            if spec.kind == user
        ]

    def _flat_names(self, names: Sequence[str]) -> list[tuple[str, Any]]:
        pytree = pytree_of_torch()
        return [(name, leaf) for name in names for leaf in pytree.tree_leaves(self.arguments[name])]

    def _read_inputs(self, program: Any, names: Sequence[str]) -> None:
        pytree = pytree_of_torch()
        nodes = iter(self._user_placeholders(program))
        for name in names:
            leaves, spec = pytree.tree_flatten(self.arguments[name])
            values: list[Any] = []
            for index, leaf in enumerate(leaves):
                node = next(nodes)
                if isinstance(leaf, self.torch.Tensor):
                    hint = name if len(leaves) == 1 else f"{name}_{index}"
                    value = self.builder.value(self._spec(node.meta["val"]), hint)
                    self.env[node] = value
                    self.storage.own(node, value)
                    values.append(value)
                else:
                    values.append(leaf)
                    if leaf is not None and not isinstance(leaf, bool | str):
                        self.notes.append(f"{name}={leaf!r} is baked into the graph")
            self.graph.inputs[name] = unflatten(spec, iter(values))
        kinds = self.torch.export.graph_signature.InputKind
        by_name = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
        for spec in program.graph_signature.input_specs:
            node = by_name.get(getattr(spec.arg, "name", None))
            if spec.kind is kinds.BUFFER and is_constant(self.module, spec.target, self.mutated):
                name = spec.target.rpartition(".")[2]
                self.storage.own_constant(node, to_numpy(self.module.get_buffer(spec.target)), name)
            elif spec.kind in (kinds.PARAMETER, kinds.BUFFER):
                self.storage.own_state(node, self._owner(spec.target))
            elif spec.kind is kinds.CONSTANT_TENSOR:
                self.storage.own_constant(node, to_numpy(program.constants[spec.target]), "constant")

    def _owner(self, path: str) -> str:
        """The full path of the parameter that owns an array, by any of its names, those of shared modules too."""
        module, _, name = path.rpartition(".")
        shared = self.module.get_submodule(module)
        first = next(other for other, m in self.modules.items() if m is shared)
        return self.graph.owner(f"{first}.{name}" if first else name)

    def _spec(self, fake: Any) -> Spec:
        return Spec(tuple(self._size(size) for size in fake.shape), dtype_name(fake.dtype))

    def _shapes(self, fakes: Any) -> list[tuple[Size, ...]]:
        fakes = fakes if isinstance(fakes, tuple | list) else (fakes,)
        return [self._spec(fake).shape for fake in fakes if isinstance(fake, self.torch.Tensor)]

    def _size(self, size: Any) -> Any:
        if isinstance(size, self.torch.SymInt | self.torch.SymFloat | self.torch.SymBool):
            return size_of(size.node.expr, self.symbols)
        return size

    # -- nodes ---------------------------------------------------------------------------------------------------

    def _read_nodes(self, nodes: Sequence[Any], stack_of: Any) -> None:
        position = 0
        while position < len(nodes):
            node = nodes[position]
            stack = stack_of(node)
            leaf = next((entry for entry in stack if entry[0] in self.leaves), None)
            if leaf is None or is_projection(node) or self.leaves[leaf[0]][0] in RECURRENT:
                with self.builder.recording(self._scope(node, stack)):
                    self._read_node(node, leaf[0] if leaf is not None else "")
                position += 1
                continue
            group = [node]
            while position + len(group) < len(nodes) and leaf in stack_of(nodes[position + len(group)]):
                group.append(nodes[position + len(group)])
            with self.builder.recording(self._scope(node, stack)):
                self._read_leaf(leaf[0], group)
            position += len(group)

    def _scope(self, node: Any, stack: list[tuple[str, int]]) -> Scope:
        call = next((self.calls[entry] for entry in reversed(stack) if entry in self.calls), 0)
        file, line = source_line(node.meta.get("stack_trace") or "")
        return Scope(call, short_path(file), line, assigned_name(file, line))

    def _read_leaf(self, path: str, group: Sequence[Any]) -> None:
        """One run of a leaf layer: its operations become one call."""
        inside = set(group)
        for node in group:  # writes of the layer to its own buffers are its own affair
            if self.storage.is_mutation(node) and self._belongs(self.storage.state_path(node.args[0]), path):
                self.storage.alias(node, node.args[0])
        outputs = [n for n in group if any(user not in inside for user in n.users) and not self.storage.state_path(n)]
        operands: list[Any] = []
        for node in group:
            for arg in node.all_input_nodes:
                state = self.storage.state_path(arg)
                if arg not in inside and arg not in operands and not (state and self._belongs(state, path)):
                    operands.append(arg)
        if not outputs:
            return
        if len(outputs) != 1 or len(operands) != 1:
            raise CaptureError(
                f"{path} is a {self.leaves[path][0]} with {len(operands)} inputs and {len(outputs)} outputs"
            )
        value = self.builder.call(path, [self._get(operands[0])])
        self._set(outputs[0], RULES["aten.detach.default"](value) if self.no_grad else value)

    def _belongs(self, state: str, path: str) -> bool:
        parameters = self.graph.modules[path].parameters
        return any((p.alias or f"{path}.{name}") == state for name, p in parameters.items())

    def _read_node(self, node: Any, layer: str = "") -> None:
        torch = self.torch
        val = node.meta.get("val")
        if node.op == "get_attr":
            return  # a sub-graph, read where it is used
        if isinstance(val, torch.SymInt | torch.SymFloat | torch.SymBool):
            self.env[node] = self._size(val)
            return
        if isinstance(val, int | float | bool) and not isinstance(val, torch.Tensor):
            self.env[node] = val
            return
        if node.target is operator.getitem:
            self._set(node, self._get(node.args[0])[node.args[1]])
            return
        name = STANDS_FOR.get(str(node.target), str(node.target))
        if name == "wrap_with_set_grad_enabled":  # with torch.no_grad()
            enabled, body, *args = node.args
            self._read_subgraph(node, body, args, detached=not enabled)
            return
        if name == "wrap_with_autocast" and not node.args[2]:  # with torch.autocast(..., enabled=False)
            self._read_subgraph(node, node.args[4], node.args[5:], detached=self.no_grad)
            return
        if name in CONTROL:
            self._set(node, tuple(CONTROL[name](*(self._held(node, arg) for arg in node.args))))
            return
        if self.storage.is_mutation(node):
            name = self.storage.functional_name(node)
        if name not in RULES:
            if not self._read_decomposed(node, name):
                self._miss(node, name)
            return
        args, kwargs = self._arguments(node)
        if "as_strided" in name:
            kwargs["laid"] = memory_order(node.args[0].meta["val"])
        try:
            result = apply(rule_of(name, layer), args, kwargs, self._shapes(val))
        except EngineError as error:
            path = self.graph.calls[self.builder.scope.call].module
            error.message = f"{error.message}\n  while reading {name} in {path or '(root)'} at {self._line()}"
            error.args = (error.message,)
            raise
        if result is None:
            return
        if self.no_grad:
            cut = RULES["aten.detach.default"]
            result = tree_map(lambda leaf: cut(leaf) if isinstance(leaf, Value) else leaf, result)
        self._check(node, name, result)
        self.storage.silent = self.no_grad
        self._set(node, result)

    def _read_subgraph(self, node: Any, body: Any, args: Sequence[Any], *, detached: bool) -> None:
        """The sub-graph of a ``with`` in its place, its results cut off from gradients where they are ``detached``."""
        sub = getattr(node.graph.owning_module, body.target)
        placeholders = [n for n in sub.graph.nodes if n.op == "placeholder"]
        for placeholder, arg in zip(placeholders, args, strict=True):
            self.storage.alias(placeholder, arg)
            self.env[placeholder] = self._get(arg)
        before, self.no_grad = self.no_grad, detached
        scope = self.builder.scope
        inner = [n for n in sub.graph.nodes if n.op not in ("placeholder", "output")]
        self._read_nodes(inner, lambda n: module_stack(n) or module_stack(node))
        self.builder.scope = scope
        self.no_grad = before
        output = next(n for n in sub.graph.nodes if n.op == "output")
        results = output.args[0]
        self.env[node] = (
            tuple(self._get(r) for r in results) if isinstance(results, tuple | list) else self._get(results)
        )

    def _held(self, node: Any, arg: Any) -> Any:
        """An argument of a node that holds graphs: a graph is a function of values."""
        if not isinstance(arg, self.torch.fx.Node) or arg.op != "get_attr":
            return self._argument(arg)
        graph = node.graph.owning_module.get_submodule(arg.target).graph

        def run(*values: Any) -> list[Any]:
            for placeholder, value in zip(graph.find_nodes(op="placeholder"), values, strict=True):
                self.env[placeholder] = value
                if isinstance(value, Value):
                    self.storage.own(placeholder, value)
            for inner in graph.nodes:
                if inner.op == "call_function":
                    RECORDER.get().scope = replace(self._scope(inner, module_stack(inner)), call=0)
                    self._read_node(inner)
            found = graph.output_node().args[0]
            return [self._get(each) for each in (found if isinstance(found, tuple | list) else [found])]

        return run

    def _read_decomposed(self, node: Any, name: str) -> bool:
        """Read an operation without a rule through PyTorch's own formula for it, where there is one."""
        found = decomposed(node)
        if found is None:
            return False
        program, operands = found
        for placeholder, operand in zip(program.graph.find_nodes(op="placeholder"), operands, strict=True):
            self.env[placeholder] = value = self._get(operand)
            if isinstance(value, Value):
                self.storage.own(placeholder, value)
        before, self.within = self.within, self.within or name
        for inner in program.graph.nodes:
            if inner.op == "get_attr":
                self.storage.own_constant(inner, to_numpy(getattr(program, inner.target)), "constant")
            elif inner.op == "call_function":
                self._read_node(inner)
        self.within = before
        self._set(node, self.torch.fx.map_arg(program.graph.output_node().args[0], self._get))
        return True

    def _argument(self, arg: Any) -> Any:
        """An argument of a node as a rule takes it."""
        torch = self.torch
        if isinstance(arg, torch.fx.Node):
            return self._get(arg)
        if isinstance(arg, torch.dtype):
            return dtype_name(arg)
        if isinstance(arg, tuple | list):
            return tuple(self._argument(item) for item in arg)
        if isinstance(arg, torch.device | torch.layout | torch.memory_format):
            return str(arg)
        return arg

    def _arguments(self, node: Any) -> tuple[list[Any], dict[str, Any]]:
        dropped = ("device", "layout", "pin_memory", "memory_format", "non_blocking")
        kwargs = {key: self._argument(arg) for key, arg in node.kwargs.items() if key not in dropped}
        return [self._argument(arg) for arg in node.args], kwargs

    def _get(self, node: Any) -> Any:
        found = self.storage.read(node)
        return self.env[node] if found is None else found

    def _set(self, node: Any, value: Any) -> None:
        self.env[node] = value
        self.storage.write(node, value)

    def _check(self, node: Any, name: str, result: Any) -> None:
        """The rule's result has the shape and dtype that torch gave."""
        val = node.meta.get("val")
        if isinstance(val, self.torch.Tensor) and isinstance(result, Value):
            expected = self._spec(val)
            if result.spec != expected:
                path = self.graph.calls[self.builder.scope.call].module
                raise CaptureError(
                    f"the rule for {name} in {path or '(root)'} gave {result.spec} where torch gives {expected}"
                    f" ({self._line()})",
                    hint="this is a defect of the rule; please report it",
                )

    def _miss(self, node: Any, name: str) -> None:
        if self.within:
            name = f"{self.within} (through {name})"
        self.missing.append((name, self.graph.calls[self.builder.scope.call].module, self._line()))
        val = node.meta.get("val")

        def stand_in(fake: Any) -> Any:
            return self.builder.value(self._spec(fake)) if isinstance(fake, self.torch.Tensor) else fake

        self._set(node, pytree_of_torch().tree_map(stand_in, val))

    def _line(self) -> str:
        scope = self.builder.scope
        return f"{scope.file}:{scope.line}" if scope.file else ""


__all__ = ["Capture", "capture"]
