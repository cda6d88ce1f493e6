"""What Keras lacks. See `ivyhub.engine.support`."""

# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# (Keras publishes no types; what pyright infers holds tensors of every backend, and None before build.)

from __future__ import annotations

import keras
import tensorflow as tf


def recurrent(layer, x, states=None):
    """What a recurrent layer gives at every step, and its states at the end; these have a first axis of one layer.

    The layer has ``return_sequences`` and ``return_state``.
    """
    states = states if states is None or isinstance(states, tuple) else (states,)
    y, *ends = layer(x, initial_state=None if states is None else [state[0] for state in states])
    return (y, *(end[None] for end in ends))


@keras.saving.register_keras_serializable(package=__name__)
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` whose moving variance is the unbiased one, as PyTorch keeps it."""

    def call(self, inputs, training=None):
        before = tf.identity(self.moving_variance)
        outputs = super().call(inputs, training=training)
        if training and self.trainable:
            after = tf.convert_to_tensor(self.moving_variance)
            others = tf.maximum(tf.size(inputs) // inputs.shape[-1] - 1, 1)
            self.moving_variance.assign(after + (after - self.momentum * before) / tf.cast(others, after.dtype))
        return outputs
