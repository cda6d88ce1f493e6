"""Attention with dropout as one operation of a trace.

PyTorch has no fused kernel on the CPU for attention with dropout. While such a call is traced, its formula runs on
symbolic sizes, a dozen operations with their guards, only for the trace to hold one node in the end. That is a third
of the time in which ``torch.export`` traces a BERT. `whole_attention` traces an operation of our own in its place,
which has the shape and the checks of the formula and nothing else. Without dropout PyTorch's own is cheap, and kept:
it knows the strides of its fused kernels.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Generator
from typing import Any

NAME = "ivyhub::scaled_dot_product_attention"
#: What stands in a trace, and what it is to be read as.
STANDS_FOR = {"ivyhub.scaled_dot_product_attention.default": "aten.scaled_dot_product_attention.default"}

_SCHEMA = (
    "(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *,"
    " float? scale=None, bool enable_gqa=False) -> Tensor"
)


@contextlib.contextmanager
def whole_attention() -> Generator[None]:
    """While entered, attention with dropout outside of CUDA is traced as one operation; see the module's docstring.

    Calls under ``torch.func`` transforms, which know PyTorch's operations alone, stay as they are. Nor is an order
    searched for in which an einsum is cheapest, which would fix its sizes.

    Example:
        >>> import torch
        >>> from torch._subclasses import FakeTensorMode
        >>> with FakeTensorMode(), whole_attention():
        ...     x = torch.ones(2, 3, 5, 4)
        ...     torch.nn.functional.scaled_dot_product_attention(x, x, x[..., :1], dropout_p=0.1).shape
        torch.Size([2, 3, 5, 1])
    """
    from torch.backends import opt_einsum
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode

    operation = _operation()

    class Mode(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if function is functional.scaled_dot_product_attention and _runs_its_formula(*args, **kwargs):
                function = operation
            return function(*args, **kwargs)

    with Mode(), opt_einsum.flags(enabled=False):
        yield


def _runs_its_formula(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, *_: Any, **__: Any
) -> bool:
    import torch

    wrapped = torch._C._functorch.is_functorch_wrapped_tensor  # pyright: ignore
    transformed = any(map(wrapped, (query, key, value)))
    return dropout_p > 0 and not query.is_cuda and not transformed


@functools.cache
def _operation() -> Any:
    """The operation, declared at the first capture of a process under our own name."""
    import torch

    torch.library.define(NAME, _SCHEMA)
    torch.library.register_fake(NAME, _shape)
    return torch.ops.ivyhub.scaled_dot_product_attention.default


def _shape(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """An array as attention gives it. The comparisons of sizes tell the trace which of them are one."""
    import torch

    check = torch._check  # pyright: ignore[reportPrivateUsage] - documented all the same
    check(query.dtype == key.dtype == value.dtype, lambda: "query, key and value must have one dtype")
    check(query.shape[-1] == key.shape[-1], lambda: f"query {query.shape} does not fit key {key.shape}")
    check(key.shape[-2] == value.shape[-2], lambda: f"key {key.shape} does not fit value {value.shape}")
    check(not is_causal or attn_mask is None, lambda: "attention is masked or causal, not both")
    grouped = -3 if enable_gqa else -2
    batch = torch.broadcast_shapes(*(each.shape[:grouped] for each in (query, key, value)))
    batch = (*batch, *query.shape[grouped:-2])
    if attn_mask is not None:
        torch.broadcast_shapes(attn_mask.shape, (*batch, query.shape[-2], key.shape[-2]))
    return query.new_empty((*batch, query.shape[-2], value.shape[-1]))


__all__ = ["STANDS_FOR", "whole_attention"]
