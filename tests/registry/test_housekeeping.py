"""Collection, sizes and the check of a registry: nothing that is wanted goes, nothing damaged stays unseen."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ivyhub.errors import CorruptFileError, UnknownNameError
from ivyhub.registry.conversion import view
from ivyhub.registry.housekeeping import check, collect, disk_usage
from ivyhub.registry.manifest import ExportRecord, Origin, Version, now
from ivyhub.registry.store import GRACE, Store

Put = Callable[..., str]


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home)


@pytest.fixture
def put(store: Store) -> Put:
    """Puts a version of some files, and an export of it."""

    def make(*contents: bytes) -> str:
        records = [store.record(store.put_bytes(data)) for data in contents]
        digest = store.put_version(
            Version(
                origin=Origin("memory", "net", None, records[0].digest), framework="torch", framework_version="2",
                ivyhub="0", created=now(), licence=None, graph=records[0], config=None,
                weights={f"{i}.safetensors": record for i, record in enumerate(records[1:])}, files={}, signature={},
            )
        )  # fmt: skip
        package = {"modeling.py": store.record(store.put_bytes(b"source of " + contents[0]))}
        store.put_export(ExportRecord(version=digest, target="jax", options={}, created=now(), package=package))
        return digest

    return make


def age(store: Store, seconds: float = GRACE + 60) -> None:
    """Let everything in the store be older."""
    for path in store.home.rglob("*"):
        if path.is_file():
            then = path.stat().st_mtime - seconds
            os.utime(path, (then, then))


def held(store: Store) -> set[str]:
    return {digest for digest, _ in store.blobs()} | {digest for digest, _ in store.manifests()}


def test_what_nothing_names_is_collected_and_what_is_named_stays(
    store: Store, put: Put, rng: np.random.Generator
) -> None:
    shared = rng.bytes(50)
    named, loose = put(b"one", shared, rng.bytes(20)), put(b"two", shared, rng.bytes(30))
    store.refs.set("model", named)
    wanted = {digest for digest in held(store) if digest != loose}
    age(store)
    told = collect(store, dry_run=True)
    assert held(store) == wanted | {loose}
    assert collect(store) == told
    assert told.versions == [loose]
    assert told.size > 33 + len(b"source of two")
    left = held(store)
    assert left < wanted
    version = store.version(named)
    assert {record.digest for record in version.records} < left
    assert store.find_export(named, "jax", {}) is not None
    assert not list(store.export_paths(loose))
    assert check(store).problems == []
    assert collect(store).files == 0


def test_what_was_collected_comes_back_for_a_day(store: Store, put: Put, rng: np.random.Generator) -> None:
    weights = rng.bytes(40)
    digest = put(b"one", weights)
    age(store)
    collect(store)
    assert digest not in held(store)
    assert store.is_whole(digest)
    store.refs.set("model", digest)
    assert store.read(store.version(digest).weights["0.safetensors"].digest) == weights

    store.refs.remove("model")
    age(store, 31 * 86_400)
    assert collect(store, days=0).versions == [digest]
    age(store)
    assert collect(store).deleted > 40
    with pytest.raises(UnknownNameError):
        store.version(digest)


def test_a_change_can_be_undone_whatever_was_collected(store: Store, put: Put, rng: np.random.Generator) -> None:
    first, second = put(b"one", rng.bytes(9)), put(b"two", rng.bytes(9))
    store.refs.set("model", first)
    store.refs.set("model", second)
    store.refs.remove("model")
    age(store)
    assert collect(store).versions == []
    store.refs.undo("model")
    store.refs.undo("model")
    assert store.refs.resolve("model") == first
    assert store.is_whole(first)
    store.refs.remove("model")
    assert set(collect(store, days=0).versions) == {first, second}
    for _ in range(2):
        age(store)
        collect(store, days=0)
    with pytest.raises(CorruptFileError, match="collected"):
        store.refs.undo("model")
    assert store.refs.names() == []


def test_what_a_push_in_flight_has_put_stays(store: Store, put: Put, rng: np.random.Generator) -> None:
    old = rng.bytes(30)
    digest = store.put_bytes(old)
    age(store)
    store.put_bytes(old)  # put again by a push that has no manifest yet
    fresh = store.put_bytes(rng.bytes(30))
    assert collect(store).files == 0
    version = put(rng.bytes(5), old)
    assert collect(store).files == 0
    assert {digest, fresh, version} <= held(store)


PUSHES = """
import os, sys
from pathlib import Path
from ivyhub.registry.manifest import Origin, Version, now
from ivyhub.registry.store import Store

store = Store(Path(sys.argv[1]))
print("ready", flush=True)
for turn in range(60):
    record = store.record(store.put_bytes(b"weights %d" % (turn % 7)))
    digest = store.put_version(Version(
        origin=Origin("memory", "net", None, record.digest), framework="torch", framework_version="2", ivyhub="0",
        created=now(), licence=None, graph=record, config=None, weights={}, files={}, signature={"turn": turn}))
    store.refs.set(f"model-{turn}", digest)
"""


def test_a_collection_beside_pushes_takes_nothing_of_theirs(store: Store, rng: np.random.Generator) -> None:
    for turn in range(7):
        store.put_bytes(b"weights %d" % turn)  # lies there unnamed, and will be used
    age(store)
    with subprocess.Popen([sys.executable, "-c", PUSHES, store.home], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while process.poll() is None:
            collect(store)
            time.sleep(float(rng.uniform(0, 0.02)))
    assert process.returncode == 0
    assert len(store.refs.names()) == 60
    assert all(
        store.is_whole(label.digest) for name in store.refs.names() for label in store.refs.labels(name).values()
    )
    assert check(store).problems == []


def test_sizes_are_told_by_name(store: Store, put: Put, rng: np.random.Generator) -> None:
    shared, own = rng.bytes(1000), rng.bytes(300)
    store.refs.set("a", put(b"one", shared, own))
    store.refs.set("b", put(b"two", shared))
    put(b"six", rng.bytes(70))
    sizes = disk_usage(store)
    assert {usage.name: (usage.size, usage.own) for usage in sizes.names} == {
        "a": (1316, 316),
        "b": (1016, 16),
    }
    assert (sizes.total, sizes.unused, sizes.trash) == (1000 + 316 + 16 + 86, 86, 0)


def test_bit_rot_is_found_told_and_moved_aside(store: Store, put: Put, rng: np.random.Generator) -> None:
    weights = bytearray(rng.bytes(5000))
    digest = put(b"one", bytes(weights))
    store.refs.set("org/model", digest)
    assert check(store).problems == []
    blob = store.version(digest).weights["0.safetensors"].digest
    path = store.path(blob)
    path.chmod(0o644)
    weights[int(rng.integers(5000))] ^= 1 << int(rng.integers(8))
    path.write_bytes(weights)
    report = check(store)
    assert [(problem.kind, problem.what, problem.names) for problem in report.problems] == [
        ("blob", blob, ["org/model:latest"])
    ]
    assert report.blobs == 3
    assert not store.is_whole(digest)
    assert [problem.why for problem in check(store).problems] == ["it is not there"]


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff" * 20])
def test_damaged_records_are_found(store: Store, put: Put, damage: bytes, rng: np.random.Generator) -> None:
    one, two = put(b"one", rng.bytes(5)), put(b"two", rng.bytes(5))
    store.refs.set("one", one)
    store.refs.set("two", two)
    [export] = store.export_paths(one)
    export.write_bytes(damage)
    store.manifest_path(two).write_bytes(damage)
    (store.home / "refs" / "_" / "one" / "tags").mkdir()
    (store.home / "refs" / "_" / "one" / "tags" / "v1").write_bytes(damage)
    kinds = {problem.kind: problem.names for problem in check(store).problems}
    assert kinds == {"export": [], "manifest": ["two:latest"], "label": ["one"]}
    with pytest.raises(CorruptFileError):
        collect(store)
    assert store.is_whole(one)


def test_views_of_live_models_are_made_again(store: Store, put: Put) -> None:
    store.refs.set("model", put(b"graph"))
    export = store.exports(store.refs.resolve("model"))[0]
    folder = view(store, export)
    collect(store)
    assert (folder / "modeling.py").read_bytes() == b"source of graph"
    age(store)
    then = time.time() - GRACE - 60
    os.utime(folder, (then, then))
    assert collect(store).deleted > 0
    assert not folder.exists()
    assert (view(store, export) / "modeling.py").read_bytes() == b"source of graph"
