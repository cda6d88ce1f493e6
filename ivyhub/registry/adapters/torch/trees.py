"""PyTorch's trees and tensors as the graph's trees and NumPy's arrays."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ....engine.backends import dtype_name
from ....engine.graph import Record, Tree


def pytree_of_torch() -> Any:
    """``torch.utils._pytree``, in whose terms `torch.export` gives its trees; there is no public name for it."""
    return importlib.import_module("torch.utils._pytree")


def unflatten(spec: Any, leaves: Iterator[Any]) -> Tree:
    """A tree of torch's pytree specification as a tree of the graph; dataclass-like nodes become records."""
    if spec.is_leaf():
        return next(leaves)
    children = [unflatten(child, leaves) for child in spec.children()]
    kind, context = spec.type, spec.context
    if kind in (tuple, list):
        return kind(children)
    if kind is dict:
        return dict(zip(context, children, strict=True))
    fields = getattr(context, "_fields", None) or getattr(kind, "_fields", None)
    if fields is None and isinstance(context, list | tuple) and len(context) == len(children):
        fields = context
    if fields is None and isinstance(context, list | tuple) and context and isinstance(context[0], list | tuple):
        fields = context[0]
    if fields is None or len(fields) != len(children):
        fields = [f"item_{index}" for index in range(len(children))]
    name = context.__name__ if isinstance(context, type) else kind.__name__
    return Record(name, dict(zip(map(str, fields), children, strict=True)))


def to_numpy(tensor: Any) -> np.ndarray:
    """A tensor's values without a copy where the layout allows; bfloat16 and float8 through ml_dtypes."""
    import torch

    tensor = tensor.detach().cpu()
    name = dtype_name(tensor.dtype)
    if name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        import ml_dtypes

        integer = torch.int16 if name == "bfloat16" else torch.int8
        return tensor.view(integer).numpy().view(getattr(ml_dtypes, name))
    return tensor.numpy()
