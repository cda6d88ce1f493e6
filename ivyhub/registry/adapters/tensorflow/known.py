"""Arithmetic of what is known while a graph is read: numbers, and symbolic sizes.

TensorFlow computes shapes by its ordinary operations. Those of numbers run as they are; those of symbolic sizes (arrays
of Python objects) are the functions of `SIZES`.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from ....engine.dims import floordiv, maximum, minimum, mod
from .rules import has_sizes
from .rules.shape import slice_key

LARGEST = 1024
"""Of how many elements an array may be that is computed while a graph is read; larger ones the graph computes."""


BOUNDED = frozenset({"Cast", "ExpandDims", "Reshape", "Squeeze", "Unique", "Where"})
"""Operations that give few numbers where they are given few, also where TensorFlow does not know how many."""


def _elementwise(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return np.frompyfunc(function, 2, 1)


def _strided_slice(x: Any, begin: Any, end: Any, strides: Any, **masks: int) -> Any:
    order = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    key = slice_key(
        begin.tolist(),
        end.tolist(),
        strides.tolist(),
        x.shape,
        tuple(masks[name] for name in order),  # type: ignore[arg-type]
    )
    return x[tuple(slice(*item) if isinstance(item, tuple) else item for item in key)]


def _reduced(function: Callable[[Any, Any], Any], unit: int) -> Callable[..., Any]:
    def run(x: Any, axes: Any, *, keep_dims: bool) -> Any:
        if x.ndim != 1 or keep_dims or np.ravel(axes).tolist() not in ([0], [-1]):
            return None
        return reduce(function, x.tolist(), unit)

    return run


def _cast(x: Any, *, DstT: str) -> Any:  # noqa: N803 - TensorFlow's name
    return x if DstT in ("int32", "int64") else None


def _split(axis: Any, x: Any, *, num_split: int) -> Any:
    return tuple(np.split(x, num_split, axis=int(axis)))


SIZES: Mapping[str, Callable[..., Any]] = {
    "Identity": lambda x: x,
    "StopGradient": lambda x: x,
    "EnsureShape": lambda x: x,
    "Cast": _cast,
    "Add": _elementwise(operator.add),
    "AddV2": _elementwise(operator.add),
    "Sub": _elementwise(operator.sub),
    "Mul": _elementwise(operator.mul),
    "Neg": np.frompyfunc(operator.neg, 1, 1),
    "FloorDiv": _elementwise(floordiv),
    "FloorMod": _elementwise(mod),
    "Maximum": _elementwise(maximum),
    "Minimum": _elementwise(minimum),
    "Pack": lambda *parts, axis: np.stack(parts, axis),
    "Unpack": lambda x, *, num, axis: tuple(np.take(x, i, axis) for i in range(num)),
    "ConcatV2": lambda *parts: np.concatenate(parts[:-1], int(parts[-1])),
    "StridedSlice": _strided_slice,
    "GatherV2": lambda x, places, axis, *, batch_dims: None if batch_dims else np.take(x, places, int(axis)),
    "ExpandDims": lambda x, axis: np.expand_dims(x, int(axis)),
    "Squeeze": lambda x, *, squeeze_dims: np.squeeze(x, tuple(squeeze_dims) or None),
    "Reshape": lambda x, shape: None if has_sizes(shape) else np.reshape(x, shape.tolist()),
    "Split": _split,
    "ReverseV2": lambda x, axes: np.flip(x, tuple(axes.tolist())),
    "Prod": _reduced(operator.mul, 1),
    "Sum": _reduced(operator.add, 0),
}
"""Operations on symbolic sizes. None stands for what cannot be told; then the sizes become values."""


def size_arithmetic(op: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """The result of an operation on symbolic sizes, an array or several; None where there is none."""
    if op not in SIZES or any(not isinstance(x, np.ndarray) for x in inputs):
        return None
    function = SIZES[op]
    if isinstance(function, np.ufunc):
        found: Any = function(*inputs)
    else:
        wanted = function.__kwdefaults__ or {}
        code = function.__code__
        names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        names = names if not code.co_flags & 8 else tuple(attributes)
        found = function(*inputs, **wanted, **{name: attributes[name] for name in names})
    if found is None:
        return None
    return tuple(map(_settled, found)) if isinstance(found, tuple) else _settled(found)


def _settled(found: Any) -> np.ndarray:
    """Plain numbers where no symbol is left."""
    array = np.empty(np.shape(found), object)
    array[...] = found
    if all(isinstance(item, int | np.integer) for item in array.ravel()):
        return array.astype(np.int64)
    return array


def computed(op: Any, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> list[np.ndarray] | None:
    """The results of an operation whose inputs are all known numbers, by TensorFlow itself; None where it is large."""
    import tensorflow as tf

    if any(not isinstance(x, np.ndarray) or x.dtype == object or x.size > LARGEST for x in inputs):
        return None
    if not inputs or op.op_def.is_stateful:
        return None
    if op.type not in BOUNDED and any(_elements(out) > LARGEST for out in op.outputs):
        return None
    if any(out.dtype == tf.variant for out in op.outputs):  # a list of tensors
        return None
    function = getattr(tf.raw_ops, op.type, None)
    if function is None:
        return None
    tensors = iter(tf.constant(x, dtype=tensor.dtype) for x, tensor in zip(inputs, op.inputs, strict=True))
    arguments: dict[str, Any] = {}
    for argument in op.op_def.input_arg:
        count = argument.number_attr or argument.type_list_attr
        if count:
            value = op.get_attr(count)
            arguments[argument.name] = [next(tensors) for _ in range(value if isinstance(value, int) else len(value))]
        else:
            arguments[argument.name] = next(tensors)
    inferred = {a.type_attr for a in op.op_def.input_arg} | {a.number_attr for a in op.op_def.input_arg}
    inferred |= {a.type_list_attr for a in op.op_def.input_arg}
    given = {a.name: op.get_attr(a.name) for a in op.op_def.attr if a.name not in inferred}
    arguments |= given
    taken = inspect.signature(function).parameters
    others = [name for name in arguments if name not in taken]  # some have another name in Python
    free = [name for name in taken if name not in arguments]
    arguments = {dict(zip(others, free, strict=False)).get(name, name): value for name, value in arguments.items()}
    with tf.init_scope(), tf.device("CPU"):
        found = function(**arguments)
    results = [found] if tf.is_tensor(found) else list(found)
    return [np.asarray(result) for result in results]


STEPS = 4096
"""How many times a loop may run that is followed."""


def counted(test: Any, body: Any, inputs: Sequence[Any]) -> dict[int, list[np.ndarray]] | None:
    """The values of the counters of a loop before each of its runs, and after the last, by their places.

    Counters are known numbers that become known numbers. None where they do not decide when the loop ends.

    Args:
        test: the function graph that says whether it goes on.
        body: that of one run.
        inputs: what the loop starts with: known arrays, and others.
    """
    known = [x if isinstance(x, np.ndarray) and x.dtype != object else None for x in inputs]
    values: dict[int, list[np.ndarray]] = {place: [x] for place, x in enumerate(known) if x is not None}
    for _ in range(STEPS):
        (goes_on,) = followed(test, known, test.outputs)
        if goes_on is None:
            return None
        if not goes_on:
            return values
        after = followed(body, known, body.outputs)
        lost = [place for place in values if after[place] is None]
        if lost:  # those are carried; without them from the beginning
            return counted(test, body, [None if place in lost else x for place, x in enumerate(inputs)])
        known = [after[place] if place in values else None for place in range(len(inputs))]
        for place, found in values.items():
            found.append(known[place])  # type: ignore[arg-type]
    return None


def followed(graph: Any, inputs: Sequence[np.ndarray | None], outputs: Sequence[Any]) -> list[np.ndarray | None]:
    """Tensors of a function graph as far as they follow from what is known of its inputs."""
    import tensorflow as tf

    env: dict[str, np.ndarray | None] = {tensor.name: value for tensor, value in zip(graph.inputs, inputs, strict=True)}
    wanted = wanted_operations(graph.get_operations(), outputs)
    for op in graph.get_operations():
        if op.type == "Placeholder" or op.name not in wanted:
            continue
        if op.type == "Const":
            env[op.outputs[0].name] = tf.make_ndarray(op.get_attr("value"))
            continue
        given = [env.get(tensor.name) for tensor in op.inputs]
        whole = bool(given) and all(x is not None for x in given)
        found = given if whole and op.type == "Identity" else computed(op, given, {}) if whole else None
        for tensor, value in zip(op.outputs, found or [None] * len(op.outputs), strict=True):
            env[tensor.name] = value
    return [env.get(tensor.name) for tensor in outputs]


def wanted_operations(every: Sequence[Any], outputs: Sequence[Any], stateful: Sequence[str] = ()) -> set[str]:
    """The names of the operations that outputs depend on, or that change something, by parts of their types."""
    found: set[str] = set()
    stack = [output.op for output in outputs]
    stack += [op for op in every if op.op_def.is_stateful and any(part in op.type for part in stateful)]
    while stack:
        op = stack.pop()
        if op.name not in found:
            found.add(op.name)
            stack += [tensor.op for tensor in op.inputs]
    return found


def _elements(tensor: Any) -> int:
    return LARGEST + 1 if tensor.shape.num_elements() is None else int(tensor.shape.num_elements())
