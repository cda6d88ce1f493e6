"""``ivyhub undo``: take back the last change of a name."""

from __future__ import annotations

import click

from ivyhub.cli.output import Output, change_lines, common_options, name_argument, pass_output


@click.command(name="undo", short_help="Take back the last change of a model's labels.")
@name_argument("name")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@common_options
@pass_output
def command(output: Output, name: str, dry_run: bool) -> None:
    """Take back the last pull, push, tag, alias or rm of NAME; again for the one before.

    \b
    Examples:
      ivyhub undo bert
      ivyhub undo bert --dry-run
    """
    from ivyhub.registry.store import Store

    change = Store().refs.undo(name, dry_run=dry_run)
    output.document(change, ids=[f"{name}:{move.label}" for move in change.moves])
    output.lines(change_lines(name, change))
