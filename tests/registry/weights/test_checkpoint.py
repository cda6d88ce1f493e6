"""Opening checkpoints: what the safetensors library writes is read alike, and what nobody should write is refused."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ivyhub.errors import CheckpointError, CorruptFileError, IvyhubError, UnsafeError
from ivyhub.registry.weights import MemoryCheckpoint, TensorInfo, open_checkpoint

DTYPES = [
    "bool", "uint8", "int8", "float8_e5m2", "float8_e4m3fn", "int16", "uint16", "float16", "bfloat16",
    "int32", "uint32", "float32", "complex64", "float64", "int64", "uint64",
]  # fmt: skip


def write(path: Path, header: object, data: bytes = b"") -> Path:
    """A safetensors file whose header is any JSON, or any bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(begin: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("dtype", DTYPES)
def test_reads_what_the_library_writes(dtype: str, tmp_path: Path, rng: np.random.Generator) -> None:
    raw = torch.from_numpy(rng.integers(0, 2, (3, 5, 16), dtype=np.uint8))
    tensor = raw.view(getattr(torch, dtype))
    file = tmp_path / "model.safetensors"
    save_file({"x": tensor, "empty": tensor[:0], "scalar": tensor[0, 0, 0].clone()}, file, {"format": "pt"})
    with open_checkpoint(file) as ckpt:
        assert ckpt.metadata == {"format": "pt"}
        assert ckpt["x"] == TensorInfo("x", dtype, tuple(tensor.shape))
        assert ckpt.info("empty").nbytes == 0
        assert ckpt.read("empty").shape == tensor[:0].shape
        assert ckpt.read("scalar").shape == ()
        array = ckpt.read("x")
        path, offset, nbytes = ckpt.location("x")
        assert path.read_bytes()[offset : offset + nbytes] == raw.numpy().tobytes()
    assert not array.flags.writeable
    assert not array.flags.owndata
    assert array.tobytes() == raw.numpy().tobytes()  # alive after close
    with pytest.raises(CheckpointError, match="closed"):
        ckpt.read("x")


def test_unaligned_data_is_read_as_the_library_reads_it(tmp_path: Path) -> None:
    data = np.arange(3, dtype=np.float32)
    file = write(
        tmp_path / "m.safetensors", {"a": entry(0, 1, [1], "U8"), "b": entry(1, 13, [3])}, b"\x07" + data.tobytes()
    )
    from safetensors.numpy import load_file

    assert np.array_equal(open_checkpoint(file).read("b"), data)
    assert np.array_equal(load_file(file)["b"], data)


PICKLE = pickle.dumps({"a": [1.0] * 20})
ARCHIVE = io.BytesIO()
with zipfile.ZipFile(ARCHIVE, "w") as _archive:
    _archive.writestr("archive/data.pkl", PICKLE)

F32X2 = bytes(8)
ONE = {"a": entry(0, 8, [2])}
ENTRY = json.dumps(entry(0, 8, [2]))
META = '"__metadata__"'
HOSTILE = {
    "truncated data": (ONE, F32X2[:-1], CorruptFileError, "truncated"),
    "trailing bytes": (ONE, F32X2 + b"x", CorruptFileError, "follow"),
    "hole": ({"a": entry(0, 8, [2]), "b": entry(9, 17, [2])}, bytes(17), CorruptFileError, "begin at byte 8"),
    "overlap": ({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, bytes(12), CorruptFileError, "begin at byte 8"),
    "not from zero": ({"a": entry(4, 12, [2])}, bytes(12), CorruptFileError, "begin at byte 0"),
    "out of range": ({"a": entry(0, 2**40, [2**38])}, F32X2, CorruptFileError, "truncated"),
    "backwards": ({"a": entry(0, 8, [2]), "b": entry(8, 0, [2])}, F32X2, CorruptFileError, "bytes for tensor"),
    "negative": ({"a": entry(-8, 0, [2])}, F32X2, CorruptFileError, "malformed"),
    "negative shape": ({"a": entry(0, 8, [-1, -2])}, F32X2, CorruptFileError, "malformed"),
    "wrong size": ({"a": entry(0, 8, [3])}, F32X2, CorruptFileError, "expected 12 bytes"),
    "huge shape": ({"a": entry(0, 8, [2**62, 2**62])}, F32X2, CorruptFileError, "bytes for tensor"),
    "float shape": ({"a": entry(0, 8, [2.0])}, F32X2, CorruptFileError, "malformed"),
    "unknown dtype": ({"a": entry(0, 8, [2], "F128")}, F32X2, CorruptFileError, "F128"),
    "unknown field": ({"a": entry(0, 8, [2]) | {"x": 1}}, F32X2, CorruptFileError, "malformed"),
    "missing field": ({"a": {"dtype": "F32", "shape": [2]}}, F32X2, CorruptFileError, "malformed"),
    "not an object": (b"{]", b"", CorruptFileError, "malformed"),
    "array": (b"[]", b"", CorruptFileError, "other bytes"),
    "deep": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"", CorruptFileError, "malformed"),
    "bad metadata": ({"__metadata__": {"a": 1}} | ONE, F32X2, CorruptFileError, "malformed"),
    "bad utf-8": (b'{"\xff":' + ENTRY.encode() + b"}", F32X2, CorruptFileError, "malformed"),
    "name twice": (f'{{"a":{ENTRY},"a":{ENTRY}}}'.encode(), F32X2, CorruptFileError, "'a' twice"),
    "name twice, not an object": (f'{{"a":3,"a":{ENTRY}}}'.encode(), F32X2, CorruptFileError, "'a' twice"),
    "name twice, escaped": (f'{{"a":{ENTRY},"\\u0061":{ENTRY}}}'.encode(), F32X2, CorruptFileError, "'a' twice"),
    "name with colons twice": (f'{{"a::":{ENTRY},"a::":{ENTRY}}}'.encode(), F32X2, CorruptFileError, "'a::' twice"),
    "field twice": (f'{{"a":{ENTRY[:-1]},"shape":[2]}}}}'.encode(), F32X2, CorruptFileError, "'shape' twice"),
    "metadata twice": (f'{{{META}:{{}},{META}:{{}},"a":{ENTRY}}}'.encode(), F32X2, CorruptFileError, "twice"),
    "metadata key twice": (f'{{{META}:{{"k":"","k":""}},"a":{ENTRY}}}'.encode(), F32X2, CorruptFileError, "'k' twice"),
    "NUL in a name": ({"a\0b": entry(0, 8, [2])}, F32X2, UnsafeError, "control"),
    "line break in a name": ({"a\nb": entry(0, 8, [2])}, F32X2, UnsafeError, "control"),
    "right-to-left in a name": ({"a\u202eb": entry(0, 8, [2])}, F32X2, UnsafeError, "control"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_header(case: str, tmp_path: Path) -> None:
    header, data, error, match = HOSTILE[case]
    with pytest.raises(error, match=match) as raised:
        open_checkpoint(write(tmp_path / "m.safetensors", header, data))
    assert type(raised.value) is error
    assert raised.value.hint


@pytest.mark.parametrize(
    ("content", "error", "match"),
    [
        (b"", CorruptFileError, "other bytes"),
        (b"\x08\0\0", CorruptFileError, "other bytes"),
        (struct.pack("<Q", 50) + b"{}", CorruptFileError, "truncated"),
        (struct.pack("<Q", 2**63) + b"{}", CorruptFileError, "at most 100000000"),
        (PICKLE, UnsafeError, "pickle"),
        (ARCHIVE.getvalue(), UnsafeError, "pickle"),
    ],
)
def test_other_bytes_under_the_name(content: bytes, error: type[IvyhubError], match: str, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    for path in (file, tmp_path):
        with pytest.raises(error, match=match) as raised:
            open_checkpoint(path)
        assert type(raised.value) is error


def test_a_header_as_long_as_a_pickle_opcode_is_no_pickle(tmp_path: Path) -> None:
    text = json.dumps(ONE).encode().ljust(640)  # 640 = 0x0280, the first bytes of pickle protocol 2
    assert list(open_checkpoint(write(tmp_path / "m.safetensors", text, F32X2))) == ["a"]


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.ckpt"])
def test_pickle_where_safetensors_is_expected(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(PICKLE)
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(UnsafeError, match="pickle") as raised:
            open_checkpoint(path)
        assert "ivyhub convert" in raised.value.hint


def test_nothing_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.safetensors", tmp_path / "absent.safetensors.index.json"):
        with pytest.raises(CheckpointError):
            open_checkpoint(path)


def sharded(folder: Path, weight_map: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


def test_shards(tmp_path: Path) -> None:
    write(tmp_path / "1.safetensors", {"a": entry(0, 8, [2])}, F32X2)
    write(tmp_path / "2.safetensors", {"b": entry(0, 4, [])}, struct.pack("<f", 5))
    sharded(tmp_path, {"a": "1.safetensors", "b": "2.safetensors"})
    for path in (tmp_path, tmp_path / "model.safetensors.index.json"):
        with open_checkpoint(path) as ckpt:
            assert list(ckpt) == ["a", "b"]
            assert ckpt.read("b") == 5
            assert [file.name for file in ckpt.files] == ["1.safetensors", "2.safetensors"]


@pytest.mark.parametrize(
    "name",
    ["../out.safetensors", "/etc/passwd", "sub/x.safetensors", "..", ".", "", "a\\b.safetensors", "C:x", "a\0b",
     "link.safetensors", "pytorch_model-00001-of-00002.bin"],
)  # fmt: skip
def test_index_that_leaves_its_folder(name: str, tmp_path: Path) -> None:
    write(tmp_path / "out.safetensors", ONE, F32X2)
    folder = sharded(tmp_path / "model", {"a": name})
    (folder / "link.safetensors").symlink_to(tmp_path / "out.safetensors")
    with pytest.raises(UnsafeError):
        open_checkpoint(folder)


def test_links_of_the_hub_cache_are_followed(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshots").mkdir()
    write(tmp_path / "blobs" / "0123abcd", ONE, F32X2)
    folder = sharded(tmp_path / "snapshots" / "main", {"a": "1.safetensors"})
    (folder / "1.safetensors").symlink_to("../../blobs/0123abcd")
    assert list(open_checkpoint(folder)) == ["a"]


@pytest.mark.parametrize(
    ("index", "error"),
    [
        ('{"weight_map": {"a": "absent.safetensors"}}', CheckpointError),
        ('{"weight_map": {"a": "1.safetensors", "z": "1.safetensors"}}', CheckpointError),
        ('{"weight_map": {"a": 1}}', CheckpointError),
        ('{"weight_map": {}}', CheckpointError),
        ("[]", CheckpointError),
        ("{", CorruptFileError),
        ('{"weight_map": {"a": "1.safetensors", "a": "1.safetensors"}}', CorruptFileError),
        ('{"weight_map": {"a\\u0000": "1.safetensors"}}', UnsafeError),
    ],
)
def test_bad_index(index: str, error: type[IvyhubError], tmp_path: Path) -> None:
    write(tmp_path / "1.safetensors", ONE, F32X2)
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(error) as raised:
        open_checkpoint(tmp_path)
    assert type(raised.value) is error


def test_memory(rng: np.random.Generator) -> None:
    big_endian = rng.random((2, 3)).astype(">f4")
    ckpt = MemoryCheckpoint({"a": big_endian, "b": np.full(2, np.nan)}, aliases={"c": "a"})
    assert list(ckpt) == ["a", "b"]
    assert len(ckpt) == 2
    assert ckpt["c"] == ckpt["a"] == TensorInfo("a", "float32", (2, 3))
    assert ckpt.location("c") is None
    assert ckpt.read("c").tobytes() == big_endian.astype("<f4").tobytes()
    with pytest.raises(ValueError, match="read-only"):
        ckpt.read("a")[0] = 0


def test_aliases_are_checked() -> None:
    nan = np.full(3, np.nan)
    assert list(MemoryCheckpoint({"a": nan, "b": nan.copy()}, aliases={"b": "a"})) == ["a"]
    for tensors, aliases in (({"a": nan, "b": np.zeros(3)}, {"b": "a"}), ({"a": nan}, {"b": "c"})):
        with pytest.raises(CheckpointError):
            MemoryCheckpoint(tensors, aliases=aliases)
    with pytest.raises(CheckpointError, match="complex128"):
        MemoryCheckpoint({"a": np.zeros(1, complex)})
