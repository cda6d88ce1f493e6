"""``ivyhub verify``: compute an export's certificate again."""

from __future__ import annotations

import click

from ivyhub.cli.output import Output, certificate_lines, common_options, name_argument, pass_output
from ivyhub.errors import VerificationError


@click.command(name="verify", short_help="Compare an export with its original again.")
@name_argument("export", metavar="DIR-OR-NAME")
@common_options
@pass_output
def command(output: Output, export: str) -> None:
    """Compare an export with its original again, on fresh random inputs.

    DIR-OR-NAME is a folder that `ivyhub pull` wrote, or the name of a model in the registry. The
    export is run: its source is Python. Exits with 3 where a figure misses its tolerance.

    \b
    Examples:
      ivyhub verify bert-jax
      ivyhub verify out/my_bert --json
    """
    from ivyhub.registry import api

    with output.progress() as progress:
        certificate = api.verify(export, progress=progress)
    output.document(certificate)
    output.lines(certificate_lines(certificate))
    missed = [row["check"] for row in certificate["rows"] if not row["passed"]]
    if missed:
        raise VerificationError(
            f"{export} does not agree with its original: {', '.join(missed)}",
            hint="pull it again with --force; if it is missed again, that is a defect worth reporting",
        )
