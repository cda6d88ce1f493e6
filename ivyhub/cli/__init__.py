"""The command line: one file a command, each loaded when it is asked for.

Errors are told here and nowhere else: `main` turns every exception into one line, a hint and an exit code.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from ivyhub import __version__
from ivyhub.cli.output import Output, common_options
from ivyhub.errors import IvyhubError, UsageError

COMMANDS = (
    *("pull", "push", "convert", "list", "show", "inspect", "log", "diff", "verify", "check"),
    *("tag", "alias", "rm", "undo", "lock", "export", "import", "gc", "du", "fsck"),
    *("login", "whoami", "config", "doctor", "frameworks", "completion"),
)
"""Every command, in the order of the help; ``ivyhub/cli/<command>.py`` holds it under the name ``command``."""

SHORT = {"ls": "list"}
"""Second names of commands."""

INTERRUPTED = 130


class Commands(click.Group):
    """A group whose commands are imported when they are first looked up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]  # not list(): ivyhub.cli.list, once imported, stands under that name here

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = SHORT.get(cmd_name, cmd_name)
        return import_module(f"ivyhub.cli.{name}").command if name in COMMANDS else None


@click.command(
    cls=Commands,
    name="ivyhub",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="ivyhub")
@common_options
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Any model, from any framework and version, as a native, trainable model of any other.

    \b
    Examples:
      ivyhub pull bert --framework jax
      ivyhub pull ./my-model --framework torch --to out/my_model
      ivyhub convert net.onnx --to jax
      ivyhub verify out/my_model

    \b
    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the export does not agree with its original,
    4 not authorised, 5 refused as unsafe, 130 interrupted.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    elif ctx.invoked_subcommand != "config":  # which mends what is wrong with them
        from ivyhub.cli.settings import FILE, read_settings
        from ivyhub.registry.home import home_folder

        ctx.default_map = read_settings(home_folder() / FILE)


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code; every error is told on the way.

    Example:
        >>> run(["--version"])
        ivyhub, version ...
        0
    """
    output = Output()
    try:
        code = cli.main(args=[*args], prog_name="ivyhub", standalone_mode=False, obj=output)
    except click.ClickException as error:
        # Parsing stopped before it reached every option, so the words themselves are asked.
        output.json = output.json or "--json" in args
        context = getattr(error, "ctx", None)
        hint = f"see {context.command_path} --help" if context else "see ivyhub --help"
        output.error(UsageError(error.format_message(), hint=hint))
        return error.exit_code
    except IvyhubError as error:
        output.error(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        output.error(IvyhubError("interrupted"))
        return INTERRUPTED
    except Exception as error:
        reason = " ".join(str(error).split())
        message = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        output.error(IvyhubError(message, hint="this is a defect of ivyhub: run again with --debug"))
        return IvyhubError.exit_code
    return code if isinstance(code, int) else 0


def main() -> NoReturn:
    """The entry point of the ``ivyhub`` script."""
    sys.exit(run(sys.argv[1:]))
