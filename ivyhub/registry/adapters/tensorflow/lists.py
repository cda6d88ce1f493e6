"""TensorFlow's lists of tensors (what a ``tf.TensorArray`` is in a graph), as arrays with one axis more.

A list of a known length whose elements have one shape is the array of its elements. What was never put is zeros, as in
TensorFlow. The shape of the elements may only show when the first is put: until then a list has no array, and a loop
or branch that such a list enters is read once before, for that shape alone (`Element` is shared by all that a list
becomes).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ....engine import ops
from ....engine.backends import dtype_name
from ....engine.dims import Dim, Size, product
from ....engine.graph import Value
from ....errors import CaptureError
from .attributes import branches
from .known import followed
from .rules import sizes_array
from .rules.common import reshape, zero_of

_HINT = "give the TensorArray its size, or compute what it holds without one"


@dataclass
class Element:
    """What is known of the elements of a list.

    Attributes:
        dtype: of all of them.
        shape: of each of them, None before the first was put.
    """

    dtype: str
    shape: tuple[Size, ...] | None = None

    def meet(self, shape: Sequence[Size]) -> None:
        """Take the shape of an element that is put. Raises `CaptureError` where others have another one."""
        self.shape = tuple(shape) if self.shape is None else self.shape
        if self.shape != tuple(shape):
            raise CaptureError(
                f"a list holds elements of {list(self.shape)} and of {list(shape)}", hint="pad them to one shape"
            )


@dataclass(frozen=True, eq=False)
class TensorList:
    """A list: the array of its elements, None while their shape is not known.

    Attributes:
        length: the number of its elements.
        element: what is known of them.
        rows: (length, \\*shape of an element).
        grows: whether an element may be put behind the last one.
    """

    length: Size
    element: Element
    rows: Value | None = None
    grows: bool = True

    @staticmethod
    def of(rows: Value) -> TensorList:
        """The list whose elements are the rows of an array."""
        return TensorList(rows.shape[0], Element(rows.dtype, rows.shape[1:]), rows)

    def array(self) -> Value:
        """Its elements as one array, zeros where nothing was put."""
        if self.rows is not None:
            return self.rows
        if self.element.shape is None:
            raise CaptureError(
                "the shape of the elements of a list is not known before the first is put",
                hint="give the TensorArray its element_shape",
            )
        return _zeros(self.length, self.element)

    def holding(self, rows: Value) -> TensorList:
        """The same list with other elements."""
        return replace(self, rows=rows, length=rows.shape[0])


def _zeros(length: Size, element: Element) -> Value:
    assert element.shape is not None
    dtype = element.dtype
    return ops.full(shape=(length, *element.shape), fill_value=zero_of(dtype), dtype=dtype)


# -- operations --------------------------------------------------------------------------------------------------------


def _known_shape(given: Any) -> tuple[Size, ...] | None:
    """A shape as an operation is given it, None where a size is left out."""
    if not isinstance(given, np.ndarray) or given.ndim != 1:
        return None
    sizes = [size if isinstance(size, Dim) else int(size) for size in given.tolist()]
    return None if any(isinstance(size, int) and size < 0 for size in sizes) else tuple(sizes)


def _number(given: Any, what: str) -> Any:
    """A known number or size. Raises `CaptureError` for one that depends on the values of arrays."""
    if not isinstance(given, np.ndarray):
        raise CaptureError(f"the {what} of a list depends on the values of arrays", hint=_HINT)
    found = given.reshape(()).tolist()
    return found if isinstance(found, Dim) else int(found)


def _of_shape(held: TensorList, given: Any) -> TensorList:
    """The list, with the shape of its elements where an operation says it and none was put."""
    shape = _known_shape(given)
    if held.element.shape is None and shape is not None:
        held.element.shape = shape
    return held


def _reserve(shape: Any, length: Any, *, dtype: str) -> TensorList:
    return TensorList(_number(length, "length"), Element(dtype, _known_shape(shape)))


def _empty(shape: Any, limit: Any, *, dtype: str) -> TensorList:
    return TensorList(0, Element(dtype, _known_shape(shape)))


def _from_tensor(x: Value, shape: Any) -> TensorList:
    return TensorList.of(x)


def _resized(held: TensorList, length: Size) -> TensorList:
    """The list cut off or filled up with zeros."""
    if length == held.length or held.element.shape is None:
        return replace(held, length=length)
    if not isinstance(length, int) or not isinstance(held.length, int):
        raise CaptureError(f"a list of {held.length} elements becomes one of {length}", hint=_HINT)
    rows = held.array()
    if length < held.length:
        return held.holding(ops.getitem(rows, key=((None, length, None),)))
    more = _zeros(length - held.length, held.element)
    return held.holding(ops.concat([rows, more], axis=0))


def _resize(held: TensorList, length: Any) -> TensorList:
    return _resized(held, _number(length, "length"))


def _set_item(held: TensorList, index: Any, item: Value, *, resize: bool) -> TensorList:
    held.element.meet(item.shape)
    if isinstance(index, Value) and resize and held.grows:
        raise CaptureError("a list grows by a place that depends on the values of arrays", hint=_HINT)
    if not isinstance(index, Value):
        place = _number(index, "place")
        if resize and isinstance(place, int) and isinstance(held.length, int) and place >= held.length:
            held = _resized(held, place + 1)
        _check_place(held, place)
        index = ops.full(shape=(), fill_value=place, dtype="int32")
    return held.holding(ops.at_set(held.array(), [index], item))


def _check_place(held: TensorList, place: Size) -> None:
    known = isinstance(place, int)
    if known and (place < 0 or (isinstance(held.length, int) and place >= held.length)):
        raise CaptureError(f"element {place} of a list of {held.length} is asked for")


def _get_item(held: TensorList, index: Any, shape: Any) -> Value:
    rows = _of_shape(held, shape).array()
    if isinstance(index, Value):
        return ops.take(rows, index, axis=0)
    place = _number(index, "place")
    if isinstance(place, Dim):
        return ops.take(rows, ops.full(shape=(), fill_value=place, dtype="int32"), axis=0)
    _check_place(held, place)
    return ops.getitem(rows, key=(place,))


def _stack(held: TensorList, shape: Any) -> Value:
    return _of_shape(held, shape).array()


def _gather(held: TensorList, indices: Value, shape: Any) -> Value:
    return ops.take(_of_shape(held, shape).array(), indices, axis=0)


def _scatter(held: TensorList, x: Value, indices: Value) -> TensorList:
    held.element.meet(x.shape[1:])
    return held.holding(ops.at_set(held.array(), [indices], x))


def _concat(held: TensorList, shape: Any, leading: Any) -> tuple[Value, Value]:
    """The elements end to end along their first axes, and the length of each."""
    rows = _stack(held, shape)
    if rows.ndim < 2:
        raise CaptureError("a list of numbers without axes cannot be concatenated", hint="stack it")
    count, size, *rest = rows.shape
    return reshape(rows, (product((count, size)), *rest)), ops.full(shape=(count,), fill_value=size, dtype="int64")


def _split(x: Value, shape: Any, lengths: Any) -> TensorList:
    sizes = set(lengths.tolist()) if isinstance(lengths, np.ndarray) else set[Any]()
    if len(sizes) != 1:
        raise CaptureError("a list is split into elements of differing lengths", hint="pad them to one shape")
    (size,) = sizes
    return TensorList.of(ops.reshape(x, shape=(len(lengths), size, *x.shape[1:])))


def _push_back(held: TensorList, item: Value) -> TensorList:
    held.element.meet(item.shape)
    row = ops.getitem(item, key=(None,))
    if held.length == 0:
        return held.holding(row)
    return held.holding(ops.concat([held.array(), row], axis=0))


def _pop_back(held: TensorList, shape: Any) -> tuple[TensorList, Value]:
    if not isinstance(held.length, int) or held.length == 0:
        raise CaptureError(f"the last element of a list of {held.length} is taken off", hint=_HINT)
    rows = _of_shape(held, shape).array()
    rest = ops.getitem(rows, key=((None, held.length - 1, None),))
    return held.holding(rest), ops.getitem(rows, key=(held.length - 1,))


def _length(held: TensorList) -> np.ndarray:
    return sizes_array((held.length,)).reshape(())


LISTS: Mapping[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "TensorListReserve": (_reserve, ()),
    "EmptyTensorList": (_empty, ()),
    "TensorListFromTensor": (_from_tensor, (0,)),
    "TensorListSetItem": (_set_item, (2,)),
    "TensorListGetItem": (_get_item, ()),
    "TensorListStack": (_stack, ()),
    "TensorListGather": (_gather, (1,)),
    "TensorListScatterIntoExistingList": (_scatter, (1, 2)),
    "TensorListConcatV2": (_concat, ()),
    "TensorListSplit": (_split, (0,)),
    "TensorListPushBack": (_push_back, (1,)),
    "TensorListPopBack": (_pop_back, ()),
    "TensorListResize": (_resize, ()),
    "TensorListLength": (_length, ()),
}
"""The operations by name: a function of lists, known numbers and values, and which inputs it takes as values."""


def read_list(op: Any, inputs: Sequence[Any], value: Callable[[Any], Value]) -> tuple[Any, ...]:
    """The results of an operation of `LISTS`: lists, values, and known numbers.

    Args:
        op: the operation.
        inputs: what its inputs are.
        value: makes a value of an input tensor.
    """
    run, arrays = LISTS[op.type]
    given = [value(op.inputs[place]) if place in arrays else found for place, found in enumerate(inputs)]
    words = {"dtype": "element_dtype", "resize": "resize_if_index_out_of_bounds"}
    taken = inspect.signature(run).parameters
    found = run(*given, **{word: _plain(op.get_attr(words[word])) for word in words if word in taken})
    return found if isinstance(found, tuple) else (found,)


def _plain(attribute: Any) -> Any:
    return attribute if isinstance(attribute, bool) else dtype_name(attribute)


# -- loops and branches ------------------------------------------------------------------------------------------------


def is_unshaped(held: Any) -> bool:
    """Whether a list has no array as yet."""
    return isinstance(held, TensorList) and held.element.shape is None


def grown(held: TensorList, body: Any, place: int, counters: Mapping[int, Sequence[np.ndarray]] | None) -> TensorList:
    """A list as long as a loop makes it, where the places of what is put follow from the loop's counters.

    Args:
        held: what the loop starts with.
        body: the function graph of one run.
        place: which input of the body it is.
        counters: what is known of the body's inputs before each run, and after the last; None of a loop that was not
            followed.

    Raises `CaptureError` where it grows and that cannot be told.
    """
    puts = 0
    length = held.length
    for step in range(len(next(iter(counters.values()))) - 1 if counters else 1):
        known = [(counters or {})[i][step] if i in (counters or {}) else None for i in range(len(body.inputs))]
        for index in _put(body, place, known):
            if index is None or not isinstance(length, int):
                raise CaptureError("a list grows in a loop, and how long it becomes is not known", hint=_HINT)
            length, puts = max(length, int(index) + 1), puts + 1
    return replace(_resized(held, length), grows=False) if puts else held


def _put(graph: Any, place: int, known: Sequence[np.ndarray | None]) -> Iterator[np.ndarray | None]:
    """Where elements are put that may be behind the last one of a list, as far as it follows from what is known.

    Args:
        graph: the function graph of a loop's body or of a branch.
        place: which of its inputs the list is.
        known: what is known of its inputs.
    """
    for op in graph.get_operations():
        if op.type == "TensorListSetItem" and op.get_attr("resize_if_index_out_of_bounds"):
            origin = _origin(op.inputs[0])
            if origin.op.type in _MADE or origin.name in [t.name for i, t in enumerate(graph.inputs) if i != place]:
                continue  # another list
            yield from followed(graph, known, [op.inputs[1]]) if origin.name == graph.inputs[place].name else [None]
        elif op.type in _CHOICES:
            _, *operands = op.inputs
            for i, operand in enumerate(operands):
                if operand.dtype.name == "variant" and _origin(operand).name == graph.inputs[place].name:
                    for branch in branches(op):
                        yield from _put(branch, i, followed(graph, known, operands))


_MADE = ("TensorListReserve", "EmptyTensorList", "TensorListFromTensor", "TensorListSplit")
_CHOICES = ("If", "StatelessIf", "Case", "StatelessCase")


def _origin(held: Any) -> Any:
    """The list that one is made of by putting elements."""
    while True:
        op = held.op
        if op.type in ("Identity", "TensorListSetItem"):
            held = op.inputs[0]
        elif op.type in _CHOICES:
            branch = branches(op)[0]
            origin = _origin(branch.outputs[held.value_index])
            places = [i for i, tensor in enumerate(branch.inputs) if tensor.name == origin.name]
            if not places:
                return held
            held = op.inputs[1 + places[0]]
        else:
            return held


def carried(held: TensorList, before: TensorList | None = None) -> Value:
    """The array of a list that leaves a branch, or a loop that it entered as it was ``before``."""
    if before is not None and held.length != before.length:
        raise CaptureError(
            f"a list grows from {before.length} to {held.length} elements in each run of a loop", hint=_HINT
        )
    return held.array()


__all__ = ["LISTS", "Element", "TensorList", "carried", "grown", "is_unshaped", "read_list"]
