"""Rows of ``ops/runs`` and ``ops/checks``: what runs did, how they ended, what they cost, and what checks found.

A run that wrote nothing and failed nowhere leaves no row: a scheduler asks every few minutes.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

from cortex_assets.engine.live import FAILED, INTERRUPTED, LiveRun
from cortex_assets.engine.report import ShardReport, StageReport
from cortex_assets.engine.verify import Finding, checks_of
from cortex_assets.ops.schema import CHECKS, RUNS
from resources.lakehouse import Lakehouse

CHECKED_ASSETS = ("files", "documents", "chunks", "embeddings", "index")
SHOWN_FINDINGS = 3
ALL_STAGES = "*"
"""The stage of a row about a whole run, which was interrupted or failed outside its stages."""


def record_run(
    lake: Lakehouse, run_id: str, corpus_id: str, trigger: str, started_at: float, report: ShardReport
) -> None:
    """Append the rows of a run that ended; none where it did nothing.

    Args:
        lake: takes them.
        run_id: of the run.
        corpus_id: whose shard it was.
        trigger: what started it.
        started_at: seconds since the epoch.
        report: what it did.
    """
    begun = datetime.fromtimestamp(started_at, UTC)
    told = [s for s in report.stages.values() if s.did_something or s.failed or s.quarantined or s.remaining]
    rows = [_row(run_id, corpus_id, trigger, begun, stage) for stage in told]
    if rows:
        lake.append(RUNS, pl.DataFrame(rows, schema=RUNS.dtypes))


def record_endings(lake: Lakehouse, runs: Sequence[LiveRun]) -> None:
    """Append rows of runs that did not end by themselves: interrupted ones, and those that an error ended."""
    rows = [
        _row(
            run.run_id,
            run.corpus_id,
            run.trigger,
            datetime.fromtimestamp(run.started_at, UTC),
            StageReport(ALL_STAGES, run.shard, seconds=max(0.0, run.heartbeat_at - run.started_at)),
            run.state if run.state in (INTERRUPTED, FAILED) else INTERRUPTED,
            run.reason or f"stopped in stage {run.stage or 'none'}",
        )
        for run in runs
    ]
    if rows:
        lake.append(RUNS, pl.DataFrame(rows, schema=RUNS.dtypes))


def record_checks(lake: Lakehouse, shard: str, scope: str, findings: Sequence[Finding], now: datetime) -> None:
    """Append what the checks of a shard's assets found; a row that passed says so.

    Args:
        lake: takes the rows.
        shard: of what was checked.
        scope: ``quick`` or ``deep``.
        findings: all of them.
        now: when.
    """
    names = {(asset, check) for asset in CHECKED_ASSETS for check in checks_of(asset)}
    names |= {(finding.asset, finding.check) for finding in findings}
    rows = []
    for asset, check in sorted(names):
        mine = [finding for finding in findings if (finding.asset, finding.check) == (asset, check)]
        rows.append(
            {
                "checked_at": now,
                "shard": shard,
                "asset": asset,
                "check": check,
                "scope": scope,
                "is_passed": not mine,
                "finding_count": sum(finding.count for finding in mine),
                "detail": "; ".join(finding.text for finding in mine[:SHOWN_FINDINGS])[:500] or None,
            }
        )
    lake.append(CHECKS, pl.DataFrame(rows, schema=CHECKS.dtypes))


def _row(
    run_id: str,
    corpus_id: str,
    trigger: str,
    started_at: datetime,
    stage: StageReport,
    status: str | None = None,
    reason: str | None = None,
) -> dict[str, object]:
    is_bad = stage.failed or stage.quarantined
    return {
        "run_id": run_id,
        "shard": stage.shard,
        "corpus_id": corpus_id,
        "stage": stage.stage,
        "trigger": trigger,
        "started_at": started_at,
        "seconds": round(stage.seconds, 3),
        "status": status or ("partial" if is_bad else "ok"),
        "reason": reason or ("; ".join(stage.notes)[:500] or None),
        "new_count": stage.new,
        "changed_count": stage.changed,
        "unchanged_count": stage.unchanged,
        "deleted_count": stage.deleted,
        "failed_count": stage.failed,
        "quarantined_count": stage.quarantined,
        "remaining_count": stage.remaining,
        "rows_written": stage.rows_written,
        "rows_added": stage.rows_added,
        "rows_removed": stage.rows_removed,
        "token_count": stage.tokens,
        "call_count": stage.calls,
    }
