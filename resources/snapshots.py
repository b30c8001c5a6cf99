"""Handles of Delta tables for reading, kept while the table stays as it is. Nothing here writes.

Opening a table replays its log: 3 to 12 ms, and a run after an edit asks sixty times. What a table is now is told by the
last entry of its log, so a commit by whomever opens it anew. A handle that is read from never moves to another version:
scans look at it more than once.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Stamp = tuple[str, int, int]


class Snapshots:
    """One handle a table, for any number of threads that only read."""

    def __init__(self, stamp: Callable[[Path], Stamp | None] | None = None) -> None:
        """Nothing is open yet; ``stamp`` says how a table stands, ``latest_stamp`` where it is None."""
        self._stamp = stamp or latest_stamp
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[Stamp, Any]] = {}
        self._opening: dict[Path, threading.Lock] = {}

    def get(self, folder: Path, fresh: Callable[[], Any | None]) -> Any | None:
        """The handle of a table as it is now.

        Args:
            folder: the table's.
            fresh: opens it anew; None where there is no table.

        Returns:
            What ``fresh`` gave, now or earlier.
        """
        stamp = self._stamp(folder)
        if stamp is None:
            return fresh()
        with self._lock:
            known = self._known.get(folder)
            opening = self._opening.setdefault(folder, threading.Lock())
        if known is not None and known[0] == stamp:
            return known[1]
        with opening:  # who comes second waits for the first one's
            with self._lock:
                known = self._known.get(folder)
            if known is not None and known[0] == stamp:
                return known[1]
            handle = fresh()
            with self._lock:
                self._known[folder] = stamp, handle
        return handle

    def take(self, folder: Path, fresh: Callable[[], Any | None]) -> Any | None:
        """``get`` for a commit, which moves the handle: nobody is given it any more until it is ``put`` back."""
        stamp = self._stamp(folder)
        with self._lock:
            known = self._known.pop(folder, None)
        return known[1] if known is not None and stamp is not None and known[0] == stamp else fresh()

    def put(self, folder: Path, handle: Any) -> None:
        """Give a handle that a commit was made by, for reading; dropped where another commit came after that one.

        Args:
            folder: the table's.
            handle: nobody writes by it any more.
        """
        stamp = self._stamp(folder)
        if stamp is not None and int(stamp[0][:20]) != handle.version():
            handle.update_incremental()
        if stamp is not None and int(stamp[0][:20]) == handle.version():
            with self._lock:
                self._known[folder] = stamp, handle


def latest_version(folder: Path) -> int:
    """Version that the log of a local table ends with, -1 where there is no log."""
    latest = _latest(folder)
    return -1 if latest is None else int(latest.name[:20])


def latest_stamp(folder: Path) -> Stamp | None:
    """What changes with every commit, or None where that cannot be told."""
    try:
        latest = _latest(folder)
        seen = None if latest is None else latest.stat()
    except FileNotFoundError:  # cleaned up in between
        return None
    return None if latest is None or seen is None else (latest.name, seen.st_ino, seen.st_mtime_ns)


def _latest(folder: Path) -> "os.DirEntry[str] | None":
    try:
        with os.scandir(folder / "_delta_log") as entries:
            numbered = (entry for entry in entries if entry.name[:20].isdigit())
            return max(numbered, key=lambda entry: entry.name, default=None)
    except (FileNotFoundError, NotADirectoryError):
        return None
