"""Operations and reading rules from outside: installed plug-ins, and files of the user's own.

A plug-in is a distribution with an entry point in the group ``ivyhub.rules``, which names a module (or a function
without arguments) that declares operations with `ivyhub.op` and enters rules with `ivyhub.reads` when it is imported
(or called). Installed plug-ins are loaded once a process, before the first capture and where a graph that was kept has
an operation that is not known; files only where their user gives them. See docs/extending.md.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import sys
from pathlib import Path

from ..errors import EngineError, UnknownNameError, UsageError

GROUP = "ivyhub.rules"


@functools.cache
def load_installed() -> tuple[str, ...]:
    """Load the plug-ins that are installed, once; their names with versions, in order.

    Raises:
        EngineError: one of them cannot be loaded.

    Example:
        >>> load_installed()
        ()
    """
    found: list[str] = []
    points = importlib.metadata.entry_points(group=GROUP)
    for point in sorted(points, key=lambda point: (point.dist.name if point.dist else "", point.name)):
        name = f"{point.dist.name} {point.dist.version}" if point.dist else point.name
        try:
            loaded = point.load()
            if callable(loaded):
                loaded()
        except Exception as error:  # whatever a stranger's code raises, the user hears whose it is
            raise EngineError(
                f"the plug-in {name} ({point.value}) cannot be loaded: {type(error).__name__}: {error}",
                hint=f"upgrade or uninstall {name.split()[0]}",
            ) from error
        found.append(name)
    return tuple(found)


def load_file(path: str | Path) -> None:
    """Run a Python file of the user's own, which declares operations and enters rules; once, however often asked.

    Raises:
        UnknownNameError: there is no such file.
        UsageError: it is no Python file, or it fails.
    """
    path = Path(path).expanduser().resolve()
    if not path.is_file():
        raise UnknownNameError(f"there is no file {str(path)!r}", hint="give a Python file with rules in it")
    name = f"ivyhub_rules_{path.as_posix().encode().hex()}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"expected a Python file, received {str(path)!r}", hint="its name ends in .py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UsageError(
            f"the rules in {path.name} fail: {type(error).__name__}: {error}",
            hint="run the file by itself to see where",
        ) from error


__all__ = ["GROUP", "load_file", "load_installed"]
