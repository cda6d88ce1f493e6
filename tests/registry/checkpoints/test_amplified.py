"""Small files that would take all memory or time: copies of copies, long names of many, parts that expand."""

from __future__ import annotations

import io
import itertools
import json
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ivyhub.cli import run
from ivyhub.cli.output import Output
from ivyhub.errors import CorruptFileError, IvyhubError, UnsafeError
from ivyhub.registry.characters import steers
from ivyhub.registry.checkpoints import mapped, onnx_files, open_file, pickles, torch_files
from ivyhub.registry.checkpoints.protobuf import encoded

h5py = pytest.importorskip("h5py")


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


# -- pickles -----------------------------------------------------------------------------------------------------------

DOUBLED = b")" + b"2\x86" * 60  # a tuple that has the one before it twice, sixty times
TEXT = b"X" + struct.pack("<I", 1 << 20) + bytes(1 << 20) + b"q\x000"
FLOATS = b"ctorch\nFloatStorage\n"
PICKLES = {
    "a key": b"}" + DOUBLED + b"K\x01s.",
    "a key among others": b"}(" + DOUBLED + b"K\x01u.",
    "an item of a set": b"\x8f(" + DOUBLED + b"\x90.",
    "an item of a frozen set": b"(" + DOUBLED + b"\x91.",
    "an item of a set that is made": b"cbuiltins\nset\n]" + DOUBLED + b"a\x85R.",
    "a key of a counter": b"ccollections\nCounter\n]" + DOUBLED + b"K\x01\x86a\x85R.",
    "a key of a dictionary that is made": b"cbuiltins\ndict\n]" + DOUBLED + b"K\x01\x86a\x85R.",
    "the name of a module": DOUBLED + b"\x8c\x01a\x93.",
    "an id": DOUBLED + b"Q.",
    "a number of numbers": b"(X\x07\0\0\0storage" + FLOATS + b"X\x01\0\0\x000X\x03\0\0\0cpu" + DOUBLED + b"tQ.",
    "the key of numbers": b"(X\x07\0\0\0storage" + FLOATS + DOUBLED + b"X\x03\0\0\0cpuK\x01tQ.",
    "a shape": b"ctorch._utils\n_rebuild_qtensor\n" + FLOATS + b"K\0]" + DOUBLED + b"a\x87R.",
    "a device": b"ctorch\ndevice\n" + DOUBLED + b"\x85R.",
    "a function in a function": b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch\ndevice\nN" + DOUBLED + b"\x85NtR.",
    "copies of a text": TEXT + b"c_codecs\nencode\nh\x00\x85R0" * 20 + b"N.",
    "lists of a text": TEXT + b"cbuiltins\nlist\nh\x00\x85R0" * 20 + b"N.",
    "a path of texts": TEXT + b"cpathlib\nPosixPath\n(" + b"h\x00" * 20 + b"tR.",
    "steps without end": b"]" * 5000 + b".",
}


@pytest.mark.parametrize("case", PICKLES)
def test_pickles(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if case == "steps without end":
        monkeypatch.setattr(pickles, "_MOST_STEPS", 4000)
    (tmp_path / "x.bin").write_bytes(zipped(**{"x/data.pkl": b"\x80\x04" + PICKLES[case]}))
    with pytest.raises(CorruptFileError):
        torch_files.READERS["archive"](tmp_path / "x.bin")  # in this process, whose limits are others
    if case != "steps without end":
        with pytest.raises(CorruptFileError):
            open_file(tmp_path / "x.bin")


def test_what_optimizers_and_samplers_keep_is_still_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    tree = {
        ("a", 1): torch.ones(1),
        3: {"seen": {1, 2}, "frozen": frozenset(["x"]), "array": np.arange(1000.0), "raw": bytes(5000)},
        "device": torch.device("cpu"),
        "words": ["w"] * 5000,
        "nested": ((1, (2, 3)), torch.ones(2)),
    }
    torch.save(tree, tmp_path / "x.pt")
    ckpt = open_file(tmp_path / "x.pt")
    assert sorted(ckpt) == ["('a', 1)", "3.array", "nested.1"]
    assert ckpt.read("3.array").tolist() == [*range(1000)]


# -- names -------------------------------------------------------------------------------------------------------------


def test_names_that_begin_alike_fill_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    serialization = pytest.importorskip("flax.serialization")
    monkeypatch.setattr(mapped, "_MOST_LETTERS", 100_000)
    tree = {"n" * 5000: {str(place): np.ones(1) for place in range(25)}}
    torch.save(tree, tmp_path / "x.pt")
    (tmp_path / "x.msgpack").write_bytes(serialization.to_bytes(tree))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, array in next(iter(tree.values())).items():
            file[f"{'n' * 5000}/{name}"] = array
    for file in ("x.msgpack", "x.h5"):
        with pytest.raises(CorruptFileError, match="letters"):
            open_file(tmp_path / file)
    with pytest.raises(CorruptFileError, match="letters"):
        torch_files.READERS["archive"](tmp_path / "x.pt")  # in this process, whose limits are others
    monkeypatch.setattr(mapped, "_MOST_LETTERS", 200_000)
    assert all(len(open_file(tmp_path / file)) == 25 for file in ("x.pt", "x.msgpack", "x.h5"))


def test_one_name_twice_among_very_many(tmp_path: Path) -> None:
    one = '"{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    names = [*map(str, range(30_000)), "29999"]
    text = ("{" + ",".join(map(one.format, names)) + "}").encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(CorruptFileError, match="'29999' twice"):
        open_file(tmp_path / "x.safetensors")


def test_two_hundred_thousand_tensors(tmp_path: Path) -> None:
    one = '"layers.{0}.weight":{{"dtype":"U8","shape":[1],"data_offsets":[{0},{1}]}}'
    text = ("{" + ",".join(one.format(place, place + 1) for place in range(200_000)) + "}").encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(200_000))
    ckpt = open_file(tmp_path / "x.safetensors")
    assert (len(ckpt), ckpt.read("layers.199999.weight").tolist()) == (200_000, [0])


def test_parts_of_an_array(rng: np.random.Generator) -> None:
    for _ in range(200):
        parts = [(tuple(rng.integers(0, 6, 2)), tuple(rng.integers(0, 3, 2))) for _ in range(4)]
        cells = [
            {*itertools.product(*(range(a, a + n) for a, n in zip(starts, shape, strict=True)))}
            for starts, shape in parts
        ]
        assert mapped.overlap(parts) == (sum(map(len, cells)) != len(set().union(*cells)))
    stairs = [((place, -place % 3), (2, 1)) for place in range(30_000)]
    with pytest.raises(CorruptFileError, match="parts"):
        mapped.overlap(stairs)


def test_numbers_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = pytest.importorskip("onnx")
    monkeypatch.setattr(onnx_files, "_MOST_SINGLE", 100)
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.INT32, dims=[200]).SerializeToString()
    many = encoded(5, tensor + encoded(5, 1) * 200)  # an initialiser, with a field for each number
    (tmp_path / "x.onnx").write_bytes(encoded(1, 10) + encoded(7, many))
    with pytest.raises(CorruptFileError, match="packed"):
        open_file(tmp_path / "x.onnx")
    monkeypatch.setattr(onnx_files, "_MOST_SINGLE", 1000)
    assert open_file(tmp_path / "x.onnx").read("w").tolist() == [1] * 200
    one = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[4]).SerializeToString() + b"%" + bytes(4)
    (tmp_path / "x.onnx").write_bytes(encoded(1, 10) + encoded(7, encoded(5, one)))
    with pytest.raises(CorruptFileError, match="1 numbers"):
        open_file(tmp_path / "x.onnx").read("w")


# -- what expands ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("archive", [False, True])
def test_a_chunk_that_is_longer_than_it_says(times: int, archive: bool, tmp_path: Path) -> None:
    data = bytes(1 << 26)
    for _ in range(times):
        data = zlib.compress(data)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((1 << 16,))
        for _ in range(times):
            properties.set_deflate(9)
        made = h5py.h5d.create(file.id, b"w", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((1 << 16,)), properties)
        made.write_direct_chunk((0,), data)
    path = tmp_path / "x.h5"
    if archive:
        path = tmp_path / "x.keras"
        path.write_bytes(zipped(**{"config.json": b"{}", "model.weights.h5": (tmp_path / "x.h5").read_bytes()}))
    with open_file(path) as ckpt, pytest.raises(UnsafeError, match="expand"):
        ckpt.read("w")
    assert run(["convert", str(path), "--to", "npz", "--out", str(tmp_path / "out.npz")]) == 5
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize(
    "settings", [{}, {"shuffle": True}, {"fletcher32": True}, {"shuffle": True, "fletcher32": True}]
)
def test_chunks_of_every_usual_kind_are_read(
    settings: dict[str, bool], tmp_path: Path, rng: np.random.Generator
) -> None:
    made = rng.standard_normal((7, 9)).astype(np.float32)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("w", data=made, chunks=(3, 4), compression="gzip", **settings)
        file.create_dataset("plain", data=made, chunks=(3, 4), **settings)
        file.create_dataset("part", (7, 9), "float32", chunks=(3, 4), compression="gzip", fillvalue=2)[:3] = made[:3]
    ckpt = open_file(tmp_path / "x.h5")
    assert np.array_equal(ckpt.read("w"), made)
    assert np.array_equal(ckpt.read("plain"), made)
    assert np.array_equal(ckpt.read("part"), np.concatenate([made[:3], np.full((4, 9), 2, np.float32)]))


def sparse(path: Path, size: int = 1 << 36) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_files_larger_than_memory_beside_a_checkpoint(tmp_path: Path) -> None:
    for name in ("model.safetensors", "model.safetensors.index.json", "README.md", "config.json"):
        sparse(tmp_path / name)
    for name in ("model.safetensors.index.json", "config.json"):
        with pytest.raises(IvyhubError):
            open_file(tmp_path / name)
    saved = tmp_path / "saved"
    saved.mkdir()
    sparse(saved / "saved_model.pb")
    assert run(["check", str(saved), "--to", "numpy"]) == 1
    assert run(["check", str(sparse(tmp_path / "x.onnx")), "--to", "numpy"]) == 1
    assert run(["import", str(sparse(tmp_path / "x.ivyhub"))]) == 1


# -- what is no file ---------------------------------------------------------------------------------------------------


def pipe(path: Path) -> None:
    os.mkfifo(path)


def door(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(path.name)


def ring(path: Path) -> None:
    path.symlink_to(path.name)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, door, ring, device])
@pytest.mark.parametrize(
    "name",
    ["x.safetensors", "x.bin", "x.npz", "x.h5", "x.msgpack", "x.gguf", "x.index", "m.index.json", "x.keras", "x.onnx",
     "folder/model.safetensors", "folder/_METADATA", "folder/.metadata", "folder/pytorch_model.bin"],
)  # fmt: skip
def test_what_is_no_file_is_not_waited_for(
    make: Callable[[Path], None],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    monkeypatch.chdir(path.parent)  # whose name is too long for a socket
    make(path)
    monkeypatch.chdir(tmp_path)
    given = name.partition("/")[0]
    for command in (["inspect", given], ["convert", given, "--to", "npz"], ["import", given]):
        assert run([*command, "--json"]) in (1, 2, 5)
        assert "defect" not in capsys.readouterr().err


# -- what steers a terminal --------------------------------------------------------------------------------------------

EVIL = "a\x1b[2J\x9b\u202e\u200fb"


def test_what_a_file_says_steers_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = json.dumps(
        {"__metadata__": {EVIL: EVIL}, "w": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}
    ).encode()
    (tmp_path / f"{EVIL}.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["w"] = np.ones(1)
        file.attrs[EVIL] = EVIL
        file.attrs["raw"] = np.bytes_(b"\xff\x9b2J")
    for name in (f"{EVIL}.safetensors", "x.h5"):
        for options in ([], ["--json"]):
            assert run(["inspect", str(tmp_path / name), *options]) == 0
            told = capsys.readouterr().out
            assert not set(told) & set(EVIL[1:-1]) - set("[2J")
            assert "\\u202e" in told
    (tmp_path / "x.npz").write_bytes(zipped(**{"w.npy": npy(EVIL)}))
    assert run(["inspect", str(tmp_path / "x.npz")]) == 1
    assert "\x1b" not in capsys.readouterr().err


def test_no_line_of_a_command_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for output in (Output(), Output(json=True)):
        output.line(EVIL)
        output.lines([EVIL])
        output.document({EVIL: EVIL})
        output.error(UnsafeError(EVIL, hint=EVIL))
    told = "".join(capsys.readouterr())
    assert told.count("202e") == 8
    assert not steers(told.replace("\n", ""))


def npy(descr: str) -> bytes:
    header = repr({"descr": "<f4", "fortran_order": False, "shape": descr}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


@pytest.mark.parametrize("name", ["a\u200fb", "a\u061cb", "a\x9bb", "a\ud800b", "a\nb", "a\x00b"])
def test_names_that_steer_are_refused(name: str, tmp_path: Path) -> None:
    text = json.dumps({name: {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    (tmp_path / "x.bin").write_bytes(zipped(**{"x/data.pkl": pickle_of(name)}))
    for file, error in (("x.bin", UnsafeError), ("x.safetensors", IvyhubError)):
        with pytest.raises(error) as raised:
            open_file(tmp_path / file)
        assert run(["inspect", str(tmp_path / file)]) == raised.value.exit_code


def pickle_of(key: str) -> bytes:
    data = key.encode("utf-8", "surrogatepass")
    return b"\x80\x02}X" + struct.pack("<I", len(data)) + data + b"K\x01s."
