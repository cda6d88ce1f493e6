"""Namespaces that conform to the Array API Standard 2025.12, one a framework.

::

    import ivyhub.engine.xp.torch as xp

    x = xp.linspace(0, 1, 5)
    xp.sum(x[1:] * 2)

Their functions take and give `engine.Array`; ``x.native`` is the framework's own array. Importing one loads its
framework and no other. What they promise is measured with data-apis/array-api-tests (``make array-api``).
"""

from __future__ import annotations

import importlib
from types import ModuleType

from ...errors import EngineError

VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")


def namespace_of(framework: str, api_version: str | None = None) -> ModuleType:
    """The namespace of a framework. Raises `EngineError` (and `ValueError`) for a version of the standard not known."""
    if api_version is not None and api_version not in VERSIONS:
        raise EngineError(f"expected a version of the standard among {', '.join(VERSIONS)}, received {api_version!r}")
    return importlib.import_module(f".{framework}", __name__)


__all__ = ["namespace_of"]
