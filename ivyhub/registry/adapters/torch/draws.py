"""The random numbers of PyTorch's modules, as a certificate has them (see ``adapters/draws.py``)."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

from ....engine.backends import dtype_name
from ..draws import FIXED
from .functional import functional_name
from .rules import RULES

_DRAWING = """
rand rand_like randn randn_like randint randint_like randperm normal bernoulli multinomial bernoulli_ cauchy_
exponential_ geometric_ log_normal_ normal_ random_ uniform_ rrelu rrelu_ gumbel_softmax
fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices svd_lowrank pca_lowrank
"""

#: What a module may call that draws, by the last word of its name; functions that are written in others are among them.
DRAWING = frozenset(_DRAWING.split())


@contextlib.contextmanager
def fixed_draws() -> Generator[None]:
    """While entered, every draw that a rule reads gives the numbers of a certificate, through that rule."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    def plain(arg: Any) -> Any:
        return dtype_name(arg) if isinstance(arg, torch.dtype) else arg

    class Mode(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            rule = RULES.get(functional_name(str(func))) if torch.Tag.nondeterministic_seeded in func.tags else None
            if rule is None:
                return func(*args, **kwargs)
            given = {key: plain(arg) for key, arg in kwargs.items() if key not in ("generator", "device", "layout")}
            found = rule(*args, **given)
            writes = func._schema.arguments and func._schema.arguments[0].alias_info is not None
            return args[0].copy_(found) if writes else found

    token = FIXED.set(True)
    try:
        with Mode():
            yield
    finally:
        FIXED.reset(token)


__all__ = ["DRAWING", "fixed_draws"]
