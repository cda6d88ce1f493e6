"""``ivyhub rm``: take a label or a name away."""

from __future__ import annotations

import click

from ivyhub.cli.output import Output, change_lines, common_options, name_argument, pass_output


@click.command(name="rm", short_help="Take a tag, an alias or a whole name away.")
@name_argument("reference", metavar="NAME[:LABEL]")
@click.option("--force", is_flag=True, help="Protected aliases too.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@common_options
@pass_output
def command(output: Output, reference: str, force: bool, dry_run: bool) -> None:
    """Take a tag or alias of a model away, or its name with all of them.

    The versions stay until `ivyhub gc` collects them, a month after the last of their labels went;
    until then `ivyhub undo NAME` brings them back.

    \b
    Examples:
      ivyhub rm bert:v1
      ivyhub rm bert --dry-run
    """
    from ivyhub.errors import UsageError
    from ivyhub.registry.refs import split_reference
    from ivyhub.registry.store import Store

    name, label, digits = split_reference(reference)
    if digits is not None:
        raise UsageError("a version has no name of its own to take away", hint="give NAME, or NAME:LABEL")
    change = Store().refs.remove(name, label if ":" in reference else None, force=force, dry_run=dry_run)
    output.document(change, ids=[f"{name}:{move.label}" for move in change.moves])
    output.lines(change_lines(name, change))
