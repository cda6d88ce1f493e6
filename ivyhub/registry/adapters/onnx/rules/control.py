"""If, Loop and Scan, sequences and optional values."""

from __future__ import annotations

from typing import Any

import numpy as np

from .....engine import control_flow, ops
from .....engine.dims import Dim
from .....errors import CaptureError
from .common import (
    RULES,
    Array,
    Sizes,
    filled,
    known,
    moved,
    on_axis,
    rank_of,
    shape_of,
    static,
    static_int,
    static_sizes,
    values_of,
)

_UNROLLED = 64  # steps of a loop that are written out, where that is needed


def _traced(value: Any) -> Any:
    """An array as one that a nested graph may give: what is known becomes a constant."""
    from .....engine.recording import RECORDER

    if isinstance(value, Sizes):
        return values_of(value)
    if value is None or isinstance(value, list):
        raise CaptureError("no rule reads control flow over sequences and optional values that is not known")
    return RECORDER.get().lift(value)


@RULES("If")
def if_(condition: Array, *, then_branch: Any, else_branch: Any) -> Any:
    kinds = [value.type.WhichOneof("value") for value in then_branch.graph.output]
    truth = known(condition)
    if truth is None and set(kinds) - {"tensor_type", None}:
        truth = static(condition, "cond")
    if truth is not None:
        return tuple((then_branch if bool(truth.reshape(())) else else_branch)())
    predicate = condition if not shape_of(condition) else ops.reshape(condition, shape=())
    branches = [lambda branch=branch: tuple(_traced(x) for x in branch()) for branch in (then_branch, else_branch)]
    return tuple(control_flow.cond(predicate, *branches))


@RULES("Loop")
def loop(count: Any = None, condition: Any = None, *state: Any, body: Any) -> Any:
    trips = None if count is None else known(count)
    truth = np.asarray(True) if condition is None else known(condition)
    carried = len(state)
    if truth is not None and not bool(truth.reshape(())):
        trips = np.asarray(0)
    written_out = trips is not None or count is None
    if truth is not None and written_out:
        found = _unrolled(None if trips is None else int(trips.reshape(())), list(state), body)
        if found is not None:
            return found
    if len(body.graph.output) - 1 > carried or any(value is None or isinstance(value, list) for value in state):
        for value, name in ((count, "M"), (condition, "cond")):
            if value is not None:
                static(value, name)
        raise CaptureError("the number of steps of a Loop that collects results depends on what it computes")
    return _while(count, condition, state, body)


def _unrolled(trips: int | None, state: list[Any], body: Any) -> Any:
    """The steps of a loop written out; None where a step's own condition is not known, or there are too many."""
    carried, rows = len(state), [[] for _ in range(len(body.graph.output) - 1 - len(state))]
    if trips is not None and trips > _UNROLLED:
        return None
    step = 0
    while trips is None or step < trips:
        if step >= _UNROLLED:
            return None
        results = body(np.asarray(step, np.int64), np.asarray(True), *state)
        truth = known(results[0])
        if truth is None:
            return None
        state = results[1 : 1 + carried]
        for row, value in zip(rows, results[1 + carried :], strict=True):
            row.append(value)
        step += 1
        if not bool(truth.reshape(())):
            break
    stacked: list[Any] = []
    for place, row in enumerate(rows):
        if row:
            stacked.append(ops.stack([values_of(x) if isinstance(x, Sizes) else x for x in row], axis=0))
        else:
            stacked.append(_nothing(body.graph.output[1 + carried + place]))
    return (*state, *stacked)


def _nothing(value: Any) -> Array:
    from .creation import named

    proto = value.type.tensor_type
    return filled((0, *(dim.dim_value for dim in proto.shape.dim)), 0, named(proto.elem_type))


def _while(count: Any, condition: Any, state: tuple[Any, ...], body: Any) -> Any:
    start = _traced(np.asarray(0, np.int64))
    first = _traced(np.asarray(True) if condition is None else condition)
    first = ops.reshape(first, shape=()) if shape_of(first) else first
    limit = None if count is None else ops.reshape(_traced(count), shape=())

    def test(carry: Any) -> Array:
        step, truth, _ = carry
        return truth if limit is None else ops.logical_and(truth, ops.less(step, limit))

    def advance(carry: Any) -> Any:
        step, truth, values = carry
        results = [_traced(x) for x in body(step, truth, *values)]
        truth = ops.reshape(results[0], shape=()) if shape_of(results[0]) else results[0]
        return ops.add(step, 1), truth, tuple(results[1:])

    _, _, values = control_flow.while_loop(test, advance, (start, first, tuple(_traced(x) for x in state)))
    return tuple(values)


@RULES("Scan")
def scan_of_batch(
    lengths: Any, *arrays: Array, body: Any, num_scan_inputs: int, directions: tuple[int, ...] | None = None
) -> Any:
    """As it was in opset 8: every array has a batch first, and each of its items is scanned alone."""
    if lengths is not None:
        raise CaptureError("no rule reads Scan of opset 8 with sequence_lens")
    size = shape_of(arrays[0])[0]
    if isinstance(size, Dim):
        raise CaptureError("Scan of opset 8 expected a batch of known size")
    items = [[ops.getitem(_traced(x), key=(i,)) for x in arrays] for i in range(size)]
    rows = [scan(*row, body=body, num_scan_inputs=num_scan_inputs, scan_input_directions=directions) for row in items]
    return tuple(ops.stack(list(results), axis=0) for results in zip(*rows, strict=True))


@RULES("Scan-9")
def scan(
    *arrays: Array,
    body: Any,
    num_scan_inputs: int,
    scan_input_axes: tuple[int, ...] | None = None,
    scan_input_directions: tuple[int, ...] | None = None,
    scan_output_axes: tuple[int, ...] | None = None,
    scan_output_directions: tuple[int, ...] | None = None,
) -> Any:
    carried = len(arrays) - num_scan_inputs
    outputs = len(body.graph.output) - carried
    inputs: list[Any] = []
    for place, x in enumerate(arrays[carried:]):
        axis = 0 if scan_input_axes is None else scan_input_axes[place] % rank_of(x)
        x = moved(_traced(x), axis, 0)
        backwards = scan_input_directions is not None and scan_input_directions[place]
        inputs.append(ops.flip(x, axis=0) if backwards else x)

    def step(carry: Any, rows: Any) -> Any:
        results = [_traced(x) for x in body(*carry, *rows)]
        return tuple(results[:carried]), tuple(results[carried:])

    last, stacked = control_flow.scan(step, tuple(_traced(x) for x in arrays[:carried]), tuple(inputs))
    found: list[Any] = []
    for place, y in enumerate(stacked):
        if scan_output_directions is not None and scan_output_directions[place]:
            y = ops.flip(y, axis=0)
        axis = 0 if scan_output_axes is None else scan_output_axes[place] % rank_of(y)
        found.append(moved(y, 0, axis))
    assert len(found) == outputs
    return (*last, *found)


# -- sequences: lists ------------------------------------------------------------------------------------------------


def _place(position: Any, count: int) -> int:
    place = static_int(position, "position")
    if not -count <= place <= count:
        raise CaptureError(f"expected a position in a sequence of {count}, received {place}")
    return place


@RULES("SequenceConstruct")
def sequence_construct(*arrays: Any) -> Any:
    return (list(arrays),)


@RULES("SequenceEmpty")
def sequence_empty(*, dtype: int = 1) -> Any:
    return ([],)


@RULES("SequenceInsert")
def sequence_insert(sequence: list[Any], x: Any, position: Any = None) -> Any:
    found = list(sequence)
    found.insert(len(found) if position is None else _place(position, len(found)), x)
    return (found,)


@RULES("SequenceErase")
def sequence_erase(sequence: list[Any], position: Any = None) -> Any:
    found = list(sequence)
    del found[-1 if position is None else _place(position, len(found))]
    return (found,)


@RULES("SequenceAt")
def sequence_at(sequence: list[Any], position: Any) -> Any:
    return (sequence[_place(position, len(sequence))],)


@RULES("SequenceLength")
def sequence_length(sequence: list[Any]) -> Any:
    return np.asarray(len(sequence), np.int64)


@RULES("SplitToSequence")
def split_to_sequence(x: Array, split: Any = None, *, axis: int = 0, keepdims: int = 1) -> Any:
    axis %= rank_of(x)
    whole = shape_of(x)[axis]
    if isinstance(whole, Dim):
        raise CaptureError("SplitToSequence expected a known size")
    if split is None:
        if keepdims:
            return (list(ops.split(x, sizes=(1,) * whole, axis=axis)),)
        return ([on_axis(x, axis, place) for place in range(whole)],)
    sizes = static_sizes(split, "split")
    if np.ndim(static(split, "split")) == 0:
        part = int(static(split, "split"))
        sizes = (*(part,) * (whole // part), *((whole % part,) if whole % part else ()))
    return (list(ops.split(x, sizes=tuple(sizes), axis=axis)),)


@RULES("ConcatFromSequence")
def concat_from_sequence(sequence: list[Any], *, axis: int, new_axis: int = 0) -> Any:
    if new_axis:
        return ops.stack(sequence, axis=axis)
    return ops.concat(sequence, axis=axis % rank_of(sequence[0]))


@RULES("SequenceMap")
def sequence_map(sequence: list[Any], *others: Any, body: Any) -> Any:
    results = [
        body(x, *(other[i] if isinstance(other, list) else other for other in others)) for i, x in enumerate(sequence)
    ]
    return tuple([row[place] for row in results] for place in range(len(body.graph.output)))


# -- optional values: None, or the value -----------------------------------------------------------------------------


@RULES("Optional")
def optional(value: Any = None, *, type: Any = None) -> Any:
    return (value,)


@RULES("OptionalHasElement")
def optional_has_element(value: Any = None) -> Any:
    return np.asarray(value is not None)


@RULES("OptionalGetElement")
def optional_get_element(value: Any) -> Any:
    if value is None:
        raise CaptureError("OptionalGetElement expected a value, received none")
    return (value,)
