"""Checkpoints of every format, read without executing anything, and written as streams."""

from __future__ import annotations

from ivyhub.registry.checkpoints.mapped import FormatCheckpoint
from ivyhub.registry.checkpoints.reading import FORMATS, mismatch, open_file

__all__ = ["FORMATS", "FormatCheckpoint", "mismatch", "open_file"]
