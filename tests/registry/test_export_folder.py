"""An export's folder is there in full, or as it was before."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ivyhub.errors import CorruptFileError, OutputExistsError, UnsafeError, UsageError
from ivyhub.registry.export_folder import check_destination, materialise
from ivyhub.registry.manifest import ExportRecord, FileRecord, encode, now
from ivyhub.registry.store import Store


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home)


@pytest.fixture
def package(rng: np.random.Generator) -> dict[str, bytes]:
    return {"modeling.py": b"import numpy", "model.safetensors": rng.bytes(1_000_000), "1_Pooling/config.json": b"{}"}


@pytest.fixture
def export(store: Store, package: dict[str, bytes]) -> ExportRecord:
    files = {name: store.record(store.put_bytes(data)) for name, data in package.items()}
    return ExportRecord(version="sha256:" + "0" * 64, target="jax", options={}, created=now(), package=files)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "no parent"])
def test_the_whole_package_and_nothing_else(
    store: Store, export: ExportRecord, package: dict[str, bytes], tmp_path: Path, there: str
) -> None:
    destination = tmp_path / "a" / "b" if there == "no parent" else tmp_path / "out"
    if there == "an empty folder":
        destination.mkdir()
    assert materialise(store, export, destination) == destination
    assert content(destination) == package
    assert [path.name for path in destination.parent.iterdir()] == [destination.name]


def test_it_is_the_users_to_change(
    store: Store, export: ExportRecord, package: dict[str, bytes], tmp_path: Path
) -> None:
    folder = materialise(store, export, tmp_path / "out")
    (folder / "model.safetensors").write_bytes(b"fine-tuned")
    for file in export.package.values():
        store.verify(file.digest)
    assert content(materialise(store, export, tmp_path / "again")) == package


def test_a_folder_with_something_in_it_is_kept_unless_forced(
    store: Store, export: ExportRecord, package: dict[str, bytes], tmp_path: Path
) -> None:
    destination = tmp_path / "out"
    destination.mkdir()
    (destination / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="not empty") as error:
        materialise(store, export, destination)
    assert "--force" in error.value.hint
    assert content(destination) == {"mine.txt": b"mine"}
    materialise(store, export, destination, force=True)
    assert content(destination) == package
    assert list(tmp_path.iterdir()) == [destination]


def test_a_failure_keeps_the_old_folder(store: Store, export: ExportRecord, tmp_path: Path) -> None:
    destination = tmp_path / "out"
    destination.mkdir()
    (destination / "mine.txt").write_text("mine")
    store.path(export.package["model.safetensors"].digest).unlink()
    with pytest.raises(CorruptFileError):
        materialise(store, export, destination, force=True)
    assert content(destination) == {"mine.txt": b"mine"}
    assert list(tmp_path.iterdir()) == [destination]


def test_what_must_not_be_replaced(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    store.put_bytes(b"so that the registry is not empty")
    for folder in (tmp_path, Path("/"), Path.home(), store.home, store.home.parent):
        if any(folder.iterdir()):
            with pytest.raises(UsageError, match="refused to replace"):
                check_destination(store, folder, force=True)
    with pytest.raises(UsageError, match="refused to replace"):
        check_destination(store, Path("."), force=False)  # empty, but a shell stands in it
    (tmp_path / "file").write_text("a file")
    with pytest.raises(OutputExistsError, match="is a file"):
        check_destination(store, tmp_path / "file", force=True)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_a_package_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(UnsafeError):
        ExportRecord(
            version="sha256:" + "0" * 64,
            target="jax",
            options={},
            created=now(),
            package={name: FileRecord("sha256:" + "0" * 64, 0)},
        )


MATERIALISES = """
import resource, sys
from pathlib import Path
from ivyhub.errors import StorageError
from ivyhub.registry.export_folder import materialise
from ivyhub.registry.manifest import ExportRecord, decode
from ivyhub.registry.store import Store

home, record, destination, limit = sys.argv[1:]
export = decode(Path(record).read_bytes(), ExportRecord, where="the record")
if limit != "none":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    materialise(Store(Path(home)), export, Path(destination), force=True)
except StorageError as error:
    print(error.hint)
"""


def run(store: Store, export: ExportRecord, destination: Path, limit: str = "none") -> subprocess.Popen[str]:
    record = store.home / "record"
    record.write_bytes(encode(export))
    arguments = [str(store.home), str(record), str(destination), limit]
    return subprocess.Popen([sys.executable, "-c", MATERIALISES, *arguments], stdout=subprocess.PIPE, text=True)


def test_a_full_disk_leaves_nothing(store: Store, export: ExportRecord, tmp_path: Path) -> None:
    out, _ = run(store, export, tmp_path / "out", limit="300000").communicate(timeout=60)
    assert "space" in out
    assert list(tmp_path.iterdir()) == []


def test_a_process_killed_on_its_way_leaves_the_old_folder_and_the_next_tidies_up(
    store: Store, export: ExportRecord, package: dict[str, bytes], tmp_path: Path
) -> None:
    many = {f"part-{number}": export.package["model.safetensors"] for number in range(2000)}
    large = ExportRecord(version=export.version, target="jax", options={}, created=now(), package=many)
    destination = tmp_path / "out"
    destination.mkdir()
    (destination / "mine.txt").write_text("mine")
    process = run(store, large, destination)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".out.ivyhub-new-*/part-1")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert content(destination) == {"mine.txt": b"mine"}
    assert len(list(tmp_path.iterdir())) == 2

    materialise(store, export, destination, force=True)
    assert content(destination) == package
    assert list(tmp_path.iterdir()) == [destination]


def test_a_process_killed_between_its_two_renames_is_undone(store: Store, export: ExportRecord, tmp_path: Path) -> None:
    aside = tmp_path / ".out.ivyhub-old"
    aside.mkdir()
    (aside / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError):
        materialise(store, export, tmp_path / "out")
    assert content(tmp_path / "out") == {"mine.txt": b"mine"}
    assert not aside.exists()
