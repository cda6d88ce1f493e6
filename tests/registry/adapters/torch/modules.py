"""Modules that are hard to capture by what they are called with, give back, and hold."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from tests.registry.adapters.torch.examples import (
    BATCH,
    SEVERAL,
    Block,
    OneLinear,
    example,
    floats,
    integers,
    plain,
)

# -- inputs ----------------------------------------------------------------------------------------------------------


@example(floats(2, 4), plain(None), kwargs={"y": floats(2, 4)}, dynamic={"x": BATCH, "y": BATCH})
class KeywordsAndNone(OneLinear):
    def forward(self, x, mask=None, *, y, z=None):
        x = self.linear(x) + y
        return x if mask is None else x * mask


@example(
    *(floats(2, 4), floats(2, 4)),
    kwargs={"a": floats(2, 4), "b": floats(2, 4)},
    dynamic={"xs": BATCH, "a": BATCH, "b": BATCH},
)
class StarredArguments(OneLinear):
    def forward(self, *xs, **named):
        return self.linear(xs[0] * 2 + xs[1]) + named["a"] - named["b"]


@example(floats(2, 4))
class PositionalOnly(OneLinear):
    def forward(self, x, /):
        return self.linear(x)


@example(
    lambda: (torch.randn(2, 4), torch.randn(2, 4)),
    lambda: [torch.randn(2, 4)],
    lambda: {"a": torch.randn(2, 4), "b": {"c": torch.randn(2, 4)}},
    dynamic={"pair": BATCH, "several": BATCH, "named": BATCH},
)
class NestedInputs(OneLinear):
    def forward(self, pair, several, named):
        return self.linear(pair[0] + pair[1] * 2) + several[0] * named["a"] + self.linear(named["b"]["c"])


@example(floats(2, 4), plain(3), plain("sum"), plain(True))
class PlainValues(OneLinear):
    def forward(self, x, factor, how, flag):
        return getattr(self.linear(x) * factor, how)(-1) if flag else x


# -- outputs ---------------------------------------------------------------------------------------------------------

Pair = namedtuple("Pair", "first second")


@dataclass
class Result:
    main: torch.Tensor
    other: torch.Tensor | None = None


torch.export.register_dataclass(Result)


@example(floats(2, 4))
class DataclassResult(OneLinear):
    def forward(self, x):
        return Result(self.linear(x))


@example(floats(2, 4))
class NamedTupleResult(OneLinear):
    def forward(self, x):
        y = self.linear(x)
        return Pair(y, y * 2)


@example(floats(2, 4))
class NestedResult(OneLinear):
    def forward(self, x):
        y = self.linear(x)
        return {"all": [y, None, (y + 1,)], "count": 3, "size": x.shape[0], "same": y}


@example(floats(2, 4))
class ReturnsWhatItGot(OneLinear):
    def forward(self, x):
        return x, self.linear(x), x, self.linear.bias


# -- sizes -----------------------------------------------------------------------------------------------------------


@example(floats(1, 4), floats(1, 4), dynamic={"x": BATCH, "y": BATCH})
class CapturedAtSizeOne(OneLinear):
    def forward(self, x, y):
        return self.linear(x + y)


@example(
    *(floats(2, 4), floats(3, 4)),
    dynamic={"x": {0: "n"}, "y": {0: "m"}},
    sizes=[{"n": 1, "m": 4}, {"n": 5, "m": 1}, {"n": 3, "m": 3}],
)
class TwoSizes(OneLinear):
    def forward(self, x, y):
        joined = torch.cat([self.linear(x), self.linear(y)], 0)
        return joined, x @ y.T, torch.arange(x.shape[0] * 2 + 1), x.reshape(-1), self.linear(x) / x.shape[0]


@example(
    floats(2, 3, 9, 8),
    dynamic={"x": {0: "batch", 2: "height", 3: "width"}},
    sizes=[{"batch": 1, "height": 9, "width": 8}, {"batch": 3, "height": 12, "width": 7}],
)
class DerivedSizes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        y = self.pool(torch.relu(self.conv(x)))
        return self.head(y.flatten(2).transpose(1, 2)), y.mean((2, 3)), y.shape[2]


@example(floats(2, 3, 4), dynamic={"x": {0: "batch", 1: "length"}})
class FlattenedBatch(OneLinear):
    def forward(self, x):
        y = self.linear(x.flatten(0, 1))
        return y.view(x.size(0), -1, 4), y.unflatten(0, (x.shape[0], x.shape[1]))


# -- sharing ---------------------------------------------------------------------------------------------------------


@example(floats(2, 4))
class CalledTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block, self.linear = Block(), nn.Linear(4, 4)

    def forward(self, x):
        return self.block(self.linear(self.block(x)))


@example(floats(2, 4))
class CalledInTwoWays(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, x):
        return self.block(self.block(x), extra=x)


@example(floats(2, 4))
class CalledInALoop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, x):
        for _ in range(4):
            x = self.block(x) + x
        return x


@example(floats(2, 4))
class OneModuleTwoNames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        shared = Block()
        self.first, self.second = shared, shared
        self.layers = nn.ModuleList([shared, Block(), shared])

    def forward(self, x):
        x = self.second(self.first(x))
        for layer in self.layers:
            x = layer(x)
        return x


@example(integers(0, 7, 2, 5), dynamic={"ids": {0: "batch", 1: "length"}})
class TiedHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids):
        return self.head(self.embedding(ids))


@example(integers(0, 7, 2, 5), dynamic={"ids": {0: "batch", 1: "length"}})
class TiedEmbedding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.block, self.embedding = nn.Linear(4, 7), Block(), nn.Embedding(7, 4)
        self.embedding.weight = self.head.weight

    def forward(self, ids):
        return self.head(self.block(self.embedding(ids)))


@example(floats(2, 4))
class TiedAcrossModules(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Block(), Block()
        self.second.gain = self.first.gain
        self.second.linear.weight = self.first.linear.weight

    def forward(self, x):
        return self.second(self.first(x))


@example(floats(2, 4))
class TiedTransposed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.bias = nn.Linear(4, 3), nn.Parameter(torch.randn(4))

    def forward(self, x):
        return F.linear(self.encoder(x), self.encoder.weight.t(), self.bias)


# -- arrays ----------------------------------------------------------------------------------------------------------


@example(floats(2, 4))
class Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.norm = nn.Linear(4, 4), nn.Linear(4, 4), nn.LayerNorm(4)
        self.gain = nn.Parameter(torch.randn(4), requires_grad=False)
        self.first.requires_grad_(False)
        self.norm.requires_grad_(False)
        self.second.bias.requires_grad_(False)

    def forward(self, x):
        return self.norm(self.second(self.first(x) * self.gain))


@example(floats(2, 4))
class Buffers(OneLinear):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kept", torch.randn(4))
        self.register_buffer("small", torch.randn(4), persistent=False)
        self.register_buffer("large", torch.randn(4, 30), persistent=False)

    def forward(self, x):
        return self.linear(x) * self.kept + self.small, x @ self.large


class Counting(OneLinear):
    """Buffers that calls change in place."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        self.count += 1
        self.steps.add_(1)
        y = self.linear(x)
        self.mean.mul_(0.9).add_(0.1 * y.detach().mean(0))
        return y + self.count + self.mean


@example(floats(2, 4))
class ChangedBuffers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Counting(), Counting()
        self.register_buffer("last", torch.ones(4))
        self.register_buffer("hidden", torch.ones(4), persistent=False)

    def forward(self, x):
        before = self.last.clone()
        self.last = self.last * 0.5 + 1
        self.hidden.add_(1)
        return self.second(self.first(self.first(x))) * self.last + before * self.hidden


@example(floats(2, 4))
class RootParameters(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(3))
        self.scale, self.unused = nn.Parameter(torch.tensor(0.5)), nn.Parameter(torch.randn(3))

    def forward(self, x):
        return (x @ self.weight + self.bias) * self.scale.exp(), self.scale * 2


@example(floats(2, 4))
class WeightNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))

    def forward(self, x):
        return self.linear(x)


# -- normalisation by batches ----------------------------------------------------------------------------------------


@example(floats(4, 4, 6), sizes=SEVERAL)
class BatchNorms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.linear = nn.BatchNorm1d(4, momentum=0.3, eps=1e-3), nn.Linear(6, 6)
        self.second, self.third = nn.BatchNorm1d(6, affine=False), nn.BatchNorm1d(6, track_running_stats=False)

    def forward(self, x):
        x = self.linear(self.first(x)).mean(1)
        return self.second(x) + self.third(x)


@example(floats(4, 4, 6, 6), sizes=SEVERAL)
class BatchNormTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.norm(self.conv(x)) * 2 + 1)
