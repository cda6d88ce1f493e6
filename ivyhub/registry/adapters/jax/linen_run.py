"""Flax Linen exports, a module with its variables, as a certificate asks them (see ``adapters/running.py``)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..running import Arrays, leaves
from .draws import fixed_draws
from .programs import Programs, descent, projection

Variables = dict[str, Any]


class LinenRunner:
    """What ``load`` gives: ``(module, variables)``. The variables are trained in place."""

    trains = True

    def __init__(self, model: tuple[Any, Variables]) -> None:
        self.module, self.variables = model
        self._takes_mode = "deterministic" in inspect.signature(self.module.__call__).parameters
        self._programs = Programs()

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        return [np.asarray(leaf) for leaf in self._run(self._results, inputs, train)]

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        _, gradients = self._run(self._differentiated, inputs, train, list(weights))
        return tensors({"params": gradients})

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        step = descent(rate)
        losses = []
        for _ in range(steps):
            loss, gradients = self._run(self._differentiated, inputs, True, list(weights))
            self.variables["params"] = step(self.variables["params"], gradients)
            losses.append(float(loss))
        return losses

    def buffers(self) -> dict[str, np.ndarray]:
        import jax.numpy as jnp

        others = {name: tree for name, tree in self.variables.items() if name != "params"}
        return {name: array for name, array in tensors(others).items() if jnp.issubdtype(array.dtype, jnp.floating)}

    def _run(self, function: Callable[..., Any], inputs: Arrays, train: bool, *more: Any) -> Any:
        """What a function of the model gives; what the model changes in its variables is changed."""
        import jax
        import jax.numpy as jnp

        others = {name: tree for name, tree in self.variables.items() if name != "params"}
        arrays = jax.tree.map(jnp.asarray, dict(inputs))
        params = self.variables.get("params", {})
        name = function.__name__, train
        with fixed_draws():
            found, changed = self._programs.run(name, functools.partial(function, train), params, others, arrays, *more)
        self.variables.update(changed)
        return found

    def _results(self, train: bool, params: Any, others: Variables, inputs: dict[str, Any]) -> tuple[list[Any], Any]:
        """The arrays that a call gives, and the variables that it changes."""
        import jax
        from flax import linen

        mode = {"deterministic": not train} if self._takes_mode else {}
        with linen.intercept_methods(_without_dropout):
            result, changed = self.module.apply({"params": params, **others}, **inputs, **mode, mutable=list(others))
        return [leaf for leaf in leaves(result) if isinstance(leaf, jax.Array)], changed

    def _differentiated(
        self, train: bool, params: Any, others: Variables, inputs: dict[str, Any], weights: list[Any]
    ) -> Any:
        """The projection of the results with its gradients, and the variables that the call changes."""
        import jax

        def loss(params: Any) -> tuple[Any, Any]:
            results, changed = self._results(train, params, others, inputs)
            return projection(results, weights), changed

        (value, changed), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        return (value, gradients), changed


def _without_dropout(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
    from flax import linen

    return args[0] if isinstance(context.module, linen.Dropout) else call(*args, **kwargs)


def tensors(variables: Variables) -> dict[str, np.ndarray]:
    """The arrays of variables by the names of the weight file."""
    from flax.traverse_util import flatten_dict

    return {name: np.asarray(array) for name, array in flatten_dict(variables, sep=".").items()}
