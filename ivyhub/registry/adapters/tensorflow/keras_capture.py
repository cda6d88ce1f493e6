"""Capture of Keras models: sequential, functional or subclassed, on the TensorFlow backend.

While the model is traced, calls of layers are watched: what each was given, what it gave, and which operations it made.
Watching ends with the trace. Names are those of the layers: of an attribute where a layer is one, else its own.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import keyword
import re
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ....engine.graph import Call, ModuleInfo, Parameter, Value
from ....engine.spec import Spec
from ....engine.trace import starred
from ....errors import CaptureError, UsageError
from .. import carried
from ..source import Capture
from .capture import Dynamic, Tracing, bind
from .keras_files import load
from .keras_layers import Reading, read_layer, read_noise
from .original import Slot, Watch
from .reader import Interval


def capture(
    model: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, dynamic: Dynamic | None = None
) -> Capture:
    """Capture a Keras model or layer, or the model of a ``.keras`` file.

    Without example inputs, those that it was built for are taken.

    Raises:
        UsageError: the backend of Keras is another one, or the model was never built and there are no inputs.
        CaptureError: it behaves differently in training in what is no layer that graphs keep.
        UnsupportedOpsError: with every operation that no rule reads.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2, name="out")])
        >>> found = capture(model)
        >>> found.graph.outputs.spec, found.graph.modules["out"].layer
        (float32[batch, 2], 'Linear')
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"Keras runs on {keras.backend.backend()}; models are captured on its TensorFlow backend",
            hint="set KERAS_BACKEND=tensorflow before keras is imported",
        )
    if isinstance(model, str | Path):
        model = load(Path(model))
    if not args and not kwargs:
        args, dynamic = _own_inputs(model, dynamic or {})
    arguments = bind(model.call, args, dict(kwargs or {}))
    arguments.pop("training", None)
    takes_training = "training" in inspect.signature(model.call).parameters
    signature = inspect.signature(model.call)

    def run(given: Mapping[str, Any], train: bool) -> Any:
        positional, named = _split(signature, given)
        mode = {"training": train} if takes_training else {}
        return model(*positional, **{**named, **mode})

    tracing = Tracing(arguments, dynamic or {}, lambda given: run(given, False))
    watching = Watching(model)
    with watching.calls():
        tracing.trace()
    if takes_training:
        trained = Tracing(arguments, dynamic or {}, lambda given: run(given, True))
        other = Watching(model)
        with other.calls():
            trained.trace()
        _check_training(watching, other, model)
    slots = _enter_modules(tracing, watching, model)
    tracing.intervals = watching.finished()
    tracing.builder.graph.meta |= starred(signature)
    cls = f"{type(model).__module__}.{type(model).__qualname__}"
    found = tracing.finish(
        cls, slots, run, Watch(lambda told: _hooks(watching.paths, told), lambda: _no_dropout(model))
    )
    for path, info in found.graph.modules.items():
        counter = f"{path}.num_batches_tracked"
        if info.layer == "BatchNorm" and "num_batches_tracked" in info.parameters:
            found.tensors[counter] = np.zeros((), np.int64)  # Keras counts no batches
    return found


def _split(signature: inspect.Signature, given: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments as Keras takes them: by position up to the first that holds no tensor."""
    import tensorflow as tf

    kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
    places = dict(given)
    if not any(kind is inspect.Parameter.VAR_POSITIONAL for kind in kinds.values()):
        holds = (all(map(tf.is_tensor, tf.nest.flatten(each))) for each in given.values())
        count = len(list(itertools.takewhile(bool, holds)))
        places = dict(list(given.items())[:count])
    bound = inspect.BoundArguments(signature, places)  # type: ignore[arg-type]
    rest = {name: each for name, each in given.items() if name not in places}
    return bound.args, {**bound.kwargs, **rest}


def _own_inputs(model: Any, dynamic: Dynamic) -> tuple[tuple[Any, ...], Dynamic]:
    """The inputs that a model was built for; the first axis is the batch."""
    import keras
    import tensorflow as tf

    tree: Any = None
    shapes = (getattr(model, "_build_shapes_dict", None) or {}) if getattr(model, "built", False) else {}
    if isinstance(model, keras.Sequential) and model.built and model.inputs:
        tree = model.inputs[0]
    elif getattr(model, "_inputs_struct", None) is not None:
        tree = getattr(model, "_inputs_struct")  # noqa: B009 - a functional model's
    elif list(shapes) in (["input_shape"], ["inputs_shape"]):
        (shape,) = shapes.values()
        tree = keras.KerasTensor(tuple(shape), dtype=model.compute_dtype) if isinstance(shape[0], int | None) else None
    if tree is None:
        raise UsageError(
            f"the inputs of {type(model).__name__} are not known",
            hint="pass example inputs as args, or build the model",
        )
    name = next(iter(inspect.signature(model.call).parameters))
    spec = keras.tree.map_structure(lambda leaf: tf.TensorSpec(tuple(leaf.shape), leaf.dtype), tree)
    return (spec,), {name: {0: "batch"}, **dynamic}


# -- names -------------------------------------------------------------------------------------------------------------


def _word(name: str) -> str:
    """A name of Keras as an attribute's."""
    word = re.sub(r"\W", "_", name).strip("_") or "layer"
    return f"{word}_" if keyword.iskeyword(word) else f"_{word}" if word[0].isdigit() else word


def layer_paths(model: Any) -> dict[int, str]:
    """The path of each layer of a model, by identity; a layer in several places has its first."""
    import keras

    kinds: Any = keras.layers
    sequential: Any = keras.Sequential
    found: dict[int, str] = {id(model): ""}

    def visit(parent: Any, path: str) -> None:
        named: dict[int, str] = {}
        if not isinstance(parent, sequential) and not hasattr(parent, "_inputs_struct"):
            for name, value in vars(parent).items():
                if name.startswith("_"):
                    continue
                for steps, layer in _layers_of(value, (name,)):
                    named.setdefault(id(layer), ".".join(steps))
        taken: set[str] = set(named.values())
        for layer in parent._layers:
            if id(layer) in found or isinstance(layer, kinds.InputLayer) or not hasattr(layer, "_layers"):
                continue
            word = named.get(id(layer))
            if word is None:
                base = word = _word(layer.name)
                count = 2
                while word in taken:
                    word, count = f"{base}_{count}", count + 1
                taken.add(word)
            if isinstance(parent, kinds.RNN) and layer is parent.cell:
                found[id(layer)] = path  # the cell's arrays are the layer's
                visit(layer, path)
                continue
            found[id(layer)] = f"{path}.{word}" if path else word
            visit(layer, found[id(layer)])

    visit(model, "")
    return found


def _layers_of(value: Any, steps: tuple[str, ...]) -> Generator[tuple[tuple[str, ...], Any]]:
    import keras

    if isinstance(value, keras.layers.Layer):
        yield steps, value
    elif isinstance(value, list | tuple):
        for place, child in enumerate(value):
            yield from _layers_of(child, (*steps, str(place)))
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _layers_of(child, (*steps, _word(str(key))))


# -- watching ----------------------------------------------------------------------------------------------------------


class Watching:
    """Every call of a layer of a model is noted as an `Interval` of the graph that is being traced.

    Attributes:
        paths: of the model's layers, by identity.
        layers: by path.
        readings: the leaf layers by path.
        intervals: by the identity of a function graph.
        graphs: those graphs, which must live as long as their identities count.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.paths = layer_paths(model)
        self.layers: dict[str, Any] = {}
        self.readings: dict[str, Reading] = {}
        self.intervals: dict[int, list[Interval]] = {}
        self.graphs: dict[int, Any] = {}
        self.formulas: dict[int, tuple[Interval, Callable[..., Any]]] = {}
        self._within: list[Interval] = []

    @contextlib.contextmanager
    def calls(self) -> Generator[None]:
        """While entered, calls of layers are noted, and those of functions that exports carry."""
        with each_call(self.called), _each_function(self.model, self.function):
            yield

    def function(self, original: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function that exports carry, and note it as what it is."""
        import tensorflow as tf

        given = inspect.signature(original).bind(*args, **kwargs).arguments
        arrays = {word: value for word, value in given.items() if tf.is_tensor(value)}
        read = carried.FUNCTIONS[name](**{word: value for word, value in given.items() if word not in arrays})
        graph = tf.compat.v1.get_default_graph()
        here = not tf.executing_eagerly() and all(value.graph is graph for value in arrays.values())
        if read is None or not here or (self._within and self._within[-1].run is not None):
            return original(*args, **kwargs)
        path = self._within[-1].path if self._within else ""
        interval = Interval(path, len(graph.get_operations()), inputs=list(arrays.values()))
        interval.run = lambda *values: (read(*values),)
        self.intervals.setdefault(id(graph), []).append(interval)
        self.graphs[id(graph)] = graph
        result = original(*args, **kwargs)
        interval.end, interval.results = len(graph.get_operations()), [result]
        return result

    def called(self, original: Callable[..., Any], layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a layer, and note it."""
        import tensorflow as tf

        if id(layer) not in self.paths:
            self.paths = layer_paths(self.model)  # it was made by the first call
        path = self.paths.get(id(layer))
        graph = tf.compat.v1.get_default_graph()
        inside_leaf = bool(self._within) and self._within[-1].run is not None
        if not path or inside_leaf or _is_plain(layer) or tf.executing_eagerly():
            return original(layer, *args, **kwargs)
        interval = Interval(path, len(graph.get_operations()))
        notes = self.intervals.setdefault(id(graph), [])
        self.graphs[id(graph)] = graph
        notes.append(interval)
        self.layers[path] = layer
        x: Any = args[0] if args else next(iter(kwargs.values()), None)
        tensors = [leaf for leaf in tf.nest.flatten((args, kwargs)) if tf.is_tensor(leaf)]
        single = tf.is_tensor(x) and len(tensors) == 1 and x.graph is graph
        ends: list[tuple[Any, int]] = []
        if single and not layer.built:
            layer.build(x.shape)
        reading = read_layer(layer, x) if single else None
        formula = read_noise(layer, x) if single and reading is None else None
        if reading is not None:
            self.readings[path] = reading
            interval.run = _unbound
        elif formula is not None:
            interval.run = _unbound
            self.formulas[id(interval)] = (interval, formula)
        self._within.append(interval)
        try:
            with _spied(layer, graph, ends) if reading is not None else contextlib.nullcontext():
                result = original(layer, *args, **kwargs)
        finally:
            self._within.pop()
        if interval.run is not None and not ends and any(leaf is x for leaf in tf.nest.flatten(result)):
            result = tf.identity(result)  # in evaluation a dropout is its input, and yet a layer
        interval.end = ends[0][1] if ends else len(graph.get_operations())
        interval.inputs = [x] if interval.run is not None else []
        interval.results = [ends[0][0]] if ends else [leaf for leaf in tf.nest.flatten(result) if tf.is_tensor(leaf)]
        if interval.run is None:
            signature = inspect.signature(layer.call)
            with contextlib.suppress(TypeError):
                interval.arguments = dict(signature.bind(*args, **kwargs).arguments)
            interval.result = result
        return result

    def finished(self) -> dict[int, list[Interval]]:
        """The intervals, each leaf with what reads it."""
        for notes in self.intervals.values():
            for interval in notes:
                if id(interval) in self.formulas:
                    _, function = self.formulas[id(interval)]
                    interval.run = _in_its_call(interval.path, function)
                elif interval.run is _unbound:
                    interval.run = _calls_leaf(interval.path, self.readings[interval.path])
        return self.intervals

    def outside(self) -> list[tuple[str, ...]]:
        """The types of the operations of each graph that stand outside of leaf layers."""
        found: list[tuple[str, ...]] = []
        for key, graph in self.graphs.items():
            covered: set[int] = set()
            for interval in self.intervals[key]:
                if interval.run is not None:
                    covered.update(range(interval.start, max(interval.end, interval.start)))
            every = graph.get_operations()
            kept = (op.type for place, op in enumerate(every) if place not in covered)
            found.append(tuple(kind for kind in kept if kind not in ("Placeholder", "NoOp", "Identity")))
        return found


def _unbound(*_: Any) -> Any:
    raise CaptureError("a leaf layer was read before its watch was finished")


def _calls_leaf(path: str, reading: Reading) -> Callable[[Value], tuple[Value, ...]]:
    def run(x: Value) -> tuple[Value, ...]:
        from ....engine.recording import RECORDER

        found = reading.after(RECORDER.get().call(path, [reading.before(x)]))
        return found if isinstance(found, tuple) else (found,)

    return run


def _in_its_call(path: str, function: Callable[[Value], tuple[Value, ...]]) -> Callable[[Value], tuple[Value, ...]]:
    def run(x: Value) -> tuple[Value, ...]:
        from ....engine.recording import RECORDER

        current = RECORDER.get()
        if current.nested:
            return function(x)
        current.graph.calls.append(Call(path, current.scope.call, {"inputs": x}))
        with current.recording(replace(current.scope, call=len(current.graph.calls) - 1)):
            found = function(x)
        current.graph.calls[-1].result = found[0] if len(found) == 1 else found
        return found

    return run


def _is_plain(layer: Any) -> bool:
    """Whether a layer of Keras is no more than its operations: it has neither arrays nor layers that a graph keeps."""
    import keras

    own = type(layer).__module__.startswith("keras.")
    return (
        own
        and not layer._layers
        and not layer.variables
        and not isinstance(layer, keras.layers.Dropout)
        and layer.built
    )


@contextlib.contextmanager
def _spied(layer: Any, graph: Any, ends: list[tuple[Any, int]]) -> Generator[None]:
    """While entered, a layer's activation notes what it is given and when: the leaf ends there."""
    activation = vars(layer).get("activation")
    if activation is None:
        yield
        return

    def spy(x: Any, *args: Any, **kwargs: Any) -> Any:
        ends.append((x, len(graph.get_operations())))
        return activation(x, *args, **kwargs)

    vars(layer)["activation"] = spy
    try:
        yield
    finally:
        vars(layer)["activation"] = activation


def _check_training(evaluating: Watching, training: Watching, model: Any) -> None:
    """Raise `CaptureError` where training makes other operations outside of leaf layers."""
    if evaluating.outside() == training.outside():
        return
    found = {path for notes in training.intervals.values() for interval in notes if (path := interval.path)}
    suspects = [path for path in sorted(found) if "Dropout" in type(training.layers[path]).__name__]
    suspects += [path for path in sorted(found) if "Noise" in type(training.layers[path]).__name__]
    raise CaptureError(
        f"{type(model).__name__} computes something else in training than in evaluation"
        + (f": {', '.join(suspects)}" if suspects else ""),
        hint="only Dropout and BatchNormalization (with its channels last, and both center and scale, or neither) "
        "are kept with both behaviours",
    )


# -- parameters --------------------------------------------------------------------------------------------------------


def _enter_modules(tracing: Tracing, watching: Watching, model: Any) -> list[Slot]:
    """Fill the module table with the layers that were called, and give each of their arrays its place."""
    graph = tracing.builder.graph
    layers = {"": model, **watching.layers}
    read = {id(variable) for variable in tracing.variables()}
    for layer, path in _own_layers(model, watching.paths):  # what another layer computes with, past its own call
        if any(id(variable.value) in read for _, variable in _own_variables(layer)):
            layers.setdefault(path, layer)
    for path in sorted(layers):
        steps = path.split(".") if path else []
        for end in range(1, len(steps)):
            kind = "ModuleList" if steps[end].isdigit() else "ModuleDict"
            graph.modules.setdefault(".".join(steps[:end]), ModuleInfo(".".join(steps[:end]), kind))
        kind = type(layers[path])
        info = graph.modules[path] = ModuleInfo(path, f"{kind.__module__}.{kind.__qualname__}")
        if path in watching.readings:
            info.layer, leaf = watching.readings[path].layer, watching.readings[path].leaf
            info.config = leaf.config
    slots: list[Slot] = []
    known: dict[int, str] = {}
    for path, reading in watching.readings.items():
        leaf = reading.leaf
        for name, (variable, arrange) in reading.weights.items():
            buffer = name in leaf.buffers()
            known[id(variable.value)] = path
            slots.append(Slot(f"{path}.{name}", variable.value, not buffer, arrange))
            graph.modules[path].parameters[name] = Parameter(slots[-1].spec, not buffer)
        for name, (shape, dtype) in leaf.buffers().items():
            graph.modules[path].parameters.setdefault(name, Parameter(Spec(shape, dtype), trainable=False))
    for layer, path in _own_layers(model, watching.paths):
        if path not in graph.modules:
            continue
        for name, variable in _own_variables(layer):
            if id(variable.value) in known or "seed_generator" in variable.path:
                continue
            known[id(variable.value)] = path
            count, word = 2, name
            while word in graph.modules[path].parameters:
                word, count = f"{name}_{count}", count + 1
            full = f"{path}.{word}" if path else word
            slots.append(Slot(full, variable.value, variable.trainable))
            graph.modules[path].parameters[word] = Parameter(slots[-1].spec, variable.trainable)
    return slots


def _own_layers(model: Any, paths: Mapping[int, str]) -> list[tuple[Any, str]]:
    found = [model, *model._flatten_layers(include_self=False)]
    return [(layer, paths[id(layer)]) for layer in found if id(layer) in paths]


def _own_variables(layer: Any) -> list[tuple[str, Any]]:
    """A layer's own variables by name: of an attribute where one is, else their own."""
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    named = {id(value): name.strip("_") for name, value in vars(layer).items() if any(value is v for v in own)}
    return [(named.get(id(variable), _word(variable.name)), variable) for variable in own]


# -- the live model ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _no_dropout(model: Any) -> Generator[None]:
    """While entered, nothing is dropped."""
    import keras

    layers = [each for each in model._flatten_layers() if isinstance(each, keras.layers.Dropout)]
    rates = [each.rate for each in layers]
    try:
        for each in layers:
            each.rate = 0.0
        yield
    finally:
        for each, rate in zip(layers, rates, strict=True):
            each.rate = rate


@contextlib.contextmanager
def _hooks(paths: Mapping[int, str], told: Callable[[str, Any], None]) -> Generator[None]:
    """While entered, tell the path of each layer as its call ends, with its result."""

    def called(original: Callable[..., Any], layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = original(layer, *args, **kwargs)
        if paths.get(id(layer)):
            told(paths[id(layer)], result)
        return result

    with each_call(called):
        yield


@contextlib.contextmanager
def each_call(called: Callable[..., Any]) -> Generator[None]:
    """While entered, calls of layers go through a function of (what calls a layer, the layer, args, kwargs)."""
    import keras

    base: Any = keras.layers.Layer
    original = base.__call__

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - it stands for the layer's
        return called(original, self, args, kwargs)

    base.__call__ = __call__
    try:
        yield
    finally:
        base.__call__ = original


@contextlib.contextmanager
def _each_function(model: Any, called: Callable[..., Any]) -> Generator[None]:
    """While entered, calls of functions that exports carry go through one of (the function, its name, args, kwargs)."""
    modules = {type(layer).__module__ for layer in model._flatten_layers()}
    changed: list[tuple[Any, str, Any]] = []
    for module, name in itertools.product(map(sys.modules.get, modules), carried.FUNCTIONS):
        original = getattr(module, name, None)
        if original is not None and carried.is_carried(original, "tensorflow"):
            changed.append((module, name, original))
    try:
        for module, name, original in changed:
            setattr(module, name, _around(original, name, called))
        yield
    finally:
        for module, name, original in changed:
            setattr(module, name, original)


def _around(original: Callable[..., Any], name: str, called: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: called(original, name, args, kwargs)
