"""Sizes that TensorFlow does not know while it traces: an operation computes, or says that it needs them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ivyhub.engine import ops
from ivyhub.engine.backends import framework_of
from ivyhub.engine.graph import tree_leaves, tree_map
from ivyhub.engine.op import OPS
from ivyhub.errors import ShapeError
from tests.arrays import assert_close, native
from tests.engine.draw import BATCH, Sample
from tests.engine.ops_samples import SAMPLES
from tests.engine.test_ops import VALUES, samples


def traced(name: str, args: Any, attributes: Any) -> Any:
    """The result of a ``tf.function`` whose signature leaves the size of the batch open."""
    import tensorflow as tf

    leaves = [leaf for _, leaf in tree_leaves(args) if framework_of(leaf)]

    def function(*given: Any) -> Any:
        items = iter(given)
        return OPS[name](*tree_map(lambda leaf: next(items) if framework_of(leaf) else leaf, args), **attributes)

    def open_batch(leaf: Any) -> tuple[int | None, ...]:
        shape = tuple(leaf.shape)
        return (None, *shape[1:]) if shape[:1] == (BATCH,) else shape

    signature = [tf.TensorSpec(open_batch(leaf), leaf.dtype) for leaf in leaves]
    return tf.function(function, input_signature=signature, autograph=False)(*leaves)


WRITTEN = ("avg_pool", "local_response_norm", "matmul", "max_pool", "pad", "softmax", "stft")
DECOMPOSED = (
    *("channel_shuffle", "conv_transpose", "cosine_similarity", "embedding_bag", "fold", "from_start", "grid_sample"),
    *("group_norm", "istft", "logmeanexp", "max_unpool", "pixel_shuffle", "scatter_reduce", "unfold", "var"),
)
"""Operations that rows write, and some that count with sizes in what they are made of."""


def check(name: str, sample: Sample) -> None:
    """Oracle: the same operation outside of a trace."""
    given, attributes = sample
    args = tree_map(lambda leaf: native("tensorflow", leaf), tuple(given))
    assert_close(traced(name, args, attributes), OPS[name](*args, **attributes), VALUES, name)


@pytest.mark.parametrize("name", [*WRITTEN, *DECOMPOSED])
def test_a_batch_of_any_size(name: str, rng: np.random.Generator) -> None:
    found = samples(name, rng)
    check(name, found[0])
    check(name, found[int(rng.integers(len(found)))])


@pytest.mark.sweep
@pytest.mark.parametrize("name", sorted({*OPS} & {*SAMPLES}))
def test_a_batch_of_any_size_everywhere(name: str, rng: np.random.Generator) -> None:
    for sample in samples(name, rng):
        leaves = [leaf for _, leaf in tree_leaves(tuple(sample[0])) if framework_of(leaf)]
        if leaves:
            check(name, sample)


def test_sizes_that_must_agree_are_checked_when_it_runs(rng: np.random.Generator) -> None:
    """Each image has its grid, of sizes that are both open."""
    import tensorflow as tf

    signature = [tf.TensorSpec((None, 2, 4, 3), tf.float32), tf.TensorSpec((None, 2, 4, 2), tf.float32)]
    sample = tf.function(lambda x, grid: ops.grid_sample(x, grid), input_signature=signature, autograph=False)
    x, grid = rng.normal(size=(5, 2, 4, 3)), rng.uniform(-1, 1, size=(5, 2, 4, 2))
    x, grid = native("tensorflow", x), native("tensorflow", grid)
    assert_close(sample(x, grid), ops.grid_sample(x, grid), VALUES, "grid_sample")
    with pytest.raises(tf.errors.InvalidArgumentError):
        sample(x, grid[:4])


def test_errors_of_known_sizes_stay_exact(rng: np.random.Generator) -> None:
    import tensorflow as tf

    x, w = native("tensorflow", rng.normal(size=(4, 3))), native("tensorflow", rng.normal(size=(2, 5)))
    signature = [tf.TensorSpec((None, 3), tf.float32), tf.TensorSpec((2, 5), tf.float32)]
    with pytest.raises(ShapeError, match=r"matmul: .*3"):
        tf.function(lambda x, w: ops.matmul(x, w), input_signature=signature, autograph=False)(x, w)
    with pytest.raises(ShapeError, match=r"group_norm: .*3"):
        tf.function(lambda x: ops.group_norm(x, num_groups=2), input_signature=signature[:1], autograph=False)(x)
    image = native("tensorflow", rng.normal(size=(4, 2, 5, 7)))
    width = [tf.TensorSpec((4, 2, None, 7), tf.float32)]
    with pytest.raises(ShapeError, match="adaptive_avg_pool expected sizes that are known when TensorFlow traces"):
        tf.function(lambda x: ops.adaptive_avg_pool(x, size=(3, 3)), input_signature=width, autograph=False)(image)
