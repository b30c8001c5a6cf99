"""A SQLite file that all processes of a machine share: opening, transactions, what is done with a damaged one.

What is in it is ``ledger``'s and ``cache``'s. A write-ahead log without waiting for the disk: a power failure may take the last calls.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from inference.errors import LedgerUnavailable

BUSY_SECONDS: Final = 15.0
_LEAST_PATIENCE: Final = 0.05
_log = logging.getLogger("cortex.inference")


class SharedFile:
    """One file, opened when first used, and again after a fork. Thread-safe.

    Args:
        path: of the file; its folder is made.
        schema: SQL that makes the tables where they are not there.
        version: of the schema; a file of another one is put aside.
    """

    def __init__(self, path: Path, schema: str, version: int) -> None:
        self.path = path
        self._schema, self._version = schema, version
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._identity = (0, 0)
        _FILES.add(self)

    @contextlib.contextmanager
    def transaction(self, patience: float = BUSY_SECONDS) -> Iterator[sqlite3.Connection]:
        """Do some reads and writes, all or none; nobody else writes meanwhile.

        Args:
            patience: seconds to wait for others, 15 at most: for threads of this process, then for other processes.

        Raises:
            LedgerUnavailable: the disk is full, or others hold the file for so long.
        """
        patience = min(max(patience, _LEAST_PATIENCE), BUSY_SECONDS)
        with self._held(patience):
            connection = self._open()
            try:
                connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    with contextlib.suppress(sqlite3.DatabaseError):
                        connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                raise self._failed(error) from None

    def read(self, query: str, values: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Rows, of what is committed.

        Raises:
            LedgerUnavailable: as for ``transaction``.
        """
        with self._held(BUSY_SECONDS):
            try:
                return self._open().execute(query, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise self._failed(error) from None

    def close(self) -> None:
        """Close the file; it is opened again when used."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def before_fork(self) -> None:
        """Close it and keep all other threads out: neither a lock that one of them holds nor a connection survives a fork."""
        self._lock.acquire()
        self.close()

    def after_fork(self) -> None:
        """Let the others in again, in both processes."""
        self._lock.release()

    @contextlib.contextmanager
    def _held(self, patience: float) -> Iterator[None]:
        if not self._lock.acquire(timeout=patience):
            raise LedgerUnavailable(f"{self.path}: another thread waits for it; remedy: end what holds the file")
        try:
            yield
        finally:
            self._lock.release()

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            if self._identity == _identity_of(self.path):
                return self._connection
            self.close()  # somebody took the file away: what is written into it, nobody else would see
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            found = _identity_of(self.path)
            try:
                self._connection = _connected(self.path, self._schema, self._version)
            except sqlite3.DatabaseError as error:
                if _is_passing(error):
                    raise
                self._put_aside(error, found)
                self._connection = _connected(self.path, self._schema, self._version)
        except (OSError, sqlite3.DatabaseError) as error:
            raise self._failed(error) from None
        self._identity = _identity_of(self.path)
        return self._connection

    def _put_aside(self, error: Exception, found: tuple[int, int]) -> None:
        """Rename the file, unless another process did and began a new one meanwhile; the file itself last, for the same reason."""
        name = f"{self.path.stem}.damaged-{int(time.time())}-{os.getpid()}{self.path.suffix}"
        for suffix in ("-wal", "-shm", ""):
            if _identity_of(self.path) != found:
                return
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").replace(self.path.with_name(name + suffix))
        _log.error("%s cannot be read (%s): put aside as %s, a new one is begun", self.path, error, name)

    def _failed(self, error: Exception) -> LedgerUnavailable:
        if isinstance(error, sqlite3.DatabaseError) and not _is_passing(error):
            self.close()  # opened again, it is found out whether the file is damaged
        return LedgerUnavailable(
            f"{self.path}: a call cannot be written down ({error}); remedy: free some space, or end what holds the file"
        )


_FILES: "weakref.WeakSet[SharedFile]" = weakref.WeakSet()
_FORKED: list[SharedFile] = []
_FORKING: Final = threading.Lock()


def _before_fork() -> None:
    _FORKING.acquire()
    _FORKED[:] = sorted(_FILES, key=id)
    for one in _FORKED:
        one.before_fork()


def _after_fork() -> None:
    while _FORKED:
        _FORKED.pop().after_fork()
    _FORKING.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def _identity_of(path: Path) -> tuple[int, int]:
    """Which file it is; none = (0, 0)."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def _connected(path: Path, schema: str, version: int) -> sqlite3.Connection:
    """Open and prepare; waits where another process is preparing the file."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"))
        connection.execute("PRAGMA synchronous = NORMAL")
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found not in (0, version):
            raise sqlite3.DatabaseError(f"version {found} instead of {version}")
        if not found:
            _patiently(
                lambda: connection.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {version}; COMMIT;")
            )
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _patiently(work: Callable[[], object]) -> None:
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            work()
        except sqlite3.DatabaseError as error:
            if not _is_passing(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _is_passing(error: sqlite3.DatabaseError) -> bool:
    """Whether it says nothing of the file itself: it is busy, the disk is full."""
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(
        (
            "SQLITE_BUSY",
            "SQLITE_LOCKED",
            "SQLITE_FULL",
            "SQLITE_IOERR",
            "SQLITE_CANTOPEN",
            "SQLITE_READONLY",
            "SQLITE_PROTOCOL",
            "SQLITE_NOMEM",
            "SQLITE_INTERRUPT",
            "SQLITE_PERM",
        )
    )
