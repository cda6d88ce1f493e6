"""Control flow that depends on values of arrays, over pytrees.

On arrays these run the framework's own: ``jax.lax``, TensorFlow's loops where a graph is built, and Python's otherwise,
so that in NumPy and PyTorch only the branch that is taken runs. In a trace they are nodes that hold graphs. What the
functions close over is a constant for them.

In what `jit` compiles for PyTorch, `cond` and `while_loop` are PyTorch's own, `fori_loop` and `scan` are written out
step by step, so that they are differentiable there, and compiling takes as many times as long as there are steps.

Where it is differentiable: everything in TensorFlow; in PyTorch all but a `while_loop` in `jit`; in JAX all but the
reverse mode of `while_loop` (`fori_loop` with a fixed number of steps has it).

    >>> import numpy as np
    >>> fori_loop(0, 4, lambda i, x: x * 2.0, np.ones(2))
    array([16., 16.])
    >>> total, before = scan(lambda total, x: (total + x, total), np.asarray(0.0), np.arange(4.0))
    >>> float(total), before
    (6.0, array([0., 0., 1., 3.]))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import DTypeError, EngineError, MixedFrameworksError, ShapeError
from . import higher_order, ops
from .backends import dtype_name, framework_of, load, namespace
from .compilation import is_tracing
from .graph import Value
from .nested import inputs_like, nest, record_control
from .op import Array
from .ops.creation import created, full
from .recording import RECORDER
from .spec import Spec
from .transforms import owner_of, result_of
from .trees import Split, Tree, flatten


def cond(predicate: Array, then: Callable[..., Tree], orelse: Callable[..., Tree], *operands: Tree) -> Tree:
    """``then(*operands)`` where the predicate is true, else ``orelse(*operands)``.

    Args:
        predicate: one truth value, an array without axes.
        then: returns a tree of arrays.
        orelse: returns one of the same structure, shapes and dtypes.
        operands: what both are given.

    Where PyTorch maps, or differentiates in what it compiles, both are computed and one is chosen.

    Example:
        >>> import numpy as np
        >>> x = np.asarray(-3.0)
        >>> float(cond(x > 0, lambda x: x, lambda x: -x, x))
        3.0
    """
    if isinstance(predicate, bool):
        return (then if predicate else orelse)(*operands)
    if tuple(predicate.shape) != () or dtype_name(predicate.dtype) != "bool":
        raise DTypeError(
            f"cond expected one truth value as the predicate, received "
            f"{dtype_name(predicate.dtype)}{list(predicate.shape)}",
            hint="reduce it with all or any, or choose elementwise with where",
        )
    if isinstance(predicate, Value):
        return _traced_cond(predicate, then, orelse, operands)
    if RECORDER.get() is not None:  # an array with values: the program has one branch
        return (then if predicate else orelse)(*operands)
    owner = owner_of("cond", (predicate, operands), gradients=False)
    framework = load(owner)
    if owner == "numpy" or (owner == "torch" and not _is_symbolic(predicate)):
        return (then if predicate else orelse)(*operands)
    if owner == "tensorflow" and framework.executing_eagerly():
        return (then if predicate else orelse)(*operands)
    results: dict[bool, Split] = {}

    def branch(taken: bool) -> Callable[..., list[Any]]:
        def run(*arrays: Any) -> list[Any]:
            given = parts.joined(arrays) if arrays else operands
            results[taken] = result_of("cond", owner, (then if taken else orelse)(*given))
            return results[taken].arrays

        return run

    parts = Split(operands)
    if owner == "torch" and parts.arrays and is_tracing() and higher_order.is_recorded([predicate, *parts.arrays]):
        outputs = higher_order.cond(predicate, branch(True), branch(False), parts.arrays)
        _check_same("cond", "the branches", results[True], results[False])
        return results[True].joined(outputs)
    if owner == "torch":
        first, second = branch(True)(), branch(False)()
        _check_same("cond", "the branches", results[True], results[False])
        return results[True].joined(framework.where(predicate, x, y) for x, y in zip(first, second, strict=True))
    if owner == "jax":
        shapes = framework.eval_shape(branch(True)), framework.eval_shape(branch(False))
        _check_same("cond", "the branches", *(_with(results[i == 0], shape) for i, shape in enumerate(shapes)))
        return results[True].joined(framework.lax.cond(predicate, branch(True), branch(False)))
    outputs = framework.cond(predicate, branch(True), branch(False))
    _check_same("cond", "the branches", results[True], results[False])
    return results[True].joined(outputs)


def switch(index: Array, branches: Sequence[Callable[..., Tree]], *operands: Tree) -> Tree:
    """``branches[index](*operands)``; an index outside of them is the nearest one.

    Example:
        >>> import numpy as np
        >>> int(switch(np.asarray(1), [lambda x: x, lambda x: x * 10], np.asarray(3)))
        30
    """
    if not branches:
        raise EngineError("switch expected at least one branch, received none")
    if isinstance(index, int):
        return branches[min(max(index, 0), len(branches) - 1)](*operands)
    first, *others = branches
    if not others:
        return first(*operands)
    if framework_of(index) == "jax" and RECORDER.get() is None:
        return _jax_switch(index, branches, operands)
    rest = ops.subtract(index, 1)
    return cond(ops.less_equal(index, 0), first, lambda *given: switch(rest, others, *given), *operands)


def while_loop(test: Callable[[Tree], Array], body: Callable[[Tree], Tree], init: Tree) -> Tree:
    """Apply ``body`` to the carry for as long as ``test`` of it is true.

    ``body`` keeps the structure of the carry, and the shape and dtype of each of its arrays.

    Example:
        >>> import numpy as np
        >>> int(while_loop(lambda x: x < 100, lambda x: x * 3, np.asarray(2)))
        162
    """
    parts = Split(init)
    if RECORDER.get() is not None:
        return _traced_while(test, body, parts)
    owner = owner_of("while_loop", init, gradients=False)

    def step(arrays: Sequence[Any]) -> list[Any]:
        return _kept("while_loop", parts, arrays, body(parts.joined(arrays)))

    if owner == "jax":
        arrays = load(owner).lax.while_loop(lambda arrays: test(parts.joined(arrays)), step, parts.arrays)
        return parts.joined(arrays)
    if owner == "tensorflow" and not load(owner).executing_eagerly():
        loop = load(owner).while_loop
        return parts.joined(loop(lambda *x: test(parts.joined(x)), lambda *x: step(x), parts.arrays))
    if owner == "torch" and is_tracing():
        if not higher_order.is_recorded(parts.arrays):
            raise EngineError(
                "while_loop in jit received arrays that PyTorch differentiates or maps, which its loops cannot",
                hint="use fori_loop or scan, whose steps have a number, or run the loop outside of jit",
            )
        return parts.joined(higher_order.while_loop(lambda *x: test(parts.joined(x)), lambda *x: step(x), parts.arrays))
    arrays = parts.arrays
    while test(parts.joined(arrays)):
        arrays = step(arrays)
    return parts.joined(arrays)


def fori_loop(lower: int, upper: int, body: Callable[[Array, Tree], Tree], init: Tree) -> Tree:
    """Apply ``carry = body(i, carry)`` for i from lower to upper - 1; i is an int32 array without axes."""
    if not isinstance(lower, int) or not isinstance(upper, int):
        raise EngineError(f"fori_loop expected integers as bounds, received {lower!r} and {upper!r}")
    arrays = Split(init).arrays
    if not arrays:
        raise EngineError("fori_loop received no array, so its framework is unknown")
    if RECORDER.get() is not None or framework_of(arrays[0]) == "tensorflow":
        start = created(full, arrays[0], shape=(), fill_value=lower, dtype="int32")
        _, found = while_loop(
            lambda carry: ops.less(carry[0], upper),
            lambda carry: (ops.add(carry[0], 1), body(carry[0], carry[1])),
            (start, init),
        )
        return found
    owner = owner_of("fori_loop", init, gradients=False)
    parts = Split(init)

    def step(i: Array, arrays: Sequence[Any]) -> list[Any]:
        return _kept("fori_loop", parts, arrays, body(i, parts.joined(arrays)))

    if owner == "jax":
        return parts.joined(load(owner).lax.fori_loop(lower, upper, step, parts.arrays))
    arrays = parts.arrays
    for i in range(lower, upper):
        arrays = step(created(full, arrays[0], shape=(), fill_value=i, dtype="int32"), arrays)
    return parts.joined(arrays)


def scan(
    body: Callable[[Tree, Tree], tuple[Tree, Tree]],
    init: Tree,
    xs: Tree = None,
    *,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Tree, Tree]:
    """Apply ``carry, y = body(carry, x)`` along the first axis of arrays, and stack what it gives.

    Args:
        body: keeps the structure of the carry, and the shape and dtype of each of its arrays.
        init: the first carry.
        xs: a tree of arrays of one length; None to repeat ``length`` times.
        length: the number of steps, where ``xs`` holds no array.
        reverse: from the last to the first; what is stacked stands at the place of its x.

    Returns:
        The last carry, and the tree of stacked results.

    Source: ``jax.lax.scan``.
    """
    carry, items = Split(init), Split(xs)
    sizes = {array.shape[0] if len(array.shape) else None for array in items.arrays}
    if len(sizes | ({length} if length is not None else set())) != 1 or None in sizes:
        raise ShapeError(f"scan expected arrays of one length, received {sizes or 'none'} and length={length}")
    count: Any = next(iter(sizes), length)
    if RECORDER.get() is not None:
        return _traced_scan(body, carry, items, count, reverse)
    owner = owner_of("scan", (init, xs), gradients=False)
    result = items

    def step(arrays: Sequence[Any], x: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        nonlocal result
        found = body(carry.joined(arrays), items.joined(x))
        if not isinstance(found, tuple) or len(found) != 2:
            raise EngineError(f"scan expected its function to return (carry, y), received {type(found).__name__}")
        result = result_of("scan", owner, found[1])
        return _kept("scan", carry, arrays, found[0]), result.arrays

    if owner == "jax":
        last, stacked = load(owner).lax.scan(step, carry.arrays, items.arrays, length=count, reverse=reverse)
    elif owner == "tensorflow" and not load(owner).executing_eagerly():
        width = len(carry.arrays)

        def flat(*arrays: Any) -> tuple[Any, ...]:
            new, y = step(arrays[:width], arrays[width:])
            return (*new, *y)

        found = namespace(owner)["support"].scan(
            flat, tuple(carry.arrays), tuple(items.arrays), length=int(count), reverse=reverse
        )
        last, stacked = found[:width], found[width:]
    else:
        last, rows = carry.arrays, [[]] * int(count)
        for i in reversed(range(int(count))) if reverse else range(int(count)):
            last, rows[i] = step(last, [array[i] for array in items.arrays])
        stacked = [ops.stack(list(row), axis=0) for row in zip(*rows, strict=True)]
    return carry.joined(last), result.joined(stacked)


def map(function: Callable[[Tree], Tree], xs: Tree) -> Tree:
    """Apply a function to the slices along the first axis of arrays, one after the other, and stack the results.

    `vmap` computes them at once, which takes more memory and less time.
    """
    return scan(lambda _, x: ((), function(x)), (), xs)[1]


def associative_scan(
    function: Callable[[Tree, Tree], Tree], elements: Tree, *, reverse: bool = False, axis: int = 0
) -> Tree:
    """All prefixes of an associative operation along an axis, in a logarithmic number of steps.

    Args:
        function: an associative operation on trees of arrays, over many elements at once.
        elements: a tree of arrays of one size along the axis.
        reverse: suffixes instead.
        axis: the axis.

    Example:
        >>> import numpy as np
        >>> associative_scan(np.add, np.arange(5))
        array([ 0,  1,  3,  6, 10])

    Source: Blelloch 1990, "Prefix Sums and Their Applications"; ``jax.lax.associative_scan``.
    """
    flat, structure = flatten(elements)
    sizes = {int(array.shape[axis]) for array in flat}
    if len(sizes) != 1:
        raise ShapeError(f"associative_scan expected arrays of one size along axis {axis}, received {sorted(sizes)}")
    if reverse:
        flat = [ops.flip(array, axis=axis) for array in flat]

    def cut(arrays: Sequence[Any], start: int | None, stop: int | None, step: int | None = None) -> list[Any]:
        return [array[(slice(None),) * (axis % len(array.shape)) + (slice(start, stop, step),)] for array in arrays]

    def combined(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
        return flatten(function(structure.unflatten(first), structure.unflatten(second)))[0]

    def prefixes(arrays: Sequence[Any]) -> list[Any]:
        size = int(arrays[0].shape[axis])
        if size < 2:
            return list(arrays)
        odd = prefixes(combined(cut(arrays, 0, size - 1, 2), cut(arrays, 1, None, 2)))
        if size % 2 == 0:
            even = combined(cut(odd, 0, size // 2 - 1), cut(arrays, 2, None, 2)) if size > 2 else []
        else:
            even = combined(odd, cut(arrays, 2, None, 2))
        heads = cut(arrays, 0, 1)
        even = [ops.concat([x, y], axis=axis) for x, y in zip(heads, even, strict=True)] if even else heads
        return [_interleaved(x, y, axis % len(x.shape)) for x, y in zip(even, odd, strict=True)]

    found = prefixes(flat)
    return structure.unflatten([ops.flip(array, axis=axis) for array in found] if reverse else found)


# -- in a trace ------------------------------------------------------------------------------------------------------


def _traced_cond(
    predicate: Value, then: Callable[..., Tree], orelse: Callable[..., Tree], operands: tuple[Tree, ...]
) -> Tree:
    parts = _lifted(operands)
    results: dict[str, Split] = {}

    def branch(name: str, function: Callable[..., Tree]) -> Any:
        def run(values: Sequence[Value]) -> list[Any]:
            results[name] = Split(function(*parts.joined(values)))
            return results[name].arrays

        return run, inputs_like(parts.arrays)

    graphs, captured = nest({"then": branch("then", then), "orelse": branch("orelse", orelse)})
    if results["then"].key != results["orelse"].key:
        raise EngineError("cond expected trees of one structure from the branches")
    outputs = record_control("cond", (predicate, tuple(parts.arrays), captured), graphs)
    return results["then"].joined(outputs)


def _traced_while(test: Callable[[Tree], Array], body: Callable[[Tree], Tree], parts: Split) -> Tree:
    parts = _lifted(parts.joined(parts.arrays))
    functions = {
        "test": (lambda values: [test(parts.joined(values))], inputs_like(parts.arrays)),
        "body": (lambda values: _structured(parts, body(parts.joined(values))), inputs_like(parts.arrays)),
    }
    graphs, captured = nest(functions)
    return parts.joined(record_control("while_loop", (tuple(parts.arrays), captured), graphs))


def _traced_scan(
    body: Callable[[Tree, Tree], tuple[Tree, Tree]], init: Split, xs: Split, length: Any, reverse: bool
) -> tuple[Tree, Tree]:
    carry, items = _lifted(init.joined(init.arrays)), _lifted(xs.joined(xs.arrays))
    count, result = len(carry.arrays), items

    def run(values: Sequence[Value]) -> list[Any]:
        nonlocal result
        new, y = body(carry.joined(values[:count]), items.joined(values[count:]))
        result = Split(y)
        return [*_structured(carry, new), *result.arrays]

    inputs = inputs_like([*carry.arrays, *items.arrays])
    for word, array in zip(list(inputs)[count:], items.arrays, strict=True):
        inputs[word] = Spec(array.shape[1:], array.dtype)
    graphs, captured = nest({"body": (run, inputs)})
    attributes = {**graphs, "length": length, "reverse": reverse}
    outputs = record_control("scan", (tuple(carry.arrays), tuple(items.arrays), captured), attributes)
    return carry.joined(outputs[:count]), result.joined(outputs[count:])


def _lifted(tree: Tree) -> Split:
    """A tree with native arrays as constants of the graph."""
    parts = Split(tree)
    parts.arrays = [RECORDER.get().lift(array) for array in parts.arrays]
    return parts


def _structured(carry: Split, found: Tree) -> list[Any]:
    new = Split(found)
    if new.key != carry.key:
        raise EngineError("expected a carry that keeps its structure", hint="return arrays where arrays were given")
    return new.arrays


# -- parts -----------------------------------------------------------------------------------------------------------


def _interleaved(even: Array, odd: Array, axis: int) -> Array:
    """even[0], odd[0], even[1], ...; even may be one longer."""
    size = int(odd.shape[axis])
    whole = (slice(None),) * axis
    pairs = ops.stack([even[(*whole, slice(0, size))], odd], axis=axis + 1)
    shape = tuple(pairs.shape)
    joined = ops.reshape(pairs, shape=(*shape[:axis], 2 * size, *shape[axis + 2 :]))
    if int(even.shape[axis]) == size:
        return joined
    return ops.concat([joined, even[(*whole, slice(size, None))]], axis=axis)


def _is_symbolic(predicate: Array) -> bool:
    """Whether PyTorch traces or maps, so that a truth value cannot be asked for."""
    torch = load("torch")
    return is_tracing() or torch._C._functorch.is_batchedtensor(predicate)


def _check_same(name: str, what: str, first: Split, second: Split) -> None:
    if first.key != second.key:
        raise EngineError(f"{name} expected trees of one structure from {what}, received {first.key} and {second.key}")
    for x, y in zip(first.arrays, second.arrays, strict=True):
        owners = {owner for each in (x, y) if (owner := framework_of(each))}  # shapes that JAX infers have none
        if len(owners) > 1:
            raise MixedFrameworksError(
                f"{name} expected arrays of one framework from {what}, received {' and '.join(sorted(owners))}",
                hint="move every array to one framework first: to_framework(x, ...)",
            )
        if tuple(x.shape) != tuple(y.shape) or x.dtype != y.dtype:
            raise ShapeError(
                f"{name} expected arrays of one shape and dtype from {what}, received "
                f"{dtype_name(x.dtype)}{list(x.shape)} and {dtype_name(y.dtype)}{list(y.shape)}"
            )


def _with(parts: Split, arrays: Sequence[Any]) -> Split:
    parts.arrays = list(arrays)
    return parts


def _kept(name: str, carry: Split, arrays: Sequence[Any], found: Tree) -> list[Any]:
    """The arrays of a new carry, which must be like the old one."""
    new = Split(found)
    old = Split(carry.joined(arrays))
    _check_same(name, "the carry and what becomes of it", old, new)
    return new.arrays


def _jax_switch(index: Array, branches: Sequence[Callable[..., Tree]], operands: tuple[Tree, ...]) -> Tree:
    jax = load("jax")
    results: list[Split] = []

    def run(branch: Callable[..., Tree]) -> list[Any]:
        results.append(result_of("switch", "jax", branch(*operands)))
        return results[-1].arrays

    outputs = jax.lax.switch(index, [lambda branch=branch: run(branch) for branch in branches])
    for other in results[1:]:
        _check_same("switch", "the branches", results[0], other)
    return results[0].joined(outputs)


__all__ = ["associative_scan", "cond", "fori_loop", "map", "scan", "switch", "while_loop"]
