"""Operations for whose dtypes a framework has no kernels, in a wider dtype that has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..graph import Graph, Node, Value, tree_map
from ..op import OPS
from .rewriting import Replacement, Rewrites, Sweep

#: Modulo the width, each of these gives in wider integers what it gives in its own.
_MODULAR = frozenset(
    (
        *("add", "subtract", "negative", "abs", "sign", "square", "maximum", "minimum", "floor_divide", "remainder"),
        *("less", "less_equal", "greater", "greater_equal", "bitwise_left_shift", "bitwise_right_shift"),
        *("bitwise_invert", "at_set", "at_add", "at_max", "at_min", "index_add", "set_along_axis", "add_along_axis"),
        *("scatter_reduce", "flip", "max", "min", "argmax", "argmin", "take", "take_along_axis", "matmul", "einsum"),
    )
)
_PRODUCTS = frozenset(("matmul", "einsum", "linear", "tensordot"))
_SIGNS = frozenset(("negative", "abs", "sign"))
_ORDER = frozenset(("less", "less_equal", "greater", "greater_equal", "maximum", "minimum", "max", "min", "sort"))
#: Of truth values, what is not zero is true again: their sum is "or", their product "and".
_SUMS = frozenset(("add", "multiply", "at_add", "at_max", "at_min", "argsort", "argmax", "argmin"))
_SPECIAL = frozenset(("igamma", "igammac", "polygamma", "zeta", "ndtri", "erfinv"))
_BESSEL = frozenset(f"bessel_{name}" for name in ("i0", "i0e", "i1", "i1e", "j0", "j1"))
_OF_TORCH = frozenset(f"bessel_{name}" for name in ("j0", "j1", "k0", "k0e", "k1", "k1e", "y0", "y1")) | {
    *("erfcx", "ndtri", "zeta")
}

#: By framework and dtype, the dtype to compute in and the operations without kernels, found by trying them all.
_LACKING: Mapping[str, Mapping[str, tuple[str, frozenset[str]]]] = {
    "torch": {
        "uint16": ("int32", _MODULAR),
        "uint32": ("int64", _MODULAR),
        "float16": ("float32", _OF_TORCH),
        "bfloat16": ("float32", _OF_TORCH),
    },
    "tensorflow": {
        "bool": ("int32", _ORDER | _SUMS),
        "int8": ("int32", _PRODUCTS),
        "int16": ("int32", _PRODUCTS),
        "uint8": ("int32", _PRODUCTS | _SIGNS),
        "uint16": ("int32", _PRODUCTS | _SIGNS | {"repeat", "tile"}),
        "uint32": ("int64", _PRODUCTS | _SIGNS),
        "float16": ("float32", _SPECIAL),
        "bfloat16": ("float32", _SPECIAL | _BESSEL | {"lgamma", "digamma", "local_response_norm"}),
    },
}


def widen(graph: Graph, name: str) -> bool:
    """Compute what a framework has no kernels for in a wider dtype, and cast the results back.

    Requires: a legalised graph. Ensures: operations of `_LACKING` have no operands of its dtypes.
    """
    lacking = _LACKING.get(name, {})
    table = Rewrites()

    @table(*{op for _, names in lacking.values() for op in names})
    def widened(node: Node, sweep: Sweep) -> Replacement:
        wider = {dtype: wide for dtype, (wide, names) in lacking.items() if node.op in names}
        if not any(value.dtype in wider for value in node.operands):
            return "its dtypes have kernels"

        def wide(leaf: Any) -> Any:
            narrow = isinstance(leaf, Value) and leaf.dtype in wider
            return OPS["astype"](leaf, dtype=wider[leaf.dtype]) if narrow else leaf

        found = OPS[node.op](*tree_map(wide, node.args), **node.attributes)
        dtype = node.output.dtype
        return found if found.dtype == dtype else OPS["astype"](found, dtype=dtype)

    return table.apply(graph) if lacking else False
