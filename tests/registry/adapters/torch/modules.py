"""Modules that are hard to capture, each for one reason, with the inputs that they are captured with.

`MODULES` maps a name to a function that makes an `Example`; its random numbers are torch's, seeded by the test.
"""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

MODULES: dict[str, Callable[[], Example]] = {}
BATCH = {0: "batch"}
X = {"x": BATCH}


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

SEVERAL = [{"batch": 4}, {"batch": 7}]  # the statistics of very few examples magnify rounding


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


# -- writes in place -------------------------------------------------------------------------------------------------


@example(floats(3, 4))
class InPlace(OneLinear):
    def forward(self, x):
        y = self.linear(x)
        z = y * 1
        z += 1
        z[:, 0] = 3
        z[:, 1:3].mul_(2)
        z[:, 1:][:, 1] += y[:, 0]
        z.clamp_(min=-0.5)
        w = z.view(-1, 2, 2)
        w[:, 0].add_(1)
        q = y.clone()
        q.masked_fill_(y > 0, -1.0)
        q[..., -1] = 0
        return z, w, q


@example(floats(3, 4))
class ViewsOfWhatIsWritten(OneLinear):
    def forward(self, x):
        y = self.linear(x) * 1
        column, turned = y[:, 0], y.transpose(0, 1)
        y.add_(1)
        turned[1] = column
        kept = y.detach()
        made = torch.zeros_like(x)
        made[x > 0] = 1.0
        made[: x.shape[0] - 1].add_(2)
        return y * 2, column, turned, kept, made


@example(floats(3, 4))
class InPlaceLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Dropout(0.5, inplace=True)),
            *(nn.Linear(4, 4), nn.LeakyReLU(0.1, inplace=True), nn.Linear(4, 4), nn.Hardtanh(inplace=True)),
        )

    def forward(self, x):
        return self.net(x)


@example(floats(3, 4))
class WithoutGradients(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.block, self.last = nn.Linear(4, 4), Block(), nn.Linear(4, 4)

    def forward(self, x):
        with torch.no_grad():
            y = self.first(x)
            z = self.block(y)
            with torch.enable_grad():
                w = self.last(x)
        return self.last(z) + y + w


# -- dropout and attention -------------------------------------------------------------------------------------------


@example(floats(3, 4), sizes=SEVERAL)
class AsksWhetherItTrains(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.dropout, self.norm = nn.Linear(4, 4), nn.Dropout(0.2), nn.BatchNorm1d(4)

    def forward(self, x):
        x = self.norm(self.linear(x))
        if self.training:
            x = F.dropout(x, 0.3)
        x = F.dropout(F.dropout(x, 0.2, self.training), 0.4, training=False)
        q = x[:, None, None]
        return self.dropout(F.scaled_dot_product_attention(q, q, q, dropout_p=self.dropout.p if self.training else 0.0))


@example(floats(2, 4))
class LayerDrop(nn.Module):
    """Stochastic depth, here of rate 0."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.rate = nn.ModuleList(Block() for _ in range(3)), 0.0

    def forward(self, x):
        x = F.dropout(x, 0.1, training=self.training)
        for layer in self.layers:
            skip = False
            if self.training:
                skip = bool(torch.rand([]) < self.rate)
            if not skip:
                x = layer(x)
        return F.dropout(x, 0.1, training=self.training)


SQUARE = {0: "batch", 2: "length"}


@example(
    *(floats(2, 2, 5, 4), floats(2, 2, 5, 4), floats(2, 2, 5, 4), booleans(2, 1, 5, 5), floats(5, 5)),
    dynamic={
        "q": SQUARE,
        "k": SQUARE,
        "v": SQUARE,
        "mask": {0: "batch", 2: "length", 3: "length"},
        "bias": {0: "length", 1: "length"},
    },
)
class Attention(OneLinear):
    def forward(self, q, k, v, mask, bias):
        attend, q = F.scaled_dot_product_attention, self.linear(q)
        return (
            *(attend(q, k, v), attend(q, k, v, mask), attend(q, k, v, attn_mask=bias, scale=0.3)),
            *(attend(q, k, v, is_causal=True), attend(q[:, :1], k, v), attend(q, k[:, :1], v[:, :1], enable_gqa=True)),
        )


@example(floats(2, 5, 8), dynamic={"x": {0: "batch", 1: "length"}})
class NativeAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, dropout=0.1)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu", norm_first=True)

    def forward(self, x):
        y, weights = self.attention(x, x, x)
        return self.layer(y), weights


# -- containers and names --------------------------------------------------------------------------------------------


@example(floats(2, 4))
class Containers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gaps = nn.Sequential(
            nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 4), nn.Identity(), nn.Tanh(), nn.Linear(4, 4)
        )
        self.named = nn.ModuleDict({"a": nn.Linear(4, 4), "7": nn.Linear(4, 4)})
        self.nested = nn.Sequential(
            OrderedDict(
                first=nn.Sequential(nn.Linear(4, 4), nn.ReLU()),
                second=nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4))),
            )
        )
        self.table = nn.ParameterDict({"gain": nn.Parameter(torch.randn(4))})
        self.list = nn.ParameterList([nn.Parameter(torch.randn(4)), nn.Parameter(torch.randn(4))])

    def forward(self, x):
        x = self.gaps(x)
        for key in self.named:
            x = self.named[key](x)
        return self.nested(x) * self.table["gain"] + self.list[0] - self.list[1]


@example(floats(2, 4))
class SkippedItems(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers, self.unused = nn.ModuleList(Block() for _ in range(4)), nn.Linear(4, 4)

    def forward(self, x):
        for index, layer in enumerate(self.layers):
            x = x if index == 1 else layer(x)
        return x


WORDS = (
    *("output", "name", "lambda", "class", "self_", "rngs", "dtypes", "sow", "build", "variables", "losses"),
    *("setup", "jnp", "nnx", "torch", "F", "x", "Linear", "weights", "path", "dtype", "training_"),
)


@example(floats(2, 4))
class ReservedWords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for word in WORDS:
            self.add_module(word, nn.Linear(4, 4))
        self.register_parameter("input", nn.Parameter(torch.randn(4)))
        self.register_parameter("def", nn.Parameter(torch.randn(4)))

    def forward(self, x):
        for module in self._modules.values():
            x = x + torch.tanh(module(x))
        return x * self.input - getattr(self, "def")


@example(floats(2, 4), floats(2, 4), floats(2, 4), floats(2, 4), dynamic={})
class ReservedArguments(OneLinear):
    def forward(self, input, jnp, torch, list):
        return self.linear(input) + jnp * torch - list


class Sine(nn.Module):
    def forward(self, x, factor=2.0):
        return torch.sin(x) * factor


@example(floats(2, 4))
class FunctionLike(OneLinear):
    def __init__(self) -> None:
        super().__init__()
        self.sine = Sine()

    def forward(self, x):
        return self.sine(self.linear(self.sine(x)), 3.0)


@example(floats(2, 4))
class OtherMethods(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.child = Block()

    def forward(self, x):
        return torch.relu(self.child.linear(x)) + self.child(x)


# -- dtypes ----------------------------------------------------------------------------------------------------------


@example(lambda: torch.randn(2, 4, dtype=torch.float16), dtype="float16", dynamic={})
class Half(OneLinear):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.half()

    def forward(self, x):
        return self.norm(self.linear(x)).float()


@example(lambda: torch.randn(2, 4, dtype=torch.bfloat16), dtype="bfloat16")
class BrainFloat(OneLinear):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.gain = nn.LayerNorm(4), nn.Parameter(torch.randn(4))
        self.bfloat16()

    def forward(self, x):
        return self.norm(self.linear(x)) * self.gain


@example(integers(-9, 9, 2, 4), dynamic={"i": BATCH})
class Integers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(12, 3)

    def forward(self, i):
        low, halves = i % 5, torch.div(i, 2, rounding_mode="trunc")
        sums, count = torch.cumsum(i, 1), (i > 0).sum(-1)
        return (
            *(i // 3, low, halves, (i << 1) ^ 3, i.float() / 3, i / 4, sums, count, i.to(torch.int32)),
            *(self.embedding(low), torch.fmod(i, 4), i.abs().max(), i**2, -i),
        )


@example(floats(2, 6, 4), dynamic=X)
class RecurrentCells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.lstm = nn.GRUCell(4, 4), nn.LSTMCell(4, 4)

    def forward(self, x):
        h, state = torch.zeros(x.shape[0], 4), (torch.zeros(x.shape[0], 4), torch.zeros(x.shape[0], 4))
        for step in range(3):
            h = self.gru(x[:, step], h)
            state = self.lstm(h, state)
        return h, state


@example(floats(2, 4))
class WithoutAutocast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block, self.linear = Block(), nn.Linear(4, 4)

    def forward(self, x):
        with torch.autocast("cpu", enabled=False):
            y = self.linear(self.block(x))
        return y * 2
