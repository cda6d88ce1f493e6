"""Transforms in a trace: nodes that hold the graph of a function (see the specification in `graph`).

The same functions as those of `machinery`, over values: ``run`` takes values and returns lists of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .backends import is_floating
from .graph import Value
from .nested import inputs_like, nest, record_control
from .recording import RECORDER
from .spec import Spec

Function = Callable[..., Any]
Values = list[Any]


def value_and_grad(run: Function, arrays: Values) -> tuple[Any, Values, Values]:
    """See `machinery.value_and_grad`."""

    def body(values: Sequence[Value]) -> Values:
        scalar, others = run(*values)
        return [scalar, *others]

    outputs = _recorded("value_and_grad", body, arrays)
    count = len(outputs) - len(arrays)
    if len(arrays) > 1:  # a line of the source names a tree of gradients, not each
        for output, array in zip(outputs[count:], _lifted(arrays), strict=True):
            output.hint = f"{array.hint or 'x'}_gradient"
    return outputs[0], outputs[1:count], outputs[count:]


def vjp(run: Function, arrays: Values) -> tuple[Values, Values, Function]:
    """See `machinery.vjp`. The function is recorded as it is, and as a graph by each call of the pullback."""
    arrays = _lifted(arrays)
    results, others = run(*arrays)

    def pull(cotangents: Values) -> Values:
        return _recorded("vjp", lambda values: run(*values)[0], arrays, cotangents)

    return _lifted(results), _lifted(others), pull


def jvp(run: Function, arrays: Values, tangents: Values) -> tuple[Values, Values]:
    """See `machinery.jvp`; the derivative of what has none is None."""
    count = 0

    def body(values: Sequence[Value]) -> Values:
        nonlocal count
        results = run(*values)
        count = len(results)
        return results

    outputs = _recorded("jvp", body, arrays, tangents)
    results, derivatives = outputs[:count], iter(outputs[count:])
    return results, [next(derivatives) if _is_smooth(result) else None for result in results]


def vmap(run: Function, arrays: Values) -> Values:
    """The results of ``run`` over slices along the first axes, stacked."""
    return _recorded("vmap", lambda values: run(*values), arrays, sliced=True)


def checkpoint(run: Function, arrays: Values) -> Values:
    """See `machinery.checkpoint`."""
    return _recorded("checkpoint", lambda values: run(*values), arrays)


def with_gradient(run: Function, arrays: Values) -> Values:
    """See `machinery.with_gradient`; arrays that have no gradient are closed over."""
    arrays = _lifted(arrays)
    smooth = [place for place, array in enumerate(arrays) if _is_smooth(array)]
    results: Values = []

    def called(values: Sequence[Value]) -> tuple[Values, Function]:
        given = list(arrays)
        for place, value in zip(smooth, values, strict=True):
            given[place] = value
        return run(*given)

    def body(values: Sequence[Value]) -> Values:
        nonlocal results
        results = _lifted(called(values)[0])
        return results

    def pullback(values: Sequence[Value]) -> Values:
        _, pull = called(values[: len(smooth)])
        gradients = pull(*values[len(smooth) :])
        return [gradients[place] for place in smooth]

    operands = [arrays[place] for place in smooth]
    graphs, captured = nest(
        {
            "body": (body, inputs_like(operands)),
            "pullback": (pullback, lambda: inputs_like([*operands, *results])),
        }
    )
    return list(record_control("custom_gradient", (tuple(operands), captured), graphs))


def _recorded(
    op: str, body: Callable[[Sequence[Value]], Values], arrays: Values, *operands: Values, sliced: bool = False
) -> Values:
    """The outputs of a node of one graph."""
    arrays = _lifted(arrays)
    inputs = inputs_like(arrays)
    if sliced:
        inputs = {word: Spec(spec.shape[1:], spec.dtype) for word, spec in inputs.items()}
    graphs, captured = nest({"body": (body, inputs)})
    return list(record_control(op, (tuple(arrays), *(tuple(_lifted(each)) for each in operands), captured), graphs))


def _lifted(arrays: Values) -> Values:
    """Native arrays as constants of the graph."""
    return [RECORDER.get().lift(array) for array in arrays]


def _is_smooth(value: Value) -> bool:
    return is_floating(value.dtype) or value.dtype.startswith("complex")


__all__ = ["checkpoint", "jvp", "value_and_grad", "vjp", "vmap", "with_gradient"]
