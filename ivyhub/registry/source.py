"""A source: a checkpoint in the folder layout of Hugging Face, wherever it came from.

``config.json`` says what the model is, ``*.safetensors`` hold its weights (one file, or shards with an index), and
beside them stand the tokenizer, the preprocessor and the card. Where no safetensors are, the file of Flax or TensorFlow
is read; other files are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import msgspec

from ivyhub.errors import CheckpointError, CorruptFileError, UnknownNameError, UnsafeError
from ivyhub.registry.files import Digest, check_relative_name, digest_bytes, storage_errors
from ivyhub.registry.manifest import FileRecord, Origin

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

FOREIGN = ("flax_model.msgpack", "tf_model.h5")
"""Weights of other frameworks in the order of preference: read by name and shape, without these."""

#: A licence as the head of a card has it.
PLAIN_LICENCE = r"[\w.+-]+"

_LONGEST_INDEX, _LONGEST_FRONT, _LARGEST_SIDE_FILE = 100_000_000, 1 << 20, 1 << 30
_PICKLES = {".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"}
_SIDE_FILES = {".jinja", ".json", ".model", ".tiktoken", ".txt"}
_CARD = re.compile(r"(readme|licen[cs]e|notice)(\.(md|txt))?\Z", re.IGNORECASE)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint to convert.

    Attributes:
        id: the Hub id, or the folder as an absolute path.
        revision: the commit on the Hub, ``package==version``, or None for a folder.
        kind: where it came from.
        folder: where its files are.
        files: each file's name relative to the folder, with digest and size.
        weights: the names of the files that hold the weights, in order.
        digest: over the names and digests of all files; the same bytes have the same digest wherever they are.
        licence: what the card says, or None.
    """

    id: str
    revision: str | None
    kind: Literal["folder", "hub", "package"]
    folder: Path
    files: dict[str, FileRecord]
    weights: tuple[str, ...]
    digest: Digest
    licence: str | None

    @property
    def origin(self) -> Origin:
        """The source as a version's manifest names it."""
        return Origin(self.kind, self.id, self.revision, self.digest)


def select(names: Iterable[str], read_index: Callable[[], bytes], *, where: str) -> tuple[list[str], tuple[str, ...]]:
    """Which files of a checkpoint to read.

    Args:
        names: every file there is, relative to the folder.
        read_index: reads ``model.safetensors.index.json``; called only where that names the weights.
        where: the checkpoint, for the message of an error.

    Returns:
        All files to read, and those of them that hold weights.

    Raises:
        CheckpointError: no ``config.json``, no safetensors, or a shard that is not there.
        UnsafeError: only pickles, or a name that could leave the folder.
        CorruptFileError: the index is malformed.
    """
    names = set(names)
    if CONFIG not in names:
        raise CheckpointError(
            f"expected a checkpoint in Hugging Face layout, but {where} has no {CONFIG}",
            hint=f"it needs {CONFIG} and {WEIGHTS} (or shards with {INDEX}), as save_pretrained() writes them",
        )
    if WEIGHTS in names:
        weights = [WEIGHTS]
    elif INDEX in names:
        weights = _shards(read_index(), where=where)
    else:
        weights = sorted(name for name in names if "/" not in name and name.endswith(".safetensors"))
    if missing := sorted(set(weights) - names):
        raise CheckpointError(f"{INDEX} of {where} names shards that are not there: {', '.join(missing)}")
    weights = weights or [name for name in FOREIGN if name in names][:1]
    if not weights:
        if pickles := [name for name in sorted(names) if PurePosixPath(name).suffix in _PICKLES]:
            raise UnsafeError(
                f"{where} has its weights only as pickles ({', '.join(pickles[:3])}), which can execute code",
                hint="`ivyhub convert pytorch_model.bin --to safetensors --out model.safetensors` reads tensors alone",
            )
        raise CheckpointError(f"expected weights as safetensors, but {where} has none", hint=f"it needs {WEIGHTS}")
    chosen = {name for name in names if _travels(name)} | set(weights)
    if WEIGHTS in names:
        chosen -= {INDEX}
    for name in chosen:
        check_relative_name(name)
    return sorted(chosen), tuple(weights)


def scan_folder(
    folder: Path,
    digest_of: Callable[[Path], Digest],
    *,
    id: str,
    kind: Literal["folder", "hub", "package"],
    revision: str | None = None,
) -> Source:
    """Read what a folder holds, without reading weights beyond their digest.

    Args:
        folder: the folder to read.
        digest_of: the digest of a file: ``Store.digest_of`` remembers, ``digest_file`` reads each time.
        id: the ``Source.id`` to give it; kind and revision likewise.
        kind: see ``Source.kind``.
        revision: see ``Source.revision``.

    Raises:
        UnknownNameError: there is no such folder.
        CheckpointError, UnsafeError, CorruptFileError: see :func:`select`; a link that leaves the folder is unsafe.
    """
    with storage_errors("reading a checkpoint"):
        if not folder.is_dir():
            raise UnknownNameError(f"there is no folder {folder}", hint="give a folder with a checkpoint in it")
        names = [path.relative_to(folder).as_posix() for path in (*folder.glob("*"), *folder.glob("*/" + CONFIG))]
        names = [name for name in names if (folder / name).is_file()]
        chosen, weights = select(names, lambda: _start(folder / INDEX, _LONGEST_INDEX), where=str(folder))
        files = {}
        for name in chosen:
            path = folder / name
            _check_link(path, folder)
            size = path.stat().st_size
            if name not in weights and size > _LARGEST_SIDE_FILE:
                raise CorruptFileError(
                    f"expected at most {_LARGEST_SIDE_FILE} bytes of {name} in {folder}, received {size}",
                    hint="only weights are that large: get the file again",
                )
            files[name] = FileRecord(digest_of(path), size)
    digests = msgspec.json.encode({name: file.digest for name, file in files.items()}, order="sorted")
    return Source(
        id=id,
        revision=revision,
        kind=kind,
        folder=folder,
        files=files,
        weights=weights,
        digest=digest_bytes(digests),
        licence=_licence(folder, files),
    )


def _shards(index: bytes, *, where: str) -> list[str]:
    try:
        weight_map = msgspec.json.decode(index, type=dict[str, Any]).get("weight_map")
        shards = sorted(set(msgspec.convert(weight_map, dict[str, str]).values()))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptFileError(f"{INDEX} of {where} is malformed: {error}") from error
    for shard in shards:
        check_relative_name(shard)
        if not shard.endswith(".safetensors"):
            raise UnsafeError(f"{INDEX} of {where} names {shard!r} as a shard, expected safetensors")
    return shards


def _travels(name: str) -> bool:
    """Whether a file goes with the model: configuration, tokenizer, preprocessor, card; the same one folder down."""
    path = PurePosixPath(name)
    if len(path.parts) == 2:
        return path.name == CONFIG
    return len(path.parts) == 1 and (path.suffix in _SIDE_FILES or _CARD.match(name) is not None)


def _check_link(path: Path, folder: Path) -> None:
    """Refuse a link that leaves the folder, except within the Hub's own cache, whose snapshots are links to blobs."""
    root = folder.resolve()
    if root.parent.name == "snapshots" and root.parents[1].name.startswith("models--"):
        root = root.parents[2]
    if not path.resolve().is_relative_to(root):
        raise UnsafeError(
            f"refused {path}: it is a link that leaves its folder", hint="copy the file itself into the folder"
        )


def _start(path: Path, most: int) -> bytes:
    """The first bytes of a file, which may be longer than memory."""
    with path.open("rb") as file:
        return file.read(most)


def _licence(folder: Path, files: Mapping[str, FileRecord]) -> str | None:
    """The licence in the front matter of the card (huggingface.co/docs/hub/model-cards)."""
    if "README.md" not in files:
        return None
    with storage_errors("reading the card"):
        text = _start(folder / "README.md", _LONGEST_FRONT).decode("utf-8", errors="replace")
    front = re.match(r"---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    line = front and re.search(rf"^license:[ \t]*[\"']?({PLAIN_LICENCE})", front[1], re.MULTILINE)
    return line[1] if line else None
