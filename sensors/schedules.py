"""What the clock starts: a daily refresh of everything, nightly maintenance, verification and evaluation. All times are UTC.

A machine that slept through a time catches up when Dagster's daemon runs again (its own rule: the latest missed ticks).
The cron lines stand here and nowhere else; docs/operations.md tells people about them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from sensors.asked import is_active

if TYPE_CHECKING:
    from sensors.shards import Job

REFRESH_CRON = "0 2 * * *"
"""Every shard of every listed corpus is listed and brought up to date, whatever the sensors saw."""
MAINTAIN_CRON = "30 3 * * *"
"""Compact, vacuum, sweep; prune Dagster's own runs and events."""
VERIFY_CRON = "30 4 * * *"
"""Every shard is compared with its source, bytes and points read."""
EVALUATE_CRON = "30 5 * * *"
"""Golden sets are asked what they ask, where anything moved."""

HEALTH_CRON = "*/15 * * * *"
"""Engines of the lanes are looked at, where there are any."""


def refresh_schedule(
    name: str, job: "Job", partitions: str, shards: Callable[[], Sequence[str]]
) -> dg.ScheduleDefinition:
    """A run of every shard each day, of those that none is queued or running for.

    Args:
        name: of the schedule.
        job: the chain job.
        partitions: name of the dynamic partitions; shards that are none yet are left to the sensor.
        shards: all that are registered and listed.
    """

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=REFRESH_CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Brings every shard of every listed corpus up to date once a day.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        known = set(context.instance.get_dynamic_partitions(partitions))
        due = [s for s in shards() if s in known and not is_active(context.instance, job.name, s)]
        for shard in due:
            yield dg.RunRequest(
                partition_key=shard, run_key=f"{shard}:{context.scheduled_execution_time:%Y-%m-%dT%H:%M}"
            )
        if not due:
            yield dg.SkipReason("no shard that is not being worked on already")

    return schedule


def where_any(name: str, job: "Job", cron: str, description: str, why_not: Callable[[], str]) -> dg.ScheduleDefinition:
    """A job without partitions, at each time that ``why_not`` says nothing against."""

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        reason = why_not() or ("the last one is still at it" if is_active(context.instance, job.name) else "")
        if reason:
            yield dg.SkipReason(reason)
        else:
            yield dg.RunRequest(run_key=f"{job.name}:{context.scheduled_execution_time:%Y-%m-%dT%H:%M}")

    return schedule


def nightly(name: str, job: "Job", cron: str, description: str) -> dg.ScheduleDefinition:
    """A job without partitions, once a night; a night on which it still runs is left out."""
    return where_any(name, job, cron, description, lambda: "")
