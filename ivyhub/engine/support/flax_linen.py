"""What Flax Linen lacks. See `ivyhub.engine.support`."""

# pyright: basic

from __future__ import annotations

import jax
from flax import linen as nn


def recurrent(layer, x, states=None):
    """What an `nn.RNN` of an LSTM gives at every step, and its states at the end; states have a first axis of one."""
    carry = None if states is None else (states[1][0], states[0][0])
    carry, y = layer(x, initial_carry=carry, return_carry=True)
    return y, carry[1][None], carry[0][None]


class BatchNorm(nn.BatchNorm):
    """`nn.BatchNorm` whose running variance is the unbiased one, as PyTorch keeps it."""

    use_fast_variance: bool = False  # which cancels where the mean is large

    def __call__(self, x: jax.Array, use_running_average: bool) -> jax.Array:
        before = self.get_variable("batch_stats", "var")
        y = super().__call__(x, use_running_average=use_running_average)
        if not (use_running_average or self.is_initializing()):
            after, count = self.get_variable("batch_stats", "var"), x.size // x.shape[-1]
            self.put_variable("batch_stats", "var", after + (after - self.momentum * before) / max(count - 1, 1))
        return y
