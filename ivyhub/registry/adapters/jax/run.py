"""Flax exports as a certificate asks them (see ``adapters/running.py``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....errors import UnknownDeviceError
from ..running import Arrays, leaves
from . import linen_run


class NnxRunner:
    """A live ``flax.nnx.Module``; it is trained in place."""

    trains = True

    def __init__(self, model: Any) -> None:
        from flax import nnx

        self.model = model
        self._compiled = nnx.jit(_results)
        self._differentiated = nnx.jit(nnx.value_and_grad(_loss, argnums=nnx.DiffState(0, nnx.Param)))
        model.set_attributes(nnx.Dropout, rate=0.0, raise_if_not_found=False)

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        return [np.asarray(leaf) for leaf in self._compiled(self._mode(train), _arrays(inputs))]

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        from flax import nnx

        _, gradients = self._differentiate(inputs, weights, train)
        flat = nnx.to_flat_state(gradients)
        return {".".join(map(str, place)): np.asarray(variable[...]) for place, variable in flat}

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        import jax
        from flax import nnx

        losses = []
        for _ in range(steps):
            loss, gradients = self._differentiate(inputs, weights, True)
            parameters = nnx.state(self.model, nnx.Param)
            nnx.update(self.model, jax.tree.map(lambda p, g: p - (rate * g).astype(p.dtype), parameters, gradients))
            losses.append(float(loss))
        return losses

    def buffers(self) -> dict[str, np.ndarray]:
        import jax.numpy as jnp
        from flax import nnx

        others = nnx.state(self.model, nnx.Not(nnx.Any(nnx.Param, nnx.RngState)))
        return {
            ".".join(map(str, place)): np.asarray(variable[...])
            for place, variable in nnx.to_flat_state(others)
            if jnp.issubdtype(variable.dtype, jnp.floating)
        }

    def _mode(self, train: bool) -> Any:
        self.model.train() if train else self.model.eval()
        return self.model

    def _differentiate(self, inputs: Arrays, weights: Sequence[np.ndarray | None], train: bool) -> Any:
        return self._differentiated(self._mode(train), _arrays(inputs), list(weights))


def _arrays(inputs: Arrays) -> dict[str, Any]:
    import jax.numpy as jnp

    return {name: jnp.asarray(array) for name, array in inputs.items()}


def _results(model: Any, inputs: dict[str, Any]) -> list[Any]:
    import jax

    return [leaf for leaf in leaves(model(**inputs)) if isinstance(leaf, jax.Array)]


def _loss(model: Any, inputs: dict[str, Any], weights: list[Any]) -> Any:
    pairs = zip(_results(model, inputs), weights, strict=True)
    return sum((leaf * weight.astype(leaf.dtype)).sum() for leaf, weight in pairs if weight is not None)


def device(text: str) -> Any:
    """A `jax.Device` for ``cpu``, ``gpu``, ``cuda:1``. Raises `UnknownDeviceError` for one that is not here."""
    import jax

    platform, _, index = text.partition(":")
    try:
        return jax.devices(platform)[int(index or 0)]
    except (RuntimeError, IndexError, ValueError) as error:
        raise UnknownDeviceError(
            f"JAX has no device {text!r} here: {str(error).splitlines()[0]}", hint="cpu is always there"
        ) from None


def tensors(model: Any) -> dict[str, np.ndarray]:
    """The arrays of a live model by the names of its weight file."""
    from flax import nnx

    if isinstance(model, tuple):
        return linen_run.tensors(model[1])
    state = nnx.state(model, nnx.Not(nnx.RngState))
    return {".".join(map(str, place)): np.asarray(variable[...]) for place, variable in nnx.to_flat_state(state)}


def open_package(model: Any) -> NnxRunner | linen_run.LinenRunner:
    """The runner of a live export: an NNX module, or a Linen module with its variables."""
    return linen_run.LinenRunner(model) if isinstance(model, tuple) else NnxRunner(model)
