"""How each framework differentiates, maps and recomputes: what `transforms` runs on lists of arrays.

Every function takes the name of the framework and ``run``, a function of arrays that returns lists of arrays.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from ..errors import EngineError
from . import ops, transforms_traced
from .backends import dtype_name, framework_of, is_floating, load, namespace
from .recording import TRACED
from .trees import Split, is_array, leaves

Function = Callable[..., Any]
Arrays = list[Any]
TRACING: ContextVar[bool] = ContextVar("ivyhub_jit", default=False)
"""Whether a function is being traced for PyTorch's `jit`: a compiled one inside of it is a part of it."""


def value_and_grad(owner: str, run: Function, arrays: Arrays) -> tuple[Any, Arrays, Arrays]:
    """The value, the other results and the gradients of ``run``, which returns (scalar, others)."""
    if owner == TRACED:
        return transforms_traced.value_and_grad(run, arrays)

    def body(*given: Any) -> tuple[Any, ...]:
        scalar, others = run(*given)
        return (scalar, *others)

    found = namespace(owner)["support"].value_and_grad(body, tuple(arrays))
    last = len(found) - len(arrays)
    return found[0], list(found[1:last]), list(found[last:])


def vjp(owner: str, run: Function, arrays: Arrays) -> tuple[Arrays, Arrays, Callable[[Arrays], Arrays]]:
    """The differentiable results, the others, and the product with the Jacobian."""
    if owner == TRACED:
        return transforms_traced.vjp(run, arrays)
    framework = load(owner)
    if owner == "jax":
        outputs, pull, others = framework.vjp(run, *arrays, has_aux=True)
        return outputs, others, lambda cotangents: _conjugated(pull(_conjugated(cotangents)))
    if owner == "torch":
        outputs, pull, others = framework.func.vjp(run, *arrays, has_aux=True)
        return outputs, others, lambda cotangents: list(pull(cotangents))
    with framework.GradientTape(persistent=True) as tape:
        arrays = [framework.identity(array) for array in arrays]
        tape.watch(arrays)
        outputs, others = run(*arrays)
    return outputs, others, lambda cotangents: _pull(tape, outputs, arrays, cotangents)


def _pull(tape: Any, outputs: Any, arrays: Arrays, cotangents: Any) -> Arrays:
    framework = load("tensorflow")
    zero = framework.UnconnectedGradients.ZERO
    found = tape.gradient(outputs, arrays, output_gradients=cotangents, unconnected_gradients=zero)
    return [framework.convert_to_tensor(each) for each in found]  # those of gathers come as IndexedSlices


def _conjugated(arrays: Sequence[Any]) -> Arrays:
    """JAX's gradients in the convention of the others: conj(∂f/∂z) points upwards."""
    return [array.conj() if dtype_name(array.dtype).startswith("complex") else array for array in arrays]


def jvp(owner: str, run: Function, arrays: Arrays, tangents: Arrays) -> tuple[Arrays, Arrays]:
    """The results and the product of the Jacobian with the tangents."""
    if owner == TRACED:
        return transforms_traced.jvp(run, arrays, tangents)
    framework = load(owner)
    if owner == "jax":
        return framework.jvp(run, tuple(arrays), tuple(tangents))
    if owner == "torch":
        return framework.func.jvp(run, tuple(arrays), tuple(tangents))
    arrays = [framework.identity(array) for array in arrays]
    with framework.autodiff.ForwardAccumulator(arrays, tangents) as accumulator:
        outputs = run(*arrays)
    zero = framework.UnconnectedGradients.ZERO
    return outputs, [accumulator.jvp(output, unconnected_gradients=zero) for output in outputs]


def vmap(owner: str, run: Function, arrays: Arrays, axes: Sequence[int]) -> Arrays:
    """The results of ``run`` with the mapped axis first."""
    if owner == TRACED:
        return transforms_traced.vmap(run, [moved(array, axis, 0) for array, axis in zip(arrays, axes, strict=True)])
    framework = load(owner)
    if owner == "jax":
        return framework.vmap(run, in_axes=tuple(axes))(*arrays)
    if owner == "torch":
        return list(framework.func.vmap(run, in_dims=tuple(axes))(*arrays))
    arrays = [moved(array, axis, 0) for array, axis in zip(arrays, axes, strict=True)]
    if owner == "tensorflow":
        return _listed(framework.vectorized_map(lambda each: run(*each), tuple(arrays)))
    results = [run(*each) for each in zip(*arrays, strict=True)]
    return [framework.stack(each) for each in zip(*results, strict=True)]


def checkpoint(owner: str, function: Function, run: Function, arrays: Arrays) -> Arrays:
    """The results of ``run``, computed again for the gradient; ``function`` is what it runs."""
    if owner == TRACED:
        return transforms_traced.checkpoint(run, arrays)
    if owner == "jax":
        return load(owner).checkpoint(run)(*arrays)
    if owner == "tensorflow":
        taped = importlib.import_module("tensorflow.python.eager.record").should_record_backprop
        if any(framework_of(leaf) == owner and taped([leaf]) for leaf in _closed_over(function, set())):
            raise _lost_gradient()
        return _listed(load(owner).recompute_grad(run)(*arrays))
    torch = load("torch")
    if torch._C._functorch.peek_interpreter_stack() is None:
        return _listed(torch.utils.checkpoint.checkpoint(run, *arrays, use_reentrant=False))

    if any(torch._C._functorch.is_gradtrackingtensor(leaf) for leaf in _closed_over(function, set())):
        raise _lost_gradient()

    def forget(*inputs: Any) -> tuple[Arrays, Callable[..., Arrays]]:
        def pull(*cotangents: Any) -> Arrays:
            parts = Split(list(inputs), is_differentiable)
            _, pullback = torch.func.vjp(lambda *each: run(*parts.joined(each)), *parts.arrays)
            return parts.alone(pullback(list(cotangents)))

        return run(*inputs), pull

    return with_gradient("torch", forget, arrays)


def _lost_gradient() -> EngineError:
    return EngineError(
        "checkpoint received a function that closes over an array which is differentiated",
        hint="make it an argument of the function: its gradient would be lost",
    )


def _closed_over(function: Any, seen: set[int]) -> Iterator[Any]:
    """The tensors that a function and those that it calls by name close over, as far as Python shows it."""
    seen.add(id(function))
    for cell in getattr(function, "__closure__", None) or ():
        try:
            content = cell.cell_contents
        except ValueError:  # a name that is bound later
            continue
        for leaf in leaves(content):
            if framework_of(leaf) is not None:
                yield leaf
            elif id(leaf) not in seen:
                yield from _closed_over(leaf, seen)


def with_gradient(owner: str, run: Function, arrays: Arrays) -> Arrays:
    """The results of ``run``, which returns (results, pullback), with that pullback."""
    if owner == TRACED:
        return transforms_traced.with_gradient(run, arrays)
    framework = load(owner)
    if owner == "jax":

        def paired(*given: Any) -> tuple[Arrays, Callable[[Arrays], tuple[Any, ...]]]:
            outputs, pull = run(*given)
            return outputs, lambda cotangents: tuple(_conjugated(pull(*_conjugated(cotangents))))

        return framework.custom_gradient(paired)(*arrays)
    if owner == "tensorflow":
        return _listed(framework.custom_gradient(run)(*arrays))
    outside = TRACING.get() and framework._C._functorch.peek_interpreter_stack() is None
    if outside and any(array.requires_grad for array in arrays):
        raise EngineError(
            "custom_gradient in jit received a tensor that is differentiated from outside of it",
            hint="take the gradient inside of jit: what PyTorch compiles keeps no gradient of its own",
        )
    return list(namespace(owner)["support"].WithGradient.apply(run, *arrays))


def is_differentiable(leaf: Any) -> bool:
    """Whether a leaf is an array of floating-point or complex numbers."""
    return is_array(leaf) and (is_floating(found := dtype_name(leaf.dtype)) or found.startswith("complex"))


def _listed(result: Any) -> Arrays:
    return list(result) if isinstance(result, tuple | list) else [result]


def moved(array: Any, source: int, destination: int) -> Any:
    """An array with one axis put elsewhere."""
    if source == destination:
        return array
    order = [axis for axis in range(len(array.shape)) if axis != source % len(array.shape)]
    order.insert(destination % len(array.shape), source)
    return ops.transpose(array, axes=tuple(order))
