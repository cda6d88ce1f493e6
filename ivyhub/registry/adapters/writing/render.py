"""A plan as the text of an export, formatted as ``ruff format`` would: by ruff itself."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from ....engine import support as _support
from ....errors import IvyhubError

WIDTH = 100


def source_of(text: str, names: Iterable[str]) -> list[str]:
    """The functions and classes of those names in a module's text, with those that they use, in the text's order."""
    tree = ast.parse(text)
    definitions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    wanted: set[str] = set()
    queue = list(names)
    while queue:
        word = queue.pop()
        if word not in wanted and word in definitions:
            wanted.add(word)
            queue += [node.id for node in ast.walk(definitions[word]) if isinstance(node, ast.Name)]
    lines = text.splitlines()
    found: list[str] = []
    for word, node in definitions.items():
        if word in wanted:
            first = min([node, *node.decorator_list], key=lambda part: part.lineno)
            found.append("\n".join(lines[first.lineno - 1 : node.end_lineno]))
    return found


@functools.cache
def support_source(word: str) -> str:
    """The text of a module of `engine.support`."""
    return (Path(_support.__file__).parent / f"{word}.py").read_text(encoding="utf-8")


def definitions(word: str) -> list[str]:
    """The names of the functions and classes of a module of `engine.support`."""
    return [n.name for n in ast.parse(support_source(word)).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]


def imported_packages(text: str) -> set[str]:
    """The top-level packages that a module's text imports.

    Example:
        >>> sorted(imported_packages("import jax.numpy as jnp\\nfrom flax import nnx\\nfrom .modeling import Model"))
        ['flax', 'jax']
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
    return found


def imports_for(text: str, table: Mapping[str, str]) -> list[str]:
    """The import statements for the short names that a text uses."""
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    return [statement for word, statement in table.items() if word in used]


@functools.cache
def _ruff() -> str:
    from ruff.__main__ import find_ruff_bin  # ships the formatter as a binary; there is no Python interface

    return find_ruff_bin()


def format_source(text: str) -> str:
    """Text formatted and its imports sorted by ruff, at a width of 100."""
    settings = [
        "--config",
        f"line-length={WIDTH}",
        "--isolated",
        "--quiet",
        "--no-cache",
        "--stdin-filename",
        "modeling.py",
    ]
    for command in (["check", "--select", "I,F401", "--fix"], ["format"]):
        done = subprocess.run(
            [_ruff(), *command, *settings, "-"],
            input=text,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode or not done.stdout:
            raise IvyhubError(
                f"ruff could not format emitted source: {done.stderr.strip()[:300]}", hint="please report it"
            )
        text = done.stdout
    return text
