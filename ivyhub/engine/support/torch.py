"""What PyTorch lacks. See `ivyhub.engine.support`."""

# pyright: basic

from __future__ import annotations

from collections.abc import Sequence

import torch


def at_set(x: torch.Tensor, indices: Sequence[torch.Tensor | None], values: torch.Tensor | float) -> torch.Tensor:
    """x with ``x[indices]`` replaced by values, None standing for an axis taken whole."""
    result = x.clone()
    result[tuple(slice(None) if each is None else each for each in indices)] = values
    return result


def at_add(x: torch.Tensor, indices: Sequence[torch.Tensor | None], values: torch.Tensor | float) -> torch.Tensor:
    """x with values added to ``x[indices]``; where a position comes twice, both are added."""
    key = tuple(slice(None) if each is None else each for each in indices)
    everything = torch.arange(x.numel(), device=x.device).reshape(x.shape)[key]
    values = torch.as_tensor(values, dtype=x.dtype, device=x.device).expand(everything.shape)
    return x.flatten().index_add(0, everything.flatten(), values.flatten()).reshape(x.shape)
