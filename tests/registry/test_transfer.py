"""Models go from one registry to another, whole and checked, through an archive and directly."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ivyhub
from ivyhub.cli import run
from ivyhub.errors import CorruptFileError, OutputExistsError, StorageError, UnknownNameError, UnsafeError, UsageError
from ivyhub.registry import transfer
from ivyhub.registry.housekeeping import check
from ivyhub.registry.store import Store
from ivyhub.registry.transfer import Transfer, open_holding, pack, receive


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A registry with two versions of a model, one of them exported, and another name."""
    store = Store(tmp_path_factory.mktemp("here"))
    torch.manual_seed(0)
    for _ in range(2):
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
        args = {"args": (torch.randn(2, 4),), "dynamic": {"input": {0: "batch"}}}
        ivyhub.push(net, "org/net", **args, verify=False, store=store)  # type: ignore[arg-type]
        if not store.refs.labels("org/net").get("v1"):
            store.refs.tag("org/net", store.refs.resolve("org/net"), "v1")
    store.refs.set("org/net", store.refs.resolve("org/net:v1"), alias="champion", protect=True)
    store.refs.set("other", store.refs.resolve("org/net:v1"))
    ivyhub.registry.api.pull_package("org/net", framework="numpy", to=store.home.parent / "out", store=store)
    return store


@pytest.fixture
def there(tmp_path: Path) -> Store:
    return Store(tmp_path / "there")


@pytest.fixture(params=["archive", "registry"])
def take(request: pytest.FixtureRequest, here: Store, tmp_path: Path) -> Callable[..., Transfer]:
    """Takes models from `here` into a store, in one way or the other."""
    place = here.home
    if request.param == "archive":
        place = tmp_path / "models.ivyhub"
        pack(here, (), place)

    def call(store: Store, *references: str, **options: Any) -> Transfer:
        with open_holding(place) as holding:
            return receive(store, holding, references, **{"exports": True, **options})

    return call


def test_everything_arrives_whole(take: Callable[..., Transfer], here: Store, there: Store, tmp_path: Path) -> None:
    found = take(there)
    assert sorted(found.names) == ["org/net", "other"]
    for name in found.names:
        assert there.refs.labels(name) == here.refs.labels(name)
    digest = there.refs.resolve("org/net")
    assert there.version(digest) == here.version(digest)
    assert there.exports(digest) == here.exports(digest)
    assert there.exports(digest)[0].certificate is not None
    assert check(there).problems == []
    pulled = ivyhub.registry.api.pull_package("org/net", framework="numpy", to=tmp_path / "again", store=there)
    assert pulled.reused
    again = take(there)
    assert (again.files, [change.moves for change in again.names.values()]) == (0, [(), ()])


def test_source_is_not_taken_unless_it_is_asked_for(
    take: Callable[..., Transfer], here: Store, there: Store, tmp_path: Path
) -> None:
    take(there, "org/net", exports=False)
    digest = there.refs.resolve("org/net")
    assert here.exports(digest)
    assert not there.exports(digest)
    source = {each.package["modeling.py"].digest for each in here.exports(digest)}
    assert not any(there.has(each) for each in source)
    pulled = ivyhub.registry.api.pull_package("org/net", framework="numpy", to=tmp_path / "again", store=there)
    assert not pulled.reused


def test_one_label_under_another_name(take: Callable[..., Transfer], here: Store, there: Store) -> None:
    take(there, "org/net:v1", name="mine")
    assert sorted(there.refs.labels("mine")) == ["latest", "v1"]
    assert there.refs.resolve("mine") == here.refs.resolve("org/net:v1")
    assert len(list(there.manifests())) == 1
    with pytest.raises(UsageError, match="expected one model"):
        take(there, name="mine")
    with pytest.raises(UnknownNameError):
        take(there, "org/net:v9")
    with pytest.raises(UnknownNameError):
        take(there, "net")


def test_labels_that_must_not_move_are_refused_before_anything_is_copied(
    take: Callable[..., Transfer], here: Store, there: Store
) -> None:
    take(there, "other", name="org/net")
    first = there.refs.labels("org/net")
    there.refs.tag("org/net", there.refs.resolve("org/net"), "champion")
    blobs = list(there.blobs())
    with pytest.raises(UsageError, match="is a tag here"):
        take(there, "org/net")
    there.refs.remove("org/net", "champion")
    there.refs.set("org/net", there.refs.resolve("org/net"), protect=True)
    with pytest.raises(UsageError, match="protected"):
        take(there, "org/net")
    assert list(there.blobs()) == blobs
    planned = take(there, "org/net", force=True, dry_run=True)
    assert list(there.blobs()) == blobs
    assert planned.files > 0
    take(there, "org/net", force=True)
    assert there.refs.resolve("org/net") == here.refs.resolve("org/net") != first["latest"].digest
    there.refs.undo("org/net")
    assert there.refs.resolve("org/net") == first["latest"].digest


def test_the_same_models_give_the_same_archive(here: Store, tmp_path: Path) -> None:
    pack(here, ("other", "org/net"), tmp_path / "a")
    pack(here, ("org/net", "other"), tmp_path / "b")
    with zipfile.ZipFile(tmp_path / "a") as archive:
        assert archive.testzip() is None
    first = (tmp_path / "a").read_bytes()
    assert first == (tmp_path / "b").read_bytes()
    with pytest.raises(OutputExistsError):
        pack(here, ("other",), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == first
    pack(here, ("other",), tmp_path / "a", force=True)
    assert (tmp_path / "a").read_bytes() != first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def rewritten(path: Path, change: Callable[[dict[str, bytes]], Any], **options: Any) -> None:
    """Write an archive again with other members."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    more = change(members) or []
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in [*members.items(), *more]:
            archive.writestr(name, data)


def _first(members: dict[str, bytes], folder: str) -> str:
    return max((name for name in members if name.startswith(folder)), key=lambda name: len(members[name]))


def _catalogue(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def call(members: dict[str, bytes]) -> None:
        found = json.loads(members["ivyhub.json"])
        change(found)
        members["ivyhub.json"] = json.dumps(found, sort_keys=True, separators=(",", ":")).encode()

    return call


def _flip(folder: str) -> Callable[[dict[str, bytes]], None]:
    def call(members: dict[str, bytes]) -> None:
        name = _first(members, folder)
        members[name] = bytes([members[name][0] ^ 1]) + members[name][1:]

    return call


HOSTILE: dict[str, tuple[Callable[[dict[str, bytes]], Any], type[Exception]]] = {
    "a blob has other bytes": (_flip("blobs/"), CorruptFileError),
    "a manifest has other bytes": (_flip("manifests/"), CorruptFileError),
    "an export record has other bytes": (_flip("exports/"), CorruptFileError),
    "a blob grew": (lambda m: m.update({(n := _first(m, "blobs/")): m[n] + bytes(1 << 20)}), CorruptFileError),
    "a blob is gone": (lambda m: m.pop(_first(m, "blobs/")) and None, CorruptFileError),
    "a manifest is gone": (lambda m: m.pop(_first(m, "manifests/")) and None, CorruptFileError),
    "no catalogue": (lambda m: m.pop("ivyhub.json") and None, CorruptFileError),
    "two catalogues": (lambda m: [("ivyhub.json", m["ivyhub.json"])], CorruptFileError),
    "a space in the catalogue": (lambda m: m.update({"ivyhub.json": m["ivyhub.json"] + b" "}), CorruptFileError),
    "a deep catalogue": (lambda m: m.update({"ivyhub.json": b'{"names":' + b"[" * 100_000}), CorruptFileError),
    "a name that leaves": (_catalogue(lambda c: c["names"].update({"../x": c["names"]["other"]})), UnsafeError),
    "a label that leaves": (
        _catalogue(lambda c: c["names"]["other"].update({"../x": c["names"]["other"]["latest"]})),
        UnsafeError,
    ),
    "an export key that leaves": (
        _catalogue(lambda c: c["exports"].update({next(iter(c["exports"])): ["../../../../etc/passwd"]})),
        UsageError,
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused(case: str, here: Store, there: Store, tmp_path: Path) -> None:
    change, error = HOSTILE[case]
    path = tmp_path / "models.ivyhub"
    pack(here, (), path)
    with pytest.warns(UserWarning, match="Duplicate") if case == "two catalogues" else np.errstate():
        rewritten(path, change)
    before = {each.relative_to(tmp_path) for each in tmp_path.rglob("*")}
    with pytest.raises(error), open_holding(path) as holding:
        receive(there, holding, exports=True)
    assert there.refs.names() == []
    assert list(there.manifests()) == []
    assert all(there.read(digest) is not None for digest, _ in there.blobs())
    outside = {each.relative_to(tmp_path) for each in tmp_path.rglob("*") if there.home not in (each, *each.parents)}
    assert outside == before


def test_a_bomb_is_not_unpacked(here: Store, there: Store, tmp_path: Path) -> None:
    path = tmp_path / "models.ivyhub"
    pack(here, (), path)
    bomb = bytes(1 << 26)
    rewritten(path, lambda m: m.update({_first(m, "blobs/"): bomb}), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CorruptFileError, match="more than"), open_holding(path) as holding:
        receive(there, holding, exports=True)
    assert all(blob.stat().st_size < 1 << 20 for _, blob in there.blobs())


def test_an_archive_that_is_cut_off_is_none(here: Store, there: Store, tmp_path: Path) -> None:
    path = tmp_path / "models.ivyhub"
    pack(here, (), path)
    data = path.read_bytes()
    for length in np.random.default_rng(0).integers(0, len(data), 20):
        path.write_bytes(data[:length])
        with pytest.raises(CorruptFileError), open_holding(path) as holding:
            receive(there, holding, exports=True)
    assert there.refs.names() == []


def test_too_little_room_is_told_before_anything_is_written(
    here: Store, there: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = transfer.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(StorageError, match="free space"), open_holding(here.home) as holding:
        receive(there, holding, exports=True)
    assert list(there.blobs()) == []


def test_through_the_command_line(
    here: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IVYHUB_HOME", str(here.home))
    assert run(["export", "org/net:v1", "--to", str(tmp_path / "net.ivyhub")]) == 0
    monkeypatch.setenv("IVYHUB_HOME", str(tmp_path / "there"))
    assert run(["import", str(tmp_path / "net.ivyhub"), "--as", "mine", "--quiet"]) == 0
    capsys.readouterr()
    assert run(["list", "--json"]) == 0
    [model] = json.loads(capsys.readouterr().out)
    assert (model["name"], model["tags"]) == ("mine", ["latest", "v1"])
    assert run(["import", str(tmp_path / "none")]) == 2
    assert "`ivyhub export` writes archives" in capsys.readouterr().err
