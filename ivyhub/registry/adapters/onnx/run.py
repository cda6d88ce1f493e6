"""ONNX models as a certificate asks them; they have outputs alone.

A model that is a source is run by the onnx package's reference evaluator, one that was written by onnxruntime.
"""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....engine.graph import tree_leaves
from ....errors import CaptureError, EngineError, FrameworkNotInstalledError, UnknownDeviceError
from ..running import Arrays
from .loading import load_onnx


class ReferenceRunner:
    """A model, evaluated by ``onnx.reference.ReferenceEvaluator``.

    Args:
        model: an ``onnx.ModelProto``.
        folder: of its external data.
        names: its inputs by the names of the graph's.
        fixed: inputs that the graph does not take, by their own names.
        arrange: makes the arguments of the graph from arrays by path.
    """

    trains = False

    def __init__(
        self,
        model: Any,
        folder: Path | None,
        names: Mapping[str, str],
        fixed: Mapping[str, Any],
        arrange: Callable[[dict[str, Any]], Mapping[str, Any]] = dict,
    ) -> None:
        onnx = load_onnx()
        if folder is not None:
            loaded = onnx.ModelProto()
            loaded.CopyFrom(model)
            onnx.external_data_helper.load_external_data_for_model(loaded, str(folder))
            model = loaded
        from onnx.reference import ReferenceEvaluator

        try:
            self.evaluator = ReferenceEvaluator(model)
        except NotImplementedError as error:
            raise CaptureError(
                f"the reference evaluator of ONNX cannot run the model: {error}",
                hint="--no-verify (verify=False) takes it without comparing",
            ) from error
        self.names = dict(names)
        self.fixed = dict(fixed)
        self.arrange = arrange

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        given = self.arrange(dict(inputs))
        feeds = {self.names[name]: value for name, value in given.items() if value is not None}
        with np.errstate(all="ignore"):
            results = self.evaluator.run(None, feeds | self.fixed)
        return [np.asarray(leaf) for result in results for leaf in (result if isinstance(result, list) else [result])]

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        raise EngineError("the reference evaluator has no gradients")

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        raise EngineError("the reference evaluator has no gradients")

    def buffers(self) -> dict[str, np.ndarray]:
        return {}

    def widened(self) -> ReferenceRunner:
        """Itself: the types of a model's values are fixed, so its own rounding cannot be measured."""
        return self

    @contextlib.contextmanager
    def watching(self, seen: Callable[[str, dict[str, np.ndarray]], None]) -> Generator[None]:
        """Nothing is reported: the model has no modules."""
        yield


class RuntimeRunner:
    """A model that was written, run by onnxruntime.

    Args:
        model: an ``onnx.ModelProto`` with its weights.
        largest: bytes from which on the weights are handed over in a file, as protobuf cannot hold them.

    Raises `FrameworkNotInstalledError` where onnxruntime is missing, `EngineError` where it refuses the model.
    """

    trains = False

    def __init__(self, model: Any, *, largest: int = 2**31 - 2**28) -> None:
        try:
            onnxruntime: Any = importlib.import_module("onnxruntime")
        except ImportError:
            raise FrameworkNotInstalledError(
                "onnxruntime is not installed, which runs what was written",
                hint="pip install onnxruntime, or --no-verify to skip the comparison",
            ) from None
        onnx = load_onnx()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        refused = onnxruntime.capi.onnxruntime_pybind11_state
        weights = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
        try:
            if weights < largest:
                self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)
                return
            with tempfile.TemporaryDirectory(prefix="ivyhub-") as folder:
                path = Path(folder) / "model.onnx"
                copied = onnx.ModelProto()
                copied.CopyFrom(model)
                onnx.save(copied, path, save_as_external_data=True, location="model.onnx.data")
                self.session = onnxruntime.InferenceSession(path, options)
        except (refused.NotImplemented, refused.Fail, refused.InvalidGraph) as error:
            raise EngineError(
                f"onnxruntime refuses the model: {' '.join(str(error).split())}",
                hint="it lacks an operator for some dtype; --no-verify writes the model all the same",
            ) from error

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        if train:
            raise EngineError("ONNX has no train mode")
        feeds = {path.replace(".", "_"): leaf for path, leaf in tree_leaves(dict(inputs)) if leaf is not None}
        return list(self.session.run(None, {name: np.asarray(array) for name, array in feeds.items()}))

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        raise EngineError("ONNX has no gradients")

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        raise EngineError("ONNX has no gradients")

    def buffers(self) -> dict[str, np.ndarray]:
        return {}


def device(text: str) -> None:
    """Comparisons run on the CPU alone. Raises `UnknownDeviceError` for anything else."""
    if text != "cpu":
        raise UnknownDeviceError(f"ONNX models are compared on the CPU, received {text!r}", hint="leave --device out")


def open_package(model: Any) -> RuntimeRunner:
    """The runner of a live export."""
    return RuntimeRunner(model)
