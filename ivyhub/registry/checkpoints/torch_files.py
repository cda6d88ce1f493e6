"""Files of `torch.save`: the zip archives of PyTorch 1.6 and later, the pickles in a row before, the oldest archives.

PyTorch is not needed, and nothing in them is executed: `Unpickler` reads their pickles.

Source: ``torch/serialization.py``, whose `_load`, `_legacy_load` and `legacy_load` (in it) read the three forms.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ivyhub.registry.checkpoints import zips
from ivyhub.registry.checkpoints.contents import Contents, Part
from ivyhub.registry.checkpoints.mapped import (
    MOST_TENSORS,
    Pages,
    corrupt,
    sizes,
    stored,
    unsafe,
)
from ivyhub.registry.checkpoints.objects import KNOWN, DType, Storage, StorageType, Tensor, described, word
from ivyhub.registry.checkpoints.pickles import Unpickler

_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_START = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""The first pickle of a file of pickles in a row, behind its protocol."""
_LARGEST_PICKLE = 1 << 30
_TAR_BLOCK = 512


def is_archive(names: list[str]) -> bool:
    """Whether the members of a zip archive are those of `torch.save`."""
    return any(name.endswith("/data.pkl") and name.count("/") == 1 for name in names)


def read_archive(pages: Pages) -> Contents:
    """The tensors of a zip archive that `torch.save` wrote.

    Raises:
        CorruptFileError: a storage is missing or too short.
        UnsafeError: its pickle names what no checkpoint needs, or it is a program (TorchScript).
    """
    where = pages.path
    members = zips.members(pages)
    root = next(name for name in members if name.endswith("/data.pkl") and name.count("/") == 1).partition("/")[0]
    if any(name.startswith((f"{root}/code/", f"{root}/constants.pkl")) for name in members):
        raise unsafe(where, "it is a program of TorchScript, not a checkpoint: save its state_dict with torch.save")
    order = zips.read(pages, members[f"{root}/byteorder"], 16) if f"{root}/byteorder" in members else b"little"
    pickle = zips.read(pages, members[f"{root}/data.pkl"], _LARGEST_PICKLE)

    def find(storage: Storage) -> tuple[Pages, int]:
        member = members.get(f"{root}/data/{storage.key}")
        if member is None:
            raise corrupt(where, f"expected the numbers {storage.key!r}, received an archive without them")
        if member.deflated:
            raise corrupt(
                where, "expected numbers that are stored, received deflated ones: torch.save does not do that"
            )
        return pages.part(member.offset, member.size), 0

    tree = Unpickler(pickle, where, KNOWN, _storage_of_id).load()
    return _contents("torch", pages, tree, find, big=order == b"big")


def _contents(
    format: str, pages: Pages, tree: Any, find: Callable[[Storage], tuple[Pages, int]], *, big: bool = False
) -> Contents:
    known: dict[str, tuple[Pages, int]] = {}

    def place(tensor: Tensor) -> Part:
        storage = tensor.storage
        if storage.key not in known:
            known[storage.key] = find(storage)
        part, start = known[storage.key]
        size = storage.dtype.size if storage.dtype else 1
        part.check(start, (storage.offset + storage.numbers) * size)
        first = start + storage.offset * size + tensor.offset * tensor.dtype.size
        stored("", tensor.dtype, tensor.shape, part, first, strides=tensor.strides)  # or it lies outside of its part
        return Part(0, part.start + first, tensor.shape, tensor.strides, big)

    return described(format, ("",), tree, pages.path, place)


def _storage_of_id(name: Any) -> Storage:
    """What ``("storage", class, key, device, count)`` and the older form with a view behind it stand for."""
    if not isinstance(name, tuple) or len(name) < 5 or name[0] != "storage" or not isinstance(name[1], StorageType):
        raise TypeError("another id")
    key, count = word(name[2]), sizes((name[4],), "a storage of a pickle")[0]
    if len(name) > 5 and name[5] is not None:
        root, offset, count = name[5]
        return Storage(word(root), name[1].dtype, *sizes((count, offset), "a storage of a pickle"))
    return Storage(key, name[1].dtype, count)


def read_legacy(pages: Pages) -> Contents:
    """The tensors of a file of pickles in a row, as `torch.save` wrote them before 1.6.

    Raises as `read_archive` does.
    """
    where = pages.path
    types: dict[str, int] = {}

    def storage_of_id(name: Any) -> Storage:
        if isinstance(name, tuple) and name[:1] == ("module",):
            raise unsafe(where, "it is a whole model with its source code: save its state_dict with torch.save")
        found = _storage_of_id(name)
        types[found.key] = found.dtype.size if found.dtype else 1
        return found

    reader = Unpickler(pages.map, where, KNOWN, storage_of_id, pages.start)
    if reader.load() != _MAGIC or reader.load() != 1001:
        raise corrupt(where, "expected a file of torch.save, received another pickle")
    system = reader.load()
    tree = reader.load()
    keys = reader.load()
    if not isinstance(keys, list) or not isinstance(system, dict):
        raise corrupt(where, "expected the keys of its numbers, received something else")
    places: dict[str, int] = {}
    position = reader.position - pages.start
    for key in map(word, keys):
        if key not in types:
            raise corrupt(where, f"expected numbers of its tensors, received {key[:60]!r}")
        count = int.from_bytes(pages.read(position, 8), "little")
        places[key] = position + 8
        position += 8 + count * types[key]
    if position != pages.size:
        raise corrupt(where, f"expected a file of {position} bytes, received {pages.size}")

    def find(storage: Storage) -> tuple[Pages, int]:
        if storage.key not in places:
            raise corrupt(where, f"expected the numbers {storage.key!r}, received a file without them")
        return pages, places[storage.key]

    return _contents("torch-legacy", pages, tree, find, big=system.get("little_endian") is False)


# -- the oldest form ---------------------------------------------------------------------------------------------------


def is_tar(pages: Pages) -> bool:
    """Whether a file begins as a tar archive."""
    return pages.size >= _TAR_BLOCK and pages.read(257, 5) == b"ustar"


def read_tar(pages: Pages) -> Contents:
    """The tensors of the tar archives that PyTorch 0.1.1 and earlier wrote.

    Raises as `read_archive` does.
    """
    where = pages.path
    parts = _tar_members(pages)
    if not {"storages", "tensors", "pickle"} <= parts.keys():
        raise corrupt(where, "expected a checkpoint, received another tar archive")

    roots: dict[str, tuple[int, DType, int]] = {}
    reader = Unpickler(pages.map, where, KNOWN, None, parts["storages"].start)
    for _ in range(_count(where, reader.load())):
        key, _, kind = reader.load()
        if not isinstance(kind, StorageType) or kind.dtype is None:
            raise corrupt(where, "expected a storage, received something else")
        start = reader.position
        count = int.from_bytes(pages.read(start, 8), "little")
        pages.check(start + 8, count * kind.dtype.size)
        roots[word(key)] = (start + 8, kind.dtype, count)
        reader.position = start + 8 + count * kind.dtype.size
    for key, root, offset, count in reader.load():
        start, dtype, have = roots[word(root)]
        first, number = sizes((offset, count), where)
        if first + number > have:
            raise corrupt(where, "expected a part of a storage, received one that goes beyond it")
        roots[word(key)] = (start + first * dtype.size, dtype, number)

    tensors: dict[str, Tensor] = {}
    reader = Unpickler(pages.map, where, KNOWN, None, parts["tensors"].start)
    make = KNOWN["torch._utils", "_rebuild_tensor"]
    for _ in range(_count(where, reader.load())):
        key, storage, _ = reader.load()
        (rank,) = struct.unpack("<i4x", pages.read(reader.position, 8))
        if not 0 <= rank <= 64 or word(storage) not in roots:
            raise corrupt(where, f"expected a tensor over a storage, received {rank} axes")
        numbers = struct.unpack(f"<{2 * rank + 1}q", pages.read(reader.position + 8, 16 * rank + 8))
        reader.position += 16 * rank + 16
        _, dtype, count = roots[word(storage)]
        shape, strides, offset = numbers[:rank], numbers[rank:-1], numbers[-1]
        tensors[word(key)] = make(Storage(word(storage), dtype, count), offset, shape, strides)

    tree = Unpickler(pages.map, where, KNOWN, lambda name: tensors[word(name)], parts["pickle"].start).load()
    return _contents("torch-tar", pages, tree, lambda storage: (pages, roots[storage.key][0]))


def _count(where: Path, value: Any) -> int:
    count = sizes((value,), where)[0]
    if count > MOST_TENSORS:
        raise corrupt(where, f"expected tensors, received {count} of them")
    return count


def _tar_members(pages: Pages) -> dict[str, Pages]:
    """The plain files of a tar archive."""
    found: dict[str, Pages] = {}
    position = 0
    while position + _TAR_BLOCK <= pages.size:
        block = pages.read(position, _TAR_BLOCK)
        if not any(block):
            break
        name = block[:100].rstrip(b"\0").decode("utf-8", "replace")
        try:
            size = int(block[124:136].strip(b"\0 ") or b"0", 8)
        except ValueError:
            raise corrupt(pages.path, "expected a tar archive, received a member without its size") from None
        if block[156:157] in (b"0", b"\0"):
            if name in found:
                raise unsafe(pages.path, f"the archive has two members {name[:80]!r}")
            found[name] = pages.part(position + _TAR_BLOCK, size)
        elif block[156:157] not in (b"5", b"x", b"g"):
            raise unsafe(pages.path, f"the archive's member {name[:80]!r} is a link or a device")
        position += _TAR_BLOCK + -(-size // _TAR_BLOCK) * _TAR_BLOCK
    return found


READERS: dict[str, Callable[[Path], Contents]] = {
    "archive": lambda path: read_archive(Pages(path)),
    "legacy": lambda path: read_legacy(Pages(path)),
    "tar": lambda path: read_tar(Pages(path)),
}
"""By form, what reads a file; in a process without rights (`confined`)."""


def legacy_start(start: bytes) -> bool:
    """Whether a file of these first bytes is one of pickles in a row."""
    return start[:1] == b"\x80" and start[2 : 2 + len(LEGACY_START)] == LEGACY_START
