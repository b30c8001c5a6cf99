"""Making what was written last: files and folders are forced to the disk, one by one or a whole file system at once."""

import ctypes
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_MOST_FSYNCS = 64
_FLUSH_THREADS = 8


def make_durable(paths: Sequence[str | Path], root: Path) -> None:
    """Force files and folders to the disk: one by one where they are few, else the whole file system of ``root`` in one call.

    Eight at a time, so that the file system's journal commits them together.

    Raises:
        OSError: one of them is not there, or the disk fails.
    """
    if len(paths) > _MOST_FSYNCS and _sync_file_system(root):
        return
    with ThreadPoolExecutor(_FLUSH_THREADS) as pool:
        list(pool.map(fsync, paths))


def fsync(path: str | Path) -> None:
    """Force one file or folder to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_file_system(folder: Path) -> bool:
    """Write everything that waits on the folder's file system (``syncfs(2)``); false where that is not to be had."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return bool(call(descriptor) == 0)
    finally:
        os.close(descriptor)
