"""ivyhub as a backend of ``onnx.backend.test``: a model is captured with the inputs of a case, exported and run.

What an export does by design and a case cannot know is allowed for here, and nowhere else: NumPy's exports compute
bfloat16 in float32, JAX has no 64 bits, Keras casts what it is given to float32, and numbers of types that no framework
has are given and compared in the type in which they are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

import ivyhub
from ivyhub.engine.graph import tree_leaves
from ivyhub.errors import IvyhubError
from ivyhub.registry.adapters.onnx.capture import input_names
from ivyhub.registry.adapters.onnx.rules.narrow import widened
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.conversion import open_runner
from ivyhub.registry.layout import ExportRunner

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "real")
_NARROWED = {
    "jax": {"int64": "int32", "uint64": "uint32", "float64": "float32", "complex128": "complex64"},
    "tensorflow": {"float64": "float32", "float16": "float32", "bfloat16": "float32"},
}


def cases(*kinds: str) -> list[Any]:
    """The cases of some kinds, by name."""
    return sorted((case for kind in kinds for case in load_model_tests(kind=kind)), key=lambda case: case.name)


def verdict(case: Any, target: str) -> tuple[str, str]:
    """``pass``, ``refused``, ``failed`` (the target's own error when it runs), ``undecided`` or ``wrong``, and why."""
    try:
        for model, inputs, expected in _data(case):
            received = run(model, inputs, target)
            wanted = [widened(array) for array in _leaves(expected)]
            why = _difference(received, wanted, case, target)
            if why and any(
                _difference(run(model, inputs, each, nudged=True), before, case, each)
                # NumPy's too: what a compiler rounds differently in two places may be nan however it is nudged.
                for each, before in ((target, received), ("numpy", wanted))
            ):
                return "undecided", f"rounding alone decides: {why}"
            if why:
                return "wrong", why
    except IvyhubError as error:
        return "refused", " ".join(error.message.split())
    except Exception as error:  # a kernel that the framework has not, in its own words
        return "failed", f"{type(error).__name__}: {error}"
    return "pass", ""


def run(model: Any, inputs: Sequence[Any], target: str, *, nudged: bool = False) -> list[np.ndarray]:
    """The results of a model's export for some inputs; nudged, its constants and they move by a unit in the last place.

    A result that this moves beyond the tolerance (a softmax of logits of 1e10, a zero that terms of 100 leave) tells
    nothing about the export.
    """
    graph = ivyhub.trace(model, *inputs)
    if nudged:
        graph.constants.update({name: _nudged(array) for name, array in graph.constants.items()})
    runner = ExportRunner(open_runner(Target.parse(target), ivyhub.transpile(graph, to=target)), graph)
    feeds: dict[str, np.ndarray] = {}
    for name, value in zip(input_names(model), inputs, strict=False):
        if name in graph.inputs:
            for path, leaf in tree_leaves(value, name):
                if leaf is not None:
                    array = _fed(widened(np.asarray(leaf)), target)
                    feeds[path] = _nudged(array) if nudged else array
    return runner.outputs(feeds)


def _nudged(array: np.ndarray) -> np.ndarray:
    """Numbers of which every second one is the next larger one, where they have a fraction."""
    if array.dtype not in (np.float16, np.float32, np.float64):
        return array
    found = np.array(array)
    found.flat[::2] = np.nextafter(found.flat[::2], np.inf, dtype=array.dtype)
    return found


def _fed(array: np.ndarray, target: str) -> np.ndarray:
    return array.astype(np.float32) if target == "numpy" and array.dtype == ml_dtypes.bfloat16 else array


def _difference(received: Sequence[np.ndarray], wanted: Sequence[np.ndarray], case: Any, target: str) -> str:
    """What two lists of results differ in beyond the tolerance; "" where it is nothing."""
    try:
        assert len(received) == len(wanted), f"{len(received)} results for {len(wanted)}"
        for ours, theirs in zip(received, wanted, strict=True):
            _compare(ours, theirs, case, target)
    except AssertionError as error:
        return " ".join(str(error).split()) or "the results differ"
    return ""


def _compare(ours: np.ndarray, theirs: np.ndarray, case: Any, target: str) -> None:
    declared = theirs.dtype
    if target == "numpy" and theirs.dtype == ml_dtypes.bfloat16:
        assert ours.dtype == np.float32
        ours = ours.astype(theirs.dtype)
    narrow = _NARROWED.get(target, {}).get(theirs.dtype.name)
    if narrow is not None and ours.dtype.name == narrow:
        theirs = theirs.astype(narrow)
    half = declared == np.float16  # two units in the last place, as the suite itself has it for bfloat16
    rtol = max(case.rtol, 2**-9) if half else max(case.rtol, 2**-6) if declared == ml_dtypes.bfloat16 else case.rtol
    atol = case.atol
    if theirs.dtype in (np.float32, np.float64):  # zeros that a sum leaves: a unit in the last place of the largest
        largest = np.abs(theirs[np.isfinite(theirs)]).max(initial=0)
        atol = max(atol, float(np.finfo(theirs.dtype).eps * largest))
    Runner.assert_similar_outputs([theirs], [ours], rtol=rtol, atol=atol)


# -- what the cases hold ----------------------------------------------------------------------------------------------


def _data(case: Any) -> Iterator[tuple[Any, list[Any], list[Any]]]:
    """Models with their inputs and results."""
    if case.model is not None:
        for inputs, outputs in case.data_sets:
            yield case.model, _arrays(inputs), _arrays(outputs)
        return
    if case.url is not None and "/light/" in case.url:
        path = Path(onnx.__file__).parent.parent / case.url
        model = onnx.load(path)
        given = {tensor.name for tensor in model.graph.initializer}
        inputs = [
            Runner.generate_dummy_data(value, seed=0, name=case.model_name, random=False)
            for value in model.graph.input
            if value.name not in given
        ]
        found = onnx.TensorProto()
        found.ParseFromString(path.with_name(f"{path.stem}_output_0.pb").read_bytes())
        yield model, inputs, [onnx.numpy_helper.to_array(found)]
        return
    folder = Path(case.model_dir)
    model = onnx.load(folder / "model.onnx")
    for data in sorted(folder.glob("test_data_set*")):
        read: dict[str, list[Any]] = {"input": [], "output": []}
        for word, values in (("input", model.graph.input), ("output", model.graph.output)):
            for i in range(len(list(data.glob(f"{word}_*.pb")))):
                read[word].append(_read(data / f"{word}_{i}.pb", values[i].type))
        yield model, _arrays(read["input"]), _arrays(read["output"])


def _read(path: Path, kind: Any) -> Any:
    if kind.HasField("sequence_type"):
        sequence = onnx.SequenceProto()
        sequence.ParseFromString(path.read_bytes())
        return onnx.numpy_helper.to_list(sequence)
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return onnx.numpy_helper.to_array(tensor)


def _arrays(values: Any) -> Any:
    if isinstance(values, list | tuple):
        return [_arrays(value) for value in values]
    return onnx.numpy_helper.to_array(values) if isinstance(values, onnx.TensorProto) else values


def _leaves(values: Any) -> Iterator[np.ndarray]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _leaves(value)
        elif value is not None:
            yield np.asarray(value)
