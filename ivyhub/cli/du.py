"""``ivyhub du``: how much the registry holds, and for whom."""

from __future__ import annotations

import click

from ivyhub.cli.output import Output, columns, common_options, pass_output, size


@click.command(name="du", short_help="Say how many bytes each model takes.")
@common_options
@pass_output
def command(output: Output) -> None:
    """Say how many bytes each model takes, its exports included, and how many of them it alone takes.

    Bytes that several versions share are kept once.

    \b
    Examples:
      ivyhub du
      ivyhub du --json
    """
    from ivyhub.registry.housekeeping import disk_usage
    from ivyhub.registry.store import Store

    found = disk_usage(Store())
    output.document(found, ids=[each.name for each in found.names])
    rows = [(each.name, each.versions, size(each.size), size(each.own)) for each in found.names]
    if rows:
        output.lines(columns(rows, ("name", "versions", "size", "of its own")))
    output.line(f"{size(found.total)} in all; {size(found.unused)} have no label, {size(found.trash)} lie in the trash")
