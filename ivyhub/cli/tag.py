"""``ivyhub tag``: a name for one version that stays with it."""

from __future__ import annotations

import click

from ivyhub.cli.output import Output, common_options, name_argument, pass_output


@click.command(name="tag", short_help="Give a version a tag, which stays with it.")
@name_argument("version", metavar="NAME[:LABEL]")
@click.argument("tag")
@common_options
@pass_output
def command(output: Output, version: str, tag: str) -> None:
    """Give a version of a model the tag TAG, which stays with it.

    The version is that of the label, `latest` if none is given, or NAME@sha256:... for any that the
    name ever had. A tag never moves: `ivyhub rm NAME:TAG` takes it away. What is to move is an alias.

    \b
    Examples:
      ivyhub tag bert v1
      ivyhub tag bert:champion 2026-11
      ivyhub tag bert@sha256:0a1b2c3d before-tuning
    """
    from ivyhub.registry.store import Store

    refs = Store().refs
    name, digest = refs.find(version)
    refs.tag(name, digest, tag)
    output.document({"name": name, "tag": tag, "version": digest}, ids=[digest])
    output.line(f"{name}:{tag} is {digest}")
