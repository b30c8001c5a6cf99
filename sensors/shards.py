"""The file-drop sensor: which shards differ is asked, never listed here; ``definitions`` passes the callables.

Level-triggered: what differs is asked for unless a run of that shard is queued or running. A tick in which nothing moved
since the last quiet one costs some file stats: neither the lake nor Dagster's database is opened.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dagster as dg

from sensors.asked import Asked, is_active

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    Job = dg.JobDefinition | UnresolvedAssetJobDefinition

EVERY_SECONDS = 60
"""Edits are the worker's job, at once; this is the net below it."""
LONGEST_QUIET = 3_600.0
"""So long a quiet lake is believed to be quiet without a look at its tables (seconds)."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the shards gave.

    Attributes:
        shards: all that are registered and listed, those of folders that just appeared in the inbox, too.
        tokens: shard to a token of how it differs from its source, empty where it does not; what is left out is unknown.
        taken_care_of: shards that somebody else (the worker) watches and runs where that is not said otherwise.
        how: in what way it was looked, for people.
        due: when a retry falls due (seconds since the epoch).
    """

    shards: Sequence[str]
    tokens: Mapping[str, str]
    taken_care_of: Collection[str] = field(default_factory=frozenset)
    how: str = ""
    due: float = float("inf")

    @property
    def is_quiet(self) -> bool:
        """Whether every shard was looked at and none differs."""
        return all(self.tokens.get(shard) == "" for shard in self.shards)


def shard_sensor(
    name: str,
    job: "Job",
    partitions: str,
    look: Callable[[], Look],
    glance: Callable[[], str] = str,
) -> dg.SensorDefinition:
    """Registers the shards of new corpora as partitions, and asks for runs of them and of shards that differ.

    Args:
        name: of the sensor.
        job: the chain job.
        partitions: name of the dynamic partitions.
        look: looks at all shards; it also registers folders that appeared in the inbox.
        glance: how everything stands that ``look`` depends on, by file stats alone; empty where that cannot be told so.
    """

    @dg.sensor(
        name=name,
        job=job,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for runs of shards that differ from their sources, and registers new folders of the inbox.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        asked, now = Asked.read(context.cursor), time.time()
        standing = glance()
        if standing and standing == asked.quiet and now < asked.quiet_until <= now + LONGEST_QUIET:
            return dg.SkipReason("nothing moved since the last look: the worker's list and all files stand as they did")
        seen = look()
        known = set(context.instance.get_dynamic_partitions(partitions))
        new = [shard for shard in seen.shards if shard not in known]
        requests = [asked.ask(shard, "", now) for shard in new if shard not in seen.taken_care_of]
        for shard, token in seen.tokens.items():
            if not token:
                asked.shards.pop(shard, None)
            elif (
                shard in known and asked.is_due(shard, token, now) and not is_active(context.instance, job.name, shard)
            ):
                requests.append(asked.ask(shard, token, now))
        asked.keep(seen.shards)
        is_quiet = seen.is_quiet and not new
        asked.quiet, asked.quiet_until = (standing, min(now + LONGEST_QUIET, seen.due)) if is_quiet else ("", 0.0)
        return dg.SensorResult(
            run_requests=requests,
            dynamic_partitions_requests=[dg.AddDynamicPartitionsRequest(partitions, new)] if new else [],
            cursor=asked.text(),
            skip_reason=None if requests else f"{len(seen.shards)} shards, none with work that is due; {seen.how}",
        )

    return sensor
