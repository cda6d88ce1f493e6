"""Tensors that versions have in common are kept once, and nobody who reads them sees a difference."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from ivyhub.errors import CorruptFileError
from ivyhub.registry import transfer
from ivyhub.registry.housekeeping import check, collect, disk_usage
from ivyhub.registry.manifest import FileRecord, Origin, Version, now
from ivyhub.registry.sharing import LEAST, SMALLEST
from ivyhub.registry.store import GRACE, Store
from ivyhub.registry.versions import open_weights

Put = Callable[..., str]
Tensors = dict[str, np.ndarray]


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home)


@pytest.fixture
def base(rng: np.random.Generator) -> Tensors:
    shapes = {"embed": (700, 256), "one": (512, 512), "bias": (256,), "two": (512, 512), "head": (256, 300)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def put(store: Store, tensors: Tensors, name: str = "") -> str:
    """A version with these weights."""
    graph = store.record(store.put_bytes(b"{}" + os.urandom(8)))
    digest = store.put_version(
        Version(
            origin=Origin("memory", "net", None, graph.digest), framework="torch", framework_version="2", ivyhub="0",
            created=now(), licence=None, graph=graph, config=None, files={}, signature={},
            weights={"model.safetensors": store.record(store.put_bytes(save(tensors)))},
        )
    )  # fmt: skip
    if name:
        store.refs.set(name, digest, why="push")
    return digest


def weights_of(store: Store, digest: str) -> FileRecord:
    return store.version(digest).weights["model.safetensors"]


def size_of(path: Path) -> int:
    return path.stat().st_size


def bytes_held(store: Store) -> int:
    return sum(size_of(path) for _, path in store.blobs())


def tuned(tensors: Tensors, *names: str) -> Tensors:
    """The same weights, of which some changed."""
    return {name: array + 1 if name in names else array for name, array in tensors.items()}


def check_weights(store: Store, digest: str, expected: Tensors, folder: Path) -> None:
    """Whoever reads, copies or checks the weights has the bytes that were put."""
    record, data = weights_of(store, digest), save(expected)
    assert record.size == len(data)
    store.verify(record.digest)
    assert store.read(record.digest) == data
    path = folder / digest.removeprefix("sha256:")
    store.copy_out(record, path)
    assert path.read_bytes() == data
    path.unlink()
    with open_weights(store, store.version(digest)) as checkpoint:
        assert {*checkpoint} == {*expected}
        for name, array in expected.items():
            np.testing.assert_array_equal(checkpoint.read(name), array)


def test_only_what_changed_is_kept_again(store: Store, base: Tensors, tmp_path: Path) -> None:
    first, before = put(store, base), bytes_held(store)
    changes = [("head",), ("bias", "one"), ("head", "two"), ("embed",)]
    for names in changes:
        second = tuned(base, *names)
        held = bytes_held(store)
        digest = put(store, second)
        assert bytes_held(store) - held <= sum(second[name].nbytes for name in names) + 4 * SMALLEST
        check_weights(store, digest, second, tmp_path)
    check_weights(store, first, base, tmp_path)
    assert bytes_held(store) < 2.5 * before
    assert check(store).problems == []


def test_a_tensor_is_found_under_another_name_and_in_what_another_version_changed(
    store: Store, base: Tensors, tmp_path: Path
) -> None:
    put(store, base)
    second = tuned(base, "embed")
    put(store, second)
    held = bytes_held(store)
    third = {"encoder.table": second["embed"], "encoder.first": base["one"], "encoder.new": base["head"] - 1}
    digest = put(store, third)
    assert bytes_held(store) - held <= base["head"].nbytes + 4 * SMALLEST
    check_weights(store, digest, third, tmp_path)


def test_tensors_that_only_look_alike_are_kept_apart(store: Store, tmp_path: Path, rng: np.random.Generator) -> None:
    table = np.zeros((1024, 1024), np.float32)
    put(store, {"table": table})
    other = table.copy()
    other[300, 7] = 1  # between the samples that a mark is made of
    held = bytes_held(store)
    digest = put(store, {"table": other})
    assert bytes_held(store) - held >= table.nbytes
    check_weights(store, digest, {"table": other}, tmp_path)


def test_weights_with_little_in_common_and_equal_ones_stay_whole(store: Store, base: Tensors) -> None:
    first = put(store, base)
    small = {"table": base["head"], "new": base["embed"] + 2}
    assert base["head"].nbytes < LEAST
    for tensors in (base, small):
        digest = put(store, tensors)
        assert len(store.places(weights_of(store, digest).digest)) == 1
    assert weights_of(store, first) == weights_of(store, put(store, base))
    assert not list(store.pieces())


def test_what_others_lean_on_is_kept_whole(store: Store, base: Tensors, tmp_path: Path) -> None:
    first = put(store, base)
    second, third = tuned(base, "one"), {**tuned(base, "head"), "more": base["two"] * 2}
    versions = {first: base, put(store, second): second, put(store, third): third}
    store.put_version(store.version(first))  # again, when others have its tensors too
    for digest, tensors in versions.items():
        check_weights(store, digest, tensors, tmp_path)


def age(store: Store) -> None:
    then = time.time() - GRACE - 60
    for path in store.home.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def test_a_collection_keeps_what_pieces_need_and_takes_them_with_their_version(
    store: Store, base: Tensors, tmp_path: Path
) -> None:
    first, second = put(store, base), put(store, tuned(base, "head"), "net")
    assert len(store.places(weights_of(store, second).digest)) > 1
    size = disk_usage(store).total
    age(store)
    assert collect(store).versions == [first]  # not its weights, on which the others lean
    check_weights(store, second, tuned(base, "head"), tmp_path)
    assert bytes_held(store) > size - 100
    store.refs.remove("net")
    age(store)
    assert collect(store, days=0).versions == [second]
    assert bytes_held(store) == 0
    assert not list(store.pieces())
    store.put_version(store.version(second))  # asked for again, it comes back from the trash
    check_weights(store, second, tuned(base, "head"), tmp_path)


@pytest.mark.parametrize("damaged", ["the base", "the rest", "the list"])
@pytest.mark.parametrize("finds", ["check", "read"])
def test_damage_is_found_and_healed(store: Store, base: Tensors, tmp_path: Path, damaged: str, finds: str) -> None:
    second = tuned(base, "head")
    digests = {put(store, base, "one"): base, put(store, second, "two"): second}
    digest = [*digests][1]
    rest_path, base_path = sorted({place.path for place in store.places(weights_of(store, digest).digest)}, key=size_of)
    [(_, listed)] = store.pieces()
    path = {"the base": base_path, "the rest": rest_path, "the list": listed}[damaged]
    data = bytearray(path.read_bytes())
    position = data.index(b'"offset":') + 9 if damaged == "the list" else len(data) - 9
    data[position] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    if finds == "check":
        assert {name for problem in check(store).problems for name in problem.names} >= {"two:latest"}
    else:
        with pytest.raises(CorruptFileError):
            store.read(weights_of(store, digest).digest)
    for name, tensors in zip(("one", "two"), (base, second), strict=True):
        put(store, tensors, name)
    for digest, tensors in digests.items():
        check_weights(store, digest, tensors, tmp_path)
    assert check(store).problems == []


def test_versions_in_pieces_go_to_another_registry(store: Store, base: Tensors, tmp_path: Path) -> None:
    second = tuned(base, "head")
    digests = {put(store, base, "one"): base, put(store, second, "two"): second}
    transfer.pack(store, (), tmp_path / "models.ivyhub")
    for place in (store.home, tmp_path / "models.ivyhub"):
        there = Store(tmp_path / f"there-{place.name}")
        with transfer.open_holding(place) as holding:
            transfer.receive(there, holding, ())
        for digest, tensors in digests.items():
            check_weights(there, digest, tensors, tmp_path)
        assert bytes_held(there) < 1.5 * len(save(base))


def test_an_index_that_is_gone_is_made_again(store: Store, base: Tensors, tmp_path: Path) -> None:
    put(store, base)
    (store.home / "index.db").unlink()
    digest = put(Store(store.home), tuned(base, "head"))
    assert len(store.places(weights_of(store, digest).digest)) > 1
    check_weights(store, digest, tuned(base, "head"), tmp_path)
