"""``ivyhub check``: what stands between a model and its conversion."""

from __future__ import annotations

import click

from ivyhub.cli.output import Output, columns, common_options, name_argument, pass_output


@click.command(name="check", short_help="Report what cannot be converted.")
@name_argument("name")
@click.option("--to", "--framework", "target", metavar="TARGET", help="Check the way to this framework too.")
@common_options
@pass_output
@click.pass_context
def command(ctx: click.Context, output: Output, name: str, target: str | None) -> None:
    """Report every operation of NAME that cannot be converted, without converting.

    NAME is what `ivyhub pull` or `ivyhub convert` takes. Exits with 1 where an operation is missing:
    no rule reads it, or the target cannot express it.

    \b
    Examples:
      ivyhub check bert
      ivyhub check ./my-model --to tensorflow
      ivyhub check net.onnx --to jax
    """
    from ivyhub.registry import api

    missing = [tuple(row) for row in api.check(name, target)]
    document = [{"op": op, "module": module, "line": line} for op, module, line in missing]
    output.document(document, ids=dict.fromkeys(op for op, _, _ in missing))
    if not missing:
        output.line(f"{name}: every operation can be converted")
        return
    for row in columns(missing, ("operation", "module", "source line")):
        output.line(row)
    ctx.exit(1)
