"""``ivyhub fsck``: read everything that the registry holds and compare it with its digests."""

from __future__ import annotations

import click

from ivyhub.cli.output import Output, common_options, pass_output, size
from ivyhub.errors import CorruptFileError


@click.command(name="fsck", short_help="Check every byte of the registry.")
@common_options
@pass_output
def command(output: Output) -> None:
    """Check every byte of the registry against its digest, and every name against what it stands for.

    Damaged files are moved aside, so that pulling the model again brings them back. Exits with 1 where
    something is wrong.

    \b
    Examples:
      ivyhub fsck
      ivyhub fsck --json
    """
    from ivyhub.registry.housekeeping import check
    from ivyhub.registry.store import Store

    with output.progress() as progress:
        report = check(Store(), progress=progress)
    output.document(report)
    for problem in report.problems:
        needed = f", needed by {', '.join(problem.names)}" if problem.names else ""
        output.line(f"{problem.kind} {problem.what}: {problem.why}{needed}")
    output.line(f"{report.blobs} files, {size(report.size)}, {report.versions} versions, {report.names} names checked")
    if report.problems:
        raise CorruptFileError(
            f"{len(report.problems)} of them are not as they were written",
            hint="pull the models that need them again; if this happens twice, check the disk",
        )
