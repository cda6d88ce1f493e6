"""``ivyhub config``: defaults of options."""

from __future__ import annotations

import json

import click

from ivyhub.cli.output import Output, columns, common_options, pass_output
from ivyhub.errors import UsageError


@click.command(name="config", short_help="Show or set defaults of options.")
@click.argument("option", metavar="[COMMAND.OPTION]", required=False)
@click.argument("value", required=False)
@click.option("--unset", is_flag=True, help="Take the default away.")
@common_options
@pass_output
@click.pass_context
def command(context: click.Context, output: Output, option: str | None, value: str | None, unset: bool) -> None:
    """Show the defaults of options that you have set, or set one: for any option of any command.

    They are kept in config.json in the registry's folder (IVYHUB_HOME). An option that is given on the
    command line goes before.

    \b
    Examples:
      ivyhub config pull.framework jax
      ivyhub config pull.framework --unset
      ivyhub config
    """
    from ivyhub.cli import cli
    from ivyhub.cli.settings import FILE, checked, read_settings, write_settings
    from ivyhub.registry.home import home_folder

    path = home_folder() / FILE
    settings = read_settings(path)
    if option is not None and (value is not None or unset):
        if unset and value is not None:
            raise UsageError("expected a value or --unset, received both")
        if unset:
            name, _, word = option.partition(".")
            if settings.get(name, {}).pop(word.replace("-", "_"), None) is None:
                raise UsageError(f"{option} is not set", hint="`ivyhub config` shows what is")
        else:
            name, word, plain = checked(cli, context, option, str(value))
            settings.setdefault(name, {})[word] = plain
        write_settings(path, settings)
    elif unset:
        raise UsageError("expected COMMAND.OPTION to unset", hint="see ivyhub config --help")
    flat = {
        f"{name}.{word.replace('_', '-')}": each for name, words in settings.items() for word, each in words.items()
    }
    if option is not None:
        flat = {key: each for key, each in flat.items() if key == option}
    output.document(flat)
    rows = [(key, each if isinstance(each, str) else json.dumps(each)) for key, each in sorted(flat.items())]
    output.lines(columns(rows, ("option", "default")) if rows else ())
    if not flat and value is None and not unset:
        output.line("nothing is set: the defaults are those that --help tells")
