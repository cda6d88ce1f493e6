"""Attention with dropout, traced as one operation, has the shape, the checks and the sizes of PyTorch's formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch._subclasses import FakeTensorMode
from torch.nn import functional as F

from ivyhub.registry.adapters.torch.attention import whole_attention
from ivyhub.registry.adapters.torch.capture import capture
from tests.registry.adapters.parity import assert_same


def forms(rng: np.random.Generator) -> list[tuple[list[tuple[int, ...]], dict[str, Any]]]:
    """Shapes of query, key and value, and of the mask; and settings."""
    batch, heads, length, memory, width, depth = (int(size) for size in rng.integers(2, 6, 6))
    query, key, value = (batch, heads, length, width), (batch, heads, memory, width), (batch, heads, memory, depth)
    few = [(batch, 2 * heads, *query[2:]), key, value]
    return [
        ([query, key, value], {}),
        ([query, key, value], {"is_causal": True, "scale": 0.5}),
        ([query, key, value, (length, memory)], {}),
        ([query, key, value, (batch, 1, 1, memory)], {}),
        ([query[2:], key[2:], value[2:]], {}),
        ([query[1:], key[1:], value[1:], (1, memory)], {}),
        ([(1, *query[1:]), key, value], {}),
        ([query, (1, *key[1:]), (batch, 1, *value[2:])], {}),
        (few, {"enable_gqa": True}),
    ]


def test_the_form_is_that_of_the_formula(rng):
    for shapes, settings in forms(rng):
        with FakeTensorMode():
            arrays = [torch.empty(shape, dtype=torch.float16) for shape in shapes]
            wanted = F.scaled_dot_product_attention(*arrays, dropout_p=0.2, **settings)
            with whole_attention():
                found = F.scaled_dot_product_attention(*arrays, dropout_p=0.2, **settings)
        told = (found.shape, found.dtype, found.stride(), found.device)
        assert told == (wanted.shape, wanted.dtype, wanted.stride(), wanted.device), (shapes, settings)


def test_transforms_see_pytorchs_own():
    def attend(x: Any) -> Any:
        return F.scaled_dot_product_attention(x, x, x, dropout_p=0.2)

    with FakeTensorMode(), whole_attention():
        assert torch.func.vmap(attend, randomness="different")(torch.empty(2, 3, 5, 4)).shape == (2, 3, 5, 4)


@pytest.mark.parametrize(
    ("shapes", "settings"),
    [
        ([(2, 3, 4), (2, 3, 5), (2, 3, 4)], {}),
        ([(2, 3, 4), (2, 5, 4), (2, 3, 4)], {}),
        ([(2, 3, 4), (3, 3, 4), (2, 3, 4)], {}),
        ([(2, 3, 4), (2, 5, 4), (2, 5, 4), (3, 4)], {}),
        ([(2, 3, 4), (2, 3, 4), (2, 3, 4), (3, 3)], {"is_causal": True}),
    ],
)
def test_what_pytorch_refuses_is_refused(shapes, settings):
    arrays = [torch.empty(shape) for shape in shapes]
    with pytest.raises(RuntimeError):
        F.scaled_dot_product_attention(*arrays, dropout_p=0.2, **settings)
    with FakeTensorMode(allow_non_fake_inputs=True), whole_attention(), pytest.raises(RuntimeError):
        F.scaled_dot_product_attention(*arrays, dropout_p=0.2, **settings)


class Crossed(nn.Module):
    """Attention to a memory whose lengths nothing else compares."""

    def __init__(self) -> None:
        super().__init__()
        self.key, self.value = nn.Linear(4, 4), nn.Linear(6, 3)

    def forward(self, x, keys, values, bias):
        rate = 0.3 if self.training else 0.0
        return F.scaled_dot_product_attention(x, self.key(keys), self.value(values), bias, rate)


SIZES = {
    "x": {0: "batch", 1: "length"},
    "keys": {0: "batch", 1: "keys"},
    "values": {0: "batch", 1: "values"},
    "bias": {0: "rows", 1: "columns"},
}


def test_sizes_that_attention_makes_one_are_one(rng):
    module = Crossed()
    args = (torch.ones(2, 5, 4), torch.ones(2, 7, 4), torch.ones(2, 7, 6), torch.ones(5, 7))
    found = capture(module, args, dynamic=SIZES)
    told = {name: value.shape for name, value in found.graph.inputs.items()}
    assert [str(size) for size in (told["keys"][1], told["values"][1], told["bias"][1])] == ["keys"] * 3
    assert str(told["x"][1]) == str(told["bias"][0]) == "length"
    sizes = {"batch": 2, "length": 3, "rows": 3, "keys": 4, "values": 4, "columns": 4}
    assert_same(module, args, {}, SIZES, to="jax", rng=rng, sizes=[sizes])
