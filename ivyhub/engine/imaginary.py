"""Complex numbers beside real arrays, where a framework does not take them: the arrays are complex ones then.

Source: the Array API Standard, "Mixing arrays with Python scalars".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .backends import dtype_name
from .op import OPS, WAYS, Op

COMPLEX_OF = {"float32": "complex64", "float64": "complex128", "float16": "complex64", "bfloat16": "complex64"}


def with_complex(op: Op, args: Sequence[Any]) -> list[Any]:
    """The operands of a call; where a complex number stands among those of one dtype, the real ones as complex ones."""
    shared = [i for i, name in enumerate(op.operands[: len(args)]) if name in op.promotes]
    found = list(args)
    if any(isinstance(args[i], complex) for i in shared):
        for i in shared:
            name = COMPLEX_OF.get(dtype_name(args[i].dtype)) if hasattr(args[i], "dtype") else None
            found[i] = args[i] if name is None else OPS["astype"](args[i], dtype=name)
    return found


def run(op: Op, args: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """What a call gives that failed, or None where no array is cast."""
    given = with_complex(op, args)
    return op(*given, **attributes) if any(new is not old for new, old in zip(given, args, strict=True)) else None


WAYS.append(run)

__all__ = ["COMPLEX_OF", "with_complex"]
