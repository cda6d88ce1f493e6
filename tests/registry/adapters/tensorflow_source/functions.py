"""Functions of TensorFlow by family, each of arrays drawn for it: what the rules are tested with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

Draw = Callable[..., Any]
Case = tuple[Callable[..., Any], Callable[[np.random.Generator], tuple[np.ndarray, ...]]]


def f(rng: np.random.Generator, *shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Numbers, none near another of the same row or near 0, so that no order and no kink is in doubt."""
    grid = np.linspace(low, high, 2 * int(np.prod(shape)) + 2)[1::2][: int(np.prod(shape))]
    return rng.permutation(grid + 0.013).reshape(shape).astype(np.float32)


def spd(rng: np.random.Generator, size: int) -> np.ndarray:
    """A symmetric matrix whose eigenvalues are apart and positive."""
    q, _ = np.linalg.qr(rng.standard_normal((size, size)))
    return (q * np.arange(1, size + 1) @ q.T).astype(np.float32)


def unary(*functions: Callable[[Any], Any], low: float = -2.0, high: float = 2.0) -> Case:
    return lambda x: [function(x) for function in functions], lambda rng: (f(rng, 3, 4, low=low, high=high),)


def kernel(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def of_floats(function: Callable[..., Any], *shapes: tuple[int, ...]) -> Case:
    return function, lambda rng: tuple(f(rng, *shape) for shape in shapes)


MATH: dict[str, Case] = {
    "everywhere": unary(
        *(tf.abs, tf.math.asinh, tf.math.atan, tf.cos, tf.cosh, tf.math.erf, tf.math.erfc, tf.exp, tf.math.expm1),
        *(tf.negative, tf.square, tf.sigmoid, tf.sign, tf.sin, tf.sinh, tf.tanh, tf.floor, tf.math.ceil, tf.round),
        *(tf.math.rint, tf.math.is_finite, tf.math.is_nan, tf.stop_gradient, tf.zeros_like, tf.ones_like),
    ),
    "positive": unary(
        *(tf.sqrt, tf.math.rsqrt, tf.math.log, tf.math.log1p, tf.math.reciprocal, tf.math.lgamma, tf.math.digamma),
        low=0.2,
        high=3.0,
    ),
    "within one": unary(tf.asin, tf.acos, tf.math.atanh, tf.math.erfinv, tf.tan, low=-0.9, high=0.9),
    "activations": unary(
        *(tf.nn.relu, tf.nn.relu6, tf.nn.elu, tf.nn.selu, tf.nn.softplus, tf.nn.softsign, tf.nn.silu, tf.nn.gelu),
        *(lambda x: tf.nn.gelu(x, approximate=True), lambda x: tf.nn.leaky_relu(x, 0.3), tf.nn.softmax),
        *(tf.nn.log_softmax, lambda x: tf.nn.softmax(x, axis=0), tf.nn.l2_loss, lambda x: tf.clip_by_value(x, -1, 1)),
        *(lambda x: tf.nn.l2_normalize(x, axis=1), lambda x: tf.nn.crelu(x, axis=1)),
    ),
    "two": of_floats(
        lambda x, y: [
            *(x + y, x - y, x * y, x / y, tf.maximum(x, y), tf.minimum(x, y), tf.math.squared_difference(x, y)),
            *(tf.atan2(x, y), x // y, x % y, tf.math.floormod(x, y), tf.math.divide_no_nan(x, y), x < y, x >= y),
            *(tf.where(x > 0, x, y), tf.add_n([x, y]), tf.math.xlogy(x, tf.abs(y)), tf.math.multiply_no_nan(x, y)),
            *(tf.truncatemod(x, y), tf.pow(tf.abs(x), y), tf.equal(x, y), 1.0 - x, 0.1 * y),
        ],
        *((3, 4), (3, 4)),
    ),
    "integers": (
        lambda x, y: [
            *(x + y, x * y, x // y, x % y, tf.truncatediv(x, y), tf.truncatemod(x, y), tf.bitwise.bitwise_and(x, y)),
            *(tf.bitwise.bitwise_or(x, y), tf.bitwise.bitwise_xor(x, y), tf.bitwise.invert(x), tf.cast(x, tf.float32)),
            *(
                tf.bitwise.left_shift(x, tf.abs(y)),
                tf.cast(x, tf.bool),
                tf.reduce_mean(x),
                x == y,
                tf.cast(x, tf.int64),
            ),
        ],
        lambda rng: (
            rng.integers(-9, 9, (3, 4)).astype(np.int32),
            (rng.integers(1, 5, (3, 4)) * rng.choice([-1, 1], (3, 4))).astype(np.int32),
        ),
    ),
    "complex": of_floats(
        lambda x, y: [
            *(tf.abs(tf.complex(x, y)), tf.math.real(tf.math.conj(tf.complex(x, y)) * tf.complex(y, x))),
            *(tf.math.angle(tf.complex(x, y)), tf.math.imag(tf.exp(tf.complex(x, y)))),
        ],
        *((3, 4), (3, 4)),
    ),
    "sums": of_floats(
        lambda x: [
            *(tf.reduce_sum(x), tf.reduce_sum(x, 1), tf.reduce_mean(x, [0, -1], keepdims=True), tf.reduce_max(x, 2)),
            *(tf.reduce_min(x, 0), tf.reduce_prod(x, 1), tf.reduce_any(x > 1, 0), tf.reduce_all(x > -1, [0, 1])),
            *(tf.reduce_logsumexp(x, 1), tf.math.reduce_std(x, 1), tf.math.reduce_variance(x), tf.norm(x, axis=1)),
            *(tf.cumsum(x, 1), tf.cumsum(x, -1, exclusive=True, reverse=True), tf.math.cumprod(x, 1)),
            *(tf.argmax(x, 1), tf.argmin(x, -1, output_type=tf.int32), tf.math.top_k(x, 2).values),
            *(tf.math.top_k(x, 2).indices, tf.sort(x, axis=1), tf.argsort(x, axis=-1, direction="DESCENDING")),
            *(tf.math.reduce_euclidean_norm(x, 1), tf.math.count_nonzero(x > 0, axis=1)),
        ],
        (2, 3, 4),
    ),
}

ARRAYS: dict[str, Case] = {
    "views": of_floats(
        lambda x: [
            *(tf.reshape(x, (-1, 4)), tf.transpose(x), tf.transpose(x, (1, 0, 2)), x[:, None], tf.squeeze(x[:, :1], 1)),
            *(x[..., 1:3], x[::-1, 1], x[:, -1:, ::2], x[0, ..., tf.newaxis, 3], tf.slice(x, (0, 1, 0), (2, -1, 3))),
            *(
                tf.reverse(x, [1]),
                tf.roll(x, [1, -2], [0, 2]),
                tf.expand_dims(x, -1),
                tf.broadcast_to(x[:, :1], x.shape),
            ),
            *(
                tf.tile(x, (1, 2, 3)),
                tf.pad(x, ((0, 0), (1, 2), (0, 1))),
                tf.pad(x, ((0, 0), (1, 1), (2, 1)), "REFLECT"),
            ),
            *(
                tf.pad(x, ((0, 0), (1, 1), (2, 1)), "SYMMETRIC"),
                tf.pad(x, ((1, 0), (0, 0), (0, 0)), constant_values=2.5),
            ),
            *(tf.linalg.band_part(x, 1, 0), tf.linalg.diag(x), tf.linalg.diag_part(x), tf.fill((2, 2), x[0, 0, 0])),
        ],
        (2, 3, 4),
    ),
    "several": of_floats(
        lambda x, y: [
            *(tf.concat([x, y], 1), tf.stack([x, x * 2], -1), *tf.unstack(x, axis=1), *tf.split(y, [1, 2, -1], axis=1)),
            *(*tf.split(x, 2), tf.meshgrid(x[0], y[0])[0], tf.repeat(x, 2, axis=1)),
        ],
        *((2, 3), (2, 4)),
    ),
    "gathers": (
        lambda x, i, j: [
            *(tf.gather(x, i), tf.gather(x, i, axis=2), tf.gather(x, j, axis=1, batch_dims=1), tf.gather_nd(x, j)),
            *(tf.gather(x, j, axis=2, batch_dims=1), tf.gather(x[:, 0], j, batch_dims=1)),
            *(tf.one_hot(i, 4), tf.one_hot(j, 3, 2.0, -1.0, axis=1)),
            *(tf.scatter_nd(j, x[:, 0], (3, 3, 4)), tf.tensor_scatter_nd_add(x, j, x[:, 1])),
            *(tf.math.unsorted_segment_sum(x, tf.constant([1, 1]), 3), tf.math.unsorted_segment_max(x, i[:2], 2)),
            *(tf.raw_ops.DenseBincount(input=i, size=3, weights=[]), tf.tensor_scatter_nd_update(x, j[:1], x[1:, 2])),
        ],
        lambda rng: (
            f(rng, 2, 3, 4),
            rng.integers(0, 2, 5).astype(np.int32),
            rng.integers(0, 2, (2, 2)).astype(np.int32),
        ),
    ),
    "space": of_floats(
        lambda x: [
            *(tf.nn.space_to_depth(x, 2), tf.nn.depth_to_space(x, 2), tf.space_to_batch(x, (2, 2), ((0, 0), (1, 1)))),
            *(tf.batch_to_space(tf.tile(x, (2, 1, 1, 1)), (2, 2), ((0, 1), (1, 0))),),
        ],
        (2, 4, 6, 8),
    ),
    "created": of_floats(
        lambda x: [
            *(tf.range(3), tf.linspace(0.0, 1.0, 5), tf.eye(3) * x[0, 0], tf.ones_like(x) + tf.zeros(tf.shape(x))),
            *(tf.cast(tf.range(tf.shape(x)[1]), x.dtype) * x, tf.fill(tf.shape(x), 2.0) * tf.cast(tf.size(x), x.dtype)),
        ],
        (3, 4),
    ),
}

LINALG: dict[str, Case] = {
    "products": of_floats(
        lambda a, b: [
            *(tf.matmul(a, b), tf.matmul(a, a, transpose_b=True), tf.matmul(a, a, transpose_a=True)),
            *(tf.einsum("bij,bjk->bik", a, b), tf.einsum("bij->bj", a), tf.tensordot(a, b, [[2], [1]])),
            *(tf.linalg.matvec(a, b[..., 0]), tf.matmul(a[0], b[0]), tf.linalg.trace(tf.matmul(a, b))),
            tf.linalg.cross(a[..., :3], a[..., 1:]),
        ],
        *((2, 3, 4), (2, 4, 5)),
    ),
    "matrices": (
        lambda a, b: [
            *(tf.linalg.inv(a), tf.linalg.det(a), tf.linalg.cholesky(a), tf.linalg.solve(a, b)),
            *(tf.linalg.triangular_solve(a, b), tf.linalg.eigvalsh(a), tf.linalg.logdet(a), tf.linalg.svd(a)[0]),
            *(tf.linalg.triangular_solve(a, b, lower=False, adjoint=True), tf.linalg.slogdet(a)[1]),
        ],
        lambda rng: (spd(rng, 4), f(rng, 4, 2)),
    ),
    "fourier": of_floats(
        lambda x: [
            *(tf.abs(tf.signal.rfft(x)), tf.signal.irfft(tf.signal.rfft(x)), tf.math.real(tf.signal.rfft2d(x))),
            *(tf.math.imag(tf.signal.fft(tf.cast(x, tf.complex64))), tf.signal.irfft2d(tf.signal.rfft2d(x))),
            tf.math.real(tf.signal.ifft2d(tf.signal.fft2d(tf.complex(x, x)))),
        ],
        (3, 8, 8),
    ),
}

NN: dict[str, Case] = {
    "convolutions": (
        lambda x, k, d: [
            *(
                tf.nn.conv2d(x, k, 1, "VALID"),
                tf.nn.conv2d(x, k, 2, "SAME"),
                tf.nn.conv2d(x, k, 1, "SAME", dilations=2),
            ),
            *(
                tf.nn.conv2d(x, k, (1, 2), [[0, 0], [1, 2], [0, 1], [0, 0]]),
                tf.nn.depthwise_conv2d(x, d, (1,) * 4, "SAME"),
            ),
            *(tf.nn.conv2d_transpose(x, tf.transpose(k, (0, 1, 3, 2)), (2, 16, 16, 6), 2, "SAME"),),
            *(tf.nn.conv2d_transpose(x, tf.transpose(k, (0, 1, 3, 2)), (2, 18, 17, 6), 2, "VALID"),),
            *(tf.nn.conv1d(x[:, 0], k[0], 2, "SAME"), tf.nn.bias_add(x, x[0, 0, 0])),
        ],
        lambda rng: (f(rng, 2, 8, 8, 4), kernel(rng, 3, 2, 4, 6), kernel(rng, 3, 3, 4, 2)),
    ),
    "volumes": (
        lambda x, k: [
            *(
                tf.nn.conv3d(x, k, (1, 1, 2, 1, 1), "SAME"),
                tf.nn.max_pool3d(x, 2, 2, "VALID"),
                tf.nn.avg_pool3d(x, 2, 1, "SAME"),
            ),
        ],
        lambda rng: (f(rng, 1, 4, 5, 6, 2), kernel(rng, 2, 3, 2, 2, 3)),
    ),
    "pools": of_floats(
        lambda x: [
            *(tf.nn.max_pool2d(x, 2, 2, "VALID"), tf.nn.max_pool2d(x, 3, 2, "SAME"), tf.nn.avg_pool2d(x, 3, 2, "SAME")),
            *(tf.nn.avg_pool2d(x, (2, 3), 1, "VALID"), tf.nn.max_pool1d(x[:, 0], 2, 2, "SAME")),
            tf.nn.local_response_normalization(x, 2, 1.5, 0.3, 0.6),
        ],
        (2, 7, 7, 5),
    ),
    "norms": of_floats(
        lambda x, m, s: [
            tf.nn.batch_normalization(x, m, tf.square(s) + 0.5, s, m, 1e-3),
            *tf.nn.moments(x, (0, 1, 2)),
            *tf.compat.v1.nn.fused_batch_norm(x, s, m, mean=m, variance=tf.square(s), is_training=False)[:1],
            *tf.compat.v1.nn.fused_batch_norm(x, s, m),
        ],
        *((2, 3, 4, 5), (5,), (5,)),
    ),
    "losses": (
        lambda x, y: [
            tf.nn.sparse_softmax_cross_entropy_with_logits(y, x),
            tf.nn.softmax_cross_entropy_with_logits(tf.one_hot(y, 4) * 0.8 + 0.05, x),
            tf.nn.sigmoid_cross_entropy_with_logits(tf.one_hot(y, 4), x),
        ],
        lambda rng: (f(rng, 5, 4), rng.integers(0, 4, 5).astype(np.int32)),
    ),
    "images": of_floats(
        lambda x: [
            *(tf.image.resize(x, (9, 8)), tf.image.resize(x, (3, 11), "nearest"), tf.image.flip_left_right(x)),
            tf.image.resize(x, (10, 7), "nearest"),
        ],
        (2, 5, 6, 3),
    ),
}


def _written(x: Any) -> Any:
    """A list that grows by the counter of a loop, and one that is read in it."""
    found, given = tf.TensorArray(tf.float32, size=0, dynamic_size=True), tf.TensorArray(tf.float32, size=3).unstack(x)
    h = tf.zeros_like(x[0])
    for i in tf.range(3):
        if i % 2 == 0:
            h = tf.tanh(h + given.read(i))
            found = found.write(2 * i, h)
        else:
            h = h - x[i]
    return [found.stack(), found.concat(), found.size(), h]


def _until(x: Any) -> Any:
    """As long as the numbers of the array say."""
    found, steps = tf.TensorArray(tf.float32, size=12), tf.reduce_sum(tf.cast(x > 0, tf.int32))
    h, i = x[0], tf.constant(0)
    while i < steps:
        h, i = h * 0.5, i + 1
        found = found.write(i - 1, h)
    return [found.stack(), h]


def _pushed(x: Any) -> Any:
    kind = {"element_shape": tf.constant([-1]), "element_dtype": tf.float32}
    held = tf.raw_ops.EmptyTensorList(max_num_elements=10, **kind)
    for row in range(3):
        held = tf.raw_ops.TensorListPushBack(input_handle=held, tensor=x[row])
    held, last = tf.raw_ops.TensorListPopBack(input_handle=held, **kind)
    return [last, tf.raw_ops.TensorListStack(input_handle=held, **kind)]


def _spread(x: Any) -> Any:
    parts = tf.TensorArray(tf.float32, size=2, element_shape=(2, 3)).split(x, [2, 2])
    rows = tf.TensorArray(tf.float32, size=6, element_shape=(3,)).scatter([4, 1], x[:2])
    chosen = tf.TensorArray(tf.float32, size=3).write(0, x[0])
    chosen = tf.cond(x[0, 0] > 0, lambda: chosen.write(1, x[1]), lambda: chosen.write(2, x[2]))
    return [parts.stack(), parts.gather([1, 0]), rows.stack(), chosen.stack()]


LISTS: dict[str, Case] = {
    "loops": of_floats(tf.function(_written), (3, 4)),
    "as long as": of_floats(tf.function(_until), (3, 4)),
    "ends": of_floats(tf.function(_pushed), (3, 4)),
    "parts": of_floats(tf.function(_spread), (4, 3)),
    "maps": of_floats(
        lambda x: [
            *tf.map_fn(lambda a: (a * 2, tf.reduce_sum(a)), x, fn_output_signature=(tf.float32, tf.float32)),
            *(tf.scan(lambda a, b: tf.tanh(a + b), x), tf.foldl(lambda a, b: a * b + 1.0, x)),
        ],
        (4, 3),
    ),
}
