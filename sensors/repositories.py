"""The git sensor: asks remotes which commit their branch is at, and for runs where that is not what was fetched last.

No run is asked for while a remote stands still. A remote that does not answer is asked again after 1, 4, 16, then 60 minutes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from sensors.asked import Asked, is_active

if TYPE_CHECKING:
    from sensors.shards import Job

EVERY_SECONDS = 300
NO_ANSWER = "no answer"
MOST_SECONDS = 20.0
"""No further remote is asked after so long in one tick."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A git corpus: its shards, the commit that was fetched last (None before the first), and what asks its remote.

    ``head`` raises an OSError or RuntimeError that says why there is no answer.
    """

    shards: Sequence[str]
    fetched: str | None
    head: Callable[[], str]


def repository_sensor(
    name: str, job: "Job", partitions: str, repositories: Callable[[], Mapping[str, Repository]]
) -> dg.SensorDefinition:
    """Asks for runs of git corpora whose remote moved.

    Args:
        name: of the sensor.
        job: the chain job, which fetches.
        partitions: name of the dynamic partitions; shards that are none yet are left to the sensor of the shards.
        repositories: corpus name to its repository, of all listed git corpora.
    """

    @dg.sensor(
        name=name,
        job=job,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Compares the heads of git remotes with what was fetched last, and asks for runs where they moved.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        found = repositories()
        if not found:
            return dg.SkipReason("no git corpora are listed")
        asked, now = Asked.read(context.cursor), time.time()
        known = set(context.instance.get_dynamic_partitions(partitions))
        requests: list[dg.RunRequest] = []
        silent: list[str] = []
        for corpus, token in _moved(found, asked, now, silent).items():
            shards = [shard for shard in found[corpus].shards if shard in known]
            for shard in shards:
                if asked.is_due(shard, token, now) and not is_active(context.instance, job.name, shard):
                    requests.append(asked.ask(shard, token, now))
        asked.keep([*(f"?{corpus}" for corpus in found), *(s for one in found.values() for s in one.shards)])
        said = f"{len(found)} remotes, none of which moved" + (
            f"; no answer from {', '.join(silent)}" if silent else ""
        )
        return dg.SensorResult(run_requests=requests, cursor=asked.text(), skip_reason=None if requests else said)

    return sensor


def _moved(found: Mapping[str, Repository], asked: Asked, now: float, silent: list[str]) -> dict[str, str]:
    """Corpus to the commit its remote is at, where another was fetched; notes whom no answer came from.

    Those asked longest ago come first, so that slow remotes keep none of the others from being asked.
    """
    deadline = time.monotonic() + MOST_SECONDS
    moved = {}
    for corpus in sorted(found, key=lambda name: (asked.shards.get(f"?{name}", ("", 0, 0.0))[2], name)):
        key = f"?{corpus}"
        last = asked.shards.get(key)
        if last is not None and last[0] == NO_ANSWER and not asked.is_due(key, NO_ANSWER, now):
            silent.append(corpus)
            continue
        if time.monotonic() > deadline:
            break
        try:
            head = found[corpus].head()
        except (OSError, RuntimeError) as error:
            asked.note(key, NO_ANSWER, now)
            silent.append(f"{corpus} ({error})")
            continue
        asked.shards[key] = "", 0, now
        if head != found[corpus].fetched:
            moved[corpus] = head
        else:
            for shard in found[corpus].shards:
                asked.shards.pop(shard, None)
    return moved
