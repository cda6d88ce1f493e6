"""Graph -> ONNX: one model file for evaluation, its operators and sizes as they stand in the graph.

The initialisers have the names of the source's parameters, and each node says in its metadata which module it belongs
to, in the words of PyTorch's exporter.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .... import __version__
from ....engine import passes
from ....engine.graph import Call, Graph, Node, Value, tree_leaves
from ....engine.passes.layout import channels_first
from ....engine.passes.legalise import legalise
from ....engine.spec import Spec
from ....engine.verify import verify
from ....errors import FrameworkNotInstalledError, NoLoweringError
from ...weights import Entry, PlannedTensor, WeightMap
from ..target import Target
from ..writing.control import check_transforms
from ..writing.evaluation import EVALUATION
from ..writing.export import Export
from .loading import load_onnx
from .lower_layers import ROWS
from .writer import OPSET, Writer, symbols_of_inputs

MODEL = "model.onnx"
DATA = "model.onnx.data"

#: protobuf holds no message of 2 GiB; what the model has beside its weights fits into the rest.
LARGEST = 2**31 - 2**28

_IR_VERSION = 10  # of ONNX 1.16, as the opset

_LOAD = '''"""Load the model: ``model = load()``, an ``onnx.ModelProto`` with its weights; onnxruntime takes `PATH`."""

from __future__ import annotations

from pathlib import Path

import onnx

PATH = Path(__file__).parent / "model.onnx"

__all__ = ["PATH", "load"]


def load(path=None):
    """The model, for evaluation: ONNX has no gradients.

    Args:
        path: of the file; this package's own by default.
    """
    return onnx.load(PATH if path is None else path)
'''


def prepare(graph: Graph) -> Graph:
    """Rewrite a graph in place until ONNX has an operator for each of its nodes.

    Raises `NoLoweringError` with every operation that has none, and for buffers that calls change.
    """
    if graph.updates:
        raise NoLoweringError(
            f"onnx cannot keep what calls change: {', '.join(graph.updates)}",
            hint="make the buffers arguments and results of the model",
            missing=[(f"update of {path}", path.rpartition(".")[0], "") for path in graph.updates],
        )
    check_transforms(graph, "onnx")
    for node in graph.nodes:
        if node.op == "call":  # what becomes of a layer is to say whose it is
            graph.calls.append(Call(node.attributes["module"], node.scope.call))
            node.scope = dataclasses.replace(node.scope, call=len(graph.calls) - 1)
    _prepare(graph)
    return verify(graph)


def _prepare(graph: Graph) -> None:
    for node in graph.nodes:
        for nested in node.graphs.values():
            _prepare(nested)
    to_rows = functools.partial(legalise, framework="onnx", expand=lambda module: True, evaluates=True)
    to_rows(graph, covers=lambda node: True)
    EVALUATION.apply(graph)
    channels_first(graph)
    passes.simplify(graph)

    def covers(node: Node) -> bool:
        return ROWS.find(node) is not None

    while to_rows(graph, covers=covers):
        passes.simplify(graph)


def emit(graph: Graph, target: Target) -> Export:
    """Write a graph for ONNX; it is left as it was.

    Raises:
        NoLoweringError: with every operation that ONNX cannot express.
        FrameworkNotInstalledError: onnx or onnx-ir is missing.
    """
    load_onnx()
    try:
        import onnx_ir as ir
    except ImportError:
        raise FrameworkNotInstalledError(
            "onnx-ir is not installed, which writing ONNX needs", hint="pip install 'ivyhub[onnx]'"
        ) from None
    graph = prepare(graph.copy())
    writer = Writer(graph, ROWS)
    for path, value in _values(graph.inputs):
        name = writer.name(path.replace(".", "_"))
        writer.values[value] = writer.value(name, value.spec)
    inputs = [writer.values[value] for value in graph.input_values]
    writer.symbols = symbols_of_inputs(graph, {value: writer.values[value] for value in graph.input_values})
    outputs = _values(graph.outputs)
    names = [_output_name(path) for path, _ in outputs]
    taken = [writer.name(name) for name in names]
    writer.write(graph)
    writer.place, writer.properties = "", {}
    results = writer.results([writer.values[value] for _, value in outputs], [value.spec for _, value in outputs])
    for result, name in zip(results, taken, strict=True):
        result.name = name
    parameters = {path: spec for path, spec in _parameters(graph).items() if path in writer.initializers}
    written = ir.Graph(
        inputs,
        results,
        nodes=[*writer.first, *writer.nodes],
        initializers=list(writer.initializers.values()),
        opset_imports={"": OPSET},
        name=graph.modules[""].class_name,
    )
    source = ".".join(part for part in (graph.meta.get("module"), graph.modules[""].class_name) if part)
    model = ir.Model(
        written,
        ir_version=_IR_VERSION,
        producer_name="ivyhub",
        producer_version=__version__,
        doc_string=f"Written by ivyhub from {source}. ONNX has no gradients: this is for evaluation.",
    )
    return Export(
        target=target,
        files={"__init__.py": _LOAD},
        entry=graph.modules[""].class_name,
        weights=WeightMap(tuple(Entry((path,), (path,)) for path in parameters)),
        tensors=parameters,
        symbols=dict(graph.symbols),
        requires={"onnx": target.asks("onnx") or f">={target.row.minimum}"},
        pack=lambda folder, tensors, advance: _save(model, folder, tensors, advance),
    )


def _values(tree: Any) -> list[tuple[str, Value]]:
    return [(path, leaf) for path, leaf in tree_leaves(tree) if isinstance(leaf, Value)]


def _output_name(path: str) -> str:
    word = path.replace(".", "_")
    return word if word and not word[0].isdigit() else f"output_{word}".rstrip("_")


def _parameters(graph: Graph) -> dict[str, Spec]:
    return {path: parameter.spec for path, parameter in graph.parameters() if parameter.alias is None}


def _save(
    model: Any, folder: Path, tensors: Sequence[PlannedTensor], advance: Callable[[int, int | None], None]
) -> list[Path]:
    """Write the model with its weights: in one file, or beside it where they are too large for one."""
    import onnx_ir as ir

    total = sum(tensor.info.nbytes for tensor in tensors)

    def told(tensor: PlannedTensor) -> Any:
        advance(tensor.info.nbytes, total)
        return ir.tensor(np.ascontiguousarray(tensor.read()))

    for tensor in tensors:
        value = model.graph.initializers[tensor.info.name]
        value.const_value = ir.LazyTensor(
            functools.partial(told, tensor), dtype=value.dtype, shape=value.shape, name=value.name
        )
    large = total >= LARGEST
    ir.save(model, folder / MODEL, external_data=DATA if large else None)
    return [folder / MODEL, folder / DATA] if large else [folder / MODEL]
