"""Functions that are kept whole keep their settings."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ivyhub
from tests.arrays import assert_close


@pytest.mark.parametrize("approximate", [True, False])
def test_gelu_is_the_one_that_was_called(approximate: bool) -> None:
    def function(x: Any) -> Any:
        return jax.nn.gelu(x, approximate=approximate)

    x = np.linspace(-4, 4, 33, dtype=np.float32)
    graph = ivyhub.trace(function, jnp.asarray(x))
    assert [(node.op, node.attributes) for node in graph.nodes] == [("gelu", {"approximate": approximate})]
    found = ivyhub.transpile(function, to="numpy", args=(jnp.asarray(x),))(x)
    assert_close(found, np.asarray(function(x)), 1e-6)  # the two formulas are 5e-4 apart
