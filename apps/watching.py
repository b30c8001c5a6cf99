"""What ``apps.reader`` tells of runs: what goes on now, what past ones did and cost, what checks found. Imported late."""

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from apps.residence import looked_in, remembered
from apps.supervisor.state import url_of
from apps.views import (
    FAILED_NEXT,
    INTERRUPTED_NEXT,
    SILENT_NEXT,
    AtWorkLine,
    CheckLine,
    LiveLine,
    RunLine,
    RunsPage,
    RunStage,
    Service,
    TableGrowth,
)
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import CORPORA, FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.live import FAILED, INTERRUPTED, RUNNING, SILENT, LiveRun, live_runs
from cortex_assets.house import House
from cortex_assets.ops.schema import CHECKS, RUNS
from cortex_assets.tables import TableSpec
from resources.settings import load_settings

GROWING = (FILES, DOCUMENTS, CHUNKS, EMBEDDINGS)
DAY = timedelta(days=1)
MOST_VERSIONS = 500
NEXT = {INTERRUPTED: INTERRUPTED_NEXT, SILENT: SILENT_NEXT, FAILED: FAILED_NEXT}
STAGE_ORDER = ("files", "documents", "chunks", "embeddings", "index", "*")
_BADNESS = ("failed", "interrupted", "partial", "ok")
Seen = tuple[tuple[str, int, int], ...]
_seen: dict[Path, tuple[Seen, list[LiveRun]]] = {}
_seeing = threading.Lock()


def live() -> tuple[LiveLine, ...]:
    """See ``apps.reader.live``."""
    with looked_in() as house:
        runs = _runs_now(house.settings.cache / "live", house.settings.locks)
        names = corpus_names(house) if runs else {}
        return tuple(_live(run, names) for run in runs)


def _runs_now(folder: Path, locks: Path) -> list[LiveRun]:
    """``live_runs``; while no file of it moves and nothing ran before, nothing is read and no lock is touched."""
    seen = _signature(folder)
    with _seeing:
        known = _seen.get(folder)
    if known is not None and known[0] == seen and not any(run.state in (RUNNING, SILENT) for run in known[1]):
        return known[1]
    runs = live_runs(folder, locks, time.time())
    with _seeing:
        _seen[folder] = seen, runs
    return runs


def _signature(folder: Path) -> Seen:
    found = []
    for path in folder.glob("*.json"):
        try:
            stat = path.stat()
        except FileNotFoundError:  # replaced this moment
            continue
        found.append((path.name, stat.st_mtime_ns, stat.st_ino))
    return tuple(sorted(found))


def corpus_names(house: House) -> dict[str, str]:
    """Corpus id to the name that people use."""

    def read() -> dict[str, str]:
        return dict(house.lake.scan(CORPORA).select("corpus_id", "name").collect().iter_rows())

    return remembered(house, "corpus names", (CORPORA,), read)


def _live(run: LiveRun, names: dict[str, str]) -> LiveLine:
    return LiveLine(
        names.get(run.corpus_id, run.shard),
        run.shard,
        run.state,
        run.trigger,
        run.stage,
        run.done,
        run.total,
        run.unit,
        run.seconds_left,
        _moment(run.started_at),
        _moment(run.heartbeat_at),
        run.reason,
        NEXT.get(run.state, ""),
        tuple(AtWorkLine(d.path, d.stage, _moment(d.since)) for d in run.documents),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def checks() -> tuple[CheckLine, ...]:
    """See ``apps.reader.checks``."""
    with looked_in() as house:
        return remembered(house, "checks", (CHECKS, CORPORA), partial(_checks, house))


def _checks(house: House) -> tuple[CheckLine, ...]:
    shards = {shard: corpus.name for corpus in house.register.corpora() for shard in corpus.shards}
    latest = (
        house.lake.scan(CHECKS)
        .filter(pl.col("shard").is_in(list(shards)))
        .sort("checked_at")
        .unique(["shard", "asset", "check"], keep="last", maintain_order=True)
        .sort("is_passed", "shard", "asset", "check")
        .collect()
    )
    return tuple(
        CheckLine(
            shards[row["shard"]],
            row["shard"],
            row["asset"],
            row["check"],
            row["scope"],
            row["is_passed"],
            row["finding_count"],
            row["detail"] or "",
            row["checked_at"],
        )
        for row in latest.iter_rows(named=True)
    )


def growth() -> tuple[TableGrowth, ...]:
    """See ``apps.reader.growth``."""
    since = datetime.now(UTC) - DAY
    hour = since.replace(minute=0, second=0, microsecond=0)
    with looked_in() as house:
        return tuple(
            remembered(house, ("growth", hour), (table,), partial(_growth, house, table, since)) for table in GROWING
        )


def _growth(house: House, table: TableSpec, since: datetime) -> TableGrowth:
    rows = house.lake.rows(table)
    commits = house.lake.history(table, MOST_VERSIONS)
    before = next((int(c["version"]) for c in commits if _moment(c["timestamp"] / 1000) <= since), None)
    if before is None and (not commits or int(commits[-1]["version"]) == 0):
        before = -1  # the table was not there yet
    then = None if before is None else house.lake.rows_at(table, before)
    return TableGrowth(table.name, rows, house.lake.version(table), None if then is None else rows - then)


def runs(corpus: str | None, status: str | None, limit: int, offset: int) -> RunsPage:
    """See ``apps.reader.runs``."""
    with looked_in() as house:
        make = partial(_runs, house, corpus, status, limit, offset)
        return remembered(house, ("runs", corpus, status, limit, offset), (RUNS, CORPORA), make)


def _runs(house: House, corpus: str | None, status: str | None, limit: int, offset: int) -> RunsPage:
    names = corpus_names(house)
    rows = house.lake.scan(RUNS)
    if corpus is not None:
        rows = rows.filter(pl.col("corpus_id").is_in([i for i, name in names.items() if name == corpus]))
    grouped = rows.group_by("run_id", "shard").agg(pl.col("started_at").first(), _worst())
    if status is not None:
        grouped = grouped.filter(pl.col("worst") == _BADNESS.index(status))
    listed = grouped.sort(["started_at", "shard"], descending=[True, False]).collect()
    shown = listed.slice(offset, limit)
    stages = rows.join(shown.lazy().select("run_id", "shard"), on=["run_id", "shard"], how="semi").collect()
    by_run: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in stages.iter_rows(named=True):
        by_run.setdefault((row["run_id"], row["shard"]), []).append(row)
    return RunsPage(
        tuple(
            _run(by_run[run["run_id"], run["shard"]], _BADNESS[run["worst"]], names)
            for run in shown.iter_rows(named=True)
        ),
        listed.height,
    )


def run_statuses() -> tuple[tuple[str, int], ...]:
    """Each status with how many runs of the last 24 hours have it."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    with looked_in() as house:
        recent = remembered(house, ("recent runs", midnight), (RUNS,), partial(_recent, house, midnight - DAY))
    counts = dict(recent.filter(pl.col("started_at") >= now - DAY).group_by("worst").len().iter_rows())
    return tuple((status, counts.get(number, 0)) for number, status in reversed([*enumerate(_BADNESS)]))


def _recent(house: House, since: datetime) -> pl.DataFrame:
    """The runs that began since, with the number of their worst status."""
    rows = house.lake.scan(RUNS).filter(pl.col("started_at") >= since)
    return rows.group_by("run_id", "shard").agg(pl.col("started_at").first(), _worst()).collect()


def _worst() -> pl.Expr:
    return (
        pl.col("status")
        .replace_strict(list(_BADNESS), range(len(_BADNESS)), return_dtype=pl.Int64)
        .min()
        .alias("worst")
    )


def _run(rows: Sequence[dict[str, Any]], status: str, names: dict[str, str]) -> RunLine:
    ordered = sorted(rows, key=lambda row: STAGE_ORDER.index(row["stage"]) if row["stage"] in STAGE_ORDER else 99)
    first = ordered[0]
    stages = tuple(
        RunStage(
            "whole run" if row["stage"] == "*" else row["stage"],
            row["status"],
            row["seconds"],
            row["new_count"],
            row["changed_count"],
            row["deleted_count"],
            row["failed_count"] + row["quarantined_count"],
            row["remaining_count"],
            row["rows_written"],
            row["token_count"],
            row["call_count"],
            row["reason"] or "",
        )
        for row in ordered
    )
    return RunLine(
        first["run_id"],
        names.get(first["corpus_id"], first["corpus_id"]),
        first["shard"],
        first["trigger"],
        first["started_at"],
        status,
        next((stage.reason for stage in stages if stage.status == status and stage.reason), ""),
        sum(stage.seconds for stage in stages),
        sum(stage.tokens for stage in stages),
        sum(stage.rows for stage in stages),
        sum(stage.failed for stage in stages),
        stages,
    )


def dagster() -> Service:
    """See ``apps.reader.dagster``."""
    return Service("dagster", url_of(load_settings().up, "dagster") or "", "cortex up")
