"""PyTorch's own control flow, in every framework: values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ivyhub
from tests.arrays import as_numpy, assert_close, native

torch = pytest.importorskip("torch")
from torch._higher_order_ops.map import map as torch_map
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop

# PyTorch looks at an attribute of its own that no intermediate array has, when it traces or runs a branch.
# PyTorch's compiler imports its old one.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),
    pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Pred is a Python constant:UserWarning"),
]


class Layered(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)


class Branch(Layered):
    """Branches with parameters of their own, one in the other, of what is around them."""

    def forward(self, x: Any) -> Any:
        scale = x.mean()

        def inner(a: Any) -> Any:
            return torch.cond(a.sum() > scale, lambda b: torch.relu(self.first(b)), lambda b: b * scale, (a,))

        return torch.cond(x.sum() > 0, inner, lambda a: torch.tanh(self.second(a)), (x,)) + 1


class Loop(Layered):
    """Applies a layer a number of times that depends on numbers."""

    def forward(self, x: Any) -> Any:
        def test(step: Any, y: Any) -> Any:
            return (step < 5) & (y.abs().sum() < 9)

        return while_loop(test, lambda step, y: (step + 1, self.first(y) + y), (torch.tensor(0), x))


class Scan(Layered):
    """A recurrence over the first axis."""

    def forward(self, x: Any) -> Any:
        def step(carry: Any, row: Any) -> Any:
            carry = torch.tanh(self.first(row) + self.second(carry))
            return carry, carry * 2

        return scan(step, torch.zeros(3), x)


class Map(Layered):
    """A layer row by row."""

    def forward(self, x: Any) -> Any:
        return torch_map(lambda row, bias: self.first(row) + bias, x, x.sum(0))


@pytest.mark.parametrize("kind", [Branch, Loop, Scan, Map])
def test_values_in_every_framework(kind: type, framework: str, rng: np.random.Generator) -> None:
    module = kind()
    found = ivyhub.transpile(module, to=framework, args=(torch.rand(4, 3),), dynamic={"x": {0: "rows"}})
    for _ in range(3):  # most often both branches, and several lengths of a loop
        x = rng.normal(size=(rng.integers(2, 6), 3)).astype(np.float32)
        wanted = module(torch.from_numpy(x))
        given = found(native(framework, x))
        for ours, theirs in zip(
            *([each] if not isinstance(each, tuple) else each for each in (given, wanted)), strict=True
        ):
            assert_close(ours, theirs, 1e-5)  # a few layers of sums of three products


@pytest.mark.sweep
@pytest.mark.parametrize("kind", [Branch, Scan, Map])
@pytest.mark.parametrize("target", ["jax", "tensorflow"])
def test_gradients_of_every_parameter(kind: type, target: str) -> None:
    ivyhub.transpile(kind(), to=target, args=(torch.rand(4, 3),), verify=True)


def test_a_size_may_choose() -> None:
    class Long(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.cond(x.shape[0] > 3, lambda a: a + 1, lambda a: a - 1, (x,))

    x = np.float32([1, 2])
    assert as_numpy(ivyhub.transpile(Long(), to="numpy", args=(torch.ones(2),))(x)).tolist() == [0, 1]
