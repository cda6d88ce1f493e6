"""``ivyhub login``: a token for the Hugging Face Hub."""

from __future__ import annotations

import sys

import click

from ivyhub.cli.output import Output, common_options, pass_output


@click.command(name="login", short_help="Keep a token for the Hugging Face Hub.")
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input instead of asking.")
@common_options
@pass_output
def command(output: Output, token_stdin: bool) -> None:
    """Keep a token of the Hugging Face Hub, after the server has accepted it, where `hf` and all that stands on
    huggingface_hub find it. Tokens are made at https://huggingface.co/settings/tokens.

    \b
    Examples:
      ivyhub login
      ivyhub login --token-stdin < token.txt
    """
    from ivyhub.registry.account import log_in

    token = sys.stdin.readline() if token_stdin else click.prompt("Token", hide_input=True, err=True)
    account = log_in(token.strip())
    output.document(account)
    output.line(f"logged in to {account.hub} as {account.name}")
