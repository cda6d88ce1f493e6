"""The store: what it keeps, what it keeps after a crash, and what it says when it cannot."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ivyhub.errors import CorruptFileError, IvyhubError, StorageError, UnknownNameError, UnsafeError, UsageError
from ivyhub.registry.manifest import ExportRecord, FileRecord, Origin, Parent, Version, decode, encode, now
from ivyhub.registry.store import Store


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home / "store")


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def put_version(store: Store, seed: bytes, *, origin: str = "org/model") -> str:
    """A version whose every byte is made from the seed."""
    graph, weights = (store.record(store.put_bytes(part + seed)) for part in (b"graph", b"weights"))
    return store.put_version(
        Version(
            origin=Origin("hub", origin, None, digest_of(seed)),
            framework="torch",
            framework_version="2.13.0",
            ivyhub="0.1.0",
            created=now(),
            licence="apache-2.0",
            graph=graph,
            config=None,
            weights={"model.safetensors": weights},
            files={},
            signature={"inputs": ["input_ids"], "outputs": ["last_hidden_state"]},
        )
    )


def leftovers(store: Store) -> list[Path]:
    """Files in the store's temporary folder, less the locks of live processes."""
    return [path for path in (store.home / "tmp").rglob("*") if path.is_file() and path.suffix != ".lock"]


def python(script: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


# Blobs


@pytest.mark.parametrize("how", ["bytes", "stream", "copy", "move"])
@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 7])
def test_bytes_come_back_under_their_digest(
    store: Store, rng: np.random.Generator, tmp_path: Path, how: str, size: int
) -> None:
    data = rng.bytes(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    put: dict[str, Callable[[], str]] = {
        "bytes": lambda: store.put_bytes(data),
        "stream": lambda: store.put_stream(data[start : start + 1000] for start in range(0, size, 1000)),
        "copy": lambda: store.put_file(path),
        "move": lambda: store.put_file(path, move=True),
    }
    assert not store.has(digest_of(data))
    digest = put[how]()
    assert digest == digest_of(data)
    assert path.exists() == (how != "move")
    with store.open(digest, verify=True) as file:
        assert file.read() == data
    assert stat.S_IMODE(store.path(digest).stat().st_mode) == 0o444
    assert stat.S_IMODE(store.home.stat().st_mode) == 0o700
    assert store.record(digest) == FileRecord(digest, size)
    assert leftovers(store) == []


def test_a_copy_out_is_a_file_of_its_own(store: Store, rng: np.random.Generator, tmp_path: Path) -> None:
    data = rng.bytes(5000)
    digest = store.put_bytes(data)
    store.copy_out(store.record(digest), tmp_path / "copy")
    with (tmp_path / "copy").open("r+b") as file:
        file.write(b"changed by its owner")
    store.verify(digest)
    with pytest.raises(StorageError, match="exists"):
        store.copy_out(store.record(digest), tmp_path / "copy")


@pytest.mark.parametrize("kind", ["hard", "symbolic"])
def test_a_link_to_the_users_file_never_becomes_a_blob(
    store: Store, rng: np.random.Generator, tmp_path: Path, kind: str
) -> None:
    data = rng.bytes(1000)
    (tmp_path / "theirs").write_bytes(data)
    link = tmp_path / "link"
    link.hardlink_to(tmp_path / "theirs") if kind == "hard" else link.symlink_to("theirs")
    digest = store.put_file(link, move=True)
    assert not link.exists()
    (tmp_path / "theirs").write_bytes(b"changed by its owner")
    store.verify(digest)
    assert not store.path(digest).is_symlink()


def test_a_blob_with_other_bytes_is_found_moved_aside_and_healed(store: Store, rng: np.random.Generator) -> None:
    data = rng.bytes(1000)
    digest = store.put_bytes(data)
    path = store.path(digest)
    path.chmod(0o644)
    position = int(rng.integers(len(data)))
    path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
    with pytest.raises(CorruptFileError, match="quarantine"):
        store.open(digest, verify=True)
    assert not store.has(digest)
    assert len(list((store.home / "quarantine").iterdir())) == 1
    assert store.put_bytes(data) == digest
    store.verify(digest)


def test_a_shorter_blob_is_found_without_reading_it(store: Store, rng: np.random.Generator, tmp_path: Path) -> None:
    file = store.record(store.put_bytes(rng.bytes(1000)))
    store.path(file.digest).chmod(0o644)
    os.truncate(store.path(file.digest), 999)
    with pytest.raises(CorruptFileError):
        store.copy_out(file, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_an_unchanged_file_is_read_once_and_a_changed_one_is_noticed(
    store: Store, rng: np.random.Generator, tmp_path: Path
) -> None:
    path = tmp_path / "weights"
    data = rng.bytes(1000)
    path.write_bytes(data)
    times = path.stat()
    reads: list[str] = []
    hook_on = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if hook_on and event == "open" and str(arguments[0]) == str(path):
            reads.append(event)

    sys.addaudithook(hook)
    time.sleep(2.1)  # until then the clock's tick could hide a second change, so nothing is remembered
    assert store.digest_of(path) == digest_of(data)
    store.put_file(path)
    count = len(reads)
    assert [store.digest_of(path), store.put_file(path), Store(store.home).digest_of(path)] == [digest_of(data)] * 3
    assert len(reads) == count

    changed = data[::-1]  # the same size, and the old time of change put back
    path.write_bytes(changed)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert store.digest_of(path) == store.put_file(path) == digest_of(changed)
    hook_on = False


def test_an_error_of_the_source_is_not_the_stores(store: Store) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"some"
        raise ConnectionError("the server went away")

    with pytest.raises(ConnectionError):
        store.put_stream(chunks())
    assert leftovers(store) == []


# Crashes, and two processes at once

DIES_WHILE_PUTTING = """
import sys, time
from pathlib import Path
from ivyhub.registry.store import Store

def chunks():
    yield b"x" * 3_000_000
    print("half", flush=True)
    time.sleep(60)

Store(Path(sys.argv[1])).put_stream(chunks())
"""


def test_a_process_killed_while_putting_leaves_nothing_for_long(store: Store) -> None:
    process = python(DIES_WHILE_PUTTING, store.home)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    assert len(leftovers(store)) == 1
    Store(store.home).put_bytes(b"a live process is left alone")
    assert len(leftovers(store)) == 1
    process.kill()
    process.communicate()
    Store(store.home).put_bytes(b"the next writer tidies up")
    assert leftovers(store) == []
    assert len(list((store.home / "blobs").rglob("*/*/*"))) == 2


MOVES_A_REF_FOREVER = """
import sys
from pathlib import Path
from ivyhub.registry.store import Store

store = Store(Path(sys.argv[1]))
for turn in range(100_000):
    store.refs.set("model", sys.argv[2 + turn % 2])
    print(turn, flush=True)
"""


def test_a_process_killed_while_moving_a_ref_leaves_the_old_or_the_new(store: Store, rng: np.random.Generator) -> None:
    versions = [put_version(store, rng.bytes(8)) for _ in range(2)]
    for _ in range(5):
        process = python(MOVES_A_REF_FOREVER, store.home, *versions)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(float(rng.uniform(0, 0.05)))
        process.kill()
        process.communicate()
        assert store.refs.resolve("model") in versions
        assert set(store.refs.history("model")) <= set(versions)
    third = put_version(store, b"third")
    store.refs.set("model", third)
    assert store.refs.resolve("model") == third
    Store(store.home).put_bytes(b"the next writer tidies up")
    assert leftovers(store) == []


WORKS_ONCE = """
import sys, time
from pathlib import Path
from ivyhub.registry.store import Store

home, log, turn = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
store = Store(home)
print("ready", flush=True)
sys.stdin.readline()
with store.lock("pull org/model"):
    data = b"what both want" * 500_000
    if not log.exists():
        time.sleep(0.3)
        log.write_text(turn)
store.put_bytes(data)
"""


def test_two_processes_that_want_one_thing_do_its_work_once(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "log"
    pair = [python(WORKS_ONCE, store.home, log, turn, stdin=subprocess.PIPE) for turn in range(2)]
    for process in pair:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in pair:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in pair:
        finish(process)
    assert log.read_text() in ("0", "1")
    store.verify(digest_of(b"what both want" * 500_000))
    Store(store.home).put_bytes(b"tidy")
    assert leftovers(store) == []


def test_a_lock_that_another_holds_is_an_error_after_its_time(store: Store) -> None:
    with store.lock("pull org/model"):
        with pytest.raises(StorageError, match="pull org/model"), Store(store.home).lock("pull org/model", timeout=0):
            pass
        with store.lock("pull another"):
            pass
    with store.lock("pull org/model", timeout=0):
        pass


# Disks that refuse

FILLS_THE_DISK = """
import resource, sys
from pathlib import Path
from ivyhub.errors import StorageError
from ivyhub.registry.store import Store

store = Store(Path(sys.argv[1]))
store.put_bytes(b"small")
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
file = Path(sys.argv[2])
for put in (lambda: store.put_bytes(b"x" * 1_000_000), lambda: store.put_file(file)):
    try:
        put()
    except StorageError as error:
        print(error.hint)
"""


def test_a_full_disk_is_told_and_leaves_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"y" * 1_000_000)
    told = finish(python(FILLS_THE_DISK, store.home, tmp_path / "file")).splitlines()
    assert len(told) == 2
    assert all("space" in line for line in told)
    assert leftovers(store) == []
    assert [path.stat().st_size for path in (store.home / "blobs").rglob("*/*/*")] == [5]


READS_ONLY = """
import os, sys
from pathlib import Path
import filelock  # while this user may still read the environment
from ivyhub.errors import StorageError
from ivyhub.registry.store import Store

if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)  # the superuser may write anywhere
store = Store(Path(sys.argv[1]))
entry, = store.list()
version = store.version(store.refs.resolve("model"))
print(entry.name, version.origin.id, store.read(version.graph.digest).decode())
for write in (lambda: store.put_bytes(b"new"), lambda: store.refs.set("other", entry.digest)):
    try:
        write()
    except StorageError as error:
        print(error.hint)
"""


def test_a_read_only_registry_reads_and_says_why_it_does_not_write() -> None:
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    try:
        store = Store(folder / "store")
        store.refs.set("model", put_version(store, b"seed"))
        folder.chmod(0o755)
        for path in (store.home, *(path for path in store.home.rglob("*") if path.is_dir())):
            path.chmod(0o555)
        said = finish(python(READS_ONLY, store.home)).splitlines()
        assert said[0] == "model org/model graphseed"
        assert len(said) == 3
        assert all("IVYHUB_HOME" in line for line in said[1:])
    finally:
        for path in (folder, *folder.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        shutil.rmtree(folder)


def test_reading_creates_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "nowhere")
    assert store.list() == []
    assert store.find_version(digest_of(b"")) is None
    assert not store.has(digest_of(b""))
    with pytest.raises(UnknownNameError):
        store.refs.resolve("model")
    assert not store.home.exists()


# Versions, exports, and the index


def test_versions_are_listed_and_found(store: Store) -> None:
    first, second = put_version(store, b"one"), put_version(store, b"two", origin="org/other")
    store.refs.set("model", first)
    store.refs.tag("model", second, "v2")
    assert [(entry.name, entry.label, entry.digest, entry.origin) for entry in store.list()] == [
        ("model", "latest", first, "org/model"),
        ("model", "v2", second, "org/other"),
    ]
    assert all(entry.size == store.version(entry.digest).size == 18 for entry in store.list())
    assert store.find_version(digest_of(b"two")) == second
    assert store.find_version(digest_of(b"two"), origin="org/model") is None
    assert store.find_version(digest_of(b"two"), origin="org/other", ivyhub="0.1.0") == second
    assert store.find_version(digest_of(b"two"), ivyhub="0.2.0") is None


@pytest.mark.parametrize("damage", ["deleted", "garbage", "truncated", "behind", "ahead"])
def test_the_index_is_only_a_cache(store: Store, rng: np.random.Generator, damage: str) -> None:
    for seed in (b"one", b"two"):
        store.refs.set(seed.decode(), put_version(store, seed))
    before = store.list()
    index = store.home / "index.db"
    if damage == "deleted":
        index.unlink()
    elif damage == "garbage":
        index.write_bytes(rng.bytes(8192))
    elif damage == "truncated":
        os.truncate(index, int(rng.integers(1, index.stat().st_size)))
    elif damage == "behind":
        old = index.read_bytes()
        third = put_version(store, b"three")
        index.write_bytes(old)
        assert store.find_version(digest_of(b"three")) == third
    else:
        (store.home / "manifests" / before[0].digest.removeprefix("sha256:")).unlink()
        before = before[1:]
    assert store.list() == before


def test_a_version_needs_its_bytes_and_is_its_bytes(store: Store, rng: np.random.Generator) -> None:
    digest = put_version(store, b"seed")
    version = store.version(digest)
    assert digest == digest_of(encode(version))
    assert store.put_version(version) == digest
    missing = msgspec.structs.replace(version, graph=FileRecord(digest_of(b"never put"), 1))
    with pytest.raises(CorruptFileError):
        store.put_version(missing)
    child = store.put_version(msgspec.structs.replace(version, parents=(Parent(digest, "fine-tune"),)))
    assert store.version(child).parents == (Parent(digest, "fine-tune"),)

    path = store.home / "manifests" / digest.removeprefix("sha256:")
    data = path.read_bytes()
    position = int(rng.integers(len(data)))
    path.write_bytes(data[:position] + b"?" + data[position + 1 :])
    with pytest.raises(CorruptFileError):
        store.version(digest)


def export_of(store: Store, version: str, options: dict[str, object], **package: bytes) -> ExportRecord:
    files = {name.replace("_py", ".py"): store.record(store.put_bytes(data)) for name, data in package.items()}
    return ExportRecord(version=version, target="jax", options=options, created=now(), package=files)


def test_an_export_is_found_by_target_and_options_and_replaced(store: Store) -> None:
    version = put_version(store, b"seed")
    options = {"dtype": "float32", "layout": None}
    assert store.find_export(version, "jax", options) is None
    export = export_of(store, version, options, model_py=b"1", weights=b"2")
    store.put_export(export)
    assert store.find_export(version, "jax", {"layout": None, "dtype": "float32"}) == export
    assert store.find_export(version, "torch", options) is None
    assert store.find_export(version, "jax", {**options, "dtype": "bfloat16"}) is None

    certified = msgspec.structs.replace(export, certificate=store.put_bytes(b"certificate"))
    store.put_export(certified)
    assert store.exports(version) == [certified]


@pytest.mark.parametrize("damage", ["record", "blob"])
def test_a_damaged_export_is_made_again(store: Store, damage: str) -> None:
    version = put_version(store, b"seed")
    export = export_of(store, version, {}, model_py=b"1")
    store.put_export(export)
    if damage == "record":
        (record,) = (store.home / "exports").glob("*/*")
        record.write_bytes(record.read_bytes()[:-1])
    else:
        store.path(export.package["model.py"].digest).unlink()
    assert store.find_export(version, "jax", {}) is None
    store.put_bytes(b"1")
    store.put_export(export)
    assert store.find_export(version, "jax", {}) == export


def _document() -> dict[str, object]:
    file = {"digest": digest_of(b""), "size": 0}
    return {
        "certificate": None, "created": "2026-01-01T00:00:00Z", "format": 1, "options": {}, "target": "jax",
        "package": {"model.py": file}, "version": digest_of(b"v"),
    }  # fmt: skip


def _canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def test_the_canonical_form_is_read() -> None:
    data = _canonical(_document())
    assert encode(decode(data, ExportRecord, where="the record")) == data


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (_canonical({**_document(), "extra": 1}), CorruptFileError),
        (_canonical({**_document(), "format": 2}), CorruptFileError),
        (_canonical({**_document(), "version": "sha256:" + "0" * 63}), CorruptFileError),
        (_canonical({**_document(), "version": "sha256:" + "G" * 64}), CorruptFileError),
        (_canonical({**_document(), "version": digest_of(b"") + "\n"}), CorruptFileError),
        (
            _canonical({**_document(), "package": {"model.py": {"digest": digest_of(b""), "size": -1}}}),
            CorruptFileError,
        ),
        (_canonical({**_document(), "package": {"../model.py": {"digest": digest_of(b""), "size": 0}}}), UnsafeError),
        (_canonical({**_document(), "package": {"/etc/x": {"digest": digest_of(b""), "size": 0}}}), UnsafeError),
        (_canonical(_document()).replace(b'"format":1', b'"format":1,"format":1'), CorruptFileError),
        (_canonical(_document()).replace(b'"options":{}', b'"options":{"a":1,"a":2}'), CorruptFileError),
        (_canonical(_document()) + b"\n", CorruptFileError),
        (json.dumps(_document(), sort_keys=True).encode(), CorruptFileError),
        (_canonical(_document())[:-1], CorruptFileError),
        (b"\xff\xfe", CorruptFileError),
        (b'{"options":' + b"[" * 100_000, CorruptFileError),
        (b"", CorruptFileError),
    ],
)
def test_nothing_but_the_canonical_form_is_read(data: bytes, error: type[IvyhubError]) -> None:
    with pytest.raises(error):
        decode(data, ExportRecord, where="the record")


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:../../../etc/passwd", "md5:" + "0" * 64, "0" * 64])
def test_a_digest_is_never_a_path(store: Store, digest: str) -> None:
    for read in (store.has, store.path, store.version, store.exports):
        with pytest.raises(UsageError):
            read(digest)


def test_importing_the_registry_loads_no_framework_and_no_client() -> None:
    heavy = ("torch", "jax", "tensorflow", "keras", "transformers", "huggingface_hub", "rich", "numpy")
    modules = "store, refs, manifest, names, remote, export_folder"
    script = f"import sys; from ivyhub.registry import {modules}; print([m for m in {heavy!r} if m in sys.modules])"
    assert finish(python(script)) == "[]\n"
