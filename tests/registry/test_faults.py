"""A publish that is cut off or fails at any of its system calls: what was there stays, and doing it again completes it.

In a process of its own, forked anew for each call: Python tells a profiler of each call of the system before it is
made, which is where the process dies, or where the system refuses.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = '''
import errno, json, os, shutil, sqlite3, sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from ivyhub.errors import IvyhubError
from ivyhub.registry.export_folder import materialise
from ivyhub.registry.housekeeping import check, collect
from ivyhub.registry.manifest import ExportRecord, Origin, Version, now
from ivyhub.registry.store import Store

HOME, OUT, MODE = Path(sys.argv[1]) / "home", Path(sys.argv[1]) / "out", sys.argv[2]
CREATED = now()


def publish():
    """A version with its weights, half of which another has, an export, its names, and the export's folder."""
    store = Store(HOME)
    weights = HOME.parent / "weights"
    record = store.record(store.put_file(weights))
    graph = store.record(store.put_bytes(b"{}"))
    version = store.put_version(Version(
        origin=Origin("memory", "net", None, graph.digest), framework="torch", framework_version="2", ivyhub="0",
        created=CREATED, licence=None, graph=graph, config=None, weights={"model.safetensors": record}, files={},
        signature={},
    ))
    export = ExportRecord(version=version, target="jax", options={}, created=CREATED, package={"a": graph, "b": record})
    store.put_export(export)
    store.refs.set("net", version, why="push")
    store.refs.tag("net", version, "v2")
    materialise(store, export, OUT, force=True)
    return version


def before():
    """What every attempt begins with: an older version under the name, and a folder."""
    store = Store(HOME)
    graph = store.record(store.put_bytes(b"[]"))
    common, own = (np.frombuffer(os.urandom(1_500_000), np.uint8) for _ in range(2))
    weights = {"model.safetensors": store.record(store.put_bytes(save({"common": common, "head": own})))}
    (HOME.parent / "weights").write_bytes(save({"common": common, "head": own[::-1].copy()}))
    version = store.put_version(Version(
        origin=Origin("memory", "net", None, graph.digest), framework="torch", framework_version="2", ivyhub="0",
        created=CREATED, licence=None, graph=graph, config=None, weights=weights, files={}, signature={},
    ))
    store.refs.set("net", version, why="push")
    OUT.mkdir()
    (OUT / "old").write_text("old")
    return version


def is_system(function):
    owner = getattr(function, "__self__", None)
    kind = type(owner).__name__
    if kind == "module":
        return owner.__name__ in ("posix", "fcntl", "_sqlite3") and function.__name__ not in READS
    return kind in ("FileIO", "BufferedWriter", "TextIOWrapper", "Connection") and function.__name__ != "fileno"


# What changes nothing, and what does not reach the system.
READS = {"fspath", "getpid", "_path_normpath", "_path_splitroot", "stat", "lstat", "listdir", "scandir", "readlink"}


def attempt(number):
    """Publish in a child that dies, or is refused, at its call of that number; how it ended, and what it said."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        with os.fdopen(reader) as pipe:
            text = pipe.read()
        status = os.waitpid(child, 0)[1]
        return os.waitstatus_to_exitcode(status), text
    calls = 0

    def watch(frame, event, function):
        nonlocal calls
        if event == "c_call" and is_system(function):
            calls += 1
            if calls == number:
                if MODE == "kill":
                    os._exit(137)
                sys.setprofile(None)
                code = {"full": errno.ENOSPC, "broken": errno.EIO}[MODE]
                if "sqlite3" in f"{function!r} {function.__module__}":
                    raise sqlite3.OperationalError(os.strerror(code))
                raise OSError(code, os.strerror(code))

    sys.setprofile(watch)
    try:
        publish()
        said = "done"
    except IvyhubError as error:
        said = f"refused: {error.message}"
    except BaseException as error:
        import traceback
        said = f"{type(error).__name__}: {error}" + "".join(traceback.format_tb(error.__traceback__)[-3:])
    sys.setprofile(None)
    os.write(writer, f"{calls} {said}".encode())
    os._exit(0 if calls < number else 7)


wrong, refused, number = [], 0, 0
root = HOME.parent
first = before()
shutil.copytree(root, root.with_name("kept"), symlinks=True)
while True:
    number += 1
    code, said = attempt(number)
    if code == 0:
        break
    store = Store(HOME)
    try:
        latest = store.refs.resolve("net")
        if latest != first and not store.is_whole(latest):
            wrong.append((number, "a name stands for what is not whole"))
        if MODE != "kill" and not said.partition(" ")[2].startswith(("refused", "done")):
            wrong.append((number, said))
        refused += "refused" in said
        if said.endswith(" done") and (latest == first or not store.has_version(latest)):
            wrong.append((number, "it said that it was done, and was not"))
        for digest, path in store.blobs():
            if store.read(digest) is None:
                wrong.append((number, "a blob is damaged"))
        found = sorted(path.name for path in OUT.iterdir()) if OUT.is_dir() else None
        aside = OUT.with_name(".out.ivyhub-old")
        if found not in (["old"], ["a", "b"]) and not (found is None and (aside / "old").is_file()):
            wrong.append((number, f"the folder has {found}"))
        version = publish()
        if store.refs.resolve("net:v2") != version or not Store(HOME).is_whole(version):
            wrong.append((number, "again did not complete it"))
        if sorted(path.name for path in OUT.iterdir()) != ["a", "b"]:
            wrong.append((number, "again did not write the folder"))
        if len(store.places(store.version(version).weights["model.safetensors"].digest)) == 1:
            wrong.append((number, "the weights are whole, though another version has half of them"))
        if check(store).problems:
            wrong.append((number, f"the check found {check(store).problems}"))
        remains = [path.name for path in root.iterdir() if path.name.startswith(".out")]
        if remains or [*(HOME / "tmp").glob("*/*")]:
            wrong.append((number, f"remains: {remains} {[*(HOME / 'tmp').glob('*/*')]}"))
    except Exception as error:
        wrong.append((number, f"{type(error).__name__}: {error}; the attempt said {said!r}"))
    del store
    shutil.rmtree(root)
    shutil.copytree(root.with_name("kept"), root, symlinks=True)
print(json.dumps({"calls": number, "refused": refused, "wrong": wrong}))
'''


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("kill", marks=pytest.mark.slow),
        pytest.param("full", marks=pytest.mark.sweep),
        pytest.param("broken", marks=pytest.mark.sweep),
    ],
)
def test_a_publish_may_end_at_any_call(mode: str, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "root"), mode], capture_output=True, text=True, timeout=600
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = json.loads(finished.stdout.splitlines()[-1])
    assert found["wrong"] == []
    assert found["calls"] > 50  # the profiler saw them
    assert (found["refused"] > 30) == (mode != "kill")
