"""What TensorFlow lacks. See `ivyhub.engine.support`."""

from __future__ import annotations

import tensorflow as tf
