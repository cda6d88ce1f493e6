"""Metrics that are gathered over batches; see `engine.stateful.metrics`."""

from __future__ import annotations

from .stateful.metrics import *
