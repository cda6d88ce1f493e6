"""Dropout and its kin. Each holds a key as a buffer, which every call in training splits.

In a graph `Dropout` is a leaf layer. The others are made of the operation `dropout`, which draws in training and is the
identity in evaluation; what it gives of 1 tells which of the two it is, and so whether other draws are used.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import EngineError, GraphError
from .. import ops, random
from ..dims import Size
from ..op import Array
from ..recording import RECORDER
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

    def noise(self, x: Array) -> Array:
        """Standard normal numbers of x's shape and dtype; in a trace, draws of the graph."""
        spec = spec_of(x)
        if is_traced(x):
            return ops.draw_normal(shape=spec.shape, dtype=spec.dtype)
        return random.normal(self.next_key(), spec.shape, dtype=spec.dtype)


def dropped(x: Array, rate: float, shape: Sequence[Size]) -> Array:
    """A traced array with a mask of that shape over it, which training draws: 0 at the rate, else x / (1 - rate).

    Raises `GraphError` in a branch or loop, whose graph has no training.
    """
    return ops.multiply(x, _noise(x, rate, shape))


def alpha_dropped(x: Array, rate: float, shape: Sequence[Size]) -> Array:
    """The same as `AlphaDropout` has it."""
    noise = _noise(x, rate, shape)
    dropped = _at_limit(x, ops.greater(noise, 0), rate)
    return ops.where(ops.equal(noise, 1), x, dropped)  # 1 is what evaluation gives; training gives 0 or more than 1


def in_training_alone(drawn: Array, other: Array) -> Array:
    """Of two traced arrays, the one in training and the other in evaluation. Raises `GraphError` as `dropped` does."""
    return ops.where(ops.not_equal(_noise(other, 0.5, ()), 1), drawn, other)  # training gives 0 or 2


def _noise(x: Array, rate: float, shape: Sequence[Size]) -> Array:
    recorder = RECORDER.get()
    if recorder is not None and recorder.nested:
        raise GraphError(
            "a layer that drops behaves differently in training, so it cannot stand in a branch or loop",
            hint="call it before or after",
        )
    ones = ops.created(ops.full, x, shape=tuple(shape), fill_value=1, dtype=spec_of(x).dtype)
    return ops.dropout(ones, rate=rate)


def _at_limit(x: Array, kept: Array, rate: float) -> Array:
    """x with the limit of selu where it is not kept, moved to its old mean and variance."""
    low = -1.7580993408473766  # -scale · alpha
    a = ((1 - rate) * (1 + rate * low**2)) ** -0.5
    return ops.where(kept, x, low) * a - a * low * rate


def is_traced(x: Array) -> bool:
    """Whether an array stands in a trace."""
    return getattr(x, "__traced__", False) is True


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
        if is_traced(x):  # in a trace of a function, which does not know the module as a leaf layer
            return dropped(x, rate, spec_of(x).shape) if rate else x
        return ops.where(self.kept(x, rate), x / (1 - rate), 0) if self.training and rate else x


class _WithRate(Drawing):
    def __init__(self, rate: float = 0.5) -> None:
        self.rate = _checked(rate)
        self.keep_key()

    def masked(self, x: Array, shape: Sequence[Size]) -> Array:
        """x with a mask of that shape over it in training."""
        if self.rate and is_traced(x):
            return dropped(x, self.rate, shape)
        if not self.training or not self.rate:
            return x
        return ops.where(self.kept(x, self.rate, shape), x / (1 - self.rate), 0)


class FeatureDropout(_WithRate):
    """Dropout of whole channels: x is (batch, channels, ...) or, with ``channel_axis=-1``, (batch, ..., channels).

    Source: Tompson et al. 2015, arXiv:1411.4280; torch.nn.Dropout1d, 2d and 3d; keras.layers.SpatialDropout.
    """

    def __init__(self, rate: float = 0.5, *, channel_axis: int = 1) -> None:
        super().__init__(rate)
        self.channel_axis = channel_axis

    def forward(self, x: Array) -> Array:
        return self.masked(x, _of_channels(x, self.channel_axis))


class AlphaDropout(_WithRate):
    """Dropout that keeps mean and variance of what `selu` gives. Source: Klambauer et al. 2017, arXiv:1706.02515."""

    def forward(self, x: Array) -> Array:
        return self.lowered(x, spec_of(x).shape)

    def lowered(self, x: Array, shape: Sequence[Size]) -> Array:
        """x with what a mask of that shape takes out at the limit of selu, in training."""
        if self.rate and is_traced(x):
            return alpha_dropped(x, self.rate, shape)
        return _at_limit(x, self.kept(x, self.rate, shape), self.rate) if self.training and self.rate else x


class FeatureAlphaDropout(AlphaDropout):
    """`AlphaDropout` of whole channels; see `FeatureDropout` for their axis. Source: torch.nn.FeatureAlphaDropout."""

    def __init__(self, rate: float = 0.5, *, channel_axis: int = 1) -> None:
        super().__init__(rate)
        self.channel_axis = channel_axis

    def forward(self, x: Array) -> Array:
        return self.lowered(x, _of_channels(x, self.channel_axis))


def _of_channels(x: Array, channel_axis: int) -> list[Size]:
    """The shape of a mask with one number for each example and channel."""
    shape = spec_of(x).shape
    return [size if axis in (0, channel_axis % len(shape)) else 1 for axis, size in enumerate(shape)]


class GaussianDropout(_WithRate):
    """In training, multiplies by normal numbers of mean 1 and variance rate / (1 - rate).

    Source: Srivastava et al. 2014, section 10; keras.layers.GaussianDropout.
    """

    def forward(self, x: Array) -> Array:
        if not self.rate or not (self.training or is_traced(x)):
            return x
        y = x * (1 + self.noise(x) * (self.rate / (1 - self.rate)) ** 0.5)
        return in_training_alone(y, x) if is_traced(x) else y


class GaussianNoise(Drawing):
    """In training, adds normal numbers of mean 0. Source: keras.layers.GaussianNoise."""

    def __init__(self, std: float) -> None:
        if std < 0:
            raise EngineError(f"expected a standard deviation of 0 or more, received {std}")
        self.std = std
        self.keep_key()

    def forward(self, x: Array) -> Array:
        if not self.std or not (self.training or is_traced(x)):
            return x
        y = x + self.std * self.noise(x)
        return in_training_alone(y, x) if is_traced(x) else y


class DropPath(_WithRate):
    """Dropout of whole examples: the first axis. Source: Huang et al. 2016, arXiv:1603.09382 (stochastic depth)."""

    def forward(self, x: Array) -> Array:
        spec = spec_of(x)
        return self.masked(x, (spec.shape[0], *(1,) * (spec.ndim - 1)))


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
