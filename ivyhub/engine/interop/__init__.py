"""Other libraries on the engine: einops and TensorLy take `engine.Array`, of any framework.

``einops``
    needs no call: ``einops.rearrange(x, "b c h w -> b (c h w)")`` knows `Array` as soon as both are imported.
``tensorly``
    is told by ``tensorly.set_backend("ivyhub.torch")``, after ``ivyhub.engine.interop.tensorly.register()``.

Nothing here imports either of them before the user does.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


def follow(name: str, follower: str) -> None:
    """Import a module right after another one: at once where that one is loaded, else when it is.

    Args:
        name: the full name of a module of another library.
        follower: the full name of ours, which adds itself to it.
    """
    if name in sys.modules:
        importlib.import_module(follower)
    else:
        sys.meta_path.insert(0, _Follower(name, follower))


class _Follower:
    """A finder that finds one module as it would be found without it, and is gone then."""

    def __init__(self, name: str, follower: str) -> None:
        self.name, self.follower = name, follower

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                importlib.import_module(self.follower)

            loader.exec_module = exec_module
        return spec


__all__ = ["follow"]
