"""`Layer`, the base of leaf layers, and the table of them that graphs refer to by name.

The layers themselves stand in `engine.stateful.layers`, above the functional API that their formulas are written in.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from .dims import Size
from .op import Array

LAYERS: dict[str, type[Layer]] = {}
"""Every leaf layer that has been defined, by name; `find_layer` makes sure that all are."""

Weights = Mapping[str, Array]


@dataclass(frozen=True)
class Layer:
    """Base of the leaf layers; subclasses enter `LAYERS` under their name."""

    uses_training: ClassVar[bool] = False  # whether it behaves differently in training

    def __init_subclass__(cls, *, is_base: bool = False) -> None:
        if not is_base:
            LAYERS[cls.__name__] = cls

    @property
    def config(self) -> dict[str, Any]:
        """Its fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def parameters(self) -> dict[str, tuple[Size, ...]]:
        """Shapes of its trainable arrays by name."""
        return {}

    def buffers(self) -> dict[str, tuple[tuple[Size, ...], str]]:
        """Shape and dtype of the arrays that it holds but does not train, by name."""
        return {}

    def forward(self, weights: Weights, x: Array) -> Array:
        """Its formula, in evaluation."""
        raise NotImplementedError


def find_layer(name: str) -> type[Layer] | None:
    """The leaf layer of that name, or None.

    Example:
        >>> find_layer("Dropout")(0.1).config
        {'rate': 0.1}
    """
    if name not in LAYERS:
        importlib.import_module(".stateful.layers", __package__)  # fills the table; the functional API comes with it
    return LAYERS.get(name)
