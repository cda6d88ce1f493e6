"""The names under which versions of one framework store the layers of any model, each from each other's.

Unlike a family, which knows an architecture, a *style* knows layers only: PyTorch keeps a normalised weight as
``weight_g`` and ``weight_v``, or in its parametrizations; Flax Linen has collections around the paths of modules, NNX
has not; Keras 2 names variables after layers, and Keras 3 counts them. A style turns names of its sibling into its
own, with the same numbers, and what it finds no row for keeps its name. What belongs to an optimizer is left out, and
told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from ivyhub.errors import CheckpointError
from ivyhub.registry.adapters.versions import flax, keras, torch
from ivyhub.registry.checkpoints.mapped import FormatCheckpoint
from ivyhub.registry.checkpoints.renamed import RenamedCheckpoint
from ivyhub.registry.weights import Entry, WeightMap

__all__ = ["STYLES", "Restyled", "Style", "restyled"]


class Style(NamedTuple):
    """How a version of a framework stores layers.

    Args:
        name: what the user calls it.
        before: the style whose names it has others for.
        ecosystem: what transformers calls its framework.
        separator: between the parts of its names.
        plan: of a checkpoint, what becomes of its tensors, and the names of those that do not travel.
        suffixes: by format, how its files are called, where not as others of the format.
    """

    name: str
    before: str
    ecosystem: str
    separator: str
    plan: Callable[[FormatCheckpoint], tuple[list[Entry], list[str]]]
    suffixes: Mapping[str, str] = MappingProxyType({})


STYLES: Mapping[str, Style] = {
    style.name: style
    for style in (
        Style("torch-parametrized", "torch-norms", "pt", ".", torch.parametrized),
        Style("torch-norms", "torch-parametrized", "pt", ".", torch.norms),
        Style("torch-packed", "torch-separate", "pt", ".", torch.packed),
        Style("torch-separate", "torch-packed", "pt", ".", torch.separate),
        Style("flax.nnx", "flax.linen", "flax", ".", flax.to_nnx),
        Style("flax.linen", "flax.nnx", "flax", ".", flax.to_linen),
        Style("keras-3", "keras-2", "tf", "/", keras.to_three),
        # Keras 2.13 and later takes a .weights.h5 file for one of Keras 3.
        Style("keras-2", "keras-3", "tf", "/", keras.to_two, {"h5": ".h5"}),
    )
}
"""Every style, by name."""


class Restyled(NamedTuple):
    """How a checkpoint became one of another style.

    Args:
        name: the style.
        before: the one that it had.
        weights: what becomes of its tensors.
        left_out: the names of those that do not travel.
        changed: how many tensors have another name or layout.
    """

    name: str
    before: str
    weights: WeightMap
    left_out: tuple[str, ...]
    changed: int


def restyled(ckpt: FormatCheckpoint, name: str) -> tuple[RenamedCheckpoint, Restyled]:
    """A checkpoint under the names of another version of its framework.

    Args:
        ckpt: from `open_file`; must stay open.
        name: a style.

    Returns:
        The checkpoint, and how it came to be.

    Raises:
        CheckpointError: the checkpoint has nothing that the style has other names for, or lacks what they follow from;
            or two of its tensors would have one name.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from ivyhub.registry.checkpoints import open_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(Path(folder, "a.npz"), **{"up.weight_g": np.ones((3, 1)), "up.weight_v": np.ones((3, 2))})
        ...     ckpt, how = restyled(open_file(Path(folder, "a.npz")), "torch-parametrized")
        ...     list(ckpt), how.changed
        (['up.parametrizations.weight.original0', 'up.parametrizations.weight.original1'], 2)
    """
    style = STYLES[name]
    entries, left_out = style.plan(ckpt)
    changed = sum(len(entry.sources) for entry in entries if entry.steps or entry.sources != entry.targets)
    if not changed:
        raise CheckpointError(
            f"expected tensors that {name} has other names for, received none among {len(ckpt)}",
            hint="it has these names already, or they are of another framework; without --names they stay",
        )
    metadata = {**(ckpt.metadata if ckpt.format == "safetensors" else {}), "format": style.ecosystem}
    weights = WeightMap(tuple(entries))
    made = RenamedCheckpoint(ckpt, weights, separator=style.separator, metadata=metadata)
    return made, Restyled(name, style.before, weights, tuple(left_out), changed)
