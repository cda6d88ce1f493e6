"""Source lines of traced operations, and the names that stand on their left-hand sides.

The names are hints for local variables of emitted source; nothing is decided by them.
"""

from __future__ import annotations

import ast
import functools
import linecache
import os
import re
import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from ....engine.graph import Graph
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


@functools.cache
def short_path(file: str) -> str:
    """A path as its package writes it, the same on every machine: ``torch/nn/functional.py``."""
    path = Path(file)
    for root in sorted(map(Path, filter(None, sys.path)), key=lambda p: -len(p.parts)):
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.name


def assigned_name(file: str, line: int) -> str:
    """The plain names that the statement on a line assigns to, joined by ", ", or ""."""
    return _names(file).get(line, "") if file else ""


@functools.cache
def _names(file: str) -> dict[int, str]:
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):  # generated code, a notebook cell: there are no hints
        return {}
    names: dict[int, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[target]) | ast.AugAssign(target=target) | ast.AnnAssign(target=target):
                targets = target.elts if isinstance(target, ast.Tuple) else [target]
                if targets and all(isinstance(each, ast.Name) for each in targets):
                    for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                        names[line] = ", ".join(each.id for each in targets if isinstance(each, ast.Name))
    return names


def keep_last_hint(graph: Graph) -> None:
    """Of the values that one source line computes, the last bears the line's name."""
    seen: set[tuple[int, str, int]] = set()
    for node in reversed(graph.nodes):
        scope = node.scope
        key = (scope.call, scope.file, scope.line)
        for value in node.outputs:
            if node.op in ("parameter", "constant"):
                continue
            value.hint = "" if key in seen else value.hint
        if node.op not in ("parameter", "constant"):
            seen.add(key)


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
