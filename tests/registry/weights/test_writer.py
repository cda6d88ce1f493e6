"""What is written loads with the safetensors library; what fails leaves nothing behind."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from safetensors import safe_open

from ivyhub.errors import CheckpointError, CorruptFileError, StorageError, UnsafeError
from ivyhub.registry.weights import (
    Cast,
    Entry,
    MemoryCheckpoint,
    Merge,
    PlannedTensor,
    Reader,
    Split,
    TensorInfo,
    Transpose,
    WeightMap,
    open_checkpoint,
    write_safetensors,
)


def same(names: list[str]) -> WeightMap:
    return WeightMap(tuple(Entry((name,), (name,)) for name in names))


@pytest.fixture
def source(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A checkpoint of several dtypes and shapes, as the library writes it."""
    tensors = {
        "kernel": rng.standard_normal((300, 1100)).astype(np.float32),
        "conv": rng.standard_normal((64, 32, 3, 3)).astype(np.float32),
        "bias": rng.standard_normal(7).astype(np.float16),
        "ids": rng.integers(0, 9, (1, 13)),
        "mask": rng.random(5) < 0.5,
        "empty": np.zeros((0, 4), np.float32),
    }
    file = tmp_path / "source.safetensors"
    safetensors.numpy.save_file(tensors, file, {"format": "pt"})
    return file


def test_the_library_reads_it(source: Path, tmp_path: Path) -> None:
    original = safetensors.numpy.load_file(source)
    rules = WeightMap(
        (
            Entry(("mask",), ("mask",)),
            Entry(("dense.kernel",), ("kernel",), (Transpose((1, 0)),)),
            Entry(("conv.kernel",), ("conv",), (Transpose((2, 3, 1, 0)),)),
            Entry(("bias",), ("bias",), (Cast("float32", "float16"),)),
            Entry(("ids",), ("ids",)),
            Entry(("empty",), ("empty",)),
        )
    )
    done = []
    with open_checkpoint(source) as ckpt:
        files = write_safetensors(
            tmp_path / "model.safetensors",
            rules.apply(ckpt),
            metadata={"format": "np"},
            progress=lambda n, total: done.append((n, total)),
        )
    assert files == [tmp_path / "model.safetensors"]
    loaded = safetensors.numpy.load_file(files[0])
    assert loaded.keys() == {target for entry in rules.entries for target in entry.targets}
    assert np.array_equal(loaded["dense.kernel"], original["kernel"].T)
    assert np.array_equal(loaded["conv.kernel"], original["conv"].transpose(2, 3, 1, 0))
    assert np.array_equal(loaded["bias"], original["bias"].astype(np.float32))
    for name in ("mask", "ids", "empty"):
        assert loaded[name].dtype == original[name].dtype
        assert np.array_equal(loaded[name], original[name])
    with safe_open(files[0], "pt") as file:
        assert file.metadata() == {"format": "np"}
        assert torch.equal(file.get_tensor("ids"), torch.from_numpy(original["ids"]))
    assert sum(n for n, _ in done) == done[0][1] == sum(array.nbytes for array in loaded.values())
    with open_checkpoint(files[0]) as ckpt:  # every tensor begins at a multiple of its item size
        assert all(ckpt.location(name).offset % ckpt.read(name).itemsize == 0 for name in ckpt)


def test_the_way_there_and_back_keeps_the_file(source: Path, tmp_path: Path) -> None:
    with open_checkpoint(source) as ckpt:
        rules = WeightMap(
            tuple(
                Entry((f"x.{name}",), (name,), (Transpose(tuple(reversed(range(len(info.shape))))),))
                for name, info in ckpt.items()
            )
        )
        [there] = write_safetensors(tmp_path / "there.safetensors", rules.apply(ckpt), metadata=ckpt.metadata)
    with open_checkpoint(there) as ckpt:
        [back] = write_safetensors(tmp_path / "back.safetensors", rules.inverse().apply(ckpt), metadata=ckpt.metadata)
    one, two = safetensors.numpy.load_file(source), safetensors.numpy.load_file(back)
    assert one.keys() == two.keys()
    assert all(one[name].tobytes() == two[name].tobytes() for name in one)


def test_what_does_not_change_is_the_very_file(source: Path, tmp_path: Path) -> None:
    # A header in another style than ivyhub's is kept too.
    text = source.read_bytes()
    length = int.from_bytes(text[:8], "little")
    header = json.dumps(json.loads(text[8 : 8 + length]), indent=1).encode()
    source.write_bytes(len(header).to_bytes(8, "little") + header + text[8 + length :])
    with open_checkpoint(source) as ckpt:
        [copy] = write_safetensors(tmp_path / "c.safetensors", same(list(ckpt)).apply(ckpt), metadata=ckpt.metadata)
        [other] = write_safetensors(tmp_path / "o.safetensors", same(list(ckpt)).apply(ckpt))
    assert copy.read_bytes() == source.read_bytes()
    assert other.read_bytes() != source.read_bytes()
    assert safetensors.numpy.load_file(other).keys() == safetensors.numpy.load_file(source).keys()


def test_parts_and_joins_along_the_first_axis_pass_through(source: Path, tmp_path: Path) -> None:
    split = WeightMap((Entry(("a", "b"), ("kernel",), (Split(0, (100, 200)),)),))
    original = safetensors.numpy.load_file(source)["kernel"]
    with open_checkpoint(source) as ckpt:
        planned = split.apply(ckpt)
        assert all(tensor.passthrough is not None for tensor in planned)
        [file] = write_safetensors(tmp_path / "split.safetensors", planned)
    assert np.array_equal(safetensors.numpy.load_file(file)["b"], original[100:])
    with open_checkpoint(file) as ckpt:
        planned = WeightMap((Entry(("kernel",), ("b", "a"), (Merge(0, (200, 100)),)),)).apply(ckpt)
        assert planned[0].passthrough is not None
        [file] = write_safetensors(tmp_path / "merged.safetensors", planned)
    assert np.array_equal(safetensors.numpy.load_file(file)["kernel"], np.concatenate([original[100:], original[:100]]))


def test_bfloat16_and_float8(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.standard_normal((33, 65)).astype(np.float32)
    rules = WeightMap(
        tuple(
            Entry((dtype,), (f"s.{dtype}",), (Transpose((1, 0)), Cast(dtype, "float32")))
            for dtype in ("bfloat16", "float8_e4m3fn", "float8_e5m2")
        )
    )
    state = MemoryCheckpoint({f"s.{name}": values for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2")})
    [file] = write_safetensors(tmp_path / "m.safetensors", rules.apply(state))
    loaded = safetensors.torch.load_file(file)
    for name, tensor in loaded.items():
        # Both round to nearest even; values of a normal distribution stay in range.
        assert torch.equal(tensor.float(), torch.from_numpy(values.T.copy()).to(getattr(torch, name)).float())
    with open_checkpoint(file) as ckpt:
        assert ckpt.read("bfloat16").dtype == ml_dtypes.bfloat16


def test_strided_and_foreign_arrays(tmp_path: Path, rng: np.random.Generator) -> None:
    base = rng.standard_normal((40, 50, 60))
    arrays = {
        "negative": base[::-1, ::2, ::-3],
        "fortran": np.asfortranarray(base),
        "broadcast": np.broadcast_to(base[0, 0], (3, 60)),
        "big-endian": base.astype(">f8"),
        "scalar": base[0, 0, 0, ...],
    }
    [file] = write_safetensors(tmp_path / "m.safetensors", same(list(arrays)).apply(MemoryCheckpoint(arrays)))
    loaded = safetensors.numpy.load_file(file)
    assert all(np.array_equal(loaded[name], array) for name, array in arrays.items())


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", "complex64"])
def test_transposes_of_any_shape_are_exact(dtype: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """Matrices larger than the tiles they are copied in, and views whose other axes make one axis or do not."""
    tall, wide, deep = (int(size) for size in rng.integers(1, 2000, 3))
    matrix = rng.integers(0, 100, (tall, wide)).astype(dtype)
    heads = rng.integers(0, 100, (6, 7, deep)).astype(dtype)
    arrays = {
        "matrix": matrix.T,
        "heads": heads.transpose(2, 0, 1),
        "reversed": heads.T,
        "joined": heads.reshape(1, 42, deep).transpose(2, 0, 1),
        "part": matrix[: tall // 2 + 1, wide // 3 :].T,
    }
    [file] = write_safetensors(tmp_path / "m.safetensors", same(list(arrays)).apply(MemoryCheckpoint(arrays)))
    with open_checkpoint(file) as ckpt:
        assert all(np.array_equal(ckpt.read(name), array) for name, array in arrays.items())


def test_shards_in_the_layout_of_the_hub(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with open_checkpoint(source) as ckpt:
        files = write_safetensors(
            folder / "model.safetensors", same(list(ckpt)).apply(ckpt), metadata={"format": "pt"}, shard_bytes=100_000
        )
        total = sum(info.nbytes for info in ckpt.values())
    assert sorted(folder.iterdir()) == sorted(files)
    *shards, index_file = files
    assert [file.name for file in shards] == [
        f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)
    ]
    index = json.loads(index_file.read_text())
    assert index["metadata"] == {"total_size": total}
    loaded = {}
    for name, file in index["weight_map"].items():
        with safe_open(folder / file, "np") as shard:
            assert shard.metadata() == {"format": "pt"}
            loaded[name] = shard.get_tensor(name)
    original = safetensors.numpy.load_file(source)
    assert loaded.keys() == original.keys()
    assert all(np.array_equal(loaded[name], original[name]) for name in original)
    with open_checkpoint(folder) as ckpt:
        [file] = write_safetensors(tmp_path / "one.safetensors", same(list(ckpt)).apply(ckpt))
    assert all(np.array_equal(safetensors.numpy.load_file(file)[name], original[name]) for name in original)


def test_transformers_loads_sharded_output(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    model = transformers.BertModel(config)
    config.save_pretrained(tmp_path)
    state = MemoryCheckpoint({name: value.numpy() for name, value in model.state_dict().items()})
    write_safetensors(
        tmp_path / "model.safetensors", same(list(state)).apply(state), metadata={"format": "pt"}, shard_bytes=5000
    )
    loaded = transformers.BertModel.from_pretrained(tmp_path)
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())


def plan(name: str, values: np.ndarray, dtype: str = "float32", shape: tuple[int, ...] | None = None) -> PlannedTensor:
    return PlannedTensor(
        TensorInfo(name, dtype, values.shape if shape is None else shape), Reader(lambda: values), None
    )


@pytest.mark.parametrize(
    ("tensors", "error"),
    [
        ([plan("a", np.zeros(3, np.float32)), plan("b", np.zeros(3, np.float64))], CheckpointError),
        ([plan("a", np.zeros(3, np.float32)), plan("b", np.zeros(3, np.float32), shape=(4,))], CheckpointError),
        ([plan("a", np.zeros(3, np.float32))] * 2, CheckpointError),
        ([plan("__metadata__", np.zeros(3, np.float32))], CheckpointError),
        ([plan("a\n", np.zeros(3, np.float32))], UnsafeError),
    ],
)
def test_wrong_plans_leave_nothing(tensors: list[PlannedTensor], error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        write_safetensors(tmp_path / "model.safetensors", tensors, shard_bytes=12)
    assert list(tmp_path.iterdir()) == []


def test_a_source_cut_short_leaves_nothing(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with open_checkpoint(source) as ckpt:
        planned = same([name for name in ckpt if name != "mask"]).apply(ckpt)
        os.truncate(source, source.stat().st_size // 2)
        with pytest.raises(CorruptFileError):
            write_safetensors(out / "model.safetensors", planned)
    assert list(out.iterdir()) == []


FULL_DISK = """
import resource, sys
from pathlib import Path
from ivyhub.errors import StorageError
from ivyhub.registry.weights import Entry, Transpose, WeightMap, open_checkpoint, write_safetensors
source, out, transposed = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "transposed"
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
with open_checkpoint(source) as ckpt:
    steps = (Transpose((1, 0)),) if transposed else ()
    rules = WeightMap((Entry(("k",), ("kernel",), steps),))
    try:
        write_safetensors(out / "model.safetensors", rules.apply(ckpt))
    except StorageError as error:
        assert "smaller shards" in error.hint, error
        print("refused", error.__cause__.errno)
"""


@pytest.mark.parametrize("kind", ["passed through", "transposed"])
def test_a_file_too_large_leaves_nothing(kind: str, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-c", FULL_DISK, str(source), str(out), kind]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["refused", str(errno.EFBIG)]
    assert list(out.iterdir()) == []


def test_no_folder_no_file(source: Path, tmp_path: Path) -> None:
    with open_checkpoint(source) as ckpt, pytest.raises(StorageError, match="No such file"):
        write_safetensors(tmp_path / "absent" / "model.safetensors", same(list(ckpt)).apply(ckpt))


def test_an_interrupt_leaves_nothing_and_the_old_file_whole(source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with open_checkpoint(source) as ckpt, pytest.raises(KeyboardInterrupt):
        write_safetensors(source, same(["kernel"]).apply(ckpt), progress=interrupt)
    assert source.read_bytes() == before
    assert list(tmp_path.iterdir()) == [source]


PEAK = """
import resource, sys
from pathlib import Path
from ivyhub.registry.weights import Cast, Entry, Transpose, WeightMap, open_checkpoint, write_safetensors
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open_checkpoint(Path(sys.argv[1])) as ckpt:
    steps = (Transpose((1, 0)), Cast("float64", "float32"))
    rules = WeightMap(tuple(Entry((f"t.{name}",), (name,), steps) for name in ckpt))
    write_safetensors(Path(sys.argv[2]), rules.apply(ckpt))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_is_bounded_by_the_largest_tensor(tmp_path: Path) -> None:
    source = tmp_path / "source.safetensors"
    array = np.ones((2048, 2048), np.float32)
    safetensors.numpy.save_file({f"t{i}": array for i in range(16)}, source)
    # A shell in between: a child inherits the peak of the process that starts it.
    command = [
        "sh",
        "-c",
        '"$0" -c "$1" "$2" "$3"',
        sys.executable,
        PEAK,
        str(source),
        str(tmp_path / "out.safetensors"),
    ]
    peak = 1024 * int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    # One tensor of sixteen, and slabs and buffers: far below the whole of 256 MB.
    assert peak < array.nbytes + 40e6
