"""What every command says and how: text for people, ``--json`` for programs, progress for terminals.

Results go to stdout; errors, hints and progress go to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ivyhub.errors import IvyhubError
from ivyhub.registry.characters import escaped, visible
from ivyhub.registry.progress import SILENT, Progress

if TYPE_CHECKING:
    from rich import progress as rich_progress

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass
class Output:
    """The settings that every command shares, and the ways to speak that follow from them."""

    json: bool = False
    quiet: bool = False
    color: bool = field(default_factory=lambda: not os.environ.get("NO_COLOR"))
    debug: bool = False

    def line(self, text: str = "") -> None:
        """Print one line of a result, unless ``--quiet`` or ``--json`` was given."""
        self.lines((text,))

    def lines(self, texts: Iterable[str]) -> None:
        """Print lines of a result, unless ``--quiet`` or ``--json`` was given."""
        if not (self.quiet or self.json) and (texts := [*texts]):
            click.echo(visible("\n".join(texts)), color=None if self.color else False)

    def document(self, value: object, ids: Iterable[object] = ()) -> None:
        """Print the result as one JSON document, where ``--json`` was given; with ``--quiet`` its ids, one a line."""
        if self.json:
            click.echo(to_json(value))
        elif self.quiet:
            for each in ids:
                click.echo(each)

    def error(self, error: IvyhubError) -> None:
        """Tell the error being handled on stderr: ``error:`` and ``hint:`` lines, or one JSON object."""
        if self.debug:
            import traceback

            traceback.print_exc()
        if self.json:
            click.echo(to_json(error.as_json()), err=True)
            return
        color = None if self.color else False
        click.echo(click.style("error: ", fg="red", bold=True) + visible(error.message), err=True, color=color)
        if error.hint:
            click.echo(click.style("hint: ", fg="cyan") + visible(error.hint), err=True, color=color)

    @contextmanager
    def progress(self) -> Generator[Progress]:
        """A `Progress` drawn on stderr at a terminal, silent anywhere else."""
        if self.quiet or self.json or not sys.stderr.isatty():
            yield SILENT
            return
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        console = Console(stderr=True, no_color=None if self.color else True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Bars(*columns, console=console, transient=True) as bars:
            yield TerminalProgress(bars)


class TerminalProgress:
    """A `Progress` that rich draws: one line a stage."""

    def __init__(self, bars: rich_progress.Progress) -> None:
        self._bars = bars
        self._task: rich_progress.TaskID | None = None

    @contextmanager
    def stage(self, title: str) -> Generator[None]:
        self._task = task = self._bars.add_task(title, total=None)
        yield
        self._bars.update(task, total=1, completed=1)
        self._task = None

    def advance(self, n: int, total: int | None = None) -> None:
        if self._task is not None:
            self._bars.update(self._task, advance=n, total=total)


def common_options(command: Command) -> Command:
    """Add ``--json``, ``--quiet``, ``--no-color``, ``--debug`` and ``--rules``, before a command's name or after it."""

    def switch(flag: str, field: str, value: bool, text: str) -> Callable[[Command], Command]:
        def keep(ctx: click.Context, _: click.Parameter, given: bool) -> None:
            if given:
                setattr(ctx.ensure_object(Output), field, value)

        # Eager, so that an error in any other option is already told in the way that was asked for.
        return click.option(flag, is_flag=True, is_eager=True, expose_value=False, callback=keep, help=text)

    def run_rules(_: click.Context, __: click.Parameter, paths: tuple[str, ...]) -> None:
        if paths:
            from ivyhub.engine.extensions import load_file

            for path in paths:
                load_file(path)

    command = click.option(
        *("--rules", "rules"),
        multiple=True,
        metavar="FILE",
        expose_value=False,
        callback=run_rules,
        help="Run a Python file of yours that adds operations and reading rules.",
    )(command)
    command = switch("--debug", "debug", True, "Show the traceback of an error.")(command)
    command = switch("--no-color", "color", False, "Plain text, as with NO_COLOR=1.")(command)
    command = switch("--quiet", "quiet", True, "Print ids only, one a line.")(command)
    return switch("--json", "json", True, "Print JSON, for programs; errors too, as {code, message, hint}.")(command)


pass_output = click.make_pass_decorator(Output, ensure=True)


def name_argument(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """An argument that names models of the registry, which a shell completes."""

    def complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
        from ivyhub.registry.store import Store

        refs = Store().refs
        name, colon = begun.partition(":")[:2]
        found = [f"{name}:{label}" for label in refs.labels(name)] if colon else [*refs.names(), *refs.aliases()]
        return [word for word in found if word.startswith(begun)]

    return click.argument(*names, shell_complete=complete, **settings)


def to_json(value: object) -> str:
    """One JSON document of plain values, dataclasses and structs; paths and versions as their text."""
    import msgspec

    try:
        return escaped(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())
    except UnicodeEncodeError:  # the name of a file that is no text
        return json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=2)


def columns(rows: Iterable[Sequence[object]], header: Sequence[str]) -> list[str]:
    """Rows as aligned lines under a header, with no frame, so that they can be cut and grepped.

    Example:
        >>> print("\\n".join(columns([("jax", "0.10.2"), ("numpy", None)], ("framework", "installed"))))
        framework  installed
        jax        0.10.2
        numpy      -
    """
    cells = [tuple(header), *(tuple("-" if cell is None else str(cell) for cell in row) for row in rows)]
    line = "  ".join(f"{{:{max(map(len, column))}}}" for column in zip(*cells, strict=True))
    return [line.format(*row).rstrip() for row in cells]


def size(count: float | None) -> str:
    """A number of bytes in the units of 1000 that disks and the Hub use.

    Example:
        >>> size(90_868_376), size(512), size(None)
        ('90.9 MB', '512 B', '-')
    """
    if count is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def change_lines(name: str, change: Any) -> list[str]:
    """What a change of labels did, one label a line."""

    def told(label: Any) -> str:
        return "nothing" if label is None else label.digest.removeprefix("sha256:")[:12]

    return [f"{name}:{move.label}  {told(move.old)} -> {told(move.new)}" for move in change.moves]


def transfer_lines(transfer: Any) -> list[str]:
    """What models that went from one registry to another changed there."""
    moved = [line for name, change in transfer.names.items() for line in change_lines(name, change)]
    copied = f"{transfer.files} files, {size(transfer.size)}" if transfer.files else "every file was there"
    return [*(moved or ["no label changed"]), f"{len(transfer.versions)} versions: {copied}"]


def certificate_lines(certificate: Any) -> list[str]:
    """The figures of a certificate, one line a check: what was measured, against which tolerance, and against what."""
    rows = columns(
        (
            (row["check"], f"{row['measured']:.1e}", f"<= {row['tolerance']:.0e}", "ok" if row["passed"] else "MISSED")
            for row in certificate["rows"]
        ),
        ("check", "measured", "tolerance", ""),
    )
    reference = certificate.get("reference")  # an older ivyhub did not say
    return [*rows, f"compared with {reference}"] if reference else rows
