"""Paddings by name and by mode, against the frameworks that have the words; channels that are moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ivyhub.engine import ops
from ivyhub.engine.op import OPS
from ivyhub.engine.passes.layout import channels_last
from ivyhub.engine.spec import spec_of
from ivyhub.engine.trace import trace
from tests.arrays import as_numpy, assert_close, native
from tests.engine.draw import Draw
from tests.engine.evaluate import evaluate
from tests.engine.ops_samples import SAMPLES
from tests.engine.test_ops import VALUES


@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 4)])
def test_same_is_that_of_jax(
    framework: str, strides: tuple[int, int], kernel: tuple[int, int], rng: np.random.Generator
) -> None:
    import jax

    x, weight = rng.normal(size=(2, 3, 8, 7)).astype("f4"), rng.normal(size=(4, 3, *kernel)).astype("f4")
    found = ops.conv(native(framework, x), native(framework, weight), strides=strides, padding="SAME")
    wanted = jax.lax.conv_general_dilated(x, weight, strides, "SAME")
    assert_close(found, wanted, VALUES)


@pytest.mark.parametrize(("ours", "theirs"), [("reflect", "reflect"), ("edge", "replicate"), ("wrap", "circular")])
def test_modes_are_those_of_torch(framework: str, ours: str, theirs: str, rng: np.random.Generator) -> None:
    import torch

    module = torch.nn.Conv2d(3, 4, 3, stride=2, padding=(2, 1), padding_mode=theirs)
    x = rng.normal(size=(2, 3, 8, 7)).astype("f4")
    wanted = module(torch.tensor(x)).detach().numpy()
    found = ops.conv(
        *(native(framework, each) for each in (x, module.weight.detach().numpy(), module.bias.detach().numpy())),
        strides=(2, 2),
        padding=((2, 2), (1, 1)),
        padding_mode=ours,
    )
    assert_close(found, wanted, VALUES)


@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
def test_pooling_of_same_is_that_of_tensorflow(
    framework: str, strides: tuple[int, int], rng: np.random.Generator
) -> None:
    """TensorFlow averages over what is there."""
    import tensorflow as tf

    x = rng.normal(size=(2, 8, 7, 3)).astype("f4")
    options = {"kernel": (3, 2), "strides": strides, "padding": "SAME", "channel_axis": -1}
    largest = ops.max_pool(native(framework, x), **options)
    np.testing.assert_array_equal(as_numpy(largest), tf.nn.max_pool(x, (3, 2), strides, "SAME").numpy())
    average = ops.avg_pool(native(framework, x), count_include_pad=False, **options)
    wanted = tf.nn.avg_pool(x, (3, 2), strides, "SAME").numpy()
    assert_close(average, wanted, VALUES)


@pytest.mark.parametrize("name", sorted(name for name, op in OPS.items() if "channel_axis" in op.attributes))
def test_channels_last_keeps_the_values(name: str, rng: np.random.Generator) -> None:
    """The layout pass moves every operation that knows where its channels are."""
    op = OPS[name]
    count = 0
    for args, attributes in SAMPLES[name](Draw(rng)):
        if args[0].ndim < 3 or "channel_axis" in attributes:
            continue
        arrays = {f"x{i}": native("numpy", each) for i, each in enumerate(args) if each is not None}

        def function(*given: Any, args: Any = args, attributes: Any = attributes) -> Any:
            left = iter(given)
            return op(*(None if each is None else next(left) for each in args), **attributes)

        graph = trace(function, *map(spec_of, arrays.values()))
        arrays = dict(zip(graph.inputs, arrays.values(), strict=True))
        wanted = evaluate(graph, arrays)
        channels_last(graph)
        for found, each in zip(evaluate(graph, arrays), wanted, strict=True):
            assert_close(found, each, VALUES)
        count += 1
    assert count
