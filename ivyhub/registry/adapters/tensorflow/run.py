"""Keras exports as a certificate asks them (see ``adapters/running.py``)."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....errors import UnknownDeviceError
from ..running import Arrays, leaves
from .draws import fixed_draws


class KerasRunner:
    """A live ``keras.Model``; it is trained in place."""

    trains = True

    def __init__(self, model: Any) -> None:
        import keras

        self.model = model
        self.takes_training = "training" in inspect.signature(model.call).parameters
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        return [np.asarray(leaf) for leaf in self._run(inputs, train)]

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        _, found = self._differentiate(inputs, weights, train)
        return {name: np.asarray(gradient) for name, (_, gradient) in found.items()}

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        losses = []
        for _ in range(steps):
            loss, found = self._differentiate(inputs, weights, True)
            for variable, gradient in found.values():
                variable.assign_sub(rate * gradient)
            losses.append(float(loss))
        return losses

    def buffers(self) -> dict[str, np.ndarray]:
        moved = {variable.path for variable in self.model.non_trainable_variables}
        return {
            name: np.asarray(variable)
            for name, variable in _variables(self.model).items()
            if variable.path in moved and "float" in str(variable.dtype)
        }

    def _differentiate(self, inputs: Arrays, weights: Sequence[np.ndarray | None], train: bool) -> tuple[Any, Any]:
        """The projection of the outputs, and each trainable variable with its gradient, by name."""
        import tensorflow as tf

        trainable = {variable.path for variable in self.model.trainable_variables}
        places = {name: variable for name, variable in _variables(self.model).items() if variable.path in trainable}
        with tf.GradientTape() as tape:
            pairs = zip(self._run(inputs, train), weights, strict=True)
            loss: Any = sum(
                tf.reduce_sum(leaf * tf.cast(weight, leaf.dtype)) for leaf, weight in pairs if weight is not None
            )
        gradients: Any = tape.gradient(
            loss, [variable.value for variable in places.values()], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        dense = map(tf.convert_to_tensor, gradients)  # the gradient of an embedding is a list of rows
        return loss, {name: (places[name], gradient) for name, gradient in zip(places, dense, strict=True)}

    def _run(self, inputs: Arrays, train: bool) -> list[Any]:
        import tensorflow as tf

        arrays = [
            tf.nest.map_structure(lambda leaf: None if leaf is None else tf.convert_to_tensor(leaf), tree)
            for tree in inputs.values()
        ]
        mode = {"training": train} if self.takes_training else {}
        with fixed_draws():
            return self._called(arrays, mode)

    def _called(self, arrays: Sequence[Any], mode: dict[str, bool]) -> list[Any]:
        import tensorflow as tf

        if arrays:
            result = self.model(*arrays, **mode)
        else:  # Keras calls no layer that takes no inputs
            result = self.model.call(**mode)
        return [leaf for leaf in leaves(result) if tf.is_tensor(leaf)]


def _variables(model: Any) -> dict[str, Any]:
    """The variables of a live export by the names of its weight file, as its own package finds them."""
    return sys.modules[type(model).__module__.rpartition(".")[0]].variables(model)


def device(text: str) -> str:
    """A device as TensorFlow names it: ``cuda:1`` is ``GPU:1``.

    Raises `UnknownDeviceError` for one that is not here.
    """
    import tensorflow as tf

    platform, _, index = text.partition(":")
    word = f"{'GPU' if platform in ('cuda', 'gpu') else platform.upper()}:{index or 0}"
    known = [found.name.removeprefix("/device:") for found in tf.config.list_logical_devices()]
    if word not in known:
        raise UnknownDeviceError(f"TensorFlow has no device {text!r} here", hint=f"choose from {', '.join(known)}")
    return word


def tensors(model: Any) -> dict[str, np.ndarray]:
    """The arrays of a live model by the names of its weight file."""
    return {name: np.asarray(variable) for name, variable in _variables(model).items()}


def open_package(model: Any) -> KerasRunner:
    """The runner of a live export."""
    return KerasRunner(model)
