"""``ivyhub push``: a model into the registry, into another one, or onto a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ivyhub.cli.output import Output, common_options, name_argument, pass_output, transfer_lines
from ivyhub.errors import UsageError


@click.command(name="push", short_help="Put a model into a registry or onto the Hub.")
@name_argument("model")
@click.argument("name", required=False)
@click.option("--to", metavar="REMOTE", help="hf://organisation/name, or the folder of another registry.")
@click.option("--framework", metavar="FRAMEWORK", help="To a hub: the export for it, not the checkpoint.")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="Cast the weights.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME=NUMBER", help="A figure to keep with the version.")
@click.option("--merged-from", multiple=True, metavar="MODEL", help="Another model whose weights went into it.")
@click.option("--revision", metavar="BRANCH", help="Of the hub.")
@click.option("--private", is_flag=True, help="A repository that the push makes is private.")
@click.option("--message", metavar="TEXT", help="Of the commit on the hub.")
@click.option("--no-verify", is_flag=True, help="Skip the comparison with the original, where an export is made.")
@click.option("--force", is_flag=True, help="To another registry: move protected aliases too.")
@common_options
@pass_output
def command(
    output: Output,
    model: str,
    name: str | None,
    to: str | None,
    metrics: tuple[str, ...],
    merged_from: tuple[str, ...],
    **options: Any,
) -> None:
    """Keep MODEL, the folder of an export, under NAME in the registry: tuned weights go back to the names and layouts
    of the checkpoint that they came from, as a new version.

    With --to, send a model to another registry or to the Hugging Face Hub. There a checkpoint keeps the
    layout that it came in, unless --framework asks for an export; the card says what it is.

    \b
    Examples:
      ivyhub push ./bert-jax bert-tuned --metric accuracy=0.91
      ivyhub push ./bert-torch bert-soup --merged-from bert-tuned
      ivyhub push bert-tuned --to hf://me/bert-tuned
      ivyhub push bert-tuned --to hf://me/bert-tuned-jax --framework jax
      ivyhub push bert-tuned --to /srv/models
    """
    from ivyhub.registry import api
    from ivyhub.registry.store import Store

    is_folder = Path(model).expanduser().is_dir()
    if is_folder == (name is None):
        wanted = "a NAME to keep the folder under" if is_folder else f"no second name, as there is no folder {model!r}"
        raise UsageError(f"expected {wanted}", hint="see ivyhub push --help")
    if name is None and to is None:
        raise UsageError("expected --to REMOTE, or a folder and a NAME", hint="see ivyhub push --help")
    store = Store()
    if name is not None:
        figures = dict(map(_figure, metrics))
        folder = Path(model).expanduser()
        digest = api.push(folder, name, dtype=options["dtype"], metrics=figures, merged_from=merged_from, store=store)
        model = name
        if to is None:
            output.document({"name": name, "version": digest}, ids=[digest])
            output.line(f"{name}:latest is {digest}")
            return
    elif metrics or merged_from:
        word = "--metric" if metrics else "--merged-from"
        raise UsageError(f"{word} belongs to a version: give it with the folder that is pushed")
    assert to is not None
    _send(output, store, model, to, **options)


def _send(output: Output, store: Any, model: str, to: str, *, force: bool, no_verify: bool, **options: Any) -> None:
    place = Path(to).expanduser()
    if not to.startswith("hf://") and (to.startswith((".", "~", "/")) or place.is_dir()):
        from ivyhub.registry.store import Store
        from ivyhub.registry.transfer import StoreHolding, receive

        with output.progress() as progress:
            found = receive(
                Store(place), StoreHolding(store), [model], exports=True, force=force, why="push", progress=progress
            )
        output.document(found, ids=found.versions)
        output.lines(transfer_lines(found))
        return
    from ivyhub.registry.publishing import publish

    with output.progress() as progress:
        sent = publish(store, model, to, verify=not no_verify, progress=progress, **options)
    output.document(sent, ids=[sent.url])
    output.line(f"{sent.url} at {sent.commit[:12]}: {len(sent.files)} files")


def _figure(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise UsageError(f"expected --metric NAME=NUMBER, received {text!r}") from None
