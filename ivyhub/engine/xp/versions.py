"""The versions of the standard that a namespace can be asked for: ``x.__array_namespace__(api_version="2024.12")``.

What 2025.12 added, the versions before it leave open; where it gives tuples, they give lists. 2022.12 and 2021.12
are not among them: there a sum of float32 was of the default dtype.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ...errors import EngineError
from ..standard.info import Info

NEWEST = "2025.12"
VERSIONS = ("2023.12", "2024.12", NEWEST)


@functools.cache
def namespace(framework: str, version: str | None = None) -> ModuleType:
    """The namespace of a framework, or of traces, in a version of the standard, the newest one for None.

    Raises:
        EngineError: there is no such version, or it is not implemented.

    Example:
        >>> xp = namespace("numpy", "2024.12")
        >>> xp.broadcast_arrays(xp.asarray([1, 2]), xp.asarray(3))
        [Array([1 2], int64, numpy), Array([3 3], int64, numpy)]
    """
    if version not in (None, *VERSIONS):
        raise EngineError(
            f"expected a version of the Array API Standard among {', '.join(VERSIONS)}, received {version!r}",
            hint="None asks for the newest",
        )
    module = importlib.import_module(f".{framework}", __package__)
    if version in (None, NEWEST):
        return module
    found = ModuleType(module.__name__, (module.__doc__ or "").replace(NEWEST, str(version)))
    vars(found).update({name: value for name, value in vars(module).items() if name not in _OWN})
    for name in ("broadcast_arrays", "meshgrid"):
        setattr(found, name, _listed(vars(module)[name]))
    vars(found)["__array_api_version__"] = version
    vars(found)["__array_namespace_info__"] = functools.partial(_Info, framework)
    return found


_OWN = set(vars(ModuleType("")))


class _Info(Info):
    def devices(self) -> Any:
        """The devices that arrays can live on."""
        return list(super().devices())


def _listed(function: Callable[..., tuple[Any, ...]]) -> Callable[..., list[Any]]:
    @functools.wraps(function)
    def listed(*args: Any, **options: Any) -> list[Any]:
        return list(function(*args, **options))

    return listed


__all__ = ["NEWEST", "VERSIONS", "namespace"]
