"""Pickles are read by a process that can do nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ivyhub.cli import run
from ivyhub.registry.checkpoints import open_file

torch = pytest.importorskip("torch")

TRIES = """
import os, socket, subprocess, sys
from pathlib import Path
from ivyhub.registry.checkpoints.confined import give_up_rights
folder = Path(sys.argv[1])
tries = {
    "read": lambda: (folder / "file").read_bytes(),
    "list": lambda: (folder / "file").is_file(),
    "write": lambda: (folder / "file").write_bytes(b"evil"),
    "create": lambda: (folder / "new").touch(),
    "remove": lambda: (folder / "file").unlink(),
    "rename": lambda: (folder / "file").rename(folder / "other"),
    "link": lambda: os.symlink("file", folder / "link"),
    "chmod": lambda: (folder / "file").chmod(0o777),
    "socket": lambda: socket.socket(),
    "fork": lambda: os.fork(),
    "program": lambda: subprocess.run(["true"]),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "kill": lambda: os.kill(os.getppid(), 0),
    "user": lambda: os.setuid(65534),
}
give_up_rights(8 << 30)
for name, action in tries.items():
    try:
        action()
        os.write(1, f"{name} ".encode())
    except OSError:
        pass
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes calls of the system from a process")
def test_without_rights_a_process_can_only_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    done = subprocess.run(
        [sys.executable, "-c", TRIES, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["read", "list"], done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"kept"


def readers() -> list[int]:
    """The processes that this one has started to read files."""
    mine = f"{os.getpid()}"
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = status.read_text().rpartition(")")[2].split()[1]
            if parent == mine and b"confined" in (status.parent / "cmdline").read_bytes():
                found.append(int(status.parent.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_reader_is_started_once_and_again_after_it_died(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.standard_normal((3, 5))
    for number in range(3):
        torch.save({"x": torch.from_numpy(values)}, tmp_path / f"{number}.pt")
        with open_file(tmp_path / f"{number}.pt") as checkpoint:
            np.testing.assert_array_equal(checkpoint.read("x"), values)
        [reader] = readers()
        if number == 1:
            os.kill(reader, signal.SIGKILL)
            os.waitid(os.P_PID, reader, os.WEXITED | os.WNOWAIT)


def test_files_under_relative_names_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(torch.from_numpy(rng.standard_normal(4)), "x.pt")
    with open_file(Path("x.pt")) as checkpoint:
        assert checkpoint["tensor"].shape == (4,)


@pytest.mark.slow  # ten seconds of a processor
@pytest.mark.skipif(sys.platform == "win32", reason="Windows takes no time from a process")
def test_a_file_in_which_the_library_of_hdf5_goes_in_a_circle_is_refused(tmp_path: Path) -> None:
    data = bytearray((Path(__file__).parents[2] / "fixtures/checkpoints/keras-2.17.h5").read_bytes())
    first = data.index(b"GCOL") + 16  # of the texts that attributes are: now without a place and without a length
    data[first : first + 16] = bytes(16)
    (tmp_path / "x.h5").write_bytes(data)
    assert run(["inspect", str(tmp_path / "x.h5")]) == 5


def test_hdf5_files_of_any_kind_are_tried_and_read(tmp_path: Path, rng: np.random.Generator) -> None:
    h5py = pytest.importorskip("h5py")
    values = rng.standard_normal((30, 5))
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        file.create_dataset("a/chunked", data=values, chunks=(7, 2), compression="gzip")
        file.create_dataset("a/plain", data=values)
        file.attrs["text"] = "x" * 1000
    with open_file(tmp_path / "x.h5") as checkpoint:
        assert all(np.array_equal(checkpoint.read(name), values) for name in ("a/chunked", "a/plain"))
    assert checkpoint.metadata["text"] == "x" * 1000


def test_modules_beside_a_checkpoint_are_not_imported(tmp_path: Path) -> None:
    torch.save({"x": torch.ones(2)}, tmp_path / "x.pt")
    for name in ("numpy", "json", "resource", "ctypes", "msgspec", "h5py"):
        (tmp_path / f"{name}.py").write_text("open('evil', 'w').close(); raise SystemExit")
    script = "import sys; from ivyhub.registry.checkpoints import open_file; sys.path.insert(0, sys.argv[1]); "
    script += "from pathlib import Path; print(list(open_file(Path('x.pt'))))"
    command = [sys.executable, "-I", "-c", script, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "['x']\n"
    assert not (tmp_path / "evil").exists()
