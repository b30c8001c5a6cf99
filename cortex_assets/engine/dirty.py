"""The dirty list: what the resident worker knows of the shards, in one small file that Dagster's sensor reads.

The worker watches the folders, so it knows what differs without listing anything; small changes it runs itself, and only
what it leaves to Dagster (large changes) stands here with a token. A list is believed while it is young and its process
lives; without such a list whoever asks must look at the folders. Plain JSON: no Polars, no Dagster.
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FRESH_SECONDS = 90.0
"""A list is believed for so long after the worker's last look."""
NAME = "dirty.json"


@dataclass(frozen=True, slots=True)
class DirtyList:
    """What a worker said last.

    Attributes:
        pid: its process.
        at: its last look (seconds since the epoch).
        shards: shard to a token of how it differs; empty where nothing does, or where the worker runs it itself.
    """

    pid: int
    at: float
    shards: Mapping[str, str]

    def problem(self, now: float) -> str:
        """Why it is not to be believed at ``now`` (seconds since the epoch); empty where it is."""
        if not -FRESH_SECONDS <= now - self.at <= FRESH_SECONDS:
            return f"the worker's list is {now - self.at:.0f} s old"
        return "" if _is_alive(self.pid) else f"the worker (process {self.pid}) has ended"


def dirty_file(cache: Path) -> Path:
    """Where the list lies, below the cache folder."""
    return cache / NAME


def write_dirty(file: Path, shards: Mapping[str, str], at: float | None = None, pid: int | None = None) -> DirtyList:
    """Replace the list whole; readers see the old one or the new one.

    Args:
        file: see ``dirty_file``; its folder is made where it is missing.
        shards: shard to token.
        at: time of the look (seconds since the epoch); now by default.
        pid: the worker's process; this one by default.

    Raises:
        OSError: it cannot be written.
    """
    made = DirtyList(os.getpid() if pid is None else pid, time.time() if at is None else at, dict(shards))
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        fresh.write_text(json.dumps({"pid": made.pid, "at": made.at, "shards": made.shards}), encoding="utf-8")
        fresh.replace(file)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    return made


def read_dirty(file: Path) -> DirtyList | None:
    """The list, however old; None where there is none, or one of another form."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        shards = {str(shard): str(token) for shard, token in values["shards"].items()}
        return DirtyList(int(values["pid"]), float(values["at"]), shards)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def fresh_dirty(file: Path, now: float) -> tuple[DirtyList | None, str]:
    """(the list where it is to be believed, why there is none)."""
    found = read_dirty(file)
    if found is None:
        return None, "no worker runs"
    problem = found.problem(now)
    return (None, problem) if problem else (found, "")


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    except OverflowError:
        return False
    return True
