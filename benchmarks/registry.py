"""The registry against what its user would do by hand: copies, digests, lists.

    python benchmarks/registry.py [publish pull list fsck checkpoints] [--size 1300] [--versions 10000] [--rounds 5]

publish  a version with weights of ``--size`` megabytes, against `cp` and `sha256sum` of them; and one of which the
         store has all tensors but a tenth
pull     a package that the store holds into a folder, against `cp --reflink=auto` of its files
list     every label of ``--versions`` versions, in this process and as a command
fsck     the digest of every byte, against `sha256sum`

checkpoints   what `checkpoints.py` compares: conversions against their own libraries, 200,000 tensors opened

Contestants take turns in every round; seconds are those of a clock, as it is the disk that counts too. What is written
is removed between rounds, and the system's own writing is waited for (`sync`) before each contestant starts. The store
waits for the disk, which `cp` does not: `cp` with `sync` is a contestant too.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from measuring import ratios, table

MEGABYTE = 1_000_000

Times = dict[str, list[float]]


def seconds(function: Callable[[], Any]) -> float:
    """Seconds of a clock for one call, once the disk is quiet."""
    os.sync()
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def rounds(contestants: Mapping[str, Callable[[], Any]], clean: Callable[[], Any], count: int) -> Times:
    """The seconds of each contestant in each round; the first round is not counted."""
    found: Times = {name: [] for name in contestants}
    for number in range(count + 1):
        # In an order of its own each time: who writes first in a round finds the disk's queue and its free blocks in
        # another state than who follows.
        for name in random.sample([*contestants], len(contestants)):
            clean()
            taken = seconds(contestants[name])
            if number:
                found[name].append(taken)
    clean()
    return found


def random_weights(path: Path, megabytes: int, *, like: Path | None = None) -> None:
    """A safetensors file of ten random tensors; with ``like`` nine are those of another file."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    tensors = {} if like is None else load_file(like)
    for number in range(9 if like else 0, 10):
        tensors[f"layer.{number}"] = np.frombuffer(os.urandom(megabytes * MEGABYTE // 10), np.uint8)
    save_file(tensors, path)


def publish(folder: Path, options: argparse.Namespace) -> Times:
    from ivyhub.registry.store import Store

    source, tuned, copy, home, kept = (folder / name for name in ("weights", "tuned", "copy", "home", "kept"))
    random_weights(source, options.size)
    random_weights(tuned, options.size, like=source)
    put_version(Store(kept), source)
    before = {path for path in kept.rglob("*") if path.is_file()}

    def by_hand() -> None:
        subprocess.run(["cp", "--reflink=auto", source, copy], check=True)
        subprocess.run(["sha256sum", copy], check=True, stdout=subprocess.DEVNULL)

    def by_hand_synced() -> None:
        by_hand()
        subprocess.run(["sync", copy], check=True)

    def clean() -> None:
        copy.unlink(missing_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        for path in {path for path in kept.rglob("*") if path.is_file()} - before:
            path.unlink()

    contestants = {
        "publish": lambda: put_version(Store(home), source),
        "publish, a tenth new": lambda: put_version(Store(kept), tuned),
        "cp + sha256sum": by_hand,
        "cp + sha256sum + sync": by_hand_synced,
    }
    return rounds(contestants, clean, options.rounds)


def put_version(store: Any, weights: Path) -> None:
    """A version with these weights."""
    graph = store.record(store.put_bytes(b"{}"))
    store.put_version(version_of(graph, weights={"model.safetensors": store.record(store.put_file(weights))}))


def version_of(graph: Any, *, name: str = "net", number: int = 0, weights: Mapping[str, Any] | None = None) -> Any:
    """A manifest that says as little as it can."""
    from ivyhub.registry.manifest import Origin, Version, now

    return Version(
        origin=Origin("hub", f"org/{name}", f"{number:040x}", graph.digest),
        framework="torch",
        framework_version="2.13",
        ivyhub="0.1.0",
        created=now(),
        licence=None,
        graph=graph,
        config=None,
        weights=dict(weights or {}),
        files={},
        signature={"parameters": number},
    )


def pull(folder: Path, options: argparse.Namespace) -> Times:
    from ivyhub.registry.export_folder import materialise
    from ivyhub.registry.manifest import ExportRecord, now
    from ivyhub.registry.store import Store

    store, source, copy, out = Store(folder / "home"), folder / "package", folder / "copy", folder / "out"
    source.mkdir()
    random_weights(source / "model.safetensors", options.size)
    (source / "modeling.py").write_text("class Model: ...\n")
    package = {path.name: store.record(store.put_file(path)) for path in source.iterdir()}
    export = ExportRecord(version="sha256:" + "0" * 64, target="jax", options={}, created=now(), package=package)

    def clean() -> None:
        for path in (copy, out):
            shutil.rmtree(path, ignore_errors=True)

    contestants = {
        "pull": lambda: materialise(store, export, out),
        "cp": lambda: subprocess.run(["cp", "-r", "--reflink=auto", source, copy], check=True),
    }
    return rounds(contestants, clean, options.rounds)


def many_versions(home: Path, count: int) -> Any:
    """A registry of so many versions, ten of each name, each with a tag."""
    from ivyhub.registry.files import digest_bytes
    from ivyhub.registry.manifest import encode
    from ivyhub.registry.refs import DEFAULT_ALIAS
    from ivyhub.registry.store import Store

    store = Store(home)
    record = store.record(store.put_bytes(b"{}"))
    (home / "manifests").mkdir()
    for number in range(count):
        name = f"model-{number // 10}"
        version = version_of(record, name=name, number=number)
        data = encode(version)
        digest = digest_bytes(data)
        store.manifest_path(digest).write_bytes(data)
        for place in (f"tags/v{number % 10}", f"aliases/{DEFAULT_ALIAS}"):
            path = home / "refs" / "org" / name / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(digest)
    return store


def listing(folder: Path, options: argparse.Namespace) -> Times:
    from ivyhub.registry.listing import list_models

    store = many_versions(folder / "home", options.versions)
    time.sleep(3)  # what changed a moment ago is read again, as its time stamps do not tell
    command = [sys.executable, "-m", "ivyhub", "list", "--quiet"]
    environment = {**os.environ, "IVYHUB_HOME": str(store.home)}
    contestants = {
        "list_models": lambda: list_models(store=store),
        "ivyhub list": lambda: subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL),
        "python -c pass": lambda: subprocess.run([sys.executable, "-c", "pass"], check=True),
    }
    return rounds(contestants, lambda: None, options.rounds)


def fsck(folder: Path, options: argparse.Namespace) -> Times:
    from ivyhub.registry.housekeeping import check
    from ivyhub.registry.store import Store

    store = Store(folder / "home")
    for _ in range(4):
        random_weights(folder / "file", options.size // 4)
        store.put_file(folder / "file", move=True)
    paths = [str(path) for _, path in store.blobs()]
    contestants = {
        "fsck": lambda: check(store),
        "sha256sum": lambda: subprocess.run(["sha256sum", *paths], check=True, stdout=subprocess.DEVNULL),
    }
    return rounds(contestants, lambda: None, options.rounds)


CHECKPOINTS = "checkpoints"
TASKS = {"publish": publish, "pull": pull, "list": listing, "fsck": fsck}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="of " + ", ".join([*TASKS, CHECKPOINTS]))
    parser.add_argument("--size", type=int, default=1300, metavar="MB")
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to write; by default where the system has temporary files")
    options = parser.parse_args()
    rows = []
    tasks = options.tasks or [*TASKS, CHECKPOINTS]
    for task in (task for task in tasks if task != CHECKPOINTS):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            found = TASKS[task](Path(folder), options)
        first, *others = found
        for other in others:
            middle, least, most = ratios(found, other)[first]
            times = f"{median(found[first]):.3f}", f"{median(found[other]):.3f}"
            rows.append((task, first, times[0], other, times[1], f"{middle:.2f} ({least:.2f}-{most:.2f})"))
    table(("task", "contestant", "s", "against", "s", "ratio (min-max)"), rows)
    if CHECKPOINTS in tasks:
        script = Path(__file__).with_name("checkpoints.py")
        sys.stdout.flush()
        subprocess.run([sys.executable, script, f"--rounds={options.rounds}"], check=True)


if __name__ == "__main__":
    main()
