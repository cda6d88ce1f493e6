"""Graphs as JSON: canonical when written, strict when read.

The text of a graph is a function of the graph alone: object keys are sorted, values are numbered in the order in which
they are produced, and whatever has an order of its own (inputs, modules, nodes, fields) is an array. Equal graphs give
equal bytes, so that a digest of the text names the graph.

Reading trusts nothing: types, unknown or repeated fields, value numbers, depth and every name that may later be
written into source are checked before `graph.verify` sees the graph. Plain data stands as it is; what JSON lacks is an
object of one key:

=============================  ==========================================
``{"size": "2*n + 1"}``        a symbolic size in an attribute
``{"float": "-inf"}``          a non-finite float
``{"complex": [1.0, 0.5]}``    a complex number
``{"value": 7}``               a value, by number
``{"tuple": [...]}``           a tuple of a tree (an array is a list)
``{"dict": [[key, tree]]}``    a dict of a tree, in its order
``{"record": [name, [...]]}``  a `graph.Record`, fields like a dict's items
=============================  ==========================================

Attributes and args hold no lists, so there an array is a tuple.
"""

from __future__ import annotations

import base64
import json
import keyword
import math
from collections.abc import Iterable
from typing import Any, NoReturn

import msgspec
import numpy as np

from ..errors import EngineError, GraphError
from .backends import DTYPES
from .dims import Dim, Size, parse_size
from .extensions import load_installed
from .graph import BUILTIN, CONTROL, Call, Graph, ModuleInfo, Node, Parameter, Record, Scope, Tree, Value
from .layer import find_layer
from .op import OPS
from .spec import Spec
from .verify import verify

FORMAT = "ivyhub.graph"
VERSION = 1
MAX_DEPTH = 64
MAX_TEXT = 256 * 2**20
MAX_CONSTANT = 16 * 2**20


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    """Base of the rows of the format."""


class _Spec(_Strict):
    dtype: str
    shape: list[int | str]


class _Output(_Strict):
    spec: _Spec
    hint: str


class _Node(_Strict):
    op: str
    args: list[Any]
    attributes: dict[str, Any]
    outputs: list[_Output]
    scope: tuple[int, str, int, str]


class _Parameter(_Strict):
    name: str
    spec: _Spec
    trainable: bool
    persistent: bool
    alias: str | None


class _Module(_Strict):
    path: str
    cls: str
    layer: str | None
    config: dict[str, Any]
    parameters: list[_Parameter]


class _Call(_Strict):
    module: str
    parent: int | None
    arguments: list[tuple[str, Any]]
    result: Any
    name: str = ""


class _Constant(_Strict):
    spec: _Spec
    data: str


class _Graph(_Strict):
    format: str
    version: int
    symbols: dict[str, tuple[int, int | None]]
    inputs: list[tuple[str, Any]]
    values: list[_Output]
    nodes: list[_Node]
    outputs: Any
    updates: dict[str, Any]
    modules: list[_Module]
    calls: list[_Call]
    constants: dict[str, _Constant]
    meta: dict[str, Any]


def to_json(graph: Graph) -> str:
    """The canonical JSON text of a graph. Raises `GraphError` when it holds names or data that cannot be written.

    Example:
        >>> from ivyhub.engine import ops
        >>> from ivyhub.engine.trace import trace
        >>> graph = trace(lambda x: ops.add(x, 1.0), Spec(("n",)))
        >>> text = to_json(graph)
        >>> to_json(from_json(text)) == text
        True
    """
    _check_names(graph)
    raw = _from_graph(graph)
    try:
        return msgspec.json.encode(raw, order="sorted").decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise GraphError(f"the graph holds data that JSON cannot: {error}") from error


def from_json(text: str | bytes) -> Graph:
    """Read and verify what `to_json` wrote. Raises `GraphError` on anything else."""
    if len(text) > MAX_TEXT:
        raise GraphError(f"expected at most {MAX_TEXT} bytes of JSON, received {len(text)}")
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite)
        _check_depth(data)
        raw = msgspec.convert(data, _Graph, strict=True)
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        if isinstance(error, GraphError):
            raise
        raise GraphError(f"expected the JSON of a graph: {error}") from error
    if (raw.format, raw.version) != (FORMAT, VERSION):
        raise GraphError(
            f"expected the format {FORMAT} {VERSION}, received {raw.format} {raw.version}"[:200],
            hint="a newer ivyhub may read it" if raw.format == FORMAT and raw.version > VERSION else "",
        )
    try:
        graph = _Reader().read(raw)
        _check_names(graph)
        return verify(graph)
    except EngineError as error:
        raise GraphError(f"the JSON is not a valid graph: {error.message}", hint=error.hint) from error
    except msgspec.ValidationError as error:
        raise GraphError(f"the JSON is not a valid graph: {error}") from error


# -- writing ---------------------------------------------------------------------------------------------------------


def _from_graph(graph: Graph) -> _Graph:
    inputs = graph.input_values
    numbers: dict[Value, int] = {value: number for number, value in enumerate(inputs)}
    for node in graph.nodes:
        for value in node.outputs:
            numbers[value] = len(numbers)
    return _Graph(
        format=FORMAT,
        version=VERSION,
        symbols=dict(graph.symbols),
        inputs=[(name, _from_tree(tree, numbers)) for name, tree in graph.inputs.items()],
        values=[_Output(_from_spec(value.spec), value.hint) for value in inputs],
        nodes=[
            _Node(
                node.op,
                [_from_plain(arg, numbers) for arg in node.args],
                {
                    name: {"graph": _from_graph(value)} if name in node.graphs else _from_plain(value)
                    for name, value in node.attributes.items()
                },
                [_Output(_from_spec(value.spec), value.hint) for value in node.outputs],
                (node.scope.call, node.scope.file, node.scope.line, node.scope.name),
            )
            for node in graph.nodes
        ],
        outputs=_from_tree(graph.outputs, numbers),
        updates={path: _from_tree(value, numbers) for path, value in graph.updates.items()},
        modules=[
            _Module(
                *(module.path, module.cls, module.layer),
                {name: _from_plain(value) for name, value in _full_config(module).items()},
                [
                    _Parameter(name, _from_spec(p.spec), p.trainable, p.persistent, p.alias)
                    for name, p in module.parameters.items()
                ],
            )
            for module in graph.modules.values()
        ],
        calls=[
            _Call(
                *(call.module, call.parent),
                [(name, _from_tree(tree, numbers)) for name, tree in call.arguments.items()],
                _from_tree(call.result, numbers),
                call.name,
            )
            for call in graph.calls
        ],
        constants={name: _from_array(array) for name, array in graph.constants.items()},
        meta=graph.meta,
    )


def _from_size(size: Size) -> int | str:
    return str(size) if isinstance(size, Dim) else int(size)


def _from_spec(spec: Spec) -> _Spec:
    return _Spec(spec.dtype, [_from_size(size) for size in spec.shape])


def _from_plain(value: Any, numbers: dict[Value, int] | None = None) -> Any:
    """An attribute, a field of a configuration, or (with numbers) an arg."""
    match value:
        case None | bool() | str():
            return value
        case Dim():
            return {"size": str(value)}
        case int():
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else {"float": repr(float(value))}
        case complex():
            return {"complex": [_from_plain(value.real), _from_plain(value.imag)]}
        case tuple() | list():
            return [_from_plain(item, numbers) for item in value]
        case Value() if numbers is not None:
            return {"value": _number(value, numbers)}
    raise GraphError(f"expected plain data, received {type(value).__name__} in an attribute")


def _from_tree(tree: Tree, numbers: dict[Value, int]) -> Any:
    match tree:
        case Value():
            return {"value": _number(tree, numbers)}
        case Record(name, fields):
            return {"record": [name, [[key, _from_tree(child, numbers)] for key, child in fields.items()]]}
        case dict():
            if not all(isinstance(key, str) for key in tree):
                raise GraphError(f"expected strings as keys of a tree, received {list(tree)[:5]}")
            return {"dict": [[key, _from_tree(child, numbers)] for key, child in tree.items()]}
        case tuple():
            return {"tuple": [_from_tree(child, numbers) for child in tree]}
        case list():
            return [_from_tree(child, numbers) for child in tree]
    return _from_plain(tree)


def _number(value: Value, numbers: dict[Value, int]) -> int:
    if value not in numbers:
        raise GraphError(f"{value!r} is used but no node produces it")
    return numbers[value]


def _full_config(module: ModuleInfo) -> dict[str, Any]:
    """The fields of a leaf layer, defaults among them: a graph that leaves them out is no other graph."""
    layer = find_layer(module.layer) if module.layer is not None else None
    if layer is None:
        return module.config
    try:
        return layer(**module.config).config
    except TypeError as error:
        raise GraphError(f"the configuration of {module.path!r} does not fit {module.layer}: {error}") from error


def _from_array(array: np.ndarray) -> _Constant:
    if array.nbytes > MAX_CONSTANT:
        raise GraphError(f"expected constants of at most {MAX_CONSTANT} bytes, received {array.nbytes}")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    data = base64.b64encode(np.ascontiguousarray(little).tobytes()).decode()
    return _Constant(_Spec(array.dtype.name, list(array.shape)), data)


# -- reading ---------------------------------------------------------------------------------------------------------


class _Reader:
    """Rebuilds a graph; ``values`` holds those that exist so far, by number."""

    def __init__(self) -> None:
        self.values: list[Value] = []

    def read(self, raw: _Graph) -> Graph:
        self.values = [Value(_to_spec(value.spec), hint=value.hint) for value in raw.values]
        graph = Graph(
            inputs=_to_dict(raw.inputs, self.tree),
            symbols={name: _to_range(name, *bounds) for name, bounds in raw.symbols.items()},
            modules={},
            meta=raw.meta,
        )
        if graph.input_values != self.values:
            raise GraphError("expected every input value once among the inputs, in order")
        for module in raw.modules:
            if module.path in graph.modules:
                raise GraphError(f"the module {module.path!r} stands twice in the table")
            graph.modules[module.path] = _to_module(module)
        graph.nodes = [self.node(node) for node in raw.nodes]
        graph.outputs = self.tree(raw.outputs)
        graph.updates = {path: self.value(value) for path, value in raw.updates.items()}
        graph.constants = {name: _to_array(constant) for name, constant in raw.constants.items()}
        graph.calls = [
            Call(call.module, call.parent, _to_dict(call.arguments, self.tree), self.tree(call.result), call.name)
            for call in raw.calls
        ]
        if "" not in graph.modules or not graph.calls or graph.calls[0].module:
            raise GraphError("expected a root module and its call")
        return graph

    def node(self, raw: _Node) -> Node:
        if raw.op not in OPS and raw.op not in BUILTIN:
            load_installed()
            if raw.op not in OPS:
                raise GraphError(
                    f"unknown operation {raw.op[:80]!r}", hint="install, or give with --rules, what declares it"
                )
        nested = CONTROL.get(raw.op, ())
        attributes = {
            name: _to_nested(value) if name in nested else _to_plain(value) for name, value in raw.attributes.items()
        }
        if raw.op in CONTROL:
            if attributes.keys() != {*nested, *(("length", "reverse") if raw.op == "scan" else ())}:
                raise GraphError(f"{raw.op} has other attributes than {sorted(attributes)}")
        elif raw.op in OPS:
            if attributes.keys() != OPS[raw.op].attributes.keys():
                raise GraphError(f"{raw.op} has the attributes {sorted(OPS[raw.op].attributes)}")
            attributes = OPS[raw.op].bind(attributes)
        elif attributes.keys() != {{"parameter": "path", "call": "module", "constant": "name"}[raw.op]} or not all(
            isinstance(value, str) for value in attributes.values()
        ):
            raise GraphError(f"{raw.op} has other attributes than {sorted(attributes)}")
        if not raw.outputs:
            raise GraphError(f"{raw.op} produces nothing")
        node = Node(raw.op, tuple(map(self.arg, raw.args)), attributes, scope=Scope(*raw.scope))
        node.outputs = tuple(Value(_to_spec(out.spec), node=node, hint=out.hint) for out in raw.outputs)
        self.values.extend(node.outputs)
        return node

    def arg(self, raw: Any) -> Any:
        if isinstance(raw, list):
            return tuple(map(self.arg, raw))
        return self.value(raw) if isinstance(raw, dict) and "value" in raw else _to_plain(raw)

    def value(self, raw: Any) -> Value:
        match raw:
            case {"value": bool()}:
                pass
            case {"value": int(number)} if len(raw) == 1 and 0 <= number < len(self.values):
                return self.values[number]
        raise GraphError(f"expected the number of a value that exists, received {str(raw)[:80]}")

    def tree(self, raw: Any) -> Tree:
        match raw:
            case list():
                return [self.tree(child) for child in raw]
            case {"value": _}:
                return self.value(raw)
            case {"tuple": list(items)} if len(raw) == 1:
                return tuple(self.tree(child) for child in items)
            case {"dict": list(items)} if len(raw) == 1:
                return _to_dict(items, self.tree)
            case {"record": [str(name), list(items)]} if len(raw) == 1:
                return Record(name, _to_dict(items, self.tree))
        return _to_plain(raw)


def _to_nested(raw: Any) -> Graph:
    match raw:
        case {"graph": dict(inner)} if len(raw) == 1:
            return _Reader().read(msgspec.convert(inner, _Graph, strict=True))
    raise GraphError(f"expected a graph, received {str(raw)[:80]}")


def _to_plain(raw: Any) -> Any:
    match raw:
        case None | bool() | str() | int():
            return raw
        case float() if math.isfinite(raw):
            return raw
        case {"size": str(text)} if len(raw) == 1:
            size = parse_size(text)
            if isinstance(size, Dim) and str(size) == text:
                return size
        case {"float": "inf" | "-inf" | "nan" as text} if len(raw) == 1:
            return float(text)
        case {"complex": [real, imag]} if len(raw) == 1:
            parts = [_to_plain(real), _to_plain(imag)]
            if all(isinstance(part, float) for part in parts):
                return complex(*parts)
        case list():
            return tuple(map(_to_plain, raw))
    raise GraphError(f"expected plain data, received {str(raw)[:80]}")


def _to_dict(items: Iterable[Any], read: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for item in items:
        match item:
            case [str(name), child] | (str(name), child) if name not in out:
                out[name] = read(child)
            case _:
                raise GraphError(f"expected pairs of a name of its own and a tree, received {str(item)[:80]}")
    return out


def _to_spec(raw: _Spec) -> Spec:
    if raw.dtype not in DTYPES:
        raise GraphError(f"unknown dtype {raw.dtype[:80]!r}")
    shape: list[Size] = []
    for item in raw.shape:
        size = parse_size(item) if isinstance(item, str) else item
        if isinstance(size, int) and (isinstance(item, str) or size < 0):
            raise GraphError(f"expected a size, received {item!r}"[:200])
        shape.append(size)
    return Spec(tuple(shape), raw.dtype)


def _to_range(name: str, low: int, high: int | None) -> tuple[int, int | None]:
    if low < 1 or (high is not None and high < low):
        raise GraphError(f"expected a range of the size {name[:80]!r}, received {low} to {high}")
    return low, high


def _to_module(raw: _Module) -> ModuleInfo:
    config = {name: _to_plain(value) for name, value in raw.config.items()}
    if raw.layer is None:
        if config:
            raise GraphError(f"the module {raw.path[:80]!r} has a configuration but is no leaf layer")
    elif (layer := find_layer(raw.layer)) is None:
        raise GraphError(f"unknown leaf layer {raw.layer[:80]!r}")
    else:
        try:
            config = msgspec.convert(config, layer, strict=True).config
        except msgspec.ValidationError as error:
            raise GraphError(f"the configuration of {raw.path[:80]!r} does not fit {raw.layer}: {error}") from error
    parameters = {p.name: Parameter(_to_spec(p.spec), p.trainable, p.persistent, p.alias) for p in raw.parameters}
    if len(parameters) != len(raw.parameters):
        raise GraphError(f"the module {raw.path[:80]!r} has two parameters of one name")
    return ModuleInfo(raw.path, raw.cls, raw.layer, config, parameters)


def _to_array(raw: _Constant) -> np.ndarray:
    spec = _to_spec(raw.spec)
    shape = [size for size in spec.shape if isinstance(size, int)]
    if len(shape) != len(spec.shape):
        raise GraphError("expected a constant of a known shape")
    dtype = np.dtype(_numpy_dtype(spec.dtype))
    try:
        data = base64.b64decode(raw.data, validate=True)
    except ValueError:
        raise GraphError("expected the data of a constant in base64") from None
    if len(data) > MAX_CONSTANT or len(data) != math.prod(shape) * dtype.itemsize:
        raise GraphError(f"a constant of {spec} has {len(data)} bytes")
    if spec.dtype == "bool" and data.strip(b"\0\1"):
        raise GraphError("expected zeros and ones as the data of a bool constant")
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def _numpy_dtype(name: str) -> Any:
    if name.startswith(("bfloat", "float8")):
        import ml_dtypes

        return getattr(ml_dtypes, name)
    return name


# -- what a reader must not believe ----------------------------------------------------------------------------------


def _check_names(graph: Graph) -> None:
    """Every name that may reach source. Raises `GraphError` on one that is no plain word.

    Modules and arrays keep the names of their checkpoint, which may be any printable text without a dot: emitters
    write it as a string or make an identifier of it, and a comment ends where the line does.
    """
    for path, module in graph.modules.items():
        if path:
            _check_path("module", path)
        if not all(_identifier(part) or part in ("<locals>", "__main__") for part in module.cls.split(".")):
            _refuse("class name", module.cls)
        if not _identifier(module.class_name):
            _refuse("class name", module.cls)
        for name, parameter in module.parameters.items():
            if not _printable(name):
                _refuse("parameter name", name, "printable characters without a dot")
            if parameter.alias is not None:
                _check_path("parameter", parameter.alias)
    for kind, names in (
        ("input name", graph.inputs),
        ("symbol", graph.symbols),
        ("constant name", graph.constants),
        ("argument name", (name for call in graph.calls for name in call.arguments)),
        ("hint", (value.hint for value in graph.input_values if value.hint)),
        ("hint", (value.hint for node in graph.nodes for value in node.outputs if value.hint)),
        ("name", (name for call in graph.calls if call.name for name in call.name.split(", "))),
        ("name", (name for node in graph.nodes if node.scope.name for name in node.scope.name.split(", "))),
    ):
        for name in names:
            if not _identifier(name):
                _refuse(kind, name)
    for node in graph.nodes:
        for nested in node.graphs.values():
            _check_names(nested)
        if not node.scope.file.isprintable() or node.scope.line < 0:
            _refuse("file name", node.scope.file)
    for path in graph.updates:
        graph.parameter(path)
    for tree in (
        graph.outputs,
        *graph.inputs.values(),
        *(t for c in graph.calls for t in (*c.arguments.values(), c.result)),
    ):
        _check_records(tree)


def _check_records(tree: Tree) -> None:
    match tree:
        case Record(name, fields):
            for word in (name, *fields):
                if not _identifier(word):
                    _refuse("field name", word)
            children: Iterable[Tree] = fields.values()
        case dict():
            children = tree.values()
        case tuple() | list():
            children = tree
        case _:
            return
    for child in children:
        _check_records(child)


def _identifier(name: str) -> bool:
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name)


def _printable(word: str) -> bool:
    return bool(word) and word.isprintable() and "." not in word


def _check_path(kind: str, path: str) -> None:
    if not all(map(_printable, path.split("."))):
        _refuse(f"{kind} path", path, "printable words between dots")


def _refuse(kind: str, name: str, expected: str = "letters, digits and underscores") -> NoReturn:
    raise GraphError(
        f"expected {expected} as a {kind}, received {name[:80]!r}",
        hint="names reach generated source, so a graph holds plain ones only",
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise GraphError(f"the JSON has an object with a repeated key among {sorted(out)[:5]}")
    return out


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise GraphError(f"expected finite numbers in JSON, received {text[:80]}")
    return number


def _check_depth(data: Any) -> None:
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise GraphError(f"expected JSON of at most {MAX_DEPTH} levels")
