"""What a run did, in numbers: one ``StageReport`` a stage and shard, summed into a ``RunReport``. No I/O."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol


@dataclass(slots=True)
class StageReport:
    """Counts of one stage over one shard; ``add`` adds slices together.

    ``progressed`` counts the keys that a slice dealt with, whether or not anything had to be written for them; ``deferred``
    the files that did not stand still and are left to another run. Of ``rows_written`` those are
    ``rows_added`` that were not there before; ``rows_removed`` are there no more.
    """

    stage: str
    shard: str
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: int = 0
    quarantined: int = 0
    remaining: int = 0
    deferred: int = 0
    progressed: int = 0
    rows_written: int = 0
    rows_added: int = 0
    rows_removed: int = 0
    commits: int = 0
    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    version: int = -1
    notes: list[str] = field(default_factory=list)

    def add(self, other: "StageReport") -> None:
        """Add a later slice of the same stage and shard; ``remaining`` and ``version`` are the later ones.

        ``unchanged`` stays what it was before the first slice: for a later one, what this run made is unchanged, too.
        """
        for item in fields(self):
            if item.name in {"stage", "shard", "unchanged"}:
                continue
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            if item.name in {"remaining", "version"}:
                setattr(self, item.name, theirs)
            else:
                setattr(self, item.name, mine + theirs)

    def join(self, other: "StageReport") -> None:
        """Add the same stage of another embedding space in the same slice: everything counts."""
        remaining, unchanged = self.remaining + other.remaining, self.unchanged + other.unchanged
        self.add(other)
        self.remaining, self.unchanged = remaining, unchanged

    @property
    def did_something(self) -> bool:
        """Whether anything was written."""
        return bool(self.commits)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and for Dagster metadata."""
        return asdict(self)


@dataclass(slots=True)
class ShardReport:
    """All stages of one shard in the order the data goes, whether another run held it, and the error that ended it."""

    shard: str
    stages: dict[str, StageReport] = field(default_factory=dict)
    is_busy: bool = False
    error: str = ""
    notes: list[str] = field(default_factory=list)

    def add(self, stage: StageReport) -> None:
        """Take a stage's report in."""
        if stage.stage in self.stages:
            self.stages[stage.stage].add(stage)
        else:
            self.stages[stage.stage] = stage

    def join(self, stage: StageReport) -> None:
        """Take in a stage's report of this slice, beside that of the same stage in another embedding space."""
        if stage.stage in self.stages:
            self.stages[stage.stage].join(stage)
        else:
            self.stages[stage.stage] = stage

    @property
    def remaining(self) -> int:
        """Keys left for the next slice."""
        return sum(stage.remaining for stage in self.stages.values())


class ProgressSink(Protocol):
    """Hears how a run goes; the command line draws bars from it."""

    def __call__(self, shard: str, stage: str, done: int, total: int, unit: str) -> None:
        """``done`` of ``total`` ``unit`` (files, documents, chunks, tokens) of a stage."""
        ...


def silent(shard: str, stage: str, done: int, total: int, unit: str) -> None:
    """The progress sink that hears nothing."""


Clock = Callable[[], float]
