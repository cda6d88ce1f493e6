"""Names, tags and aliases: what may be one, and what each stands for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ivyhub.errors import CorruptFileError, UnknownNameError, UnsafeError, UsageError
from ivyhub.registry.manifest import Origin, Version, now
from ivyhub.registry.store import Store


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home)


@pytest.fixture
def versions(store: Store, rng: np.random.Generator) -> list[str]:
    def put(seed: bytes) -> str:
        blob = store.put_bytes(seed)
        return store.put_version(
            Version(
                origin=Origin("memory", "net", None, blob), framework="torch", framework_version="2", ivyhub="0",
                created=now(), licence=None, graph=store.record(blob), config=None, weights={}, files={}, signature={},
            )
        )  # fmt: skip

    return [put(rng.bytes(8)) for _ in range(3)]


def test_a_tag_moves_and_its_past_is_kept(store: Store, versions: list[str]) -> None:
    first, second, third = versions
    store.refs.set("org/model", first, why="pull")
    store.refs.set("org/model", second, why="push")
    store.refs.set("org/model", second, why="again")
    store.refs.set("org/model", third, tag="v2")
    assert store.refs.resolve("org/model") == store.refs.resolve("org/model:latest") == second
    assert store.refs.resolve("org/model:v2") == third
    assert store.refs.resolve(f"org/model@{first}") == first
    assert store.refs.tags("org/model") == {"latest": second, "v2": third}
    assert store.refs.names() == ["org/model"]
    moves = [(entry["tag"], entry["old"], entry["new"], entry["why"]) for entry in store.refs.log("org/model")]
    assert moves == [
        ("latest", None, first, "pull"),
        ("latest", first, second, "push"),
        ("v2", None, third, ""),
    ]
    assert store.refs.history("org/model") == [first, second, third]


def test_an_alias_follows_its_name(store: Store, versions: list[str]) -> None:
    store.refs.set("org/model", versions[0])
    store.refs.set_alias("mine", "org/model")
    assert store.refs.resolve("mine") == versions[0]
    store.refs.set("org/model", versions[1], tag="v2")
    assert store.refs.resolve("mine:v2") == versions[1]
    assert store.refs.aliases() == {"mine": "org/model"}
    assert store.refs.names() == ["org/model"]
    with pytest.raises(UsageError, match="alias"):
        store.refs.set("mine", versions[0])
    with pytest.raises(UnknownNameError):
        store.refs.set_alias("other", "mine")
    with pytest.raises(UsageError):
        store.refs.set_alias("org/model", "org/model")
    store.refs.set("second", versions[2])
    store.refs.set_alias("mine", "second")
    assert store.refs.resolve("mine") == versions[2]


def test_what_is_not_there_names_what_is_close(store: Store, versions: list[str]) -> None:
    store.refs.set("my-bert", versions[0], tag="stable")
    with pytest.raises(UnknownNameError) as error:
        store.refs.resolve("my-bret")
    assert "'my-bert'" in error.value.hint
    with pytest.raises(UnknownNameError) as error:
        store.refs.resolve("my-bert:stabel")
    assert "'stable'" in error.value.hint
    with pytest.raises(UnknownNameError):
        store.refs.resolve(f"my-bert@{versions[1]}")  # a version, but never of this name
    with pytest.raises(UnknownNameError):
        store.refs.set("my-bert", "sha256:" + "0" * 64)


NAMES = ["a", "A1", "org/model", "bert-base_uncased.v2", "1", "a" * 96]
NO_NAMES = ["", "-a", "_", "_/a", ".a", "a/b/c", "a b", "ä", "a" * 97, "a:b@c", "a?", "a*"]
UNSAFE_NAMES = ["..", "../a", "a/..", "a/../b", "/a", "a/", "a\\b", "a\0", "a\nb", "con", "NUL.txt", "org/com1", "a."]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_folder_of_the_registry(store: Store, versions: list[str], name: str) -> None:
    store.refs.set(name, versions[0])
    assert store.refs.names() == [name]
    assert store.refs.resolve(name) == versions[0]


@pytest.mark.parametrize(
    ("name", "error"),
    [*((name, UsageError) for name in NO_NAMES if ":" not in name), *((name, UnsafeError) for name in UNSAFE_NAMES)],
)
def test_what_is_no_name_writes_nothing(
    store: Store, versions: list[str], name: str, error: type[UsageError] | type[UnsafeError]
) -> None:
    with pytest.raises(error):
        store.refs.set(name, versions[0])
    with pytest.raises((UsageError, UnsafeError)):
        store.refs.set("model", versions[0], tag=name)
    with pytest.raises(error):
        store.refs.resolve(name)
    assert not (store.home / "refs").exists()


@pytest.mark.parametrize("reference", ["a:b@c", "a:b:c", "a@b", "a@sha256:0", "a:../b", ":a", "@"])
def test_what_is_no_reference_is_refused(store: Store, versions: list[str], reference: str) -> None:
    store.refs.set("a", versions[0])
    with pytest.raises((UsageError, UnsafeError)):
        store.refs.resolve(reference)


@pytest.mark.parametrize(("first", "second"), [("Bert", "bert"), ("Org/model", "org/other"), ("org/M", "org/m")])
def test_names_that_differ_only_in_case_are_refused(store: Store, versions: list[str], first: str, second: str) -> None:
    store.refs.set(first, versions[0])
    with pytest.raises(UsageError, match="case"):
        store.refs.set(second, versions[1])
    with pytest.raises(UsageError, match="case"):
        store.refs.set(first, versions[1], tag="LATEST")
    assert store.refs.names() == [first]


def test_a_log_that_was_cut_off_goes_on(store: Store, versions: list[str]) -> None:
    store.refs.set("model", versions[0])
    store.refs.set("model", versions[1])
    log = store.home / "refs" / "_" / "model" / "log"
    log.write_bytes(log.read_bytes()[:-20])
    store.refs.set("model", versions[2])
    assert [entry["new"] for entry in store.refs.log("model")] == [versions[0], versions[2]]
    assert store.refs.resolve("model") == versions[2]


def test_a_damaged_ref_says_so(store: Store, versions: list[str]) -> None:
    store.refs.set("model", versions[0])
    (store.home / "refs" / "_" / "model" / "tags" / "latest").write_text("sha256:../../etc/passwd")
    with pytest.raises(CorruptFileError, match="latest"):
        store.refs.resolve("model")
