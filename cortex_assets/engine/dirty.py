"""What the resident worker knows to differ and leaves to others, in a small file: so that a sensor need not list a folder.

Importing this module brings in neither Polars nor Dagster.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

FRESH_SECONDS = 90.0


def write_dirty(path: Path, shards: Mapping[str, str], now: float) -> None:
    """Say what differs.

    Args:
        path: the file.
        shards: shard to a token of how it differs; what the worker runs itself is left out.
        now: seconds since the epoch.
    """
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):  # without room on the disk the old word grows stale
        fresh.write_text(json.dumps({"pid": os.getpid(), "at": now, "shards": dict(shards)}), encoding="utf-8")
        fresh.replace(path)


def read_dirty(path: Path, now: float) -> dict[str, str] | None:
    """What a living worker said within the last minute and a half; None where there is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if now - float(values["at"]) > FRESH_SECONDS:
            return None
        os.kill(int(values["pid"]), 0)
        return {str(shard): str(token) for shard, token in values["shards"].items()}
    except PermissionError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
