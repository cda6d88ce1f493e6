"""Functions of the original frameworks over NumPy arrays in float64, to compare operations with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


def torch_oracle(
    path: str, *, rename: Mapping[str, str] | None = None, named: Sequence[str] = ()
) -> Callable[..., Any]:
    """A function of PyTorch.

    Args:
        path: below ``torch``.
        rename: its words for attributes, where they are not ours.
        named: the operands after the second that it takes by keyword.
    """

    def compute(*args: Any, **attributes: Any) -> Any:
        import torch

        function: Any = torch
        for name in path.split("."):
            function = getattr(function, name)
        options = {(rename or {}).get(name, name): value for name, value in attributes.items()}
        positional = args[:2] if named else args
        options |= zip(named, map(_as_torch, args[2:]), strict=False)
        return _as_numpy(function(*map(_as_torch, positional), **options))

    return compute


def _as_torch(value: Any) -> Any:
    import torch

    if isinstance(value, np.ndarray | np.generic):
        return torch.tensor(value.astype(np.int64) if value.dtype == np.int32 else value)
    return type(value)(map(_as_torch, value)) if isinstance(value, list | tuple) else value


def _as_numpy(value: Any) -> Any:
    return tuple(each.numpy() for each in value) if isinstance(value, tuple | list) else value.numpy()


def jax_oracle(function: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    """A function of JAX or Optax over NumPy arrays in float64."""

    def compute(*args: Any, **attributes: Any) -> Any:
        import jax

        with jax.enable_x64(True):
            return np.asarray(function()(*args, **attributes))

    return compute


def keras_oracle(path: str, **fixed: Any) -> Callable[..., Any]:
    """A function of Keras over NumPy arrays in float64."""

    def compute(*args: Any, **attributes: Any) -> Any:
        import keras

        function: Any = keras
        for name in path.split("."):
            function = getattr(function, name)
        return keras.ops.convert_to_numpy(function(*map(keras.ops.convert_to_tensor, args), **fixed, **attributes))

    return compute
