"""Capture: functions of TensorFlow, and modules of `tf.Module`, as graphs.

The function is traced by `tf.function`, with the sizes that vary unknown. Its variables become parameters under their
names, or their attribute paths in a module; Python numbers among the arguments are part of the graph.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ....engine.backends import dtype_name
from ....engine.dims import Dim
from ....engine.graph import Graph, ModuleInfo, Parameter, Record, Value, tree_leaves, tree_map
from ....engine.passes.layout import sink
from ....engine.spec import Spec
from ....engine.trace import Builder, keep_signature, starred
from ....engine.verify import verify
from ....errors import CaptureError, EngineError, UnsupportedOpsError
from ..arguments import like
from ..running import leaves
from ..source import Capture
from .lines import refusal
from .original import Original, Slot, Watch
from .reader import Interval, Reader, Variable

Dynamic = Mapping[str, Mapping[int, str]]


def capture(
    source: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, dynamic: Dynamic | None = None
) -> Capture:
    """Capture a function of TensorFlow's arrays, a `tf.function` or a `tf.Module` from example inputs or their specs.

    Args:
        source: what is called with the inputs.
        args: tensors or `tf.TensorSpec`s, nested in tuples, lists and dictionaries, and Python values.
        kwargs: the same by name.
        dynamic: the names of sizes that vary. One that a spec leaves open is named by itself.

    Raises:
        CaptureError: the inputs do not fit, the way depends on values, or an operation has no meaning in a graph.
        UnsupportedOpsError: with every operation that no rule reads.

    Example:
        >>> import tensorflow as tf
        >>> found = capture(lambda x: tf.nn.relu(x) * 2.0, (tf.TensorSpec((None, 3)),), dynamic={"x": {0: "n"}})
        >>> found.graph.outputs.spec
        float32[n, 3]
    """
    import tensorflow as tf

    python = getattr(source, "python_function", source)
    call: Any = getattr(source, "__call__") if isinstance(source, tf.Module) else python  # noqa: B009, B004
    whole = isinstance(source, tf.Module | tf.types.experimental.PolymorphicFunction)
    run: Any = source if whole else tf.function(source)
    arguments = bind(call, args, dict(kwargs or {}))
    signature = inspect.signature(call)
    name = type(source).__qualname__ if isinstance(source, tf.Module) else getattr(python, "__name__", "")
    tracing = Tracing(arguments, dynamic or {}, lambda given: _called(run, signature, given))
    named = _module_variables(source) if isinstance(source, tf.Module) else {}
    tracing.trace()
    slots = _slots(tracing.variables(), named)
    builder = tracing.builder
    enter_slots(builder.graph, slots)
    if isinstance(source, tf.Module):
        builder.graph.meta |= starred(signature)
        cls = f"{type(source).__module__}.{type(source).__qualname__}"
    else:
        keep_signature(builder.graph, python)
        words = [word[:1].upper() + word[1:] for word in name.split("_")] if name.isidentifier() else []
        cls = "".join(words) or "Function"
    return tracing.finish(cls, slots, lambda given, train: _called(run, signature, given))


def _called(run: Callable[..., Any], signature: inspect.Signature, given: Mapping[str, Any]) -> Any:
    bound = inspect.BoundArguments(signature, dict(given))  # type: ignore[arg-type]
    return run(*bound.args, **bound.kwargs)


def bind(call: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Example inputs by the names of a function's parameters. Raises `CaptureError` where they do not fit."""
    signature = inspect.signature(call)
    try:
        return dict(signature.bind(*args, **kwargs).arguments)
    except TypeError as error:
        raise CaptureError(
            f"the example inputs do not fit {getattr(call, '__qualname__', call)}: {error}",
            hint=f"its signature is {signature}",
        ) from None


class Tracing:
    """One trace of a function, with the graph that is built from it.

    Attributes:
        arguments: by name, trees of tensors, specs and plain values.
        run: calls the source with arguments by name.
    """

    def __init__(self, arguments: dict[str, Any], dynamic: Dynamic, run: Callable[[dict[str, Any]], Any]) -> None:
        self.arguments = arguments
        self.run = run
        self.notes: list[str] = []
        self.builder = Builder()
        self.intervals: dict[int, list[Interval]] = {}
        self.examples: dict[str, np.ndarray] = {}
        self.concrete: Any = None
        self.result: Any = None
        unknown = dynamic.keys() - arguments.keys()
        if unknown:
            raise CaptureError(f"there is no input {', '.join(sorted(unknown))}", hint=f"it has {', '.join(arguments)}")
        self.specs = {name: self._specs(name, tree, dynamic.get(name, {})) for name, tree in arguments.items()}

    def _specs(self, name: str, tree: Any, axes: Mapping[int, str]) -> Any:
        """A tree of arguments with `Spec`s in the places of arrays."""
        paths = iter([path for path, _ in tree_leaves(tree, name)])

        def spec(leaf: Any) -> Any:
            path = next(paths)
            if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
                if leaf is not None and not isinstance(leaf, bool | str):
                    self.notes.append(f"{path}={leaf!r} is baked into the graph")
                return leaf
            if not isinstance(leaf, Spec) and _is_numeric(leaf):
                self.examples[path] = np.asarray(leaf)
            return Spec(_sizes(path, leaf, axes), dtype_name(leaf.dtype))

        return tree_map(spec, tree)

    def trace(self) -> None:
        """Trace the source. Raises `CaptureError` with the user's line where TensorFlow refuses."""
        import tensorflow as tf

        flat = [spec for _, spec in tree_leaves(self.specs) if isinstance(spec, Spec)]
        wanted = [
            tf.TensorSpec([size if isinstance(size, int) else None for size in spec.shape], spec.dtype) for spec in flat
        ]

        def traced(*tensors: Any) -> list[Any]:
            given = iter(tensors)
            arguments = tree_map(lambda leaf: next(given) if isinstance(leaf, Spec) else leaf, self.specs)
            self.result = self.run(arguments)
            return [tf.convert_to_tensor(leaf) for leaf in leaves(self.result)]

        try:
            self.concrete = tf.function(traced, autograph=False).get_concrete_function(*wanted)
        except CaptureError:
            raise
        except Exception as error:
            raise refusal(error) from error

    def variables(self) -> list[Any]:
        """The variables that the trace reads or assigns, without those of random generators."""
        return list(self.concrete.graph.variables)

    def finish(
        self,
        cls: str,
        slots: Sequence[Slot],
        run: Callable[[dict[str, Any], bool], Any],
        watch: Watch | None = None,
    ) -> Capture:
        """Read the trace into the graph."""
        builder, graph = self.builder, self.builder.graph
        graph.modules[""].cls = cls
        inputs = [builder.input(name, spec) for name, spec in self.specs.items()]
        given = [leaf for _, leaf in tree_leaves(inputs) if isinstance(leaf, Value)]
        reader = Reader(builder, intervals=self.intervals)
        handles = {id(slot.variable.handle): Variable(slot.path) for slot in slots}
        captured = [self._captured(external, handles) for external, _ in self.concrete.graph.captures]
        try:
            with builder.recording():
                reader.read(self.concrete.graph, [*given, *captured])
                outputs = [reader.value(tensor) for tensor in self.concrete.graph.outputs]
        except EngineError as error:
            if not reader.missing:
                raise
            raise UnsupportedOpsError(list(dict.fromkeys(reader.missing))) from error
        if reader.missing:
            raise UnsupportedOpsError(list(dict.fromkeys(reader.missing)))
        results = iter(outputs)
        builder.finish(_structured(self.result, results))
        graph.meta.update({"framework": "tensorflow", "class": cls, "module": cls.rpartition(".")[0]})
        sink(graph)
        verify(graph)
        tensors = {slot.path: slot.native() for slot in slots if slot.path in dict(graph.parameters())}
        return Capture(
            graph,
            tensors,
            lambda arrange: Original(run, slots, lambda arrays: like(self.arguments, arrange(arrays)), watch),
            self.examples,
            self.notes,
        )

    def _captured(self, external: Any, handles: Mapping[int, Variable]) -> Any:
        if id(external) in handles:
            return handles[id(external)]
        try:
            return external.numpy()
        except (AttributeError, NotImplementedError, RuntimeError, ValueError, TypeError) as error:
            raise CaptureError(
                f"the function closes over {external!r}, which is neither a variable nor a constant",
                hint="pass it as an argument",
            ) from error


def _is_numeric(leaf: Any) -> bool:
    import tensorflow as tf

    return isinstance(leaf, np.ndarray) or (tf.is_tensor(leaf) and hasattr(leaf, "numpy"))


def _sizes(path: str, leaf: Any, axes: Mapping[int, str]) -> tuple[Any, ...]:
    if leaf.shape is None or getattr(leaf.shape, "rank", 0) is None:
        raise CaptureError(f"the number of axes of {path} is unknown", hint="give a spec with a shape")
    word = re.sub(r"\W", "_", path)
    return tuple(
        Dim.symbol(axes[axis])
        if axis in axes
        else Dim.symbol(f"{word}_{axis}")
        if size is None
        else (size if isinstance(size, Dim) else int(size))
        for axis, size in enumerate(tuple(leaf.shape))
    )


def _structured(tree: Any, values: Any) -> Any:
    """The result of the source with values in the places of its arrays."""
    from collections.abc import Mapping as Table

    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    if isinstance(tree, Table):
        return {str(key): _structured(child, values) for key, child in tree.items()}
    if isinstance(tree, tuple | list):
        children = tuple(_structured(child, values) for child in tree)
        fields = getattr(tree, "_fields", None)
        return children if fields is None else Record(type(tree).__name__, dict(zip(fields, children, strict=True)))
    return next(values)


# -- variables ---------------------------------------------------------------------------------------------------------


def _module_variables(module: Any) -> dict[int, str]:
    """The attribute path of each variable of a `tf.Module`, by identity."""
    import tensorflow as tf

    found: dict[int, str] = {}
    for path, variable in module._flatten(predicate=lambda leaf: isinstance(leaf, tf.Variable), with_path=True):
        words = ".".join(str(part) for part in path)
        found.setdefault(id(variable), ".".join(re.sub(r"\W", "_", word) for word in words.split(".")))
    return found


def _slots(variables: Sequence[Any], named: Mapping[int, str]) -> list[Slot]:
    """Where the variables of a trace go: under their attribute paths, else under their names."""
    slots: list[Slot] = []
    taken: set[str] = set()
    for variable in variables:
        path = named.get(id(variable))
        if path is None:
            word = re.sub(r"\W", "_", variable.name.partition(":")[0].replace("/", "_")) or "variable"
            path = f"_{word}" if word[0].isdigit() else word
        base, count = path, 2
        while path in taken:
            path, count = f"{base}_{count}", count + 1
        taken.add(path)
        slots.append(Slot(path, variable, variable.trainable))
    return slots


def enter_slots(graph: Graph, slots: Sequence[Slot]) -> None:
    """Fill the module table with the parameters of variables."""
    for slot in slots:
        module, _, name = slot.path.rpartition(".")
        steps = module.split(".") if module else []
        for end in range(1, len(steps) + 1):
            path = ".".join(steps[:end])
            graph.modules.setdefault(path, ModuleInfo(path, "tensorflow.Module"))
        graph.modules[module].parameters[name] = Parameter(slot.spec, slot.trainable)
