"""``ivyhub alias``: a name for a version that moves."""

from __future__ import annotations

import click

from ivyhub.cli.output import Output, common_options, name_argument, pass_output


@click.command(name="alias", short_help="Let an alias of a model stand for a version.")
@name_argument("version", metavar="NAME[:LABEL]")
@click.argument("alias")
@click.option("--protect/--no-protect", default=None, help="Whether it moves with --force only from now on.")
@click.option("--force", is_flag=True, help="Move it though it is protected.")
@common_options
@pass_output
def command(output: Output, version: str, alias: str, protect: bool | None, force: bool) -> None:
    """Let the alias ALIAS of a model stand for a version of it; it may stand for another one now.

    The version is that of the label, `latest` if none is given, or NAME@sha256:... for any that the
    name ever had. `ivyhub undo NAME` takes a move back.

    \b
    Examples:
      ivyhub alias bert champion
      ivyhub alias bert:v2 champion --protect
      ivyhub alias bert:v1 latest
    """
    from ivyhub.registry.store import Store

    refs = Store().refs
    name, digest = refs.find(version)
    refs.set(name, digest, alias=alias, protect=protect, force=force)
    protected = refs.labels(name)[alias].protected
    document = {"name": name, "alias": alias, "version": digest, "protected": protected}
    output.document(document, ids=[digest])
    output.line(f"{name}:{alias} is {digest}{', protected' if protected else ''}")
