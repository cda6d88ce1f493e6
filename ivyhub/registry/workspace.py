"""A folder that processes share: what is written there is whole or not there, and one of them works at a thing."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ivyhub.errors import StorageError
from ivyhub.registry.files import publish, storage_errors
from ivyhub.registry.home import make_home

if TYPE_CHECKING:
    import filelock

#: How long a process waits for another that does the same work. A pull of a large model takes minutes.
LOCK_TIMEOUT = 600.0


class Workspace:
    """A folder with ``locks/`` and ``tmp/`` for the work in it.

    Args:
        home: the folder, absolute. It is made at the first write.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._workspace: tuple[int, Path, filelock.BaseFileLock] | None = None

    @contextmanager
    def lock(self, key: str, *, timeout: float = LOCK_TIMEOUT) -> Generator[None]:
        """Hold the lock of a piece of work, among the threads and processes that share the store.

        Who gets it looks first whether the work is done: the one before may have done it.

        Raises:
            StorageError: another process still holds it after ``timeout`` seconds.
        """
        with storage_errors("locking the registry"):
            path = self._folder("locks") / f"{hashlib.sha256(key.encode()).hexdigest()}.lock"
            lock = _acquired(path, timeout)
        if lock is None:
            raise StorageError(
                f"another process has worked on {key!r} for more than {timeout:.0f} seconds",
                hint="wait for it, or end it; its lock goes with it",
            )
        try:
            yield
        finally:
            with storage_errors("unlocking the registry"):
                lock.release()

    @contextmanager
    def scratch(self) -> Generator[Path]:
        """An empty folder on the store's file system, removed at the end, or by the next writer after a crash.

        What is written there moves into the store by ``put_file(..., move=True)`` without a copy.
        """
        with self._temporary() as folder:
            with storage_errors("making a temporary folder"):
                folder.mkdir()
            yield folder

    @contextmanager
    def _temporary(self) -> Generator[Path]:
        """A name in this process's own temporary folder; whatever bears it at the end is removed."""
        with storage_errors("writing the registry"):
            path = self._own_workspace() / uuid.uuid4().hex
        try:
            yield path
        finally:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):  # what cannot be removed now goes with the next sweep
                    path.unlink(missing_ok=True)

    def _own_workspace(self) -> Path:
        """This store object's folder in ``tmp/``, held by a lock that the system drops when the process dies."""
        if self._workspace is None or self._workspace[0] != os.getpid() or not self._workspace[1].is_dir():
            folder = self._folder("tmp")
            self._sweep(folder)
            own = folder / uuid.uuid4().hex
            lock = _acquired(own.with_suffix(".lock"), -1)
            assert lock is not None, "nobody else knows the name"
            own.mkdir()
            self._workspace = (os.getpid(), own, lock)
        return self._workspace[1]

    @staticmethod
    def _sweep(folder: Path) -> None:
        """Remove the temporary folders whose process is gone."""
        for path in folder.glob("*.lock"):
            lock = _acquired(path, 0)
            if lock is None:
                continue
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            path.unlink(missing_ok=True)
            lock.release()

    def _folder(self, name: str) -> Path:
        """A folder of the store, made if it is not there."""
        make_home(self.home)
        folder = self.home / name
        folder.mkdir(exist_ok=True)
        return folder

    def _write(self, path: Path, data: bytes) -> None:
        """Write a small file of the store atomically."""
        with self._temporary() as temporary, storage_errors("writing the registry"):
            temporary.write_bytes(data)
            publish(temporary, path)


def _acquired(path: Path, timeout: float) -> filelock.BaseFileLock | None:
    """The lock of a file, held; None where another holds it after so many seconds."""
    import filelock

    lock = filelock.FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=timeout)
    except filelock.Timeout:
        return None
    return lock
