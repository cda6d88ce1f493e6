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
from tests.engine.draw import BATCH
from tests.engine.test_ops import VALUES, assert_close, native, samples


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


@pytest.mark.parametrize("name", ["avg_pool", "local_response_norm", "matmul", "max_pool", "pad", "softmax", "stft"])
def test_a_batch_of_any_size(name: str, rng: np.random.Generator) -> None:
    """Oracle: the same operation outside of a trace."""
    given, attributes = samples(name, rng)[0]
    args = tree_map(lambda leaf: native("tensorflow", leaf), tuple(given))
    assert_close(traced(name, args, attributes), OPS[name](*args, **attributes), VALUES, name)


def test_errors_of_known_sizes_stay_exact(rng: np.random.Generator) -> None:
    import tensorflow as tf

    x, w = native("tensorflow", rng.normal(size=(4, 3))), native("tensorflow", rng.normal(size=(2, 5)))
    signature = [tf.TensorSpec((None, 3), tf.float32), tf.TensorSpec((2, 5), tf.float32)]
    with pytest.raises(ShapeError, match=r"matmul: .*3"):
        tf.function(lambda x, w: ops.matmul(x, w), input_signature=signature, autograph=False)(x, w)
    with pytest.raises(ShapeError, match="group_norm expected sizes that are known when TensorFlow traces"):
        tf.function(lambda x: ops.group_norm(x, num_groups=3), input_signature=signature[:1], autograph=False)(x)
