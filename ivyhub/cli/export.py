"""``ivyhub export``: models as one file."""

from __future__ import annotations

from pathlib import Path

import click

from ivyhub.cli.output import Output, common_options, name_argument, pass_output, size


@click.command(name="export", short_help="Write models into one file.")
@name_argument("models", metavar="[NAME[:LABEL]]...", nargs=-1)
@click.option("--to", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The archive to write.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@common_options
@pass_output
def command(output: Output, models: tuple[str, ...], to: Path, force: bool) -> None:
    """Write models of the registry, with their exports and certificates, into one file.

    A bare name stands for all its tags and aliases; without names the whole registry goes. The file is
    a zip archive whose members are named by the digests of their bytes; the same models give the same
    file. `ivyhub import` takes it in.

    \b
    Examples:
      ivyhub export bert --to bert.ivyhub
      ivyhub export bert:v1 minilm --to models.ivyhub
    """
    from ivyhub.registry.store import Store
    from ivyhub.registry.transfer import pack

    with output.progress() as progress:
        found = pack(Store(), models, to, force=force, progress=progress)
    document = {"path": to, "names": [*found.names], "versions": found.versions, "size": found.size}
    output.document(document, ids=[to])
    output.line(f"{to}: {', '.join(found.names)}; {len(found.versions)} versions, {size(found.size)}")
