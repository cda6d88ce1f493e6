"""Names of the source in the export: PyTorch keeps every one, the others give each its own place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import ivyhub
from ivyhub.engine.graph import tree_leaves
from ivyhub.errors import NoLoweringError
from ivyhub.registry import api
from tests.arrays import as_numpy, assert_close, native
from tests.registry.adapters.parity import assert_same

TARGETS = ("torch", "jax", "flax.linen", "tensorflow", "numpy")


class Block(nn.Module):
    """A child with code of its own, so that a row of them is a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.linear(x)) + x


class Skips(nn.ModuleList):
    """A list with code of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self:
            x = block(x) * 0.5 + x
        return x


class Keyed(nn.Module):
    """Names that no attribute can have, of modules and of arrays."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({"left": nn.Linear(4, 4), "1": Block()})
        self.gains = nn.ParameterList([nn.Parameter(torch.randn(4)) for _ in range(3)])
        self.add_module("0", Block())
        self.add_module("1", Block())
        self.add_module("lambda", Block())
        self.register_parameter("3", nn.Parameter(torch.randn(4)))
        self.register_buffer("2", torch.randn(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.heads["left"](x) - self.heads["1"](x)
        x = getattr(self, "lambda")(x) * getattr(self, "3") + getattr(self, "1")(getattr(self, "0")(x)) * getattr(
            self, "2"
        )
        return x * self.gains[0] + self.gains[2]


class Punctuated(nn.Module):
    """Names that are alike but for what is no letter."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({"a-b": nn.Linear(4, 4), "a_b": Block()})
        self.shifts = nn.ParameterDict({"x+y": nn.Parameter(torch.randn(4)), "x_y": nn.Parameter(torch.randn(4))})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.heads["a-b"](x) - self.heads["a_b"](x) * self.shifts["x_y"] + self.shifts["x+y"]


_CODE = "x = exit() #"
_ODD = (
    "lambda",
    "class",
    "None",
    "layer-1",
    "a b",
    "0abc",
    "é",
    "e\u0301",
    "\ufb01",
    "__private",
    'q"t',
    "'",
    "\\n",
    _CODE,
)


class Odd(nn.Module):
    """Names that are keywords, no identifiers, other ones to Python than to PyTorch, or code."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        for word in _ODD:
            match kind:
                case "array":
                    self.register_parameter(word, nn.Parameter(torch.randn(4)))
                case "buffer":
                    self.register_buffer(word, torch.randn(4))
                case "layer":
                    self.add_module(word, nn.Linear(4, 4))
                case _:
                    self.add_module(word, Block())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        for word in _ODD:
            part = getattr(self, word)
            y = y + (torch.tanh(part(x)) if isinstance(part, nn.Module) else part * x)
        return y


class Counts(nn.Module):
    """A buffer of such a name that calls change."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("0", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        setattr(self, "0", getattr(self, "0") * 0.5 + x.mean(0).detach())
        return self.linear(x) + getattr(self, "0")


def _tied() -> nn.Module:
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    module[2].weight = module[0].weight
    return module


MODULES: dict[str, Callable[[], nn.Module]] = {
    "flat": lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 4)),
    "nested": lambda: nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.Tanh()), nn.Sequential(Block(), nn.Linear(4, 2))),
    "blocks": lambda: nn.Sequential(*[Block() for _ in range(3)]),
    "blocks with gaps": lambda: nn.Sequential(nn.ReLU(), Block(), Block(), Block(), nn.ReLU(), Block(), Block()),
    "nested blocks with gaps": lambda: nn.Sequential(nn.Tanh(), nn.Sequential(nn.ReLU(), Block(), Block(), nn.ReLU())),
    "list with code": lambda: Skips([Block(), Block()]),
    "lists with code": lambda: nn.Sequential(Skips([Block(), Block()]), nn.Tanh(), Skips([Block(), Block(), Block()])),
    "keyed": Keyed,
    "punctuated": Punctuated,
    "counts": Counts,
    **{f"odd {kind}": functools.partial(Odd, kind) for kind in ("array", "buffer", "layer", "block")},
    "tied": _tied,
}


def _input(module: nn.Module) -> str:
    return "input" if type(module) is nn.Sequential else "x"


@pytest.mark.parametrize("name", MODULES)
def test_the_tensors_of_a_torch_export_load_into_the_original(name: str, tmp_path: Path) -> None:
    module, fresh = MODULES[name](), MODULES[name]()
    ivyhub.push(module, "mine", args=(torch.randn(2, 4),), dynamic={_input(module): {0: "batch"}})
    api.pull_package("mine", framework="torch", to=tmp_path / "mine")
    tensors = load_file(tmp_path / "mine" / "model.safetensors")
    if name == "tied":  # a file has it once
        tensors["2.weight"] = tensors["0.weight"]
    fresh.load_state_dict(tensors, strict=True)
    assert all(torch.equal(tensor, module.state_dict()[key]) for key, tensor in fresh.state_dict().items())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_numbers_and_odd_names_is_the_same_everywhere(
    name: str, target: str, rng: np.random.Generator
) -> None:
    if name == "counts" and target in ("tensorflow", "numpy"):
        with pytest.raises(NoLoweringError):  # they keep nothing that a call changes
            ivyhub.transpile(Counts(), to=target, args=(torch.randn(2, 4),))
        return
    torch.manual_seed(int(rng.integers(2**31)))
    module = MODULES[name]()
    native = assert_same(module, (torch.randn(2, 4),), dynamic={_input(module): {0: "batch"}}, to=target, rng=rng)
    if target == "torch":
        assert native.state_dict().keys() == module.state_dict().keys()


def test_a_sequential_reads_as_a_list() -> None:
    module = nn.Sequential(*[Block() for _ in range(3)])
    source = ivyhub.trace(module, torch.randn(2, 4)).emit("torch").source
    assert "class Sequential(nn.ModuleList):" in source
    assert "for block in self:" in source
    assert [
        path for path, _ in tree_leaves(ivyhub.transpile(module, to="numpy", args=(torch.randn(2, 4),)).params)
    ] == [*module.state_dict()]


def test_a_record_and_a_function_of_one_name(framework: str, rng: np.random.Generator) -> None:
    class Values(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return torch.svd(x)  # a record called svd, which a support function of some targets is called too

    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    found = ivyhub.transpile(Values(), to=framework, args=(torch.zeros(2, 3, 4),))
    given = found(native(framework, x))
    u, s, v = map(as_numpy, given)
    assert_close(s, np.linalg.svd(x, compute_uv=False), 1e-5)  # sums of some dozen products
    assert_close(np.einsum("bik,bk,bjk->bij", u, s, v), x, 1e-5)
