"""``ivyhub completion``: what a shell needs to complete commands, options and names."""

from __future__ import annotations

import click

from ivyhub.cli.output import Output, common_options, pass_output

_LINES = {
    "bash": 'eval "$(ivyhub completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(ivyhub completion zsh)"  # in ~/.zshrc',
    "fish": "ivyhub completion fish | source  # in ~/.config/fish/config.fish",
}


@click.command(name="completion", short_help="Print what a shell needs to complete ivyhub.")
@click.argument("shell", type=click.Choice([*_LINES]))
@common_options
@pass_output
def command(output: Output, shell: str) -> None:
    """Print the script by which SHELL completes commands, options and the names of models.

    \b
    Examples:
      eval "$(ivyhub completion bash)"
      eval "$(ivyhub completion zsh)"
      ivyhub completion fish | source
    """
    from click.shell_completion import get_completion_class

    from ivyhub.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(cli, {}, "ivyhub", "_IVYHUB_COMPLETE").source()
    output.document({"shell": shell, "script": script})
    output.line(script)
