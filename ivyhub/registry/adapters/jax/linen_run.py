"""Flax Linen exports, a module with its variables, as a certificate asks them (see ``adapters/running.py``)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..running import Arrays, leaves

Variables = dict[str, Any]


class LinenRunner:
    """What ``load`` gives: ``(module, variables)``. The variables are trained in place."""

    trains = True

    def __init__(self, model: tuple[Any, Variables]) -> None:
        import jax

        self.module, self.variables = model
        self._takes_mode = "deterministic" in inspect.signature(self.module.__call__).parameters
        self._compiled = jax.jit(self._apply, static_argnames="train")
        self._differentiated = jax.jit(jax.value_and_grad(self._loss, has_aux=True), static_argnames="train")

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        results, changed = self._compiled(self.variables, _native(inputs), train=train)
        self.variables.update(changed)
        return [np.asarray(leaf) for leaf in results]

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        _, gradients = self._differentiate(inputs, weights, train)
        return tensors({"params": gradients})

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        import jax

        losses = []
        for _ in range(steps):
            loss, gradients = self._differentiate(inputs, weights, True)
            step = functools.partial(jax.tree.map, lambda p, g: p - (rate * g).astype(p.dtype))
            self.variables["params"] = step(self.variables["params"], gradients)
            losses.append(float(loss))
        return losses

    def buffers(self) -> dict[str, np.ndarray]:
        import jax.numpy as jnp

        others = {name: tree for name, tree in self.variables.items() if name != "params"}
        return {name: array for name, array in tensors(others).items() if jnp.issubdtype(array.dtype, jnp.floating)}

    def _differentiate(self, inputs: Arrays, weights: Sequence[np.ndarray | None], train: bool) -> Any:
        others = {name: tree for name, tree in self.variables.items() if name != "params"}
        params = self.variables.get("params", {})
        (loss, changed), gradients = self._differentiated(params, others, _native(inputs), list(weights), train=train)
        self.variables.update(changed)
        return loss, gradients

    def _loss(
        self, params: Any, others: Variables, inputs: dict[str, Any], weights: list[Any], train: bool
    ) -> tuple[Any, Variables]:
        results, changed = self._apply({"params": params, **others}, inputs, train)
        pairs = zip(results, weights, strict=True)
        return sum((leaf * weight.astype(leaf.dtype)).sum() for leaf, weight in pairs if weight is not None), changed

    def _apply(self, variables: Variables, inputs: dict[str, Any], train: bool) -> tuple[list[Any], Variables]:
        import jax
        from flax import linen

        mode = {"deterministic": not train} if self._takes_mode else {}
        mutable = [name for name in variables if name != "params"]
        with linen.intercept_methods(_without_dropout):
            result, changed = self.module.apply(variables, **inputs, **mode, mutable=mutable)
        return [leaf for leaf in leaves(result) if isinstance(leaf, jax.Array)], changed


def _without_dropout(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
    from flax import linen

    return args[0] if isinstance(context.module, linen.Dropout) else call(*args, **kwargs)


def _native(inputs: Arrays) -> dict[str, Any]:
    import jax.numpy as jnp

    return {name: jnp.asarray(array) for name, array in inputs.items()}


def tensors(variables: Variables) -> dict[str, np.ndarray]:
    """The arrays of variables by the names of the weight file."""
    from flax.traverse_util import flatten_dict

    return {name: np.asarray(array) for name, array in flatten_dict(variables, sep=".").items()}
