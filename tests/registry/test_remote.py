"""A checkpoint from a hub, with the real client of the Hub in a process of its own against a hub on the loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from tests.hub_server import Hub, Repository, serve

PULL = """
import json, os, sys
opened = []
sys.addaudithook(lambda event, _: opened.append(event) if event in {"socket.connect", "socket.getaddrinfo"} else None)
from ivyhub.errors import IvyhubError
from ivyhub.registry.names import resolve_source
from ivyhub.registry.store import Store
name, options = json.loads(sys.argv[1])
try:
    source = resolve_source(name, store=Store(), **options)
    result = {"id": source.id, "kind": source.kind, "revision": source.revision, "digest": source.digest,
              "files": {name: (source.folder / name).read_bytes().hex() for name in source.files},
              "weights": list(source.weights), "licence": source.licence}
except IvyhubError as error:
    result = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
print(json.dumps({**result, "sockets": len(opened)}))
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as running:
        yield running


@pytest.fixture
def pull(hub: Hub, home: Path, tmp_path: Path) -> Any:
    def run(name: str, *, environment: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
        finished = subprocess.run(
            [sys.executable, "-c", PULL, json.dumps([name, options])],
            env=hub.environment(tmp_path, **(environment or {})),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout.splitlines()[-1])

    return run


@pytest.fixture
def checkpoint(rng: np.random.Generator) -> dict[str, bytes]:
    weights = save({"layer.weight": rng.standard_normal((64, 64)).astype("float32")})
    return {
        "config.json": json.dumps({"model_type": "any", "n": int(rng.integers(1000))}).encode(),
        "model.safetensors": weights,
        "tokenizer.json": rng.bytes(3000).hex().encode(),
        "1_Pooling/config.json": b"{}",
        "README.md": b"---\nlanguage: en\nlicense: apache-2.0\n---\n# A card\n",
        "pytorch_model.bin": b"a pickle, never fetched",
        "onnx/model.onnx": b"not read",
    }


def test_a_repository_is_fetched_checked_and_recognised(hub: Hub, pull: Any, checkpoint: dict[str, bytes]) -> None:
    hub.repositories["org/model"] = Repository(checkpoint)
    first = pull("org/model")
    wanted = {name for name in checkpoint if not name.endswith((".bin", ".onnx"))}
    assert first["files"] == {name: checkpoint[name].hex() for name in wanted}
    assert first["kind"] == "hub"
    assert first["revision"] == hub.repositories["org/model"].commit
    assert first["licence"] == "apache-2.0"
    assert first["weights"] == ["model.safetensors"]
    assert not any("pytorch_model.bin" in request for request in hub.requests)

    del hub.requests[:]
    assert pull("hf://org/model@main")["digest"] == first["digest"]
    assert not any(request.startswith("GET") and "/resolve/" in request for request in hub.requests)

    hub.repositories["org/model"] = Repository({**checkpoint, "config.json": b'{"model_type": "other"}'})
    changed = pull("org/model")
    assert changed["digest"] != first["digest"]
    assert pull("org/model", revision=first["revision"])["error"] == "UnknownNameError"  # the hub forgot it


def test_shards_named_by_the_index_and_no_others(hub: Hub, pull: Any, checkpoint: dict[str, bytes]) -> None:
    shard = checkpoint.pop("model.safetensors")
    index = {"metadata": {}, "weight_map": {"layer.weight": "model-00001-of-00001.safetensors"}}
    files = {"model-00001-of-00001.safetensors": shard, "model.safetensors.index.json": json.dumps(index).encode()}
    hub.repositories["org/model"] = Repository({**checkpoint, **files, "consolidated.safetensors": shard})
    result = pull("org/model")
    assert result["weights"] == ["model-00001-of-00001.safetensors"]
    assert set(files) <= set(result["files"])
    assert hub.bodies_of("consolidated.safetensors") == 0


def test_a_connection_that_breaks_is_taken_up_again(hub: Hub, pull: Any, checkpoint: dict[str, bytes]) -> None:
    hub.repositories["org/model"] = Repository(checkpoint, stops_at=5000)
    assert pull("org/model")["files"]["model.safetensors"] == checkpoint["model.safetensors"].hex()
    assert hub.bodies_of("model.safetensors") == 2


def test_a_body_that_always_stops_leaves_nothing(
    hub: Hub, pull: Any, checkpoint: dict[str, bytes], tmp_path: Path
) -> None:
    hub.repositories["org/model"] = Repository(checkpoint, stops_at=5000, stops_always=True)
    assert pull("org/model")["error"] == "NetworkError"
    assert not list((tmp_path / "hf").rglob("model.safetensors"))
    hub.repositories["org/model"].stops_at = None
    assert pull("org/model")["weights"] == ["model.safetensors"]


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_other_bytes_than_announced_are_refused_and_forgotten(
    hub: Hub, pull: Any, checkpoint: dict[str, bytes], name: str
) -> None:
    wrong = checkpoint[name][:-1] + bytes([checkpoint[name][-1] ^ 1])
    hub.repositories["org/model"] = Repository(checkpoint, bytes_instead={name: wrong})
    result = pull("org/model")
    assert result["error"] == "CorruptFileError"
    assert name in result["message"]
    hub.repositories["org/model"].bytes_instead = {}
    assert pull("org/model")["files"][name] == checkpoint[name].hex()


@pytest.mark.parametrize(
    ("status", "error"), [(401, "AuthorisationError"), (403, "AuthorisationError"), (500, "NetworkError")]
)
def test_a_refusal_says_what_it_is(hub: Hub, pull: Any, checkpoint: dict[str, bytes], status: int, error: str) -> None:
    hub.repositories["org/model"] = Repository(checkpoint, status=status)
    result = pull("org/model")
    assert result["error"] == error
    assert str(status) in result["message"]
    assert result["hint"]


@pytest.mark.parametrize(
    "listing",
    [
        b"<html>Log in to this network</html>",
        b"[]",
        b"{}",
        b'{"id": "org/model", "sha": "../../../evil", "siblings": [{"rfilename": "config.json"}]}',
    ],
)
def test_an_answer_that_is_no_hubs_is_a_failure_of_the_network(
    hub: Hub, pull: Any, checkpoint: dict[str, bytes], listing: bytes
) -> None:
    hub.repositories["org/model"] = Repository(checkpoint, listing=listing)
    result = pull("org/model")
    assert result["error"] == "NetworkError"
    assert "answered" in result["message"]


def test_what_is_not_there_is_an_unknown_name(hub: Hub, pull: Any, checkpoint: dict[str, bytes]) -> None:
    hub.repositories["org/model"] = Repository(checkpoint)
    assert pull("org/mode")["error"] == "UnknownNameError"
    assert pull("org/model", revision="v9")["error"] == "UnknownNameError"
    assert "'v9'" in pull("org/model@v9")["message"]


@pytest.mark.parametrize(
    "name",
    ["../evil.json", "/etc/evil.json", "a/../../evil.json", "a\\..\\evil.json", "a\0.json", "C:evil.json", "con.json"],
)
def test_a_hostile_file_name_fetches_nothing(
    hub: Hub, pull: Any, checkpoint: dict[str, bytes], name: str, tmp_path: Path
) -> None:
    hub.repositories["org/model"] = Repository({**checkpoint, name: b"evil"})
    assert pull("org/model")["error"] == "UnsafeError"
    assert len(hub.requests) == 1
    assert not list(tmp_path.rglob("evil.json"))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("ETag", '"../../../../../evil"'),
        ("ETag", ".."),
        ("ETag", '"..\\evil"'),
        ("X-Linked-Etag", '"evil:stream"'),
        ("X-Repo-Commit", "../../evil"),
    ],
)
def test_headers_that_lead_out_of_the_cache_are_refused(
    hub: Hub, pull: Any, checkpoint: dict[str, bytes], header: str, value: str, tmp_path: Path
) -> None:
    hub.repositories["org/model"] = Repository(checkpoint, headers={header: value})
    result = pull("org/model")
    assert result["error"] == "UnsafeError"
    assert header in result["message"]
    assert not list(tmp_path.rglob("*evil*"))
    assert not list((tmp_path / "hf").rglob("snapshots/*"))


@pytest.mark.slow
def test_a_body_that_stalls_is_given_up(hub: Hub, pull: Any, checkpoint: dict[str, bytes], tmp_path: Path) -> None:
    hub.repositories["org/model"] = Repository(checkpoint, stops_at=5000, stops_always=True, stalls=4)
    result = pull("org/model", environment={"HF_HUB_DOWNLOAD_TIMEOUT": "1"})
    assert result["error"] == "NetworkError"
    assert not list((tmp_path / "hf").rglob("model.safetensors"))


def test_an_index_that_leaves_its_folder_is_refused(hub: Hub, pull: Any, checkpoint: dict[str, bytes]) -> None:
    del checkpoint["model.safetensors"]
    index = json.dumps({"weight_map": {"layer.weight": "../../other.safetensors"}}).encode()
    hub.repositories["org/model"] = Repository({**checkpoint, "model.safetensors.index.json": index})
    assert pull("org/model")["error"] == "UnsafeError"


def test_only_pickles_is_unsafe(hub: Hub, pull: Any, checkpoint: dict[str, bytes]) -> None:
    del checkpoint["model.safetensors"]
    hub.repositories["org/model"] = Repository(checkpoint)
    result = pull("org/model")
    assert result["error"] == "UnsafeError"
    assert "convert" in result["hint"]
    assert hub.bodies_of("pytorch_model.bin") == 0


@pytest.mark.parametrize("how", [{"offline": True}, {"IVYHUB_OFFLINE": "1"}, {"HF_HUB_OFFLINE": "1"}])
def test_offline_opens_no_socket(hub: Hub, pull: Any, checkpoint: dict[str, bytes], how: dict[str, Any]) -> None:
    hub.repositories["org/model"] = Repository(checkpoint)
    options = {"offline": True} if "offline" in how else {"environment": how}
    refused = pull("org/model", **options)
    assert (refused["error"], refused["sockets"], hub.requests) == ("OfflineError", 0, [])

    fetched = pull("org/model")
    assert fetched["sockets"] > 0
    cached = pull("org/model", **options)
    assert (cached["digest"], cached["sockets"]) == (fetched["digest"], 0)


def test_no_network_says_what_to_do(hub: Hub, pull: Any) -> None:
    closed = {"HF_ENDPOINT": "http://127.0.0.1:9"}  # the discard port, where nothing listens
    result = pull("bert", environment=closed)
    assert result["error"] == "NetworkError"
    assert "google-bert/bert-base-uncased" in result["message"]
    assert "HF_ENDPOINT" in result["hint"]
    with_extra = pull("minilm", revision="main", environment=closed)  # a revision is never served by the package
    assert "ivyhub[demo]" in with_extra["hint"]


@pytest.mark.slow
def test_a_whole_pull_sends_nothing(hub: Hub, bert_folder: Path, home: Path, tmp_path: Path) -> None:
    """Transformers, in whose hands a model is compared, asks no service to convert it and tells nobody of it."""
    files = {path.name: path.read_bytes() for path in bert_folder.iterdir()}
    hub.repositories["org/model"] = Repository(files)
    command = [sys.executable, "-m", "ivyhub", "pull", "org/model", "--framework", "numpy", "--to", "out"]
    done = subprocess.run(command, env=hub.environment(tmp_path), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {request.split()[0] for request in hub.requests} == {"GET", "HEAD"}
    assert all("org/model" in request for request in hub.requests)
