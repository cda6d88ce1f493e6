"""Sizes that vary where a framework asks for numbers."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import torch

import ivyhub
from tests.arrays import assert_close


def test_places_outside_of_an_axis_that_varies_are_dropped(rng: np.random.Generator) -> None:
    def function(x: Any, places: Any, values: Any) -> Any:
        return x.at[places].set(values)

    places, values = np.array([0, 90, -1, 2], np.int32), rng.standard_normal(4).astype(np.float32)
    example = (jnp.zeros(6), jnp.asarray(places), jnp.asarray(values))
    found = ivyhub.transpile(function, to="numpy", args=example, dynamic={"x": {0: "n"}})
    for size in (4, 9):
        x = rng.standard_normal(size).astype(np.float32)
        assert_close(found(x, places, values), np.asarray(function(jnp.asarray(x), places, values)), 0)


def test_an_einsum_of_three_arrays_leaves_sizes_open(rng: np.random.Generator) -> None:
    class Module(torch.nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
            return torch.einsum("bi,ij,bj->b", x, y, z)

    arrays = [torch.tensor(rng.standard_normal(shape).astype(np.float32)) for shape in ((3, 4), (4, 5), (3, 5))]
    graph = ivyhub.trace(Module(), *arrays, dynamic={"x": {0: "batch"}, "z": {0: "batch"}})
    assert str(graph.outputs.spec) == "float32[batch]"


def test_elements_that_are_taken_along_an_axis_leave_sizes_open() -> None:
    def function(x: Any, places: Any) -> Any:
        return jnp.take_along_axis(x, places, axis=1)

    args = (jnp.zeros((3, 4)), jnp.zeros((3, 2), jnp.int32))

    class Module(torch.nn.Module):
        def forward(self, x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
            return found(x, places)

    found = ivyhub.transpile(function, to="torch", args=args, dynamic={"x": {0: "batch"}, "places": {0: "batch"}})
    again = ivyhub.trace(
        Module(),
        torch.zeros(3, 4),
        torch.zeros((3, 2), dtype=torch.int32),
        dynamic={"x": {0: "batch"}, "places": {0: "batch"}},
    )
    assert str(again.outputs.spec) == "float32[batch, 2]"
