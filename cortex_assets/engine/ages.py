"""Rows of ``ops/`` that are older than anybody asks for: what runs, checks, scans and findings were, long ago.

Ledgers fold themselves. Of scans the last of each corpus stays, and the last that a person confirmed: the guard and
``cortex status`` look at them. Of published generations stay those of the retention, which ``as_of`` may ask for, and the
last of each shard. Callers hold the lake's lease.
"""

from datetime import datetime, timedelta

import polars as pl

from cortex_assets.calls.schema import MODEL_CALLS
from cortex_assets.corpora.schema import SCANS
from cortex_assets.ops.schema import CHECKS, QUARANTINED_ROWS, RUNS, SECRET_COUNTS, SNAPSHOTS
from cortex_assets.tables import TableSpec
from resources.lakehouse import Lakehouse

TIMES: tuple[tuple[TableSpec, str], ...] = (
    (RUNS, "started_at"),
    (CHECKS, "checked_at"),
    (SECRET_COUNTS, "found_at"),
    (MODEL_CALLS, "started_at"),
    (QUARANTINED_ROWS, "quarantined_at"),
)
"""Tables of which rows go by their age alone, and the column that tells it."""
PUBLISHED = ["space_id", "shard", "generation", "published_at"]
"""What tells one published generation; numbers begin anew where an index was dropped."""
AGED = (*(table for table, _ in TIMES), SCANS, SNAPSHOTS)


def aged(lake: Lakehouse, table: TableSpec, history: timedelta, retention: timedelta, now: datetime) -> pl.DataFrame:
    """The rows of a table that are to go; all columns."""
    rows = lake.scan(table)
    if table is SCANS:
        old = rows.filter(pl.col("started_at") < now - history).collect()
        every = rows.sort("started_at")
        last = every.unique("corpus_id", keep="last").select("scan_id").collect()
        confirmed = every.filter("is_confirmed").unique("corpus_id", keep="last").select("scan_id").collect()
        return old.join(pl.concat([last, confirmed]), on="scan_id", how="anti")
    if table is SNAPSHOTS:
        last = rows.sort("published_at").unique(["space_id", "shard"], keep="last").collect()
        old = rows.filter(pl.col("published_at") < now - retention).collect()
        return old.join(last, on=PUBLISHED, how="anti")
    return rows.filter(pl.col(_time(table)) < now - history).collect()


def remove_aged(lake: Lakehouse, table: TableSpec, history: timedelta, retention: timedelta, now: datetime) -> int:
    """Delete them; how many there were. None makes no commit."""
    old = aged(lake, table, history, retention, now)
    if old.is_empty():
        return 0
    if table is SCANS:
        return lake.delete_where(SCANS, "scan_id", old["scan_id"].sort().to_list()).deleted
    if table is SNAPSHOTS:
        # Written inside shard leases only, so nobody appends while the lake is held: it may be written anew.
        kept = lake.scan(SNAPSHOTS).collect().join(old, on=PUBLISHED, how="anti")
        lake.overwrite(SNAPSHOTS, kept)
        return old.height
    return lake.delete_before(table, _time(table), now - history).deleted


def _time(table: TableSpec) -> str:
    return next(column for one, column in TIMES if one is table)
