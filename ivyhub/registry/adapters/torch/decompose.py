"""Operations that no rule reads, in terms of others: PyTorch's own decompositions.

Of ATen's two thousand operations most are written by PyTorch in terms of a few hundred. Where no rule reads one, the
formula that PyTorch registers for it (its composite kernel, or `torch._decomp`) is traced on the shapes of the node,
and the result is read in the node's place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from .trees import pytree_of_torch


def decomposed(node: Any) -> tuple[Any, list[Any]] | None:
    """The decomposition of a node: an ``fx.GraphModule`` without mutation, and the arguments of the node it takes.

    None where PyTorch has no formula for it, or one that depends on the values of arrays.
    """
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    pytree = pytree_of_torch()
    leaves, spec = pytree.tree_flatten((node.args, node.kwargs))
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, torch.fx.Node)]
    values = [leaves[place].meta.get("val") for place in places]
    fake = next((value.fake_mode for value in values if hasattr(value, "fake_mode")), None)
    if fake is None:
        return None
    for formula in _formulas(node.target):

        def run(*values: Any, formula: Any = formula) -> Any:
            given = dict(zip(places, values, strict=True))
            args, kwargs = pytree.tree_unflatten([given.get(place, leaf) for place, leaf in enumerate(leaves)], spec)
            result = formula(*args, **kwargs)
            return tuple(result) if isinstance(result, tuple) else result  # not a named one, which would be a node

        # A formula that reads numbers fails on shapes alone, and one for another overload fails too, each in its way.
        with contextlib.suppress(Exception), fake, torch.no_grad():
            return make_fx(torch.func.functionalize(run))(*values), [leaves[place] for place in places]
    return None


def _formulas(target: Any) -> Iterator[Any]:
    """The functions that compute an operation from others."""
    from torch._C import DispatchKey
    from torch._decomp import decomposition_table
    from torch._ops import OpOverload

    if isinstance(target, OpOverload):
        if target in decomposition_table:
            yield decomposition_table[target]
        if target.has_kernel_for_dispatch_key(DispatchKey.CompositeImplicitAutograd):
            yield target.decompose
