"""ONNX models as a certificate asks them: through the onnx package's reference evaluator, which has no gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import EngineError
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

        self.evaluator = ReferenceEvaluator(model)
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
