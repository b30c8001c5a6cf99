"""Leases: who may work on a shard, and who on the whole lake.

A lease is a ``flock`` on a small file that tells who holds it. The kernel releases it when its holder ends, however it
ends, so there is no stale lease to break. A run holds its shard's lease exclusively and the lake's shared; maintenance
holds the lake's exclusively, so either some runs work or one maintenance does. Nothing here waits unasked: whoever comes
second gets ``LeaseBusy``.

Where machines share a lake on an object store, a lease is this one, among the processes of a machine, and an object in the
store besides: see ``engine.shared_lease``. The functions here take either place.
"""

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote

from resources.bucket import LeasePlace

LAKE = "_lake"
RETRY_SECONDS = 0.02
SHARED_RETRY_SECONDS = 0.5
GLANCE_SECONDS = 0.015
HELD_SECONDS, LOOKED_AT_SECONDS = 0.045, 5.0
"""``holders`` takes a lease that is free for microseconds, to see that it is: whoever meets that tries again this long.

A file that names no holder was given back, so that only glances, or a holder in its first instant, can be in the way.
"""
_open_descriptors: set[int] = set()
_mutex = threading.Lock()
_is_fork_hooked = False


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease: name of the lease, process id, host, and two times (UTC, ISO 8601)."""

    name: str
    pid: int
    host: str
    started_at: str
    heartbeat_at: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.started_at} (last sign of life {self.heartbeat_at})"


class LeaseBusy(RuntimeError):
    """Another run, or another thread of this process, holds the lease."""

    def __init__(self, name: str, holder: Holder | None) -> None:
        self.name = name
        self.holder = holder
        what = "the lake" if name == LAKE else f"shard {name}"
        who = "another process" if holder is None else str(holder)
        if holder is not None and holder.pid == os.getpid() and holder.host == socket.gethostname():
            who = "this very process, in another place"
        super().__init__(f"{what} is leased by {who}; wait until it is done")


class LeaseLost(RuntimeError):
    """A lease in the object store ran out before its holder could renew it; nothing more may be written under it."""


class Lease:
    """One held lock file; use it as a context manager, or ``release`` it."""

    def __init__(self, folder: Path, name: str, is_shared: bool = False) -> None:
        """Take the lease.

        Raises:
            LeaseBusy: it is held in a way that excludes this one.
        """
        self.name = name
        self.is_shared = is_shared
        self.path = _lock_path(folder, name)
        self._fd = _locked(self.path, name, fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX)
        self._pid = os.getpid()
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        with _mutex:
            _open_descriptors.add(self._fd)
        _hook_fork()
        self.beat()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def beat(self) -> None:
        """Write a sign of life; a shared lease has no single holder and writes nothing."""
        if self.is_shared or not self._is_mine():
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        holder = Holder(self.name, os.getpid(), socket.gethostname(), self._started_at, now)
        content = json.dumps(asdict(holder)).encode()
        os.pwrite(self._fd, content, 0)
        os.ftruncate(self._fd, len(content))

    def release(self) -> None:
        """Give it back; a second call, or one in a forked child, does nothing."""
        if self._is_mine():
            with _mutex:
                _open_descriptors.discard(self._fd)
            if not self.is_shared:
                # The file names nobody then, and keeps its room: on a full disk the next holder needs none.
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, 1)
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            os.close(self._fd)
            self._fd = -1

    def _is_mine(self) -> bool:
        return self._fd >= 0 and self._pid == os.getpid()


def take(place: Path | LeasePlace, name: str, is_shared: bool = False) -> Lease:
    """Take a lease in a folder, or one that machines share.

    Raises:
        LeaseBusy: it is held in a way that excludes this one.
    """
    if isinstance(place, Path):
        return Lease(place, name, is_shared)
    from cortex_assets.engine.shared_lease import SharedLease

    return SharedLease(place, name, is_shared)


@contextlib.contextmanager
def shard_lease(place: Path | LeasePlace, shard: str) -> Iterator[Lease]:
    """Hold a shard for a run: the lake's lease shared, the shard's exclusively.

    Args:
        place: where leases are; a folder is made where it is missing.
        shard: name of the shard.

    Raises:
        LeaseBusy: another run has the shard, or maintenance has the lake.
    """
    with take(place, LAKE, is_shared=True), take(place, shard) as lease:
        yield lease


@contextlib.contextmanager
def lake_lease(place: Path | LeasePlace, patience: float = 0.0) -> Iterator[Lease]:
    """Hold the whole lake for maintenance: no run works meanwhile.

    Args:
        place: where leases are.
        patience: seconds in which it is tried again; runs that come meanwhile are not kept from working.

    Raises:
        LeaseBusy: a run or another maintenance is at work; its holder is that of some leased shard.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            lease = take(place, LAKE)
            break
        except LeaseBusy as error:
            if time.monotonic() >= deadline:
                working = [holder for holder in holders(place) if holder.name != LAKE]
                raise LeaseBusy(LAKE, working[0] if working else error.holder) from None
        time.sleep(RETRY_SECONDS if isinstance(place, Path) else SHARED_RETRY_SECONDS)
    with lease:
        yield lease


def holders(place: Path | LeasePlace) -> list[Holder]:
    """Who holds an exclusive lease at this moment, by lease name; of a shared place those of all machines."""
    if isinstance(place, LeasePlace):
        from cortex_assets.engine.shared_lease import shared_holders

        return shared_holders(place)
    found = []
    for path in sorted(place.glob("*.lock")):
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _holder(fd)
                found.append(holder or Holder(unquote(path.stem), 0, "unknown", "unknown", "unknown"))
            finally:
                os.close(fd)
    return found


def check_held(place: Path | LeasePlace) -> None:
    """Refuse to go on where a lease that this process took ran out; asked before every write.

    Raises:
        LeaseLost: naming it. A lease in a folder is never lost: the kernel keeps it.
    """
    if isinstance(place, LeasePlace):
        from cortex_assets.engine.shared_lease import check_shared

        check_shared(place)


def fences(place: Path | LeasePlace) -> tuple[str, ...]:
    """Names that this process's commits are to carry, so that those of a holder that lost its lease meet them as conflicts."""
    if isinstance(place, Path):
        return ()
    from cortex_assets.engine.shared_lease import held_names

    return held_names(place)


def encoded(name: str) -> str:
    """A lease's name as a file or an object: letters, digits, ``-``, ``_`` and inner dots stay, the rest is percent-encoded."""
    if not name or len(name) > 80:
        raise ValueError(f"{name[:100]!r}: a lease name has 1 to 80 characters")
    quoted = quote(name, safe="")
    return "%2E" + quoted[1:] if quoted.startswith(".") else quoted


def _lock_path(folder: Path, name: str) -> Path:
    return folder / f"{encoded(name)}.lock"


def _locked(path: Path, name: str, mode: int) -> int:
    """Open and lock ``path``; a file that was replaced meanwhile is opened again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(fd, mode, is_alone=name != LAKE)
        except BlockingIOError:
            holder = _holder(fd)
            os.close(fd)
            raise LeaseBusy(name, holder) from None
        except BaseException:
            os.close(fd)
            raise
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(fd).st_ino == path.stat().st_ino:
                return fd
        os.close(fd)


def _lock(fd: int, mode: int, is_alone: bool) -> None:
    """Lock an open file, exclusively after some tries.

    Args:
        fd: the open file.
        mode: LOCK_SH or LOCK_EX.
        is_alone: nobody holds this lease as shared, so whoever has it for longer than a glance wrote its name.

    Raises:
        BlockingIOError: it is held, and not just looked at.
    """
    began = time.monotonic()
    while True:
        try:
            return fcntl.flock(fd, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            patience = 0.0
            if mode == fcntl.LOCK_EX:
                patience = LOOKED_AT_SECONDS if is_alone and _holder(fd) is None else HELD_SECONDS
            if time.monotonic() - began >= patience:
                raise
        time.sleep(GLANCE_SECONDS)


def _holder(fd: int) -> Holder | None:
    try:
        return Holder(**json.loads(os.pread(fd, 4096, 0)))
    except (ValueError, TypeError):
        return None


def _hook_fork() -> None:
    """Let forked children drop their copies of the descriptors, which would keep a lease beyond its holder's end."""
    global _is_fork_hooked
    with _mutex:
        if not _is_fork_hooked:
            os.register_at_fork(after_in_child=_close_in_child)
            _is_fork_hooked = True


def _close_in_child() -> None:
    for fd in _open_descriptors:
        with contextlib.suppress(OSError):
            os.close(fd)
    _open_descriptors.clear()
