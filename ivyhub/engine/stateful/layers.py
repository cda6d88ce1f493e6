"""Leaf layers: the layers that every framework has under some name, each a few fields and a formula.

A layer is a frozen dataclass. Its fields are the configuration, `Layer.parameters` and `Layer.buffers` give the
arrays that it holds, and `Layer.forward` is its formula over the functional API: the reference that adapters'
``layers.py`` rows are tested against, and what is written out where a framework has no such layer. Images and
sequences are laid out as ``layout`` says: "NC" has the channels on axis 1, "NHWC"-like "NC last" on the last axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...errors import ShapeError
from .. import ops
from ..dims import Size
from ..layer import LAYERS, Layer, Weights
from ..op import Array
from ..spec import spec_of


@dataclass(frozen=True)
class Linear(Layer):
    """y = x Wᵀ + b over the last axis.

    Source: torch.nn.Linear; flax.nnx.Linear and keras.layers.Dense hold W transposed.
    """

    in_features: int
    out_features: int
    use_bias: bool = True

    def parameters(self) -> dict[str, tuple[Size, ...]]:
        shapes: dict[str, tuple[Size, ...]] = {"weight": (self.out_features, self.in_features)}
        return shapes | ({"bias": (self.out_features,)} if self.use_bias else {})

    def forward(self, weights: Weights, x: Array) -> Array:
        return ops.linear(x, weights["weight"], weights.get("bias"))


@dataclass(frozen=True)
class Embedding(Layer):
    """Rows of a table by index. The row ``padding_idx`` receives no gradient.

    Source: torch.nn.Embedding.
    """

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None = None

    def parameters(self) -> dict[str, tuple[Size, ...]]:
        return {"weight": (self.num_embeddings, self.embedding_dim)}

    def forward(self, weights: Weights, x: Array) -> Array:
        return ops.embedding(x, weights["weight"], padding_idx=self.padding_idx)


@dataclass(frozen=True)
class LayerNorm(Layer):
    """(x - mean) / sqrt(var + eps) · weight + bias over the last axes, with the biased variance.

    Source: Ba et al. 2016, arXiv:1607.06450; torch.nn.LayerNorm.
    """

    normalized_shape: tuple[int, ...]
    eps: float = 1e-5
    use_weight: bool = True
    use_bias: bool = True

    def parameters(self) -> dict[str, tuple[Size, ...]]:
        names = ("weight",) * self.use_weight + ("bias",) * self.use_bias
        return dict.fromkeys(names, tuple(self.normalized_shape))

    def forward(self, weights: Weights, x: Array) -> Array:
        axes = tuple(range(-len(self.normalized_shape), 0))
        return ops.layer_norm(x, weights.get("weight"), weights.get("bias"), axis=axes, eps=self.eps)


@dataclass(frozen=True)
class GroupNorm(Layer):
    """Normalisation over groups of channels. Source: Wu & He 2018, arXiv:1803.08494; torch.nn.GroupNorm."""

    num_groups: int
    num_channels: int
    eps: float = 1e-5
    affine: bool = True
    channel_axis: int = 1

    def parameters(self) -> dict[str, tuple[Size, ...]]:
        return dict.fromkeys(("weight", "bias") if self.affine else (), (self.num_channels,))

    def forward(self, weights: Weights, x: Array) -> Array:
        return ops.group_norm(
            *(x, weights.get("weight"), weights.get("bias")),
            num_groups=self.num_groups,
            eps=self.eps,
            channel_axis=self.channel_axis,
        )


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Normalisation by batch statistics in training, by running statistics in evaluation.

    In training the running statistics move by ``momentum``: new = (1 - momentum) · old + momentum · batch, with the
    unbiased variance as torch has it unless ``unbiased`` is False (``momentum=None``: the cumulative average).

    Source: Ioffe & Szegedy 2015, arXiv:1502.03167; torch.nn.BatchNorm1d, 2d and 3d.
    """

    uses_training: ClassVar[bool] = True

    num_features: int
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    track_running_stats: bool = True
    unbiased: bool = True  # whether the running variance is the unbiased one; Keras and Flax keep the biased one
    spatial_rank: int = 2  # of the images that it is called with; PyTorch names its classes by it
    channel_axis: int = 1

    def parameters(self) -> dict[str, tuple[Size, ...]]:
        return dict.fromkeys(("weight", "bias") if self.affine else (), (self.num_features,))

    def buffers(self) -> dict[str, tuple[tuple[Size, ...], str]]:
        if not self.track_running_stats:
            return {}
        shape = (self.num_features,)
        return {
            "running_mean": (shape, "float32"),
            "running_var": (shape, "float32"),
            "num_batches_tracked": ((), "int64"),
        }

    def forward(self, weights: Weights, x: Array) -> Array:
        return ops.batch_norm(
            *(x, weights.get("running_mean"), weights.get("running_var"), weights.get("weight"), weights.get("bias")),
            eps=self.eps,
            channel_axis=self.channel_axis,
        )


@dataclass(frozen=True)
class InstanceNorm(Layer):
    """Normalisation over the positions of each channel of an example; by running statistics, if any, in evaluation.

    In training those move by ``momentum`` towards the mean over the examples of their statistics, with the unbiased
    variance: new = (1 - momentum) · old + momentum · batch.

    Source: Ulyanov et al. 2016, arXiv:1607.08022; torch.nn.InstanceNorm1d, 2d and 3d.
    """

    uses_training: ClassVar[bool] = True

    num_features: int
    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = False
    track_running_stats: bool = False
    channel_axis: int = 1
    spatial_rank: int = 2  # of the images that it is called with; PyTorch names its classes by it

    def parameters(self) -> dict[str, tuple[Size, ...]]:
        return dict.fromkeys(("weight", "bias") if self.affine else (), (self.num_features,))

    def buffers(self) -> dict[str, tuple[tuple[Size, ...], str]]:
        if not self.track_running_stats:
            return {}
        shape = (self.num_features,)  # PyTorch has the number of batches in its state dictionaries, and leaves it at 0
        return {
            "running_mean": (shape, "float32"),
            "running_var": (shape, "float32"),
            "num_batches_tracked": ((), "int64"),
        }

    def forward(self, weights: Weights, x: Array) -> Array:
        scaled = weights.get("weight"), weights.get("bias")
        if not self.track_running_stats:
            return ops.instance_norm(x, *scaled, eps=self.eps, channel_axis=self.channel_axis)
        if (spec := spec_of(x)).ndim < 3:
            raise ShapeError(f"instance normalisation expected examples, channels and positions, received {spec}")
        running = weights["running_mean"], weights["running_var"]
        return ops.batch_norm(x, *running, *scaled, eps=self.eps, channel_axis=self.channel_axis)


@dataclass(frozen=True)
class Conv(Layer):
    """Cross-correlation of 1 to 3 spatial axes, with a kernel of (out, in / groups, *kernel_size).

    ``padding`` is one (before, after) pair a spatial axis. ``channel_axis`` is 1 or -1.

    Source: torch.nn.Conv1d, 2d and 3d.
    """

    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1
    use_bias: bool = True
    channel_axis: int = 1

    def parameters(self) -> dict[str, tuple[Size, ...]]:
        shapes: dict[str, tuple[Size, ...]] = {
            "weight": (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        }
        return shapes | ({"bias": (self.out_channels,)} if self.use_bias else {})

    def forward(self, weights: Weights, x: Array) -> Array:
        return ops.conv(
            *(x, weights["weight"], weights.get("bias")),
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            channel_axis=self.channel_axis,
        )


@dataclass(frozen=True)
class Dropout(Layer):
    """In training, zeros a share ``rate`` of the elements and scales the rest by 1 / (1 - rate); else the identity.

    Source: Srivastava et al. 2014, JMLR 15; torch.nn.Dropout.
    """

    uses_training: ClassVar[bool] = True

    rate: float

    def forward(self, weights: Weights, x: Array) -> Array:
        return x


from . import sequences  # noqa: E402 - the recurrent ones, which fill the same table

__all__ = ["LAYERS", "Layer", "sequences"]
