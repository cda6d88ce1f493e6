"""Operations that move elements and keep their values (Array API Standard 2025.12, "Manipulation functions")."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ...errors import ShapeError
from ..dims import Dim, Size, product
from ..op import Array, Op, op
from ..spec import Spec, broadcast_shapes, normalize_axis, same_as_first, spec_of

Pairs = tuple[tuple[Size, Size], ...]


# -- one array -------------------------------------------------------------------------------------------------------


def _reshape_spec(x: Spec, *, shape: Sequence[Size]) -> Spec:
    if product(shape) != x.size and not isinstance(x.size, Dim) and not isinstance(product(shape), Dim):
        raise ShapeError(f"expected a shape of {x.size} elements, received {tuple(shape)}")
    return x.with_shape(*shape)


def _open_shape(n: SimpleNamespace) -> Mapping[str, Any]:
    """The shape with its one symbolic size written as -1, as one writes it by hand."""
    if any(isinstance(size, int) and size < -1 for size in n.shape):  # NumPy takes any of them for -1
        raise ShapeError(f"reshape: expected sizes of 0 or more, or -1, received {tuple(n.shape)}")
    symbolic = [i for i, size in enumerate(n.shape) if isinstance(size, Dim)]
    known = product(size for size in n.shape if not isinstance(size, Dim))
    open_axis = symbolic[0] if len(symbolic) == 1 and known != 0 else None
    return {"shape": tuple(-1 if i == open_axis else size for i, size in enumerate(n.shape))}


@op(rule=_reshape_spec, primitive=True)
def reshape(x: Array, /, *, shape: tuple[Size, ...]) -> Array:
    """The same elements, in order, in another shape."""


reshape.lower("torch", "{x}.reshape({shape})", derive=_open_shape)
reshape.lower(("numpy", "jax"), "{x}.reshape({shape})", derive=_open_shape)
reshape.lower("tensorflow", "tf.reshape({x}, {shape})", derive=_open_shape)


def _transpose_spec(x: Spec, *, axes: Sequence[int]) -> Spec:
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(f"expected a permutation of {x.ndim} axes, received {tuple(axes)}")
    return x.with_shape(*(x.shape[axis] for axis in axes))


def _swapped(n: SimpleNamespace) -> tuple[int, int] | None:
    """The two axes that a permutation exchanges, where it does nothing else."""
    moved = [i for i, axis in enumerate(n.axes) if i != axis]
    return (moved[0], moved[1]) if len(moved) == 2 else None


def _swap(n: SimpleNamespace) -> Mapping[str, Any]:
    first, second = _swapped(n) or (0, 0)
    last = len(n.axes) - 1
    return {
        "first": -2 if (first, second) == (last - 1, last) else first,
        "second": -1 if second == last and first == last - 1 else second,
    }


@op(rule=_transpose_spec, primitive=True)
def transpose(x: Array, /, *, axes: tuple[int, ...]) -> Array:
    """The axes in another order: axis i of the result is axis ``axes[i]`` of x."""


transpose.lower(("torch", "numpy", "jax"), "{x}.T", when=lambda n: n.axes == (1, 0))
transpose.lower("torch", "{x}.transpose({first}, {second})", when=_swapped, derive=_swap)
transpose.lower("torch", "{x}.permute({axes})")
transpose.lower(("numpy", "jax"), "{x}.swapaxes({first}, {second})", when=_swapped, derive=_swap)
transpose.lower(("numpy", "jax"), "{x}.transpose({axes})")
transpose.lower("tensorflow", "tf.transpose({x})", when=lambda n: n.axes == (1, 0))
transpose.lower("tensorflow", "tf.transpose({x}, {axes})")


def _broadcast_spec(x: Spec, *, shape: Sequence[Size]) -> Spec:
    if broadcast_shapes(x.shape, shape) != tuple(shape):
        raise ShapeError(f"expected a shape that {x.shape} broadcasts to, received {tuple(shape)}")
    return x.with_shape(*shape)


def _expanded(n: SimpleNamespace) -> Mapping[str, Any]:
    """torch writes -1 for the sizes that stay."""
    offset = len(n.shape) - n.x.ndim
    kept = (
        -1 if axis >= offset and n.x.shape[axis - offset] == size and isinstance(size, Dim) else size
        for axis, size in enumerate(n.shape)
    )
    return {"shape": tuple(kept)}


@op(rule=_broadcast_spec, primitive=True)
def broadcast_to(x: Array, /, *, shape: tuple[Size, ...]) -> Array:
    """x repeated along its axes of size 1 and along new leading axes."""


broadcast_to.lower("torch", "{x}.expand({shape})", derive=_expanded)
broadcast_to.lower("numpy", "np.broadcast_to({x}, {shape})")
broadcast_to.lower("jax", "jnp.broadcast_to({x}, {shape})")
broadcast_to.lower("tensorflow", "tf.broadcast_to({x}, {shape})")


@op(rule=same_as_first, primitive=True)
def flip(x: Array, /, *, axis: int | tuple[int, ...]) -> Array:
    """The order of the elements reversed along axes."""


def _axes_tuple(n: SimpleNamespace) -> Mapping[str, Any]:
    return {"axis": (n.axis,) if isinstance(n.axis, int) else n.axis}


flip.lower("torch", "{x}.flip({axis})", derive=_axes_tuple)
flip.lower("numpy", "np.flip({x}, axis={axis})").lower("jax", "jnp.flip({x}, axis={axis})")
flip.lower("tensorflow", "tf.reverse({x}, axis={axis})", derive=_axes_tuple)


@op(rule=same_as_first, primitive=True)
def roll(x: Array, /, *, shift: int | tuple[int, ...], axis: int | tuple[int, ...]) -> Array:
    """Elements moved along axes; those that leave at the end come back at the start."""


roll.lower("torch", "{x}.roll({shift}, dims={axis})").lower("numpy", "np.roll({x}, {shift}, axis={axis})")
roll.lower("jax", "jnp.roll({x}, {shift}, axis={axis})").lower("tensorflow", "tf.roll({x}, {shift}, axis={axis})")


def _tile_spec(x: Spec, *, repetitions: Sequence[Size]) -> Spec:
    if len(repetitions) != x.ndim:
        raise ShapeError(f"expected one number of repetitions for each of {x.ndim} axes, received {repetitions}")
    return x.with_shape(*(size * n for size, n in zip(x.shape, repetitions, strict=True)))


@op(rule=_tile_spec, primitive=True, strict=True)
def tile(x: Array, /, *, repetitions: tuple[Size, ...]) -> Array:
    """x as a whole, repeated along each axis."""


tile.lower("torch", "{x}.tile({repetitions})").lower("numpy", "np.tile({x}, {repetitions})")
tile.lower("jax", "jnp.tile({x}, {repetitions})").lower("tensorflow", "tf.tile({x}, {repetitions})")


def _repeat_spec(x: Spec, *, repeats: Size, axis: int) -> Spec:
    axis = normalize_axis(axis, x.ndim)
    return x.with_shape(*(size * repeats if i == axis else size for i, size in enumerate(x.shape)))


@op(rule=_repeat_spec, primitive=True)
def repeat(x: Array, /, *, repeats: Size, axis: int) -> Array:
    """Each element repeated along an axis."""


repeat.lower("torch", "{x}.repeat_interleave({repeats}, dim={axis})")
repeat.lower(("numpy", "jax"), "{x}.repeat({repeats}, axis={axis})")
repeat.lower("tensorflow", "tf.repeat({x}, {repeats}, axis={axis})")


def _pad_spec(x: Spec, *, padding: Pairs, mode: str = "constant", value: float = 0) -> Spec:
    if len(padding) != x.ndim or any(len(pair) != 2 for pair in padding):
        raise ShapeError(f"pad expected a (before, after) pair for each of {x.ndim} axes, received {padding}")
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise ShapeError(f"pad expected a mode constant, reflect, edge or wrap, received {mode!r}")
    return x.with_shape(*(size + before + after for size, (before, after) in zip(x.shape, padding, strict=True)))


@op(rule=_pad_spec)
def pad(x: Array, /, *, padding: Pairs, mode: str = "constant", value: float = 0) -> Array:
    """Elements added before and after along each axis.

    Args:
        x: any shape.
        padding: one (before, after) pair for each axis.
        mode: "constant", "reflect" (mirrored at the outermost element, without it), "edge" (the outermost element)
            or "wrap" (from the other side), as numpy.pad has them.
        value: what "constant" adds.
    """
    from .creation import created, full
    from .indexing import getitem

    for axis, (before, after) in enumerate(padding):
        spec = spec_of(x)
        size = spec.shape[axis]
        everything = ((None, None, None),) * axis

        def part(start: Any, stop: Any, of: Array = x, lead: tuple[Any, ...] = everything) -> Array:
            return getitem(of, key=(*lead, (start, stop, None)))

        def side(
            count: Size,
            at_start: bool,
            spec: Spec = spec,
            axis: int = axis,
            size: Any = size,
            part: Any = part,
            of: Array = x,
        ) -> Array:
            shape = (*spec.shape[:axis], count, *spec.shape[axis + 1 :])
            match mode:
                case "constant":
                    return created(full, of, shape=shape, fill_value=value, dtype=spec.dtype)
                case "edge":
                    return broadcast_to(part(0, 1) if at_start else part(size - 1, size), shape=shape)
                case "reflect":
                    return flip(part(1, 1 + count) if at_start else part(size - 1 - count, size - 1), axis=axis)
            return part(size - count, size) if at_start else part(0, count)

        parts = [side(before, True)] * (before != 0) + [x] + [side(after, False)] * (after != 0)
        x = concat(parts, axis=axis) if len(parts) > 1 else x
    return x


_TORCH_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _last_first(n: SimpleNamespace) -> Mapping[str, Any]:
    """torch lists the padding of the last axis first and ends before the first axes without any."""
    used = list(n.padding)
    while used and used[0] == (0, 0):
        used.pop(0)
    return {
        "padding": tuple(itertools.chain.from_iterable(reversed(used))),
        "mode": _TORCH_MODES[n.mode],
        "value": n.value,
    }


def _trailing(n: SimpleNamespace) -> bool:
    """torch mirrors, repeats and wraps on the last one to three axes of arrays with two more or fewer."""
    padded = [axis for axis, pair in enumerate(n.padding) if pair != (0, 0)]
    return bool(padded) and n.x.ndim in (3, 4, 5) and padded == list(range(2, n.x.ndim))


def _constant(n: SimpleNamespace) -> bool:
    _pad_spec(n.x, padding=n.padding, mode=n.mode)  # torch takes fewer pairs as those of the last axes
    return n.mode == "constant"


pad.lower("torch", "F.pad({x}, {padding}, value={value:0})", when=_constant, derive=_last_first)
pad.lower("torch", "F.pad({x}, {padding}, mode={mode})", when=_trailing, derive=_last_first)
pad.lower("numpy", "np.pad({x}, {padding}, constant_values={value:0})", when=_constant)
pad.lower("numpy", "np.pad({x}, {padding}, mode={mode})")
pad.lower("jax", "jnp.pad({x}, {padding}, constant_values={value:0})", when=_constant)
pad.lower("jax", "jnp.pad({x}, {padding}, mode={mode})")
pad.lower("tensorflow", "tf.pad({x}, {padding}, constant_values={value:0})", when=_constant)
pad.lower("tensorflow", 'tf.pad({x}, {padding}, mode="REFLECT")', when=lambda n: n.mode == "reflect")


# -- several arrays --------------------------------------------------------------------------------------------------


def _concat_spec(arrays: Sequence[Spec], *, axis: int) -> Spec:
    first = _alike(arrays)
    axis = normalize_axis(axis, first.ndim)
    for other in arrays[1:]:
        for i, (a, b) in enumerate(zip(first.shape, other.shape, strict=True)):
            if i != axis and a != b:
                raise ShapeError(
                    f"expected arrays that differ on axis {axis} alone, received {', '.join(map(repr, arrays))}"
                )
    total: Size = 0
    for array in arrays:
        total = total + array.shape[axis]
    return first.with_shape(*(total if i == axis else size for i, size in enumerate(first.shape)))


def _alike(arrays: Sequence[Spec]) -> Spec:
    if not arrays:
        raise ShapeError("expected one array or more, received none")
    if len({(array.ndim, array.dtype) for array in arrays}) > 1:
        raise ShapeError(f"expected arrays of one dtype and number of axes, received {', '.join(map(repr, arrays))}")
    return arrays[0]


@op(rule=_concat_spec, primitive=True, promotes=("arrays",))
def concat(arrays: Sequence[Array], /, *, axis: int) -> Array:
    """Arrays one after the other along an axis that they have."""


concat.lower("torch", "torch.cat([*{arrays}], dim={axis})").lower("tensorflow", "tf.concat([*{arrays}], axis={axis})")
concat.lower("numpy", "np.concatenate([*{arrays}], axis={axis})")
concat.lower("jax", "jnp.concatenate([*{arrays}], axis={axis})")


def _stack_spec(arrays: Sequence[Spec], *, axis: int) -> Spec:
    first = _alike(arrays)
    if any(array.shape != first.shape for array in arrays):
        raise ShapeError(f"expected arrays of one shape, received {', '.join(map(repr, arrays))}")
    shape = list(first.shape)
    shape.insert(normalize_axis(axis, first.ndim + 1), len(arrays))
    return first.with_shape(*shape)


@op(rule=_stack_spec, primitive=True, promotes=("arrays",))
def stack(arrays: Sequence[Array], /, *, axis: int) -> Array:
    """Arrays of one shape side by side along a new axis."""


stack.lower("torch", "torch.stack([*{arrays}], dim={axis})").lower("tensorflow", "tf.stack([*{arrays}], axis={axis})")
stack.lower("numpy", "np.stack([*{arrays}], axis={axis})").lower("jax", "jnp.stack([*{arrays}], axis={axis})")


def _split_spec(x: Spec, *, sizes: Sequence[Size], axis: int) -> tuple[Spec, ...]:
    axis = normalize_axis(axis, x.ndim)
    total: Size = 0
    for size in sizes:
        total = total + size
    if isinstance(total, int) and isinstance(x.shape[axis], int) and total != x.shape[axis]:
        raise ShapeError(f"expected sizes that add up to {x.shape[axis]}, received {tuple(sizes)}")
    return tuple(x.with_shape(*(size if i == axis else s for i, s in enumerate(x.shape))) for size in sizes)


def _equal_parts(n: SimpleNamespace) -> bool:
    return len(set(n.sizes)) == 1


def _parts(n: SimpleNamespace) -> Mapping[str, Any]:
    return {"parts": len(n.sizes), "offsets": tuple(itertools.accumulate(n.sizes[:-1]))}


@op(rule=_split_spec, primitive=True, strict=True)
def split(x: Array, /, *, sizes: tuple[Size, ...], axis: int) -> tuple[Array, ...]:  # pyright: ignore[reportReturnType]
    """Pieces of the given sizes along an axis, in order."""


def _lower_split(op: Op) -> None:
    op.lower("torch", "{x}.chunk({parts}, dim={axis})", when=_equal_parts, derive=_parts)
    op.lower("torch", "{x}.split({sizes}, dim={axis})")
    for framework, prefix in (("numpy", "np"), ("jax", "jnp")):
        op.lower(framework, f"{prefix}.split({{x}}, {{parts}}, axis={{axis}})", when=_equal_parts, derive=_parts)
        op.lower(framework, f"{prefix}.split({{x}}, {{offsets}}, axis={{axis}})", derive=_parts)
    op.lower("tensorflow", "tf.split({x}, {parts}, axis={axis})", when=_equal_parts, derive=_parts)
    op.lower("tensorflow", "tf.split({x}, {sizes}, axis={axis})")


_lower_split(split)
