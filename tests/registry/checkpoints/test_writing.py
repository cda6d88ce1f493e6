"""What is written, against the library that is to read it; and that nothing half-written has its final name."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivyhub.cli import run
from ivyhub.errors import CheckpointError, OutputExistsError, StorageError, UnknownFrameworkError
from ivyhub.registry.checkpoints import TARGETS, FormatCheckpoint, convert, default_path, onnx_files, open_file, trees
from ivyhub.registry.checkpoints.mapped import Stored
from ivyhub.registry.weights.dtypes import ITEMSIZE, numpy_dtype
from ivyhub.registry.weights.header import TensorInfo

Arrays = dict[str, np.ndarray]
SUFFIXES = {name: row.suffix for name, row in TARGETS.items()}


def arrays(rng: np.random.Generator, target: str) -> Arrays:
    dtypes = [dtype for dtype in ITEMSIZE if dtype not in TARGETS[target].refused]
    made = {f"of.{dtype}": rng.integers(0, 2, (2, 3, 16), dtype=np.uint8).view(numpy_dtype(dtype)) for dtype in dtypes}
    made |= {"scalar": np.array(rng.standard_normal(), np.float32), "empty": np.zeros((0, 3), np.float32)}
    return made | {"turned": rng.standard_normal((4, 5)).astype(np.float32).T, "Ünï": np.arange(300)}


def memory(arrays: Arrays, separator: str = ".") -> FormatCheckpoint:
    stored = [Stored(TensorInfo(name, a.dtype.name, a.shape), lambda a=a: a) for name, a in arrays.items()]
    return FormatCheckpoint("safetensors", stored, [Path("memory")], separator=separator)


def flat(tree: Any, path: str = "") -> Arrays:
    if not isinstance(tree, dict):
        return {path: np.asarray(tree)}
    return {k: v for key, value in tree.items() for k, v in flat(value, f"{path}.{key}" if path else key).items()}


def load_pt(path: Path) -> Arrays:
    torch = pytest.importorskip("torch")
    found = torch.load(path, weights_only=True)
    assert all(tensor.is_contiguous() for tensor in found.values())
    return {
        name: tensor.contiguous()
        .reshape(-1)
        .view(torch.uint8)
        .numpy()
        .view(numpy_dtype(str(tensor.dtype)[6:]))
        .reshape(tensor.shape)
        for name, tensor in found.items()
    }


def load_safetensors(path: Path) -> Arrays:
    with pytest.importorskip("safetensors").safe_open(path, "pt") as file:
        found = {name: file.get_tensor(name) for name in [*file.keys()]}
    torch = pytest.importorskip("torch")
    return {
        name: tensor.reshape(-1)
        .view(torch.uint8)
        .numpy()
        .view(numpy_dtype(str(tensor.dtype)[6:]))
        .reshape(tensor.shape)
        for name, tensor in found.items()
    }


def load_npz(path: Path) -> Arrays:
    with np.load(path) as file:
        return dict(file)


def load_msgpack(path: Path) -> Arrays:
    return flat(pytest.importorskip("flax.serialization").msgpack_restore(path.read_bytes()))


def load_h5(path: Path) -> Arrays:
    h5py = pytest.importorskip("h5py")
    found: Arrays = {}
    with h5py.File(path) as file:
        for name in file:
            said = file[name].attrs.get("dtype")
            value = file[name][()]
            found[name] = np.asarray(value.view(numpy_dtype(said)) if said else value)
    return found


def load_orbax(path: Path) -> Arrays:
    return flat(pytest.importorskip("orbax.checkpoint").PyTreeCheckpointer().restore(path.resolve()))


def load_onnx(path: Path) -> Arrays:
    onnx = pytest.importorskip("onnx")
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path)
    return {
        tensor.name: array.view(numpy_dtype(array.dtype.name))
        for tensor in model.graph.initializer
        for array in [onnx.numpy_helper.to_array(tensor)]
    }


LOADERS: dict[str, Callable[[Path], Arrays]] = {
    "safetensors": load_safetensors,
    "pt": load_pt,
    "npz": load_npz,
    "msgpack": load_msgpack,
    "h5": load_h5,
    "orbax": load_orbax,
    "onnx": load_onnx,
}
TENSORS = [target for target in TARGETS if target != "keras"]  # which holds a model


@pytest.mark.parametrize("target", TENSORS)
def test_the_library_reads_it_and_so_does_ivyhub(target: str, tmp_path: Path, rng: np.random.Generator) -> None:
    made = arrays(rng, target)
    if target == "orbax":
        del made["empty"]  # Zarr 2 of TensorStore has no array without numbers
    path = tmp_path / f"x{SUFFIXES[target]}"
    steps: list[int] = []
    done = convert(memory(made), target, path, progress=lambda step, total: steps.append(step))
    assert sum(steps) == done.bytes == sum(array.nbytes for array in made.values())
    again = open_file(path)
    for found in (LOADERS[target](path), {name: again.read(name) for name in again}):
        assert sorted(found) == sorted(made)
        for name, array in made.items():
            assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
            assert found[name].tobytes() == array.tobytes(), name
    if target != "npz":  # whose numbers are compared with their checksums instead
        assert all(again.location(name) is not None for name, info in again.items() if info.nbytes and info.shape)
    assert not [file for file in tmp_path.iterdir() if file != path]


@pytest.mark.parametrize("target", TENSORS)
def test_from_a_file_to_each_format_and_back(target: str, tmp_path: Path, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    base = torch.from_numpy(rng.standard_normal((4, 6)).astype(np.float32))
    tree = {"a": {"w": base, "t": base.t(), "part": base[1:, 2]}, "b": torch.arange(3), "epoch": 3}
    torch.save(tree, tmp_path / "x.bin")
    made = convert(open_file(tmp_path / "x.bin"), target, tmp_path / f"y{SUFFIXES[target]}")
    assert made.left_out == ("epoch",)
    convert(open_file(tmp_path / f"y{SUFFIXES[target]}"), "pt", tmp_path / "z.pt")
    again = torch.load(tmp_path / "z.pt", weights_only=True)
    known = {"a.w": base, "a.t": base.t(), "a.part": base[1:, 2], "b": torch.arange(3)}
    assert again.keys() == known.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in known.items())


def test_files_of_torch_go_to_shards_and_back(tmp_path: Path, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    tree = {f"layers.{place}": torch.from_numpy(rng.standard_normal((5, 5))) for place in range(4)}
    torch.save(tree, tmp_path / "x.bin")
    done = convert(open_file(tmp_path / "x.bin"), "safetensors", tmp_path / "x.safetensors", shard_bytes=250)
    assert len(done.files) == 5  # one tensor each, and an index
    convert(open_file(tmp_path / "x.safetensors.index.json"), "pt", tmp_path / "y.pt")
    again = torch.load(tmp_path / "y.pt", weights_only=True)
    assert all(torch.equal(again[name], tensor) for name, tensor in tree.items())


def test_flax_reads_arrays_in_pieces(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "CHUNK_BYTES", 48)
    made = {"a": rng.standard_normal((5, 7)).astype(np.float32), "b": np.arange(6.0)}
    convert(memory(made), "msgpack", tmp_path / "x.msgpack")
    again = open_file(tmp_path / "x.msgpack")
    for found in (load_msgpack(tmp_path / "x.msgpack"), {name: again.read(name) for name in again}):
        assert all(np.array_equal(found[name], array) for name, array in made.items())


def test_a_large_onnx_model_has_its_numbers_beside_it(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_files, "_LARGEST", 4000)
    made = {"w": rng.standard_normal((30, 40)), "small": np.arange(3), "empty": np.zeros((0, 2)), "v": np.ones(2000)}
    done = convert(memory(made), "onnx", tmp_path / "x.onnx")
    assert [Path(file).name for file in done.files] == ["x.onnx", "x.onnx.data"]
    assert (tmp_path / "x.onnx").stat().st_size < 1000
    again = open_file(tmp_path / "x.onnx")
    for found in (load_onnx(tmp_path / "x.onnx"), {name: again.read(name) for name in again}):
        assert all(found[name].tobytes() == array.tobytes() for name, array in made.items())
    (tmp_path / "x.onnx").unlink()
    with pytest.raises(OutputExistsError, match=r"x\.onnx\.data"):
        convert(memory(made), "onnx", tmp_path / "x.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["x.onnx.data"]
    with pytest.raises(CheckpointError, match="descriptions"):
        convert(memory({f"w{place}": np.ones(2) for place in range(999)}), "onnx", tmp_path / "y.onnx")
    with pytest.raises(CheckpointError, match="without one"):
        convert(memory({"": np.ones(2)}), "onnx", tmp_path / "y.onnx")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_keras_file_keeps_its_model(method: int, tmp_path: Path, rng: np.random.Generator) -> None:
    keras = pytest.importorskip("keras")
    layers = [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.1), keras.layers.BatchNormalization()]
    model = keras.Sequential(layers)
    model.set_weights([rng.uniform(0.5, 1, weight.shape) for weight in model.get_weights()])
    model.save(tmp_path / "saved.keras")
    with zipfile.ZipFile(tmp_path / "saved.keras") as old, zipfile.ZipFile(tmp_path / "x.keras", "w", method) as new:
        parts = {name: old.read(name) for name in old.namelist()}
        for name, data in {**parts, "assets/words.txt": b"a\nb"}.items():
            new.writestr(name, data)
    convert(open_file(tmp_path / "x.keras"), "keras", tmp_path / "y.keras", dtype="float16")
    with zipfile.ZipFile(tmp_path / "y.keras") as archive:
        assert archive.testzip() is None
        assert archive.read("config.json") == parts["config.json"]
        assert archive.read("assets/words.txt") == b"a\nb"
    again = keras.saving.load_model(tmp_path / "y.keras")
    for weight, known in zip(again.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(weight, known.astype(np.float16))
    assert again(np.ones((2, 4))).shape == (2, 3)
    with pytest.raises(CheckpointError, match="configuration"):
        convert(memory({"x": np.ones(2)}), "keras", tmp_path / "z.keras")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["saved.keras", "x.keras", "y.keras"]


def test_tied_tensors_stay_tied_in_files_of_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    tied = torch.ones(100, 100)
    torch.save({"a": tied, "b": tied}, tmp_path / "x.bin")
    convert(open_file(tmp_path / "x.bin"), "pt", tmp_path / "y.pt")
    found = torch.load(tmp_path / "y.pt", weights_only=True)
    assert found["a"].data_ptr() == found["b"].data_ptr()
    assert (tmp_path / "y.pt").stat().st_size < 1.2 * tied.nbytes


def test_a_cast_is_torchs(tmp_path: Path, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    made = {"x": rng.standard_normal(1000).astype(np.float32), "i": np.arange(3)}
    convert(memory(made), "pt", tmp_path / "x.pt", dtype="bfloat16")
    found = torch.load(tmp_path / "x.pt", weights_only=True)
    assert torch.equal(found["x"], torch.from_numpy(made["x"]).bfloat16())
    assert torch.equal(found["i"], torch.arange(3))


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["msgpack", "orbax"])
def test_names_that_make_no_tree(target: str, tmp_path: Path) -> None:
    for names in (("a", "a.b"), ("a.b", "a")):
        with pytest.raises(CheckpointError, match="begins with"):
            convert(memory({name: np.ones(2) for name in names}), target, tmp_path / "x")
    assert not [*tmp_path.iterdir()]


def test_dtypes_that_a_format_has_not(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="npz can hold"):
        convert(memory({"x": np.ones(2, numpy_dtype("bfloat16"))}), "npz", tmp_path / "x.npz")
    ckpt = FormatCheckpoint("gguf", [], [Path("x")], unreadable={"w": "Q6_K[256]"})
    with pytest.raises(CheckpointError, match="Q6_K"):
        convert(ckpt, "pt", tmp_path / "x.pt")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("target", TENSORS)
def test_nothing_stays_of_what_failed_half_way(target: str, tmp_path: Path) -> None:
    def fail() -> np.ndarray:
        raise OSError(28, "No space left on device")

    stored = [
        Stored(TensorInfo("a", "float32", (2,)), lambda: np.ones(2, np.float32)),
        Stored(TensorInfo("b", "float32", (2,)), fail),
    ]
    path = tmp_path / "x"
    path.mkdir() if target == "orbax" else path.write_text("before")
    if target == "orbax":
        (path / "_METADATA").write_text("before")
    with pytest.raises(OutputExistsError):
        convert(memory({}), target, path)
    with pytest.raises(StorageError, match="space"):
        convert(FormatCheckpoint("npz", stored, [Path("x")]), target, path, force=True)
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
    assert (path / "_METADATA" if target == "orbax" else path).read_text() == "before"
    convert(memory({"a": np.ones(2)}), target, path, force=True)
    assert open_file(path).read("a").tolist() == [1, 1]
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_no_folder_is_replaced_that_is_none_of_orbax(tmp_path: Path) -> None:
    for target in TARGETS:
        with pytest.raises(OutputExistsError, match="folder"):
            convert(memory({}), target, tmp_path, force=True)


# -- the command line --------------------------------------------------------------------------------------------------


def test_the_formats_of_the_command_line_are_those_that_are_written() -> None:
    from ivyhub.cli import convert as command
    from ivyhub.registry.adapters.target import Target

    def is_target(name: str) -> bool:
        try:
            return bool(Target.parse(name))
        except UnknownFrameworkError:
            return False

    assert tuple(TARGETS) == command._FORMATS
    assert {name for name in TARGETS if is_target(name)} == set(command._FOR_MODELS)


def test_inspect_and_convert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.ones(2, 3), "b": torch.ones(3), "note": "\x1b[2Jx"}, "model.safetensors")
    assert run(["inspect", "model.safetensors", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tensors"][0] == {"name": "w", "dtype": "float32", "shape": [2, 3], "bytes": 24}
    assert (told["format"], told["count"], told["bytes"], len(told["notes"])) == ("torch", 2, 36, 1)
    assert run(["inspect", "model.safetensors"]) == 0
    text = capsys.readouterr().out
    assert "2 tensors, 9 numbers, 36 B" in text
    assert "its content is" in text
    assert "\x1b" not in text
    assert run(["inspect", "model.safetensors", "--quiet"]) == 0
    assert capsys.readouterr().out == "w\nb\n"
    assert run(["convert", "model.safetensors", "--to", "npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["model.npz"]
    assert load_npz(tmp_path / "model.npz")["w"].tolist() == [[1, 1, 1]] * 2
    assert run(["convert", "model.safetensors", "--to", "npz"]) == 2  # it exists
    assert run(["convert", "model.npz", "--to", "h5", "--name", "x"]) == 2
    for target, format in (("torch", "pt"), ("keras", "h5"), ("onnx", ".onnx"), ("jax", "safetensors")):
        assert run(["convert", "model.npz", "--to", target]) == 2
        assert f"--to {format}" in capsys.readouterr().err
    assert run(["convert", "model.npz", "--to", ".onnx"]) == 0
    assert run(["convert", "model.onnx", "--to", ".npz", "--out", "again.npz"]) == 0
    assert load_npz(tmp_path / "again.npz")["w"].tolist() == [[1, 1, 1]] * 2
    assert run(["convert", "model.npz", "--to", ".keras"]) == 1
    assert run(["convert", "model.npz", "--to", "h5", "--force", "--out", "m.h5"]) == 0
    assert run(["inspect", "nothing.bin"]) == 1


@pytest.mark.parametrize(
    ("source", "target", "name"),
    [
        ("a/pytorch_model.bin.index.json", "safetensors", "pytorch_model.safetensors"),
        ("a/model.ckpt.index", "npz", "model.npz"),
        ("x.weights.h5", "h5", "x.weights.h5"),
        ("step.7", "orbax", "step-orbax"),
    ],
)
def test_default_paths(source: str, target: str, name: str) -> None:
    assert default_path(Path(source), target) == Path(name)
