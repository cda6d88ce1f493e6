"""What TensorFlow lacks. See `ivyhub.engine.support`."""

# pyright: basic, reportOptionalOperand=false, reportOperatorIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false
# (A static size is None where it is unknown; the sizes that are computed with here are features, which are known. The
# stubs know neither `...` in an index nor tensors among the numbers of a list, nor gradients of one result or several.)

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from .tensorflow_sequences import ctc_loss as ctc_loss
from .tensorflow_sequences import gru as gru
from .tensorflow_sequences import lstm as lstm
from .tensorflow_sequences import rnn as rnn
from .tensorflow_sequences import scan as scan


def attention(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    mask: tf.Tensor | None = None,
    *,
    scale: float | None = None,
    causal: bool = False,
    dropout: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tf.Tensor:
    """Scaled dot-product attention over tensors of (batch, length, heads, features).

    ``mask`` broadcasts to (batch, heads, queries, keys). It is True where a query attends to a key, or is added to the
    scores. A query that attends to no key gets zeros. ``dropout`` is applied to the attention weights.
    """
    factor: float = query.shape[-1] ** -0.5 if scale is None else scale
    query, key, value = (tf.transpose(each, (0, 2, 1, 3)) for each in (query * factor, key, value))
    scores = tf.matmul(query, key, transpose_b=True)
    if causal:
        mask = tf.range(tf.shape(query)[2])[:, None] >= tf.range(tf.shape(key)[2])
    if mask is not None:
        attends, bias = (mask, tf.zeros((), scores.dtype)) if mask.dtype == tf.bool else (mask != -float("inf"), mask)
        scores += tf.where(attends, bias, scores.dtype.min / 2)
    weights = tf.nn.softmax(scores)
    if dropout is not None:
        weights = dropout(weights)
    result = tf.matmul(weights, value)
    if mask is not None:
        result = tf.where(tf.reduce_any(attends, -1, keepdims=True), result, 0)
    return tf.transpose(result, (0, 2, 1, 3))


def conv_transpose(
    x: tf.Tensor, kernel: tf.Tensor, *, strides: Sequence[int], padding: Sequence[Sequence[int]]
) -> tf.Tensor:
    """`tf.nn.conv_transpose` over (batch, ..., channels) with a kernel of (..., out, in) channels.

    ``padding`` is what is cut off before and after each axis of the image; less than nothing adds zeros behind it.
    """
    found, cut, rows = [tf.shape(x)[0]], [slice(None)], enumerate(zip(strides, padding, strict=True))
    for axis, (step, (before, after)) in rows:
        size = (tf.shape(x)[axis + 1] if x.shape[axis + 1] is None else x.shape[axis + 1]) - 1
        found.append(size * step + kernel.shape[axis] - min(after, 0))
        cut.append(slice(before or None, -after if after > 0 else None))
    y = tf.nn.conv_transpose(x, kernel, tf.stack([*found, kernel.shape[-2]]), strides, padding="VALID")
    return y[tuple(cut)] if any(map(any, padding)) else y


def gelu(x: tf.Tensor) -> tf.Tensor:
    """x times the normal distribution's cumulative density at x, by erf: `tf.nn.gelu` calls erfc, which is slower."""
    return x * (0.5 * (1 + tf.math.erf(x * 0.5**0.5)))


def igamma(a: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """The regularized lower incomplete gamma function; at a = 0 it is 1, at both of them 0 no number."""
    return tf.where(a == 0, tf.where(x == 0, math.nan, tf.ones_like(a * x)), tf.math.igamma(a, x))


def igammac(a: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """The regularized upper incomplete gamma function, 1 - `igamma`."""
    return tf.where(a == 0, tf.where(x == 0, math.nan, tf.zeros_like(a * x)), tf.math.igammac(a, x))


def index(x: tf.Tensor, indices: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """x[indices] as in NumPy's advanced indexing, with None for an axis that is taken whole."""
    first, *others = indices
    if first is not None and not others:
        return tf.gather(x, _wrapped(first, tf.shape(x)[0]))
    front, positions, place = _in_front(x, indices)
    picked = tf.gather_nd(tf.transpose(x, front), positions)
    new = positions.shape.rank - 1  # the axes of the positions: put them where the indexed axes were
    order = [*range(new, new + place), *range(new), *range(new + place, picked.shape.rank)]
    return tf.transpose(picked, order)


def at_set(x: tf.Tensor, indices: Sequence[tf.Tensor | None], values: tf.Tensor) -> tf.Tensor:
    """x with ``x[indices]`` replaced by values."""
    return _scattered(tf.tensor_scatter_nd_update, x, indices, values)


def at_add(x: tf.Tensor, indices: Sequence[tf.Tensor | None], values: tf.Tensor) -> tf.Tensor:
    """x with values added to ``x[indices]``; where a position comes twice, both are added."""
    return _scattered(tf.tensor_scatter_nd_add, x, indices, values)


def at_max(x: tf.Tensor, indices: Sequence[tf.Tensor | None], values: tf.Tensor) -> tf.Tensor:
    """x with ``x[indices]`` replaced by the largest of it and the values that go there."""
    return _scattered(tf.tensor_scatter_nd_max, x, indices, values)


def at_min(x: tf.Tensor, indices: Sequence[tf.Tensor | None], values: tf.Tensor) -> tf.Tensor:
    """x with ``x[indices]`` replaced by the smallest of it and the values that go there."""
    return _scattered(tf.tensor_scatter_nd_min, x, indices, values)


def _scattered(
    scatter: Callable[..., tf.Tensor], x: tf.Tensor, indices: Sequence[tf.Tensor | None], values: tf.Tensor
) -> tf.Tensor:
    front, positions, place = _in_front(x, indices)
    new = positions.shape.rank - 1
    moved = tf.transpose(x, front)
    kept = tf.shape(moved)[positions.shape[-1] :]
    shape = tf.concat([kept[:place], tf.shape(positions)[:-1], kept[place:]], 0)
    values = tf.broadcast_to(tf.cast(values, x.dtype), shape)
    order = [*range(place, place + new), *range(place), *range(place + new, values.shape.rank)]
    updates = tf.transpose(values, order)
    if not new:  # one position: the kernels want a list
        positions, updates = positions[None], updates[None]
    result = scatter(moved, positions, updates)
    return tf.transpose(result, [front.index(axis) for axis in range(len(front))])


def _in_front(x: tf.Tensor, indices: Sequence[tf.Tensor | None]) -> tuple[list[int], tf.Tensor, int]:
    """The order of axes that puts the indexed ones first, the positions side by side, and where they will stand."""
    axes = [axis for axis, each in enumerate(indices) if each is not None]
    wrapped = [_wrapped(each, tf.shape(x)[axis]) for axis, each in enumerate(indices) if each is not None]
    shape = tf.shape(wrapped[0])
    for each in wrapped[1:]:
        shape = tf.broadcast_dynamic_shape(shape, tf.shape(each))
    positions = tf.stack([tf.broadcast_to(each, shape) for each in wrapped], axis=-1)
    together = axes == list(range(axes[0], axes[-1] + 1))
    return [*axes, *(axis for axis in range(x.shape.rank) if axis not in axes)], positions, axes[0] if together else 0


def _wrapped(positions: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Positions from the end counted from the start."""
    positions = tf.cast(positions, tf.int32)
    return tf.where(positions < 0, positions + size, positions)


def stop_gradient_where(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """x, with no gradient to the rows where ``mask`` is True: padding that is not learned."""
    return tf.where(tf.expand_dims(mask, -1), tf.stop_gradient(x), x)


def complex_(real: tf.Tensor, imag: tf.Tensor) -> tf.Tensor:
    """real + i · imag, broadcast."""
    shape = tf.broadcast_dynamic_shape(tf.shape(real), tf.shape(imag))
    return tf.complex(tf.broadcast_to(real, shape), tf.broadcast_to(imag, shape))


def sqrt(x: tf.Tensor) -> tf.Tensor:
    """The square root of complex numbers; below the negative axis, -0.0 too, `tf.sqrt` takes the one from above."""
    found = tf.sqrt(x)
    size = tf.abs(tf.math.imag(found))
    return tf.complex(tf.math.real(found), tf.where(signbit(tf.math.imag(x)), -size, size))


def log(x: tf.Tensor, base: float = math.e) -> tf.Tensor:
    """The logarithm of complex numbers, by parts: `tf.math.log` squares them, and a product has no infinite ones."""
    found = tf.math.log(x)
    real, imag = tf.math.real(found), tf.math.imag(found)
    real = tf.where(tf.math.is_nan(real), tf.math.log(tf.abs(x)), real)
    return tf.complex(real / math.log(base), imag / math.log(base))


def divide(x1: tf.Tensor | complex, x2: tf.Tensor | complex) -> tf.Tensor:
    """The quotient of complex numbers (C99, annex G): beside zero and infinite ones the kernel gives nan.

    What is put right there has no gradient.
    """
    dtype: tf.DType = next(x.dtype for x in (x1, x2) if isinstance(x, tf.Tensor))
    x1, x2 = tf.convert_to_tensor(x1, dtype), tf.convert_to_tensor(x2, dtype)
    found = x1 / x2
    a, b, c, d = (tf.stop_gradient(part(x)) for x in (x1, x2) for part in (tf.math.real, tf.math.imag))
    endless, infinite = _infinite(a, b), _infinite(c, d)
    by_zero = (c == 0) & (d == 0) & ~(tf.math.is_nan(a) & tf.math.is_nan(b))
    a, b = tf.where(endless, _unit(a), a), tf.where(endless, _unit(b), b)
    c, d = tf.where(infinite, _unit(c), c), tf.where(infinite, _unit(d), d)
    size = tf.where(endless & ~infinite, tf.constant(math.inf, a.dtype), tf.zeros((), a.dtype))
    real, imag = size * (a * c + b * d), size * (b * c - a * d)
    pole = tf.where(signbit(c), -math.inf, tf.constant(math.inf, c.dtype))
    real, imag = tf.where(by_zero, pole * a, real), tf.where(by_zero, pole * b, imag)
    known = by_zero | (endless & tf.math.is_finite(c) & tf.math.is_finite(d) & ~infinite)
    known |= infinite & tf.math.is_finite(a) & tf.math.is_finite(b) & ~endless
    lost = tf.math.is_nan(tf.math.real(found)) & tf.math.is_nan(tf.math.imag(found))
    return tf.where(known & lost, tf.complex(real, imag), found)


def _infinite(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Whether a complex number is: one part is enough."""
    return tf.math.is_inf(a) | tf.math.is_inf(b)


def _unit(part: tf.Tensor) -> tf.Tensor:
    """1 or 0 for an infinite part and another, with its sign."""
    size = tf.cast(tf.math.is_inf(part), part.dtype)
    return tf.where(signbit(part), -size, size)


def zero(number: complex, beside: tf.Tensor) -> tf.Tensor | complex:
    """A Python zero, whose sign is kept: the cache of scalars takes 0.0 for -0.0 once it has seen one."""
    if not beside.dtype.is_floating or isinstance(number, complex):
        return number
    plain = tf.zeros((), beside.dtype)
    return -plain if math.copysign(1, number) < 0 else plain


def signbit(x: tf.Tensor) -> tf.Tensor:
    """Whether the sign bit of floating-point numbers is set."""
    return tf.bitcast(x, _as_wide(x)) < 0


def _as_wide(x: tf.Tensor) -> tf.DType:
    """The integers of as many bits."""
    return {2: tf.int16, 4: tf.int32, 8: tf.int64}[x.dtype.size]


def nextafter(x1: tf.Tensor, x2: tf.Tensor) -> tf.Tensor:
    """The number next to x1 in the direction of x2."""
    shape = tf.broadcast_dynamic_shape(tf.shape(x1), tf.shape(x2))
    x1, x2 = tf.broadcast_to(x1, shape), tf.broadcast_to(x2, shape)
    dtype = _as_wide(x1)
    bits = tf.bitcast(x1, dtype)
    step = tf.where((x1 < x2) == (bits >= 0), tf.ones((), dtype), -tf.ones((), dtype))
    least = tf.where(tf.bitcast(x2, dtype) < 0, tf.constant(dtype.min + 1, dtype), tf.ones((), dtype))
    found = tf.bitcast(tf.where(x1 == 0, least, bits + step), x1.dtype)
    found = tf.where(x1 == x2, x2, found)
    return tf.where(tf.math.is_nan(x1) | tf.math.is_nan(x2), x1 + x2, found)


def searchsorted(x1: tf.Tensor, x2: tf.Tensor, side: str = "left") -> tf.Tensor:
    """Where each number of x2 belongs in the sorted vector x1."""
    flat = tf.searchsorted(x1, tf.reshape(x2, [-1]), side=side, out_type=tf.int64)
    return tf.reshape(flat, tf.shape(x2))


def argmax(x: tf.Tensor, axis: int = 0) -> tf.Tensor:
    """Where the largest number stands first; nan, which `tf.argmax` passes over, is the largest."""
    unknown = tf.math.is_nan(x)
    found = tf.argmax(tf.cast(unknown, tf.int8), axis)
    return tf.where(tf.reduce_any(unknown, axis), found, tf.argmax(x, axis))


def argmin(x: tf.Tensor, axis: int = 0) -> tf.Tensor:
    """Where the smallest number stands first, or nan."""
    return argmax(-x, axis)


def argsort(x: tf.Tensor, axis: int = -1, descending: bool = False) -> tf.Tensor:
    """The positions that put numbers in order, nan as the largest; equal ones keep theirs."""
    dtype = _as_wide(x)
    bits = tf.bitcast(tf.where(tf.math.is_nan(x), tf.constant(math.nan, x.dtype), x + 0), dtype)
    ordered = tf.where(bits < 0, tf.bitwise.bitwise_xor(bits, tf.constant(dtype.max, dtype)), bits)
    return tf.cast(tf.argsort(ordered, axis, "DESCENDING" if descending else "ASCENDING"), tf.int64)


def sort(x: tf.Tensor, axis: int = -1, descending: bool = False) -> tf.Tensor:
    """Numbers in order, nan as the largest."""
    order = argsort(x, axis, descending)
    if axis in (-1, x.shape.rank - 1):
        return tf.gather(x, order, batch_dims=-1)
    return tf.experimental.numpy.take_along_axis(x, order, axis)


def diagonal(x: tf.Tensor, offset: int = 0) -> tf.Tensor:
    """The elements on a diagonal of the last two axes."""
    rows, columns = x.shape[-2:]
    size = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    positions = tf.range(size) * (columns + 1) + (offset if offset >= 0 else -offset * columns)
    flat = tf.reshape(x, tf.concat([tf.shape(x)[:-2], [rows * columns]], 0))
    return tf.gather(flat, positions, axis=-1)


def svd(x: tf.Tensor, full_matrices: bool = True) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """U, S and Vᴴ."""
    s, u, v = tf.linalg.svd(x, full_matrices=full_matrices)
    return u, s, tf.linalg.adjoint(v)


def qr(x: tf.Tensor, full_matrices: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
    """Q and R; a power of two brings each matrix near 1, since the kernel's squares overflow, or vanish."""
    sizes = tf.stop_gradient(tf.maximum(tf.abs(tf.math.real(x)), tf.abs(tf.math.imag(x))))
    limit = float(sizes.dtype.max) / 8  # half of its inverse is normal: what is not counts as 0
    largest = tf.clip_by_value(tf.reduce_max(sizes, axis=(-2, -1), keepdims=True), 1 / limit, limit)
    scale = 2.0 ** tf.floor(tf.math.log(largest) / math.log(2))
    q, r = tf.linalg.qr(x * tf.cast(1 / scale, x.dtype), full_matrices=full_matrices)
    return q, r * tf.cast(scale, x.dtype)


def lu(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """L without its diagonal and U in one, the row that each one was exchanged with, and the order of rows."""
    *batch, rows, columns = x.shape
    if rows > columns:  # TensorFlow has it for square matrices: columns that are orthogonal to those of x follow
        q, _ = tf.linalg.qr(x, full_matrices=True)
        found, order = tf.linalg.lu(tf.concat([x, q[..., columns:]], -1))
        found = found[..., :columns]
    else:
        found, order = tf.linalg.lu(x[..., :rows])
        if rows < columns:
            lower = tf.linalg.set_diag(found, tf.ones(tf.shape(found)[:-1], x.dtype))
            others = tf.gather(x[..., rows:], order, batch_dims=len(batch))
            found = tf.concat([found, tf.linalg.triangular_solve(lower, others)], -1)
    now, pivots = tf.broadcast_to(tf.range(rows), tf.shape(order)), []
    for k in range(min(rows, columns)):
        place = tf.argmax(tf.cast(now == order[..., k : k + 1], tf.int32), -1, tf.int32)[..., None]
        pivots.append(place)
        now = tf.where(tf.range(rows) == place, now[..., k : k + 1], now)
        now = tf.where(tf.range(rows) == k, order[..., k : k + 1], now)
    if rows > columns:  # what was exchanged for the columns that followed is put back
        back = tf.argmax(tf.cast(now[..., None] == order[..., None, :], tf.int32), -1, tf.int32)
        found, order = tf.gather(found, back, batch_dims=len(batch)), now
    return found, tf.concat(pivots, -1), order


def eigh(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Eigenvalues, which are real, and eigenvectors of Hermitian matrices."""
    values, vectors = tf.linalg.eigh(_hermitian(x))
    return tf.math.real(values), vectors


def eigvalsh(x: tf.Tensor) -> tf.Tensor:
    """Eigenvalues, which are real, of Hermitian matrices."""
    return tf.math.real(tf.linalg.eigvalsh(_hermitian(x)))


def _hermitian(x: tf.Tensor) -> tf.Tensor:
    """x, with a gradient for both triangles; TensorFlow reads one and has none for the other."""
    return (x + tf.linalg.adjoint(x)) / 2


def solve(x1: tf.Tensor, x2: tf.Tensor) -> tf.Tensor:
    """y with x1 y = x2, for a vector or for the columns of matrices; leading axes broadcast."""
    if x2.shape.rank == 1:
        return solve(x1, x2[:, None])[..., 0]
    batch = tf.broadcast_dynamic_shape(tf.shape(x1)[:-2], tf.shape(x2)[:-2])
    x1 = tf.broadcast_to(x1, tf.concat([batch, tf.shape(x1)[-2:]], 0))
    return tf.linalg.solve(x1, tf.broadcast_to(x2, tf.concat([batch, tf.shape(x2)[-2:]], 0)))


def slogdet(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The sign of the determinant and the logarithm of its size, which is real."""
    sign, size = tf.linalg.slogdet(x)
    return sign, tf.math.real(size)


def fft(x: tf.Tensor, n: int | None = None, axis: int = -1, norm: str = "backward") -> tf.Tensor:
    """The discrete Fourier transform of complex numbers along an axis."""
    x, size = _resized(_last(x, axis), n)
    return _last(tf.signal.fft(x) * _norm(size, norm, x.dtype, inverse=False), axis)


def ifft(x: tf.Tensor, n: int | None = None, axis: int = -1, norm: str = "backward") -> tf.Tensor:
    """The inverse transform of complex numbers along an axis."""
    x, size = _resized(_last(x, axis), n)
    return _last(tf.signal.ifft(x) * _norm(size, norm, x.dtype, inverse=True), axis)


def rfft(x: tf.Tensor, n: int | None = None, axis: int = -1, norm: str = "backward") -> tf.Tensor:
    """The first n / 2 + 1 numbers of the transform of real ones."""
    x, size = _resized(_last(x, axis), n)
    found = tf.signal.rfft(x)
    return _last(found * _norm(size, norm, found.dtype, inverse=False), axis)


def irfft(x: tf.Tensor, n: int | None = None, axis: int = -1, norm: str = "backward") -> tf.Tensor:
    """The n real numbers whose transform begins with x."""
    x = _last(x, axis)
    size = 2 * (tf.shape(x)[-1] - 1) if n is None else n
    found = tf.signal.irfft(_resized(x, size // 2 + 1)[0], [size])
    return _last(found * _norm(size, norm, found.dtype, inverse=True), axis)


def _last(x: tf.Tensor, axis: int) -> tf.Tensor:
    """An axis exchanged with the last one."""
    order = list(range(x.shape.rank))
    order[axis], order[-1] = order[-1], order[axis]
    return x if order[axis] == axis % len(order) else tf.transpose(x, order)


def _resized(x: tf.Tensor, n: int | None) -> tuple[tf.Tensor, int | tf.Tensor]:
    """The last axis cut to n, or filled with zeros."""
    if n is None:
        return x, tf.shape(x)[-1]
    x = x[..., :n]
    missing = n - tf.shape(x)[-1]
    return tf.pad(x, [[0, 0]] * (x.shape.rank - 1) + [[0, missing]]), n


def _norm(size: int | tf.Tensor, norm: str, dtype: tf.DType, *, inverse: bool) -> tf.Tensor:
    """What a transform of TensorFlow, which divides the inverse by n, is multiplied with."""
    size = tf.cast(size, dtype.real_dtype)
    if norm == "ortho":
        factor = tf.sqrt(size) if inverse else 1 / tf.sqrt(size)
    else:
        factor = {"backward": tf.ones_like(size), "forward": size if inverse else 1 / size}[norm]
    return tf.cast(factor, dtype)


def threefry(key: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Two random words for each 64-bit count: Threefry-2x32 with 20 rounds (Salmon et al. 2011).

    The words are int64, as few devices have arithmetic of uint32.
    """
    mask = tf.constant(2**32 - 1, tf.int64)
    first, second = tf.unstack(tf.cast(key, tf.int64), axis=-1)
    third = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(first, second), tf.constant(0x1BD11BDA, tf.int64))
    keys = [first, second, third]
    high, low = (tf.bitwise.right_shift(count, tf.constant(32, tf.int64)) + first) & mask, (count + second) & mask
    for i in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
            high = (high + low) & mask
            left, right = tf.constant(turn, tf.int64), tf.constant(32 - turn, tf.int64)
            turned = tf.bitwise.left_shift(low, left) & mask | tf.bitwise.right_shift(low, right)
            low = tf.bitwise.bitwise_xor(turned, high)
        high, low = (high + keys[(i + 1) % 3]) & mask, (low + keys[(i + 2) % 3] + (i + 1)) & mask
    return high, low


def random_words(key: tf.Tensor, shape: Sequence[int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Two random words for each element of a shape."""
    sizes = tf.cast(tf.stack(shape) if len(shape) else tf.zeros((0,)), tf.int64)
    high, low = threefry(key, tf.range(tf.reduce_prod(sizes)))
    return tf.reshape(high, sizes), tf.reshape(low, sizes)


def random_bits(key: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Random uint32 of a shape."""
    high, low = random_words(key, shape)
    return tf.cast(tf.bitwise.bitwise_xor(high, low), tf.uint32)


def random_split(key: tf.Tensor, num: int) -> tf.Tensor:
    """New keys."""
    return tf.cast(tf.stack(random_words(key, (num,)), axis=-1), tf.uint32)


def random_fold_in(key: tf.Tensor, data: tf.Tensor | int) -> tf.Tensor:
    """A new key from a key and the low 32 bits of an integer."""
    data = tf.cast(data, tf.int64) & tf.constant(2**32 - 1, tf.int64)
    return tf.cast(tf.stack(threefry(key, data)), tf.uint32)


def random_uniform(
    key: tf.Tensor, shape: Sequence[int], dtype: tf.DType | str, low: float = 0.0, high: float = 1.0
) -> tf.Tensor:
    """Random numbers, low <= x < high: as many bits as the dtype has digits."""
    dtype = tf.as_dtype(dtype)
    width, digits = {
        tf.float16: (16, 10),
        tf.bfloat16: (8, 7),
        tf.float32: (32, 23),
        tf.float64: (64, 52),
    }[dtype]
    first, second = random_words(key, shape)
    if width == 64:
        bits = first * 2**20 + second // 2**12
    else:
        bits = tf.bitwise.bitwise_xor(first, second) % 2**width // 2 ** (width - digits)
    unit = tf.cast(bits, dtype) * tf.constant(2.0**-digits, dtype)
    return tf.maximum(unit * (high - low) + low, tf.constant(low, dtype))


def random_integers(key: tf.Tensor, shape: Sequence[int], low: int, high: int) -> tf.Tensor:
    """Random int32, low <= x < high: 64 bits for each, so that every number is as likely."""
    span = high - low
    factor = (2**16 % span) ** 2 % 2**32
    words = (random_words(each, shape) for each in tf.unstack(random_split(key, 2)))
    upper, lower = (tf.bitwise.bitwise_xor(first, second) for first, second in words)
    offset = (upper % span * (factor % span) + lower % span) % 2**32 % span
    return tf.cast(offset + low, tf.int32)


def blackman_window(size: int, periodic: bool = True, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """0.42 - 0.5 cos(2π i / n) + 0.08 cos(4π i / n), where n is the size, or for a symmetric window one less."""
    angle = tf.range(size, dtype=dtype) * (2 * math.pi / max(size if periodic else size - 1, 1))
    return 0.42 - 0.5 * tf.cos(angle) + 0.08 * tf.cos(2 * angle)


def bartlett_window(size: int, periodic: bool = True, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """1 - |2 i / n - 1|, where n is the size, or for a symmetric window one less."""
    return 1 - tf.abs(tf.range(size, dtype=dtype) * (2 / max(size if periodic else size - 1, 1)) - 1)


def value_and_grad(
    body: Callable[..., tuple[tf.Tensor, ...]], arrays: tuple[tf.Tensor, ...], captured: tuple[tf.Tensor, ...] = ()
) -> tuple[tf.Tensor, ...]:
    """What ``body`` gives of arrays and captured, and the gradients of the first of it, a scalar, by the arrays."""
    with tf.GradientTape() as tape:
        arrays = tuple(map(tf.identity, arrays))  # one tensor given twice is two arguments
        tape.watch(arrays)
        results = body(*arrays, *captured)
    return (*results, *gradients(tape, results[0], arrays))


def gradients(
    tape: tf.GradientTape,
    results: tf.Tensor | tuple[tf.Tensor, ...],
    arrays: tuple[tf.Tensor, ...],
    cotangents: tuple[tf.Tensor, ...] | None = None,
) -> tuple[tf.Tensor, ...]:
    """What a tape gives by the arrays, zeros where a result does not depend on one."""
    zero = tf.UnconnectedGradients.ZERO
    found = tape.gradient(results, arrays, output_gradients=cotangents, unconnected_gradients=zero)
    return tuple(tf.convert_to_tensor(each) for each in found)  # those of gathers come as IndexedSlices


def vjp(
    body: Callable[..., tuple[tf.Tensor, ...]],
    arrays: tuple[tf.Tensor, ...],
    cotangents: tuple[tf.Tensor, ...],
    captured: tuple[tf.Tensor, ...] = (),
) -> tuple[tf.Tensor, ...]:
    """The product of cotangents with the Jacobian of ``body`` by the arrays."""
    with tf.GradientTape() as tape:
        arrays = tuple(map(tf.identity, arrays))
        tape.watch(arrays)
        results = tuple(body(*arrays, *captured))
    return gradients(tape, results, arrays, cotangents)


def jvp(
    body: Callable[..., tuple[tf.Tensor, ...]],
    arrays: tuple[tf.Tensor, ...],
    tangents: tuple[tf.Tensor, ...],
    captured: tuple[tf.Tensor, ...] = (),
) -> tuple[tf.Tensor, ...]:
    """The results of ``body``, and the derivatives of those that have one, in the direction of the tangents."""
    arrays = tuple(map(tf.identity, arrays))
    with tf.autodiff.ForwardAccumulator(arrays, tangents) as accumulator:
        results = tuple(body(*arrays, *captured))
    zero = tf.UnconnectedGradients.ZERO
    smooth = [y for y in results if y.dtype.is_floating or y.dtype.is_complex]
    return (*results, *(accumulator.jvp(y, unconnected_gradients=zero) for y in smooth))


def gcd(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """The greatest common divisor of integers, by Euclid's algorithm."""
    x, y = tf.abs(x) + tf.zeros_like(y), tf.abs(y) + tf.zeros_like(x)

    def step(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        done = tf.equal(y, 0)
        return tf.where(done, x, y), tf.where(done, y, x % tf.where(done, tf.ones_like(y), y))

    return tf.while_loop(lambda x, y: tf.reduce_any(tf.not_equal(y, 0)), step, (x, y))[0]


def lcm(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """The least common multiple of integers; of 0 and x it is 0."""
    divisor = gcd(x, y)
    return tf.abs(y * (x // tf.where(tf.equal(divisor, 0), tf.ones_like(divisor), divisor)))


def vmap(
    body: Callable[..., tuple[tf.Tensor, ...]], arrays: tuple[tf.Tensor, ...], captured: tuple[tf.Tensor, ...] = ()
) -> tuple[tf.Tensor, ...]:
    """The results of ``body`` of slices along the first axes of arrays, stacked."""
    return tf.vectorized_map(lambda slices: tuple(body(*slices, *captured)), arrays)


def checkpoint(
    body: Callable[..., tuple[tf.Tensor, ...]], arrays: tuple[tf.Tensor, ...], captured: tuple[tf.Tensor, ...] = ()
) -> tuple[tf.Tensor, ...]:
    """The results of ``body``, which keeps nothing for its gradient and runs again for it."""
    return tf.recompute_grad(body)(*map(tf.convert_to_tensor, (*arrays, *captured)))


def custom_gradient(
    body: Callable[..., tuple[tf.Tensor, ...]],
    pullback: Callable[..., tuple[tf.Tensor, ...]],
    arrays: tuple[tf.Tensor, ...],
    captured: tuple[tf.Tensor, ...] = (),
) -> tuple[tf.Tensor, ...]:
    """The results of ``body``, whose gradient by the arrays is ``pullback`` of arrays, cotangents and captured."""
    fixed = [tf.stop_gradient(each) for each in captured]

    def run(*arrays: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], Callable[..., tuple[tf.Tensor, ...]]]:
        return body(*arrays, *fixed), lambda *cotangents: pullback(*arrays, *cotangents, *fixed)

    return tf.custom_gradient(run)(*map(tf.convert_to_tensor, arrays))
