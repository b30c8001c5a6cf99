"""Formats of the lake: which one it has, and whether this Cortex may work on it. Migrations are ``engine.migrations``'s.

The table ``ops/lake`` says it; a lake without one is of format 1. Whoever opens the lake asks, so the answer is noted in a small
file of the cache beside what the table's log looked like then. Importing this module brings in neither Polars nor Delta.

A new format is needed where this Cortex would misread an older lake, or an older Cortex this one's. A column that may be
null is not such a case: it is added when the table is written next.
"""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.bucket import Bucket
from resources.settings import Settings
from resources.snapshots import latest_stamp

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

FIRST = 1
SEVERAL_SPACES = 3
"""From here on rows of ``human/corpora`` may name further embedding spaces; a lake has it once one of them does."""
CURRENT = 3
OLDEST = 1
"""Lakes from this format on are read and written as they are; older ones only after ``cortex upgrade``."""
PENDING = "upgrading.json"
_TABLE = "ops/lake"


class NewerLake(Exception):
    """The lake is of a format that this Cortex does not know."""


class OlderLake(Exception):
    """The lake is of a format that has to be migrated first."""


def format_of(settings: Settings) -> int:
    """The format of the lake; the current one where there is no lake yet."""
    if settings.bucket is not None:
        return _read(settings) if _is_begun(settings.bucket) else CURRENT
    folder = settings.lake / _TABLE
    stamp = latest_stamp(folder)
    if stamp is None:
        return FIRST if any(path.parent != folder for path in settings.lake.glob("*/*/_delta_log")) else CURRENT
    note = settings.cache / "format.json"
    known = _noted(note)
    if known is not None and known["stamp"] == list(stamp):
        return int(known["format"])
    found = _read(settings)
    _note(note, {"stamp": stamp, "format": found})
    return found


def check(settings: Settings) -> None:
    """Refuse a lake that this Cortex would harm.

    Raises:
        NewerLake: it was written by a newer Cortex.
        OlderLake: it has to be migrated first.
    """
    found = format_of(settings)
    if found > CURRENT:
        raise NewerLake(
            f"{settings.lake_root} is a lake of format {found}, and this Cortex knows formats up to {CURRENT}; "
            "use the newer Cortex that wrote it, or restore a backup from before its upgrade"
        )
    if found < OLDEST:
        raise OlderLake(
            f"{settings.lake_root} is a lake of format {found}, and this Cortex works on formats from {OLDEST}; "
            "run `cortex upgrade`, which takes a snapshot first"
        )


def record(lake: "Lakehouse", reached: int, now: datetime, snapshot: str | None = None) -> None:
    """Write down that the lake has a format now; where it had it already nothing is written.

    Args:
        lake: the tables.
        reached: the format.
        now: when.
        snapshot: name of the backup that was taken before.
    """
    import polars as pl

    from cortex_assets.ops.schema import LAKE

    if lake.scan(LAKE).filter(pl.col("format_version") >= reached).collect().is_empty():
        row = {"format_version": reached, "reached_at": now, "snapshot": snapshot}
        lake.append(LAKE, pl.DataFrame([row], schema=LAKE.dtypes))


def _is_begun(bucket: Bucket) -> bool:
    """Whether a table is there; a lake on an object store tells its format from its first commit on."""
    return bool(bucket.list(f"{_TABLE}/_delta_log/") or bucket.list("human/corpora/_delta_log/"))


def _read(settings: Settings) -> int:
    import polars as pl

    from cortex_assets.ops.schema import LAKE
    from resources.lakehouse import Lakehouse

    lake = Lakehouse(settings.lake_root, storage_options=settings.lake_options)
    found = lake.scan(LAKE).select(pl.col("format_version").max()).collect().item()
    return FIRST if found is None else int(found)


def _noted(note: Path) -> dict[str, Any] | None:
    try:
        known = json.loads(note.read_bytes())
        return known if isinstance(known, dict) and {"stamp", "format"} <= known.keys() else None
    except (OSError, ValueError):
        return None


def _note(note: Path, values: dict[str, Any]) -> None:
    """Only a cache: without room on the disk the table is asked again."""
    fresh = note.with_name(f"{note.name}.{os.getpid()}")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(values), encoding="ascii")
        fresh.replace(note)
    except OSError:
        fresh.unlink(missing_ok=True)
