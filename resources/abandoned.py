"""Temporary files whose process was killed: how they are told from those that are still needed, and removed.

The files of one owner begin with a name of its own. While it has any, it holds a ``flock`` on ``<name>lock`` beside them. The
kernel lets go of that however the process ends, so no process id has to be asked about, which another process may have by now,
or another host.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path

LOCK = "-lock"
ABANDONED_SECONDS = 86_400.0
"""Files without a lock file are removed after so long: an older Cortex made them."""


class Owner:
    """Says that files are needed whose names begin with ``name`` and a dash."""

    def __init__(self, folder: Path, name: str) -> None:
        """Hold nothing yet."""
        self._folder, self._path, self._fd = folder, folder / f"{name}{LOCK}", -1

    def hold(self) -> None:
        """Before the first of the files is made; again is no error.

        Raises:
            OSError: the folder cannot be made or written.
        """
        if self._fd >= 0:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        while self._fd < 0:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                self._fd = fd
            else:  # taken for abandoned between the two calls
                os.close(fd)

    def let_go(self) -> None:
        """When none of the files is there any more."""
        if self._fd >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1


def remove_abandoned(folder: Path) -> int:
    """Remove what no living owner holds; how many files beside lock files."""
    paths = list(folder.iterdir()) if folder.is_dir() else []
    locks = [path for path in paths if path.name.endswith(LOCK)]
    removed = 0
    for lock in locks:
        mine = lock.name.removesuffix("lock")
        removed += _remove_unlocked(lock, [path for path in paths if path.name.startswith(mine) and path != lock])
    owned = tuple(lock.name.removesuffix("lock") for lock in locks)
    oldest = time.time() - ABANDONED_SECONDS
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            if not path.name.startswith(owned) and path.stat().st_mtime < oldest:
                path.unlink()
                removed += 1
    return removed


def _remove_unlocked(lock: Path, files: list[Path]) -> int:
    """Remove files and their lock file where nobody holds it; how many files."""
    try:
        fd = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in [*files, lock]:
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return 0
    finally:
        os.close(fd)
    return len(files)
