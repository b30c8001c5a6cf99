"""A chain: the stages of one kind of corpus in the order the data goes, run slice by slice under one lease (ARCHITECTURE 4).

The stages themselves are ``stage`` (maps), ``embed`` and ``project``; the files stage is ``files``. Putting real stores and
models into a chain is ``cortex_assets.house``.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cortex_assets.engine.files import FilesStage
from cortex_assets.engine.report import ProgressSink, ShardReport, StageReport, silent
from cortex_assets.engine.stage import Budget

LATER_SLICES = 4
"""Slices after the first are so many times as large: the first is to be searchable soon, the others to cost little."""
SLICE_WEIGHT = 24 * 1024 * 1024


class Stage(Protocol):
    """A step of a chain over one shard."""

    name: str

    def run(self, shard: str, budget: Budget, now: datetime, progress: ProgressSink = silent) -> StageReport:
        """Do at most what the budget allows; say what remains."""
        ...

    def is_complete(self, shard: str, now: datetime) -> object:
        """True, or what is known of the last complete run, where nothing moved since. Reads no table."""
        ...


@dataclass(frozen=True)
class Chain:
    """Stages in order. ``embeddings`` may take long, so the index is published before it too when much is missing."""

    stages: Sequence[Stage]
    first_slice: int = 500
    slice_seconds: float = 300.0

    def is_complete(self, shard: str, now: datetime) -> bool:
        """Whether a run would do nothing, as far as versions tell; the corpus's folder is not looked at."""
        return all(stage.is_complete(shard, now) for stage in self.stages)

    def token(self) -> str:
        """What the rows of the files stage are (``FilesStage.token``)."""
        return next((stage.token() for stage in self.stages if isinstance(stage, FilesStage)), "")

    def run_slice(
        self,
        shard: str,
        number: int,
        clock: Callable[[], datetime],
        progress: ProgressSink,
        only: frozenset[str] | None = None,
    ) -> ShardReport:
        """One slice, all the way through publish: 500 files in the first, 2,000 in later ones, 5 minutes (settings)."""
        keys = self.first_slice * (1 if number == 0 else LATER_SLICES)
        budget = Budget(keys, SLICE_WEIGHT, time.monotonic() + self.slice_seconds)
        report = ShardReport(shard)
        for stage in self.stages:
            if only is None or stage.name in only:
                report.add(stage.run(shard, budget, clock(), progress))
        return report

    def run_shard(
        self,
        shard: str,
        clock: Callable[[], datetime],
        progress: ProgressSink = silent,
        only: frozenset[str] | None = None,
    ) -> ShardReport:
        """Slices until nothing remains or a slice gets nowhere; the caller holds the shard's lease."""
        total = ShardReport(shard)
        number = 0
        while True:
            part = self.run_slice(shard, number, clock, progress, only)
            for stage in part.stages.values():
                total.add(stage)
            number += 1
            moved = any(stage.progressed for stage in part.stages.values())
            if not part.remaining or not moved:
                return total
