"""``ivyhub convert``: a model as a package of another framework, or the tensors of a checkpoint in another format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ivyhub.cli.output import Output, common_options, pass_output, size
from ivyhub.cli.pull import package_options, write_package
from ivyhub.errors import UsageError

# The keys of ivyhub.registry.checkpoints.TARGETS, which is heavy; and those of them that targets for models are called.
_FORMATS = ("safetensors", "pt", "npz", "msgpack", "h5", "keras", "orbax", "onnx")
_FOR_MODELS = ("keras", "onnx")
_FORMAT_OF = {"torch": "pt", "keras": "h5", "tensorflow": "h5", "onnx": ".onnx", "numpy": "npz"}


@click.command(name="convert", short_help="Write a model as native source, or a checkpoint in another format.")
@click.argument("source")
@click.option("--to", "target", required=True, metavar="TARGET", help="A framework as pull takes it, or a format.")
@click.option(
    *("--out", "out"),
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The folder of a framework, ./SOURCE-TARGET if not given; the file of a format, ./SOURCE.TARGET.",
)
@click.option(
    "--names", metavar="FORM", help="The names and layouts that a format gets: transformers, flax, keras-hub ..."
)
@click.option(
    "--heads", type=click.IntRange(min=1), metavar="N", help="Of the attention, where no config.json says it."
)
@click.option("--partial", is_flag=True, help="Leave out the tensors that FORM has no place for.")
@package_options
@common_options
@pass_output
def command(output: Output, source: str, target: str, out: Path | None, **options: Any) -> None:
    """Write the model SOURCE as native source of a framework, or the tensors of SOURCE in another format.

    TARGET decides. A framework (torch, jax, flax.linen, tensorflow, numpy, onnx) makes a package of
    the model, with its weights and proof: SOURCE is a .keras, .onnx or .pt2 file, the folder of a
    SavedModel, or whatever `ivyhub pull` takes. Sizes that it leaves open stay open. To onnx, the
    folder has the model as model.onnx, for evaluation, compared through onnxruntime.

    A format (safetensors, pt, npz, msgpack, h5, orbax, .keras, .onnx) takes the tensors alone, by
    their names, as they are or with --dtype: SOURCE is whatever `ivyhub inspect` reads. pt is what
    torch.load reads, msgpack what Flax reads, h5 what h5py reads; groups are the parts of a name
    between its dots, or between its slashes where it comes from HDF5 or TensorFlow. .onnx, with its
    dot, is a file of initialisers without a graph; .keras takes a .keras file, whose model it keeps.

    --names gives the tensors of a published architecture the names that another ecosystem has for
    them, and lays them out as it does: transformers, flax, tf-keras, keras-hub, and the forms that
    `ivyhub inspect` tells of a checkpoint. It knows BERT, GPT-2, Llama, Mistral, Qwen2, T5, ViT and
    ResNet. Of any model, it gives the names of another version of its framework: keras-3 and keras-2
    (of an .h5 or .keras file with its configuration), flax.nnx and flax.linen, torch-parametrized and
    torch-norms (weight_norm, spectral_norm), torch-separate and torch-packed (MultiheadAttention).

    Nothing in a file is executed before it is known to be harmless, and nothing in a checkpoint ever.

    \b
    Examples:
      ivyhub convert model.keras --to torch --out out/my_model
      ivyhub convert net.onnx --to jax
      ivyhub convert ./saved-model --to numpy
      ivyhub convert ./bert-torch --to onnx
      ivyhub convert pytorch_model.bin --to safetensors
      ivyhub convert ./saved-model --to npz --out weights.npz
      ivyhub convert model.safetensors --to .onnx
      ivyhub convert ./bert/bert_model.ckpt --to safetensors --names transformers
      ivyhub convert old.h5 --to h5 --names keras-3
      ivyhub check net.onnx --to jax
    """
    format = target.removeprefix(".")
    if format in _FORMATS and target not in _FOR_MODELS:
        _write_tensors(output, Path(source), format, out, **options)
        return
    for option in ("names", "heads", "partial"):
        if options.pop(option):
            raise UsageError(
                f"--{option} is for checkpoints, and --to {target} writes a model",
                hint=f"choose one of {', '.join(_FORMATS)}",
            )
    from ivyhub.registry.checkpoints import FORMATS
    from ivyhub.registry.model_files import find_model_file

    file = Path(source).expanduser()
    suffixes = {suffix for row in FORMATS.values() for suffix in row.suffixes}
    if file.suffix in suffixes and find_model_file(source) is None and file.is_file():
        raise UsageError(
            f"expected a model for --to {target}, received the file {file.name}, which can hold tensors alone",
            hint=f"--to {_FORMAT_OF.get(target, 'safetensors')} writes them in another format; for a model, give the "
            "folder with its config.json",
        )
    write_package(output, source, target, out, **options)


def _write_tensors(
    output: Output,
    source: Path,
    target: str,
    out: Path | None,
    *,
    names: str | None,
    heads: int | None,
    partial: bool,
    dtype: str | None,
    force: bool,
    offline: bool | None,
    **options: Any,
) -> None:
    """Write tensors in a format and tell of it. Options that are about models are refused, one that is about networks
    holds anyway."""
    given = [name for name, value in options.items() if value and value != "source"]
    if given:
        words = ", ".join({"new_name": "--name"}.get(name, f"--{name.replace('_', '-')}") for name in given)
        raise UsageError(f"{words} is for models, and --to {target} writes tensors", hint="leave it out")

    if names is None and (heads or partial):
        raise UsageError(f"{'--heads' if heads else '--partial'} needs --names", hint="leave it out, or add --names")

    from msgspec import to_builtins

    from ivyhub.registry.checkpoints import convert, default_path, mismatch, open_file

    with open_file(source) as ckpt, output.progress() as progress, progress.stage("writing"):
        note = mismatch(source, ckpt)
        tensors, how, suffix = ckpt, None, None
        if names is not None:
            from ivyhub.registry.adapters.families import renamed
            from ivyhub.registry.adapters.versions import STYLES, restyled

            if names in STYLES and (heads or partial):
                raise UsageError(f"--heads and --partial are not for --names {names}", hint="leave them out")
            if names in STYLES:
                tensors, how = restyled(ckpt, names)
                suffix = STYLES[names].suffixes.get(target)
            else:
                tensors, how = renamed(ckpt, names, heads=heads, partial=partial)
        path = out or default_path(source, target, suffix)
        done = convert(tensors, target, path, dtype=dtype, force=force, progress=progress.advance)
    told = None if how is None else {"from": how.before, "to": how.name, "left_out": how.left_out}
    output.document({**to_builtins(done), "names": told}, ids=done.files)
    if note:
        output.line(f"note: {note}")
    for file in done.files:
        output.line(file)
    output.line(f"{done.tensors} tensors, {size(done.bytes)}, from {done.read}")
    if done.left_out:
        output.line(f"left out, as no tensors: {_listed(done.left_out)}")
    if how is not None:
        output.line(f"names of {how.name}, from {how.before}")
        if how.left_out:
            output.line(f"left out, as they have no name of their own there: {_listed(how.left_out)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
