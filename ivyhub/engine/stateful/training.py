"""What stands between a loss and an optimizer: gradients of modules, their norms, clipping and accumulation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import EngineError
from .. import ops, transforms
from ..op import Array
from ..spec import spec_of
from ..trees import Tree, is_array, leaves, tree_map
from .module import Module


def value_and_grad(
    function: Callable[..., Any], *, has_aux: bool = False
) -> Callable[..., tuple[Any, dict[str, Array]]]:
    """A function that returns a loss together with its gradient by the trainable parameters of a module.

    What the call changes in the buffers of the module (running statistics, the keys of dropout) stays changed, as
    after any other call. `ivyhub.engine.value_and_grad` differs: it is pure, differentiates by every floating-point
    leaf of its argument, and takes any pytree.

    Args:
        function: of a module and further arguments, to a floating-point scalar; with ``has_aux``, to a pair of that
            and any tree.
        has_aux: whether ``function`` returns a pair.

    Returns:
        A function of the same arguments that returns (value, gradient), or ((value, aux), gradient). The gradient is a
        dictionary with the names of `Module.trainable`.

    Raises:
        EngineError: the first argument is no module, or all of its parameters are frozen; see
            `ivyhub.engine.value_and_grad` for others.

    Example:
        >>> import jax.numpy as jnp
        >>> from ivyhub.engine import nn
        >>> model = nn.Linear(2, 1)
        >>> model.load_state_dict({"weight": jnp.ones((1, 2)), "bias": jnp.zeros(1)})
        >>> loss, gradient = value_and_grad(lambda model, x: model(x).sum())(model, jnp.ones((3, 2)))
        >>> float(loss), gradient["weight"].tolist()
        (6.0, [[3.0, 3.0]])
    """

    @functools.wraps(function)
    def transformed(model: Module, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(model, Module):
            raise EngineError(
                f"value_and_grad expected a module as the first argument, received {type(model).__name__}",
                hint="ivyhub.engine.value_and_grad takes other trees",
            )
        trainable = model.trainable()
        if not trainable:
            raise EngineError(f"{type(model).__name__} has no trainable parameters", hint="unfreeze some of them")

        def run(parameters: Mapping[str, Array], *args: Any, **kwargs: Any) -> Any:
            called = model.replaced(parameters)
            before = {path: slot.value for path, slot in called.slots().items()}
            found = function(called, *args, **kwargs)
            value, aux = found if has_aux else (found, None)
            changed = {path: slot.value for path, slot in called.slots().items() if slot.value is not before.get(path)}
            return value, (aux, changed)

        (value, (aux, changed)), gradient = transforms.value_and_grad(run, has_aux=True)(trainable, *args, **kwargs)
        model.assign({path: array for path, array in changed.items() if array is not None})
        return (value, aux) if has_aux else value, gradient

    return transformed


def grad(function: Callable[..., Any], *, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of a loss by the trainable parameters of a module; see `value_and_grad`."""
    both = value_and_grad(function, has_aux=has_aux)

    @functools.wraps(function)
    def transformed(model: Module, *args: Any, **kwargs: Any) -> Any:
        value, gradient = both(model, *args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


# -- gradients as trees ----------------------------------------------------------------------------------------------


def _arrays(tree: Tree) -> list[Array]:
    return [leaf for leaf in leaves(tree) if is_array(leaf)]


def global_norm(tree: Tree) -> Array:
    """The square root of the sum of the squares of all numbers in a tree, added up in float32 or wider.

    Source: optax.global_norm; torch.nn.utils.clip_grad_norm_.
    """
    total: Any = None
    for array in _arrays(tree):
        squares = ops.sum(ops.square(_wide(array)))
        total = squares if total is None else total + squares
    if total is None:
        raise EngineError("global_norm received no array")
    return ops.sqrt(total)


def _wide(array: Array) -> Array:
    return ops.astype(array, dtype="float32") if spec_of(array).dtype in ("float16", "bfloat16") else array


def clip_by_value(tree: Tree, limit: float) -> Tree:
    """Every number kept within ±limit.

    Example:
        >>> import numpy as np
        >>> clip_by_value({"w": np.array([-3.0, 0.5])}, 1.0)
        {'w': array([-1. ,  0.5])}
    """
    return tree_map(lambda array: ops.clip(array, min=-limit, max=limit), tree)


def clip_by_norm(tree: Tree, limit: float) -> Tree:
    """Every array scaled down to a norm of at most ``limit``; zeros stay zeros."""
    return tree_map(lambda array: _scaled(array, global_norm(array), limit), tree)


def clip_by_global_norm(tree: Tree, limit: float) -> Tree:
    """All arrays scaled down by one factor to a `global_norm` of at most ``limit``.

    Source: Pascanu et al. 2013, arXiv:1211.5063; optax.clip_by_global_norm.

    Example:
        >>> import numpy as np
        >>> clip_by_global_norm({"a": np.array([3.0]), "b": np.array([4.0])}, 1.0)
        {'a': array([0.6]), 'b': array([0.8])}
    """
    norm = global_norm(tree)
    return tree_map(lambda array: _scaled(array, norm, limit), tree)


def _scaled(array: Array, norm: Array, limit: float) -> Array:
    factor = limit / ops.maximum(norm, limit)  # never a division by zero: exactly 1 below the limit
    return array * ops.astype(factor, dtype=spec_of(array).dtype)


def accumulate(total: Tree | None, gradient: Tree, *, count: int = 1) -> Tree:
    """A gradient added to those before it, each divided by ``count``: after that many, their mean.

    Example:
        >>> import numpy as np
        >>> total = None
        >>> for gradient in (np.array(1.0), np.array(3.0)):
        ...     total = accumulate(total, gradient, count=2)
        >>> float(total)
        2.0
    """
    part = gradient if count == 1 else tree_map(lambda array: array / count, gradient)
    return part if total is None else tree_map(lambda x, y: x + y, total, part)


__all__ = [
    "accumulate",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "global_norm",
    "grad",
    "value_and_grad",
]
