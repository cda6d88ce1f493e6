"""Run a script in a process where some packages cannot be imported.

Usage: python demo/without.py PACKAGE... -- SCRIPT
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class Blocked(MetaPathFinder):
    """A finder that stands first and refuses."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = frozenset(packages)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"{fullname} is blocked in this process", name=fullname)
        return None


def main() -> None:
    *packages, _, script = sys.argv[1:]
    sys.meta_path.insert(0, Blocked(packages))
    sys.argv = [script]
    runpy.run_path(script, run_name="__main__")
    loaded = [name for name in packages if name in sys.modules]
    if loaded:
        sys.exit(f"loaded in spite of the block: {loaded}")
    print(f"without {', '.join(packages)}: they could not be imported in this process")


if __name__ == "__main__":
    main()
