"""Modules that are hard to capture by what they do: writes, training, containers, names, dtypes."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

from tests.registry.adapters.torch.examples import (
    BATCH,
    SEVERAL,
    Block,
    OneLinear,
    X,
    booleans,
    example,
    floats,
    integers,
)

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


@example(floats(2, 4))
class WrittenWithoutGradients(OneLinear):
    """What is written under ``no_grad`` has the gradient of what stood there; a view's elements too."""

    def forward(self, x):
        y = self.linear(x)
        with torch.no_grad():
            y.clamp_(min=0.1)
            y[:, 0].mul_(2.0)
        return y * y
