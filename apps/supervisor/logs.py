"""One log file a part, bounded: appended to by the part itself, cut by the supervisor when it has grown."""

import contextlib
import os
import shutil
from pathlib import Path

MOST_BYTES = 10 * 2**20
KEPT = 2


def open_log(folder: Path, name: str) -> tuple[Path, int]:
    """The log of a part and a descriptor that appends to it (close it when the part has it)."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def cut(folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """Put what is in grown logs aside, and empty them: their writers append, so they go on at the beginning.

    Lines written between copy and cut are lost. Without room on the disk the log is emptied all the same.
    """
    for path in folder.glob("*.log"):
        if path.stat().st_size <= most_bytes:
            continue
        for number in range(KEPT, 1, -1):
            with contextlib.suppress(FileNotFoundError):
                path.with_suffix(f".log.{number - 1}").replace(path.with_suffix(f".log.{number}"))
        with contextlib.suppress(OSError):
            _copy(path, path.with_suffix(".log.1"))
        os.truncate(path, 0)


def _copy(path: Path, target: Path) -> None:
    """For nobody else's eyes, like the log."""
    target.unlink(missing_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as copy, open(path, "rb") as log:
        shutil.copyfileobj(log, copy, 1 << 20)


def tail(path: Path, lines: int = 5) -> list[str]:
    """The last lines of a log; none where it cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return []
