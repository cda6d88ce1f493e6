"""Functions that are kept whole: `jax.nn.softmax` stays a softmax.

While a source is traced, `keeping` puts a compiled call in the place of each such function, in the modules that offer
it, and takes it away again. The call bears a name that is looked up when it is read. A transformation that the source
applies (`vmap`, `grad`) changes the program of the call: one that is not as it was written is read step by step.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from ....engine import ops
from .. import carried
from .rules.common import Array, dtype_name, dtype_of

Reading = Callable[..., Any]


def _softmax(x: Array, axis: Any = -1, where: Any = None, initial: Any = None) -> Any:
    if where is not None or not isinstance(axis, int):
        return None
    return ops.softmax(x, axis=axis)


def _log_softmax(x: Array, axis: Any = -1, where: Any = None) -> Any:
    return ops.log_softmax(x, axis=axis) if where is None and isinstance(axis, int) else None


def _gelu(x: Array, approximate: bool = True) -> Any:
    return ops.gelu(x, approximate=bool(approximate))


def _plain(op: Any) -> Reading:
    return lambda x: op(x)


def _leaky_relu(x: Array, negative_slope: Any = 1e-2) -> Any:
    return ops.leaky_relu(x, negative_slope=float(negative_slope)) if isinstance(negative_slope, float) else None


def _elu(x: Array, alpha: Any = 1.0) -> Any:
    return ops.elu(x, alpha=float(alpha)) if isinstance(alpha, int | float) else None


def _one_hot(x: Array, num_classes: Any, *, dtype: Any = None, axis: Any = -1) -> Any:
    if axis != -1 or not isinstance(num_classes, int):
        return None
    return ops.one_hot(x, num_classes=num_classes, dtype="float32" if dtype is None else dtype_name(dtype))


def _axis(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list | tuple) else axis


def _mean(
    a: Array, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = None
) -> Any:
    if dtype is not None or out is not None or where is not None or dtype_of(a) in ("float16", "bfloat16"):
        return None
    return ops.mean(a, axis=_axis(axis), keepdims=keepdims)


def _var(
    a: Array,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    if any(each is not None for each in (dtype, out, where, mean)) or dtype_of(a) != "float32":
        return None
    return ops.var(a, axis=_axis(axis), correction=ddof if correction is None else correction, keepdims=keepdims)


#: By the module that offers a function, how each is read; None is read step by step.
FUNCTIONS: dict[str, dict[str, Reading]] = {
    "jax.nn": {
        "softmax": _softmax,
        "log_softmax": _log_softmax,
        "gelu": _gelu,
        "relu": _plain(ops.relu),
        "relu6": _plain(ops.relu6),
        "silu": _plain(ops.silu),
        "selu": _plain(ops.selu),
        "mish": _plain(ops.mish),
        "softplus": _plain(ops.softplus),
        "soft_sign": _plain(ops.softsign),
        "log_sigmoid": _plain(ops.log_sigmoid),
        "leaky_relu": _leaky_relu,
        "elu": _elu,
        "one_hot": _one_hot,
    },
    "jax.numpy": {"mean": _mean, "var": _var},
}


@dataclass
class Kept:
    """One call of such a function.

    Attributes:
        name: of the function.
        text: the program that the call holds, as it was written.
        read: the values of its arrays -> its result, None where it is read step by step.
    """

    name: str
    text: str
    read: Callable[[list[Any]], Any]


@contextlib.contextmanager
def keeping(found: dict[str, Kept], program: Any) -> Generator[None]:
    """While entered, the functions of `FUNCTIONS` are traced as calls, which are entered in ``found`` by name."""
    import importlib

    stands: dict[int, tuple[Any, Any]] = {}
    for offered, functions in FUNCTIONS.items():
        module = importlib.import_module(offered)
        for name, read in functions.items():
            original = getattr(module, name, None)
            if original is not None:
                stands[id(original)] = original, _standing(original, name, read, found)
    for name in carried.FUNCTIONS:
        original = getattr(sys.modules.get(program.module), name, None)
        if original is not None and carried.is_carried(original, "jax"):
            read = functools.partial(_carried, name)
            stands[id(original)] = original, _standing(original, name, read, found, several=True)
    changed: list[tuple[Any, str, Any]] = []
    try:
        for module in _modules(program):
            for name, held in list(vars(module).items()):
                if id(held) in stands and stands[id(held)][0] is held:
                    changed.append((module, name, held))
                    setattr(module, name, stands[id(held)][1])
        yield
    finally:
        for module, name, held in changed:
            setattr(module, name, held)


def _carried(name: str, *values: Array, **settings: Any) -> Any:
    read = carried.FUNCTIONS[name](**settings)
    return None if read is None else read(*values)


def _modules(program: Any) -> list[Any]:
    """The modules in which the functions may be looked up: JAX's and Flax's, and those of the source's classes."""
    own = {program.module}
    names = [name for name in sys.modules if name in ("jax.nn", "jax.numpy") or name.startswith("flax.") or name in own]
    return [sys.modules[name] for name in names]


def _standing(original: Any, name: str, read: Reading, found: dict[str, Kept], *, several: bool = False) -> Any:
    """What stands for a function: of one array, or of several that come first."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        import jax
        from jax.core import Tracer

        try:
            bound = signature.bind(*args, **kwargs).arguments
        except TypeError:
            return original(*args, **kwargs)
        arrays = {key: value for key, value in bound.items() if isinstance(value, jax.Array)}
        settings = {key: value for key, value in bound.items() if key not in arrays}
        first = list(signature.parameters)[: len(arrays) if several else 1]
        if not arrays or list(arrays) != first or not isinstance(arrays[first[0]], Tracer):
            return original(*args, **kwargs)

        def run(*xs: Any) -> Any:
            return original(*xs, **settings)

        key = f"ivyhub_{name}_{len(found)}"
        run.__name__ = key
        text = str(jax.make_jaxpr(run)(*(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays.values())))
        found[key] = Kept(name, text, lambda values: read(*values, **settings))
        return jax.jit(run)(*arrays.values())

    return call


__all__ = ["FUNCTIONS", "Kept", "keeping"]
