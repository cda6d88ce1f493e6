"""What can be known of a value without running the graph: one number everywhere, or a sum of multiples of positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops
from ..backends import is_integer
from ..dims import Dim, Size, lower_bound
from ..graph import Graph, Node, Value
from ..op import OPS
from ..spec import FULL
from .rewriting import Sweep

Scalar = bool | int | float | complex

POINTWISE: frozenset[str] = frozenset(
    op.name
    for op in OPS.values()
    if op.function.__module__
    in {f"{ops.__name__}.{family}" for family in ("elementwise", "trigonometry", "activation", "special")}
    and not {"axis", "channel_axis"} & op.attributes.keys()
)
"""Operations whose result at a place depends on their operands at that place alone."""

MOVES = frozenset({"broadcast_to", "reshape", "transpose", "getitem", "flip", "roll", "tile", "repeat"})


def uniform(value: Any, sweep: Sweep) -> Scalar | None:
    """The number that stands at every place of a value, or None."""
    if not isinstance(value, Value):
        return value if isinstance(value, Scalar) else None
    key = ("uniform", value)
    if key not in sweep.facts:
        sweep.facts[key] = None if value.node is None else _uniform(value.node, sweep)
    return sweep.facts[key]


def _uniform(node: Node, sweep: Sweep) -> Scalar | None:
    if node.op == "constant":
        array = sweep.graph.constants[node.attributes["name"]]
        if array.size and array.size <= 2**16 and (array == array.flat[0]).all():
            return plain(array.flat[0])
        return None
    if node.op == "full":
        number = node.attributes["fill_value"]
    elif node.op in MOVES or node.op == "astype":
        number = uniform(node.args[0], sweep)
    elif node.op == "cumulative_sum" and uniform(node.args[0], sweep) == 0:
        number = 0
    else:
        return None
    if number is None or isinstance(number, Dim):
        return None
    return as_dtype(number, node.output.dtype)


def as_dtype(number: Scalar, dtype: str) -> Scalar | None:
    """A number as an array of a dtype would hold it, or None where numpy lacks the dtype or the number."""
    try:
        return plain(np.dtype(dtype).type(number))
    except (TypeError, OverflowError, ValueError):
        return None


def plain(number: Any) -> Scalar:
    """The shortest Python number that becomes this numpy scalar again: 0.1 for float32's 0.1.

    Not for half precision: there frameworks compute with the Python number before they round.
    """
    if isinstance(number, np.floating) and number.dtype.name in ("float32", "float64"):
        short = float(str(number))
        # The largest float32, printed short, is larger than itself, and PyTorch refuses that.
        if type(number)(short) == number and abs(short) <= float(np.finfo(number.dtype).max):
            return short
    return number.item()


@dataclass(frozen=True, slots=True)
class Affine:
    """An integer array whose element at (i, j, ...) is constant + steps[0]·i + steps[1]·j + ..."""

    constant: Size
    steps: tuple[Size, ...]
    shape: tuple[Size, ...]

    def __sub__(self, other: Affine) -> Affine:
        ndim = max(len(self.shape), len(other.shape))
        a, b = self.padded(ndim), other.padded(ndim)
        return Affine(
            a.constant - b.constant,
            tuple(s - t for s, t in zip(a.steps, b.steps, strict=True)),
            tuple(m if n == 1 else n for m, n in zip(a.shape, b.shape, strict=True)),
        )

    def times(self, factor: Size) -> Affine:
        """Every element multiplied."""
        return Affine(self.constant * factor, tuple(step * factor for step in self.steps), self.shape)

    def plus(self, number: Size) -> Affine:
        """A number added to every element."""
        return Affine(self.constant + number, self.steps, self.shape)

    def padded(self, ndim: int) -> Affine:
        """With leading axes of size 1."""
        extra = ndim - len(self.shape)
        return Affine(self.constant, (0,) * extra + self.steps, (1,) * extra + self.shape)

    def minimum(self) -> Size | None:
        """The smallest element, None where the sign of a step is not known."""
        least = self.constant
        for step, size in zip(self.steps, self.shape, strict=True):
            if step == 0:
                continue
            rising, falling = lower_bound(step), lower_bound(-step)
            if falling is not None and falling >= 0:
                least = least + step * (size - 1)
            elif rising is None or rising < 0:
                return None
        return least


def affine(value: Any, sweep: Sweep) -> Affine | None:
    """What a value is as a sum of multiples of positions, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Dim):
        return Affine(value, (), ())
    if not isinstance(value, Value) or not is_integer(value.dtype):
        return None
    key = ("affine", value)
    if key not in sweep.facts:
        found = None if value.node is None else _affine(value.node, value, sweep)
        if found is not None:  # along an axis of size 1 there is no step
            steps = tuple(0 if size == 1 else step for step, size in zip(found.steps, found.shape, strict=True))
            found = Affine(found.constant, steps, found.shape)
        sweep.facts[key] = found
    return sweep.facts[key]


def _affine(node: Node, value: Value, sweep: Sweep) -> Affine | None:
    shape, attributes = value.shape, node.attributes
    match node.op:
        case "arange":
            start, step = attributes["start"], attributes["step"]
            return None if isinstance(start, float) or isinstance(step, float) else Affine(start, (step,), shape)
        case "full" if isinstance(attributes["fill_value"], Dim):
            return Affine(attributes["fill_value"], (0,) * len(shape), shape)
        case "add" | "subtract":
            a, b = affine(node.args[0], sweep), affine(node.args[1], sweep)
            if a is not None and b is not None:
                return a - (b if node.op == "subtract" else b.times(-1))
        case "negative":
            a = affine(node.args[0], sweep)
            return None if a is None else a.times(-1)
        case "multiply":
            a, b = affine(node.args[0], sweep), affine(node.args[1], sweep)
            if a is not None and b is not None:
                ndim = len(shape)
                a, b = a.padded(ndim), b.padded(ndim)
                if not any(b.steps):
                    return Affine(0, (0,) * ndim, shape) - a.times(-b.constant)
                if not any(a.steps):
                    return Affine(0, (0,) * ndim, shape) - b.times(-a.constant)
        case "astype" if value.dtype in ("int32", "int64"):  # positions fit both
            return affine(node.args[0], sweep)
        case "broadcast_to":
            a = affine(node.args[0], sweep)
            return None if a is None else Affine(a.constant, a.padded(len(shape)).steps, shape)
        case "transpose":
            a = affine(node.args[0], sweep)
            return None if a is None else Affine(a.constant, tuple(a.steps[i] for i in attributes["axes"]), shape)
        case "reshape":
            return _reshaped(affine(node.args[0], sweep), shape)
        case "getitem":
            return _indexed(affine(node.args[0], sweep), attributes["key"], shape)
        case "concat":
            return _joined([affine(part, sweep) for part in node.args[0]], attributes["axis"] % len(shape), shape)
        case "constant":
            return _equally_spaced(sweep.graph.constants[attributes["name"]])
    number = uniform(value, sweep)
    return Affine(number, (0,) * len(shape), shape) if isinstance(number, int) else None


def _reshaped(a: Affine | None, shape: Sequence[Size]) -> Affine | None:
    """Only axes of size 1 may come and go."""
    if a is None or [size for size in a.shape if size != 1] != [size for size in shape if size != 1]:
        return None
    steps = iter([step for step, size in zip(a.steps, a.shape, strict=True) if size != 1])
    return Affine(a.constant, tuple(0 if size == 1 else next(steps) for size in shape), tuple(shape))


def _indexed(a: Affine | None, key: Sequence[Any], shape: Sequence[Size]) -> Affine | None:
    if a is None:
        return None
    constant, steps = a.constant, list[Size]()
    axis = 0
    for item in (*key, *(FULL,) * (len(a.shape) - sum(item is not None for item in key))):
        if item is None:
            steps.append(0)
            continue
        step, size = a.steps[axis], a.shape[axis]
        axis += 1
        if not isinstance(item, tuple):
            constant = constant + step * (item if not isinstance(item, int) or item >= 0 else item + size)
            continue
        start, stride = (0 if item[0] is None else item[0]), (1 if item[2] is None else item[2])
        if not (isinstance(stride, int) and stride > 0) or (isinstance(start, int) and start < 0):
            return None
        constant = constant + step * start
        steps.append(step * stride)
    return Affine(constant, tuple(steps), tuple(shape))


def _joined(parts: Sequence[Affine | None], axis: int, shape: tuple[Size, ...]) -> Affine | None:
    """Parts that go on where the one before ended, as the positions that a model tells packed sequences by."""
    if any(part is None for part in parts):
        return None
    known = [part for part in parts if part is not None]
    steps = next((part.steps for part in known if part.shape[axis] != 1), None)
    if steps is None and len(known) > 1:
        steps = tuple(
            known[1].constant - known[0].constant if i == axis else step for i, step in enumerate(known[0].steps)
        )
    if steps is None:
        return None
    expected = known[0].constant
    for part in known:
        own = part.steps if part.shape[axis] != 1 else (*part.steps[:axis], steps[axis], *part.steps[axis + 1 :])
        if part.constant != expected or own != steps:
            return None
        expected = expected + steps[axis] * part.shape[axis]
    return Affine(known[0].constant, steps, shape)


def _equally_spaced(array: np.ndarray) -> Affine | None:
    """A table of positions: equal steps along one axis, the others of size 1."""
    long = [axis for axis, size in enumerate(array.shape) if size != 1]
    if len(long) != 1 or array.size < 2 or array.size > 2**20:
        return None
    flat = array.reshape(-1).astype(object if array.dtype.kind == "u" else np.int64)
    step = int(flat[1] - flat[0])
    if not (flat == int(flat[0]) + step * np.arange(array.size)).all():
        return None
    return Affine(int(flat[0]), tuple(step if axis in long else 0 for axis in range(array.ndim)), array.shape)


def at_least(size: Size | None, bound: int, graph: Graph) -> bool:
    """Whether a size is known never to fall below a bound, with the ranges of the graph's symbols."""
    if size is None:
        return False
    if isinstance(size, int):
        return size >= bound
    highest: dict[str, Size] = {}  # where a size falls with a symbol, the symbol's upper end is the worst case
    for monomial, coefficient in size.terms.items():
        if coefficient < 0 and len(monomial) == 1 and monomial[0][0][0] == "symbol":
            name = str(monomial[0][0][1])
            high = graph.symbols.get(name, (1, None))[1]
            if high is not None and sum(name in _symbols(m) for m in size.terms) == 1:
                highest[name] = high
    worst = lower_bound(size.substitute(highest))
    return worst is not None and worst >= bound


def _symbols(monomial: Any) -> frozenset[str]:
    return Dim({monomial: 1}).symbols if monomial else frozenset()
