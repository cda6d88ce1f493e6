"""Flax exports as a certificate asks them (see ``adapters/running.py``)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....errors import UnknownDeviceError
from ..running import Arrays, leaves
from . import linen_run
from .draws import fixed_draws
from .programs import Programs, descent, projection


class NnxRunner:
    """A live ``flax.nnx.Module``; it is trained in place."""

    trains = True

    def __init__(self, model: Any) -> None:
        from flax import nnx

        self.model = model
        self._programs = Programs()
        model.set_attributes(nnx.Dropout, rate=0.0, raise_if_not_found=False)

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        return [np.asarray(leaf) for leaf in self._run(_results, inputs, train)]

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        from flax import nnx

        _, gradients = self._run(_differentiated, inputs, train, list(weights))
        flat = nnx.to_flat_state(gradients)
        return {".".join(map(str, place)): np.asarray(variable[...]) for place, variable in flat}

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        from flax import nnx

        step = descent(rate)
        losses = []
        for _ in range(steps):
            loss, gradients = self._run(_differentiated, inputs, True, list(weights))
            nnx.update(self.model, step(nnx.state(self.model, nnx.Param), gradients))
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

    def _run(self, function: Callable[..., Any], inputs: Arrays, train: bool, *more: Any) -> Any:
        """What a function of the model gives; what the model changes in itself is changed."""
        import jax
        import jax.numpy as jnp
        from flax import nnx

        self.model.train() if train else self.model.eval()
        graph, *state = nnx.split(self.model, nnx.Param, ...)
        arrays = jax.tree.map(jnp.asarray, dict(inputs))
        name = function.__name__, train
        with fixed_draws():
            found, changed = self._programs.run(name, functools.partial(function, graph), *state, arrays, *more)
        nnx.update(self.model, changed)
        return found


def _results(graph: Any, params: Any, others: Any, inputs: dict[str, Any]) -> tuple[list[Any], Any]:
    """The arrays that a call gives, and the state that it leaves, without the parameters."""
    import jax
    from flax import nnx

    model = nnx.merge(graph, *jax.tree.map(lambda array: array, (params, others)))  # variables of this trace's own
    results = [leaf for leaf in leaves(model(**inputs)) if isinstance(leaf, jax.Array)]
    return results, nnx.state(model, nnx.Not(nnx.Param))


def _differentiated(graph: Any, params: Any, others: Any, inputs: dict[str, Any], weights: list[Any]) -> Any:
    """The projection of the results with its gradients, and the state that the call leaves."""
    import jax

    def loss(params: Any) -> tuple[Any, Any]:
        results, changed = _results(graph, params, others, inputs)
        return projection(results, weights), changed

    (value, changed), gradients = jax.value_and_grad(loss, has_aux=True)(params)
    return (value, gradients), changed


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
