"""``ivyhub frameworks``: what can be written and read on this machine."""

from __future__ import annotations

from typing import Any

import click

from ivyhub.cli.output import Output, columns, common_options, pass_output


@click.command(name="frameworks", short_help="List the frameworks and their versions.")
@common_options
@pass_output
def command(output: Output) -> None:
    """List the frameworks: what is installed, the oldest version served, what installs it.

    \b
    Examples:
      ivyhub frameworks
      ivyhub frameworks --json
    """
    from ivyhub.registry import api

    fields = ("name", "flavours", "installed", "minimum", "extra")
    rows: list[dict[str, Any]] = [dict(zip(fields, row, strict=True)) for row in api.frameworks()]
    output.document(rows, ids=[row["name"] for row in rows if row["installed"]])
    lines = [
        (row["name"], ", ".join(row["flavours"]) or None, row["installed"], row["minimum"], _package(row["extra"]))
        for row in rows
    ]
    output.lines(columns(lines, ("framework", "flavours", "installed", "oldest", "install with")))


def _package(extra: str) -> str:
    return f"ivyhub[{extra}]" if extra else "ivyhub"
