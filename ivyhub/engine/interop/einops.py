"""einops over `engine.Array`: ``rearrange``, ``reduce``, ``repeat``, ``einsum``, ``pack`` and ``unpack``.

einops finds the backend of an array among the subclasses of its `AbstractBackend`; importing this module adds ours,
and `ivyhub.engine` sees to it that it is imported when einops is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from einops._backends import AbstractBackend


class ArrayBackend(AbstractBackend):
    """What einops needs of an array; its own defaults, methods by the names of NumPy's, serve for the rest."""

    framework_name = "ivyhub.engine.array"  # einops makes a backend once the module of this name is loaded

    def __init__(self) -> None:
        from ..array import Array

        self.array = Array

    def is_appropriate_type(self, tensor: Any) -> bool:
        return isinstance(tensor, self.array)

    def arange(self, start: int, stop: int) -> Any:
        return self.array(np.arange(start, stop))  # einops' own tests ask for one, of any framework

    def to_numpy(self, x: Any) -> Any:
        return x.numpy()

    def reduce(self, x: Any, operation: str, axes: Any) -> Any:
        return getattr(x, operation)(axis=tuple(axes))

    def stack_on_zeroth_dimension(self, tensors: list[Any]) -> Any:
        return tensors[0].__array_namespace__().stack(tensors)

    def add_axis(self, x: Any, new_position: int) -> Any:
        return x.expand_dims(new_position)

    def tile(self, x: Any, repeats: Any) -> Any:
        return x.tile(repeats)

    def concat(self, tensors: Any, axis: int) -> Any:
        return tensors[0].__array_namespace__().concat(list(tensors), axis=axis)

    def is_float_type(self, x: Any) -> bool:
        return x.__array_namespace__().isdtype(x.dtype, "real floating")

    def einsum(self, pattern: str, *x: Any) -> Any:
        from .. import ops

        return self.array(ops.einsum([each.native for each in x], equation=pattern))


__all__ = ["ArrayBackend"]
