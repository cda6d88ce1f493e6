"""Live sources of TensorFlow as a certificate asks them (see ``adapters/running.py``)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....engine.backends import dtype_name
from ....engine.spec import Spec
from ..running import Arrays, labelled, leaves


def as_is(array: Any) -> Any:
    """The layout of the graph is that of the variable."""
    return array


@dataclass(frozen=True)
class Slot:
    """A variable and the parameter that it is, or a part of it is, in the graph.

    Attributes:
        path: of the parameter.
        variable: the `tf.Variable`.
        trainable: whether gradients reach it.
        to_graph: from the layout of the variable to that of the parameter; it only moves elements.
    """

    path: str
    variable: Any
    trainable: bool = True
    to_graph: Callable[[np.ndarray], np.ndarray] = as_is

    @property
    def spec(self) -> Spec:
        """Of the parameter."""
        empty = np.broadcast_to(np.zeros((), np.bool_), tuple(self.variable.shape))
        return Spec(self.to_graph(empty).shape, dtype_name(self.variable.dtype))

    def native(self) -> np.ndarray:
        """Its numbers, in the layout of the parameter."""
        return np.array(self.to_graph(self.variable.numpy()), order="C")


@dataclass
class Watch:
    """Who hears of calls of layers: the function that is told, and what makes calls heard while it is entered."""

    hooks: Callable[[Callable[[str, Any], None]], contextlib.AbstractContextManager[None]]
    evaluating: Callable[[], contextlib.AbstractContextManager[None]]


class Original:
    """A live function or model. It is asked in place: what training changes is put back when training ends.

    Args:
        run: calls it with arguments by name, in training or not.
        slots: its variables.
        arrange: its arguments from arrays by path.
        watch: of a model with layers.
    """

    trains = True

    def __init__(
        self,
        run: Callable[[dict[str, Any], bool], Any],
        slots: Sequence[Slot],
        arrange: Callable[[dict[str, Any]], Mapping[str, Any]] = dict,
        watch: Watch | None = None,
    ) -> None:
        self.run = run
        self.slots = slots
        self.arrange = arrange
        self.watch = watch
        self.before = {slot.path: slot.variable.numpy().copy() for slot in slots}

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        return [np.asarray(leaf) for leaf in self._run(inputs, train)]

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        _, found = self._differentiated(inputs, weights, train)
        return {slot.path: slot.to_graph(np.asarray(gradient)) for slot, gradient in found}

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        losses: list[float] = []
        try:
            for _ in range(steps):
                loss, found = self._differentiated(inputs, weights, True)
                for slot, gradient in {id(slot.variable): (slot, gradient) for slot, gradient in found}.values():
                    slot.variable.assign_sub(rate * gradient)
                losses.append(float(loss))
        finally:
            for slot in self.slots:
                slot.variable.assign(self.before[slot.path])
        return losses

    def buffers(self) -> dict[str, np.ndarray]:
        return {
            slot.path: slot.native()
            for slot in self.slots
            if not slot.trainable and "float" in dtype_name(slot.variable.dtype)
        }

    def widened(self) -> Original:
        """Itself: variables of TensorFlow have one dtype for life, so there is no other measure of its rounding."""
        return self

    @contextlib.contextmanager
    def watching(self, seen: Callable[[str, dict[str, np.ndarray]], None]) -> Generator[None]:
        """While entered, report the path of each layer's call as it ends, with its results by their paths."""

        def told(path: str, result: Any) -> None:
            seen(path, {key: np.asarray(leaf) for key, leaf in labelled(result)})

        with contextlib.nullcontext() if self.watch is None else self.watch.hooks(told):
            yield

    def _differentiated(self, inputs: Arrays, weights: Sequence[np.ndarray | None], train: bool) -> Any:
        import tensorflow as tf

        slots = [slot for slot in self.slots if slot.trainable]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for slot in slots:
                tape.watch(slot.variable)
            pairs = zip(self._run(inputs, train), weights, strict=True)
            loss: Any = sum(
                tf.reduce_sum(leaf * tf.cast(weight, leaf.dtype)) for leaf, weight in pairs if weight is not None
            )
        found: Any = tape.gradient(
            loss, [slot.variable for slot in slots], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return loss, [(slot, tf.convert_to_tensor(gradient)) for slot, gradient in zip(slots, found, strict=True)]

    def _run(self, inputs: Arrays, train: bool) -> list[Any]:
        import tensorflow as tf

        arrays = {name: tf.convert_to_tensor(array) for name, array in inputs.items()}
        with contextlib.nullcontext() if self.watch is None else self.watch.evaluating():
            result = self.run(dict(self.arrange(arrays)), train)
        return [tf.convert_to_tensor(leaf) for leaf in leaves(result)]


__all__ = ["Original", "Slot", "Watch", "as_is"]
