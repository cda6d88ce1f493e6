"""JAX -> Graph: functions, and functions of parameters, through jaxprs.

A function is traced once with `jax.make_jaxpr`; sizes that vary are symbolic (`jax.export.symbolic_shape`).
"""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....engine.backends import FRAMEWORKS, framework_of, load
from ....engine.graph import Graph, ModuleInfo, Parameter, Record, Tree, Value, tree_leaves, tree_map
from ....engine.lines import keep_last_hint
from ....engine.spec import Spec
from ....engine.trace import Builder
from ....errors import CaptureError, EngineError, UnsupportedOpsError
from ..source import Capture
from .reader import Reader
from .runner import Place, SourceRunner
from .sizes import is_key, spec_of_aval
from .whole import keeping


def capture(
    source: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
) -> Capture:
    """Capture a function, or a pair of a function and its parameters.

    Args:
        source: a function of arrays; or the pair of one and a pytree that it takes first, whose arrays become
            parameters by their paths.
        args: example inputs, pytrees of arrays or ``jax.ShapeDtypeStruct``; what is no array is part of the program.
        kwargs: example inputs by name.
        dynamic: for an input by name, the name of the symbolic size of each dynamic axis.

    Raises `UnsupportedOpsError` with every primitive that no rule reads, and `CaptureError` where JAX refuses the
    function.

    Example:
        >>> import jax.numpy as jnp
        >>> found = capture(lambda x: jnp.tanh(x) @ x.T, (jnp.zeros((2, 3)),), dynamic={"x": {0: "batch"}})
        >>> found.graph.outputs.spec
        float32[batch, batch]
    """
    load("jax")
    head, variables = source if isinstance(source, tuple) else (source, None)
    program = _function(head, variables)
    return _captured(program, args, kwargs or {}, dynamic or {})


@dataclass
class Program:
    """What is captured, in one form.

    Attributes:
        name: of the class that an export gets.
        run: the results for native tensors by name, the arguments, and whether it trains; and the tensors it changed.
        signature: of its arguments.
        tensors: native arrays by name.
        places: for each parameter of the graph, the native array that it is.
        trainable: the names of the tensors that gradients reach.
        modules: the module table.
        tracing: entered while it is traced, with the graph; see `flax_source`.
        module: where its class comes from.
    """

    name: str
    run: Callable[..., Any]
    signature: inspect.Signature
    tensors: dict[str, Any] = field(default_factory=dict[str, Any])
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    trainable: frozenset[str] = frozenset()
    modules: dict[str, ModuleInfo] = field(default_factory=dict[str, ModuleInfo])
    tracing: Callable[[Graph], Any] | None = None
    module: str = ""


def _function(function: Any, variables: Any) -> Program:
    """A function; the arrays of the pytree that it takes first, where one is given, are parameters."""
    import jax

    if not callable(function):
        raise CaptureError(f"expected a function, received {type(function).__name__}")
    signature = inspect.signature(function)
    found = getattr(function, "__name__", type(function).__name__)
    words = [word[:1].upper() + word[1:] for word in found.split("_")] if found.isidentifier() else []
    name = "".join(words) or "Function"
    if variables is None:
        return Program(name, lambda tensors, args, kwargs, train: (function(*args, **kwargs), {}), signature)
    first, *others = signature.parameters.values()
    leaves, structure = jax.tree_util.tree_flatten_with_path(variables)
    modules = {"": ModuleInfo("", name)}
    tensors: dict[str, Any] = {}
    places: dict[str, Place] = {}
    owners: dict[int, str] = {}
    trainable: set[str] = set()
    for keys, leaf in leaves:
        if framework_of(leaf) is None:
            raise CaptureError(f"{first.name}{jax.tree_util.keystr(keys)} is no array but {leaf!r}")
        path = path_of(keys) or first.name
        tensors[path] = leaf
        *parents, own = path.split(".")
        for depth in range(len(parents)):
            above = ".".join(parents[: depth + 1])
            modules.setdefault(above, ModuleInfo(above, _class_name(parents[depth])))
        floating = np.issubdtype(np.asarray(leaf).dtype, np.floating) or str(leaf.dtype) == "bfloat16"
        parameter = Parameter(spec_of_aval(leaf), trainable=floating)
        if id(leaf) in owners:
            parameter.alias = owners[id(leaf)]
        else:
            owners[id(leaf)] = path
            places[path] = Place(path)
            if floating:
                trainable.add(path)
        modules[".".join(parents)].parameters[own] = parameter
    names = list(tensors)

    def run(arrays: dict[str, Any], args: Any, kwargs: Any, train: bool) -> Any:
        tree = jax.tree.unflatten(structure, [arrays[owners[id(tensors[name])]] for name in names])
        return function(tree, *args, **kwargs), {}

    kept = {path: tensors[path] for path in places}
    return Program(name, run, signature.replace(parameters=others), kept, places, frozenset(trainable), modules)


def path_of(keys: Sequence[Any]) -> str:
    """The path of a leaf of a pytree, its parts identifiers or numbers."""
    words = [str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))) for key in keys]
    return ".".join(re.sub(r"\W", "_", word) for word in words)


def _class_name(word: str) -> str:
    name = "".join(part[:1].upper() + part[1:] for part in word.split("_"))
    return name if name.isidentifier() and not keyword.iskeyword(name) else "Group"


# -- the trace --------------------------------------------------------------------------------------------------------


def _captured(program: Program, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Any) -> Capture:
    import jax

    arguments = _bound(program, args, kwargs)
    unknown = set(dynamic) - set(arguments)
    if unknown:
        raise CaptureError(
            f"dynamic names the inputs {sorted(unknown)}; the function received {list(arguments)}",
            hint="use the names of its parameters",
        )
    sizes = _symbols(dynamic)
    notes: list[str] = []
    structs: dict[str, Any] = {}
    examples: dict[str, np.ndarray] = {}
    forms: dict[str, Tree] = {}
    for name, argument in arguments.items():
        leaves, structure = jax.tree.flatten(argument)
        given = [_struct(leaf, name, dynamic.get(name, {}), sizes) for leaf in leaves]
        structs[name] = (structure, leaves, given)
        forms[name] = as_tree(jax.tree.unflatten(structure, range(len(leaves))))
        for path, index in tree_leaves(forms[name], name):
            if index is None:
                continue
            if given[index] is None:
                notes.append(f"{path}={leaves[index]!r} is baked into the graph")
            elif framework_of(leaves[index]) is not None:
                leaf = leaves[index]
                examples[path] = np.asarray(jax.random.key_data(leaf) if is_key(given[index].dtype) else leaf)
    builder = Builder()
    graph = builder.graph
    graph.modules.update(program.modules or {"": ModuleInfo("", program.name)})
    tensors = {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in program.tensors.items()}
    dynamic_leaves = [leaf for _, _, given in structs.values() for leaf in given if leaf is not None]

    def flat(tensors: dict[str, Any], leaves: list[Any]) -> Any:
        rest = iter(leaves)
        filled: dict[str, Any] = {}
        for name, (structure, known, given) in structs.items():
            filled[name] = jax.tree.unflatten(
                structure, [leaf if each is None else next(rest) for leaf, each in zip(known, given, strict=True)]
            )
        positional, named = unbound(program.signature, filled)
        return program.run(tensors, positional, named, True)

    functions: dict[str, Any] = {}
    try:
        with keeping(functions, program), _entered(program, graph):
            closed, (shapes, changed) = jax.make_jaxpr(flat, return_shape=True)(tensors, dynamic_leaves)
    except (EngineError, CaptureError):
        raise
    except Exception as error:  # JAX raises many kinds; each means that it refused the function
        raise _refusal(program, error) from error
    reader = Reader(whole=functions, notes=notes, module=lambda call: graph.calls[call].module)
    values = _inputs(builder, forms, structs)
    with builder.recording():
        state = {path: _view(builder, path, place, graph) for path, place in program.places.items()}
        natives = {place.name: state[path] for path, place in program.places.items()}
        ordered = [natives[name] for name in sorted(tensors)]
        found = [reader.lifted(each) for each in reader.read(closed, [*ordered, *values])]
    if reader.missing:
        raise UnsupportedOpsError(
            list(dict.fromkeys(reader.missing)),
            hint="add a rule for each (CONTRIBUTING.md, 'A reading rule'), or rewrite the lines that use them",
        )
    leaves, structure = jax.tree.flatten(shapes)
    outputs = as_tree(jax.tree.unflatten(structure, found[: len(leaves)]))
    names = {place.name: path for path, place in program.places.items()}
    rest = jax.tree_util.tree_flatten_with_path(changed)[0]
    for (keys, _), value in zip(rest, found[len(leaves) :], strict=True):
        native = str(keys[0].key)
        if value is not natives[native]:
            graph.updates[names[native]] = program.places[names[native]].of_graph(value)
    builder.finish(outputs)
    keep_last_hint(graph)
    graph.meta = {
        "framework": "jax",
        "version": str(FRAMEWORKS["jax"].installed),
        "class": graph.modules[""].cls,
        "module": program.module,
    }
    arrays = {path: place.view(np.asarray(program.tensors[place.name])) for path, place in program.places.items()}
    return Capture(
        graph,
        arrays,
        lambda arrange: SourceRunner(program, forms, structs, arrange),
        examples,
        list(dict.fromkeys(notes)),
    )


def _entered(program: Program, graph: Graph) -> Any:
    import contextlib

    return program.tracing(graph) if program.tracing is not None else contextlib.nullcontext()


def _view(builder: Builder, path: str, place: Place, graph: Graph) -> Any:
    """A parameter as the source holds it, read where it is used; those of leaf layers stay theirs."""
    module = graph.modules[path.rpartition(".")[0]]
    return None if module.layer is not None else place.of_source(builder.parameter(path))


def _bound(program: Program, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    try:
        bound = program.signature.bind(*args, **kwargs)
    except TypeError as error:
        raise CaptureError(
            f"the example inputs do not fit {program.name}: {error}", hint=f"its signature is {program.signature}"
        ) from None
    arguments = dict(bound.arguments)
    for parameter in program.signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments.update(arguments.pop(parameter.name, {}))
    return arguments


def unbound(signature: inspect.Signature, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by name as a call takes them."""
    args: list[Any] = []
    kwargs = dict(arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            args += kwargs.pop(parameter.name, ())
        if parameter.kind > parameter.POSITIONAL_OR_KEYWORD or parameter.name not in kwargs:
            break  # one that was left out ends what may stand by its place
        args.append(kwargs.pop(parameter.name))
    return args, kwargs


def _symbols(dynamic: Mapping[str, Mapping[int, str]]) -> dict[str, Any]:
    """The symbolic sizes of JAX by name, all of one scope."""
    from jax import export

    names = list(dict.fromkeys(name for axes in dynamic.values() for name in axes.values()))
    return dict(zip(names, export.symbolic_shape(", ".join(names)), strict=True)) if names else {}


def _struct(leaf: Any, name: str, axes: Mapping[int, str], sizes: Mapping[str, Any]) -> Any:
    """The abstract array of an example, None for what is no array."""
    import jax

    if isinstance(leaf, Spec):
        leaf = jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
    if not isinstance(leaf, jax.ShapeDtypeStruct) and framework_of(leaf) is None:
        return None
    shape = list(leaf.shape)
    for axis, size in axes.items():
        if not -len(shape) <= axis < len(shape):
            raise CaptureError(f"dynamic names axis {axis} of {name!r}, which has {len(shape)} axes")
        shape[axis] = sizes[size]
    dtype = leaf.dtype if is_key(leaf.dtype) else jax.dtypes.canonicalize_dtype(np.dtype(leaf.dtype))
    return jax.ShapeDtypeStruct(tuple(shape), dtype)


def _inputs(builder: Builder, forms: Mapping[str, Tree], structs: Mapping[str, Any]) -> list[Any]:
    """The inputs of the graph, nested as the source takes them; their values in JAX's order."""
    values: list[Any] = []
    for name, form in forms.items():
        _, known, given = structs[name]
        specs = tree_map(
            lambda index, known=known, given=given: (
                None if index is None else known[index] if given[index] is None else spec_of_aval(given[index])
            ),
            form,
        )
        tree = builder.input(name, specs)
        found = {
            index: value
            for (_, index), (_, value) in zip(tree_leaves(form), tree_leaves(tree), strict=True)
            if index is not None and given[index] is not None
        }
        values += [found[index] for index in sorted(found)]
    return values


def as_tree(tree: Any) -> Tree:
    """A pytree as a tree of the graph; what is neither dict, list nor tuple becomes a record."""
    import jax

    if tree is None or isinstance(tree, Value | int):
        return tree
    children = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda each: each is not tree)[0]
    if len(children) == 1 and not children[0][0]:
        return tree
    found = {path_of(keys): as_tree(child) for keys, child in children}
    if isinstance(tree, dict):
        return {str(key): as_tree(child) for key, child in tree.items()}
    if type(tree) in (tuple, list):
        return type(tree)(as_tree(child) for child in tree)
    if hasattr(tree, "_fields"):
        return Record(type(tree).__name__, dict(zip(tree._fields, map(as_tree, tree), strict=True)))
    return Record(type(tree).__name__, found)


def _refusal(program: Program, error: Exception) -> CaptureError:
    kind = type(error).__name__
    text = str(error).strip().splitlines()[0][:300] if str(error).strip() else kind
    hint = "JAX itself cannot trace this function"
    if "InconclusiveDimension" in kind:
        hint = "the function compares sizes that vary: name fewer of them in dynamic"
    elif "Tracer" in kind or "Concretization" in kind:
        hint = "its way depends on values of arrays: use jax.lax.cond, jnp.where, or pass the value as a Python number"
    return CaptureError(f"JAX refused {program.name}: {kind}: {text}", hint=hint)


__all__ = ["Program", "as_tree", "capture", "path_of", "unbound"]
