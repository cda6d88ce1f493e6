"""Dropout and its kin. Each holds a key as a buffer, which every call in training splits.

In a graph `Dropout` is a leaf layer, whole in training and evaluation; the others are traced as in evaluation, where
they are the identity.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import EngineError
from .. import ops, random
from ..dims import Size
from ..op import Array
from ..spec import spec_of
from . import layers
from .leaves import Leaf
from .module import Buffer, Module


class Drawing(Module):
    """Base of modules that draw random numbers in training."""

    key: Array

    def keep_key(self) -> None:
        """Declare the key; `Module.init` makes it, and `key` may be assigned."""
        self.key = Buffer((2,), _own_key, "uint32", persistent=False)

    def next_key(self) -> Array:
        """A key that no call has used."""
        key, own = random.split(self.key)
        self.key = key
        return own

    def kept(self, x: Array, rate: float, shape: Sequence[Size] | None = None) -> Array:
        """Which elements stay: true with probability 1 - rate, of x's shape or one that broadcasts to it."""
        return random.bernoulli(self.next_key(), 1 - rate, tuple(spec_of(x).shape if shape is None else shape))


def _own_key(key: Array, shape: tuple[int, ...], dtype: str) -> Array:
    return key


def _checked(rate: float) -> float:
    if not 0 <= rate < 1:
        raise EngineError(f"expected a rate from 0 to 1, without 1, received {rate}")
    return rate


class Dropout(Leaf, Drawing):
    """In training, zeros a share ``rate`` of the elements and scales the rest by 1 / (1 - rate); else the identity.

    Source: Srivastava et al. 2014, JMLR 15; torch.nn.Dropout.
    """

    kind = layers.Dropout

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__(_checked(rate))
        self.keep_key()

    def forward(self, x: Array) -> Array:
        rate: float = self.rate
        return ops.where(self.kept(x, rate), x / (1 - rate), 0) if self.training and rate else x


class _WithRate(Drawing):
    def __init__(self, rate: float = 0.5) -> None:
        self.rate = _checked(rate)
        self.keep_key()


class FeatureDropout(_WithRate):
    """Dropout of whole channels: x is (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).

    Source: Tompson et al. 2015, arXiv:1411.4280; torch.nn.Dropout1d, 2d and 3d; keras.layers.SpatialDropout.
    """

    def __init__(self, rate: float = 0.5, *, channel_axis: int = 1) -> None:
        super().__init__(rate)
        self.channel_axis = channel_axis

    def forward(self, x: Array) -> Array:
        if not self.training or not self.rate:
            return x
        mask = self.kept(x, self.rate, _of_channels(x, self.channel_axis))
        return ops.where(mask, x / (1 - self.rate), 0)


class AlphaDropout(_WithRate):
    """Dropout that keeps mean and variance of what `selu` gives. Source: Klambauer et al. 2017, arXiv:1706.02515."""

    def forward(self, x: Array) -> Array:
        return self.lowered(x, spec_of(x).shape) if self.training and self.rate else x

    def lowered(self, x: Array, shape: Sequence[Size]) -> Array:
        """x with what a mask of that shape takes out at the limit of selu, moved to its old mean and variance."""
        low = -1.7580993408473766  # the limit of selu: -scale · alpha
        a = ((1 - self.rate) * (1 + self.rate * low**2)) ** -0.5
        return ops.where(self.kept(x, self.rate, shape), x, low) * a - a * low * self.rate


class FeatureAlphaDropout(AlphaDropout):
    """`AlphaDropout` of whole channels; see `FeatureDropout` for their axis. Source: torch.nn.FeatureAlphaDropout."""

    def __init__(self, rate: float = 0.5, *, channel_axis: int = 1) -> None:
        super().__init__(rate)
        self.channel_axis = channel_axis

    def forward(self, x: Array) -> Array:
        return self.lowered(x, _of_channels(x, self.channel_axis)) if self.training and self.rate else x


def _of_channels(x: Array, channel_axis: int) -> list[Size]:
    """The shape of a mask with one number for each example and channel."""
    shape = spec_of(x).shape
    return [size if axis in (0, channel_axis % len(shape)) else 1 for axis, size in enumerate(shape)]


class GaussianDropout(_WithRate):
    """In training, multiplies by normal numbers of mean 1 and variance rate / (1 - rate).

    Source: Srivastava et al. 2014, section 10; keras.layers.GaussianDropout.
    """

    def forward(self, x: Array) -> Array:
        if not self.training or not self.rate:
            return x
        spec = spec_of(x)
        noise = random.normal(self.next_key(), spec.shape, dtype=spec.dtype)
        return x * (1 + noise * (self.rate / (1 - self.rate)) ** 0.5)


class GaussianNoise(Drawing):
    """In training, adds normal numbers of mean 0. Source: keras.layers.GaussianNoise."""

    def __init__(self, std: float) -> None:
        if std < 0:
            raise EngineError(f"expected a standard deviation of 0 or more, received {std}")
        self.std = std
        self.keep_key()

    def forward(self, x: Array) -> Array:
        if not self.training or not self.std:
            return x
        spec = spec_of(x)
        return x + self.std * random.normal(self.next_key(), spec.shape, dtype=spec.dtype)


class DropPath(_WithRate):
    """Dropout of whole examples: the first axis. Source: Huang et al. 2016, arXiv:1603.09382 (stochastic depth)."""

    def forward(self, x: Array) -> Array:
        if not self.training or not self.rate:
            return x
        spec = spec_of(x)
        mask = self.kept(x, self.rate, (spec.shape[0], *(1,) * (spec.ndim - 1)))
        return ops.where(mask, x / (1 - self.rate), 0)


__all__ = [
    "AlphaDropout",
    "DropPath",
    "Drawing",
    "Dropout",
    "FeatureAlphaDropout",
    "FeatureDropout",
    "GaussianDropout",
    "GaussianNoise",
]
