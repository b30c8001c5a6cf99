"""The index stage: what Delta says a shard's points are becomes a published generation (ARCHITECTURE 5).

A projection: the desired points (chunk, its document, whether it has a vector) are compared with the generation's sidecar,
and only the difference is encoded and written. Chunks without a vector are published sparse-only and counted.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from cortex_assets.engine import published
from cortex_assets.engine.fresh import FreshVectors
from cortex_assets.engine.publication import Changes, Publication, counted
from cortex_assets.engine.report import ProgressSink, ShardReport, StageReport, silent
from cortex_assets.engine.selection import EVERY, Selection
from cortex_assets.engine.stage import Budget
from cortex_assets.engine.wanted import WantedPoints, encoder_version
from inference.protocols import Space
from resources.crew import Crew
from resources.lakehouse import Lakehouse
from resources.state import State
from resources.vectors.protocol import DamagedIndexError, VectorStore


@dataclass(frozen=True, slots=True)
class _Begun:
    """A publication that other processes are at.

    Attributes:
        publication: see there.
        now: of its snapshot row.
        early: the sidecar before, and the report, of an early publish of the same slice.
    """

    publication: Publication
    now: datetime
    early: tuple[pl.DataFrame, StageReport] | None


class IndexStage:
    """Publishes a shard's points of one space."""

    name = "index"

    def __init__(
        self,
        space: Space,
        store: VectorStore,
        lake: Lakehouse,
        state: State,
        crew: Crew,
        fresh: FreshVectors,
        before_publish: Callable[[], None] = lambda: None,
        is_recorded: bool = True,
        selection: Selection = EVERY,
        key: str = "",
    ) -> None:
        """Bind; nothing is read yet.

        Args:
            space: whose vectors.
            store: what is published to.
            lake: where rows are.
            state: remembers complete publishes.
            crew: writes segments apart.
            fresh: vectors that were just made.
            before_publish: raises to refuse a publish (free-space guard).
            is_recorded: whether a publish gets its row in ``ops/snapshots``; not that of another machine's corpus.
            selection: which chunks are in the space.
            key: under which complete publishes are remembered; where a corpus has several spaces, each has its own.
        """
        self.key = key or self.name
        self.wanted = WantedPoints(space, store, lake, fresh, selection)
        self._crew = crew
        self.space, self._store, self._lake, self._state = space, store, lake, state
        self._before_publish, self._is_recorded = before_publish, is_recorded
        self._before_early: dict[str, tuple[pl.DataFrame, StageReport]] = {}
        self._begun: dict[str, _Begun] = {}
        self._settled: dict[str, StageReport] = {}

    def _generation(self, shard: str) -> int:
        """Number of the current generation; -1 where there is none, or none that can be read."""
        try:
            current = self._store.generation(self.space.space_id, shard)
        except DamagedIndexError:
            return -1
        return -1 if current is None else current.number

    def version(self, shard: str) -> tuple[str, str, int]:
        """What a shard's points are, beside the tables: space and selection, encoder, generation."""
        space = f"{self.space.space_id} {self.wanted.selection.name}".strip()
        return space, encoder_version(), self._generation(shard)

    def real_points(self, shard: str) -> pl.DataFrame:
        """The points themselves: ``chunk_id row_hash has_vector``."""
        return self._store.real_points(self.space.space_id, shard)

    def sidecar_ids(self, shard: str) -> set[str]:
        """Ids of the points that the current generation says it holds."""
        return set(self._store.sidecar(self.space.space_id, shard).get_column("chunk_id").to_list())

    def rewrite(self, shard: str, upserts: Sequence[str], deletes: Sequence[str], now: datetime) -> None:
        """Publish points again that the sidecar thinks are right (repair)."""
        changes = self.wanted.rewritten(shard, upserts, deletes)
        self._publish(shard, changes, now, StageReport(self.name, shard), silent)

    def _signature(self, shard: str) -> dict[str, object]:
        space, encoder, generation = self.version(shard)
        return {"tables": self.wanted.versions(), "generation": generation, "encoder": encoder, "space": space}

    def is_complete(self, shard: str, now: datetime) -> dict[str, object] | None:
        """The record of the last complete publish where nothing moved since, else None. Reads no table."""
        record = self._state.complete(shard, self.key)
        return record if record is not None and record.get("signature") == self._signature(shard) else None

    def run(self, shard: str, budget: Budget, now: datetime, progress: ProgressSink = silent) -> StageReport:
        """Publish the difference; no difference publishes nothing. Publishes before this one are reported here, too."""
        self._settle(shard)
        report = self._run(shard, now, progress)
        if shard in self._before_early:
            before, early = self._before_early.pop(shard)
            counted(report, early, before, self._store.sidecar(self.space.space_id, shard))
        return self._with_settled(report)

    def begin(self, shard: str, budget: Budget, now: datetime, progress: ProgressSink = silent) -> StageReport:
        """As ``run``, but where other processes write the segments they are not waited for: ``advance`` publishes them.

        Returns:
            What was published since the last report: of what was begun before, or at once where it is little.
        """
        self._settle(shard)
        begin, report = time.perf_counter(), StageReport(self.name, shard)
        try:
            changes = self.wanted.grown(shard, self._generation(shard)) or self.wanted.changes(shard)
        except DamagedIndexError:
            return self.run(shard, budget, now, progress)
        if not changes.is_empty:
            publication = self._publication(shard, changes, report, progress)
            self._begun[shard] = _Begun(publication, now, self._before_early.pop(shard, None))
            report.seconds = time.perf_counter() - begin
            self.advance(shard, is_waiting=not publication.is_apart)
        return self._with_settled(StageReport(self.name, shard, unchanged=changes.points - changes.upserts.height))

    def advance(self, shard: str, is_waiting: bool = False) -> None:
        """Publish what was begun and is written by now; ``is_waiting`` for the rest of it, too."""
        begun = self._begun.get(shard)
        if begun is None:
            return
        begin, report = time.perf_counter(), begun.publication.report
        try:
            is_done = begun.publication.advance(is_waiting)
        except DamagedIndexError as error:
            self.abandon(shard)
            self._store.drop(self.space.space_id, shard)
            anew = self._run(shard, begun.now, silent)
            anew.notes.append(f"the index is built anew: {error}")
            self._settle_by(anew)
            return
        except BaseException:
            self.abandon(shard)
            raise
        report.seconds += time.perf_counter() - begin
        if is_done:
            self.abandon(shard)
            self._complete(shard, begun.publication, begun.now)
            if begun.early is not None:
                before, early = begun.early
                counted(report, early, before, self._store.sidecar(self.space.space_id, shard))
            self._settle_by(report)

    def abandon(self, shard: str) -> None:
        """Let go of what was begun: nothing more of it is published, and the next run finds it missing."""
        begun = self._begun.pop(shard, None)
        if begun is not None:
            begun.publication.close()

    def finish(self, shard: str, total: ShardReport) -> None:
        """Publish the rest of what was begun; what was published and not reported yet is added to ``total``."""
        self._settle(shard)
        if shard in self._settled:
            total.add(self._settled.pop(shard))

    def _settle(self, shard: str) -> None:
        self.advance(shard, is_waiting=True)

    def _settle_by(self, report: StageReport) -> None:
        self._settled.setdefault(report.shard, StageReport(self.name, report.shard)).add(report)

    def _with_settled(self, report: StageReport) -> StageReport:
        """A report after those of the shard's publications that ended since the last one."""
        settled = self._settled.pop(report.shard, None)
        if settled is None:
            return report
        settled.add(report)
        return settled

    def run_early(self, shard: str, now: datetime, progress: ProgressSink = silent) -> None:
        """Publish what is there before the vectors are; ``run`` reports it, so that a point counts once."""
        self._settle(shard)
        try:
            sidecar = self._store.sidecar(self.space.space_id, shard)
        except DamagedIndexError:
            sidecar = pl.DataFrame(schema={"chunk_id": pl.String, "row_hash": pl.Int64})
        early = self._run(shard, now, progress)
        if early.did_something:
            first, before = self._before_early.get(shard, (sidecar, StageReport(self.name, shard)))
            before.add(early)
            self._before_early[shard] = first, before

    def _run(self, shard: str, now: datetime, progress: ProgressSink) -> StageReport:
        begin = time.perf_counter()
        report = StageReport(self.name, shard)
        signature = self._signature(shard)
        record = self.is_complete(shard, now)
        if record is not None:
            report.unchanged = int(str(record.get("points", 0)))
            return report
        try:
            points = self._published(shard, now, report, progress)
        except DamagedIndexError as error:
            report.notes.append(f"the index is built anew: {error}")
            self._store.drop(self.space.space_id, shard)
            points = self._published(shard, now, report, progress)
        report.seconds = time.perf_counter() - begin
        signature["generation"] = self._generation(shard)
        self._state.set_complete(shard, self.key, {"signature": signature, "points": points})
        return report

    def drop_if_damaged(self, shard: str) -> None:
        """Remove the shard's index where its points cannot be read; the next run builds it anew from Delta."""
        try:
            self.real_points(shard)
        except DamagedIndexError:
            self._store.drop(self.space.space_id, shard)

    def _published(self, shard: str, now: datetime, report: StageReport, progress: ProgressSink) -> int:
        """Publish what differs; returns the points. An index that cannot be read is a DamagedIndexError."""
        changes = self.wanted.changes(shard)
        report.unchanged = changes.points - changes.upserts.height
        if changes.is_empty and self._is_recorded:
            published.record_current(self._lake, self._store, self.space.space_id, shard, now)
        elif not changes.is_empty:
            self._publish(shard, changes, now, report, progress)
        return changes.points

    def _publication(self, shard: str, changes: Changes, report: StageReport, progress: ProgressSink) -> Publication:
        known = self._store.sidecar(self.space.space_id, shard).get_column("chunk_id")
        report.changed = int(known.is_in(changes.upserts["chunk_id"].implode()).sum())
        report.new = changes.upserts.height - report.changed
        report.unchanged = changes.points - changes.upserts.height
        del known
        return Publication(
            changes, self.space, shard, self._store, self._lake, self._crew, report, progress, self._before_publish
        )

    def _publish(
        self, shard: str, changes: Changes, now: datetime, report: StageReport, progress: ProgressSink
    ) -> None:
        publication = self._publication(shard, changes, report, progress)
        try:
            publication.advance(is_waiting=True)
        finally:
            publication.close()
        self._complete(shard, publication, now)

    def _complete(self, shard: str, publication: Publication, now: datetime) -> None:
        """Report a publication that is done, and write its snapshot row."""
        changes, report = publication.changes, publication.report
        report.deleted = len(changes.deletes)
        report.rows_written = changes.upserts.height
        report.rows_added, report.rows_removed = report.new, report.deleted
        report.commits += 1
        if changes.sparse_only:
            report.notes.append(f"{changes.sparse_only} points are keyword-only: their vectors are not there yet")
        if publication.generation is not None:
            number = publication.generation.number
            if self._is_recorded:
                published.record(self._lake, self.space.space_id, shard, number, changes.versions, changes.points, now)
            self.wanted.settle(shard, number, changes)
