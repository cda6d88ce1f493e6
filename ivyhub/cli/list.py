"""``ivyhub list``: what the registry holds."""

from __future__ import annotations

import click

from ivyhub.cli.output import Output, columns, common_options, pass_output, size


@click.command(name="list", short_help="List the models in the registry.")
@common_options
@pass_output
def command(output: Output) -> None:
    """List the models in the registry.

    \b
    Examples:
      ivyhub list
      ivyhub list --json
    """
    from ivyhub.registry.listing import list_models

    models = list_models()
    output.document(models, ids=dict.fromkeys(model.name for model in models))
    if not models:
        output.line("The registry is empty: `ivyhub pull bert --framework jax` puts a first model into it.")
        return
    rows = [
        (model.name, ", ".join(model.tags), model.framework, f"{model.parameters:,}", size(model.size), model.source)
        for model in models
    ]
    output.lines(columns(rows, ("name", "tags", "framework", "parameters", "size", "source")))
