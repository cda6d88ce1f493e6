"""Files that nobody should write: each is refused by name, before anything is read into memory or written."""

from __future__ import annotations

import importlib
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivyhub.cli import run
from ivyhub.errors import CheckpointError, CorruptFileError, IvyhubError, UnsafeError
from ivyhub.registry.characters import steers
from ivyhub.registry.checkpoints import open_file

h5py = pytest.importorskip("h5py")

Capture = pytest.CaptureFixture[str]


def refused(path: Path, error: type[IvyhubError], capsys: Capture) -> None:
    """Opening it raises that error, and the command line tells it in a line that steers no terminal, with its code."""
    with pytest.raises(error) as raised:
        open_file(path)
    capsys.readouterr()
    assert run(["inspect", str(path)]) == raised.value.exit_code
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert not steers(told.replace("\n", ""))
    assert "defect" not in told


NPY = io.BytesIO()
np.save(NPY, np.arange(4, dtype=np.float32))
PLAIN = NPY.getvalue()


def npy(descr: Any = "<f4", shape: Any = (4,), data: bytes = bytes(16), order: Any = False) -> bytes:
    header = repr({"descr": descr, "fortran_order": order, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def patched(data: bytes, *changes: tuple[bytes, bytes]) -> bytes:
    for old, new in changes:
        assert old in data
        data = data.replace(old, new)
    return data


def entry(data: bytes, place: int, value: bytes, local: int | None = None) -> bytes:
    """An archive with some bytes of the first row of its directory changed, and of the header before the data."""
    at = data.index(b"PK\x01\x02")
    changed = bytearray(data)
    changed[at + place : at + place + len(value)] = value
    if local is not None:
        changed[local : local + len(value)] = value
    return bytes(changed)


BOMB = npy("<f4", (1 << 26,), bytes(1 << 28))
TWO = zipped(("a.npy", PLAIN), ("b.npy", PLAIN))
ARCHIVES = {
    "two members of one name": (patched(TWO, (b"b.npy", b"a.npy")), UnsafeError),
    "another name in the directory": (TWO[::-1].replace(b"ypn.a", b"ypn.c", 1)[::-1], UnsafeError),
    "members over each other": (entry(TWO, 42, struct.pack("<I", TWO.index(b"PK\x03\x04", 4))), UnsafeError),
    "encrypted": (entry(TWO, 8, b"\x01\x00", 6), UnsafeError),
    "another compression": (entry(TWO, 10, b"\x0e\x00", 8), CorruptFileError),
    "a size beyond the file": (entry(TWO, 20, struct.pack("<II", 1 << 30, 1 << 30)), UnsafeError),
    "out of its folder": (zipped(("../a.npy", PLAIN)), UnsafeError),
    "an absolute name": (zipped(("/a.npy", PLAIN)), UnsafeError),
    "a drive": (zipped(("C:a.npy", PLAIN)), UnsafeError),
    "a backslash": (zipped(("..\\a.npy", PLAIN)), UnsafeError),
    "a bomb": (zipped(("a.npy", BOMB), method=zipfile.ZIP_DEFLATED), UnsafeError),
    "bytes behind the end": (TWO + b"more", CorruptFileError),
    "bytes before the start": (b"PK\x03\x04" + TWO, CorruptFileError),
    "many members, no directory": (entry(TWO, 0, b"PK\x01\x01"), CorruptFileError),
    "objects": (zipped(("a.npy", npy("|O", (1,), pickle.dumps([1])))), UnsafeError),
    "objects in a record": (zipped(("a.npy", npy([("x", "|O")], (1,)))), UnsafeError),
    "a header that calls": (zipped(("a.npy", npy(order=None).replace(b"None", b"f() "))), CorruptFileError),
    "a header nested deep": (
        zipped(("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000)),
        CorruptFileError,
    ),
    "a shape beyond the data": (zipped(("a.npy", npy(shape=(1 << 60, 1 << 60)))), CorruptFileError),
    "a negative shape": (zipped(("a.npy", npy(shape=(-4,)))), CorruptFileError),
    "a shape of words": (zipped(("a.npy", npy(shape="4"))), CorruptFileError),
    "no type": (zipped(("a.npy", npy("<q17"))), CorruptFileError),
    "a type of long ago": (zipped(("a.npy", npy("|a4"))), CorruptFileError),
    "types in a row": (zipped(("a.npy", npy("f4,O"))), CorruptFileError),
    "an escape that is none": (zipped(("a.npy", npy("\\d").replace(b"\\\\", b"\\"))), CorruptFileError),
    "control characters": (zipped(("a\x1b[2J.npy", PLAIN)), UnsafeError),
    "something else": (zipped(("a.txt", b"x")), CorruptFileError),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_archives(case: str, tmp_path: Path, capsys: Capture) -> None:
    data, error = ARCHIVES[case]
    (tmp_path / "x.npz").write_bytes(data)
    refused(tmp_path / "x.npz", error, capsys)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_numbers_of_an_archive_are_compared_with_their_checksum(method: int, tmp_path: Path) -> None:
    data = zipped(("a.npy", npy(data=b"0123456789abcdef")), method=method)
    crc = data[14:18]
    (tmp_path / "x.npz").write_bytes(patched(data, (crc, bytes(byte ^ 1 for byte in crc))))
    ckpt = open_file(tmp_path / "x.npz")
    with pytest.raises(CorruptFileError, match="checksum"):
        ckpt.read("a")


# -- HDF5 --------------------------------------------------------------------------------------------------------------


def external(file: Any) -> None:
    file.create_dataset("w", (4,), "float32", external=[("/etc/passwd", 0, 16)])


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4,), "float32")
    layout[:] = h5py.VirtualSource("/other.h5", "w", (4,))
    file.create_virtual_dataset("w", layout)


def soft(file: Any) -> None:
    file["a/w"] = np.ones(3)
    file["b"] = h5py.SoftLink("/a")


def outside(file: Any) -> None:
    file["w"] = h5py.ExternalLink("/etc/other.h5", "/w")


def ring(file: Any) -> None:
    file.create_group("a/b")
    file["a/b/c"] = file["a"]


def bomb(file: Any) -> None:
    file.create_dataset("w", (1 << 40,), "float32", chunks=(1 << 20,))


def compact_bomb(file: Any) -> None:
    file.create_dataset("w", (1 << 32, 64), "float64")


def plugin(file: Any) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((4,))
    properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
    h5py.h5d.create(file.id, b"w", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((4,)), properties)


def escapes(file: Any) -> None:
    file["\x1b[2J"] = np.ones(2)


@pytest.mark.parametrize("make", [external, virtual, soft, outside, ring, bomb, compact_bomb, plugin, escapes])
@pytest.mark.parametrize("archive", [False, True])
def test_hdf5(make: Callable[[Any], None], archive: bool, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["first"] = np.ones(2)
        make(file)
    if archive:
        data = zipped(("config.json", b"{}"), ("model.weights.h5", path.read_bytes()))
        path = tmp_path / "x.keras"
        path.write_bytes(data)
    refused(path, UnsafeError, capsys)


def test_groups_without_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_group("/".join("a" * 150))
    with pytest.raises(CorruptFileError, match="without end"):
        open_file(tmp_path / "x.h5")


# -- MessagePack -------------------------------------------------------------------------------------------------------


def array(shape: bytes, dtype: bytes = b"\xa7float32", data: bytes = b"\xc4\x08" + bytes(8)) -> bytes:
    inner = b"\x93" + shape + dtype + data
    return b"\xc7" + bytes([len(inner), 1]) + inner


MSGPACK = {
    "depth": b"\x81\xa1a" * 5000 + b"\xc0",
    "lists in lists": b"\x81\xa1a" + b"\x91" * 100_000,
    "a long list": b"\x81\xa1a\xdd\xff\xff\xff\xff",
    "a long dictionary": b"\xdf\xff\xff\xff\xff",
    "a long text": b"\x81\xdb\x7f\xff\xff\xff",
    "long bytes": b"\x81\xa1a\xc6\x7f\xff\xff\xff",
    "a key twice": b"\x82\xa1a\x01\xa1a\x02",
    "a key that is none": b"\x81\x90\x01",
    "another extension": b"\x81\xa1a\xd4\x05\x00",
    "fewer numbers": b"\x81\xa1a" + array(b"\x91\x03"),
    "more numbers": b"\x81\xa1a" + array(b"\x91\x01"),
    "a large shape": b"\x81\xa1a" + array(b"\x92\xcf" + b"\x7f" * 8 + b"\x02"),
    "a negative shape": b"\x81\xa1a" + array(b"\x91\xff"),
    "bytes behind an array": b"\x81\xa1a" + array(b"\x91\x02", data=b"\xc4\x08" + bytes(8) + b"\xc0"),
    "bytes behind the end": b"\x81\xa1a\x01\x00",
    "the byte that is never used": b"\x81\xa1a\xc1",
    "pieces of another size": b"\x81\xa1a\x83\xb9__msgpack_chunked_array__\xc3\xa5shape\x81\xa10\x09\xa6chunks\x81\xa10"
    + array(b"\x91\x02"),
}


@pytest.mark.parametrize("case", MSGPACK)
def test_msgpack(case: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "x.msgpack").write_bytes(MSGPACK[case])
    refused(tmp_path / "x.msgpack", CorruptFileError, capsys)


# -- GGUF --------------------------------------------------------------------------------------------------------------


def gguf(
    *tensors: bytes, count: int | None = None, entries: int = 0, kv: bytes = b"", data: int = 256, version: int = 3
) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors) if count is None else count, entries) + kv
    start = head + b"".join(tensors)
    return start + bytes(-len(start) % 32) + bytes(data)


def row(name: bytes = b"w", shape: tuple[int, ...] = (4,), kind: int = 0, offset: int = 0) -> bytes:
    said = struct.pack("<Q", len(name)) + name + struct.pack("<I", len(shape))
    return said + struct.pack(f"<{len(shape)}QIQ", *shape, kind, offset)


def alignment(value: int) -> bytes:
    return struct.pack("<Q", 17) + b"general.alignment" + struct.pack("<II", 4, value)


GGUF = {
    "many tensors": gguf(count=1 << 60),
    "more tensors than rows": gguf(row(), count=9, data=0),
    "many entries": gguf(entries=1 << 60),
    "version 1": gguf(row(), version=1),
    "big-endian": gguf(row(), version=3 << 24),
    "a long name": gguf(struct.pack("<Q", 1 << 62) + b"w"),
    "many axes": gguf(row(shape=(1,) * 9)),
    "a large shape": gguf(row(shape=(1 << 40, 1 << 40))),
    "nothing times too much": gguf(row(shape=(0, 1 << 62, 8))),
    "a shape beyond 63 bits": gguf(row(shape=((1 << 64) - 1, (1 << 64) - 1))),
    "another type": gguf(row(kind=99)),
    "half a block": gguf(row(shape=(33,), kind=8)),
    "an offset beyond the file": gguf(row(offset=1 << 40)),
    "an offset that is not aligned": gguf(row(offset=1)),
    "tensors over each other": gguf(row(shape=(64,)), row(b"v", (64,))),
    "one name twice": gguf(row(), row(offset=32)),
    "an alignment of 0": gguf(row(), entries=1, kv=alignment(0)),
    "an alignment of 3": gguf(row(), entries=1, kv=alignment(3)),
    "a large alignment": gguf(row(), entries=1, kv=alignment(1 << 31)),
    "a long array": gguf(entries=1, kv=struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", 9, 0, 1 << 62)),
    "an array of arrays": gguf(entries=1, kv=struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", 9, 9, 1)),
    "an entry twice": gguf(row(), entries=2, kv=alignment(32) * 2),
}


@pytest.mark.parametrize("case", GGUF)
def test_gguf(case: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "x.gguf").write_bytes(GGUF[case])
    refused(tmp_path / "x.gguf", CorruptFileError, capsys)


# -- TensorFlow --------------------------------------------------------------------------------------------------------


def number(value: int) -> bytes:
    data = b""
    while value > 127:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])


def block(*rows: tuple[bytes, bytes]) -> bytes:
    data = b"".join(number(0) + number(len(key)) + number(len(value)) + key + value for key, value in rows)
    return data + struct.pack("<II", 0, 1) + bytes(5)


def table(*rows: tuple[bytes, bytes], index: bytes | None = None, data: bytes | None = None) -> bytes:
    data = block(*rows) if data is None else data
    index = block((b"~", number(0) + number(len(data) - 5))) if index is None else index
    handles = number(0) + number(0) + number(len(data)) + number(len(index) - 5)
    return data + index + handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def message(*fields: tuple[int, int | bytes]) -> bytes:
    return b"".join(
        number(number_ << 3 | 2) + number(len(value)) + value
        if isinstance(value, bytes)
        else number(number_ << 3) + number(value)
        for number_, value in fields
    )


def shaped(*sizes: int) -> bytes:
    return message(*((2, message((1, size))) for size in sizes))


HEADER = (b"", message((1, 1)))
TABLES = {
    "a block beyond the file": table(HEADER, index=block((b"~", number(0) + number(1 << 40)))),
    "a block within the index": table(HEADER, index=block((b"~", number(1 << 62) + number(1 << 62)))),
    "blocks over each other": table(
        HEADER, (b"w", b""), index=block((b"m", number(0) + number(20)), (b"~", number(3) + number(20)))
    ),
    "a number without end": table(HEADER, index=block((b"~", b"\xff" * 20))),
    "a compressed block": table(data=block(HEADER)[:-5] + b"\x01" + bytes(4)),
    "many restarts": table(data=struct.pack("<I", 1 << 30) + bytes(5)),
    "a key from a longer one": table(
        data=number(9) + number(1) + number(0) + b"w" + struct.pack("<II", 0, 1) + bytes(5)
    ),
    "a value beyond its block": table(
        data=number(0) + number(1) + number(1 << 30) + b"w" + struct.pack("<II", 0, 1) + bytes(5)
    ),
    "keys out of order": table(HEADER, (b"w", b""), (b"a", b"")),
    "a key twice": table(HEADER, (b"w", b""), (b"w", b"")),
    "many files": table((b"", message((1, 1 << 40)))),
    "no header": table((b"w", message((1, 1), (2, shaped(4)), (5, 16)))),
    "a file that is not there": table(HEADER, (b"w", message((1, 1), (2, shaped(4)), (3, 7), (5, 16)))),
    "numbers beyond the file": table(HEADER, (b"w", message((1, 1), (2, shaped(4)), (4, 1 << 40), (5, 16)))),
    "numbers before the file": table(HEADER, (b"w", message((1, 1), (2, shaped(4)), (4, (1 << 64) - 8), (5, 16)))),
    "fewer bytes than the shape": table(HEADER, (b"w", message((1, 1), (2, shaped(5)), (5, 16)))),
    "a negative size": table(HEADER, (b"w", message((1, 1), (2, shaped((1 << 64) - 1)), (5, 16)))),
    "a large shape": table(HEADER, (b"w", message((1, 1), (2, shaped(1 << 40, 1 << 40)), (5, 16)))),
    "no rank": table(HEADER, (b"w", message((1, 1), (2, message((3, 1))), (5, 16)))),
    "a slice without its row": table(
        HEADER, (b"w", message((1, 1), (2, shaped(4)), (7, message((1, message((2, 4)))))))
    ),
    "a slice beyond the shape": table(
        HEADER, (b"w", message((1, 1), (2, shaped(4)), (7, message((1, message((1, 3), (2, 4)))))))
    ),
    "a slice of other axes": table(HEADER, (b"w", message((1, 1), (2, shaped(4)), (7, message())))),
    "a name that is no text": table(HEADER, (b"\xff\xfe", message((1, 1), (2, shaped(4)), (5, 16)))),
    "a message cut off": table(HEADER, (b"w", message((1, 1), (2, shaped(4)), (5, 16))[:-1])),
    "a group": table(HEADER, (b"w", b"\x0b\x0c")),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables(case: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "x.index").write_bytes(TABLES[case])
    (tmp_path / "x.data-00000-of-00001").write_bytes(bytes(16))
    refused(tmp_path / "x", CorruptFileError, capsys)


def test_a_table_of_the_same_kind_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.index").write_bytes(table(HEADER, (b"w", message((1, 1), (2, shaped(4)), (5, 16)))))
    (tmp_path / "x.data-00000-of-00001").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    assert open_file(tmp_path / "x").read("w").tolist() == [0, 1, 2, 3]


def saved(*slices: tuple[int, int, int], shape: int = 4) -> bytes:
    """A checkpoint of version 1 with slices of "w": where each begins, how long it is, and how many numbers it has."""
    meta = message((1, message((1, message((1, b"w"), (2, shaped(shape)), (3, 1))))))
    rows = [(b"", meta)]
    for place, (start, size, count) in enumerate(slices):
        part = message((1, message((1, start), (2, size))))
        data = message((5, bytes(4 * count)))
        rows.append((bytes([place + 1]), message((2, message((1, b"w"), (2, part), (3, data))))))
    return table(*rows)


@pytest.mark.parametrize(
    "slices",
    [[(0, 2, 2)], [(0, 2, 2), (1, 2, 2)], [(0, 4, 3)], [(0, 5, 5)], [(3, 2, 2), (0, 2, 2)], [(0, 2, 2), (0, 2, 2)]],
)
def test_slices_that_do_not_fill_a_tensor(slices: list[tuple[int, int, int]], tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(saved((0, 2, 2), (2, 2, 2)))
    assert open_file(tmp_path / "x.ckpt").read("w").tolist() == [0, 0, 0, 0]
    (tmp_path / "x.ckpt").write_bytes(saved(*slices))
    with pytest.raises(CorruptFileError):
        open_file(tmp_path / "x.ckpt")


# -- ONNX --------------------------------------------------------------------------------------------------------------


def model(*tensor: tuple[int, int | bytes]) -> bytes:
    return message((1, 10), (7, message((5, message((1, 4), (2, 1), (8, b"w"), *tensor)))))


def beside(location: str, **more: str) -> bytes:
    said = {"location": location, **more}
    entries = ((13, message((1, key.encode()), (2, value.encode()))) for key, value in said.items())
    return model(*entries, (14, 1))


ONNX = {
    "fewer bytes": (model((9, bytes(15))), CorruptFileError),
    "more bytes": (model((9, bytes(17))), CorruptFileError),
    "fewer numbers": (model((4, bytes(12))), CorruptFileError),
    "no bytes": (model(), CorruptFileError),
    "a folder above": (beside("../data"), UnsafeError),
    "an absolute path": (beside("/etc/passwd"), UnsafeError),
    "a link": (beside("link"), UnsafeError),
    "no place": (beside(""), UnsafeError),
    "a file that is not there": (beside("nothing"), CheckpointError),
    "beyond the file": (beside("data", offset="8", length="16"), CorruptFileError),
    "a negative offset": (beside("data", offset="-4", length="16"), CorruptFileError),
    "an offset of words": (beside("data", offset="x"), CorruptFileError),
    "another length": (beside("data", length="8"), CorruptFileError),
    "another type": (model((2, 99), (9, bytes(16))), CorruptFileError),
    "two graphs": (model((9, bytes(16))) * 2, CorruptFileError),
    "no graph": (message((1, 10)), CorruptFileError),
    "a large field": (message((1, 10)) + b"\x3a" + number(1 << 40), CorruptFileError),
    "many axes": (model((1, bytes([1]) * 100), (9, bytes(16))), CorruptFileError),
    "many axes, one by one": (model(*[(1, 1)] * 100, (9, bytes(16))), CorruptFileError),
    "axes without end": (model((1, bytes([1]) * 100_000), (9, bytes(16))), CorruptFileError),
    "more integers than the shape": (model((2, 6), (5, bytes(100))), CorruptFileError),
}


@pytest.mark.parametrize("case", ONNX)
def test_onnx(case: str, tmp_path: Path, capsys: Capture) -> None:
    data, error = ONNX[case]
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "data").write_bytes(bytes(16))
    (folder / "data").write_bytes(bytes(16))
    (folder / "link").symlink_to(tmp_path / "data")
    (folder / "x.onnx").write_bytes(data)
    refused(folder / "x.onnx", error, capsys)


# -- shards and folders ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../x.npz", "/etc/passwd", "a/x.npz", "..", "link.npz", "x\x00.npz", "..\\x.npz", "C:x.npz", "CON", "aux.npz",
     "x" * 256, "m.index.json", "inner", "x\u200f.npz", "x\x9b.npz", "x\ud800.npz"],
)  # fmt: skip
def test_an_index_that_leaves_its_folder(name: str, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    np.savez(tmp_path / "x.npz", w=np.ones(2))
    (folder / "link.npz").symlink_to(tmp_path / "x.npz")
    (folder / "m.index.json").write_text(json.dumps({"weight_map": {"w": name}}))
    refused(folder / "m.index.json", UnsafeError, capsys)


def test_an_index_that_disagrees_with_its_shards(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", w=np.ones(2))
    np.savez(tmp_path / "y.npz", w=np.ones(2))
    index = tmp_path / "m.index.json"
    for weight_map, error in (
        ({"w": "x.npz", "v": "x.npz"}, CheckpointError),
        ({"v": "x.npz"}, CheckpointError),
        ({"w": "z.npz"}, CheckpointError),
        ({}, CorruptFileError),
        ({"w": 3}, CorruptFileError),
    ):
        index.write_text(json.dumps({"weight_map": weight_map}))
        with pytest.raises(error):
            open_file(index)
    index.write_text('{"weight_map": {"w": "x.npz", "w": "y.npz"}}')
    with pytest.raises(CorruptFileError, match="twice"):
        open_file(index)
    index.write_text(json.dumps({"weight_map": {"w": "x.npz"}}))
    assert open_file(index).read("w").tolist() == [1, 1]


def orbax(folder: Path, name: str = "w", **zarr: Any) -> Path:
    said = {"chunks": [4], "compressor": None, "dtype": "<f4", "fill_value": None, "filters": None, "order": "C"}
    leaf = {"key_metadata": [{"key": name, "key_type": 2}], "value_metadata": {"value_type": "np.ndarray"}}
    folder.mkdir()
    (folder / "_METADATA").write_text(json.dumps({"tree_metadata": {"w": leaf}}))
    (folder / "w").mkdir()
    (folder / "w" / ".zarray").write_text(json.dumps({**said, "shape": [4], "zarr_format": 2, **zarr}))
    (folder / "w" / "0").write_bytes(bytes(16))
    return folder


def test_folders_of_orbax(tmp_path: Path) -> None:
    pytest.importorskip("tensorstore")
    assert open_file(orbax(tmp_path / "good")).read("w").tolist() == [0, 0, 0, 0]
    for place, name in enumerate(("../w", "/w", "..", "a\\b")):
        with pytest.raises(UnsafeError):
            open_file(orbax(tmp_path / f"name{place}", name))
    with pytest.raises(UnsafeError, match="over"):
        open_file(orbax(tmp_path / "bomb", shape=[1 << 40], chunks=[4]))
    for place, wrong in enumerate(({"shape": [5], "chunks": [5]}, {"shape": [-4]}, {"dtype": "|O"}, {"shape": "x"})):
        with pytest.raises(CorruptFileError):
            open_file(orbax(tmp_path / f"wrong{place}", **wrong))
    linked = orbax(tmp_path / "linked")
    (linked / "w" / "0").unlink()
    (linked / "w" / "0").symlink_to("/etc/passwd")
    with pytest.raises(UnsafeError, match="link"):
        open_file(linked)


@pytest.mark.parametrize("compressor", ["zlib", "gzip", "bz2"])
def test_a_chunk_of_orbax_is_expanded_as_far_as_its_shape(compressor: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorstore")
    folder = orbax(tmp_path / "bomb", compressor={"id": compressor, "level": 9})
    module = importlib.import_module(compressor)
    (folder / "w" / "0").write_bytes(module.compress(bytes(16)))
    assert open_file(folder).read("w").tolist() == [0, 0, 0, 0]
    (folder / "w" / "0").write_bytes(module.compress(bytes(1 << 26)))
    with pytest.raises(CorruptFileError, match="uncompressed byte 16"), open_file(folder) as ckpt:
        ckpt.read("w")


# -- everything --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["safetensors", "pt"])
def test_the_command_line_refuses_with_5_and_writes_nothing(target: str, tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / "x.bin").write_bytes(zipped(("x/data.pkl", pickle.dumps({"a": Runs()}, 2))))
    out = tmp_path / "out"
    assert run(["convert", str(tmp_path / "x.bin"), "--to", target, "--out", str(out), "--json"]) == 5
    assert run(["inspect", str(tmp_path / "x.bin")]) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]


GOOD = {
    "npz": TWO,
    "deflated npz": zipped(("a.npy", PLAIN), method=zipfile.ZIP_DEFLATED),
    "msgpack": b"\x82\xa1a" + array(b"\x91\x02") + b"\xa1b\x93\x01\x02\xc2",
    "gguf": gguf(row(), row(b"v", (32,), 8, 32), entries=1, kv=alignment(32)),
    "table": saved((0, 2, 2), (2, 2, 2)),
    "onnx": model((9, bytes(16))),
    "safetensors": struct.pack("<Q", 59) + b'{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}  ' + bytes(16),
}


@pytest.mark.parametrize("format", GOOD)
def test_any_byte_changed_or_cut_off_is_refused_or_harmless(
    format: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    path = tmp_path / "x"
    path.write_bytes(GOOD[format])
    assert len(open_file(path)) > 0
    for step in range(100):
        changed = bytearray(GOOD[format])
        if step % 4 == 0:
            del changed[int(rng.integers(1, len(changed))) :]
        else:
            for place in rng.integers(0, len(changed), step % 3 + 1):
                changed[place] = int(rng.integers(256))
        path.write_bytes(changed)
        try:
            with open_file(path) as ckpt:
                assert all(ckpt.read(name).shape == ckpt[name].shape for name in ckpt)
        except IvyhubError:
            continue
