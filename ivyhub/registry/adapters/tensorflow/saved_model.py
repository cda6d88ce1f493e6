"""Folders of SavedModels: the function of a signature in ``saved_model.pb``, over the numbers of its checkpoint.

Nothing is loaded as `tf.saved_model.load` loads it, which runs functions of the file to fill its objects. The protobuf
is parsed, the operations that the signature reaches are looked through, and only then TensorFlow is given them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ....errors import CaptureError, CorruptFileError, UnsafeError, UnsupportedOpsError, UsageError
from ..source import Capture
from .capture import Dynamic, Tracing, enter_slots
from .known import SIZES
from .original import Slot
from .reader import OUTSIDE, SAME, SILENT, Reader
from .rules import RULES

FILE = "saved_model.pb"
_SIGNATURE = "serving_default"
_LARGEST = 2**31  # protobuf itself holds no message of more

_HARMLESS = {*SAME, *SIZES, *SILENT} - {"Print", "PrintV2"} | {"DisableCopyOnRead"}
"""Operations that may be run without a rule of their own. What prints can be told to print into a file."""


def files_beside(path: Path) -> list[Path]:
    """The files of a folder, all of which the model lies in. Raises `UnsafeError` for a link that leaves it."""
    found = sorted(file for file in path.rglob("*") if file.is_file())
    outside = [file.name for file in found if not file.resolve().is_relative_to(path.resolve())]
    if outside:
        raise UnsafeError(
            f"refused {path.name}: {', '.join(outside)} is a link that leaves the folder",
            hint="copy the file itself into the folder",
        )
    return found


def capture(
    source: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, dynamic: Dynamic | None = None
) -> Capture:
    """Capture the serving signature of a SavedModel. The file says what its inputs are.

    Sizes that it leaves open are named ``batch`` on the first axis, and after their inputs on the others.

    Raises:
        CorruptFileError: it is no SavedModel of TensorFlow 2.
        UnsafeError: the signature reaches an operation that touches files or runs Python.
        UnsupportedOpsError: with every operation that no rule reads.
        UsageError: example inputs were given, or there is no signature.
    """
    import tensorflow as tf

    if args or kwargs:
        raise UsageError("a SavedModel has its inputs already; expected no example inputs beside it")
    folder = Path(source).expanduser()
    files_beside(folder)
    meta = _parsed(folder)
    objects = meta.object_graph_def
    node = _signature(folder, objects)
    name = node.bare_concrete_function.concrete_function_name
    library = _reached(folder, meta.graph_def.library, name)
    paths = _checkpoint_keys(folder)
    variables = {
        place: _variable(folder, objects.nodes[place], paths.get(place))
        for place in objects.concrete_functions[name].bound_inputs
    }
    function = _function(library, objects, node, variables)
    specs = _inputs(function)
    named = {word: {0: "batch"} for word, spec in specs.items() if spec.shape.rank and spec.shape[0] is None}
    tracing = Tracing(specs, {**named, **(dynamic or {})}, lambda given: function(**given))
    tracing.trace()
    slots = _slots(variables.values())
    enter_slots(tracing.builder.graph, slots)
    tracing.notes.append(f"it is the signature {_SIGNATURE!r}, whose inputs have one size on their first axes")
    words = [word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", folder.resolve().name, flags=re.ASCII) if word]
    cls = "".join(words)
    cls = cls if cls[:1].isalpha() else f"Model{cls}"

    def run(given: Mapping[str, Any], train: bool) -> Any:
        return function(**{word: tf.cast(array, specs[word].dtype) for word, array in given.items()})

    return tracing.finish(cls, slots, run)


# -- the protobuf ------------------------------------------------------------------------------------------------------


def _parsed(folder: Path) -> Any:
    """The only graph of a model. Raises `CorruptFileError` where the file is none, or is of TensorFlow 1."""
    from tensorflow.core.protobuf import saved_model_pb2

    found: Any = saved_model_pb2.SavedModel()
    if (size := (folder / FILE).stat().st_size) >= _LARGEST:
        raise CorruptFileError(f"{folder.name}/{FILE} has {size} bytes, expected fewer than {_LARGEST}")
    try:
        found.ParseFromString((folder / FILE).read_bytes())
    except Exception as error:  # protobuf's own, which has no public home
        raise CorruptFileError(f"{folder.name}/{FILE} is no SavedModel: {error}") from error
    graphs = [graph for graph in found.meta_graphs if "serve" in graph.meta_info_def.tags]
    if len(graphs) != 1 or not graphs[0].object_graph_def.nodes:
        raise CorruptFileError(
            f"{folder.name}/{FILE} has no graph of TensorFlow 2 for serving",
            hint="load it, and save it again with tf.saved_model.save",
        )
    return graphs[0]


def _child(objects: Any, node: Any, name: str) -> Any:
    places = [child.node_id for child in node.children if child.local_name == name]
    return objects.nodes[places[0]] if places and places[0] < len(objects.nodes) else None


def _signature(folder: Path, objects: Any) -> Any:
    """The object that stands for the serving signature."""
    signatures = _child(objects, objects.nodes[0], "signatures")
    found = None if signatures is None else _child(objects, signatures, _SIGNATURE)
    if found is None or found.WhichOneof("kind") != "bare_concrete_function":
        raise UsageError(
            f"{folder.name} has no signature {_SIGNATURE!r}",
            hint="save it with tf.saved_model.save(model, folder, signatures=...)",
        )
    return found


def _reached(folder: Path, library: Any, name: str) -> Any:
    """The functions that one calls, itself among them, in a library of their own.

    Raises:
        UnsafeError: with every operation among them that touches files or runs Python.
        UnsupportedOpsError: with every other one that has no rule.
        CorruptFileError: one is not there.
    """
    from tensorflow.core.framework import function_pb2

    every = {function.signature.name: function for function in library.function}
    gradients = {each.registered_op_type: each for each in library.registered_gradients}
    allowed = {*RULES, *Reader.names(), *_HARMLESS}
    found: dict[str, Any] = {}
    wrong: list[tuple[str, str, str]] = []
    waiting = [name]
    while waiting:
        word = waiting.pop()
        if word in found:
            continue
        if word not in every:
            raise CorruptFileError(f"{folder.name}/{FILE} lacks the function {word!r}")
        found[word] = every[word]
        for node in every[word].node_def:
            if node.op in every:
                waiting.append(node.op)
            elif node.op not in allowed:
                wrong.append((node.op, word, ""))
            for key, value in node.attr.items():
                waiting += [each.name for each in (value.func, *value.list.func) if each.name]
                if key == "_gradient_op_type" and value.s.decode() in gradients:
                    waiting.append(gradients[value.s.decode()].gradient_func)
    unsafe = sorted({op for op, _, _ in wrong if "Print" in op or any(part in op for part in OUTSIDE)})
    if unsafe:
        raise UnsafeError(
            f"{folder.name} reaches {', '.join(unsafe)}: operations that touch files, run Python or keep state outside "
            "of variables",
            hint="save the model without them",
        )
    if wrong:
        raise UnsupportedOpsError(list(dict.fromkeys(wrong)))
    kept = [each for each in library.registered_gradients if each.gradient_func in found]
    messages: Any = function_pb2
    return messages.FunctionDefLibrary(function=list(found.values()), registered_gradients=kept)


# -- variables ---------------------------------------------------------------------------------------------------------


def _checkpoint_keys(folder: Path) -> dict[int, str]:
    """The key in the checkpoint of each variable, by its place among the objects of the model.

    Both hold the same objects in the same order: the checkpoint's are those that `tf.saved_model.save` wrote beside.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    objects: Any = trackable_object_graph_pb2.TrackableObjectGraph()
    meta = _parsed(folder).object_graph_def
    try:
        reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        objects.ParseFromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    except Exception as error:  # TensorFlow's, protobuf's and the file system's
        raise CorruptFileError(f"{folder.name} has no checkpoint of its variables: {error}") from error
    found: dict[int, str] = {}
    seen: set[int] = set()
    waiting = deque([(0, 0)])
    while waiting:  # the same names lead to the same objects
        place, other = waiting.popleft()
        if place in seen or place >= len(meta.nodes) or other >= len(objects.nodes):
            continue
        seen.add(place)
        keys = [each.checkpoint_key for each in objects.nodes[other].attributes if each.name == "VARIABLE_VALUE"]
        if keys:
            found[place] = keys[0]
        theirs = {child.local_name: child.node_id for child in objects.nodes[other].children}
        waiting += [
            (child.node_id, theirs[child.local_name])
            for child in meta.nodes[place].children
            if child.local_name in theirs
        ]
    return found


def _variable(folder: Path, node: Any, key: str | None) -> Any:
    """A variable with its numbers. Raises `CaptureError` for what a signature may close over and is none."""
    import tensorflow as tf

    kind = node.WhichOneof("kind")
    if kind != "variable":
        raise CaptureError(
            f"the signature of {folder.name} closes over a {kind}, which is no variable",
            hint="save the model without tables, assets and other resources",
        )
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    if key is None or not reader.has_tensor(key):
        raise CorruptFileError(f"the checkpoint of {folder.name} lacks {node.variable.name!r}")
    numbers = reader.get_tensor(key)
    shape = [size.size for size in node.variable.shape.dim]
    dtype = tf.as_dtype(node.variable.dtype)
    if list(numbers.shape) != shape or numbers.dtype != dtype.as_numpy_dtype:
        raise CorruptFileError(
            f"expected {node.variable.name!r} of {dtype.name}{shape}, the checkpoint of {folder.name} has "
            f"{numbers.dtype}{list(numbers.shape)}"
        )
    return tf.Variable(numbers, trainable=node.variable.trainable, name=node.variable.name or None, dtype=dtype)


def _slots(variables: Any) -> list[Slot]:
    """The variables under their names, whose parts between slashes are modules."""
    slots: list[Slot] = []
    taken: set[str] = set()
    names = [re.sub(r"[^\w/]", "_", str(variable.name).partition(":")[0]).strip("/") for variable in variables]
    modules = {name[:end] for name in names for end in range(len(name)) if name[end] == "/"}
    for variable, name in zip(variables, names, strict=True):
        name = f"{name}_" if name in modules else name
        path = base = ".".join(part if part[:1].isalpha() else f"_{part}" for part in name.split("/")) or "variable"
        count = 2
        while path in taken:
            path, count = f"{base}_{count}", count + 1
        taken.add(path)
        slots.append(Slot(path, variable, variable.trainable))
    return slots


# -- the function ------------------------------------------------------------------------------------------------------


def _function(library: Any, objects: Any, node: Any, variables: Mapping[int, Any]) -> Any:
    """The function that an object stands for, over variables in the places of what it closed over."""
    name = node.bare_concrete_function.concrete_function_name
    from tensorflow.core.function.capture import restore_captures
    from tensorflow.python.saved_model import function_deserialization

    # There is no public way to a function of a file but the one that loads all of the file's objects.
    loading: Any = function_deserialization
    functions = loading.load_function_def_library(library, saved_object_graph=objects)
    bound = [variables[place] for place in objects.concrete_functions[name].bound_inputs]
    restore_captures.restore_captures(functions[name], bound)
    return loading.setup_bare_concrete_function(node.bare_concrete_function, functions)


def _inputs(function: Any) -> dict[str, Any]:
    """The inputs of a signature by name."""
    _, named = function.structured_input_signature
    return dict(named)


__all__ = ["capture", "files_beside"]
