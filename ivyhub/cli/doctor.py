"""``ivyhub doctor``: what is installed, and what that allows."""

from __future__ import annotations

import click

from ivyhub.cli.output import Output, columns, common_options, pass_output


@click.command(name="doctor", short_help="Say what is installed, and what that allows.")
@common_options
@pass_output
def command(output: Output) -> int:
    """Say what is installed, at which version, what that allows, and what is wrong. Nothing is loaded and no network
    is used. The exit code is 1 where something is wrong.

    \b
    Examples:
      ivyhub doctor
      ivyhub doctor --json
    """
    from ivyhub.registry.doctor import examine

    findings = examine()
    output.document(findings)
    marks = {"ok": "ok", "missing": "-", "problem": "WRONG"}
    output.lines(
        columns(
            ((each.what, marks[each.state], each.detail, each.allows) for each in findings),
            ("", "", "found", "which allows"),
        )
    )
    return int(any(each.state == "problem" for each in findings))
