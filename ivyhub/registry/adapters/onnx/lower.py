"""How operations are written in ONNX: elements, shapes, indices, reductions. `lower_layers` has what layers compute.

An operation without a row runs its decomposition. Source: onnx.ai/onnx/operators, opset 21.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from ....engine.backends import is_floating, is_integer
from ....engine.dims import Dim, product
from ....engine.op import OPS
from ....engine.spec import Spec, broadcast_shapes, normalize_axes, normalize_axis
from .writer import SMALL, IrValue, Rows, Writer

Call = SimpleNamespace
ROWS = Rows()

_MAX, _MIN = np.iinfo(np.int64).max, np.iinfo(np.int64).min

# -- elements --------------------------------------------------------------------------------------------------------

_ALIKE = (
    *(("add", "Add"), ("subtract", "Sub"), ("multiply", "Mul"), ("divide", "Div"), ("pow", "Pow"), ("abs", "Abs")),
    *(("negative", "Neg"), ("sign", "Sign"), ("sqrt", "Sqrt"), ("reciprocal", "Reciprocal"), ("matmul", "MatMul")),
    *(("maximum", "Max"), ("minimum", "Min"), ("ceil", "Ceil"), ("floor", "Floor"), ("round", "Round")),
    *(("exp", "Exp"), ("log", "Log"), ("erf", "Erf"), ("equal", "Equal"), ("less", "Less"), ("greater", "Greater")),
    *(("less_equal", "LessOrEqual"), ("greater_equal", "GreaterOrEqual"), ("isnan", "IsNaN"), ("isinf", "IsInf")),
    *(("where", "Where"), ("logical_and", "And"), ("logical_or", "Or"), ("logical_xor", "Xor"), ("logical_not", "Not")),
    *(("bitwise_and", "BitwiseAnd"), ("bitwise_or", "BitwiseOr"), ("bitwise_xor", "BitwiseXor")),
    *(("bitwise_invert", "BitwiseNot"), ("sin", "Sin"), ("cos", "Cos"), ("tan", "Tan"), ("sinh", "Sinh")),
    *(("cosh", "Cosh"), ("tanh", "Tanh"), ("asin", "Asin"), ("acos", "Acos"), ("atan", "Atan")),
    *(("asinh", "Asinh"), ("acosh", "Acosh"), ("atanh", "Atanh")),
)

_ANY = frozenset({"equal", "where", "logical_and", "logical_or", "logical_xor", "logical_not"})
_FLOATING = frozenset(
    {"divide", "sqrt", "reciprocal", "ceil", "floor", "round", "exp", "log", "erf", "isnan", "isinf"}
    | {"sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh", "atanh"}
)


def _dtype(call: Call) -> str:
    """The dtype of the first operand that is an array."""
    return next(value.dtype for value in vars(call).values() if isinstance(value, Spec))


def _floats(call: Call) -> bool:
    return is_floating(_dtype(call))


def _integers(call: Call) -> bool:
    return is_integer(_dtype(call))


def _numbers(call: Call) -> bool:
    return _dtype(call) != "bool"


def _ordered(call: Call) -> bool:
    """What onnxruntime compares along an axis."""
    return _dtype(call) not in ("bool", "uint64")


for _name, _kind in _ALIKE:
    ROWS(_name, when=None if _name in _ANY else _floats if _name in _FLOATING else _numbers)(
        lambda w, call, *operands, kind=_kind: w.op(kind, *operands)
    )


@ROWS("not_equal")
def not_equal(w: Writer, call: Call, x1: IrValue, x2: IrValue) -> IrValue:
    return w.op("Not", w.op("Equal", x1, x2))


@ROWS("floor_divide", when=_integers)
def floor_divide(w: Writer, call: Call, x1: IrValue, x2: IrValue) -> IrValue:
    """Div of integers cuts towards zero, so the remainder is taken off before."""
    return w.op("Div", w.op("Sub", x1, w.op("Mod", x1, x2)), x2)


@ROWS("floor_divide", when=_floats)
def floor_divide_floats(w: Writer, call: Call, x1: IrValue, x2: IrValue) -> IrValue:
    whole = w.op("Round", w.op("Div", w.op("Sub", x1, remainder_floats(w, call, x1, x2)), x2))
    by_zero = w.op("Equal", x2, w.constant(0, _dtype(call)))
    return w.op("Where", by_zero, w.op("Div", x1, x2), whole)


@ROWS("remainder", when=_integers)
def remainder(w: Writer, call: Call, x1: IrValue, x2: IrValue) -> IrValue:
    return w.op("Mod", x1, x2)


@ROWS("remainder", when=_floats)
def remainder_floats(w: Writer, call: Call, x1: IrValue, x2: IrValue) -> IrValue:
    """Mod of floating-point numbers has the sign of the first."""
    zero = w.constant(0, _dtype(call))
    rest = w.op("Mod", x1, x2, fmod=1)
    apart = w.op("Xor", w.op("Less", rest, zero), w.op("Less", x2, zero))
    wrong = w.op("And", apart, w.op("Not", w.op("Equal", rest, zero)))
    return w.op("Where", wrong, w.op("Add", rest, x2), rest)


@ROWS("square", when=_numbers)
def square(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Mul", x, x)


@ROWS("rsqrt", when=_floats)
def rsqrt(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Reciprocal", w.op("Sqrt", x))


@ROWS("trunc", when=_floats)
def trunc(w: Writer, call: Call, x: IrValue) -> IrValue:
    below = w.op("Less", x, w.constant(0, _dtype(call)))
    return w.op("Where", below, w.op("Ceil", x), w.op("Floor", x))


@ROWS("ceil", "floor", "round", "trunc", when=_integers)
def whole(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Identity", x)


@ROWS("exp2", when=_floats)
def exp2(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Pow", w.constant(2, _dtype(call)), x)


@ROWS("expm1", when=_floats)
def expm1(w: Writer, call: Call, x: IrValue) -> IrValue:
    """tanh(x / 2) · (exp(x) + 1), which cancels nothing beside zero."""
    dtype = _dtype(call)
    half = w.op("Tanh", w.op("Mul", x, w.constant(0.5, dtype)))
    return w.op("Mul", half, w.op("Add", w.op("Exp", x), w.constant(1, dtype)))


@ROWS("log1p", when=_floats)
def log1p(w: Writer, call: Call, x: IrValue) -> IrValue:
    """log(u) · x / (u - 1) for u = 1 + x, whose errors cancel. Source: Goldberg 1991, theorem 4."""
    one = w.constant(1, _dtype(call))
    u = w.op("Add", x, one)
    scaled = w.op("Mul", w.op("Log", u), w.op("Div", x, w.op("Sub", u, one)))
    found = w.op("Where", w.op("Equal", u, one), x, scaled)
    return w.op("Where", w.op("IsInf", u), u, found)


@ROWS("isfinite", when=_floats)
def isfinite(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Not", w.op("Or", w.op("IsNaN", x), w.op("IsInf", x)))


@ROWS("stop_gradient")
def stop_gradient(w: Writer, call: Call, x: IrValue) -> IrValue:
    return x


@ROWS("astype")
def astype(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.cast(x, call.x.dtype, call.dtype)


for _name, _direction in (("bitwise_left_shift", "LEFT"), ("bitwise_right_shift", "RIGHT")):
    ROWS(_name, when=lambda call: _dtype(call).startswith("uint"))(
        lambda w, call, x1, x2, direction=_direction: w.op("BitShift", x1, x2, direction=direction)
    )

# -- arrays out of nothing -------------------------------------------------------------------------------------------


def _static(call: Call) -> bool:
    return not any(isinstance(size, Dim) for value in vars(call).values() for size in _flat(value))


def _flat(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple) else (value,)


def _few(call: Call) -> bool:
    return _static(call) and int(product(call.result[0].shape)) <= SMALL


_WINDOWS = ("hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window", "gaussian_window")


def _known(w: Writer, call: Call, *, name: str) -> IrValue:
    """The array itself, which NumPy makes."""
    attributes = {key: value for key, value in vars(call).items() if key != "result"}
    return w.constant(OPS[name].on("numpy", **attributes), call.result[0].dtype)


for _name in ("full", "arange", "eye"):
    ROWS(_name, when=_few)(lambda w, call, name=_name: _known(w, call, name=name))
for _name in ("linspace", *_WINDOWS):
    ROWS(_name, when=_static)(lambda w, call, name=_name: _known(w, call, name=name))


@ROWS("full")
def full(w: Writer, call: Call) -> IrValue:
    if isinstance(call.fill_value, Dim):
        number = w.number(call.fill_value, call.dtype)
    else:
        number = w.constant(call.fill_value, call.dtype)
    return number if call.shape == () else w.op("Expand", number, w.ints(call.shape))


@ROWS("arange", when=lambda call: call.dtype in ("int32", "int64", "float32", "float64"))
def arange(w: Writer, call: Call) -> IrValue:
    return w.op("Range", *(w.number(value, call.dtype) for value in (call.start, call.stop, call.step)))


@ROWS("eye")
def eye(w: Writer, call: Call) -> IrValue:
    rows, columns = call.result[0].shape
    row = w.op("Unsqueeze", _count(w, rows), w.ints((1,)))
    return w.cast(w.op("Equal", row, _count(w, columns)), "bool", call.dtype)


def _count(w: Writer, size: Any) -> IrValue:
    return w.op("Range", w.number(0), w.number(size), w.number(1))


# -- shapes ----------------------------------------------------------------------------------------------------------


@ROWS("reshape")
def reshape(w: Writer, call: Call, x: IrValue) -> IrValue:
    shape = list(call.shape)
    symbolic = [axis for axis, size in enumerate(shape) if isinstance(size, Dim)]
    empty = 0 in shape
    if len(symbolic) == 1 and not empty:
        shape[symbolic[0]] = -1
    return w.op("Reshape", x, w.ints(shape), allowzero=1 if empty else None)


@ROWS("transpose")
def transpose(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Transpose", x, perm=list(call.axes)) if call.axes else w.op("Identity", x)


@ROWS("broadcast_to")
def broadcast_to(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Expand", x, w.ints(call.shape))


@ROWS("flip")
def flip(w: Writer, call: Call, x: IrValue) -> IrValue:
    axes = normalize_axes(call.axis, call.x.ndim)
    ends = w.ints((_MIN,) * len(axes))
    return w.op("Slice", x, w.ints((-1,) * len(axes)), ends, w.ints(axes), w.ints((-1,) * len(axes)))


@ROWS("roll")
def roll(w: Writer, call: Call, x: IrValue) -> IrValue:
    shifts = (call.shift,) if isinstance(call.shift, int) else call.shift
    axes = (call.axis,) if isinstance(call.axis, int) else call.axis
    for shift, axis in zip(shifts, axes, strict=True):
        axis = normalize_axis(axis, call.x.ndim)
        size = call.x.shape[axis]
        if size == 0:
            continue
        start, on = w.ints((size - shift % size,)), w.ints((axis,))
        after = w.op("Slice", x, start, w.ints((_MAX,)), on)
        x = w.op("Concat", after, w.op("Slice", x, w.ints((0,)), start, on), axis=axis)
    return x


@ROWS("tile")
def tile(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Tile", x, w.ints(call.repetitions)) if call.repetitions else w.op("Identity", x)


@ROWS("repeat")
def repeat(w: Writer, call: Call, x: IrValue) -> IrValue:
    axis = normalize_axis(call.axis, call.x.ndim)
    shape = call.x.shape
    spread = w.op("Unsqueeze", x, w.ints((axis + 1,)))
    spread = w.op("Expand", spread, w.ints((*shape[: axis + 1], call.repeats, *shape[axis + 1 :])))
    return w.op("Reshape", spread, w.ints(call.result[0].shape), allowzero=1)


@ROWS("pad", when=lambda call: all(not isinstance(s, int) or s >= 0 for pair in call.padding for s in pair))
def pad(w: Writer, call: Call, x: IrValue) -> IrValue:
    pads = w.ints([before for before, _ in call.padding] + [after for _, after in call.padding])
    value = w.constant(call.value, call.x.dtype) if call.mode == "constant" else None
    return w.op("Pad", x, pads, value, mode=call.mode)


@ROWS("concat")
def concat(w: Writer, call: Call, arrays: Sequence[IrValue]) -> IrValue:
    return w.op("Concat", *arrays, axis=normalize_axis(call.axis, call.arrays[0].ndim))


@ROWS("stack")
def stack(w: Writer, call: Call, arrays: Sequence[IrValue]) -> IrValue:
    axis = normalize_axis(call.axis, call.arrays[0].ndim + 1)
    return w.op("Concat", *(w.op("Unsqueeze", each, w.ints((axis,))) for each in arrays), axis=axis)


@ROWS("split")
def split(w: Writer, call: Call, x: IrValue) -> Any:
    found = w.op("Split", x, w.ints(call.sizes), outputs=len(call.sizes), axis=normalize_axis(call.axis, call.x.ndim))
    return found if isinstance(found, tuple) else (found,)


# -- indices ---------------------------------------------------------------------------------------------------------


@ROWS("getitem")
def getitem(w: Writer, call: Call, x: IrValue) -> IrValue:
    starts, stops, axes, steps, chosen, new = [], [], [], [], [], []
    axis = place = 0
    for item in call.key:
        if item is None:
            new.append(place)
            place += 1
            continue
        if isinstance(item, tuple):
            start, stop, step = item
            backwards = isinstance(step, int) and step < 0
            if (start, stop, step) != (None, None, None):
                starts.append((-1 if backwards else 0) if start is None else start)
                stops.append((_MIN if backwards else _MAX) if stop is None else stop)
                steps.append(1 if step is None else step)
                axes.append(axis)
            place += 1
        else:
            chosen.append((axis, item))
        axis += 1
    if axes:
        x = w.op("Slice", x, w.ints(starts), w.ints(stops), w.ints(axes), w.ints(steps))
    for axis, item in reversed(chosen):  # the last first, so that the others stay where they are
        x = w.op("Gather", x, w.number(item), axis=axis)
    if new:
        x = w.op("Unsqueeze", x, w.ints(new))
    return x if axes or chosen or new else w.op("Identity", x)


def _positions(w: Writer, indices: IrValue, spec: Spec) -> IrValue:
    return w.cast(indices, spec.dtype, "int64")


@ROWS("take")
def take(w: Writer, call: Call, x: IrValue, indices: IrValue) -> IrValue:
    return w.op("Gather", x, _positions(w, indices, call.indices), axis=normalize_axis(call.axis, call.x.ndim))


def _indexed(call: Call) -> tuple[list[int], list[int], tuple[Any, ...]]:
    """The axes with positions, all axes with those first, and the shape that positions have together."""
    axes = [axis for axis, each in enumerate(call.indices) if each is not None]
    order = [*axes, *(axis for axis in range(call.x.ndim) if axis not in axes)]
    return axes, order, broadcast_shapes(*(each.shape for each in call.indices if each is not None))


def _place(axes: Sequence[int]) -> int:
    """Where the new axes stand: where the old ones stood if those are neighbours, else first."""
    return axes[0] if list(axes) == list(range(axes[0], axes[-1] + 1)) else 0


def _tuples(w: Writer, call: Call, indices: Sequence[Any], shape: tuple[Any, ...]) -> IrValue:
    """Positions on every indexed axis side by side on a new last axis."""
    parts = []
    for each, spec in zip(indices, call.indices, strict=True):
        if each is not None:
            found = _positions(w, each, spec)
            found = found if spec.shape == shape else w.op("Expand", found, w.ints(shape))
            parts.append(w.op("Unsqueeze", found, w.ints((len(shape),))))
    return parts[0] if len(parts) == 1 else w.op("Concat", *parts, axis=len(shape))


@ROWS("index", when=lambda call: sum(each is not None for each in call.indices) == 1)
def index_one(w: Writer, call: Call, x: IrValue, indices: Sequence[Any]) -> IrValue:
    (axis,), _, _ = _indexed(call)
    return w.op("Gather", x, _positions(w, indices[axis], call.indices[axis]), axis=axis)


@ROWS("index")
def index(w: Writer, call: Call, x: IrValue, indices: Sequence[Any]) -> IrValue:
    axes, order, shape = _indexed(call)
    first = x if order == sorted(order) else w.op("Transpose", x, perm=order)
    found = w.op("GatherND", first, _tuples(w, call, indices, shape))
    place, count, rest = _place(axes), len(shape), call.x.ndim - len(axes)
    back = [*range(count, count + place), *range(count), *range(count + place, count + rest)]
    return found if place == 0 else w.op("Transpose", found, perm=back)


_REDUCTIONS = {"at_set": None, "at_add": "add", "at_max": "max", "at_min": "min"}


def _scatter(w: Writer, call: Call, x: IrValue, indices: Sequence[Any], values: IrValue, *, reduction: Any) -> IrValue:
    axes, order, shape = _indexed(call)
    kept = [call.x.shape[axis] for axis in order[len(axes) :]]
    place, count = _place(axes), len(shape)
    whole = (*kept[:place], *shape, *kept[place:])
    if not isinstance(call.values, Spec) or call.values.shape != whole:
        values = w.op("Expand", values, w.ints(whole))
    if place:
        axes_first = [*range(place, place + count), *range(place), *range(place + count, len(whole))]
        values = w.op("Transpose", values, perm=axes_first)
    moved = order != sorted(order)
    first = w.op("Transpose", x, perm=order) if moved else x
    found = w.op("ScatterND", first, _tuples(w, call, indices, shape), values, reduction=reduction)
    return w.op("Transpose", found, perm=[order.index(axis) for axis in range(len(order))]) if moved else found


for _name, _reduction in _REDUCTIONS.items():
    ROWS(_name)(
        lambda w, call, x, indices, values, reduction=_reduction: _scatter(
            w, call, x, indices, values, reduction=reduction
        )
    )


@ROWS("take_along_axis")
def take_along_axis(w: Writer, call: Call, x: IrValue, indices: IrValue) -> IrValue:
    axis = normalize_axis(call.axis, call.x.ndim)
    shape = call.result[0].shape
    source = (*shape[:axis], call.x.shape[axis], *shape[axis + 1 :])
    x = x if source == call.x.shape else w.op("Expand", x, w.ints(source))
    positions = _positions(w, indices, call.indices)
    positions = positions if shape == call.indices.shape else w.op("Expand", positions, w.ints(shape))
    return w.op("GatherElements", x, positions, axis=axis)


def _ranked(w: Writer, call: Call, x: IrValue, k: Any, largest: bool) -> tuple[IrValue, IrValue]:
    axis = normalize_axis(call.axis, call.x.ndim)
    return w.op("TopK", x, w.ints((k,)), outputs=2, axis=axis, largest=int(largest), sorted=1)


@ROWS("sort", when=_numbers)
def sort(w: Writer, call: Call, x: IrValue) -> IrValue:
    return _ranked(w, call, x, call.x.shape[call.axis], call.descending)[0]


@ROWS("argsort", when=_numbers)
def argsort(w: Writer, call: Call, x: IrValue) -> IrValue:
    return _ranked(w, call, x, call.x.shape[call.axis], call.descending)[1]


@ROWS("topk", when=_numbers)
def topk(w: Writer, call: Call, x: IrValue) -> Any:
    return _ranked(w, call, x, call.k, True)


@ROWS("searchsorted")
def searchsorted(w: Writer, call: Call, x1: IrValue, x2: IrValue) -> IrValue:
    """How many numbers stand before each."""
    before = w.op("Less" if call.side == "left" else "LessOrEqual", x1, w.op("Unsqueeze", x2, w.ints((-1,))))
    return w.op("ReduceSum", w.cast(before, "bool", "int64"), w.ints((-1,)), keepdims=0)


# -- reductions ------------------------------------------------------------------------------------------------------

_REDUCED = {"sum": "ReduceSum", "prod": "ReduceProd", "mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin"}


_WIDER = {"int16": "int32", "uint16": "int32", "uint32": "int64"}
"""What onnxruntime has kernels for, of dtypes that it has none for."""


def _reduce(w: Writer, call: Call, x: IrValue, *, kind: str) -> IrValue:
    axes = normalize_axes(call.axis, call.x.ndim)
    dtype: str = call.result[0].dtype
    wide: str = _WIDER.get(dtype, dtype)
    x = w.cast(x, call.x.dtype, wide)
    return (
        w.cast(w.op(kind, x, w.ints(axes), keepdims=int(call.keepdims)), wide, dtype) if axes else w.op("Identity", x)
    )


for _name, _kind in _REDUCED.items():
    ROWS(_name, when=_ordered if _name in ("max", "min") else None)(
        lambda w, call, x, kind=_kind: _reduce(w, call, x, kind=kind)
    )


@ROWS("cumulative_sum")
def cumulative_sum(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op(
        "CumSum", w.cast(x, call.x.dtype, call.result[0].dtype), w.number(normalize_axis(call.axis, call.x.ndim))
    )


def _arg(w: Writer, call: Call, x: IrValue, *, kind: str) -> IrValue:
    dtype: str = call.x.dtype
    x = w.cast(x, dtype, _WIDER.get(dtype, dtype))
    if call.axis is not None:
        return w.op(kind, x, axis=normalize_axis(call.axis, call.x.ndim), keepdims=int(call.keepdims))
    found = w.op(kind, w.op("Reshape", x, w.ints((-1,))), axis=0, keepdims=0)
    return w.op("Reshape", found, w.ints(call.result[0].shape))


for _name, _kind in (("argmax", "ArgMax"), ("argmin", "ArgMin")):
    ROWS(_name, when=_ordered)(lambda w, call, x, kind=_kind: _arg(w, call, x, kind=kind))

# -- products --------------------------------------------------------------------------------------------------------


@ROWS("einsum")
def einsum(w: Writer, call: Call, operands: Sequence[IrValue]) -> IrValue:
    return w.op("Einsum", *operands, equation=call.equation.replace(" ", ""))


@ROWS("tensordot")
def tensordot(w: Writer, call: Call, x1: IrValue, x2: IrValue) -> IrValue:
    a, b = call.x1.ndim, call.x2.ndim
    first, second = call.axes if isinstance(call.axes, tuple) else (range(a - call.axes, a), range(call.axes))
    left, right = list(string.ascii_lowercase[:a]), list(string.ascii_uppercase[:b])
    for one, other in zip(normalize_axes(tuple(first), a), normalize_axes(tuple(second), b), strict=True):
        right[other] = left[one]
    kept = [letter for letter in left if letter not in right] + [letter for letter in right if letter not in left]
    return w.op("Einsum", x1, x2, equation=f"{''.join(left)},{''.join(right)}->{''.join(kept)}")


@ROWS("diagonal", when=lambda call: not any(isinstance(size, Dim) for size in call.x.shape[-2:]))
def diagonal(w: Writer, call: Call, x: IrValue) -> IrValue:
    """Of the square that begins where the diagonal does, in which its elements are as far apart as in any other."""
    rows, columns = call.x.shape[-2:]
    top, left = max(0, -call.offset), max(0, call.offset)
    size = max(0, min(rows - top, columns - left))
    part = w.op("Slice", x, w.ints((top, left)), w.ints((top + size, left + size)), w.ints((-2, -1)))
    return w.op("Einsum", part, equation="...ii->...i")


@ROWS("det", when=_floats)
def det(w: Writer, call: Call, x: IrValue) -> IrValue:
    return w.op("Det", x)
