"""Sensors over shards, made by factories: ``definitions`` passes the jobs and callables, nothing here opens the lake.

Level-triggered: what differs is asked for unless a run of that shard is queued or running. Where a run left the very same
difference (it failed, or a source cannot be read), the next one waits 1, 4, 16, then 60 minutes. A run key ends in a
counter, because Dagster skips for ever a run key that any earlier run had (a content key swallows reverts).
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    Job = dg.JobDefinition | UnresolvedAssetJobDefinition

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
LONGEST_WAIT = 3600.0
PARTITION_TAG = "dagster/partition"


@dataclass
class Asked:
    """What the sensor asked for so far; its cursor.

    Attributes:
        counter: number of runs asked for.
        shards: shard to the token it was last asked for with, how often in a row, and when (seconds since the epoch).
    """

    counter: int = 0
    shards: dict[str, tuple[str, int, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None) -> "Asked":
        """Inverse of ``text``; a cursor of another form begins anew."""
        try:
            known = json.loads(cursor or "{}")
            return cls(
                int(known["counter"]), {shard: (t, int(n), float(at)) for shard, (t, n, at) in known["shards"].items()}
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls(int(time.time()))

    def text(self) -> str:
        """As a cursor."""
        return json.dumps({"counter": self.counter, "shards": self.shards}, sort_keys=True)

    def is_due(self, shard: str, token: str, now: float) -> bool:
        """Whether a difference is new, or was asked for long enough ago."""
        last, times, at = self.shards.get(shard, ("", 0, 0.0))
        return last != token or now - at >= min(60.0 * 4 ** (times - 1), LONGEST_WAIT)

    def ask(self, shard: str, token: str, now: float) -> dg.RunRequest:
        """A run of a shard, noted."""
        last, times, _ = self.shards.get(shard, ("", 0, 0.0))
        self.shards[shard] = token, times + 1 if last == token else 1, now
        self.counter += 1
        return dg.RunRequest(partition_key=shard, run_key=f"{shard}:{self.counter}")


def shard_sensor(
    name: str,
    job: "Job",
    partitions: str,
    shards: Callable[[], Sequence[str]],
    changes: Callable[[], Mapping[str, str]],
) -> dg.SensorDefinition:
    """Registers the shards of new corpora as partitions, and asks for runs of them and of shards that differ.

    Args:
        name: of the sensor.
        job: the chain job.
        partitions: name of the dynamic partitions.
        shards: the shards that are registered now; it also registers folders that appeared in the inbox.
        changes: shard to a token of how it differs from its source, empty where it does not; what is left out is unknown.
    """

    @dg.sensor(name=name, job=job, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        known = set(context.instance.get_dynamic_partitions(partitions))
        wanted = list(shards())
        new = [shard for shard in wanted if shard not in known]
        asked, now = Asked.read(context.cursor), time.time()
        requests = [asked.ask(shard, "", now) for shard in new]
        for shard, token in changes().items():
            if not token:
                asked.shards.pop(shard, None)
            elif (
                shard in known and asked.is_due(shard, token, now) and not _is_active(context.instance, job.name, shard)
            ):
                requests.append(asked.ask(shard, token, now))
        asked.shards = {shard: asked.shards[shard] for shard in wanted if shard in asked.shards}
        return dg.SensorResult(
            run_requests=requests,
            dynamic_partitions_requests=[dg.AddDynamicPartitionsRequest(partitions, new)] if new else [],
            cursor=asked.text(),
            skip_reason=None if requests else f"{len(wanted)} shards, none with work that is due",
        )

    return sensor


def successor_sensor(
    name: str,
    job: "Job",
    lake_job_name: str,
    lake_job: "Job",
) -> dg.SensorDefinition:
    """After a shard's run: queue its next slice where something remains, else the lake job once all is quiet."""

    @dg.run_status_sensor(
        name=name,
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[job],
        request_jobs=[job, lake_job],
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(context: dg.RunStatusSensorContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        run = context.dagster_run
        shard = run.tags.get(PARTITION_TAG)
        if (
            shard is not None
            and _remaining(context.instance, run.run_id)
            and not _is_active(context.instance, job.name, shard)
        ):
            yield dg.RunRequest(job_name=job.name, partition_key=shard, run_key=f"{shard}:next:{run.run_id}")
        elif not _is_active(context.instance, job.name) and not _is_active(context.instance, lake_job_name):
            yield dg.RunRequest(job_name=lake_job_name, run_key=f"lake:{run.run_id}")
        else:
            yield dg.SkipReason("other runs are queued or running")

    return sensor


def _is_active(instance: dg.DagsterInstance, job: str, shard: str | None = None) -> bool:
    tags = {} if shard is None else {PARTITION_TAG: shard}
    return bool(instance.get_runs(dg.RunsFilter(job_name=job, tags=tags, statuses=UNFINISHED), limit=1))


def _remaining(instance: dg.DagsterInstance, run_id: str) -> int:
    """Keys that a run left for the next slice, from its materializations' metadata; none where it got nowhere.

    What a run could not move (an engine is away) the next one would not either: ``shard_sensor`` asks for that, later and
    later.
    """
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    counts = {"remaining": 0, "rows written": 0, "deleted": 0}
    for record in records:
        event = record.event_log_entry.asset_materialization
        for name in counts:
            value = event.metadata.get(name) if event is not None else None
            counts[name] += int(value.value) if value is not None and isinstance(value.value, int) else 0
    return counts["remaining"] if counts["rows written"] or counts["deleted"] else 0
