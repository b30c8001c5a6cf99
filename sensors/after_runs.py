"""What follows runs, in one sensor: a shard's successor, the lake job once all is quiet, word of failures, due messages.

One plain sensor instead of one a run status: Dagster's database is opened only when its event file moved since the last
tick, so an idle evening costs some file stats. Where events lie elsewhere (PostgreSQL) it is opened at each tick.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from sensors.asked import PARTITION_TAG, is_active

if TYPE_CHECKING:
    from sensors.shards import Job

EVERY_SECONDS = 60
MOST_RUNS = 100
"""So many runs are followed in one tick; the rest in the next."""
OVERLAP = 120.0
"""Seconds: a run's end may be seen later than that of a run that ended after it."""
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that failed where nothing of Cortex could say so: its id, job, shard (may be empty), and Dagster's reason."""

    run_id: str
    job: str
    shard: str
    reason: str


@dataclass
class Followed:
    """How far runs were followed; the sensor's cursor.

    Attributes:
        until: end of the latest run that was followed up (seconds since the epoch); -1 before the first tick.
        seen: ids of the runs followed up that ended within ``OVERLAP`` before that.
        moved: how the event file stood then.
        is_lake_due: a shard's run ended since the last lake job.
        counter: number of lake jobs asked for.
    """

    until: float = -1.0
    seen: list[str] = field(default_factory=list)
    moved: str = ""
    is_lake_due: bool = False
    counter: int = 0

    @classmethod
    def read(cls, cursor: str | None) -> "Followed":
        """Inverse of ``text``; a cursor of another form begins anew."""
        try:
            values = json.loads(cursor or "{}")
            seen = [str(run_id) for run_id in values["seen"]]
            is_due, counter = bool(values["is_lake_due"]), int(values["counter"])
            return cls(float(values["until"]), seen, str(values["moved"]), is_due, counter)
        except (ValueError, KeyError, TypeError):
            return cls(counter=int(time.time()))

    def text(self) -> str:
        """As a cursor."""
        return json.dumps(asdict(self), sort_keys=True)


def after_runs_sensor(
    name: str,
    job: "Job",
    lake_job: "Job",
    others: Sequence["Job"],
    moved: Callable[[], str],
    failed: Callable[[Sequence[FailedRun]], None],
    deliver: Callable[[], str],
) -> dg.SensorDefinition:
    """Follows runs up.

    Args:
        name: of the sensor.
        job: the chain job.
        lake_job: aggregates and globals.
        others: further jobs whose failures are told.
        moved: how Dagster's event file stands; empty where there is none to look at.
        failed: hears of runs that failed before, or around, what the house itself tells of.
        deliver: delivers messages that wait; what it did, for people, or nothing.
    """
    jobs = {job.name, lake_job.name, *(one.name for one in others)}

    @dg.sensor(
        name=name,
        jobs=[job, lake_job],
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="After runs: next slices, the lake job, word of failures; delivers webhook messages that wait.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        followed = Followed.read(context.cursor)
        standing, told = moved(), deliver()
        if standing and standing == followed.moved and not followed.is_lake_due:
            return dg.SkipReason(told or "no run ended since the last look")
        instance = context.instance
        runs = _ended(instance, jobs, followed)
        requests = [
            dg.RunRequest(job_name=job.name, partition_key=shard, run_key=f"{shard}:next:{run.run_id}")
            for run in runs
            if run.job_name == job.name
            and run.status == dg.DagsterRunStatus.SUCCESS
            and (shard := run.tags.get(PARTITION_TAG)) is not None
            and remaining(instance, run.run_id)
            and not is_active(instance, job.name, shard)
        ]
        failures = [run for run in runs if run.status == dg.DagsterRunStatus.FAILURE]
        failed([_told(instance, run) for run in failures if run.job_name != job.name or not _began(instance, run)])
        followed.is_lake_due |= any(run.job_name == job.name for run in runs)
        if followed.is_lake_due and not requests and not any(is_active(instance, j) for j in (job.name, lake_job.name)):
            followed.is_lake_due, followed.counter = False, followed.counter + 1
            requests.append(dg.RunRequest(job_name=lake_job.name, run_key=f"lake:{followed.counter}"))
        followed.moved = standing if len(runs) < MOST_RUNS else ""
        skip = None if requests else told or f"{len(runs)} runs ended, nothing follows them now"
        return dg.SensorResult(run_requests=requests, cursor=followed.text(), skip_reason=skip)

    return sensor


def _ended(instance: dg.DagsterInstance, jobs: set[str], followed: Followed) -> list[dg.DagsterRun]:
    """Runs of the jobs that ended since the last tick, in that order; the first tick only notes where it begins.

    One after a clock was set back begins there, too: no run would end after what was followed until then.
    """
    if followed.until < 0:
        followed.until = time.time()
        return []
    followed.until = min(followed.until, time.time())
    after = followed.until - OVERLAP
    records = instance.get_run_records(
        dg.RunsFilter(statuses=FINISHED, updated_after=datetime.fromtimestamp(after, UTC)), limit=10 * MOST_RUNS
    )
    ended = {r.dagster_run.run_id: r.end_time or r.update_timestamp.timestamp() for r in records}
    mine = [
        r.dagster_run for r in records if r.dagster_run.job_name in jobs and r.dagster_run.run_id not in followed.seen
    ]
    mine = sorted((run for run in mine if ended[run.run_id] > after), key=lambda run: ended[run.run_id])[:MOST_RUNS]
    if mine:
        followed.until = max(followed.until, ended[mine[-1].run_id])
        followed.seen += [run.run_id for run in mine]
    followed.seen = [run_id for run_id in followed.seen if ended.get(run_id, 0.0) > followed.until - OVERLAP]
    return mine


def _began(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run got as far as its op: then the house tells of it, also where it was killed (at its shard's next run)."""
    return bool(instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_START, limit=1).records)


def _told(instance: dg.DagsterInstance, run: dg.DagsterRun) -> FailedRun:
    """Why a run failed: by its step's error, or by what Dagster says where none began."""
    reason = "failed"
    for kind in (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.STEP_FAILURE):
        for record in instance.get_records_for_run(run.run_id, of_type=kind, limit=1).records:
            event = record.event_log_entry.get_dagster_event()
            error = event.step_failure_data.error if event.is_step_failure else None
            cause = error.cause or error if error is not None else None
            reason = cause.message if cause is not None else event.message or reason
    return FailedRun(run.run_id, run.job_name, run.tags.get(PARTITION_TAG, ""), " ".join(reason.split())[:500])


def remaining(instance: dg.DagsterInstance, run_id: str) -> int:
    """Keys that a run left for the next slice, from its materializations' metadata; none where it got nowhere.

    What a run could not move (an engine is away) the next one would not either: the sensor of the shards asks for that,
    later and later.
    """
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    counts = {"remaining": 0, "rows written": 0, "deleted": 0}
    for record in records:
        event = record.event_log_entry.asset_materialization
        for name in counts:
            value = event.metadata.get(name) if event is not None else None
            counts[name] += int(value.value) if value is not None and isinstance(value.value, int) else 0
    return counts["remaining"] if counts["rows written"] or counts["deleted"] else 0
