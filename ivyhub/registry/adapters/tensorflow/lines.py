"""The user's lines in TensorFlow's graphs."""

from __future__ import annotations

import os
import re
from typing import Any

from ....engine.lines import is_library, user_place
from ....errors import CaptureError

_CAPTURE = os.path.join(os.path.dirname(__file__), "capture.py")
_PACKAGES = ("tensorflow", "keras", "tf_keras")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")  # how terminals write bold


def _is_foreign(file: str) -> bool:
    """Whether a file is of TensorFlow, Keras, or of ivyhub, so that its lines are not the user's."""
    return "__autograph_generated_file" in file or is_library(file, _PACKAGES)


def user_line(op: Any) -> tuple[str, int]:
    """File and line of the innermost frame of the user that made an operation, or ("", 0)."""
    for frame in reversed(list(op.traceback or ())):
        if frame.filename == _CAPTURE:  # who asked for the capture is not who wrote the operation
            break
        if not _is_foreign(frame.filename):
            return frame.filename, frame.lineno
    return "", 0


def refusal(error: Exception) -> CaptureError:
    """The essence of what TensorFlow or Keras says, and the line of the user's code."""
    text = _STYLE.sub("", str(error)).partition("Arguments received by")[0].strip().splitlines()
    essence = text[-1] if text else type(error).__name__
    dependent = "symbolic `tf.Tensor`" in essence or "as a Python `bool`" in essence
    return CaptureError(
        f"TensorFlow cannot trace it{user_place(error, _is_foreign)}: "
        + (essence.partition(". ")[0] if dependent else essence),
        hint="the way must not depend on the values of arrays: use tf.where or tf.cond"
        if dependent
        else "the chained error has all that TensorFlow says",
    )


_WRAPPERS = (
    *("/tensorflow/python/ops/custom_gradient.py", "/tensorflow/python/util/", "/tensorflow/python/framework/"),
    *("/tensorflow/python/ops/gen_array_ops.py", "/tensorflow/python/ops/array_ops.py"),
)


def of_tensorflow(op: Any) -> bool:
    """Whether a function with a gradient of its own, which ends in this operation, is one of TensorFlow's."""
    for frame in reversed(list(op.traceback or ())):
        file = frame.filename.replace("\\", "/")
        if not any(part in file for part in _WRAPPERS):
            return "/tensorflow/python/ops/" in file
    return False
