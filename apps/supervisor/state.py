"""What is up, in ``data/up/up.json``: written by the supervisor, read by the app, the worker and commands. Light."""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from resources.file_lock import alone, is_locked

STARTING, UP, WAITING, STOPPED = "starting", "up", "waiting", "stopped"
LOOK_SECONDS = 0.3
"""Whoever looks whether a supervisor is at work holds its lock for a moment; one that starts waits for so long."""


@dataclass(frozen=True, slots=True)
class PartState:
    """One part as it stands.

    Attributes:
        name: ``worker``, ``code``, ``dagster``, ``daemon`` or ``app``.
        state: ``starting``, ``up``, ``waiting`` (it ended, and is started again soon) or ``stopped``.
        pid: of its process; 0 while there is none.
        url: where people find it; empty for parts without a page.
        restarts: how often it was started again.
        since: seconds since the epoch, of this state.
        reason: why it waits, or how it ended last.
        log: its log file.
    """

    name: str
    state: str
    pid: int = 0
    url: str = ""
    restarts: int = 0
    since: float = 0.0
    reason: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True)
class UpState:
    """All parts, and the supervisor's process."""

    pid: int
    started_at: float
    parts: tuple[PartState, ...]


class AlreadyUp(Exception):
    """Another supervisor has this data folder."""


def file_of(up: Path) -> Path:
    """Where the state is."""
    return up / "up.json"


def write_state(up: Path, state: UpState) -> bool:
    """Put the state in its file, whole or not at all; whether there was room on the disk for it."""
    fresh = up / f"up.json.{os.getpid()}"
    try:
        fresh.write_text(json.dumps(asdict(state)), encoding="utf-8")
        fresh.replace(file_of(up))
    except OSError:
        return False
    return True


def read_state(up: Path) -> UpState | None:
    """What a living supervisor said last; None where none is."""
    if not is_held(up):
        return None
    try:
        values: dict[str, Any] = json.loads(file_of(up).read_text(encoding="utf-8"))
        parts = tuple(PartState(**part) for part in values["parts"])
        return UpState(int(values["pid"]), float(values["started_at"]), parts)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def url_of(up: Path, name: str) -> str | None:
    """Where a part that is up is to be found; None where it is not."""
    state = read_state(up)
    parts: Sequence[PartState] = state.parts if state is not None else ()
    return next((part.url for part in parts if part.name == name and part.state == UP and part.url), None)


@contextmanager
def held(up: Path) -> Iterator[None]:
    """Be the only supervisor of a data folder; the kernel gives it back however this process ends.

    What the one before said is removed: the process that it names may be anybody's by now.

    Raises:
        AlreadyUp: another one is.
    """
    up.mkdir(parents=True, exist_ok=True)
    with alone(up / "up.lock", LOOK_SECONDS) as is_mine:
        if not is_mine:
            raise AlreadyUp(str(up))
        with contextlib.suppress(OSError):
            file_of(up).unlink(missing_ok=True)
        yield


def is_supervisor(up: Path, pid: int) -> bool:
    """Whether a process has the supervisor's lock open; True where the system does not tell."""
    if not Path("/proc/self/fd").is_dir():
        return True
    with contextlib.suppress(OSError):
        mine = (up / "up.lock").stat()
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                seen = entry.stat()
                if (seen.st_dev, seen.st_ino) == (mine.st_dev, mine.st_ino):
                    return True
    return False


def is_held(up: Path) -> bool:
    """Whether a supervisor is at work."""
    return is_locked(up / "up.lock")
