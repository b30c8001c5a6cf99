"""One process at a time, by a lock on a file that the kernel gives back however its holder ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RETRY_SECONDS = 0.01


@contextmanager
def alone(lock: Path, patience: float = 0.0) -> Iterator[bool]:
    """True where nobody else holds the lock, which is then held until the end; False where somebody does.

    Args:
        lock: the file, no link; made where it is missing, in a folder that exists.
        patience: seconds in which it is tried again: who only looks (``is_locked``) holds it for a moment, too.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + patience
        while not (is_mine := _is_taken(descriptor)) and time.monotonic() < until:
            time.sleep(_RETRY_SECONDS)
        yield is_mine
    finally:
        os.close(descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(lock: Path) -> bool:
    """Whether somebody holds a lock on a file; nobody does on one that is not there."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
