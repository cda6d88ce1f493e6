"""Optimizers, and under ``schedules`` their learning rates; see `engine.stateful.optimizers`."""

from __future__ import annotations

from .stateful import schedules  # pyright: ignore[reportUnusedImport] a name of the public face
from .stateful.optimizers import *
