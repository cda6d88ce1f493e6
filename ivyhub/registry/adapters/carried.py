"""Functions and classes of `engine.support` in the source of an export, known again when the export is captured.

An export carries the source of what its framework lacks. It is told by what it computes, not by its name: a function is
ours where it was compiled to the code of ours, and so were those that it calls. `FUNCTIONS` says what each is.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType
from typing import Any

from ...engine import ops

Reading = Callable[..., Any]


def _attention(
    *, mask: None = None, scale: float | None = None, causal: bool = False, dropout: Any = None
) -> Reading | None:
    if dropout is not None:  # it draws in the source's way
        return None
    return functools.partial(ops.attention, scale=scale, causal=causal, layout="BTNH")


FUNCTIONS: Mapping[str, Callable[..., Reading | None]] = {"attention": _attention}
"""What each such function is, by name: from what it is given beside arrays to an operation over those arrays, which
come first; None where it is read step by step."""


def is_carried(found: Any, word: str) -> bool:
    """Whether a function or class is that of its name in a module of `ivyhub.engine.support`.

    Args:
        found: of a source that is captured.
        word: the module, ``"flax_nnx"``.

    Example:
        >>> from ivyhub.engine.support import numpy as own
        >>> is_carried(own.softmax, "numpy"), is_carried(own.softmax, "torch")
        (True, False)
    """
    ours = getattr(importlib.import_module(f"ivyhub.engine.support.{word}"), getattr(found, "__name__", ""), None)
    return ours is not None and _same(found, ours, set())


def _same(found: Any, ours: Any, seen: set[int]) -> bool:
    if found is ours or id(ours) in seen:
        return True
    seen.add(id(ours))
    if isinstance(ours, type):
        if not isinstance(found, type) or found.__bases__ != ours.__bases__:
            return False
        mine, other = ({n: f for n, f in vars(k).items() if isinstance(f, FunctionType)} for k in (ours, found))
        return mine.keys() == other.keys() and all(_same(other[name], mine[name], seen) for name in mine)
    if not isinstance(ours, FunctionType) or not isinstance(found, FunctionType):
        return False
    if _facts(found.__code__) != _facts(ours.__code__) or found.__defaults__ != ours.__defaults__:
        return False
    if found.__kwdefaults__ != ours.__kwdefaults__:
        return False
    called = _names(ours.__code__) & ours.__globals__.keys()
    return all(name in found.__globals__ and _known(found, ours, name, seen) for name in called)


def _known(found: FunctionType, ours: FunctionType, name: str, seen: set[int]) -> bool:
    """Whether a global name means the same to both."""
    mine = ours.__globals__[name]
    own = getattr(mine, "__module__", None) == ours.__module__
    return _same(found.__globals__[name], mine, seen) if own else found.__globals__[name] is mine


def _facts(code: CodeType) -> tuple[Any, ...]:
    """What tells code from other code, wherever it stands."""
    consts = tuple(_facts(each) if isinstance(each, CodeType) else (type(each), each) for each in code.co_consts)
    return code.co_code, consts, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars


def _names(code: CodeType) -> set[str]:
    nested = (_names(each) for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*nested)


__all__ = ["FUNCTIONS", "is_carried"]
