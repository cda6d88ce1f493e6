"""Functions of TensorFlow by family, beside those of `functions`: special functions, orders, images."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.registry.adapters.tensorflow_source.functions import Case, f, of_floats, unary

special = tf.math.special

SPECIAL: dict[str, Case] = {
    "bessel": unary(
        *(special.bessel_i0, special.bessel_i0e, special.bessel_i1, special.bessel_i1e, special.bessel_j0),
        *(special.bessel_j1, special.bessel_k0, special.bessel_k0e, special.bessel_k1, special.bessel_k1e),
        *(special.bessel_y0, special.bessel_y1),
        low=0.3,
        high=6.0,
    ),
    "gamma": of_floats(
        lambda x, y: [
            tf.math.igamma(tf.abs(x) + 0.1, tf.abs(y)),
            tf.math.igammac(tf.abs(x) + 0.1, tf.abs(y)),
            tf.math.zeta(tf.abs(x) + 1.5, tf.abs(y) + 0.3),
            tf.math.ndtri(tf.sigmoid(x)),
        ],
        (3, 4),
        (3, 4),
    ),
}

ORDER: dict[str, Case] = {
    "places": of_floats(
        lambda x, y: [
            *(tf.searchsorted(tf.sort(x), y), tf.searchsorted(tf.sort(x), x, side="right", out_type=tf.int64)),
            *(tf.searchsorted(tf.sort(x[0]), y[0]), tf.raw_ops.Bucketize(input=x, boundaries=[-0.5, 0.1])),
            *(tf.histogram_fixed_width(x, [-1.0, 1.5], 5), tf.math.invert_permutation(tf.argsort(x[0]))),
            *(tf.math.in_top_k([0, 4, 2], x, 2), tf.bitcast(x, tf.int32)),
            *(tf.math.cumulative_logsumexp(40.0 * x, 1), tf.math.cumulative_logsumexp(x, 0, reverse=True)),
        ],
        (3, 5),
        (3, 4),
    ),
    "chosen rows": of_floats(
        lambda x: [tf.repeat(x, [1, 2, 0, 3], 0), tf.boolean_mask(x, [True, False, True, True])], (4, 3)
    ),
    "segments": of_floats(
        lambda x: [
            *(tf.math.segment_sum(x, [0, 0, 2, 2]), tf.math.segment_prod(x, [0, 0, 2, 2])),
            *(tf.math.segment_mean(x, [0, 1, 1, 2]), tf.math.segment_max(x, [0, 1, 1, 2])),
            tf.math.segment_min(x, [0, 0, 0, 1]),
        ],
        (4, 3),
    ),
    "reversed": of_floats(
        lambda x: [tf.reverse_sequence(x, [1, 3, 4, 0], 1), tf.reverse_sequence(x, [2, 0, 1, 4, 3], 0, 1)], (4, 5, 2)
    ),
    "diagonals": of_floats(
        lambda x, y: [
            *(tf.linalg.set_diag(x, y), tf.linalg.set_diag(x[:, :, :3], y[:, :3])),
            tf.linalg.set_diag(x[:, :2], y[:, :2]),
            tf.linalg.tridiagonal_solve(tf.stack([y, y + 5.0, y], 1), x),
        ],
        (2, 4, 4),
        (2, 4),
    ),
}

IMAGES: dict[str, Case] = {
    "sizes": of_floats(
        lambda x: [
            *(tf.image.resize(x, (9, 4), method) for method in ("bicubic", "lanczos3", "gaussian")),
            *(tf.image.resize(x, (3, 8), "bilinear", antialias=True), tf.compat.v1.image.resize_bicubic(x, (7, 9))),
        ],
        (2, 5, 6, 3),
    ),
    "areas": of_floats(
        lambda x: [tf.image.resize(x, (9, 4), "area"), tf.image.resize(x, (2, 3), "area")], (2, 5, 6, 3)
    ),
    "windows": of_floats(
        lambda x, k: [
            tf.image.extract_patches(x, (1, 2, 3, 1), (1, 2, 1, 1), (1, 1, 2, 1), "VALID"),
            tf.image.extract_patches(x, (1, 2, 2, 1), (1, 2, 2, 1), (1, 1, 1, 1), "SAME"),
            tf.nn.dilation2d(x, k, (1, 1, 2, 1), "SAME", "NHWC", (1, 1, 1, 1)),
            tf.nn.erosion2d(x, k, (1, 1, 1, 1), "VALID", "NHWC", (1, 2, 1, 1)),
        ],
        (2, 5, 6, 3),
        (2, 3, 3),
    ),
    "colours": (
        lambda x: [
            *(tf.image.rgb_to_hsv(x), tf.image.hsv_to_rgb(x), tf.image.adjust_hue(x, 0.3)),
            *(tf.image.adjust_saturation(x, 1.7), tf.image.adjust_contrast(x, 0.6)),
        ],
        lambda rng: (np.concatenate([f(rng, 2, 4, 4, 3, low=0.02, high=0.95), np.full((2, 4, 1, 3), 0.5, "f4")], 2),),
    ),
}
