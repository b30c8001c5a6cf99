"""A local SQLite cache of what was seen last: file stats with their hashes, and the engine's "complete" records.

Only a cache: every row can be made again from the sources and the lake, so a missing or damaged file is replaced by an
empty one and costs re-hashing, never correctness. Nothing that must survive belongs here. Several processes and threads
may use it at once.
"""

import contextlib
import fcntl
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

_VERSION = 2
_BUSY_SECONDS = 15.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS listing (
    corpus_id TEXT NOT NULL, raw_path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER
    NOT NULL, inode INTEGER NOT NULL, content_hash TEXT, media_type TEXT NOT NULL, hashed_at_ns INTEGER NOT NULL,
    PRIMARY KEY (corpus_id, raw_path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS complete (
    shard TEXT NOT NULL, stage TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (shard, stage)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_Result = TypeVar("_Result")


class CachedFile(NamedTuple):
    """A file as it was when its content was last hashed; ``content_hash`` is None where it was not read."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    content_hash: str | None
    media_type: str
    hashed_at_ns: int


class State:
    """The cache, open for one process. Close it, or use it as a context manager.

    Rebuilding is done under an exclusive lock that no other user of the file may hold; while one does, this process
    goes on with an empty cache in memory.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``, made anew where it is missing, damaged or of another version.

        Raises:
            OSError: its folder cannot be written.
            sqlite3.OperationalError: another process keeps it locked for 15 s, or the disk is full.
        """
        self.path = path
        self._mutex = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock_fd, fcntl.LOCK_SH)
        try:
            self._connection = self._connect(path)
        except sqlite3.DatabaseError as error:
            if _is_busy(error):
                os.close(self._lock_fd)
                raise
            self._connection = self._rebuilt()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and let others rebuild."""
        with self._mutex:
            self._connection.close()
            if self._lock_fd >= 0:
                os.close(self._lock_fd)
                self._lock_fd = -1

    def stats(self, corpus_id: str) -> dict[bytes, tuple[int, int, int, int]]:
        """Raw path to (size, mtime_ns, ctime_ns, inode) of the cached files, to compare with a listing's."""
        query = "SELECT raw_path, size, mtime_ns, ctime_ns, inode FROM listing WHERE corpus_id = ?"
        rows = self._read(query, (corpus_id,))
        return {row[0]: row[1:] for row in rows}

    def files(self, corpus_id: str) -> dict[bytes, CachedFile]:
        """Raw path to everything cached of the file."""
        query = """SELECT raw_path, size, mtime_ns, ctime_ns, inode, content_hash, media_type, hashed_at_ns
                   FROM listing WHERE corpus_id = ?"""
        return {row[0]: CachedFile(*row[1:]) for row in self._read(query, (corpus_id,))}

    def racy_count(self, corpus_id: str, margin_ns: int) -> int:
        """How many files were hashed within ``margin_ns`` of their last change, so that equal stats prove nothing."""
        query = """SELECT count(*) FROM listing WHERE corpus_id = ? AND content_hash IS NOT NULL
                   AND (CASE WHEN mtime_ns > hashed_at_ns THEN ctime_ns ELSE mtime_ns END) > hashed_at_ns - ?"""
        return int(self._read(query, (corpus_id, margin_ns))[0][0])

    def remember(self, corpus_id: str, files: Mapping[bytes, CachedFile], gone: Iterable[bytes] = ()) -> None:
        """Write files and drop the paths in ``gone``, in one transaction."""
        upsert = "INSERT OR REPLACE INTO listing VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        rows = [(corpus_id, path, *file) for path, file in files.items()]
        paths = [(corpus_id, path) for path in gone]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(upsert, rows)
            connection.executemany("DELETE FROM listing WHERE corpus_id = ? AND raw_path = ?", paths)

        self._write(write)

    def forget_corpus(self, corpus_id: str) -> None:
        """Drop every cached file of a corpus: the next scan hashes all (the weekly verification)."""
        self._write(lambda connection: connection.execute("DELETE FROM listing WHERE corpus_id = ?", (corpus_id,)))

    def forget_everything(self) -> None:
        """Empty the cache, for every process that has it open: the lake it tells of is another one now."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM listing")
            connection.execute("DELETE FROM complete")
            connection.execute("DELETE FROM meta")

        self._write(write)

    def complete(self, shard: str, stage: str) -> dict[str, Any] | None:
        """The record of the last complete run of ``stage`` on ``shard``."""
        rows = self._read("SELECT record FROM complete WHERE shard = ? AND stage = ?", (shard, stage))
        return _record(rows[0][0]) if rows else None

    def completes(self, shard: str) -> dict[str, dict[str, Any]]:
        """Stage to record of every complete stage of ``shard``."""
        rows = self._read("SELECT stage, record FROM complete WHERE shard = ?", (shard,))
        return {stage: record for stage, text in rows if (record := _record(text)) is not None}

    def set_complete(self, shard: str, stage: str, record: Mapping[str, Any]) -> None:
        """Write the record (plain JSON values) of a complete run."""
        text = json.dumps(record, sort_keys=True)
        self._write(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO complete VALUES (?, ?, ?)", (shard, stage, text)
            )
        )

    def clear_complete(self, shard: str, stage: str | None = None) -> None:
        """Drop the record of one stage, or of every stage, of ``shard``: call it before the first write of a run."""
        query = "DELETE FROM complete WHERE shard = ? AND (? IS NULL OR stage = ?)"
        self._write(lambda connection: connection.execute(query, (shard, stage, stage)))

    def meta(self, name: str) -> str | None:
        """A small named value."""
        rows = self._read("SELECT value FROM meta WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None

    def set_meta(self, name: str, value: str) -> None:
        """Write a small named value."""
        self._write(lambda connection: connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value)))

    def _read(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._run(lambda connection: connection.execute(query, values).fetchall())

    def _write(self, work: Callable[[sqlite3.Connection], object]) -> None:
        def transaction(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            try:
                work(connection)
            except BaseException:
                with contextlib.suppress(sqlite3.DatabaseError):
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

        self._run(transaction)

    def _run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Do ``work``; on a damaged file, once more on an empty one. A lock held for too long is the caller's error."""
        with self._mutex:
            try:
                return work(self._connection)
            except sqlite3.DatabaseError as error:
                if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)) or _is_busy(error):
                    raise
                self._connection.close()
                self._connection = self._rebuilt()
                return work(self._connection)

    def _rebuilt(self) -> sqlite3.Connection:
        """An empty cache: in place of the file where nobody else has it open, else in memory."""
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._lock_fd, fcntl.LOCK_SH)
            return self._connect(None)
        try:
            for suffix in ("", "-wal", "-shm", "-journal"):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self.path}{suffix}").unlink()
            return self._connect(self.path)
        finally:
            fcntl.flock(self._lock_fd, fcntl.LOCK_SH)

    @staticmethod
    def _connect(path: Path | None) -> sqlite3.Connection:
        """Open and prepare; waits where another process is preparing the file, because switching its journal does not."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            connection = sqlite3.connect(
                path or ":memory:", timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                _prepare(connection)
            except sqlite3.DatabaseError as error:
                connection.close()
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Set the connection up and make the tables; raises where the file is no cache of this version."""
    connection.execute("PRAGMA page_size = 1024")  # rows are short and changed singly, and each change writes its page
    connection.execute("PRAGMA journal_mode = PERSIST")  # a write-ahead log would cost 100 kB of files for each edit
    connection.execute("PRAGMA synchronous = OFF")  # after a power failure: the cache is made again where it is torn
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version not in (0, _VERSION):
        raise sqlite3.DatabaseError(f"cache version {version}")
    if version == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
    connection.execute("SELECT size FROM listing LIMIT 1").fetchone()
    connection.execute("SELECT record FROM complete LIMIT 1").fetchone()


def _is_busy(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL"))


def _record(text: str) -> dict[str, Any] | None:
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
