"""What Keras lacks. See `ivyhub.engine.support`."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package=__name__)
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` whose moving variance is the unbiased one, as PyTorch keeps it."""

    def call(self, inputs, training=None, mask=None):
        before = tf.identity(self.moving_variance)
        outputs = super().call(inputs, training=training, mask=mask)
        if training and self.trainable:
            after = tf.convert_to_tensor(self.moving_variance)
            count = tf.cast(tf.size(inputs) // inputs.shape[-1], after.dtype)
            self.moving_variance.assign(after + (after - self.momentum * before) / tf.maximum(count - 1, 1))
        return outputs
