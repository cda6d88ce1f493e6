"""Source lines of traced operations, and the names that stand on their left-hand sides.

The names are hints for local variables of emitted source; nothing is decided by them.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from .graph import Graph

_OWN = str(Path(__file__).parent) + os.sep  # the engine: its frames are not the user's


def user_line() -> tuple[str, int, str]:
    """File and line of the innermost frame outside of the engine, and the names that its statement assigns to.

    ("", 0, "") where its source is no file. What a lambda computes is not what the statement around it assigns.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename.startswith("<"):
        return "", 0, ""
    file, line = frame.f_code.co_filename, frame.f_lineno
    return file, line, "" if frame.f_code.co_name == "<lambda>" else assigned_name(file, line)


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


@functools.cache
def is_library(file: str, packages: tuple[str, ...]) -> bool:
    """Whether a file is of one of those packages, Python or ivyhub, or none at all: its lines are not the user's."""
    modules = [sys.modules[name].__file__ for name in packages if name in sys.modules]
    roots = [os.path.dirname(module) + os.sep for module in modules if module]
    own = str(Path(__file__).parents[1]) + os.sep
    return file.startswith(("<", own, *roots)) or os.path.dirname(file) == os.path.dirname(os.__file__)


def user_trace(error: BaseException, is_library: Callable[[str], bool]) -> list[TracebackType]:
    """Where an error passed through code of the user's own, innermost first.

    Args:
        error: as it was caught.
        is_library: whether a file is not the user's.
    """
    found: list[TracebackType] = []
    trace = error.__traceback__
    while trace is not None:
        if not is_library(trace.tb_frame.f_code.co_filename):
            found.append(trace)
        trace = trace.tb_next
    return found[::-1]


def user_place(error: BaseException, is_library: Callable[[str], bool]) -> str:
    """``, at model.py:3: if x.sum() > 0:``, the innermost line of the user's that an error passed through, or ""."""
    trace = next(iter(user_trace(error, is_library)), None)
    if trace is None:
        return ""
    file = trace.tb_frame.f_code.co_filename
    code = linecache.getline(file, trace.tb_lineno).strip()
    return f", at {short_path(file)}:{trace.tb_lineno}" + (f": {code}" if code else "")


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


__all__ = ["assigned_name", "is_library", "keep_last_hint", "short_path", "user_line", "user_place", "user_trace"]
