"""Any model, from any framework and version, as a native, trainable model of any other.

The names below are looked up when they are first used, so that ``import ivyhub`` costs nothing and
loads no framework.

Example:
    >>> import ivyhub
    >>> "transpile" in dir(ivyhub)
    True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ivyhub.engine.graph import Graph
    from ivyhub.engine.op import op
    from ivyhub.errors import IvyhubError
    from ivyhub.registry.adapters.reading import reads
    from ivyhub.registry.api import check, frameworks, pull, push, show, trace, transpile, verify
    from ivyhub.registry.listing import list_models

__version__ = "0.1.0"

__all__ = [
    "Graph",
    "IvyhubError",
    "__version__",
    "check",
    "frameworks",
    "list_models",
    "op",
    "pull",
    "push",
    "reads",
    "show",
    "trace",
    "transpile",
    "verify",
]

_HOMES = {
    "Graph": "ivyhub.engine.graph",
    "IvyhubError": "ivyhub.errors",
    "check": "ivyhub.registry.api",
    "frameworks": "ivyhub.registry.api",
    "list_models": "ivyhub.registry.listing",
    "op": "ivyhub.engine.op",
    "pull": "ivyhub.registry.api",
    "push": "ivyhub.registry.api",
    "reads": "ivyhub.registry.adapters.reading",
    "show": "ivyhub.registry.api",
    "trace": "ivyhub.registry.api",
    "transpile": "ivyhub.registry.api",
    "verify": "ivyhub.registry.api",
}


def __getattr__(name: str) -> object:
    """Resolve a public name at its first use (PEP 562) and keep it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ivyhub' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
