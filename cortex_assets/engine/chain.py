"""A chain: the stages of one kind of corpus in the order the data goes, run slice by slice under one lease (ARCHITECTURE 4).

The stages themselves are ``stage`` (maps), ``embed`` and ``project``; the files stage is ``files``. Putting real stores and
models into a chain is ``cortex_assets.house``.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cortex_assets.engine.files import FilesStage
from cortex_assets.engine.project import IndexStage
from cortex_assets.engine.report import ProgressSink, ShardReport, StageReport, silent
from cortex_assets.engine.stage import Budget

LATER_SLICES = 4
"""Slices after the first are so many times as large: the first is to be searchable soon, the others to cost little."""
SLICE_WEIGHT = 12 * 1024 * 1024


class Stage(Protocol):
    """A step of a chain over one shard."""

    name: str
    key: str
    """Under which its complete runs are remembered: its name, or one of its own where several stages have that name."""

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
        files = self.first_slice * (1 if number == 0 else LATER_SLICES)
        budget = Budget(files, SLICE_WEIGHT, time.monotonic() + self.slice_seconds)
        report = ShardReport(shard)
        for stage in self.stages:
            if only is not None and stage.name not in only:
                continue
            if isinstance(stage, IndexStage):
                step = stage.begin if report.remaining else stage.run
                report.join(step(shard, budget, clock(), progress))
            else:
                report.join(stage.run(shard, budget, clock(), self._heard(shard, progress)))
        return report

    @property
    def _indexes(self) -> list[IndexStage]:
        return [stage for stage in self.stages if isinstance(stage, IndexStage)]

    def _heard(self, shard: str, progress: ProgressSink) -> ProgressSink:
        """The sink for a stage: whenever it hears something, segments of the slice before that are written are published."""
        indexes = self._indexes

        def heard(shard: str, stage: str, done: int, total: int, unit: str) -> None:
            progress(shard, stage, done, total, unit)
            for index in indexes:
                index.advance(shard)

        return heard

    def run_shard(
        self,
        shard: str,
        clock: Callable[[], datetime],
        progress: ProgressSink = silent,
        only: frozenset[str] | None = None,
    ) -> ShardReport:
        """Slices until nothing remains or a slice gets nowhere; the caller holds the shard's lease.

        While a slice goes on, other processes write the index segments of the one before.
        """
        total = ShardReport(shard)
        try:
            for number in itertools.count():
                part = self.run_slice(shard, number, clock, progress, only)
                for stage in part.stages.values():
                    total.add(stage)
                moved = any(stage.progressed for stage in part.stages.values())
                if not part.remaining or not moved:
                    break
            for index in self._indexes:
                index.finish(shard, total)
        finally:
            for index in self._indexes:
                index.abandon(shard)
        return total
