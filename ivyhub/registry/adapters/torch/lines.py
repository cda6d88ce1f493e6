"""Source lines as ``torch.export`` tells them, and the user's lines in what it refuses. See `ivyhub.engine.lines`."""

from __future__ import annotations

import linecache
import os
import re
from types import FrameType, TracebackType
from typing import Any

from ....engine.lines import short_path
from ....errors import CaptureError

_FRAME = re.compile(r'File "(?P<file>[^"\n]+)", line (?P<line>\d+)')


def source_line(stack_trace: str) -> tuple[str, int]:
    """File and line of the innermost frame of a stack trace as ``torch.export`` records it, or ("", 0).

    Frames inside of torch's own layers do not count: the line that calls the layer does.

    Example:
        >>> source_line('  File "model.py", line 3, in forward\\n    y = self.act(x)')
        ('model.py', 3)
    """
    frames = [frame for frame in _FRAME.findall(stack_trace) if "/torch/nn/" not in frame[0].replace("\\", "/")]
    return (frames[-1][0], int(frames[-1][1])) if frames else ("", 0)


def module_stack(node: Any) -> list[tuple[str, int]]:
    """The (path, how many-th call) of the modules around a ``torch.fx`` node, outermost first."""
    stack: list[tuple[str, int]] = []
    for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
        if not key.startswith("_empty"):
            count = key.rpartition("@")[2] if "@" in key else "0"
            stack.append((path, int(count)))
    return stack


def frames(error: BaseException) -> list[FrameType]:
    """The frames of the user's code that an error passed through, innermost first."""
    import torch

    own = (os.path.dirname(torch.__file__) + os.sep, os.path.dirname(os.path.dirname(__file__)) + os.sep)
    found: list[FrameType] = []
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith((*own, "<")):
            found.append(trace.tb_frame)
        trace = trace.tb_next
    return found[::-1]


def refusal(module: Any, error: Exception) -> CaptureError:
    """The essence of what torch.export says: its first line, and the line of the user's code."""
    text = str(error).strip().splitlines()
    frame = next(iter(frames(error)), None)
    place = ""
    if frame is not None:
        code = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        place = f", at {short_path(frame.f_code.co_filename)}:{frame.f_lineno}" + (f": {code}" if code else "")
    dependent = "data-dependent" in str(error)
    return CaptureError(
        f"torch.export refused {type(module).__name__}{place}: {text[0] if text else type(error).__name__}",
        hint="the way must not depend on the values of arrays: use torch.where, or torch.cond"
        if dependent
        else "the chained error has all that torch.export says",
    )
