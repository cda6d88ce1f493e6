"""``ivyhub lock``: pin names to versions in a file."""

from __future__ import annotations

from pathlib import Path

import click

from ivyhub.cli.output import Output, columns, common_options, name_argument, pass_output


@click.command(name="lock", short_help="Pin models to versions in a file.")
@name_argument("models", metavar="[NAME[:LABEL]]...", nargs=-1)
@click.option(
    "--file", type=click.Path(path_type=Path), default=Path("ivyhub.lock"), show_default=True, help="The lock file."
)
@common_options
@pass_output
def command(output: Output, models: tuple[str, ...], file: Path) -> None:
    """Pin models to the versions that they stand for now, in a file that is kept with the code which uses them.

    Without names those of the file are pinned anew. `ivyhub pull NAME --locked` then takes that version:
    from the registry, or made again from the same bytes of its source, wherever it runs.

    \b
    Examples:
      ivyhub lock bert minilm
      ivyhub pull bert --framework jax --locked
      ivyhub lock
    """
    from ivyhub.registry.locking import write_lock
    from ivyhub.registry.store import Store

    lock = write_lock(Store(), models, file)
    output.document(lock, ids=[each.version for each in lock.models.values()])
    rows = [
        (name, each.version.removeprefix("sha256:")[:12], each.origin.id, each.origin.revision)
        for name, each in lock.models.items()
    ]
    output.lines(columns(rows, ("name", "version", "source", "revision")))
