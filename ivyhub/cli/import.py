"""``ivyhub import``: models out of an archive or another registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ivyhub.cli.output import Output, common_options, pass_output, transfer_lines


@click.command(name="import", short_help="Take models from an archive or another registry.")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("models", metavar="[NAME[:LABEL]]...", nargs=-1)
@click.option("--as", "name", metavar="NEW", help="Call it so, where one model is taken.")
@click.option("--exports", is_flag=True, help="Take the exports too, which are source code.")
@click.option("--force", is_flag=True, help="Move protected aliases too.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@common_options
@pass_output
def command(output: Output, source: Path, models: tuple[str, ...], **options: Any) -> None:
    """Take models from SOURCE: a file that `ivyhub export` wrote, or the folder of another registry.

    A bare name stands for all its tags and aliases; without names everything is taken. Every file's
    digest is taken on the way. Aliases move; a tag that stands for another version here is refused.
    Exports are made again when they are pulled; with --exports those of SOURCE are taken, with their
    certificates: they are source code, which a later pull hands out and runs, so trust who wrote them.

    \b
    Examples:
      ivyhub import bert.ivyhub
      ivyhub import /srv/models bert:v1 --as their-bert
    """
    from ivyhub.registry.store import Store
    from ivyhub.registry.transfer import open_holding, receive

    with output.progress() as progress, open_holding(source) as holding:
        found = receive(Store(), holding, models, progress=progress, **options)
    output.document(found, ids=found.versions)
    output.lines(transfer_lines(found))
