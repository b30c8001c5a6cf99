"""Which commit the log of each table in an object store ends with, by one request: a listing of what is newer than was seen.

The same as ``snapshots.latest_stamp`` tells of a folder. Opening a table takes three requests and more; a run asks hundreds of times.
"""

import threading
from pathlib import Path

from resources.bucket import Bucket, Listed
from resources.snapshots import Stamp


class BucketLog:
    """The logs of the tables below one place in an object store."""

    def __init__(self, bucket: Bucket) -> None:
        """Nothing is seen yet."""
        self._bucket = bucket
        self._lock = threading.Lock()
        self._latest: dict[Path, Listed] = {}

    def stamp(self, table: Path) -> Stamp | None:
        """What changes with every commit to a table (its path below the place), or None where there is no table."""
        with self._lock:
            known = self._latest.get(table)
        newer = self._bucket.list(f"{table.as_posix()}/_delta_log/", known.key if known else None)
        commits = [one for one in newer if _name(one)[:20].isdigit()]
        latest = commits[-1] if commits else known
        if latest is None:
            return None
        with self._lock:
            self._latest[table] = latest
        return _name(latest), latest.size, int(latest.modified_at.timestamp() * 1000)


def _name(one: Listed) -> str:
    return one.key.rpartition("/")[2]
