"""`jit`: a function compiled by its framework, by the rules of `jax.jit` in all of them.

A function is traced once for each signature: the structure of its arguments, the shapes and dtypes of their arrays,
and the values of everything else among them. The trace is what is compiled, so Python that runs in it, the dispatch of
the engine's operations included, costs nothing afterwards. JAX compiles it with ``jax.jit``, TensorFlow with
``tf.function``, PyTorch with ``torch.compile`` over a graph of `make_fx`; NumPy has no compiler and runs the function.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import EngineError, IvyhubError
from .backends import framework_of, load
from .machinery import TRACING
from .transforms import owner_of, result_of
from .trees import Split


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, compiled at its first call with each signature.

    Arrays among the arguments, in trees of any kind, are inputs. Everything else (numbers, strings, None) is a part of
    the signature: pass a number that changes from call to call as an array. The function is pure, and its way does not
    depend on values of arrays: use `where`, `cond`, `while_loop`.

    Raises:
        EngineError: where the function asks for the value of an array, or an argument has no hash.
        MixedFrameworksError: on arrays of several frameworks, among the arguments or in the result.

    Example:
        >>> import jax.numpy as jnp
        >>> step = jit(lambda p, x: {"w": p["w"] - 0.5 * x})
        >>> step({"w": jnp.ones(2)}, jnp.ones(2))["w"].tolist()
        [0.5, 0.5]
    """
    compiled: dict[Any, Callable[[list[Any]], Any]] = {}

    @functools.wraps(function)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        parts = Split((args, kwargs))
        arrays = parts.arrays
        owners = {framework_of(array) for array in arrays}
        if None in owners:
            return function(*args, **kwargs)  # traced arrays: a graph keeps the operations of what it runs
        owner = str(owners.pop()) if len(owners) == 1 else owner_of("jit", (args, kwargs), gradients=False)
        if owner == "numpy" or (owner == "torch" and _is_inside_torch()):
            return function(*args, **kwargs)
        key = (owner, parts.key) if owner == "jax" else (owner, parts.key, _signature(arrays))
        try:
            run = compiled.get(key)
        except TypeError as error:
            raise EngineError(
                f"jit expected arrays, and other arguments that have a hash: {error}",
                hint="what is no array is a part of the signature; register containers with trees.register",
            ) from error
        try:
            if run is None:
                run = compiled[key] = _COMPILERS[owner](function, parts)
            return run(arrays)
        except IvyhubError:
            raise
        except Exception as error:
            if type(error).__name__ in _VALUES:
                name = getattr(function, "__name__", "function")
                raise EngineError(
                    f"jit of {name}: its way depends on the value of an array ({type(error).__name__})",
                    hint="use where, cond or while_loop, or make it an argument that is no array",
                ) from error
            raise

    return transformed


# What the frameworks raise where a traced array is asked for its value.
_VALUES = frozenset(
    {
        *("TracerBoolConversionError", "ConcretizationTypeError", "TracerArrayConversionError"),
        *("TracerIntegerConversionError", "NonConcreteBooleanIndexError", "OperatorNotAllowedInGraphError"),
        *("DataDependentOutputException", "GuardOnDataDependentSymNode"),
    }
)


def _signature(arrays: Sequence[Any]) -> Any:
    return tuple(
        (type(array), tuple(array.shape), array.dtype, str(array.device), getattr(array, "requires_grad", False))
        for array in arrays
    )


def _compile_jax(function: Callable[..., Any], parts: Split) -> Callable[[list[Any]], Any]:
    jax = load("jax")

    def run(arrays: list[Any]) -> Any:
        args, kwargs = parts.joined(arrays)
        return _jax_outputs(jax)(result_of("jit", "jax", function(*args, **kwargs)))

    run.__name__ = getattr(function, "__name__", "function")
    fast = jax.jit(run)
    _released(parts)
    return lambda arrays: fast(arrays).tree()


@functools.cache
def _jax_outputs(jax: Any) -> Any:
    """A tree of JAX's own that carries one of ours through ``jax.jit``."""

    class Outputs:
        def __init__(self, parts: Split, arrays: Sequence[Any] | None = None) -> None:
            self.parts = parts
            self.arrays = _released(parts) if arrays is None else arrays

        def tree(self) -> Any:
            return self.parts.joined(self.arrays)

    def flatten(outputs: Outputs) -> tuple[Sequence[Any], Split]:
        return outputs.arrays, outputs.parts

    jax.tree_util.register_pytree_node(Outputs, flatten, Outputs)
    return Outputs


def _released(parts: Split) -> list[Any]:
    """The arrays of a tree, which forgets them: its structure is kept, and they are not to be."""
    arrays, parts.arrays = parts.arrays, [None] * len(parts.arrays)
    return arrays


def _compile_tensorflow(function: Callable[..., Any], parts: Split) -> Callable[[list[Any]], Any]:
    tensorflow = load("tensorflow")
    result = parts

    def run(*arrays: Any) -> list[Any]:
        nonlocal result
        args, kwargs = parts.joined(arrays)
        result = result_of("jit", "tensorflow", function(*args, **kwargs))
        return _released(result)

    run.__name__ = getattr(function, "__name__", "function")
    fast = tensorflow.function(run, autograph=False)

    def call(arrays: list[Any]) -> Any:
        outputs = fast(*arrays)
        return result.joined(outputs)

    _released(parts)
    return call


def _compile_torch(function: Callable[..., Any], parts: Split) -> Callable[[list[Any]], Any]:
    torch = load("torch")
    make_fx = importlib.import_module("torch.fx.experimental.proxy_tensor").make_fx
    result = parts

    def run(*arrays: Any) -> list[Any]:
        nonlocal result
        args, kwargs = parts.joined(arrays)
        result = result_of("jit", "torch", function(*args, **kwargs))
        return _released(result)

    token = TRACING.set(True)
    try:
        # A tensor that is closed over is a constant of the graph.
        graph = make_fx(run, tracing_mode="fake", _allow_non_fake_inputs=True)(*parts.arrays)
    finally:
        TRACING.reset(token)
    devices = {array.device.type for array in parts.arrays}
    fast = torch.compile(graph, backend=_torch_backend(torch, "cpu" in devices), fullgraph=True, dynamic=False)

    def call(arrays: list[Any]) -> Any:
        outputs = fast(*arrays)
        return result.joined(outputs)

    _released(parts)
    return call


_COMPILERS = {"jax": _compile_jax, "tensorflow": _compile_tensorflow, "torch": _compile_torch}


def is_tracing() -> bool:
    """Whether a function is being traced for PyTorch, so that no array has values."""
    return TRACING.get()


def _is_inside_torch() -> bool:
    """Whether PyTorch traces or transforms the caller, which then sees through this function."""
    torch = load("torch")
    return TRACING.get() or torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is not None


@functools.cache
def _torch_backend(torch: Any, cpu: bool) -> str:
    """Inductor, or, for the CPU of a machine without a C++ compiler, the graph as it is."""
    if cpu:
        builder = importlib.import_module("torch._inductor.cpp_builder")
        try:
            builder.get_cpp_compiler()
        except Exception:  # its own kind of error, which has moved between versions
            warnings.warn(
                "jit runs PyTorch's graphs uncompiled: Inductor found no C++ compiler (install g++ or clang)",
                RuntimeWarning,
                stacklevel=2,
            )
            return "aot_eager"
    return "inductor"


__all__ = ["is_tracing", "jit"]
