"""Every format against the library that writes it: what it wrote is read alike, name by name and byte by byte."""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivyhub.errors import CorruptFileError, UnsafeError
from ivyhub.registry.checkpoints import open_file
from ivyhub.registry.weights.dtypes import ITEMSIZE, numpy_dtype

Arrays = Mapping[str, np.ndarray]
DTYPES = [*ITEMSIZE]
NUMPY_DTYPES = [name for name in ITEMSIZE if name not in ("bfloat16", "float8_e4m3fn", "float8_e5m2")]


def arrays(rng: np.random.Generator, dtypes: list[str]) -> dict[str, np.ndarray]:
    """An array of each type, and shapes that are easily got wrong."""
    made = {f"of/{dtype}": rng.integers(0, 2, (2, 3, 16), dtype=np.uint8).view(numpy_dtype(dtype)) for dtype in dtypes}
    return made | {
        "scalar": np.float32(rng.standard_normal()).reshape(()),
        "empty": np.zeros((0, 3), np.float32),
        "turned": rng.standard_normal((4, 5)).astype(np.float32).T,
    }


def check(path: Path, expected: Arrays) -> Any:
    ckpt = open_file(path)
    assert sorted(ckpt) == sorted(expected)
    for name, array in expected.items():
        assert (ckpt[name].dtype, ckpt[name].shape) == (array.dtype.name, array.shape), name
        assert ckpt.read(name).tobytes() == np.ascontiguousarray(array).tobytes(), name
        if (place := ckpt.location(name)) is not None and place.nbytes:
            data = place.path.read_bytes()[place.offset : place.offset + place.nbytes]
            assert data == np.ascontiguousarray(array).tobytes(), name
        ckpt.release(name)
    return ckpt


# -- numpy -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(save: Callable[..., None], tmp_path: Path, rng: np.random.Generator) -> None:
    made = arrays(rng, NUMPY_DTYPES)
    save(tmp_path / "x.npz", **made, big=made["turned"].astype(">f4"), complex=np.zeros(2, np.complex128))
    made["big"] = made["turned"]
    assert check(tmp_path / "x.npz", made).unreadable == {"complex": "<c16[2]"}


# -- Flax --------------------------------------------------------------------------------------------------------------


def test_msgpack(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    serialization = pytest.importorskip("flax.serialization")
    made = {name.replace("/", "_"): array for name, array in arrays(rng, DTYPES).items()}
    monkeypatch.setattr(serialization, "MAX_CHUNK_SIZE", 40)  # "turned" goes in pieces
    tree = {"params": {"layer": {**made}, "list": [np.ones(3)]}, "step": 3, "z": 1j, "name": "x", "scalar": np.int32(4)}
    (tmp_path / "x.msgpack").write_bytes(serialization.to_bytes(tree))
    expected = {f"params.layer.{name}": array for name, array in made.items()}
    expected |= {"params.list.0": np.ones(3), "scalar": np.array(4, np.int32)}
    ckpt = check(tmp_path / "x.msgpack", expected)
    assert ckpt.values_beside == {"step": "3", "z": '"a complex number"', "name": '"x"'}


@pytest.mark.parametrize("ocdbt", [False, True])
def test_orbax(ocdbt: bool, tmp_path: Path, rng: np.random.Generator) -> None:
    orbax = pytest.importorskip("orbax.checkpoint")
    made = {name.replace("/", "_"): array for name, array in arrays(rng, DTYPES).items() if array.size}
    tree = {"params": {"layer": dict(made)}, "list": [np.ones(2)], "step": 3, "none": None, "text": "x"}
    orbax.PyTreeCheckpointer(use_ocdbt=ocdbt).save(tmp_path / "x", tree)
    expected = {f"params.layer.{name}": array for name, array in made.items()} | {
        "list.0": np.ones(2),
        "step": np.array(3),
    }
    ckpt = check(tmp_path / "x", expected)
    assert ckpt.values_beside == {"none": '"None"', "text": '"string"'}


# -- GGUF --------------------------------------------------------------------------------------------------------------

GGUF_DTYPES = ["float32", "float16", "bfloat16", "float64", "int8", "int16", "int32", "int64"]


def test_gguf(tmp_path: Path, rng: np.random.Generator) -> None:
    gguf = pytest.importorskip("gguf")
    made = {name: array for name, array in arrays(rng, GGUF_DTYPES).items() if array.ndim and array.size}
    made["turned"] = np.ascontiguousarray(made["turned"])
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "llama")
    writer.add_block_count(3)
    writer.add_array("tokens", ["a", "b"])
    writer.add_array("scores", [float(i) for i in range(40)])
    for name, array in made.items():
        raw = {"raw_dtype": gguf.GGMLQuantizationType.BF16} if array.dtype.name == "bfloat16" else {}
        writer.add_tensor(name, array.view(np.uint8) if raw else array, **raw)
    expanded: dict[str, np.ndarray] = {}
    for kind in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q6_K"):
        number = gguf.GGMLQuantizationType[kind]
        values = rng.standard_normal((3, 256)).astype(np.float32)
        block = gguf.quants.quantize(values, number) if kind != "Q6_K" else np.zeros((3, 210), np.uint8)
        writer.add_tensor(kind, block, raw_dtype=number)
        if kind != "Q6_K":
            expanded[kind] = gguf.quants.dequantize(block, number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    ckpt = check(tmp_path / "x.gguf", {**made, **expanded})
    assert ckpt.unreadable == {"Q6_K": "Q6_K[3, 256]"}
    assert ckpt.metadata["general.architecture"] == "llama"
    assert ckpt.metadata["tokens"] == '["a", "b"]'
    assert ckpt.metadata["scores"] == "40 values"


# -- ONNX --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["raw", "typed", "external"])
def test_onnx(how: str, tmp_path: Path, rng: np.random.Generator) -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    made = arrays(rng, DTYPES)
    made["negative"] = rng.integers(-9, 9, 7)
    if how == "typed":
        made = {name: array for name, array in made.items() if not name.startswith("of/float8")}
        made = {name: np.nan_to_num(array) if array.dtype.kind in "fc" else array for name, array in made.items()}
    tensors = []
    for name, array in made.items():
        tensor = onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        if how == "typed" and array.dtype.kind != "V":
            tensor = helper.make_tensor(name, tensor.data_type, array.shape, array.reshape(-1).tolist())
        tensors.append(tensor)
    graph = helper.make_graph([], "weights", [], [], tensors)
    path = tmp_path / "x.onnx"
    model = helper.make_model(graph, producer_name="me")
    onnx.save(model, path, save_as_external_data=how == "external", location="x.data", size_threshold=0)
    ckpt = check(path, made)
    assert ckpt.metadata["producer_name"] == "me"


# -- PyTorch -----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:torch.distributed is:UserWarning")
def test_torch_distributed(tmp_path: Path, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    dcp = importlib.import_module("torch.distributed.checkpoint")
    made = {name: torch.from_numpy(np.array(array)) for name, array in arrays(rng, NUMPY_DTYPES).items()}
    made["half"] = torch.ones(3, dtype=torch.bfloat16)
    dcp.save({"model": made, "epoch": 3}, checkpoint_id=tmp_path / "x", no_dist=True)
    expected = {f"model.{name}": tensor.numpy() for name, tensor in made.items() if name != "half"}
    expected["model.half"] = np.ones(3, numpy_dtype("bfloat16"))
    assert check(tmp_path / "x", expected).values_beside == {"epoch": '"a pickled value"'}


@pytest.mark.filterwarnings("ignore:torch.distributed is:UserWarning")
def test_torch_distributed_in_pieces(tmp_path: Path, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    dcp = importlib.import_module("torch.distributed.checkpoint")
    meta = importlib.import_module("torch.distributed.checkpoint.metadata")
    files = importlib.import_module("torch.distributed.checkpoint.filesystem")
    whole = torch.from_numpy(rng.standard_normal((5, 6)).astype(np.float32))
    chunks, places, data = [], {}, io.BytesIO()
    for rows in (slice(0, 2), slice(2, 5)):
        for columns in (slice(0, 1), slice(1, 6)):
            piece, start = whole[rows, columns].clone(), data.tell()
            torch.save(piece, data)
            offsets = torch.Size([rows.start, columns.start])
            places[meta.MetadataIndex("w", offsets)] = files._StorageInfo("__0_0.distcp", start, data.tell() - start)
            chunks.append(meta.ChunkStorageMetadata(offsets, piece.size()))
    described = meta.TensorStorageMetadata(meta.TensorProperties(torch.float32), whole.size(), chunks)
    index = meta.Metadata({"w": described}, planner_data={"w": ("w",)}, storage_data=places)

    def write(index: Any) -> None:
        (tmp_path / ".metadata").write_bytes(pickle.dumps(index))

    write(index)
    (tmp_path / "__0_0.distcp").write_bytes(data.getvalue())
    again = {"w": torch.zeros(5, 6)}
    dcp.load(again, checkpoint_id=tmp_path, no_dist=True)
    assert torch.equal(again["w"], whole)  # so far it is such a checkpoint
    check(tmp_path, {"w": whole.numpy()})
    chunks[3], chunks[1] = chunks[1], chunks[1]  # one twice, one not at all
    write(index)
    with pytest.raises(CorruptFileError, match="fill"):
        open_file(tmp_path)
    places[meta.MetadataIndex("w", torch.Size([0, 0]))].relative_path = "../other"
    write(index)
    with pytest.raises(UnsafeError, match="leads out"):
        open_file(tmp_path)


# -- Keras -------------------------------------------------------------------------------------------------------------


def keras_model(dtype: str) -> Any:
    keras = pytest.importorskip("keras")
    keras.backend.clear_session()
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, name="first", dtype=dtype),
            keras.layers.BatchNormalization(name="norm"),
        ]
    )
    model.compile("adam", "mse")
    return model


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
@pytest.mark.parametrize(
    ("suffix", "dtype"),
    # Not bfloat16 in .h5, which Keras itself cannot read again.
    [
        (".keras", "float32"),
        (".keras", "bfloat16"),
        (".weights.h5", "float32"),
        (".weights.h5", "bfloat16"),
        (".h5", "float32"),
    ],
)
def test_keras(suffix: str, dtype: str, tmp_path: Path) -> None:
    model = keras_model(dtype)
    path = tmp_path / f"x{suffix}"
    model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    ckpt = open_file(path)
    own = {weight.path: np.asarray(weight.numpy()) for weight in model.weights}
    if suffix == ".h5":
        found = {name.split("/", 2)[-1].removesuffix(":0"): name for name in ckpt if name.startswith("model_weights")}
        expected = {path.removeprefix(f"{model.name}/"): array for path, array in own.items()}
        assert {name.split("/", 1)[-1]: ckpt.read(at).tolist() for name, at in found.items()} == {
            name: array.tolist() for name, array in expected.items()
        }
        assert ckpt.metadata["backend"]
        return
    first = [ckpt.read(f"layers/dense/vars/{place}") for place in (0, 1)]
    for array, weight in zip(first, model.layers[0].weights, strict=True):
        expected = np.asarray(weight.numpy())
        assert (array.dtype, array.tobytes()) == (expected.dtype, expected.tobytes())
    assert all(ckpt.location(name) is not None for name in ckpt if ckpt[name].nbytes)
    assert sum(name.startswith("layers/") for name in ckpt) == len(own)


# -- TensorFlow --------------------------------------------------------------------------------------------------------

TF_DTYPES = [name for name in DTYPES if name != "bool"] + ["bool"]


def test_tensorflow(tmp_path: Path, rng: np.random.Generator) -> None:
    tf = pytest.importorskip("tensorflow")
    made = {name.replace("/", "_"): array for name, array in arrays(rng, TF_DTYPES).items()}
    root = tf.train.Checkpoint(**{name: tf.Variable(array) for name, array in made.items()}, text=tf.Variable("x"))
    prefix = root.write(str(tmp_path / "model.ckpt"))
    expected = {f"{name}/.ATTRIBUTES/VARIABLE_VALUE": array for name, array in made.items()}
    for path in (Path(prefix), Path(f"{prefix}.index"), tmp_path):
        ckpt = check(path, expected)
        assert ckpt.values_beside == {"text/.ATTRIBUTES/VARIABLE_VALUE": '"text[]"'}
    module = tf.Module()
    module.w = tf.Variable(made["turned"])
    tf.saved_model.save(module, str(tmp_path / "saved"))
    check(tmp_path / "saved", {"w/.ATTRIBUTES/VARIABLE_VALUE": made["turned"]})


@pytest.mark.parametrize("version", [1, 2])
def test_tensorflow_1(version: int, tmp_path: Path, rng: np.random.Generator) -> None:
    tf = pytest.importorskip("tensorflow")
    v1 = tf.compat.v1
    names = [
        "float32",
        "float64",
        "int32",
        "uint8",
        "int16",
        "int8",
        "int64",
        "complex64",
        "bool",
        "float16",
        "bfloat16",
    ]
    made = {name: array for name, array in arrays(rng, names).items() if version == 2 or name != "of/bfloat16"}
    made = {name: np.nan_to_num(array) if array.dtype.kind in "fc" else array for name, array in made.items()}
    made["negative"] = rng.integers(-9, 9, 7)
    parts = rng.standard_normal((70, 5)).astype(np.float32)
    with v1.Graph().as_default(), v1.Session() as session:
        for name, array in made.items():
            v1.get_variable(name, initializer=v1.constant(array), use_resource=False)
        with v1.variable_scope("parts", partitioner=v1.fixed_size_partitioner(3)):
            v1.get_variable(
                "w",
                shape=parts.shape,
                initializer=lambda *_, partition_info=None, **__: tf.constant(
                    parts[partition_info.var_offset[0] :][: _[0][0]]
                ),
                use_resource=False,
            )
        session.run(v1.global_variables_initializer())
        writer = v1.train.Saver(write_version=v1.train.SaverDef.V1 if version == 1 else v1.train.SaverDef.V2)
        prefix = Path(writer.save(session, str(tmp_path / "model.ckpt"), write_meta_graph=False))
    ckpt = check(prefix, {**made, "parts/w": parts})
    assert ckpt.format == ("tensorflow-v1" if version == 1 else "tensorflow")
