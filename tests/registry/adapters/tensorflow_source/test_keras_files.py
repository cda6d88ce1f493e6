"""``.keras`` files that nobody should write: refused before Keras has them, and before anything is expanded."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import ivyhub
from ivyhub.cli import run
from ivyhub.errors import CorruptFileError, UnsafeError
from ivyhub.registry.characters import steers

Parts = dict[str, bytes]
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """What a sound file holds."""
    path = tmp_path_factory.mktemp("sound") / "plain.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="dense")]).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, parts: Parts, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def with_layer(parts: Parts, layer: dict[str, Any]) -> Parts:
    config = json.loads(parts["config.json"])
    config["config"]["layers"].append({"module": "keras.layers", "registered_name": None, **layer})
    return parts | {"config.json": json.dumps(config).encode()}


def with_weights(parts: Parts, change: Callable[[Any], None]) -> Parts:
    data = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(data, "r+") as file:
        change(file)
    return parts | {"model.weights.h5": data.getvalue()}


def ring(file: Any) -> None:
    file["layers/dense/again"] = file["layers"]


def external(file: Any) -> None:
    file.create_dataset("layers/dense/vars/2", (4,), "float32", external=[("/etc/passwd", 0, 16)])


def soft(file: Any) -> None:
    file["layers/dense/vars/2"] = h5py.SoftLink("/layers/dense/vars/0")


def shape(file: Any) -> None:
    file.create_dataset("layers/dense/vars/2", (1 << 40,), "float32", chunks=(1 << 20,))


WORDS = {"vocabulary": "/etc/passwd", "max_tokens": None}
HOSTILE: dict[str, Callable[[Parts], Parts]] = {
    "a vocabulary of a file": lambda p: with_layer(p, {"class_name": "StringLookup", "config": WORDS}),
    "a vocabulary of a network": lambda p: with_layer(
        p, {"class_name": "TextVectorization", "config": {"vocabulary": "http://127.0.0.1:1/x"}}
    ),
    "a function": lambda p: with_layer(
        p, {"class_name": "function", "module": "keras.utils", "config": "get_file", "registered_name": "get_file"}
    ),
    "a function in a layer": lambda p: with_layer(
        p, {"class_name": "Activation", "config": {"activation": {"class_name": "function", "config": "get_file"}}}
    ),
    "a saved model": lambda p: with_layer(p, {"class_name": "TFSMLayer", "config": {"filepath": "../elsewhere"}}),
    "a lambda in a wrapper": lambda p: with_layer(
        p, {"class_name": "TimeDistributed", "config": {"layer": {"class_name": "Lambda", "config": {}}}}
    ),
    "a class of another module": lambda p: with_layer(p, {"class_name": "Popen", "module": "subprocess", "config": {}}),
    "a class of no module": lambda p: with_layer(p, {"class_name": "Popen", "module": None, "config": {}}),
    "groups in a ring": lambda p: with_weights(p, ring),
    "numbers of another file": lambda p: with_weights(p, external),
    "a link": lambda p: with_weights(p, soft),
    "a shape beyond its bytes": lambda p: with_weights(p, shape),
    "a member twice": lambda p: p | {"Xonfig.json": b"{}"},
}
DAMAGED: dict[str, Callable[[Parts], Parts]] = {
    "nested deep": lambda p: p | {"config.json": b'{"a":' * 100_000 + b"1" + b"}" * 100_000},
    "a key twice": lambda p: p | {"config.json": b'{"class_name": "Dense", "class_name": "Lambda"}'},
    "no JSON": lambda p: p | {"config.json": b"\xff"},
    "a list": lambda p: p | {"config.json": b"[]"},
    "no weights": lambda p: {name: data for name, data in p.items() if name != "model.weights.h5"},
    "other weights": lambda p: p | {"model.weights.h5": b"no HDF5"},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_files_that_reach_out_are_refused(case: str, parts: Parts, tmp_path: Path) -> None:
    path = written(tmp_path / "x.keras", HOSTILE[case](parts))
    if case == "a member twice":
        path.write_bytes(path.read_bytes().replace(b"Xonfig.json", b"config.json"))
    with pytest.raises(UnsafeError):
        ivyhub.transpile(path, to="numpy")
    assert run(["check", str(path), "--to", "numpy"]) == 5


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_files_are_refused(case: str, parts: Parts, tmp_path: Path) -> None:
    path = written(tmp_path / "x.keras", DAMAGED[case](parts))
    with pytest.raises(CorruptFileError):
        ivyhub.transpile(path, to="numpy")


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_members_that_expand_without_measure(member: str, parts: Parts, tmp_path: Path) -> None:
    path = written(tmp_path / "x.keras", parts | {member: bytes(300 << 20)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(UnsafeError, match="expand"):
        ivyhub.transpile(path, to="numpy")


def test_sound_files_are_read_deflated_too(parts: Parts, tmp_path: Path, rng: np.random.Generator) -> None:
    path = written(tmp_path / "x.keras", parts, zipfile.ZIP_DEFLATED)
    x = rng.standard_normal((2, 4)).astype(np.float32)
    known = np.asarray(keras.saving.load_model(path)(x))
    # one product of four terms in float32
    assert np.allclose(ivyhub.transpile(path, to="numpy")(x), known, atol=1e-6)


@pytest.mark.parametrize("name", ["a\nos.mkdir('ran')", 'a"""\nos.mkdir("ran")\n"""', "{os.mkdir('ran')}", "a\x1b[2J"])
def test_layers_whose_names_are_programs(
    name: str, parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = json.loads(parts["config.json"])
    config["config"]["name"] = config["config"]["layers"][1]["config"]["name"] = name
    written(tmp_path / "x.keras", parts | {"config.json": json.dumps(config).encode()})
    assert run(["convert", "x.keras", "--to", "numpy", "--out", "out"]) == 1  # TensorFlow has no such names
    assert not steers(capsys.readouterr().err.replace("\n", ""))
    assert [file.name for file in tmp_path.iterdir()] == ["x.keras"]
