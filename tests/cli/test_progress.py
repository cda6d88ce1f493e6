"""Progress: drawn on stderr at a terminal, silent anywhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from ivyhub.cli.output import Output
from ivyhub.registry.progress import SILENT

SCRIPT = """
import sys
from ivyhub.cli.output import Output
with Output(**{options}).progress() as progress:
    with progress.stage("weights"):
        for _ in range(4):
            progress.advance(1, total=4)
print("done")
"""


def stderr_at_a_terminal(**options: bool) -> tuple[str, str]:
    """Run the script with a pseudo-terminal as its stderr; return what came out of stdout and of stderr."""
    reader, terminal = pty.openpty()
    try:
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT.replace("{options}", repr(options))],
            stdout=subprocess.PIPE,
            stderr=terminal,
            text=True,
            check=True,
            env=environment,
        )
        os.write(terminal, b"\0")  # so that a silent child leaves something to read
        return done.stdout, os.read(reader, 65536).decode()
    finally:
        os.close(reader)
        os.close(terminal)


def test_stages_are_drawn_at_a_terminal_and_stdout_stays_clean() -> None:
    out, drawn = stderr_at_a_terminal()
    assert out == "done\n"
    assert "weights" in drawn


@pytest.mark.parametrize("option", ["quiet", "json"])
def test_nothing_is_drawn_where_nobody_looks(option: str) -> None:
    assert stderr_at_a_terminal(**{option: True}) == ("done\n", "\0")


def test_nothing_is_drawn_into_a_file() -> None:
    with Output().progress() as progress:  # pytest has replaced stderr with a file
        assert progress is SILENT
