"""Modules of Flax as programs: their tensors, their calls, and which of them are leaf layers.

While a module is traced, the calls of its parts are seen: by `flax.linen.intercept_methods`, or by wrapping the
``__call__`` of the classes that an NNX module is made of, until the trace ends. A call of a leaf layer becomes one
primitive that carries its path; of any other, a `jax.named_scope`, which each of its equations keeps. Inside of
transformations (`vmap`, `grad`) calls are as they were written.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np

from ....engine.graph import Call, Graph, ModuleInfo, Parameter, below
from ....engine.layer import find_layer
from ....engine.spec import Spec
from ....errors import CaptureError
from .flax_layers import ARRAYS, ELSEWHERE, LEAVES, MODAL, Home, Reading, layer_name, result_of
from .program import Place, Program, path_of
from .sizes import spec_of_aval

_MODES = {"deterministic": False, "train": True, "training": True, "is_training": True}
_CONTAINERS = {"List": "ModuleList", "Dict": "ModuleDict", "Sequential": "Sequential", "list": "ModuleList"}


@functools.cache
def _leaf_primitive() -> Any:
    from jax.core import ShapedArray
    from jax.extend.core import Primitive

    primitive = Primitive("ivyhub_leaf")
    primitive.def_abstract_eval(lambda x, *, path, last, shape, dtype: ShapedArray(shape, dtype))
    return primitive


class Calls:
    """What is seen of the calls of a module's parts during one trace: in training, or in evaluation after it."""

    def __init__(self, graph: Graph, training: Calls | None, names: Mapping[type, str] | None = None) -> None:
        self.graph = graph
        self.names = names or {}  # of classes that are changed while they are traced
        self.training = training
        self.stack = [0]
        self.leaves: dict[str, Reading] = {}
        self.homes: dict[str, Home] = {}  # of leaf layers whose arrays are held elsewhere
        self.arguments: dict[int, dict[str, Any]] = {}  # of each call, by name: variables of the jaxpr
        self.results: dict[int, Any] = {}
        self.order: dict[str, None] = {}  # the paths of parts as they are first called

    def seen(
        self,
        module: Any,
        path: str,
        original: Callable[..., Any],
        args: Any,
        kwargs: dict[str, Any],
        arrays: Sequence[Any],
        *,
        lifted: bool = False,
    ) -> Any:
        """The result of a call of the part at a path, which holds some arrays: of its own, or lifted parts of those."""
        import jax

        self.order.setdefault(path)
        name = self.names.get(type(module)) or layer_name(type(module))
        if name.endswith("BatchNorm") and self._is_frozen(module, path, kwargs):
            return original(*args, **kwargs)
        traced = [each for each in (*args, *arrays) if isinstance(each, jax.Array)]
        plain = all(type(each).__name__ == "DynamicJaxprTracer" for each in traced)
        modes = all(key in _MODES or key == "use_running_average" or value is None for key, value in kwargs.items())
        whole = plain and modes and not lifted
        if path and name in LEAVES and whole and len(args) == 1 and isinstance(args[0], jax.Array):
            (x,) = args
            found = LEAVES[name](module, x)
            if found is not None and self.leaves.setdefault(path, found) == found:
                if name in ELSEWHERE:
                    self.homes[path] = ELSEWHERE[name](module)
                result = result_of(found, x)
                if result is None:
                    out = jax.eval_shape(lambda x: original(x, **kwargs), jax.ShapeDtypeStruct(x.shape, x.dtype))
                    result = tuple(out.shape), out.dtype
                shape, dtype = result
                return _leaf_primitive().bind(x, path=path, last="channel_axis" in found[1], shape=shape, dtype=dtype)
        if name in MODAL:
            raise CaptureError(
                f"{path or 'the model'} is a {type(module).__name__} whose training behaviour cannot be kept here",
                hint="batch statistics and dropout are not captured inside of vmap, grad or scan, nor over other axes "
                "than the last",
            )
        if path in self.leaves:
            del self.leaves[path]
            raise CaptureError(f"{path} is called in two ways that are not one leaf layer", hint="call it in one way")
        within = below(path, self.graph.calls[self.stack[-1]].module)  # not so where another module was given this one
        if not path or type(module).__name__ in _CONTAINERS or not plain or not within:
            return original(*args, **kwargs)
        index = len(self.graph.calls)
        self.graph.calls.append(Call(path, self.stack[-1]))
        self.arguments[index] = _named(module, args, kwargs)
        self.stack.append(index)
        try:
            with jax.named_scope(f"ivyhub@{index}"):
                result = original(*args, **kwargs)
        finally:
            self.stack.pop()
        self.results[index] = getattr(result, "val", None)
        return result

    def _is_frozen(self, module: Any, path: str, kwargs: Mapping[str, Any]) -> bool:
        """Whether a batch normalisation uses its running statistics in training too: then it is a formula of them.

        Raises `CaptureError` where it uses those of the batch in evaluation.
        """
        given = kwargs.get("use_running_average")
        average = module.use_running_average if given is None else given
        if self.training is None:
            return bool(average)
        if not average:
            raise CaptureError(
                f"{path} normalises by the statistics of the batch in evaluation too",
                hint="pass use_running_average=True in evaluation, or let an argument `train` decide",
            )
        return path not in self.training.leaves


def _named(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name: what stands for each array in the jaxpr, None for anything else."""
    try:
        bound = inspect.signature(type(module).__call__).bind(module, *args, **kwargs).arguments
    except TypeError:
        return {}
    return {name: getattr(each, "val", None) for name, each in list(bound.items())[1:]}


def _modules(
    root: Any,
    parts: Mapping[str, Any],
    tensors: Mapping[str, Any],
    trainable: frozenset[str],
    places: Mapping[str, str],
) -> Callable[[Calls], tuple[dict[str, ModuleInfo], dict[str, Place]]]:
    """Makes the module table, and the places of its parameters, when the leaf layers are known."""

    def make(calls: Calls) -> tuple[dict[str, ModuleInfo], dict[str, Place]]:
        modules = {"": ModuleInfo("", f"{type(root).__module__}.{type(root).__qualname__}")}

        def at(path: str) -> ModuleInfo:
            if path not in modules:
                at(path.rpartition(".")[0])
                part = parts.get(path)
                name = type(part).__qualname__ if part is not None else "Group"
                name = _CONTAINERS.get(name, f"{type(part).__module__}.{name}" if part is not None else name)
                modules[path] = ModuleInfo(path, name)
            return modules[path]

        found: dict[str, Place] = {}

        def inside(path: str) -> bool:
            """Whether a part is one of a leaf layer."""
            return any(below(path, leaf) for leaf in calls.leaves)

        taken = {each for home in calls.homes.values() for held, _ in home.values() for each in held}
        for path in (*calls.order, *parts):
            if path and not inside(path):
                at(path)
        for path, name in places.items():
            above, _, own = path.rpartition(".")
            if inside(path) or path in taken:
                continue
            module = at(above)
            module.parameters[own] = Parameter(spec_of_aval(tensors[name]), trainable=name in trainable)
            found[path] = Place((name,))
        for path, (layer, config) in calls.leaves.items():
            module = at(path)
            kind = find_layer(layer)
            assert kind is not None
            leaf = kind(**config)
            module.layer, module.config = layer, leaf.config
            for word in (*leaf.parameters(), *leaf.buffers()):
                if word not in ARRAYS[layer](0):  # a count that Flax does not keep
                    shape, dtype = leaf.buffers()[word]
                    module.parameters[word] = Parameter(Spec(shape, dtype), trainable=False)
                    continue
                if path in calls.homes:
                    held, axes = calls.homes[path][word]
                    names = tuple(places[each] for each in held)
                else:
                    names = (places[f"{path}.{ARRAYS[layer](0)[word][0]}"],)
                    axes = ARRAYS[layer](len(tensors[names[0]].shape))[word][1]
                found[f"{path}.{word}"] = Place(names, axes)
                spec = spec_of_aval(tensors[names[0]])
                shape = list(spec.shape if axes is None else (spec.shape[axis] for axis in axes))
                shape[:1] = [shape[0] * len(names)] if len(names) > 1 else shape[:1]
                trained = all(name in trainable for name in names)
                module.parameters[word] = Parameter(spec.with_shape(*shape), trainable=trained)
        return modules, found

    return make


def _floating(array: Any) -> bool:
    return np.issubdtype(np.dtype(array.dtype), np.floating) or str(array.dtype) == "bfloat16"


# -- NNX --------------------------------------------------------------------------------------------------------------


def _with(held: Any, array: Any) -> Any:
    """What a state holds, a variable or an array, with another array or its own; a variable is another one."""
    if not hasattr(held, "replace"):
        return held if array is None else array
    return held.replace(held[...] if array is None else array)


def nnx_program(model: Any) -> Program:
    """A ``flax.nnx.Module``."""
    import jax
    from flax import nnx

    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    flat = {"params": nnx.to_flat_state(params), "rest": nnx.to_flat_state(rest)}
    tensors: dict[str, Any] = {}
    for kind in flat.values():
        for place, variable in kind:
            if not isinstance(variable, nnx.RngState):
                tensors[path_of(place)] = variable[...]
    trainable = frozenset(path_of(place) for place, variable in flat["params"] if _floating(variable))
    parts = {path_of(place): part for place, part in nnx.iter_graph(model) if isinstance(part, nnx.Module)}
    seeing: list[tuple[Calls, dict[int, str]]] = []

    def run(arrays: Mapping[str, Any], args: Any, kwargs: Any, train: bool) -> Any:
        def filled(state: Any) -> Any:
            return nnx.from_flat_state([(p, _with(v, arrays.get(path_of(p)))) for p, v in nnx.to_flat_state(state)])

        own = nnx.merge(graphdef, filled(params), filled(rest))
        own.train() if train else own.eval()
        if seeing:
            seeing[-1][1].update(
                {id(part): path_of(place) for place, part in nnx.iter_graph(own) if isinstance(part, nnx.Module)}
            )
        else:
            own.set_attributes(nnx.Dropout, rate=0.0, raise_if_not_found=False)
        result = own(*args, **kwargs)
        others = nnx.to_flat_state(nnx.state(own, nnx.Not(nnx.Param)))
        changed = {path_of(p): v[...] for p, v in others if path_of(p) in tensors}
        return result, {name: array for name, array in changed.items() if array is not arrays[name]}

    @contextlib.contextmanager
    def tracing(graph: Graph, training: Calls | None) -> Generator[Calls]:
        kinds = {type(part) for part in parts.values() if callable(part)}
        calls, paths = Calls(graph, training, {kind: layer_name(kind) for kind in kinds}), dict[int, str]()
        before = [(kind, vars(kind).get("__call__")) for kind in kinds]

        def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(call)
            def around(self: Any, *args: Any, **kwargs: Any) -> Any:
                original = functools.partial(call, self)
                if id(self) not in paths:
                    return original(*args, **kwargs)
                held = [leaf for leaf in jax.tree.leaves(nnx.state(self, nnx.Param)) if isinstance(leaf, jax.Array)]
                return calls.seen(self, paths[id(self)], original, args, kwargs, held)

            return around

        originals = {kind: kind.__call__ for kind in kinds}
        seeing.append((calls, paths))
        try:
            for kind, call in originals.items():
                kind.__call__ = wrapped(call)
            yield calls
        finally:
            seeing.pop()
            for kind, own in before:
                if own is None:
                    del kind.__call__
                else:
                    kind.__call__ = own

    return Program(
        type(model).__name__,
        run,
        inspect.signature(model.__call__),
        tensors,
        trainable=trainable,
        tracing=tracing,
        table=_modules(model, parts, tensors, trainable, {name: name for name in tensors}),
        module=type(model).__module__,
    )


# -- Linen ------------------------------------------------------------------------------------------------------------


def linen_program(module: Any, variables: Any) -> Program:
    """A ``flax.linen.Module`` with its variables. An argument that says whether it trains becomes the export's mode."""
    import jax
    from flax import linen

    if not isinstance(variables, Mapping) or "params" not in variables:
        raise CaptureError(
            f"expected the variables of {type(module).__name__} beside it, received {type(variables).__name__}",
            hint="ivyhub.transpile(module, module.init(key, x), to=..., args=(x,))",
        )
    leaves, structure = jax.tree_util.tree_flatten_with_path(dict(variables))
    names = [path_of(keys) for keys, _ in leaves]
    tensors = dict(zip(names, (leaf for _, leaf in leaves), strict=True))
    trainable = frozenset(name for name in names if name.startswith("params.") and _floating(tensors[name]))
    places: dict[str, str] = {}
    for name in sorted(names, key=lambda name: not name.startswith("params.")):
        collection, _, rest = name.partition(".")
        places[rest if rest not in places else f"{collection}_{rest}"] = name
    others = [collection for collection in variables if collection != "params"]
    signature = inspect.signature(module.__call__)
    modes = [name for name in signature.parameters if name in _MODES]
    parts: dict[str, Any] = {}
    seeing: list[Calls] = []

    def interceptor(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name != "__call__":
            return call(*args, **kwargs)
        if not seeing:
            return args[0] if isinstance(context.module, linen.Dropout) else call(*args, **kwargs)
        path = ".".join(context.module.path)
        parts[path] = context.module
        found, _ = jax.tree_util.tree_flatten_with_path(dict(context.module.variables.get("params", {})))
        own = {path_of(("params", *context.module.path, *keys)): leaf for keys, leaf in found}
        lifted = any(name not in tensors or tensors[name].shape != leaf.shape for name, leaf in own.items())
        return seeing[-1].seen(context.module, path, call, args, kwargs, [*own.values()], lifted=lifted)

    def run(arrays: Mapping[str, Any], args: Any, kwargs: Any, train: bool) -> Any:
        filled = jax.tree.unflatten(structure, [arrays[name] for name in names])
        kwargs = {**kwargs, **{name: _MODES[name] == train for name in modes}}
        with linen.intercept_methods(interceptor):
            result = module.apply(filled, *args, **kwargs, mutable=others if others else False)
        if not others:
            return result, {}
        result, changed = result
        flat = {path_of(keys): leaf for keys, leaf in jax.tree_util.tree_flatten_with_path(dict(changed))[0]}
        return result, {name: leaf for name, leaf in flat.items() if leaf is not arrays[name]}

    @contextlib.contextmanager
    def tracing(graph: Graph, training: Calls | None) -> Generator[Calls]:
        seeing.append(Calls(graph, training))
        try:
            yield seeing[-1]
        finally:
            seeing.pop()

    kept = [parameter for parameter in signature.parameters.values() if parameter.name not in modes]
    return Program(
        type(module).__name__,
        run,
        signature.replace(parameters=kept),
        tensors,
        trainable=trainable,
        tracing=tracing,
        table=_modules(module, parts, tensors, trainable, places),
        module=type(module).__module__,
        modes=frozenset(modes),
    )


__all__ = ["Calls", "linen_program", "nnx_program"]
