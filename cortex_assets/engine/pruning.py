"""Prunes what Dagster remembers: old runs with their logs, and old events of runs that it did not launch.

Dagster keeps everything for ever. Its own retention (``dagster.yaml``) covers ticks only. What shows how things stand stays:
unfinished runs, the latest hundred, the latest successful run of each shard and job, and the latest event of its kind.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

KEEP_DAYS = 30
KEEP_RUNS = 100
PAGE = 200
PARTITION_TAG = "dagster/partition"
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went: runs, and events and check results of no run."""

    runs: int
    events: int


def prune(
    instance: dg.DagsterInstance, home: Path, now: datetime, days: int = KEEP_DAYS, keep: int = KEEP_RUNS
) -> Pruned:
    """Delete what is older than ``days``.

    Args:
        instance: Dagster's.
        home: its DAGSTER_HOME, for the files that it leaves behind.
        now: the time.
        days: how long runs and events stay.
        keep: so many of the latest runs stay however old they are.
    """
    before = now - timedelta(days=days)
    kept: set[tuple[str, str]] = set()
    old: list[str] = []
    for number, record in enumerate(_records(instance)):
        run = record.dagster_run
        about = run.job_name, run.tags.get(PARTITION_TAG, "")
        is_last_good = run.status == dg.DagsterRunStatus.SUCCESS and about not in kept
        if is_last_good:
            kept.add(about)
        is_old = record.create_timestamp.replace(tzinfo=UTC) < before
        if number >= keep and is_old and run.status in FINISHED and not is_last_good:
            old.append(run.run_id)
    for run_id in old:
        instance.delete_run(run_id)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        for file in (home / "history" / "runs").glob(f"{run_id}.db*"):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (home / "storage" / run_id).rmdir()  # Dagster leaves an empty folder
    return Pruned(len(old), _prune_events(instance, before))


def _records(instance: dg.DagsterInstance) -> Iterator[dg.RunRecord]:
    """All runs, newest first."""
    cursor = None
    while page := instance.get_run_records(limit=PAGE, cursor=cursor):
        yield from page
        cursor = page[-1].dagster_run.run_id


def _prune_events(instance: dg.DagsterInstance, before: datetime) -> int:
    """Events without a run (what commands and the worker report, alerts): all but the latest of an asset, shard and kind.

    Dagster has no call for this; the tables are those of the pinned version.
    """
    import sqlalchemy as db
    from dagster._core.storage.event_log.schema import (
        AssetCheckExecutionsTable,
        AssetEventTagsTable,
        SqlEventLogStorageTable,
    )
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    limit = before.astimezone(UTC).replace(tzinfo=None)
    events, checks, tags = SqlEventLogStorageTable, AssetCheckExecutionsTable, AssetEventTagsTable
    about = (events.c.asset_key, events.c.partition, events.c.dagster_event_type)
    latest = db.select(db.func.max(events.c.id)).group_by(*about)
    is_old_event = (events.c.run_id == "") & (events.c.timestamp < limit) & events.c.id.not_in(latest)
    last_checks = db.select(db.func.max(checks.c.id)).group_by(
        checks.c.asset_key, checks.c.check_name, checks.c.partition
    )
    is_old_check = (checks.c.evaluation_event_timestamp < limit) & checks.c.id.not_in(last_checks)
    with storage.index_connection() as connection:
        ids = [row[0] for row in connection.execute(db.select(events.c.id).where(is_old_event)).fetchall()]
        for start in range(0, len(ids), PAGE):
            some = ids[start : start + PAGE]
            connection.execute(tags.delete().where(tags.c.event_id.in_(some)))
            connection.execute(events.delete().where(events.c.id.in_(some)))
        gone = connection.execute(checks.delete().where(is_old_check)).rowcount
    return len(ids) + int(gone)
