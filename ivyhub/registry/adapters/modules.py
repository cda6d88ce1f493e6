"""Modules of `ivyhub.engine.nn` as sources: captured as graphs, and asked for numbers by certificates."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np

from ...engine import nn, ops
from ...engine.backends import framework_of, is_floating
from ...engine.dims import Dim
from ...engine.graph import tree_leaves, tree_map
from ...engine.spec import Spec, spec_of
from ...engine.stateful.dropout import Drawing
from ...engine.trees import is_array
from ...errors import CaptureError
from .running import Arrays, labelled, leaves
from .source import Capture


def capture(
    module: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
) -> Capture:
    """Capture a module from example inputs, or the specs of inputs.

    Raises `CaptureError` when they do not fit its ``forward``.

    Example:
        >>> found = capture(nn.Linear(3, 2), (np.zeros((4, 3), np.float32),), dynamic={"x": {0: "batch"}})
        >>> found.graph.outputs.spec
        float32[batch, 2]
    """
    signature = inspect.signature(module.forward)
    try:
        bound = signature.bind(*args, **(kwargs or {}))
    except TypeError as error:
        raise CaptureError(
            f"the example inputs do not fit {type(module).__name__}.forward: {error}",
            hint=f"its signature is {signature}",
        ) from None
    examples = {
        path: as_numpy(leaf) for path, leaf in tree_leaves(dict(bound.arguments)) if framework_of(leaf) is not None
    }
    for name, axes in (dynamic or {}).items():
        if name not in bound.arguments:
            raise CaptureError(f"{type(module).__name__}.forward has no input {name!r}", hint=f"it has {signature}")
        bound.arguments[name] = tree_map(lambda leaf, axes=axes: _named(leaf, axes), bound.arguments[name])
    graph = module.trace(*bound.args, **bound.kwargs)
    slots = module.slots()
    tensors = {path: slots[graph.owner(path)].value for path, _ in graph.parameters()}
    arrays = {path: array for path, array in tensors.items() if array is not None}
    return Capture(graph, arrays, lambda arrange: ModuleRunner(module, arrange), examples)


def _named(leaf: Any, axes: Mapping[int, str]) -> Any:
    if not is_array(leaf) and not isinstance(leaf, Spec):
        return leaf
    spec = leaf if isinstance(leaf, Spec) else spec_of(leaf)
    named = (Dim.symbol(axes[axis]) if axis in axes else size for axis, size in enumerate(spec.shape))
    return spec.with_shape(*named)


def as_numpy(array: Any) -> np.ndarray:
    """An array of any framework as NumPy's."""
    return np.asarray(array.detach().cpu() if framework_of(array) == "torch" else array)


class ModuleRunner:
    """A live module, moved to PyTorch; its arguments are made by ``arrange`` from arrays by path.

    A copy is asked: the module stays as it is.
    """

    trains = True

    def __init__(self, module: nn.Module, arrange: Callable[[dict[str, Any]], Mapping[str, Any]] = dict) -> None:
        self.module = module.on("torch")
        self.arrange = arrange
        self.dtype: str | None = None

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        return [as_numpy(leaf) for leaf in self._run(self.module, inputs, train)]

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        _, found = self._differentiated(inputs, weights, train)
        return {name: as_numpy(gradient) for name, gradient in found.items()}

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        losses: list[float] = []
        for _ in range(steps):
            value, gradient = self._differentiated(inputs, weights, True)
            self.module.assign({name: x - rate * gradient[name] for name, x in self.module.trainable().items()})
            losses.append(float(value))
        return losses

    def buffers(self) -> dict[str, np.ndarray]:
        found = {name: as_numpy(array) for name, array in self.module.named_buffers().items()}
        return {name: array for name, array in found.items() if is_floating(array.dtype.name)}

    def widened(self) -> ModuleRunner:
        """The same module in float64; its inputs are widened with it."""
        self.dtype = "float64"
        self.module = self.module.on(dtype=self.dtype)
        return self

    @contextlib.contextmanager
    def watching(self, seen: Callable[[str, dict[str, np.ndarray]], None]) -> Generator[None]:
        """While entered, report the path of each module call as it ends, with its results by their paths."""

        def hook(path: str) -> Any:
            return lambda module, args, kwargs, result: seen(
                path, {key: as_numpy(leaf) for key, leaf in labelled(result) if framework_of(leaf)}
            )

        handles = [each.after_forward(hook(path)) for path, each in self.module.named_modules().items() if path]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _differentiated(self, inputs: Arrays, weights: Sequence[np.ndarray | None], train: bool) -> Any:
        def total(module: nn.Module) -> Any:
            terms = [
                ops.sum(leaf * self._native(weight))
                for leaf, weight in zip(self._run(module, inputs, train), weights, strict=True)
                if weight is not None
            ]
            return sum(terms[1:], terms[0])

        return nn.value_and_grad(total)(self.module)

    def _run(self, module: nn.Module, inputs: Arrays, train: bool) -> list[Any]:
        for each in module.train(train).named_modules().values():
            if isinstance(each, Drawing):
                each.training = False
        arguments = self.arrange({name: self._native(array) for name, array in inputs.items()})
        return [leaf for leaf in leaves(module(**arguments)) if framework_of(leaf) is not None]

    def _native(self, array: np.ndarray) -> Any:
        from .torch.hub import to_torch

        native = to_torch(array)
        return native.double() if self.dtype and native.is_floating_point() else native
