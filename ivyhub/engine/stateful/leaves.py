"""The leaf layers as modules: the settings and formulas of `layers`, with arrays.

Each takes the arguments of the layer that it is named after, and starts as PyTorch's does: `Linear` and `Conv` with
uniform numbers within ±1 / √fan_in, weight and bias alike; `Embedding` with normal ones; scales with one, shifts with
zero.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any, ClassVar

from ...errors import EngineError
from .. import ops
from ..layer import Layer
from ..op import Array
from ..spec import spec_of
from . import initialisers, layers
from .module import Buffer, Initialiser, Module, Parameter, in_training


class Leaf(Module):
    """Base of the modules of leaf layers.

    Attributes:
        kind: the layer of `layers`, whose settings are read as attributes of the module.
        settings: an instance of it.
    """

    kind: ClassVar[type[Layer]]
    settings: Layer

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__doc__ = cls.__doc__ or cls.kind.__doc__
        if "__init__" not in vars(cls):
            cls.__signature__ = inspect.signature(cls.kind)  # type: ignore[attr-defined]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.settings = self.kind(*args, **kwargs)
        for name, shape in self.settings.parameters().items():
            setattr(self, name, Parameter(tuple(map(int, shape)), self.initialiser(name)))
        for name, (shape, dtype) in self.settings.buffers().items():
            setattr(self, name, Buffer(tuple(map(int, shape)), self.initialiser(name), dtype))

    def __getattr__(self, name: str) -> Any:
        settings = self.__dict__.get("settings")
        if settings is not None and name in settings.__dataclass_fields__:
            return getattr(settings, name)
        return super().__getattr__(name)

    def initialiser(self, name: str) -> Initialiser:
        """What makes the array of that name."""
        return initialisers.ones if name in ("weight", "running_var") else initialisers.zeros

    def leaf(self) -> Layer | None:
        return self.settings

    def forward(self, x: Array) -> Array:
        return self.settings.forward({name: getattr(self, name) for name in self.own_slots}, x)

    def _settings(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.settings.config.items())


def _within(fan_in: int) -> Initialiser:
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    return initialisers.Uniform(-bound, bound)


class Linear(Leaf):
    """y = x Wᵀ + b over the last axis; see `layers.Linear`."""

    kind = layers.Linear

    def initialiser(self, name: str) -> Initialiser:
        return _within(self.in_features)


class Embedding(Leaf):
    """Rows of a table by index; see `layers.Embedding`."""

    kind = layers.Embedding

    def initialiser(self, name: str) -> Initialiser:
        return initialisers.Normal() if self.padding_idx is None else self._padded

    def _padded(self, key: Array, shape: tuple[int, ...], dtype: str) -> Array:
        """Normal numbers, and zeros in the row of the padding."""
        drawn = initialisers.Normal()(key, shape, dtype)
        rows = ops.reshape(ops.created(ops.arange, drawn, stop=shape[0], dtype="int32"), shape=(shape[0], 1))
        return ops.where(ops.equal(rows, self.padding_idx % shape[0]), drawn * 0, drawn)


class LayerNorm(Leaf):
    """Normalisation over the last axes, one or several; see `layers.LayerNorm`."""

    kind = layers.LayerNorm

    def __init__(self, normalized_shape: int | Sequence[int], *args: Any, **kwargs: Any) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        super().__init__(shape, *args, **kwargs)


class GroupNorm(Leaf):
    """Normalisation over groups of channels; see `layers.GroupNorm`."""

    kind = layers.GroupNorm


class BatchNorm(Leaf):
    """Normalisation by the batch in training, by running statistics in evaluation; see `layers.BatchNorm`."""

    kind = layers.BatchNorm

    def forward(self, x: Array) -> Array:
        if self.track_running_stats and not in_training(self, "changes its statistics"):
            return super().forward(x)
        weights = (self.weight, self.bias) if self.affine else (None, None)
        if not self.track_running_stats:
            return ops.batch_norm(x, None, None, *weights, eps=self.eps, channel_axis=self.channel_axis)
        spec = spec_of(x)
        numbers = math.prod(map(int, spec.shape)) // int(spec.shape[self.channel_axis])
        if numbers < 2:
            raise EngineError(
                f"batch normalisation in training expected more than one number a channel, received {spec}"
            )
        self.num_batches_tracked = self.num_batches_tracked + 1
        cumulative = self.momentum is None
        running = self.running_mean, self.running_var
        y, *new = ops.batch_norm_training(
            *(x, *running, *weights),
            momentum=1.0 if cumulative else self.momentum,
            eps=self.eps,
            unbiased=self.unbiased,
            channel_axis=self.channel_axis,
        )
        if cumulative:  # the mean of the statistics of all batches
            part = 1 / ops.astype(self.num_batches_tracked, dtype=spec_of(running[0]).dtype)
            new = [old + part * (batch - old) for old, batch in zip(running, new, strict=True)]
        self.running_mean, self.running_var = new
        return y


class InstanceNorm(Leaf):
    """Normalisation over the positions of each channel of an example; see `layers.InstanceNorm`.

    Without running statistics it is its operation in a graph, in training and in evaluation alike.
    """

    kind = layers.InstanceNorm

    def leaf(self) -> Layer | None:
        return self.settings if self.track_running_stats else None

    def forward(self, x: Array) -> Array:
        if not self.track_running_stats or not in_training(self, "changes its statistics"):
            return super().forward(x)
        ndim = spec_of(x).ndim
        inner = tuple(axis for axis in range(1, ndim) if axis != self.channel_axis % ndim)
        fixed, share = ops.stop_gradient(x), self.momentum
        centre = ops.mean(ops.mean(fixed, axis=inner), axis=0)
        spread = ops.mean(ops.var(fixed, axis=inner, correction=1), axis=0)
        self.running_mean = (1 - share) * self.running_mean + share * centre
        self.running_var = (1 - share) * self.running_var + share * spread
        weights = (self.weight, self.bias) if self.affine else (None, None)
        return ops.instance_norm(x, *weights, eps=self.eps, channel_axis=self.channel_axis)


class Conv(Leaf):
    """Cross-correlation over one to three spatial axes, all settings as tuples; see `layers.Conv` and `Conv2d`."""

    kind = layers.Conv

    def initialiser(self, name: str) -> Initialiser:
        return _within(math.prod(map(int, self.settings.parameters()["weight"][1:])))


def each(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """One number for each spatial axis. Raises `EngineError` where the count is another.

    Example:
        >>> each(3, 2)
        (3, 3)
    """
    found = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(found) != rank:
        raise EngineError(f"expected a number, or one for each of {rank} spatial axes, received {value}")
    return found


Padding = int | str | Sequence[int | tuple[int, int]]


def pads(padding: Padding, kernel: Sequence[int], dilation: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Zeros before and after each spatial axis. "same" keeps the size at stride 1, an odd zero goes behind.

    Example:
        >>> pads("same", (3, 2), (1, 1)), pads(1, (3, 3), (1, 1))
        (((1, 1), (0, 1)), ((1, 1), (1, 1)))
    """
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    if isinstance(padding, str):
        if padding != "valid":
            raise EngineError(f"expected numbers, 'same' or 'valid' as padding, received {padding!r}")
        padding = 0
    sides = (padding,) * len(kernel) if isinstance(padding, int) else tuple(padding)
    if len(sides) != len(kernel):
        raise EngineError(f"expected padding for each of {len(kernel)} spatial axes, received {padding}")
    return tuple((side, side) if isinstance(side, int) else (side[0], side[1]) for side in sides)


def check_groups(groups: int, in_channels: int, out_channels: int) -> None:
    """Raise `EngineError` where channels do not come in equal groups."""
    if in_channels % groups or out_channels % groups:
        raise EngineError(f"expected channels in {groups} equal groups, received {in_channels} and {out_channels}")


class _ConvOfRank(Conv):
    rank: ClassVar[int]

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
        padding_mode: str = "constant",
    ) -> None:
        kernel, spread = each(kernel_size, self.rank), each(dilation, self.rank)
        check_groups(groups, in_channels, out_channels)
        super().__init__(
            *(in_channels, out_channels, kernel, each(stride, self.rank), pads(padding, kernel, spread), spread),
            *(groups, use_bias, channel_axis),
        )
        self.padding_mode = padding_mode

    def leaf(self) -> Layer | None:
        return super().leaf() if self.padding_mode == "constant" else None

    def forward(self, x: Array) -> Array:
        options = {
            name: self.settings.config[name] for name in ("strides", "padding", "dilation", "groups", "channel_axis")
        }
        bias = self.bias if self.use_bias else None
        return ops.conv(x, self.weight, bias, padding_mode=self.padding_mode, **options)


class Conv1d(_ConvOfRank):
    """`Conv` over one spatial axis, with one number where all axes have the same; padding may be "same" or "valid".

    ``padding_mode`` is a word of `ops.pad`: "constant" (zeros), "reflect", "edge" or "wrap". Only zeros make it a leaf
    layer of graphs; with others a graph holds its formula.
    """

    rank = 1


class Conv2d(_ConvOfRank):
    """`Conv` over two spatial axes; see `Conv1d`."""

    rank = 2


class Conv3d(_ConvOfRank):
    """`Conv` over three spatial axes; see `Conv1d`."""

    rank = 3


__all__ = [
    "BatchNorm",
    "Conv",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "Embedding",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "Leaf",
    "Linear",
]
