"""What both kinds of Flax exports share when a certificate runs them: compiled programs, and steps of descent."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Hashable
from typing import Any


class Programs:
    """Functions of arrays, each compiled once for a name and the form of its arguments.

    Two that say the same are one program: an export without dropout is often the same in training and in evaluation,
    and compiling it is the larger part of its certificate. What is compared is the whole text of the lowered program,
    in which every argument stands, used or not.

    Example:
        >>> import jax.numpy as jnp
        >>> programs = Programs()
        >>> x = jnp.arange(3.0)
        >>> programs.run("eval", lambda x: 2 * x, x), programs.run("train", lambda x: 2 * x, x), len(programs)
        (Array([0., 2., 4.], dtype=float32), Array([0., 2., 4.], dtype=float32), 1)
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}
        self._compiled: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        return len(self._compiled)

    def run(self, name: Hashable, function: Callable[..., Any], *args: Any) -> Any:
        """The function's result; one of this name and form of arguments is not traced again."""
        import jax

        arrays, tree = jax.tree.flatten(args)
        key = name, tree, tuple((array.shape, array.dtype) for array in arrays)
        if key not in self._known:
            lowered = jax.jit(function, keep_unused=True).lower(*args)
            text = hashlib.sha256(lowered.as_text().encode()).digest(), lowered.out_tree
            if text not in self._compiled:
                self._compiled[text] = lowered.compile()
            self._known[key] = self._compiled[text]
        return self._known[key](*args)


def projection(results: list[Any], weights: list[Any]) -> Any:
    """The sum of all results times their weights; None leaves a result out."""
    pairs = zip(results, weights, strict=True)
    return sum((leaf * weight.astype(leaf.dtype)).sum() for leaf, weight in pairs if weight is not None)


def descent(rate: float) -> Callable[[Any, Any], Any]:
    """A step of gradient descent, from parameters and gradients; the arrays of the parameters are reused."""
    import jax

    step = functools.partial(jax.tree.map, lambda p, g: p - (rate * g).astype(p.dtype))
    return jax.jit(step, donate_argnums=0)


__all__ = ["Programs", "descent", "projection"]
