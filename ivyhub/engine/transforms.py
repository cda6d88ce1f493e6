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

In a trace they are nodes that hold graphs, which every target writes with its own; what the functions close over is an
operand of the node. The pullback of `vjp` computes the function again there.

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
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import DTypeError, EngineError, MixedFrameworksError, NoLoweringError, ShapeError
from . import machinery, ops
from .backends import dtype_name, framework_of, is_floating
from .recording import RECORDER, TRACED
from .trees import Split, Tree, broadcast, flatten, is_array, leaves, tree_map

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
            if len(scalars) != 1 or (framework_of(scalars[0]) != owner and owner != TRACED) or not is_array(scalars[0]):
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

        value, aux, gradients = machinery.value_and_grad(owner, run, parts.arrays)
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
        smooth = Split(result.arrays, machinery.is_differentiable)
        return smooth.arrays, [leaf for leaf in result.arrays if not machinery.is_differentiable(leaf)]

    outputs, others, pull = machinery.vjp(owner, run, parts.arrays)
    rest = iter(others)
    whole = [leaf if leaf is not None else next(rest) for leaf in smooth.alone(outputs)]

    def pullback(cotangents: Tree) -> tuple[Tree, ...]:
        given, structure = flatten(cotangents)
        wanted = flatten(result.joined(smooth.alone(outputs)))[1]
        if structure not in (wanted, result.structure):
            raise EngineError(f"vjp expected cotangents of the structure {wanted}, received {structure}")
        given = [leaf for leaf in given if machinery.is_differentiable(leaf)]
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
    directions = [leaf for leaf in leaves(tuple(tangents)) if machinery.is_differentiable(leaf)]
    if len(directions) != len(parts.arrays):
        raise EngineError(f"jvp expected {len(parts.arrays)} tangents, one a primal, received {len(directions)}")
    for primal, tangent in zip(parts.arrays, directions, strict=True):
        _check_like("jvp", "a tangent", tangent, primal)
    result: Split = parts

    def run(*arrays: Any) -> Arrays:
        nonlocal result
        result = result_of("jvp", owner, function(*parts.joined(arrays)))
        return result.arrays

    outputs, derivatives = machinery.jvp(owner, run, parts.arrays, directions)
    known = [d if machinery.is_differentiable(y) else None for y, d in zip(outputs, derivatives, strict=True)]
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

        outputs = machinery.vmap(owner, run, [flat[i] for i, _ in mapped], [axis for _, axis in mapped])
        places = broadcast(out_axes, result.joined(outputs)) if not isinstance(out_axes, int) else None
        kept = [out_axes] * len(outputs) if places is None else [places[i] for i in result.places]
        return result.joined(machinery.moved(output, 0, axis) for output, axis in zip(outputs, kept, strict=True))

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

        outputs = machinery.checkpoint(owner, function, run, parts.arrays)
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

        outputs = machinery.with_gradient(owner, run, parts.arrays)
        return result.joined(outputs)

    return transformed


# -- what transforms ask of their arguments --------------------------------------------------------------------------


def owner_of(name: str, tree: Tree, *, gradients: bool = True) -> str:
    """The framework of the arrays of a tree, or `TRACED` in a trace.

    Raises where there is none, or several, or one without gradients.
    """
    if RECORDER.get() is not None:
        return TRACED
    owners: dict[str, Any] = {}
    for leaf in leaves(tree):
        if getattr(leaf, "__traced__", False) is True:
            raise EngineError(f"{name} received {leaf!r} outside of its trace")
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


def _differentiable(name: str, tree: Tree) -> Split:
    parts = Split(tree, machinery.is_differentiable)
    if not parts.arrays:
        found = ", ".join(dtype_name(leaf.dtype) for leaf in leaves(tree) if is_array(leaf)) or "no array"
        raise DTypeError(f"{name} expected floating-point arrays to differentiate, received {found}")
    return parts


def result_of(name: str, owner: str, tree: Tree) -> Split:
    parts = Split(tree)
    for leaf in parts.arrays if owner != TRACED else ():
        if (found := framework_of(leaf)) != owner:
            raise MixedFrameworksError(
                f"{name} of arrays of {owner} expected results of {owner}, received one of {found}",
                hint="the function changes the framework on its way: keep it in one, and move its arguments instead",
            )
    return parts


def _check_like(name: str, what: str, given: Any, wanted: Any) -> None:
    if tuple(given.shape) != tuple(wanted.shape) or dtype_name(given.dtype) != dtype_name(wanted.dtype):
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


__all__ = ["checkpoint", "custom_gradient", "grad", "jvp", "stop_gradient", "value_and_grad", "vjp", "vmap"]
