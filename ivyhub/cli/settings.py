"""Defaults of options that a user has set: ``config.json`` in the registry's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ivyhub.errors import CorruptFileError, UsageError

if TYPE_CHECKING:
    import click

FILE = "config.json"

#: For each command its options, as click takes them for defaults.
Settings = dict[str, dict[str, Any]]


def read_settings(path: Path) -> Settings:
    """What was set; nothing where there is no file.

    Raises:
        CorruptFileError: it is malformed.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, OSError, RecursionError) as error:
        raise CorruptFileError(f"{path} cannot be read: {error}", hint="mend it or remove it") from error
    if not isinstance(found, dict) or not all(isinstance(options, dict) for options in found.values()):
        raise CorruptFileError(f"{path} is no table of commands and their options", hint="mend it or remove it")
    return found


def write_settings(path: Path, settings: Settings) -> None:
    """Keep what is set, in place of what was.

    Raises:
        StorageError: it cannot be written.
    """
    from ivyhub.registry.files import replacing, storage_errors
    from ivyhub.registry.home import make_home

    with storage_errors("making the registry's folder"):
        make_home(path.parent)
    with replacing(path, "writing the settings") as temporary:
        temporary.write_text(json.dumps({name: each for name, each in settings.items() if each}, indent=2) + "\n")


def checked(group: click.Group, context: click.Context, key: str, value: str) -> tuple[str, str, Any]:
    """The command and option that ``command.option`` names, and a value for it.

    Raises:
        UsageError: there is no such command or option, or the option does not take the value.
    """
    import click

    name, _, word = key.partition(".")
    command = group.get_command(context, name)
    if command is None or not word:
        raise UsageError(f"expected COMMAND.OPTION, received {key!r}", hint="as pull.framework; see ivyhub --help")
    options = {
        option.opts[0].lstrip("-"): option
        for option in command.params
        if isinstance(option, click.Option) and option.expose_value and option.name
    }
    if word not in options:
        raise UsageError(f"`ivyhub {name}` has no option {word!r}", hint=f"it has {', '.join(options)}")
    option = options[word]
    try:
        converted = option.type_cast_value(context, (value,) if option.multiple else value)
    except click.BadParameter as error:
        raise UsageError(f"{key}: {error.format_message()}") from error
    plain = converted if isinstance(converted, bool | int | float | list | tuple | None) else value
    assert option.name is not None
    return name, option.name, plain
