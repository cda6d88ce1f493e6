"""What Flax Linen lacks. See `ivyhub.engine.support`."""

# pyright: basic

from __future__ import annotations

import jax
from flax import linen as nn


class BatchNorm(nn.BatchNorm):
    """`nn.BatchNorm` whose running variance is the unbiased one, as PyTorch keeps it."""

    def __call__(self, x: jax.Array, use_running_average: bool) -> jax.Array:
        before = self.get_variable("batch_stats", "var")
        y = super().__call__(x, use_running_average=use_running_average)
        if not (use_running_average or self.is_initializing()):
            after, count = self.get_variable("batch_stats", "var"), x.size // x.shape[-1]
            self.put_variable("batch_stats", "var", after + (after - self.momentum * before) / max(count - 1, 1))
        return y
