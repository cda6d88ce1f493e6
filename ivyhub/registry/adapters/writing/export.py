"""`Export`: native source with what is needed to fill it with weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ....engine.spec import Spec
from ...weights import PlannedTensor, WeightMap
from ..target import Target

Pack = Callable[[Path, Sequence[PlannedTensor], Callable[[int, "int | None"], None]], "list[Path]"]


@dataclass(frozen=True)
class Export:
    """A model written for a target, without its weights.

    Attributes:
        target: what it was written for.
        files: the text of each source file, ``modeling.py`` and ``__init__.py``, by name.
        entry: the name of the root class (or function) in ``modeling.py``.
        weights: from the graph's parameters (full paths of their owners) to the names and layouts of the file.
        constants: arrays of the program that are too large to write out, by native name; ``constants.safetensors``.
        tensors: shape and dtype of each tensor of the file, by name, in the order of the model.
        symbols: the range of each symbolic size.
        requires: the packages that the source imports, with the versions it was written for.
        pack: where one file holds the weights and the program: writes it into a folder, of the tensors that
            ``weights`` gives, and tells of the bytes that are done; None where the weights have files of their own.
    """

    target: Target
    files: dict[str, str]
    entry: str
    weights: WeightMap
    tensors: dict[str, Spec]
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    symbols: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    requires: dict[str, str] = field(default_factory=dict)
    pack: Pack | None = None

    @property
    def source(self) -> str:
        """The text of ``modeling.py``; none where the program is in another file."""
        return self.files.get("modeling.py", "")
