"""A live source of JAX as a certificate asks it (see ``adapters/running.py``)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np

from ....engine.graph import Record
from ..running import Arrays
from .program import unbound
from .programs import projection
from .sizes import is_key


class SourceRunner:
    """A function with its tensors; the tensors are its own copy."""

    trains = True

    def __init__(self, program: Any, forms: Mapping[str, Any], structs: Mapping[str, Any], arrange: Any) -> None:
        import jax.numpy as jnp

        self.program, self.forms, self.structs, self.arrange = program, forms, structs, arrange
        self.tensors = {name: jnp.array(array) for name, array in program.tensors.items()}
        self.wide = False
        self.seen: Callable[[str, dict[str, np.ndarray]], None] | None = None

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        with self._precision():
            results, changed = self._results(self.tensors, inputs, train)
            self.tensors |= changed if train else {}
            return [np.asarray(leaf) for leaf in results]

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        _, found, changed = self._differentiated(inputs, weights, train)
        self.tensors |= changed
        return {
            path: place.view(found)
            for path, place in self.program.places.items()
            if all(name in found for name in place.names)
        }

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        losses: list[float] = []
        for _ in range(steps):
            value, found, changed = self._differentiated(inputs, weights, True)
            self.tensors |= changed
            with self._precision():
                self.tensors |= {name: self.tensors[name] - (rate * g).astype(g.dtype) for name, g in found.items()}
            losses.append(float(value))
        return losses

    def buffers(self) -> dict[str, np.ndarray]:
        return {
            path: place.view(self.tensors)
            for path, place in self.program.places.items()
            if all(n not in self.program.trainable and self.tensors[n].dtype.kind == "f" for n in place.names)
        }

    def widened(self) -> SourceRunner:
        """The same source in float64, where its own code does not name a dtype."""
        import jax.numpy as jnp

        self.wide = True
        with self._precision():
            self.tensors = {name: _wide(array, jnp) for name, array in self.tensors.items()}
        return self

    @contextlib.contextmanager
    def watching(self, seen: Callable[[str, dict[str, np.ndarray]], None]) -> Generator[None]:
        """Modules report nothing: their results are values of a trace."""
        del seen
        yield

    def _precision(self) -> Any:
        import jax

        return jax.enable_x64(True) if self.wide else contextlib.nullcontext()

    def _results(self, tensors: Mapping[str, Any], inputs: Arrays, train: bool) -> tuple[list[Any], dict[str, Any]]:
        import jax
        import jax.numpy as jnp

        arranged = self.arrange(dict(inputs))
        filled: dict[str, Any] = {}
        for name, form in self.forms.items():
            structure, known, given = self.structs[name]
            leaves = list(known)
            for index, array in _pairs(form, arranged.get(name)):
                if given[index] is not None:
                    made = jnp.asarray(array, None if self.wide else _dtype(given[index]))
                    made = _wide(made, jnp) if self.wide else made
                    leaves[index] = jax.random.wrap_key_data(made) if is_key(given[index].dtype) else made
            filled[name] = jax.tree.unflatten(structure, leaves)
        args, kwargs = unbound(self.program.signature, filled)
        results, changed = self.program.run(dict(tensors), args, kwargs, train)
        return jax.tree.leaves(results), changed

    def _differentiated(self, inputs: Arrays, weights: Sequence[np.ndarray | None], train: bool) -> Any:
        import jax

        def loss(trained: dict[str, Any]) -> Any:
            results, changed = self._results({**self.tensors, **trained}, inputs, train)
            return projection(results, list(weights)), changed

        with self._precision():
            trained = {name: self.tensors[name] for name in self.program.trainable}
            (value, changed), found = jax.value_and_grad(loss, has_aux=True)(trained)
        return value, found, changed


def _dtype(struct: Any) -> Any:
    return np.uint32 if is_key(struct.dtype) else struct.dtype


def _wide(array: Any, jnp: Any) -> Any:
    return array.astype(jnp.float64) if array.dtype == jnp.float32 else array


def _pairs(form: Any, tree: Any) -> Any:
    """The numbers of the leaves of a form, beside what stands there in a tree of the same form."""
    if isinstance(form, int) and not isinstance(form, bool):
        yield form, tree
    elif isinstance(form, dict):
        for key, child in form.items():
            yield from _pairs(child, tree[key])
    elif isinstance(form, Record | tuple | list):
        for child, part in zip(form.fields.values() if isinstance(form, Record) else form, tree, strict=True):
            yield from _pairs(child, part)
