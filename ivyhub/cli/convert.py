"""``ivyhub convert``: a model file, or anything that pull takes, as a package of another framework."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ivyhub.cli.output import Output, common_options, pass_output
from ivyhub.cli.pull import package_options, write_package


@click.command(name="convert", short_help="Write a model file as native source of a framework.")
@click.argument("source")
@click.option("--to", "target", required=True, metavar="TARGET", help="A framework as pull takes it, or onnx.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The folder; ./SOURCE-TARGET if not given.")
@package_options
@common_options
@pass_output
def command(output: Output, source: str, target: str, out: Path | None, **options: Any) -> None:
    """Write the model in the file SOURCE as native source of TARGET, with its weights and proof.

    SOURCE is a .keras, .onnx or .pt2 file, the folder of a SavedModel, or whatever `ivyhub pull`
    takes: a folder in Hugging Face layout, the name of a model. Nothing in a file is executed before
    it is known to be harmless. Sizes that it leaves open stay open.
    To onnx, the folder has the model as model.onnx, for evaluation, compared through onnxruntime.

    \b
    Examples:
      ivyhub convert model.keras --to torch --out out/my_model
      ivyhub convert net.onnx --to jax
      ivyhub convert ./saved-model --to numpy
      ivyhub convert ./bert-torch --to onnx
      ivyhub check net.onnx --to jax
    """
    write_package(output, source, target, out, **options)
