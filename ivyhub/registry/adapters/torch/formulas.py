"""Functions of PyTorch that look at numbers on their way, as formulas without a look.

Some functions read their arguments to warn or to refuse, and `torch.export` refuses what it cannot know. What they
compute depends on no such number, so that while a module is traced other functions stand in their place.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Generator, Mapping
from typing import Any

NAME = "ivyhub::ctc_loss"
_SCHEMA = (
    "(Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor target_lengths, int blank, int reduction,"
    " bool zero_infinity) -> Tensor"
)


@contextlib.contextmanager
def unlooking() -> Generator[None]:
    """While entered, functions that look at numbers do not.

    Example:
        >>> import torch
        >>> from torch._subclasses import FakeTensorMode
        >>> with FakeTensorMode(), unlooking():
        ...     torch.cov(torch.ones(3, 5)).shape
        torch.Size([3, 3])
    """
    from torch.overrides import TorchFunctionMode

    formulas = _formulas()

    class Mode(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return formulas.get(function, function)(*args, **kwargs or {})

    with Mode():
        yield


@functools.cache
def _formulas() -> Mapping[Any, Callable[..., Any]]:
    import torch
    from torch.nn import functional

    torch.library.define(NAME, _SCHEMA)
    torch.library.register_fake(NAME, _ctc_shape)
    return {
        **dict.fromkeys((torch.cov, torch.Tensor.cov), _cov),
        **dict.fromkeys((torch.corrcoef, torch.Tensor.corrcoef), _corrcoef),
        **dict.fromkeys((torch.ctc_loss, functional.ctc_loss), _ctc_loss),
        functional.gaussian_nll_loss: _gaussian_nll_loss,
    }


def _cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """`torch.cov`, which looks whether weights are negative, and whether anything is left to divide by."""
    import torch

    x = input.reshape(1, -1) if input.ndim < 2 else input
    given = [each for each in (fweights, aweights) if each is not None]
    weights = functools.reduce(torch.mul, given) if given else None
    total = torch.scalar_tensor(x.shape[1]) if weights is None else weights.sum()
    weighted = x if weights is None else x * weights
    mean = weighted.sum(1) / total
    if aweights is None or weights is None or correction == 0:
        left = total - correction
    else:
        left = total - correction * (weights * aweights).sum() / total
    x = x - mean.unsqueeze(1)
    product = x @ (x if weights is None else x * weights).t().conj()
    return (product / left.clamp(min=0)).squeeze()


def _corrcoef(input: Any) -> Any:
    import torch

    found = _cov(input)
    if found.ndim == 0:
        return found / found
    deviation = found.diagonal().real.sqrt() if found.is_complex() else found.diagonal().sqrt()
    found = found / deviation.unsqueeze(1) / deviation
    if found.is_complex():
        return torch.complex(found.real.clip(-1, 1), found.imag.clip(-1, 1))
    return found.clip(-1, 1)


def _gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """`torch.nn.functional.gaussian_nll_loss`, which looks whether any variance is negative."""
    import torch

    var = var if isinstance(var, torch.Tensor) else torch.full_like(input, var)
    if input.shape[:-1] == var.shape and var.shape != input.shape:
        var = var.unsqueeze(-1)
    elif input.ndim != var.ndim or sum(a != b for a, b in zip(input.shape, var.shape, strict=True)) > 1:
        raise ValueError(f"var of {tuple(var.shape)} is of incorrect size for an input of {tuple(input.shape)}")
    var = var + (var.clamp(min=eps) - var).detach()  # its gradient is that of the variance as it was given
    loss = 0.5 * (torch.log(var) + (input - target) ** 2 / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return {"none": lambda: loss, "mean": loss.mean, "sum": loss.sum}[reduction]()


def _ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: int | str = 1,
    zero_infinity: bool = False,
) -> Any:
    """`torch.ctc_loss` as an operation of our own, of arrays of (time, batch, classes) and (batch, length)."""
    import torch

    reduction = ("none", "mean", "sum").index(reduction) if isinstance(reduction, str) else reduction
    batched = log_probs.ndim == 3
    known = None if isinstance(target_lengths, torch.Tensor) else max(target_lengths, default=0)
    lengths = [torch.as_tensor(each).reshape(-1) for each in (input_lengths, target_lengths)]
    if not batched:
        log_probs, targets = log_probs.unsqueeze(1), targets.reshape(1, -1)
    if targets.ndim == 1:  # one behind the other
        last = targets.shape[0] - 1
        starts = lengths[1].cumsum(0) - lengths[1]
        places = starts.unsqueeze(1) + torch.arange(last + 1 if known is None else known)
        targets = targets[places.clamp(max=last)]
    found = torch.ops.ivyhub.ctc_loss(log_probs, targets, *lengths, blank, reduction, zero_infinity)
    return found if batched or reduction else found.squeeze(0)


def _ctc_shape(log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, *options: Any) -> Any:
    return log_probs.new_empty(() if options[1] else log_probs.shape[1:2])


__all__ = ["unlooking"]
