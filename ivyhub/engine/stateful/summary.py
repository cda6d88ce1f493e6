"""The tree of a model as a table."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from ..graph import Graph, Value, tree_values
from ..spec import Spec
from .module import Buffer, Module


def summary(module: Module, *specs: Any, **named: Any) -> str:
    """See `Module.summary`.

    Parameters and bytes of a line count what stands below it, a shared array once.

    Example:
        >>> from ivyhub.engine import nn
        >>> print(summary(nn.Sequential(nn.Linear(3, 8), nn.ReLU()), Spec(("batch", 3))))
        module      class        result              parameters   bytes
        (root)      Sequential   float32[batch, 8]           32     128
          0         Linear       float32[batch, 8]           32     128
          1         ReLU                                      0       0
        trainable                                            32
    """
    from rich.console import Console
    from rich.table import Table

    results = _results(module.trace(*specs, **named)) if specs or named else {}
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="")
    for column in ("module", "class", "result") if results else ("module", "class"):
        table.add_column(column, no_wrap=True)
    for column in ("parameters", "bytes"):
        table.add_column(column, justify="right", no_wrap=True)
    slots = module.slots()
    for path, each in module.named_modules().items():
        below = [slot for name, slot in slots.items() if not path or name.startswith(f"{path}.")]
        counts = [sum(_count(slot.spec) for slot in below if not isinstance(slot, Buffer))]
        counts.append(sum(_count(slot.spec) * _itemsize(slot.spec.dtype) for slot in below))
        depth = path.count(".") + 1 if path else 0
        cells = ["  " * depth + path.rpartition(".")[2] if path else "(root)", type(each).__name__]
        table.add_row(*cells, *([results.get(path, "")] if results else []), *(f"{count:,}" for count in counts))
    trainable = sum(_count(slot.spec) for slot in slots.values() if slot.trainable)
    table.add_row("trainable", *[""] * (2 if results else 1), f"{trainable:,}", "")
    text = io.StringIO()
    Console(file=text, width=200, markup=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines())


def _count(spec: Spec) -> int:
    return int(spec.size)


def _itemsize(dtype: str) -> int:
    bits = "".join(filter(str.isdigit, dtype.partition("_")[0]))  # float8_e4m3fn has more digits than its size
    return int(bits or 8) // 8


def _results(graph: Graph) -> dict[str, str]:
    """What each module gives at its last call."""
    found = {node.attributes["module"]: _specs(node.outputs) for node in graph.nodes if node.op == "call"}
    for call in graph.calls:
        found[call.module] = _specs(tree_values(call.result))
    return found


def _specs(values: Sequence[Value]) -> str:
    return ", ".join(str(value.spec) for value in values)
