"""ONNX -> Graph: a model file or ``onnx.ModelProto`` is read node by node.

Floating-point initialisers are the parameters, under their names; large integer ones are buffers. Names that the model
gives to sizes are those of the graph. What an operator must know to be read (a shape, axes) and the model takes as an
input is baked in from an example and reported by name.
"""

from __future__ import annotations

import functools
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....engine.backends import is_floating, is_integer
from ....engine.dims import Dim, Size
from ....engine.graph import Graph, ModuleInfo, Parameter, Value, tree_leaves, tree_map
from ....engine.lines import keep_last_hint
from ....engine.spec import Spec
from ....engine.trace import Builder
from ....errors import CaptureError, EngineError, UnsupportedOpsError
from ...characters import visible
from ..running import Original
from ..source import Arrange, Capture
from .loading import dtype_of_type, files_beside, load_model, usual
from .reader import Reader
from .rules.common import NUMBERS, Sizes, UnknownError, values_of
from .rules.narrow import Narrow, kind_of, storage, widened

_LONGEST_NAME = 80  # of a class, after which a folder is called
_SMALL = 1024  # elements: more integers than that are a buffer, not part of the program
_CONSTANT = 64  # elements: more floating-point numbers than that in a Constant are weights
_NUMBERS = 64  # elements: fewer integers than that may be baked in where they decide about shapes


def capture(
    source: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
) -> Capture:
    """Capture a model.

    Args:
        source: an ``onnx.ModelProto``, or the path of a file; its external data lies in the same folder.
        args: example inputs, needed only where their values decide about shapes, or the model does not say their sizes.
            Where an operator cannot be read for any size, those of the examples are baked in, and a note says so.
        kwargs: example inputs by name.
        dynamic: names for sizes that the model leaves open: ``{"x": {0: "batch"}}``.

    Raises:
        CorruptFileError: it is no valid model.
        UnsafeError: it names a file outside of its folder.
        UnsupportedOpsError: with every operator that no rule reads.
        CaptureError: an operator is used in a way that cannot be read.

    Example:
        >>> import onnx
        >>> model = onnx.parser.parse_model('''<ir_version: 10, opset_import: ["" : 21]>
        ...     net (float[batch, 3] x) => (float[batch, 3] y) { y = Relu(x) }''')
        >>> capture(model).graph.outputs.spec
        float32[batch, 3]
    """
    model, folder = load_model(source)
    examples = _examples(model, args, kwargs or {})
    baked: set[str] = set()
    fixed = ""
    while True:
        reading = _Reading(model, folder, examples, dynamic or {}, baked, fixed)
        try:
            return reading.read()
        except UnsupportedOpsError:
            raise
        except (CaptureError, EngineError) as error:
            needed = reading.behind(error.value) if isinstance(error, UnknownError) else set()
            if not needed and (fixed or not reading.open_sizes):
                raise
            baked |= needed
            fixed = fixed or ("" if needed else error.message.splitlines()[0])


class _Reading:
    """One attempt, with the inputs that are baked in so far."""

    def __init__(
        self,
        model: Any,
        folder: Path | None,
        examples: Mapping[str, Any],
        dynamic: Mapping[str, Mapping[int, str]],
        baked: set[str],
        fixed: str,
    ) -> None:
        self.model = model
        self.folder = folder
        self.examples = examples
        self.dynamic = dynamic
        self.baked = frozenset(baked)
        self.fixed = fixed
        self.open_sizes = False  # whether there are sizes that an example could fix
        self.builder = Builder()
        self.graph = self.builder.graph
        self.tensors: dict[str, np.ndarray] = {}
        self.names = _legal_names(value.name for value in _inputs(model))
        self.symbols = _symbols(model)
        self.notes = [
            f"{self.names[name]} is not an argument: its value {_text(examples[name])} decides about shapes and is "
            "baked in"
            for name in sorted(baked)
        ]

    def read(self) -> Capture:
        if self.fixed:
            self.notes.append(f"the sizes of the example inputs are baked in: {self.fixed}")
        token = NUMBERS.set(self._numbers)
        try:
            with self.builder.recording():
                self._read()
        finally:
            NUMBERS.reset(token)
        self._drop_unused()
        keep_last_hint(self.graph)
        taken = {self.names[name]: name for name in self.names}
        example = {
            path: np.asarray(leaf)
            for name, key in taken.items()
            if key in self.examples and key not in self.baked
            for path, leaf in tree_leaves(self.examples[key], name)
            if isinstance(leaf, np.ndarray)
        }
        fixed = {name: self.examples[name] for name in self.baked}
        original = functools.partial(_original, self.model, self.folder, taken, fixed)
        return Capture(self.graph, dict(self.tensors), original, example, self.notes)

    def _read(self) -> None:
        reader = Reader(self.builder, self.model, self.folder)
        onnx, graph = reader.onnx, self.model.graph
        self.graph.modules[""] = ModuleInfo("", _class_name(graph.name))
        env: dict[str, Any] = {}
        for value in _inputs(self.model):
            name = value.name
            env[name] = self._baked(value) if name in self.baked else self._input(value)
        tensors = {tensor.name: tensor for tensor in graph.initializer}
        tensors |= {node.output[0]: tensor for node in graph.node if (tensor := _weights_of(node)) is not None}
        paths = _legal_paths(tensors)
        for name, tensor in tensors.items():
            array = reader.array(tensor)
            if isinstance(array, Narrow):
                large = array.array.size > _SMALL
                kept = self._parameter(paths[name], array.array, trainable=False) if large else array.array
                env[name] = Narrow(kept, array.kind)
                continue
            weights = is_floating(array.dtype.name) or array.size > _SMALL
            env[name] = self._parameter(paths[name], array) if weights else array
        nodes = [node for node in graph.node if _weights_of(node) is None]
        opsets = {"" if item.domain == "ai.onnx" else item.domain: item.version for item in self.model.opset_import}
        reader.nodes(nodes, env, opsets)
        if reader.missing:
            raise UnsupportedOpsError(reader.missing, hint="add a rule for each (CONTRIBUTING.md, 'A reading rule')")
        outputs = tuple(_lifted(self.builder, env[value.name]) for value in graph.output)
        self.builder.finish(outputs[0] if len(outputs) == 1 else outputs)
        self.graph.meta = {
            "framework": "onnx",
            "version": onnx.__version__,
            "class": self.graph.modules[""].cls,
            "module": visible(_text(self.model.producer_name)),
        }

    # -- inputs --------------------------------------------------------------------------------------------------

    def _input(self, value: Any) -> Any:
        name = self.names[value.name]
        example = self.examples.get(value.name)
        kind = value.type.WhichOneof("value")
        proto = value.type
        if kind == "optional_type":
            if value.name not in self.examples:
                raise CaptureError(f"expected an example of the optional input {name!r}", hint="pass it with args")
            if example is None:
                return None
            proto = proto.optional_type.elem_type
            kind = proto.WhichOneof("value")
        if kind == "sequence_type":
            if not isinstance(example, list):
                raise CaptureError(f"expected an example of the sequence {name!r}", hint="pass a list with args")
            return self.builder.input(name, [Spec(item.shape, item.dtype.name) for item in example])
        if kind != "tensor_type":
            raise CaptureError(f"the input {name!r} is a {kind}, which no rule reads")
        found = self.builder.input(name, self._spec(name, proto.tensor_type, example))
        word = kind_of(proto.tensor_type.elem_type)
        if storage(word) is None:
            return found
        self.notes.append(f"{name} is of {word}: its numbers are given as {storage(word)}")
        return Narrow(found, word)

    def _baked(self, value: Any) -> Any:
        word = kind_of(value.type.tensor_type.elem_type)
        example = self.examples[value.name]
        return example if storage(word) is None else Narrow(example, word)

    def _spec(self, name: str, proto: Any, example: Any) -> Spec:
        word = kind_of(proto.elem_type)
        dtype = dtype_of_type(proto.elem_type) or storage(word)
        if dtype is None:
            raise CaptureError(f"the input {name!r} is of {word}, which is no dtype of the engine")
        if not proto.HasField("shape"):
            if example is None:
                raise CaptureError(f"the model does not say how many axes {name!r} has", hint="pass an example")
            return Spec(np.shape(example), dtype)
        sizes: list[Size] = []
        named = self.dynamic.get(name, {})
        rank = len(proto.shape.dim)
        for axis, dim in enumerate(proto.shape.dim):
            word = named.get(axis, named.get(axis - rank))
            if dim.HasField("dim_value"):
                sizes.append(dim.dim_value)
            elif word is not None:
                sizes.append(Dim.symbol(word))
            elif dim.dim_param and not (self.fixed and example is not None):
                self.open_sizes |= example is not None
                sizes.append(Dim.symbol(self.symbols[dim.dim_param]))
            elif example is not None:
                sizes.append(np.shape(example)[axis])
            else:
                sizes.append(Dim.symbol(f"{name}_{axis}"))
        return Spec(tuple(sizes), dtype)

    def behind(self, value: Any) -> set[str]:
        """The inputs to bake in, so that a value is known; none where that cannot be."""
        words = {self.names[name]: name for name in self.names}
        inputs = {leaf: words[key] for key, tree in self.graph.inputs.items() for _, leaf in tree_leaves(tree)}
        seen: set[Value] = set()
        found: set[str] = set()
        stack = [value]
        while stack:
            item = stack.pop()
            if item in seen:
                continue
            seen.add(item)
            if item.node is not None:
                stack.extend(item.node.operands)
                continue
            direct = item is value
            small = is_integer(item.dtype) or item.dtype == "bool" or item.ndim == 0
            name = inputs.get(item)
            example = None if name is None else self.examples.get(name)
            if name is None or not isinstance(example, np.ndarray) or not (direct or small) or example.size > _NUMBERS:
                return set()
            found.add(name)
        return found

    # -- parameters ----------------------------------------------------------------------------------------------

    def _parameter(self, path: str, array: np.ndarray, *, trainable: bool = True) -> Value:
        module, _, name = path.rpartition(".")
        parts = module.split(".") if module else []
        for depth in range(len(parts)):
            parent = ".".join(parts[: depth + 1])
            self.graph.modules.setdefault(parent, ModuleInfo(parent, _class_name(parts[depth])))
        spec = Spec(array.shape, array.dtype.name)
        self.graph.modules[module].parameters[name] = Parameter(spec, trainable=trainable and is_floating(spec.dtype))
        self.tensors[path] = array
        return self.builder.parameter(path)

    def _numbers(self, value: Value) -> np.ndarray | None:
        node = value.node
        if node is None or node.op not in ("parameter", "constant"):
            return None
        return (
            self.tensors[node.attributes["path"]]
            if node.op == "parameter"
            else self.graph.constants[node.attributes["name"]]
        )

    def _drop_unused(self) -> None:
        """Take out initialisers that nothing reads, or that were only asked for their numbers."""
        uses, outputs = self.graph.uses(), set(self.graph.output_values)
        spare = [
            node
            for node in self.graph.nodes
            if node.op == "parameter" and node.output not in uses and node.output not in outputs
        ]
        for node in spare:
            self.graph.nodes.remove(node)
            path = node.attributes["path"]
            module, _, name = path.rpartition(".")
            del self.graph.modules[module].parameters[name]
            del self.tensors[path]
        _drop_empty(self.graph)


def _drop_empty(graph: Graph) -> None:
    for path in sorted(graph.modules, key=len, reverse=True):
        if path and not graph.modules[path].parameters and not graph.children(path):
            del graph.modules[path]


def _original(
    model: Any, folder: Path | None, names: Mapping[str, str], fixed: Mapping[str, Any], arrange: Arrange
) -> Original:
    from .run import ReferenceRunner

    return ReferenceRunner(model, folder, names, fixed, arrange)


def _lifted(builder: Builder, value: Any) -> Any:
    """An output: of arrays that are known constants are made."""
    if isinstance(value, Sizes):
        return values_of(value)
    if isinstance(value, Narrow):
        value = value.array
    return tree_map(lambda leaf: None if leaf is None else builder.lift(leaf), value)


# -- what a model says ------------------------------------------------------------------------------------------------


def _inputs(model: Any) -> list[Any]:
    """The inputs that have no value of their own."""
    given = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in given]


def input_names(model: Any) -> list[str]:
    """The names under which a graph takes the inputs of a model, in order."""
    return list(_legal_names(value.name for value in _inputs(model)).values())


def _examples(model: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    inputs = [value.name for value in _inputs(model)]
    if len(args) > len(inputs):
        raise CaptureError(f"expected at most {len(inputs)} example inputs, received {len(args)}")
    found = {name: _example(value) for name, value in zip(inputs, args, strict=False)}
    names = _legal_names(inputs)
    own = {**{names[name]: name for name in inputs}, **{name: name for name in inputs}}
    for name, value in kwargs.items():
        if name not in own or own[name] in found:
            raise CaptureError(f"the model has no input {name!r} left to take an example", hint=f"it has {inputs}")
        found[own[name]] = _example(value)
    return found


def _example(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return [_example(item) for item in value]
    return usual(widened(np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)))


def _symbols(model: Any) -> dict[str, str]:
    """Names of sizes, by the words of the model."""
    words = [
        dim.dim_param
        for value in _inputs(model)
        if value.type.WhichOneof("value") == "tensor_type"
        for dim in value.type.tensor_type.shape.dim
        if dim.dim_param
    ]
    return _legal_names(dict.fromkeys(words))


def _weights_of(node: Any) -> Any:
    """The tensor of a Constant that holds weights, or None."""
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or len(node.attribute) != 1:
        return None
    tensor = node.attribute[0].t
    dtype = dtype_of_type(tensor.data_type) if node.attribute[0].name == "value" else None
    large = np.prod(tensor.dims, dtype=np.int64) > _CONSTANT
    return tensor if dtype is not None and is_floating(dtype) and large else None


def _legal(name: str) -> str:
    word = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "x"
    return f"x_{word}" if word[0].isdigit() else f"{word}_" if keyword.iskeyword(word) or word == "self" else word


def _legal_names(names: Iterable[str]) -> dict[str, str]:
    """A Python name for each, distinct; those that are one are kept.

    Example:
        >>> _legal_names(["input.1", "input_1", "class"])
        {'input.1': 'input_1_2', 'input_1': 'input_1', 'class': 'class_'}
    """
    names = list(names)
    taken = {name for name in names if _legal(name) == name}
    found: dict[str, str] = {}
    for name in names:
        word = base = _legal(name)
        count = 2
        while word != name and word in taken:
            word, count = f"{base}_{count}", count + 1
        taken.add(word)
        found[name] = word
    return found


def _legal_paths(names: Iterable[str]) -> dict[str, str]:
    """A path for each name: its parts between dots and slashes are modules.

    A name that is another's module too stands in one piece.
    """
    names = list(names)
    parts = {name: [_part(part) for part in re.split(r"[./]+", name) if part] or ["x"] for name in names}
    modules = {tuple(path[:depth]) for path in parts.values() for depth in range(1, len(path))}
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        path = parts[name]
        word = base = ".".join(path) if tuple(path) not in modules and len(path) < 20 else f"{'_'.join(path)}_"
        count = 2
        while word in taken:
            word, count = f"{base}_{count}", count + 1
        taken.add(word)
        found[name] = word
    return found


def _part(text: str) -> str:
    return text if text.isdecimal() and text.isascii() else _legal(text)


def _class_name(name: str) -> str:
    words = [word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", name, flags=re.ASCII) if word]
    text = "".join(words)[:_LONGEST_NAME]
    return text if text[:1].isalpha() and not keyword.iskeyword(text) else f"Model{text}"


def _text(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) < 60 else f"{text[:57]}..."


__all__ = ["Capture", "capture", "files_beside", "input_names"]
