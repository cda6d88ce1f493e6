"""How long work reports itself, without knowing who listens.

The registry calls a `Progress`; the command line draws it, a library call gets `SILENT`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Progress(Protocol):
    """What a listener to long work implements."""

    def stage(self, title: str) -> AbstractContextManager[None]:
        """Enter a named stage, "capture" or "weights"; leaving it ends the stage. Stages do not nest."""
        ...

    def advance(self, n: int, total: int | None = None) -> None:
        """Count `n` more units of the current stage as done.

        Args:
            n: units finished since the last call: bytes of weights, steps, files.
            total: units of the whole stage, where known.
        """
        ...


class Silent:
    """A `Progress` that says nothing.

    Example:
        >>> with SILENT.stage("weights"):
        ...     SILENT.advance(4096, total=8192)
    """

    def stage(self, title: str) -> AbstractContextManager[None]:
        return nullcontext()

    def advance(self, n: int, total: int | None = None) -> None:
        return None


SILENT: Progress = Silent()
