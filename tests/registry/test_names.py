"""What a name means, and what a folder must hold to be a checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from ivyhub.errors import (
    CheckpointError,
    CorruptFileError,
    IvyhubError,
    OfflineError,
    UnknownNameError,
    UnsafeError,
    UsageError,
)
from ivyhub.registry.names import resolve_source, table
from ivyhub.registry.store import Store


@pytest.fixture
def weights(rng: np.random.Generator) -> bytes:
    return save({"layer.weight": rng.standard_normal((4, 4)).astype("float32")})


@pytest.fixture
def folder(tmp_path: Path, weights: bytes) -> Path:
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "any"}')
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "vocab.txt").write_text("a\nb\n")
    (folder / "train.py").write_text("not a part of the checkpoint")
    return folder


def test_a_folder_by_every_way_to_write_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))
    source = resolve_source(str(folder))
    assert set(source.files) == {"config.json", "model.safetensors", "vocab.txt"}
    assert (source.kind, source.id, source.revision) == ("folder", str(folder), None)
    for name in ("./my-model", "my-model/", f"../{folder.parent.name}/my-model", "~/my-model"):
        assert resolve_source(name, offline=True) == source
    with pytest.raises(UnknownNameError) as error:
        resolve_source("my-model")
    assert "'./my-model'" in error.value.hint
    (folder.parent / "org").mkdir()
    folder.rename(folder.parent / "org" / "model")
    assert resolve_source("org/model").digest == source.digest
    with pytest.raises(OfflineError):
        resolve_source("hf://org/model", offline=True)
    with pytest.raises(UsageError, match="no revisions"):
        resolve_source("org/model", revision="main")


def test_the_digest_is_that_of_the_bytes(folder: Path, rng: np.random.Generator, home: Path) -> None:
    store = Store(home)
    before = resolve_source(str(folder), store=store)
    (folder / "train.py").write_text("changed")
    assert resolve_source(str(folder), store=store) == before
    name = str(rng.choice(list(before.files)))
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[::-1])
    assert resolve_source(str(folder), store=store).digest != before.digest
    (folder / name).write_bytes(data)
    assert resolve_source(str(folder), store=store).digest == resolve_source(str(folder)).digest == before.digest


@pytest.mark.parametrize("alias", sorted(table().aliases))
def test_every_alias_is_a_hub_id(alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", "/nowhere")
    with pytest.raises(OfflineError, match=table().aliases[alias]):
        resolve_source(alias, revision="main", offline=True)


def test_a_package_serves_without_being_imported_and_without_a_network(tmp_path: Path, weights: bytes) -> None:
    (id, package), *_ = table().packages.items()
    folder = tmp_path / package.package / package.folder
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise ImportError('this would import a framework')")
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    script = (
        "import sys; from ivyhub.registry.names import resolve_source\n"
        "source = resolve_source(sys.argv[1]); print(source.kind, source.id, source.folder)\n"
        "assert 'torch' not in sys.modules and 'huggingface_hub' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    for name in (id, next(alias for alias, target in table().aliases.items() if target == id)):
        command = [sys.executable, "-c", script, name]
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert finished.stdout == f"package {id} {folder}\n", finished.stderr


def test_a_misspelt_name_is_told_what_is_close() -> None:
    with pytest.raises(UnknownNameError) as error:
        resolve_source("minilmm")
    assert "'minilm'" in error.value.hint
    with pytest.raises(UnknownNameError) as error:
        resolve_source("my-modle", known=["my-model"])
    assert "'my-model'" in error.value.hint


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", UnknownNameError),
        ("./nowhere", UnknownNameError),
        ("/nowhere", UnknownNameError),
        ("a/b/c", UnknownNameError),
        ("hf://", UnknownNameError),
        ("hf://../../etc", UnknownNameError),
        ("org/..", UnknownNameError),
        ("org/model name", UnknownNameError),
        ("org/mo\ndel", UnknownNameError),
        ("org/model\0", UnsafeError),
        ("org/model@", UsageError),
        ("org/model@../x", UsageError),
        ("org/model@--x", UsageError),
        ("org/model@a@b", UsageError),
    ],
)
def test_what_is_no_name_touches_no_network(name: str, error: type[IvyhubError]) -> None:
    with pytest.raises(error):
        resolve_source(name, offline=False)


def test_two_revisions_are_one_too_many() -> None:
    with pytest.raises(UsageError, match="two revisions"):
        resolve_source("org/model@v1", revision="v2", offline=True)


def shard(folder: Path, weight_map: object) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_shards_are_those_of_the_index(folder: Path) -> None:
    shard(folder, {"layer.weight": "model-00001-of-00001.safetensors"})
    (folder / "other.safetensors").write_bytes(b"")
    source = resolve_source(str(folder))
    assert source.weights == ("model-00001-of-00001.safetensors",)
    assert "model.safetensors.index.json" in source.files
    assert "other.safetensors" not in source.files


@pytest.mark.parametrize(
    ("weight_map", "error"),
    [
        ({"a": "../model.safetensors"}, UnsafeError),
        ({"a": "/etc/model.safetensors"}, UnsafeError),
        ({"a": "pytorch_model.bin"}, UnsafeError),
        ({"a": "model-00002-of-00002.safetensors"}, CheckpointError),
        ({"a": 1}, CorruptFileError),
        (["a"], CorruptFileError),
        (None, CorruptFileError),
    ],
)
def test_an_index_that_lies_is_refused(folder: Path, weight_map: object, error: type[IvyhubError]) -> None:
    shard(folder, weight_map)
    with pytest.raises(error):
        resolve_source(str(folder))


def test_an_index_that_is_cut_off_is_corrupt(folder: Path) -> None:
    shard(folder, {"layer.weight": "model-00001-of-00001.safetensors"})
    index = folder / "model.safetensors.index.json"
    index.write_bytes(index.read_bytes()[:-3])
    with pytest.raises(CorruptFileError):
        resolve_source(str(folder))


def test_what_a_folder_lacks_is_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="safetensors"):
        resolve_source(str(folder))
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(UnsafeError) as error:
        resolve_source(str(folder))
    assert "pytorch_model.bin" in error.value.message
    assert "convert" in error.value.hint
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"config\.json"):
        resolve_source(str(folder))


@pytest.mark.parametrize("name", ["README.md", "tokenizer.json", "config.json"])
def test_a_file_beside_the_weights_is_no_larger_than_memory(folder: Path, name: str) -> None:
    with (folder / name).open("r+b" if (folder / name).exists() else "wb") as file:
        file.truncate(1 << 36)  # takes no room on the disk
    with pytest.raises(CorruptFileError, match=name):
        resolve_source(str(folder))


def test_a_link_must_stay_in_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("private")
    (folder / "tokenizer.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(UnsafeError, match=r"tokenizer\.json"):
        resolve_source(str(folder))
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").symlink_to("vocab.txt")
    assert resolve_source(str(folder)).files["tokenizer.json"] == resolve_source(str(folder)).files["vocab.txt"]


def test_a_snapshot_of_the_hubs_cache_is_a_folder_of_links(folder: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--org--model"
    snapshot = repository / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        (folder / name).rename(repository / "blobs" / name)
        (snapshot / name).symlink_to(f"../../blobs/{name}")
    assert set(resolve_source(str(snapshot)).files) == {"config.json", "model.safetensors", "vocab.txt"}
    (snapshot / "vocab.txt").unlink()
    (snapshot / "vocab.txt").symlink_to(folder / "train.py")
    with pytest.raises(UnsafeError):
        resolve_source(str(snapshot))


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\n---\n# x", "mit"),
        ("---\r\ntags:\r\n- a\r\nlicense: 'apache-2.0'\r\n---\r\n", "apache-2.0"),
        ("# x\nlicense: mit", None),
        ("---\ntags: [a]\n---\nlicense: mit", None),
    ],
)
def test_the_licence_is_what_the_card_says(folder: Path, card: str, licence: str | None) -> None:
    (folder / "README.md").write_bytes(card.encode())
    assert resolve_source(str(folder)).licence == licence
