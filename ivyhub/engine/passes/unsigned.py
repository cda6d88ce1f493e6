"""Operations on unsigned integers for which a framework has no kernels, in a wider dtype that has them."""

from __future__ import annotations

from typing import Any

from ..backends import framework
from ..graph import Graph, Node, Value, tree_map
from ..op import OPS
from .rewriting import Replacement, Rewrites, Sweep

#: Modulo the width, each of these gives in a wider dtype what it gives in its own.
_WIDENED = (
    *("add", "subtract", "negative", "abs", "sign", "square", "maximum", "minimum", "floor_divide", "remainder"),
    *("less", "less_equal", "greater", "greater_equal", "bitwise_left_shift", "bitwise_right_shift", "bitwise_invert"),
    *("at_set", "at_add", "at_max", "at_min", "index_add", "set_along_axis", "add_along_axis", "scatter_reduce"),
    *("flip", "max", "min", "argmax", "argmin", "take", "take_along_axis", "matmul", "einsum"),
)


def widen_unsigned(graph: Graph, name: str) -> bool:
    """Compute with unsigned integers of 16 and 32 bits in a wider dtype, and cast the results back.

    Only PyTorch needs it: it has these dtypes, and few kernels for them. What it has not decided is left as it is.

    Requires: a legalised graph. Ensures: `_WIDENED` operations have no operands of these dtypes.
    """
    wider = {dtype: framework(name).wider[dtype] for dtype in ("uint16", "uint32")} if name == "torch" else {}
    table = Rewrites()

    @table(*_WIDENED)
    def widened(node: Node, sweep: Sweep) -> Replacement:
        if not any(value.dtype in wider for value in node.operands):
            return "its dtypes have kernels"

        def wide(leaf: Any) -> Any:
            narrow = isinstance(leaf, Value) and leaf.dtype in wider
            return OPS["astype"](leaf, dtype=wider[leaf.dtype]) if narrow else leaf

        found = OPS[node.op](*tree_map(wide, node.args), **node.attributes)
        dtype = node.output.dtype
        return found if found.dtype == dtype else OPS["astype"](found, dtype=dtype)

    return table.apply(graph) if wider else False
