"""Source lines as ``torch.export`` tells them, and the user's lines in what it refuses. See `ivyhub.engine.lines`."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Generator
from types import FrameType
from typing import Any

from ....engine.lines import is_library, user_place, user_trace
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


def _is_library(file: str) -> bool:
    return is_library(file, ("torch",))


def frames(error: BaseException) -> list[FrameType]:
    """The frames of the user's code that an error passed through, innermost first."""
    return [trace.tb_frame for trace in user_trace(error, _is_library)]


_LOGGERS = ("torch._subclasses.fake_tensor", "torch.fx.experimental.symbolic_shapes")


@contextlib.contextmanager
def hushed() -> Generator[None]:
    """While entered, torch.export says what it refuses by its error alone: no logs, no printed graphs.

    Whoever asks for its logs by ``TORCH_LOGS`` has them.
    """
    loggers = [] if os.environ.get("TORCH_LOGS") else [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    printed, graph = io.StringIO(), ""
    try:
        for logger in loggers:
            logger.disabled = True
        with contextlib.redirect_stderr(printed), warnings.catch_warnings():
            # Recurrent layers keep a list of their own parameters, which a trace assigns anew.
            warnings.filterwarnings("ignore", ".*_flat_weights.*were assigned during export", UserWarning)
            # Tracing a branch, PyTorch looks at an attribute of its own that no intermediate array has.
            warnings.filterwarnings("ignore", "The .grad attribute of a Tensor", UserWarning)
            yield
    except Exception as error:
        graph = f"{getattr(error, 'partial_fx_graph', '')}\n"
        raise
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was
        sys.stderr.write(printed.getvalue().replace(graph, ""))


def refusal(module: Any, error: Exception) -> CaptureError:
    """The essence of what torch.export says: its first line, and the line of the user's code."""
    text = str(error).strip().splitlines()
    place = user_place(error, _is_library)
    dependent = "data-dependent" in str(error)
    return CaptureError(
        f"torch.export refused {type(module).__name__}{place}: {text[0] if text else type(error).__name__}",
        hint="the way must not depend on the values of arrays: use torch.where, or torch.cond"
        if dependent
        else "the chained error has all that torch.export says",
    )
