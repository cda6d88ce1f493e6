"""``ivyhub pull``: a model as a package of native source and weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ivyhub.cli.output import Command, Output, certificate_lines, common_options, name_argument, pass_output
from ivyhub.errors import UsageError

if TYPE_CHECKING:
    from ivyhub.registry.api import PullResult


PACKAGE_OPTIONS = (
    click.option("--device", help="Where the checks run: cpu, gpu, cuda:1; the framework's default if not given."),
    click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="Cast the weights."),
    click.option(
        "--layout",
        type=click.Choice(["source", "native"]),
        default="source",
        show_default=True,
        help="Of images: as the source takes them, or with their channels last in JAX and TensorFlow.",
    ),
    click.option("--name", "new_name", metavar="NEW", help="Keep it in the registry under this name."),
    click.option("--no-verify", is_flag=True, help="Skip the comparison with the original; the export records that."),
    click.option("--force", is_flag=True, help="Replace the folder if it holds something already."),
    click.option("--offline", is_flag=True, default=None, help="Use no network: what is on this machine must do."),
)
"""What can be said of a package, whatever it is made from."""


def package_options(command: Command) -> Command:
    """Add the options of `PACKAGE_OPTIONS` to a command, which hands them to `write_package`."""
    for option in reversed(PACKAGE_OPTIONS):
        command = option(command)
    return command


@click.command(name="pull", short_help="Write a model as native source with weights.")
@name_argument("name")
@click.option(
    "--framework",
    required=True,
    metavar="FRAMEWORK[VERSION]",
    help="torch, jax, flax.linen, tensorflow, numpy or onnx, with a version where one is meant: 'jax>=0.5'.",
)
@click.option("--to", type=click.Path(path_type=Path), metavar="DIR", help="The folder; ./NAME-FRAMEWORK if not given.")
@click.option("--locked", is_flag=True, help="Take the version that the lock file has.")
@click.option(
    *("--lock-file", "lock_file"),
    type=click.Path(path_type=Path),
    default=Path("ivyhub.lock"),
    show_default=True,
    help="See ivyhub lock.",
)
@package_options
@common_options
@pass_output
def command(
    output: Output, name: str, framework: str, to: Path | None, locked: bool, lock_file: Path, **options: Any
) -> None:
    """Write the model NAME as native source of a framework, with its weights and proof.

    NAME is a short name (bert, minilm), a model of the registry, a model on the Hugging Face Hub
    (google-bert/bert-base-uncased), or a local folder in Hugging Face layout (./my-bert). The model
    of a file is written by `ivyhub convert`.

    \b
    Examples:
      ivyhub pull bert --framework jax
      ivyhub pull ./my-bert --framework tensorflow --to out/my_bert
      ivyhub pull minilm --framework 'torch>=2.6' --dtype bfloat16 --name minilm-half
    """
    write_package(output, name, framework, to, lock=lock_file if locked else None, **options)


def write_package(
    output: Output, name: str, framework: str, to: Path | None, *, no_verify: bool, **options: Any
) -> None:
    """Write a package and tell of it: what the commands that write one share.

    Args:
        output: where to tell.
        name: the model.
        framework: the target.
        to: the folder; named after both if None.
        no_verify: skip the comparison with the original.
        options: of `ivyhub.registry.api.pull_package`.
    """
    from ivyhub.registry.model_files import find_model_file

    file = find_model_file(name)
    folder = to or Path(default_folder(name if file is None else f"./{file.stem}", framework))
    if "." in folder.resolve().name:
        raise UsageError(
            f"expected a folder name that Python can import, got {folder.resolve().name!r}, which has a dot",
            hint="the folder is a Python package: choose another name with --to",
        )

    from ivyhub.registry import api

    with output.progress() as progress:
        result = api.pull_package(
            name,
            framework=framework,
            to=folder,
            verify=not no_verify,
            progress=progress,
            **options,
        )
    output.document(result, ids=[result.path])
    output.lines(report(result))


def default_folder(name: str, framework: str) -> str:
    """``<name>-<framework>``: the last part of the name, the framework without its version, no dots.

    Example:
        >>> default_folder("google-bert/bert-base-uncased", "flax.linen==0.10"), default_folder("./my-bert/", "jax")
        ('bert-base-uncased-flax-linen', 'my-bert-jax')
    """
    local = name.startswith((".", "~", "/"))
    stem = (
        Path(name).expanduser().resolve().name
        if local
        else re.split(r"[@:]", name.removeprefix("hf://"))[0].rsplit("/", 1)[-1]
    )
    flavour = re.split(r"[^A-Za-z._]", framework)[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", f"{stem}-{flavour}").strip("-")


def report(result: PullResult) -> list[str]:
    """What a newcomer needs after a pull: the folder, the figures, and how to load it."""
    how = "found in the registry" if result.reused else f"converted in {result.seconds:.1f} s"
    lines = [
        f"{result.name} for {result.framework}: {how}",
        f"  folder   {result.path}",
        f"  version  {result.version}",
    ]
    if result.certificate:
        lines += ["", *certificate_lines(result.certificate)]
    else:
        lines += ["", f"not verified; `ivyhub verify {result.path}` compares it with the original"]
    load = onnx_lines if result.framework == "onnx" else load_lines
    return [*lines, "", "Load it with", *(f"  {line}" for line in load(Path(result.path)))]


def onnx_lines(folder: Path) -> list[str]:
    """Python that runs the model file of an export.

    Example:
        >>> onnx_lines(Path("out/my_bert"))[1]
        "session = onnxruntime.InferenceSession('out/my_bert/model.onnx')"
    """
    return ["import onnxruntime", f"session = onnxruntime.InferenceSession({(folder / 'model.onnx').as_posix()!r})"]


def load_lines(folder: Path) -> list[str]:
    """Python that loads an export, for a folder of any name without a dot.

    Example:
        >>> load_lines(Path("out/my_bert"))
        ["import sys; sys.path.insert(0, 'out')", 'import my_bert', 'model = my_bert.load()']
    """
    first = f"sys.path.insert(0, {str(folder.parent)!r})"
    if folder.name.isidentifier():
        return [f"import sys; {first}", f"import {folder.name}", f"model = {folder.name}.load()"]
    package = f"package = importlib.import_module({folder.name!r})"
    return [f"import importlib, sys; {first}", package, "model = package.load()"]
