"""``ivyhub inspect``: what a checkpoint holds, without loading it."""

from __future__ import annotations

from pathlib import Path

import click

from ivyhub.cli.output import Output, columns, common_options, pass_output, size


@click.command(name="inspect", short_help="Show the tensors of a checkpoint of any format.")
@click.argument("file", type=click.Path(path_type=Path))
@common_options
@pass_output
def command(output: Output, file: Path) -> None:
    """Show what the checkpoint FILE holds: names, dtypes, shapes, sizes, metadata. No numbers are loaded.

    FILE is safetensors, a file of torch.save (.bin, .pt, .pth), .npz, .h5, .keras, .msgpack, .gguf,
    .onnx, the index of shards or a checkpoint of TensorFlow; or a folder of transformers, Orbax,
    torch.distributed.checkpoint or a SavedModel. Its format is told by its content, not by its name.
    Nothing in it is executed: a pickle that would do more than make tensors is refused. Where the
    names are those of a published architecture, it says whose: see --names of `ivyhub convert`.

    \b
    Examples:
      ivyhub inspect pytorch_model.bin
      ivyhub inspect model.safetensors --json
      ivyhub inspect ./orbax-folder --quiet
    """
    from ivyhub.registry.adapters.families import recognise
    from ivyhub.registry.checkpoints import FORMATS, mismatch, open_file

    with open_file(file) as ckpt:
        family = recognise(ckpt)
        note = mismatch(file, ckpt)
        total = sum(info.nbytes for info in ckpt.values())
        found = {
            "path": str(file),
            "format": ckpt.format,
            "files": [str(path) for path in ckpt.files],
            "notes": [note] if note else [],
            "names": family and {"form": family.name, "title": family.title, "unexplained": family.unexplained},
            "metadata": ckpt.metadata,
            "tensors": [
                {"name": info.name, "dtype": info.dtype, "shape": info.shape, "bytes": info.nbytes}
                for info in ckpt.values()
            ],
            "unreadable": ckpt.unreadable,
            "values": ckpt.values_beside,
            "count": len(ckpt),
            "bytes": total,
        }
        names = [*ckpt]
    output.document(found, ids=names)
    output.line(f"{file}: {FORMATS[ckpt.format].title}")
    if family:
        others = f", but for {', '.join(family.unexplained[:3])}" if family.unexplained else ""
        others += f" and {more} more" if (more := len(family.unexplained) - 3) > 0 else ""
        output.line(f"{family.title} ({family.name}){others}")
    if note:
        output.line(f"note: {note}")
    rows = [(info.name, info.dtype, list(info.shape), size(info.nbytes)) for info in ckpt.values()]
    rows += [(name, _shortened(what), None, None) for name, what in ckpt.unreadable.items()]
    output.lines(columns(rows, ("name", "dtype", "shape", "size")) if rows else ())
    for title, section in (("metadata", ckpt.metadata), ("other values", ckpt.values_beside)):
        if section:
            output.line(f"\n{title}")
            for name, text in section.items():
                output.line(f"  {_shortened(name)}  {_shortened(text)}")
    numbers = sum(info.nbytes // max(1, _itemsize(info.dtype)) for info in ckpt.values())
    unreadable = f", {len(ckpt.unreadable)} of no dtype of ivyhub's" if ckpt.unreadable else ""
    output.line(f"\n{len(names)} tensors{unreadable}, {numbers:,} numbers, {size(total)}")


def _itemsize(dtype: str) -> int:
    from ivyhub.registry.weights.dtypes import ITEMSIZE

    return ITEMSIZE[dtype]


def _shortened(text: str) -> str:
    """The beginning of a text that a file chose, on one line.

    Example:
        >>> _shortened("a\\nb")
        'a\\\\nb'
    """
    start = text[:100].replace("\n", "\\n").replace("\t", "\\t")
    return start if len(text) <= 100 else f"{start}... ({len(text)} characters)"
