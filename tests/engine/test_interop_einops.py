"""einops on `Array`, in every framework, against einops on NumPy."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ivyhub import engine
from ivyhub.engine import Array
from tests.arrays import assert_close

einops = pytest.importorskip("einops")
from einops import array_api

CASES: tuple[Callable[[Any, Any], Any], ...] = (
    lambda e, x: e.rearrange(x, "b c h w -> b h w c"),
    lambda e, x: e.rearrange(x, "b c (h h2) (w w2) -> (b h2 w2) c h w", h2=2, w2=3),
    lambda e, x: e.rearrange([x[0], x[1]], "b c h w -> c (b h) w"),
    lambda e, x: e.repeat(x, "b c h w -> b (c 2) h (w k)", k=3),
    lambda e, x: e.pack([x[0], x[0, 0]], "* h w")[0],
    lambda e, x: e.unpack(x, [(), (2,)], "b * h w")[1],
    *(lambda e, x, name=name: e.reduce(x, "b c (h 2) w -> c (b h) ()", name) for name in ("max", "mean", "min", "sum")),
)


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-1, 1, (2, 3, 4, 6)).astype(np.float32)


def test_every_function(framework: str, x: np.ndarray) -> None:
    ours = importlib.import_module(f"ivyhub.engine.xp.{framework}").asarray(x)
    for case in CASES:
        for functions in (einops, array_api):
            found = case(functions, ours)
            assert type(found) is Array
            assert found.framework == framework
            # Means of 12 float32 numbers, summed in any order.
            assert_close(einops.asnumpy(found), case(einops, x), 1e-5)
    found = einops.einsum(ours, ours[0], "b c h w, c h v -> b w v")
    expected = np.einsum("bchw,chv->bwv", x.astype(float), x[0].astype(float))
    assert_close(found, expected, 1e-5)  # sums of 12 products


@pytest.mark.parametrize("name", ["torch", "jax", "tensorflow"])
def test_gradients_pass_through(name: str, x: np.ndarray) -> None:
    pytest.importorskip(name)
    ours = importlib.import_module(f"ivyhub.engine.xp.{name}").asarray(x)
    gradient = engine.grad(lambda x: (einops.reduce(x, "b c h w -> c", "sum") ** 2).sum())(ours)
    expected = np.broadcast_to(2 * x.sum((0, 2, 3), keepdims=True), x.shape)
    assert_close(gradient, expected, 1e-4)  # sums of 48 numbers of either sign


@pytest.mark.parametrize("imports", ["from ivyhub.engine import Array; import einops", "import einops, ivyhub.engine"])
def test_nothing_is_to_be_called_and_nothing_is_loaded_before(imports: str) -> None:
    program = f"""
import sys
import ivyhub.engine
assert "einops" not in sys.modules
{imports}
assert "ivyhub.engine.ops" not in sys.modules or "Array" in {imports!r}
import numpy as np
from ivyhub.engine import Array
from tests.arrays import assert_close
assert einops.rearrange(Array(np.ones((2, 3))), "a b -> (b a)").shape == (6,)
assert einops.rearrange(np.ones((2, 3)), "a b -> (b a)").shape == (6,)
assert not {{"torch", "jax", "tensorflow"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
