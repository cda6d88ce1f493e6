"""Pooling over windows whose places are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...errors import EngineError
from .. import ops, random
from ..op import Array
from ..spec import spec_of
from .dropout import Drawing, in_training_alone, is_traced
from .leaves import each


class _FractionalMaxPool(Drawing):
    rank: ClassVar[int]

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        size: int | Sequence[int] | None = None,
        ratio: float | None = None,
        *,
        return_indices: bool = False,
        channel_axis: int = 1,
    ) -> None:
        if (size is None) == (ratio is None):
            raise EngineError(f"{type(self).__name__} expected a size or a ratio, received {size} and {ratio}")
        if ratio is not None and not 0 < ratio < 1:
            raise EngineError(f"{type(self).__name__} expected a ratio between 0 and 1, received {ratio}")
        self.kernel = each(kernel_size, self.rank)
        self.size = None if size is None else each(size, self.rank)
        self.ratio, self.return_indices, self.channel_axis = ratio, return_indices, channel_axis
        self.keep_key()

    def forward(self, x: Array) -> Any:
        spec = spec_of(x)
        channels = self.channel_axis % spec.ndim
        size = self.size
        if size is None:
            assert self.ratio is not None
            sizes = [length for axis, length in enumerate(spec.shape) if axis not in (0, channels)]
            size = tuple(int(int(length) * self.ratio) for length in sizes)
        shape = (spec.shape[0], spec.shape[channels], self.rank)
        samples = ops.created(ops.full, x, shape=shape, fill_value=0.5, dtype=spec.dtype)
        if is_traced(x):
            samples = in_training_alone(ops.draw_uniform(shape=shape, dtype=spec.dtype), samples)
        elif self.training:
            samples = random.uniform(self.next_key(), shape, dtype=spec.dtype)
        pool = ops.fractional_max_pool_with_indices if self.return_indices else ops.fractional_max_pool
        return pool(x, samples, kernel=self.kernel, size=size, channel_axis=self.channel_axis)


class FractionalMaxPool2d(_FractionalMaxPool):
    """`ops.fractional_max_pool` of images, to a size or by a ratio, at places that each call in training draws anew.

    In evaluation the places are fixed (all samples are ½), where PyTorch draws, too.

    Source: Graham 2014, arXiv:1412.6071; torch.nn.FractionalMaxPool2d.
    """

    rank = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """See `FractionalMaxPool2d`. Source: torch.nn.FractionalMaxPool3d."""

    rank = 3


__all__ = ["FractionalMaxPool2d", "FractionalMaxPool3d"]
