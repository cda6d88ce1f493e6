"""``ivyhub whoami``: whose token a hub sees."""

from __future__ import annotations

import click

from ivyhub.cli.output import Output, common_options, pass_output


@click.command(name="whoami", short_help="Say who you are on the Hugging Face Hub.")
@common_options
@pass_output
def command(output: Output) -> None:
    """Say who you are on the Hugging Face Hub, and whose organisations you belong to.

    \b
    Examples:
      ivyhub whoami
      ivyhub whoami --json
    """
    from ivyhub.registry.account import who_am_i

    account = who_am_i()
    output.document(account, ids=[account.name])
    output.line(account.name)
    if account.organisations:
        output.line(f"organisations: {', '.join(account.organisations)}")
