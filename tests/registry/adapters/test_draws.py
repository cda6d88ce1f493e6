"""Models that draw random numbers in evaluation too: exports draw from their own streams, with the same distributions.

What is drawn is judged by its distribution function: two samples of 16384 numbers differ in it by 0.05 anywhere once in
10¹⁷ runs (Massart's bound for Kolmogorov and Smirnov's statistic, 2 · exp(-16384 · 0.05²)).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ivyhub
from ivyhub.errors import GraphError

TARGETS = ("torch", "jax", "flax.linen", "tensorflow", "numpy")
SIZE, APART = 16384, 0.05


class Drawing(nn.Module):
    """A function of random numbers as a module."""

    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


class Encoder(nn.Module):
    """Draws in a module of its own, beside a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.mean(x)
        return mean + 0.1 * torch.randn_like(mean)


class Autoencoder(nn.Module):
    """What variational autoencoders and diffusion models draw."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        step = torch.randint(0, 10, (x.shape[0],))
        kept = torch.bernoulli(torch.sigmoid(x))
        return self.decoder(self.encoder(x * kept)) * torch.rand(x.shape[0], 1), step


def apart(a: Any, b: Any) -> float:
    """The largest difference of two samples' distribution functions."""
    a, b = (np.sort(np.asarray(each, dtype=np.float64), axis=None) for each in (a, b))
    points = np.concatenate([a, b])
    counts = [np.searchsorted(each, points, side="right") / each.size for each in (a, b)]
    return float(np.abs(counts[0] - counts[1]).max())


def called(model: Any, target: str, x: np.ndarray, seed: int) -> list[np.ndarray]:
    """The results of an export in evaluation."""
    if target == "torch":
        found = model.eval()(torch.from_numpy(x))
    elif target == "flax.linen":
        import jax

        found = model[0].apply(model[1], x, rngs={"default": jax.random.key(seed)})
    else:
        found = model(x)
    return [np.asarray(each) for each in found]


@pytest.mark.parametrize("target", TARGETS)
def test_exports_draw_anew_in_each_call(target: str, rng: np.random.Generator) -> None:
    def function(x: torch.Tensor) -> list[torch.Tensor]:
        return [torch.rand_like(x), torch.randn(x.shape), torch.randn_like(x), torch.randint(-2, 5, x.shape)]

    model = ivyhub.transpile(Drawing(function), to=target, args=(torch.zeros(SIZE),))
    x = np.zeros(SIZE, np.float32)
    seeds = rng.choice(2**31, size=2, replace=False)
    first, again = (called(model, target, x, int(seed)) for seed in seeds)
    for found in (first, again):
        assert not np.array_equal(found[1], found[2])
        for wanted, each in zip(function(torch.zeros(SIZE)), found, strict=True):
            assert each.dtype.kind == wanted.numpy().dtype.kind
            assert apart(wanted, each) < APART
    assert not any(map(np.array_equal, first, again))


@pytest.mark.parametrize("target", TARGETS)
def test_a_certificate_gives_both_sides_the_same_numbers(target: str) -> None:
    """What is drawn stands in outputs and gradients: an export that drew elsewhere would be refused."""
    ivyhub.transpile(Autoencoder(), to=target, args=(torch.zeros(2, 3),), dynamic={"x": {0: "batch"}}, verify=True)


FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "uniform_": lambda x: x.clone().uniform_(-2, 3),
    "normal_": lambda x: x.clone().normal_(1, 0.5),
    "exponential_": lambda x: x.clone().exponential_(2),
    "log_normal_": lambda x: x.clone().log_normal_(0.5, 0.75),
    "cauchy_": lambda x: x.clone().cauchy_(1, 2),
    "geometric_": lambda x: x.clone().geometric_(0.3),
    "random_": lambda x: x.long().random_(9),
    "bernoulli": lambda x: torch.bernoulli(torch.full_like(x, 0.3)),
    "bernoulli_": lambda x: x.clone().bernoulli_(0.8),
    "bernoulli_ of an array": lambda x: x.clone().bernoulli_(torch.linspace(0, 1, SIZE)),
    "normal of arrays": lambda x: torch.normal(x + 1, torch.full_like(x, 0.5)),
    "normal of numbers": lambda x: torch.normal(1.0, 2.0, (SIZE,)),
    "randint_like": lambda x: torch.randint_like(x, 2, 7),
    "randperm": lambda x: torch.randperm(SIZE)[: SIZE // 2],
    "multinomial": lambda x: torch.multinomial(torch.tensor([0.1, 0.0, 0.6, 0.3]), SIZE, replacement=True),
    "multinomial, each once": lambda x: torch.multinomial(torch.tensor([0.1, 0.5, 0.3, 0.1]).expand(SIZE // 2, 4), 2),
    "rrelu": lambda x: F.rrelu(x - 1, 0.1, 0.4, training=True),
    "gumbel_softmax": lambda x: F.gumbel_softmax(torch.zeros(SIZE // 2, 2), tau=0.5),
    "fractional_max_pool2d": lambda x: F.fractional_max_pool2d(
        torch.arange(64.0).reshape(1, 1, 8, 8).expand(SIZE // 9, 2, 8, 8), 2, output_size=3
    )[..., 0, :],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_distributions_are_those_of_torch(name: str) -> None:
    model = ivyhub.transpile(Drawing(FUNCTIONS[name]), to="torch", args=(torch.zeros(SIZE),))
    found, wanted = model(torch.zeros(SIZE)), FUNCTIONS[name](torch.zeros(SIZE))
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert found.numel() >= SIZE // 2
    assert apart(wanted, found) < APART * 1.5  # half as many numbers in some


def test_parameters_of_a_distribution_have_no_gradient() -> None:
    """As in PyTorch, where they have zeros."""
    draws = Drawing(lambda x: torch.normal(x, x.abs() + 1) + torch.bernoulli(torch.sigmoid(x)) + x)
    model = ivyhub.transpile(draws, to="torch", args=(torch.zeros(4),))
    x = torch.zeros(4, requires_grad=True)
    model(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.ones(4))


def test_draws_in_a_branch_are_refused() -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda y: y + torch.rand_like(y), lambda y: y * 2, (x,))

    with pytest.raises(GraphError, match="branch or loop"):
        ivyhub.transpile(Drawing(function), to="jax", args=(torch.zeros(4),))
