"""Views, and operations that move elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .....engine import ops
from .....engine.dims import Dim, Size, floordiv, minimum, product
from .....engine.spec import broadcast_shapes, normalize_axes, normalize_axis
from .....errors import ShapeError
from .common import FULL, RULES, Array, at_axis, cast, dtype_of, promote_types, shape_of

# -- reshape ---------------------------------------------------------------------------------------------------------


@RULES("aten.view.default", "aten.reshape.default", "aten._unsafe_view.default", "aten._reshape_alias.default")
def view(x: Array, shape: Sequence[Size], *_: Any) -> Array:
    """One size may be -1: what is left of the elements."""
    wanted = list(shape)
    sizes = shape_of(x)
    if -1 in wanted:
        open_axis = wanted.index(-1)
        wanted[open_axis] = 1
        wanted[open_axis] = floordiv(product(sizes), product(wanted))
    return x if tuple(wanted) == sizes else ops.reshape(x, shape=tuple(wanted))


@RULES("aten.view_as.default", "aten.reshape_as.default")
def view_as(x: Array, other: Array) -> Array:
    return view(x, shape_of(other))


@RULES("aten.flatten.using_ints")
def flatten(x: Array, start_dim: int = 0, end_dim: int = -1) -> Array:
    sizes = shape_of(x)
    if not sizes:
        return view(x, (1,))
    start, end = normalize_axes((start_dim,), len(sizes))[0], normalize_axes((end_dim,), len(sizes))[0]
    return view(x, (*sizes[:start], product(sizes[start : end + 1]), *sizes[end + 1 :]))


@RULES("aten.ravel.default")
def ravel(x: Array) -> Array:
    return view(x, (-1,))


@RULES("aten.unflatten.int")
def unflatten(x: Array, dim: int, sizes: Sequence[Size]) -> Array:
    shape = shape_of(x)
    axis = normalize_axis(dim, len(shape))
    parts = [floordiv(shape[axis], product(s for s in sizes if s != -1)) if size == -1 else size for size in sizes]
    return view(x, (*shape[:axis], *parts, *shape[axis + 1 :]))


@RULES("aten.pixel_shuffle.default")
def pixel_shuffle(x: Array, upscale_factor: int) -> Array:
    *batch, channels, height, width = shape_of(x)
    r, n = upscale_factor, len(batch)
    y = ops.reshape(x, shape=(*batch, floordiv(channels, r * r), r, r, height, width))
    y = ops.transpose(y, axes=(*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return ops.reshape(y, shape=(*batch, floordiv(channels, r * r), height * r, width * r))


@RULES("aten.pixel_unshuffle.default")
def pixel_unshuffle(x: Array, downscale_factor: int) -> Array:
    *batch, channels, height, width = shape_of(x)
    r, n = downscale_factor, len(batch)
    y = ops.reshape(x, shape=(*batch, channels, floordiv(height, r), r, floordiv(width, r), r))
    y = ops.transpose(y, axes=(*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return ops.reshape(y, shape=(*batch, channels * r * r, floordiv(height, r), floordiv(width, r)))


@RULES("aten.channel_shuffle.default")
def channel_shuffle(x: Array, groups: int) -> Array:
    batch, channels, *rest = shape_of(x)
    y = ops.reshape(x, shape=(batch, groups, floordiv(channels, groups), *rest))
    y = ops.transpose(y, axes=(0, 2, 1, *range(3, 3 + len(rest))))
    return ops.reshape(y, shape=(batch, channels, *rest))


# -- order of axes ---------------------------------------------------------------------------------------------------


@RULES("aten.permute.default")
def permute(x: Array, dims: Sequence[int]) -> Array:
    axes = normalize_axes(tuple(dims), len(dims))
    return x if axes == tuple(range(len(axes))) else ops.transpose(x, axes=axes)


@RULES("aten.transpose.int", "aten.swapaxes.default", "aten.swapdims.default")
def transpose(x: Array, dim0: int, dim1: int) -> Array:
    ndim = len(shape_of(x))
    axes = list(range(ndim))
    if ndim:
        a, b = normalize_axis(dim0, ndim), normalize_axis(dim1, ndim)
        axes[a], axes[b] = b, a
    return permute(x, axes)


@RULES("aten.t.default", "aten.numpy_T.default")
def t(x: Array) -> Array:
    return permute(x, range(len(shape_of(x)))[::-1])


@RULES("aten.mT.default")
def matrix_transpose(x: Array) -> Array:
    return transpose(x, -2, -1)


@RULES("aten.movedim.int", "aten.movedim.intlist", "aten.moveaxis.int", "aten.moveaxis.intlist")
def movedim(x: Array, source: int | Sequence[int], destination: int | Sequence[int]) -> Array:
    ndim = len(shape_of(x))
    sources = normalize_axes(source, ndim)
    places = dict(zip(normalize_axes(destination, ndim), sources, strict=True))
    rest = (axis for axis in range(ndim) if axis not in sources)
    return permute(x, [places[i] if i in places else next(rest) for i in range(ndim)])


# -- axes of size one ------------------------------------------------------------------------------------------------


@RULES("aten.unsqueeze.default")
def unsqueeze(x: Array, dim: int) -> Array:
    return at_axis(x, normalize_axis(dim, len(shape_of(x)) + 1), None)


@RULES("aten.squeeze.default", "aten.squeeze.dim", "aten.squeeze.dims")
def squeeze(x: Array, dim: int | Sequence[int] | None = None) -> Array:
    sizes = shape_of(x)
    axes = normalize_axes(dim, len(sizes)) if sizes else ()
    key = tuple(0 if axis in axes and size == 1 else FULL for axis, size in enumerate(sizes))
    return ops.getitem(x, key=_trimmed(key)) if 0 in key else x


def _trimmed(key: tuple[Any, ...]) -> tuple[Any, ...]:
    while key and key[-1] == FULL:
        key = key[:-1]
    return key


def with_batch(x: Array, count: int) -> tuple[Array, bool]:
    """(channels, ...) with ``count`` spatial axes with a batch axis before it, and whether it had one."""
    return (x, True) if len(shape_of(x)) == count + 2 else (unsqueeze(x, 0), False)


def without_batch(x: Array, batched: bool) -> Array:
    """x as it was before `with_batch`."""
    return x if batched else view(x, shape_of(x)[1:])


@RULES("aten.expand.default")
def expand(x: Array, sizes: Sequence[Size], *, implicit: bool = False) -> Array:
    own = shape_of(x)
    offset = len(sizes) - len(own)
    shape = tuple(own[i - offset] if size == -1 else size for i, size in enumerate(sizes))
    return x if shape == own else ops.broadcast_to(x, shape=shape)


@RULES("aten.expand_as.default")
def expand_as(x: Array, other: Array) -> Array:
    return expand(x, shape_of(other))


@RULES("aten.broadcast_to.default")
def broadcast_to(x: Array, size: Sequence[Size]) -> Array:
    return expand(x, size)


@RULES("aten.broadcast_tensors.default")
def broadcast_tensors(arrays: Sequence[Array]) -> tuple[Array, ...]:
    shape = broadcast_shapes(*map(shape_of, arrays))
    return tuple(expand(x, shape) for x in arrays)


@RULES("aten.meshgrid.default", "aten.meshgrid.indexing")
def meshgrid(arrays: Sequence[Array], *, indexing: str = "ij") -> tuple[Array, ...]:
    sizes = [product(shape_of(x)) for x in arrays]
    places = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        places[:2] = [1, 0]
    shape = tuple(sizes[i] for i in places)
    lines = (view(x, tuple(-1 if place == i else 1 for place in places)) for i, x in enumerate(arrays))
    return tuple(expand(line, shape) for line in lines)


# -- slices ----------------------------------------------------------------------------------------------------------


@RULES("aten.slice.Tensor")
def slice_(x: Array, dim: int = 0, start: Size | None = None, end: Size | None = None, step: int = 1) -> Array:
    sizes = shape_of(x)
    axis = normalize_axis(dim, len(sizes))
    size = sizes[axis]
    if start == 0:
        start = None
    if end == size or (isinstance(end, int) and end >= (size if isinstance(size, int) else 2**62)):
        end = None
    return at_axis(x, axis, (start, end, None if step == 1 else step))


@RULES("aten.narrow.default")
def narrow(x: Array, dim: int, start: Size, length: Size) -> Array:
    return slice_(x, dim, start, start + length)


@RULES("aten.select.int")
def select(x: Array, dim: int, index: Size) -> Array:
    return at_axis(x, normalize_axis(dim, len(shape_of(x))), index)


@RULES("aten.unbind.int")
def unbind(x: Array, dim: int = 0) -> tuple[Array, ...]:
    size = shape_of(x)[dim]
    return tuple(select(x, dim, i) for i in range(int(size)))  # type: ignore[arg-type]


@RULES("aten.split.Tensor", "aten.split.sizes", "aten.split_with_sizes.default")
def split(x: Array, sizes: int | Sequence[Size], dim: int = 0) -> tuple[Array, ...]:
    if isinstance(sizes, int | Dim):
        total = shape_of(x)[dim]
        count = floordiv(total + sizes - 1, sizes)
        if not isinstance(count, int):
            raise ShapeError(f"expected an axis of known length to split into parts of {sizes}, received {total}")
        sizes = [*[sizes] * (count - 1), total - sizes * (count - 1)]
    return (x,) if len(sizes) == 1 else tuple(ops.split(x, sizes=tuple(sizes), axis=dim))


@RULES("aten.chunk.default")
def chunk(x: Array, chunks: int, dim: int = 0) -> tuple[Array, ...]:
    total = shape_of(x)[dim]
    return split(x, floordiv(total + chunks - 1, chunks), dim)


@RULES("aten.tensor_split.sections")
def tensor_split(x: Array, sections: int, dim: int = 0) -> tuple[Array, ...]:
    total = shape_of(x)[dim]
    small, more = floordiv(total, sections), total % sections
    return split(x, [small + (i < more) for i in range(sections)], dim)  # type: ignore[operator]


@RULES("aten.unfold.default")
def unfold(x: Array, dimension: int, size: int, step: int) -> Array:
    """Windows of an axis, their elements on a new last axis."""
    sizes = shape_of(x)
    axis = normalize_axis(dimension, len(sizes))
    count = floordiv(sizes[axis] - size, step) + 1
    parts = [slice_(x, axis, i, i + (count - 1) * step + 1, step) for i in range(size)]
    return ops.stack(parts, axis=len(sizes))


# -- several arrays --------------------------------------------------------------------------------------------------


def _alike(arrays: Sequence[Array]) -> list[Array]:
    dtype = dtype_of(arrays[0])
    for x in arrays[1:]:
        dtype = promote_types(dtype, dtype_of(x))
    return [cast(x, dtype) for x in arrays]


@RULES("aten.cat.default", "aten.concat.default", "aten.concatenate.default")
def cat(arrays: Sequence[Array], dim: int = 0) -> Array:
    """An empty array of one axis may stand beside arrays of more; it is left out, as PyTorch does."""
    full = [x for x in arrays if shape_of(x) != (0,)] or list(arrays[:1])
    return full[0] if len(full) == 1 else ops.concat(_alike(full), axis=dim)


@RULES("aten.stack.default")
def stack(arrays: Sequence[Array], dim: int = 0) -> Array:
    return ops.stack(_alike(arrays), axis=dim)


# -- repetition, order, padding --------------------------------------------------------------------------------------


@RULES("aten.repeat.default", "aten.tile.default")
def repeat(x: Array, repeats: Sequence[Size]) -> Array:
    sizes = shape_of(x)
    repeats = (*(1,) * (len(sizes) - len(repeats)), *repeats)
    sizes = (*(1,) * (len(repeats) - len(sizes)), *sizes)
    if all(n == 1 or size == 1 for n, size in zip(repeats, sizes, strict=True)):
        return expand(x, tuple(n if size == 1 else size for n, size in zip(repeats, sizes, strict=True)))
    return ops.tile(view(x, sizes), repetitions=tuple(repeats))


@RULES("aten.repeat_interleave.self_int")
def repeat_interleave(x: Array, repeats: Size, dim: int | None = None, *, output_size: Size | None = None) -> Array:
    if repeats == 1 and dim is not None:
        return x
    return ops.repeat(ravel(x) if dim is None else x, repeats=repeats, axis=0 if dim is None else dim)


@RULES("aten.flip.default")
def flip(x: Array, dims: Sequence[int]) -> Array:
    return ops.flip(x, axis=tuple(dims)) if dims else x


@RULES("aten.roll.default")
def roll(x: Array, shifts: Sequence[int], dims: Sequence[int] = ()) -> Array:
    steps, axes = ([values] if isinstance(values, int) else [*values] for values in (shifts, dims))
    if not axes:
        return view(ops.roll(ravel(x), shift=steps[0], axis=0), shape_of(x))
    if len(axes) == 1:
        return ops.roll(x, shift=steps[0], axis=axes[0])
    return ops.roll(x, shift=tuple(steps), axis=tuple(axes))


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@RULES("aten.pad.default")
def pad(x: Array, pad: Sequence[Size], mode: str = "constant", value: float | None = None) -> Array:
    """PyTorch lists (before, after) of the last axis first. Negative padding cuts off."""
    sizes = shape_of(x)
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    pairs = [(0, 0)] * (len(sizes) - len(pairs)) + pairs
    grown = tuple((before - minimum(before, 0), after - minimum(after, 0)) for before, after in pairs)
    if mode == "replicate" and any(pair != (0, 0) for pair in grown):  # first, as what is left may be nothing
        x = ops.pad(x, padding=grown, mode="edge")
        sizes, grown = shape_of(x), ()
    for axis, (before, after) in enumerate(pairs):
        low, high = minimum(before, 0), minimum(after, 0)
        x = slice_(x, axis, -low if low != 0 else None, sizes[axis] + high if high != 0 else None)
    if all(pair == (0, 0) for pair in grown):
        return x
    value = 0 if value is None else value
    value = float(value) if "float" in dtype_of(x) else int(value)
    return ops.pad(x, padding=grown, mode=_PAD_MODES[mode], value=0 if value == 0 else value)


@RULES("aten.constant_pad_nd.default")
def constant_pad(x: Array, padding: Sequence[Size], value: float = 0) -> Array:
    return pad(x, padding, "constant", value)


for _count in (1, 2, 3):
    RULES(f"aten.reflection_pad{_count}d.default")(lambda x, padding: pad(x, padding, "reflect"))
    RULES(f"aten.replication_pad{_count}d.default")(lambda x, padding: pad(x, padding, "replicate"))


@RULES("aten.diff.default")
def diff(x: Array, n: int = 1, dim: int = -1, prepend: Array | None = None, append: Array | None = None) -> Array:
    x = cat([part for part in (prepend, x, append) if part is not None], dim)
    for _ in range(n):
        later, earlier = slice_(x, dim, 1), slice_(x, dim, None, -1)
        x = ops.logical_xor(later, earlier) if dtype_of(x) == "bool" else later - earlier
    return x
