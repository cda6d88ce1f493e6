"""Names, tags and aliases: what may be one, and what each stands for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ivyhub.errors import CorruptFileError, UnknownNameError, UnsafeError, UsageError
from ivyhub.registry.manifest import Origin, Version, now
from ivyhub.registry.refs import Label, Move
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


def test_an_alias_moves_a_tag_stays_and_their_past_is_kept(store: Store, versions: list[str]) -> None:
    first, second, third = versions
    store.refs.set("org/model", first, why="pull")
    store.refs.set("org/model", second, why="push")
    store.refs.set("org/model", second, why="again")
    store.refs.tag("org/model", third, "v2")
    store.refs.tag("org/model", third, "v2")
    assert store.refs.resolve("org/model") == store.refs.resolve("org/model:latest") == second
    assert store.refs.resolve("org/model:v2") == third
    assert store.refs.resolve(f"org/model@{first}") == store.refs.resolve(f"org/model@{first[7:17]}") == first
    assert store.refs.labels("org/model") == {"latest": Label(second, "alias"), "v2": Label(third, "tag")}
    assert store.refs.names() == ["org/model"]
    moves = [(change.why, *change.moves) for change in store.refs.log("org/model")]
    assert moves == [
        ("pull", Move("latest", None, Label(first, "alias"))),
        ("push", Move("latest", Label(first, "alias"), Label(second, "alias"))),
        ("tag", Move("v2", None, Label(third, "tag"))),
    ]
    assert store.refs.history("org/model") == [first, second, third]


def test_a_tag_is_never_moved(store: Store, versions: list[str]) -> None:
    store.refs.tag("model", versions[0], "v1")
    store.refs.set("model", versions[0], alias="champion")
    with pytest.raises(UsageError, match="tags do not move"):
        store.refs.tag("model", versions[1], "v1")
    with pytest.raises(UsageError, match="does not move"):
        store.refs.set("model", versions[1], alias="v1", force=True)
    with pytest.raises(UsageError, match="an alias"):
        store.refs.tag("model", versions[0], "champion")
    assert {label.digest for label in store.refs.labels("model").values()} == {versions[0]}


def test_latest_moves_even_where_an_old_registry_has_it_among_the_tags(store: Store, versions: list[str]) -> None:
    first, second, _ = versions
    store.refs.set("net", first)
    with pytest.raises(UsageError, match="pulls and pushes move"):
        store.refs.tag("net", first, "latest")
    folder = store.home / "refs" / "_" / "net"
    (folder / "aliases").rename(folder / "tags")
    store.refs.set("net", second)
    assert store.refs.labels("net") == {"latest": Label(second, "alias")}


def test_a_protected_alias_moves_by_force_alone(store: Store, versions: list[str]) -> None:
    store.refs.set("model", versions[0], alias="champion", protect=True)
    with pytest.raises(UsageError, match="protected") as error:
        store.refs.set("model", versions[1], alias="champion")
    assert "--force" in error.value.hint
    with pytest.raises(UsageError, match="protected"):
        store.refs.remove("model")
    store.refs.set("model", versions[1], alias="champion", force=True)
    assert store.refs.labels("model") == {"champion": Label(versions[1], "alias", protected=True)}
    store.refs.set("model", versions[1], alias="champion", protect=False)
    store.refs.set("model", versions[2], alias="champion")
    assert store.refs.resolve("model:champion") == versions[2]


def test_changes_are_taken_back_one_by_one(store: Store, versions: list[str]) -> None:
    first, second, _ = versions
    store.refs.set("model", first)
    store.refs.tag("model", first, "v1")
    store.refs.set("model", second)
    before = store.refs.labels("model")
    store.refs.remove("model")
    assert store.refs.names() == []
    with pytest.raises(UnknownNameError):
        store.refs.resolve("model")
    assert [move.label for move in store.refs.undo("model").moves] == ["latest", "v1"]
    assert store.refs.labels("model") == before
    store.refs.undo("model")
    assert store.refs.resolve("model") == first
    store.refs.set("model", second)  # a change after an undo is the next to be taken back
    for _ in range(3):
        store.refs.undo("model")
    assert store.refs.labels("model") == {}
    with pytest.raises(UsageError, match="nothing is left"):
        store.refs.undo("model")
    with pytest.raises(UnknownNameError):
        store.refs.undo("never")


def test_a_short_digest_is_one_version_or_refused(store: Store, versions: list[str]) -> None:
    store.refs.set("model", versions[0])
    with pytest.raises(UnknownNameError, match="never a version"):
        store.refs.resolve(f"model@{versions[1][7:20]}")
    for digits in (versions[0][7:14], "0" * 65, "sha256:", "xyzxyzxyz"):
        with pytest.raises(UsageError, match="hexadecimal"):
            store.refs.resolve(f"model@{digits}")


def test_an_alias_follows_its_name(store: Store, versions: list[str]) -> None:
    store.refs.set("org/model", versions[0])
    store.refs.set_alias("mine", "org/model")
    assert store.refs.resolve("mine") == versions[0]
    store.refs.tag("org/model", versions[1], "v2")
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
    store.refs.tag("my-bert", versions[0], "stable")
    store.refs.set("my-bert", versions[0])
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
        store.refs.tag("model", versions[0], name)
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
        store.refs.tag(first, versions[1], "LATEST")
    assert store.refs.names() == [first]


def test_a_log_that_was_cut_off_goes_on(store: Store, versions: list[str]) -> None:
    store.refs.set("model", versions[0])
    store.refs.set("model", versions[1])
    log = store.home / "refs" / "_" / "model" / "log"
    log.write_bytes(log.read_bytes()[:-20])
    store.refs.set("model", versions[2])
    assert [change.moves[0].new for change in store.refs.log("model")] == [
        Label(versions[0], "alias"),
        Label(versions[2], "alias"),
    ]
    assert store.refs.history("model") == versions
    assert store.refs.resolve("model") == versions[2]


def test_a_damaged_ref_says_so(store: Store, versions: list[str]) -> None:
    store.refs.set("model", versions[0])
    (store.home / "refs" / "_" / "model" / "aliases" / "latest").write_text("sha256:../../etc/passwd")
    with pytest.raises(CorruptFileError, match="latest"):
        store.refs.resolve("model")
