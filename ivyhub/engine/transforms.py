"""Transforms of functions over pytrees, each by the framework's own machinery.

::

                      torch                       jax                TensorFlow
    value_and_grad    torch.func.grad_and_value   jax.value_and_grad tf.GradientTape
    vjp, jvp          torch.func.vjp, jvp         jax.vjp, jvp       tf.GradientTape, ForwardAccumulator
    vmap              torch.func.vmap             jax.vmap           tf.vectorized_map
    checkpoint        torch.utils.checkpoint      jax.checkpoint     tf.recompute_grad
    custom_gradient   torch.autograd.Function     jax.custom_gradient tf.custom_gradient

The framework is that of the arrays among the arguments. Arguments and results are trees (`trees`); leaves that are no
arrays are passed as they are. Functions are pure: what is differentiated is an argument, not closed over. NumPy maps
with `vmap`, and says of the others that it has no gradients.

    >>> import numpy as np
    >>> vmap(lambda x: x.sum())(np.ones((2, 3)))
    array([3., 3.])
    >>> grad(lambda x: x.sum())(np.ones(3))
    Traceback (most recent call last):
    ivyhub.errors.NoLoweringError: grad: NumPy has no gradients
      hint: move the arrays first: to_framework(x, "jax"), or "torch", or "tensorflow"
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from ..errors import DTypeError, EngineError, MixedFrameworksError, NoLoweringError, ShapeError
from . import ops
from .backends import dtype_name, framework_of, is_floating, load
from .trees import Split, Tree, broadcast, flatten, is_array, leaves, tree_map

TRACING: ContextVar[bool] = ContextVar("ivyhub_jit", default=False)
"""Whether a function is being traced for PyTorch's `jit`: a compiled one inside of it is a part of it."""

Function = Callable[..., Any]
Arrays = list[Any]


def value_and_grad(
    function: Function, argnums: int | Sequence[int] = 0, *, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """A function that returns a scalar function's value together with its gradient.

    Args:
        function: returns a floating-point scalar; with ``has_aux``, a pair of that and of anything.
        argnums: the positional argument (or several) that is differentiated: a tree of arrays.
        has_aux: whether ``function`` returns a pair.

    Returns:
        A function of the same arguments that returns (value, gradient), or ((value, aux), gradient). The gradient has
        the argument's structure, with None for leaves that are no floating-point or complex arrays; for several
        arguments it is a tuple. Of a complex argument it is the direction of steepest ascent, as in PyTorch.

    Raises:
        NoLoweringError: for NumPy, which has no gradients.
        ShapeError: when the result is no scalar.
        DTypeError: when nothing is differentiable, or the result is not floating-point.

    Example:
        >>> import jax.numpy as jnp
        >>> value, gradient = value_and_grad(lambda p, x: (p["w"] * x).sum())({"w": jnp.ones(2)}, jnp.arange(2.0))
        >>> float(value), gradient["w"].tolist()
        (1.0, [0.0, 1.0])
    """
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(function)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        owner = owner_of("grad", (args, kwargs))
        if not all(-len(args) <= position < len(args) for position in positions):
            raise EngineError(f"grad expected argnums below {len(args)} (the arguments given), received {argnums}")
        chosen = tuple(args[position] for position in positions)
        parts = _differentiable("grad", chosen)
        result: Split = parts

        def run(*arrays: Any) -> tuple[Any, Arrays]:
            nonlocal result
            given = list(args)
            for position, arg in zip(positions, parts.joined(arrays), strict=True):
                given[position] = arg
            found = function(*given, **kwargs)
            value = found
            if has_aux:
                if not isinstance(found, tuple) or len(found) != 2:
                    raise EngineError(f"grad expected a pair (value, aux), received {type(found).__name__}")
                value = found[0]
            scalars = leaves(value)
            if len(scalars) != 1 or framework_of(scalars[0]) != owner:
                raise EngineError(f"grad expected one scalar of {owner} as the result, received {scalars!r:.200}")
            scalar = scalars[0]
            if tuple(scalar.shape) != ():
                raise ShapeError(
                    f"grad expected a scalar as the result, received an array of shape {tuple(scalar.shape)}",
                    hint="reduce it with sum or mean, or use vjp",
                )
            if not is_floating(dtype_name(scalar.dtype)):
                raise DTypeError(f"grad expected a floating-point result, received {dtype_name(scalar.dtype)}")
            result = result_of("grad", owner, found)
            return scalar, result.arrays[1:]

        value, aux, gradients = _value_and_grad(owner, run, parts.arrays)
        gradient = parts.alone(gradients)
        return result.joined([value, *aux]), gradient[0] if isinstance(argnums, int) else gradient

    return transformed


def grad(function: Function, argnums: int | Sequence[int] = 0, *, has_aux: bool = False) -> Function:
    """A function that returns the gradient of a scalar function; with ``has_aux``, (gradient, aux).

    See `value_and_grad` for the arguments and errors.

    Example:
        >>> import jax.numpy as jnp
        >>> float(grad(lambda x: x**3)(jnp.asarray(2.0)))
        12.0
    """
    both = value_and_grad(function, argnums, has_aux=has_aux)

    @functools.wraps(function)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


def vjp(function: Function, *primals: Tree) -> tuple[Tree, Callable[[Tree], tuple[Tree, ...]]]:
    """A function's result, and the product of vectors with its Jacobian.

    Args:
        function: over trees of arrays, to a tree of arrays.
        primals: its arguments, at which it is linearised.

    Returns:
        The result, and a function that takes a tree of the result's structure (cotangents; None where the result is
        not floating-point) and returns a tuple of trees of the primals' structure, None where a leaf is not
        differentiable.

    Example:
        >>> import jax.numpy as jnp
        >>> result, pullback = vjp(lambda x, y: x * y, jnp.asarray(2.0), jnp.asarray(3.0))
        >>> float(result), [float(each) for each in pullback(jnp.asarray(1.0))]
        (6.0, [3.0, 2.0])
    """
    owner = owner_of("vjp", primals)
    parts = _differentiable("vjp", primals)
    result: Split = parts
    smooth: Split = parts

    def run(*arrays: Any) -> tuple[Arrays, Arrays]:
        nonlocal result, smooth
        result = result_of("vjp", owner, function(*parts.joined(arrays)))
        smooth = Split(result.arrays, _is_differentiable)
        return smooth.arrays, [leaf for leaf in result.arrays if not _is_differentiable(leaf)]

    outputs, others, pull = _vjp(owner, run, parts.arrays)
    rest = iter(others)
    whole = [leaf if leaf is not None else next(rest) for leaf in smooth.alone(outputs)]

    def pullback(cotangents: Tree) -> tuple[Tree, ...]:
        given, structure = flatten(cotangents)
        wanted = flatten(result.joined(smooth.alone(outputs)))[1]
        if structure not in (wanted, result.structure):
            raise EngineError(f"vjp expected cotangents of the structure {wanted}, received {structure}")
        given = [leaf for leaf in given if _is_differentiable(leaf)]
        for cotangent, output in zip(given, outputs, strict=True):
            _check_like("vjp", "a cotangent", cotangent, output)
        return parts.alone(pull(given))

    return result.joined(whole), pullback


def jvp(function: Function, primals: Sequence[Tree], tangents: Sequence[Tree]) -> tuple[Tree, Tree]:
    """A function's result and the product of its Jacobian with a vector.

    Args:
        function: over trees of arrays, to a tree of arrays.
        primals: its arguments.
        tangents: a direction: trees of the primals' structure, None for leaves that are not differentiable.

    Returns:
        The result, and its derivative in that direction, with None for leaves that are not floating-point or complex.

    Example:
        >>> import jax.numpy as jnp
        >>> _, derivative = jvp(lambda x: x**2, (jnp.asarray(3.0),), (jnp.asarray(1.0),))
        >>> float(derivative)
        6.0
    """
    primals = tuple(primals)
    owner = owner_of("jvp", primals)
    parts = _differentiable("jvp", primals)
    directions = [leaf for leaf in leaves(tuple(tangents)) if _is_differentiable(leaf)]
    if len(directions) != len(parts.arrays):
        raise EngineError(f"jvp expected {len(parts.arrays)} tangents, one a primal, received {len(directions)}")
    for primal, tangent in zip(parts.arrays, directions, strict=True):
        _check_like("jvp", "a tangent", tangent, primal)
    result: Split = parts

    def run(*arrays: Any) -> Arrays:
        nonlocal result
        result = result_of("jvp", owner, function(*parts.joined(arrays)))
        return result.arrays

    outputs, derivatives = _jvp(owner, run, parts.arrays, directions)
    known = [d if _is_differentiable(y) else None for y, d in zip(outputs, derivatives, strict=True)]
    return result.joined(outputs), result.alone(known)


def vmap(function: Function, in_axes: Any = 0, out_axes: Any = 0) -> Function:
    """A function over one example, mapped over an axis of its arguments.

    Args:
        function: over trees of arrays.
        in_axes: the axis of each argument that is mapped over, None for one that is not: one number for all, or a
            tuple of one number or tree an argument. Keyword arguments are mapped over their first axis.
        out_axes: where the axis stands in the results: a number, or a tree of them.

    Raises:
        ShapeError: when the axes have different sizes, or nothing is mapped over.

    Example:
        >>> import numpy as np
        >>> vmap(np.dot, in_axes=(0, None))(np.ones((2, 3)), np.ones(3))
        array([3., 3.])
    """

    @functools.wraps(function)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        owner = owner_of("vmap", (args, kwargs), gradients=False)
        flat, structure = flatten((args, kwargs))
        axes = broadcast((in_axes, 0), (args, kwargs)) if kwargs else broadcast(in_axes, args)
        mapped = [(i, axis) for i, axis in enumerate(axes) if axis is not None and is_array(flat[i])]
        sizes: dict[Any, str] = {}
        for i, axis in mapped:
            shape = tuple(flat[i].shape)
            if not -len(shape) <= axis < len(shape):
                raise ShapeError(f"vmap expected an array with an axis {axis}, received shape {shape}")
            sizes.setdefault(shape[axis], f"axis {axis} of shape {shape}")
        if len(sizes) != 1:
            found = " and ".join(sizes.values()) or "no array with an axis to map over"
            raise ShapeError(f"vmap expected axes of one size, received {found}", hint="see in_axes")
        result = Split(())

        def run(*arrays: Any) -> Arrays:
            nonlocal result
            given = list(flat)
            for (i, _), array in zip(mapped, arrays, strict=True):
                given[i] = array
            args, kwargs = structure.unflatten(given)
            result = result_of("vmap", owner, function(*args, **kwargs))
            return result.arrays

        outputs = _vmap(owner, run, [flat[i] for i, _ in mapped], [axis for _, axis in mapped])
        places = broadcast(out_axes, result.joined(outputs)) if not isinstance(out_axes, int) else None
        kept = [out_axes] * len(outputs) if places is None else [places[i] for i in result.places]
        return result.joined(_moved(output, 0, axis) for output, axis in zip(outputs, kept, strict=True))

    return transformed


def stop_gradient(tree: Tree) -> Tree:
    """The same arrays, without a way for gradients through them.

    Example:
        >>> import jax.numpy as jnp
        >>> float(grad(lambda x: x * stop_gradient(x))(jnp.asarray(3.0)))
        3.0
    """
    return tree_map(lambda leaf: ops.stop_gradient(leaf) if is_array(leaf) else leaf, tree)


def checkpoint(function: Function) -> Function:
    """The same function, which keeps no intermediate results for its gradient and computes them again.

    What is differentiated must be an argument. A function that draws random numbers takes its key as an argument, so
    that it draws the same ones again.

    Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".
    """

    @functools.wraps(function)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        owner = owner_of("checkpoint", (args, kwargs), gradients=False)
        if owner == "numpy":
            return function(*args, **kwargs)
        parts = Split((args, kwargs))
        result: Split = parts

        def run(*arrays: Any) -> Arrays:
            nonlocal result
            args, kwargs = parts.joined(arrays)
            result = result_of("checkpoint", owner, function(*args, **kwargs))
            return result.arrays

        outputs = _checkpoint(owner, function, run, parts.arrays)
        return result.joined(outputs)

    return transformed


def custom_gradient(function: Function) -> Function:
    """A function with a gradient of its own.

    Args:
        function: returns (result, pullback). ``pullback`` takes cotangents of the result's structure and returns the
            gradient of the positional argument, or a tuple of those of several, None for one without.

    In PyTorch, ``function`` runs again for the gradient, so that it is one under every transform.

    Example:
        >>> import jax.numpy as jnp
        >>> @custom_gradient
        ... def clipped(x):
        ...     return x, lambda g: jnp.clip(g, -1.0, 1.0)
        >>> float(grad(lambda x: 10.0 * clipped(x))(jnp.asarray(2.0)))
        1.0
    """

    @functools.wraps(function)
    def transformed(*args: Any) -> Any:
        owner = owner_of("custom_gradient", args, gradients=False)
        if owner == "numpy":
            return function(*args)[0]
        parts = Split(args)
        result: Split = parts

        def run(*arrays: Any) -> tuple[Arrays, Callable[..., Arrays]]:
            nonlocal result
            output, pullback = function(*parts.joined(arrays))
            result = found = result_of("custom_gradient", owner, output)

            def pull(*cotangents: Any) -> Arrays:
                gradients = pullback(found.joined(cotangents))
                given = gradients if len(args) != 1 else (gradients,)
                return _gradients_like(parts.joined(arrays), given)

            return found.arrays, pull

        outputs = _with_gradient(owner, run, parts.arrays)
        return result.joined(outputs)

    return transformed


# -- what transforms ask of their arguments --------------------------------------------------------------------------


def owner_of(name: str, tree: Tree, *, gradients: bool = True) -> str:
    """The framework of the arrays of a tree. Raises where there is none, or several, or one without gradients."""
    owners: dict[str, Any] = {}
    for leaf in leaves(tree):
        if getattr(leaf, "__traced__", False) is True:
            raise EngineError(
                f"{name} received {leaf!r}: a graph holds no derivatives and no mapped functions",
                hint=f"trace the function alone, and use {name} on what runs it",
            )
        if owner := framework_of(leaf):
            owners.setdefault(owner, leaf)
    if len(owners) > 1:
        raise MixedFrameworksError(
            f"{name} expected arrays of one framework, received some of {' and '.join(owners)}",
            hint="move every array to one framework first: to_framework(x, ...)",
        )
    if not owners:
        raise EngineError(f"{name} received no array, so its framework is unknown", hint="pass arrays, not numbers")
    (owner,) = owners
    if gradients and owner == "numpy":
        raise NoLoweringError(
            f"{name}: NumPy has no gradients",
            hint='move the arrays first: to_framework(x, "jax"), or "torch", or "tensorflow"',
        )
    return owner


def _is_differentiable(leaf: Any) -> bool:
    return framework_of(leaf) is not None and (
        is_floating(found := dtype_name(leaf.dtype)) or found.startswith("complex")
    )


def _differentiable(name: str, tree: Tree) -> Split:
    parts = Split(tree, _is_differentiable)
    if not parts.arrays:
        found = ", ".join(dtype_name(leaf.dtype) for leaf in leaves(tree) if framework_of(leaf)) or "no array"
        raise DTypeError(f"{name} expected floating-point arrays to differentiate, received {found}")
    return parts


def result_of(name: str, owner: str, tree: Tree) -> Split:
    parts = Split(tree)
    for leaf in parts.arrays:
        if (found := framework_of(leaf)) != owner:
            raise MixedFrameworksError(
                f"{name} of arrays of {owner} expected results of {owner}, received one of {found}",
                hint="the function changes the framework on its way: keep it in one, and move its arguments instead",
            )
    return parts


def _check_like(name: str, what: str, given: Any, wanted: Any) -> None:
    if tuple(given.shape) != tuple(wanted.shape) or given.dtype != wanted.dtype:
        raise ShapeError(
            f"{name} expected {what} of shape {tuple(wanted.shape)} and {dtype_name(wanted.dtype)}, "
            f"received {tuple(given.shape)} and {dtype_name(given.dtype)}"
        )


def _gradients_like(args: tuple[Any, ...], gradients: Sequence[Any]) -> Arrays:
    """A gradient for each array among the arguments: those given, zeros where they are None."""
    if not isinstance(gradients, tuple | list) or len(gradients) != len(args):
        raise EngineError(f"custom_gradient expected {len(args)} gradients, one an argument, received {gradients!r}")
    out: Arrays = []
    for arg, gradient in zip(args, gradients, strict=True):
        arrays = [leaf for leaf in leaves(arg) if is_array(leaf)]
        found = [None] * len(arrays) if gradient is None else [leaf for leaf in leaves(gradient) if is_array(leaf)]
        if len(found) != len(arrays):
            raise EngineError(f"custom_gradient expected {len(arrays)} arrays in a gradient, received {len(found)}")
        out += [ops.multiply(array, 0) if each is None else each for array, each in zip(arrays, found, strict=True)]
    return out


def _listed(result: Any) -> Arrays:
    return list(result) if isinstance(result, tuple | list) else [result]


def _moved(array: Any, source: int, destination: int) -> Any:
    if source == destination:
        return array
    order = [axis for axis in range(len(array.shape)) if axis != source % len(array.shape)]
    order.insert(destination % len(array.shape), source)
    return ops.transpose(array, axes=tuple(order))


# -- the machinery of each framework ---------------------------------------------------------------------------------


def _value_and_grad(owner: str, run: Function, arrays: Arrays) -> tuple[Any, Arrays, Arrays]:
    """The value, the other results and the gradients of ``run``, which returns (scalar, others)."""
    framework = load(owner)
    places = tuple(range(len(arrays)))
    if owner == "jax":
        (value, others), gradients = framework.value_and_grad(run, argnums=places, has_aux=True)(*arrays)
        return value, others, _conjugated(gradients)
    if owner == "torch":
        gradients, (value, others) = framework.func.grad_and_value(run, argnums=places, has_aux=True)(*arrays)
        return value, others, list(gradients)
    with framework.GradientTape() as tape:
        arrays = [framework.identity(array) for array in arrays]  # one tensor given twice is two arguments
        tape.watch(arrays)
        value, others = run(*arrays)
    return value, others, _pull(tape, value, arrays, None)


def _vjp(owner: str, run: Function, arrays: Arrays) -> tuple[Arrays, Arrays, Callable[[Arrays], Arrays]]:
    """The differentiable results, the others, and the product with the Jacobian."""
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


def _jvp(owner: str, run: Function, arrays: Arrays, tangents: Arrays) -> tuple[Arrays, Arrays]:
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


def _vmap(owner: str, run: Function, arrays: Arrays, axes: Sequence[int]) -> Arrays:
    """The results of ``run`` with the mapped axis first."""
    framework = load(owner)
    if owner == "jax":
        return framework.vmap(run, in_axes=tuple(axes))(*arrays)
    if owner == "torch":
        return list(framework.func.vmap(run, in_dims=tuple(axes))(*arrays))
    arrays = [_moved(array, axis, 0) for array, axis in zip(arrays, axes, strict=True)]
    if owner == "tensorflow":
        return _listed(framework.vectorized_map(lambda each: run(*each), tuple(arrays)))
    results = [run(*each) for each in zip(*arrays, strict=True)]
    return [framework.stack(each) for each in zip(*results, strict=True)]


def _checkpoint(owner: str, function: Function, run: Function, arrays: Arrays) -> Arrays:
    if owner == "jax":
        return load(owner).checkpoint(run)(*arrays)
    if owner == "tensorflow":
        return _listed(load(owner).recompute_grad(run)(*arrays))
    torch = load("torch")
    if torch._C._functorch.peek_interpreter_stack() is None:
        return _listed(torch.utils.checkpoint.checkpoint(run, *arrays, use_reentrant=False))

    if any(torch._C._functorch.is_gradtrackingtensor(leaf) for leaf in _closed_over(function, set())):
        raise EngineError(
            "checkpoint received a function that closes over an array which is differentiated",
            hint="make it an argument of the function: its gradient would be lost",
        )

    def forget(*inputs: Any) -> tuple[Arrays, Callable[..., Arrays]]:
        def pull(*cotangents: Any) -> Arrays:
            parts = Split(list(inputs), _is_differentiable)
            _, pullback = torch.func.vjp(lambda *each: run(*parts.joined(each)), *parts.arrays)
            return parts.alone(pullback(list(cotangents)))

        return run(*inputs), pull

    return _with_gradient("torch", forget, arrays)


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


def _with_gradient(owner: str, run: Function, arrays: Arrays) -> Arrays:
    """The results of ``run``, which returns (results, pullback), with that pullback."""
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
    return list(_torch_function(framework).apply(run, *arrays))


@functools.cache
def _torch_function(torch: Any) -> Any:
    def forward(run: Function, *arrays: Any) -> tuple[Any, ...]:
        outputs, _ = run(*arrays)
        given = {id(array) for array in arrays}
        return tuple(output.view_as(output) if id(output) in given else output for output in outputs)

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        ctx.run = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    def backward(ctx: Any, *cotangents: Any) -> tuple[Any, ...]:
        _, pullback = ctx.run(*ctx.saved_tensors)
        return (None, *pullback(*cotangents))

    body = {
        "forward": staticmethod(forward),
        "setup_context": staticmethod(setup_context),
        "backward": staticmethod(backward),
        "generate_vmap_rule": True,
    }
    return type("WithGradient", (torch.autograd.Function,), body)


__all__ = ["checkpoint", "custom_gradient", "grad", "jvp", "stop_gradient", "value_and_grad", "vjp", "vmap"]
