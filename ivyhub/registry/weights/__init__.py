"""Checkpoints: strict readers, reversible rules, and a writer that streams."""

from __future__ import annotations

from ivyhub.registry.weights.checkpoint import Checkpoint, MemoryCheckpoint, open_checkpoint
from ivyhub.registry.weights.header import TensorInfo
from ivyhub.registry.weights.lazy import PlannedTensor, Reader
from ivyhub.registry.weights.rules import Cast, Entry, Merge, Reorder, Reshape, Split, Step, Transpose, WeightMap
from ivyhub.registry.weights.writer import write_safetensors

__all__ = [
    "TensorInfo",
    "Checkpoint",
    "MemoryCheckpoint",
    "open_checkpoint",
    "WeightMap",
    "Entry",
    "Step",
    "Transpose",
    "Reshape",
    "Cast",
    "Split",
    "Merge",
    "Reorder",
    "PlannedTensor",
    "Reader",
    "write_safetensors",
]
