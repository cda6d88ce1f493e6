"""What Flax NNX lacks. See `ivyhub.engine.support`."""

# pyright: basic

from __future__ import annotations

import jax
from flax import nnx


def recurrent(layer, x, states=None):
    """What an `nnx.RNN` gives at every step, and its states at the end; states have a first axis of one layer."""
    carry = None
    if states is not None:
        carry = (states[1][0], states[0][0]) if isinstance(states, tuple) else states[0]
    carry, y = layer(x, initial_carry=carry, return_carry=True)
    return (y, carry[1][None], carry[0][None]) if isinstance(carry, tuple) else (y, carry[None])


class BatchNorm(nnx.BatchNorm):
    """`nnx.BatchNorm` whose running variance is the unbiased one, as PyTorch keeps it."""

    def __init__(self, *args, **options):
        super().__init__(*args, use_fast_variance=False, **options)  # which cancels where the mean is large

    def __call__(self, x: jax.Array) -> jax.Array:
        before = self.var[...]
        y = super().__call__(x)
        if not self.use_running_average:
            after, count = self.var[...], x.size // x.shape[-1]
            self.var[...] = after + (after - self.momentum * before) / max(count - 1, 1)
        return y


class OldBatchNorm(nnx.BatchNorm):
    """`nnx.BatchNorm` of Flax before 0.12 whose running variance is the unbiased one, as PyTorch keeps it."""

    def __init__(self, *args, **options):
        super().__init__(*args, use_fast_variance=False, **options)  # which cancels where the mean is large

    def __call__(self, x: jax.Array) -> jax.Array:
        before = self.var.value
        y = super().__call__(x)
        if not self.use_running_average:
            after, count = self.var.value, x.size // x.shape[-1]
            self.var.value = after + (after - self.momentum * before) / max(count - 1, 1)
        return y
