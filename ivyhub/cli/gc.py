"""``ivyhub gc``: collect what no name stands for."""

from __future__ import annotations

import click

from ivyhub.cli.output import Output, common_options, pass_output, size


@click.command(name="gc", short_help="Collect what no name stands for.")
@click.option("--days", type=click.FloatRange(min=0), default=30.0, show_default=True, help="How far undo reaches.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@common_options
@pass_output
def command(output: Output, days: float, dry_run: bool) -> None:
    """Collect the versions that no name stands for, or stood for in the last DAYS.

    They lie in the registry's trash for a day, where they are found when they are asked for, and are
    deleted by the next collection after that.

    \b
    Examples:
      ivyhub gc --dry-run
      ivyhub gc
      ivyhub gc --days 0
    """
    from ivyhub.registry.housekeeping import collect
    from ivyhub.registry.store import Store

    found = collect(Store(), days=days, dry_run=dry_run)
    output.document(found, ids=found.versions)
    would = "would go" if dry_run else "went"
    output.line(f"{len(found.versions)} versions, {found.files} files, {size(found.size)} {would} to the trash")
    output.line(f"{size(found.deleted)} {'would be' if dry_run else 'were'} deleted from it")
