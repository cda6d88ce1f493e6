"""Files of torch.save in their three forms: what PyTorch wrote is read alike, and nothing in them runs."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivyhub.errors import CheckpointError, CorruptFileError, UnsafeError
from ivyhub.registry.checkpoints import mismatch, open_file

torch = pytest.importorskip("torch")

DTYPES = [
    "bool", "uint8", "int8", "float8_e5m2", "float8_e4m3fn", "int16", "uint16", "float16", "bfloat16",
    "int32", "uint32", "float32", "complex64", "float64", "int64", "uint64",
]  # fmt: skip
FORMS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "pickles in a row"])


def save(tree: Any, path: Path, zipped: bool = True) -> Path:
    torch.save(tree, path, _use_new_zipfile_serialization=zipped)
    return path


@FORMS
@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_of_every_type(dtype: str, zipped: bool, tmp_path: Path, rng: np.random.Generator) -> None:
    raw = torch.from_numpy(rng.integers(0, 2, (3, 5, 16), dtype=np.uint8))
    tensor = raw.view(getattr(torch, dtype)).clone()
    tree = {"x": tensor, "empty": tensor[:0].clone(), "scalar": tensor[0, 0, 0].clone()}
    with open_file(save(tree, tmp_path / "x.bin", zipped)) as ckpt:
        assert (ckpt["x"].dtype, ckpt["x"].shape) == (dtype, tuple(tensor.shape))
        assert ckpt.read("x").tobytes() == raw.numpy().tobytes()
        assert ckpt.read("empty").shape == tuple(tensor[:0].shape)
        assert ckpt.read("scalar").shape == ()
        path, offset, nbytes = ckpt.location("x")
        assert path.read_bytes()[offset : offset + nbytes] == raw.numpy().tobytes()
    with pytest.raises(CheckpointError, match="closed"):
        ckpt.read("x")


@FORMS
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_trees_views_and_what_is_no_tensor(zipped: bool, tmp_path: Path, rng: np.random.Generator) -> None:
    base = torch.from_numpy(rng.standard_normal((6, 7)))
    layers = OrderedDict(weight=base, turned=base.t(), part=base[1:3, 2:], parameter=torch.nn.Parameter(base))
    layers._metadata = {"": {"version": 1}}
    tree = {
        "model": layers,
        "state": [{"step": torch.tensor(3.0)}, np.arange(6.0).reshape(2, 3).T],
        "epoch": 3,
        "rates": (0.1, None, "x"),
        "dtype": torch.float16,
        "size": torch.Size([1, 2]),
        "sparse": torch.eye(2).to_sparse(),
        "wide": torch.zeros(2, dtype=torch.complex128),
        "quantised": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    }
    ckpt = open_file(save(tree, tmp_path / "x.pt", zipped))
    for name, tensor in layers.items():
        assert np.array_equal(ckpt.read(f"model.{name}"), tensor.detach().numpy())
    assert ckpt.location("model.weight") == ckpt.location("model.parameter")
    assert ckpt.location("model.turned") is None
    assert ckpt.read("state.0.step") == 3
    assert np.array_equal(ckpt.read("state.1"), tree["state"][1])
    assert ckpt.values_beside == {
        "epoch": "3",
        "rates": '[0.1, null, "x"]',
        "dtype": '"torch.float16"',
        "size": "[1, 2]",
    }
    assert ckpt.unreadable == {"sparse": "sparse", "wide": "complex128[2]", "quantised": "quantised qint8[3]"}


def oldest(path: Path, storage: np.ndarray, tensors: dict[str, tuple[int, tuple[int, ...], tuple[int, ...]]]) -> Path:
    """A file of PyTorch 0.1.1, whose form ``torch.serialization`` still reads: one storage and views of it."""
    parts = {"storages": io.BytesIO(), "tensors": io.BytesIO(), "pickle": io.BytesIO()}
    file = parts["storages"]
    pickle.dump(1, file, 2)
    pickle.dump((7, "cpu", torch.FloatStorage), file, 2)
    file.write(struct.pack("<q", storage.size) + storage.tobytes())
    pickle.dump([(8, 7, 2, 4)], file, 2)  # a view: four numbers from the third on
    file = parts["tensors"]
    pickle.dump(len(tensors), file, 2)
    keys = {}
    for place, (name, (root, shape, strides)) in enumerate(tensors.items()):
        keys[name] = 100 + place
        pickle.dump((keys[name], root, torch.FloatTensor), file, 2)
        file.write(struct.pack(f"<i4x{2 * len(shape) + 1}q", len(shape), *shape, *strides, 0))

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> str | None:
            return str(keys[obj.name]) if isinstance(obj, Ref) else None

    Pickler(parts["pickle"], 2).dump(OrderedDict((name, Ref(name)) for name in tensors))
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as archive:
        for name, file in parts.items():
            info = tarfile.TarInfo(name)
            info.size = file.tell()
            file.seek(0)
            archive.addfile(info, file)
    return path


class Ref:
    def __init__(self, name: str) -> None:
        self.name = name


def test_the_oldest_form(tmp_path: Path, rng: np.random.Generator) -> None:
    numbers = rng.standard_normal(12).astype(np.float32)
    file = oldest(
        tmp_path / "x.pth", numbers, {"a": (7, (3, 4), (4, 1)), "b": (7, (4, 3), (1, 4)), "c": (8, (2, 2), (2, 1))}
    )
    known = torch.load(file, weights_only=False)
    ckpt = open_file(file)
    assert ckpt.format == "torch-tar"
    assert list(ckpt) == list(known)
    for name, tensor in known.items():
        assert np.array_equal(ckpt.read(name), tensor.numpy())


# -- what nobody should write ------------------------------------------------------------------------------------------


class Runs:
    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


@FORMS
@pytest.mark.parametrize(
    "value",
    [Runs(os.system, "touch ran"), Runs(eval, "open('ran', 'w')"), Runs(getattr, 1, "real"), torch.nn.Linear(1, 1)],
    ids=["system", "eval", "getattr", "module"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_pickle_that_calls_is_refused_and_not_run(
    value: Any, zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = save({"a": torch.ones(2), "b": value}, tmp_path / "x.bin", zipped)
    with pytest.raises(UnsafeError, match=r"its pickle names|whole model"):
        open_file(file)
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_under_another_name_is_refused(protocol: int, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(pickle.dumps({"a": Runs(os.system, "true")}, protocol))
    with pytest.raises(UnsafeError if protocol >= 2 else CorruptFileError):
        open_file(file)


def test_a_file_under_another_name_is_read_as_what_it_is(tmp_path: Path) -> None:
    file = save({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    ckpt = open_file(file)
    assert ckpt.format == "torch"
    assert "torch.save" in mismatch(file, ckpt)
    assert mismatch(save({}, tmp_path / "x.bin"), open_file(tmp_path / "x.bin")) == ""


def rewritten(path: Path, change: Any) -> Path:
    """A zip archive again, with its members changed: name -> bytes."""
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in change(parts).items():
            archive.writestr(name, data)
    return path


def geometry(*args: Any) -> Any:
    """A tensor over six float32 numbers with any offset, shape and strides."""
    numbers = torch.storage.TypedStorage(
        wrap_storage=torch.zeros(6).untyped_storage(), dtype=torch.float32, _internal=True
    )
    return Runs(torch._utils._rebuild_tensor_v2, numbers, *args, False, OrderedDict())


@FORMS
@pytest.mark.parametrize(
    ("tensor", "error"),
    [
        (geometry(0, (1 << 40, 2), (0, 1)), UnsafeError),
        (geometry(0, (7,), (0,)), UnsafeError),
        (geometry(1, (6,), (1,)), CorruptFileError),
        (geometry(0, (2, 3), (4, 1)), CorruptFileError),
        (geometry(-1, (2,), (1,)), CorruptFileError),
        (geometry(0, (2,), (-1,)), CorruptFileError),
        (geometry(0, (2, 3), (1,)), CorruptFileError),
        (geometry(1 << 61, (1 << 61,), (1 << 61,)), CorruptFileError),
    ],
)
def test_tensors_beyond_their_numbers(tensor: Any, error: type, zipped: bool, tmp_path: Path) -> None:
    with pytest.raises(error):
        open_file(save({"x": tensor}, tmp_path / "x.bin", zipped))


def test_numbers_that_are_missing_or_short(tmp_path: Path) -> None:
    tree = {"x": torch.zeros(6)}
    short = rewritten(save(tree, tmp_path / "a.bin"), lambda parts: {**parts, "a/data/0": b"123"})
    with pytest.raises(CorruptFileError, match="truncated"):
        open_file(short)
    none = rewritten(
        save(tree, tmp_path / "b.bin"), lambda parts: {k: v for k, v in parts.items() if not k.endswith("data/0")}
    )
    with pytest.raises(CorruptFileError, match="without them"):
        open_file(none)


@FORMS
def test_files_cut_anywhere(zipped: bool, tmp_path: Path, rng: np.random.Generator) -> None:
    data = save({"x": torch.zeros(40), "y": [torch.ones(3, 4)]}, tmp_path / "x.bin", zipped).read_bytes()
    for end in {1, 2, 40, len(data) - 1, *rng.integers(1, len(data), 30).tolist()}:
        (tmp_path / "cut.bin").write_bytes(data[:end])
        with pytest.raises((CorruptFileError, UnsafeError)):
            open_file(tmp_path / "cut.bin")


@FORMS
def test_files_with_any_byte_changed_do_not_escape(zipped: bool, tmp_path: Path, rng: np.random.Generator) -> None:
    data = save({"x": torch.zeros(40), "y": [torch.ones(3, 4)]}, tmp_path / "x.bin", zipped).read_bytes()
    for place in rng.integers(0, len(data), 120):
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "y.bin").write_bytes(changed)
        try:
            with open_file(tmp_path / "y.bin") as ckpt:
                for name in ckpt:
                    ckpt.read(name).sum()
        except (CorruptFileError, UnsafeError):
            pass
        assert {path.name for path in tmp_path.iterdir()} == {"x.bin", "y.bin"}


def test_containers_without_end(tmp_path: Path) -> None:
    ring: list[Any] = [torch.zeros(1)]
    ring.append(ring)
    doubled: Any = [torch.zeros(1), {}]
    for _ in range(60):
        doubled = [doubled, doubled]
    for tree in (ring, doubled):
        with pytest.raises(CorruptFileError, match="without end"):
            open_file(save({"x": tree}, tmp_path / "x.bin"))


def test_a_program_is_no_checkpoint(tmp_path: Path) -> None:
    file = save({"a": torch.ones(1)}, tmp_path / "m.pt")
    rewritten(file, lambda parts: {**parts, "m/code/model.py": b"", "m/constants.pkl": b""})
    with pytest.raises(UnsafeError, match="TorchScript"):
        open_file(file)
