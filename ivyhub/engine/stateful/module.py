"""`Module`: a model as a tree of modules, with arrays of any framework in it.

A module declares its arrays in its constructor, as `Parameter` and `Buffer`; `Module.init` makes them from a key, in
the framework of that key. Until then a model has shapes and no numbers, which is enough to trace or summarise it::

    class Net(Module):
        def __init__(self, width):
            self.hidden = Linear(3, width)
            self.scale = Parameter((width,), init=initialisers.ones)

        def forward(self, x):
            return ops.tanh(self.hidden(x)) * self.scale

    net = Net(8).init(random.key(0, "torch"))

Children are found by attribute: modules, and lists, tuples and dictionaries of them. A module is a pytree whose leaves
are its arrays, parameters and buffers alike; everything else about it (its classes, its other attributes, whether it
trains, which parameters are frozen) is structure. So `jit`, `vmap` and the other transforms take modules and give
them. `ivyhub.engine.grad` differentiates by every floating-point leaf; `nn.value_and_grad` by the parameters that are
trainable, and keeps what training changes in buffers.

Calls change buffers in place (running statistics, the keys of dropout), as the frameworks' own layers do; inside
`jit` they change the module that was given to the function, which returns it.
"""

from __future__ import annotations

import inspect
import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ...errors import EngineError, GraphError, ShapeError, TensorMismatchError, UnknownNameError
from .. import ops
from ..backends import dtype_name, framework_of, is_floating
from ..op import Array
from ..recording import RECORDER
from ..trees import is_array, register
from .declarations import Buffer, Initialiser, Parameter, given, replace_value

if TYPE_CHECKING:
    from ..graph import Graph
    from ..layer import Layer

M = TypeVar("M", bound="Module")

TRACING: ContextVar[Any] = ContextVar("ivyhub_tracing_modules", default=None)
"""What records the calls of modules and the reading of their arrays (`tracing.Tracing`), or None where they run."""


def in_training(module: Module, does: str) -> bool:
    """Whether a module is in training. Raises `GraphError` in a trace if it is: a graph has not what it ``does`` then.

    That is so where the leaf layer stands in a function that is traced, or is traced itself; in a module it is a layer.
    """
    tracing = TRACING.get()
    training = module.training or (tracing is not None and id(module) in tracing.training)
    if training and RECORDER.get() is not None:
        raise GraphError(
            f"{type(module).__name__} {does} in training, which the graph of a function does not hold, nor its own",
            hint="trace a Module that holds it, as Sequential does: its graph keeps them; or call eval() on it before",
        )
    return module.training


class Handle:
    """A hook that can be taken away again with `remove`."""

    def __init__(self, hooks: dict[int, Any], number: int) -> None:
        self._hooks, self._number = hooks, number

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.pop(self._number, None)


_numbers = itertools.count()


class Module:
    """Base of all modules (see the module's docstring). Subclasses write ``forward``; instances are called.

    Attributes:
        training: whether it behaves as in training: see `train` and `eval`.

    Example:
        >>> import numpy as np
        >>> class Scale(Module):
        ...     def __init__(self):
        ...         self.factor = Parameter((), init=lambda key, shape, dtype: np.full(shape, 2.0, dtype))
        ...     def forward(self, x):
        ...         return x * self.factor
        >>> Scale().init(np.zeros(2, np.uint32))(np.ones(2, np.float32))
        array([2., 2.], dtype=float32)
    """

    inlined: ClassVar[bool] = False  # whether a graph shows its operations in its caller, as of an activation
    training: bool
    _slots: dict[str, Parameter]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        register(cls, _flatten, _unflatten)

    def __new__(cls: type[M], *_: Any, **__: Any) -> M:  # so that a subclass need not call super().__init__
        module = object.__new__(cls)
        module.__dict__.update(_slots={}, training=True)
        return module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; subclasses write it."""
        raise EngineError(f"{type(self).__name__} has no forward", hint="write one, over the engine's operations")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        hooks = self.__dict__.get("_before")
        if hooks:
            for hook in tuple(hooks.values()):
                changed = hook(self, args, kwargs)
                args, kwargs = (args, kwargs) if changed is None else changed
        tracing = TRACING.get()
        result = self.forward(*args, **kwargs) if tracing is None else tracing.call(self, args, kwargs)
        hooks = self.__dict__.get("_after")
        if hooks:
            for hook in tuple(hooks.values()):
                changed = hook(self, args, kwargs, result)
                result = result if changed is None else changed
        return result

    # -- attributes ----------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        slots = self._slots
        if isinstance(value, Parameter):
            self.__dict__.pop(name, None)
            slots[name] = value
        elif name in slots:
            if value is not None and not is_array(value):
                raise EngineError(f"expected an array for {type(self).__name__}.{name}, received {value!r}")
            slots[name].value = value
        elif is_array(value):
            slots[name] = given(value)
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        slot = self.__dict__["_slots"].get(name)
        if slot is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        tracing = TRACING.get()
        if tracing is not None:
            return tracing.read(self, name, slot)
        if slot.value is None:
            raise EngineError(
                f"{type(self).__name__}.{name} has a shape and no numbers yet",
                hint="call init(key) or load_state_dict(arrays) on the model first",
            )
        return slot.value

    def __delattr__(self, name: str) -> None:
        if name in self._slots:
            del self._slots[name]
        else:
            object.__delattr__(self, name)

    # -- the tree ------------------------------------------------------------------------------------------------

    @property
    def own_slots(self) -> dict[str, Parameter]:
        """The declarations of its own parameters and buffers, by name."""
        return self._slots

    def leaf(self) -> Layer | None:
        """The leaf layer that it is in a graph, with its settings; None for a module of any other kind."""
        return None

    def named_children(self) -> dict[str, Module]:
        """The modules directly below, by their paths: ``{"layers.0": ..., "head": ...}``."""
        found: dict[str, Module] = {}
        for name, value in self.__dict__.items():
            if name != "_slots":
                found.update(_members("" if name == "_items" else name, value))
        return found

    def named_modules(self) -> dict[str, Module]:
        """This module and all below it, by path; one that stands in two places has its first."""
        found: dict[str, Module] = {}
        seen: set[int] = set()

        def visit(path: str, module: Module) -> None:
            if id(module) not in seen:
                seen.add(id(module))
                found[path] = module
                for name, child in module.named_children().items():
                    visit(f"{path}.{name}" if path else name, child)

        visit("", self)
        return found

    def slots(self) -> dict[str, Parameter]:
        """The declarations of all parameters and buffers by path; a shared one under its first."""
        found: dict[str, Parameter] = {}
        seen: set[int] = set()
        for path, module in self.named_modules().items():
            for name, slot in module.own_slots.items():
                if id(slot) not in seen:
                    seen.add(id(slot))
                    found[f"{path}.{name}" if path else name] = slot
        return found

    def named_parameters(self) -> dict[str, Array]:
        """Every parameter by path, frozen ones among them. Raises `EngineError` before `init`."""
        return {name: _value(name, slot) for name, slot in self.slots().items() if not isinstance(slot, Buffer)}

    def named_buffers(self) -> dict[str, Array]:
        """Every buffer by path."""
        return {name: _value(name, slot) for name, slot in self.slots().items() if isinstance(slot, Buffer)}

    def trainable(self) -> dict[str, Array]:
        """The parameters that optimizers change, by path."""
        return {name: _value(name, slot) for name, slot in self.slots().items() if slot.trainable}

    def __getitem__(self, path: str) -> Any:
        """The module, parameter or buffer at a path: ``model["encoder.layers.0.weight"]``."""
        modules = self.named_modules()
        if path in modules:
            return modules[path]
        owner, _, name = path.rpartition(".")
        if owner in modules and name in modules[owner].own_slots:
            return getattr(modules[owner], name)
        raise UnknownNameError(
            f"{type(self).__name__} has no module, parameter or buffer {path!r}",
            hint=f"it has {', '.join([*modules, *self.slots()][1:20])}",
        )

    def tie(self, path: str, owner: str) -> None:
        """Let the parameter at ``path`` be the one at ``owner`` from now on, as tied embeddings are.

        Raises `ShapeError` where their shapes differ.
        """
        modules = self.named_modules()
        (first, first_name), (second, second_name) = (p.rpartition(".")[::2] for p in (path, owner))
        for module, name, full in ((first, first_name, path), (second, second_name, owner)):
            if module not in modules or name not in modules[module].own_slots:
                raise UnknownNameError(f"{type(self).__name__} has no parameter {full!r}")
        slot = modules[second].own_slots[second_name]
        before = modules[first].own_slots[first_name]
        if before.spec.shape != slot.spec.shape:
            raise ShapeError(f"expected equal shapes to tie, received {path} {before.spec} and {owner} {slot.spec}")
        modules[first].own_slots[first_name] = slot

    # -- state ---------------------------------------------------------------------------------------------------

    def init(self: M, key: Array, *, dtype: str | None = None) -> M:
        """Make every array from a key, in the key's framework; the module is changed and returned.

        Each array has a key of its own, folded in by its path: a layer that is added later changes no other weight.

        Args:
            key: as `random.key` makes it.
            dtype: of the floating-point arrays; as declared by default.
        """
        from .. import random

        for path, slot in self.slots().items():
            if slot.init is not None:
                wanted = slot.dtype if dtype is None or not is_floating(slot.dtype) else dtype
                own = random.fold_in(key, zlib.crc32(path.encode()) >> 1)
                slot.value = slot.init(own, slot.shape, wanted)
        return self

    def replaced(self: M, arrays: Mapping[str, Array]) -> M:
        """A copy with other arrays at some paths.

        Raises `UnknownNameError` for a path that it does not have.
        """
        other = self.copy()
        other.assign(arrays)
        return other

    def assign(self, arrays: Mapping[str, Array]) -> None:
        """Put arrays at paths, in place and unchecked; see `load_state_dict` for arrays from elsewhere."""
        slots = self.slots()
        unknown = [path for path in arrays if path not in slots]
        if unknown:
            raise UnknownNameError(f"{type(self).__name__} has no array {', '.join(unknown[:20])}")
        for path, array in arrays.items():
            slots[path].value = array

    def copy(self: M) -> M:
        """A module of its own with the same arrays: what is assigned in one is not in the other."""
        slots = self.slots().values()
        return _cloned(self, {id(slot): replace_value(slot, slot.value) for slot in slots}, {})

    def state_dict(self) -> dict[str, Array]:
        """Every persistent array by path, a shared one once."""
        return {name: _value(name, slot) for name, slot in self.slots().items() if slot.persistent}

    def load_state_dict(self, arrays: Mapping[str, Array], *, strict: bool = True) -> None:
        """Take arrays by path, of any framework; they are moved to the module's, and cast to its dtypes.

        Args:
            arrays: by the names of `state_dict`.
            strict: whether every persistent array must be there, and nothing else.

        Raises:
            TensorMismatchError: with all that is missing, unexpected or of another shape; nothing is changed then.
        """
        slots = self.slots()
        problems = [
            f"{name}: expected {slots[name].spec.shape}, received {tuple(array.shape)}"
            for name, array in arrays.items()
            if name in slots and tuple(array.shape) != slots[name].spec.shape
        ]
        if strict:
            missing = [name for name, slot in slots.items() if slot.persistent and name not in arrays]
            unexpected = [name for name in arrays if name not in slots]
            problems += [f"missing: {name}" for name in missing] + [f"unexpected: {name}" for name in unexpected]
        if problems:
            raise TensorMismatchError(
                f"the arrays do not fit {type(self).__name__}:\n" + "\n".join(f"  {line}" for line in problems),
                hint="strict=False takes the arrays that have a place",
            )
        for name, array in arrays.items():
            if name in slots:
                slot = slots[name]
                owner = None if slot.value is None else framework_of(slot.value)
                slot.value = _moved(array, owner, None, slot.spec.dtype)

    def on(self: M, framework: str | None = None, *, device: str | None = None, dtype: str | None = None) -> M:
        """A copy with its arrays in a framework, on a device, in a dtype; memory is shared where DLPack can.

        Args:
            framework: ``"numpy"``, ``"torch"``, ``"jax"`` or ``"tensorflow"``; the same by default.
            device: as `ivyhub.engine.device` takes it; the same by default.
            dtype: of the floating-point arrays; the same by default.
        """
        other = self.copy()
        for slot in other.slots().values():
            if slot.value is not None:
                slot.value = _moved(slot.value, framework, device, dtype if is_floating(slot.spec.dtype) else None)
                slot.dtype = slot.spec.dtype
            elif dtype is not None and is_floating(slot.dtype):
                slot.dtype = dtype
        return other

    # -- behaviour -----------------------------------------------------------------------------------------------

    def train(self: M, mode: bool = True) -> M:
        """Behave as in training, here and below; the module is changed and returned."""
        for module in self.named_modules().values():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Behave as in evaluation, here and below; the module is changed and returned."""
        return self.train(False)

    def freeze(self: M, *paths: str) -> M:
        """Keep parameters from training: those at or below the paths, all where none is given.

        The module is changed and returned. Raises `UnknownNameError` for a path with nothing there.
        """
        return self._set_trainable(paths, False)

    def unfreeze(self: M, *paths: str) -> M:
        """Let parameters train again; see `freeze`."""
        return self._set_trainable(paths, True)

    def _set_trainable(self: M, paths: tuple[str, ...], trainable: bool) -> M:
        named = [
            (f"{place}.{name}" if place else name, slot)
            for place, module in self.named_modules().items()
            for name, slot in module.own_slots.items()
            if not isinstance(slot, Buffer)
        ]
        chosen: list[Parameter] = []
        for path in paths or ("",):
            found = [slot for name, slot in named if not path or name == path or name.startswith(f"{path}.")]
            if path and not found:
                raise UnknownNameError(f"{type(self).__name__} has no parameters at {path!r}")
            chosen += found
        for slot in chosen:
            slot.trainable = trainable
        return self

    def before_forward(self, hook: Callable[[Module, tuple[Any, ...], dict[str, Any]], Any]) -> Handle:
        """Call ``hook(module, args, kwargs)`` before each call; it may return other (args, kwargs)."""
        return self._hooked("_before", hook)

    def after_forward(self, hook: Callable[[Module, tuple[Any, ...], dict[str, Any], Any], Any]) -> Handle:
        """Call ``hook(module, args, kwargs, result)`` after each call; it may return another result."""
        return self._hooked("_after", hook)

    def _hooked(self, kind: str, hook: Any) -> Handle:
        hooks = self.__dict__.setdefault(kind, {})
        number = next(_numbers)
        hooks[number] = hook
        return Handle(hooks, number)

    # -- elsewhere -----------------------------------------------------------------------------------------------

    def trace(self, *specs: Any, **named: Any) -> Graph:
        """The module as a `Graph`, from the specs of its inputs (or arrays like them).

        Example:
            >>> from ivyhub.engine import Spec
            >>> from ivyhub.engine.nn import Linear
            >>> print(Linear(3, 2).trace(Spec(("batch", 3))))
            # batch >= 1
            Linear(x: float32[batch, 3]):
                weight: float32[2, 3] = weight
                bias: float32[2] = bias
                linear: float32[batch, 2] = linear(x, weight, bias)
                return linear
        """
        from .tracing import trace

        return trace(self, *specs, **named)

    def to(self, target: str, *args: Any, **kwargs: Any) -> Any:
        """The module as a native, trainable one of a target, ``"torch"``: `ivyhub.transpile` for these inputs.

        Args:
            target: as `ivyhub.transpile` takes it.
            args: example inputs, or their specs.
            kwargs: example inputs by name.
        """
        import ivyhub  # the public face finds what writes native source; the engine does not know the registry

        return ivyhub.transpile(self, to=target, args=args, kwargs=kwargs)

    def summary(self, *specs: Any, **named: Any) -> str:
        """The tree as a table: classes, results (where specs of the inputs are given), parameters and bytes."""
        from .summary import summary

        return summary(self, *specs, **named)

    def __repr__(self) -> str:
        lines = [f"  {name}: {child!r}".replace("\n", "\n  ") for name, child in self.named_children().items()]
        return f"{type(self).__name__}({self._settings()}" + ("\n" + "\n".join(lines) + "\n)" if lines else ")")

    def _settings(self) -> str:
        """Its plain attributes, for `repr`."""
        hints = {k: str(hint) for kind in type(self).__mro__ for k, hint in inspect.get_annotations(kind).items()}
        shown = {
            k: v
            for k, v in self.__dict__.items()
            if not k.startswith("_") and not dict(_members(k, v)) and "Array" not in hints.get(k, "")
        }
        return ", ".join(f"{name}={value!r}" for name, value in shown.items() if name != "training")


# -- pytrees ---------------------------------------------------------------------------------------------------------


class _Structure:
    """What a module is without its arrays: equal for modules that differ in those alone."""

    __slots__ = ("key", "slots", "template")

    def __init__(self, module: Module, slots: list[Parameter]) -> None:
        self.slots = [replace_value(slot, None) for slot in slots]
        self.template = _cloned(module, dict(zip(map(id, slots), self.slots, strict=True)), {})
        self.key = _key(module, {id(slot): i for i, slot in enumerate(slots)}, {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Structure) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return type(self.template).__name__


def _flatten(module: Module) -> tuple[list[Any], _Structure]:
    slots = list(module.slots().values())
    return [slot.value for slot in slots], _Structure(module, slots)


def _unflatten(structure: _Structure, values: Any) -> Module:
    slots = {id(slot): replace_value(slot, value) for slot, value in zip(structure.slots, values, strict=True)}
    return _cloned(structure.template, slots, {})


def _cloned(item: Any, slots: Mapping[int, Parameter], modules: dict[int, Module]) -> Any:
    """A copy of a module (or of a container of modules) with other declarations; what is shared stays shared."""
    if isinstance(item, Module):
        if id(item) not in modules:
            modules[id(item)] = other = object.__new__(type(item))
            other.__dict__["_slots"] = {name: slots[id(slot)] for name, slot in item.own_slots.items()}
            for name, value in item.__dict__.items():
                if name != "_slots":
                    other.__dict__[name] = _cloned(value, slots, modules)
        return modules[id(item)]
    if type(item) in (list, tuple):
        return type(item)([_cloned(each, slots, modules) for each in item])
    if type(item) is dict:
        return {name: _cloned(each, slots, modules) for name, each in item.items()}
    return item


class _Identity:
    """Stands in a key for something that cannot be hashed: equal to itself alone."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.item is other.item

    def __hash__(self) -> int:
        return id(self.item)


def _key(item: Any, slots: Mapping[int, int], modules: dict[int, int]) -> Any:
    """What tells structures apart, as nested tuples."""
    if isinstance(item, Module):
        if id(item) in modules:
            return modules[id(item)]
        modules[id(item)] = len(modules)
        own = tuple((name, slots[id(slot)], slot.trainable, slot.persistent) for name, slot in item.own_slots.items())
        rest = ((name, _key(value, slots, modules)) for name, value in item.__dict__.items() if name != "_slots")
        return (type(item), own, *rest)
    if type(item) in (list, tuple):
        return (type(item), *(_key(each, slots, modules) for each in item))
    if type(item) is dict:
        return (dict, *((name, _key(each, slots, modules)) for name, each in item.items()))
    try:
        hash(item)
    except TypeError:
        return _Identity(item)
    return type(item), item  # 1, 1.0 and True are equal, and not the same setting


register(Module, _flatten, _unflatten)


# -- helpers ---------------------------------------------------------------------------------------------------------


def _members(path: str, value: Any) -> Iterator[tuple[str, Module]]:
    """The modules in the value of an attribute, with their paths."""
    if isinstance(value, Module):
        yield path, value
    elif type(value) in (list, tuple, dict):
        for name, child in value.items() if type(value) is dict else enumerate(value):
            yield from _members(f"{path}.{name}" if path else str(name), child)


def _value(name: str, slot: Parameter) -> Array:
    if slot.value is None:
        raise EngineError(f"{name} has a shape and no numbers yet", hint="call init(key) on the model first")
    return slot.value


def _moved(array: Array, framework: str | None, device: str | None, dtype: str | None) -> Array:
    if framework is not None and framework_of(array) != framework:
        from ..devices import to_framework

        array = to_framework(array, framework)
    if device is not None:
        from ..devices import to_device

        array = to_device(array, device)
    return array if dtype is None or dtype_name(array.dtype) == dtype else ops.astype(array, dtype=dtype)


__all__ = ["Buffer", "Handle", "Initialiser", "Module", "Parameter", "given", "in_training"]
