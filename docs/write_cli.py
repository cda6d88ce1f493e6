"""Write docs/cli.md from the help texts: ``python docs/write_cli.py``, or ``make docs``."""

from __future__ import annotations

from pathlib import Path

from ivyhub.cli import cli

PAGE = Path(__file__).with_name("cli.md")

HEAD = """\
# The command line

Written by `make docs` from the help texts; a test keeps it fresh.
"""


def page() -> str:
    """The whole page: the help of ``ivyhub`` and of each command."""
    root = cli.make_context("ivyhub", [], resilient_parsing=True, terminal_width=100)
    sections = [HEAD, _section("ivyhub", root.get_help())]
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        assert command is not None, name
        context = command.make_context(name, [], parent=root, resilient_parsing=True, terminal_width=100)
        sections.append(_section(f"ivyhub {name}", context.get_help()))
    return "\n".join(sections)


def _section(title: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"## {title}\n\n```text\n{lines}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
