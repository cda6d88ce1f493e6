"""Files: digests, names that cannot escape, atomic writes, and what the system says when it refuses."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Annotated, TypeAlias

import msgspec

from ivyhub.errors import StorageError, UnsafeError, UsageError
from ivyhub.registry.characters import steers

DIGEST_PATTERN = r"\Asha256:[0-9a-f]{64}\Z"

#: The identity of some bytes: ``sha256:`` and 64 lowercase hexadecimal digits, as in the OCI image specification.
Digest: TypeAlias = Annotated[str, msgspec.Meta(pattern=DIGEST_PATTERN)]

# One mebibyte stays in the second-level cache while it is hashed and written; 4 MiB measured three times slower.
CHUNK = 1 << 20

_NO_SPACE = "free some space, or point IVYHUB_HOME (or --to) at a disk that has room"
_NO_PERMISSION = "point IVYHUB_HOME (or --to) at a folder that you may write"
_HINTS = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EFBIG: _NO_SPACE,
    errno.EROFS: _NO_PERMISSION,
    errno.EACCES: _NO_PERMISSION,
    errno.EPERM: _NO_PERMISSION,
}

_RESERVED_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)", re.IGNORECASE)


@contextmanager
def storage_errors(doing: str) -> Generator[None]:
    """Turn an ``OSError`` of the body into a :class:`~ivyhub.errors.StorageError` that says what to do.

    Example:
        >>> with storage_errors("writing the export"):
        ...     raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        Traceback (most recent call last):
        ivyhub.errors.StorageError: writing the export failed: No space left on device
          hint: free some space, or point IVYHUB_HOME (or --to) at a disk that has room
    """
    try:
        yield
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        reason = error.strerror or str(error)
        raise StorageError(f"{doing} failed: {reason}{place}", hint=_HINTS.get(error.errno or 0, "")) from error


def digest_bytes(data: bytes) -> Digest:
    """The digest of some bytes.

    Example:
        >>> digest_bytes(b"")[:19]
        'sha256:e3b0c44298fc'
    """
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def digest_file(path: Path) -> Digest:
    """The digest of a file's bytes, read once.

    Raises:
        StorageError: the file cannot be read.
    """
    with storage_errors("hashing a file"), path.open("rb", buffering=0) as file:
        return digest_open(file)


def digest_open(file: io.RawIOBase) -> Digest:
    """The digest of what is left of an open file, read once."""
    hasher = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    while count := file.readinto(buffer):
        hasher.update(buffer[:count])
    return f"sha256:{hasher.hexdigest()}"


def digest_hex(digest: str) -> str:
    """The 64 hexadecimal digits of a digest.

    Raises:
        UsageError: it is not ``sha256:`` and 64 lowercase hexadecimal digits.
    """
    if not re.match(DIGEST_PATTERN, digest):
        raise UsageError(f"expected a digest 'sha256:<64 hexadecimal digits>', received {digest!r}")
    return digest.removeprefix("sha256:")


def check_relative_name(name: str) -> PurePosixPath:
    """A file name from a checkpoint, a manifest or a server, proved to stay inside the folder it is joined to.

    Raises:
        UnsafeError: it is empty, absolute, has ``..``, a backslash, a colon or a character that steers, or is a device
            name on Windows. The rules are those of every system, so that a package made here is safe everywhere.

    Example:
        >>> check_relative_name("1_Pooling/config.json").name
        'config.json'
        >>> check_relative_name("../evil")
        Traceback (most recent call last):
        ivyhub.errors.UnsafeError: refused the file name '../evil': it could leave its folder
        ...
    """
    parts = name.split("/")
    if (
        steers(name)
        or any(part in ("", ".", "..") or part[-1] in ". " or len(os.fsencode(part)) > 255 for part in parts)
        or any(character in "\\:" for character in name)
        or any(_RESERVED_ON_WINDOWS.match(part) for part in parts)
    ):
        raise UnsafeError(
            f"refused the file name {name!r}: it could leave its folder",
            hint="the checkpoint may be hostile; do not use it",
        )
    return PurePosixPath(name)


def fsync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each entered on the disk in the one that holds it."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        fsync(folder.parent)


def publish(temporary: Path, destination: Path) -> None:
    """Give a finished temporary file its final name: whoever looks sees the old bytes or the new, never a part."""
    make_folder(destination.parent)
    fsync(temporary)
    os.replace(temporary, destination)
    fsync(destination.parent)


@contextmanager
def replacing(path: Path, doing: str) -> Generator[Path]:
    """A temporary name beside a file, which gets the file's name when the block ends; on an error nothing stays of it.

    Args:
        path: the file; what has its name goes.
        doing: what is done, for the message of an error.

    Raises:
        StorageError: the file cannot be written, or the block raised an ``OSError``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(Path(folder) / "note", "writing a note") as temporary:
        ...         _ = temporary.write_text("whole")
        ...     [path.name for path in Path(folder).iterdir()]
        ['note']
    """
    path = path.absolute()
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with storage_errors(doing):
            make_folder(path.parent)
            yield temporary
            publish(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
