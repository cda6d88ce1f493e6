"""Sizes of ``torch.export`` (sympy expressions) as sizes of the engine, and examples that keep them symbolic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....engine.dims import Dim, Size, floordiv, maximum, minimum, mod, product
from ....errors import CaptureError
from .trees import pytree_of_torch


def size_of(expression: Any, symbols: Mapping[str, Size]) -> Any:
    """A sympy expression over torch's symbols as a size; a symbol without a name keeps its own.

    Numbers that are no integers come back as floats. Raises `CaptureError` on a function that sizes do not have.

    Example:
        >>> import sympy
        >>> size_of(sympy.sympify("2*s0 + 1"), {"s0": Dim.symbol("batch")})
        2*batch + 1
    """
    kind = type(expression).__name__
    if expression.is_Symbol:
        return symbols.get(str(expression), Dim.symbol(str(expression)))
    if expression.is_Integer:
        return int(expression)
    if expression.is_Number:
        return float(expression)
    args = [size_of(arg, symbols) for arg in expression.args]
    match kind:
        case "Add":
            return sum(args[1:], start=args[0])
        case "Mul":
            return product(args)
        case "Pow" if isinstance(args[1], int) and args[1] >= 0:
            return product([args[0]] * args[1])
        case "FloorDiv" | "CleanDiv" | "IntTrueDiv":
            return floordiv(args[0], args[1])
        case "CeilDiv":
            return -floordiv(-args[0], args[1])
        case "Mod" | "PythonMod":
            return mod(args[0], args[1])
        case "Max":
            return _fold(maximum, args)
        case "Min":
            return _fold(minimum, args)
        case "ToFloat" | "TruncToInt" | "Identity":
            return args[0]
    raise CaptureError(
        f"the size {expression} uses {kind}, which symbolic sizes cannot express",
        hint="make that axis static",
    )


def _fold(function: Any, args: list[Any]) -> Any:
    result = args[0]
    for arg in args[1:]:
        result = function(result, arg)
    return result


def keep_ranges(
    bounds: Mapping[Any, Any], symbols: Mapping[str, Size], ranges: dict[str, tuple[int, int | None]]
) -> None:
    """Narrow the ranges of named sizes to those that ``torch.export`` found, by their symbols there."""
    for symbol, bound in bounds.items():
        name = str(symbols.get(str(symbol), ""))
        if name:
            low, high = ranges.get(name, (1, None))
            upper = int(bound.upper) if bound.upper.is_Integer and bound.upper < 2**31 else None  # else no bound
            upper = min([u for u in (upper, high) if u is not None], default=None)
            lower = int(bound.lower) if int(bound.lower) > 2 else 1  # torch.export never traces sizes 0 and 1
            ranges[name] = (max(low, lower), upper)


def widened(arguments: Mapping[str, Any], dynamic: Mapping[str, Mapping[int, str]]) -> dict[str, Any]:
    """Example inputs whose dynamic axes are at least 2 long: torch.export takes sizes 0 and 1 for constants.

    Raises `CaptureError` on an axis that an input does not have.
    """
    import torch

    def widen(name: str, leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        for axis in dynamic.get(name, {}):
            if not -leaf.ndim <= axis < leaf.ndim:
                raise CaptureError(f"dynamic names axis {axis} of {name!r}, which has {leaf.ndim} axes")
            if leaf.shape[axis] < 2:
                shape = list(leaf.shape)
                shape[axis] = 2
                leaf = torch.zeros(shape, dtype=leaf.dtype, device=leaf.device)
        return leaf.detach().clone()  # torch.export takes one tensor given twice for one input

    pytree = pytree_of_torch()
    return {
        name: pytree.tree_map(lambda leaf, n=name: widen(n, leaf), argument) for name, argument in arguments.items()
    }
