"""Whether the operations of this context run or are recorded."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

RECORDER: ContextVar[Any] = ContextVar("ivyhub_recorder", default=None)
"""What records the operations of this context (a `trace.Builder`), or None where they run."""

TRACED = "traced"
"""The word that stands for a framework where a graph is recorded."""

__all__ = ["RECORDER", "TRACED"]
