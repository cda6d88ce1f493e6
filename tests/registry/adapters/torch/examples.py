"""What the tables of hard modules share: how an example is entered, and what it is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

MODULES: dict[str, Callable[[], Example]] = {}
BATCH = {0: "batch"}
X = {"x": BATCH}
SEVERAL = [{"batch": 4}, {"batch": 7}]  # the statistics of very few examples magnify rounding


@dataclass
class Example:
    """A module with what it is called with, and the sizes at which it is compared (by default 1 and 5)."""

    module: nn.Module
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=lambda: X)
    sizes: Sequence[Mapping[str, int]] = ()
    dtype: str = "float32"


def example(*args: Callable[[], Any], **settings: Any) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Enter a class in `MODULES` under its name; arguments are made by functions."""
    kwargs = settings.pop("kwargs", {})

    def enter(cls: type[nn.Module]) -> type[nn.Module]:
        def make() -> Example:
            inputs = tuple(arg() for arg in args)
            return Example(cls(), inputs, {name: arg() for name, arg in kwargs.items()}, **settings)

        MODULES[cls.__name__] = make
        return cls

    return enter


def floats(*shape: int) -> Callable[[], torch.Tensor]:
    return lambda: torch.randn(*shape)


def integers(low: int, high: int, *shape: int) -> Callable[[], torch.Tensor]:
    return lambda: torch.randint(low, high, shape)


def booleans(*shape: int) -> Callable[[], torch.Tensor]:
    return lambda: torch.rand(*shape) > 0.3


def plain(value: Any) -> Callable[[], Any]:
    return lambda: value


class Block(nn.Module):
    """The composite that others hold: a layer and a parameter of its own."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.gain = nn.Parameter(torch.randn(width))

    def forward(self, x: torch.Tensor, extra: torch.Tensor | None = None) -> torch.Tensor:
        y = torch.tanh(self.linear(x)) * self.gain
        return y if extra is None else y + extra


class OneLinear(nn.Module):
    """The base of modules that need one layer to have gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)


def unknown(name: str) -> Any:
    """An operation that no rule reads, as its library registered it."""
    operation = torch.library.custom_op(
        f"tests::{name}", lambda x: x.clone(), mutates_args=(), schema="(Tensor x) -> Tensor"
    )
    operation.register_fake(torch.empty_like)
    return operation
