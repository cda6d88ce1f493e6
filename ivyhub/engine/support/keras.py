"""What Keras lacks. See `ivyhub.engine.support`."""

# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# (Keras publishes no types; what pyright infers holds tensors of every backend, and None before build.)

from __future__ import annotations

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package=__name__)
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` whose moving variance is the unbiased one, as PyTorch keeps it."""

    def build(self, input_shape):
        super().build((None, input_shape[-1]))
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: input_shape[-1]})

    def call(self, inputs, training=None):
        before = tf.identity(self.moving_variance)
        rows = tf.reshape(inputs, (-1, inputs.shape[-1]))
        outputs = super().call(rows, training=training)
        if training and self.trainable:
            after = tf.convert_to_tensor(self.moving_variance)
            others = tf.cast(tf.maximum(tf.shape(rows)[0] - 1, 1), after.dtype)
            self.moving_variance.assign(after + (after - self.momentum * before) / others)
        return tf.reshape(outputs, ops.shape(inputs))
