"""Opens a checkpoint of any format: what it is, its bytes say; a name that says something else is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ivyhub.errors import CheckpointError, CorruptFileError
from ivyhub.registry.checkpoints import (
    confined,
    distributed,
    gguf,
    hdf5,
    msgpack,
    npz,
    onnx_files,
    orbax,
    sstable,
    tensorflow_files,
    torch_files,
    zips,
)
from ivyhub.registry.checkpoints.contents import checkpoint_of
from ivyhub.registry.checkpoints.mapped import FormatCheckpoint, Pages, corrupt, join, stored, unsafe
from ivyhub.registry.weights.checkpoint import file_inside, opened
from ivyhub.registry.weights.header import MAX_HEADER_BYTES, check_names, load_json, read_header


class Format(NamedTuple):
    """A format of checkpoints.

    Args:
        name: what `FormatCheckpoint.format` says.
        title: what a message calls it.
        suffixes: that its files usually have.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]


_TORCH = (".bin", ".pt", ".pth", ".ckpt")
FORMATS = {
    row.name: row
    for row in (
        Format("safetensors", "safetensors", (".safetensors",)),
        Format("torch", "a zip archive of torch.save", _TORCH),
        Format("torch-legacy", "pickles in a row of torch.save, before PyTorch 1.6", _TORCH),
        Format("torch-tar", "a tar archive of PyTorch 0.1", _TORCH),
        Format("torch-distributed", "a folder of torch.distributed.checkpoint", ()),
        Format("hdf5", "an HDF5 file of Keras", (".h5", ".hdf5", ".keras")),
        Format("keras", "a .keras archive", (".keras",)),
        Format("tensorflow", "a checkpoint of TensorFlow", (".index", ".ckpt")),
        Format("tensorflow-v1", "a checkpoint of TensorFlow, version 1", (".ckpt",)),
        Format("msgpack", "MessagePack of Flax", (".msgpack",)),
        Format("orbax", "a folder of Orbax", ()),
        Format("npz", "arrays of numpy.savez", (".npz",)),
        Format("gguf", "GGUF", (".gguf",)),
        Format("onnx", "an ONNX model", (".onnx",)),
    )
}
"""Every format that can be read, by name."""

_INDEX = ".index.json"


def open_file(path: Path) -> FormatCheckpoint:
    """Open a checkpoint of any format without reading its tensors. Nothing in it is executed.

    Args:
        path: a file, an index of shards, or a folder that holds a checkpoint.

    Raises:
        CheckpointError: no checkpoint there.
        CorruptFileError: truncated, malformed, or of no known format.
        UnsafeError: reading it would run code, reach other files or fill the memory.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(Path(folder, "model.npz"), weight=np.arange(3))
        ...     ckpt = open_file(Path(folder, "model.npz"))
        ...     ckpt.format, ckpt["weight"].shape, ckpt.read("weight").tolist()
        ('npz', (3,), [0, 1, 2])
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _open_folder(path)
    if path.name.endswith(_INDEX):
        return _open_indexed(path)
    if not path.is_file() or path.name.endswith((".index", ".meta")) or ".data-" in path.name:
        prefix = tensorflow_files.prefix_of(path)
        if prefix is not None:
            return tensorflow_files.open_bundle(prefix)
    return _open_pages(Pages(path))


def mismatch(path: Path, ckpt: FormatCheckpoint) -> str:
    """What a file's name says that its content does not, or "".

    Example:
        >>> mismatch(Path("model.safetensors"), FormatCheckpoint("npz", [], []))
        'its name ends in .safetensors, its content is arrays of numpy.savez'
    """
    row = FORMATS[ckpt.format]
    claimed = [other for other in FORMATS.values() if path.suffix in other.suffixes]
    if not path.suffix or row in claimed or not claimed:
        return ""
    return f"its name ends in {path.suffix}, its content is {row.title}"


def _open_pages(pages: Pages) -> FormatCheckpoint:
    start = pages.read(0, min(pages.size, 32))
    if zips.is_zip(pages):
        return _open_zip(pages)
    if torch_files.legacy_start(start):
        return _of_pickles("legacy", pages.path)
    if torch_files.is_tar(pages):
        return _of_pickles("tar", pages.path)
    for begins, reader in _BY_START:
        if start.startswith(begins):
            return reader(pages)
    if sstable.is_table(pages):
        return tensorflow_files.open_slices(pages)
    if start[8:9] == b"{":
        return _open_safetensors(pages)
    if start[:1] == b"\x08" and b"\x80" > start[1:2] > b"\0":
        return onnx_files.open_onnx(pages)  # the version of its format, which comes first
    if start[:1] == b"\x80" and start[1:2] <= b"\x05":
        raise unsafe(pages.path, "it is a pickle, and not one of torch.save; reading it could run any code")
    if start[:1] in _MAPS:
        return msgpack.open_msgpack(pages)
    known = ", ".join(row.title for row in FORMATS.values())
    raise CorruptFileError(f"{pages.path}: expected a checkpoint, received other bytes", hint=f"ivyhub reads {known}")


_BY_START: tuple[tuple[bytes, Callable[[Pages], FormatCheckpoint]], ...] = (
    (hdf5.MAGIC, hdf5.open_hdf5),
    (gguf.MAGIC, gguf.open_gguf),
)
_MAPS = {bytes([code]) for code in (*range(0x81, 0x90), 0xDE, 0xDF)}
"""First bytes of a dictionary in MessagePack that is not empty."""

_MAIN_FILES = (
    *("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"),
    *("flax_model.msgpack", "flax_model.msgpack.index.json", "tf_model.h5", "tf_model.h5.index.json"),
)
"""What `save_pretrained` of transformers writes into a folder."""


def _open_folder(folder: Path) -> FormatCheckpoint:
    if (folder / distributed.INDEX).is_file():
        return _of_pickles("distributed", folder)
    if (folder / "variables" / "variables.index").is_file():
        return tensorflow_files.open_bundle(folder / "variables" / "variables")
    for name in _MAIN_FILES:
        if (folder / name).exists() or (folder / name).is_symlink():
            return open_file(file_inside(folder, name))
    if (found := orbax.find_folder(folder)) is not None:
        return orbax.open_orbax(found)
    indices = sorted(folder.glob("*.index"))
    if len(indices) == 1 and (prefix := tensorflow_files.prefix_of(indices[0])) is not None:
        return tensorflow_files.open_bundle(prefix)
    raise CheckpointError(
        f"expected a checkpoint in {folder}, received a folder without one that ivyhub knows",
        hint="give the path of a file in it",
    )


def _of_pickles(kind: confined.Kind, path: Path) -> FormatCheckpoint:
    return checkpoint_of(confined.read(kind, path), path)


def _open_zip(pages: Pages) -> FormatCheckpoint:
    members = zips.members(pages)
    names = [*members]
    if torch_files.is_archive(names):
        return _of_pickles("archive", pages.path)
    if hdf5.is_keras(names):
        return hdf5.open_keras(pages, members)
    if npz.is_arrays(names):
        return npz.open_npz(pages, members)
    raise corrupt(pages.path, f"expected a checkpoint, received a zip archive of {', '.join(names[:3])}")


def _open_safetensors(pages: Pages) -> FormatCheckpoint:
    with opened(pages.path) as file:
        header = read_header(file, pages.path)
    tensors = [stored(name, info.dtype, info.shape, pages, at) for name, (info, at) in header.tensors.items()]
    return FormatCheckpoint("safetensors", tensors, [pages.path], metadata=header.metadata)


def _open_indexed(index: Path) -> FormatCheckpoint:
    """Shards with an index in Hugging Face's layout, of any format."""
    with opened(index) as file:
        content = load_json(file.read(MAX_HEADER_BYTES), index)
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map or not all(isinstance(f, str) for f in weight_map.values()):
        raise corrupt(
            index, f"expected an object weight_map from tensors to files, received {type(weight_map).__name__}"
        )
    check_names(weight_map, index)
    shards: dict[str, FormatCheckpoint] = {}
    for name in dict.fromkeys(weight_map.values()):
        file = file_inside(index.parent, name)
        if not file.exists():
            raise CheckpointError(
                f"expected shard {name} beside {index}, received a folder without it",
                hint="download every shard that the index names",
            )
        if file.is_dir() or name.endswith(_INDEX):
            raise unsafe(index, f"the shard {name[:80]!r} is a folder or another index")
        shards[name] = open_file(file)
    found = {(name, file) for file, shard in shards.items() for name in (*shard, *shard.unreadable)}
    if differing := sorted(found ^ set(weight_map.items())):
        name, file = differing[0]
        raise CheckpointError(
            f"{index}: expected the tensors of its shards, received {len(differing)} that differ, such as {name!r} "
            f"in {file}",
            hint="the index and the shards come from different checkpoints; get them all again",
        )
    return join([*shards.values()], [index, *(file for shard in shards.values() for file in shard.files)])
