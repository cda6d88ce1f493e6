"""Primitives that JAX itself computes by a formula of others: where no rule reads one, its formula is read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any


def formula(eqn: Any) -> Any:
    """The closed jaxpr of what JAX computes an equation by; None where there is no formula, or not in this version.

    Half precision is computed in float32, as JAX does it.
    """
    made = _FORMULAS.get(eqn.primitive.name)
    if made is None:
        return None
    import jax

    try:
        function = made(eqn.params)
    except (ImportError, AttributeError):  # JAX's formulas are its own affair: another version may not have them
        return None
    structs = [jax.ShapeDtypeStruct(var.aval.shape, var.aval.dtype) for var in eqn.invars]
    return jax.make_jaxpr(function)(*structs)


def _special(name: str) -> Callable[[Mapping[str, Any]], Callable[..., Any]]:
    """A function of `jax.lax` of arrays of one shape and dtype."""

    def made(params: Mapping[str, Any]) -> Callable[..., Any]:
        import jax.numpy as jnp
        from jax._src.lax import special

        computed = getattr(special, f"{name}_impl")

        def run(*arrays: Any) -> Any:
            dtype = arrays[0].dtype
            wide = jnp.float32 if dtype.itemsize < 4 else dtype
            found = computed(*(array.astype(wide) for array in jnp.broadcast_arrays(*arrays)), dtype=wide)
            return found.astype(dtype)

        return run

    return made


def _gamma(params: Mapping[str, Any]) -> Callable[..., Any]:
    from jax._src.random import core

    return functools.partial(core._gamma_impl, **params)  # pyright: ignore[reportPrivateUsage]


_FORMULAS: Mapping[str, Callable[[Mapping[str, Any]], Callable[..., Any]]] = {
    **{name: _special(name) for name in ("regularized_incomplete_beta", "igamma_grad_a", "random_gamma_grad")},
    "random_gamma": _gamma,
}

__all__ = ["formula"]
