"""``ivyhub diff``: two versions side by side."""

from __future__ import annotations

import json

import click

from ivyhub.cli.output import Output, columns, common_options, name_argument, pass_output


@click.command(name="diff", short_help="Compare two versions: structure, configuration, weights.")
@name_argument("first")
@name_argument("second")
@click.option("--all", "everything", is_flag=True, help="List equal tensors too.")
@common_options
@pass_output
def command(output: Output, first: str, second: str, everything: bool) -> None:
    """Compare two versions of the registry, of whatever frameworks: structure, configuration, weights.

    Tensors are compared by the names and layouts of the graph's parameters. For each that changed the
    norm of the change is told, and that norm over the norm of the tensor in FIRST.

    \b
    Examples:
      ivyhub diff bert:v1 bert:v2
      ivyhub diff bert bert-tuned --json
    """
    from ivyhub.registry.comparison import difference
    from ivyhub.registry.store import Store

    with output.progress() as progress:
        found = difference(Store(), first, second, progress=progress)
    output.document(found, ids=[each.name for each in found.tensors if each.status != "equal"])
    for line in found.structure:
        output.line(f"structure: {line}")
    for key, (one, other) in found.configuration.items():
        output.line(f"configuration: {key}: {json.dumps(one)} -> {json.dumps(other)}")
    rows = [
        (
            each.status,
            each.name,
            each.first or each.second,
            each.second if each.first and each.second != each.first else None,
            None if each.norm is None or each.status == "equal" else f"{each.norm:.3g}",
            None if each.relative is None or each.status == "equal" else f"{each.relative:.2g}",
        )
        for each in found.tensors
        if everything or each.status != "equal"
    ]
    if rows:
        output.lines(columns(rows, ("", "tensor", "first", "second", "change", "relative")))
    counts = [
        f"{count} {status}"
        for status in ("equal", "changed", "added", "removed")
        if (count := sum(each.status == status for each in found.tensors))
    ]
    output.line("no difference" if found.same else f"tensors: {', '.join(counts) or 'none'}")
