"""The user's lines in TensorFlow's graphs."""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

_CAPTURE = os.path.join(os.path.dirname(__file__), "capture.py")
_PACKAGES = ("tensorflow", "keras", "tf_keras")


@functools.cache
def _is_foreign(file: str) -> bool:
    """Whether a file is of TensorFlow, Keras, or of ivyhub, so that its lines are not the user's."""
    if file.startswith("<") or "__autograph_generated_file" in file:
        return True
    roots = [os.path.dirname(sys.modules[name].__file__ or "") for name in _PACKAGES if name in sys.modules]
    own = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
    return any(root and file.startswith(root + os.sep) for root in (*roots, own))


def user_line(op: Any) -> tuple[str, int]:
    """File and line of the innermost frame of the user that made an operation, or ("", 0)."""
    for frame in reversed(list(op.traceback or ())):
        if frame.filename == _CAPTURE:  # who asked for the capture is not who wrote the operation
            break
        if not _is_foreign(frame.filename):
            return frame.filename, frame.lineno
    return "", 0


def error_line(error: BaseException) -> str:
    """``file:line`` of the innermost frame of the user that an error passed through, or ""."""
    from ....engine.lines import short_path

    found = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not _is_foreign(file):
            found = f"{short_path(file)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


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
