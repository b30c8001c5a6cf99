"""What a level-triggered sensor asked for so far: its cursor. The same difference is asked for again ever later.

Where a run left the very same difference (it failed, or a source cannot be read), the next one waits 1, 4, 16, then 60
minutes. A run key ends in a counter, because Dagster skips for ever a run key that any earlier run had (a content key
swallows reverts).
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import dagster as dg

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
        quiet: how everything stood when nothing differed; empty where something did.
        quiet_until: when that must be looked at again all the same (seconds since the epoch).
    """

    counter: int = 0
    shards: dict[str, tuple[str, int, float]] = field(default_factory=dict)
    quiet: str = ""
    quiet_until: float = 0.0

    @classmethod
    def read(cls, cursor: str | None) -> "Asked":
        """Inverse of ``text``; a cursor of another form begins anew."""
        try:
            known = json.loads(cursor or "{}")
            return cls(
                int(known["counter"]),
                {shard: (t, int(n), float(at)) for shard, (t, n, at) in known["shards"].items()},
                str(known.get("quiet", "")),
                float(known.get("quiet_until", 0.0)),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls(int(time.time()))

    def text(self) -> str:
        """As a cursor."""
        values = {"counter": self.counter, "shards": self.shards, "quiet": self.quiet, "quiet_until": self.quiet_until}
        return json.dumps(values, sort_keys=True)

    def is_due(self, shard: str, token: str, now: float) -> bool:
        """Whether a difference is new, or was asked for long enough ago; what is to come was noted before a clock was set back."""
        last, times, at = self.shards.get(shard, ("", 0, 0.0))
        return last != token or now < at or now - at >= min(60.0 * 4 ** min(times - 1, 6), LONGEST_WAIT)

    def note(self, shard: str, token: str, now: float) -> None:
        """Note that something was asked, or tried, for this difference."""
        last, times, _ = self.shards.get(shard, ("", 0, 0.0))
        self.shards[shard] = token, times + 1 if last == token else 1, now

    def ask(self, shard: str, token: str, now: float) -> dg.RunRequest:
        """A run of a shard, noted."""
        self.note(shard, token, now)
        self.counter += 1
        return dg.RunRequest(partition_key=shard, run_key=f"{shard}:{self.counter}")

    def keep(self, shards: Iterable[str]) -> None:
        """Forget everything but these."""
        self.shards = {shard: self.shards[shard] for shard in shards if shard in self.shards}


def is_active(instance: dg.DagsterInstance, job: str, shard: str | None = None) -> bool:
    """Whether a run of a job (for one shard) is queued or running."""
    tags = {} if shard is None else {PARTITION_TAG: shard}
    return bool(instance.get_runs(dg.RunsFilter(job_name=job, tags=tags, statuses=UNFINISHED), limit=1))
