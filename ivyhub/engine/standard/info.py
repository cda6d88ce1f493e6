"""Inspection: what `__array_namespace_info__` tells of a namespace."""

from __future__ import annotations

from typing import Any

from ...errors import DTypeError
from .. import native
from .creation import default_dtype
from .dtypes import isdtype, names

_DEFAULTS = {
    "real floating": "float",
    "complex floating": "complex",
    "integral": "int",
    "indexing": "int",
}


class Info:
    """The inspection functions of one framework's namespace."""

    def __init__(self, framework: str) -> None:
        self._framework = framework
        self._native = native.module(framework)

    def capabilities(self) -> dict[str, Any]:
        """Boolean indexing and data-dependent shapes work, and the greatest number of axes."""
        limits = {"numpy": 64, "jax": 64, "tensorflow": 254}  # torch states none
        return {
            "boolean indexing": True,
            "data-dependent shapes": True,
            "max dimensions": limits.get(self._framework),
        }

    def default_device(self) -> Any:
        """Where arrays are created."""
        return self._native.default_device()

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """The dtypes of arrays that are created without one."""
        return {word: self._native.dtype(default_dtype(self._framework, kind)) for word, kind in _DEFAULTS.items()}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """The dtypes of the standard that arrays can have, all or those of a kind."""
        words = {
            "bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric"
        }  # fmt: skip
        for word in kind if isinstance(kind, tuple) else () if kind is None else (kind,):
            if word not in words:
                raise DTypeError(f"expected a kind of dtypes among {', '.join(sorted(words))}, received {word!r}")
        found = names(self._framework)
        return {name: self._native.dtype(name) for name in found if kind is None or isdtype(name, kind)}

    def devices(self) -> tuple[Any, ...]:
        """The devices that arrays can live on."""
        return self._native.devices()
