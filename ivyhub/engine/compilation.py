"""`jit`: a function compiled by its framework, by the rules of `jax.jit` in all of them.

A function is traced once for each signature: the structure of its arguments, the shapes and dtypes of their arrays,
and the values of everything else among them. The trace is what is compiled, so Python that runs in it, the dispatch of
the engine's operations included, costs nothing afterwards. JAX compiles it with ``jax.jit``, TensorFlow with
``tf.function``, PyTorch with Inductor, the compiler of ``torch.compile``, over a graph of `make_fx`; NumPy has no
compiler and runs the function.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import EngineError, IvyhubError
from .backends import framework_of, load
from .higher_order import has_nested, lifted_constants
from .machinery import TRACING
from .transforms import owner_of, result_of
from .trees import Split, Tree, flatten, is_array


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
    plans: dict[Any, _Plan] = {}
    direct: _Direct | None = None

    @functools.wraps(function)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        nonlocal direct
        try:
            if direct is not None and direct.takes((args, kwargs)):
                result = direct.fast(*args, **kwargs)
                return result[0] if type(result) is tuple else result.tree()
            found, structure = flatten((args, kwargs))
            key = (structure, *map(type, found))
            plan = plans.get(key)
            if plan is None:
                plan = _Plan(found, (args, kwargs))
                if plan.owner == "jax" and direct is None and (made := _Direct(function)).takes((args, kwargs)):
                    direct = made
                    return transformed(*args, **kwargs)
                plans[key] = plan
            if plan.owner in _COMPILERS and not (plan.owner == "torch" and _is_inside_torch()):
                arrays = [found[i] for i in plan.places] if plan.others else found
                own = plan.key(found, arrays)
                run = plan.runs.get(own)
                if run is None:
                    run = plan.runs[own] = _COMPILERS[plan.owner](function, Split((args, kwargs)))
                return run(arrays)
        except IvyhubError:
            raise
        except Exception as error:
            if isinstance(error, TypeError) and "unhashable" in str(error):
                raise EngineError(
                    f"jit expected arrays, and other arguments that have a hash: {error}",
                    hint="what is no array is a part of the signature; register containers with trees.register",
                ) from error
            if type(error).__name__ in _VALUES or any(words in str(error) for words in _WORDS):
                name = getattr(function, "__name__", "function")
                raise EngineError(
                    f"jit of {name}: its way depends on the value of an array, or leaves the framework of its "
                    f"arguments ({type(error).__name__})",
                    hint="use where, cond or while_loop, or make it an argument that is no array; keep all of it in "
                    "one framework",
                ) from error
            raise
        return function(*args, **kwargs)

    return transformed


class _Plan:
    """What the arguments of one structure and of leaves of the same types have in common.

    Attributes:
        owner: their framework; "" for traced arrays, since a graph keeps the operations of what it runs.
        places: where the arrays are among the leaves.
        others: where the rest is, whose values belong to the signature.
        runs: what was compiled, by what else belongs to it.
    """

    __slots__ = ("others", "owner", "places", "runs")

    def __init__(self, found: Sequence[Any], tree: Tree) -> None:
        self.places = [i for i, leaf in enumerate(found) if is_array(leaf)]
        self.others = [i for i, leaf in enumerate(found) if not is_array(leaf)]
        owners = {framework_of(found[i]) for i in self.places}
        self.owner = "" if None in owners else owner_of("jit", tree, gradients=False)
        self.runs: dict[Any, Callable[[list[Any]], Any]] = {}

    def key(self, found: Sequence[Any], arrays: Sequence[Any]) -> Any:
        """The values that are no arrays, and what PyTorch's graphs are compiled for; the others tell that themselves.

        0.0 and -0.0 are told apart.
        """
        values = tuple([found[i] or repr(found[i]) for i in self.others])
        if self.owner != "torch":
            return values
        torch = load("torch")
        return (
            values,
            torch.is_grad_enabled(),
            *[(x.shape, x.stride(), x.dtype, x.device, x.requires_grad) for x in arrays],
        )


# What the frameworks raise where a traced array is asked for its value.
_VALUES = frozenset(
    {
        *("TracerBoolConversionError", "ConcretizationTypeError", "TracerArrayConversionError"),
        *("TracerIntegerConversionError", "NonConcreteBooleanIndexError", "OperatorNotAllowedInGraphError"),
        *("DataDependentOutputException", "GuardOnDataDependentSymNode"),
    }
)

_WORDS = (
    # TensorFlow's have no __float__, __int__ or numpy, so that Python refuses them itself.
    *("not 'SymbolicTensor'", "'SymbolicTensor' object cannot be", "'SymbolicTensor' object has no attribute 'numpy'"),
    "symbolic tf.Tensor",
    ".numpy() is not supported for tensor subclasses",  # of PyTorch
)
"""What plain errors say where a function asks for the value of an array that is traced."""


def _compile_jax(function: Callable[..., Any], parts: Split) -> Callable[[list[Any]], Any]:
    jax = load("jax")

    def run(arrays: list[Any]) -> Any:
        args, kwargs = parts.joined(arrays)
        return _jax_outputs(jax)(result_of("jit", "jax", function(*args, **kwargs)))

    run.__name__ = getattr(function, "__name__", "function")
    fast = jax.jit(run)
    _released(parts)
    return lambda arrays: fast(arrays).tree()


class _Direct:
    """A function under ``jax.jit`` as it is, for arrays in trees that JAX itself takes apart.

    Attributes:
        fast: the compiled function; its result is a tuple of one tree, or what `_jax_outputs` carries.
        takes: whether all leaves of a tree are arrays that have values, one or more.
    """

    __slots__ = ("fast", "takes")

    def __init__(self, function: Callable[..., Any]) -> None:
        jax = load("jax")
        leaves, kind = jax.tree_util.tree_leaves, _kind_of_arrays()

        def finds(parts: Split) -> bool:  # arrays alone, and the same leaves in the same places
            places = [object() for _ in parts.places]
            try:
                found = leaves(parts.structure.unflatten(places)) if len(places) == len(parts.rest) else []
            except (TypeError, ValueError):
                return False
            return list(map(id, found)) == list(map(id, places))

        def run(*args: Any, **kwargs: Any) -> Any:
            parts = result_of("jit", "jax", function(*args, **kwargs))
            return (parts.joined(_released(parts)),) if finds(parts) else _jax_outputs(jax)(parts)

        def takes(tree: Tree) -> bool:
            try:
                kinds = list(map(type, leaves(tree)))
            except (TypeError, ValueError):  # keys of a dictionary that have no order
                return False
            return len(kinds) > 0 and kinds.count(kind) == len(kinds)

        run.__name__ = getattr(function, "__name__", "function")
        self.fast, self.takes = jax.jit(run), takes


@functools.cache
def _kind_of_arrays() -> type:
    """The type of JAX's arrays that have values."""
    jax = load("jax")
    with jax.ensure_compile_time_eval():
        return type(jax.numpy.zeros(()))


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
    results: dict[str, Split] = {}

    def run(*arrays: Any) -> dict[str, list[Any]]:
        args, kwargs = parts.joined(arrays)
        result = result_of("jit", "tensorflow", function(*args, **kwargs))
        trace = str(len(results))
        results[trace] = result
        return {trace: _released(result)}  # its name says which trace ran: other shapes may give another structure

    run.__name__ = getattr(function, "__name__", "function")
    fast = tensorflow.function(run, autograph=False)

    def call(arrays: list[Any]) -> Any:
        ((trace, outputs),) = fast(*arrays).items()
        return results[trace].joined(outputs)

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

    arrays = parts.arrays
    token = TRACING.set(True)
    try:
        graph = make_fx(run, tracing_mode="fake", _allow_non_fake_inputs=True)(*arrays)
    finally:
        TRACING.reset(token)
    # What is closed over becomes an input, so that gradients from outside reach it.
    inputs = [*arrays, *lifted_constants(torch, graph)]
    closed = inputs[len(arrays) :]
    backend = _torch_backend(torch, any(array.device.type == "cpu" for array in inputs))
    if has_nested(torch, graph):  # Inductor takes loops from Dynamo alone
        fast = torch.compile(graph, backend=backend, fullgraph=True, dynamic=False)
    else:  # the signature is checked already, and Dynamo's guards cost more than many a step
        fast = importlib.import_module("torch._dynamo").lookup_backend(backend)(graph, inputs)
    _released(parts)
    return lambda arrays: result.joined(fast(*arrays, *closed))


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
