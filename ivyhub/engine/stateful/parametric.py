"""Layers with parameters that are no leaf layers of graphs: a graph holds their formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from ...errors import EngineError
from .. import ops
from ..op import Array
from . import initialisers
from .leaves import Linear, Padding, check_groups, each, pads
from .module import Module, Parameter


def within(fan_in: int) -> initialisers.Uniform:
    """Uniform numbers within ±1 / √fan_in, as PyTorch's layers start."""
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    return initialisers.Uniform(-bound, bound)


class Bilinear(Module):
    """y = x1ᵀ W x2 + b over the last axes.

    Source: torch.nn.Bilinear.
    """

    weight: Array  # (out, in1, in2)
    bias: Array | None

    def __init__(self, in1_features: int, in2_features: int, out_features: int, use_bias: bool = True) -> None:
        start = within(in1_features)
        self.weight = Parameter((out_features, in1_features, in2_features), start)
        self.bias = Parameter((out_features,), start) if use_bias else None

    def forward(self, x1: Array, x2: Array) -> Array:
        y = ops.einsum([x1, self.weight, x2], equation="...i,oij,...j->...o")
        return y if self.bias is None else y + self.bias


class PReLU(Module):
    """max(x, 0) + weight · min(x, 0), with one weight or one a channel.

    Source: He et al. 2015, arXiv:1502.01852; torch.nn.PReLU.
    """

    weight: Array  # (num_parameters,)

    def __init__(self, num_parameters: int = 1, *, initial: float = 0.25, channel_axis: int = 1) -> None:
        self.channel_axis = channel_axis
        self.weight = Parameter((num_parameters,), initialisers.Constant(initial))

    def forward(self, x: Array) -> Array:
        return ops.prelu(x, self.weight, channel_axis=self.channel_axis)


class RMSNorm(Module):
    """x / √(mean(x²) + eps) · weight over the last axes.

    Source: Zhang & Sennrich 2019, arXiv:1910.07467; torch.nn.RMSNorm.
    """

    weight: Array | None

    def __init__(self, normalized_shape: int | Sequence[int], eps: float = 1e-6, use_weight: bool = True) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.axis, self.eps = tuple(range(-len(shape), 0)), eps
        self.weight = Parameter(shape, initialisers.ones) if use_weight else None

    def forward(self, x: Array) -> Array:
        return ops.rms_norm(x, self.weight, axis=self.axis, eps=self.eps)


class EmbeddingBag(Module):
    """Rows of a table by index, added up, averaged or their largest elements taken, for each bag of them.

    Source: torch.nn.EmbeddingBag.
    """

    weight: Array  # (num_embeddings, embedding_dim)

    def __init__(
        self, num_embeddings: int, embedding_dim: int, *, mode: str = "mean", padding_idx: int | None = None
    ) -> None:
        if mode not in ("sum", "mean", "max"):
            raise EngineError(f"expected the mode sum, mean or max, received {mode!r}")
        self.mode, self.padding_idx = mode, padding_idx
        self.weight = Parameter((num_embeddings, embedding_dim), initialisers.Normal())

    def forward(self, indices: Array, scales: Array | None = None, offsets: Array | None = None) -> Array:
        """Indices and scales are (batch, length); or (n,), with the offsets (batch,) at which bags start."""
        options = {"mode": self.mode, "padding_idx": self.padding_idx}
        return ops.embedding_bag(indices, self.weight, scales, offsets, **options)


class Einsum(Module):
    """einsum(equation, x, weight) + bias: any linear map of some axes.

    Example:
        >>> import numpy as np
        >>> from ivyhub.engine import random
        >>> heads = Einsum("bti,hij->bthj", (2, 8, 4), (2, 4)).init(random.key(0, "numpy"))
        >>> heads(np.ones((3, 5, 8), np.float32)).shape
        (3, 5, 2, 4)

    Source: flax.nnx.Einsum; keras.layers.EinsumDense.
    """

    weight: Array
    bias: Array | None

    def __init__(self, equation: str, shape: Sequence[int], bias_shape: Sequence[int] | None = None) -> None:
        self.equation = equation
        self.weight = Parameter(tuple(shape), initialisers.lecun_normal)
        self.bias = None if bias_shape is None else Parameter(tuple(bias_shape), initialisers.zeros)

    def forward(self, x: Array) -> Array:
        y = ops.einsum([x, self.weight], equation=self.equation)
        return y if self.bias is None else y + self.bias


class AdaptiveLogSoftmax(Module):
    """Log-probabilities of many classes, the rarer of which stand in clusters with smaller maps.

    Args:
        in_features: of the input.
        classes: how many there are, the most frequent first.
        cutoffs: where the clusters start, in ascending order.
        divisor: each cluster's features are this many times fewer than those of the one before.
        use_bias: whether the head has a bias.

    Source: Grave et al. 2017, arXiv:1609.04309; torch.nn.AdaptiveLogSoftmaxWithLoss. The loss is `ops.nll_loss` of
    this.
    """

    def __init__(
        self, in_features: int, classes: int, cutoffs: Sequence[int], *, divisor: float = 4.0, use_bias: bool = False
    ) -> None:
        if list(cutoffs) != sorted(set(cutoffs)) or not cutoffs or cutoffs[0] < 1 or cutoffs[-1] >= classes:
            raise EngineError(f"expected ascending cutoffs between 1 and {classes - 1}, received {list(cutoffs)}")
        self.shortlist = cutoffs[0]
        self.head = Linear(in_features, cutoffs[0] + len(cutoffs), use_bias)
        self.tail = [
            [
                Linear(in_features, int(in_features // divisor ** (i + 1)), use_bias=False),
                Linear(int(in_features // divisor ** (i + 1)), stop - start, use_bias=False),
            ]
            for i, (start, stop) in enumerate(zip(cutoffs, [*cutoffs[1:], classes], strict=True))
        ]

    def forward(self, x: Array) -> Array:
        """x is (batch, in_features); the result (batch, classes)."""
        full = (None, None, None)
        head = ops.log_softmax(self.head(x), axis=-1)
        found = [ops.getitem(head, key=(full, (None, self.shortlist, None)))]
        for i, (down, up) in enumerate(self.tail):
            place = self.shortlist + i
            own = ops.getitem(head, key=(full, (place, place + 1, None)))
            found.append(own + ops.log_softmax(up(down(x)), axis=-1))
        return ops.concat(found, axis=-1)


class _ConvTransposeOfRank(Module):
    rank: ClassVar[int]
    weight: Array  # (in, out / groups, *kernel)
    bias: Array | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: Padding = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        use_bias: bool = True,
        channel_axis: int = 1,
        output_padding: int | Sequence[int] = 0,
    ) -> None:
        check_groups(groups, in_channels, out_channels)
        kernel, spread = each(kernel_size, self.rank), each(dilation, self.rank)
        self.settings: dict[str, Any] = {
            "strides": each(stride, self.rank),
            "padding": pads(padding, kernel, spread),
            "output_padding": each(output_padding, self.rank),
            "dilation": spread,
            "groups": groups,
            "channel_axis": channel_axis,
        }
        start = within(out_channels // groups * math.prod(kernel))
        self.weight = Parameter((in_channels, out_channels // groups, *kernel), start)
        self.bias = Parameter((out_channels,), start) if use_bias else None

    def forward(self, x: Array) -> Array:
        return ops.conv_transpose(x, self.weight, self.bias, **self.settings)


class ConvTranspose1d(_ConvTransposeOfRank):
    """The transpose of `Conv1d` as a linear map. Source: torch.nn.ConvTranspose1d."""

    rank = 1


class ConvTranspose2d(_ConvTransposeOfRank):
    """The transpose of `Conv2d` as a linear map. Source: torch.nn.ConvTranspose2d."""

    rank = 2


class ConvTranspose3d(_ConvTransposeOfRank):
    """The transpose of `Conv3d` as a linear map. Source: torch.nn.ConvTranspose3d."""

    rank = 3


__all__ = [
    "AdaptiveLogSoftmax",
    "Bilinear",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Einsum",
    "EmbeddingBag",
    "PReLU",
    "RMSNorm",
]
