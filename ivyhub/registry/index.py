"""A cache of what manifests and labels say, in SQLite, so that a list of ten thousand models reads one file.

Nothing is kept only here. The index may be deleted, damaged or behind at any time: it is compared with the folders of
manifests and labels before each answer, made again when it cannot be read, and held in memory when it cannot be
written.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias, TypeVar

from ivyhub.errors import CorruptFileError, UnsafeError
from ivyhub.registry.files import Digest, digest_file, storage_errors
from ivyhub.registry.manifest import Version

T = TypeVar("T")

#: Where a tensor lies: its mark, the blob, the offset in it, and the number of bytes.
Place: TypeAlias = tuple[bytes, Digest, int, int]

_SCHEMA_VERSION = 3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    digest TEXT PRIMARY KEY, origin TEXT, origin_digest TEXT, framework TEXT, ivyhub TEXT, created TEXT, size INTEGER,
    parameters INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS versions_of_origin ON versions (origin_digest);
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, stamp TEXT, digest TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS labels (name TEXT PRIMARY KEY, stamp TEXT, data BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS weights (version TEXT, file TEXT, PRIMARY KEY (version, file)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marked (file TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tensors (
    mark BLOB, blob TEXT, offset INTEGER, size INTEGER, PRIMARY KEY (mark, blob, offset)
) WITHOUT ROWID;
"""
_TABLES = ("versions", "files", "labels", "weights", "marked", "tensors")

# A file that changed this shortly before it was hashed could change again within the clock tick of its time stamp.
# Git calls such an entry racily clean (Documentation/technical/racy-git.txt); two seconds is the tick of FAT.
_RACY_NS = 2_000_000_000


class Index:
    """The cache beside a store.

    Args:
        path: the database file; its folder need not exist.
        manifests: the folder of manifests, each named by the 64 digits of its digest.
        read: reads the manifest of a digest.
    """

    def __init__(self, path: Path, manifests: Path, read: Callable[[Digest], Version]) -> None:
        self._path = path
        self._manifests = manifests
        self._read = read

    def find(self, origin_digest: Digest, *, origin: str | None = None, ivyhub: str | None = None) -> Digest | None:
        """The newest version made from a source of that digest, or None."""
        query = "SELECT digest FROM versions WHERE origin_digest = ?"
        values = [origin_digest]
        for column, value in (("origin", origin), ("ivyhub", ivyhub)):
            if value is not None:
                query += f" AND {column} = ?"
                values.append(value)
        row = self._run(lambda db: self._synchronised(db).execute(f"{query} ORDER BY created DESC", values).fetchone())
        return None if row is None else row[0]

    def versions(self) -> dict[Digest, tuple[str, str, str, int, int]]:
        """Every version: digest -> (origin, framework, time of creation, bytes, parameters)."""
        query = "SELECT digest, origin, framework, created, size, parameters FROM versions"
        return {row[0]: row[1:] for row in self._run(lambda db: self._synchronised(db).execute(query).fetchall())}

    def labels(self, folders: Mapping[str, Sequence[str]], read: Callable[[str], bytes]) -> dict[str, bytes]:
        """What ``read`` gives for each name; it is not asked again while the folders of that name stay the same.

        Args:
            folders: the folders of each name, in which files are replaced by renaming alone, never written to.
            read: what is in them.
        """

        def work(db: sqlite3.Connection) -> dict[str, bytes]:
            known = {name: (stamp, data) for name, stamp, data in db.execute("SELECT name, stamp, data FROM labels")}
            db.executemany("DELETE FROM labels WHERE name = ?", [(name,) for name in known.keys() - folders.keys()])
            found: dict[str, bytes] = {}
            for name, own in folders.items():
                stamp, changed = _folder_stamp(own)
                if name in known and known[name][0] == stamp:
                    found[name] = known[name][1]
                    continue
                found[name] = read(name)
                if time.time_ns() - changed > _RACY_NS and _folder_stamp(own)[0] == stamp:
                    db.execute("INSERT OR REPLACE INTO labels VALUES (?, ?, ?)", (name, stamp, found[name]))
            return found

        return self._run(work)

    def tensors(self, marks: Collection[bytes], read: Callable[[Digest], Sequence[Place] | None]) -> list[Place]:
        """Where tensors lie that have one of the marks, in the weights of any version.

        Args:
            marks: see `sharing.Tensor`.
            read: the tensors of a file of weights, or None if it is not there; it is asked once for each that is.
        """

        def work(db: sqlite3.Connection) -> list[Place]:
            query = "SELECT DISTINCT file FROM weights WHERE file NOT IN (SELECT file FROM marked)"
            for (file,) in self._synchronised(db).execute(query).fetchall():
                if (found := read(file)) is not None:
                    db.executemany("INSERT OR IGNORE INTO tensors VALUES (?, ?, ?, ?)", found)
                    db.execute("INSERT INTO marked VALUES (?)", (file,))
            query = "SELECT * FROM tensors WHERE mark = ?"
            return [row for mark in marks for row in db.execute(query, (mark,))]

        return self._run(work)

    def digest_of(self, path: Path) -> Digest:
        """The digest of a file; it is not read again while its inode, size and times of change stay the same.

        Raises:
            StorageError: the file cannot be read.
        """
        known = self.known_digest(path)
        if known is not None:
            return known
        path = path.resolve()
        stamp = _stamp(path)
        digest = digest_file(path)
        with storage_errors("reading a file"):
            settled = time.time_ns() - path.stat().st_ctime_ns > _RACY_NS
        if settled and _stamp(path) == stamp:
            self._run(
                lambda db: db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (str(path), stamp, digest))
            )
        return digest

    def known_digest(self, path: Path) -> Digest | None:
        """What :meth:`digest_of` remembers of the file as it is now, or None; the file is not read."""
        path = path.resolve()
        query = "SELECT digest FROM files WHERE path = ? AND stamp = ?"
        row = self._run(lambda db: db.execute(query, (str(path), _stamp(path))).fetchone())
        return None if row is None else row[0]

    def _synchronised(self, db: sqlite3.Connection) -> sqlite3.Connection:
        """Bring the table of versions up to the folder of manifests."""
        with storage_errors("reading the registry"):
            names = os.listdir(self._manifests) if self._manifests.is_dir() else []
        present = {f"sha256:{name}" for name in names}
        known = {row[0] for row in db.execute("SELECT digest FROM versions")}
        for table, column in (("versions", "digest"), ("weights", "version")):
            db.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(digest,) for digest in known - present])
        for digest in present - known:
            try:
                version = self._read(digest)
            except (CorruptFileError, UnsafeError):
                continue  # one damaged manifest must not hide the others; whoever asks for it by name hears of it
            row = (version.origin.id, version.origin.digest, version.framework, version.ivyhub)
            figures = version.created.isoformat(), version.size, version.parameters
            db.execute("INSERT OR REPLACE INTO versions VALUES (?,?,?,?,?,?,?,?)", (digest, *row, *figures))
            files = [(digest, file.digest) for file in version.weights.values()]
            db.executemany("INSERT OR REPLACE INTO weights VALUES (?, ?)", files)
        return db

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._attempt(str(self._path), work)
        except sqlite3.OperationalError:
            return self._attempt(":memory:", work)  # read-only, full, or locked for long
        except sqlite3.DatabaseError:
            for suffix in ("", "-journal"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return self._attempt(str(self._path), work)

    @staticmethod
    def _attempt(place: str, work: Callable[[sqlite3.Connection], T]) -> T:
        with closing(sqlite3.connect(place, timeout=10)) as db, db:
            db.execute("PRAGMA synchronous = OFF")  # a power cut may damage a cache; it is made again
            if db.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA_VERSION:
                db.executescript("".join(f"DROP TABLE IF EXISTS {each};" for each in _TABLES) + _SCHEMA)
                db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            return work(db)


def _stamp(path: Path) -> str:
    with storage_errors("reading a file"):
        status = path.stat()
    return ":".join(
        str(part) for part in (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    )


def _folder_stamp(folders: Sequence[str]) -> tuple[str, int]:
    """What changes when a file in one of the folders is made, replaced or removed, and the time of the last change."""
    parts, last = [], 0
    for folder in folders:
        try:
            status = os.stat(folder)
        except FileNotFoundError:
            parts.append("-")
            continue
        parts.append(f"{status.st_dev}:{status.st_ino}:{status.st_mtime_ns}")
        last = max(last, status.st_mtime_ns)
    return " ".join(parts), last
