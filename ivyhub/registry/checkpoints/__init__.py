"""Checkpoints of every format, read without executing anything, and written as streams."""

from __future__ import annotations

from ivyhub.registry.checkpoints.mapped import FormatCheckpoint
from ivyhub.registry.checkpoints.reading import FORMATS, mismatch, open_file
from ivyhub.registry.checkpoints.writing import TARGETS, Converted, convert, default_path

__all__ = ["FORMATS", "TARGETS", "Converted", "FormatCheckpoint", "convert", "default_path", "mismatch", "open_file"]
