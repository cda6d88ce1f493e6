"""Modules that hold modules, and those that hold nothing.

Lists, tuples and dictionaries of modules may be attributes as they are; the containers here are modules themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ...errors import EngineError
from .. import ops
from ..op import Array
from ..spec import normalize_axis, spec_of
from .module import Module


class Sequential(Module):
    """One module after the other, under the names 0, 1, 2, ... or the keys of a dictionary.

    Example:
        >>> from ivyhub.engine.nn import Linear, ReLU
        >>> Sequential(Linear(3, 8), ReLU(), Linear(8, 2)).slots().keys()
        dict_keys(['0.weight', '0.bias', '2.weight', '2.bias'])
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            self._items: Any = dict(modules[0])
        else:
            self._items = list(modules)
        _check(self)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._items.values() if isinstance(self._items, dict) else self._items)

    def __getitem__(self, path: Any) -> Any:
        return _picked(self, path)

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x


class ModuleList(Module):
    """A list of modules, under the names 0, 1, 2, ...; it is not called itself."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._items = list(modules)
        _check(self)

    def append(self, module: Module) -> None:
        """Add a module behind the others."""
        self._items.append(module)
        _check(self)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._items)

    def __getitem__(self, path: Any) -> Any:
        return _picked(self, path)


class ModuleDict(Module):
    """A dictionary of modules, under its keys; it is not called itself."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self._items = dict(modules or {})
        _check(self)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __setitem__(self, name: str, module: Module) -> None:
        self._items[name] = module
        _check(self)

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules."""
        return self._items.items()


def _check(module: Any) -> None:
    items = module._items
    for name, item in items.items() if isinstance(items, dict) else enumerate(items):
        if not isinstance(item, Module):
            raise EngineError(
                f"{type(module).__name__} expected modules, received {item!r}", hint="wrap a function in Lambda"
            )
        if isinstance(name, str) and (not name or "." in name):
            raise EngineError(f"{type(module).__name__} expected names without dots, received {name!r}")


def _picked(module: Any, path: Any) -> Any:
    """An item by position, some by slice, anything by path."""
    if isinstance(path, str):
        return Module.__getitem__(module, path)
    items = list(module)
    return type(module)(*items[path]) if isinstance(path, slice) and isinstance(module, Sequential) else items[path]


class Identity(Module):
    """Gives what it receives; arguments of the constructor are ignored, as PyTorch's are."""

    inlined: ClassVar[bool] = True

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def forward(self, x: Any) -> Any:
        return x


class Lambda(Module):
    """A function as a module.

    Example:
        >>> import numpy as np
        >>> Lambda(lambda x: x * 2)(np.ones(2))
        array([2., 2.])
    """

    inlined: ClassVar[bool] = True

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


class Flatten(Module):
    """The axes from ``start`` to ``end`` as one.

    Example:
        >>> import numpy as np
        >>> Flatten()(np.ones((2, 3, 4))).shape
        (2, 12)
    """

    inlined: ClassVar[bool] = True

    def __init__(self, start: int = 1, end: int = -1) -> None:
        self.start, self.end = start, end

    def forward(self, x: Array) -> Array:
        shape = spec_of(x).shape
        first, last = normalize_axis(self.start, len(shape)), normalize_axis(self.end, len(shape))
        size: Any = 1
        for each in shape[first : last + 1]:
            size = size * each
        return ops.reshape(x, shape=(*shape[:first], size, *shape[last + 1 :]))


class Unflatten(Module):
    """An axis as several.

    Example:
        >>> import numpy as np
        >>> Unflatten(1, (2, 3))(np.ones((4, 6))).shape
        (4, 2, 3)
    """

    inlined: ClassVar[bool] = True

    def __init__(self, axis: int, shape: Sequence[int]) -> None:
        self.axis, self.shape = axis, tuple(shape)

    def forward(self, x: Array) -> Array:
        shape = spec_of(x).shape
        axis = normalize_axis(self.axis, len(shape))
        return ops.reshape(x, shape=(*shape[:axis], *self.shape, *shape[axis + 1 :]))


__all__ = ["Flatten", "Identity", "Lambda", "ModuleDict", "ModuleList", "Sequential", "Unflatten"]
