"""Write an export's package into a folder: all of it, or nothing."""

from __future__ import annotations

import glob
import os
import shutil
import uuid
from pathlib import Path

from ivyhub.errors import OutputExistsError, UsageError
from ivyhub.registry.files import check_relative_name, storage_errors
from ivyhub.registry.manifest import ExportRecord
from ivyhub.registry.store import Store


def check_destination(store: Store, destination: Path, *, force: bool) -> Path:
    """Refuse, before any work, a destination that :func:`materialise` would refuse after it.

    Returns:
        The destination, absolute and without symbolic links.

    Raises:
        OutputExistsError: it is a file, or a folder with something in it and ``force`` is not given.
        UsageError: it is or holds the working folder, the home folder or the registry, which must not be replaced.
    """
    with storage_errors("looking at the output folder"):
        destination = destination.expanduser().resolve()
        if destination.exists() and not destination.is_dir():
            raise OutputExistsError(f"{destination} is a file, a folder was expected", hint="give another folder")
        if not destination.is_dir():
            return destination
        empty = not any(destination.iterdir())
    if not empty and not force:
        raise OutputExistsError(
            f"the output folder {destination} is not empty", hint="give another folder, or --force to replace it"
        )
    for kept in (Path.cwd(), Path.home(), store.home):
        if kept.resolve().is_relative_to(destination):
            raise UsageError(f"refused to replace {destination}: it holds {kept}", hint="give a folder of its own")
    return destination


def materialise(store: Store, export: ExportRecord, destination: Path, *, force: bool = False) -> Path:
    """Copy the package of an export into a folder.

    The package is copied beside the destination and renamed when it is complete, so a process that is killed leaves
    the destination as it was; its remains are removed by the next call for the same destination. With ``force`` the
    old folder is moved aside, and deleted only after the new one has its place. The files are not flushed to the
    disk, the store's own were: what a power cut damages, ``ivyhub verify`` finds and the next pull writes again.

    Returns:
        The folder, absolute.

    Raises:
        OutputExistsError, UsageError: see :func:`check_destination`.
        CorruptFileError: the store lost a file of the package.
        StorageError: the disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> from ivyhub.registry.manifest import FileRecord, now
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store(Path(folder) / "home")
        ...     source = store.record(store.put_bytes(b"class Model: ..."))
        ...     export = ExportRecord(
        ...         version="sha256:" + "0" * 64, target="jax", options={}, created=now(), package={"model.py": source}
        ...     )
        ...     (materialise(store, export, Path(folder) / "model-jax") / "model.py").read_text()
        'class Model: ...'
    """
    with store.lock(f"folder {destination.expanduser().resolve()}"), storage_errors("writing the output folder"):
        final = destination.expanduser().resolve()
        aside = final.with_name(f".{final.name}.ivyhub-old")
        if aside.exists() and not final.exists():
            os.rename(aside, final)  # the process before was killed between its two renames
        final = check_destination(store, final, force=force)
        final.parent.mkdir(parents=True, exist_ok=True)
        for remains in (aside, *final.parent.glob(f".{glob.escape(final.name)}.ivyhub-new-*")):
            shutil.rmtree(remains, ignore_errors=True)
        temporary = final.with_name(f".{final.name}.ivyhub-new-{uuid.uuid4().hex[:8]}")
        try:
            temporary.mkdir()
            for name, file in export.package.items():
                path = temporary / check_relative_name(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                store.copy_out(file, path)
            if final.exists():
                os.rename(final, aside)
            try:
                os.rename(temporary, final)
            except OSError:
                if aside.exists():
                    os.rename(aside, final)
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
    return final
