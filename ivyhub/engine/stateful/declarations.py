"""What a module declares in its constructor: arrays to train (`Parameter`) and to hold (`Buffer`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..op import Array
from ..spec import Spec, spec_of

Initialiser = Callable[[Array, tuple[int, ...], str], Array]
"""From a key, a shape and a dtype to an array in the key's framework."""


@dataclass(eq=False)
class Parameter:
    """The declaration of a trainable array, and the array once there is one.

    Attributes:
        shape: its shape.
        init: what makes it (`engine.stateful.initialisers`); None for an array that is given.
        dtype: the name of its dtype.
        trainable: whether optimizers change it.
        persistent: whether `Module.state_dict` holds it.
        value: the array.
    """

    shape: tuple[int, ...]
    init: Initialiser | None = None
    dtype: str = "float32"
    trainable: bool = True
    persistent: bool = True
    value: Array | None = None

    @property
    def spec(self) -> Spec:
        """Shape and dtype of the array, or what they are declared to be."""
        return Spec(self.shape, self.dtype) if self.value is None else spec_of(self.value)


class Buffer(Parameter):
    """The declaration of an array that a module holds but does not train."""

    def __init__(
        self,
        shape: tuple[int, ...],
        init: Initialiser | None = None,
        dtype: str = "float32",
        persistent: bool = True,
        value: Array | None = None,
    ) -> None:
        super().__init__(shape, init, dtype, trainable=False, persistent=persistent, value=value)


def given(array: Array, *, trainable: bool = False) -> Parameter:
    """The declaration of an array that exists: a `Parameter` where trainable, else a `Buffer`."""
    spec = spec_of(array)
    kind = Parameter if trainable else Buffer
    return kind(tuple(map(int, spec.shape)), dtype=spec.dtype, value=array)


def replace_value(slot: Parameter, value: Any) -> Parameter:
    """A copy of a declaration with another array."""
    other: Parameter = object.__new__(type(slot))
    other.__dict__.update(slot.__dict__, value=value)  # copy.copy takes five times as long, for each array at each step
    return other


__all__ = ["Buffer", "Initialiser", "Parameter", "given", "replace_value"]
