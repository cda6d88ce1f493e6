"""JAX -> Graph: functions, functions of parameters, pytrees that are functions, and modules of Flax, through jaxprs.

A function is traced once with `jax.make_jaxpr`; sizes that vary are symbolic (`jax.export.symbolic_shape`).
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import keyword
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ....engine.backends import FRAMEWORKS, framework_of, load
from ....engine.graph import Graph, ModuleInfo, Parameter, Record, Tree, Value, call_chain, tree_leaves, tree_map
from ....engine.lines import keep_last_hint, user_place
from ....engine.passes.layout import sink
from ....engine.recording import RECORDER
from ....engine.spec import Spec
from ....engine.trace import Builder, starred
from ....errors import CaptureError, EngineError, UnsupportedOpsError
from ..source import Capture
from .program import Place, Program, path_of, unbound
from .reader import Pending, Reader, of_library
from .runner import SourceRunner
from .sizes import is_key, spec_of_aval
from .whole import keeping


def capture(
    source: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
) -> Capture:
    """Capture a function, a pair of a function and its parameters, or a module of Flax.

    Args:
        source: a function of arrays; the pair of one and a pytree that it takes first, whose arrays become
            parameters by their paths; a function that is a pytree itself, as modules of Equinox are; a
            ``flax.nnx.Module``; the pair of a ``flax.linen.Module`` and its variables.
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
    kinds = {f"{base.__module__}.{base.__qualname__}" for base in type(head).__mro__}
    if "flax.nnx.module.Module" in kinds or "flax.linen.module.Module" in kinds:
        from .flax_source import linen_program, nnx_program

        if "flax.nnx.module.Module" in kinds:
            program = nnx_program(head)
        else:
            program = linen_program(head, variables)
    else:
        program = _function(head, variables)
    return _captured(program, args, kwargs or {}, dynamic or {})


def _function(function: Any, variables: Any) -> Program:
    """A function; the arrays of the pytree that it takes first, where one is given, are parameters."""
    import jax

    if not callable(function):
        raise CaptureError(f"expected a function, received {type(function).__name__}")
    signature = inspect.signature(function)
    found = getattr(function, "__name__", type(function).__name__)
    words = [word[:1].upper() + word[1:] for word in found.split("_")] if found.isidentifier() else []
    name = "".join(words) or "Function"
    owner = function if variables is None else variables
    leaves, structure = jax.tree_util.tree_flatten_with_path(owner)
    own = [framework_of(leaf) is not None for _, leaf in leaves]
    if variables is None and not any(own):
        return Program(name, lambda tensors, args, kwargs, train: (function(*args, **kwargs), {}), signature)
    # Without variables it is a pytree itself: a module of Equinox, in which functions and numbers stand beside arrays.
    others = list(signature.parameters.values())
    root = "self" if variables is None else others.pop(0).name
    modules = {"": ModuleInfo("", name)}
    tensors: dict[str, Any] = {}
    places: dict[str, Place] = {}
    owners: dict[int, str] = {}
    trainable: set[str] = set()
    for (keys, leaf), is_array in zip(leaves, own, strict=True):
        if not is_array and (variables is None or callable(leaf)):
            continue
        if not is_array:
            raise CaptureError(f"{root}{jax.tree_util.keystr(keys)} is no array but {leaf!r}")
        path = path_of(keys) or root
        tensors[path] = leaf
        *parents, word = path.split(".")
        for depth in range(len(parents)):
            above = ".".join(parents[: depth + 1])
            modules.setdefault(above, ModuleInfo(above, _class_at(owner, keys[: depth + 1], parents[depth])))
        floating = np.issubdtype(np.asarray(leaf).dtype, np.floating) or str(leaf.dtype) == "bfloat16"
        parameter = Parameter(spec_of_aval(leaf), trainable=floating)
        if id(leaf) in owners:
            parameter.alias = owners[id(leaf)]
        else:
            owners[id(leaf)] = path
            places[path] = Place((path,))
            if floating:
                trainable.add(path)
        modules[".".join(parents)].parameters[word] = parameter

    def run(arrays: dict[str, Any], args: Any, kwargs: Any, train: bool) -> Any:
        filled = [arrays[owners[id(leaf)]] if id(leaf) in owners else leaf for _, leaf in leaves]
        tree = jax.tree.unflatten(structure, filled)
        return (tree(*args, **kwargs) if variables is None else function(tree, *args, **kwargs)), {}

    kept = {path: tensors[path] for path in places}
    return Program(name, run, signature.replace(parameters=others), kept, places, frozenset(trainable), modules)


def _class_at(tree: Any, keys: Sequence[Any], word: str) -> str:
    """What the class of a part of a pytree is called: what it is, or by its name where it only holds others."""
    for key in keys:
        try:
            tree = (
                getattr(tree, key.name) if hasattr(key, "name") else tree[getattr(key, "key", getattr(key, "idx", 0))]
            )
        except (TypeError, LookupError):  # a structure that names its parts by numbers of its own
            return _class_name(word)
    return _class_name(word if isinstance(tree, dict | list | tuple) else type(tree).__name__)


def _class_name(word: str) -> str:
    name = "".join(part[:1].upper() + part[1:] for part in word.split("_"))
    return name if name.isidentifier() and not keyword.iskeyword(name) else "Group"


# -- the trace --------------------------------------------------------------------------------------------------------


def _captured(program: Program, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Any) -> Capture:
    import jax

    arguments = _bound(program, args, {name: each for name, each in kwargs.items() if name not in program.modes})
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

    def flat(tensors: dict[str, Any], leaves: list[Any], *, train: bool = True) -> Any:
        rest = iter(leaves)
        filled: dict[str, Any] = {}
        for name, (structure, known, given) in structs.items():
            filled[name] = jax.tree.unflatten(
                structure, [leaf if each is None else next(rest) for leaf, each in zip(known, given, strict=True)]
            )
        positional, named = unbound(program.signature, filled)
        return program.run(tensors, positional, named, train)

    functions: dict[str, Any] = {}
    try:
        with keeping(functions, program), _entered(program, graph) as calls:
            closed, (shapes, changed) = jax.make_jaxpr(flat, return_shape=True)(tensors, dynamic_leaves)
        again = functools.partial(flat, train=calls is None)  # another function to JAX, which else remembers its trace
        with keeping({}, program), _entered(program, Graph(), calls):
            evaluated, (second, _) = jax.make_jaxpr(again, return_shape=True)(tensors, dynamic_leaves)
        if calls is not None:
            _check_evaluation(program, closed, evaluated)
        _check_structure(program, shapes, second)
    except (EngineError, CaptureError):
        raise
    except Exception as error:  # JAX raises many kinds; each means that it refused the function
        raise _refusal(program, error) from error
    if program.table is not None:
        program.modules, program.places = program.table(calls)
        graph.modules.clear()
        graph.modules.update(program.modules)
    reader = Reader(whole=functions, notes=notes, module=lambda call: graph.calls[call].module)
    values = _inputs(builder, forms, structs)
    with builder.recording():
        natives = {
            name: Pending(functools.partial(_view, path, place, name))
            for path, place in program.places.items()
            for name in place.names
        }
        ordered = [natives[name] for name in sorted(tensors)]
        found = reader.read(closed, [*ordered, *values])
    if reader.missing:
        raise UnsupportedOpsError(
            list(dict.fromkeys(reader.missing)),
            hint="add a rule for each (CONTRIBUTING.md, 'A reading rule'), or rewrite the lines that use them",
        )
    leaves, structure = jax.tree.flatten(shapes)
    with builder.recording():
        outputs = as_tree(jax.tree.unflatten(structure, [reader.lifted(each) for each in found[: len(leaves)]]))
    names = {name: path for path, place in program.places.items() for name in place.names}
    rest = jax.tree_util.tree_flatten_with_path(changed)[0]
    for (keys, _), value in zip(rest, found[len(leaves) :], strict=True):
        native = str(keys[0].key)
        if value is not natives[native]:
            with builder.recording():
                graph.updates[names[native]] = program.places[names[native]].of_graph(reader.lifted(value))
    builder.finish(outputs)
    if calls is not None:
        _name_calls(graph, calls, reader)
    _drop_calls(graph)
    if calls is not None:
        sink(graph)  # leaf layers of channels stand between transposes, most of which meet
    keep_last_hint(graph)
    graph.meta = {
        "framework": "jax",
        "version": str(FRAMEWORKS["jax"].installed),
        "class": graph.modules[""].cls,
        "module": program.module,
        **starred(program.signature),
    }
    arrays = {path: place.view(program.tensors) for path, place in program.places.items()}
    arrays |= {
        path: np.zeros(p.spec.shape, p.spec.dtype)
        for path, p in graph.parameters()
        if p.alias is None and path not in arrays
    }
    return Capture(
        graph,
        arrays,
        lambda arrange: SourceRunner(program, forms, structs, arrange),
        examples,
        list(dict.fromkeys(notes)),
    )


def _entered(program: Program, graph: Graph, training: Any = None) -> Any:
    return program.tracing(graph, training) if program.tracing is not None else contextlib.nullcontext()


def _check_structure(program: Program, first: Any, second: Any) -> None:
    """Refuse a function that returns something else when it is called again."""
    import jax

    (before, form), (after, other) = jax.tree.flatten(first), jax.tree.flatten(second)
    if form != other or [str(leaf) for leaf in before] != [str(leaf) for leaf in after]:
        raise CaptureError(
            f"{program.name} returns {_told(first)} in a first call and {_told(second)} in the next",
            hint="a graph has one structure: convert a function that returns the same in every call",
        )


def _told(shapes: Any) -> str:
    """A result, short enough for a message."""
    import jax

    text = str(jax.tree.map(lambda leaf: str(spec_of_aval(leaf)), shapes)).replace("'", "")
    return text if len(text) <= 80 else f"{text[:77]}..."


def _check_evaluation(program: Program, trained: Any, evaluated: Any) -> None:
    """Refuse a module whose evaluation differs from its training by more than what leaf layers keep."""
    lines = zip(str(trained.jaxpr).splitlines(), str(evaluated.jaxpr).splitlines(), strict=False)
    apart = next(((a, b) for a, b in lines if a != b), None)
    if apart is not None or len(trained.jaxpr.eqns) != len(evaluated.jaxpr.eqns):
        at = f": {apart[0].strip()[:80]} against {apart[1].strip()[:80]}" if apart else ""
        raise CaptureError(
            f"{program.name} computes other things in training than in evaluation{at}",
            hint="dropout and batch statistics are kept; write anything else for both modes alike",
        )


def _name_calls(graph: Graph, calls: Any, reader: Reader) -> None:
    """Fill the call table's arguments and results."""
    for index, arguments in calls.arguments.items():
        values = {name: reader.places.get(var) for name, var in arguments.items()}
        graph.calls[index].arguments = {
            name: value if isinstance(value, Value) else None for name, value in values.items()
        }
        result = reader.places.get(calls.results.get(index))
        graph.calls[index].result = {"": result} if isinstance(result, Value) else {}


def _drop_calls(graph: Graph) -> None:
    """Without the calls in which nothing is computed."""
    used = {above for node in graph.nodes for above in call_chain(graph, node.scope.call)} | {0}
    numbers = {old: new for new, old in enumerate(sorted(used))}
    for node in graph.nodes:
        node.scope = replace(node.scope, call=numbers[node.scope.call])
    graph.calls = [graph.calls[old] for old in sorted(used)]
    for call in graph.calls:
        call.parent = None if call.parent is None else numbers[call.parent]


def _view(path: str, place: Place, name: str) -> Any:
    """A parameter as the source holds it, read where it is used; what leaf layers hold is seldom read."""
    return place.of_source(RECORDER.get().parameter(path), name)


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
    return CaptureError(f"JAX refused {program.name}{user_place(error, of_library)}: {kind}: {text}", hint=hint)


__all__ = ["as_tree", "capture"]
